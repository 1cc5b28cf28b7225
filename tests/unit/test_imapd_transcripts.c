/*
 * Plays tests/transcripts/imap-*.txt against imapd_serve(), each file on a new store;
 * or the one file that is named.
 *
 *	# a comment
 *	@tolerant                    an option of the connections that begin after it
 *	A C: a1 NOOP                 connection A sends this line and CRLF; its first line begins it
 *	A C| half a line             the same without CRLF
 *	A C: a2 APPEND x {@+}        a line with a literal: the lines that follow are its contents,
 *	A | first line               and {@+} becomes its size
 *	A .                          the end of the literal; CRLF follows it
 *	A ? SUBJECT "x" = 1 4        SEARCH with these keys must find these; words with 8-bit bytes
 *	                             are sent as literals
 *	A S: a1 OK <*>               A must receive this line; <*> stands for anything
 *	A E:                         the server has closed A
 *	A H:                         A shuts its sending side
 *	A T:                         SIGTERM to A's session
 *	A R:                         revokes the credential
 */
#include <dirent.h>
#include <poll.h>

#include "io/file.h"

#include "imapd_server.h"

enum { CONNECTIONS = 4, LINE_TIMEOUT_MS = 10000, TRANSCRIPT_MAX_BYTES = 1 << 20 };

struct player {
	const char *file;
	int line;
	struct test_folder folder;
	struct test_options options;
	struct test_server servers[CONNECTIONS];
	struct str input[CONNECTIONS]; /* received, not looked at yet */
	struct str command, literal;   /* of a command with {@+} */
	bool failed;
};

static bool mask_matches(struct span mask, struct span line)
{
	struct span any = SPAN("<*>");
	size_t at = span_find(mask, any);
	if (at == SIZE_MAX)
		return span_equal(mask, line);
	if (!span_starts_with(line, span_sub(mask, 0, at)))
		return false;
	struct span rest = span_from(mask, at + any.n);
	for (size_t i = at; i <= line.n; i++)
		if (mask_matches(rest, span_from(line, i)))
			return true;
	return false;
}

static void fail(struct player *p, const char *what, struct span got, struct span wanted)
{
	printf("# %s:%d: %s\n#   got    \"%.*s\"\n#   wanted \"%.*s\"\n", p->file, p->line, what,
	    SPAN_ARG(got), SPAN_ARG(wanted));
	p->failed = true;
}

/* More input of the connection; false at its end or after too long. */
static bool receive(struct player *p, int i)
{
	struct pollfd fd = {.fd = p->servers[i].fd, .events = POLLIN};
	char bytes[4096];
	if (poll(&fd, 1, LINE_TIMEOUT_MS) <= 0)
		return false;
	ssize_t n = read(fd.fd, bytes, sizeof(bytes));
	if (n > 0)
		str_append(&p->input[i], span_of(bytes, (size_t)n));
	return n > 0;
}

static void expect(struct player *p, int i, struct span wanted)
{
	size_t end;
	while ((end = span_index(str_span(&p->input[i]), '\n')) == SIZE_MAX)
		if (!receive(p, i)) {
			fail(p, "no line came", str_span(&p->input[i]), wanted);
			return;
		}
	struct span line = span_sub(str_span(&p->input[i]), 0, end);
	if (span_ends_with(line, SPAN("\r")))
		line.n--;
	if (!mask_matches(wanted, line))
		fail(p, "another line", line, wanted);
	str_drop_front(&p->input[i], end + 1);
}

static void expect_end(struct player *p, int i)
{
	while (receive(p, i))
		;
	if (p->input[i].n)
		fail(p, "more before the end", str_span(&p->input[i]), SPAN_NONE);
	if (test_server_end(&p->servers[i]) != 0)
		fail(p, "exit status", SPAN_NONE, SPAN("0"));
}

