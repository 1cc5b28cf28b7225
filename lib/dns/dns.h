#ifndef POSTERN_DNS_DNS_H
#define POSTERN_DNS_DNS_H
/*
 * DNS through glibc's libresolv and the validating resolver that the administrator trusts (`options
 * trust-ad` in resolv.conf). dns_open() reads resolv.conf; afterwards no file is opened, so it
 * works inside the worker's cage. An answer counts as authentic only with trust-ad (RFC 6840 §5.8).
 */
#include <netinet/in.h>

#include "base/arena.h"

enum { DNS_RECORDS_MAX = 64 };

enum dns_status {
	DNS_FOUND,
	DNS_NO_DATA,   /* the name is there, such records are not */
	DNS_NO_NAME,   /* NXDOMAIN */
	DNS_TEMPORARY, /* SERVFAIL (bogus, too), no answer */
};
struct dns;
must_use int dns_open(struct dns **ret);
void dns_close(struct dns *d); /* NULL is fine */

struct dns_mx {
	uint16_t preference;
	struct span host; /* "" for a null MX (RFC 7505) */
};
/* Sorted by preference, equal ones shuffled (RFC 5321 §5.1). Lists are in the arena. */
enum dns_status dns_mx(struct dns *d, struct span domain, struct arena *a, struct dns_mx **ret,
    size_t *ret_count, bool *ret_authentic);
/* AAAA and A records. A literal, "[192.0.2.1]" or bare, and "localhost" need no look-up. */
enum dns_status dns_addresses(struct dns *d, struct span host, uint16_t port, struct arena *a,
    struct sockaddr_storage **ret, size_t *ret_count, bool *ret_authentic);
#endif
