#!/usr/bin/env bats
# The verbs of `postern` on an instance of its own.
load common

setup() {
	dir=$(mktemp -d)
	printf 'hostname = localhost\ndomain "localhost" { }\n' >"$dir/postern.conf"
	cd "$dir" || return 1
}
teardown() {
	cd / && rm -rf "$dir"
}
postern() {
	timeout 60 "$BUILD/bin/postern" --instance "$dir" "$@"
}
# The same as somebody who is not root; what is theirs must have been given to nobody.
postern_as_other() {
	[ "$(id -u)" -eq 0 ] || { postern "$@"; return; }
	[ -e "$dir/program" ] || cp "$BUILD/bin/postern" "$dir/program" # the build may be root's alone
	timeout 60 setpriv --reuid=nobody --clear-groups "$dir/program" --instance "$dir" "$@"
}
give_to_other() {
	[ "$(id -u)" -ne 0 ] || chown -R nobody "$@"
}

@test "postern: help names every verb, usage errors are 2" {
	run postern help
	[ "$status" -eq 0 ]
	[[ $output == *"tlspubkey add"* ]]
	run postern help account
	[ "$status" -eq 0 ]
	run postern nonsense
	[ "$status" -eq 2 ]
	run postern account add x
	[ "$status" -eq 2 ]
	run postern config check --frob
	[ "$status" -eq 2 ]
	run postern
	[ "$status" -eq 2 ]
	run postern config
	[ "$status" -eq 2 ]
	[[ $output == *"config check"*"config keys"* && $output != *account* ]]
	run "$BUILD/bin/postern" localserve --dir
	[ "$status" -eq 2 ]
	[[ $output == "postern: --dir needs a value"* ]]
	run "$BUILD/bin/postern" localserve --dir=
	[ "$status" -eq 2 ]
	run "$BUILD/bin/postern" localserve --frob
	[ "$status" -eq 2 ]
	[[ $output == "postern: localserve has no option --frob"* ]]
	run postern --version
	[ "$status" -eq 0 ]
	[[ $output =~ ^postern\ [0-9]+\.[0-9]+$ ]]
}

@test "postern help: a group, a verb, what is none; config tlspubkey is tlspubkey" {
	local plain spelled
	for words in "" rm bogus "rm bogus"; do
		# shellcheck disable=SC2086 # words
		for before in "help" "--help"; do
			plain=$(postern $before tlspubkey $words 2>&1) || true
			spelled=$(postern $before config tlspubkey $words 2>&1) || true
			[ "$plain" = "$spelled" ]
		done
	done
	run postern config tlspubkey
	[ "$status" -eq 2 ]
	[[ $output == *"usage: postern [--instance DIR] tlspubkey VERB"*"tlspubkey add"* && $output != *"config check"* ]]
	run postern config tlspubkey --help
	[ "$status" -eq 0 ]
	[[ $output == "postern tlspubkey add "*"postern tlspubkey approve "* && $output != *"config check"* ]]
	run postern help tlspubkey rm
	[[ $output == "postern tlspubkey rm "* && $output != *"tlspubkey add ["* ]]
	for words in "config bogus" "tlspubkey bogus" bogus "bogus rm"; do
		for command in "help $words" "$words --help" "$words"; do
			# shellcheck disable=SC2086
			run postern $command
			[ "$status" -eq 2 ]
			[ "$output" = "postern: there is no verb \"$words\"; \`postern help\` lists them" ]
		done
	done
	[[ $(postern help logins) == "postern logins "* ]]
	[[ $(postern help config) == "postern config check"*"postern config keys"* ]]
	run postern config tlspubkey rm --frob
	[[ $output == "postern: tlspubkey rm has no option --frob; see \`postern help tlspubkey rm\`" ]]
}

@test "postern config: check says file and line, changes nothing; apply compiles" {
	run postern config check
	[ "$status" -eq 0 ]
	[ ! -e state ]
	echo 'colour = blue' >>postern.conf
	run postern config check
	[ "$status" -eq 1 ]
	[[ $output == *"$dir/postern.conf:3: unknown key"*"more may be found"* ]]
	run postern config apply
	[ "$status" -eq 1 ]
	[ ! -e state ]
	sed -i '$d' postern.conf
	postern config apply
	[ -f state/config/config.tdb ]
	[ -d state/queue/wake ]
}

@test "postern account: add, list, password; what exists is not overwritten" {
	postern account add user user@localhost other@localhost
	[ -f conf.d/account-user.conf ]
	[ -d state/mail/user ]
	run postern account add user user@localhost
	[ "$status" -eq 73 ]
	run postern account add second user@localhost
	[ "$status" -eq 1 ]
	[[ $output == *"given twice"* ]]
	[ ! -e conf.d/account-second.conf ]
	run postern account add second second@unknown.example
	[ "$status" -eq 1 ]
	run postern account list
	[ "$output" = "user user@localhost other@localhost" ]
	postern account list --json | python3 -m json.tool >/dev/null
	touch -d '2 hours ago' state/keys/.secret.0123456789abcdef # of one that was killed
	echo 'correct horse' | postern account password user
	[ ! -e state/keys/.secret.0123456789abcdef ]
	run postern account password user <<<short
	[ "$status" -eq 1 ]
	run postern account password nobody <<<'correct horse'
	[ "$status" -eq 1 ]
	run postern account password --generate user
	[ "$status" -eq 0 ]
	[ "${#output}" -eq 20 ]
}

