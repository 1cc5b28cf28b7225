#!/usr/bin/env bats
# One @test per unit test program of lib/text.
load common

@test "unit: text" { run_unit test_text; }
