/* Digests, MACs and key derivation against published vectors; randomness; fingerprints. */
#include "crypto/crypto.h"

#include <unistd.h>

#include "base/encode.h"

#include "tap.h"

static void check_hex(const uint8_t *bytes, size_t n, const char *want)
{
	struct str text cleanup(str_clear) = STR_INIT(2 * HASH_MAX_BYTES);
	hex_encode(span_of(bytes, n), &text);
	check_span(str_span(&text), span_cstr(want));
}

static void test_digests(void)
{
	static const struct {
		enum hash hash;
		const char *text, *want;
	} cases[] = {
	    /* RFC 1321 §A.5, FIPS 180-4 examples */
	    {HASH_MD5, "abc", "900150983cd24fb0d6963f7d28e17f72"},
	    {HASH_MD5, "", "d41d8cd98f00b204e9800998ecf8427e"},
	    {HASH_SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
	    {HASH_SHA256, "abc",
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	    {HASH_SHA384, "abc",
		"cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
		"8086072ba1e7cc2358baeca134c825a7"},
	    {HASH_SHA512, "abc",
		"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
		"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t out[HASH_MAX_BYTES];
		hash_digest(cases[i].hash, span_cstr(cases[i].text), out);
		check_hex(out, hash_bytes(cases[i].hash), cases[i].want);
	}
	uint8_t out[HASH_MAX_BYTES];
	struct hasher *s = hasher_new(HASH_SHA256);
	hasher_add(s, SPAN("a"));
	hasher_add(s, SPAN_NONE);
	hasher_add(s, SPAN("bc"));
	hasher_end(s, out);
	check_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_hmac(void)
{
	uint8_t out[HASH_MAX_BYTES], key[131];
	/* RFC 2202 §2 and §3, RFC 4231 §4.2, §4.3 and §4.7 (a key longer than the block) */
	memset(key, 0x0b, sizeof(key));
	hash_hmac(HASH_MD5, span_of(key, 16), SPAN("Hi There"), out);
	check_hex(out, 16, "9294727a3638bb1c13f48ef8158bfc9d");
	/* RFC 2195 §2; and keys of, below and above a block, longer challenges, as HMAC has them */
	uint8_t cram[CRAM_MD5_KEY_BYTES], same[HASH_MAX_BYTES];
	cram_md5_key(SPAN("tanstaaftanstaaf"), cram);
	cram_md5_digest(cram, SPAN("<1896.697170952@postoffice.reston.mci.net>"), out);
	check_hex(out, 16, "b913a602c7eda7a495b4e6e7334d3890");
	for (size_t n = 0; n <= sizeof(key); n++) {
		cram_md5_key(span_of(key, n), cram);
		cram_md5_digest(cram, span_of(key, n), out);
		hash_hmac(HASH_MD5, span_of(key, n), span_of(key, n), same);
		if (memcmp(out, same, 16) != 0)
			check_int(n, -1);
	}
	hash_hmac(HASH_SHA1, span_of(key, 20), SPAN("Hi There"), out);
	check_hex(out, 20, "b617318655057264e28bc0b6fb378c8ef146be00");
	hash_hmac(HASH_SHA256, span_of(key, 20), SPAN("Hi There"), out);
	check_hex(out, 32, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	hash_hmac(HASH_SHA512, SPAN("Jefe"), SPAN("what do ya want for nothing?"), out);
	check_hex(out, 64,
	    "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
	    "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
	memset(key, 0xaa, sizeof(key));
	hash_hmac(HASH_SHA256, span_of(key, sizeof(key)),
	    SPAN("Test Using Larger Than Block-Size Key - Hash Key First"), out);
	check_hex(out, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	hash_hmac(HASH_SHA256, SPAN_NONE, SPAN_NONE, out);
	check_hex(out, 32, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void test_hi(void)
{
	uint8_t out[HASH_MAX_BYTES];
	/* RFC 6070 §2 */
	hash_hi(HASH_SHA1, SPAN("password"), SPAN("salt"), 1, out);
	check_hex(out, 20, "0c60c80f961f0e71f3a9b524af6012062fe037a6");
	hash_hi(HASH_SHA1, SPAN("password"), SPAN("salt"), 4096, out);
	check_hex(out, 20, "4b007901b765489abead49d926f721d065a429c1");
	hash_hi(HASH_SHA256, SPAN("password"), SPAN("salt"), 2, out);
	check_hex(out, 32, "ae4d0c95af6b46d32d0adff928f06dd02a303f8ef3c251dfd6e2d85a95474c43");

	/*
	 * RFC 7677 §3: SaltedPassword's ServerKey signs
	 * "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
	 */
	struct str salt cleanup(str_clear) = STR_INIT(64);
	check_int(base64_decode(SPAN("W22ZaJ0SNY7soEsUEjb6gQ=="), &salt), 0);
	hash_hi(HASH_SHA256, SPAN("pencil"), str_span(&salt), 4096, out);
	uint8_t server_key[HASH_MAX_BYTES], signature[HASH_MAX_BYTES];
	hash_hmac(HASH_SHA256, span_of(out, 32), SPAN("Server Key"), server_key);
	hash_hmac(HASH_SHA256, span_of(server_key, 32),
	    SPAN("n=user,r=rOprNGfwEbeRWgbNEkqO,"
		 "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
		 "s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
		 "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"),
	    signature);
	struct str text cleanup(str_clear) = STR_INIT(64);
	base64_encode(span_of(signature, 32), &text);
	check_span(str_span(&text), SPAN("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
}

static void test_random(void)
{
	uint8_t a[1000] = {0}, b[1000] = {0};
	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	check(memcmp(a, b, sizeof(a)) != 0);
	check(memcmp(a + 900, b + 900, 100) != 0);
	char name[23], other[23];
	random_name(name, 22);
	random_name(other, 22);
	check(strlen(name) == 22 && strcmp(name, other) != 0);
	check(secret_equal(SPAN("abc"), SPAN("abc")));
	check(!secret_equal(SPAN("abc"), SPAN("abd")));
	check(!secret_equal(SPAN("abc"), SPAN("ab")));
	check(secret_equal(SPAN_NONE, SPAN("")));
}

int main(void)
{
	alarm(60);
	check_int(crypto_init(), 0);
	check_int(crypto_init(), 0);
	test_digests();
	test_hmac();
	test_hi();
	test_random();
	return tap_end();
}
