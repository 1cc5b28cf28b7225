#!/usr/bin/env bats
# One @test per unit test program of lib/queue.
load common

@test "unit: queue" { run_unit test_queue; }
