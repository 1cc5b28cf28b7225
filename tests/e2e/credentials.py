#!/usr/bin/env python3
"""App passwords, and credentials that cannot be read, through the real handlers. usage: credentials.py TEST"""
import json
import os
import random
import re
import sys
import time
import unicodedata

from authentication import ALICE, PASSWORD, PROTOCOLS, cram_md5, logged_in, postern
from peer import INSTANCE
from sasl_client import Connection, login, plain, scram

CARL, CARL_PASSWORD = "carl@example.org", "wonderland-carl"
NOEL, NOEL_PASSWORD = "noël@bücher.example", "wonderland-noel"
HASHES = "SHA-1", "SHA-256", "SHA-512"


def scram_as(mechanism):
    def way(c, user, password):
        binding = next(iter(c.bindings().items())) if mechanism.endswith("-PLUS") else None
        return scram(c, mechanism, user, password, binding)[1]
    return way


def ways(protocol):
    """(mechanism, function that ends an authentication): all that there are with a password."""
    found = [("PLAIN", plain), ("LOGIN", login), ("CRAM-MD5", lambda c, *who: cram_md5(c, *who)[0])]
    found += [(f"SCRAM-{h}{plus}", scram_as(f"SCRAM-{h}{plus}")) for h in HASHES for plus in ("", "-PLUS")]
    if protocol == "imap":
        found.append(("PLAIN", lambda c, user, password: c.ask(f'a LOGIN "{user}" "{password}"')))
    return found


def attempt(protocol, key, mechanism, way, user, password):
    """An authentication on a connection of its own; (answer, the line behind it) and what was logged."""
    with Connection(protocol, key) as c:
        line, rest = way(c, user, password), None
        if c.is_end(line, "ok"):
            logged_in(c, user)
        else:
            c.send("z LOGOUT\r\n" if protocol == "imap" else "QUIT\r\n")
            rest = c.line()
    log = c.logged()
    found = re.findall(r"login result=(\S+) protocol=(\S+) address=127.0.0.1 account=(\S+) "
                       r"user=\"(.*?)\" mechanism=(\S+) key=\S+ password=\"(.*?)\"", log)
    result, *told, password_name = found[-1]
    assert told == [protocol, told[1], user, mechanism], (mechanism, log)
    assert (result == "ok") == (rest is None), (line, log)
    return line, rest, result, password_name, log


class Instead:
    """Something else in the place of a file or folder of the instance, which is put back at the end."""

    def __init__(self, path, make):
        self.path, self.kept, self.make = f"{INSTANCE}/state/{path}", f"{INSTANCE}/kept", make

    def __enter__(self):
        self.existed = os.path.exists(self.path)
        self.make(f"{INSTANCE}/made", self.path)
        if self.existed:
            os.rename(self.path, self.kept)
        os.rename(f"{INSTANCE}/made", self.path)

    def __exit__(self, *_):
        (os.rmdir if os.path.isdir(self.path) else os.unlink)(self.path)
        if self.existed:
            os.rename(self.kept, self.path)


def empty(path, _):
    with open(path, "xb"):
        pass


def garbage(path, _):
    with open(path, "xb") as f:
        f.write(random.Random(1).randbytes(20000))


def folder(path, _):
    os.mkdir(path)


def broken_record(path, original):
    """A sound database, but the record of the passwords is of no known format."""
    with open(original, "rb") as f:
        data = f.read()
    with open(path, "xb") as f:
        f.write(re.sub(rb"(passwords)\x01", rb"\1c", data))


UNAVAILABLE = {"imap": "a NO [UNAVAILABLE] ", "submission": "454 4.7.0 "}
GOODBYE = {"imap": "* BYE ", "submission": "421 4."}