@test "postern account: what it writes can be read by user postern, whatever the umask" {
	umask 077
	postern account add user user@localhost
	[ "$(stat -c %a conf.d conf.d/account-user.conf run | tr '\n' ' ')" = "755 644 755 " ]
	chmod 640 conf.d/account-user.conf
	[ "$(id -u)" -ne 0 ] || chown 12345:12346 conf.d/account-user.conf
	before=$(stat -c '%a %u %g' conf.d/account-user.conf)
	postern account disable user
	[ "$(stat -c '%a %u %g' conf.d/account-user.conf)" = "$before" ]
	postern account enable user
	[ "$(stat -c '%a %u %g' conf.d/account-user.conf)" = "$before" ]
	chmod 000 conf.d/account-user.conf
	give_to_other .
	run postern_as_other config check
	[ "$status" -eq 1 ]
	[[ $output == *"conf.d/account-user.conf: cannot be read by user "[a-z]*": Permission denied"* ]]
}

@test "postern tlspubkey: gen, add, list, get, rm" {
	postern account add user user@localhost
	postern tlspubkey gen --p12 key
	[ "$(stat -c %a key.pem)" = 600 ]
	run postern tlspubkey gen key
	[ "$status" -eq 73 ]
	run postern tlspubkey gen --p256 key2
	[ "$status" -eq 0 ]
	fingerprint=$(postern tlspubkey add --preauth=no --scope=imap user@localhost laptop <key.pem)
	[ "${#fingerprint}" -eq 43 ]
	[ "$(openssl x509 -in key.certificate.pem -noout -pubkey | openssl pkey -pubin -outform DER |
		openssl dgst -sha256 -binary | basenc --base64url | tr -d =)" = "$fingerprint" ]
	run postern tlspubkey list
	[[ $output == "$fingerprint ed25519 user@localhost state=active preauth=no scope=imap tls12=no expires=never used=never \"laptop\"" ]]
	postern tlspubkey list --json user | python3 -m json.tool >/dev/null
	postern tlspubkey get "$fingerprint" | openssl pkey -pubin -noout
	run postern tlspubkey add user@elsewhere.example <key2.pem
	[ "$status" -eq 1 ]
	run postern tlspubkey add user@localhost <postern.conf
	[ "$status" -eq 1 ]
	postern config tlspubkey rm --yes "$fingerprint"
	run postern tlspubkey rm --yes "$fingerprint"
	[ "$status" -eq 1 ]
}

@test "postern tlspubkey: a fingerprint that begins with two hyphens; operands behind --" {
	postern account add user user@localhost
	local fingerprint=--abfi08O5Wlnb8BqWx5v5D9tkbI6cCc8mC9EBfCe0A
	cat >key.pem <<-'E'
		-----BEGIN PUBLIC KEY-----
		MCowBQYDK2VwAyEAzIg60+V2Jp58VniZwleWT/Orbam2NjyKAg5zUEBrNIU=
		-----END PUBLIC KEY-----
	E
	[ "$(postern tlspubkey add user@localhost <key.pem)" = "$fingerprint" ]
	run postern tlspubkey get $fingerprint
	[ "$status" -eq 0 ]
	[[ $output == *"fingerprint: $fingerprint"* ]]
	postern tlspubkey get --json -- $fingerprint | python3 -m json.tool >/dev/null
	postern tlspubkey rm --yes $fingerprint
	run postern tlspubkey approve $fingerprint
	[ "$status" -eq 1 ]
	[[ $output == *"no key $fingerprint is pending"* ]]
	run postern tlspubkey rm --yes ${fingerprint%A} # is no fingerprint
	[ "$status" -eq 2 ]
	[[ $output == *"has no option ${fingerprint%A};"* ]]
	postern apppassword add user -- --json >/dev/null
	[[ $(postern apppassword list) == 'user "--json" '* ]]
	run postern tlspubkey add --expires -- user@localhost
	[ "$status" -eq 2 ]
	[[ $output == *"--expires is a date"* ]]
}

@test "postern config apply makes keys/secret; account add, too" {
	postern config apply
	[ "$(stat -c '%s %a' state/keys/secret)" = "36 600" ]
	before=$(md5sum <state/keys/secret)
	postern account add user user@localhost
	[ "$(md5sum <state/keys/secret)" = "$before" ]
	rm state/keys/secret
	postern account add second second@localhost
	[ -f state/keys/secret ]
}

