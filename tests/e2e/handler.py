#!/usr/bin/env python3
"""The gate and the session, through a handler with a made-up protocol. usage: handler.py TEST"""
import base64
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

from peer import BUILD, INSTANCE, TIMEOUT_S, Peer, b64, plain

MIB = 1 << 20


def imap_greetings():
    """What an IMAP connection begins with, by key and its preauth mode."""
    for key in "yes", "tolerant":
        with Peer("imap", "--implicit-tls", key=key) as c:
            c.expect(None, "SERVE start=greet account=alice", "mechanism=TLS-KEY", "changes=1")
    for key in "no", "stranger":
        with Peer("imap", "--implicit-tls", key=key) as c:
            c.expect(None, "* OK [CAPABILITY IMAP4rev1", "AUTH=EXTERNAL", "AUTH=PLAIN")
    with Peer("imap", "--implicit-tls") as c:
        assert "AUTH=EXTERNAL" not in c.expect(None, "* OK [CAPABILITY", "AUTH=SCRAM-SHA-256-PLUS")
    with Peer("imap", "--implicit-tls", key="off") as c:
        c.expect(None, "* BYE Pay first")
        c.at_end()
        assert "login result=disabled" in c.logged()
    with Peer("imap", "--implicit-tls", "--no-client-certificates", key="yes") as c:
        assert "AUTH=EXTERNAL" not in c.expect(None, "* OK [CAPABILITY")


def tls12():
    """A key logs in over TLS 1.2 only if it may: nothing proves it to the session there."""
    with Peer("imap", "--implicit-tls", key="yes", tls12=True) as c:
        c.expect(None, "* OK [CAPABILITY", "AUTH=EXTERNAL")
        c.expect("a AUTHENTICATE EXTERNAL =", "a NO [ALERT]")
    with Peer("imap", "--implicit-tls", key="old", tls12=True) as c:
        c.expect(None, "SERVE start=greet account=bob")


def starttls():
    """RFC 9051 §6.2.1: no PREAUTH after STARTTLS; nothing may be buffered behind it."""
    with Peer("imap", key="yes") as c:
        c.expect(None, "* OK [CAPABILITY", "STARTTLS", "LOGINDISABLED")
        c.expect("a LOGIN alice@example.org wonderland-alice", "a NO [PRIVACYREQUIRED]")
        c.expect("b AUTHENTICATE PLAIN", "b NO [PRIVACYREQUIRED]")
        c.expect("c STARTTLS", "c OK")
        c.start_tls()
        c.expect("d CAPABILITY", "AUTH=EXTERNAL")
        c.expect(None, "d OK")
        c.expect("e STARTTLS", "e BAD")
        c.expect("f AUTHENTICATE EXTERNAL", "+ ")
        c.expect("", "SERVE start=after-sasl account=alice", "mechanism=EXTERNAL", "tag=f")
    for protocol, command in ("imap", "a STARTTLS"), ("submission", "STARTTLS"):
        with Peer(protocol) as c:
            c.line()
            c.send(command + "\r\nb NOOP\r\n")
            c.line()  # the go-ahead may have left already
            assert c.line() == "", "a command behind STARTTLS was answered"


def imap_dialogue():
    """RFC 9051 §6.1, §6.2 before authentication: answers, limits, and what is not for now."""
    with Peer("imap", "--implicit-tls") as c:
        c.expect(None, "* OK")
        c.expect("a NOOP", "a OK")
        c.expect('b ID ("name" "test")', '* ID ("name" "Postern")')
        c.expect(None, "b OK")
        c.expect("c SELECT INBOX", "c BAD")
        c.expect("d FROBNICATE", "d BAD")
        c.expect("", "* BAD")
        c.expect("e LOGIN", "e BAD")
        c.expect("f APPEND INBOX {10}", "f BAD")
        c.expect("g LOGIN {17}", "+ ")
        c.expect("alice@example.org {5}", "+ ")
        c.expect("wrong", "g NO [AUTHENTICATIONFAILED]")
        c.expect("h LOGIN {99999999}", "h BAD [TOOBIG]")
        c.expect("i LOGIN alice@example.org {99999}", "i BAD [TOOBIG]")
        c.send("j NOOP\n")
        c.expect(None, "j OK")
        c.expect("k AUTHENTICATE NOSUCH", "k NO")
        c.expect("l LOGOUT", "* BYE")
        c.expect(None, "l OK")
        c.at_end()
    with Peer("imap", "--implicit-tls") as c:
        c.line()
        c.send(b"a NOOP" + b"x" * 100000 + b"\r\n")
        c.expect(None, "a BAD")
        c.expect(None, "* BYE")
        c.at_end()
    with Peer("imap", "--implicit-tls") as c:
        c.line()
        c.send("a X\r\n" * 30)
        for _ in range(20):
            c.expect(None, "a BAD")
        c.expect(None, "* BYE Too many")
        c.at_end()


