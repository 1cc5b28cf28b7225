#ifndef POSTERN_SUBMITD_SUBMITD_H
#define POSTERN_SUBMITD_SUBMITD_H
/*
 * The SMTP server as the session speaks it: message submission (RFC 6409) of one authenticated
 * account. What comes before authentication is the gate's.
 *
 * One flat loop: read a line, parse it (smtp/command.h), look up its entry in the command table,
 * check (may it come now?), proceed. All state of a message is one object (transaction.h), replaced
 * as a whole. Who may send what to whom is policy.c alone: another personality of this server
 * (LMTP, MX) replaces that file's decisions and the sink of the message, not the conversation.
 */
#include "gate/handler.h"

/*
 * Serves the connection of an authenticated account until QUIT, an error or its end. s->peer,
 * s->login, s->facts, s->config, s->global, s->account, s->arena, s->incoming_fd, s->wake_fd are
 * set. Answers the exit status of the process (0: ended in order).
 */
int submitd_serve(struct session *s);
#endif