@test "postern account add: several at once wait for each other, and all are in effect" {
	local n pids=()
	for n in {1..12}; do
		postern account add "user$n" "user$n@localhost" >"add$n" 2>&1 &
		pids+=($!)
	done
	for n in {1..12}; do
		wait "${pids[n - 1]}" || { cat "add$n"; false; }
		[[ $(postern account show "user$n") == *"user$n@localhost"* ]]
	done
	for n in {1..12}; do # with the last one's end
		[[ $(postern account show "user$n") == *"user$n@localhost"* ]]
	done
	exec 7<state/config # and one that never ends
	flock 7
	run postern account add last last@localhost 7>&-
	exec 7>&-
	[ "$status" -eq 75 ]
	[[ $output == *"another \`postern config apply\` has not ended for 10 seconds; when it has, run \`postern config apply\`"* ]]
	[[ $output == *"account-last.conf is written"* ]]
}

@test "postern account disable, enable: the tool's own file only" {
	postern account add user user@localhost "üser@localhost"
	cp conf.d/account-user.conf before
	postern account disable user
	run postern account list
	[[ $output == "user (disabled) "* ]]
	[[ $(postern account show user) == *"state:          disabled"*"This account is disabled."* ]]
	postern account disable user
	postern account enable user
	cmp before conf.d/account-user.conf
	postern account enable user
	echo '# mine' >>conf.d/account-user.conf
	run postern account disable user
	[ "$status" -eq 1 ]
	[[ $output == *"by hand, at $dir/conf.d/account-user.conf:1:"*"disabled = yes"* ]]
	echo 'account "hand" { addresses = {"hand@localhost"} }' >>postern.conf
	run postern account disable hand
	[ "$status" -eq 1 ]
	[[ $output == *"$dir/postern.conf:3"* ]]
	run postern account disable nobody
	[ "$status" -eq 1 ]
}

@test "postern apppassword: add, list, rm; --rehash names what stops working" {
	postern account add user user@localhost
	run postern apppassword add user phone
	[ "$status" -eq 0 ]
	[ "${#output}" -eq 20 ]
	run postern apppassword add user phone
	[ "$status" -eq 73 ]
	postern apppassword add --scope=imap --expires=2999-12-31 user "old tablet" >/dev/null
	run postern apppassword add --scope=none user x
	[ "$status" -eq 2 ]
	run postern apppassword add --expires=2001-01-01 user x
	[ "$status" -eq 2 ]
	run postern apppassword add user $'a\nb'
	[ "$status" -eq 2 ]
	run postern apppassword add nobody x
	[ "$status" -eq 1 ]
	run postern apppassword list
	[[ ${lines[0]} == 'user "phone" state=active scope=both created='*' expires=never used=never' ]]
	[[ ${lines[1]} == 'user "old tablet" state=active scope=imap created='*' expires=2999-12-31 used=never' ]]
	postern apppassword list --json user | python3 -m json.tool >/dev/null
	postern apppassword rm --yes user phone
	run postern apppassword rm --yes user phone
	[ "$status" -eq 1 ]
	run postern apppassword rm --yes user ""
	[ "$status" -eq 2 ]
	run postern account password --rehash user <<<'correct horse'
	[ "$status" -eq 2 ]
	[[ $output == *'stop working: "old tablet". Go on? There is no terminal'*"give --yes;"* ]]
	[ -n "$(postern apppassword list user)" ]
	run postern account password --rehash --yes user <<<'correct horse'
	[ "$status" -eq 0 ]
	[[ $output == *'stop working: "old tablet".'* ]]
	[ -z "$(postern apppassword list user)" ]
	[[ $(postern account show user) == *"password:       set 20"*"app passwords:  0"* ]]
	postern account show --json user | python3 -m json.tool >/dev/null
	[[ $(postern account show user) == *"failures:       0 in the last 24 hours" ]]
	[ -z "$(postern logins)" ]
	[ "$(postern logins --json user)" = "[]" ]
	[ -z "$(postern tlspubkey pending)" ]
	[ "$(postern tlspubkey pending --json)" = "[]" ]
	run postern tlspubkey approve 47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU
	[ "$status" -eq 1 ]
}

@test "postern logins, list, get, pending: nothing that the history holds reaches the terminal raw" {
	postern account add user user@localhost
	postern tlspubkey gen key
	local evil=$'\e[31m\xff\xc2\x9b"\\' now fingerprint
	local shown='\x1b[31m\xff\xc2\x9b\x22\x5c' json=$'\\u001b[31m\\ufffd\\u009b\\"\\\\'
	fingerprint=$(postern tlspubkey add user@localhost key <key.pem)
	mkdir -p state/history/user
	now=$(date +%s)
	"$BUILD/tools/write_history" state/history/user login "$now" "p$evil" "a $evil" TLS-KEY "$fingerprint" "t$evil" "c$evil"
	"$BUILD/tools/write_history" state/history/user login "$now" imap 192.0.2.1 "PLAIN$evil" "w$evil" x y
	postern tlspubkey gen key2
	"$BUILD/tools/write_history" state/history/user pending "$now" "l$evil" "a $evil" "c$evil" <key2.pem
	run postern logins
	[[ ${lines[0]} == *" user ok p$shown a\x20$shown TLS-KEY key=\"$fingerprint\" tls=\"t$shown\" client=\"c$shown\"" ]]
	[[ ${lines[1]} == *" user ok imap 192.0.2.1 PLAIN$shown password=\"w$shown\" tls=\"x\" client=\"y\"" ]]
	[[ $(postern tlspubkey list) == *"used="*" by p$shown from a\x20$shown \"key\"" ]]
	[[ $(postern tlspubkey get "$fingerprint") == *"last used:   20"*" UTC, p$shown from a\x20$shown"* ]]
	[[ $(postern tlspubkey pending) == *" l$shown 20"*" from a\x20$shown client=\"c$shown\"" ]]
	for verb in logins "tlspubkey list" "tlspubkey pending" "tlspubkey get $fingerprint"; do
		# shellcheck disable=SC2086 # two words
		run postern $verb --json
		[[ $output == *"\"c$json\""* ]]
		python3 -c 'import json, sys; json.loads(sys.stdin.buffer.read().decode())' <<<"$output"
	done
}

