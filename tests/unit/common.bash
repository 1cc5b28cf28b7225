# Runs one unit test program with its arguments; its own TAP is shown when it fails.
run_unit() {
	run timeout 120 "$BUILD/tests/$1" "${@:2}"
	[ "$status" -eq 0 ] || {
		grep -v '^ok ' <<<"$output"
		return 1
	}
}
