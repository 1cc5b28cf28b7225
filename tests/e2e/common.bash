# shellcheck shell=bash disable=SC2154 # status, output, BUILD are bats' and tests/run's
# A running localserve per test file: start_localserve in setup_file, stop_localserve in
# teardown_file. Afterwards: $DIR, $IMAP, $IMAPS, $SUBMISSION, $SUBMISSIONS (ports), $PASSWORD.

free_port_base() {
	local base port
	while :; do
		base=$((10000 + RANDOM % 21000)) # below where the kernel takes ports for clients
		for port in 143 993 587 465; do
			! (exec 3<>"/dev/tcp/127.0.0.1/$((base + port))") 2>/dev/null || continue 2
		done
		echo "$base"
		return
	done
}

start_localserve() {
	DIR=$(mktemp -d /tmp/postern-e2e.XXXXXX)
	local base
	base=$(free_port_base)
	export DIR IMAP=$((base + 143)) IMAPS=$((base + 993)) SUBMISSION=$((base + 587)) SUBMISSIONS=$((base + 465))
	"$BUILD/bin/postern" localserve --dir "$DIR" --port-base "$base" >"$DIR.log" 2>&1 3>&- &
	export SERVER=$!
	local tries
	for ((tries = 0; tries < 400; tries++)); do
		[ ! -e "$DIR/ready" ] || break
		kill -0 "$SERVER" 2>/dev/null || break
		sleep 0.05
	done
	[ -e "$DIR/ready" ] || {
		cat "$DIR.log"
		kill -KILL "$SERVER" 2>/dev/null
		rm -rf "$DIR" "$DIR.log"
		return 1
	}
	PASSWORD=$(sed -n 's/^user@localhost //p' "$DIR/passwords")
	export PASSWORD
}

# Ends the server and checks what every test promises: nothing of it stays, no sanitizer report.
stop_localserve() {
	kill -TERM "$SERVER" 2>/dev/null
	local tries
	for ((tries = 0; tries < 200; tries++)); do
		kill -0 "$SERVER" 2>/dev/null || break
		sleep 0.05
	done
	! kill -0 "$SERVER" 2>/dev/null || {
		echo "localserve does not end"
		kill -KILL "$SERVER"
		return 1
	}
	! pgrep -f -- "--instance $DIR" || { echo "processes stay"; return 1; }
	! grep -sE 'ERROR: (Address|Leak)Sanitizer|runtime error:' "$DIR.log" "$DIR/log" || return 1
	rm -rf "$DIR" "$DIR.log"
}

# succeed COMMAND…: runs it with a time limit; on failure shows its output and the server's log.
succeed() {
	run timeout 60 "$@"
	[ "$status" -eq 0 ] || {
		echo "$* -> $status"
		echo "$output"
		echo "--- log"
		tail -n 30 "$DIR.log"
		return 1
	}
}

# message SUBJECT: a small message on standard output.
message() {
	printf 'From: user@localhost\r\nTo: user@localhost\r\nSubject: %s\r\n\r\nHello, %s.\r\n' "$1" "$1"
}

# wait_for_subject SUBJECT: until the message is in user's INBOX.
wait_for_subject() {
	local tries
	for ((tries = 0; tries < 100; tries++)); do
		if curl -s --cacert "$DIR/server.pem" --cert "$DIR/clients/user.pem" \
			"imaps://localhost:$IMAPS/INBOX?SUBJECT%20\"$1\"" | grep -q '^\* SEARCH [0-9]'; then
			return 0
		fi
		sleep 0.1
	done
	echo "no message \"$1\" in INBOX"
	tail -n 30 "$DIR.log"
	return 1
}
