#!/bin/bash
# Inside the box: the installed xinetd services, and the queue-runner as cron starts it.
# shellcheck source=tests/install/box.bash
. "$(dirname "$0")/box.bash"
install_postern
{
	printf 'defaults\n{\n\tlog_type = FILE %s\n}\n' "$work/xinetd.log"
	cat /usr/local/share/postern/postern-xinetd.conf
} >"$work/xinetd.conf"
SECRET=of-the-environment xinetd -dontfork -f "$work/xinetd.conf" -pidfile "$work/pid" &
xinetd=$!
wait_for 5 nc -z 127.0.0.1 993 || die "xinetd does not listen"
talk greeting "$work/device.pem" || die "greeting: $(cat "$work/xinetd.log")"
talk submit "$work/device.pem" 3 5 || die "submission"
# as the line in postern.cron does
su -s /bin/sh -c "$(sed -n 's/^\* .* postern //p' /usr/local/share/postern/postern.cron)" postern ||
	die "queue-runner"
talk count "$work/device.pem" 3 || die "not delivered"
talk environment "$work/device.pem" SECRET || die "xinetd's environment leaks"
kill "$xinetd"
wait "$xinetd" || true
echo "xinetd: all good"
