# shellcheck shell=bash disable=SC2154 # status and output are bats'
# Shared by the installation tests: they need root, a Linux with user namespaces off or on, and make
# everything they touch inside a throwaway box (sdbox) or network namespace.
INSTALL_DIR=$BATS_TEST_DIRNAME
SOURCE_DIR=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)

# in_box SCRIPT [ARG…]: runs a script of tests/install/ inside a box with a real systemd as PID 1.
# The work tree is seen through the overlay of /, or bound where it is on a mount of its own.
in_box() {
	local extra=()
	[ "$(stat -c %d "$SOURCE_DIR")" = "$(stat -c %d /)" ] || extra=(-o "$SOURCE_DIR")
	run timeout 240 "$INSTALL_DIR/sdbox" "${extra[@]}" -- \
		env SOURCE_DIR="$SOURCE_DIR" BUILD="$BUILD" "$INSTALL_DIR/$1" "${@:2}"
	[ "$status" -eq 0 ] || {
		echo "$output"
		return 1
	}
}
