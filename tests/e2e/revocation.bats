#!/usr/bin/env bats
# Spec "revocation": whatever a session was opened with, taking it away ends it within seconds, while
# it idles, too. One function of revocation.py per test.
load instance
export PLAYED=revocation.py

setup_file() {
	make_instance
	postern account add carol carol@example.org >/dev/null
	set_passwords carol
	make_keys carol
	register carol carol
}

@test "a key is removed" { play key_removed; }
@test "a key is removed after EXTERNAL, and after STARTTLS" { play key_after_external; }
@test "the password is set anew after STARTTLS" { play password_after_starttls; }
@test "a key expires, by the clock and by a changed record" { play key_expires; }
@test "a key loses its scope" { play key_scope; }
@test "a key loses its permission for TLS 1.2" { play tls12_permission; }
@test "the password is set anew" { play password_changed; }
@test "an app password is removed" { play app_password_removed; }
@test "an app password expires" { play app_password_expires; }
@test "the account is disabled, and enabled again" { play account_disabled; }
@test "the account is removed from the configuration" { play account_removed; }
@test "the key's login address is taken from the account" { play address_removed; }
@test "in the middle of a line, a literal, a message, DONE" { play in_the_middle; }
@test "in the middle of a long answer" { play long_answer; }
@test "while single bytes come" { play trickling; }
@test "a line without an end" {
	[ "$FLAVOUR" = release ] && skip "a release build has no fault points"
	play endless_line
}
