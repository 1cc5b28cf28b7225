#!/usr/bin/python3
"""Hostile clients against a running localserve. usage: hostile.py TEST; environment: DIR and ports

Each function plays attacks over real connections and asserts the documented answer of each; after it
comes the question whether the server still serves others. Every connection comes from an address of
its own, so that the limits on failed logins, which have tests elsewhere, do not get in the way.
"""
import base64
import fcntl
import glob
import itertools
import os
import random
import socket
import ssl
import sys
import threading
import time

DIR = os.environ["DIR"]
PORTS = {name: int(os.environ[name.upper()]) for name in ("imap", "imaps", "submission",
    "submissions")}
SANITIZE = os.environ.get("FLAVOUR") == "sanitize"
TIMEOUT_S = 45
MIB = 1 << 20
# growth of the highest resident memory over that of an idle connection; ASan keeps what was freed
FLAT_KIB = 49152 if SANITIZE else 4096
with open(f"{DIR}/passwords", encoding="utf-8") as f:
    PASSWORD, SECOND = (line.rstrip("\n").split(" ", 1)[1] for line in f)
addresses = itertools.count(random.randrange(1 << 14))


def b64(data):
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


PLAIN = b64(f"\0user@localhost\0{PASSWORD}")


class Client:
    """One connection: `with Client("imaps", key="user") as c:`. TLS at once on the -s ports."""

    def __init__(self, service, key=None, receive_buffer=None):
        self.key, self.buffer, self.peaks = key, b"", {}
        self.before = set(handlers())
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        n = next(addresses) & 0x3FFF
        self.socket.bind((f"127.{1 + (n >> 8)}.{n & 0xFF}.2", 0))
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect(("127.0.0.1", PORTS[service]))
        if service.endswith("s"):
            self.start_tls()

    def start_tls(self):
        context = ssl.create_default_context(cafile=f"{DIR}/server.pem")
        if self.key:
            context.load_cert_chain(f"{DIR}/clients/{self.key}.pem")
        # the server's end must be told, not cut off
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost",
                                          suppress_ragged_eofs=False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def line(self):
        """The next line without its end; None at the (orderly) end of the connection."""
        while b"\n" not in self.buffer:
            try:
                more = self.socket.recv(65536)
            except TimeoutError:
                raise AssertionError(f"no answer: {self.buffer!r}") from None
            if not more:
                assert not self.buffer, f"cut off: {self.buffer!r}"
                return None
            self.buffer += more
        line, _, self.buffer = self.buffer.partition(b"\n")
        assert line.endswith(b"\r"), line
        return line[:-1].decode("utf-8")

    def wants(self, *beginnings):
        """The next lines begin so; answers the last."""
        got = None
        for wanted in beginnings:
            got = self.line()
            assert got is not None and got.startswith(wanted), f"wanted {wanted!r}, got {got!r}"
        return got

    def ask(self, data, *beginnings):
        """Sends a line (its CRLF is added) and reads the answers."""
        self.send(data + ("\r\n" if isinstance(data, str) else b"\r\n"))
        try:
            return self.wants(*beginnings)
        except AssertionError as e:
            raise AssertionError(f"sent {data[:100]!r}: {e}") from None

    def table(self, rows):
        for data, *beginnings in rows:
            self.ask(data, *beginnings)

    def ends(self, *beginnings):
        self.wants(*beginnings)
        got = self.line()
        assert got is None, f"the connection goes on: {got!r}"

    def tagged(self, tag):
        """Lines up to the tagged one; answers that."""
        while (got := self.line()) is not None:
            if got.startswith(tag + " "):
                return got
        raise AssertionError(f"{tag}: the connection ended")

    def reply(self, data=None):
        """Sends a line (None: nothing) and reads one SMTP reply: its last line."""
        if data is not None:
            self.send(data + ("\r\n" if isinstance(data, str) else b"\r\n"))
        while (got := self.line()) is not None and got[3:4] == "-":
            pass
        return got

    def peak_kib(self):
        """VmHWM of gate and session together; of one that is gone, as last seen. They are the
        handlers that are new since the connection was made, so look a first time before the next."""
        for pid in self.peaks or set(handlers()) - self.before:
            try:
                with open(f"/proc/{pid}/status", encoding="ascii") as status:
                    self.peaks[pid] = next(int(s.split()[1]) for s in status if s.startswith("VmHWM:"))
            except (OSError, StopIteration):
                pass  # a zombie has no memory
        assert len(self.peaks) == 2, self.peaks
        return sum(self.peaks.values())


def handlers():
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            continue
        if f"{DIR}/state".encode() in words or DIR.encode() in words:
            if b"handler" in words[0]:
                found.append(int(path.split("/")[2]))
    return found


def imap(key="user"):
    c = Client("imaps", key=key)
    c.wants("* PREAUTH" if key == "user" else "* OK")
    return c


def smtp(key="user"):
    c = Client("submissions", key=key)
    assert c.reply().startswith("220 localhost ESMTP")
    assert c.reply("EHLO client").startswith("250 ")
    return c


def transaction(c, size=""):
    assert c.reply("MAIL FROM:<user@localhost>" + size).startswith("250 2.1.0")
    assert c.reply("RCPT TO:<user@localhost>").startswith("250 2.1.5")
    assert c.reply("DATA").startswith("354 ")


def still_serves():
    """Others are served; nothing hangs around of those who attacked."""
    with imap() as c:
        c.ask("z LOGOUT", "* BYE", "z OK")
        assert c.line() is None
    with smtp() as c:
        assert c.reply("QUIT").startswith("221 2.0.0")


# -- IMAP ------------------------------------------------------------------------------------------

