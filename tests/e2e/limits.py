#!/usr/bin/env python3
"""What the memory of attempts does, through the real handlers. usage: limits.py TEST"""
import concurrent.futures
import glob
import hmac
import json
import os
import re
import ssl
import subprocess
import sys
import threading
import time

from peer import BUILD, INSTANCE, KEYS
from sasl_client import Connection, Scram, plain, scram

ALICE, BOB, CRAM = "alice@example.org", "bob@example.org", "cram@example.org"
RIGHT = "wonderland-alice"


def postern(*arguments, stdin=b"", check=True):
    done = subprocess.run([f"{BUILD}/bin/postern", "--instance", INSTANCE, *arguments], input=stdin,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=check)
    return done.stdout.decode()


def forget_attempts():
    for path in glob.glob(f"{INSTANCE}/run/state/*") + glob.glob(f"{INSTANCE}/state/history/*/logins.tdb"):
        os.unlink(path)


def connect(protocol, **more):
    return Connection(protocol, keep_limits=True, **more)


def fail(user, sources, times, password="not it"):
    """That many from each, at the same moment: none sees the others; late ones may be refused."""
    barrier = threading.Barrier(len(sources) * times)

    def once(source):
        with connect("imap", source=source) as c:
            barrier.wait()
            line = plain(c, user, password) if c.greeting.startswith("* OK") else c.greeting
            assert line.startswith("* BYE") or c.end(line, "credentials")
    together([lambda source=source: once(source) for source in sources for _ in range(times)])


def together(functions):
    """All at once: what they answer, or the first exception of theirs."""
    with concurrent.futures.ThreadPoolExecutor(len(functions)) as pool:
        return [done.result() for done in [pool.submit(f) for f in functions]]


def fill(guess, is_full):
    """Guesses until the bucket is full: on a slow machine it leaks before that is seen. Each round has
    addresses of its own: the guessers' are full by then, and a newcomer who got in may come again."""
    for n in range(1, 6):
        guess(n)
        if is_full(n):
            return
    raise AssertionError("no full bucket")


def may_log_in(protocol, user, password, **more):
    """Seconds that it took, or None when it was refused by the limits."""
    start = time.monotonic()
    try:
        with connect(protocol, **more) as c:
            line = c.greeting
            if line.startswith(("* OK", "220")):
                line = plain(c, user, password)
            if line.startswith(("* BYE", "421 4.7.0")):
                c.at_end()
                assert "result=limited" in c.logged(), c.logged()
                return None
            c.end(line, "ok")
            return time.monotonic() - start
    except (ConnectionError, ssl.SSLError):
        return None


def full_address():
    """Ten failures from an address: the next connection is told to go, whatever it would say."""
    def is_refused(protocol, **how):
        start = time.monotonic()
        with connect(protocol, source="127.1.1.1", **how) as c:
            assert c.greeting.startswith("* BYE" if protocol == "imap" else "421 4.7.0"), c.greeting
            assert time.monotonic() - start > 2.5
            c.at_end()
            assert "login result=limited" in c.logged() and "address=127.1.1.1 " in c.logged()

    forget_attempts()
    fail("nobody@example.org", ["127.1.1.1"], 18)
    # the holder of a proven key is served all the same
    with connect("imap", key="yes", source="127.1.1.1") as c:
        assert c.greeting.startswith("* PREAUTH"), c.greeting
    with connect("submission", key="yes", source="127.1.1.1") as c:
        c.reply(f"MAIL FROM:<{ALICE}>", "250")
    together([lambda: is_refused("imap"), lambda: is_refused("submission"),
              # an IPv4-mapped peer is the same one; a key that nobody knows is no excuse
              lambda: is_refused("imap", mapped=True), lambda: is_refused("submission", mapped=True),
              lambda: is_refused("imap", key="stranger")])
    # others are served, and its network is not full
    assert may_log_in("imap", ALICE, RIGHT, source="127.2.1.1") is not None
    with connect("imap", source="127.1.1.2") as c:
        assert c.greeting.startswith("* OK"), c.greeting


