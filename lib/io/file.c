#include "io/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEMPORARY_RANDOM_CHARS = 16 };

static int folder_list(int dirfd, DIR **ret);
static int keep_owner(int fd, int dirfd, const char *name, mode_t mode);

int folder_open(int dirfd, const char *path, int *ret_fd)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int folder_make(int dirfd, const char *name, mode_t mode, int *ret_fd)
{
	if (mkdirat(dirfd, name, mode) == 0) {
		int error = folder_sync(dirfd);
		if (error)
			return error;
	} else if (errno != EEXIST) {
		return -errno;
	}
	return folder_open(dirfd, name, ret_fd);
}

int folder_sync(int dirfd)
{
	return fsync(dirfd) == 0 ? 0 : -errno;
}

int folder_each(int dirfd, int (*fn)(const char *name, void *context), void *context)
{
	DIR *d;
	int error = folder_list(dirfd, &d);
	if (error)
		return error;
	for (struct dirent *e; !error && (e = readdir(d));)
		if (e->d_name[0] != '.')
			error = fn(e->d_name, context);
	(void)closedir(d); /* was only read */
	return error;
}

/* Opened anew, so that it begins at the beginning. */
static int folder_list(int dirfd, DIR **ret)
{
	int fd;
	int error = folder_open(dirfd, ".", &fd);
	if (error)
		return error;
	*ret = fdopendir(fd);
	if (*ret)
		return 0;
	error = -errno;
	close_fd(&fd);
	return error;
}

int file_draft(int dirfd, mode_t mode, int *ret_fd)
{
	int fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

int file_draft_link_unsynced(int fd, int dirfd, const char *name)
{
	char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* always fits */
	if (fsync(fd) < 0)
		return -errno;
	return linkat(AT_FDCWD, path, dirfd, name, AT_SYMLINK_FOLLOW) == 0 ? 0 : -errno;
}

int file_draft_link(int fd, int dirfd, const char *name)
{
	int error = file_draft_link_unsynced(fd, dirfd, name);
	return error ? error : folder_sync(dirfd);
}

int file_replace(int dirfd, const char *name, struct span contents, mode_t mode)
{
	char temporary[NAME_MAX + 1];
	uint64_t random;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	int n = snprintf(temporary, sizeof(temporary), ".%s.%016" PRIx64, name, random);
	if (n < 0 || (size_t)n >= sizeof(temporary))
		return -ENAMETOOLONG;
	int fd =
	    openat(dirfd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return -errno;
	int error = keep_owner(fd, dirfd, name, mode);
	if (!error)
		error = fd_write_all(fd, contents);
	if (!error && fsync(fd) < 0)
		error = -errno;
	if (close(fd) < 0 && !error)
		error = -errno;
	if (!error)
		error = file_rename(dirfd, temporary, name);
	if (error)
		(void)unlinkat(dirfd, temporary, 0); /* the first error is the one that counts */
	return error;
}

/* Before anything is written: a secret is at no time open to more people than it was. */
static int keep_owner(int fd, int dirfd, const char *name, mode_t mode)
{
	struct stat old, made;
	if (fstatat(dirfd, name, &old, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != ENOENT)
			return -errno;
	} else if (S_ISREG(old.st_mode)) {
		mode = old.st_mode & 07777;
		if (fstat(fd, &made) < 0)
			return -errno;
		if ((old.st_uid != made.st_uid || old.st_gid != made.st_gid) &&
		    fchown(fd, old.st_uid, old.st_gid) < 0)
			return -errno;
	}
	return fchmod(fd, mode) == 0 ? 0 : -errno;
}

int file_rename(int dirfd, const char *from, const char *to)
{
	if (renameat(dirfd, from, dirfd, to) < 0)
		return -errno;
	return folder_sync(dirfd);
}

int file_move(int dirfd, const char *name, int to_dirfd, const char *to_name)
{
	struct stat here, there;
	if (linkat(dirfd, name, to_dirfd, to_name, 0) < 0) {
		if (errno != EEXIST)
			return -errno;
		if (fstatat(dirfd, name, &here, AT_SYMLINK_NOFOLLOW) < 0 ||
		    fstatat(to_dirfd, to_name, &there, AT_SYMLINK_NOFOLLOW) < 0)
			return -errno;
		if (here.st_dev != there.st_dev || here.st_ino != there.st_ino)
			return -EEXIST;
	}
	int error = folder_sync(to_dirfd);
	if (!error && unlinkat(dirfd, name, 0) < 0)
		error = -errno;
	return error ? error : folder_sync(dirfd);
}

int file_remove_stale(int dirfd, int age_s)
{
	DIR *d;
	int error = folder_list(dirfd, &d);
	if (error)
		return error;
	int64_t now_s = wall_ms() / 1000;
	for (struct dirent *e; (e = readdir(d));) {
		struct span name = span_cstr(e->d_name);
		size_t dot = span_last_index(name, '.');
		/* ".NAME.RANDOM" as file_replace() makes them, nothing else */
		if (name.p[0] != '.' || dot < 2 || dot == SIZE_MAX ||
		    name.n - dot - 1 != TEMPORARY_RANDOM_CHARS)
			continue;
		struct stat st;
		if (fstatat(dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISREG(st.st_mode) && st.st_mtime < now_s - age_s &&
		    unlinkat(dirfd, e->d_name, 0) < 0 && errno != ENOENT)
			error = -errno;
	}
	(void)closedir(d); /* was only read */
	return error;
}

int file_read(int dirfd, const char *name, struct str *out)
{
	int fd cleanup(close_fd) =
	    openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	str_reset(out);
	char piece[4096];
	for (;;) {
		ssize_t n = read(fd, piece, sizeof(piece));
		if (n == 0)
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		str_append(out, span_of(piece, (size_t)n));
		if (out->failed)
			return -EFBIG;
	}
}

int fd_write_all(int fd, struct span bytes)
{
	while (bytes.n) {
		ssize_t n = write(fd, bytes.p, bytes.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EIO;
		bytes = span_from(bytes, (size_t)n);
	}
	return 0;
}

int fd_pread_all(int fd, void *buffer, size_t n, uint64_t offset)
{
	char *p = buffer;
	while (n) {
		ssize_t got = pread(fd, p, n, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return -EIO;
		p += got;
		n -= (size_t)got;
		offset += (uint64_t)got;
	}
	return 0;
}
