#!/usr/bin/env bats
# One @test per unit test program of lib/relay.
load common

@test "unit: relay" { run_unit test_relay; }
