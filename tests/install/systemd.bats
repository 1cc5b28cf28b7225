#!/usr/bin/env bats
# The installed system under a real systemd, in a throwaway box. Needs root.
load common

@test "units: systemd-analyze verify finds nothing" {
	run "$INSTALL_DIR/verify-units"
	[ "$status" -eq 0 ] || { echo "$output"; return 1; }
}

@test "systemd: sockets, 50 submissions, a burst of connections, BYE at stop" {
	in_box systemd.sh
	[[ $output == *"systemd: all good"* ]]
}

@test "README.md: set it up, and log in with a key, as it stands there" {
	in_box readme.sh
	[[ $output == *"README: all good"* ]]
}
