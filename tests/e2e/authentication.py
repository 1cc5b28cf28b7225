#!/usr/bin/env python3
"""Who may log in: through the real handlers. usage: authentication.py TEST [ARGUMENT]"""
import base64
import hashlib
import hmac
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import unicodedata

from peer import BUILD, INSTANCE, KEYS, Peer, b64
from sasl_client import Connection, Scram, login, plain, scram

PROTOCOLS = "imap", "submission"
ALICE, AL, BOB = "alice@example.org", "al@example.org", "bob@example.org"
ZOE = "zoë@bücher.example"
ZOE_PASSWORD = "tést" + 4 * " "
PASSWORD = "wonderland-alice"
SCRAMS = "SCRAM-SHA-1", "SCRAM-SHA-256"


def postern(*arguments, text=None, check=True):
    return subprocess.run([f"{BUILD}/bin/postern", "--instance", INSTANCE, *arguments],
                          input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=check)


def fingerprint(name):
    """The fingerprint of a key, by other means than Postern's."""
    der = subprocess.run(f"openssl x509 -in {KEYS}/{name}.certificate.pem -noout -pubkey | "
                         "openssl pkey -pubin -outform DER", shell=True, stdout=subprocess.PIPE, check=True)
    return base64.urlsafe_b64encode(hashlib.sha256(der.stdout).digest()).decode().rstrip("=")


def logged_in(c, account=None):
    """Is it so, and as whom?"""
    if c.protocol == "imap":
        c.expect("z SELECT INBOX", "")
        line = c.line()
        while not line.startswith("z "):
            line = c.line()
        assert line.startswith("z OK"), line
    else:
        c.reply(f"MAIL FROM:<{account}>", "250")
        c.reply("RSET", "250")


def several_keys():
    """Two keys, two login addresses; a session shows its own; removing one leaves the other."""
    for key, address in ("yes", ALICE), ("second", AL):
        with Connection("imap", key) as c:
            assert c.greeting.startswith("* PREAUTH [CAPABILITY ") and address in c.greeting, c.greeting
            assert ("alice@" in c.greeting) == (address == ALICE)
            logged_in(c)
        with Connection("submission", key) as c:
            logged_in(c, address)
    postern("tlspubkey", "rm", "--yes", fingerprint("second"))
    with Connection("imap", "second") as c:
        assert c.greeting.startswith("* OK"), c.greeting
        assert fingerprint("second") in c.end(c.begin("EXTERNAL", b""), "alert")
    with Connection("submission", "second") as c:
        assert fingerprint("second") in c.reply(f"MAIL FROM:<{AL}>", "530 5.7.0")
    with Connection("imap", "yes") as c:
        assert "PREAUTH" in c.greeting


def odd_certificates():
    """Dates, names, usages, issuers are never looked at; another key under the same name is."""
    for certificate in "odd", "expired", "nameless", "usage", "signed":
        for tls12 in False, True:
            with Connection("imap", certificate, tls12=tls12) as c:
                assert ("PREAUTH" in c.greeting) == (not tls12), (certificate, c.greeting)
        with Connection("submission", certificate) as c:
            logged_in(c, ALICE)
    for protocol in PROTOCOLS:
        with Connection(protocol, "other") as c:
            assert "PREAUTH" not in c.greeting
            c.end(c.begin("EXTERNAL", b""), "alert")
        assert "result=unknown-key" in c.logged() and "result=ok" not in c.logged()


def long_chains():
    """Certificates behind the first one are never looked at, whatever they are, up to 64 KiB."""
    with open(f"{KEYS}/odd.pem", encoding="ascii") as f:
        odd = f.read()
    with open(f"{KEYS}/ca.pem", encoding="ascii") as f:
        another = f.read()
    for count, good in (60, True), (100, False):
        with open(f"{KEYS}/chain.pem", "w", encoding="ascii") as f:
            f.write(odd + count * another)
        for protocol in PROTOCOLS:
            try:
                with Connection(protocol, "chain") as c:
                    assert good, c.greeting
                    logged_in(c, ALICE)
            except (ssl.SSLError, ConnectionError):
                assert not good
                c = Connection.latest
                c.socket.close()
                assert "client's certificates" in c.logged() and "login result" not in c.logged(), c.logged()


def reissued_certificate():
    with Connection("imap", "reissued") as c:
        assert "PREAUTH" in c.greeting
        logged_in(c)
    assert fingerprint("odd") == fingerprint("reissued") and fingerprint("odd") in c.logged()


def key_types():
    """RSA, RSA-PSS, P-384, P-521, Ed25519, Ed448."""
    for name in "type-2048", "type-RSA-PSS", "type-P-384", "type-P-521", "type-ED25519", "type-ED448":
        with Connection("imap", name) as c:
            assert "PREAUTH" in c.greeting, (name, c.greeting, c.logged())


class Careless(Connection):
    """A client that uses keys that OpenSSL finds too weak."""

    def context(self):
        context = ssl.create_default_context(cafile=f"{INSTANCE}/server.pem")
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.load_cert_chain(f"{KEYS}/{self.key}.pem")
        return context


def short_key():
    """It completes the handshake and is nobody's; and it cannot be registered."""
    for protocol in PROTOCOLS:
        with Careless(protocol, "short") as c:
            line = c.end(c.begin("EXTERNAL", b""), "alert")
            assert "cannot be registered" in line and "2048" in line and "approve" not in line, line
            if protocol == "submission":
                assert "cannot be registered" in c.reply(f"MAIL FROM:<{ALICE}>", "530 5.7.0")
            c.end(plain(c, ALICE, PASSWORD), "ok")
    with open(f"{KEYS}/short.crt", encoding="ascii") as f:
        run = postern("tlspubkey", "add", ALICE, text=f.read(), check=False)
    assert run.returncode != 0 and "2048" in run.stdout, run


def register(name, *options, address=ALICE):
    postern("tlspubkey", "gen", "--p256", f"{KEYS}/{name}")
    with open(f"{KEYS}/{name}.certificate.pem", encoding="ascii") as f:
        return postern("tlspubkey", "add", *options, address, text=f.read()).stdout.strip()


def login_address():
    """It is normalised when the key is added, and shown in ASCII before a charset is agreed on."""
    for number, address in enumerate((unicodedata.normalize("NFD", "zoë") + "@BÜCHER.example",
                                      "ZOE+tag@EXAMPLE.org")):
        key = f"normalised-{number}"
        name = register(key, address=address)
        fields = postern("tlspubkey", "get", name).stdout
        assert ("zoë@xn--bcher-kva.example", "zoe@example.org")[number] in fields, fields
        with Connection("imap", key) as c:
            shown = c.greeting.rsplit(" ", 1)[1]
            assert c.greeting.startswith("* PREAUTH") and c.greeting.isascii(), c.greeting
            assert shown == ("@xn--bcher-kva.example", "zoe@example.org")[number], c.greeting
            logged_in(c)
        with Connection("submission", key) as c:
            logged_in(c, "zoe@example.org")