def imap_sasl():
    """What broken and broken-off authentications are answered."""
    with Peer("imap", "--implicit-tls") as c:
        c.line()
        c.expect("a AUTHENTICATE PLAIN", "+ ")
        c.expect("*", "a BAD")
        c.expect("b AUTHENTICATE PLAIN", "+ ")
        c.expect("!!!", "b BAD")
        c.expect("c AUTHENTICATE PLAIN !!!", "c BAD")
        c.expect("d AUTHENTICATE PLAIN", "+ ")
        c.expect("A" * 20000, "d BAD")
        c.expect("e AUTHENTICATE PLAIN " + plain("nobody@example.org", "x"), "e NO [AUTHENTICATIONFAILED]")
        c.expect("f AUTHENTICATE PLAIN " + plain("off@example.org", "wonderland-off"), "f NO [ALERT] Pay first")
        c.expect("g AUTHENTICATE PLAIN " + plain("alice@example.org", "wonderland-alice"),
                 "SERVE start=after-sasl account=alice", "mechanism=PLAIN", "tag=g")
        assert c.ask("VALID") == "ok"
        c.expect("QUIT", "bye")
        log = c.logged()
        for word in ("result=aborted", "result=bad-credentials", "result=disabled", "result=ok",
                     'user="alice@example.org"', "protocol=imap", "tls=TLSv1.3"):
            assert word in log, f"{word} is missing in {log}"


def pipelining():
    """Commands behind the authenticating one are the first of the plain conversation."""
    with Peer("imap", "--implicit-tls") as c:
        c.line()
        c.send("a AUTHENTICATE PLAIN " + plain("alice@example.org", "wonderland-alice")
               + "\r\nECHO one\r\nECHO two\r\nQUIT\r\n")
        for word in "SERVE", "one", "two", "bye":
            c.expect(None, word)
        c.at_end()
    with Peer("imap", "--implicit-tls") as c:
        c.line()
        c.send("a LOGIN {17+}\r\nalice@example.org {16+}\r\nwonderland-alice\r\nECHO one\r\nQUIT\r\n")
        for word in "SERVE", "one", "bye":
            c.expect(None, word)
    with Peer("submission", "--implicit-tls") as c:
        c.line()
        c.send("EHLO x\r\nAUTH PLAIN " + plain("alice@example.org", "wonderland-alice")
               + "\r\nECHO one\r\nQUIT\r\n")
        c.reply(None, "250")
        for word in "SERVE", "one", "bye":
            c.expect(None, word)


