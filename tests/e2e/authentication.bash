# shellcheck shell=bash disable=SC2154 # status and output are bats', INSTANCE and KEYS instance.bash's
# The instance and keys of authentication.py's tests, and how one is run.

make_authentication_instance() {
	make_instance
	local postern="$BUILD/bin/postern" name
	cat >"$INSTANCE/conf.d/more.conf" <<-'CONF'
		domain "bücher.example" { }
		account "zoe" { addresses = {"zoë@bücher.example", "zoe@example.org"} }
	CONF
	echo 'account "fay" { addresses = {"fay@example.org"} }' >"$INSTANCE/conf.d/fay.conf"
	"$postern" --instance "$INSTANCE" config apply
	# e + U+0301, NO-BREAK SPACE, EN SPACE, HAIR SPACE: the same password as "tést" and 4 spaces
	printf 'te\u0301st \u00a0\u2002\u200a\n' | "$postern" --instance "$INSTANCE" account password zoe
	echo wonderland-fay | "$postern" --instance "$INSTANCE" account password fay
	for name in second fay fay-no fay-tolerant zoe removed; do
		"$postern" tlspubkey gen --p256 "$KEYS/$name" >/dev/null
	done
	register second al
	register removed alice --allow-tls12
	register fay fay
	register fay-no fay --preauth=no
	register fay-tolerant fay --preauth=tolerant
	register zoe zoe --preauth=no
}

play() {
	cd "$BATS_TEST_DIRNAME" || return 1
	run timeout 100 python3 -B authentication.py "$@"
	[ "$status" -eq 0 ] || {
		echo "$output"
		return 1
	}
}