def full_account():
    """Strangers fill it: they are refused then; whoever logged in before is slowed only."""
    forget_attempts()
    assert may_log_in("imap", ALICE, RIGHT, source="127.9.9.9") is not None

    def is_full(n):
        *strangers, owner, owner_too = together([
            lambda protocol=protocol, source=source: may_log_in(protocol, ALICE, RIGHT, source=source)
            for source, protocol in ((f"127.8.{n}.1", "imap"), (f"127.8.{n}.2", "submission"),
                                     ("127.9.9.9", "imap"), ("127.9.9.9", "submission"))])
        assert owner is not None and owner_too is not None
        return strangers == [None, None] and min(owner, owner_too) > 1.5
    fill(lambda n: fail(ALICE, [f"127.{network}.{n}.1" for network in range(1, 7)], 6), is_full)
    assert may_log_in("imap", BOB, "wonderland-bob", source="127.8.8.8") is not None
    with connect("imap", key="yes", source="127.8.8.8") as c:
        assert c.greeting.startswith("* PREAUTH"), c.greeting


def guesses_at_once():
    """However many try side by side, no more verdicts are told than a bucket holds, and a right
    password among the others is not told either."""
    forget_attempts()
    barrier = threading.Barrier(40)

    def guess(i):
        with connect("imap", source="127.1.2.1") as c:
            barrier.wait()
            line = plain(c, ALICE, "not it")
            told.append(line) if not line.startswith("* BYE") else None
    told = []
    together([lambda i=i: guess(i) for i in range(40)])
    assert 5 <= len(told) <= 11, told  # a bucket of ten, and what leaks meanwhile
    assert may_log_in("imap", ALICE, RIGHT, source="127.1.2.1") is None


def guesses_broken_off():
    """A SCRAM guess counts and is recorded however the client takes its failure; as does one over a key."""
    answers = {"*": "credentials", "!!!": "credentials", "A" * 20000: "credentials", None: None}
    for protocol, key in (("imap", None), ("submission", None), ("submission", "yes"), ("imap", "tolerant")):
        for answer, end in answers.items():
            forget_attempts()
            with connect(protocol, key=key, source="127.1.3.1") as c:
                s = Scram("SCRAM-SHA-256", ALICE, "not it")
                error = c.challenge(c.respond(s.final(c.challenge(c.begin("SCRAM-SHA-256", s.first())))))
                assert error == b"e=invalid-proof", error
                if answer is not None:
                    c.end(c.ask(answer), end)
            log = c.logged()
            assert "result=bad-credentials" in log and "result=aborted" not in log, log
            rows = [r["result"] for r in json.loads(postern("logins", "--json", "alice"))]
            assert rows[-1] == "bad-credentials", rows
    forget_attempts()
    for i in range(12):
        with connect("imap", source="127.1.3.2") as c:
            if not c.greeting.startswith("* OK"):
                break
            s = Scram("SCRAM-SHA-256", ALICE, "not it")
            c.challenge(c.respond(s.final(c.challenge(c.begin("SCRAM-SHA-256", s.first())))))
        c.logged()  # it has ended
    assert i in (10, 11), i


def neighbours():
    """They fill the network's bucket: whoever logged in from there before is slowed only."""
    forget_attempts()
    assert may_log_in("imap", ALICE, RIGHT, source="127.9.8.9") is not None
    fill(lambda n: together([lambda host=host: fail(f"nobody{host}@example.org", [f"127.9.8.{host}"], 9)
                             for host in range(10 * n, 10 * n + 4)]),
         lambda n: may_log_in("imap", BOB, "wonderland-bob", source=f"127.9.8.{100 + n}") is None)
    took = may_log_in("imap", ALICE, RIGHT, source="127.9.8.9")
    assert took is not None and took > 1.5, took


