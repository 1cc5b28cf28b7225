#!/usr/bin/env bats
# shellcheck disable=SC2016 # expanded in the other root
# What this machine's Debian cannot show: another compiler, and OpenSSL 3.5, where raw public keys
# (RFC 7250) exist and certificates could come compressed. Needs root, and Debian's mirror.
load common

setup() {
	MIRROR=http://deb.debian.org/debian
	ROOT=$(mktemp -d /tmp/postern-debian13.XXXXXX)
}

# All mounts are made in a namespace of the command's own, so that nothing is left to be unmounted.
teardown() {
	rm -rf --one-file-system "$ROOT"
}

in_root() { # SECONDS COMMAND: in the work tree's copy, with nothing of this bats in the environment
	run timeout "$1" unshare --mount --pid --fork --kill-child sh -c '
		mount --bind /dev "$1/dev" && mount -t proc proc "$1/proc" && mount -t tmpfs run "$1/run" &&
		exec chroot "$1" env -i PATH=/usr/sbin:/usr/bin HOME=/root sh -c "cd /root/postern && $2"' sh "$ROOT" "$2"
	[ "$status" -eq 0 ] || {
		echo "$2 -> $status"
		echo "$output"
		return 1
	}
}

@test "Debian 13: it builds, unit tests pass, keys log in with and without a certificate" {
	curl -sfIm 20 "$MIRROR/dists/trixie/InRelease" >/dev/null || skip "Debian's mirror cannot be reached"
	local packages
	packages=$("$SOURCE_DIR/scripts/deps" --list | tr -s ' \n' ,)
	run timeout 900 debootstrap --variant=minbase --include="$packages,bats,curl,openssl,procps,xz-utils" trixie "$ROOT" "$MIRROR"
	[ "$status" -eq 0 ] || {
		echo "$output" | tail -n 20
		return 1
	}
	echo "127.0.0.1 localhost" >"$ROOT/etc/hosts"
	mkdir "$ROOT/root/postern"
	(cd "$SOURCE_DIR" && tar -c --exclude=./build --exclude=./.git .) | tar -xC "$ROOT/root/postern"
	in_root 600 "make -s -j$(nproc) FLAVOUR=release tests"
	in_root 300 'FLAVOUR=release BUILD=$PWD/build/release bats -f "unit:" tests/unit'
	in_root 120 'FLAVOUR=release BUILD=$PWD/build/release bats -f "openssl s_client" tests/e2e/auth_clients.bats'
	[[ $output == *"ok "*"(RFC 7250)"* && $output != *"# skip"* ]]
}
