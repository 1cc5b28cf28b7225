#!/usr/bin/env bats
# The IMAP server behind the login, on a real store.
load common

@test "unit: IMAP transcripts (RFC 3501)" { run_unit test_imapd_transcripts; }
@test "unit: IMAP with large messages, pipelining, IDLE" { run_unit test_imapd_load; }
@test "unit: transfer encodings (RFC 2045 §6)" { run_unit test_transfer; }
