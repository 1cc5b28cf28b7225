#!/usr/bin/env bats
# `postern localserve` with the real handlers.

setup() {
	dir=$(mktemp -d)
	base=$((20000 + RANDOM % 20000))
	pid=
}
teardown() {
	[ -z "$pid" ] || kill -TERM "$pid" 2>/dev/null || true
	rm -rf "$dir"
}

@test "localserve --demo: one message there and back, and nothing left behind" {
	run timeout 60 "$BUILD/bin/postern" localserve --demo
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"without AUTH"* ]]
	[[ $output == *"* PREAUTH "* ]]
	[[ $output == *"Subject: There and back"* ]]
	timeout 60 "$BUILD/bin/postern" localserve --demo --dir "$dir/kept" >/dev/null
	timeout 60 "$BUILD/bin/postern" localserve --demo --dir "$dir/kept" >/dev/null
	[ -f "$dir/kept/server.pem" ]
	[ ! -e "$dir/kept/ready" ]
}

@test "localserve: open sessions end with it" {
	"$BUILD/bin/postern" localserve --dir "$dir/i" --port-base "$base" >"$dir/out" 2>&1 3>&- &
	pid=$!
	for ((n = 0; n < 200; n++)); do
		[ ! -e "$dir/i/ready" ] || break
		sleep 0.05
	done
	cd "$dir/i"
	(sleep 60 | openssl s_client -quiet -connect "127.0.0.1:$((base + 993))" -cert clients/user.pem \
		>"$dir/idle" 2>/dev/null) 3>&- &
	client=$!
	for ((n = 0; n < 100; n++)); do
		! grep -q PREAUTH "$dir/idle" || break
		sleep 0.05
	done
	grep -q PREAUTH "$dir/idle"
	handlers=$(pgrep -P "$pid")
	[ -n "$handlers" ]
	kill -TERM "$pid"
	wait "$pid"
	pid=
	for handler in $handlers; do
		run kill -0 "$handler"
		[ "$status" -ne 0 ]
	done
	pkill -P "$client" || true
}
