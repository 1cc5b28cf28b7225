#!/usr/bin/env bats
# App passwords, credentials that cannot be read, names in NFD; one function of credentials.py per
# test.
load instance
load authentication
export PLAYED=credentials.py

setup_file() {
	make_authentication_instance
	cat >"$INSTANCE/conf.d/credentials.conf" <<-'CONF'
		sasl-mechanisms = {EXTERNAL, SCRAM-SHA-512-PLUS, SCRAM-SHA-512, SCRAM-SHA-256-PLUS, SCRAM-SHA-256,
			SCRAM-SHA-1-PLUS, SCRAM-SHA-1, CRAM-MD5, PLAIN, LOGIN}
		account "carl" { addresses = {"carl@example.org"} cram-md5 = yes }
		account "noel" { addresses = {"noël@bücher.example", "noel@example.org"} cram-md5 = yes }
	CONF
	postern config apply
	set_passwords carl noel
	make_keys carl carl-no carl-tolerant
	register carl carl
	register carl-no carl --preauth=no
	register carl-tolerant carl --preauth=tolerant
}

@test "our own failure after the right credential: said, logged, and nothing else is" { play own_failure; }
@test "credentials that are damaged: nobody gets in, and the log says why" { play damaged; }
@test "IMAP: app passwords out of scope or expired, with every mechanism" { play app_imap; }
@test "submission: app passwords out of scope or expired, with every mechanism" { play app_submission; }
@test "CRAM-MD5 and a quoted LOGIN with a name in NFD (RFC 2195, RFC 3501 6.2.3)" { play names; }
@test "passwords of 8 KB with rules that look at all of them (RFC 8264)" { play long_passwords; }
@test "SCRAM: y where -PLUS is not offered, over a key (RFC 5802 6)" { play flag_y; }
