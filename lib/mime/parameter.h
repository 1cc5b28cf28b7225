#ifndef POSTERN_MIME_PARAMETER_H
#define POSTERN_MIME_PARAMETER_H
/*
 * Values with parameters: Content-Type (RFC 2045 §5.1), Content-Disposition (RFC 2183 §2), with
 * comments anywhere, and the pieces of RFC 2231 §3 put together: name*0, name*1 become one `name`;
 * where one of the pieces is in the extended form (§4), the whole is `name*`, in the extended form
 * charset'language'percent-encoded, which is for the reader to decode. Pieces that lack a
 * predecessor are dropped. Linear but for a sort of at most PARAMETERS_MAX pieces.
 */
#include "base/arena.h"
#include "base/str.h"

enum { PARAMETERS_MAX = 64 };

struct parameter {
	struct span name, value; /* name as written, without "*0"; value with quotes undone */
};
struct parameters {
	const struct parameter *items;
	size_t count;
};

/* "type/subtype; a=b". -EINVAL: no type (RFC 2045 §5.2 wants text/plain then). */
must_use int content_type_parse(struct span value, struct arena *a, struct span *ret_type,
    struct span *ret_subtype, struct parameters *ret);
/* "attachment; filename=x". -EINVAL: no token at the front. */
must_use int disposition_parse(
    struct span value, struct arena *a, struct span *ret_token, struct parameters *ret);
/* The first token of a value (Content-Transfer-Encoding), comments skipped; unset: none. */
struct span token_parse(struct span value);
/* "en, de": at most PARAMETERS_MAX tags of Content-Language (RFC 3282 §2). */
size_t language_parse(struct span value, struct arena *a, const struct span **ret);
/* The value of that name (ASCII case does not count); unset: none. */
struct span parameter_find(const struct parameters *list, struct span name);
#endif
