#!/usr/bin/env bats
# The acceptor of `postern localserve`, with stand-ins for the handlers. The real ones: tests/e2e.
load common

setup() {
	dir=$(mktemp -d)
	export POSTERN_LIBEXEC=$dir/libexec
	mkdir "$POSTERN_LIBEXEC"
	local name
	for name in imap-handler submit-handler; do
		printf '#!/bin/sh\nprintf "%s $*\\n" >&0\nsleep 97 &\nsleep 97\n' $name >"$POSTERN_LIBEXEC/$name"
	done
	# shellcheck disable=SC2016 # $2 is the written script's
	printf '#!/bin/sh\necho ran >&2\nrm -f "$2"/state/queue/wake/*\n' >"$POSTERN_LIBEXEC/queue-runner"
	chmod +x "$POSTERN_LIBEXEC"/*
	base=$((10000 + RANDOM % 20000)) # below what the kernel gives to clients
	pid=
}
teardown() {
	[ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
	rm -rf "$dir"
}
start() {
	"$BUILD/bin/postern" localserve --dir "$dir/instance" --port-base "$base" >"$dir/out" 2>&1 3>&- &
	pid=$!
	local i
	for ((i = 0; i < 200; i++)); do
		[ ! -e "$dir/instance/ready" ] || return 0
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.05
	done
	cat "$dir/out"
	return 1
}
first_line() { # PORT: what the handler says
	local line
	exec 5<>"/dev/tcp/127.0.0.1/$1"
	read -r -t 5 line <&5
	echo "$line"
}

@test "localserve: makes the instance, starts handlers, ends everything" {
	start
	cd "$dir/instance"
	ls postern.conf server.pem passwords clients/{user,user-nopreauth,stranger}.pem clients/user.p12
	openssl x509 -in server.pem -noout -checkhost localhost
	openssl pkcs12 -in clients/user.p12 -passin file:clients/passphrase -noout
	[ "$(cut -d' ' -f1 passwords | tr '\n' ' ')" = "user@localhost second@localhost " ]
	[ "$(first_line $((base + 993)))" = "imap-handler --instance $PWD --log=stderr --implicit-tls" ]
	[ "$(first_line $((base + 143)))" = "imap-handler --instance $PWD --log=stderr" ]
	[ "$(first_line $((base + 587)))" = "submit-handler --instance $PWD --log=stderr" ]
	[ "$(first_line $((base + 465)))" = "submit-handler --instance $PWD --log=stderr --implicit-tls" ]
	children=$(pgrep -P "$pid")
	[ -n "$children" ]
	kill -TERM "$pid"
	wait "$pid"
	[ ! -e ready ]
	for child in $children; do
		run kill -0 -- "-$child"
		[ "$status" -ne 0 ]
	done
	pid=
}

@test "localserve: a wake mark starts the runner; a second start finds the instance" {
	start
	for ((i = 0; i < 200; i++)); do # the run of the start itself
		! grep -q ran "$dir/instance/log" || break
		sleep 0.05
	done
	before=$(grep -c ran "$dir/instance/log")
	: >"$dir/instance/state/queue/wake/user"
	for ((i = 0; i < 100; i++)); do
		[ "$(grep -c ran "$dir/instance/log")" -eq "$before" ] || break
		sleep 0.05
	done
	[ "$(grep -c ran "$dir/instance/log")" -gt "$before" ]
	cp "$dir/instance/passwords" "$dir/before"
	kill -INT "$pid"
	wait "$pid"
	start
	cmp "$dir/instance/passwords" "$dir/before"
	run "$BUILD/bin/postern" localserve --dir "$dir/second" --port-base "$base"
	[ "$status" -eq 75 ] || { echo "$output"; false; }
	[[ $output == *"another --port-base"* ]]
	kill -INT "$pid"
	wait "$pid"
	pid=
}

@test "localserve: one at a time serves a folder; another one's files are left alone" {
	start
	run "$BUILD/bin/postern" localserve --dir "$dir/instance" --port-base $((base + 1))
	[ "$status" -eq 75 ] || { echo "$output"; false; }
	[[ $output == *"already served"* ]]
	[ -e "$dir/instance/ready" ]
	kill -KILL "$pid"
	wait "$pid" || true
	rm "$dir/instance/ready"
	start
	kill -INT "$pid"
	wait "$pid"
	pid=
	mkdir "$dir/foreign"
	echo text >"$dir/foreign/thesis"
	run "$BUILD/bin/postern" localserve --dir "$dir/foreign" --port-base "$base"
	[ "$status" -eq 73 ] || { echo "$output"; false; }
	[[ $output == *"$dir/foreign holds other files"*"empty folder" ]]
	[ "$(ls -A "$dir/foreign")" = thesis ]
}

@test "localserve: installed anywhere, it finds the handlers" {
	unset POSTERN_LIBEXEC
	"$BATS_TEST_DIRNAME/../../scripts/install-tree" "$BUILD" "$dir/root" /opt/postern
	run timeout 60 "$dir/root/opt/postern/bin/postern" localserve --demo
	[ "$status" -eq 0 ] || { echo "$output"; false; }
}

@test "localserve: a throwaway instance is removed" {
	export TMPDIR=$dir
	"$BUILD/bin/postern" localserve --port-base "$base" >"$dir/out" 2>&1 3>&- &
	pid=$!
	for ((i = 0; i < 200; i++)); do
		! grep -q '^Postern serves' "$dir/out" || break
		sleep 0.05
	done
	instance=$(sed -n 's/.*trust \(.*\)\/server.pem/\1/p' "$dir/out")
	[ -d "$instance" ]
	kill -INT "$pid"
	wait "$pid"
	[ ! -e "$instance" ]
	pid=
}
