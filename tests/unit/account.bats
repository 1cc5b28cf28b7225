#!/usr/bin/env bats
# One @test per unit test program of lib/account.
load common

@test "unit: credentials, keys, the secret" { run_unit test_credentials; }
@test "unit: who may log in" { run_unit test_login; }
@test "unit: limits and history" { run_unit test_limits; }
