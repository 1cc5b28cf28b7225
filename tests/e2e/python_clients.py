#!/usr/bin/python3
"""imaplib and smtplib as a program would use them. arguments: DIR IMAPS SUBMISSIONS SUBMISSION"""
import imaplib
import smtplib
import ssl
import sys
import time

DIR, IMAPS, SUBMISSIONS, SUBMISSION = sys.argv[1], *map(int, sys.argv[2:])
with open(f"{DIR}/passwords", encoding="utf-8") as f:
    PASSWORDS = dict(line.rstrip("\n").split(" ", 1) for line in f)


def context(key=None):
    c = ssl.create_default_context(cafile=f"{DIR}/server.pem")
    if key:
        c.load_cert_chain(f"{DIR}/clients/{key}.pem")
    return c


def imap(key=None):
    return imaplib.IMAP4_SSL("localhost", IMAPS, ssl_context=context(key), timeout=30)


def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]


def message(subject):
    return f"From: user@localhost\r\nTo: user@localhost\r\nSubject: {subject}\r\n\r\nHello.\r\n".encode()


def imap_session():
    m = imap("user")
    assert m.state == "AUTH" and m.welcome.startswith(b"* PREAUTH"), m.welcome
    ok(m.create("python"))
    ok(m.append("python", r"(\Flagged)", imaplib.Time2Internaldate(1e9), message("one")))
    ok(m.append("python", "", imaplib.Time2Internaldate(1e9), message("two")))
    assert ok(m.select("python")) == [b"2"]
    assert ok(m.search(None, "SUBJECT", "two")) == [b"2"]
    assert ok(m.uid("SEARCH", None, "FLAGGED")) == [b"1"]
    fetched = ok(m.fetch("1", "(FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY[HEADER.FIELDS (SUBJECT)])"))
    assert b" 9-Sep-2001" in fetched[0][0] and rb"\Flagged" in fetched[0][0], fetched
    assert fetched[0][1] == b"Subject: one\r\n\r\n", fetched
    ok(m.store("1", "+FLAGS", r"(\Deleted custom)"))
    ok(m.copy("2", "Trash"))
    assert ok(m.expunge()) == [b"1"]
    assert ok(m.select("Trash")) == [b"1"]
    assert ok(m.fetch("1", "(BODY[])"))[0][1] == message("two")
    ok(m.close())
    ok(m.rename("python", "python2"))
    ok(m.delete("python2"))
    m.logout()


def two_sessions():
    """One sees what the other does: new mail, flags, expunges."""
    one, two = imap("user"), imap()
    ok(two.login("user@localhost", PASSWORDS["user@localhost"]))
    ok(one.create("shared"))
    ok(one.select("shared"))
    ok(two.select("shared"))
    ok(one.append("shared", "", None, message("x")))
    ok(two.noop())
    assert two.response("EXISTS")[1][-1] == b"1"
    ok(two.store("1", "+FLAGS", r"(\Seen)"))
    ok(one.noop())
    assert any(rb"\Seen" in line for line in one.response("FETCH")[1]), "flags are not told"
    ok(one.store("1", "+FLAGS", r"(\Deleted)"))
    ok(one.expunge())
    ok(two.noop())
    assert two.response("EXPUNGE")[1] == [b"1"]
    one.logout()
    two.logout()


def submission():
    with smtplib.SMTP_SSL("localhost", SUBMISSIONS, context=context("user"), timeout=30) as s:
        s.sendmail("user@localhost", ["user@localhost", "second@localhost"], message("smtplib-key"))
    with smtplib.SMTP("localhost", SUBMISSION, timeout=30) as s:
        s.starttls(context=context())
        s.login("user@localhost", PASSWORDS["user@localhost"])
        s.sendmail("user@localhost", ["second@localhost"], message("smtplib-password"))
        s.sendmail("user@localhost", ["second@localhost"], message("smtplib-again"))
    m = imap()
    ok(m.login("second@localhost", PASSWORDS["second@localhost"]))
    for subject in ("smtplib-key", "smtplib-password", "smtplib-again"):
        for _ in range(100):
            ok(m.select("INBOX"))
            if ok(m.search(None, "SUBJECT", subject)) != [b""]:
                break
            time.sleep(0.1)
        else:
            sys.exit(f"{subject} did not arrive")
    m.logout()


imap_session()
two_sessions()
submission()
print("python: all good")
