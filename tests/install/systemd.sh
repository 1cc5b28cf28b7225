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
# one process that accepts, for busy hosts: serves, and an upgrade drops nobody
mkdir -p /etc/systemd/system/postern-imaps.socket.d
cp /usr/local/share/postern/busy.conf /etc/systemd/system/postern-imaps.socket.d/
systemctl daemon-reload
systemctl stop postern-imaps.socket
systemctl start postern-imaps.socket
talk greeting "$work/device.pem" || die "greeting of --accept"
acceptor=$(systemctl show -P MainPID postern-imaps-accept.service)
talk upgrade "$work/device.pem" /usr/local/libexec/postern/imap-handler || die "upgrade under --accept"
[ "$acceptor" = "$(systemctl show -P MainPID postern-imaps-accept.service)" ] || die "the acceptor was restarted"
talk many "$work/device.pem" 110 100 || die "limit per source under --accept"
talk stay "$work/device.pem" postern-imaps-accept.service || die "a stop of the acceptor drops sessions"
# who runs it, and as whom files were made
[ -z "$(find /var/lib/postern ! -user postern)" ] || die "files of others: $(find /var/lib/postern ! -user postern)"
echo "systemd: all good"
