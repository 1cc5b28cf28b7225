#include "dns/dns.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <resolv.h>

enum { ANSWER_MAX_BYTES = 65535, QUERY_TIMEOUT_S = 5, QUERY_TRIES = 2 };

struct dns {
	struct __res_state state;
	unsigned char answer[ANSWER_MAX_BYTES];
};

int dns_open(struct dns **ret)
{
	struct dns *d = xcalloc(1, sizeof(*d));
	if (res_ninit(&d->state) != 0) {
		free(d);
		return -EIO;
	}
	d->state.options |= RES_USE_EDNS0;
	d->state.retrans = QUERY_TIMEOUT_S;
	d->state.retry = QUERY_TRIES;
	*ret = d;
	return 0;
}

void dns_close(struct dns *d)
{
	if (!d)
		return;
	res_nclose(&d->state);
	free(d);
}

/* res_nsend(), not res_nquery(): that keeps the answer, and its AD bit, of NXDOMAIN and NODATA. */
static enum dns_status query(
    struct dns *d, struct span name, int type, ns_msg *ret, bool *authentic)
{
	unsigned char question[NS_PACKETSZ];
	char text[NS_MAXDNAME];
	if (name.n == 0 || name.n >= sizeof(text) || memchr(name.p, 0, name.n))
		return DNS_NO_NAME;
	memcpy(text, name.p, name.n);
	text[name.n] = '\0';
	int n = res_nmkquery(
	    &d->state, QUERY, text, ns_c_in, type, NULL, 0, NULL, question, sizeof(question));
	if (n < 0)
		return DNS_NO_NAME;
	n = res_nsend(&d->state, question, n, d->answer, sizeof(d->answer));
	if (n < 0 || ns_initparse(d->answer, n, ret) < 0)
		return DNS_TEMPORARY;
	*authentic =
	    *authentic && (d->state.options & RES_TRUSTAD) && ns_msg_getflag(*ret, ns_f_ad);
	switch (ns_msg_getflag(*ret, ns_f_rcode)) {
	case ns_r_noerror: return DNS_FOUND;
	case ns_r_nxdomain: return DNS_NO_NAME;
	default: return DNS_TEMPORARY;
	}
}

static enum dns_status after(enum dns_status s, size_t count)
{
	return s == DNS_FOUND && count == 0 ? DNS_NO_DATA : s;
}

static void shuffle_equal(struct dns_mx *mx, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		/* among those of its preference that stand before it */
		size_t first = i;
		while (first > 0 && mx[first - 1].preference == mx[i].preference)
			first--;
		size_t other = first + (size_t)random() % (i - first + 1);
		struct dns_mx held = mx[i];
		mx[i] = mx[other];
		mx[other] = held;
	}
}

static int compare_mx(const void *a, const void *b)
{
	const struct dns_mx *x = a, *y = b;
	return (x->preference > y->preference) - (x->preference < y->preference);
}

enum dns_status dns_mx(struct dns *d, struct span domain, struct arena *a, struct dns_mx **ret,
    size_t *ret_count, bool *ret_authentic)
{
	ns_msg message;
	bool authentic = true;
	struct dns_mx *mx = ARENA_ARRAY(a, struct dns_mx, DNS_RECORDS_MAX);
	size_t count = 0;
	enum dns_status s = query(d, domain, ns_t_mx, &message, &authentic);
	for (int i = 0; s == DNS_FOUND && i < ns_msg_count(message, ns_s_an); i++) {
		ns_rr record;
		char host[NS_MAXDNAME];
		if (ns_parserr(&message, ns_s_an, i, &record) < 0)
			return DNS_TEMPORARY;
		if (ns_rr_type(record) != ns_t_mx || ns_rr_rdlen(record) < 3 ||
		    count == DNS_RECORDS_MAX)
			continue;
		if (ns_name_uncompress(ns_msg_base(message), ns_msg_end(message),
			ns_rr_rdata(record) + 2, host, sizeof(host)) < 0)
			return DNS_TEMPORARY;
		struct span name = span_cstr(host);
		if (span_equal(name, SPAN(".")))
			name = SPAN("");
		mx[count++] =
		    (struct dns_mx){(uint16_t)ns_get16(ns_rr_rdata(record)), arena_span(a, name)};
	}
	qsort(mx, count, sizeof(*mx), compare_mx);
	shuffle_equal(mx, count);
	*ret = mx;
	*ret_count = count;
	*ret_authentic = authentic;
	return after(s, count);
}

static bool address_literal(struct span host, uint16_t port, struct sockaddr_storage *ret)
{
	char text[INET6_ADDRSTRLEN];
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = span_sub(host, 1, host.n - 2);
	if (span_starts_with_nocase(host, SPAN("IPv6:"))) /* RFC 5321 §4.1.3 */
		host = span_from(host, 5);
	if (host.n == 0 || host.n >= sizeof(text))
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return true;
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		return true;
	}
	return false;
}

static void add_address(ns_rr *record, uint16_t port, struct sockaddr_storage *list, size_t *count)
{
	struct sockaddr_storage *to = &list[*count];
	if (*count == DNS_RECORDS_MAX)
		return;
	memset(to, 0, sizeof(*to));
	if (ns_rr_type(*record) == ns_t_a && ns_rr_rdlen(*record) == 4) {
		struct sockaddr_in *v4 = (struct sockaddr_in *)to;
		*v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
		memcpy(&v4->sin_addr, ns_rr_rdata(*record), 4);
	} else if (ns_rr_type(*record) == ns_t_aaaa && ns_rr_rdlen(*record) == 16) {
		struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)to;
		*v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
		memcpy(&v6->sin6_addr, ns_rr_rdata(*record), 16);
	} else {
		return; /* a CNAME on the way */
	}
	++*count;
}

enum dns_status dns_addresses(struct dns *d, struct span host, uint16_t port, struct arena *a,
    struct sockaddr_storage **ret, size_t *ret_count, bool *ret_authentic)
{
	struct sockaddr_storage *list = ARENA_ARRAY(a, struct sockaddr_storage, DNS_RECORDS_MAX);
	size_t count = 0;
	bool authentic = true;
	enum dns_status s = DNS_FOUND;
	if (address_literal(host, port, &list[0])) {
		count = 1;
	} else if (span_equal_nocase(host, SPAN("localhost"))) {	  /* RFC 6761 §6.3 */
		(void)address_literal(SPAN("::1"), port, &list[count++]); /* well-formed */
		(void)address_literal(SPAN("127.0.0.1"), port, &list[count++]);
	} else {
		static const int types[] = {ns_t_aaaa, ns_t_a};
		enum dns_status worst = DNS_FOUND;
		for (size_t t = 0; t < ARRAY_SIZE(types); t++) {
			ns_msg message;
			ns_rr record;
			s = query(d, host, types[t], &message, &authentic);
			worst = MAX(worst, s);
			for (int i = 0; s == DNS_FOUND && i < ns_msg_count(message, ns_s_an); i++)
				if (ns_parserr(&message, ns_s_an, i, &record) == 0)
					add_address(&record, port, list, &count);
		}
		s = count ? DNS_FOUND : worst;
	}
	*ret = list;
	*ret_count = count;
	*ret_authentic = authentic;
	return after(s, count);
}
