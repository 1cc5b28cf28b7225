#!/bin/bash
# Inside the box: what README.md says under "Set it up" and "Log in with a key", typed as it stands
# there, by a root whose umask is 077.
set -eu
export LC_ALL=C.UTF-8
umask 077
cd "$SOURCE_DIR"
work=$(mktemp -d)
trap 'journalctl --no-pager -n 60 -o cat' ERR

# block SECTION N: the Nth indented block of a section
block() {
	sed -n "/^## $1\$/,/^## /p" README.md | awk -v n="$2" '
		/^    / { if (!inside) { count++; inside = 1 } if (count == n) print substr($0, 5); next }
		!/^$/ { inside = 0 }'
}
typed() {
	echo "+ $1"
	bash -ec "$1"
}

# /proc/sys cannot be written in the box
(umask 022 && typed "$(block "Set it up" 1 | sed 's/ && sysctl --system//')")
mkdir -m 755 /etc/postern
mkdir /etc/ssl/postern
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=mx.example.org \
	-addext subjectAltName=DNS:mx.example.org -keyout /etc/ssl/postern/privkey.pem -out /etc/ssl/postern/fullchain.pem 2>/dev/null
cp /etc/ssl/postern/fullchain.pem "$work/trusted.pem"
chown -R postern /etc/ssl/postern
(umask 022 && block "Set it up" 2 >/etc/postern/postern.conf)
systemctl daemon-reload
printf 'correct horse battery\n' >"$work/password"
typed "$(block "Set it up" 3)" <"$work/password"
echo 127.0.0.1 mx.example.org >>/etc/hosts
cd "$work"
(cd "$SOURCE_DIR" && block "Log in with a key" 1) >typed
typed "$(cat typed)"
(cd "$SOURCE_DIR" && block "Log in with a key" 2) >typed
CURL_CA_BUNDLE=$work/trusted.pem typed "$(cat typed) -sv" >log 2>&1 || { cat log; false; }
grep 'PREAUTH' log
CURL_CA_BUNDLE=$work/trusted.pem curl -s -u "anna@example.org:$(cat password)" imaps://mx.example.org/INBOX
systemctl is-enabled postern-imaps.socket postern-queue.timer
echo "README: all good"
