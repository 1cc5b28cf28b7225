#!/usr/bin/env bats
# Each mail program logs in, in every way that it can. What they send: doc/clients.md.
# shellcheck disable=SC2154 # status, output, BUILD are bats' and tests/run's
load common

setup_file() {
	start_localserve
	export KEYS=$DIR/clients POSTERN="$BUILD/bin/postern --instance $DIR"
	# Thunderbird's bytes name mox@localhost
	mkdir -p "$DIR/conf.d"
	echo 'account "mox" { addresses = {"mox@localhost"} }' >"$DIR/conf.d/mox.conf"
	$POSTERN config apply
	echo mox-password | $POSTERN account password mox
	cd "$KEYS" || return 1
	for name in mox mox-no mox-tolerant old; do
		"$BUILD/bin/postern" tlspubkey gen --p256 "$name" >/dev/null
	done
	$POSTERN tlspubkey add mox@localhost <mox.pem
	$POSTERN tlspubkey add --preauth=no mox@localhost <mox-no.pem
	$POSTERN tlspubkey add --preauth=tolerant mox@localhost <mox-tolerant.pem
	$POSTERN tlspubkey add --preauth=no --allow-tls12 user@localhost <old.pem
}

teardown_file() { stop_localserve; }

setup() {
	export CA=$DIR/server.pem KEY=$KEYS/user.pem NO=$KEYS/user-nopreauth.pem HOME=$BATS_TEST_TMPDIR
	rm -f "$DIR/run/state/limits.tdb" # what the test before did wrong, and which -PLUS is hidden
	message "$BATS_SUITE_TEST_NUMBER" >"$HOME/m"
	BEGIN=$(wc -l <"$DIR/log")
}

# logged_in_by MECHANISM [PROTOCOL [TIMES]]: the server's word for it.
logged_in_by() {
	local count
	count=$(tail -n "+$((BEGIN + 1))" "$DIR/log" | grep "result=ok protocol=${2:-imap} " | grep -c " mechanism=$1 ") || true
	[ "$count" -eq "${3:-1}" ] || {
		echo "$count logins by $1, not ${3:-1}"
		tail -n "+$((BEGIN + 1))" "$DIR/log"
		return 1
	}
}

# cyrus's tools take the protocol version from OpenSSL's configuration only.
tls12_only() {
	printf 'openssl_conf=a\n[a]\nssl_conf=b\n[b]\nsystem_default=c\n[c]\nMaxProtocol=TLSv1.2\n' >"$HOME/openssl.cnf"
	OPENSSL_CONF=$HOME/openssl.cnf "$@"
}

@test "openssl s_client: key, TLS 1.3 and 1.2, implicit TLS and STARTTLS" {
	local s_client=(openssl s_client -quiet -verify_return_error -CAfile "$CA" -ign_eof)
	succeed "${s_client[@]}" -cert "$KEY" -connect "localhost:$IMAPS" <<<$'a SELECT INBOX\r\nb LOGOUT\r'
	[[ $output == *"* PREAUTH"*"a OK"* ]]
	succeed "${s_client[@]}" -cert "$NO" -starttls imap -connect "localhost:$IMAP" <<<$'a AUTHENTICATE EXTERNAL =\r\nb LOGOUT\r'
	[[ $output == *"a OK"* ]]
	succeed "${s_client[@]}" -cert "$KEYS/old.pem" -tls1_2 -connect "localhost:$IMAPS" <<<$'a AUTHENTICATE EXTERNAL =\r\nb LOGOUT\r'
	[[ $output == *"a OK"* ]]
	succeed "${s_client[@]}" -cert "$NO" -tls1_2 -connect "localhost:$IMAPS" <<<$'a AUTHENTICATE EXTERNAL =\r\nb LOGOUT\r'
	[[ $output == *"a NO [ALERT]"*"TLS 1.2"* ]]
	succeed "${s_client[@]}" -cert "$KEY" -starttls smtp -connect "localhost:$SUBMISSION" <<<$'EHLO x\r\nMAIL FROM:<user@localhost>\r\nQUIT\r'
	[[ $output == *$'\n250 2.1.0'* ]]
	logged_in_by TLS-KEY
	logged_in_by EXTERNAL imap 2
	logged_in_by TLS-KEY submission
}

