#!/usr/bin/env bats
# One @test per unit test program of lib/imap, and lib/base's dates.
load common

@test "unit: dates" { run_unit test_date; }
@test "unit: IMAP commands" { run_unit test_imap_command; }
@test "unit: IMAP strings, names, sets and patterns" { run_unit test_imap_write; }
@test "unit: IMAP lines and literals" { run_unit test_imap_reader; }
