#!/usr/bin/python3
"""What mail programs without a Debian package, or with a window, send: byte for byte, in their order.

usage: mail_programs.py SEQUENCE, with DIR and the ports in the environment as common.bash sets them.
Lines that a program sends only where an extension is announced say which; the sequence then adapts.
"""
import base64
import os
import re
import socket
import ssl
import sys
import time

DIR = os.environ["DIR"]
PORTS = {name: int(os.environ[name]) for name in ("IMAP", "IMAPS", "SUBMISSION", "SUBMISSIONS")}
HEADERS = ("BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References "
           "Newsgroups In-Reply-To Content-Type Reply-To Received)]")
MOX = base64.b64encode(b"mox@localhost").decode()


class Connection:
    def __init__(self, port, key, implicit=True):
        self.socket = socket.create_connection(("127.0.0.1", PORTS[port]), 30)
        self.context = ssl.create_default_context(cafile=f"{DIR}/server.pem")
        if key:
            self.context.load_cert_chain(f"{DIR}/clients/{key}.pem")
        self.buffer = b""
        self.capabilities = ""
        if implicit:
            self.start_tls()

    def start_tls(self):
        self.socket = self.context.wrap_socket(self.socket, server_hostname="localhost")

    def send(self, text):
        self.socket.sendall(text.encode())

    def line(self):
        while b"\n" not in self.buffer:
            more = self.socket.recv(65536)
            assert more, "the connection ended"
            self.buffer += more
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        text = line.decode()
        if found := re.search(r"(?:^\* |\[)CAPABILITY ([^\]]*)", text):
            self.capabilities = f" {found[1].upper()} "
        return text

    def has(self, capability):
        return f" {capability} " in self.capabilities

    def command(self, text, end="OK"):
        """One command, one at a time; everything up to the tagged answer."""
        self.send(text + "\r\n")
        tag, lines = text.split(" ")[0], [self.line()]
        while not lines[-1].startswith(tag + " "):
            lines.append(self.line())
        assert lines[-1].startswith(f"{tag} {end}"), (text, lines)
        return lines

    def reply(self, text, code):
        if text is not None:
            self.send(text + "\r\n")
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        assert lines[-1].startswith(code), (text, lines)
        return "\n".join(lines)


class Thunderbird(Connection):
    """doc/clients.md: tags count up from any number, commands in lower case, none pipelined."""

    def __init__(self, port, key, implicit, first_tag):
        super().__init__(port, key, implicit)
        self.tag = first_tag
        self.greeting = self.line()

    def say(self, text, needs=None, end="OK"):
        if needs and not self.has(needs):
            return []
        lines = self.command(f"{self.tag} {text}", end)
        self.tag += 1
        return lines

    def after_login(self, namespace=True):
        if namespace:
            self.say("namespace", "NAMESPACE")
        self.say('ID ("name" "Thunderbird" "version" "153.7.0")', "ID")
        self.say("ENABLE UTF8=ACCEPT", "UTF8=ACCEPT")

    def list(self):
        self.say('list (subscribed) "" "*" return (special-use)', "LIST-EXTENDED")
        lines = self.say('list "" "INBOX"')
        assert any("INBOX" in line for line in lines), lines

    def open(self, mailbox):
        lines = self.say(f'select "{mailbox}"')
        self.say(f'getquotaroot "{mailbox}"', "QUOTA")
        self.next_uid = int(re.search(r"UIDNEXT (\d+)", "\n".join(lines))[1])
        self.say("UID fetch 1:* (FLAGS)")

    def fetch(self, uid):
        lines = self.say(f"UID fetch {uid} (UID RFC822.SIZE FLAGS {HEADERS})")
        assert any(line.startswith("Subject: ") for line in lines), lines
        lines = self.say(f"UID fetch {uid} (UID RFC822.SIZE BODY.PEEK[])")
        assert any("Hello" in line for line in lines), lines

    def append(self, mailbox, text):
        n = len(text)
        if self.has("UTF8=ACCEPT"):
            command, after = f"UTF8 (~{{{n}+}}", ")\r\n"
        else:
            command, after = f"{{{n}+}}", "\r\n"
            assert self.has("LITERAL+")
        self.send(f'{self.tag} append "{mailbox}" (\\Seen) {command}\r\n{text}{after}')
        while not (line := self.line()).startswith(f"{self.tag} "):
            pass
        assert line.startswith(f"{self.tag} OK"), line
        self.tag += 1

    def session_b(self):
        """INBOX, a message shown, IDLE, and new mail in it; quits in the middle of IDLE."""
        self.open("INBOX")
        self.fetch(self.next_uid - 1)
        self.say("noop")
        self.say('getquotaroot "INBOX"', "QUOTA")
        self.say(f"UID fetch {self.next_uid}:* (FLAGS)")
        self.say(f"uid store {self.next_uid - 1} +Flags (\\Seen)")
        self.send(f"{self.tag} IDLE\r\n")
        assert self.line().startswith("+")
        deliver()
        line = self.line()
        while not re.fullmatch(r"\* \d+ EXISTS", line):
            line = self.line()
        self.send("DONE\r\n")
        while not (line := self.line()).startswith(f"{self.tag} "):
            pass
        assert line.startswith(f"{self.tag} OK"), line
        self.tag += 1
        self.say("noop")
        self.say('getquotaroot "INBOX"', "QUOTA")
        self.say(f"UID fetch {self.next_uid}:* (FLAGS)")
        self.fetch(self.next_uid)
        self.send(f"{self.tag} IDLE\r\n")
        assert self.line().startswith("+")
        self.socket.close()

    def session_a(self):
        self.append("Sent", "From: mox@localhost\r\nTo: mox@localhost\r\nSubject: copy\r\n\r\nHello, copy.\r\n")
        self.socket.close()


