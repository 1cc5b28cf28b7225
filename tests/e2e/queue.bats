#!/usr/bin/env bats
# The queue-runner with a relay: another instance of Postern, running. Messages enter through the
# real submit-handler.
load common

setup_file() { start_localserve; }
teardown_file() { stop_localserve; }
teardown() { [ -z "$LISTENER" ] || kill "$LISTENER"; }

# sender CONF: an instance of its own in $A, with transport and route lines added; its domain
# localhost is split, so that all but its own accounts are routed.
sender() {
	A=$BATS_TEST_TMPDIR/a
	mkdir -p "$A/conf.d"
	cp "$DIR/server.pem" "$A/ca.pem"
	# shellcheck disable=SC2059 # the format says what stands around it
	(umask 077 && printf "${SECRET:-%s\n}" "$PASSWORD" >"$A/secret")
	(cd "$A" && "$BUILD/bin/postern" tlspubkey gen --p256 "$A/server" >/dev/null)
	cat >"$A/postern.conf" <<-E
		hostname = "a.example"
		certificate {
			certificate-file = "$A/server.pem"
			key-file = "$A/server.pem"
		}
		domain "localhost" {
			deliver = route
		}
		account "user" {
			addresses = {"user@localhost"}
			$2
		}
		$1
	E
	succeed "$BUILD/bin/postern" --instance "$A" config apply
	succeed "$BUILD/bin/postern" --instance "$A" account password user <<<"a long password"
}

submit() { # SUBJECT RECIPIENT…
	local subject=$1
	shift
	succeed swaks --pipe "$BUILD/bin/submit-handler --instance $A --allow-plaintext --log=stderr" \
		--auth PLAIN --auth-user user@localhost --auth-password "a long password" \
		--from user@localhost --to "$(IFS=,; echo "$*")" --header "Subject: $subject"
}

run_queue() {
	succeed "$BUILD/bin/queue-runner" --instance "$A" --log=stderr "$@"
}

# The INBOX of the sending instance, as text.
inbox_of_sender() {
	find "$A/state/mail/user/msg" -type f -exec cat {} + 2>/dev/null
}

relay() { # KIND PORT [MORE]
	printf 'transport "b" {\nkind = %s\nhost = "localhost"\nport = %s\nca-file = "%s"\n%s\n}\nroute {\ntransport = "b"\n}\n' \
		"$1" "$2" "$BATS_TEST_TMPDIR/a/ca.pem" "${3:-}"
}

password() {
	printf 'username = "user@localhost"\npassword-file = "%s"' "$BATS_TEST_TMPDIR/a/secret"
}

# listener [OPTION…]: one more of the relay's own, with implicit TLS, at $PORT; its log in $LOG.
listener() {
	LOG=$BATS_TEST_TMPDIR/listener.log PORT=$(($(free_port_base) + 143))
	systemd-socket-activate --inetd -a -l "127.0.0.1:$PORT" "$BUILD/bin/submit-handler" \
		--instance "$DIR" --implicit-tls --log=stderr "$@" >>"$LOG" 2>&1 3>&- &
	LISTENER=$!
	local tries
	for ((tries = 0; tries < 100; tries++)); do
		! grep -q "Listening on" "$LOG" || return 0
		sleep 0.05
	done
	cat "$LOG"
	return 1
}

# relayed_by CONF MECHANISM SUBJECT: the relay takes it, after one login of that kind and no other.
relayed_by() {
	rm -rf "$BATS_TEST_TMPDIR/a"
	sender "$1"
	: >"$LOG"
	submit "$3" second@localhost
	run_queue
	echo "$output"
	cat "$LOG"
	[[ $output == *"relayed "*"to=<second@localhost> transport=b host=localhost["* ]] || return 1
	[ "$(grep -c 'login result=' "$LOG")" -eq 1 ] || return 1
	grep -q "login result=ok .* account=user .* mechanism=$2 " "$LOG" || return 1
	local tries
	for ((tries = 0; tries < 100; tries++)); do
		! grep -rqs "Subject: $3" "$DIR/state/mail" || return 0
		sleep 0.05
	done
	return 1
}