# pending_key ACCOUNT STEM: as if the key had come with the account's password
pending_key() {
	mkdir -p "state/history/$1"
	"$BUILD/tools/write_history" "state/history/$1" pending "$(date +%s)" "$1@localhost" 192.0.2.1 client <"$2.pem"
}

@test "postern tlspubkey approve: what it says is whether the key is registered" {
	postern account add user user@localhost
	postern tlspubkey gen key
	pending_key user key
	fingerprint=$(postern tlspubkey pending | cut -d' ' -f1)
	echo 'colour = blue' >conf.d/mistake.conf
	run postern tlspubkey approve "$fingerprint" key
	[ "$status" -eq 0 ]
	[ "$output" = "$fingerprint" ]
	[[ $(postern tlspubkey list) == "$fingerprint "* ]]
	[ -z "$(postern tlspubkey pending)" ]
}

@test "postern apppassword list, tlspubkey list: the last use is this one's, not that of one before it" {
	postern account add user user@localhost
	mkdir -p state/history/user
	postern tlspubkey gen key
	fingerprint=$(postern tlspubkey add user@localhost <key.pem)
	postern apppassword add user phone >/dev/null
	local login=("$BUILD/tools/write_history" state/history/user login)
	"${login[@]}" $(($(date +%s) - 10)) imap 192.0.2.1 PLAIN phone x y
	"${login[@]}" $(($(date +%s) - 10)) imap 192.0.2.1 TLS-KEY "$fingerprint" x y
	[[ $(postern apppassword list) == *" used=never" ]]
	[[ $(postern apppassword list --json) == *'"used":null'* ]]
	[[ $(postern tlspubkey list) == *' used=never ""' ]]
	[[ $(postern tlspubkey get "$fingerprint") == *"last used:   never"* ]]
	"${login[@]}" "$(date +%s)" imap 192.0.2.2 PLAIN phone x y
	[[ $(postern apppassword list) == *" used=20"*" by imap from 192.0.2.2" ]]
}

@test "postern tlspubkey, apppassword: expiry as it was given, and what has expired" {
	postern account add user user@localhost
	postern tlspubkey gen key
	local end=$(($(date +%s) + 8)) # slow machines have to be done by then
	soon=$(date -u -d "@$end" +%Y-%m-%dT%H:%M:%SZ)
	postern tlspubkey add --allow-tls12 --expires="$soon" user@localhost <key.pem
	postern apppassword add --expires="$soon" user phone >/dev/null
	postern apppassword add --expires=2999-12-31T17:00:00Z user tablet >/dev/null
	postern apppassword add --expires=2999-12-31 user desk >/dev/null
	run postern apppassword list
	[[ ${lines[0]} == *" state=active "*" expires=$soon "* ]]
	[[ ${lines[1]} == *" expires=2999-12-31T17:00:00Z "* ]]
	[[ ${lines[2]} == *" expires=2999-12-31 "* ]]
	[[ $(postern tlspubkey list) == *" state=active "*" tls12=yes expires=$soon "* ]]
	while [ "$(date +%s)" -lt "$end" ]; do sleep 0.2; done
	[[ $(postern apppassword list) == 'user "phone" state=expired '* ]]
	[[ $(postern apppassword list --json) == *'"name":"phone","state":"expired"'* ]]
	[[ $(postern tlspubkey list) == *" state=expired "* ]]
	[[ $(postern tlspubkey list --json) == *'"state":"expired"'* ]]
	[[ $(postern tlspubkey get "$(postern tlspubkey list | cut -d' ' -f1)") == *"state:       expired"*"expires:     $soon"* ]]
}

@test "postern: names of keys and app passwords are text of one line" {
	postern account add user user@localhost
	postern tlspubkey gen key
	pending_key user key
	local fingerprint name
	fingerprint=$(postern tlspubkey pending | cut -d' ' -f1)
	for name in $'evil\xff' $'\e[31m' $'x\n47DEQ fake line' $'\xc2\x9b' "" "$(printf '%0201d' 0)" "$(printf '%070000d' 0)"; do
		run postern tlspubkey add user@localhost "$name" <key.pem
		[ "$status" -eq 2 ]
		[[ $output == "postern: the name of a key has 1 to 200 bytes of UTF-8, and no control characters" ]]
		run postern tlspubkey approve "$fingerprint" "$name"
		[ "$status" -eq 2 ]
		[[ $output == "postern: the name of a key has 1 to 200 bytes of UTF-8, and no control characters" ]]
		run postern apppassword add user "$name"
		[ "$status" -eq 2 ]
		[[ $output == "postern: the name of a password has 1 to 64 bytes of UTF-8, and no control characters" ]]
		run postern tlspubkey gen "$name"
		[ "$status" -eq 2 ]
	done
	[ -z "$(postern tlspubkey list)" ]
	postern tlspubkey add user@localhost "Ännas Läptop" <key.pem
	[[ $(postern tlspubkey list) == *' "Ännas Läptop"' ]]
	postern tlspubkey add --replace user@localhost "$(printf '%0200d' 0)" <key.pem
}

