#!/usr/bin/env bats
# One @test per unit test program of lib/store.
load common

@test "unit: store" { run_unit test_store; }
