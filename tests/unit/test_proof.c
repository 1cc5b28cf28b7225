/*
 * The session's check of a client's proof: real handshakes with every kind of key, then everything
 * that somebody without the key could make of their transcripts.
 * usage: test_proof [FOLDER]: also writes nonce and transcript of the good ones there, for fuzzing.
 */
#include "tls/proof.h"

#include <fcntl.h>
#include <signal.h>

#include "crypto/crypto.h"
#include "tap.h"
#include "tls_peer.h"

static uint8_t nonce[TLS_NONCE_BYTES];
static const char *seed_folder;

static struct tls_server *new_server(const uint8_t *with_nonce)
{
	struct str key cleanup(str_clear) = STR_INIT(PEER_PEM_MAX_BYTES);
	struct str certificate cleanup(str_clear) = STR_INIT(PEER_PEM_MAX_BYTES);
	struct str error cleanup(str_clear) = STR_INIT(1000);
	struct span name = SPAN("localhost");
	struct tls_server *server = NULL;
	check_int(key_generate_server(&name, 1, &key, &certificate), 0);
	struct tls_identity identity = {str_span(&certificate), str_span(&key)};
	check_int(tls_server_new(&identity, 1, true, with_nonce, &server, &error), 0);
	return server;
}

/* The transcript of a handshake, and the SPKI that the server saw. */
static void record(struct peer *peer, struct str *transcript, struct str *spki)
{
	struct str error cleanup(str_clear) = STR_INIT(1000);
	struct tls_server *server = new_server(nonce);
	struct tls *t = peer_accept(server, peer, &error);
	tls_server_free(server);
	struct tls_facts facts = {0};
	if (check(t != NULL && peer->connected))
		tls_get_facts(t, &facts);
	check_int(facts.version, TLS1_3_VERSION);
	check(span_is_set(facts.transcript) && span_is_set(facts.client_spki));
	str_reset(transcript);
	str_append(transcript, facts.transcript);
	str_reset(spki);
	str_append(spki, facts.client_spki);
	peer_tls_free(t);
}

static enum proof_result result_of(struct span transcript)
{
	struct span spki;
	return proof_verify(transcript, nonce, &spki);
}

static void check_cuts(struct span transcript)
{
	bool refused = true;
	for (size_t i = 0; i < transcript.n; i++)
		refused = refused && result_of(span_sub(transcript, 0, i)) == PROOF_MALFORMED;
	check_named(refused, "cut anywhere: malformed");
	struct str longer cleanup(str_clear) = STR_INIT(TLS_TRANSCRIPT_MAX_BYTES);
	str_append(&longer, transcript);
	str_append_char(&longer, 0);
	check_int(result_of(str_span(&longer)), PROOF_MALFORMED);
}

static void check_altered(struct str *transcript, size_t step)
{
	bool refused = true;
	for (size_t i = 0; i < transcript->n; i += step) {
		transcript->data[i] ^= 1;
		refused = refused && result_of(str_span(transcript)) != PROOF_GOOD;
		transcript->data[i] ^= 1;
	}
	check_named(refused, "altered anywhere: refused");
	check_int(result_of(str_span(transcript)), PROOF_GOOD);
}

/* Where the n-th message from the start begins, in bytes. */
static size_t message_at(struct span transcript, int n)
{
	size_t at = 0;
	for (; n > 0; n--) {
		const unsigned char *p = (const unsigned char *)transcript.p + at;
		at += 4 + ((size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3]);
	}
	return at;
}

static void check_reordered(struct span transcript)
{
	bool refused = true;
	int count = 0;
	while (message_at(transcript, count) < transcript.n)
		count++;
	for (int i = 0; i < count; i++) {
		size_t from = message_at(transcript, i), to = message_at(transcript, i + 1);
		struct str without cleanup(str_clear) = STR_INIT(TLS_TRANSCRIPT_MAX_BYTES);
		str_append(&without, span_sub(transcript, 0, from));
		str_append(&without, span_from(transcript, to));
		refused = refused && result_of(str_span(&without)) != PROOF_GOOD;
		str_reset(&without);
		str_append(&without, span_sub(transcript, 0, to));
		str_append(&without, span_from(transcript, from));
		refused = refused && result_of(str_span(&without)) != PROOF_GOOD;
	}
	check_named(refused, "a message left out or doubled: refused");
}