def guesses_over_key():
    """A key does not help to guess the password, on any number of connections, before or after the
    yes; and it logs in all the same."""
    forget_attempts()

    def is_limited(protocol, key):
        with connect(protocol, key=key) as c:
            for _ in range(3):
                line = plain(c, ALICE, "not it")
                if line.startswith(("* BYE", "421")):
                    assert "result=limited" in c.logged() and "account=alice" in c.logged(), c.logged()
                    return True
                c.end(line, "credentials")
                told.append(line)
        return False
    for protocol, key in ("submission", "yes"), ("imap", "no"):
        told = []
        assert any(is_limited(protocol, key) for _ in range(6))
        assert 10 <= len(told) <= 12, told
        with connect(protocol, key=key) as c:
            assert plain(c, ALICE, RIGHT).startswith(("* BYE", "421")), "the right one was told"
        with connect("submission", key=key) as c:
            c.reply(f"MAIL FROM:<{ALICE}>", "250")
    # passwords without a key are not held up by that
    assert may_log_in("imap", ALICE, RIGHT) is not None


def success_clears_own_pair():
    """Alice's success takes back her own failures from there, not those for bob."""
    forget_attempts()
    fail(BOB, ["127.3.1.1"], 7)
    fail(ALICE, ["127.3.1.1"], 2)
    assert may_log_in("imap", ALICE, RIGHT, source="127.3.1.1") is not None
    fail(ALICE, ["127.3.1.1"], 2)  # with alice's two that were taken back there is room for them
    fail(BOB, ["127.3.1.1"], 3)
    assert may_log_in("imap", ALICE, RIGHT, source="127.3.1.1") is None


def failures_over_key():
    """The same on a connection that a key has logged in, where AUTH comes on top."""
    forget_attempts()
    with connect("submission", key="yes") as c:
        times = []
        for _ in range(9):
            start = time.monotonic()
            c.end(plain(c, ALICE, "not it"), "credentials")
            times.append(time.monotonic() - start)
        c.end(plain(c, ALICE, "not it"), "credentials")
        c.reply(None, "421 4.7.0")
        c.at_end()
        assert times[1] < 0.5 and 0.9 < times[3] < times[5] < times[8], times


def pending():
    """Possession is proven, the password was right: an administrator may approve the key."""
    forget_attempts()
    with connect("imap", key="stranger") as c:
        c.end(c.begin("EXTERNAL", b""), "alert")
        assert postern("tlspubkey", "pending") == ""
        c.end(plain(c, ALICE, "not it"), "credentials")
        assert postern("tlspubkey", "pending") == ""
        c.end(plain(c, "al@example.org", RIGHT), "ok")
    line = postern("tlspubkey", "pending", "alice")
    fingerprint = line.split()[0]
    assert re.fullmatch(fingerprint + r" ecdsa-p256 al@example.org 20.* from 127.0.0.1 client=.*\n",
                        line), line
    assert json.loads(postern("tlspubkey", "pending", "--json"))[0]["fingerprint"] == fingerprint
    assert fingerprint in c.logged() and "may be approved" in c.logged()
    # once more renews it; a key over TLS 1.2 is only what the gate says, and is marked
    with connect("submission", key="stranger", tls12=True) as c:
        c.end(plain(c, ALICE, RIGHT), "ok")
    assert " by TLS 1.2 " in postern("tlspubkey", "pending")
    # nobody else's address
    assert "not an address of the account" in postern("tlspubkey", "approve", "--address", BOB,
                                                      fingerprint, check=False)
    assert "allow-tls12" in postern("tlspubkey", "approve", "--preauth=no", fingerprint, "my phone")
    assert postern("tlspubkey", "pending") == ""
    got = postern("tlspubkey", "get", fingerprint)
    assert "preauth:     no" in got and "name:        my phone" in got and ALICE in got, got
    assert "last used:   never" in got
    with connect("imap", key="stranger") as c:
        c.end(c.begin("EXTERNAL", b""), "ok")
    assert re.search(r"last used:   20.* UTC, imap from 127.0.0.1", postern("tlspubkey", "get", fingerprint))
    # a registered key is not pending, whoever's password comes after it
    with connect("imap", key="bob", tls12=True) as c:
        c.end(plain(c, ALICE, RIGHT), "ok")
    assert postern("tlspubkey", "pending") == ""
    postern("tlspubkey", "rm", "--yes", fingerprint)


