#!/usr/bin/env bats
# Real clients against a running localserve.
load common

setup_file() { start_localserve; }
teardown_file() { stop_localserve; }

@test "curl: IMAP by client key alone (PREAUTH)" {
	succeed curl -sv --cacert "$DIR/server.pem" --cert "$DIR/clients/user.pem" "imaps://localhost:$IMAPS/"
	[[ $output == *"* PREAUTH [CAPABILITY "*"user@localhost"* ]]
	[[ $output == *'* LIST '*INBOX* ]]
	[[ $output != *AUTHENTICATE* ]]
}

@test "curl: IMAP by password, implicit TLS and STARTTLS" {
	succeed curl -s --cacert "$DIR/server.pem" -u "user@localhost:$PASSWORD" "imaps://localhost:$IMAPS/"
	[[ $output == *INBOX* ]]
	succeed curl -s --ssl-reqd --cacert "$DIR/server.pem" -u "user@localhost:$PASSWORD" "imap://localhost:$IMAP/"
	[[ $output == *INBOX* ]]
	run curl -s --cacert "$DIR/server.pem" -u "user@localhost:wrong password" "imaps://localhost:$IMAPS/"
	[ "$status" -eq 67 ]
}

@test "curl: IMAP EXTERNAL with a key that greets OK, implicit TLS and STARTTLS" {
	for url in "imaps://localhost:$IMAPS/" "imap://localhost:$IMAP/"; do
		succeed curl -sv --ssl-reqd --cacert "$DIR/server.pem" --cert "$DIR/clients/user-nopreauth.pem" \
			-u user@localhost: --login-options AUTH=EXTERNAL "$url"
		[[ $output == *"AUTHENTICATE EXTERNAL"* && $output == *INBOX* ]]
	done
	grep 'result=ok .* mechanism=EXTERNAL ' "$DIR/log" | grep -q ' user="user@localhost" '
	run grep 'result=ok .* user="" ' "$DIR/log"
	[ "$status" -eq 1 ]
}

@test "curl: clear text offers STARTTLS and nothing else" {
	run curl -sv -u "user@localhost:$PASSWORD" "imap://localhost:$IMAP/"
	[ "$status" -eq 67 ]
	[[ $output == *LOGINDISABLED* && $output != *AUTH=* ]]
}

@test "curl: submission by client key without AUTH, read back" {
	message from-curl >"$BATS_TEST_TMPDIR/m"
	succeed curl -sv --cacert "$DIR/server.pem" --cert "$DIR/clients/user.pem" "smtps://localhost:$SUBMISSIONS/client" \
		--mail-from user@localhost --mail-rcpt user@localhost -T "$BATS_TEST_TMPDIR/m"
	[[ $output != *"> AUTH"* ]]
	wait_for_subject from-curl
}

@test "a key that nobody registered: the connection goes on, EXTERNAL names the key" {
	succeed curl -sv --cacert "$DIR/server.pem" --cert "$DIR/clients/stranger.pem" -u "user@localhost:$PASSWORD" "imaps://localhost:$IMAPS/"
	[[ $output == *"* OK [CAPABILITY "*AUTH=EXTERNAL* ]]
	run curl -sv --cacert "$DIR/server.pem" --cert "$DIR/clients/stranger.pem" -u user@localhost: \
		--login-options AUTH=EXTERNAL "imaps://localhost:$IMAPS/"
	[ "$status" -eq 67 ]
	[[ $output == *"NO [ALERT]"* ]]
	run curl -sv --cacert "$DIR/server.pem" --cert "$DIR/clients/stranger.pem" "smtps://localhost:$SUBMISSIONS/client" \
		--mail-from user@localhost --mail-rcpt user@localhost -T <(message never)
	[ "$status" -ne 0 ]
	[[ $output == *"530 5.7.0"* ]]
}

@test "openssl s_client by hand: PREAUTH, APPEND, FETCH, LOGOUT" {
	local mail=$'Subject: by hand\r\n\r\ntext\r\n'
	printf '%s\r\n' "a CREATE Hand" "b APPEND Hand {${#mail}+}" "$mail" "c SELECT Hand" "d FETCH 1 BODY.PEEK[HEADER]" \
		"e LOGOUT" >"$BATS_TEST_TMPDIR/commands"
	# shellcheck disable=SC2016 # expanded by the inner shell
	succeed bash -c 'openssl s_client -quiet -verify_return_error -CAfile "$DIR/server.pem" -cert "$DIR/clients/user.pem" \
		-connect "localhost:$IMAPS" -ign_eof <"$BATS_TEST_TMPDIR/commands"'
	[[ $output == *"* PREAUTH"*"a OK"*"b OK [APPENDUID "*"c OK"*"* 1 FETCH"*"Subject: by hand"*"d OK"*"* BYE"*"e OK"* ]]
}

@test "imaplib and smtplib: key, password, APPEND, SEARCH, STORE, EXPUNGE" {
	succeed /usr/bin/python3 "$BATS_TEST_DIRNAME/python_clients.py" "$DIR" "$IMAPS" "$SUBMISSIONS" "$SUBMISSION"
	[[ $output == *"python: all good"* ]]
}