def own_failure():
    """The credential is right, and its account's folder cannot be opened: said as what it is."""
    for protocol, path in ("imap", "mail/carl"), ("submission", "queue/incoming/carl"):
        for key in None, "stranger":
            with Instead(path, empty):
                for mechanism, way in ways(protocol):
                    line, rest, result, _, log = attempt(protocol, key, mechanism, way, CARL, CARL_PASSWORD)
                    assert line.startswith(UNAVAILABLE[protocol]), (mechanism, line)
                    assert rest.startswith(GOODBYE[protocol]) and "Internal error" in rest, (mechanism, rest)
                    assert result == "unavailable" and "account carl: Not a directory" in log, log
                    row = json.loads(postern("logins", "--json", "carl").stdout)[-1]
                    assert (row["result"], row["mechanism"]) == ("unavailable", mechanism), row
                with Connection(protocol, key) as c:  # who does not know the password learns nothing
                    c.end(plain(c, CARL, "wrong"), "credentials")
                    c.end(plain(c, ALICE, PASSWORD), "ok")
        with Instead(path, empty):
            with Connection(protocol, "carl") as c:
                assert c.greeting.startswith(GOODBYE[protocol]), c.greeting
                c.at_end()
            assert "account carl: Not a directory" in c.logged() and "result=unavailable" in c.logged(), c.logged()
            with Connection(protocol, "carl", implicit=False) as c:
                if protocol == "imap":
                    assert c.begin("EXTERNAL", b"").startswith(UNAVAILABLE[protocol])
                    assert c.line().startswith(GOODBYE[protocol])
                c.at_end()
            assert "result=unavailable" in c.logged(), c.logged()
        assert attempt(protocol, None, "PLAIN", plain, CARL, CARL_PASSWORD)[2] == "ok"


def damaged():
    """credentials.tdb cannot be read: nobody gets in, everybody else does, and the log says why."""
    path = "accounts/carl/credentials.tdb"
    for make in empty, garbage, folder, broken_record:
        for protocol in PROTOCOLS:
            with Instead(path, make):
                for mechanism, way in ways(protocol):
                    line, _, result, _, log = attempt(protocol, None, mechanism, way, CARL, CARL_PASSWORD)
                    assert line.startswith(UNAVAILABLE[protocol]), (make, mechanism, line)
                    assert result == "unavailable" and "the user's credentials: " in log, log
                with Connection(protocol) as c:
                    assert plain(c, CARL, CARL_PASSWORD).startswith(UNAVAILABLE[protocol])
                    c.end(plain(c, ALICE, PASSWORD), "ok")
                if make == broken_record:
                    continue  # keys are in records of their own
                with Connection(protocol, "carl") as c:
                    assert c.greeting.startswith(GOODBYE[protocol]), (make, c.greeting)
                    c.at_end()
                assert re.search(r"TLS key \S{43}: ", c.logged()), c.logged()
                assert re.search(r"result=unavailable .* mechanism=TLS-KEY key=\S{43} ", c.logged()), c.logged()
            with Connection(protocol, "carl") as c:
                logged_in(c, CARL)
            assert attempt(protocol, None, "PLAIN", plain, CARL, CARL_PASSWORD)[2] == "ok"
    with Connection("submission", "carl-no") as c:  # over a key that came before the damage
        with Instead(path, broken_record):
            line = plain(c, CARL, CARL_PASSWORD)
            assert line.startswith("454 4.7.0 "), line
        c.end(plain(c, CARL, CARL_PASSWORD), "ok")
    assert "the user's credentials: " in c.logged(), c.logged()


def in_seconds(seconds):
    return "--expires=" + time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def app_passwords(protocol):
    """With every mechanism, with and without a key: only within their scope and their time."""
    other = "submission" if protocol == "imap" else "imap"
    passwords = {name: postern("apppassword", "add", *options, "carl", name).stdout.strip()
                 for name, options in (("any", ()), ("right", (f"--scope={protocol}",)),
                                       ("other", (f"--scope={other}",)), ("late", (in_seconds(2),)))}
    time.sleep(2.1)
    refusals = {
        "imap": {"out-of-scope": "a NO [AUTHORIZATIONFAILED] ", "expired": "a NO [EXPIRED] "},
        "submission": {"out-of-scope": "535 5.7.8 ", "expired": "535 5.7.8 "},
    }[protocol]
    for key in None, "carl-no", "carl-tolerant":  # with submission both have logged in themselves
        if protocol == "imap" and key == "carl-tolerant":
            refusals = dict.fromkeys(refusals, "a NO [AUTHENTICATIONFAILED] ")
        for mechanism, way in ways(protocol):
            for name, wanted in ("right", "ok"), ("any", "ok"), ("other", "out-of-scope"), ("late", "expired"):
                if key and name == "any":
                    continue
                line, _, result, told, log = attempt(protocol, key, mechanism, way, CARL, passwords[name])
                assert (result, told) == (wanted, name), (key, mechanism, name, line, log)
                assert wanted == "ok" or line.startswith(refusals[wanted]), (key, mechanism, name, line)
                entered = re.findall(r"result=ok .*mechanism=(\S+)", log)
                assert set(entered) <= {"TLS-KEY", mechanism if wanted == "ok" else "TLS-KEY"}, log
    for name in passwords:
        postern("apppassword", "rm", "--yes", "carl", name)
    for mechanism, way in ways(protocol):
        assert attempt(protocol, None, mechanism, way, CARL, passwords["any"])[2] == "bad-credentials", mechanism
        assert attempt(protocol, None, mechanism, way, CARL, CARL_PASSWORD)[2] == "ok", mechanism


