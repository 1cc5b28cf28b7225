#!/usr/bin/env python3
"""Open sessions of real handlers, and what ends them. usage: revocation.py TEST"""
import datetime
import os
import re
import signal
import subprocess
import sys
import threading
import time

from authentication import fingerprint
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
    """A session that idles (or not), by key, by EXTERNAL, or by password."""

    def __init__(self, key=None, login=None, external=False, starttls=False, idle=True, **more):
        super().__init__(*([] if starttls else ["--implicit-tls"]), program="bin/imap-handler", key=key, **more)
        greeting = self.line()
        if starttls:
            self.expect("t STARTTLS", "t OK")
            self.start_tls()
        if login or external:
            assert greeting.startswith("* OK"), greeting
            how = "PLAIN " + plain(*login) if login else "EXTERNAL ="
            self.expect("l AUTHENTICATE " + how, "l OK")
        else:
            assert greeting.startswith("* PREAUTH"), greeting
        self.send("s SELECT INBOX\r\n")
        self.until("s OK")
        if idle:
            self.expect("i IDLE", "+ ")

    def until(self, tag):
        """Reads up to the line that begins so."""
        while not (line := self.line()).startswith(tag):
            assert line, f"the connection ended, and no {tag!r} came"
        return line

    def must_end(self, *words):
        start = time.monotonic()
        self.socket.settimeout(SOON_S)
        line = self.until("* BYE")
        for word in words:
            assert word in line, line
        self.at_end()
        return time.monotonic() - start

    def must_live(self):
        self.expect("DONE", "i OK")
        self.expect("i IDLE", "+ ")


class Submission(Peer):
    """A session in the middle of a transaction."""

    def __init__(self, key=None, login=None, external=False, starttls=False, sender="carol@example.org", **more):
        super().__init__(*([] if starttls else ["--implicit-tls"]), program="bin/submit-handler", key=key, **more)
        self.reply(None, "220")
        if starttls:
            self.reply("STARTTLS", "220")
            self.start_tls()
        self.reply("EHLO x", "250")
        if login or external:
            self.reply("AUTH " + ("PLAIN " + plain(*login) if login else "EXTERNAL ="), "235")
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


class Trickle:
    """Bytes without an end of line, one at a time, as long as anybody listens."""

    def __init__(self, peer, text):
        self.peer, self.text, self.end = peer, text, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            for byte in self.text:
                self.peer.send(byte)
                if self.end.wait(0.1):
                    return
        except OSError:
            pass

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()


MESSAGE = "Subject: secret\r\n\r\nhello\r\n"
FETCH = "m FETCH 1:* (BODY.PEEK[])"
# what a client has begun to say, and how it goes on
BEGUN_IMAP = {
    "line": (FETCH, "\r\n"),
    "literal": ('m SEARCH SUBJECT {6}\r\n', "secret\r\n"),
    "append": (f"m APPEND INBOX {{{len(MESSAGE)}}}\r\n", MESSAGE + "\r\n"),
    "end of append": (f"m APPEND INBOX {{{len(MESSAGE)}+}}\r\n" + MESSAGE, "\r\n"),
    "refused append": (f"m APPEND Nowhere {{{len(MESSAGE)}+}}\r\n", MESSAGE + "\r\n"),
    "idle": ("m IDLE\r\nDO", "NE\r\n"),
}
BEGUN_SUBMISSION = {
    "line": ("RCPT TO:<bob@", "example.org>\r\n"),
    "chunk": ("RCPT TO:<bob@example.org>\r\nBDAT 30 LAST\r\nFrom: ", "carol@example.org\r\n\r\nx\r\n"),
    "text": ("RCPT TO:<bob@example.org>\r\nDATA\r\nFrom: carol@example.org\r\n", "\r\n.\r\n"),
    "response": ("RSET\r\nAUTH PLAIN\r\n", plain(*CAROL) + "\r\n"),
}


def messages_of_carol():
    with Imap(key="carol", idle=False) as c:
        c.send("m STATUS INBOX (MESSAGES)\r\n")
        return int(re.search(r"MESSAGES (\d+)", c.until("* STATUS"))[1])