@test "swaks: submission with a client certificate, implicit TLS and STARTTLS, no AUTH" {
	succeed swaks --server localhost --port "$SUBMISSIONS" --tls-on-connect --tls-verify --tls-ca-path "$DIR/server.pem" \
		--tls-cert "$DIR/clients/user.pem" --tls-key "$DIR/clients/user.pem" --from user@localhost --to user@localhost \
		--header "Subject: swaks-implicit"
	succeed swaks --server localhost --port "$SUBMISSION" --tls --tls-verify --tls-ca-path "$DIR/server.pem" \
		--tls-cert "$DIR/clients/user.pem" --tls-key "$DIR/clients/user.pem" --from user@localhost --to user@localhost \
		--header "Subject: swaks-starttls"
	[[ $output != *"-> AUTH"* ]]
	wait_for_subject swaks-implicit
	wait_for_subject swaks-starttls
}

@test "swaks: password; refused without it, from a stranger's address, to an unknown address" {
	local tls=(--server localhost --port "$SUBMISSION" --tls --tls-ca-path "$DIR/server.pem")
	succeed swaks "${tls[@]}" --auth PLAIN --auth-user user@localhost --auth-password "$PASSWORD" --from user@localhost --to user@localhost
	run swaks "${tls[@]}" --from user@localhost --to user@localhost
	[[ $output == *"530 5.7.0"* ]]
	run swaks "${tls[@]}" --auth PLAIN --auth-user user@localhost --auth-password "$PASSWORD" --from second@localhost --to user@localhost
	[[ $output == *"550 5.7.1"* ]]
	run swaks "${tls[@]}" --auth PLAIN --auth-user user@localhost --auth-password "$PASSWORD" --from user@localhost --to none@localhost
	[[ $output == *"550 5.1.1"* ]]
	run swaks "${tls[@]}" --auth PLAIN --auth-user user@localhost --auth-password "not it" --from user@localhost --to user@localhost
	[[ $output == *"535 5.7.8"* ]]
}

@test "mutt: reads by PREAUTH, sends by client key" {
	export HOME=$BATS_TEST_TMPDIR
	cat >"$HOME/muttrc" <<-E
		set ssl_force_tls=yes ssl_verify_host=no
		set certificate_file="$DIR/server.pem"
		set ssl_client_cert="$DIR/clients/user.pem"
		set imap_user="user@localhost" from="user@localhost" realname="User"
		set smtp_url="smtps://user@localhost@localhost:$SUBMISSIONS/" smtp_authenticators="external"
		set folder="imaps://localhost:$IMAPS/" record="" copy=no
		set header_cache="$HOME/cache"
	E
	echo "a body" | succeed mutt -F "$HOME/muttrc" -s from-mutt -- user@localhost
	wait_for_subject from-mutt
	# opens the mailbox, pipes the first message that matches into a file, quits
	cat >>"$HOME/muttrc" <<-E
		set wait_key=no quit=yes pipe_decode=no
		push "<limit>~s from-mutt<enter><pipe-message>cat > $HOME/read<enter><quit>"
	E
	TERM=xterm succeed script -qec "stty rows 24 cols 80; mutt -F '$HOME/muttrc' -f 'imaps://localhost:$IMAPS/INBOX'" /dev/null </dev/null
	grep -q "Subject: from-mutt" "$HOME/read"
}

@test "mbsync: a whole mailbox, both ways" {
	export HOME=$BATS_TEST_TMPDIR
	message for-mbsync >"$HOME/m"
	succeed curl -s --cacert "$DIR/server.pem" --cert "$DIR/clients/user.pem" -T "$HOME/m" "imaps://localhost:$IMAPS/INBOX"
	mkdir "$HOME/mail"
	cat >"$HOME/mbsyncrc" <<-E
		IMAPAccount here
		Host localhost
		Port $IMAPS
		SSLType IMAPS
		CertificateFile $DIR/server.pem
		User user@localhost
		Pass "$PASSWORD"

		IMAPStore far
		Account here

		MaildirStore near
		Path $HOME/mail/
		Inbox $HOME/mail/INBOX
		SubFolders Verbatim

		Channel all
		Far :far:
		Near :near:
		Patterns *
		Create Both
		Expunge Both
		SyncState *
	E
	succeed mbsync -c "$HOME/mbsyncrc" -a
	grep -rq "Subject: for-mbsync" "$HOME/mail/INBOX"
	# a local message goes up, a local deletion is expunged above
	message from-maildir >"$HOME/mail/INBOX/new/1.local"
	file=$(grep -rl "Subject: for-mbsync" "$HOME/mail/INBOX")
	mv "$file" "$(dirname "$file")/../cur/$(basename "${file%%:2,*}"):2,ST"
	succeed mbsync -c "$HOME/mbsyncrc" -a
	wait_for_subject from-maildir
	run curl -s --cacert "$DIR/server.pem" --cert "$DIR/clients/user.pem" "imaps://localhost:$IMAPS/INBOX?SUBJECT%20for-mbsync"
	[[ $output != *"SEARCH "[0-9]* ]]
}

@test "every suite and group that mail programs need is there in the part of OpenSSL that handlers load" {
	for options in "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA" "-tls1_2 -cipher ECDHE-ECDSA-AES256-SHA384" \
		"-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256" "-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305" \
		"-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256" "-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384" \
		"-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256" "-tls1_3 -groups X25519" "-tls1_3 -groups P-256" \
		"-tls1_3 -groups P-384" "-tls1_3 -groups P-521" "-tls1_3 -groups X448"; do
		# word splitting wanted: options
		# shellcheck disable=SC2086
		run timeout 20 openssl s_client -quiet -connect "localhost:$IMAPS" $options <<<"a LOGOUT"
		[[ $output == *"* OK [CAPABILITY "* ]] || { echo "$options: $output"; return 1; }
	done
}