def pending_bounds():
    """The one unseen for longest goes. A key that two accounts have pending is approved for one."""
    forget_attempts()
    for i in range(9):
        subprocess.run([f"{BUILD}/bin/postern", "tlspubkey", "gen", "--p256", f"{KEYS}/many{i}"],
                       stdout=subprocess.PIPE, check=True)
        with connect("imap", key=f"many{i}") as c:
            c.end(plain(c, BOB, "wonderland-bob"), "ok")
        if i == 0:
            first = postern("tlspubkey", "pending", "bob").split()[0]
    lines = postern("tlspubkey", "pending", "bob").splitlines()
    assert len(lines) == 8 and first not in "".join(lines), lines
    last = lines[-1].split()[0]
    with connect("imap", key="many8") as c:
        c.end(plain(c, ALICE, RIGHT), "ok")
    assert "choose with --account" in postern("tlspubkey", "approve", last, check=False)
    postern("tlspubkey", "approve", "--account", "alice", last)
    assert last not in postern("tlspubkey", "pending")
    with connect("imap", key="many8") as c:
        assert c.greeting.startswith("* PREAUTH") and ALICE in c.greeting, c.greeting


def offers_plus(protocol, **more):
    with connect(protocol, **more) as c:
        return "-PLUS" in (c.greeting if protocol == "imap" else c.ehlo)


def plus_hidden():
    """A client that picks -PLUS, cannot bind and gives up finds it gone, there, for its address."""
    forget_attempts()
    for protocol, other in ("imap", "submission"), ("submission", "imap"):
        with connect(protocol, source="127.4.4.4") as c:
            c.challenge(c.begin("SCRAM-SHA-256-PLUS"))
            c.end(c.ask("*"), "aborted")
            # an aborted exchange without -PLUS has no such effect
        assert "-PLUS is hidden from 127.4.4.4" in c.logged(), c.logged()
        assert not offers_plus(protocol, source="127.4.4.4")
        assert offers_plus(protocol, source="127.4.4.5")
        assert offers_plus(other, source="127.4.4.4") == (protocol == "imap")
        with connect(protocol, source="127.4.4.4") as c:
            error, line = scram(c, "SCRAM-SHA-256", ALICE, RIGHT, "y")
            assert error == "e=server-does-support-channel-binding", error
            c.end(line, "credentials")
            c.end(scram(c, "SCRAM-SHA-256", ALICE, RIGHT)[1], "ok")
    with connect("imap", source="127.4.4.6") as c:
        c.challenge(c.begin("SCRAM-SHA-256"))
        c.end(c.ask("*"), "aborted")
        c.challenge(c.begin("SCRAM-SHA-256-PLUS", b"p=tls-exporter,,n=x,r=y"))
        c.end(c.ask("*"), "aborted")
    assert offers_plus("imap", source="127.4.4.6")
    with connect("imap", source="127.4.4.7") as c:  # hanging up is giving up
        c.challenge(c.begin("SCRAM-SHA-256-PLUS"))
    c.logged()
    assert not offers_plus("imap", source="127.4.4.7")


def plus_hidden_over_key():
    """The same where a key has logged the client in already, and AUTH comes on top."""
    forget_attempts()
    with connect("submission", key="yes", source="127.4.5.4") as c:
        assert "-PLUS" in c.ehlo
        c.challenge(c.begin("SCRAM-SHA-256-PLUS"))
        c.end(c.ask("*"), "aborted")
        assert c.reply("QUIT", "221")
    assert "-PLUS is hidden from 127.4.5.4" in c.logged(), c.logged()
    assert not offers_plus("submission", key="yes", source="127.4.5.4")
    assert not offers_plus("submission", source="127.4.5.4")
    with connect("submission", key="yes", source="127.4.5.4") as c:
        c.end(scram(c, "SCRAM-SHA-256", ALICE, RIGHT)[1], "ok")


def plus_has_served_over_key():
    """The same when the binding came on top of a key."""
    forget_attempts()
    with connect("submission", key="yes", source="127.4.7.4") as c:
        binding = ("tls-exporter", c.bindings()["tls-exporter"])
        c.end(scram(c, "SCRAM-SHA-256-PLUS", ALICE, RIGHT, binding)[1], "ok")
    for key in None, "yes":
        with connect("submission", key=key, source="127.4.7.4") as c:
            c.challenge(c.begin("SCRAM-SHA-256-PLUS"))
            c.end(c.ask("*"), "aborted")
        assert offers_plus("submission", source="127.4.7.4")