def submission():
    """RFC 6409 §4.3, RFC 4954: before authentication, and none with a key."""
    with Peer("submission") as c:
        c.reply(None, "220")
        assert "AUTH" not in c.reply("EHLO x", "250")
        c.reply("AUTH PLAIN " + plain("alice@example.org", "wonderland-alice"), "538 5.7.11")
        c.reply("MAIL FROM:<alice@example.org>", "530 5.7.0")
        c.reply("STARTTLS", "220")
        c.start_tls()
        c.reply("AUTH PLAIN", "503 5.5.1")
        assert "STARTTLS" not in c.reply("EHLO x", "250")
        c.reply("STARTTLS", "503 5.5.1")
        c.reply("NOOP", "250 2.0.0")
        c.reply("RSET", "250 2.0.0")
        c.reply("HELP", "214")
        for command in "MAIL FROM:<a@b>", "RCPT TO:<a@b>", "DATA", "VRFY x", "EXPN x":
            c.reply(command, "530 5.7.0")
        c.reply("FROBNICATE", "500 5.5.1")
        c.send("NOOP\n")
        c.reply(None, "500 5.5.2")
        c.reply("AUTH NOSUCH", "504 5.5.4")
        c.reply("AUTH PLAIN !!!", "501 5.5.2")
        c.reply("AUTH PLAIN", "334 ")
        c.reply("*", "501 5.7.0")
        c.reply("AUTH PLAIN", "334 ")
        c.reply("A" * 20000, "500 5.5.6")
        c.reply("AUTH PLAIN " + plain("alice@example.org", "no"), "535 5.7.8")
        c.reply("QUIT", "221")
        c.at_end()
    for arguments in ("--implicit-tls",), ():
        with Peer("submission", *arguments, key="no") as c:
            if not arguments:
                c.reply(None, "220")
                c.reply("STARTTLS", "220")
                c.start_tls()
            c.expect(None, "SERVE start=after-starttls" if not arguments else "SERVE start=greet",
                     "account=alice", "mechanism=TLS-KEY")
    with Peer("submission", "--implicit-tls", key="stranger") as c:
        c.reply(None, "220")
        assert "registered" in c.reply("MAIL FROM:<a@b>", "530 5.7.0")
        assert "registered" in c.reply("EHLO x", "250") + c.reply("AUTH EXTERNAL =", "535 5.7.8")
    with Peer("submission", "--implicit-tls", key="off") as c:
        c.reply(None, "220")
        c.reply("EHLO x", "250")
        assert "Pay first" in c.reply("MAIL FROM:<off@example.org>", "525 5.7.13")
        assert "Pay first" in c.reply("AUTH EXTERNAL =", "525 5.7.13")


def many_failures():
    """Slower after the third failure, closed after the tenth."""
    with Peer("imap", "--implicit-tls", key="stranger") as c:
        c.line()
        c.expect("a AUTHENTICATE EXTERNAL =", "a NO [ALERT]")  # this one is free
        times = []
        for _ in range(10):
            start = time.monotonic()
            c.expect("a AUTHENTICATE EXTERNAL =", "a NO [ALERT]")
            times.append(time.monotonic() - start)
        c.expect(None, "* BYE")
        c.at_end()
        assert times[1] < 0.5 and 0.9 < times[3] < times[5] < times[8], times


def plaintext():
    """--allow-plaintext, for tests and tunnels: logins without TLS; STARTTLS still works."""
    with Peer("imap", "--allow-plaintext") as c:
        assert "PLUS" not in c.expect(None, "* OK", "AUTH=PLAIN", "STARTTLS")
        c.expect("a LOGIN alice@example.org wonderland-alice", "SERVE", "account=alice")
    with Peer("imap", "--allow-plaintext", key="yes") as c:
        c.line()
        c.expect("a STARTTLS", "a OK")
        c.start_tls()
        c.expect("b AUTHENTICATE EXTERNAL =", "SERVE", "key=")


def assert_flat(before_kib, after_kib):
    """A few buffers more or less. AddressSanitizer keeps freed memory: nothing to see there."""
    if os.environ.get("FLAVOUR") != "sanitize":
        assert after_kib - before_kib < 600, f"{before_kib} KiB, then {after_kib} KiB"


