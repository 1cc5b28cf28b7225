#include "tap.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"

static int folder_of(const char *path)
{
	int fd = -1;
	check_int(folder_open(AT_FDCWD, path, &fd), 0);
	return fd;
}

static void test_replace(int dir)
{
	struct str got cleanup(str_clear) = STR_INIT(10);
	check_int(file_replace(dir, "a", SPAN("one"), 0600), 0);
	check_int(file_replace(dir, "a", SPAN("two"), 0600), 0);
	check_int(file_read(dir, "a", &got), 0);
	check_span(str_span(&got), SPAN("two"));
	check_int(file_read(dir, "none", &got), -ENOENT);
	check_int(file_replace(dir, "long", SPAN("12345678901"), 0600), 0);
	check_int(file_read(dir, "long", &got), -EFBIG);
	check_int(symlinkat("a", dir, "link"), 0);
	check_int(file_read(dir, "link", &got), -ELOOP);
	check_int(mkfifoat(dir, "fifo", 0600), 0);
	check_int(file_read(dir, "fifo", &got), -EINVAL);
}

static void check_mode(int dir, const char *name, mode_t want)
{
	struct stat st;
	check(fstatat(dir, name, &st, 0) == 0);
	check_int(st.st_mode & 07777, want);
}

static void test_mode(int dir)
{
	mode_t before = umask(077);
	check_int(file_replace(dir, "mode", SPAN("one"), 0644), 0);
	check_mode(dir, "mode", 0644);
	check_int(fchmodat(dir, "mode", 0640, 0), 0);
	uid_t owner = geteuid() == 0 ? 12345 : geteuid();
	gid_t group = geteuid() == 0 ? 12346 : getegid();
	check_int(fchownat(dir, "mode", owner, group, 0), 0);
	check_int(file_replace(dir, "mode", SPAN("two"), 0600), 0);
	check_mode(dir, "mode", 0640);
	struct stat st;
	check(fstatat(dir, "mode", &st, 0) == 0 && st.st_uid == owner && st.st_gid == group);
	check_int(symlinkat("mode", dir, "to-mode"), 0); /* it is replaced, and has no mode */
	check_int(file_replace(dir, "to-mode", SPAN("three"), 0600), 0);
	check_mode(dir, "to-mode", 0600);
	umask(before);
}

static void test_draft(int dir)
{
	struct str got cleanup(str_clear) = STR_INIT(100);
	int fd = -1;
	check_int(file_draft(dir, 0600, &fd), 0);
	check_int(fd_write_all(fd, SPAN("message")), 0);
	check_int(file_draft_link(fd, dir, "m1"), 0);
	check_int(file_draft_link(fd, dir, "m1"), -EEXIST);
	char b[4];
	check_int(fd_pread_all(fd, b, 4, 3), 0);
	check_span(span_of(b, 4), SPAN("sage"));
	check_int(fd_pread_all(fd, b, 4, 4), -EIO);
	close_fd(&fd);
	check_int(file_read(dir, "m1", &got), 0);
	check_span(str_span(&got), SPAN("message"));
}

static void test_stale(int dir)
{
	int fd = openat(dir, ".x.0123456789abcdef", O_CREAT | O_WRONLY, 0600);
	close_fd(&fd);
	check_int(file_replace(dir, ".keep", SPAN(""), 0600), 0);
	check_int(file_remove_stale(dir, 100), 0);
	check_int(faccessat(dir, ".x.0123456789abcdef", F_OK, 0), 0); /* too young */
	check_int(file_remove_stale(dir, -10), 0);
	check_int(faccessat(dir, ".x.0123456789abcdef", F_OK, 0), -1);
	check_int(faccessat(dir, ".keep", F_OK, 0), 0);
}

int main(void)
{
	char path[] = "/tmp/postern-test-file.XXXXXX";
	check(mkdtemp(path) != NULL);
	int dir = folder_of(path), sub = -1;
	check_int(folder_make(dir, "sub", 0700, &sub), 0);
	close_fd(&sub);
	check_int(folder_make(dir, "sub", 0700, &sub), 0);
	test_replace(sub);
	test_mode(sub);
	test_draft(sub);
	test_stale(sub);
	close_fd(&sub);
	close_fd(&dir);
	char command[100];
	(void)snprintf(command, sizeof(command), "rm -r %s", path); /* always fits */
	check_int(system(command), 0);
	return tap_end();
}
