# shellcheck shell=bash disable=SC2154 # INSTANCE is instance.bash's
# The instance and keys of authentication.py's tests; load instance goes before.
export PLAYED=authentication.py

make_authentication_instance() {
	make_instance
	cat >"$INSTANCE/conf.d/more.conf" <<-'CONF'
		domain "bücher.example" { }
		account "zoe" { addresses = {"zoë@bücher.example", "zoe@example.org"} }
	CONF
	echo 'account "fay" { addresses = {"fay@example.org"} }' >"$INSTANCE/conf.d/fay.conf"
	postern config apply
	# e + U+0301, NO-BREAK SPACE, EN SPACE, HAIR SPACE: the same password as "tést" and 4 spaces
	printf 'te\u0301st \u00a0\u2002\u200a\n' | postern account password zoe
	set_passwords fay
	make_keys second fay fay-no fay-tolerant zoe removed
	register second al
	register removed alice --allow-tls12
	register fay fay
	register fay-no fay --preauth=no
	register fay-tolerant fay --preauth=tolerant
	register zoe zoe --preauth=no
}
