# shellcheck shell=bash disable=SC2154 # status and output are bats'
# Makes an instance in $INSTANCE and client keys in $KEYS, once per file of tests.
#
# Accounts: alice (alice@ and al@example.org), bob, off (disabled); password wonderland-NAME.
# Keys: yes, no, tolerant (alice; preauth), bob, old (bob; TLS 1.2, too), revoked (bob), off,
# stranger (registered nowhere).
make_instance() {
	export INSTANCE=$BATS_FILE_TMPDIR/instance KEYS=$BATS_FILE_TMPDIR/keys
	mkdir -p "$INSTANCE/conf.d" "$KEYS"
	(
		cd "$INSTANCE" || exit 1
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3000 \
			-keyout key.pem -out server.pem -subj /CN=localhost \
			-addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>"$BATS_FILE_TMPDIR/openssl"
		cat key.pem >>server.pem
		rm key.pem
		cat >postern.conf <<-'CONF'
			hostname = mx.example.org
			certificate { certificate-file = server.pem key-file = server.pem }
			domain "example.org" { }
			account "alice" { addresses = {"alice@example.org", "al@example.org"} }
			account "bob" { addresses = {"bob@example.org"} }
			account "off" { addresses = {"off@example.org"} disabled = yes disabled-text = "Pay first" }
		CONF
	)
	postern config apply
	set_passwords alice bob off
	make_keys yes no tolerant bob old revoked off stranger
	register yes alice --preauth=yes
	register no alice --preauth=no
	register tolerant alice --preauth=tolerant
	register bob bob
	register old bob --allow-tls12
	register revoked bob
	register off off
}

# register KEY ACCOUNT [OPTION]
register() {
	postern tlspubkey add "${@:3}" "$2@example.org" <"$KEYS/$1.certificate.pem" >/dev/null
}

postern() { "$BUILD/bin/postern" --instance "$INSTANCE" "$@"; }

# set_passwords ACCOUNT…: wonderland-ACCOUNT
set_passwords() {
	local name
	for name in "$@"; do
		echo "wonderland-$name" | postern account password "$name"
	done
}

# make_keys NAME…
make_keys() {
	local name
	for name in "$@"; do
		postern tlspubkey gen --p256 "$KEYS/$name" >/dev/null
	done
}

# play FUNCTION [ARGUMENT…]: one test of $PLAYED, a program in Python.
play() {
	cd "$BATS_TEST_DIRNAME" || return 1
	run timeout 200 python3 -B "$PLAYED" "$@"
	[ "$status" -eq 0 ] || {
		echo "$output"
		return 1
	}
}
