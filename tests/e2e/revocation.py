#!/usr/bin/env python3
"""Open sessions of real handlers, and what ends them. usage: revocation.py TEST"""
import datetime
import re
import subprocess
import sys
import time

from peer import BUILD, INSTANCE, KEYS, Peer, plain

SOON_S = 10


def postern(*arguments, stdin=b""):
    done = subprocess.run([f"{BUILD}/bin/postern", "--instance", INSTANCE, *arguments], input=stdin,
                          stdout=subprocess.PIPE, timeout=60, check=True)
    return done.stdout.decode()


def register(key, address, *options):
    with open(f"{KEYS}/{key}.certificate.pem", "rb") as f:
        return postern("tlspubkey", "add", "--replace", *options, address, stdin=f.read()).strip()


def in_seconds(seconds):
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


class Imap(Peer):
    """A session that idles, by key, or by password."""

    def __init__(self, key=None, login=None):
        super().__init__("--implicit-tls", program="bin/imap-handler", key=key)
        greeting = self.line()
        if login:
            assert greeting.startswith("* OK"), greeting
            self.expect("l AUTHENTICATE PLAIN " + plain(*login), "l OK")
        else:
            assert greeting.startswith("* PREAUTH"), greeting
        self.expect("s SELECT INBOX", "* ")
        while not self.line().startswith("s OK"):
            pass
        self.expect("i IDLE", "+ ")

    def must_end(self, *words):
        start = time.monotonic()
        self.socket.settimeout(SOON_S)
        while not (line := self.line()).startswith("* BYE"):
            assert line, "the connection ended without a BYE"
        for word in words:
            assert word in line, line
        self.at_end()
        return time.monotonic() - start

    def must_live(self):
        self.expect("DONE", "i OK")
        self.expect("i IDLE", "+ ")


class Submission(Peer):
    """A session in the middle of a transaction."""

    def __init__(self, key=None, login=None, sender="carol@example.org"):
        super().__init__("--implicit-tls", program="bin/submit-handler", key=key)
        self.reply(None, "220")
        self.reply("EHLO x", "250")
        if login:
            self.reply("AUTH PLAIN " + plain(*login), "235")
        self.reply(f"MAIL FROM:<{sender}>", "250")

    def must_end(self, *_):
        self.socket.settimeout(SOON_S)
        self.reply(None, "421 4.7.0")
        self.at_end()

    def must_live(self):
        self.reply("NOOP", "250")


def end_both(change, *words, imap_words=(), **how):
    """Both kinds of session end by the change; somebody else's and the next ones do not."""
    with Imap(**how) as imap, Submission(**how) as submission, Imap(key="bob") as other:
        change()
        imap.must_end(*words, *imap_words)
        submission.must_end(*words)
        other.must_live()


CAROL = ("carol@example.org", "wonderland-carol")


def key_removed():
    """`tlspubkey rm`."""
    fingerprint = register("carol", "carol@example.org")
    end_both(lambda: postern("tlspubkey", "rm", "--yes", fingerprint), key="carol")
    register("carol", "carol@example.org")


def key_expires():
    """No event tells it: the poll ends. And a session learns a date that was set while it lives."""
    register("carol", "carol@example.org", "--expires=" + in_seconds(4))
    end_both(lambda: None, key="carol", imap_words=("expired",))
    with Peer("--implicit-tls", program="bin/imap-handler", key="carol") as c:
        c.expect(None, "* OK")
        c.expect("a AUTHENTICATE EXTERNAL =", "a NO [EXPIRED]")
    register("carol", "carol@example.org")
    end_both(lambda: register("carol", "carol@example.org", "--expires=" + in_seconds(3)),
             key="carol", imap_words=("expired",))
    register("carol", "carol@example.org")
    # a date that is taken back does not end it
    register("carol", "carol@example.org", "--expires=" + in_seconds(4))
    with Imap(key="carol") as imap, Submission(key="carol") as submission:
        register("carol", "carol@example.org")
        time.sleep(5)
        imap.must_live()
        submission.must_live()


def key_scope():
    """A key that is good for IMAP only ends submission, not IMAP."""
    with Imap(key="carol") as imap, Submission(key="carol") as submission:
        register("carol", "carol@example.org", "--scope=imap")
        submission.must_end()
        imap.must_live()
    register("carol", "carol@example.org")


def password_changed():
    """`account password`; a session by key stays."""
    with Imap(key="carol") as by_key:
        end_both(lambda: postern("account", "password", "carol", stdin=b"another one\n"), login=CAROL)
        by_key.must_live()
    postern("account", "password", "carol", stdin=b"wonderland-carol\n")


def app_password_removed():
    """`apppassword rm`; a session by the account's own password stays."""
    login = ("carol@example.org", postern("apppassword", "add", "carol", "phone").strip())
    assert "used=never" in postern("apppassword", "list", "carol")
    with Imap(login=CAROL) as own:
        end_both(lambda: postern("apppassword", "rm", "--yes", "carol", "phone"), login=login)
        own.must_live()
    assert '"phone"' in postern("logins", "carol")


def app_password_expires():
    """By the clock."""
    login = ("carol@example.org", postern("apppassword", "add", "--expires=" + in_seconds(5),
                                          "carol", "short").strip())
    end_both(lambda: None, login=login, imap_words=("expired",))
    assert re.search(r'"short" .* used=20.* by (imap|submission) from 127.0.0.1',
                     postern("apppassword", "list", "carol"))
    with Peer("--implicit-tls", program="bin/imap-handler") as c:
        c.line()
        c.expect("a AUTHENTICATE PLAIN " + plain(*login), "a NO [EXPIRED]")
    postern("apppassword", "rm", "--yes", "carol", "short")


def account_disabled():
    """`account disable`, by key and by password."""
    def disable():
        postern("account", "disable", "carol")
    end_both(disable, key="carol", imap_words=("disabled",))
    with Peer("--implicit-tls", program="bin/imap-handler", key="carol") as c:
        c.expect(None, "* BYE This account is disabled")
    postern("account", "enable", "carol")
    end_both(disable, login=CAROL, imap_words=("disabled",))
    postern("account", "enable", "carol")
    with Imap(key="carol") as imap:
        imap.must_live()


def address_removed():
    """The configuration takes the key's login address away."""
    path = f"{INSTANCE}/conf.d/account-carol.conf"
    with open(path, encoding="utf-8") as f:
        before = f.read()

    def write(text):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        postern("config", "apply")
    write(before.replace('"carol@example.org"', '"carol@example.org", "c@example.org"'))
    register("carol", "c@example.org")
    with Imap(key="carol") as imap:
        write(before)
        imap.must_end()
    register("carol", "carol@example.org")


if __name__ == "__main__":
    globals()[sys.argv[1]]()
