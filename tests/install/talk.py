#!/usr/bin/python3
"""Talks to the installed handlers on the standard ports of localhost, with a client key."""
import imaplib
import smtplib
import socket
import ssl
import subprocess
import sys
import time

PORTS = {"imaps": 993, "submissions": 465}


def context(key):
    c = ssl.create_default_context(cafile="/etc/postern.pem")
    c.load_cert_chain(key)
    return c


def imap(key):
    return imaplib.IMAP4_SSL("localhost", PORTS["imaps"], ssl_context=context(key), timeout=20)


def greeting(key):
    m = imap(key)
    assert m.state == "AUTH", m.state  # PREAUTH
    assert m.select("INBOX")[0] == "OK"
    m.logout()


def submit(key, count, seconds):
    started = time.monotonic()
    for i in range(int(count)):
        with smtplib.SMTP_SSL("localhost", PORTS["submissions"], context=context(key), timeout=20) as s:
            s.sendmail("user@localhost", ["user@localhost"],
                       f"From: user@localhost\r\nTo: user@localhost\r\nSubject: number {i}\r\n\r\nhello\r\n")
    took = time.monotonic() - started
    print(f"{count} submissions in {took:.1f} s")
    # slower machines may take longer; the burst is what matters
    assert took < float(seconds) * 6


def count(key, wanted):
    m = imap(key)
    n = int(m.select("INBOX")[1][0])
    m.logout()
    sys.exit(0 if n == int(wanted) else 1)


def burst(key, number):
    del key
    sockets = []
    for _ in range(int(number)):
        s = socket.socket()
        s.settimeout(5)
        try:
            s.connect(("127.0.0.1", PORTS["imaps"]))
            sockets.append(s)
        except OSError:
            pass
    for s in sockets:
        s.close()
    time.sleep(1)


def terminated(key):
    m = imap(key)
    assert m.select("INBOX")[0] == "OK"
    subprocess.run(["systemctl", "stop", "postern-imaps@*.service"], check=True)
    line = m.readline()
    assert line.startswith(b"* BYE"), line


def upgrade(key, binary):
    """An open session goes on while the binary is replaced; the next connection has the new one."""
    old = imap(key)
    subprocess.run(["cp", binary, f"{binary}.new"], check=True)
    subprocess.run(["mv", f"{binary}.new", binary], check=True)
    new = imap(key)
    assert new.select("INBOX")[0] == "OK"
    assert old.select("INBOX")[0] == "OK"
    old.logout()
    new.logout()


def many(key, number, served):
    """Of so many connections from one address so many are served."""
    sessions = []
    for _ in range(int(number)):
        try:
            sessions.append(imap(key))
        except (OSError, imaplib.IMAP4.abort):
            pass
    assert len(sessions) == int(served), len(sessions)
    for m in sessions:
        m.logout()
    until = time.monotonic() + 20
    while True:  # they end on their own time, and count until then
        try:
            return greeting(key)
        except (OSError, imaplib.IMAP4.abort):
            assert time.monotonic() < until, "nobody is served any more"
            time.sleep(0.1)


def stay(key, unit):
    m = imap(key)
    assert m.select("INBOX")[0] == "OK"
    subprocess.run(["systemctl", "stop", unit], check=True)
    assert m.noop()[0] == "OK"
    m.logout()


def environment(key, name):
    """No handler has the variable in its environment."""
    m = imap(key)
    pids = subprocess.run(["pgrep", "imap-handler"], capture_output=True, text=True, check=True).stdout.split()
    assert pids
    for pid in pids:
        with open(f"/proc/{pid}/environ", "rb") as f:
            assert name.encode() not in f.read()
    m.logout()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
