#include "sasl/client.h"

#include "base/encode.h"
#include "sasl_directory.h"
#include "tap.h"

#define EXPORTER SPAN("0123456789abcdef0123456789abcdef")
#define OFFER(m) (1u << SASL_##m)

static struct directory directory = {.salt = SPAN("0123456789abcdef"), .iterations = 4096};

static struct sasl_client_options vectors(struct span nonce)
{
	return (struct sasl_client_options){
	    .username = SPAN("user"), .password = SPAN("pencil"), .nonce_for_tests = nonce};
}

/* One step that must work; the response is compared when want is set. */
static bool say(struct sasl_client *c, struct span challenge, struct span want)
{
	struct str response cleanup(str_clear) = STR_INIT(SASL_RESPONSE_MAX_BYTES);
	struct str error cleanup(str_clear) = STR_INIT(1000);
	int rc = sasl_client_step(c, challenge, &response, &error);
	if (rc < 0)
		printf("#   %s\n", error.data);
	return check_int(rc, 0) && (!span_is_set(want) || check_span(str_span(&response), want));
}

static void test_vectors(void)
{
	struct sasl_client_options o = vectors(SPAN("fyko+d2lbbFgONRv9qkxdawL"));
	struct sasl_client *c = sasl_client_new(SASL_SCRAM_SHA_1, &o);
	check(sasl_client_has_initial(c));
	say(c, SPAN_NONE, SPAN("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"));
	say(c, SPAN("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"),
	    SPAN("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
		 "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="));
	check(!sasl_client_is_done(c));
	say(c, SPAN("v=rmF9pqV8S7suAoZWja4dJRkFsKQ="), SPAN(""));
	check(sasl_client_is_done(c));
	sasl_client_free(c);

	o = vectors(SPAN("rOprNGfwEbeRWgbNEkqO"));
	c = sasl_client_new(SASL_SCRAM_SHA_256, &o);
	say(c, SPAN(""), SPAN("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"));
	say(c,
	    SPAN("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
		 "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
	    SPAN("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
		 "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
	say(c, SPAN("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=,x=ignored"), SPAN(""));
	check(sasl_client_is_done(c));
	sasl_client_free(c);

	/* RFC 2195 §2 */
	o = (struct sasl_client_options){
	    .username = SPAN("tim"), .password = SPAN("tanstaaftanstaaf")};
	c = sasl_client_new(SASL_CRAM_MD5, &o);
	check(!sasl_client_has_initial(c));
	say(c, SPAN("<1896.697170952@postoffice.reston.mci.net>"),
	    SPAN("tim b913a602c7eda7a495b4e6e7334d3890"));
	check(sasl_client_is_done(c));
	sasl_client_free(c);
}

static void test_simple(void)
{
	struct sasl_client_options o = vectors(SPAN_NONE);
	struct sasl_client *c = sasl_client_new(SASL_PLAIN, &o);
	say(c, SPAN_NONE, SPAN("\0user\0pencil"));
	check(sasl_client_is_done(c));
	struct str response cleanup(str_clear) = STR_INIT(1000),
			    error cleanup(str_clear) = STR_INIT(1000);
	check_int(sasl_client_step(c, SPAN("more?"), &response, &error), -EPROTO);
	check(!sasl_client_is_done(c) && error.n > 0);
	sasl_client_free(c);
	c = sasl_client_new(SASL_LOGIN, &o);
	check(!sasl_client_has_initial(c));
	say(c, SPAN("whatever"), SPAN("user"));
	check(!sasl_client_is_done(c));
	say(c, SPAN("Password:"), SPAN("pencil"));
	check(sasl_client_is_done(c));
	sasl_client_free(c);
	o.username = SPAN("mo\xcc\x81x");
	c = sasl_client_new(SASL_EXTERNAL, &o);
	say(c, SPAN_NONE, SPAN("m\xc3\xb3x"));
	sasl_client_free(c);
	o.username = SPAN_NONE;
	c = sasl_client_new(SASL_EXTERNAL, &o);
	say(c, SPAN_NONE, SPAN(""));
	check(sasl_client_is_done(c));
	sasl_client_free(c);
	o.username = SPAN("us\0er");
	c = sasl_client_new(SASL_PLAIN, &o);
	check_int(sasl_client_step(c, SPAN_NONE, &response, &error), -EPROTO);
	sasl_client_free(c);
	char large[SASL_MESSAGE_MAX_BYTES + 1];
	memset(large, 'a', sizeof(large));
	o.username = span_of(large, sizeof(large));
	c = sasl_client_new(SASL_SCRAM_SHA_256, &o);
	check_int(sasl_client_step(c, SPAN_NONE, &response, &error), -EPROTO);
	sasl_client_free(c);
	sasl_client_free(NULL);
}

#define FIRST "r=clientserver123,s=MDEyMzQ1Njc4OWFiY2RlZg=="

static void test_malicious(void)
{
	static const struct {
		const char *label;
		struct span first, final; /* final unset: the first is refused */
	} cases[] = {
	    {"empty", SPAN(""), SPAN_NONE},
	    {"error", SPAN("e=other-error"), SPAN_NONE},
	    {"another nonce", SPAN("r=server1234567890,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096"),
		SPAN_NONE},
	    {"our nonce only", SPAN("r=client,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096"), SPAN_NONE},
	    {"short nonce", SPAN("r=client1234567,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096"), SPAN_NONE},
	    {"nonce with a blank", SPAN("r=client1234 5678,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096"),
		SPAN_NONE},
	    {"no salt", SPAN("r=clientserver123,s=,i=4096"), SPAN_NONE},
	    {"short salt", SPAN("r=clientserver123,s=AAAA,i=4096"), SPAN_NONE},
	    {"broken salt", SPAN("r=clientserver123,s=AAAAAAAAAAAAAAA,i=4096"), SPAN_NONE},
	    {"too few iterations", SPAN(FIRST ",i=4095"), SPAN_NONE},
	    {"one iteration", SPAN(FIRST ",i=1"), SPAN_NONE},
	    {"no iteration", SPAN(FIRST ",i=0"), SPAN_NONE},
	    {"too many iterations", SPAN(FIRST ",i=10000001"), SPAN_NONE},
	    {"far too many iterations", SPAN(FIRST ",i=4294967296"), SPAN_NONE},
	    {"overflowing iterations", SPAN(FIRST ",i=18446744073709555712"), SPAN_NONE},
	    {"negative iterations", SPAN(FIRST ",i=-4096"), SPAN_NONE},
	    {"no iterations", SPAN(FIRST), SPAN_NONE},
	    {"order", SPAN("s=MDEyMzQ1Njc4OWFiY2RlZg==,r=clientserver123,i=4096"), SPAN_NONE},
	    {"mandatory extension", SPAN("m=x," FIRST ",i=4096"), SPAN_NONE},
	    {"mandatory extension behind", SPAN(FIRST ",i=4096,m=x"), SPAN_NONE},
	    {"no extension", SPAN(FIRST ",i=4096,garbage"), SPAN_NONE},
	    {"comma behind", SPAN(FIRST ",i=4096,"), SPAN_NONE},
	    {"a second count", SPAN(FIRST ",i=4096,i=1"), SPAN_NONE},
	    {"a leading zero", SPAN(FIRST ",i=04096"), SPAN_NONE},
	    {"NUL", SPAN("r=clientserver123\0,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=4096"), SPAN_NONE},
	    {"no signature", SPAN(FIRST ",i=4096"), SPAN("v=")},
	    {"empty final", SPAN(FIRST ",i=4096"), SPAN("")},
	    {"wrong signature", SPAN(FIRST ",i=4096"),
		SPAN("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")},
	    {"short signature", SPAN(FIRST ",i=4096"), SPAN("v=AAAA")},
	    {"broken signature", SPAN(FIRST ",i=4096"), SPAN("v=A")},
	    {"error at the end", SPAN(FIRST ",i=4096"), SPAN("e=invalid-proof")},
	    {"error with controls", SPAN(FIRST ",i=4096"), SPAN("e=\x1b[2J\r\nx")},
	    {"the first again", SPAN(FIRST ",i=4096"), SPAN(FIRST ",i=4096")},
	};
	struct sasl_client_options o = vectors(SPAN("client"));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct str response cleanup(str_clear) = STR_INIT(SASL_RESPONSE_MAX_BYTES);
		struct str error cleanup(str_clear) = STR_INIT(1000);
		struct sasl_client *c = sasl_client_new(SASL_SCRAM_SHA_256, &o);
		check_int(sasl_client_step(c, SPAN_NONE, &response, &error), 0);
		int rc = sasl_client_step(c, cases[i].first, &response, &error);
		if (span_is_set(cases[i].final)) {
			check_int(rc, 0);
			rc = sasl_client_step(c, cases[i].final, &response, &error);
		}
		check_named(
		    rc == -EPROTO && error.n > 0 && response.n == 0 && !sasl_client_is_done(c),
		    cases[i].label);
		for (size_t at = 0; at < error.n; at++)
			if ((unsigned char)error.data[at] < 0x20)
				check_named(false, "the error is printable");
		/* And it stays refused. */
		check_int(sasl_client_step(c, SPAN(""), &response, &error), -EPROTO);
		sasl_client_free(c);
	}
	/* A cut first message is refused, or is one with fewer digits of the count. */
	struct span whole = SPAN(FIRST ",i=4096");
	bool refused = true;
	for (size_t cut = 0; cut < whole.n; cut++) {
		struct str response cleanup(str_clear) = STR_INIT(SASL_RESPONSE_MAX_BYTES);
		struct str error cleanup(str_clear) = STR_INIT(1000);
		struct sasl_client *c = sasl_client_new(SASL_SCRAM_SHA_256, &o);
		refused =
		    refused && sasl_client_step(c, SPAN_NONE, &response, &error) == 0 &&
		    sasl_client_step(c, span_sub(whole, 0, cut), &response, &error) == -EPROTO;
		sasl_client_free(c);
	}
	check_named(refused, "a cut server-first-message is refused");
}

static void test_choose(void)
{
	const unsigned all = (1u << SASL_MECHANISM_COUNT) - 1;
	const struct sasl_binding binding = {.tls = true, .exporter = EXPORTER};
	const struct sasl_binding none = {0};
	const struct {
		const char *label;
		unsigned offered, allowed;
		bool key, password, tls, verified;
		struct sasl_binding binding;
		int want; /* the mechanism, or -ENOENT */
	} cases[] = {
	    {"all, with a key", all, 0, true, true, true, true, binding, SASL_EXTERNAL},
	    {"a key without TLS", all, 0, true, true, false, false, none, SASL_SCRAM_SHA_512},
	    {"no key", all, 0, false, true, true, true, binding, SASL_SCRAM_SHA_512_PLUS},
	    {"nothing to bind to", all, 0, false, true, true, true, none, SASL_SCRAM_SHA_512},
	    {"PLUS without TLS", all, 0, false, true, false, false, binding, SASL_SCRAM_SHA_512},
	    {"order", OFFER(SCRAM_SHA_1_PLUS) | OFFER(SCRAM_SHA_256), 0, false, true, true, true,
		binding, SASL_SCRAM_SHA_256},
	    {"CRAM-MD5 before PLAIN", OFFER(CRAM_MD5) | OFFER(PLAIN), 0, false, true, true, true,
		binding, SASL_CRAM_MD5},
	    {"PLAIN verified", OFFER(PLAIN) | OFFER(LOGIN), 0, false, true, true, true, binding,
		SASL_PLAIN},
	    {"PLAIN not verified", OFFER(PLAIN) | OFFER(LOGIN), 0, false, true, true, false,
		binding, -ENOENT},
	    {"PLAIN without TLS", OFFER(PLAIN), 0, false, true, false, false, none, -ENOENT},
	    {"PLAIN as configured", OFFER(PLAIN), OFFER(PLAIN), false, true, true, false, binding,
		SASL_PLAIN},
	    {"PLAIN or LOGIN as configured", OFFER(LOGIN), OFFER(PLAIN) | OFFER(LOGIN), false, true,
		true, false, binding, SASL_LOGIN},
	    {"PLAIN among others, not verified", OFFER(PLAIN), OFFER(PLAIN) | OFFER(SCRAM_SHA_256),
		false, true, true, false, binding, -ENOENT},
	    {"PLAIN among others, verified", OFFER(PLAIN), OFFER(PLAIN) | OFFER(SCRAM_SHA_256),
		false, true, true, true, binding, SASL_PLAIN},
	    {"transport", OFFER(PLAIN) | OFFER(LOGIN), SASL_WITHOUT_CLEAR_PASSWORD, false, true,
		true, true, binding, -ENOENT},
	    {"configured, not offered", OFFER(SCRAM_SHA_1), OFFER(SCRAM_SHA_256), false, true, true,
		true, binding, -ENOENT},
	    {"no password", all, 0, false, false, true, true, binding, -ENOENT},
	    {"key, EXTERNAL not offered", OFFER(PLAIN), 0, true, false, true, true, binding,
		-ENOENT},
	    {"nothing offered", 0, 0, true, true, true, true, binding, -ENOENT},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct sasl_client_options o = {.offered = cases[i].offered,
		    .allowed = cases[i].allowed,
		    .has_client_key = cases[i].key,
		    .password = cases[i].password ? SPAN("pencil") : SPAN_NONE,
		    .tls = cases[i].tls,
		    .tls_verified = cases[i].verified,
		    .binding = cases[i].binding};
		enum sasl_mechanism m = SASL_MECHANISM_COUNT;
		int rc = sasl_choose(&o, &m);
		check_named(cases[i].want < 0 ? rc == cases[i].want && m == SASL_MECHANISM_COUNT
					      : rc == 0 && (int)m == cases[i].want,
		    cases[i].label);
	}
}

/* Our client against our server: the outcome. */
static enum sasl_outcome meet(enum sasl_mechanism m, const struct sasl_client_options *co,
    const struct sasl_server_options *so, bool initial, bool *ret_client_done)
{
	struct sasl_client *c = sasl_client_new(m, co);
	struct sasl_server *s = sasl_server_new(m, so);
	struct str challenge cleanup(str_clear) = STR_INIT(SASL_CHALLENGE_MAX_BYTES);
	struct str response cleanup(str_clear) = STR_INIT(SASL_RESPONSE_MAX_BYTES);
	struct str error cleanup(str_clear) = STR_INIT(1000);
	enum sasl_outcome outcome = SASL_CONTINUE;
	if (!initial || !sasl_client_has_initial(c))
		outcome = sasl_server_step(s, SPAN_NONE, &challenge);
	while (outcome == SASL_CONTINUE) {
		if (sasl_client_step(c, str_span(&challenge), &response, &error) < 0) {
			/* "*": a real caller aborts here; the server has its failure ready */
			outcome = sasl_server_step(s, SPAN("*"), &challenge);
			break;
		}
		outcome = sasl_server_step(s, str_span(&response), &challenge);
	}
	*ret_client_done = sasl_client_is_done(c);
	sasl_client_free(c);
	sasl_server_free(s);
	return outcome;
}

static void test_both(void)
{
	const struct sasl_binding bindings[] = {
	    {.tls = true, .exporter = EXPORTER, .server_end_point = SPAN("certificate")},
	    {.tls = true, .unique = SPAN("finished"), .server_end_point = SPAN("certificate")},
	    {.tls = true, .server_end_point = SPAN("certificate")},
	    {.tls = true},
	};
	for (enum sasl_mechanism m = 0; m < SASL_MECHANISM_COUNT; m++) {
		for (size_t b = 0; b < ARRAY_SIZE(bindings); b++) {
			if (!(SASL_SERVER_IMPLEMENTED & 1u << m) || (sasl_is_plus(m) && b == 3))
				continue;
			struct sasl_server_options so = {.lookup = directory_lookup(&directory),
			    .binding = bindings[b],
			    .key_account = m == SASL_EXTERNAL ? SPAN("one") : SPAN_NONE,
			    .key_address = SPAN("user@example.org"),
			    .enabled = SASL_SERVER_IMPLEMENTED};
			struct sasl_client_options co = {.username = SPAN("mo\xcc\x81x"),
			    .password = SPAN("pencil"),
			    .tls = true,
			    .binding = bindings[b],
			    .offered = SASL_SERVER_IMPLEMENTED};
			bool done;
			check_int(meet(m, &co, &so, true, &done), SASL_OK);
			check(done);
			check_int(meet(m, &co, &so, false, &done), SASL_OK);
			check(done);
			if (m == SASL_EXTERNAL)
				continue;
			co.password = SPAN("wrong");
			check_int(meet(m, &co, &so, true, &done), SASL_BAD_CREDENTIALS);
			check(!done || !sasl_is_scram(m));
			co.password = SPAN("pencil");
			if (!sasl_is_scram(m) || b == 3)
				continue;
			/* Somebody in the middle: another binding on the client's side, … */
			co.binding.exporter = b == 0 ? SPAN("another connection") : SPAN_NONE;
			co.binding.unique = b == 1 ? SPAN("another connection") : SPAN_NONE;
			co.binding.server_end_point = SPAN("another");
			if (sasl_is_plus(m))
				check_int(meet(m, &co, &so, true, &done), SASL_BAD_BINDING);
			/* … or one who cut -PLUS from the list. */
			co.offered = 1u << SASL_SCRAM_SHA_256;
			if (!sasl_is_plus(m))
				check_int(meet(m, &co, &so, true, &done), SASL_BAD_BINDING);
		}
	}
}

int main(void)
{
	if (crypto_init() < 0)
		return 1;
	test_vectors();
	test_simple();
	test_malicious();
	test_choose();
	test_both();
	return tap_end();
}