def tls12_text():
    """A key that may not be used over TLS 1.2 is told so, wherever a client shows it."""
    words = f"The TLS key {fingerprint('yes')} is not accepted over TLS 1.2"
    with Connection("imap", "yes", tls12=True) as c:
        assert words in c.end(c.begin("EXTERNAL", b""), "alert")
    for implicit in True, False:
        with Connection("submission", "yes", implicit, tls12=True) as c:
            assert words in c.reply(f"MAIL FROM:<{ALICE}>", "530 5.7.0")
            assert words in c.reply("AUTH EXTERNAL =", "535 5.7.8")


def account_pages():
    """Where there is a page to approve a key on, the text names it."""
    path = f"{INSTANCE}/conf.d/pages.conf"
    with open(path, "w", encoding="utf-8") as f:
        f.write('account-pages-url = "https://mx.example.org/account"\n')
    postern("config", "apply")
    words = f"The TLS key {fingerprint('stranger')} is not registered here. Approve it at https://mx.example.org/account"
    with Connection("imap", "stranger") as c:
        assert c.end(c.begin("EXTERNAL", b""), "alert").endswith("] " + words)
    with Connection("submission", "stranger") as c:
        assert c.reply(f"MAIL FROM:<{ALICE}>", "530 5.7.0").endswith(words)
        assert c.reply("AUTH EXTERNAL =", "535 5.7.8").endswith(words)
    os.unlink(path)
    postern("config", "apply")


def scope_and_expiry():
    """A key for one of the two services; a key that expires while it is in use."""
    register("only-imap", "--scope=imap")
    register("only-submission", "--scope=submission")
    with Connection("imap", "only-imap") as c:
        assert "PREAUTH" in c.greeting
    with Connection("submission", "only-imap") as c:
        c.reply(f"MAIL FROM:<{ALICE}>", "530 5.7.0")
        c.end(c.begin("EXTERNAL", b""), "credentials")
        c.end(plain(c, ALICE, PASSWORD), "ok")
    assert "result=out-of-scope" in c.logged()
    with Connection("submission", "only-submission") as c:
        logged_in(c, ALICE)
    with Connection("imap", "only-submission") as c:
        assert c.greeting.startswith("* OK")
        assert c.begin("EXTERNAL", b"").startswith("a NO [AUTHORIZATIONFAILED]")
    end = int(time.time()) + 3
    register("expiring", "--expires=" + time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end)))
    with Connection("imap", "expiring") as c, Connection("submission", "expiring") as s:
        assert "PREAUTH" in c.greeting
        logged_in(c)
        logged_in(s, ALICE)
        c.expect("i IDLE", "+ ")
        c.expect(None, "* BYE")
        assert end <= time.time() < end + 2, time.time() - end
        s.reply(f"MAIL FROM:<{ALICE}>", "421 4.7.0")
    with Connection("imap", "expiring") as c:
        assert c.begin("EXTERNAL", b"").startswith("a NO [EXPIRED]")
    with Connection("submission", "expiring") as c:
        c.reply(f"MAIL FROM:<{ALICE}>", "530 5.7.0")
        c.end(c.begin("EXTERNAL", b""), "credentials")


def external():
    """EXTERNAL with nothing, "=", own addresses in any form; others' whether they exist or not."""
    own = [ALICE, AL, "ALICE@example.org", "alice+tag@EXAMPLE.ORG"]
    zoe = [ZOE, unicodedata.normalize("NFD", ZOE), "zoë@xn--bcher-kva.example", "zoe@example.org"]
    for protocol, implicit in ("imap", True), ("imap", False), ("submission", True), ("submission", False):
        for key, names, sender in ("no", own, ALICE), ("zoe", zoe, "zoe@example.org"):
            for name in [None, "", *names]:
                for initial in (True, False) if name in (None, "", names[0]) else (True,):
                    if name is None and not initial:
                        continue
                    with Connection(protocol, key, implicit) as c:
                        if name is None:  # no initial response, one empty round, an empty line
                            assert c.challenge(c.begin("EXTERNAL")) == b""
                            line = c.respond(b"")
                        elif initial:
                            line = c.begin("EXTERNAL", name.encode())
                        else:
                            assert c.challenge(c.begin("EXTERNAL")) == b""
                            line = c.respond(name.encode())
                        c.end(line, "ok")
                        logged_in(c, sender)
        for name in BOB, "nobody@example.org", "nonsense", "a@b@c", "\n":
            with Connection(protocol, "no", implicit) as c:
                c.end(c.begin("EXTERNAL", name.encode()), "credentials")
        with Connection(protocol, "no", implicit) as c:
            c.end(c.begin("EXTERNAL", b"\xff\xfe"), "malformed")
            c.end(c.begin("EXTERNAL", ALICE.encode() + b"\0"), "malformed")
            assert c.challenge(c.begin("EXTERNAL")) == b""
            c.end(c.ask("*"), "aborted")
            c.end(c.begin("EXTERNAL", b""), "ok")
        with Connection(protocol, None, implicit) as c:
            c.end(c.begin("EXTERNAL", b""), "not-offered")


def preauth_matrix():
    for key, preauth in ("yes", True), ("no", False), ("tolerant", True), ("stranger", False), (None, False):
        with Connection("imap", key) as c:
            assert c.greeting.startswith("* PREAUTH [CAPABILITY" if preauth else "* OK [CAPABILITY"), c.greeting
            assert ("AUTH=EXTERNAL" in c.greeting) == (key in ("no", "tolerant", "stranger")), c.greeting
            assert ("AUTH=PLAIN" in c.greeting) == (key != "yes"), c.greeting
            if not preauth:
                c.expect("a SELECT INBOX", "a BAD")
                continue
            if key == "yes":
                c.end(c.begin("EXTERNAL", b""), "not-offered")
                c.expect(f"b LOGIN {ALICE} {PASSWORD}", "b NO")
                c.expect("c STARTTLS", "c BAD")
            logged_in(c)
            c.send("d APPEND INBOX {5+}\r\nhello\r\n")
            while not (line := c.line()).startswith("d "):
                pass
            assert line.startswith("d OK"), line
            if "ENABLE" in c.greeting:
                c.expect("e ENABLE CONDSTORE", "ENABLED")
                c.expect(None, "e OK")
            if "IDLE" in c.greeting:
                c.expect("f IDLE", "+ ")
                c.expect("DONE", "f OK")
        with Connection("imap", key, implicit=False) as c:
            c.send("a CAPABILITY\r\n")
            announced = c.line()
            c.expect(None, "a OK")
            assert "AUTH=PLAIN" in announced and "STARTTLS" not in announced
            assert ("AUTH=EXTERNAL" in announced) == (key is not None), announced
            c.expect("b SELECT INBOX", "b BAD")
            c.expect("c STARTTLS", "c BAD")
            if key == "stranger":
                c.end(c.begin("EXTERNAL", b""), "alert")
            elif key:
                assert "[CAPABILITY" in c.end(c.begin("EXTERNAL", b""), "ok")
                logged_in(c)