@test "openssl s_client: a type of key that is not negotiated fails in the handshake" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:secp256k1 -nodes -days 30 -subj /CN=x -keyout "$HOME/k1.pem" -out "$HOME/k1.crt"
	cat "$HOME/k1.crt" >>"$HOME/k1.pem"
	local port name
	for port in "$IMAPS" "$SUBMISSIONS"; do
		run timeout 60 openssl s_client -quiet -tls1_2 -groups P-256:secp256k1 -CAfile "$CA" -cert "$HOME/k1.pem" \
			-connect "localhost:$port" </dev/null
		[[ $status -ne 0 && $output == *"alert"* ]]
	done
	for name in imap-handler submit-handler; do
		tail -n "+$((BEGIN + 1))" "$DIR/log" | grep "$name.*tls: TLS handshake: wrong curve"
	done
	! tail -n "+$((BEGIN + 1))" "$DIR/log" | grep "login result" || return 1
}

@test "openssl s_client: no renegotiation, and no names of authorities" {
	local version
	for version in tls1_2 tls1_3; do
		run timeout 60 openssl s_client "-$version" -CAfile "$CA" -cert "$KEY" -connect "localhost:$IMAPS" </dev/null
		[[ $output == *"No client certificate CA names sent"* ]]
		[[ $output == *"Requested Signature Algorithms: "* ]] # a certificate was asked for
	done
	run timeout 60 openssl s_client -tls1_2 -CAfile "$CA" -connect "localhost:$IMAPS" < <(sleep 1; echo R; sleep 3)
	[[ $output == *RENEGOTIATING*"no renegotiation"* ]]
}

@test "openssl s_client: the key itself instead of a certificate (RFC 7250)" {
	openssl s_client -help 2>&1 | grep -q enable_client_rpk || skip "this OpenSSL has no raw public keys: 3.2 and later have"
	local s_client=(openssl s_client -enable_client_rpk -verify_return_error -CAfile "$CA" -ign_eof)
	local negotiated="Client-to-server raw public key negotiated"
	succeed "${s_client[@]}" -cert "$KEY" -connect "localhost:$IMAPS" <<<$'a SELECT INBOX\r\nb LOGOUT\r'
	[[ $output == *"$negotiated"*"* PREAUTH"*"a OK"* ]]
	succeed "${s_client[@]}" -cert "$NO" -starttls imap -connect "localhost:$IMAP" <<<$'a AUTHENTICATE EXTERNAL =\r\nb LOGOUT\r'
	[[ $output == *"$negotiated"*"a OK"* ]]
	succeed "${s_client[@]}" -cert "$KEYS/old.pem" -tls1_2 -connect "localhost:$IMAPS" <<<$'a AUTHENTICATE EXTERNAL =\r\nb LOGOUT\r'
	[[ $output == *"$negotiated"*"a OK"* ]]
	succeed "${s_client[@]}" -cert "$KEY" -connect "localhost:$SUBMISSIONS" <<<$'EHLO x\r\nMAIL FROM:<user@localhost>\r\nQUIT\r'
	[[ $output == *"$negotiated"*$'\n250 2.1.0'* ]]
	logged_in_by TLS-KEY
	logged_in_by EXTERNAL imap 2
	logged_in_by TLS-KEY submission
	succeed "${s_client[@]}" -cert "$KEYS/stranger.pem" -connect "localhost:$IMAPS" <<<$'a AUTHENTICATE EXTERNAL =\r\nb LOGOUT\r'
	[[ $output == *"$negotiated"*"a NO [ALERT]"*"not registered"* ]]
}

@test "openssl s_client: no session to resume, no ticket" {
	for version in -tls1_2 -tls1_3; do
		succeed openssl s_client -verify_return_error -CAfile "$CA" -cert "$KEY" -connect "localhost:$IMAPS" "$version" \
			-ign_eof -sess_out "$HOME/session" <<<$'a NOOP\r\nb LOGOUT\r'
		[[ $output != *"TLS session ticket:"* ]]
		[ ! -s "$HOME/session" ] || {
			succeed openssl s_client -CAfile "$CA" -cert "$KEY" -connect "localhost:$IMAPS" "$version" \
				-ign_eof -sess_in "$HOME/session" <<<$'a NOOP\r\nb LOGOUT\r'
			[[ $output != *"Reused,"* ]]
		}
	done
}

