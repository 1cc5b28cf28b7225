#include "conf/keys.h"

/* Limits that several keys share. */
#define NAME_MAX_BYTES 255
#define TEXT_MAX_BYTES 500
#define PATH_MAX_BYTES 4095
#define SECONDS_MAX ((uint64_t)365 * 86400)
#define BYTES_MAX ((uint64_t)1 << 50)

const struct config_key config_keys[] = {
    {CONFIG_GLOBAL, "hostname", CONFIG_TEXT, NULL, 1, NAME_MAX_BYTES, NULL,
	"Name of this host, in greetings, in EHLO and in Received fields. Required."},
    {CONFIG_GLOBAL, "sasl-mechanisms", CONFIG_LIST,
	"SCRAM-SHA-256-PLUS, SCRAM-SHA-1-PLUS, SCRAM-SHA-256, SCRAM-SHA-1, PLAIN, LOGIN, EXTERNAL",
	1, NAME_MAX_BYTES, NULL, "SASL mechanisms that are offered over TLS."},
    {CONFIG_GLOBAL, "message-size-max", CONFIG_SIZE, "100M", 65536, (uint64_t)1 << 32, NULL,
	"Largest message that is taken in."},
    {CONFIG_GLOBAL, "recipients-max", CONFIG_NUMBER, "1000", 100, 100000, NULL,
	"Most recipients of one message (RFC 5321 wants at least 100)."},
    {CONFIG_GLOBAL, "schedule", CONFIG_TIMES, "7.5m, 15m, 30m, 1h, 2h, 4h", 1, SECONDS_MAX, NULL,
	"Waits between delivery attempts; the last one repeats."},
    {CONFIG_GLOBAL, "lifetime", CONFIG_TIME, "5d", 1, SECONDS_MAX, NULL,
	"Age at which undelivered mail goes back to its sender."},
    {CONFIG_GLOBAL, "delay-notice", CONFIG_TIME, "4h", 0, SECONDS_MAX, NULL,
	"Age at which the sender is told once of a delay; 0: never."},
    {CONFIG_GLOBAL, "concurrency", CONFIG_NUMBER, "20", 1, 1000, NULL,
	"Most deliveries at the same time."},
    {CONFIG_GLOBAL, "concurrency-per-host", CONFIG_NUMBER, "4", 1, 1000, NULL,
	"Most deliveries at the same time to one host."},
    {CONFIG_GLOBAL, "postmaster", CONFIG_TEXT, NULL, 1, 64, NULL,
	"Account that gets mail to postmaster of any domain without such an address, and mail "
	"about "
	"mail that can be given back to nobody."},
    {CONFIG_GLOBAL, "account-pages-url", CONFIG_TEXT, NULL, 1, TEXT_MAX_BYTES, NULL,
	"Address of the account pages, told to people whose key is not registered."},
    {CONFIG_GLOBAL, "hide-plus-after-abort", CONFIG_YES_NO, "yes", 0, 0, NULL,
	"Hide the -PLUS mechanisms for ten minutes from addresses whose mail program began one and "
	"gave up."},
    {CONFIG_GLOBAL, "scram-iterations", CONFIG_NUMBER, "16384", 4096, 10000000, NULL,
	"Work per guess of a stolen verifier, for passwords that are set from now on. Others keep "
	"theirs until `postern account password --rehash`, and until then differ from unknown "
	"users."},

    {CONFIG_CERTIFICATE, "certificate-file", CONFIG_FILE, NULL, 1, PATH_MAX_BYTES, NULL,
	"Certificate chain in PEM, the server's first. Required."},
    {CONFIG_CERTIFICATE, "key-file", CONFIG_FILE, NULL, 1, PATH_MAX_BYTES, NULL,
	"Private key in PEM; may be the same file. Required."},

    {CONFIG_DOMAIN, "deliver", CONFIG_CHOICE, "mailbox", 0, 0, "mailbox|route",
	"What happens to addresses that no account has: refused, or routed elsewhere."},
    {CONFIG_DOMAIN, "case-sensitive", CONFIG_YES_NO, "no", 0, 0, NULL,
	"Whether User and user are two addresses."},
    {CONFIG_DOMAIN, "catch-all", CONFIG_TEXT, NULL, 1, 64, NULL,
	"Account that gets what is addressed to nobody."},

    {CONFIG_ACCOUNT, "addresses", CONFIG_LIST, NULL, 1, 320, NULL,
	"Addresses of the account, the main one first. Required."},
    {CONFIG_ACCOUNT, "disabled", CONFIG_YES_NO, "no", 0, 0, NULL,
	"Refuse logins; mail still arrives."},
    {CONFIG_ACCOUNT, "disabled-text", CONFIG_TEXT, "This account is disabled.", 1, TEXT_MAX_BYTES,
	NULL, "What those who try to log in are told, in ASCII."},
    {CONFIG_ACCOUNT, "quota", CONFIG_SIZE, "0", 0, BYTES_MAX, NULL,
	"Most bytes of mail; 0: no limit."},
    {CONFIG_ACCOUNT, "quota-messages", CONFIG_NUMBER, "0", 0, 5000000, NULL,
	"Most messages; 0: no limit."},
    {CONFIG_ACCOUNT, "local-only", CONFIG_YES_NO, "no", 0, 0, NULL,
	"May send to addresses of this host only."},
    {CONFIG_ACCOUNT, "cram-md5", CONFIG_YES_NO, "no", 0, 0, NULL,
	"May log in by CRAM-MD5, if sasl-mechanisms has it, too. What is then kept of passwords "
	"set "
	"from now on is as good as they are for CRAM-MD5."},

    {CONFIG_TRANSPORT, "kind", CONFIG_CHOICE, NULL, 0, 0, "direct|smtp|submission|submissions|fail",
	"direct: to the domain's own hosts; smtp, submission, submissions: through a relay on port "
	"25, 587, 465; fail: not at all. Required."},
    {CONFIG_TRANSPORT, "host", CONFIG_TEXT, NULL, 1, NAME_MAX_BYTES, NULL,
	"Name or address of the relay."},
    {CONFIG_TRANSPORT, "port", CONFIG_NUMBER, NULL, 1, 65535, NULL,
	"Port of the relay, if not the usual one of its kind."},
    {CONFIG_TRANSPORT, "tls", CONFIG_CHOICE, NULL, 0, 0, "implicit|starttls|none",
	"How TLS begins; submissions: implicit, the others: starttls. It is required then."},
    {CONFIG_TRANSPORT, "verify", CONFIG_CHOICE, "pkix", 0, 0, "pkix|pinned|none",
	"How the relay's certificate is judged."},
    {CONFIG_TRANSPORT, "ca-file", CONFIG_FILE, NULL, 1, PATH_MAX_BYTES, NULL,
	"Authorities for verify = pkix, in PEM, instead of the system's."},
    {CONFIG_TRANSPORT, "pin", CONFIG_TEXT, NULL, 43, 43, NULL,
	"Fingerprint of the relay's public key for verify = pinned: SHA-256 in base64url."},
    {CONFIG_TRANSPORT, "username", CONFIG_TEXT, NULL, 1, NAME_MAX_BYTES, NULL,
	"Name to log in with."},
    {CONFIG_TRANSPORT, "password-file", CONFIG_FILE, NULL, 1, PATH_MAX_BYTES, NULL,
	"File whose first line is the password."},
    {CONFIG_TRANSPORT, "client-key-file", CONFIG_FILE, NULL, 1, PATH_MAX_BYTES, NULL,
	"Private key and certificate in PEM, shown to the relay."},
    {CONFIG_TRANSPORT, "mechanisms", CONFIG_LIST, NULL, 1, NAME_MAX_BYTES, NULL,
	"SASL mechanisms that may be used; default: EXTERNAL with a key, SCRAM, CRAM-MD5. PLAIN "
	"only when it is listed."},
    {CONFIG_TRANSPORT, "connections", CONFIG_NUMBER, "4", 1, 1000, NULL,
	"Most connections at the same time."},
    {CONFIG_TRANSPORT, "messages-per-connection", CONFIG_NUMBER, "100", 1, 100000, NULL,
	"Messages after which a connection is closed."},
    {CONFIG_TRANSPORT, "code", CONFIG_NUMBER, "550", 400, 599, NULL,
	"For kind = fail: 4xx keeps the mail waiting, 5xx returns it."},
    {CONFIG_TRANSPORT, "text", CONFIG_TEXT, "Mail to this domain is not sent from here", 1,
	TEXT_MAX_BYTES, NULL, "For kind = fail: what the sender reads."},

    {CONFIG_ROUTE, "from-domain", CONFIG_LIST, NULL, 1, NAME_MAX_BYTES, NULL,
	"Domains of the sender: \"example.org\", or \".example.org\" with all below. Absent: any."},
    {CONFIG_ROUTE, "to-domain", CONFIG_LIST, NULL, 1, NAME_MAX_BYTES, NULL,
	"Domains of the recipient, likewise."},
    {CONFIG_ROUTE, "minimum-attempts", CONFIG_NUMBER, "0", 0, 10000, NULL,
	"Attempts made already: 3 applies from the fourth on."},
    {CONFIG_ROUTE, "transport", CONFIG_TEXT, NULL, 0, 64, NULL,
	"Name of a transport; \"\" sends directly. Required."},
};
const size_t config_key_count = ARRAY_SIZE(config_keys);

const struct config_key *config_key_find(enum config_section_kind section, struct span name)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *k = &config_keys[i];
		if (k->section == section && span_equal(span_cstr(k->name), name))
			return k;
	}
	return NULL;
}

const char *config_section_name(enum config_section_kind kind)
{
	static const char *const names[CONFIG_SECTION_COUNT] = {
	    "", "certificate", "domain", "account", "transport", "route"};
	return names[kind];
}

bool config_section_has_title(enum config_section_kind kind)
{
	return kind == CONFIG_DOMAIN || kind == CONFIG_ACCOUNT || kind == CONFIG_TRANSPORT;
}

const char *config_type_name(enum config_type type)
{
	static const char *const names[] = {
	    [CONFIG_TEXT] = "text",
	    [CONFIG_LIST] = "list",
	    [CONFIG_NUMBER] = "number",
	    [CONFIG_TIME] = "time",
	    [CONFIG_TIMES] = "list of times",
	    [CONFIG_SIZE] = "size",
	    [CONFIG_YES_NO] = "yes or no",
	    [CONFIG_CHOICE] = "choice",
	    [CONFIG_FILE] = "file",
	};
	return names[type];
}
