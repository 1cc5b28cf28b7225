#!/usr/bin/env bats
# Gate, session and relay through tests/tools/fake_handler; one function of handler.py per test.
load instance
export PLAYED=handler.py

setup_file() {
	make_instance
}

# The probe is in builds with fault points only.
with_fault_points() {
	[ "$FLAVOUR" = release ] && skip "a release build has no fault points"
	play "$1"
}

@test "IMAP: greetings by key and preauth mode" { play imap_greetings; }
@test "TLS 1.2: only keys that may" { play tls12; }
@test "STARTTLS (RFC 9051 6.2.1, RFC 3207)" { play starttls; }
@test "IMAP before authentication (RFC 9051 6.1, 6.2)" { play imap_dialogue; }
@test "IMAP: broken and broken-off authentications" { play imap_sasl; }
@test "commands pipelined behind the authenticating one" { play pipelining; }
@test "submission before authentication (RFC 6409 4.3, RFC 4954)" { play submission; }
@test "plain text where it is allowed" { play plaintext; }
@test "a tunnel on a pipe" { play tunnel; }
@test "slower after three failures, closed after ten" { play many_failures; }
@test "relay: a client that sends and does not read" { play slow_reader; }
@test "relay: half-close" { play half_close; }
@test "relay: a session that hangs" { play hanging_session; }
@test "relay: a client that writes in small pieces" { play small_pieces; }
@test "SIGTERM before the login, and between commands of a submission" { play sigterm; }
@test "salts of names that may not log in" { play fake_salts; }
@test "a revoked key ends the session that used it" { play live_revocation; }

@test "code inside a gate, Landlock as the kernel has it" { with_fault_points probe_gate; }
@test "code inside a gate, Landlock ABI 2" { POSTERN_LANDLOCK_ABI=2 with_fault_points probe_gate; }
@test "code inside a gate, no Landlock" { POSTERN_LANDLOCK_ABI=0 with_fault_points probe_gate; }
@test "code inside a session, Landlock as the kernel has it" { with_fault_points probe_session; }
@test "code inside a session, Landlock ABI 2" {
	POSTERN_LANDLOCK_ABI=2 with_fault_points probe_session
}
@test "code inside a session before the yes, Landlock as the kernel has it" {
	with_fault_points probe_session_before
}
@test "code inside a session before the yes, Landlock ABI 2" {
	POSTERN_LANDLOCK_ABI=2 with_fault_points probe_session_before
}
@test "a forbidden call ends the process" { with_fault_points forbidden_calls_kill; }
@test "a release build has no fault points" {
	[ "$FLAVOUR" = release ] || skip "not a release build"
	for name in imap-handler submit-handler; do
		run grep -c -a -e probe-gate -e POSTERN_PROBE -e POSTERN_LANDLOCK_ABI "$BUILD/bin/$name"
		[ "$output" = 0 ]
	done
}
