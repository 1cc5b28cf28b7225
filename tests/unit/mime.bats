#!/usr/bin/env bats
# One @test per unit test program of lib/mime.
load common

@test "unit: MIME" { run_unit test_mime; }
