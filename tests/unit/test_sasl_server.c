#include "sasl/server.h"

#include "base/encode.h"
#include "sasl/scram.h"
#include "sasl_directory.h"
#include "tap.h"

#define EXPORTER SPAN("0123456789abcdef0123456789abcdef")
#define NO_RESPONSE SPAN_NONE

static struct directory directory = {.salt = SPAN("0123456789abcdef"), .iterations = 16};

static struct sasl_server_options tls13(void)
{
	return (struct sasl_server_options){
	    .lookup = directory_lookup(&directory),
	    .binding = {.tls = true, .exporter = EXPORTER, .server_end_point = SPAN("certificate")},
	    .enabled = SASL_SERVER_IMPLEMENTED,
	    .nonce_for_tests = SPAN("server"),
	};
}

/* A conversation: "C: …" and "S: …" alternate; the last one is the outcome. */
struct talk {
	const char *label;
	enum sasl_mechanism mechanism;
	struct span client[4]; /* unset: no initial response */
	const char *server[4]; /* NULL: the outcome comes here */
	enum sasl_outcome outcome;
};

static struct sasl_server *play(const struct talk *t, const struct sasl_server_options *o)
{
	struct sasl_server *s = sasl_server_new(t->mechanism, o);
	struct str challenge cleanup(str_clear) = STR_INIT(SASL_CHALLENGE_MAX_BYTES);
	for (size_t i = 0; i < ARRAY_SIZE(t->client); i++) {
		enum sasl_outcome outcome = sasl_server_step(s, t->client[i], &challenge);
		if (!t->server[i]) {
			if (!check_named(outcome == t->outcome, t->label))
				printf("#   outcome %d, wanted %d, %s\n", outcome, t->outcome,
				    challenge.data);
			check_int(sasl_server_step(s, SPAN(""), &challenge), SASL_MALFORMED);
			return s;
		}
		if (outcome != SASL_CONTINUE ||
		    !span_equal(str_span(&challenge), span_cstr(t->server[i]))) {
			check_named(false, t->label);
			printf("#   step %zu: outcome %d, challenge \"%s\", wanted \"%s\"\n", i,
			    outcome, challenge.data, t->server[i]);
			return s;
		}
	}
	return s;
}

static void play_all(const struct talk *talks, size_t count, const struct sasl_server_options *o)
{
	for (size_t i = 0; i < count; i++)
		sasl_server_free(play(&talks[i], o));
}

static void test_names(void)
{
	for (enum sasl_mechanism m = 0; m < SASL_MECHANISM_COUNT; m++) {
		check_int(sasl_by_name(sasl_name(m)), m);
		if (sasl_is_plus(m))
			check(sasl_is_scram(m) && sasl_hash(m) == sasl_hash(m + 1) &&
			      !sasl_is_plus(m + 1));
	}
	check_int(sasl_by_name(SPAN("scram-sha-256-plus")), SASL_SCRAM_SHA_256_PLUS);
	check_int(sasl_by_name(SPAN("SCRAM-SHA-25")), SASL_MECHANISM_COUNT);
	check_int(sasl_by_name(SPAN_NONE), SASL_MECHANISM_COUNT);
	struct sasl_server_options o = tls13();
	check(!sasl_server_new(SASL_MECHANISM_COUNT, &o));
	check(!sasl_server_new(SASL_MECHANISM_COUNT, &o));
}

