#!/usr/bin/env bats
# The submission server as the session speaks it.
load common

@test "unit: submission (RFC 5321, 6409, 4954)" { run_unit test_submitd; }
@test "unit: submission, random conversations against a reference" { run_unit test_submitd_model; }