def imap_unauthenticated():
    """RFC 9051 §6.2: BAD with the tag, "* BAD" without one, BYE after 20 of them."""
    for service in "imap", "imaps":
        with Client(service) as c:
            c.wants("* OK [CAPABILITY ")
            c.table([
                ("a1 FOO", "a1 BAD"), ("", "* BAD"), (" ", "* BAD"), ("a2", "a2 BAD"),
                ("+ NOOP", "* BAD"), ("\0\0\0", "* BAD"), ("a3 NO\0OP", "a3 BAD"),
                (bytes(range(128, 256)), "* BAD"), ("x" * 200 + " NOOP", "* BAD"),
                ("a4 SELECT INBOX", "a4 BAD"), ("a5 FETCH 1 (" + "(" * 3000, "a5 BAD"),
                ("a6 UID NOOP", "a6 BAD"), ("a7 NOOP x", "a7 BAD"), ("a8 NOOP\rb NOOP", "a8 BAD"),
                ("a9 DONE", "a9 BAD"), ("a10 APPEND INBOX {100}", "a10 BAD"),
                ("a11 APPEND INBOX {3+}\r\nabc", "a11 BAD"), ("b NOOP", "b OK"),
            ])
            c.send("c NOOP\n")  # an IMAP line may end in LF alone
            c.wants("c OK")
            c.table([("d1 X", "d1 BAD"), ("d2 X", "d2 BAD"), ("d3 X", "d3 BAD")])
            c.ends("* BYE")


def imap_login_literals():
    """Literals before the login: [TOOBIG] by tag where the client waits, BYE where it does not."""
    with imap(None) as c:
        c.table([
            ("a1 LOGIN", "a1 BAD"), ("a2 LOGIN x", "a2 BAD"), ('a3 LOGIN "x y', "a3 BAD"),
            ("a4 LOGIN {4294967296}", "a4 BAD [TOOBIG]"),
            ("a5 LOGIN {99999999999999999999}", "a5 BAD [TOOBIG]"),
            ("a6 LOGIN {1025}", "a6 BAD [TOOBIG]"),
            ("a7 LOGIN {1025+}\r\n" + "x" * 1025 + " {3+}\r\nabc", "a7 BAD [TOOBIG]"),
            ("a8 LOGIN {-1}", "a8 BAD"), ("a9 LOGIN {1 }", "a9 BAD"), ("b1 LOGIN {}", "b1 BAD"),
            ("b2 LOGIN {5}", "+ "), ("us\0er {3}", "+ "), ("abc", "b2 BAD"),
            # by the limit on the whole command, after forty good ones
            ("b3 LOGIN " + " ".join(["{1000+}\r\n" + "x" * 1000] * 50), "b3 BAD [TOOBIG]"),
            ("b4 NOOP", "b4 OK"),
        ])
        c.send("c LOGIN {4294967296+}\r\n")
        c.ends("c BAD", "* BYE")
    for command in "a LOGIN {99999999999999999999+}", "a APPEND INBOX {99999999999+}":
        with imap(None) as c:
            c.ask(command, "a BAD")
            c.ends("* BYE")
    with imap(None) as c:  # {0+} for ever
        c.send("a LOGIN " + "{0+}\r\n" * 20000)
        c.ends("a BAD", "* BYE")


def imap_long_lines():
    """Every line has a limit: tagged BAD, then BYE, as a literal may have been announced in it."""
    for key, limit in (None, 32768), ("user", 65536):
        with imap(key) as c:
            c.ask("a X" + "x" * (limit - 3), "a BAD")  # exactly as long as may be
            c.send("b X" + "x" * (limit - 2) + "\r\n")
            c.ends("b BAD", "* BYE")
        with imap(key) as c:
            c.send("b X" + "x" * (limit - 2) + "\r\nc NOOP\r\n")
            c.ends("b BAD", "* BYE")
        with imap(key) as c:
            c.send("\xff" * (limit + 1) + "\r\n")
            c.ends("* BYE")
        with imap(key) as c:  # a line without an end
            before = c.peak_kib()
            flood(c, b"e X" + b"x" * 65533, 8 * MIB)
            after = c.peak_kib()
            assert after - before < FLAT_KIB, (before, after)
            c.ends("e BAD", "* BYE")
    with imap() as c:  # behind a literal
        c.send("f LIST {3+}\r\nabc " + "x" * 70000 + "\r\n")
        c.ends("f BAD", "* BYE")


