#!/usr/bin/env bats
# One @test per unit test program of lib/db.
load common

@test "unit: db" { run_unit test_db; }
