# Postern: one non-recursive Makefile. FLAVOUR picks how it is built:
#   release   what is installed              debug     fault points on
#   sanitize  ASan and UBSan                 fuzz      clang with libFuzzer
#   coverage  gcov
FLAVOUR ?= release
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= cc
CFLAGS ?= -O2 -g

B := build/$(FLAVOUR)
PACKAGES := openssl tdb libidn2 libconfuse libseccomp
PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES))
PKG_LIBS := $(shell pkg-config --libs $(PACKAGES)) -lunistring -lresolv

WARN := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wvla -Wstrict-prototypes \
	-Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wformat=2 -Werror
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE \
	-fno-strict-aliasing -fno-delete-null-pointer-checks
LDHARDEN := -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack

FLAGS_release := -D_FORTIFY_SOURCE=2
FLAGS_debug := -O1 -DFAULT_POINTS=1
FLAGS_sanitize := -O1 -fno-omit-frame-pointer -DFAULT_POINTS=1 -fsanitize=address,undefined \
	-fno-sanitize-recover=all
FLAGS_fuzz := -O1 -DFUZZING=1 -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=all
FLAGS_coverage := -O0 --coverage -DFAULT_POINTS=1
LD_sanitize := -fsanitize=address,undefined
LD_fuzz := -fsanitize=address,undefined
LD_coverage := --coverage
ifeq ($(FLAVOUR),fuzz)
CC := clang
endif

ALL_CFLAGS := -std=c17 -D_GNU_SOURCE -Ilib $(CFLAGS) $(FLAGS_$(FLAVOUR)) $(WARN) $(HARDEN) \
	-ffunction-sections -fdata-sections $(PKG_CFLAGS)
ALL_LDFLAGS := $(LDHARDEN) $(LD_$(FLAVOUR)) -Wl,--gc-sections -Wl,--as-needed $(LDFLAGS)

LIB_SRC := $(wildcard lib/*/*.c)
BIN_SRC := $(wildcard bin/*.c)
UNIT_SRC := $(wildcard tests/unit/test_*.c)
TOOL_SRC := $(wildcard tests/tools/*.c)
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
BENCH_SRC := $(wildcard tests/bench/*.c)
LIB := $(B)/libpostern.a
BINS := $(BIN_SRC:bin/%.c=$(B)/bin/%)
UNITS := $(UNIT_SRC:tests/unit/%.c=$(B)/tests/%)
TOOLS := $(TOOL_SRC:tests/tools/%.c=$(B)/tools/%)
FUZZERS := $(FUZZ_SRC:tests/fuzz/%.c=$(B)/fuzz/%)
BENCHES := $(BENCH_SRC:tests/bench/%.c=$(B)/bench/%)
MANS := $(wildcard doc/man/*.[1-8])

.PHONY: all tests check unit e2e fuzz bench lint install clean
.SECONDARY:
all: $(BINS)
tests: all $(UNITS) $(TOOLS)

# The filters of the sandbox are made by libseccomp here, so that no process need make them.
$(B)/make_filters: lib/sys/filters/make_filters.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -MMD -MP -o $@ $< $(PKG_LIBS)
$(B)/include/sys/sandbox_filters.h: $(B)/make_filters
	@mkdir -p $(@D)
	$< >$@.new && mv $@.new $@
$(B)/lib/sys/sandbox.o: $(B)/include/sys/sandbox_filters.h
$(B)/lib/sys/sandbox.o: ALL_CFLAGS += -I$(B)/include
$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
$(LIB): $(LIB_SRC:%.c=$(B)/%.o)
	@rm -f $@
	ar rcs $@ $^
$(B)/bin/%: $(B)/bin/%.o $(LIB)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)
$(B)/tests/%: $(B)/tests/unit/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)
$(B)/tools/%: $(B)/tests/tools/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)
$(B)/bench/%: $(B)/tests/bench/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)
$(B)/fuzz/%: $(B)/tests/fuzz/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(PKG_LIBS)

check: unit e2e
unit: tests
	FLAVOUR=$(FLAVOUR) tests/run unit
e2e: tests
	FLAVOUR=$(FLAVOUR) tests/run e2e
fuzz:
	$(MAKE) FLAVOUR=fuzz fuzzers
	tests/fuzz/run build/fuzz/fuzz $(TIME) $(ONLY)
.PHONY: fuzzers
fuzzers: $(FUZZERS)
bench: all $(BENCHES)
	tests/bench/run
lint:
	scripts/lint
install: all
	scripts/install-tree "$(B)" "$(DESTDIR)" "$(PREFIX)"
clean:
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
