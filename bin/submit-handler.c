/* submit-handler(8): one message-submission connection. */
#include "gate/handler.h"
#include "submitd/submitd.h"

int main(int argc, char **argv)
{
	static const struct handler handler = {.program = "submit-handler",
	    .protocol = PROTOCOL_SUBMISSION,
	    .serve = submitd_serve,
	    .log = log_line};
	return handler_main(argc, argv, &handler);
}