# postern on a terminal: on_terminal EXPECT SEND… -- ARGUMENT…
on_terminal() {
	local steps=()
	while [ "$1" != -- ]; do
		steps+=("$1")
		shift
	done
	timeout 60 "$BATS_TEST_DIRNAME/../tools/on_terminal.py" "${steps[@]}" -- "$BUILD/bin/postern" --instance "$dir" "${@:2}"
}

@test "postern rm, --rehash: name what goes and ask; without a terminal only with --yes" {
	postern account add user user@localhost
	postern tlspubkey gen key
	local fingerprint verb
	fingerprint=$(postern tlspubkey add user@localhost laptop <key.pem)
	postern apppassword add user "the phone" >/dev/null
	for verb in "account password" "apppassword rm" "tlspubkey rm"; do
		# shellcheck disable=SC2086 # two words
		[[ $(postern help $verb) == *"--yes"*"unless --yes is given; without a terminal"*"--yes is needed"* ]]
	done
	run postern tlspubkey rm "$fingerprint" <<<y
	[ "$status" -eq 2 ]
	[[ $output == "postern: Remove the key $fingerprint of user? There is no terminal to ask on: give --yes; nothing was changed" ]]
	run postern apppassword rm user "the phone" </dev/null
	[ "$status" -eq 2 ]
	[[ $output == *'Remove the app password "the phone" of user?'*"give --yes"* ]]
	for answer in '\n' 'n\n' 'no\n' '\x04'; do
		run on_terminal '[y/N] ' "$answer" -- tlspubkey rm "$fingerprint"
		[ "$status" -eq 1 ]
		[[ $output == *"Remove the key $fingerprint of user? [y/N] "*"nothing was changed"* ]]
	done
	run on_terminal '[y/N] ' 'n\n' -- account password --rehash --generate user
	[ "$status" -eq 1 ]
	[[ $output == *'stop working: "the phone". Go on? [y/N] '* ]]
	[[ $(postern tlspubkey list) == "$fingerprint "* ]]
	run on_terminal '[y/N] ' 'y\n' -- tlspubkey rm "$fingerprint"
	[ "$status" -eq 0 ]
	[ -z "$(postern tlspubkey list)" ]
	run on_terminal '[y/N] ' 'Yes\n' 'New password: ' 'correct horse\n' 'Once more: ' 'correct horse\n' -- account password --rehash user
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[[ $output != *"correct horse"* ]]
	[ -z "$(postern apppassword list)" ]
	postern apppassword add user "the phone" >/dev/null
	run on_terminal -- apppassword rm --yes user "the phone"
	[ "$status" -eq 0 ]
	[[ $output != *"[y/N]"* ]]
}

@test "postern account password: what interrupts it leaves a terminal that echoes" {
	postern account add user user@localhost
	local password='correct horse\n'
	run on_terminal 'New password: ' '\x03' -- account password user
	[ "$status" -eq 130 ] || { echo "$output"; false; }
	[[ $output == *"[ended: echo]" ]]
	run on_terminal 'New password: ' "$password" 'Once more: ' 'corr\x03' -- account password user
	[ "$status" -eq 130 ]
	[[ $output == *"[ended: echo]" ]]
	[[ $(postern account show user) == *"password:       none"* ]]
	# stopped, it echoes, and asks again when it goes on
	run on_terminal 'New password: ' 'nonsense\x1a' 'New password: ' "$password" 'Once more: ' '\x1a' 'Once more: ' "$password" \
		-- account password user
	[ "$status" -eq 0 ] || { echo "$output"; false; }
	[[ $output == *"[stopped: echo]"*"[stopped: echo]"*"[ended: echo]" ]]
	[[ $output != *nonsense* && $output != *"correct horse"* ]]
	[[ $(postern account show user) == *"password:       set 20"* ]]
	run on_terminal 'New password: ' "$password" 'Once more: ' 'another horse\n' -- account password user
	[ "$status" -eq 1 ]
	[[ $output == *"the two differ"*"[ended: echo]" ]]
}

