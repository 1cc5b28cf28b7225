# shellcheck shell=bash disable=SC2154 # BUILD and SOURCE_DIR come from common.bash
# Inside the box: installs the build as root would, and gives the scripts their helpers.
set -eu
export LC_ALL=C.UTF-8
work=$(mktemp -d)
die() {
	echo "FAILED: $*"
	journalctl --no-pager -n 60 -o cat || true
	systemctl --no-pager --failed || true
	exit 1
}
talk() {
	/usr/bin/python3 "$SOURCE_DIR/tests/install/talk.py" "$@"
}
wait_for() { # SECONDS COMMAND…
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}
install_postern() {
	"$SOURCE_DIR/scripts/install-tree" "$BUILD" "" /usr/local
	systemd-sysusers /usr/local/lib/sysusers.d/postern.conf
	systemd-tmpfiles --create /usr/local/lib/tmpfiles.d/postern.conf
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
		-addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
		-keyout /etc/postern.key -out /etc/postern.pem 2>/dev/null
	chown postern /etc/postern.key
	chmod 600 /etc/postern.key
	mkdir -p /etc/postern/conf.d
	cat >/etc/postern/postern.conf <<-E
		hostname = "localhost"
		certificate {
			certificate-file = "/etc/postern.pem"
			key-file = "/etc/postern.key"
		}
		domain "localhost" {
		}
	E
	(umask 077 && postern account add user user@localhost) # and user postern can read it
	postern account add second second@localhost
	printf 'correct horse battery\n' | postern account password user
	(cd "$work" && postern tlspubkey gen device >/dev/null)
	postern tlspubkey add --preauth=yes user@localhost device <"$work/device.pem"
}