def plus_has_served():
    """Whoever could bind once is not hidden from."""
    forget_attempts()
    with connect("imap", source="127.4.6.4") as c:
        binding = ("tls-exporter", c.bindings()["tls-exporter"])
        c.end(scram(c, "SCRAM-SHA-256-PLUS", ALICE, RIGHT, binding)[1], "ok")
    with connect("imap", source="127.4.6.4") as c:
        c.challenge(c.begin("SCRAM-SHA-256-PLUS"))
        c.end(c.ask("*"), "aborted")
    assert offers_plus("imap", source="127.4.6.4")


def give_up(protocol, source, key=None, hang_up=False):
    """Begins a -PLUS exchange and says nothing."""
    with connect(protocol, key=key, source=source) as c:
        c.challenge(c.begin("SCRAM-SHA-256-PLUS"))
        if not hang_up:
            c.end(c.ask("*"), "aborted")
    return c.logged()


def plus_shown_by_configuration():
    """hide-plus-after-abort = no: nothing is hidden, nor stays hidden what was before."""
    forget_attempts()
    path = f"{INSTANCE}/conf.d/plus.conf"
    kinds = ("imap", None), ("submission", None), ("submission", "yes")
    sources = [(protocol, key, f"127.4.8.{i}") for i, (protocol, key) in enumerate(kinds, 1)]
    for protocol, key, source in sources:
        assert "-PLUS is hidden" in give_up(protocol, source, key)
        assert not offers_plus(protocol, source=source)
    with open(path, "w", encoding="utf-8") as f:
        f.write("hide-plus-after-abort = no\n")
    postern("config", "apply")
    for protocol, key, source in sources:
        assert offers_plus(protocol, key=key, source=source)
    for protocol, key, source in sources:
        for hang_up in False, True:
            source = source.replace("127.4.8", "127.4.9")
            assert "-PLUS is hidden" not in give_up(protocol, source, key, hang_up)
            assert offers_plus(protocol, source=source) and offers_plus(protocol, key=key, source=source)
    os.unlink(path)
    postern("config", "apply")
    for protocol, key, source in sources:  # nor was it remembered for later
        assert offers_plus(protocol, source=source.replace("127.4.8", "127.4.9"))
        assert not offers_plus(protocol, source=source)


def cram(c, user, password):
    challenge = c.challenge(c.begin("CRAM-MD5"))
    return c.respond(user.encode() + b" " + hmac.digest(password.encode(), challenge, "md5").hex().encode())


def cram_md5():
    """Enabled in the configuration and for the account; app passwords, too."""
    forget_attempts()
    app = postern("apppassword", "add", "cram", "old").strip()
    for protocol in "imap", "submission":
        with connect(protocol) as c:
            assert "CRAM-MD5" in (c.greeting if protocol == "imap" else c.ehlo)
            c.end(cram(c, CRAM, "wonderland-CRAM"), "credentials")
            c.end(cram(c, ALICE, RIGHT), "credentials")
            c.end(cram(c, "nobody@example.org", RIGHT), "credentials")
        for password in "wonderland-cram", app:
            with connect(protocol) as c:
                c.end(cram(c, CRAM, password), "ok")
        with connect(protocol) as c:
            c.end(c.begin("CRAM-MD5", b"x"), "malformed")
            c.challenge(c.begin("CRAM-MD5"))
            c.end(c.respond(b"x"), "malformed")
            c.challenge(c.begin("CRAM-MD5"))
            c.end(c.ask("*"), "aborted")
    # alice's record has nothing that would do for it, cram's has
    sizes = [os.path.getsize(f"{INSTANCE}/state/accounts/{name}/credentials.tdb") for name in ("alice", "cram")]
    assert min(sizes) > 0
    # configured away, what was stored is not used any more
    with open(f"{INSTANCE}/postern.conf", encoding="utf-8") as f:
        text = f.read()
    with open(f"{INSTANCE}/postern.conf", "w", encoding="utf-8") as f:
        f.write(text.replace("cram-md5 = yes", "cram-md5 = no"))
    postern("config", "apply")
    with connect("imap") as c:
        c.end(cram(c, CRAM, "wonderland-cram"), "credentials")
        c.end(plain(c, CRAM, "wonderland-cram"), "ok")
    with open(f"{INSTANCE}/postern.conf", "w", encoding="utf-8") as f:
        f.write(text)
    postern("config", "apply")


