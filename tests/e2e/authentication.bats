#!/usr/bin/env bats
# Logging in with TLS keys, through the real handlers; one function of authentication.py per test.
load instance
load authentication

setup_file() {
	make_authentication_instance
	make_odd_certificates 2>"$BATS_FILE_TMPDIR/openssl"
}

# odd.pem is registered; the others are certificates of other kinds on the same key.
make_odd_certificates() {
	cd "$KEYS" || return 1
	local name
	openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out odd.key.pem
	openssl req -x509 -key odd.key.pem -days 3000 -subj /CN=odd -out odd.certificate.pem
	register odd alice
	openssl req -new -key odd.key.pem -subj /CN=expired -out request.pem
	touch index.txt index.txt.attr
	openssl ca -batch -selfsign -keyfile odd.key.pem -in request.pem -out expired.certificate.pem -outdir . \
		-startdate 20200101000000Z -enddate 20200201000000Z -notext -md sha256 \
		-config <(printf '[ca]\ndefault_ca=x\n[x]\ndatabase=index.txt\npolicy=y\nrand_serial=yes\n[y]\ncommonName=optional\n')
	openssl req -x509 -key odd.key.pem -days 3000 -subj / -out nameless.certificate.pem
	openssl req -x509 -key odd.key.pem -days 3000 -subj /CN=usage -out usage.certificate.pem \
		-addext extendedKeyUsage=critical,codeSigning -addext keyUsage=critical,cRLSign
	openssl req -x509 -key odd.key.pem -days 10 -subj /CN=odd/O=again -set_serial 7 -out reissued.certificate.pem
	openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key.pem -days 3000 -subj /CN=Anyone -out ca.pem
	openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key.pem -days 3000 -set_serial 8 -out signed.certificate.pem
	cat ca.pem >>signed.certificate.pem # a chain, as mail programs send it
	for name in odd expired nameless usage reissued signed; do
		cat odd.key.pem "$name.certificate.pem" >"$name.pem"
	done
	# the same names and number as odd.pem's, but another key
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3000 -subj /CN=odd -keyout other.pem -out other.crt \
		-set_serial "0x$(openssl x509 -in odd.certificate.pem -noout -serial | cut -d= -f2)"
	cat other.crt >>other.pem
	openssl req -x509 -newkey rsa:1024 -nodes -days 30 -subj /CN=short -keyout short.pem -out short.crt
	cat short.crt >>short.pem
	# every other type of key that can be registered
	for name in "RSA -pkeyopt rsa_keygen_bits:2048" "EC -pkeyopt ec_paramgen_curve:P-384" \
		"EC -pkeyopt ec_paramgen_curve:P-521" RSA-PSS ED25519 ED448; do
		local file=type-${name##*[ :]}
		# shellcheck disable=SC2086 # options
		openssl genpkey -algorithm $name -out "$file.pem"
		openssl req -x509 -key "$file.pem" -days 30 -subj /CN=x -out "$file.certificate.pem"
		cat "$file.certificate.pem" >>"$file.pem"
		register "$file" alice
	done
}

@test "several keys and login addresses; one is removed" { play several_keys; }
@test "expired, nameless, misused, signed by anyone: only the key counts" { play odd_certificates; }
@test "long chains, and one that is too large" { play long_chains; }
@test "a reissued certificate of a registered key" { play reissued_certificate; }
@test "every type of key" { play key_types; }
@test "a key too short to be registered is an unknown one" { play short_key; }
@test "a login address in another spelling; how PREAUTH shows it" { play login_address; }
@test "a key that is not for TLS 1.2 is told so" { play tls12_text; }
@test "the text names the account pages" { play account_pages; }
@test "scope and expiry of a key; an open session ends with it" { play scope_and_expiry; }
@test "EXTERNAL: every form, own addresses, others' (RFC 4422 appendix A)" { play external; }
@test "preauth modes on implicit TLS and STARTTLS" { play preauth_matrix; }
@test "tolerant preauth: logging in again until the first other command" { play tolerant; }
@test "which preauth mode the log recommends" { play preauth_hint; }
@test "submission: MAIL without AUTH, AUTH once, senders, From" { play submission; }
@test "a certificate without its private key" { play stolen_certificate; }
@test "another mechanism over a known key" { play password_over_key; }
@test "an account that is disabled while it is in use" { play disabled; }
@test "what is withdrawn between handshake and login" { play withdrawn_before_login; }
@test "a failure in plain text, then the key of a disabled account" { play plaintext_then_key; }
@test "a disabled account's key, and another account's password" { play disabled_key_binds; }
@test "an offered ticket or session: full handshake; a removed key is refused" { play resumption; }
@test "what is offered where" { play offers; }