@test "curl: PREAUTH, EXTERNAL, submission with a key" {
	local curl=(curl -sv --cacert "$CA")
	succeed "${curl[@]}" --cert "$KEY" "imaps://localhost:$IMAPS/"
	logged_in_by TLS-KEY
	succeed "${curl[@]}" --cert "$NO" -u user@localhost: --login-options AUTH=EXTERNAL "imaps://localhost:$IMAPS/INBOX"
	[[ $output == *"AUTHENTICATE EXTERNAL dXNlckBsb2NhbGhvc3Q="* ]]
	succeed "${curl[@]}" --cert "$NO" -u : --login-options AUTH=EXTERNAL "imaps://localhost:$IMAPS/INBOX"
	[[ $output == *"AUTHENTICATE EXTERNAL ="* ]]
	succeed "${curl[@]}" --ssl-reqd --cert "$NO" -u user@localhost: --login-options AUTH=EXTERNAL "imap://localhost:$IMAP/INBOX"
	logged_in_by EXTERNAL imap 3
	local mail=(--mail-from user@localhost --mail-rcpt user@localhost -T "$HOME/m")
	succeed "${curl[@]}" --cert "$KEY" "smtps://localhost:$SUBMISSIONS/x" "${mail[@]}"
	succeed "${curl[@]}" --ssl-reqd --cert "$NO" -u user@localhost: --login-options AUTH=EXTERNAL "smtp://localhost:$SUBMISSION/x" "${mail[@]}"
	logged_in_by TLS-KEY submission 2
	logged_in_by EXTERNAL submission
}

@test "swaks: a key and no AUTH, implicit TLS and STARTTLS" {
	local swaks=(swaks --server localhost --tls-verify --tls-ca-path "$CA" --tls-cert "$KEY" --tls-key "$KEY" --from user@localhost --to user@localhost)
	succeed "${swaks[@]}" --port "$SUBMISSIONS" --tls-on-connect
	succeed "${swaks[@]}" --port "$SUBMISSION" --tls
	[[ $output != *" AUTH "*"235"* ]]
	logged_in_by TLS-KEY submission 2
}

@test "msmtp: EXTERNAL, SCRAM-SHA-256, a key alone" {
	local msmtp=(msmtp --host=localhost --tls=on --tls-trust-file="$CA" --from=user@localhost)
	local key=(--tls-cert-file="$NO" --tls-key-file="$NO")
	succeed "${msmtp[@]}" --port="$SUBMISSIONS" --tls-starttls=off "${key[@]}" --auth=external --user=user@localhost user@localhost <"$HOME/m"
	succeed "${msmtp[@]}" --port="$SUBMISSION" --tls-starttls=on "${key[@]}" --auth=external --user=user@localhost user@localhost <"$HOME/m"
	logged_in_by EXTERNAL submission 2
	# 1.8.28, which knows -PLUS, gives up without it before it sends a byte
	local scram="scram-sha-256-plus"
	"${msmtp[@]}" --auth=$scram --version >/dev/null 2>&1 || scram="scram-sha-256"
	succeed "${msmtp[@]}" --port="$SUBMISSIONS" --tls-starttls=off --auth=$scram --user=user@localhost \
		--passwordeval="echo $PASSWORD" user@localhost <"$HOME/m"
	logged_in_by ${scram^^} submission
	succeed "${msmtp[@]}" --port="$SUBMISSIONS" --tls-starttls=off "${key[@]}" --auth=off user@localhost <"$HOME/m"
	logged_in_by TLS-KEY submission 3
}

# gsasl MECHANISM OPTION…: on IMAP and submission, by TLS 1.2 and 1.3
gsasl_everywhere() {
	local mechanism=$1 protocol version
	for protocol in "imap $IMAP" "smtp $SUBMISSION"; do
		for version in 1.2 1.3; do
			succeed gsasl -c "--${protocol% *}" --connect="localhost:${protocol#* }" --starttls --x509-ca-file="$CA" \
				--priority="NORMAL:-VERS-ALL:+VERS-TLS$version" -m "$mechanism" "${@:2}" </dev/null
		done
	done
	logged_in_by "$mechanism" imap 2
	logged_in_by "$mechanism" submission 2
}

@test "gsasl: SCRAM-SHA-256-PLUS and SCRAM-SHA-1-PLUS, tls-unique on TLS 1.2, tls-exporter on 1.3" {
	gsasl_everywhere SCRAM-SHA-256-PLUS -a user@localhost -p "$PASSWORD"
	gsasl_everywhere SCRAM-SHA-1-PLUS -a user@localhost -p "$PASSWORD"
}

