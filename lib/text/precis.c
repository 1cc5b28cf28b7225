/*
 * PRECIS OpaqueString (RFC 8265 §4.2): spaces become U+0020, then NFC, then every code point must
 * belong to the FreeformClass (RFC 8264 §4.3). The class is derived as RFC 8264 §8 says, from the
 * Unicode properties that libunistring knows. It is asked after NFC: decomposed Hangul consists of
 * conjoining jamo, which the class refuses, and composes to syllables, which it allows.
 */
#include "text/text.h"

#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

enum derived { ALLOWED, DISALLOWED, CONTEXT };

/* The normalised string as code points, wiped when freed. */
struct code_points {
	uint32_t *p;
	size_t n;
	/* anywhere in it: ٠…٩, ۰…۹, Hiragana, Katakana or Han */
	bool has_arabic_digits, has_extended_digits, has_kana_or_han;
};

static int to_code_points(struct span password, struct code_points *ret);
static enum derived derive(uint32_t c);
static bool exception(uint32_t c, enum derived *ret);
static bool is_precis_ignorable(uint32_t c);
static bool is_old_hangul_jamo(uint32_t c);
static bool has_compatibility_form(uint32_t c);
static bool context_allows(const struct code_points *s, size_t at);
static bool zwnj_joins(const struct code_points *s, size_t at);
static void look_around(struct code_points *s);
static bool has_script(uint32_t c, const char *name);

static void code_points_clear(struct code_points *s)
{
	if (s->p)
		explicit_bzero(s->p, s->n * sizeof(*s->p));
	free(s->p);
	*s = (struct code_points){0};
}

int text_opaque_string(struct span password, struct str *out, uint32_t *ret_bad)
{
	if (password.n == 0) {
		*ret_bad = 0;
		return -EINVAL;
	}
	struct code_points s cleanup(code_points_clear) = {0};
	int rc = to_code_points(password, &s);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < s.n; i++) {
		enum derived property = derive(s.p[i]);
		if (property == DISALLOWED || (property == CONTEXT && !context_allows(&s, i))) {
			*ret_bad = s.p[i];
			return -EINVAL;
		}
	}
	for (size_t i = 0; i < s.n; i++) {
		uint8_t utf8[6];
		int n = u8_uctomb(utf8, s.p[i], sizeof(utf8));
		str_append(out, span_of(utf8, n > 0 ? (size_t)n : 0));
		explicit_bzero(utf8, sizeof(utf8));
	}
	return str_error(out);
}

static int to_code_points(struct span password, struct code_points *ret)
{
	struct code_points raw cleanup(code_points_clear) = {0};
	raw.p = u8_to_u32((const uint8_t *)password.p, password.n, NULL, &raw.n);
	if (!raw.p)
		return errno == EILSEQ ? -EILSEQ : -ENOMEM;
	for (size_t i = 0; i < raw.n; i++) {
		if (uc_is_general_category(raw.p[i], UC_SPACE_SEPARATOR))
			raw.p[i] = ' '; /* RFC 8265 §4.2.2 rule 2 */
	}
	size_t n = 0;
	uint32_t *p = u32_normalize(UNINORM_NFC, raw.p, raw.n, NULL, &n);
	if (!p)
		return -ENOMEM;
	*ret = (struct code_points){.p = p, .n = n};
	look_around(ret);
	return 0;
}

/* RFC 8264 §8, in its order; the letters of §9 behind each line. */
static enum derived derive(uint32_t c)
{
	enum derived known;
	if (exception(c, &known)) /* F; G, BackwardCompatible, is empty */
		return known;
	if (uc_is_general_category(c, UC_UNASSIGNED)) /* J; noncharacters fall under M */
		return DISALLOWED;
	if (c >= 0x21 && c <= 0x7e) /* K: ASCII7 */
		return ALLOWED;
	if (c == 0x200c || c == 0x200d) /* H: JoinControl */
		return CONTEXT;
	if (is_old_hangul_jamo(c) || is_precis_ignorable(c)) /* I, M */
		return DISALLOWED;
	if (uc_is_general_category(c, UC_CONTROL)) /* L */
		return DISALLOWED;
	if (has_compatibility_form(c)) /* Q: FREE_PVAL */
		return ALLOWED;
	/* A LetterDigits, R OtherLetterDigits, N Spaces, O Symbols, P Punctuation */
	static const uint32_t allowed = UC_CATEGORY_MASK_L | UC_CATEGORY_MASK_M |
					UC_CATEGORY_MASK_N | UC_CATEGORY_MASK_Zs |
					UC_CATEGORY_MASK_S | UC_CATEGORY_MASK_P;
	return uc_is_general_category_withtable(c, allowed) ? ALLOWED : DISALLOWED;
}

