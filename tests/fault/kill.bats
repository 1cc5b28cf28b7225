#!/usr/bin/env bats
# SIGKILL at each system call that changes something on disk, and other faults; see kill_points.py. To keep
# it below four minutes some kinds try every second or fourth point only; FAULT_STRIDE=1 tries all.

setup() {
	[ "$(id -u)" -eq 0 ] || skip "strace attaches to undumpable processes, and mounts, as root only"
	local parent=/tmp
	[ ! -d /dev/shm ] || parent=/dev/shm # nothing here needs a real disk
	FAULT_DIR=$(mktemp -d "$parent/postern-fault.XXXXXX")
	export FAULT_DIR
}
teardown() {
	[ -n "${FAULT_DIR:-}" ] || return 0
	! pgrep -f -- "$FAULT_DIR" || return 1
	rmdir "$FAULT_DIR"
}

points() { # COMMAND…
	run timeout 240 "$@"
	echo "$output"
	[ "$status" -eq 0 ]
}
driver=$BATS_TEST_DIRNAME/kill_points.py

@test "submit-handler killed at every call: what got 250 is delivered once, what did not at most once" {
	points /usr/bin/python3 "$driver" kill submit-gate submit-session
}

@test "imap-handler killed at every call: the state after the last OK, or after the next" {
	points /usr/bin/python3 "$driver" kill imap-gate imap-session
}

@test "queue-runner killed at every call: all is delivered, nothing again that was noted" {
	points /usr/bin/python3 "$driver" kill runner-runner
}

@test "workers killed at every call: the runner goes on, all is delivered" {
	points /usr/bin/python3 "$driver" kill runner-local runner-remote
}

@test "a failing system call: never an OK or 250 for what is not there" {
	points /usr/bin/python3 "$driver" fail
}

@test "power loss at every call: what was acknowledged had reached the disk" {
	points unshare -m --propagation private /usr/bin/python3 "$driver" powerloss
}

@test "a full disk: 452, NO [LIMIT], a delivery that waits, and nothing by half" {
	points unshare -m --propagation private /usr/bin/python3 "$driver" full
}

@test "postern killed at every call: done or not done, and done when said again" {
	points /usr/bin/python3 "$driver" kill postern-key-add postern-key-rm postern-password \
		postern-account-add postern-config-apply
}