# not_tried CONF WORDS: nothing is relayed, and no login was tried.
not_tried() {
	rm -rf "$BATS_TEST_TMPDIR/a"
	sender "$1"
	: >"$LOG"
	submit not-tried second@localhost
	run_queue
	echo "$output"
	[[ $output == *"deferred "*"transport=b"*"$2"* && $output != *"relayed "* ]] || return 1
	[ "$("$BUILD/bin/postern" --instance "$A" queue list | grep -c second@localhost)" -eq 1 ] || return 1
	! grep 'login result=' "$LOG"
}

@test "submissions with a password: the strongest mechanism, SCRAM-SHA-256-PLUS" {
	sender "$(relay submissions "$SUBMISSIONS" "$(password)")"
	submit relayed-scram second@localhost
	run_queue
	[[ $output == *"relayed "*"to=<second@localhost> transport=b host=localhost["* ]]
	grep -q 'result=ok .*mechanism=SCRAM-SHA-256-PLUS' "$DIR/log"
	grep -rqs "Subject: relayed-scram" "$DIR/state/mail" || sleep 2
	grep -rqs "Subject: relayed-scram" "$DIR/state/mail"
}

@test "submission (STARTTLS) with a pinned mechanism" {
	sender "$(relay submission "$SUBMISSION" "$(password)
mechanisms = {\"SCRAM-SHA-1\"}")"
	submit relayed-pinned second@localhost
	run_queue
	[[ $output == *"relayed "* ]]
	grep -q 'result=ok .*mechanism=SCRAM-SHA-1 ' "$DIR/log"
}

@test "submissions with a client key and no password" {
	sender "$(relay submissions "$SUBMISSIONS" "client-key-file = \"$DIR/clients/user.pem\"")"
	submit relayed-key second@localhost
	run_queue
	[[ $output == *"relayed "* ]]
}

@test "a relay that offers no AUTH: a client key is enough, beside a password, too; a password is not" {
	listener --sasl-mechanisms ""
	local key="client-key-file = \"$DIR/clients/user.pem\""
	relayed_by "$(relay submissions "$PORT" "$key")" TLS-KEY no-auth-key
	relayed_by "$(relay submissions "$PORT" "$key"$'\n'"$(password)")" TLS-KEY no-auth-both
	not_tried "$(relay submissions "$PORT" "$(password)")" "No mechanism that may be used; offered: none"
}

@test "a password is shown to a relay that is verified, or where nothing else is allowed" {
	listener --sasl-mechanisms PLAIN
	local both='mechanisms = {"SCRAM-SHA-256", "PLAIN"}' clear='mechanisms = {"PLAIN"}'
	local refused="No mechanism that may be used; offered: PLAIN"
	unverified() {
		relay submissions "$PORT" "$(password)"$'\nverify = none\n'"$1" | grep -v ca-file
	}
	not_tried "$(unverified "$both")" "$refused"
	not_tried "$(unverified 'mechanisms = {"PLAIN", "LOGIN", "CRAM-MD5"}')" "$refused"
	not_tried "$(unverified)" "$refused"
	not_tried "$(relay submissions "$PORT" "$(password)")" "$refused" # not by default
	relayed_by "$(unverified "$clear")" PLAIN clear-alone
	relayed_by "$(relay submissions "$PORT" "$(password)"$'\n'"$both")" PLAIN clear-verified
}