@test "gsasl: SCRAM-SHA-256, SCRAM-SHA-1, PLAIN, LOGIN, EXTERNAL" {
	gsasl_everywhere SCRAM-SHA-256 -a user@localhost -p "$PASSWORD" --no-cb
	gsasl_everywhere SCRAM-SHA-1 -a user@localhost -p "$PASSWORD" --no-cb
	gsasl_everywhere PLAIN -a user@localhost -p "$PASSWORD"
	gsasl_everywhere LOGIN -a user@localhost -p "$PASSWORD"
	gsasl_everywhere EXTERNAL --x509-cert-file="$KEYS/old.pem" --x509-key-file="$KEYS/old.pem" -z user@localhost
}

@test "imtest and smtptest: SCRAM bound by tls-unique over TLS 1.2, EXTERNAL" {
	local who=(-a user@localhost -u user@localhost) cyrus=/usr/lib/cyrus/bin
	tls12_only succeed "$cyrus/imtest" -t "" -p "$IMAP" "${who[@]}" -w "$PASSWORD" localhost <<<$'. LOGOUT\r'
	[[ $output == *"AUTHENTICATE SCRAM-SHA-256 cD10bHMtdW5pcXVl"*"Authenticated."* ]] # p=tls-unique
	logged_in_by SCRAM-SHA-256
	tls12_only succeed "$cyrus/smtptest" -t "" -p "$SUBMISSION" "${who[@]}" -w "$PASSWORD" localhost <<<$'QUIT\r'
	[[ $output == *"AUTH SCRAM-SHA-256 cD10bHMtdW5pcXVl"*"Authenticated."* ]]
	logged_in_by SCRAM-SHA-256 submission
	succeed "$cyrus/imtest" -t "$NO" -p "$IMAP" "${who[@]}" -w x -m EXTERNAL localhost <<<$'. LOGOUT\r'
	[[ $output == *"Authenticated."* ]]
	succeed "$cyrus/smtptest" -t "$NO" -p "$SUBMISSION" "${who[@]}" -w x -m EXTERNAL localhost <<<$'QUIT\r'
	[[ $output == *"Authenticated."* ]]
	logged_in_by EXTERNAL
	logged_in_by EXTERNAL submission
	# on TLS 1.3 it binds with what RFC 9266 forbids there
	succeed "$cyrus/imtest" -t "" -p "$IMAP" "${who[@]}" -w "$PASSWORD" localhost <<<$'. LOGOUT\r'
	[[ $output == *ZT11bnN1cHBvcnRlZC1jaGFubmVsLWJpbmRpbmctdHlwZQ==*"Authentication failed"* ]]
}

# mutt_reads PROGRAM [LINE…]: a configuration, with which the program reads this test's message
mutt_reads() {
	local program=$1
	succeed curl -s --cacert "$CA" --cert "$KEY" -T "$HOME/m" "imaps://localhost:$IMAPS/INBOX"
	BEGIN=$(wc -l <"$DIR/log")
	rm -f "$HOME/read"
	{
		printf 'set ssl_force_tls=yes ssl_verify_host=no certificate_file="%s"\n' "$CA"
		printf 'set imap_user="user@localhost" from="user@localhost" folder="imaps://localhost:%s/"\n' "$IMAPS"
		printf 'set wait_key=no quit=yes pipe_decode=no\n'
		printf '%s\n' "${@:2}"
		printf 'push "<limit>~s ^%s$<enter><pipe-message>cat > %s<enter><quit>"\n' "$BATS_SUITE_TEST_NUMBER" "$HOME/read"
	} >"$HOME/muttrc"
	TERM=xterm succeed script -qec "stty rows 24 cols 80; $program -F '$HOME/muttrc' -f 'imaps://localhost:$IMAPS/INBOX'" /dev/null </dev/null
	grep -q "Subject: $BATS_SUITE_TEST_NUMBER" "$HOME/read"
}

# mutt_sends PROGRAM [LINE…]
mutt_sends() {
	{
		printf 'set ssl_force_tls=yes ssl_verify_host=no certificate_file="%s"\n' "$CA"
		printf 'set from="user@localhost" record="" copy=no smtp_url="smtps://user@localhost@localhost:%s/"\n' "$SUBMISSIONS"
		printf '%s\n' "${@:2}"
	} >"$HOME/muttrc"
	echo body | timeout 60 "$1" -F "$HOME/muttrc" -s "sent" -- user@localhost
}

