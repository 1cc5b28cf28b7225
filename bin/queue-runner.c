/* queue-runner: takes in what was submitted, delivers what is due, exits. See queue-runner(8). */
#include <getopt.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/fault.h"
#include "relay/runner.h"
#include "sys/log.h"

static const char usage[] =
    "usage: queue-runner [--wait] [--instance DIR] [--log=stderr] [--clock FILE]\n"
    "Takes in what was submitted, delivers what is due, and exits; a second run ends at once.\n"
    "  --wait          stay, and wait for more\n"
    "  --instance DIR  a self-contained instance in DIR instead of the system's\n"
    "  --log=stderr    log to the standard error instead of syslog\n"
    "  --clock FILE    for tests: the time, in seconds since 1970, is what FILE holds\n";

static int usage_error(void)
{
	fputs(usage, stderr);
	return EX_USAGE;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"wait", no_argument, NULL, 'w'},
	    {"instance", required_argument, NULL, 'i'},
	    {"log", required_argument, NULL, 'l'},
	    {"clock", required_argument, NULL, 'c'},
	    {"help", no_argument, NULL, 'h'},
	    {0},
	};
	struct runner_options o = {0};
	struct paths paths = {0};
	const char *instance = NULL;
	bool log_to_stderr = false;
	for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (option) {
		case 'w': o.wait = true; break;
		case 'i': instance = optarg; break;
		case 'c': o.clock_file = optarg; break;
		case 'l':
			if (strcmp(optarg, "stderr") != 0)
				return usage_error();
			log_to_stderr = true;
			break;
		case 'h': fputs(usage, stdout); return 0;
		default: return usage_error();
		}
	}
	if (optind != argc)
		return usage_error();
	log_open("queue-runner", log_to_stderr);
	if (log_fd() < 0)
		log_open("queue-runner", true);
	paths_init(&paths, instance);
	o.paths = &paths;
	int status = runner_run(&o);
	paths_clear(&paths);
	return fault_check() ? EX_SOFTWARE : status;
}
