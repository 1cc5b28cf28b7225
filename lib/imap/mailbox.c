/* Mailbox names on the wire, and LIST's patterns. */
#include "imap/write.h"

#include "base/ascii.h"
#include "text/text.h"

enum { NAME_BYTES_MAX = 4096, WORD_BITS = 64 };

static bool is_ascii_text(struct span s);
static void canonicalise_inbox(struct str *name);
static bool is_inbox_level(struct span name);

void imap_put_mailbox(struct str *out, struct span name, enum imap_text mode)
{
	struct str encoded cleanup(str_clear) = STR_INIT(4 * NAME_BYTES_MAX);
	if (mode == IMAP_TEXT_UTF8 || text_utf7_encode(name, &encoded) != 0)
		imap_put_astring(out, name, mode);
	else
		imap_put_astring(out, str_span(&encoded), mode);
}

int imap_mailbox_decode(struct span wire, enum imap_text mode, struct arena *a, struct span *ret)
{
	struct str plain cleanup(str_clear) = STR_INIT(NAME_BYTES_MAX);
	struct str composed cleanup(str_clear) = STR_INIT(NAME_BYTES_MAX);
	int error = 0;
	if (wire.n > NAME_BYTES_MAX)
		return -ENAMETOOLONG;
	if (span_index(wire, '\0') != SIZE_MAX)
		return -EINVAL;
	if (mode == IMAP_TEXT_ASCII && is_ascii_text(wire))
		error = text_utf7_decode(wire, &plain);
	else
		str_append(&plain, wire);
	if (!error)
		error = text_nfc(str_span(&plain), &composed);
	if (error)
		return -EINVAL;
	canonicalise_inbox(&composed);
	*ret = arena_span(a, str_span(&composed));
	return 0;
}

static bool is_ascii_text(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

/* RFC 9051 §5.1: INBOX is case-insensitive; so is it as the first level of others here. */
static void canonicalise_inbox(struct str *name)
{
	if (is_inbox_level(str_span(name)))
		memcpy(name->data, "INBOX", 5);
}

static bool is_inbox_level(struct span name)
{
	return span_starts_with_nocase(name, SPAN("INBOX")) && (name.n == 5 || name.p[5] == '/');
}

/*
 * A pattern of m bytes is an automaton of m + 1 states, state i meaning "the first i bytes of the
 * pattern match what was read". The set of states is a row of bits. For a byte c of the name, state
 * i leads to i + 1 where the pattern's byte i is c, and a wildcard's state stays if it takes c.
 * Runs of wildcards are made one, so that the step over a wildcard that takes nothing is a single
 * shift.
 */
struct imap_pattern {
	size_t words;
	size_t last;	      /* the accepting state */
	uint64_t *stars;      /* states whose byte is "*" */
	uint64_t *wildcards;  /* "*" or "%" */
	uint64_t *bytes[256]; /* states by their byte; NULL: none */
	char separator;
};

static size_t simplify(struct span pattern, char *ret);
static void set_bit(uint64_t *bits, size_t i)
{
	bits[i / WORD_BITS] |= UINT64_C(1) << i % WORD_BITS;
}
static void step(const struct imap_pattern *p, uint64_t *states, unsigned char c, bool fold);
static bool skip_wildcards(const struct imap_pattern *p, uint64_t *states);

int imap_pattern_compile(
    struct span pattern, char separator, struct arena *a, const struct imap_pattern **ret)
{
	char simple[IMAP_PATTERN_MAX_BYTES];
	if (pattern.n > sizeof(simple))
		return -E2BIG;
	size_t m = simplify(pattern, simple);
	struct imap_pattern *p = ARENA_NEW(a, struct imap_pattern);
	p->words = m / WORD_BITS + 1;
	p->last = m;
	p->separator = separator;
	p->stars = ARENA_ARRAY(a, uint64_t, p->words);
	p->wildcards = ARENA_ARRAY(a, uint64_t, p->words);
	for (size_t i = 0; i < m; i++) {
		unsigned char c = (unsigned char)simple[i];
		if (c == '*')
			set_bit(p->stars, i);
		if (c == '*' || c == '%') {
			set_bit(p->wildcards, i);
			continue;
		}
		if (!p->bytes[c])
			p->bytes[c] = ARENA_ARRAY(a, uint64_t, p->words);
		set_bit(p->bytes[c], i);
	}
	*ret = p;
	return 0;
}

/* "%*%" is "*", "%%" is "%". */
static size_t simplify(struct span pattern, char *ret)
{
	size_t m = 0;
	for (size_t i = 0; i < pattern.n; i++) {
		char c = pattern.p[i];
		bool wild = c == '*' || c == '%';
		if (wild && m > 0 && (ret[m - 1] == '*' || ret[m - 1] == '%')) {
			if (c == '*')
				ret[m - 1] = c;
		} else {
			ret[m++] = c;
		}
	}
	return m;
}

bool imap_pattern_matches(const struct imap_pattern *p, struct span name)
{
	uint64_t states[IMAP_PATTERN_MAX_BYTES / WORD_BITS + 1] = {1};
	size_t folded = is_inbox_level(name) ? 5 : 0;
	bool alive = skip_wildcards(p, states);
	for (size_t i = 0; alive && i < name.n; i++) {
		step(p, states, (unsigned char)name.p[i], i < folded);
		alive = skip_wildcards(p, states);
	}
	return states[p->last / WORD_BITS] >> p->last % WORD_BITS & 1;
}

static void step(const struct imap_pattern *p, uint64_t *states, unsigned char c, bool fold)
{
	const uint64_t *same = p->bytes[fold ? ascii_lower(c) : c];
	const uint64_t *other = fold ? p->bytes[ascii_upper(c)] : NULL;
	const uint64_t *staying = c == (unsigned char)p->separator ? p->stars : p->wildcards;
	uint64_t carry = 0;
	for (size_t i = 0; i < p->words; i++) {
		uint64_t moving = states[i] & ((same ? same[i] : 0) | (other ? other[i] : 0));
		states[i] = moving << 1 | carry | (states[i] & staying[i]);
		carry = moving >> (WORD_BITS - 1);
	}
}

/* A wildcard may take nothing. False when no state is left. */
static bool skip_wildcards(const struct imap_pattern *p, uint64_t *states)
{
	uint64_t carry = 0, any = 0;
	for (size_t i = 0; i < p->words; i++) {
		uint64_t moving = states[i] & p->wildcards[i];
		states[i] |= moving << 1 | carry;
		carry = moving >> (WORD_BITS - 1);
		any |= states[i];
	}
	return any != 0;
}
