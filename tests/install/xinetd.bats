#!/usr/bin/env bats
# The installed system under a real xinetd, in a throwaway box. Needs root.
load common

@test "xinetd: log in, submit, deliver by cron's line, environment kept out" {
	in_box xinetd.sh
	[[ $output == *"xinetd: all good"* ]]
}
