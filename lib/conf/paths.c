#include "conf/paths.h"

#include <fcntl.h>

#include "base/ascii.h"

enum { ACCOUNT_NAME_MAX = 64 };

static char *below(const char *instance, const char *name);

void paths_init(struct paths *p, const char *instance)
{
	if (!instance) {
		*p = (struct paths){
		    .etc = xstrdup("/etc/postern"),
		    .state = xstrdup("/var/lib/postern"),
		    .run = xstrdup("/run/postern"),
		    .drop = xstrdup("/var/spool/postern/drop"),
		};
		return;
	}
	*p = (struct paths){
	    .etc = xstrdup(instance),
	    .state = below(instance, "state"),
	    .run = below(instance, "run"),
	    .drop = below(instance, "drop"),
	};
}

void paths_clear(struct paths *p)
{
	free(p->etc);
	free(p->state);
	free(p->run);
	free(p->drop);
	*p = (struct paths){0};
}

int paths_open_state(const struct paths *p, int *ret_fd)
{
	int fd = open(p->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

bool account_name_is_valid(struct span name)
{
	if (name.n == 0 || name.n > ACCOUNT_NAME_MAX || name.p[0] == '.')
		return false;
	for (size_t i = 0; i < name.n; i++) {
		unsigned char c = (unsigned char)name.p[i];
		if (!ascii_is_lower(c) && !ascii_is_digit(c) && c != '.' && c != '_' && c != '-')
			return false;
	}
	return true;
}

static char *below(const char *instance, const char *name)
{
	size_t n = strlen(instance), extra = strlen(name);
	while (n > 1 && instance[n - 1] == '/')
		n--;
	char *path = xmalloc(n + 1 + extra + 1);
	memcpy(path, instance, n);
	path[n] = '/';
	memcpy(path + n + 1, name, extra + 1);
	return path;
}