def tolerant():
    """For clients that do not know PREAUTH (K-9): the same account may authenticate once more."""
    with Connection("imap", "tolerant") as c:
        assert "AUTH=EXTERNAL" in c.greeting and "SASL-IR" in c.greeting, c.greeting
        c.expect("1 CAPABILITY", "AUTH=EXTERNAL", "SASL-IR")
        c.expect(None, "1 OK")
        c.end(c.begin("EXTERNAL", ALICE.encode()), "ok")
        logged_in(c)
        c.expect("2 CAPABILITY", "* CAPABILITY")
        c.expect(None, "2 OK")
    for how in ("PLAIN", "LOGIN", "SCRAM-SHA-256"):
        with Connection("imap", "tolerant") as c:
            line = (plain(c, ALICE, PASSWORD) if how == "PLAIN" else login(c, AL, PASSWORD)
                    if how == "LOGIN" else scram(c, how, ALICE, PASSWORD)[1])
            c.end(line, "ok")
            logged_in(c)
    with Connection("imap", "tolerant") as c:
        logged_in(c)
        assert "AUTH=" not in c.expect("1 CAPABILITY", "* CAPABILITY")
        c.expect(None, "1 OK")
        c.end(c.begin("EXTERNAL", b""), "not-offered")
    for attempt in (lambda c: plain(c, BOB, "wonderland-bob"), lambda c: plain(c, ALICE, "wrong"),
                    lambda c: c.begin("EXTERNAL", BOB.encode())):
        with Connection("imap", "tolerant") as c:
            line = attempt(c)
            assert line.startswith("a NO") or line.startswith("* BYE"), line
            while line:  # a failed one ends the connection
                line = c.line()
        assert "result=wrong-account" in c.logged() or "result=bad-credentials" in c.logged(), c.logged()
    first = Scram("SCRAM-SHA-256", ALICE, PASSWORD).first()
    for spoilt in "*", "!!!", b64(b"\0"), b64(first[:9]), b64(OVERSIZED), "A" * 20000:
        for mechanism in "PLAIN", "SCRAM-SHA-256":
            with Connection("imap", "tolerant") as c:
                assert c.challenge(c.begin(mechanism)) == b""
                line = c.ask(spoilt)
                assert line.startswith(("a BAD", "* BYE")), (spoilt[:20], line)
                while line:
                    line = c.line()
    for malformed, tells in (("AUTHENTICATE PLAIN !!!!", "PLAIN"), ("AUTHENTICATE PLAIN A", "PLAIN"),
                             ("AUTHENTICATE EXTERNAL = =", "EXTERNAL"), ("AUTHENTICATE", None),
                             ("AUTHENTICATE NONE !!!!", None), ("LOGIN x", "PLAIN"), ("LOGIN", "PLAIN"),
                             ("LOGIN x {70000+}\r\n" + 70000 * "x", "PLAIN"), ("LOGIN x " + 60000 * "x", "PLAIN")):
        with Connection("imap", "tolerant") as c:  # it is a failed one, too
            line = c.ask("a " + malformed)
            assert line.startswith(("a BAD", "a NO")), (malformed[:40], line)
            assert c.line().startswith("* BYE"), malformed[:40]
            c.at_end()
        assert (f"result=aborted protocol=imap address=127.0.0.1 account=alice user=\"\" mechanism={tells} "
                in c.logged()) == bool(tells), (malformed[:40], c.logged())
    for other in "FETCH", "ID x", "NOOP x", "X", "SELECT {70000+}\r\n" + 70000 * "x":
        with Connection("imap", "tolerant") as c:
            assert c.ask("1 " + other).startswith("1 BAD")
            c.end(c.begin("EXTERNAL", b""), "not-offered")


def preauth_hint():
    """A client that logs in after PREAUTH: the log says which mode would help it."""
    for key, modes in ("yes", "--preauth=tolerant, or --preauth=no"), ("tolerant", "--preauth=no"):
        with Connection("imap", key) as c:
            logged_in(c)
            c.end(c.begin("EXTERNAL", b""), "not-offered")
        assert f"register its key {fingerprint(key)} with {modes}\n" in c.logged(), c.logged()


def message(c, sender, header, code):
    """One message; what DATA is answered."""
    c.reply(f"MAIL FROM:<{sender}>", "250")
    c.reply(f"RCPT TO:<{ALICE}>", "250")
    c.reply("DATA", "354")
    return c.reply(f"From: {header}\r\nSubject: x\r\n\r\nx\r\n.", code)


def submission():
    for implicit in True, False:
        for key in "yes", "no", "tolerant":
            with Connection("submission", key, implicit) as c:
                assert "AUTH " in c.ehlo and "EXTERNAL" in c.ehlo, c.ehlo
                message(c, ALICE, ALICE, "250 2.")
                message(c, AL, f"Al <{AL}>", "250 2.")  # another address of the account
                message(c, "", ALICE, "250 2.")  # the null sender
                message(c, ALICE, BOB, "550 5.7.1")
                message(c, ALICE, f"{ALICE}, {BOB}", "550 5.7.1")
                c.reply(f"MAIL FROM:<{BOB}>", "550 5.7.1")
                c.reply("MAIL FROM:<nobody@example.org>", "550 5.7.1")
                c.end(c.begin("EXTERNAL", AL.encode()), "ok")  # one AUTH on top
                c.reply("AUTH EXTERNAL =", "503 5.5.1")
                message(c, ALICE, ALICE, "250 2.")
        with Connection("submission", "yes", implicit) as c:
            c.reply(f"MAIL FROM:<{ALICE}>", "250")
            c.reply("AUTH EXTERNAL =", "503")  # inside a transaction
            c.reply("RSET", "250")
            c.end(c.begin("EXTERNAL", BOB.encode()), "credentials")
            logged_in(c, ALICE)  # a failed AUTH takes nothing away
            bindings = list(c.bindings().items())
            assert scram(c, "SCRAM-SHA-256-PLUS", AL, PASSWORD, bindings[-1])[1].startswith("235")
            c.reply("AUTH EXTERNAL =", "503 5.5.1")
        with Connection("submission", None, implicit) as c:
            c.reply(f"MAIL FROM:<{ALICE}>", "530 5.7.0")
            c.end(plain(c, ALICE, PASSWORD), "ok")
            c.reply("AUTH EXTERNAL =", "503 5.5.1")
            message(c, AL, ALICE, "250 2.")


