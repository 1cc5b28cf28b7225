#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "admin/localserve.h"

enum { BACKLOG = 128 };

static int listen_on(const struct sockaddr *address, socklen_t size, int *ret_fd);
static uint16_t port_of(int fd);

int localserve_listen(struct localserve *s, uint16_t port_base)
{
	static const uint16_t offsets[LOCALSERVE_SERVICE_COUNT] = {143, 993, 587, 465};
	size_t n = 0;
	for (int i = 0; i < LOCALSERVE_SERVICE_COUNT; i++) {
		uint16_t port = port_base ? (uint16_t)(port_base + offsets[i]) : 0;
		struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
		v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		int rc = listen_on((const struct sockaddr *)&v4, sizeof(v4), &s->listeners[n]);
		if (rc < 0)
			return problem(status_of(rc), "127.0.0.1 port %u: %s%s", port,
			    strerror(-rc), rc == -EADDRINUSE ? "; choose another --port-base" : "");
		s->services[n] = (enum localserve_service)i;
		s->ports[i] = port_of(s->listeners[n++]);
		struct sockaddr_in6 v6 = {.sin6_family = AF_INET6,
		    .sin6_port = htons(s->ports[i]),
		    .sin6_addr = IN6ADDR_LOOPBACK_INIT};
		rc = listen_on((const struct sockaddr *)&v6, sizeof(v6), &s->listeners[n]);
		if (rc == 0)
			s->services[n++] = (enum localserve_service)i;
		else if (rc == -EADDRINUSE && port != 0)
			return problem(STATUS_TEMPORARY,
			    "::1 port %u: %s; choose another --port-base", port, strerror(-rc));
		/* Anything else: there is no IPv6 here. */
	}
	return STATUS_OK;
}

static int listen_on(const struct sockaddr *address, socklen_t size, int *ret_fd)
{
	const int yes = 1;
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) < 0 ||
	    (address->sa_family == AF_INET6 &&
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes)) < 0) ||
	    bind(fd, address, size) < 0 || listen(fd, BACKLOG) < 0) {
		int error = -errno;
		close_fd(&fd);
		return error;
	}
	*ret_fd = fd;
	return 0;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in address = {0};
	socklen_t size = sizeof(address);
	return getsockname(fd, (struct sockaddr *)&address, &size) < 0 ? 0
								       : ntohs(address.sin_port);
}
