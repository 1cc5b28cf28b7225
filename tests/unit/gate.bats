#!/usr/bin/env bats
# One @test per unit test program of lib/gate; the processes are played in tests/e2e/handler.bats.
load common

@test "unit: messages between gate and session" { run_unit test_gate_message; }
