#!/usr/bin/env bats
# Every step of every mechanism, spoilt in every way; authentication.py has the list.
load instance
load authentication

setup_file() { make_authentication_instance; }

@test "IMAP: every step of every mechanism, spoilt" { play spoilt_steps imap; }
@test "submission: every step of every mechanism, spoilt" { play spoilt_steps submission; }
