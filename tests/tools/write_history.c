/*
 * Writes into an account's history what a session would, or what one that was taken over could.
 * usage: write_history FOLDER login WHEN PROTOCOL ADDRESS MECHANISM CREDENTIAL TLS CLIENT
 *        write_history FOLDER pending WHEN LOGIN-ADDRESS ADDRESS CLIENT < PEM
 */
#include <fcntl.h>
#include <unistd.h>

#include "account/history.h"
#include "account/pending.h"
#include "crypto/crypto.h"
#include "io/file.h"

enum { INPUT_MAX_BYTES = 65536, LOGIN_ARGUMENTS = 10, PENDING_ARGUMENTS = 7 };

static int write_pending(int fd, int64_t when_s, char **argv)
{
	struct str input cleanup(str_clear) = STR_INIT(INPUT_MAX_BYTES);
	struct str spki cleanup(str_clear) = STR_INIT(INPUT_MAX_BYTES);
	char buffer[4096];
	bool is_new;
	for (ssize_t n; (n = read(STDIN_FILENO, buffer, sizeof(buffer))) > 0;)
		str_append(&input, span_of(buffer, (size_t)n));
	if (key_spki_from_input(str_span(&input), &spki) < 0)
		return 1;
	const struct pending_key key = {.spki = str_span(&spki),
	    .login_address = span_cstr(argv[0]),
	    .peer_address = span_cstr(argv[1]),
	    .client = span_cstr(argv[2]),
	    .last_s = when_s};
	return pending_remember(fd, &key, &is_new) < 0;
}

int main(int argc, char **argv)
{
	int fd;
	uint64_t when_s;
	if (crypto_init() < 0 || argc < PENDING_ARGUMENTS ||
	    folder_open(AT_FDCWD, argv[1], &fd) < 0 ||
	    span_to_u64(span_cstr(argv[3]), INT64_MAX, &when_s) < 0)
		return 2;
	if (strcmp(argv[2], "pending") == 0)
		return write_pending(fd, (int64_t)when_s, argv + 4);
	if (argc != LOGIN_ARGUMENTS)
		return 2;
	const struct login_record r = {.when_s = (int64_t)when_s,
	    .protocol = span_cstr(argv[4]),
	    .address = span_cstr(argv[5]),
	    .mechanism = span_cstr(argv[6]),
	    .credential = span_cstr(argv[7]),
	    .tls = span_cstr(argv[8]),
	    .client = span_cstr(argv[9]),
	    .result = LOGIN_OK};
	struct login_history *h;
	if (login_history_open(fd, &h) < 0)
		return 1;
	login_history_add(h, &r);
	login_history_close(h);
	return 0;
}
