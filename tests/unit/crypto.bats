#!/usr/bin/env bats
# One @test per unit test program of lib/crypto.
load common

@test "unit: crypto" { run_unit test_crypto; }
@test "unit: keys" { run_unit test_keys; }