def slow_reader():
    """A client that sends 100 MiB, or is sent them, and does not read: flat memory."""
    with Peer("imap", "--implicit-tls", key="yes", receive_buffer=4096) as c:
        c.line()
        c.send(f"SPEW {100 * MIB}\r\n")
        time.sleep(1)
        before = c.resident_kib()
        # the other direction works meanwhile, and its bytes wait where they belong
        c.send(f"SINK {100 * MIB}\r\n")
        sent = threading.Thread(target=lambda: c.send(b"x" * 1000000))
        sent.start()
        time.sleep(1)
        after = c.resident_kib()
        assert_flat(before, after)
        total = 0
        while total < 100 * MIB:
            total += len(c.socket.recv(65536))
        assert total == 100 * MIB
        sent.join()
        for _ in range(99):
            c.send(b"x" * 1000000)
        c.send(b"x" * (100 * MIB - 100 * 1000000))
        c.expect(None, f"sunk {100 * MIB}")
        assert_flat(before, c.resident_kib())


def half_close():
    """A client that shuts down its sending side gets all the same what is due to it."""
    for arguments in ("--implicit-tls",), ("--allow-plaintext",):
        with Peer("imap", *arguments, key="yes") as c:
            c.line()
            if "--allow-plaintext" in arguments:
                c.expect("a LOGIN alice@example.org wonderland-alice", "SERVE")
            c.send(f"SPEW {20 * MIB}\r\nECHO last\r\n")
            with socket.socket(fileno=os.dup(c.socket.fileno())) as raw:
                raw.shutdown(socket.SHUT_WR)
            count, end = 0, b""
            while more := c.socket.recv(1 << 16):
                count += len(more)
                end = end[-10:] + more
            assert count == 20 * MIB + 6 and end.endswith(b"last\r\n"), (count, end[-20:])


def small_pieces():
    """A client with Nagle's algorithm does not wait for delayed acknowledgements: 40 ms each."""
    with Peer("imap", "--allow-plaintext") as c:
        c.line()
        c.expect("a LOGIN alice@example.org wonderland-alice", "SERVE")
        started = time.monotonic()
        for _ in range(20):
            c.send("SINK 300\r\n")
            for _ in range(3):
                c.send("x" * 100)
            assert c.line() == "sunk 300"
        took = time.monotonic() - started
        assert took < 0.6, took


def hanging_session():
    """A session that does not read any more: the client's bytes stop, and memory stays flat."""
    with Peer("imap", "--implicit-tls", key="yes") as c:
        c.line()
        c.send("HANG\r\n")
        time.sleep(0.3)
        before = c.resident_kib()
        c.socket.settimeout(2)
        try:
            while True:
                c.send(b"x" * 100000)
        except (TimeoutError, ssl.SSLError):
            pass
        assert_flat(before, c.resident_kib())
        os.kill(c.children()[0], signal.SIGTERM)
        assert "ended by signal" in c.logged()


def tunnel():
    """--account on a pipe begins logged in; over the network it is refused."""
    run = subprocess.run([f"{BUILD}/tools/fake_handler", "imap", "--account", "alice", "--instance",
                          INSTANCE], input=b"ECHO hi\r\nQUIT\r\n", stdout=subprocess.PIPE,
                         timeout=TIMEOUT_S, check=True)
    assert b"SERVE start=greet account=alice" in run.stdout and b"hi\r\nbye" in run.stdout, run
    with Peer("imap", "--account", "alice") as c:
        c.at_end()
        assert "--account is for pipes" in c.logged()


def sigterm():
    """SIGTERM: a last word at the next boundary, before the login and after it."""
    for protocol, word in ("imap", "* BYE The server is going down"), ("submission", "421 4.3.2"):
        for arguments in ("--implicit-tls",), ():
            for both in False, True:
                with Peer(protocol, *arguments) as c:
                    c.line()
                    c.terminate(both)
                    c.expect(None, word)
                    c.at_end()
                    assert "signal" not in c.logged() and "gate" not in c.logged(), c.logged()
    with Peer("imap", "--implicit-tls", tls=False) as c:  # no last word within a handshake
        c.at_sleep()
        os.kill(c.process.pid, signal.SIGTERM)
        assert c.process.wait(TIMEOUT_S) == -signal.SIGTERM
    # a secret is asked for, and not looked at any more
    with Peer("imap", "--implicit-tls") as c:
        c.line()
        c.expect("a AUTHENTICATE PLAIN", "+ ")
        os.kill(c.process.pid, signal.SIGTERM)
        c.expect(None, "* BYE")
        log = c.logged()
        assert "login result=aborted" in log and log.count("login result=") == 1, log
    with Peer("--implicit-tls", key="yes", program="bin/submit-handler") as c:
        c.reply(None, "220")
        c.reply("EHLO x", "250")
        c.reply("MAIL FROM:<alice@example.org>", "250")
        c.reply("RCPT TO:<bob@example.org>", "250")
        c.reply("DATA", "354")
        c.terminate()
        time.sleep(0.3)
        c.reply("From: <alice@example.org>\r\nSubject: x\r\n\r\nx\r\n.", "250")  # the message in hand is taken
        c.reply(None, "421 4.3.2")
        c.at_end()
    with Peer("--implicit-tls", key="yes", program="bin/submit-handler") as c:
        c.reply(None, "220")
        c.terminate()
        c.reply(None, "421 4.3.2")
        c.at_end()