def deliver(port="SUBMISSIONS", key="mox"):
    with Connection(port, key).socket as s:
        s.sendall(b"EHLO x\r\nMAIL FROM:<mox@localhost>\r\nRCPT TO:<mox@localhost>\r\nDATA\r\nFrom: mox@localhost\r\n"
                  b"Subject: new\r\n\r\nHello, new.\r\n.\r\nQUIT\r\n")
        answer = b""
        while more := s.recv(4096):
            answer += more
    assert b"\r\n250 2.0.0" in answer, answer


def one_message():
    """INBOX has one to show."""
    deliver()
    c = Thunderbird("IMAPS", "mox-no", True, 1)
    c.say(f"authenticate EXTERNAL {MOX}")
    for _ in range(100):
        if "(MESSAGES 0)" not in c.say("status INBOX (MESSAGES)")[0]:
            break
        time.sleep(0.05)
    c.say("logout")


def thunderbird_preauth():
    deliver()
    a = Thunderbird("IMAPS", "mox", True, 4)
    b = Thunderbird("IMAPS", "mox", True, 29)  # both at once
    assert a.greeting.startswith("* PREAUTH [CAPABILITY ") and "mox@localhost" in a.greeting, a.greeting
    for c in a, b:
        c.say("capability")
        c.after_login()
    a.list()
    for _ in range(100):
        if "(MESSAGES 0)" not in a.say("status INBOX (MESSAGES)")[0]:
            break
        time.sleep(0.05)
    b.session_b()
    a.session_a()
    third = Thunderbird("IMAPS", "mox", True, 71)
    third.say("capability")
    third.after_login(namespace=False)
    third.open("Sent")
    third.fetch(third.next_uid - 1)
    third.socket.close()


def thunderbird_external():
    one_message()
    c = Thunderbird("IMAPS", "mox-no", True, 22)
    assert c.greeting.startswith("* OK [CAPABILITY ") and c.has("AUTH=EXTERNAL"), c.greeting
    assert "[CAPABILITY " in c.say(f"authenticate EXTERNAL {MOX}")[-1]
    c.after_login()
    c.list()
    c.session_b()



def thunderbird_starttls():
    for key in "mox", "mox-no":
        one_message()
        c = Thunderbird("IMAP", key, False, 58)
        assert c.greeting.startswith("* OK [CAPABILITY ") and c.has("STARTTLS") and not c.has("AUTH=EXTERNAL")
        c.say("STARTTLS")
        c.start_tls()
        c.say("capability")
        assert c.has("AUTH=EXTERNAL"), c.capabilities
        assert "[CAPABILITY " in c.say(f"authenticate EXTERNAL {MOX}")[-1]
        c.after_login(namespace=False)
        c.list()
        c.session_b()