/* RFC 8264 §9.6, which is RFC 5892 §2.6. */
static bool exception(uint32_t c, enum derived *ret)
{
	static const struct {
		uint32_t from, to;
		enum derived property;
	} table[] = {
	    {0x00b7, 0x00b7, CONTEXT},
	    {0x00df, 0x00df, ALLOWED},
	    {0x0375, 0x0375, CONTEXT},
	    {0x03c2, 0x03c2, ALLOWED},
	    {0x05f3, 0x05f4, CONTEXT},
	    {0x0640, 0x0640, DISALLOWED},
	    {0x0660, 0x0669, CONTEXT},
	    {0x06f0, 0x06f9, CONTEXT},
	    {0x06fd, 0x06fe, ALLOWED},
	    {0x07fa, 0x07fa, DISALLOWED},
	    {0x0f0b, 0x0f0b, ALLOWED},
	    {0x3007, 0x3007, ALLOWED},
	    {0x302e, 0x302f, DISALLOWED},
	    {0x3031, 0x3035, DISALLOWED},
	    {0x303b, 0x303b, DISALLOWED},
	    {0x30fb, 0x30fb, CONTEXT},
	};
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (c >= table[i].from && c <= table[i].to) {
			*ret = table[i].property;
			return true;
		}
	}
	return false;
}

static bool is_precis_ignorable(uint32_t c)
{
	return uc_is_property_default_ignorable_code_point(c) || uc_is_property_not_a_character(c);
}

/* RFC 8264 §9.9: Hangul_Syllable_Type L, V and T. */
static bool is_old_hangul_jamo(uint32_t c)
{
	return (c >= 0x1100 && c <= 0x11ff) || (c >= 0xa960 && c <= 0xa97c) ||
	       (c >= 0xd7b0 && c <= 0xd7c6) || (c >= 0xd7cb && c <= 0xd7fb);
}

static bool has_compatibility_form(uint32_t c)
{
	size_t n = 0;
	uint32_t *p = u32_normalize(UNINORM_NFKC, &c, 1, NULL, &n);
	bool other = p && (n != 1 || p[0] != c);
	free(p);
	return other;
}

/* RFC 5892 appendix A. */
static bool context_allows(const struct code_points *s, size_t at)
{
	uint32_t c = s->p[at];
	uint32_t before = at > 0 ? s->p[at - 1] : 0;
	uint32_t after = at + 1 < s->n ? s->p[at + 1] : 0;
	switch (c) {
	case 0x200c: /* A.1 */
		return (before && uc_combining_class(before) == UC_CCC_VR) || zwnj_joins(s, at);
	case 0x200d: /* A.2 */ return before && uc_combining_class(before) == UC_CCC_VR;
	case 0x00b7: /* A.3 */ return before == 'l' && after == 'l';
	case 0x0375: /* A.4 */ return after && has_script(after, "Greek");
	case 0x05f3: /* A.5 */
	case 0x05f4: /* A.6 */ return before && has_script(before, "Hebrew");
	case 0x30fb: /* A.7 */ return s->has_kana_or_han;
	default: break;
	}
	if (c >= 0x0660 && c <= 0x0669) /* A.8 */
		return !s->has_extended_digits;
	return c >= 0x06f0 && c <= 0x06f9 && !s->has_arabic_digits; /* A.9 */
}

/* (Joining_Type:{L,D})(Joining_Type:T)*\u200C(Joining_Type:T)*(Joining_Type:{R,D}) */
static bool zwnj_joins(const struct code_points *s, size_t at)
{
	size_t left = at, right = at + 1;
	while (left > 0 && uc_joining_type(s->p[left - 1]) == UC_JOINING_TYPE_T)
		left--;
	while (right < s->n && uc_joining_type(s->p[right]) == UC_JOINING_TYPE_T)
		right++;
	if (left == 0 || right == s->n)
		return false;
	int type_left = uc_joining_type(s->p[left - 1]), type_right = uc_joining_type(s->p[right]);
	return (type_left == UC_JOINING_TYPE_L || type_left == UC_JOINING_TYPE_D) &&
	       (type_right == UC_JOINING_TYPE_R || type_right == UC_JOINING_TYPE_D);
}

/* What the rules of RFC 5892 appendix A ask of the whole string: once, or it would be quadratic. */
static void look_around(struct code_points *s)
{
	for (size_t i = 0; i < s->n; i++) {
		uint32_t c = s->p[i];
		s->has_arabic_digits = s->has_arabic_digits || (c >= 0x0660 && c <= 0x0669);
		s->has_extended_digits = s->has_extended_digits || (c >= 0x06f0 && c <= 0x06f9);
		s->has_kana_or_han = s->has_kana_or_han || has_script(c, "Hiragana") ||
				     has_script(c, "Katakana") || has_script(c, "Han");
	}
}

static bool has_script(uint32_t c, const char *name)
{
	const uc_script_t *script = uc_script(c);
	return script && span_equal(span_cstr(script->name), span_cstr(name));
}
