"""SASL mechanisms and channel bindings, computed here by hand from the RFCs, for tests of the server."""
import base64
import glob
import hashlib
import hmac
import os
import tempfile

import peer

PROGRAMS = {"imap": "bin/imap-handler", "submission": "bin/submit-handler"}
# how each protocol says it: a challenge, and the ends of an authentication
ENDS = {
    "imap": {"challenge": "+ ", "ok": "a OK", "credentials": "a NO [AUTHENTICATIONFAILED]",
             "malformed": "a BAD", "too-long": "a BAD", "aborted": "a BAD", "alert": "a NO [ALERT]",
             "not-offered": "a NO "},
    "submission": {"challenge": "334 ", "ok": "235 2.7.0", "credentials": "535 5.7.8",
                   "malformed": "501 5.5.2", "too-long": "500 5.5.6", "aborted": "501 5.7.0",
                   "alert": "535 5.7.8", "not-offered": "504 5.5.4"},
}


class Connection(peer.Peer):
    """A real handler of either protocol, up to the point where authentication may begin."""

    def __init__(self, protocol, key=None, implicit=True, options=(), keep_limits=False, **more):
        if not keep_limits:  # what others did wrong before; over keys, that is in the histories
            histories = glob.glob(f"{peer.INSTANCE}/state/history/*/logins.tdb") if key else []
            for path in glob.glob(f"{peer.INSTANCE}/run/state/limits.tdb") + histories:
                os.unlink(path)
        self.protocol = protocol
        Connection.latest = self  # also when a handshake fails
        self.key_log = tempfile.NamedTemporaryFile()
        arguments = (["--implicit-tls"] if implicit else []) + list(options)
        super().__init__(*arguments, key=key, program=PROGRAMS[protocol], **more)
        if protocol == "imap":
            self.greeting = self.line()
            if not implicit:
                assert "PREAUTH" not in self.greeting and "AUTH=" not in self.greeting
                self.expect("s STARTTLS", "s OK")
                self.start_tls()
        else:
            self.greeting = self.reply(None, "")
            if not implicit and not self.greeting.startswith("4"):
                self.reply("EHLO [127.0.0.1]", "250")
                self.reply("STARTTLS", "220")
                self.start_tls()
            self.ehlo = self.reply("EHLO [127.0.0.1]", "") if self.greeting.startswith("2") else ""

    def context(self):
        context = super().context()
        context.keylog_filename = self.key_log.name
        return context

    def is_end(self, line, end):
        return line.startswith(ENDS[self.protocol][end])

    def begin(self, mechanism, initial=None):
        """AUTHENTICATE or AUTH; initial: bytes, None for none. The first line that is answered."""
        command = "a AUTHENTICATE " if self.protocol == "imap" else "AUTH "
        response = "" if initial is None else " " + (peer.b64(initial) or "=")
        return self.ask(command + mechanism + response)

    def respond(self, response):
        return self.ask(peer.b64(response))

    def challenge(self, line):
        prefix = ENDS[self.protocol]["challenge"]
        assert line.startswith(prefix), f"wanted a challenge, got {line!r}"
        return base64.b64decode(line[len(prefix):])

    def end(self, line, end):
        assert self.is_end(line, end), f"{self.protocol}: wanted {end!r}, got {line!r}"
        return line

    # What the connection can bind to

    def bindings(self):
        certificate = hashlib.sha256(self.socket.getpeercert(True)).digest()  # ECDSA with SHA-256
        found = {"tls-server-end-point": certificate}
        if self.socket.version() == "TLSv1.3":
            found["tls-exporter"] = self.exporter()
        else:
            found["tls-unique"] = self.socket.get_channel_binding("tls-unique")
        return found

    def exporter(self):
        """RFC 9266 §2 and RFC 8446 §7.5, from the secret in the key log."""
        with open(self.key_log.name, encoding="ascii") as f:
            secrets = [line.split() for line in f if line.startswith("EXPORTER_SECRET ")]
        secret = bytes.fromhex(secrets[-1][2])
        digest = {32: "sha256", 48: "sha384"}[len(secret)]
        empty = hashlib.new(digest).digest()
        derived = expand_label(secret, "EXPORTER-Channel-Binding", empty, len(secret), digest)
        return expand_label(derived, "exporter", empty, 32, digest)


def expand_label(secret, label, context, length, digest):
    """HKDF-Expand-Label (RFC 8446 §7.1); one block is enough."""
    label = b"tls13 " + label.encode()
    info = (length.to_bytes(2, "big") + bytes([len(label)]) + label
            + bytes([len(context)]) + context)
    return hmac.new(secret, info + b"\1", digest).digest()[:length]


class Scram:
    """One SCRAM exchange (RFC 5802 §5), client side. binding: (type, data), "y" or None for "n"."""

    def __init__(self, mechanism, user, password, binding=None, authzid="", nonce=None):
        self.hash = {"SHA-1": "sha1", "SHA-256": "sha256", "SHA-512": "sha512"}[
            mechanism.removeprefix("SCRAM-").removesuffix("-PLUS")]
        self.password = password.encode()
        flag, self.data = "n", b""
        if binding == "y":
            flag = "y"
        elif binding:
            flag, self.data = "p=" + binding[0], binding[1]
        self.header = f"{flag},{'a=' + escape(authzid) if authzid else ''},".encode()
        self.nonce = nonce or base64.b64encode(os.urandom(18)).decode()
        self.bare = f"n={escape(user)},r={self.nonce}".encode()

    def first(self):
        return self.header + self.bare

    def final(self, server_first):
        self.fields = dict(f.split("=", 1) for f in server_first.decode().split(","))
        assert self.fields["r"].startswith(self.nonce) and len(self.fields["r"]) >= len(self.nonce) + 16
        salted = hashlib.pbkdf2_hmac(self.hash, self.password, base64.b64decode(self.fields["s"]),
                                     int(self.fields["i"]))
        client_key = hmac.digest(salted, b"Client Key", self.hash)
        stored_key = hashlib.new(self.hash, client_key).digest()
        bare = b"c=" + base64.b64encode(self.header + self.data) + b",r=" + self.fields["r"].encode()
        message = self.bare + b"," + server_first + b"," + bare
        signature = hmac.digest(stored_key, message, self.hash)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self.server_signature = hmac.digest(hmac.digest(salted, b"Server Key", self.hash), message, self.hash)
        return bare + b",p=" + base64.b64encode(proof)

    def check(self, server_final):
        assert server_final == b"v=" + base64.b64encode(self.server_signature), server_final


def escape(name):
    return name.replace("=", "=3D").replace(",", "=2C")


def scram(c, mechanism, user, password, binding=None, authzid="", initial=True):
    """The whole exchange; what ends it: ("e=…" or "", last line)."""
    s = Scram(mechanism, user, password, binding, authzid)
    line = c.begin(mechanism, s.first() if initial else None)
    if not initial:
        assert c.challenge(line) == b""
        line = c.respond(s.first())
    error = ""
    if not c.is_end(line, "challenge"):
        return error, line
    challenge = c.challenge(line)
    if not challenge.startswith(b"e="):
        challenge = c.challenge(c.respond(s.final(challenge)))
    if challenge.startswith(b"e="):
        error = challenge.decode()
    else:
        s.check(challenge)
    return error, c.respond(b"")


def plain(c, user, password, authzid=""):
    return c.begin("PLAIN", f"{authzid}\0{user}\0{password}".encode())


def login(c, user, password):
    assert c.challenge(c.begin("LOGIN")) == b"Username:"
    assert c.challenge(c.respond(user.encode())) == b"Password:"
    return c.respond(password.encode())
