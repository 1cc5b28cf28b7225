/* A whole session after the login, on a store that lives as long as the run. */
#include <fcntl.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "imapd/imapd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/tmp/fuzz_imapd.XXXXXX";

enum login_result session_still_valid(struct session *s)
{
	return s ? LOGIN_OK : LOGIN_UNAVAILABLE;
}
struct sasl_server *session_sasl(struct session *s, enum sasl_mechanism m)
{
	(void)s, (void)m;
	return NULL;
}
enum login_result session_sasl_end(
    struct session *s, const struct sasl_server *sasl, enum sasl_outcome o)
{
	(void)s, (void)sasl, (void)o;
	return LOGIN_UNAVAILABLE;
}
void session_name_client(struct session *s, struct span client)
{
	(void)s, (void)client;
}
void session_forget_attempts(struct session *s)
{
	(void)s;
}

static void remove_folder(void)
{
	(void)alarm(0); /* libFuzzer's timer would go on, and end rm */
	execlp("rm", "rm", "-rf", folder, (char *)NULL); /* the last thing this process does */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	if (fd < 0) {
		if (crypto_init() || !mkdtemp(folder) || atexit(remove_folder))
			abort();
		fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	struct session s = {.peer = stream_memory(span_of(data, size), NULL),
	    .login.address = SPAN("user@localhost"),
	    .global.message_size_max = 10000,
	    .account.quota_messages = 50,
	    .account_fd = fd,
	    .mail_fd = fd,
	    .changes_fd = -1};
	int status = imapd_serve(&s);
	stream_free(s.peer);
	if (status != EXIT_SUCCESS) /* the store of the run before cannot be opened any more */
		abort();
	return 0;
}
