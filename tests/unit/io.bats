#!/usr/bin/env bats
# One @test per unit test program of lib/io.
load common

@test "unit: stream" { run_unit test_stream; }
@test "unit: file" { run_unit test_file; }
