#!/usr/bin/env bats
# Bad input over real connections: the documented answer, within limits, in flat memory. One function
# of hostile.py per test; each ends by asking whether the server still serves others.
load common

setup_file() {
	# freed memory that ASan keeps back would hide what the handlers use
	export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1"
	ulimit -n 200 # far fewer than messages come at once
	start_localserve
	# waits for half a minute: beside the others
	python3 -B "$BATS_TEST_DIRNAME/hostile.py" silent_clients >"$DIR/silent" 2>&1 3>&- &
	echo $! >"$DIR/silent.pid"
	sleep 1
}
teardown_file() {
	kill "$(<"$DIR/silent.pid")" 2>/dev/null || true
	stop_localserve
}

play() {
	succeed python3 -B "$BATS_TEST_DIRNAME/hostile.py" "$1"
	[[ $output == *"$1: all good"* ]]
}

@test "IMAP before the login: nonsense, wrong state, NULs, 8 bit, bare CR (RFC 9051 6.2)" { play imap_unauthenticated; }
@test "IMAP before the login: literals that are too large, too many, endless (RFC 7888)" { play imap_login_literals; }
@test "IMAP: too long and endless lines, before and after the login" { play imap_long_lines; }
@test "IMAP: limits of the grammar: depth, lists, numbers, sequence sets (RFC 9051 9)" { play imap_grammar; }
@test "IMAP: literals after the login, broken-off APPEND and IDLE" { play imap_literals; }
@test "SASL: broken base64, aborts and over-long responses at every step (RFC 4954, RFC 9051 6.2.2)" { play sasl_aborts; }
@test "STARTTLS: bytes behind it, twice, rubbish for a handshake (RFC 3207, RFC 9051 6.2.1)" { play starttls; }
@test "submission before the login: 530, syntax, too many errors (RFC 6409 4.3)" { play smtp_unauthenticated; }
@test "submission: AUTH over a TLS key, broken (RFC 4954)" { play smtp_auth_over_key; }
@test "submission: syntax of commands, paths and parameters (RFC 5321 4.1)" { play smtp_syntax; }
@test "submission: 1,001 recipients" { play smtp_recipients; }
@test "submission: smuggling by bare CR and LF (RFC 5321 4.1.1.4)" { play smtp_smuggling; }
@test "submission: messages that are refused, and the connection stays" { play smtp_messages; }
@test "submission: BDAT (RFC 3030)" { play bdat; }
@test "commands pipelined behind a login, half-closed" { play pipelining; }
@test "memory: 100 MiB by APPEND, FETCH and DATA" { play large_messages; }
@test "memory: picks from a large header" { play large_headers; }

wait_for_silent_clients() {
	local tries
	for ((tries = 0; tries < 400; tries++)); do
		kill -0 "$(<"$DIR/silent.pid")" 2>/dev/null || break
		sleep 0.1
	done
}

@test "more messages at once than a process may have files open" { play backlog; }

@test "clients that say nothing: 30 s, then the last words" {
	wait_for_silent_clients
	output=$(<"$DIR/silent")
	[[ $output == *"silent_clients: all good"* ]] || {
		echo "$output"
		return 1
	}
}

@test "nothing is left: processes, zombies, files on the way, cores, signs of a crash" {
	wait_for_silent_clients
	for ((tries = 0; tries < 100; tries++)); do
		[ -n "$(pgrep -P "$SERVER")" ] || break
		sleep 0.1
	done
	run pgrep -a -P "$SERVER" # zombies, too
	[ -z "$output" ] || {
		echo "$output"
		return 1
	}
	run find "$DIR/state/queue/incoming" "$DIR/state/queue/wake" "$DIR/state/queue/msg" "$DIR/state/queue/bad" -type f
	[ -z "$output" ] || {
		echo "$output"
		return 1
	}
	run find "$DIR/state" "$PWD" -maxdepth 4 \( -name '*.tmp' -o -name '.tmp*' -o -name '#*' -o -name core -o -name 'core.[0-9]*' \)
	[ -z "$output" ] || {
		echo "$output"
		return 1
	}
	run grep -E 'AddressSanitizer|LeakSanitizer|runtime error:|ended by signal|Assertion' "$DIR/log" "$DIR.log"
	[ "$status" -eq 1 ] || {
		echo "$output"
		return 1
	}
}