@test "postern tlspubkey: a registered key is neither pending nor changed, but by --replace" {
	postern account add user user@localhost other@localhost
	postern account add second second@localhost
	postern tlspubkey gen key
	pending_key user key
	pending_key second key
	local fingerprint add=(tlspubkey add --scope=imap --preauth=no --expires=2999-12-31)
	fingerprint=$(postern "${add[@]}" user@localhost laptop <key.pem)
	[ -z "$(postern tlspubkey pending)" ]
	[ "$(postern tlspubkey pending --json)" = "[]" ]
	[[ $(postern account show user) == *", and 0 pending"* ]]
	[[ $(postern account show second) == *", and 0 pending"* ]]
	run postern tlspubkey approve "$fingerprint"
	[ "$status" -eq 1 ]
	[[ $output == *"$fingerprint is registered for user already"* ]]
	run postern tlspubkey approve --account second "$fingerprint"
	[ "$status" -eq 1 ]
	before=$(postern tlspubkey list)
	[[ $before == *" user@localhost state=active preauth=no scope=imap tls12=no expires=2999-12-31 "*'"laptop"' ]]
	[ "$(postern "${add[@]}" user@localhost laptop <key.pem)" = "$fingerprint" ] # the same again
	for more in "user@localhost laptop" "--scope=both --preauth=no --expires=2999-12-31 user@localhost laptop" \
		"--scope=imap --preauth=no user@localhost laptop" "--scope=imap --preauth=no --expires=2999-12-31 user@localhost" \
		"--scope=imap --preauth=no --expires=2999-12-31 --allow-tls12 user@localhost laptop" \
		"--scope=imap --preauth=no --expires=2999-12-31 other@localhost laptop"; do
		# shellcheck disable=SC2086 # words
		run postern tlspubkey add $more <key.pem
		[ "$status" -eq 1 ]
		[[ $output == *"$fingerprint is registered already, with other settings;"*"--replace"* ]]
	done
	run postern tlspubkey add --replace second@localhost <key.pem
	[ "$status" -eq 1 ]
	[[ $output == *"registered for another account"* ]]
	[ "$(postern tlspubkey list)" = "$before" ]
	postern tlspubkey add --replace --allow-tls12 other@localhost <key.pem
	[[ $(postern tlspubkey list) == *" other@localhost state=active preauth=yes scope=both tls12=yes expires=never used=never \"\"" ]]
	# what was pending for another account is so again once the key is nobody's
	postern tlspubkey rm --yes "$fingerprint"
	[[ $(postern tlspubkey pending) == "$fingerprint "*" second@localhost "* ]]
}

@test "postern tlspubkey: what a cut-short add or rm leaves is told, removed, added again" {
	postern account add user user@localhost
	postern account add second second@localhost
	postern tlspubkey gen key
	fingerprint=$(postern tlspubkey add user@localhost laptop <key.pem)
	mv state/keys/keys.tdb whole.tdb # as if killed between the two files
	[[ $(postern tlspubkey list) == "$fingerprint "*" state=incomplete "* ]]
	[[ $(postern tlspubkey list --json) == *'"state":"incomplete"'* ]]
	[[ $(postern tlspubkey get "$fingerprint") == *"state:       incomplete"* ]]
	postern tlspubkey rm --yes "$fingerprint"
	[ -z "$(postern tlspubkey list)" ]
	run postern tlspubkey rm --yes "$fingerprint"
	[ "$status" -eq 1 ]
	[[ $output == *"no key has the fingerprint $fingerprint;"* ]]
	postern tlspubkey add user@localhost laptop <key.pem
	rm state/keys/keys.tdb
	postern tlspubkey add user@localhost laptop <key.pem
	[[ $(postern tlspubkey list) == *" state=active "* ]]
	# half of it is one account's, the whole another's
	rm state/keys/keys.tdb
	postern tlspubkey add second@localhost <key.pem
	[[ $(postern tlspubkey list user) == *" state=incomplete "* ]]
	[[ $(postern tlspubkey list second) == *" state=active "* ]]
	postern tlspubkey rm --yes "$fingerprint"
	[ -z "$(postern tlspubkey list second)" ]
	postern tlspubkey rm --yes "$fingerprint"
	[ -z "$(postern tlspubkey list)" ]
	# a damaged table is named, and its keys can be told from the accounts
	postern tlspubkey add user@localhost laptop <key.pem
	echo damaged >state/keys/keys.tdb
	for verb in list "get $fingerprint" "rm --yes $fingerprint" "add user@localhost"; do
		# shellcheck disable=SC2086 # two words
		run postern tlspubkey $verb <key.pem
		[ "$status" -ne 0 ]
		[[ $output == *"$dir/state/keys/keys.tdb"*"damaged; restore it from a backup, or move it away and add again"* ]]
	done
	rm state/keys/keys.tdb
	postern tlspubkey get "$fingerprint" | postern tlspubkey add user@localhost laptop
	[[ $(postern tlspubkey list) == *" state=active "* ]]
}