static void send_bytes(struct player *p, int i, struct span bytes)
{
	while (bytes.n) {
		ssize_t n = send(p->servers[i].fd, bytes.p, bytes.n, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		bytes = span_from(bytes, (size_t)n);
	}
}

static void send_with_literal(struct player *p, int i)
{
	struct span marker = SPAN("{@+}"), command = str_span(&p->command);
	size_t at = span_find(command, marker);
	struct str size cleanup(str_clear) = STR_INIT(50);
	str_format(&size, "{%zu+}", p->literal.n);
	send_bytes(p, i, span_sub(command, 0, at));
	send_bytes(p, i, str_span(&size));
	send_bytes(p, i, span_from(command, at + marker.n));
	send_bytes(p, i, SPAN("\r\n"));
	send_bytes(p, i, str_span(&p->literal));
	send_bytes(p, i, SPAN("\r\n"));
}

/* "FROM x = 1 2": the words of the keys, then "* SEARCH 1 2". */
static void search(struct player *p, int i, struct span text)
{
	struct str command cleanup(str_clear) = STR_INIT(10000);
	struct str wanted cleanup(str_clear) = STR_INIT(1000);
	struct span word;
	size_t equals = span_last_index(text, '=');
	struct span keys = span_sub(text, 0, equals), found = span_from(text, equals + 1);
	str_append_cstr(&command, "s SEARCH");
	while (span_next_word(&keys, " ", &word)) {
		size_t close = word.n - (span_ends_with(word, SPAN(")")) ? 1 : 0);
		struct span end = span_from(word, close);
		word = span_sub(word, 0, close);
		str_append_char(&command, ' ');
		if (span_is_ascii(word)) {
			str_append(&command, word);
		} else {
			if (span_starts_with(word, SPAN("\"")))
				word = span_sub(word, 1, word.n - 2);
			str_format(&command, "{%zu+}\r\n%.*s", word.n, SPAN_ARG(word));
		}
		str_append(&command, end);
	}
	str_append_cstr(&command, "\r\n");
	str_append_cstr(&wanted, "* SEARCH");
	while (span_next_word(&found, " ", &word))
		str_format(&wanted, " %.*s", SPAN_ARG(word));
	send_bytes(p, i, str_span(&command));
	expect(p, i, str_span(&wanted));
	expect(p, i, SPAN("s OK SEARCH done"));
}

static void revoke_credential(struct player *p)
{
	close(openat(p->folder.account_fd, "revoked", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	close(openat(p->folder.account_fd, "changes", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	utimensat(p->folder.account_fd, "changes", NULL, 0);
}

static void play_line(struct player *p, struct span line)
{
	if (span_equal(line, SPAN("@tolerant")))
		p->options.tolerant = true;
	else if (span_equal(line, SPAN("@after-sasl")))
		p->options.after_sasl = true;
	else if (span_equal(line, SPAN("@small-messages")))
		p->options.message_size_max = 1000;
	else if (span_equal(line, SPAN("@quota")))
		p->options.quota_messages = 2;
	else if (span_equal(line, SPAN("@no-inotify")))
		p->options.no_inotify = true;
	if (line.n < 3 || line.p[0] == '#' || line.p[0] == '@')
		return;
	int i = line.p[0] - 'A';
	if (i < 0 || i >= CONNECTIONS) {
		fail(p, "which connection?", line, SPAN_NONE);
		return;
	}
	if (p->servers[i].pid == 0)
		p->servers[i] = test_server_start(&p->folder, &p->options);
	struct span text = span_from(line, 5);
	switch (line.p[2]) {
	case 'C':
		if (span_find(text, SPAN("{@+}")) != SIZE_MAX) {
			str_reset(&p->command);
			str_reset(&p->literal);
			str_append(&p->command, text);
			break;
		}
		send_bytes(p, i, text);
		if (line.p[3] == ':')
			send_bytes(p, i, SPAN("\r\n"));
		break;
	case '|':
		str_append(&p->literal, span_from(line, 4));
		str_append_cstr(&p->literal, "\r\n");
		break;
	case '.': send_with_literal(p, i); break;
	case '?': search(p, i, span_from(line, 4)); break;
	case 'S': expect(p, i, text); break;
	case 'E': expect_end(p, i); break;
	case 'H': shutdown(p->servers[i].fd, SHUT_WR); break;
	case 'T': kill(p->servers[i].pid, SIGTERM); break;
	case 'R': revoke_credential(p); break;
	default: fail(p, "what is this?", line, SPAN_NONE);
	}
}

static void play(int directory_fd, const char *name)
{
	struct player p = {.file = name,
	    .command = STR_INIT(TRANSCRIPT_MAX_BYTES),
	    .literal = STR_INIT(TRANSCRIPT_MAX_BYTES)};
	struct str text cleanup(str_clear) = STR_INIT(TRANSCRIPT_MAX_BYTES);
	if (!check_named(file_read(directory_fd, name, &text) == 0, name))
		return;
	test_folder_make(&p.folder);
	for (int i = 0; i < CONNECTIONS; i++)
		str_init(&p.input[i], TRANSCRIPT_MAX_BYTES);
	struct span rest = str_span(&text), line;
	while (!p.failed && rest.n) {
		p.line++;
		span_cut(rest, '\n', &line, &rest);
		play_line(&p, line);
	}
	for (int i = 0; i < CONNECTIONS; i++) {
		if (p.servers[i].pid && test_server_end(&p.servers[i]) != 0)
			fail(&p, "exit status at the end", SPAN_NONE, SPAN("0"));
		str_clear(&p.input[i]);
	}
	str_clear(&p.command);
	str_clear(&p.literal);
	test_folder_remove(&p.folder);
	check_named(!p.failed, name);
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	DIR *d = opendir("tests/transcripts");
	if (!check(d != NULL))
		return tap_end();
	for (struct dirent *e; (e = readdir(d));) {
		bool wanted = argc > 1 ? span_equal(span_cstr(e->d_name), span_cstr(argv[1]))
				       : span_starts_with(span_cstr(e->d_name), SPAN("imap-"));
		if (wanted)
			play(dirfd(d), e->d_name);
	}
	closedir(d);
	return tap_end();
}