def thunderbird_unknown_key():
    """[ALERT] is the only text that it shows; the 530 of submission is shown, too."""
    c = Thunderbird("IMAPS", "stranger", True, 22)
    assert c.has("AUTH=EXTERNAL")
    assert re.search(r"NO \[ALERT\] .*[\w-]{43}", c.say(f"authenticate EXTERNAL {MOX}", end="NO [ALERT]")[-1])
    c.say(f"authenticate PLAIN {base64.b64encode(b'%c%s%c%s' % (0, b'mox@localhost', 0, b'mox-password')).decode()}")
    s = Connection("SUBMISSIONS", "stranger")
    s.reply(None, "220")
    s.reply("EHLO [127.0.0.1]", "250")
    assert re.search(r"[\w-]{43}", s.reply("MAIL FROM:<mox@localhost> BODY=8BITMIME SIZE=439", "530 5.7.0"))


BODY = ("Message-ID: <1c0f6f5c-7a31-4c0b-8d2b-6a1e3a1f2b3c@localhost>\r\nDate: Mon, 23 Nov 2026 17:58:09 +0000\r\n"
        "MIME-Version: 1.0\r\nUser-Agent: Mozilla Thunderbird\r\nTo: mox@localhost\r\n"
        "Subject: sent-mk1795456685x1003913998\r\nContent-Language: en-US\r\nFrom: Interop <mox@localhost>\r\n"
        "Content-Type: text/plain; charset=UTF-8; format=flowed\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
        "body sent-mk1795456685x1003913998\r\n..leading dot\r\n From at line start\r\nlast line\r\n.")


def thunderbird_submission():
    for port, implicit in ("SUBMISSIONS", True), ("SUBMISSION", False):
        for key in "mox", "mox-no":
            c = Connection(port, key, implicit)
            c.reply(None, "220")
            ehlo = c.reply("EHLO [127.0.0.1]", "250")
            if not implicit:
                assert "STARTTLS" in ehlo and "AUTH" not in ehlo
                c.reply("STARTTLS", "220")
                c.start_tls()
                ehlo = c.reply("EHLO [127.0.0.1]", "250")
            assert "8BITMIME" in ehlo and "SIZE" in ehlo
            c.reply("MAIL FROM:<mox@localhost> BODY=8BITMIME SIZE=439", "250")
            c.reply("RCPT TO:<mox@localhost>", "250")
            c.reply("DATA", "354")
            c.reply(BODY, "250")
            if implicit:
                c.reply("QUIT", "221")
            c.socket.close()  # without QUIT where it is ended early


def fairemail():
    """JavaMail: capabilities of the greeting and of the login's OK are enough, PREAUTH is a login.

    EXTERNAL is taken wherever it is announced, always with "=" and whether SASL-IR is there or not. At a
    continuation it hangs up; after a NO it goes on with PLAIN or LOGIN and the password. Tags: a letter of
    the connection, then a number.
    """
    for port, key, implicit, letter in (("IMAPS", "mox-no", True, "A"), ("IMAPS", "mox", True, "B"),
                                        ("IMAP", "mox", False, "C")):
        c = Connection(port, key, implicit)
        greeting, number = c.line(), 0
        assert "[CAPABILITY " in greeting, greeting

        def say(text):
            nonlocal number
            number += 1
            return c.command(f"{letter}{number - 1} {text}")

        if not implicit:
            say("STARTTLS")
            c.start_tls()
            say("CAPABILITY")
        if greeting.startswith("* OK"):
            assert c.has("AUTH=EXTERNAL")
            lines = say("AUTHENTICATE EXTERNAL =")
            assert not any(line.startswith("+") for line in lines), lines
            assert "[CAPABILITY " in lines[-1], lines
            assert not c.has("COMPRESS=DEFLATE")  # would be next
            if c.has("UTF8=ACCEPT"):
                say("ENABLE UTF8=ACCEPT")
        else:
            assert greeting.startswith("* PREAUTH") and not c.has("AUTH=EXTERNAL"), greeting
        assert c.has("ID")
        say('ID ("name" "FairEmail" "version" "1.2331")')
        say('LIST "" "*"')
        say('LIST "" INBOX')
        say("SELECT INBOX")
        say("LOGOUT")


