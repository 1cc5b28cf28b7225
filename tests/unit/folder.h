#ifndef POSTERN_TESTS_FOLDER_H
#define POSTERN_TESTS_FOLDER_H
/* Removes a test's folder and all in it. */
#include <ftw.h>
#include <stdio.h>

static inline int folder_remove_one(
    const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}
static inline bool folder_remove(const char *path)
{
	return nftw(path, folder_remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0;
}
#endif