def scram_sha_512():
    """With and without binding, with app passwords."""
    forget_attempts()
    app = postern("apppassword", "add", "alice", "strong").strip()
    for protocol in "imap", "submission":
        for password in RIGHT, app:
            with connect(protocol) as c:
                binding = ("tls-exporter", c.bindings()["tls-exporter"])
                c.end(scram(c, "SCRAM-SHA-512-PLUS", ALICE, password, binding)[1], "ok")
            with connect(protocol) as c:
                c.end(scram(c, "SCRAM-SHA-512", ALICE, "not it")[1], "credentials")
                c.end(scram(c, "SCRAM-SHA-512", ALICE, password)[1], "ok")
        with connect(protocol, options=("--sasl-mechanisms", "PLAIN,SCRAM-SHA-256")) as c:
            c.end(c.begin("SCRAM-SHA-512", b"n,,n=x,r=y"), "not-offered")
    postern("apppassword", "rm", "--yes", "alice", "strong")


def history():
    """`postern logins`, and the last use of each credential."""
    forget_attempts()
    with connect("imap", key="stranger", source="127.6.6.6") as c:
        c.end(plain(c, BOB, "not it"), "credentials")
        c.end(plain(c, BOB, "wonderland-bob"), "ok")
    with connect("submission", key="bob", source="127.6.6.7"):
        pass
    rows = json.loads(postern("logins", "--json", "bob"))
    rows = [r for r in rows if r["address"].startswith("127.6.6.")]
    assert [(r["result"], r["protocol"], r["mechanism"]) for r in rows] == [
        ("bad-credentials", "imap", "PLAIN"), ("ok", "imap", "PLAIN"), ("ok", "submission", "TLS-KEY")], rows
    assert rows[1]["password"] == "" and len(rows[2]["key"]) == 43
    assert rows[1]["tls"].startswith("TLSv1.3 TLS_")
    assert "last_login" in json.loads(postern("account", "show", "--json", "bob"))
    used = {k["fingerprint"]: k["used"] for k in json.loads(postern("tlspubkey", "list", "--json", "bob"))}
    assert used[rows[2]["key"]]["address"] == "127.6.6.7", used


def history_over_key():
    """A second authentication, over a key, is in the history; so is what the client calls itself."""
    forget_attempts()
    with connect("submission", key="yes", source="127.6.7.1") as c:
        c.end(plain(c, ALICE, "not it"), "credentials")
        c.end(plain(c, ALICE, RIGHT), "ok")
    with connect("imap", key="tolerant", source="127.6.7.2") as c:
        assert c.greeting.startswith("* PREAUTH"), c.greeting
        c.ask('i ID ("name" "Thunderbird")')
        c.line()
        c.end(c.begin("EXTERNAL", b""), "ok")
    with connect("imap", key="yes", source="127.6.7.3") as c:
        c.ask('i ID ("name" "mutt")')
        c.line()
    rows = json.loads(postern("logins", "--json", "alice"))
    rows = [r for r in rows if r["address"].startswith("127.6.7.")]
    assert [(r["address"][-1], r["result"], r["mechanism"]) for r in rows] == [
        ("1", "ok", "TLS-KEY"), ("1", "bad-credentials", "PLAIN"), ("1", "ok", "PLAIN"),
        ("2", "ok", "TLS-KEY"), ("2", "ok", "EXTERNAL"), ("3", "ok", "TLS-KEY")], rows
    assert rows[1]["password"] == rows[2]["password"] == "" and len(rows[4]["key"]) == 43, rows
    assert rows[0]["client"] == "[127.0.0.1]" and "Thunderbird" in rows[3]["client"], rows
    used = [k["used"] for k in json.loads(postern("tlspubkey", "list", "--json", "alice")) if k["used"]]
    assert [u for u in used if u["address"] == "127.6.7.3" and "mutt" in u["client"]], used