@test "the password is the first line of its file" {
	listener
	local conf contents
	conf=$(relay submissions "$PORT" "$(password)")
	for contents in '%s' '%s\n' '%s\r\n' '%s\nsecond line\n' '%s\n\n'; do
		SECRET=$contents relayed_by "$conf" SCRAM-SHA-256-PLUS first-line
	done
	rm -rf "$A"
	sender "$conf"
	printf 'another\n%s\n' "$PASSWORD" >"$A/secret"
	submit second-line second@localhost
	run_queue
	[[ $output == *"deferred "*"AUTH: the server refuses"* ]]
}

@test "a relay that refuses the login, or whose certificate is not trusted, delays and never fails" {
	sender "$(relay submissions "$SUBMISSIONS" "$(password)")"
	echo "not the password" >"$A/secret"
	submit refused second@localhost
	run_queue
	[[ $output == *"deferred "*"AUTH: the server refuses"* ]]
	[ "$("$BUILD/bin/postern" --instance "$A" queue list | grep -c second@localhost)" -eq 1 ]
	[[ $(inbox_of_sender) != *Undelivered* ]]
	# the same with a certificate of nobody's
	rm -rf "$A"
	sender "$(relay submissions "$SUBMISSIONS" "$(password)")"
	cp "$A/server.pem" "$A/ca.pem"
	submit untrusted second@localhost
	run_queue
	[[ $output == *"deferred "*certificate* ]]
}

@test "what the relay refuses comes back as a notice, one for all recipients, and is gone" {
	sender "$(relay submissions "$SUBMISSIONS" "$(password)")"
	submit bounced none@localhost nobody@localhost second@localhost
	run_queue
	[ "$(grep -c '^.*failed ' <<<"$output")" -eq 2 ]
	local inbox
	inbox=$(inbox_of_sender)
	[ "$(grep -c '^Subject: Undelivered mail' <<<"$inbox")" -eq 1 ]
	[[ $inbox == *"Final-Recipient: rfc822; none@localhost"*"Status: 5.1.1"*"Diagnostic-Code: smtp; 550"* ]]
	[[ $inbox == *"Final-Recipient: rfc822; nobody@localhost"* ]]
	[[ $inbox == *"Subject: bounced"* ]]
	run "$BUILD/bin/postern" --instance "$A" queue list
	[[ $output != *localhost* ]]
	[ -z "$(ls -A "$A/state/queue/msg")" ]
}

@test "routes: account before domain before global, evaluated anew at each attempt" {
	fail() { printf 'transport "%s" {\nkind = fail\ncode = 450\ntext = "by %s"\n}\n' "$1" "$1"; }
	sender "$(fail account; fail global; relay submissions "$SUBMISSIONS" "$(password)")" 'route {
		to-domain = {"localhost"}
		minimum-attempts = 1
		transport = "account"
	}'
	submit routed second@localhost
	run_queue
	# the account's route wants one attempt before; the global one matches
	[[ $output == *"relayed "*"transport=b"* ]]
	sed -i 's/transport = "b"/transport = "global"/' "$A/postern.conf"
	succeed "$BUILD/bin/postern" --instance "$A" config apply
	submit routed-again second@localhost
	run_queue
	[[ $output == *"deferred "*"transport=global"*"450 by global"* ]]
	echo $(($(date +%s) + 3600)) >"$A/clock"
	run_queue --clock "$A/clock"
	[[ $output == *"deferred "*"transport=account"*"attempt=2"*"450 by account"* ]]
	# the configuration of this moment counts
	sed -i 's/code = 450/code = 550/' "$A/postern.conf"
	succeed "$BUILD/bin/postern" --instance "$A" config apply
	echo $(($(date +%s) + 30000)) >"$A/clock"
	run_queue --clock "$A/clock"
	[[ $output == *"failed "*"transport=account"*"attempt=3"*"550 by account"* ]]
}

