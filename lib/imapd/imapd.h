#ifndef POSTERN_IMAPD_IMAPD_H
#define POSTERN_IMAPD_IMAPD_H
/*
 * The IMAP server behind the login: IMAP4rev1 (RFC 3501) with the extensions that
 * imapd/capability.c announces, over one account's store. Serves one connection in plain text until
 * it ends.
 *
 * Expects SIGPIPE to be ignored; installs handlers of SIGTERM and SIGALRM: after SIGTERM the
 * command that runs is finished, then the client is told BYE.
 */
#include "gate/handler.h"

/* Speaks IMAP on s->peer, from the greeting (or the answer to the authenticating command) on.
 * Answers the exit status. What s owns stays the caller's. */
int imapd_serve(struct session *s);
#endif