def app_imap():
    app_passwords("imap")


def app_submission():
    app_passwords("submission")


def names():
    """A name that is not ASCII, in NFD, where the grammar of the mechanism has no say in it."""
    nfd = unicodedata.normalize("NFD", NOEL)
    assert nfd != NOEL and len(nfd.encode()) > len(NOEL.encode())
    for protocol in PROTOCOLS:
        for user in NOEL, nfd, nfd.upper(), unicodedata.normalize("NFD", "noël@xn--bcher-kva.example"):
            with Connection(protocol) as c:
                c.end(cram_md5(c, user, "wrong")[0], "credentials")
                c.end(cram_md5(c, user, NOEL_PASSWORD)[0], "ok")
                logged_in(c, NOEL if protocol == "imap" else "noel@example.org")
        with Connection(protocol) as c:
            c.end(cram_md5(c, "noel@bücher.example", NOEL_PASSWORD)[0], "credentials")  # no accent, nobody
    for user in NOEL, nfd, nfd.upper():
        with Connection("imap") as c:
            c.expect(f'a LOGIN "{user}" "wrong"', "a NO [AUTHENTICATIONFAILED]")
            c.expect(f'a LOGIN "{user}" "{NOEL_PASSWORD}"', "a OK")
            logged_in(c)
        assert f'user="{user}"' in c.logged(), c.logged()


def long_passwords():
    """As long as a response may be, of code points whose rules look at all the others: just wrong ones."""
    dots, digits = 2700 * "\u30fb", 2700 * "\u0663"
    for protocol in PROTOCOLS:
        for password in dots + "\u30a2", dots, digits + "\u06f3", digits:
            with Connection(protocol) as c:
                c.end(plain(c, CARL, password), "credentials")
                c.end(login(c, CARL, password), "credentials")
                c.end(plain(c, CARL, CARL_PASSWORD), "ok")
            log = re.findall(r"login result=(\S+) ", c.logged())
            assert log == ["bad-credentials", "bad-credentials", "ok"], log
    for password, words in (dots + "\u30a2", None), (dots, "U+30FB"), (digits + "\u06f3", "U+0663"), (digits, None):
        password = password[:200] + password[-1]
        run = postern("account", "password", "noel", text=password + "\n", check=False)
        assert (run.returncode == 0) == (words is None) and (words or "") in run.stdout, run
        if words is None:
            with Connection("imap") as c:
                c.end(plain(c, NOEL, password), "ok")
    postern("account", "password", "noel", text=NOEL_PASSWORD + "\n")


def flag_y():
    """"I could bind, and you cannot": true where no -PLUS is offered, over a key as without one."""
    for protocol, keys in ("submission", (None, "yes", "no")), ("imap", (None, "no", "tolerant")):
        for key in keys:
            for offered, good in ("SCRAM-SHA-256,PLAIN", True), ("SCRAM-SHA-256-PLUS,SCRAM-SHA-256,PLAIN", False), (
                    "SCRAM-SHA-256,SCRAM-SHA-1-PLUS", False):
                with Connection(protocol, key, options=["--sasl-mechanisms", offered]) as c:
                    error, line = scram(c, "SCRAM-SHA-256", ALICE, PASSWORD, "y")
                    assert error == ("" if good else "e=server-does-support-channel-binding"), (key, offered, error)
                    c.end(line, "ok" if good else "credentials")
                    if good:
                        logged_in(c, ALICE)
                assert good or "result=bad-binding" in c.logged() and "SCRAM-SHA-256 " in c.logged(), c.logged()
                with Connection(protocol, key, options=["--sasl-mechanisms", offered]) as c:
                    c.end(scram(c, "SCRAM-SHA-256", ALICE, PASSWORD)[1], "ok")


if __name__ == "__main__":
    globals()[sys.argv[1]]()
