#!/usr/bin/env bats
# One @test per unit test program of lib/tls.
load common

@test "unit: proof of possession" { run_unit test_proof; }
@test "unit: tls" { run_unit test_tls; }
@test "unit: tls, as handlers start it" { run_unit test_tls lean; }
