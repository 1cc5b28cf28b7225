#!/usr/bin/env bats
# One @test per unit test program of lib/sasl.
load common

@test "unit: SASL server (RFC 4422, 4616, 5802, 7677)" { run_unit test_sasl_server; }
@test "unit: SASL client, and both sides together" { run_unit test_sasl_client; }
