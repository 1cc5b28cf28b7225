#!/usr/bin/env bats
# One @test per unit test program of lib/store.
load common

@test "unit: store" { run_unit test_store; }
@test "unit: store under several processes and kill -9" { run_unit test_store_crash; }
@test "unit: store with a large mailbox" { run_unit test_store_size; }
@test "unit: store killed at each system call that writes" {
	command -v strace >/dev/null || skip "no strace"
	[ "$FLAVOUR" != sanitize ] || skip "strace and the leak checker exclude each other"
	run timeout 200 bash tests/unit/store_kill.bash "$BUILD/tools/store_steps"
	[ "$status" -eq 0 ] || {
		grep -v Killed <<<"$output"
		return 1
	}
}