def fake_salts():
    """A name that may not log in has one salt, after the yes as before it."""
    def salt(c, name):
        c.send("AUTH SCRAM-SHA-256 " + b64("n,,n=" + name + ",r=nonce") + "\r\n")
        first = base64.b64decode(c.reply(None, "334")[4:]).decode()
        c.reply("*", "501")
        return first.split(",s=")[1]

    names = "bob@example.org", "n\u00f6body@example.org", "no\u0308body@example.org", "b\u00f6b"
    for key in None, "yes":
        seen = []
        for _ in range(2):
            with Peer("--implicit-tls", key=key, program="bin/submit-handler") as c:
                c.reply(None, "220")
                c.reply("EHLO x", "250")
                seen.append([salt(c, name) for name in names])
                c.reply("QUIT", "221")
        assert seen[0] == seen[1], seen
        assert seen[0][1] == seen[0][2] and len(set(seen[0])) == 3, seen  # NFC and NFD are one


# Before the yes the session must look accounts up, and Landlock's layers only take away: what an
# account's session may do after it, the session that does not know the account yet may do.
BEFORE = {"open-account-file", "list-account", "lock-limits"}
PROBE_ALLOWED = {
    ("session-before", "imap"): BEFORE | {"list-mail", "open-mail-file", "create-in-mail"},
    ("session-before", "submission"): BEFORE | {"list-incoming", "create-in-incoming"},
}
# What an issue or a reader would look for first; the whole list is in lib/sys/sandbox_probe.c.
PROBE_REFUSED = {
    "open-passwd", "open-file", "open-account-file", "list-account", "list-mail", "open-mail-file",
    "list-queue", "open-queue-file", "list-incoming", "create-in-incoming", "connect-tcp",
    "sendto-udp", "connect-unix", "chmod", "stat", "statx", "utimes", "signal-0", "signal-term",
    "setown", "ptrace", "execve", "fork", "lock-limits",
}


def probe_targets():
    """Files of another account and of the queue that are there to be had, and a Unix socket."""
    state = f"{INSTANCE}/state"
    targets = {"file": f"{INSTANCE}/server.pem", "folder": f"{state}/accounts/bob",
               "mail": f"{state}/mail/bob", "queue": f"{state}/queue",
               "incoming": f"{state}/queue/incoming/bob",
               "limits": f"{INSTANCE}/run/state/limits.tdb", "unix": f"{INSTANCE}/probe.socket"}
    for folder in targets["mail"], targets["incoming"]:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    for file in (targets["mail"] + "/index.tdb", targets["mail"] + "/changes",
                 targets["folder"] + "/changes", targets["queue"] + "/queue.tdb"):
        with open(file, "ab"):
            pass
    with Peer("imap", "--implicit-tls", key="yes") as c:  # makes limits.tdb
        c.line()
        c.expect("QUIT", "bye")
    return targets


