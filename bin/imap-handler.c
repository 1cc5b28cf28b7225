/* imap-handler(8): one IMAP connection. */
#include "gate/handler.h"
#include "imapd/imapd.h"

int main(int argc, char **argv)
{
	static const struct handler handler = {.program = "imap-handler",
	    .protocol = PROTOCOL_IMAP,
	    .serve = imapd_serve,
	    .log = log_line};
	return handler_main(argc, argv, &handler);
}