def stolen_certificate():
    """The registered certificate and another private key: the handshake fails, and leaves no trace."""
    with open(f"{KEYS}/yes.key.pem", encoding="ascii") as f:
        sec1 = subprocess.run(["openssl", "ec", "-outform", "DER"], stdin=f, capture_output=True, check=True).stdout
    # ECPrivateKey (RFC 5915 §3): the private octets replaced, the public point left as it was
    assert sec1[5:7] == b"\x04\x20"
    forged = sec1[:7] + hashlib.sha256(b"another key").digest() + sec1[39:]
    with open(f"{KEYS}/yes.certificate.pem", encoding="ascii") as f:
        certificate = f.read()
    with open(f"{KEYS}/forged.pem", "w", encoding="ascii") as f:
        f.write("-----BEGIN EC PRIVATE KEY-----\n" + base64.encodebytes(forged).decode()
                + "-----END EC PRIVATE KEY-----\n" + certificate)
    with Connection("imap", "yes") as c:
        assert "PREAUTH" in c.greeting
    os.unlink(f"{INSTANCE}/run/state/limits.tdb")
    history = os.stat(f"{INSTANCE}/state/history/alice/logins.tdb")
    for protocol in PROTOCOLS:
        for tls12 in False, True:
            try:
                with Connection(protocol, "forged", tls12=tls12, keep_limits=True) as c:
                    assert False, c.greeting
            except ssl.SSLError as error:
                assert "decrypt error" in str(error), error
            c = Connection.latest
            c.socket.close()
            log = c.logged()
            assert "handshake" in log and "login result=" not in log, log
            # each session makes the limits' file when there is none: no failure is in it
            with open(f"{INSTANCE}/run/state/limits.tdb", "rb") as f:
                assert b"127.0.0" not in f.read()
    assert os.stat(f"{INSTANCE}/state/history/alice/logins.tdb") == history
    with Connection("imap", "yes") as c:
        assert "PREAUTH" in c.greeting


def password_over_key():
    """Credentials are verified in full, and the account must be the key's."""
    for protocol in PROTOCOLS:
        for how in ("PLAIN", "LOGIN", *SCRAMS):
            def attempt(c, user, password):
                if how in SCRAMS:
                    return scram(c, how, user, password)[1]
                return plain(c, user, password) if how == "PLAIN" else login(c, user, password)
            for user in ALICE, AL:
                with Connection(protocol, "no") as c:
                    c.end(attempt(c, user, PASSWORD), "ok")
            with Connection(protocol, "no") as c:
                c.end(attempt(c, BOB, "wonderland-bob"), "credentials")
                c.end(attempt(c, ALICE, "wrong"), "credentials")
                c.end(c.begin("EXTERNAL", b""), "ok")  # the key stays bound
                logged_in(c, ALICE)
            # a session of submission has begun: it can read no other account's verifiers any more
            result = "wrong-account" if protocol == "imap" else "bad-credentials"
            assert f"result={result}" in c.logged(), c.logged()


def disabled():
    """Disabled while in use: open sessions end, the key is refused in every mode, and it says why."""
    with Connection("imap", "fay") as c, Connection("submission", "fay-no") as submitting:
        logged_in(c)
        logged_in(submitting, "fay@example.org")
        c.expect("i IDLE", "+ ")
        with open(f"{INSTANCE}/conf.d/fay.conf", "w", encoding="utf-8") as f:
            f.write('account "fay" { addresses = {"fay@example.org"} disabled = yes disabled-text = "Ask Zoë" }\n')
        start = time.monotonic()
        postern("config", "apply")
        c.expect(None, "* BYE")
        assert time.monotonic() - start < 5
        with Connection("imap", "fay") as other:
            assert other.greeting == "* BYE Ask Zo?", other.greeting
        submitting.reply("MAIL FROM:<fay@example.org>", "421 4.7.0")
    for implicit in True, False:
        for key in ("fay-no", "fay-tolerant") if implicit else ("fay", "fay-no", "fay-tolerant"):
            with Connection("imap", key, implicit) as c:
                assert c.greeting.startswith("* OK"), c.greeting
                c.expect("b CAPABILITY", "AUTH=EXTERNAL")
                c.expect(None, "b OK")
                assert c.end(c.begin("EXTERNAL", b""), "alert") == "a NO [ALERT] Ask Zo?"
        for key in "fay", "fay-no", "fay-tolerant":
            with Connection("submission", key, implicit) as c:
                assert c.ehlo.startswith("250"), c.ehlo
                assert "Ask Zo?" in c.reply("MAIL FROM:<fay@example.org>", "525 5.7.13")
                assert "Ask Zo?" in c.reply("AUTH EXTERNAL =", "525 5.7.13")
                # whatever the password: the key has said whose connection it is
                response = base64.b64encode(b"\0fay@example.org\0wrong").decode()
                assert "Ask Zo?" in c.reply(f"AUTH PLAIN {response}", "525 5.7.13")
    for protocol in PROTOCOLS:  # with a password only after the right one
        with Connection(protocol) as c:
            c.end(plain(c, "fay@example.org", "wrong"), "credentials")
            line = plain(c, "fay@example.org", "wonderland-fay")
            assert "Ask Zo?" in line and line.startswith(("a NO [ALERT]", "525 5.7.13")), line


LATE = "late@example.org"


def configure_late(more=""):
    with open(f"{INSTANCE}/conf.d/late.conf", "w", encoding="utf-8") as f:
        f.write(f'account "late" {{ addresses = {{"{LATE}", "later@example.org"}} {more} }}\n')
    postern("config", "apply")


def register_late(*options):
    with open(f"{KEYS}/late.certificate.pem", encoding="ascii") as f:
        postern("tlspubkey", "add", "--preauth=no", *options, LATE, text=f.read())


def remove_late():
    postern("tlspubkey", "rm", "--yes", fingerprint("late"))


def withdrawn_before_login():
    """What is withdrawn between the handshake and the login does not log in any more."""
    configure_late()
    postern("tlspubkey", "gen", "--p256", f"{KEYS}/late")
    postern("account", "password", "late", text="wonderland-late\n")
    register_late()

    def refused(c, line, result):
        assert not c.is_end(line, "ok"), line
        c.line()  # BYE, 421
        c.at_end()
        assert f"result={result} " in c.logged() and "result=ok" not in c.logged(), c.logged()

    with Connection("imap", "late") as c:  # the key
        remove_late()
        refused(c, c.begin("EXTERNAL", b""), "unknown-key")
    register_late()
    with Connection("imap", "late") as c:  # its scope
        remove_late()
        register_late("--scope=submission")
        refused(c, c.begin("EXTERNAL", b""), "out-of-scope")
    remove_late()
    end = int(time.time()) + 2
    register_late("--expires=" + time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end)))
    with Connection("imap", "late") as c:  # its time
        time.sleep(end - time.time() + 0.1)
        refused(c, c.begin("EXTERNAL", b""), "expired")
    remove_late()
    register_late()
    for protocol in PROTOCOLS:
        configure_late()
        with Connection(protocol, "late" if protocol == "imap" else None) as c, Connection(protocol) as other:
            configure_late('disabled = yes disabled-text = "Come back"')  # the account
            if protocol == "imap":
                line = c.begin("EXTERNAL", b"")
            else:
                line = plain(c, LATE, "wonderland-late")
            assert "Come back" in line, line
            refused(c, line, "disabled")
            line = plain(other, LATE, "wonderland-late")
            assert "Come back" in line, line
            refused(other, line, "disabled")
    configure_late()
    for protocol in PROTOCOLS:  # the password, in the middle of its proof
        with Connection(protocol) as c:
            s = Scram("SCRAM-SHA-256", LATE, "wonderland-late")
            challenge = c.challenge(c.begin("SCRAM-SHA-256", s.first()))
            postern("account", "password", "late", text="wonderland-anew\n")
            line = c.respond(s.final(challenge))
            if c.is_end(line, "challenge"):
                line = c.respond(b"")
            c.end(line, "credentials")
            c.end(plain(c, LATE, "wonderland-anew"), "ok")
            logged_in(c, LATE)
        postern("account", "password", "late", text="wonderland-late\n")
    # an address that is the account's no more
    with Connection("imap", "late") as c:
        with open(f"{INSTANCE}/conf.d/late.conf", "w", encoding="utf-8") as f:
            f.write('account "late" { addresses = {"later@example.org"} }\n')
        postern("config", "apply")
        refused(c, c.begin("EXTERNAL", b""), "wrong-account")