def probe(where, protocol):
    """Runs the list of calls inside one of the processes; each must be refused but for the allowed."""
    targets = probe_targets()
    with subprocess.Popen(["sleep", "60"]) as victim, socket.socket() as tcp, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, \
            socket.socket(socket.AF_UNIX) as local:
        for s in tcp, udp:
            s.bind(("127.0.0.1", 0))
        local.bind(targets["unix"])
        for s in tcp, local:
            s.listen(1)
            s.setblocking(False)
        udp.setblocking(False)
        for name, path in targets.items():
            assert os.path.exists(path), f"{name}: {path} is not there: nothing is shown"
        words = [f"{name}={value}" for name, value in targets.items()]
        words += [f"pid={victim.pid}", f"tcp={tcp.getsockname()[1]}", f"udp={udp.getsockname()[1]}"]
        env = {"FAULT": f"probe-{where}", "POSTERN_PROBE": " ".join(words)}
        program = "bin/imap-handler" if protocol == "imap" else "bin/submit-handler"
        with Peer("--implicit-tls", key="yes", env=env, program=program) as c:
            if protocol == "imap":
                c.expect(None, "* PREAUTH")
                c.expect("a LOGOUT", "* BYE")
            else:
                c.reply(None, "220")
                c.reply("QUIT", "221")
            lines = [line.split()[1:] for line in c.logged().splitlines()
                     if line.startswith("probe ")]
        assert victim.poll() is None, "the other process was signalled"
        victim.kill()
        for arrive in (lambda: udp.recv(10)), tcp.accept, local.accept:
            try:
                arrive()
                assert False, "something left the cage"
            except BlockingIOError:
                pass
        os.unlink(targets["unix"])
    print(*[" ".join(line) for line in lines], sep="\n")
    assert len(lines) > 40 and lines[-1] == [where, "end", "OK"], lines
    passed = {call for _, call, error in lines[:-1] if error == "OK"}
    allowed = PROBE_ALLOWED.get((where, protocol), set())
    assert passed == allowed, passed ^ allowed
    assert PROBE_REFUSED - allowed <= {call for _, call, _ in lines} - passed
    # by the cage, and not because there was nothing: before the yes inotify has no fd of ours
    by_cage = {"EACCES", "EPERM", "ENOSYS", "OK"} | ({"EBADF"} if where == "session-before" else set())
    assert {error for _, _, error in lines} <= by_cage, lines


def probe_gate():
    """Code inside a gate: what is refused."""
    probe("gate", "imap")
    probe("gate", "submission")


def probe_session():
    """Code inside a session after the yes: what is refused."""
    probe("session", "imap")
    probe("session", "submission")


def probe_session_before():
    """Code inside a session before the yes: what is refused."""
    probe("session-before", "imap")
    probe("session-before", "submission")


def forbidden_calls_kill():
    """Without the probe's leniency the first forbidden call ends the process, and the other says so."""
    with Peer("imap", "--implicit-tls", key="yes", env={"FAULT": "probe-session"}) as c:
        try:
            assert "SERVE" not in c.line()
        except (ConnectionError, ssl.SSLError):
            pass
        assert "its cage forbids" in c.logged()
    with Peer("imap", "--implicit-tls", tls=False, env={"FAULT": "probe-gate"}) as c:
        assert c.process.wait(TIMEOUT_S) == -signal.SIGSYS
        end = time.monotonic() + 10
        while "the gate broke off" not in c.logged():
            assert time.monotonic() < end, c.logged()
            time.sleep(0.1)


def live_revocation():
    """A key that is taken away is no longer good for the session that used it."""
    with Peer("imap", "--implicit-tls", key="revoked") as c:
        fingerprint = c.expect(None, "SERVE", "account=bob").split("key=")[1].split()[0]
        c.expect("VALID", "ok")
        subprocess.run([f"{BUILD}/bin/postern", "--instance", INSTANCE, "tlspubkey", "rm", "--yes",
                        fingerprint], check=True)
        c.expect("VALID", "unknown-key")


def main():
    tests = {n: f for n, f in globals().items() if callable(f) and getattr(f, "__doc__", None)
             and f.__module__ == "__main__" and n not in ("main", "assert_flat", "probe", "probe_targets")}
    tests[sys.argv[1]]()


if __name__ == "__main__":
    main()
