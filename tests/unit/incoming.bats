#!/usr/bin/env bats
# The way into the queue.
load common

@test "unit: incoming files and envelopes" { run_unit test_incoming; }