def plaintext_then_key():
    """A failure before TLS, where that is allowed, and then the key of a disabled account."""
    for program, ask in (("bin/submit-handler", "AUTH PLAIN "), ("bin/imap-handler", "a AUTHENTICATE PLAIN ")):
        wrong = ask + b64(f"\0{BOB}\0wrong".encode())
        with Peer("--allow-plaintext", key="off", program=program) as c:
            c.line()
            if "submit" in program:
                c.reply("EHLO x", "250")
                c.reply(wrong, "535 5.7.8")
                c.reply("STARTTLS", "220")
                c.start_tls()
                c.reply("EHLO x", "250")
                c.reply(wrong, "525 5.7.13")
            else:
                c.expect(wrong, "a NO [AUTHENTICATIONFAILED]")
                c.expect("s STARTTLS", "s OK")
                c.start_tls()
                c.expect(wrong, "a NO [AUTHENTICATIONFAILED]")


def disabled_key_binds():
    """A disabled account's key is its account's: nobody else's password counts on top of it."""
    configure_late('disabled = yes disabled-text = "Come back"')
    postern("tlspubkey", "gen", "--p256", f"{KEYS}/bound")
    with open(f"{KEYS}/bound.certificate.pem", encoding="ascii") as f:
        postern("tlspubkey", "add", "--preauth=no", "later@example.org", text=f.read())
    for implicit in True, False:
        with Connection("imap", "bound", implicit) as c:
            assert "Come back" in c.end(c.begin("EXTERNAL", b""), "alert")
            c.end(plain(c, BOB, "wonderland-bob"), "credentials")
    configure_late()


def session_of_another_server(context):
    """A resumable session: ticket or id from a server with our server's certificate and no scruples."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(f"{INSTANCE}/server.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            connection, _ = listener.accept()
            with server.wrap_socket(connection, server_side=True) as s:
                s.sendall(b"x")
                s.recv(1)
        thread = threading.Thread(target=serve)
        thread.start()
        with context.wrap_socket(socket.create_connection(listener.getsockname()),
                                 server_hostname="localhost") as s:
            s.recv(1)  # the tickets of TLS 1.3 come with it
            session = s.session
            s.sendall(b"x")
        thread.join()
    assert session is not None
    return session


class Resuming(Connection):
    def __init__(self, *arguments, session, context, **more):
        self.session, self.the_context = session, context
        super().__init__(*arguments, **more)

    def start_tls(self):
        self.socket = self.the_context.wrap_socket(self.socket, server_hostname="localhost", session=self.session)


def resumption():
    """No ticket is given, none is taken, and a removed key is out at once."""
    for removed in False, True:
        if removed:
            postern("tlspubkey", "rm", "--yes", fingerprint("removed"))
        for tls12 in False, True:
            for tickets in True, False:
                context = ssl.create_default_context(cafile=f"{INSTANCE}/server.pem")
                context.load_cert_chain(f"{KEYS}/removed.pem")
                context.maximum_version = ssl.TLSVersion.TLSv1_2 if tls12 else ssl.TLSVersion.TLSv1_3
                if not tickets:
                    context.options |= ssl.OP_NO_TICKET
                session = session_of_another_server(context)
                for implicit in True, False:
                    with Resuming("imap", implicit=implicit, session=session, context=context) as c:
                        assert not c.socket.session_reused
                        if implicit:
                            assert ("PREAUTH" in c.greeting) != removed, c.greeting
                        else:
                            c.end(c.begin("EXTERNAL", b""), "alert" if removed else "ok")
                        own = c.socket.session
                        c.expect("n NOOP", "n OK") if not removed else None
                        assert not own.has_ticket and not own.id or not tls12, "a session to resume"
                        assert tls12 or not c.socket.session.has_ticket, "a ticket"
                    with Resuming("submission", implicit=implicit, session=session, context=context) as c:
                        assert not c.socket.session_reused
                        c.reply(f"MAIL FROM:<{ALICE}>", "530 5.7.0" if removed else "250")


def scram_bindings():
    """Every hash with every binding the connection has, plain and -PLUS, and "p=" with the bare name."""
    for protocol in PROTOCOLS:
        for tls12, types in (False, {"tls-exporter", "tls-server-end-point"}), (True, {"tls-unique", "tls-server-end-point"}):
            for implicit in True, False:
                for name in SCRAMS:
                    for kind in sorted(types):
                        for mechanism in name, name + "-PLUS":
                            with Connection(protocol, None, implicit, tls12=tls12) as c:
                                bindings = c.bindings()
                                assert set(bindings) == types
                                error, line = scram(c, mechanism, ALICE, PASSWORD, (kind, bindings[kind]),
                                                    initial=implicit)
                                assert not error, error
                                c.end(line, "ok")
                    with Connection(protocol, None, implicit, tls12=tls12) as c:
                        c.end(scram(c, name, ALICE, PASSWORD, authzid=AL, initial=implicit)[1], "ok")
                        if protocol == "imap":
                            logged_in(c)


def scram_wrong_bindings():
    """Each fails with RFC 5802's error and no other; a wrong binding never logs in."""
    mismatch, downgrade = "e=channel-bindings-dont-match", "e=server-does-support-channel-binding"
    unknown = "e=unsupported-channel-binding-type"
    for protocol in PROTOCOLS:
        for tls12 in False, True:
            def refused(mechanism, binding, wanted):
                with Connection(protocol, tls12=tls12) as c:
                    error, line = scram(c, mechanism, ALICE, PASSWORD, binding(c) if callable(binding) else binding)
                    assert error == wanted, (mechanism, binding, error, line)
                    c.end(line, "credentials")
                assert "result=bad-binding" in c.logged(), c.logged()
            kind = "tls-unique" if tls12 else "tls-exporter"
            for name in SCRAMS:
                for mechanism in name, name + "-PLUS":
                    refused(mechanism, (kind, b"\0" * 32), mismatch)
                    refused(mechanism, (kind, b""), mismatch)
                    refused(mechanism, lambda c: (kind, c.bindings()[kind] + b"\0"), mismatch)
                    refused(mechanism, lambda c: (kind, c.bindings()["tls-server-end-point"]), mismatch)
                    refused(mechanism, ("tls-exporter" if tls12 else "tls-unique", b"\0" * 32), unknown)
                    refused(mechanism, ("tls-nonsense", b"x"), unknown)
                    refused(mechanism, "y", downgrade)
                refused(name + "-PLUS", None, mismatch)
        # a man in the middle: what the client bound is another connection's
        with Connection(protocol) as one, Connection(protocol) as other:
            stolen = "tls-exporter", one.bindings()["tls-exporter"]
            assert scram(other, "SCRAM-SHA-256-PLUS", ALICE, PASSWORD, stolen)[0] == mismatch
        # where -PLUS is disabled, "y" is what an honest client says
        with Connection(protocol, options=["--sasl-mechanisms", "SCRAM-SHA-256"]) as c:
            c.end(scram(c, "SCRAM-SHA-256", ALICE, PASSWORD, "y")[1], "ok")
        with Connection(protocol, options=["--sasl-mechanisms", "SCRAM-SHA-256"]) as c:
            c.end(c.begin("SCRAM-SHA-256-PLUS"), "not-offered")


