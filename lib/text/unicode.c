#include "text/text.h"

#include <unicase.h>
#include <uninorm.h>
#include <unistr.h>

#include "base/ascii.h"

/* Malloc'd UTF-8 of libunistring, wiped before it is freed: it may be a password. */
struct piece {
	uint8_t *p;
	size_t n;
};

static int normalize(uninorm_t form, struct span s, struct piece *ret);
static int map_code_points(ucs4_t (*map)(ucs4_t), struct span s, struct piece *ret);
static void piece_clear(struct piece *piece);
static int piece_append(const struct piece *piece, struct str *out);

static const uint8_t *bytes_of(struct span s)
{
	return (const uint8_t *)s.p;
}

bool utf8_is_valid(struct span s)
{
	if (s.n == 0)
		return true;
	return !memchr(s.p, '\0', s.n) && !u8_check(bytes_of(s), s.n);
}

size_t utf8_count(struct span s)
{
	size_t count = 0;
	for (size_t i = 0; i < s.n; i++)
		count += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return count;
}

void text_to_printable_ascii(struct span s, struct str *out)
{
	bool inside = false; /* of a character of several bytes, which may be cut */
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == ' ' || ascii_is_vchar(c))
			str_append_char(out, s.p[i]);
		else if (!inside || (c & 0xc0) != 0x80)
			str_append_char(out, '?');
		inside = c >= 0x80;
	}
}

int text_nfc(struct span s, struct str *out)
{
	if (!utf8_is_valid(s))
		return -EILSEQ;
	if (span_is_ascii(s)) {
		str_append(out, s);
		return str_error(out);
	}
	struct piece composed cleanup(piece_clear) = {0};
	int rc = normalize(UNINORM_NFC, s, &composed);
	return rc < 0 ? rc : piece_append(&composed, out);
}

int text_fold(struct span s, struct str *out)
{
	if (!utf8_is_valid(s))
		return -EILSEQ;
	/* Lower-casing may undo the composition, hence NFC at both ends. */
	struct piece composed cleanup(piece_clear) = {0};
	struct piece lower cleanup(piece_clear) = {0};
	struct piece again cleanup(piece_clear) = {0};
	int rc = normalize(UNINORM_NFC, s, &composed);
	if (rc == 0)
		rc = map_code_points(uc_tolower, span_of(composed.p, composed.n), &lower);
	if (rc == 0)
		rc = normalize(UNINORM_NFC, span_of(lower.p, lower.n), &again);
	return rc < 0 ? rc : piece_append(&again, out);
}

/* RFC 5051 §2: the simple title-case mapping, then the full (compatibility) decomposition. */
int text_casemap(struct span s, struct str *out)
{
	if (!utf8_is_valid(s))
		return -EILSEQ;
	struct piece title cleanup(piece_clear) = {0};
	struct piece decomposed cleanup(piece_clear) = {0};
	int rc = map_code_points(uc_totitle, s, &title);
	if (rc == 0)
		rc = normalize(UNINORM_NFKD, span_of(title.p, title.n), &decomposed);
	return rc < 0 ? rc : piece_append(&decomposed, out);
}

static int normalize(uninorm_t form, struct span s, struct piece *ret)
{
	if (s.n == 0) {
		*ret = (struct piece){0};
		return 0;
	}
	size_t n = 0;
	uint8_t *p = u8_normalize(form, bytes_of(s), s.n, NULL, &n);
	if (!p)
		return errno == EILSEQ ? -EILSEQ : -ENOMEM;
	*ret = (struct piece){p, n};
	return 0;
}

static int map_code_points(ucs4_t (*map)(ucs4_t), struct span s, struct piece *ret)
{
	size_t room = s.n * 2 + 4; /* no simple mapping is longer than twice its source */
	struct piece result = {xmalloc(room), 0};
	for (size_t at = 0; at < s.n;) {
		ucs4_t c;
		int used = u8_mbtouc(&c, bytes_of(s) + at, s.n - at);
		int made = u8_uctomb(result.p + result.n, map(c), (ptrdiff_t)(room - result.n));
		if (used <= 0 || made <= 0) {
			piece_clear(&result);
			return -EILSEQ;
		}
		at += (size_t)used;
		result.n += (size_t)made;
	}
	*ret = result;
	return 0;
}

static void piece_clear(struct piece *piece)
{
	if (piece->p)
		explicit_bzero(piece->p, piece->n);
	free(piece->p);
	*piece = (struct piece){0};
}

static int piece_append(const struct piece *piece, struct str *out)
{
	str_append(out, span_of(piece->p, piece->n));
	return str_error(out);
}
