# Runs one unit test program; its own TAP is shown when it fails.
run_unit() {
	run timeout 120 "$BUILD/tests/$1"
	[ "$status" -eq 0 ] || {
		grep -v '^ok ' <<<"$output"
		return 1
	}
}