def in_the_middle():
    """A session that is being told something: it ends at once, and what was begun is not done."""
    with Imap(key="carol", idle=False) as c:
        c.send(f"m APPEND INBOX {{{len(MESSAGE)}+}}\r\n{MESSAGE}\r\n")
        c.until("m OK")
    before = messages_of_carol()

    def revoked(c, begun, rest, answers):
        c.send(begun)
        for word in answers:
            while word not in (line := c.line()):
                assert line, f"no {word}"
        time.sleep(0.3)  # until it waits for more
        postern("tlspubkey", "rm", "--yes", fingerprint("carol"))
        c.send(rest)
        register("carol", "carol@example.org")
    for what, (begun, rest) in BEGUN_IMAP.items():
        answers = ["+ "] if what in ("literal", "append", "idle") else []
        for so_far in "", rest:
            with Imap(key="carol", idle=False) as c:
                revoked(c, begun, so_far, answers)
                line = c.line()
                assert line == "* BYE The credential of this session was withdrawn", (what, line)
                c.at_end()
    for what, (begun, rest) in BEGUN_SUBMISSION.items():
        answers = {"chunk": ["250 2.1.5"], "text": ["354"], "response": ["250", "334"]}.get(what, [])
        for so_far in "", rest:
            with Submission(key="carol") as c:
                revoked(c, begun, so_far, answers)
                c.must_end()
    assert messages_of_carol() == before


def trickling():
    """The same while single bytes come all the time."""
    for begun in ("m SEARCH TEXT ", "m APPEND INBOX {100000+}\r\n", "m IDLE\r\n"):
        with Imap(key="carol", idle=False) as c:
            c.send(begun)
            with Trickle(c, 1000 * "x"):
                time.sleep(0.5)
                postern("tlspubkey", "rm", "--yes", fingerprint("carol"))
                assert c.must_end("withdrawn") < 2
        register("carol", "carol@example.org")
    with Submission(key="carol") as c:
        with Trickle(c, 1000 * "x"):
            time.sleep(0.5)
            postern("tlspubkey", "rm", "--yes", fingerprint("carol"))
            c.must_end()
    register("carol", "carol@example.org")


def long_answer():
    """A FETCH that runs: it ends with the message at hand, or in it where the client is too slow."""
    size = 16 << 20
    with Imap(key="carol", idle=False) as c:
        c.send(f"m APPEND INBOX {{{size}+}}\r\n" + "x" * (size - 2) + "\r\n\r\n")
        c.until("m OK")
        for _ in range(4):
            c.send("n COPY 1:* INBOX\r\n")
            c.until("n OK")

    def assert_ended_by_withdrawal(c):
        log = c.logged()
        assert log.count("session ended: unknown-key") == 1 and "connection lost" not in log, log

    def rest(c):
        """All that still comes: how much, and the last line."""
        n, tail = 0, c.buffer
        while more := c.socket.recv(1 << 20):
            n, tail = n + len(more), (tail + more)[-200:]
        return n, tail
    with Imap(key="carol", idle=False, receive_buffer=65536) as c:
        c.send("m FETCH 1:* (BODY.PEEK[])\r\n")
        c.line()
        postern("tlspubkey", "rm", "--yes", fingerprint("carol"))
        n, tail = rest(c)
        assert n < 2 * size, n
        assert tail.endswith(b")\r\n* BYE The credential of this session was withdrawn\r\n"), tail
    assert_ended_by_withdrawal(c)
    register("carol", "carol@example.org")
    with Imap(key="carol", idle=False, receive_buffer=65536) as c:
        c.send("m FETCH 1:* (BODY.PEEK[])\r\n")
        c.line()
        postern("tlspubkey", "rm", "--yes", fingerprint("carol"))
        until = time.monotonic() + 20
        while c.children():  # the session
            assert time.monotonic() < until, "the session goes on"
            c.socket.recv(4096)
            time.sleep(0.1)
        n, tail = rest(c)
        assert n < size and b"BYE" not in tail, (n, tail)
    assert_ended_by_withdrawal(c)
    register("carol", "carol@example.org")


