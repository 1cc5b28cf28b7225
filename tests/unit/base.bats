#!/usr/bin/env bats
# One @test per unit test program of lib/base.
load common

@test "unit: base" { run_unit test_base; }
