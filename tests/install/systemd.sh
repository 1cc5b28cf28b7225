#!/bin/bash
# Inside the box: the installed sockets, services, path and timer under a real systemd.
# shellcheck source=tests/install/box.bash
. "$(dirname "$0")/box.bash"
install_postern
systemctl daemon-reload
systemctl start postern-imap.socket postern-imaps.socket postern-submission.socket \
	postern-submissions.socket postern-queue.path postern-queue.timer

talk greeting "$work/device.pem" || die "greeting"
talk submit "$work/device.pem" 50 5 || die "50 submissions"
wait_for 10 talk count "$work/device.pem" 50 ||
	die "not all 50 are there"
systemctl is-active --quiet postern-queue.path || die "the path unit is off"
systemctl is-failed --quiet postern-queue.service && die "the service failed"

# a burst of connections, after which the sockets still serve
talk burst "$work/device.pem" 500 || die "burst"
wait_for 20 talk greeting "$work/device.pem" || die "greeting after the burst"

# nothing is left behind by finished connections
wait_for 10 sh -c '! systemctl list-units --no-legend --plain "postern-imaps@*" | grep -q .' ||
	die "services stay: $(systemctl list-units --no-legend --plain 'postern-*@*')"
# SIGTERM to a connection's service: BYE
talk terminated "$work/device.pem" || die "no BYE at stop"
# who runs it, and as whom files were made
[ -z "$(find /var/lib/postern ! -user postern)" ] || die "files of others: $(find /var/lib/postern ! -user postern)"
echo "systemd: all good"
