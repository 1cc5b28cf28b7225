#ifndef POSTERN_IO_FILE_H
#define POSTERN_IO_FILE_H
/*
 * Files that survive a power cut. All paths are relative to a folder fd, all names are checked by
 * the module that owns the folder. Nobody else calls link or rename.
 *
 * Two ways to make a file, both: write, fsync, name, fsync of the folder:
 *   file_draft + file_draft_link: O_TMPFILE, linked through /proc/self/fd, never a temporary name;
 *     a crash leaves nothing. For immutable files (messages).
 *   file_replace: temporary name ".NAME.RANDOM", renamed over NAME; a crash leaves at most that
 *     temporary name, which file_remove_stale() of the owner's start removes.
 */
#include "base/str.h"

/* Directory fd, O_PATH not set. -errno. */
must_use int folder_open(int dirfd, const char *path, int *ret_fd);
/* mkdir if missing (mode), then opens; a new folder is fsynced into its parent. */
must_use int folder_make(int dirfd, const char *name, mode_t mode, int *ret_fd);
must_use int folder_sync(int dirfd);
/* Calls fn for each name that does not begin with a dot; ends at its first answer that is not 0. */
must_use int folder_each(int dirfd, int (*fn)(const char *name, void *context), void *context);

/* An unnamed file in the folder, for writing. -EOPNOTSUPP where the file system has none. */
must_use int file_draft(int dirfd, mode_t mode, int *ret_fd);
/* fsync, link as name, fsync of the folder. -EEXIST when the name is taken. Does not close fd. */
must_use int file_draft_link(int fd, int dirfd, const char *name);
/* The two halves of it, for who links several files and syncs the folder once. */
must_use int file_draft_link_unsynced(int fd, int dirfd, const char *name);
/*
 * A file that was there keeps its mode and owner (-EPERM where only root could give it that owner);
 * a new one has exactly this mode, whatever the umask.
 */
must_use int file_replace(int dirfd, const char *name, struct span contents, mode_t mode);
/* Moves a finished file (closed, synced) over another name of the same folder, then syncs it. */
must_use int file_rename(int dirfd, const char *from, const char *to);
/*
 * Moves a file to another folder of the same file system, over nothing (-EEXIST); syncs both. One
 * that was cut short has left both names, and is finished by another.
 */
must_use int file_move(int dirfd, const char *name, int to_dirfd, const char *to_name);
/* Removes ".NAME.*" temporaries older than age_s. */
must_use int file_remove_stale(int dirfd, int age_s);

/* Whole regular file, at most out->max bytes; O_NOFOLLOW. -EFBIG past it. */
must_use int file_read(int dirfd, const char *name, struct str *out);
/* Writes all, whatever the kernel's pieces. */
must_use int fd_write_all(int fd, struct span bytes);
must_use int fd_pread_all(int fd, void *buffer, size_t n, uint64_t offset); /* -EIO when shorter */
#endif