@test "mutt: SCRAM-SHA-256, a key with PREAUTH, EXTERNAL" {
	mutt_reads mutt "set imap_pass=\"$PASSWORD\" imap_authenticators=\"scram-sha-256\""
	logged_in_by SCRAM-SHA-256
	mutt_reads mutt "set ssl_client_cert=\"$KEY\""
	logged_in_by TLS-KEY
	mutt_reads mutt "set ssl_client_cert=\"$NO\" imap_authenticators=\"external\""
	logged_in_by EXTERNAL
	mutt_sends mutt "set ssl_client_cert=\"$KEY\" smtp_authenticators=\"external\""
	logged_in_by EXTERNAL submission
}

@test "neomutt: a password, a key with PREAUTH" {
	mutt_reads neomutt "set ssl_client_cert=\"$KEY\""
	logged_in_by TLS-KEY
	mutt_reads neomutt "set imap_pass=\"$PASSWORD\"" # its IMAP knows PLAIN and LOGIN only
	logged_in_by PLAIN
}

@test "mutt, neomutt: locked out by -PLUS on submission once, the second try succeeds by itself" {
	for program in mutt neomutt; do
		rm -f "$DIR/run/state/limits.tdb"
		BEGIN=$(wc -l <"$DIR/log")
		run mutt_sends "$program" "set smtp_pass=\"$PASSWORD\""
		[ "$status" -ne 0 ]
		mutt_sends "$program" "set smtp_pass=\"$PASSWORD\""
		logged_in_by SCRAM-SHA-256 submission
		tail -n "+$((BEGIN + 1))" "$DIR/log" | grep -q -- "-PLUS is hidden"
	done
}

# mbsync_pulls LINE…
mbsync_pulls() {
	rm -rf "$HOME/mail"
	mkdir "$HOME/mail"
	{
		printf 'IMAPAccount here\nHost localhost\nPort %s\nSSLType IMAPS\nCertificateFile %s\nUser user@localhost\n' "$IMAPS" "$CA"
		printf '%s\n' "$@"
		printf '\nIMAPStore far\nAccount here\n\nMaildirStore near\nPath %s/mail/\nInbox %s/mail/INBOX\n\n' "$HOME" "$HOME"
		printf 'Channel all\nFar :far:\nNear :near:\nSync Pull\nCreate Near\nSyncState *\n'
	} >"$HOME/mbsyncrc"
	succeed mbsync -c "$HOME/mbsyncrc" all
	[ -d "$HOME/mail/INBOX" ]
}

@test "mbsync: PREAUTH, EXTERNAL, SCRAM-SHA-256" {
	mbsync_pulls "ClientCertificate $KEY" "ClientKey $KEY"
	logged_in_by TLS-KEY
	mbsync_pulls "ClientCertificate $NO" "ClientKey $NO" "AuthMechs EXTERNAL"
	logged_in_by EXTERNAL
	mbsync_pulls "Pass \"$PASSWORD\"" "AuthMechs SCRAM-SHA-256"
	logged_in_by SCRAM-SHA-256
}

# fetchmail_fetches KEY OPTIONS
fetchmail_fetches() {
	cat >"$HOME/fetchmailrc" <<-E
		poll localhost service $IMAPS proto IMAP $2 user "user@localhost" password "$PASSWORD" \
		ssl sslcert "$1" sslkey "$1" sslcertck sslcertfile "$CA" keep fetchall mda "cat >>$HOME/fetched"
	E
	chmod 600 "$HOME/fetchmailrc"
	succeed curl -s --cacert "$CA" --cert "$KEY" -T "$HOME/m" "imaps://localhost:$IMAPS/INBOX"
	BEGIN=$(wc -l <"$DIR/log")
	succeed fetchmail -f "$HOME/fetchmailrc"
	grep -q "Subject: $BATS_SUITE_TEST_NUMBER" "$HOME/fetched"
}

@test "fetchmail: PREAUTH, EXTERNAL, an unknown key and then the password" {
	fetchmail_fetches "$KEY" "auth any"
	logged_in_by TLS-KEY
	fetchmail_fetches "$NO" "auth external"
	logged_in_by EXTERNAL
	# tries EXTERNAL as soon as it is offered, and falls back: no delay, nothing counted
	local start=$SECONDS
	fetchmail_fetches "$KEYS/stranger.pem" "auth any"
	logged_in_by PLAIN imap || logged_in_by LOGIN imap
	[ $((SECONDS - start)) -lt 5 ]
}