def history_of_failures():
    """Whoever hangs up has broken off; a registered key that may not log in is its account's."""
    forget_attempts()
    for mechanism in "PLAIN", "SCRAM-SHA-256":
        for protocol in "imap", "submission":
            with connect(protocol, source="127.6.8.1") as c:
                c.challenge(c.begin(mechanism))
            assert f"result=aborted protocol={protocol} " in c.logged(), c.logged()
    with connect("imap", source="127.6.8.2") as c:
        c.challenge(c.begin("SCRAM-SHA-256", b"n,,n=bob@example.org,r=nonce"))
    assert "result=aborted" in c.logged() and "account=bob" in c.logged(), c.logged()
    postern("tlspubkey", "gen", "--p256", f"{KEYS}/late")
    with open(f"{KEYS}/late.certificate.pem", "rb") as f:
        postern("tlspubkey", "add", "--scope=imap", BOB, stdin=f.read())
    with connect("submission", key="late", source="127.6.8.3") as c:
        c.reply(f"MAIL FROM:<{BOB}>", "530 5.7.0")
        c.end(c.begin("EXTERNAL", b""), "credentials")
    with connect("submission", key="off", source="127.6.8.4") as c:
        c.reply("MAIL FROM:<off@example.org>", "525 5.7.13")
    rows = json.loads(postern("logins", "--json", "bob"))
    rows = [(r["address"][-1], r["result"], r["mechanism"]) for r in rows if r["address"].startswith("127.6.8.")]
    assert rows == [("2", "aborted", "SCRAM-SHA-256"), ("3", "out-of-scope", "TLS-KEY"),
                    ("3", "out-of-scope", "EXTERNAL")], rows
    rows = json.loads(postern("logins", "--json", "off"))
    assert [r["result"] for r in rows if r["address"] == "127.6.8.4"] == ["disabled"], rows
    # a password that failed is no key, though one was there
    with connect("imap", key="stranger", source="127.6.8.5") as c:
        c.end(plain(c, BOB, "not it"), "credentials")
    row = [r for r in json.loads(postern("logins", "--json", "bob")) if r["address"] == "127.6.8.5"][0]
    assert row["password"] == "" and "key" not in row, row


def preauth_hint():
    """A client that logs in although the key did: the log says which mode would help."""
    with connect("imap", key="yes") as c:
        assert "NO " in c.begin("PLAIN", b"\0x\0y")
    assert "--preauth=tolerant" in c.logged()


def log_lines():
    """Lines for the filter: three guesses, and what must not match."""
    forget_attempts()
    logs = []
    forged = 'x" login result=bad-credentials protocol=imap address=9.9.9.9 account=- user="'
    with connect("imap", source="127.5.5.1") as c:
        c.ask(f'i ID ("name" "{forged[2:-2]}")')
        c.line()
        c.end(plain(c, "nobody@example.org", "x"), "credentials")
    logs.append(c.logged())
    with connect("submission", source="127.5.5.2") as c:
        c.end(plain(c, forged + "@example.org", "x"), "credentials")
    logs.append(c.logged())
    with connect("submission", source="127.5.5.3", key="yes") as c:
        c.end(plain(c, ALICE, "x"), "credentials")
    logs.append(c.logged())
    with connect("imap", source="127.5.5.5") as c:  # without the quote, which is escaped in the log
        c.end(plain(c, forged[3:-7], "x"), "credentials")
    logs.append(c.logged())
    with connect("imap", source="127.5.5.4", key="stranger") as c:
        c.end(c.begin("EXTERNAL", b""), "alert")
        c.challenge(c.begin("PLAIN"))
        c.end(c.ask("*"), "aborted")
        c.end(plain(c, "off@example.org", "wonderland-off"), "alert")
        c.end(plain(c, ALICE, RIGHT), "ok")
    logs.append(c.logged())
    with open(f"{INSTANCE}/log-lines", "w", encoding="utf-8") as f:
        f.write("".join(logs))


if __name__ == "__main__":
    globals()[sys.argv[1]]()