def scram_names():
    nfd = unicodedata.normalize("NFD", ZOE)
    for protocol in PROTOCOLS:
        for user in ZOE, nfd, nfd.upper(), "zoë+x,y=z@xn--bcher-kva.example", "zoe@example.org":
            with Connection(protocol) as c:
                c.end(scram(c, "SCRAM-SHA-256", user, ZOE_PASSWORD)[1], "ok")
            with Connection(protocol) as c:
                c.end(plain(c, user, ZOE_PASSWORD), "ok")
            with Connection(protocol) as c:
                c.end(login(c, user, ZOE_PASSWORD), "ok")
        for authzid in ZOE, nfd, "zoe@example.org":
            with Connection(protocol) as c:
                c.end(scram(c, "SCRAM-SHA-1", "zoe@example.org", ZOE_PASSWORD, authzid=authzid)[1], "ok")
            with Connection(protocol) as c:
                c.end(plain(c, ZOE, ZOE_PASSWORD, authzid=authzid), "ok")
        with Connection(protocol) as c:
            error, line = scram(c, "SCRAM-SHA-256", ZOE, ZOE_PASSWORD, authzid=ALICE)
            assert error.startswith("e="), error
            c.end(line, "credentials")
            c.end(plain(c, ZOE, ZOE_PASSWORD, authzid=ALICE), "credentials")
    with Connection("imap") as c:
        c.send("a LOGIN {%d+}\r\n%s {%d+}\r\n%s\r\n" % (len(nfd.encode()), nfd, len(ZOE_PASSWORD.encode()), ZOE_PASSWORD))
        c.expect(None, "a OK")


def server_first(protocol, mechanism, user):
    with Connection(protocol) as c:
        s = Scram(mechanism, user, "x")
        first = c.challenge(c.begin(mechanism, s.first()))
        s.final(first)
        return base64.b64decode(s.fields["s"]), s.fields["i"]


def indistinguishable():
    """Salt, count, errors and texts do not tell who exists."""
    for protocol in PROTOCOLS:
        for mechanism in SCRAMS:
            known = server_first(protocol, mechanism, ALICE)
            for user in "nobody@example.org", "nobody@elsewhere.example", "nonsense", "off@example.org":
                salt, count = server_first(protocol, mechanism, user)
                assert len(salt) == len(known[0]) and count == known[1], (user, salt, count)
                assert (salt, count) == server_first(protocol, mechanism, user), "a salt that changes"
            assert (server_first(protocol, mechanism, "Nobody+x@EXAMPLE.org")
                    == server_first(protocol, mechanism, "nobody@example.org")), "spelling changes the salt"
            assert (server_first(protocol, mechanism, "zoé@bücher.example") == server_first(
                protocol, mechanism, unicodedata.normalize("NFD", "zoé@xn--bcher-kva.example"))), "NFD"
        answers = set()
        for user in ALICE, "nobody@example.org", "nobody", "off@example.org":
            with Connection(protocol) as c:
                answers.add((c.end(plain(c, user, "wrong password"), "credentials"),
                             login(c, user, "wrong password"), *scram(c, "SCRAM-SHA-256", user, "wrong password")))
        assert len(answers) == 1, answers
        with Connection(protocol) as c:  # disabled is told only after the right password
            line = plain(c, "off@example.org", "wonderland-off")
            assert "Pay first" in line and line.startswith(("a NO [ALERT]", "525 5.7.13")), line
        with Connection(protocol) as c:
            line = scram(c, "SCRAM-SHA-256", "off@example.org", "wonderland-off")[1]
            assert "Pay first" in line and line.startswith(("a NO [ALERT]", "525 5.7.13")), line


def case_sensitive():
    """In a domain that tells upper case from lower case, names that are nobody's do so, too."""
    with open(f"{INSTANCE}/conf.d/case.conf", "w", encoding="utf-8") as f:
        f.write('domain "cs.example" { case-sensitive = yes }\n'
                'domain "all.example" { catch-all = mixed }\n'
                'account "mixed" { addresses = {"Mixed@cs.example", "real@all.example"} }\n')
    postern("config", "apply")
    postern("account", "password", "mixed", text="wonderland-mixed\n")
    for protocol in PROTOCOLS:
        with Connection(protocol) as c:
            c.end(plain(c, "mixed@cs.example", "wonderland-mixed"), "credentials")
            c.end(plain(c, "Mixed@cs.example", "wonderland-mixed"), "ok")
        salts = [server_first(protocol, "SCRAM-SHA-256", f"{name}@cs.example")[0]
                 for name in ("Mixed", "mixed", "Other", "other")]
        assert len(set(salts)) == 4, salts
        # the catch-all takes mail for everybody, but is nobody else's user name
        with Connection(protocol) as c:
            c.end(plain(c, "anybody@all.example", "wonderland-mixed"), "credentials")
            c.end(plain(c, "real@all.example", "wonderland-mixed"), "ok")
        salts = [server_first(protocol, "SCRAM-SHA-256", f"{name}@all.example")[0]
                 for name in ("real", "one", "two")]
        assert len(set(salts)) == 3, salts


def precis_login():
    """Set in NFD with odd spaces (authentication.bats): the same as NFC with plain ones."""
    spellings = [ZOE_PASSWORD, unicodedata.normalize("NFD", ZOE_PASSWORD), "te\u0301st\u00a0\u2002\u200a\u3000",
                 "tést\u2000\u2003\u202f\u205f"]
    for protocol in PROTOCOLS:
        for password in spellings:
            with Connection(protocol) as c:
                c.end(plain(c, ZOE, password), "ok")
            with Connection(protocol) as c:
                c.end(login(c, ZOE, password), "ok")
        with Connection(protocol) as c:  # with SCRAM preparing is the client's work
            c.end(scram(c, "SCRAM-SHA-256", ZOE, ZOE_PASSWORD)[1], "ok")
        for password in "tést", "TÉST    ", "test    ", "tést   ", "tést\t   ", "tést\ufe0f    ":
            with Connection(protocol) as c:
                c.end(plain(c, ZOE, password), "credentials")


