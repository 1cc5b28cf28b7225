#ifndef POSTERN_CONF_ADDRESS_H
#define POSTERN_CONF_ADDRESS_H
/*
 * Addresses as configuration and look-ups compare them. "Any spelling" in: letters of either case,
 * NFC or NFD, domain as U- or A-labels, quoted local part.
 */
#include "base/str.h"

enum { ADDRESS_LOCAL_MAX_BYTES = 256, ADDRESS_DOMAIN_MAX_BYTES = 255, ADDRESS_MAX_BYTES = 512 };

/*
 * Splits at the last "@". *local: NFC, quotes taken away, case kept; *domain: lower-case A-labels.
 * -EINVAL: this is no address. The strs are reset first.
 */
must_use int address_split(struct span address, struct str *local, struct str *domain);
/* The local part as it is compared: folded unless case_sensitive, appended to *out. */
must_use int address_fold_local(struct span local, bool case_sensitive, struct str *out);
/* The local part without "+tag"; the whole of it when there is none. */
struct span address_without_tag(struct span local);
#endif