def fairemail_submission():
    """It knows no EXTERNAL here, but tries every other one that is announced, until one succeeds.

    Where the password is empty, which it allows next to a certificate, it then sends all the same.
    """
    name = base64.b64encode(b"mox@localhost").decode()
    plain = base64.b64encode(b"mox@localhost\0mox@localhost\0").decode()
    for port, implicit in ("SUBMISSIONS", True), ("SUBMISSION", False):
        s = Connection(port, "mox", implicit)
        s.reply(None, "220")
        ehlo = s.reply("EHLO dummy.faircode.eu", "250")
        if not implicit:
            s.reply("STARTTLS", "220")
            s.start_tls()
            ehlo = s.reply("EHLO dummy.faircode.eu", "250")
        assert re.search(r"AUTH .*\bPLAIN LOGIN", ehlo) and "CRAM-MD5" not in ehlo, ehlo
        s.reply("AUTH LOGIN", "334")
        s.reply(name, "334")
        s.reply("", "5")
        s.reply(f"AUTH PLAIN {plain}", "5")
        s.reply("MAIL FROM:<mox@localhost>", "250")
        s.reply("RCPT TO:<mox@localhost>", "250")
        s.reply("DATA", "354")
        s.reply(BODY, "250")
        s.reply("QUIT", "221")


def k9():
    """Set to "client certificate" it authenticates, PREAUTH or not, and gives up without AUTH=EXTERNAL.

    The initial response is sent whether SASL-IR is there or not; a continuation is not answered. It asks for
    capabilities where an OK brought none: after PREAUTH, whose list it does not see, and after STARTTLS.
    """
    for port, key, implicit in ("IMAPS", "mox-no", True), ("IMAPS", "mox-tolerant", True), ("IMAP", "mox", False):
        c = Connection(port, key, implicit)
        greeting, number = c.line(), 0
        assert greeting.startswith("* PREAUTH" if key == "mox-tolerant" else "* OK [CAPABILITY "), greeting

        def say(text):
            nonlocal number
            number += 1
            return c.command(f"{number} {text}")

        if not implicit:
            assert c.has("STARTTLS")
            say("STARTTLS")
            c.start_tls()
        if not greeting.startswith("* OK") or not implicit:
            c.capabilities = ""
            say("CAPABILITY")
        assert c.has("AUTH=EXTERNAL"), c.capabilities
        lines = say(f"AUTHENTICATE EXTERNAL {MOX}")
        assert len(lines) == 1 and "[CAPABILITY " in lines[0], lines
        assert not c.has("COMPRESS=DEFLATE")  # would be next
        assert c.has("ID") and c.has("ENABLE") and c.has("NAMESPACE"), c.capabilities
        say('ID ("name" "K-9 Mail" "version" "24.0")')
        say("ENABLE UTF8=ACCEPT")  # announced or not: ENABLE is enough for it
        say("NAMESPACE")
        say('LIST "" "*"' + (" RETURN (SPECIAL-USE)" if c.has("LIST-EXTENDED") else ""))
        say("NOOP")
        say('SELECT "INBOX"')
        c.socket.close()  # it knows no LOGOUT


def k9_submission():
    """No EXTERNAL in the answer to EHLO: it gives up. QUIT is not waited for."""
    for port, implicit in ("SUBMISSIONS", True), ("SUBMISSION", False):
        for key in "mox", "mox-no":
            s = Connection(port, key, implicit)
            s.reply(None, "220")
            ehlo = s.reply("EHLO ehlo.thunderbird.net", "250")
            if not implicit:
                assert "STARTTLS" in ehlo
                s.reply("STARTTLS", "220")
                s.start_tls()
                ehlo = s.reply("EHLO ehlo.thunderbird.net", "250")
            assert re.search(r"AUTH .*\bEXTERNAL\b", ehlo) and "8BITMIME" in ehlo, ehlo
            s.reply(f"AUTH EXTERNAL {MOX}", "235")
            if key == "mox":  # its check of the settings ends here
                mail = "MAIL FROM:<mox@localhost> BODY=8BITMIME"
                if "PIPELINING" in ehlo:
                    s.send(f"{mail}\r\nRCPT TO:<mox@localhost>\r\n")
                    s.reply(None, "250")
                    s.reply(None, "250")
                else:
                    s.reply(mail, "250")
                    s.reply("RCPT TO:<mox@localhost>", "250")
                s.reply("DATA", "354")
                s.reply(BODY, "250")
            s.send("QUIT\r\n")
            s.socket.close()


if __name__ == "__main__":
    globals()[sys.argv[1]]()