@test "s-nail: EXTERNAL with and without a name, IMAP and submission" {
	local s_nail=(s-nail -:/ -Sv15-compat -Stls-ca-file="$CA" "-Stls-config-pairs=Certificate=$NO,PrivateKey=$NO")
	succeed curl -s --cacert "$CA" --cert "$KEY" -T "$HOME/m" "imaps://localhost:$IMAPS/INBOX"
	for auth in external externanon; do
		succeed "${s_nail[@]}" -Simap-auth=$auth -R -f "imaps://user%40localhost@localhost:$IMAPS/INBOX" </dev/null
		succeed "${s_nail[@]}" -Smta="smtps://user%40localhost@localhost:$SUBMISSIONS" -Ssmtp-auth=$auth \
			-Sfrom=user@localhost -Ssendwait -s subject user@localhost <<<"body"
	done
	logged_in_by EXTERNAL imap 2
	logged_in_by EXTERNAL submission 2
}

replay() {
	cd "$BATS_TEST_DIRNAME" || return 1
	succeed /usr/bin/python3 -B mail_programs.py "$@"
}

@test "Thunderbird: IMAP, implicit TLS, a key with PREAUTH" { replay thunderbird_preauth && logged_in_by TLS-KEY imap 3; }
@test "Thunderbird: IMAP, implicit TLS, a key without PREAUTH" { replay thunderbird_external && logged_in_by EXTERNAL imap 2; }
@test "Thunderbird: IMAP, STARTTLS, both keys" { replay thunderbird_starttls && logged_in_by EXTERNAL imap 4; }
@test "Thunderbird: an unknown key is named in an alert, the password still works" { replay thunderbird_unknown_key; }
@test "Thunderbird: submission, implicit TLS and STARTTLS, no AUTH" { replay thunderbird_submission && logged_in_by TLS-KEY submission 4; }
@test "FairEmail: EXTERNAL in one round, PREAUTH" { replay fairemail && logged_in_by EXTERNAL imap 2 && logged_in_by TLS-KEY; }
@test "FairEmail: submission, no password, its attempts with one do no harm" { replay fairemail_submission && logged_in_by TLS-KEY submission 2; }
@test "K-9: a key without PREAUTH, a tolerant one, STARTTLS" { replay k9 && logged_in_by EXTERNAL imap 3; }
@test "K-9: submission, EXTERNAL, both keys" { replay k9_submission && logged_in_by EXTERNAL submission 4; }

# in_guide MARK: the block of doc/clients.md that begins with this line, for this server and this key
in_guide() {
	sed -n "/^    $1/,/^\$/p" "$BATS_TEST_DIRNAME/../../doc/clients.md" | sed -e 's/^    //' \
		-e "s|imaps://mx.example.org|imaps://localhost:$IMAPS|; s|smtps://mx.example.org|smtps://localhost:$SUBMISSIONS|" \
		-e "s|@mx.example.org|@localhost:$SUBMISSIONS|; s|mx.example.org|localhost|; s|anna@example.org|user@localhost|g" \
		-e "s|port 465|port $SUBMISSIONS|"
}