def precis_set():
    before = ZOE_PASSWORD
    for bad, words in (("tab\tinside it", "U+0009"), ("heart \u2764\ufe0f in it", "U+FE0F"), ("del\x7fete it", "U+007F"),
                       ("soft\u00adhyphen", "U+00AD"), ("line\u2028separator", "U+2028"), ("private\ue000use", "U+E000"),
                       ("jamo\u1100\u1161jamo", None), ("joiner a\u200db x", "U+200D"), ("seven77", "8"),
                       ("ü" * 7, "8"), ("password", None), ("12345678", None), ("", None)):
        run = postern("account", "password", "zoe", text=bad + "\n", check=False)
        if bad.startswith("jamo"):  # NFC makes a syllable of it: allowed
            assert run.returncode == 0, run.stdout
            before = unicodedata.normalize("NFC", bad)
            continue
        assert run.returncode != 0, (bad, run.stdout)
        assert words is None or words in run.stdout, (bad, run.stdout)
        assert bad in ("", "password") or bad not in run.stdout, "the password is shown"
    with Connection("imap") as c:
        c.end(plain(c, ZOE, before), "ok")  # nothing refused has changed it
    for good in "ümläutß8", "\u2764" * 8, "क्‍ष क्‍ष zwj", "l·l catalan":
        postern("account", "password", "zoe", text=good + "\n")
        with Connection("submission") as c:
            c.end(plain(c, ZOE, good), "ok")
    postern("account", "password", "zoe", text=ZOE_PASSWORD + "\n")


def mechanisms_of(announcement):
    found = re.findall(r"AUTH=(\S+)", announcement.replace("]", " "))
    for line in re.findall(r"250[- ]AUTH (.*)", announcement):
        found += line.split()
    return found


def offers():
    """What is announced, and in which order."""
    words = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN", "LOGIN"]
    for protocol in PROTOCOLS:
        for key in None, "stranger":
            for tls12 in False, True:
                for implicit in True, False:
                    with Connection(protocol, key, implicit, tls12=tls12) as c:
                        if protocol == "imap" and not implicit:
                            c.send("b CAPABILITY\r\n")
                            c.greeting = c.line()
                        got = mechanisms_of(c.greeting if protocol == "imap" else c.ehlo)
                        assert got == (["EXTERNAL"] if key else []) + words, got
        with Connection(protocol, "stranger", options=["--no-client-certificates"]) as c:
            assert mechanisms_of(c.greeting if protocol == "imap" else c.ehlo) == words
        with Connection(protocol, "stranger", options=["--sasl-mechanisms", "SCRAM-SHA-1,EXTERNAL"]) as c:
            assert mechanisms_of(c.greeting if protocol == "imap" else c.ehlo) == ["EXTERNAL", "SCRAM-SHA-1"]
            c.end(plain(c, ALICE, PASSWORD), "not-offered")
            if protocol == "imap":
                c.expect(f"b LOGIN {ALICE} {PASSWORD}", "b NO")
        with Connection(protocol) as c:
            for name in "EXTERNAL", "CRAM-MD5", "SCRAM-SHA-512", "SCRAM-SHA-512-PLUS", "ANONYMOUS", "XOAUTH2", "PLAIN-PLUS":
                c.end(c.begin(name), "not-offered")
                c.end(c.begin(name, b"x"), "not-offered")


def cram_md5(c, user, password):
    """RFC 2195 §2"""
    challenge = c.challenge(c.begin("CRAM-MD5"))
    assert re.fullmatch(rb"<[^<>@]+@[^<>@]+>", challenge), challenge
    digest = hmac.new(password.encode(), challenge, "md5").hexdigest()
    return c.respond(f"{user} {digest}".encode()), challenge


def extra_mechanisms():
    names = ["SCRAM-SHA-512-PLUS", "SCRAM-SHA-512", "SCRAM-SHA-256", "CRAM-MD5", "PLAIN"]
    with open(f"{INSTANCE}/postern.conf", "a", encoding="utf-8") as f:
        f.write(f"sasl-mechanisms = {{{', '.join(names)}}}\n")
    with open(f"{INSTANCE}/conf.d/cram.conf", "w", encoding="utf-8") as f:
        f.write('account "carl" { addresses = {"carl@example.org"} cram-md5 = yes }\n')
    postern("config", "apply")
    postern("account", "password", "carl", text="wonderland-carl\n")
    for protocol in PROTOCOLS:
        for tls12 in False, True:
            with Connection(protocol, tls12=tls12) as c:
                assert mechanisms_of(c.greeting if protocol == "imap" else c.ehlo) == names
                kinds = list(c.bindings())
            for kind in kinds:
                for mechanism in names[:2]:
                    with Connection(protocol, tls12=tls12) as c:
                        error, line = scram(c, mechanism, ALICE, PASSWORD, (kind, c.bindings()[kind]))
                        assert not error, error
                        c.end(line, "ok")
            with Connection(protocol, tls12=tls12) as c:
                assert scram(c, "SCRAM-SHA-512", ALICE, PASSWORD, "y")[0] == "e=server-does-support-channel-binding"
                # no -PLUS of this hash is enabled, but a client that could bind saw one of another
                c.end(scram(c, "SCRAM-SHA-512", ALICE, PASSWORD)[1], "ok")
        challenges = set()
        with Connection(protocol) as c:
            line, challenge = cram_md5(c, "carl@example.org", "wrong")
            challenges.add(challenge)
            c.end(line, "credentials")
            # alice's account has not enabled it: the same as a wrong password, and as nobody at all
            for user, password in (ALICE, PASSWORD), ("nobody@example.org", "x"):
                again, challenge = cram_md5(c, user, password)
                challenges.add(challenge)
                assert again == line, again
            line, challenge = cram_md5(c, "CARL@example.org", "wonderland-carl")
            challenges.add(challenge)
            c.end(line, "ok")
        assert len(challenges) == 4, "a challenge came twice"
        for response in (b"", b"carl@example.org", b"carl@example.org ", b" " + b"0" * 32, b"carl@example.org " + b"0" * 31,
                         b"carl@example.org " + b"0" * 33, b"\xff " + b"0" * 32, b"carl@example.org\0 " + b"0" * 32):
            with Connection(protocol) as c:
                c.challenge(c.begin("CRAM-MD5"))
                line = c.respond(response)
                assert c.is_end(line, "malformed") or c.is_end(line, "credentials"), (response, line)
        with Connection(protocol) as c:
            c.end(c.begin("CRAM-MD5", b"carl@example.org " + b"0" * 32), "malformed")  # no initial response
            assert c.challenge(c.begin("CRAM-MD5"))
            c.end(c.ask("*"), "aborted")
            c.challenge(c.begin("CRAM-MD5"))
            c.end(c.ask("A" * 16000), "too-long")


OVERSIZED = b"A" * 9000  # decoded; more than SASL_MESSAGE_MAX_BYTES


