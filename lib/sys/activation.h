#ifndef POSTERN_SYS_ACTIVATION_H
#define POSTERN_SYS_ACTIVATION_H
/*
 * How a handler gets its connection: fd 0 when that is a socket (inetd, xinetd, systemd with
 * StandardInput=socket), else fd 3 by LISTEN_PID and LISTEN_FDS, else fds 0 and 1 as a pipe. The
 * connection moves to fds ≥ 3, and 0, 1 and (where it is the connection) 2 become /dev/null.
 * Addresses are the kernel's word, never the environment's. TCP connections get TCP_NODELAY: each
 * answer leaves in one write, and Nagle would hold the second one back for 40 ms.
 */
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/str.h"

enum activation_kind { ACTIVATION_SOCKET, ACTIVATION_UNIX, ACTIVATION_PIPE };
struct activation {
	enum activation_kind kind;
	int fd_in, fd_out; /* the same for sockets; O_CLOEXEC */
	bool stderr_is_log;
	struct sockaddr_storage peer,
	    local;	/* ACTIVATION_SOCKET: IPv4-mapped ones turned into IPv4 */
	uid_t peer_uid; /* ACTIVATION_UNIX: SO_PEERCRED */
};
/*
 * -ENOTCONN: neither a connected stream socket nor a pipe is there (a terminal, a listening or a
 * datagram socket, a peer that is gone already).
 */
must_use int activation_adopt(struct activation *ret);
/* "192.0.2.1" or "2001:db8::1"; "unix" for any other family. */
void address_format(const struct sockaddr_storage *address, struct str *out);
#endif
