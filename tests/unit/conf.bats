#!/usr/bin/env bats
# Unit test programs of lib/route and lib/conf.
load common

@test "unit: route" { run_unit test_route; }
@test "unit: conf" { run_unit test_conf; }