class Spoiler:
    """A mechanism as a list of steps, each of which can be spoilt in its own ways."""

    def __init__(self, mechanism, binding=None):
        self.mechanism, self.binding = mechanism, binding

    def messages(self, c):
        """Yields each message to send; is sent each challenge."""
        if self.mechanism == "EXTERNAL":
            yield ALICE.encode()
        elif self.mechanism == "PLAIN":
            yield f"\0{ALICE}\0{PASSWORD}".encode()
        elif self.mechanism == "LOGIN":
            yield ALICE.encode()
            yield PASSWORD.encode()
        else:
            kind = self.binding and (self.binding, c.bindings()[self.binding])
            s = Scram(self.mechanism, ALICE, PASSWORD, kind)
            challenge = yield s.first()
            challenge = yield s.final(challenge)
            s.check(challenge)
            yield b""


def run_spoilt(protocol, spoiler, step, spoil, key):
    """Plays the mechanism, spoiling one step; the last line, and an "e=" on the way."""
    with Connection(protocol, key) as c:
        messages = spoiler.messages(c)
        line, message, sent, error = c.begin(spoiler.mechanism), None, [], ""
        for number in range(9):
            challenge = c.challenge(line)
            if challenge.startswith(b"e="):
                error = challenge.decode()
                line = c.respond(b"")
                break
            try:
                message = messages.send(None if number == 0 else challenge)
            except StopIteration:
                break
            wire = b64(message)
            if number == step:
                wire = spoil(message, sent)
            sent.append(message)
            line = c.ask(wire)
            if not c.is_end(line, "challenge"):
                break
        assert not c.is_end(line, "challenge"), f"no end: {line!r}"
        # the connection is none the worse for it, unless it logged in
        if not c.is_end(line, "ok"):
            c.end(plain(c, ALICE, PASSWORD), "ok")
        return error, next(e for e in ("ok", "credentials", "malformed", "too-long", "aborted", "alert")
                           if c.is_end(line, e))


def spoilt_steps(protocol):
    """Every step of every mechanism: cut, repeated, oversized, reordered, not base64, broken off."""
    exact = {"not-base64": "malformed", "padding": "malformed", "oversized": "too-long", "long-line": "too-long",
             "aborted": "aborted", "nul": "malformed"}
    ways = {
        "not-base64": lambda m, sent: "!" + b64(m),
        "padding": lambda m, sent: b64(m + b"x" * (-len(m) % 3 + 1)).rstrip("=") + "A===",
        "oversized": lambda m, sent: b64(OVERSIZED),
        "long-line": lambda m, sent: "A" * 20000,
        "aborted": lambda m, sent: "*",
        "nul": lambda m, sent: b64(m + b"\0"),
        "truncated": lambda m, sent: b64(m[:len(m) // 2]),
        "empty": lambda m, sent: "",
        "repeated": lambda m, sent: b64(sent[-1] if sent else m + m),
    }
    mechanisms = [Spoiler("EXTERNAL"), Spoiler("PLAIN"), Spoiler("LOGIN"), Spoiler("SCRAM-SHA-1"),
                  Spoiler("SCRAM-SHA-256"), Spoiler("SCRAM-SHA-256", "tls-exporter"),
                  Spoiler("SCRAM-SHA-1-PLUS", "tls-exporter"), Spoiler("SCRAM-SHA-256-PLUS", "tls-server-end-point")]
    # what is neither of one kind nor malformed, by mechanism, step and way
    other = {
        ("EXTERNAL", 0, "truncated"): "credentials", ("EXTERNAL", 0, "repeated"): "credentials",
        ("EXTERNAL", 0, "empty"): "ok",
        ("LOGIN", 0, "truncated"): "credentials", ("LOGIN", 0, "repeated"): "credentials",
        ("LOGIN", 1, "truncated"): "credentials", ("LOGIN", 1, "repeated"): "credentials",
        # the last message is empty: it has no half
        ("SCRAM", 2, "truncated"): "ok", ("SCRAM", 2, "empty"): "ok",
    }
    count = 0
    played = [(spoiler, "no" if spoiler.mechanism == "EXTERNAL" else None) for spoiler in mechanisms]
    if protocol == "submission":  # AUTH on top of a key is another place's work
        played += [(spoiler, "yes") for spoiler in (Spoiler("PLAIN"), Spoiler("LOGIN"), Spoiler("SCRAM-SHA-256"))]
    for spoiler, key in played:
        family = "SCRAM" if spoiler.mechanism.startswith("SCRAM") else spoiler.mechanism
        for step in range({"EXTERNAL": 1, "PLAIN": 1, "LOGIN": 2, "SCRAM": 3}[family]):
            for way, spoil in ways.items():
                error, end = run_spoilt(protocol, spoiler, step, spoil, key)
                wanted = other.get((family, step, way), exact.get(way, "malformed"))
                if protocol == "imap" and wanted in ("too-long", "aborted"):
                    wanted = "malformed"  # BAD is one for all
                assert end == wanted, (spoiler.mechanism, step, way, error, end, wanted)
                count += 1
    # SCRAM, reordered and mixed: the parts of its messages in another order, or another's nonce
    first, final = b"n,,n=alice@example.org,r=", b"c=biws,r="
    for wrong in (b"n,,r=abc,n=alice@example.org", b"n=alice@example.org,r=abc", b"p=,,n=a,r=abc", b"p=x,a=,n=a,r=b",
                  b"x,,n=a,r=b", b"n,,n=,r=abc", b"n,,n=a,r=", b"n,,n=a", final + b"x,p=AAAA", b"n,a=b", b",,n=a,r=b",
                  b"n,,n=a,r=a\x80b", b"n,,n=a,r=a b"):
        with Connection(protocol) as c:
            c.end(c.begin("SCRAM-SHA-256", wrong), "malformed")
    for wrong, error in ((b"n,,m=x,n=alice@example.org,r=abc", "e=extensions-not-supported"),
                         (b"n,,n=a=2,r=abc", "e=invalid-username-encoding"), (b"n,,n=\xff,r=abc", "e=invalid-username-encoding")):
        with Connection(protocol) as c:
            assert c.challenge(c.begin("SCRAM-SHA-256", wrong)).decode() == error
            line = c.respond(b"anything at all")
            assert c.is_end(line, "malformed") or c.is_end(line, "credentials"), line
    for spoil in (lambda m: m.replace(b",r=", b",r=A"), lambda m: m.replace(b"c=biws,", b""),
                  lambda m: b",".join(reversed(m.split(b","))), lambda m: m + b",x=y", lambda m: m[:m.index(b",p=")],
                  lambda m: m.replace(b",p=", b",p=AAAA"), lambda m: m + b",p=AAAA", lambda m: m.replace(b",p=", b",p=!")):
        with Connection(protocol) as c:
            s = Scram("SCRAM-SHA-256", ALICE, PASSWORD)
            line = c.respond(spoil(s.final(c.challenge(c.begin("SCRAM-SHA-256", s.first())))))
            if c.is_end(line, "challenge"):
                assert c.challenge(line).startswith(b"e="), line
                line = c.respond(b"")
            assert c.is_end(line, "malformed") or c.is_end(line, "credentials"), line
    print(f"{count} spoilt steps")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