@test "postern lists what is in effect, and goes on behind a damaged account" {
	postern account add anna anna@localhost
	postern account add carl carl@localhost
	for name in anna carl; do
		postern apppassword add $name phone >/dev/null
		postern tlspubkey gen $name
		postern tlspubkey add $name@localhost <$name.pem
		mkdir -p state/history/$name
		"$BUILD/tools/write_history" state/history/$name login "$(date +%s)" imap 192.0.2.1 PLAIN phone x y
		postern tlspubkey gen $name-new
		pending_key $name $name-new
	done
	echo 'account "hand" { addresses = {"hand@localhost"} }' >conf.d/hand.conf
	[[ $(postern account list) == *hand@localhost* ]]
	run postern account password hand <<<'correct horse'
	[ "$status" -eq 1 ]
	[[ $output == *"\"hand\" is configured, but not in effect; run \`postern config apply\`"* ]]
	run postern tlspubkey add hand@localhost <anna.pem
	[ "$status" -eq 1 ]
	[[ $output == *"config apply"* ]]
	echo 'colour = blue' >>postern.conf
	for verb in logins "tlspubkey list" "tlspubkey pending" "apppassword list"; do
		# shellcheck disable=SC2086 # two words
		run postern $verb
		[ "$status" -eq 0 ]
		[[ $output == *anna*carl* ]]
	done
	echo damaged >state/accounts/anna/credentials.tdb
	for verb in "tlspubkey list" "apppassword list"; do
		# shellcheck disable=SC2086
		run postern $verb
		[ "$status" -eq 1 ]
		[[ $output == *"$dir/state/accounts/anna/credentials.tdb cannot be read: it is damaged; restore"*carl* ]]
		# shellcheck disable=SC2086
		{ postern $verb --json 2>/dev/null || true; } | python3 -c 'import json, sys; assert len(json.load(sys.stdin)) == 1'
	done
	run postern account show anna
	[[ $output == *"accounts/anna/credentials.tdb cannot be read"* ]]
}

@test "postern: what is damaged or missing is named, with what to do" {
	postern account add user user@localhost
	postern apppassword add user phone >/dev/null
	run postern apppassword rm user nosuch </dev/null
	[ "$status" -eq 1 ]
	[ "$output" = "postern: user has no app password \"nosuch\"; \`postern apppassword list user\` names them" ]
	postern tlspubkey gen key
	cp state/keys/secret secret
	for damage in short "longer than any that was ever written here" ""; do
		printf '%s' "$damage" >state/keys/secret
		for verb in "account show" "apppassword add --expires=2999-12-31" "account password"; do
			# shellcheck disable=SC2046,SC2086 # words
			run postern $verb user $([[ $verb != app* ]] || echo tablet) <<<'correct horse'
			[ "$status" -ne 0 ]
			[[ $output == *"$dir/state/keys/secret cannot be used: it is damaged; restore it from a backup, or remove it and"* ]]
		done
		run postern config apply
		[ "$status" -ne 0 ]
		[[ $output == *"$dir/state/keys/secret cannot be used"* ]]
	done
	rm state/keys/secret # as it says
	postern config apply
	postern account show user >/dev/null
	echo damaged >state/keys/nobody/credentials.tdb
	run postern tlspubkey add user@localhost <key.pem
	[ "$status" -ne 0 ]
	[[ $output == *"$dir/state/keys/nobody/credentials.tdb cannot be used: it is damaged; remove it, and run \`postern config apply\`"* ]]
	rm state/keys/nobody/credentials.tdb
	postern config apply
	cp state/accounts/user/credentials.tdb whole.tdb
	echo damaged >state/accounts/user/credentials.tdb
	for verb in "account password user" "apppassword rm --yes user phone" "apppassword add user tablet" "tlspubkey add user@localhost"; do
		# shellcheck disable=SC2086
		run postern $verb <<<"$([[ $verb != tls* ]] && echo "correct horse" || cat key.pem)"
		[ "$status" -ne 0 ]
		[[ $output == *"$dir/state/accounts/user/credentials.tdb cannot be read: it is damaged; restore it from a backup" ]]
	done
	cp whole.tdb state/accounts/user/credentials.tdb # as it says
	[[ $(postern apppassword list) == 'user "phone" '* ]]
	rm -r run
	give_to_other state
	chmod 555 .
	run postern_as_other config apply
	chmod 755 .
	[ "$status" -ne 0 ]
	[[ $output == *"$dir/run: cannot be made or opened (\`systemd-tmpfiles --create\`, as root, makes /run/postern): Permission denied"* ]]
}

@test "postern config check, apply, account show: passwords of another iteration count" {
	postern account add user user@localhost
	echo 'correct horse' | postern account password user
	[[ $(postern config check 2>&1) != *iterations* ]]
	echo 'scram-iterations = 20000' >>postern.conf
	run postern config check
	[ "$status" -eq 0 ]
	[[ $output == *"passwords of user were made with 16384 iterations, not 20000"* ]]
	run postern config apply
	[ "$status" -eq 0 ]
	[[ $output == *"passwords of user"* ]]
	[[ $(postern account show user) == *"with 16384 iterations, not 20000"* ]]
	echo 'correct horse' | postern account password --rehash user
	[[ $(postern config check 2>&1) != *iterations* ]]
	[[ $(postern account show user) != *iterations* ]]
}

