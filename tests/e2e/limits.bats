#!/usr/bin/env bats
# Limits on guessing, keys that wait for approval, -PLUS that is hidden: what the memory of attempts
# does, through the real handlers. One function of limits.py per test.
load instance
export PLAYED=limits.py

setup_file() {
	make_instance
	cat >>"$INSTANCE/postern.conf" <<-'CONF'
		sasl-mechanisms = {SCRAM-SHA-512-PLUS, SCRAM-SHA-512, SCRAM-SHA-256-PLUS, SCRAM-SHA-256, CRAM-MD5, PLAIN, EXTERNAL}
		account "cram" { addresses = {"cram@example.org"} cram-md5 = yes }
	CONF
	postern config apply
	set_passwords cram
}

@test "a full address bucket: delay, then BYE or 421 before anything is looked at" { play full_address; }
@test "a full account bucket does not lock out whoever logged in before" { play full_account; }
@test "guesses side by side: no more are answered than a bucket holds" { play guesses_at_once; }
@test "a SCRAM guess counts however the client takes its failure" { play guesses_broken_off; }
@test "a full network bucket does not lock out whoever logged in before" { play neighbours; }
@test "guesses over a key are bounded on any number of connections" { play guesses_over_key; }
@test "a success takes back its own failures only" { play success_clears_own_pair; }
@test "submission, AUTH over a key: slower, closed after ten" { play failures_over_key; }
@test "an unknown key and then a password: pending, approved" { play pending; }
@test "pending: at most eight, and none that another account has" { play pending_bounds; }
@test "-PLUS is hidden after it was given up, and y is refused all the same" { play plus_hidden; }
@test "-PLUS given up over a known key" { play plus_hidden_over_key; }
@test "-PLUS is not hidden from whom it has served" { play plus_has_served; }
@test "-PLUS is not hidden from whom it has served over a key" { play plus_has_served_over_key; }
@test "-PLUS is not hidden where the configuration says so" { play plus_shown_by_configuration; }
@test "CRAM-MD5: only for the account that may (RFC 2195)" { play cram_md5; }
@test "SCRAM-SHA-512 where it is enabled" { play scram_sha_512; }
@test "PREAUTH and a client that logs in: the log says what helps" { play preauth_hint; }
@test "history: what was tried, last use" { play history; }

@test "history: a second authentication over a key, and its client's name" { play history_over_key; }
@test "history: hung up, a key that may not" { play history_of_failures; }

@test "fail2ban's filter matches guesses, and nothing a client can forge" {
	command -v fail2ban-regex >/dev/null || skip "fail2ban is not installed"
	play log_lines
	sed 's/^/Nov 23 22:00:00 mx /' "$INSTANCE/log-lines" >"$INSTANCE/mail.log"
	mkdir "$INSTANCE/filter.d" # with what the filter includes
	cp /etc/fail2ban/filter.d/common.conf "$BATS_TEST_DIRNAME/../../units/fail2ban-postern.conf" "$INSTANCE/filter.d"
	run fail2ban-regex --print-all-matched "$INSTANCE/mail.log" "$INSTANCE/filter.d/fail2ban-postern.conf"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"Failregex: 4 total"* ]]
	# and of each the address that it came from
	run fail2ban-regex -o ip "$INSTANCE/mail.log" "$INSTANCE/filter.d/fail2ban-postern.conf"
	[ "$output" = $'127.5.5.1\n127.5.5.2\n127.5.5.3\n127.5.5.5' ]
}