def endless_line():
    """A command that never ends has a limit of its own, whatever trickles in (shortened here)."""
    for begun in "m SEARCH TEXT ", "m IDLE\r\n":
        with Imap(key="carol", idle=False, env={"FAULT": "short-lines"}) as c:
            c.send(begun)
            with Trickle(c, 1000 * "x"):
                c.must_end("took too long")
    with Imap(key="carol", idle=False, env={"FAULT": "short-lines"}) as c:
        c.send("m APPEND INBOX {30+}\r\n")  # a message may be slow
        with Trickle(c, 30 * "x"):
            time.sleep(3)
        c.send("\r\n")
        c.until("m OK")


def key_removed():
    """`tlspubkey rm`."""
    end_both(lambda: postern("tlspubkey", "rm", "--yes", fingerprint("carol")), key="carol")
    register("carol", "carol@example.org")


def key_after_external():
    """The same for a session that said EXTERNAL, on implicit TLS and after STARTTLS."""
    for starttls in False, True:
        replace_key("--preauth=no")
        end_both(lambda: postern("tlspubkey", "rm", "--yes", fingerprint("carol")), "withdrawn",
                 key="carol", external=True, starttls=starttls)
        register("carol", "carol@example.org")
    with Submission(key="carol", starttls=True) as c:  # by the key alone
        postern("tlspubkey", "rm", "--yes", fingerprint("carol"))
        c.must_end()
    register("carol", "carol@example.org")


def password_after_starttls():
    end_both(lambda: postern("account", "password", "carol", stdin=b"another one\n"), "withdrawn",
             login=CAROL, starttls=True)
    postern("account", "password", "carol", stdin=b"wonderland-carol\n")


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


class Unseen:
    """What changes meanwhile, these sessions see at once when it is over: how it came about is hidden."""

    def __init__(self, *peers):
        self.sessions = [pid for peer in peers for pid in peer.children()]

    def signal(self, number):
        for pid in self.sessions:
            os.kill(pid, number)

    def __enter__(self):
        self.signal(signal.SIGSTOP)

    def __exit__(self, *_):
        self.signal(signal.SIGCONT)


def replace_key(*options):
    postern("tlspubkey", "rm", "--yes", fingerprint("carol"))
    register("carol", "carol@example.org", *options)


def tls12_permission():
    """A key that loses its permission for TLS 1.2 ends the sessions over that, and no others."""
    replace_key("--allow-tls12")
    with Imap(key="carol", tls12=True) as old, Submission(key="carol", tls12=True) as old_submission, \
            Imap(key="carol") as new, Submission(key="carol") as new_submission:
        all_of_them = Unseen(old, old_submission, new, new_submission)
        with all_of_them:
            replace_key("--allow-tls12")
        time.sleep(1)
        old.must_live()
        old_submission.must_live()
        with all_of_them:
            replace_key()
        old.must_end("withdrawn")
        old_submission.must_end()
        new.must_live()
        new_submission.must_live()


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


def must_be_registered_again():
    """What a client is told whose key is registered for an account that has not got its address."""
    advice = "register it again: postern tlspubkey add"
    with Peer("--implicit-tls", program="bin/imap-handler", key="carol") as c:
        c.expect(None, "* OK")
        c.expect("a AUTHENTICATE EXTERNAL =", "a NO [ALERT]", fingerprint("carol"), advice)
    with Peer("--implicit-tls", program="bin/submit-handler", key="carol") as c:
        c.reply(None, "220")
        c.reply("EHLO x", "250")
        assert advice in c.reply("MAIL FROM:<c@example.org>", "530 5.7.0")
        assert advice in c.reply("AUTH EXTERNAL =", "535 5.7.8")


def account_removed():
    """The account vanishes from the configuration."""
    path = f"{INSTANCE}/conf.d/account-carol.conf"
    for how in {"key": "carol"}, {"login": CAROL}:
        with open(path, encoding="utf-8") as f:
            before = f.read()

        def remove():
            os.unlink(path)
            postern("config", "apply")
        end_both(remove, **how)
        must_be_registered_again()
        with open(path, "w", encoding="utf-8") as f:
            f.write(before)
        postern("config", "apply")
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
    with Imap(key="carol") as imap, Submission(key="carol", sender="c@example.org") as submission:
        write(before)
        imap.must_end("withdrawn")
        submission.must_end()
    must_be_registered_again()
    register("carol", "carol@example.org")


if __name__ == "__main__":
    globals()[sys.argv[1]]()