@test "postern config show: every key in both forms; the text amounts to itself" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=localhost \
		-keyout server.pem -out certificate.pem 2>/dev/null
	cat certificate.pem >>server.pem
	echo secret >password
	cat >postern.conf <<-'E'
		hostname = mx.example.org
		sasl-mechanisms = {SCRAM-SHA-256-PLUS, PLAIN, CRAM-MD5}
		message-size-max = 1.5M
		recipients-max = 200
		schedule = {7.5m, 1h}
		lifetime = 4d
		delay-notice = 0
		concurrency = 7
		concurrency-per-host = 3
		postmaster = anna
		account-pages-url = "https://example.org/?a=\"b\\c\""
		hide-plus-after-abort = no
		scram-iterations = 20000
		certificate { certificate-file = server.pem key-file = server.pem }
		certificate { certificate-file = certificate.pem key-file = server.pem }
		domain "BÜCHER.example" {
			deliver = route case-sensitive = yes catch-all = anna
			route { from-domain = {"example.org"} transport = relay }
		}
		account "anna" {
			addresses = {"Änna@bücher.example", "a@bücher.example"}
			disabled = yes disabled-text = "Pay first" quota = 1G quota-messages = 1000 local-only = yes cram-md5 = yes
			route { to-domain = {".example.net", "example.com"} minimum-attempts = 3 transport = "" }
		}
		account "bernd" { addresses = {"b@bücher.example"} }
		transport "relay" {
			kind = submission host = relay.example.org port = 2525 tls = implicit ca-file = certificate.pem
			username = "anna" password-file = password client-key-file = server.pem mechanisms = {SCRAM-SHA-256, PLAIN}
			connections = 2 messages-per-connection = 50
		}
		transport "pinned" {
			kind = smtp host = mx.example.net verify = pinned pin = M54v-RdjBQe2pCO1zghOKF0fpl2Ts-J6YZXTu-vJriM
		}
		transport "no" { kind = fail code = 450 text = "Not now" }
		route { from-domain = {".example.org"} transport = pinned }
		route { transport = no }
	E
	postern config show >text
	postern config show --json >json
	postern config keys --json >keys.json
	/usr/bin/python3 - <<-'E'
		import json, re
		text, shown, keys = open("text").read(), json.load(open("json")), json.load(open("keys.json"))
		sections = {"": [shown], "certificate": shown["certificates"], "domain": shown["domains"],
		            "account": shown["accounts"], "transport": shown["transports"],
		            "route": shown["routes"] + shown["domains"][0]["routes"] + shown["accounts"][0]["routes"]}
		for k in keys:
		    assert all(k["key"] in s for s in sections[k["section"]]), k
		    assert any(s[k["key"]] not in (None, []) for s in sections[k["section"]]), k
		    assert re.search(rf"^\t*{k['key']} = ", text, re.M), k
		assert len(keys) > 40 and shown["message-size-max"] == 1572864 and shown["schedule"] == [450, 3600]
		assert shown["hide-plus-after-abort"] is False and shown["account-pages-url"] == 'https://example.org/?a="b\\c"'
		assert shown["domains"][0]["deliver"] == "route" and shown["domains"][0]["name"] == "xn--bcher-kva.example"
		relay, pinned, no = shown["transports"]
		assert (relay["tls"], relay["port"], relay["mechanisms"]) == ("implicit", 2525, ["SCRAM-SHA-256", "PLAIN"]), relay
		assert (pinned["tls"], pinned["port"], pinned["mechanisms"], pinned["ca-file"]) == ("starttls", 25, [], None), pinned
		assert (no["port"], no["code"], no["text"]) == (None, 450, "Not now"), no
	E
	cp text postern.conf
	postern config show | sed 's/ { # .*/ {/' >again
	diff <(sed 's/ { # .*/ {/' text) again
	printf 'hostname = localhost\n' >postern.conf # the least
	postern config show 2>/dev/null >postern.least
	cp postern.least postern.conf
	postern config show 2>/dev/null | cmp - postern.least
	postern config show --json 2>/dev/null | python3 -m json.tool >/dev/null
}

@test "postern.conf(5) describes every key, with its default" {
	page=$(mandoc -Tutf8 -O width=1000 "$BATS_TEST_DIRNAME/../../doc/man/postern.conf.5" | col -bx)
	postern config keys | while IFS= read -r line; do
		[[ $line =~ ^'  '([^ ]+)' = '([^\(]*)(' ('(.*)')')?$ ]] || continue
		grep -q "^ *${BASH_REMATCH[1]} = " <<<"$page" || { echo "missing: $line"; exit 1; }
		[ -z "${BASH_REMATCH[4]}" ] || grep -qF "Default: ${BASH_REMATCH[4]%.}." <<<"$page" ||
			{ echo "default: $line"; exit 1; }
	done
}

@test "postern config apply: tells all sessions that it can; histories are there before the first login" {
	local name
	for name in anna berta carl; do postern account add "$name" "$name@localhost"; done
	for name in anna berta carl .nobody; do [ -s "state/history/$name/logins.tdb" ]; done
	rm -f state/accounts/*/changes
	mkdir state/accounts/berta/changes
	for name in anna berta carl; do
		echo "account \"$name\" { addresses = {\"$name@localhost\"} disabled = yes }" >"conf.d/account-$name.conf"
	done
	run postern config apply
	[ "$status" -ne 0 ]
	[[ $output == *"accounts/berta/changes: cannot be touched"* ]]
	[ -e state/accounts/anna/changes ]
	[ -e state/accounts/carl/changes ]
}