@test "schedule: attempts by the list, one notice of the delay, given up at the lifetime" {
	sender 'transport "later" {
		kind = fail
		code = 451
		text = "not now"
	}
	route {
		transport = "later"
	}
	schedule = {"10m", "1h"}
	delay-notice = 2h
	lifetime = 1d'
	submit slow x@example.org
	local start attempts=0 minute
	start=$(date +%s)
	run_queue
	for ((minute = 1; minute < 26 * 60; minute += 7)); do
		echo $((start + minute * 60)) >"$A/clock"
		"$BUILD/bin/queue-runner" --instance "$A" --log=stderr --clock "$A/clock" >>"$A/runs" 2>&1
	done
	cat "$A/runs"
	attempts=$(grep -c "to=<x@example.org>" "$A/runs")
	# 10 minutes, then every hour (±10 %) for a day
	[ "$attempts" -ge 22 ] && [ "$attempts" -le 29 ]
	[ "$(grep -c '^Subject: Delayed mail' <<<"$(inbox_of_sender)")" -eq 1 ]
	[ "$(grep -c '^Subject: Undelivered mail' <<<"$(inbox_of_sender)")" -eq 1 ]
	[[ $(inbox_of_sender) == *"Status: 4.4.7"* ]]
}

@test "a second runner ends at once; a message is not held up by a worker that hangs" {
	local port
	port=$((20000 + RANDOM % 30000))
	# accepts and says nothing
	nc -lk 127.0.0.1 "$port" >/dev/null 3>&- &
	local hang=$!
	sender "$(relay submission "$port" | sed 's/localhost/127.0.0.1/')"
	submit stuck x@example.org
	timeout 60 "$BUILD/bin/queue-runner" --instance "$A" --log=stderr >"$A/first" 2>&1 3>&- &
	local first=$!
	sleep 0.5
	run_queue
	[ -z "$output" ]
	submit quick user@localhost
	local tries
	for ((tries = 0; tries < 20; tries++)); do
		! inbox_of_sender | grep -q "Subject: quick" || break
		sleep 0.05
	done
	[ "$tries" -lt 20 ]
	kill "$first" "$hang" # the runner ends, and its worker with it
	wait "$first" "$hang" || true
	run pgrep -f -- "--instance $A"
	[ "$status" -eq 1 ]
}

@test "local mail does not wait for any number of hosts that hang" {
	local port transports="" routes="" i
	port=$((20000 + RANDOM % 30000))
	nc -lk 127.0.0.1 "$port" >/dev/null 3>&- &
	local hang=$!
	for ((i = 0; i < 6; i++)); do
		transports+="transport \"t$i\" {
			kind = submission
			host = \"127.0.0.1\"
			port = $port
		}
		"
		routes+="route {
			to-domain = {\"d$i.example\"}
			transport = \"t$i\"
		}
		"
	done
	sender "concurrency = 3
		$transports $routes"
	for ((i = 0; i < 6; i++)); do submit stuck "x@d$i.example"; done
	timeout 60 "$BUILD/bin/queue-runner" --instance "$A" --log=stderr >"$A/first" 2>&1 3>&- &
	local first=$!
	sleep 0.5
	submit quick user@localhost
	for ((i = 0; i < 20; i++)); do
		! inbox_of_sender | grep -q "Subject: quick" || break
		sleep 0.05
	done
	kill "$first" "$hang"
	wait "$first" "$hang" || true
	[ "$i" -lt 20 ]
}

@test "a damaged queue: says which file and what to do, and does not start over at once" {
	sender ""
	submit damaged user@localhost
	head -c 20000 /dev/urandom >"$A/state/queue/queue.tdb"
	local started=$SECONDS
	# INVOCATION_ID: as systemd starts it
	INVOCATION_ID=1 run "$BUILD/bin/queue-runner" --instance "$A" --log=stderr
	[ "$status" -eq 75 ]
	[[ $output == *"queue/queue.tdb"*"backup"* ]]
	[ $((SECONDS - started)) -ge 9 ]
	# nothing was lost: the message is where submission put it
	[ "$(find "$A/state/queue/incoming/user" -type f | wc -l)" -eq 1 ]
}