@test "doc/clients.md: curl, mutt, msmtp, mbsync as they stand there" {
	cp "$NO" "$HOME/laptop.pem"
	cp "$HOME/m" "$HOME/message"
	cd "$HOME" || return 1
	cp "$KEY" laptop.pem
	mapfile -t commands < <(in_guide "curl --cert laptop.pem imaps" | grep ^curl)
	[ ${#commands[@]} -eq 2 ]
	for command in "${commands[@]}"; do
		CURL_CA_BUNDLE=$CA succeed bash -c "$command"
	done
	logged_in_by TLS-KEY
	logged_in_by TLS-KEY submission
	cp "$NO" laptop.pem
	CURL_CA_BUNDLE=$CA succeed bash -c "$(in_guide "curl --cert laptop.pem -u")"
	logged_in_by EXTERNAL
	in_guide "# ~\/.muttrc" >muttguide
	printf 'set ssl_verify_host=no certificate_file="%s" record="" copy=no\n' "$CA" >>muttguide
	echo body | timeout 60 mutt -F muttguide -s guide -- user@localhost
	logged_in_by EXTERNAL submission
	mutt_reads mutt "source $HOME/muttguide"
	logged_in_by EXTERNAL
	{
		in_guide "# ~\/.msmtprc"
		echo "tls_trust_file $CA"
	} >msmtprc
	chmod 600 msmtprc
	BEGIN=$(wc -l <"$DIR/log")
	succeed msmtp -C msmtprc user@localhost <message
	logged_in_by EXTERNAL submission
	mapfile -t account < <(in_guide "# ~\/.mbsyncrc" | grep -v -e ^# -e ^IMAPAccount -e ^Host -e ^SSLType -e '^$')
	[ ${#account[@]} -eq 4 ]
	mbsync_pulls "${account[@]:0:2}" "${account[3]}"
	logged_in_by EXTERNAL
}

# as_typed LINES…: commands of the page in this folder, with this instance's `postern`
as_typed() {
	mkdir -p "$HOME/bin"
	printf '#!/bin/sh\nexec %s "$@"\n' "$POSTERN" >"$HOME/bin/postern"
	chmod +x "$HOME/bin/postern"
	[ -n "$1" ]
	PATH=$HOME/bin:$PATH succeed bash -ec "${1// anna/ user}"
}

@test "doc/clients.md: postern and openssl as they stand there" {
	cd "$HOME" || return 1
	as_typed "$(in_guide "postern tlspubkey gen")"
	passphrase=$(sed -n 's/^passphrase: *//p' <<<"$output")
	succeed curl -s --cacert "$CA" --cert-type P12 --cert "laptop.p12:$passphrase" "imaps://localhost:$IMAPS/INBOX"
	logged_in_by TLS-KEY
	[[ $($POSTERN tlspubkey list user) == *" user@localhost "*' "laptop"'* ]]
	openssl list -providers -provider legacy >/dev/null # which -legacy needs
	succeed "$BATS_TEST_DIRNAME/../tools/on_terminal.py" 'Enter Export Password:' 'secret\n' 'Verifying' 'secret\n' -- \
		bash -c "$(in_guide "openssl pkcs12")"
	succeed openssl pkcs12 -legacy -in laptop-old.p12 -passin pass:secret -passout pass:secret -info
	[[ $output == *"pbeWithSHA1And3-KeyTripleDES-CBC"*"friendlyName: laptop"*"BEGIN ENCRYPTED PRIVATE KEY"* ]]
	fingerprint=$("$BUILD/bin/postern" tlspubkey gen --p256 stranger | sed -n 's/^fingerprint: *//p')
	succeed curl -s --cacert "$CA" --cert stranger.pem -u "user@localhost:$PASSWORD" "imaps://localhost:$IMAPS/INBOX"
	mapfile -t commands < <(in_guide "postern tlspubkey pending" | grep ^postern)
	[ ${#commands[@]} -eq 2 ]
	as_typed "${commands[0]}"
	[[ $output == *"$fingerprint "* ]]
	as_typed "${commands[1]/FINGERPRINT/$fingerprint}"
	BEGIN=$(wc -l <"$DIR/log")
	succeed curl -s --cacert "$CA" --cert stranger.pem "imaps://localhost:$IMAPS/INBOX"
	logged_in_by TLS-KEY
	as_typed "$(grep -o 'postern apppassword add [^`]*' "$BATS_TEST_DIRNAME/../../doc/clients.md")"
	[ "${#output}" -eq 20 ]
	succeed curl -s --cacert "$CA" -u "user@localhost:$output" "imaps://localhost:$IMAPS/INBOX"
}

# Last: it changes what the server offers.
@test "gsasl, swaks: CRAM-MD5 where server and account have it" {
	echo 'sasl-mechanisms = {EXTERNAL, SCRAM-SHA-256, CRAM-MD5, PLAIN}' >>"$DIR/postern.conf"
	echo 'account "carl" { addresses = {"carl@localhost"} cram-md5 = yes }' >"$DIR/conf.d/carl.conf"
	$POSTERN config apply
	echo carl-password | $POSTERN account password carl
	gsasl_everywhere CRAM-MD5 -a carl@localhost -p carl-password
	succeed swaks --server localhost --port "$SUBMISSION" --tls --auth CRAM-MD5 --auth-user carl@localhost \
		--auth-password carl-password --from carl@localhost --to carl@localhost
	logged_in_by CRAM-MD5 submission 3
}
