/*
 * A provider for OpenSSL that offers of the default provider what TLS and our own files need, and
 * nothing else.
 *
 * Why: at the first fetch of one cipher OpenSSL sets up all 130 of the provider; to read a
 * certificate it asks each of 85 decoders whether it is of use. That is a quarter of all
 * instructions of a login. Of TLS 1.2 this leaves out the suites with CCM, ARIA and Camellia.
 *
 * How: the default provider is loaded into a library context of its own. Ours, in the context that
 * everybody uses, hands out chosen rows of its tables; the functions behind them run with the
 * default provider's own state, and fetch digests and MACs that they need in its context. The
 * random generators of both contexts are set to Hash_DRBG, because the usual CTR_DRBG would need a
 * cipher, and so all of them, in the inner context.
 */
#include "crypto/lean.h"

#include <assert.h>
#include <errno.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <stdbool.h>
#include <string.h>

enum { ROWS_MAX = 64, NAMES_MAX = 16 };

/*
 * The first name of each row that is handed out. Operations that are not here are handed out whole.
 */
struct choice {
	int operation;
	const char *names[NAMES_MAX];
	bool all_but; /* these */
	OSSL_ALGORITHM rows[ROWS_MAX];
};

static struct choice choices[] = {
    {.operation = OSSL_OP_CIPHER,
	.names = {"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305", "AES-128-CBC", "AES-256-CBC",
	    "AES-128-CBC-HMAC-SHA1", "AES-256-CBC-HMAC-SHA1", "AES-128-CBC-HMAC-SHA256",
	    "AES-256-CBC-HMAC-SHA256"}},
    {.operation = OSSL_OP_DIGEST,
	.names = {"SHA1", "SHA2-224", "SHA2-256", "SHA2-384", "SHA2-512", "MD5", "MD5-SHA1"}},
    {.operation = OSSL_OP_KEYMGMT,
	.names = {"DH", "DHX", "DSA", "SM2", "CMAC", "POLY1305", "SIPHASH", "SCRYPT"},
	.all_but = true},
    {.operation = OSSL_OP_DECODER, .names = {"DER", "EC", "RSA", "RSA-PSS", "ED25519", "ED448"}},
};

static OSSL_LIB_CTX *inner;
static OSSL_PROVIDER *whole;

static OSSL_provider_init_fn lean_init;
static OSSL_FUNC_provider_query_operation_fn lean_query;
static OSSL_FUNC_provider_get_capabilities_fn lean_capabilities;
static void choose_rows(struct choice *c, const OSSL_ALGORITHM *all);
static bool is_chosen(const struct choice *c, const char *names);

int crypto_lean_load(void)
{
	if (whole)
		return 0;
	inner = OSSL_LIB_CTX_new();
	whole = inner ? OSSL_PROVIDER_load(inner, "default") : NULL;
	if (!whole || RAND_set_DRBG_type(inner, "HASH-DRBG", NULL, NULL, "SHA2-256") != 1 ||
	    RAND_set_DRBG_type(NULL, "HASH-DRBG", NULL, NULL, "SHA2-256") != 1 ||
	    OSSL_PROVIDER_add_builtin(NULL, "lean", lean_init) != 1 ||
	    !OSSL_PROVIDER_load(NULL, "lean"))
		return -EIO;
	return 0;
}

static int lean_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
    const OSSL_DISPATCH **ret_functions, void **ret_context)
{
	static const OSSL_DISPATCH functions[] = {
	    {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))lean_query},
	    {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))lean_capabilities}, {0, NULL}};
	(void)handle;
	(void)in;
	*ret_functions = functions;
	*ret_context = OSSL_PROVIDER_get0_provider_ctx(whole);
	return 1;
}

static const OSSL_ALGORITHM *lean_query(void *context, int operation, int *ret_no_cache)
{
	const OSSL_ALGORITHM *all = OSSL_PROVIDER_query_operation(whole, operation, ret_no_cache);
	(void)context;
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		if (choices[i].operation != operation)
			continue;
		if (all && !choices[i].rows[0].algorithm_names)
			choose_rows(&choices[i], all);
		return choices[i].rows;
	}
	return all;
}

static int lean_capabilities(void *context, const char *capability, OSSL_CALLBACK *each, void *arg)
{
	(void)context;
	return OSSL_PROVIDER_get_capabilities(whole, capability, each, arg);
}

static void choose_rows(struct choice *c, const OSSL_ALGORITHM *all)
{
	size_t n = 0;
	for (; all->algorithm_names; all++) {
		if (is_chosen(c, all->algorithm_names) == c->all_but)
			continue;
		assert(n < ROWS_MAX - 1); /* the last one stays empty: the end of the table */
		c->rows[n++] = *all;
	}
}

static bool is_chosen(const struct choice *c, const char *names)
{
	size_t n = strcspn(names, ":");
	for (size_t i = 0; i < NAMES_MAX && c->names[i]; i++)
		if (strncasecmp(c->names[i], names, n) == 0 && c->names[i][n] == '\0')
			return true;
	return false;
}
