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
}

@test "postern config: check says file and line, changes nothing; apply compiles" {
	run postern config check
	[ "$status" -eq 0 ]
	[ ! -e state ]
	echo 'colour = blue' >>postern.conf
	run postern config check
	[ "$status" -eq 1 ]
	[[ $output == *"$dir/postern.conf:3: unknown key"* ]]
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
	echo 'correct horse' | postern account password user
	run postern account password user <<<short
	[ "$status" -eq 1 ]
	run postern account password nobody <<<'correct horse'
	[ "$status" -eq 1 ]
	run postern account password --generate user
	[ "$status" -eq 0 ]
	[ "${#output}" -eq 20 ]
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
	[[ $output == "$fingerprint ed25519 user@localhost preauth=no scope=imap laptop" ]]
	postern tlspubkey list --json user | python3 -m json.tool >/dev/null
	postern tlspubkey get "$fingerprint" | openssl pkey -pubin -noout
	run postern tlspubkey add user@elsewhere.example <key2.pem
	[ "$status" -eq 1 ]
	run postern tlspubkey add user@localhost <postern.conf
	[ "$status" -eq 1 ]
	postern config tlspubkey rm "$fingerprint"
	run postern tlspubkey rm "$fingerprint"
	[ "$status" -eq 1 ]
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
