#!/usr/bin/env bats
# One @test per unit test program of lib/sys.
load common

@test "unit: activation" { run_unit test_activation; }
@test "unit: log" { run_unit test_log; }
@test "unit: sandbox" { run_unit test_sandbox; }