/* RFC 5802 §5, RFC 7677 §3 */
static void test_vectors(void)
{
	struct str salt cleanup(str_clear) = STR_INIT(100);
	check_int(base64_decode(SPAN("QSXCR+Q6sek8bf92"), &salt), 0);
	struct directory d = {.salt = str_span(&salt), .iterations = 4096};
	struct sasl_server_options o = {.lookup = directory_lookup(&d),
	    .nonce_for_tests = SPAN("3rfcNHYJY1ZVvWVs7j"),
	    .binding.tls = true,
	    .enabled = 1u << SASL_SCRAM_SHA_1};
	struct talk sha1 = {"RFC 5802 §5", SASL_SCRAM_SHA_1,
	    {SPAN("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"),
		SPAN("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
		     "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="),
		SPAN("")},
	    {"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
		"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", NULL},
	    SASL_OK};
	struct sasl_server *s = play(&sha1, &o);
	check_span(sasl_server_result(s)->account, SPAN("one"));
	check_span(sasl_server_result(s)->address, SPAN("user@example.org"));
	check_span(sasl_server_result(s)->authcid, SPAN("user"));
	check_span(sasl_server_result(s)->password_name, SPAN(""));
	sasl_server_free(s);

	str_reset(&salt);
	check_int(base64_decode(SPAN("W22ZaJ0SNY7soEsUEjb6gQ=="), &salt), 0);
	d.salt = str_span(&salt);
	o.nonce_for_tests = SPAN("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
	struct talk sha256 = {"RFC 7677 §3", SASL_SCRAM_SHA_256,
	    {NO_RESPONSE, SPAN("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"),
		SPAN("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
		     "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
		SPAN("")},
	    {"",
		"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
		"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
		"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", NULL},
	    SASL_OK};
	sasl_server_free(play(&sha256, &o));
	sha256.client[3] = SPAN("x");
	sha256.outcome = SASL_MALFORMED;
	s = play(&sha256, &o);
	check(!span_is_set(sasl_server_result(s)->account));
	sasl_server_free(s);
}

static void test_plain(void)
{
	static const struct talk talks[] = {
	    {"PLAIN", SASL_PLAIN, {SPAN("\0user\0pencil")}, {NULL}, SASL_OK},
	    {"PLAIN, no initial response", SASL_PLAIN, {NO_RESPONSE, SPAN("\0user\0pencil")}, {""},
		SASL_OK},
	    {"PLAIN, nothing at all", SASL_PLAIN, {NO_RESPONSE, NO_RESPONSE}, {""}, SASL_MALFORMED},
	    {"PLAIN, authzid", SASL_PLAIN, {SPAN("user@example.org\0user\0pencil")}, {NULL},
		SASL_OK},
	    {"PLAIN, NFD authzid and authcid", SASL_PLAIN,
		{SPAN("mo\xcc\x81x\0mo\xcc\x81x\0pencil")}, {NULL}, SASL_OK},
	    {"PLAIN, another's authzid", SASL_PLAIN, {SPAN("other\0user\0pencil")}, {NULL},
		SASL_BAD_CREDENTIALS},
	    {"PLAIN, broken authzid", SASL_PLAIN, {SPAN("\xff\0user\0pencil")}, {NULL},
		SASL_MALFORMED},
	    {"PLAIN, wrong password", SASL_PLAIN, {SPAN("\0user\0Pencil")}, {NULL},
		SASL_BAD_CREDENTIALS},
	    {"PLAIN, unknown user", SASL_PLAIN, {SPAN("\0nobody\0pencil")}, {NULL},
		SASL_BAD_CREDENTIALS},
	    {"PLAIN, password that cannot be", SASL_PLAIN, {SPAN("\0user\0pen\tcil")}, {NULL},
		SASL_BAD_CREDENTIALS},
	    {"PLAIN, password not UTF-8", SASL_PLAIN, {SPAN("\0user\0\xff")}, {NULL},
		SASL_BAD_CREDENTIALS},
	    {"PLAIN, name not UTF-8", SASL_PLAIN, {SPAN("\0\xff\0pencil")}, {NULL}, SASL_MALFORMED},
	    {"PLAIN, empty", SASL_PLAIN, {SPAN("")}, {NULL}, SASL_MALFORMED},
	    {"PLAIN, one NUL", SASL_PLAIN, {SPAN("user\0pencil")}, {NULL}, SASL_MALFORMED},
	    {"PLAIN, three NULs", SASL_PLAIN, {SPAN("\0user\0pencil\0")}, {NULL}, SASL_MALFORMED},
	    {"PLAIN, no name", SASL_PLAIN, {SPAN("\0\0pencil")}, {NULL}, SASL_MALFORMED},
	    {"PLAIN, no password", SASL_PLAIN, {SPAN("\0user\0")}, {NULL}, SASL_MALFORMED},
	    {"LOGIN", SASL_LOGIN, {NO_RESPONSE, SPAN("user"), SPAN("pencil")},
		{"Username:", "Password:"}, SASL_OK},
	    {"LOGIN, initial response", SASL_LOGIN, {SPAN("user"), SPAN("pencil")}, {"Password:"},
		SASL_OK},
	    {"LOGIN, wrong", SASL_LOGIN, {SPAN("user"), SPAN("x")}, {"Password:"},
		SASL_BAD_CREDENTIALS},
	    {"LOGIN, unknown", SASL_LOGIN, {SPAN("x"), SPAN("pencil")}, {"Password:"},
		SASL_BAD_CREDENTIALS},
	    {"LOGIN, NUL", SASL_LOGIN, {SPAN("user"), SPAN("pen\0cil")}, {"Password:"},
		SASL_MALFORMED},
	    {"LOGIN, empty name", SASL_LOGIN, {NO_RESPONSE, SPAN("")}, {"Username:"},
		SASL_MALFORMED},
	    {"LOGIN, empty password", SASL_LOGIN, {SPAN("user"), SPAN("")}, {"Password:"},
		SASL_MALFORMED},
	};
	struct sasl_server_options o = tls13();
	play_all(talks, ARRAY_SIZE(talks), &o);

	struct talk app = {"app password", SASL_PLAIN, {SPAN("\0user\0phone")}, {NULL}, SASL_OK};
	struct sasl_server *s = play(&app, &o);
	check_span(sasl_server_result(s)->password_name, SPAN("app"));
	sasl_server_free(s);

	char large[SASL_MESSAGE_MAX_BYTES + 1];
	memset(large, 'a', sizeof(large));
	struct talk oversized = {
	    "oversized", SASL_PLAIN, {span_of(large, sizeof(large))}, {NULL}, SASL_MALFORMED};
	sasl_server_free(play(&oversized, &o));

	directory.error = -EIO;
	struct talk broken = {
	    "our own failure", SASL_PLAIN, {SPAN("\0user\0pencil")}, {NULL}, SASL_UNAVAILABLE};
	sasl_server_free(play(&broken, &o));
	directory.error = 0;
}

static void test_external(void)
{
	static const struct talk known[] = {
	    {"EXTERNAL", SASL_EXTERNAL, {SPAN("")}, {NULL}, SASL_OK},
	    {"EXTERNAL, no initial response", SASL_EXTERNAL, {NO_RESPONSE, SPAN("")}, {""},
		SASL_OK},
	    {"EXTERNAL, no initial response, then an address", SASL_EXTERNAL,
		{NO_RESPONSE, SPAN("user")}, {""}, SASL_OK},
	    {"EXTERNAL, address", SASL_EXTERNAL, {SPAN("user@example.org")}, {NULL}, SASL_OK},
	    {"EXTERNAL, NFD", SASL_EXTERNAL, {SPAN("mo\xcc\x81x")}, {NULL}, SASL_OK},
	    {"EXTERNAL, another's", SASL_EXTERNAL, {SPAN("other@example.org")}, {NULL},
		SASL_BAD_CREDENTIALS},
	    {"EXTERNAL, broken", SASL_EXTERNAL, {SPAN("\xff")}, {NULL}, SASL_MALFORMED},
	    {"EXTERNAL, NUL", SASL_EXTERNAL, {SPAN("user\0")}, {NULL}, SASL_MALFORMED},
	    /* a password on top of the key */
	    {"key and PLAIN", SASL_PLAIN, {SPAN("\0user\0pencil")}, {NULL}, SASL_OK},
	    {"key and wrong PLAIN", SASL_PLAIN, {SPAN("\0user\0pen")}, {NULL},
		SASL_BAD_CREDENTIALS},
	};
	struct sasl_server_options o = tls13();
	struct talk unknown = {
	    "EXTERNAL, no key", SASL_EXTERNAL, {SPAN("user")}, {NULL}, SASL_NO_KEY};
	sasl_server_free(play(&unknown, &o));
	o.key_account = SPAN("one");
	o.key_address = SPAN("key@example.org");
	play_all(known, ARRAY_SIZE(known), &o);
	struct sasl_server *s = play(&known[0], &o);
	check_span(sasl_server_result(s)->account, SPAN("one"));
	check_span(sasl_server_result(s)->address, SPAN("key@example.org"));
	sasl_server_free(s);
	s = play(&known[3], &o);
	check_span(sasl_server_result(s)->address, SPAN("user@example.org"));
	sasl_server_free(s);

	o.key_account = SPAN("two");
	struct talk other = {"key of another account and PLAIN", SASL_PLAIN,
	    {SPAN("\0user\0pencil")}, {NULL}, SASL_BAD_CREDENTIALS};
	s = play(&other, &o);
	check(sasl_server_result(s)->wrong_account);
	sasl_server_free(s);
	directory.error = -EIO;
	struct talk broken = {
	    "our own failure", SASL_EXTERNAL, {SPAN("user")}, {NULL}, SASL_UNAVAILABLE};
	sasl_server_free(play(&broken, &o));
	directory.error = 0;
}

/* Writes the client-final-message for the fixed nonces, client and server. */
static void make_final(enum hash h, const char *password, struct span first_bare,
    struct span binding, const char *extensions, struct str *out)
{
	struct str message cleanup(str_clear) = STR_INIT(10000);
	str_append(out, SPAN("c="));
	base64_encode(binding, out);
	str_format(out, ",r=clientserver%s", extensions);
	str_format(&message, "%.*s,r=clientserver,s=", SPAN_ARG(first_bare));
	base64_encode(directory.salt, &message);
	str_format(&message, ",i=%u,%s", directory.iterations, out->data);
	struct scram_keys keys;
	scram_keys(h, span_cstr(password), directory.salt, directory.iterations, &keys);
	uint8_t signature[HASH_MAX_BYTES];
	hash_hmac(h, span_of(keys.stored_key, hash_bytes(h)), str_span(&message), signature);
	for (size_t i = 0; i < hash_bytes(h); i++)
		signature[i] ^= keys.client_key[i];
	str_append(out, SPAN(",p="));
	base64_encode(span_of(signature, hash_bytes(h)), out);
}

static const char server_first[] = "r=clientserver,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=16";

/* A whole exchange with the given header and binding data; *error: "" or the expected "e=…". */
static void exchange(const char *label, enum sasl_mechanism m, const struct sasl_server_options *o,
    const char *header, struct span binding, const char *user, const char *password,
    const char *extensions, const char *error, enum sasl_outcome want)
{
	struct str first cleanup(str_clear) = STR_INIT(1000);
	struct str final cleanup(str_clear) = STR_INIT(1000);
	struct str cbind cleanup(str_clear) = STR_INIT(1000);
	struct str challenge cleanup(str_clear) = STR_INIT(SASL_CHALLENGE_MAX_BYTES);
	str_format(&first, "%sn=%s,r=client", header, user);
	str_append_cstr(&cbind, header);
	str_append(&cbind, binding);
	make_final(sasl_hash(m), password, span_from(str_span(&first), strlen(header)),
	    str_span(&cbind), extensions, &final);
	struct sasl_server *s = sasl_server_new(m, o);
	enum sasl_outcome outcome = sasl_server_step(s, str_span(&first), &challenge);
	if (outcome == SASL_CONTINUE && !span_starts_with(str_span(&challenge), SPAN("e="))) {
		check_span(str_span(&challenge), span_cstr(server_first));
		outcome = sasl_server_step(s, str_span(&final), &challenge);
	}
	if (outcome == SASL_CONTINUE) {
		if (*error)
			check_span(str_span(&challenge), span_cstr(error));
		else
			check(span_starts_with(str_span(&challenge), SPAN("v=")));
		outcome = sasl_server_step(s, want == SASL_OK ? SPAN("") : SPAN("*"), &challenge);
	}
	if (!check_named(outcome == want, label))
		printf("#   outcome %d, wanted %d\n", outcome, want);
	check(span_is_set(sasl_server_result(s)->account) == (want == SASL_OK));
	sasl_server_free(s);
}

static void test_scram_bindings(void)
{
	struct sasl_server_options o = tls13();
	struct sasl_server_options tls12 = o, plain_listener = o, other_plus = o, no_end_point = o,
				   clear = o;
	tls12.binding.exporter = SPAN_NONE;
	tls12.binding.unique = SPAN("finished");
	plain_listener.enabled &= ~SASL_ALL_PLUS;
	other_plus.enabled = 1u << SASL_SCRAM_SHA_512_PLUS | 1u << SASL_SCRAM_SHA_256;
	no_end_point.binding.server_end_point = SPAN_NONE;
	clear.binding = (struct sasl_binding){0};
	const enum sasl_mechanism plus = SASL_SCRAM_SHA_256_PLUS, bare = SASL_SCRAM_SHA_256;
	const struct {
		const char *label;
		enum sasl_mechanism m;
		const struct sasl_server_options *o;
		const char *header;
		struct span binding;
		const char *error;
		enum sasl_outcome want;
	} cases[] = {
	    {"exporter", plus, &o, "p=tls-exporter,,", EXPORTER, "", SASL_OK},
	    {"exporter, authzid", plus, &o, "p=tls-exporter,a=user,", EXPORTER, "", SASL_OK},
	    {"exporter, SHA-512", SASL_SCRAM_SHA_512_PLUS, &o, "p=tls-exporter,,", EXPORTER, "",
		SASL_OK},
	    {"exporter, SHA-1", SASL_SCRAM_SHA_1_PLUS, &o, "p=tls-exporter,,", EXPORTER, "",
		SASL_OK},
	    {"end point", plus, &o, "p=tls-server-end-point,,", SPAN("certificate"), "", SASL_OK},
	    {"unique on TLS 1.2", plus, &tls12, "p=tls-unique,,", SPAN("finished"), "", SASL_OK},
	    {"p= under the bare name", bare, &o, "p=tls-exporter,,", EXPORTER, "", SASL_OK},
	    {"p= under the bare name, PLUS not enabled", bare, &plain_listener, "p=tls-exporter,,",
		EXPORTER, "", SASL_OK},
	    {"unique on TLS 1.3", bare, &o, "p=tls-unique,,", SPAN("finished"),
		"e=unsupported-channel-binding-type", SASL_BAD_BINDING},
	    {"exporter on TLS 1.2", plus, &tls12, "p=tls-exporter,,", EXPORTER,
		"e=unsupported-channel-binding-type", SASL_BAD_BINDING},
	    {"no end point", plus, &no_end_point, "p=tls-server-end-point,,", SPAN("certificate"),
		"e=unsupported-channel-binding-type", SASL_BAD_BINDING},
	    {"unknown type", plus, &o, "p=TLS-Exporter,,", EXPORTER,
		"e=unsupported-channel-binding-type", SASL_BAD_BINDING},
	    {"p= without TLS", bare, &clear, "p=tls-exporter,,", EXPORTER,
		"e=channel-binding-not-supported", SASL_BAD_BINDING},
	    {"wrong binding", plus, &o, "p=tls-exporter,,", SPAN("another connection"),
		"e=channel-bindings-dont-match", SASL_BAD_BINDING},
	    {"binding without data", plus, &o, "p=tls-exporter,,", SPAN(""),
		"e=channel-bindings-dont-match", SASL_BAD_BINDING},
	    {"n with PLUS", plus, &o, "n,,", SPAN(""), "e=channel-bindings-dont-match",
		SASL_BAD_BINDING},
	    {"y with PLUS", plus, &o, "y,,", SPAN(""), "e=server-does-support-channel-binding",
		SASL_BAD_BINDING},
	    {"y, PLUS enabled", bare, &o, "y,,", SPAN(""), "e=server-does-support-channel-binding",
		SASL_BAD_BINDING},
	    {"y, PLUS of another hash enabled", bare, &other_plus, "y,,", SPAN(""),
		"e=server-does-support-channel-binding", SASL_BAD_BINDING},
	    {"y, no PLUS enabled", bare, &plain_listener, "y,,", SPAN(""), "", SASL_OK},
	    {"y without TLS", bare, &clear, "y,,", SPAN(""), "", SASL_OK},
	    {"n", bare, &o, "n,,", SPAN(""), "", SASL_OK},
	    {"n, authzid", bare, &o, "n,a=user@example.org,", SPAN(""), "", SASL_OK},
	    {"n, escaped authzid", bare, &o, "n,a=a=2Cb=3dc,", SPAN(""), "", SASL_OK},
	    {"n, another's authzid", bare, &o, "n,a=other,", SPAN(""), "e=other-error",
		SASL_BAD_CREDENTIALS},
	    {"n, with data", bare, &o, "n,,", SPAN("x"), "e=channel-bindings-dont-match",
		SASL_BAD_BINDING},
	    {"n, broken authzid", bare, &o, "n,a=x=2,", SPAN(""), "e=invalid-username-encoding",
		SASL_MALFORMED},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		exchange(cases[i].label, cases[i].m, cases[i].o, cases[i].header, cases[i].binding,
		    "user", "pencil", "", cases[i].error, cases[i].want);
}

static void test_scram_users(void)
{
	struct sasl_server_options o = tls13();
	static const struct {
		const char *user, *password, *extensions, *error;
		enum sasl_outcome want;
	} cases[] = {
	    {"user", "pencil", "", "", SASL_OK}, {"user", "phone", "", "", SASL_OK},
	    {"user", "pencil", ",x=ignored,y=too", "", SASL_OK},
	    {"mo\xcc\x81x", "pencil", "", "", SASL_OK}, {"a=2Cb=3Dc", "pencil", "", "", SASL_OK},
	    {"user", "wrong", "", "e=invalid-proof", SASL_BAD_CREDENTIALS},
	    {"nobody", "pencil", "", "e=invalid-proof", SASL_BAD_CREDENTIALS},
	    {"\xff", "pencil", "", "e=invalid-username-encoding", SASL_MALFORMED},
	    {"us=er", "pencil", "", "e=invalid-username-encoding", SASL_MALFORMED},
	    {"user=2", "pencil", "", "e=invalid-username-encoding", SASL_MALFORMED},
	    {"", "pencil", "", "", SASL_MALFORMED},
	    {"user", "pencil", ",noequals", "", SASL_MALFORMED},
	    {"user", "pencil", ",", "", SASL_MALFORMED},
	    {"user", "pencil", ",x=", "", SASL_MALFORMED},
	    {"user", "pencil", ",1=x", "", SASL_MALFORMED},
	    {"user", "pencil", ",x=1,", "", SASL_MALFORMED},
	    /* RFC 5802 §5.1: what has a meaning is no extension */
	    {"user", "pencil", ",c=biws", "", SASL_MALFORMED},
	    {"user", "pencil", ",r=clientserver", "", SASL_MALFORMED},
	    {"user", "pencil", ",n=other", "", SASL_MALFORMED},
	    {"user", "pencil", ",p=AAAA", "", SASL_MALFORMED},
	    {"user", "pencil", ",m=mandatory", "e=extensions-not-supported", SASL_BAD_CREDENTIALS},
	    {"user", "pencil", ",x=1,m=mandatory", "e=extensions-not-supported",
		SASL_BAD_CREDENTIALS},
	    {"user", "pencil", "x", "e=invalid-proof", SASL_BAD_CREDENTIALS}, /* the nonce */
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		exchange(cases[i].user, SASL_SCRAM_SHA_256, &o, "n,,", SPAN(""), cases[i].user,
		    cases[i].password, cases[i].extensions, cases[i].error, cases[i].want);
	/* On top of a key: only its own account. */
	o.key_account = SPAN("one");
	exchange("key and SCRAM", SASL_SCRAM_SHA_256, &o, "n,,", SPAN(""), "user", "pencil", "", "",
	    SASL_OK);
	o.key_account = SPAN("two");
	exchange("key of another account and SCRAM", SASL_SCRAM_SHA_256, &o, "n,,", SPAN(""),
	    "user", "pencil", "", "e=invalid-proof", SASL_BAD_CREDENTIALS);
}

static void test_scram_syntax(void)
{
	static const struct talk talks[] = {
	    {"empty", SASL_SCRAM_SHA_256, {SPAN("")}, {NULL}, SASL_MALFORMED},
	    {"flag only", SASL_SCRAM_SHA_256, {SPAN("n")}, {NULL}, SASL_MALFORMED},
	    {"no bare", SASL_SCRAM_SHA_256, {SPAN("n,,")}, {NULL}, SASL_MALFORMED},
	    {"flag", SASL_SCRAM_SHA_256, {SPAN("z,,n=user,r=client")}, {NULL}, SASL_MALFORMED},
	    {"p= without name", SASL_SCRAM_SHA_256, {SPAN("p=,,n=user,r=client")}, {NULL},
		SASL_MALFORMED},
	    {"authzid", SASL_SCRAM_SHA_256, {SPAN("n,b=x,n=user,r=client")}, {NULL},
		SASL_MALFORMED},
	    {"empty authzid", SASL_SCRAM_SHA_256, {SPAN("n,a=,n=user,r=client")}, {NULL},
		SASL_MALFORMED},
	    {"no nonce", SASL_SCRAM_SHA_256, {SPAN("n,,n=user")}, {NULL}, SASL_MALFORMED},
	    {"empty nonce", SASL_SCRAM_SHA_256, {SPAN("n,,n=user,r=")}, {NULL}, SASL_MALFORMED},
	    {"nonce", SASL_SCRAM_SHA_256, {SPAN("n,,n=user,r=a b")}, {NULL}, SASL_MALFORMED},
	    {"order", SASL_SCRAM_SHA_256, {SPAN("n,,r=client,n=user")}, {NULL}, SASL_MALFORMED},
	    {"NUL", SASL_SCRAM_SHA_256, {SPAN("n,,n=us\0er,r=client")}, {NULL}, SASL_MALFORMED},
	    {"mandatory extension", SASL_SCRAM_SHA_256, {SPAN("n,,m=x,n=user,r=client"), SPAN("*")},
		{"e=extensions-not-supported"}, SASL_BAD_CREDENTIALS},
	    {"mandatory extension behind", SASL_SCRAM_SHA_256,
		{SPAN("n,,n=user,r=client,x=1,m=x"), SPAN("*")}, {"e=extensions-not-supported"},
		SASL_BAD_CREDENTIALS},
	    {"extension without a name", SASL_SCRAM_SHA_256, {SPAN("n,,n=user,r=client,garbage")},
		{NULL}, SASL_MALFORMED},
	    {"comma behind", SASL_SCRAM_SHA_256, {SPAN("n,,n=user,r=client,")}, {NULL},
		SASL_MALFORMED},
	    {"commas behind", SASL_SCRAM_SHA_256, {SPAN("n,,n=user,r=client,,,")}, {NULL},
		SASL_MALFORMED},
	    {"a second nonce", SASL_SCRAM_SHA_256, {SPAN("n,,n=user,r=client,r=x")}, {NULL},
		SASL_MALFORMED},
	    {"a second name", SASL_SCRAM_SHA_256, {SPAN("n,,n=user,r=client,n=other")}, {NULL},
		SASL_MALFORMED},
	    {"extension", SASL_SCRAM_SHA_256, {SPAN("n,,n=user,r=client,x=1"), SPAN("x")},
		{server_first}, SASL_MALFORMED},
	    {"first again", SASL_SCRAM_SHA_256,
		{SPAN("n,,n=user,r=client"), SPAN("n,,n=user,r=client")}, {server_first},
		SASL_MALFORMED},
	    {"final before first", SASL_SCRAM_SHA_256, {SPAN("c=biws,r=clientserver,p=AAAA")},
		{NULL}, SASL_MALFORMED},
	    {"aborted", SASL_SCRAM_SHA_256, {SPAN("n,,n=user,r=client"), SPAN("")}, {server_first},
		SASL_MALFORMED},
	    {"c is not base64", SASL_SCRAM_SHA_256,
		{SPAN("n,,n=user,r=client"), SPAN("c=b,r=clientserver,p=AAAA"), SPAN("")},
		{server_first, "e=invalid-encoding"}, SASL_MALFORMED},
	    {"p is not base64", SASL_SCRAM_SHA_256,
		{SPAN("n,,n=user,r=client"), SPAN("c=biws,r=clientserver,p=!"), SPAN("")},
		{server_first, "e=invalid-encoding"}, SASL_MALFORMED},
	    {"short proof", SASL_SCRAM_SHA_256,
		{SPAN("n,,n=user,r=client"), SPAN("c=biws,r=clientserver,p=AAAA"), SPAN("")},
		{server_first, "e=invalid-proof"}, SASL_BAD_CREDENTIALS},
	    {"empty proof", SASL_SCRAM_SHA_256,
		{SPAN("n,,n=user,r=client"), SPAN("c=biws,r=clientserver,p="), SPAN("")},
		{server_first, "e=invalid-proof"}, SASL_BAD_CREDENTIALS},
	    {"another nonce", SASL_SCRAM_SHA_256,
		{SPAN("n,,n=user,r=client"), SPAN("c=biws,r=clientserver2,p=AAAA"), SPAN("")},
		{server_first, "e=invalid-proof"}, SASL_BAD_CREDENTIALS},
	    {"no proof", SASL_SCRAM_SHA_256,
		{SPAN("n,,n=user,r=client"), SPAN("c=biws,r=clientserver")}, {server_first},
		SASL_MALFORMED},
	    {"something behind the proof", SASL_SCRAM_SHA_256,
		{SPAN("n,,n=user,r=client"), SPAN("c=biws,r=clientserver,p=AAAA,x=y")},
		{server_first}, SASL_MALFORMED},
	    {"a comma behind the proof", SASL_SCRAM_SHA_256,
		{SPAN("n,,n=user,r=client"), SPAN("c=biws,r=clientserver,p=AAAA,")}, {server_first},
		SASL_MALFORMED},
	};
	struct sasl_server_options o = tls13();
	play_all(talks, ARRAY_SIZE(talks), &o);
	directory.error = -EIO;
	struct talk broken = {"our own failure", SASL_SCRAM_SHA_256, {SPAN("n,,n=user,r=client")},
	    {NULL}, SASL_UNAVAILABLE};
	sasl_server_free(play(&broken, &o));
	directory.error = 0;

	char large[SASL_MESSAGE_MAX_BYTES];
	memset(large, 'a', sizeof(large));
	memcpy(large, "n,,n=user,r=", 12);
	struct talk long_nonce = {"oversized nonce", SASL_SCRAM_SHA_256,
	    {span_of(large, sizeof(large))}, {NULL}, SASL_MALFORMED};
	sasl_server_free(play(&long_nonce, &o));

	/* Every message cut at every byte: never a success, never a challenge in its place. */
	struct str final cleanup(str_clear) = STR_INIT(1000);
	make_final(HASH_SHA256, "pencil", SPAN("n=user,r=client"), SPAN("n,,"), "", &final);
	bool refused = true;
	for (size_t cut = 0; cut < final.n; cut++) {
		struct str challenge cleanup(str_clear) = STR_INIT(SASL_CHALLENGE_MAX_BYTES);
		struct sasl_server *s = sasl_server_new(SASL_SCRAM_SHA_256, &o);
		(void)sasl_server_step(s, SPAN("n,,n=user,r=client"), &challenge);
		enum sasl_outcome outcome =
		    sasl_server_step(s, span_sub(str_span(&final), 0, cut), &challenge);
		refused = refused && (outcome == SASL_MALFORMED ||
					 (outcome == SASL_CONTINUE &&
					     span_starts_with(str_span(&challenge), SPAN("e=")) &&
					     sasl_server_step(s, SPAN(""), &challenge) != SASL_OK));
		sasl_server_free(s);
	}
	check_named(refused, "a cut client-final-message is refused");
}

/* RFC 2195 */
static void test_cram_md5(void)
{
	static const struct talk talks[] = {
	    {"CRAM-MD5", SASL_CRAM_MD5,
		{NO_RESPONSE, SPAN("user cb494092650ba871385c24e5ea47009b")}, {"server"}, SASL_OK},
	    {"CRAM-MD5, an initial response", SASL_CRAM_MD5, {SPAN("user 00")}, {NULL},
		SASL_MALFORMED},
	    {"CRAM-MD5, wrong digest", SASL_CRAM_MD5,
		{NO_RESPONSE, SPAN("user 00000000000000000000000000000000")}, {"server"},
		SASL_BAD_CREDENTIALS},
	    {"CRAM-MD5, unknown user", SASL_CRAM_MD5,
		{NO_RESPONSE, SPAN("nobody cb494092650ba871385c24e5ea47009b")}, {"server"},
		SASL_BAD_CREDENTIALS},
	    {"CRAM-MD5, short digest", SASL_CRAM_MD5, {NO_RESPONSE, SPAN("user cb49")}, {"server"},
		SASL_MALFORMED},
	    {"CRAM-MD5, no digest", SASL_CRAM_MD5, {NO_RESPONSE, SPAN("user")}, {"server"},
		SASL_MALFORMED},
	    {"CRAM-MD5, no name", SASL_CRAM_MD5,
		{NO_RESPONSE, SPAN(" cb494092650ba871385c24e5ea47009b")}, {"server"},
		SASL_MALFORMED},
	    {"CRAM-MD5, not UTF-8", SASL_CRAM_MD5,
		{NO_RESPONSE, SPAN("\xff cb494092650ba871385c24e5ea47009b")}, {"server"},
		SASL_MALFORMED},
	};
	struct sasl_server_options o = tls13();
	play_all(talks, ARRAY_SIZE(talks), &o);
	struct sasl_server *s = sasl_server_new(SASL_CRAM_MD5, &o);
	struct str challenge cleanup(str_clear) = STR_INIT(SASL_CHALLENGE_MAX_BYTES);
	uint8_t key[CRAM_MD5_KEY_BYTES], mac[HASH_MAX_BYTES];
	check_int(sasl_server_step(s, NO_RESPONSE, &challenge), SASL_CONTINUE);
	cram_md5_key(SPAN("phone"), key);
	cram_md5_digest(key, str_span(&challenge), mac);
	struct str response cleanup(str_clear) = STR_INIT(100);
	str_append_cstr(&response, "user ");
	hex_encode(span_of(mac, hash_bytes(HASH_MD5)), &response);
	check_int(sasl_server_step(s, str_span(&response), &challenge), SASL_OK);
	check_span(sasl_server_result(s)->password_name, SPAN("app"));
	check_span(sasl_server_result(s)->account, SPAN("one"));
	sasl_server_free(s);
}

/* Each mechanism asks once whether its verdict may be told, and is silent when not, good or bad. */
static void test_verdict(void)
{
	static const struct {
		struct talk talk;
		bool good;
	} cases[] = {
	    {{"PLAIN", SASL_PLAIN, {SPAN("\0user\0pencil")}, {NULL}, SASL_OK}, true},
	    {{"PLAIN, wrong", SASL_PLAIN, {SPAN("\0user\0pen")}, {NULL}, SASL_BAD_CREDENTIALS},
		false},
	    {{"PLAIN, nobody", SASL_PLAIN, {SPAN("\0x\0pencil")}, {NULL}, SASL_BAD_CREDENTIALS},
		false},
	    {{"LOGIN", SASL_LOGIN, {NO_RESPONSE, SPAN("user"), SPAN("pencil")},
		 {"Username:", "Password:"}, SASL_OK},
		true},
	};
	struct sasl_server_options o = tls13();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		directory.good = directory.bad = 0;
		sasl_server_free(play(&cases[i].talk, &o));
		check(directory.good == cases[i].good && directory.bad == !cases[i].good);
		struct talk untold = cases[i].talk;
		untold.outcome = SASL_UNAVAILABLE;
		directory.untold = true;
		sasl_server_free(play(&untold, &o));
		directory.untold = false;
	}
	/*
	 * Broken off after the failure was told, it is that failure; before, or at a success, it is
	 * none.
	 */
	for (int good = 0; good <= 1; good++) {
		struct str final cleanup(str_clear) = STR_INIT(1000);
		struct str challenge cleanup(str_clear) = STR_INIT(SASL_CHALLENGE_MAX_BYTES);
		make_final(HASH_SHA256, good ? "pencil" : "pen", SPAN("n=user,r=client"),
		    SPAN("n,,"), "", &final);
		struct sasl_server *s = sasl_server_new(SASL_SCRAM_SHA_256, &o);
		check_int(sasl_server_abandoned(s), SASL_MALFORMED);
		check_int(
		    sasl_server_step(s, SPAN("n,,n=user,r=client"), &challenge), SASL_CONTINUE);
		check_int(sasl_server_abandoned(s), SASL_MALFORMED);
		check_int(sasl_server_step(s, str_span(&final), &challenge), SASL_CONTINUE);
		check_int(sasl_server_abandoned(s), good ? SASL_MALFORMED : SASL_BAD_CREDENTIALS);
		sasl_server_free(s);
	}
	for (int good = 0; good <= 1; good++) {
		struct str final cleanup(str_clear) = STR_INIT(1000);
		struct str challenge cleanup(str_clear) = STR_INIT(SASL_CHALLENGE_MAX_BYTES);
		make_final(HASH_SHA256, good ? "pencil" : "pen", SPAN("n=user,r=client"),
		    SPAN("n,,"), "", &final);
		struct sasl_server *s = sasl_server_new(SASL_SCRAM_SHA_256, &o);
		check_int(
		    sasl_server_step(s, SPAN("n,,n=user,r=client"), &challenge), SASL_CONTINUE);
		directory.good = directory.bad = 0;
		directory.untold = true;
		check_int(sasl_server_step(s, str_span(&final), &challenge), SASL_UNAVAILABLE);
		check_int(challenge.n, 0);
		check(directory.good == (unsigned)good && directory.bad == (unsigned)!good);
		directory.untold = false;
		sasl_server_free(s);
	}
}

int main(void)
{
	if (crypto_init() < 0)
		return 1;
	test_names();
	test_vectors();
	test_plain();
	test_external();
	test_verdict();
	test_scram_bindings();
	test_scram_users();
	test_scram_syntax();
	test_cram_md5();
	return tap_end();
}
