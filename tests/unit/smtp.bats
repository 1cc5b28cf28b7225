#!/usr/bin/env bats
# One @test per unit test program of lib/smtp.
load common

@test "unit: smtp commands, addresses and replies" { run_unit test_smtp_command; }
@test "unit: smtp data" { run_unit test_smtp_data; }
@test "unit: smtp client against hostile servers" { run_unit test_smtp_client; }
