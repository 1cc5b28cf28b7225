#!/usr/bin/env bats
# SIGKILL at each system call that changes something on disk; see kill_points.py. FAULT_STRIDE=1, the
# default, tries all of them.

kill_at() {
	[ "$(id -u)" -eq 0 ] || skip "strace attaches to undumpable processes as root only"
	run timeout 200 /usr/bin/python3 "$BATS_TEST_DIRNAME/kill_points.py" "$@"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "submit-handler killed at every call: what got 250 is delivered once, what did not at most once" {
	kill_at kill submit-gate submit-session
}

@test "imap-handler killed at every call: the state after the last OK, or after the next" {
	kill_at kill imap-gate imap-session
}

@test "queue-runner killed at every call: all is delivered, nothing again that was noted" {
	kill_at kill runner-runner
}

@test "workers killed at every call: the runner goes on, all is delivered" {
	kill_at kill runner-local runner-remote
}