static void check_nonce(struct str *transcript)
{
	uint8_t other[TLS_NONCE_BYTES];
	struct span spki = SPAN_NONE;
	random_bytes(other, sizeof(other));
	check_int(proof_verify(str_span(transcript), other, &spki), PROOF_BAD);
	check(!span_is_set(spki));
	/* The same with the other nonce written into it: the signature does not cover that. */
	size_t at = span_find(str_span(transcript), span_of(nonce, sizeof(nonce)));
	memcpy(transcript->data + at, other, sizeof(other));
	check_int(proof_verify(str_span(transcript), other, &spki), PROOF_BAD);
	memcpy(transcript->data + at, nonce, sizeof(nonce));
}

static void write_seed(const char *name, struct span transcript)
{
	struct str path cleanup(str_clear) = STR_INIT(4096);
	if (!seed_folder)
		return;
	str_format(&path, "%s/%s", seed_folder, name);
	int fd = open(path.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	check(write(fd, nonce, sizeof(nonce)) == (ssize_t)sizeof(nonce) &&
	      write(fd, transcript.p, transcript.n) == (ssize_t)transcript.n);
	close(fd);
}

static void test_kinds(void)
{
	static const struct {
		const char *label, *kind, *groups, *suites;
		size_t step; /* between the altered bytes */
	} cases[] = {
	    {"ed25519", "ED25519", NULL, NULL, 1},
	    {"p256", "P-256", NULL, "TLS_AES_128_GCM_SHA256", 7},
	    {"p384", "P-384", NULL, "TLS_CHACHA20_POLY1305_SHA256", 29},
	    {"p521", "P-521", NULL, NULL, 29},
	    {"ed448", "ED448", NULL, NULL, 29},
	    {"rsa", "RSA", NULL, NULL, 7},
	    {"rsa-1024", "RSA-1024", NULL, NULL, 29},
	    {"rsa-pss", "RSA-PSS", NULL, NULL, 29},
	    /* a key share of a group that the server does not have: HelloRetryRequest */
	    {"retry-sha384", "P-256", "ffdhe2048:X25519", NULL, 1},
	    {"retry-sha256", "ED25519", "ffdhe2048:P-384", "TLS_AES_128_GCM_SHA256", 1},
	    {"retry-rsa", "RSA", "ffdhe2048:P-521", NULL, 7},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct str transcript cleanup(str_clear) = STR_INIT(TLS_TRANSCRIPT_MAX_BYTES);
		struct str spki cleanup(str_clear) = STR_INIT(PEER_PEM_MAX_BYTES);
		struct span proven = SPAN_NONE;
		struct peer peer = {.key = peer_key(cases[i].kind),
		    .groups = cases[i].groups,
		    .suites = cases[i].suites};
		record(&peer, &transcript, &spki);
		EVP_PKEY_free(peer.key);
		check_named(proof_verify(str_span(&transcript), nonce, &proven) == PROOF_GOOD,
		    cases[i].label);
		check_span(proven, str_span(&spki));
		check_named((message_at(str_span(&transcript), 9) < transcript.n) ==
				(cases[i].groups != NULL),
		    "a retry has two more messages");
		check_cuts(str_span(&transcript));
		check_altered(&transcript, cases[i].step);
		check_reordered(str_span(&transcript));
		check_nonce(&transcript);
		write_seed(cases[i].label, str_span(&transcript));
	}
}

/* Somebody who has one key shows the certificate of another. */
static void test_swapped(void)
{
	struct str own cleanup(str_clear) = STR_INIT(TLS_TRANSCRIPT_MAX_BYTES);
	struct str victim cleanup(str_clear) = STR_INIT(TLS_TRANSCRIPT_MAX_BYTES);
	struct str mixed cleanup(str_clear) = STR_INIT(TLS_TRANSCRIPT_MAX_BYTES);
	struct str spki cleanup(str_clear) = STR_INIT(PEER_PEM_MAX_BYTES);
	struct peer a = {.key = peer_key("ED25519")}, b = {.key = peer_key("ED25519")};
	record(&a, &own, &spki);
	record(&b, &victim, &spki);
	struct span x = str_span(&own), y = str_span(&victim);
	str_append(&mixed, span_sub(x, 0, message_at(x, 7)));
	str_append(&mixed, span_sub(y, message_at(y, 7), message_at(y, 8) - message_at(y, 7)));
	str_append(&mixed, span_from(x, message_at(x, 8)));
	check_int(result_of(str_span(&mixed)), PROOF_BAD);
	EVP_PKEY_free(a.key);
	EVP_PKEY_free(b.key);

	/* Another signature scheme for the same key: it must fit. */
	size_t at = message_at(x, 8) + 4;
	check_int((unsigned char)own.data[at + 1], 0x07);
	own.data[at] = 0x04;
	own.data[at + 1] = 0x03;
	check_int(result_of(str_span(&own)), PROOF_BAD);
	check_int(result_of(SPAN_NONE), PROOF_MALFORMED);
	struct str big cleanup(str_clear) = STR_INIT(TLS_TRANSCRIPT_MAX_BYTES + 1);
	memset(str_extend(&big, TLS_TRANSCRIPT_MAX_BYTES + 1), 0, TLS_TRANSCRIPT_MAX_BYTES + 1);
	check_int(result_of(str_span(&big)), PROOF_MALFORMED);
}

/* The n-th message from the start. */
static struct span message_of(struct span transcript, int n)
{
	size_t at = message_at(transcript, n);
	return span_sub(transcript, at, message_at(transcript, n + 1) - at);
}

static void put_number(struct str *out, size_t bytes, size_t n)
{
	while (bytes-- > 0)
		str_append_char(out, (char)(n >> 8 * bytes));
}

/* CertificateVerify for what is in the transcript so far (RFC 8446 §4.4.3), by an Ed25519 key. */
static void put_certificate_verify(struct str *transcript, EVP_PKEY *key)
{
	struct str content cleanup(str_clear) = STR_INIT(200);
	uint8_t hash[HASH_MAX_BYTES], signature[64];
	size_t n = sizeof(signature);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	hash_digest(HASH_SHA256, str_span(transcript), hash);
	for (int i = 0; i < 64; i++)
		str_append_char(&content, ' ');
	str_append(&content, SPAN("TLS 1.3, client CertificateVerify\0"));
	str_append(&content, span_of(hash, hash_bytes(HASH_SHA256)));
	if (EVP_DigestSignInit_ex(context, NULL, NULL, NULL, NULL, key, NULL) != 1 ||
	    EVP_DigestSign(context, signature, &n, (uint8_t *)content.data, content.n) != 1)
		abort();
	EVP_MD_CTX_free(context);
	put_number(transcript, 1, 15);
	put_number(transcript, 3, 4 + n);
	put_number(transcript, 2, 0x0807);
	put_number(transcript, 2, n);
	str_append(transcript, span_of(signature, n));
}

/*
 * The handshake as it would have been with these certificate types (unset: none) in
 * EncryptedExtensions and these certificate_list entries in the client's Certificate, which the
 * client signs.
 */
static void retell(struct span transcript, struct span types, size_t entries,
    struct span certificate, EVP_PKEY *key, struct str *out)
{
	struct span extensions = span_from(message_of(transcript, 2), 6);
	str_reset(out);
	str_append(out, message_of(transcript, 0));
	str_append(out, message_of(transcript, 1));
	put_number(out, 1, 8);
	put_number(out, 3, 2 + extensions.n + types.n);
	put_number(out, 2, extensions.n + types.n);
	str_append(out, extensions);
	str_append(out, types);
	for (int i = 3; i < 7; i++)
		str_append(out, message_of(transcript, i));
	put_number(out, 1, 11);
	put_number(out, 3, 4 + entries * (5 + certificate.n));
	put_number(out, 1, 0);
	put_number(out, 3, entries * (5 + certificate.n));
	for (size_t i = 0; i < entries; i++) {
		put_number(out, 3, certificate.n);
		str_append(out, certificate);
		put_number(out, 2, 0);
	}
	put_certificate_verify(out, key);
}

/* RFC 7250: told by hand, since not every OpenSSL can do it; then by the one that can. */
static void test_raw_keys(void)
{
	struct str own cleanup(str_clear) = STR_INIT(TLS_TRANSCRIPT_MAX_BYTES);
	struct str told cleanup(str_clear) = STR_INIT(TLS_TRANSCRIPT_MAX_BYTES);
	struct str spki cleanup(str_clear) = STR_INIT(PEER_PEM_MAX_BYTES);
	struct peer peer = {.key = peer_key("ED25519"), .suites = "TLS_AES_128_GCM_SHA256"};
	struct peer other = {.key = peer_key("ED25519")};
	struct span proven = SPAN_NONE, raw = SPAN("\0\x13\0\1\2"), x509 = SPAN("\0\x13\0\1\0");
	record(&peer, &own, &spki);
	struct span key = str_span(&spki), certificate = message_of(str_span(&own), 7);
	certificate = span_sub(certificate, 11, certificate.n - 13);

	retell(str_span(&own), raw, 1, key, peer.key, &told);
	check_int(proof_verify(str_span(&told), nonce, &proven), PROOF_GOOD);
	check_span(proven, key);
	check_cuts(str_span(&told));
	check_altered(&told, 1);
	check_reordered(str_span(&told));
	check_nonce(&told);
	write_seed("raw-ed25519", str_span(&told));
	retell(str_span(&own), raw, 1, key, other.key, &told);
	check_int(result_of(str_span(&told)), PROOF_BAD);

	/*
	 * With the same means a certificate, to know that what is refused next is refused for its
	 * type.
	 */
	retell(str_span(&own), SPAN_NONE, 1, certificate, peer.key, &told);
	check_int(result_of(str_span(&told)), PROOF_GOOD);
	retell(str_span(&own), x509, 1, certificate, peer.key, &told);
	check_int(result_of(str_span(&told)), PROOF_GOOD);
	retell(str_span(&own), raw, 1, certificate, peer.key, &told);
	check_int(result_of(str_span(&told)), PROOF_BAD);
	const struct {
		struct span types;
		size_t entries;
	} malformed[] = {
	    {SPAN_NONE, 1},			   /* nobody agreed on a raw key */
	    {x509, 1},				   /* nor here */
	    {raw, 0},				   /* no key */
	    {raw, 2},				   /* RFC 8446 §4.4.2: no more than one */
	    {SPAN("\0\x13\0\1\1"), 1},		   /* OpenPGP */
	    {SPAN("\0\x13\0\0"), 1},		   /* no type */
	    {SPAN("\0\x13\0\2\2\2"), 1},	   /* a list, as only the client may send */
	    {SPAN("\0\x13\0\1\2\0\x13\0\1\2"), 1}, /* twice */
	};
	for (size_t i = 0; i < ARRAY_SIZE(malformed); i++) {
		retell(
		    str_span(&own), malformed[i].types, malformed[i].entries, key, peer.key, &told);
		check_int(result_of(str_span(&told)), PROOF_MALFORMED);
	}
#if PEER_HAS_RAW_PUBLIC_KEYS
	peer.raw = true;
	record(&peer, &told, &spki);
	check_int(proof_verify(str_span(&told), nonce, &proven), PROOF_GOOD);
	check_span(proven, key);
	check_span(str_span(&spki), key);
#endif
	EVP_PKEY_free(peer.key);
	EVP_PKEY_free(other.key);
}

/* A chain is never looked at: as many certificates as fit, and what does not ends the handshake. */
static void test_chain(void)
{
	static const struct {
		const char *label;
		int count, bytes, hello_bytes;
		const char *groups, *problem; /* NULL: none */
	} cases[] = {
	    {"60 certificates", 60, 0, 0, NULL, NULL},
	    {"many small ones", 250, 0, 0, NULL, NULL},
	    {"a few large ones", 3, 20000, 0, NULL, NULL},
	    {"too many", 400, 0, 0, NULL, "excessive message size (a client's certificates may"},
	    {"too large", 1, 70000, 0, NULL, "excessive message size (a client's certificates may"},
	    {"large hellos", 3, 10000, 30000, "ffdhe2048:X25519", NULL},
	    {"too large with its hellos", 3, 15000, 50000, "ffdhe2048:X25519", "are larger than"},
	    {"hellos that are too large", 0, 0, 65000, "ffdhe2048:X25519", "are larger than"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct str transcript cleanup(str_clear) = STR_INIT(TLS_TRANSCRIPT_MAX_BYTES);
		struct str spki cleanup(str_clear) = STR_INIT(PEER_PEM_MAX_BYTES);
		struct str error cleanup(str_clear) = STR_INIT(1000);
		struct span proven = SPAN_NONE;
		struct peer peer = {.key = peer_key("P-256"),
		    .chain = cases[i].count,
		    .chain_bytes = cases[i].bytes,
		    .hello_bytes = cases[i].hello_bytes,
		    .groups = cases[i].groups};
		if (cases[i].problem) {
			struct tls_server *server = new_server(nonce);
			struct tls *t = peer_accept(server, &peer, &error);
			check_named(!t && span_find(str_span(&error),
					      span_cstr(cases[i].problem)) != SIZE_MAX,
			    cases[i].label);
			printf("# %s\n", error.data);
			tls_server_free(server);
			peer_tls_free(t);
		} else {
			record(&peer, &transcript, &spki);
			check_named(
			    proof_verify(str_span(&transcript), nonce, &proven) == PROOF_GOOD,
			    cases[i].label);
			check_span(proven, str_span(&spki));
		}
		EVP_PKEY_free(peer.key);
	}
}

int main(int argc, char **argv)
{
	alarm(110);
	(void)signal(SIGPIPE, SIG_IGN); /* the peer may be refused while it still writes */
	seed_folder = argc > 1 ? argv[1] : NULL;
	check_int(crypto_init(), 0);
	random_bytes(nonce, sizeof(nonce));
	proof_prepare();
	test_kinds();
	test_swapped();
	test_raw_keys();
	test_chain();
	return tap_end();
}
