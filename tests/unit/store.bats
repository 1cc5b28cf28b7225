#!/usr/bin/env bats
# One @test per unit test program of lib/store.
load common

@test "unit: store" { run_unit test_store; }
@test "unit: store under several processes and kill -9" { run_unit test_store_crash; }
@test "unit: store with a large mailbox" { run_unit test_store_size; }