def flood(c, piece, size):
    """Sends until size is reached or the server takes no more."""
    c.socket.settimeout(2)
    try:
        for _ in range(size // len(piece)):
            c.send(piece)
            c.peak_kib()
    except (OSError, ssl.SSLError):
        pass
    c.socket.settimeout(TIMEOUT_S)


def sasl_aborts():
    """At every step, IMAP and SMTP."""
    # (mechanism, what is sent; each from a fresh start), IMAP's and SMTP's answer
    malformed, too_long = ("a BAD", "501 5.5.2"), ("a BAD", "500 5.5.6")
    aborted = ("a BAD", "501 5.7.0")
    rubbish = [
        ("*", aborted), ("!!!", malformed), ("AAA", malformed), ("AAAA=", malformed),
        ("A===", malformed),
        ("* ", malformed), (" " + PLAIN, malformed), ("\0", malformed), ("\xff\xfe", malformed),
        (PLAIN + "\r", malformed),
        ("A" * 12400, too_long), ("A" * 11000, too_long), ("A" * 10920, malformed), ("A" * 60000, too_long),
    ]
    steps = [("PLAIN", []), ("SCRAM-SHA-256", []),
        ("SCRAM-SHA-256", [b64("n,,n=user@localhost,r=abcdefgh")])]
    for mechanism, sent in steps:
        for data, (imap_answer, smtp_answer) in rubbish:
            with imap(None) as c:
                c.ask(f"a AUTHENTICATE {mechanism}", "+ ")
                for response in sent:
                    c.ask(response, "+ ")
                c.ask(data, imap_answer)
                c.ask("b NOOP", "b OK")
            with smtp(None) as c:
                c.ask(f"AUTH {mechanism}", "334 ")
                for response in sent:
                    c.ask(response, "334 ")
                c.ask(data, smtp_answer)
                c.ask("NOOP", "250 2.0.0")


def imap_grammar():
    """Limits of the grammar, each with its tagged answer."""
    with imap() as c:
        c.table([("s FETCH 1 FLAGS", "s BAD"), ("s SEARCH ALL", "s BAD"), ("s CHECK", "s BAD"),
                 ("s LOGIN a b", "s NO"), ("s AUTHENTICATE PLAIN", "s NO"), ("s STARTTLS", "s BAD"),
                 ("s AUTHENTICATE X", "s NO"), ("s FOO", "s BAD"), ("\xff\xfe\xfd", "* BAD"),
                 ("s NO\0OP", "s BAD"), ("s NOOP\ra NOOP", "s BAD"), ("s UID CHECK", "s BAD")])
        message = "From: user@localhost\nSubject: hostile\r\nFrom: x\r\n\r\nHello.\r\n"
        c.send(f"s APPEND INBOX {{{len(message)}+}}\r\n{message}\r\n")
        assert c.tagged("s").startswith("s OK [APPENDUID ")
        c.send("s SELECT INBOX\r\n")
        assert c.tagged("s").startswith("s OK [READ-WRITE]")
        deep = 100
        many = ",".join(str(2 * i + 1) for i in range(6000))
        # what is just within the limits works
        for good in (
                "SEARCH " + "(" * (deep - 1) + "ALL" + ")" * (deep - 1),
                "SEARCH " + "NOT " * deep + "ALL",
                "UID FETCH " + many + " FLAGS", "UID FETCH 1:4294967295 FLAGS",
                "UID FETCH " + "1," * 19999 + "1 FLAGS",
                "UID SEARCH UID *:*,1:*,4294967295", "FETCH 1 BODY.PEEK[" + "1." * 99 + "1]",
                "FETCH 1 (" + " ".join(["UID"] * 16000) + ")",
                "FETCH 1 BODY.PEEK[]<9223372036854775807.1>"):
            c.send(f"g {good}\r\n")
            got = c.tagged("g")
            assert got.startswith("g OK"), (good[:60], got)
        bad = [
            "SEARCH " + "(" * (deep + 1) + "ALL" + ")" * (deep + 1), "SEARCH " + "(" * 65000,
            "SEARCH " + "NOT " * 16000 + "ALL",
            "SEARCH " + "OR " * 16000, "SEARCH " + "OR ALL " * 9000 + "ALL",
            "SEARCH " + "ALL " * 6000, "SEARCH ())",
            "FETCH 1 " + "(" * 60000, "FETCH 1 (FLAGS" + ")" * 60000,
            "FETCH 1 BODY[" + "1." * 30000 + "1]", "FETCH 1 BODY[0]",
            "FETCH 1 BODY[]<0.0>", "FETCH 1 BODY[]<0.99999999999999999999>",
            "FETCH 1 BODY[HEADER.FIELDS (" + "a " * 1001 + "a)]",
            "FETCH 1 BODY[1", "FETCH 1 (", "FETCH 1 ()", "FETCH 0 FLAGS", "FETCH 4294967296 FLAGS",
            "FETCH 1:: FLAGS", "FETCH , FLAGS", "FETCH 1, FLAGS",
            "FETCH " + "1," * 20000 + "1 FLAGS", "FETCH 99999999999999999999 FLAGS",
            "FETCH -1 FLAGS", "FETCH 1 BODY[HEADER.FIELDS ()]",
            "STORE 1 FLAGS " + "(" * 60000, "STORE 1 FLAGS (\\Foo)",
            "STORE 1 FLAGS (" + " ".join(f"k{i}" for i in range(1001)) + ")",
            "STORE 1 FLAGS (\\Seen", "STORE 1 FLAGS (a\0b)", "STORE 1 FLAGS (\xe4)",
            "STORE 1 +FLAGS", "COPY 1 {4+}\r\na\0bc", 'COPY 1 "a\\b"', 'COPY 1 "',
            "LIST \"\" (" + "(" * 60000, "LIST (" * 10000, "STATUS INBOX " + "(" * 60000,
            "CREATE x (USE (" + "\\Sent " * 5000,
            "ID (" * 10000, "ENABLE" + " x" * 1001, "APPEND INBOX (\\Seen {3+}\r\nabc",
            "APPEND INBOX \"99-Foo-2020\" {3+}\r\nabc", "APPEND INBOX {3+}\r\nabcx",
            "APPEND INBOX {3+}\r\nabc {3+}\r\nabc",
        ]
        for i, attack in enumerate(bad):
            c.send(f"b{i} {attack}\r\n")
            got = c.tagged(f"b{i}")
            assert got.startswith(f"b{i} BAD "), (attack[:60], got)
            c.ask("n NOOP", "n OK")  # and the next command is the next command
        c.ask("n SELECT &!!!-", "n NO [CANNOT]")
        for i in range(20):
            c.ask(f"z{i} {'(' * 100}", f"z{i} BAD")
        c.ends("* BYE")


def imap_literals():
    """Literals after the login: [TOOBIG], CANNOT, TRYCREATE, and in time: BYE."""
    with imap() as c:
        c.table([
            ("a LIST {65537} x", "a BAD"), ("a LIST {65537}", "a BAD [TOOBIG]"),
            ("a LIST {4294967296}", "a BAD [TOOBIG]"),
            ("a LIST {99999999999999999999}", "a BAD [TOOBIG]"),
            ("a LIST {65537+}\r\n" + "x" * 65537 + " {2+}\r\nab", "a BAD [TOOBIG]"),
            ("a LIST " + "{60000+}\r\n" + "{60000+}\r\n".join(["x" * 60000] * 9), "a BAD [TOOBIG]"),
            ("a NOOP", "a OK"),
            ("b APPEND INBOX {104857601}", "b NO [TOOBIG]"),
            ("b APPEND INBOX {99999999999999999999}", "b NO [TOOBIG]"),
            ("b APPEND INBOX {0}", "b NO [CANNOT]"), ("b APPEND INBOX {0+}\r\n", "b NO [CANNOT]"),
            ("b APPEND none {100}", "b NO [TRYCREATE]"),
            ("b APPEND none {5+}\r\nhello", "b NO [TRYCREATE]"),
            (b"b APPEND INBOX {5+}\r\nhel\0o", "b NO [CANNOT]"), ("b APPEND INBOX {5}", "+ "),
            (b"\0\0\0\0\0", "b NO [CANNOT]"),
            ("b NOOP", "b OK"),
        ])
        c.send("c APPEND INBOX {104857601+}\r\n")
        c.ends("c NO [TOOBIG]", "* BYE")
    with imap() as c:  # by its lines a command is too long, not by a literal
        c.send("a LIST " + "{10+}\r\n".join([" xxxxxxxxx"] * 20000) + "\r\n")
        c.ends("a BAD", "* BYE")
    for command, answer in (("d LIST {4294967296+}", "d BAD"), ("d APPEND ( {99999999999999999999+}", "d BAD"),
                            ("d APPEND x {99999999999999999999+}", "d NO [TOOBIG]"),
                            ("d APPEND INBOX {3+}\r\nabc {99999999999999999999+}", "d BAD"),
                            ("d APPEND INBOX {3+}\r\nabc" + "x" * 70000, "d BAD")):
        with imap() as c:
            c.send(command + "\r\n")
            c.ends(answer, "* BYE")
    with imap() as c:  # gone in the middle of a literal: nothing is stored
        c.send("e APPEND INBOX {1000000}\r\n")
        c.wants("+ ")
        c.send("x" * 500000)
    with imap() as c:
        c.ask("f IDLE", "+ ")
        c.ask("x" * 5000, "f BAD")
        c.ask("g IDLE", "+ ")
        c.ask("g NOOP", "g BAD")
        c.ask("h NOOP", "h OK")


def starttls():
    """Bytes behind STARTTLS: dropped; a second one: BAD, 503 5.5.1."""
    for service, command, smuggled, begun in (("imap", "a STARTTLS", "b NOOP", "a OK"),
                                              ("submission", "STARTTLS", "NOOP", "220 2.0.0")):
        for behind in smuggled + "\r\n", "x":
            with Client(service) as c:
                c.reply() if service == "submission" else c.line()
                c.send(f"{command}\r\n{behind}")
                got = []
                try:
                    while (line := c.line()) is not None:
                        got.append(line)
                except (OSError, AssertionError):
                    pass
                assert len(got) <= 1 and all(g.startswith(begun) for g in got), got
        with Client(service) as c:
            c.reply()
            c.ask(command, begun)
            c.start_tls()
            c.ask(command, "a BAD" if service == "imap" else "503 5.5.1")
            c.ask(smuggled, "b OK" if service == "imap" else "250 2.0.0")
        with Client(service) as c:  # rubbish in the place of the handshake
            c.reply()
            c.ask(command, begun)
            c.send("GET / HTTP/1.0\r\n\r\n" * 100)
            try:
                while c.socket.recv(4096):  # a TLS alert at most
                    pass
            except OSError:
                pass


# -- SMTP ------------------------------------------------------------------------------------------

def smtp_unauthenticated():
    """530 5.7.0 to what needs a login, whatever its arguments; 421 after 20 mistakes."""
    for service in "submission", "submissions":
        with Client(service) as c:
            assert c.reply().startswith("220 ")
            c.table([
                ("MAIL FROM:<user@localhost>", "530 5.7.0"), ("RCPT TO:<", "530 5.7.0"),
                ("DATA", "530 5.7.0"), ("VRFY root", "530 5.7.0"),
                ("EXPN x", "530 5.7.0"), ("BDAT 6 LAST\r\nQUIT", "530 5.7.0"), ("BDAT x", "501 5.5.4"),
                ("EHLO", "501 5.5.4"),
                ("EHLO " + "x" * 256, "501 5.5.4"),
                ("EHLO a\0b", "500 5.5.2"), ("", "500 5.5."), ("FOO", "500 5.5.1"),
                (b"\xff\xfe", "500 5.5."), ("NOOP\rQUIT", "500 5.5.2"),
                ("AUTH", "501 5.5.4" if service == "submissions" else "501 5.5.4"),
                ("X" * 5000, "500 5.5.2"), ("AUTH PLAIN " + "A" * 13000, "500 5.5.6"),
                ("X" * 100000, "500 5.5.2"),
            ])
            c.send("NOOP\n")
            c.wants("500 5.5.2")
            c.table([("NOOP", "250 2.0.0"), ("RSET", "250 2.0.0"), ("X", "500 5.5.1")])
            c.ends("421 4.7.0")
    with Client("submission") as c:
        c.reply()
        c.ask("AUTH PLAIN " + PLAIN, "538 5.7.11")
    with smtp(None) as c:
        c.table([("AUTH FOO", "504 5.5.4"), ("AUTH PLAIN !!!", "501 5.5.2"),
            ("AUTH PLAIN AAAA", "501 5.5.2"), ("AUTH PLAIN " + "A" * 12000, "500 5.5.6"),
                 ("AUTH PLAIN A B", "501 5.5.4"), ("NOOP", "250 ")])
    with smtp("stranger") as c:
        c.ask("AUTH EXTERNAL", "334 ")
        c.ask("*", "501 5.7.0")
        c.ask("AUTH EXTERNAL =", "535 5.7.8")
    for key in None, "user":
        with smtp(key) as c:
            before = c.peak_kib()
            flood(c, b"x" * 65536, 8 * MIB)
            after = c.peak_kib()
            assert after - before < FLAT_KIB, (before, after)
            c.ends("500 5.5.2", "421 4.7.0")


def smtp_auth_over_key():
    """The same mistakes in AUTH on top of a TLS key: the session speaks there, not the gate."""
    rows = [("*", "501 5.7.0"), ("!!!", "501 5.5.2"), ("AAA", "501 5.5.2"), ("\0", "501 5.5.2"),
            ("A" * 12400, "500 5.5.6"), ("AAAA", "501 5.5.2")]
    for data, answer in rows:
        with smtp() as c:
            c.ask("AUTH PLAIN", "334 ")
            c.ask(data, answer)
            c.ask("AUTH SCRAM-SHA-256", "334 ")
            c.ask(b64("n,,n=user@localhost,r=abcdefgh"), "334 ")
            c.ask(data, answer)
            c.ask("NOOP", "250 2.0.0")
    with smtp() as c:
        c.ask("AUTH PLAIN", "334 ")
        c.send(PLAIN + "\n")  # no CR
        c.wants("501 5.5.2")
        c.table([("AUTH FOO", "504 5.5.4"), ("AUTH PLAIN " + "A" * 5000, "500 5.5.6"),
            ("AUTH PLAIN " + PLAIN, "235 2.7.0"),
                 ("AUTH PLAIN " + PLAIN, "503 5.5.1"), ("STARTTLS", "503 5.5.1"),
                 ("NOOP", "250 2.0.0")])


def smtp_syntax():
    """RFC 5321 §4.1.2, with the enhanced codes of RFC 3463; one connection per twenty mistakes."""
    address = "user@localhost"
    mail = [
        ("MAIL", "501 5.5.2"), ("MAIL FROM", "501 5.5.2"), ("MAIL FROM:", "501 5.1.7"),
        (f"MAIL FROM:{address}", "501 5.1.7"), (f"MAIL FROM:<{address}", "501 5.1.7"),
        ("MAIL FROM:<@>", "501 5.1.7"), ("MAIL FROM:<user@>", "501 5.1.7"),
        ("MAIL FROM:<@localhost>", "501 5.1.7"), ("MAIL FROM:<user>", "501 5.1.7"),
        ("MAIL FROM:<us er@localhost>", "501 5.1.7"), ("MAIL FROM:<user@local host>", "501 5.1.7"),
        ('MAIL FROM:<"user@localhost>', "501 5.1.7"),
        ('MAIL FROM:<"us\0er"@localhost>', "500 5.5.2"),
        ("MAIL FROM:<" + "x" * 65 + "@localhost>", "501 5.1.7"),
        ("MAIL FROM:<x@" + "x." * 200 + "x>", "501 5.1.7"),
        (f"MAIL FROM:<{address}>SIZE=1", "501 5.5.2"),
        ("MAIL FROM:<user@[999.1.1.1]>", "501 5.1.7"), ("MAIL FROM:<.user@localhost>", "501 5.1.7"),
        ("MAIL FROM:<us..er@localhost>", "501 5.1.7"),
    ]
    parameters = [
        ("FOO=1", "555 5.5.4"), ("FOO", "555 5.5.4"), ("SIZE=1 SIZE=1", "501 5.5.4"),
        ("SIZE=", "501 5.5.4"), ("SIZE", "501 5.5.4"), ("SIZE=-1", "501 5.5.4"),
        ("SIZE=104857601", "552 5.3.4"),
        ("SIZE=99999999999999999999", "552 5.3.4"), ("SIZE=999999999999999999999", "501 5.5.4"),
        ("BODY=BINARY", "501 5.5.4"), ("BODY=7BIT BODY=8BITMIME", "501 5.5.4"),
        ("SMTPUTF8=1", "501 5.5.4"), ("RET=ALL", "555 5.5.4"), ("AUTH=", "501 5.5.4"),
        ("X" * 3000, "555 5.5.4"), ("=", "555 5.5.4"),
    ]
    with smtp() as c:
        c.table(mail)
    with smtp() as c:
        c.table([(f"MAIL FROM:<{address}> {p}", answer) for p, answer in parameters])
        c.table([("MAIL FROM:<second@localhost>", "550 5.7.1"),
            ("MAIL FROM:<x@example.org>", "550 5.7.1"), ("RCPT TO:<user@localhost>", "503 5.5.1"),
            ("DATA", "503 5.5.1")])
    with smtp() as c:
        c.table([
            ("MAIL FROM:<us\xc3\xa4r@localhost>".encode("latin-1"), "550 5.6.7"),
            ("MAIL FROM:<@a.example,@b.example:user@localhost> SIZE=100", "250 2.1.0"),
            ("MAIL FROM:<>", "503 5.5.1"), ("DATA", "554 5.5.1"), ("RCPT", "501 5.5.2"),
            ("RCPT TO:", "501 5.1.3"), ("RCPT TO:<>", "501 5.1.3"),
            ("RCPT TO:<user@localhost", "501 5.1.3"),
            ("RCPT TO:<user>", "501 5.1.3"), ("RCPT TO:<user@localhost> SIZE=1", "555 5.5.4"),
            ("RCPT TO:<none@localhost>", "550 5.1.1"), ("RCPT TO:<x@[1.2.3]>", "501 5.1.3"),
            ("RCPT TO:<@a.example:user@localhost>", "250 2.1.5"),
            ('RCPT TO:<"user"@localhost>', "250 2.1.5"), ("RCPT TO:<postmaster>", "250 2.1.5"),
            ("RCPT TO:<" + "x" * 65 + "@localhost>", "501 5.1.3"),
            ("AUTH PLAIN " + PLAIN, "503 5.5.1"), ("RSET", "250 2.0.0"), ("DATA", "503 5.5.1"),
            ("VRFY x", "252 2."), ("EXPN x", "502 5.5.1"), ("HELP", "214 2.0.0"),
            ("RSET x", "501 5.5.4"),
        ])
    with Client("submissions", key="user") as c:
        c.reply()
        c.table([(f"MAIL FROM:<{address}>", "503 5.5.1"), ("X" * 4097, "500 5.5.2"),
            ("NOOP\0", "500 5.5.2"), ("X", "500 5.5.1"), ("NOOP\rNOOP", "500 5.5.2"),
            (b"\xff", "500 5.5.")])
        c.send("NOOP\n")
        c.wants("500 5.5.2")
        for _ in range(12):
            c.ask("X", "500 5.5.1")
        c.ask("X", "500 5.5.1")
        c.ends("421 4.7.0")


def smtp_recipients():
    """1,000 recipients, then 452 4.5.3, and the transaction goes on with those it has."""
    with smtp() as c:
        c.ask("MAIL FROM:<user@localhost>", "250 ")
        c.send("".join(f"RCPT TO:<user+{i}@localhost>\r\n" for i in range(1001)))
        c.wants(*["250 2.1.5"] * 1000, "452 4.5.3")
        c.table([("RCPT TO:<second@localhost>", "452 4.5.3"), ("RSET", "250 "), ("QUIT", "221 ")])


HEADER = "From: user@localhost\r\nSubject: hostile\r\n\r\n"
TO_USER = "MAIL FROM:<user@localhost>\r\nRCPT TO:<user@localhost>\r\n"
TO_SECOND = "MAIL FROM:<user@localhost>\r\nRCPT TO:<second@localhost>\r\nDATA\r\n"


def smtp_smuggling():
    """A bare CR or LF anywhere: 550 5.5.2 at the true end, nothing of it executed."""
    inner = TO_SECOND + "From: user@localhost\r\nSubject: smuggled\r\n\r\n"
    ends = ("\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\r\n\r.\r\n", "\r\n.\r\r\n",
            "\n\n.\r\n", "x\n", "x\r", "\r\n.\r.\r\n")
    for end in ends:
        with smtp() as c:
            transaction(c)
            c.send(HEADER + "Hello." + end + inner + "Smuggled." + end + "\r\n.\r\nNOOP\r\n")
            c.wants("550 5.5.2", "250 2.0.0")
            transaction(c)  # the first was over as a whole
            c.send(HEADER.replace("\r\n\r\n", end + "x: y\r\n\r\n") + ".\r\nNOOP\r\n")
            c.wants("550 5.5.2", "250 2.0.0")
            c.ask("QUIT", "221 ")
            assert c.line() is None
    with imap() as c:
        c.send("a SELECT INBOX\r\na SEARCH SUBJECT smuggled\r\n")
        c.tagged("a")
        c.wants("* SEARCH")
        with Client("imaps") as other:
            other.wants("* OK")
            other.ask(f"a LOGIN second@localhost {SECOND}", "a OK")
            other.send("a SELECT INBOX\r\n")
            assert "* 0 EXISTS" in until_tagged(other, "a")


def until_tagged(c, tag):
    lines = []
    while (got := c.line()) is not None and not got.startswith(tag + " "):
        lines.append(got)
    return lines


def smtp_messages():
    """What makes a message unacceptable: refused at its end, and the connection stays."""
    rows = [
        ("", "550 5.7.1"), ("\r\n", "550 5.7.1"), ("Hello\r\n", "550 5.6.0"),
        ("Subject: x\r\n\r\nno From\r\n", "550 5.7.1"),
        ("From: second@localhost\r\n\r\n", "550 5.7.1"),
        ("From: user@localhost\r\nFrom: user@localhost\r\n\r\n", "550 5.7.1"),
        ("From: user@localhost, second@localhost\r\n\r\n", "550 5.7.1"),
        ("From: user@localhost\r\nSender: x@example.org\r\n\r\n", "550 5.7.1"),
        ("From: user@localhost\r\nSender: user@localhost\r\nSender: user@localhost\r\n\r\n", "550 5.7.1"),
        ("From:\r\n\r\n", "550 5.7.1"), ("From: <user@localhost\r\n\r\n", "550 5.7.1"),
        ("From: \"" + "\\" * 999 + "\r\n\r\n", "550 5.7.1"),
        ("From: " + "(" * 60000 + "\r\n\r\n", "550 5.7.1"),
        ("From: " + "user@localhost, " * 4000 + "x@example.org\r\n\r\n", "550 5.7.1"),
        ("From: \0user@localhost\r\n\r\n", "550 5.6.0"),
        ("From: user@localhost\r\n" + "X: y\r\n" * 50000 + "\r\n", "552 5.3.4"),
        ("From: user@localhost\r\nX: " + "x" * 65600 + "\r\n\r\n", "550 5.6.0"),
        (HEADER + "x" * 65537 + "\r\n", "550 5.6.0"),
        (HEADER + "\0\r\n", "550 5.6.0"), (" From: user@localhost\r\n\r\n", "550 5."),
        ("From user@localhost\r\nFrom: user@localhost\r\n\r\n", "550 5.6.0"),
        ("From : second@localhost\r\n\r\n", "550 5.7.1"),
    ]
    with smtp() as c:
        for message, answer in rows:
            transaction(c)
            c.send(message + ".\r\nNOOP\r\n")
            try:
                c.wants(answer, "250 2.0.0")
            except AssertionError as e:
                raise AssertionError(f"{message[:60]!r}: {e}") from None
    with smtp() as c:  # long lines, dots, no empty line: fine
        # as large a header as may be: what is added to it must not be too much for the queue
        large, last = "X: y\r\n" * 43000, "From: user@localhost\r\n\r\n"
        large += "Subject: " + "z" * (256 * 1024 - len(large) - 11 - len(last)) + "\r\n" + last
        for message in (large, HEADER + "x" * 60000 + "\r\n", HEADER + "..\r\n...\r\n",
                        "From: user@localhost\r\n", HEADER + "..\r\n"):
            transaction(c)
            c.send(message + ".\r\n")
            c.wants("250 2.0.0")
    with smtp() as c:  # gone in the middle of DATA
        transaction(c)
        c.send(HEADER + "half a mess")


def bdat():
    """RFC 3030: the chunk is read in any case, and never as commands."""
    size = len(HEADER)
    with smtp() as c:
        c.table([
            ("BDAT 6 LAST\r\nQUIT", "503 5.5.1"), ("MAIL FROM:<user@localhost>", "250 "),
            ("BDAT 6\r\nQUIT", "554 5.5.1"), ("RCPT TO:<user@localhost>", "250 2.1.5"),
        ])
        c.send(f"BDAT {size}\r\n{HEADER}")
        c.wants("250 2.0.0")
        c.table([("DATA", "503 5.5.1"), ("RCPT TO:<second@localhost>", "503 5.5.1"),
            ("MAIL FROM:<user@localhost>", "503 5.5.1"), ("NOOP", "250 ")])
        c.send("BDAT 8\r\na\nb\r\n.\r\n")
        c.wants("550 5.5.2")
        c.table([("BDAT 6 LAST\r\nQUIT", "503 5.5.1"), ("NOOP", "250 ")])
        c.send(f"{TO_USER}BDAT {size} LAST\r\n{HEADER}BDAT 0 LAST\r\nNOOP\r\n")
        c.wants("250 2.1.0", "250 2.1.5", "250 2.0.0 Message queued", "503 5.5.1", "250 ")
        c.send(TO_USER + "BDAT 0 LAST\r\nNOOP\r\n")
        c.wants("250 2.1.0", "250 2.1.5", "550 5.7.1", "250 ")
        c.send(f"{TO_USER}BDAT {size + 6} LAST\r\n{HEADER}.\r\nab\rNOOP\r\n")
        c.wants("250 2.1.0", "250 2.1.5", "550 5.5.2", "250 ")
    for command in "BDAT", "BDAT x", "BDAT -1 LAST", "BDAT 99999999999999999999", "BDAT 5 FIRST", "BDAT 5LAST":
        with smtp() as c:  # how much is to be read nobody knows
            c.send(command + "\r\nNOOP\r\nNOOP\r\n")
            c.ends("501 5.5.4", "421 4.7.0")


# -- order, slowness, size ---------------------------------------------------------------------------

def pipelining():
    """What is pipelined behind an authentication is answered, in order, also after a half-close."""
    many = "".join(f"n{i} NOOP\r\n" for i in range(2000))
    logins = (f"a AUTHENTICATE PLAIN {PLAIN}\r\n", f"a LOGIN user@localhost {PASSWORD}\r\n",
              f"a AUTHENTICATE PLAIN\r\n{PLAIN}\r\n",
              f"a LOGIN {{14+}}\r\nuser@localhost {{{len(PASSWORD)}+}}\r\n{PASSWORD}\r\n")
    for first in logins:
        for half_close in False, True:
            with imap(None) as c:
                c.send(first + "b SELECT INBOX\r\n" + many)
                if half_close:
                    with socket.socket(fileno=os.dup(c.socket.fileno())) as raw:
                        raw.shutdown(socket.SHUT_WR)
                if "AUTHENTICATE PLAIN\r" in first:
                    c.wants("+ ")
                c.wants("a OK")
                assert c.tagged("b").startswith("b OK")
                c.wants(*[f"n{i} OK" for i in range(2000)])
                if half_close:
                    assert c.line() is None
    for first in f"AUTH PLAIN {PLAIN}\r\n", f"AUTH PLAIN\r\n{PLAIN}\r\n":
        with smtp(None) as c:
            c.send(first + TO_USER + "RSET\r\n" + "NOOP\r\n" * 2000)
            with socket.socket(fileno=os.dup(c.socket.fileno())) as raw:
                raw.shutdown(socket.SHUT_WR)
            if "\r\n" in first[:-2]:
                c.wants("334 ")
            c.wants("235 2.7.0", "250 2.1.0", "250 2.1.5", *["250 2.0.0"] * 2001)
            assert c.line() is None
    with imap() as c:  # by key; and a message behind a half-close
        c.send("a APPEND INBOX {20+}\r\nSubject: half\r\n\r\nx\r\n\r\nb LOGOUT\r\nc NOOP\r\n")
        with socket.socket(fileno=os.dup(c.socket.fileno())) as raw:
            raw.shutdown(socket.SHUT_WR)
        c.ends("a OK [APPENDUID ", "* BYE", "b OK")
    with smtp() as c:
        c.send(f"{TO_USER}DATA\r\n{HEADER}x\r\n.\r\nQUIT\r\nNOOP\r\n")
        with socket.socket(fileno=os.dup(c.socket.fileno())) as raw:
            raw.shutdown(socket.SHUT_WR)
        c.ends("250 2.1.0", "250 2.1.5", "354 ", "250 2.0.0", "221 ")


def large_messages():
    """100 MiB by APPEND, FETCH and DATA: memory as of an idle connection."""
    line = b"x" * 76 + b"\r\n"
    piece = line * (MIB // len(line))
    header = HEADER.encode()
    count = 100 * MIB // len(piece) - 1
    size = len(header) + count * len(piece)
    with imap() as c:
        before = c.peak_kib()
        c.send(f"a CREATE large\r\na APPEND large {{{size}+}}\r\n".encode() + header)
        for _ in range(count):
            c.send(piece)  # never reading
        c.send("\r\nb SELECT large\r\n")
        c.wants("a OK", "a OK [APPENDUID ")
        c.tagged("b")
        check_flat(c, before, "APPEND")
        c.send("c FETCH 1 (BODY.PEEK[])\r\nd FETCH 1 (BODY.PEEK[TEXT])\r\n")
        assert swallow(c, b"\r\nd OK") > 2 * size - 1000
        check_flat(c, before, "FETCH")
        with Client("imaps", key="user",
            receive_buffer=4096) as still:  # nobody reads what was asked for
            still.wants("* PREAUTH")
            idle = still.peak_kib()
            still.send("b SELECT large\r\nc FETCH 1 (BODY.PEEK[])\r\n" * 5 + "n NOOP\r\n" * 20000)
            time.sleep(0.5)
            still_serves()
            check_flat(still, idle, "FETCH that nobody reads")
        c.send("e STORE 1 +FLAGS (\\Deleted)\r\ne CLOSE\r\ne DELETE large\r\nf NOOP\r\n")
        c.tagged("f")
    with smtp() as c:
        before = c.peak_kib()
        # exactly as large as may be, which must not be too large for the queue; one byte more
        rest = 100 * MIB - size
        filler = b"y" * 76 + b"\r\n"
        filler = filler * (rest // 78 - 1) + b"z" * (rest % 78 + 76) + b"\r\n"
        for last, answer in (filler, "250 2.0.0"), (b"y" + filler, "552 5.3.4"):
            transaction(c, " SIZE=104857600")
            c.send(header)
            for _ in range(count):
                c.send(piece)
            c.send(last + b".\r\nNOOP\r\n")
            c.wants(answer, "250 2.0.0")
            check_flat(c, before, "DATA")


def check_flat(c, before, what):
    after = c.peak_kib()
    assert after - before < FLAT_KIB, f"{what}: {before} KiB became {after}"


def swallow(c, end):
    """Reads up to end; answers how much that was."""
    total, last = len(c.buffer), c.buffer
    while end not in last:
        more = c.socket.recv(1 << 18)
        assert more, "the connection ended"
        total += len(more)
        last = last[-len(end):] + more
    while b"\n" not in last[last.index(end) + len(end):]:
        last += c.socket.recv(65536)
    c.buffer = b""
    return total


def large_headers():
    """Many picks from a header of 4 MiB: the memory of one."""
    header = "From: user@localhost\r\n" + "X: " + "y" * 1000 + "\r\n"
    header += "Z: zzzz\r\n" * ((4 * MIB - len(header) - 10) // 9)
    with imap() as c:
        c.send(f"a CREATE headers\r\na APPEND headers {{{len(header) + 2}+}}\r\n{header}\r\n\r\nb SELECT headers\r\n")
        c.wants("a OK", "a OK [APPENDUID ")
        c.tagged("b")
        c.send("c FETCH 1 (BODY.PEEK[HEADER.FIELDS (X)])\r\n")
        c.tagged("c")
        before = c.peak_kib()
        c.send("d FETCH 1 (" + "BODY.PEEK[HEADER.FIELDS (X)] " * 50 + "UID)\r\n")
        swallow(c, b"\r\nd OK")
        c.send("e FETCH 1 (" + "BODY.PEEK[HEADER.FIELDS.NOT (X)] " * 9 + "UID)\r\n")
        assert swallow(c, b"\r\ne OK") > 9 * (len(header) - 2000)
        check_flat(c, before + 12 * 1024, "HEADER.FIELDS")  # the header, and what is picked
        before = c.peak_kib()
        c.send("e SEARCH " + "FROM zz TEXT zz " * 3 + "ALL\r\n")
        c.tagged("e")
        check_flat(c, before + 12 * 1024, "SEARCH")
        part = "--b\r\n" + "X: yyyyyy\r\n" * (MIB // 11) + "\r\nz\r\n"
        parts = "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * 3 + "--b--\r\n"
        c.send(f"e APPEND headers {{{len(parts)}+}}\r\n{parts}\r\n")
        assert c.tagged("e").startswith("e OK"), "APPEND"
        before = c.peak_kib()
        c.send("e SEARCH 2 " + "NOT BODY zz " * 6 + "ALL\r\n")
        c.wants("* SEARCH 2")
        c.tagged("e")
        check_flat(c, before + 4 * 1024, "SEARCH BODY")
        c.send("f STORE 1 +FLAGS (\\Deleted)\r\nf CLOSE\r\nf DELETE headers\r\ng NOOP\r\n")
        c.tagged("g")


def backlog():
    """All of 300 messages that a queue run finds waiting are delivered by it."""
    count = 300
    with open(f"{DIR}/state/queue/lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # nobody runs the queue
        with smtp() as c:
            for _ in range(count // 50):
                c.send(f"{TO_SECOND}{HEADER}x\r\n.\r\n" * 50)
                c.wants(*["250 2.1.0", "250 2.1.5", "354 ", "250 2.0.0"] * 50)
    with smtp() as c:  # and one that wakes it
        c.send(f"{TO_SECOND}{HEADER}x\r\n.\r\n")
        c.wants("250 2.1.0", "250 2.1.5", "354 ", "250 2.0.0")
    with Client("imaps") as c:
        c.wants("* OK")
        c.ask(f"a LOGIN second@localhost {SECOND}", "a OK")
        deadline, got = time.monotonic() + 2 * TIMEOUT_S, ""
        while f"MESSAGES {count + 1})" not in got:
            assert time.monotonic() < deadline, got
            time.sleep(0.2)
            got = c.ask("b STATUS INBOX (MESSAGES)", "* STATUS INBOX")
            c.wants("b OK")


def silent_clients():
    """30 s without a word before the login: BYE, 421 4.4.2, close_notify. In parallel."""
    failures = []

    def one(service, talk, *wanted):
        try:
            with Client(service) as c:
                c.socket.settimeout(45)
                c.reply() if service.startswith("sub") else c.line()
                for words in talk:
                    c.send(words)
                    if words.endswith("\n"):
                        c.reply()
                start = time.monotonic()
                c.ends(*wanted)
                waited = time.monotonic() - start
                assert 25 < waited < 40, waited
        except Exception as e:  # pylint: disable=broad-exception-caught
            failures.append((service, talk, repr(e)))

    bye, too_late = "* BYE Waited too long", "421 4.4.2"
    silent = [("imap", (), bye), ("imaps", (), bye), ("submission", (), too_late),
        ("submissions", (), too_late), ("imaps", ("a NO",), bye),
              ("imaps", ("a AUTHENTICATE PLAIN\r\n",), bye),
              ("submissions", ("EHLO x\r\n", "AUTH PLAIN\r\n"), too_late),
              ("imaps", ("a LOGIN {5}\r\n", "ab"), bye)]
    threads = [threading.Thread(target=one, args=row) for row in silent]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, failures


if __name__ == "__main__":
    for name in sys.argv[1:]:
        globals()[name]()
        still_serves()
        print(f"{name}: all good")
