#!/usr/bin/env bats
# Passwords and SCRAM through the real handlers; one function of authentication.py per test.
load instance
load authentication

setup_file() { make_authentication_instance; }

@test "SCRAM: every hash and binding, both protocols (RFC 5802, RFC 9266, RFC 5929)" { play scram_bindings; }
@test "SCRAM: wrong and missing bindings, downgrades (RFC 5802 6)" { play scram_wrong_bindings; }
@test "SCRAM: names in any normal form; unknown users look like others" { play scram_names; }
@test "the same answers for unknown user, wrong password and disabled account" { play indistinguishable; }
@test "passwords: PRECIS OpaqueString at login (RFC 8265 4.2)" { play precis_login; }
@test "passwords: what cannot be set" { play precis_set; }
@test "SCRAM-SHA-512 and CRAM-MD5 where they are enabled (RFC 2195)" { play extra_mechanisms; }
@test "names in case-sensitive and catch-all domains" { play case_sensitive; }
