#!/usr/bin/python3
"""Kills Postern's processes, or lets their system calls fail, at every call that changes something on
disk, and checks what is left: files that doc/states.md names, sound databases, everything that was
acknowledged, nothing that was refused, no process.

usage: kill_points.py kill|fail|powerloss|full [PROGRAM-ROLE…]

  kill       SIGKILL at each call of each role
  fail       EIO and ENOSPC instead: what was not done is never acknowledged
  powerloss  as kill, on a file system of which only that is left that had reached the disk (root)
  full       a full disk (root)

A point is (system call, n-th call of that name in the process), as strace counts. FAULT_STRIDE=N takes every
N-th point only, beginning with the first. The default is 1, all of them, but 4 for powerloss, and 2 and 4 for kill and fail in
queue runs. FAULT_JOBS: processes; FAULT_DIR: where the instances are made.
"""
import concurrent.futures
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import instance as base
from instance import Failure, Handler, Imap, Smtp, message, reap_all

CALLS = ("write", "writev", "pwrite64", "fsync", "fdatasync", "msync", "ftruncate", "fallocate", "link", "linkat",
         "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "utimensat")
ERRORS = {"fsync": ("EIO",), "fdatasync": ("EIO",), "msync": ("EIO",), "linkat": ("EIO", "ENOSPC"),
          "pwrite64": ("EIO", "ENOSPC"), "write": ("EIO", "ENOSPC"), "ftruncate": ("ENOSPC",),
          "fallocate": ("ENOSPC",), "mkdirat": ("ENOSPC",)}
UNTRACED = re.compile(r"TracerPid:\s+0\b")
DATE = '"23-Nov-2026 12:00:00 +0000"'


class Tracer:
    """strace of one process: either started by it, or attached to it in the middle."""

    def __init__(self, arguments):
        self.arguments = ["strace", "-qq", *arguments]
        self.process = None

    def attach(self, pid):
        self.process = subprocess.Popen([*self.arguments, "-p", str(pid)], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL)
        end = time.monotonic() + base.PEER_S
        while time.monotonic() < end:
            with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
                if not UNTRACED.search(f.read()):
                    time.sleep(0.003)  # attached; it stops at its next call
                    return
            time.sleep(0.001)
        raise Failure("strace does not attach")


def wait_for_child(pid, is_it=lambda child: True):
    end = time.monotonic() + base.PEER_S
    while time.monotonic() < end:
        for child in base.children_of(pid):
            if is_it(child):
                return child
        time.sleep(0.001)
    raise Failure("the child process does not come")


def has_open(pid, text):
    try:
        return any(text in os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


class Scenario:
    """What is done while the fault happens, and what must be true afterwards."""
    strides = {"powerloss": 4}

    def __init__(self, inst):
        self.inst = inst

    def prepare(self):
        """Once, before the template is copied for the first time."""

    def talk(self, tracer, role):
        """Does the work with the tracer at the role's process."""
        raise NotImplementedError

    def verify(self, fault):
        raise NotImplementedError

    def start(self, kind, tracer, role, client="user"):
        """A handler with the tracer around its gate or attached to its session."""
        if role == "gate":
            return Handler(self.inst, kind, client, strace=tracer.arguments)
        return Handler(self.inst, kind, client,
                       before_tls=lambda h: tracer.attach(wait_for_child(h.process.pid)))

    def check_left(self, unreferenced=0, orphans=0):
        """Databases are sound; at most so many files that nothing refers to."""
        told = self.inst.check_state()
        for what, counts in told.items():
            if counts.get("unreferenced", 0) > unreferenced or counts.get("missing", 0):
                raise Failure(f"{what}: {counts}")
        queue = told.get("queue")
        if queue and not queue["messages"] <= queue["files"] <= queue["messages"] + orphans:
            raise Failure(f"queue: {queue}")
        return told


class Submission(Scenario):
    """Three messages that are taken, one that is not."""
    program = "submit"
    roles = ("gate", "session")
    MESSAGES = (("one", ("user", "second"), 2, "user@localhost"), ("large", ("second",), 1200, "user@localhost"),
                ("forged", ("second",), 2, "stranger@localhost"), ("last", ("second",), 2, "user@localhost"))

    def talk(self, tracer, role):
        self.answers = {}
        handler = self.start("submit", tracer, role)
        try:
            smtp = Smtp(handler)
            for tag, to, lines, sender in self.MESSAGES:
                self.answers[tag] = b""
                self.answers[tag] = smtp.submit([f"{t}@localhost".encode() for t in to], message(tag, lines, sender))
            smtp.command(b"QUIT")
        except ConnectionError:
            pass
        handler.close()

    def verify(self, fault):
        self.inst.check_files()
        self.check_left()
        self.inst.finish_queue()
        self.check_left()
        self.inst.check_files()
        inboxes = {client: self.inst.inbox(client) for client in ("user", "second")}
        for tag, to, lines, sender in self.MESSAGES:
            answer = self.answers.get(tag)
            low = 1 if answer and answer.startswith(b"250") else 0
            # refused, but the file had its name already: its folder could not be synced
            unsynced = fault.error and fault.call == "fsync" and (answer or b"").startswith(b"451")
            high = low if (answer or answer is None) and not unsynced else 1
            for t in to:
                found = [text for text in inboxes[t] if f"Subject: {tag}\r\n".encode() in text]
                if not low <= len(found) <= high:
                    raise Failure(f"message {tag} answered {answer} is {len(found)} times in {t}'s INBOX")
                if not all(f"{tag} line {lines - 1}: ".encode() in text for text in found):
                    raise Failure(f"message {tag} is not whole")
            if fault.error is None and tag == "forged" and answer and not answer.startswith(b"5"):
                raise Failure(f"{tag}: {answer}")
        # a failing write may be one to the peer, which is the end
        if fault.error and fault.call != "write" and self.answers.get("last", b"250")[:3] not in (b"250", b"451", b"452"):
            raise Failure(f"answers: {self.answers}")


class Mailbox(Scenario):
    """Every command that changes a mailbox, each answered before the next."""
    program = "imap"
    roles = ("gate", "session")
    STEPS = (
        "CREATE Work",
        ("INBOX", r"(\Seen)", "first", 2), ("INBOX", "($Label)", "second", 1200), ("Work", "()", "third", 2),
        "SELECT INBOX", r"UID STORE 1:2 +FLAGS (\Flagged $Other)", "UID COPY 1:2 Work", "UID MOVE 2 Archive",
        r"UID STORE 1 +FLAGS.SILENT (\Deleted)", "EXPUNGE",
        "RENAME Work Play/Again", "SUBSCRIBE Play/Again", "CREATE Short", "DELETE Short",
        ("INBOX", "()", "fourth", 2), "RENAME INBOX Old", ("INBOX", r"(\Deleted)", "fifth", 2), "CLOSE",
        "DELETE Play/Again", "UNSUBSCRIBE Sent", ("Archive", "()", "sixth", 2),
    )
    RENAMED = {"INBOX": None}

    def prepare(self):
        """The state after each step, from a run without faults; state[0]: a new store."""
        self.states = [self.inst.dump()[0]]
        handler = Handler(self.inst, "imap")
        imap = Imap(handler)
        for step in self.STEPS:
            answer = self.do(imap, step)
            if not answer.startswith(b"OK"):
                raise Failure(f"{step}: {answer}")
            self.states.append(self.inst.dump()[0])
        handler.close()
        reap_all()

    def do(self, imap, step):
        if isinstance(step, str):
            return imap.command(step)[0]
        mailbox, flags, tag, lines = step
        return imap.command(f"APPEND {mailbox} {flags} {DATE}", message(tag, lines))[0]

    def talk(self, tracer, role):
        self.answers = []
        self.opened = False
        handler = self.start("imap", tracer, role)
        try:
            imap = Imap(handler)
            self.opened = True
            for step in self.STEPS:
                self.answers.append(b"")
                self.answers[-1] = self.do(imap, step)
            imap.command("LOGOUT")
        except ConnectionError:
            pass
        handler.close()

    def verify(self, fault):
        self.inst.check_files()
        self.check_left(unreferenced=3)
        now, validities = self.inst.dump()
        self.check_left(unreferenced=3)
        done = sum(a != b"" for a in self.answers)
        if any(a and not a.startswith(b"OK") for a in self.answers):
            raise Failure(f"answers: {self.answers}")
        if now not in self.states[done:done + 2]:
            raise Failure(f"after {done} of {len(self.STEPS)} steps: {now}, not {self.states[done]}")
        for step, answer in zip(self.STEPS[-1:], self.answers[len(self.STEPS) - 1:]):
            told = re.search(rb"APPENDUID (\d+) ", answer)
            if told and int(told[1]) != validities[step[0]]:
                raise Failure(f"{answer}: UIDVALIDITY is {validities[step[0]]}")


class MailboxAppend(Scenario):
    """Two messages come in, one is copied: for failing system calls, where the connection goes on."""
    program = "append"
    roles = ("session",)
    TAGS = ("first", "second", "third")

    def talk(self, tracer, role):
        self.answers = []
        handler = self.start("imap", tracer, role)
        try:
            imap = Imap(handler)
            for n, tag in enumerate(self.TAGS):
                self.answers.append(b"")
                self.answers[-1] = imap.command(f"APPEND INBOX () {DATE}", message(tag, 2 + 600 * n))[0]
            self.copied = imap.command("SELECT INBOX")[0].startswith(b"OK") and \
                imap.command("COPY 1:* Archive")[0].startswith(b"OK")
            imap.command("LOGOUT")
        except ConnectionError:
            pass
        handler.close()

    def verify(self, fault):
        self.inst.check_files()
        self.check_left(unreferenced=3)
        texts = self.inst.inbox("user")
        for tag, answer in zip(self.TAGS, self.answers):
            low = 1 if answer.startswith(b"OK") else 0
            # the last sync of a commit: it is there, but may not survive a power cut, so it got no OK
            unsynced = fault.call in ("fdatasync", "msync")
            high = 0 if answer.startswith(b"NO") and not unsynced else 1
            found = sum(f"Subject: {tag}\r\n".encode() in text for text in texts)
            if not low <= found <= high:
                raise Failure(f"message {tag} answered {answer} is {found} times in INBOX")


class QueueRun(Scenario):
    """Mail to two accounts, to a relay, to one that refuses, to nowhere, and a file that is no message."""
    program = "runner"
    strides = {"kill": 2, "powerloss": 4, "fail": 4}
    roles = ("runner", "local", "remote")

    def prepare(self):
        handler = Handler(self.inst, "submit")
        smtp = Smtp(handler)
        for tag, to in (("both", (b"user@localhost", b"second@localhost")), ("more", (b"user@localhost",)),
                        ("away", (b"ok@sink.example",)), ("refused", (b"reject@sink.example",)),
                        ("nowhere", (b"somebody@fail.example", b"second@localhost"))):
            if not smtp.submit(to, message(tag)).startswith(b"250"):
                raise Failure(f"{tag} is not taken")
        handler.close()
        for client in ("user", "second"):
            self.inst.inbox(client)  # makes the store
        with open(f"{self.inst.dir}/state/queue/incoming/user/0junk", "wb") as f:
            f.write(b"this is no message")
        reap_all()
        self.inst.save()

    def talk(self, tracer, role):
        sink, held = self.inst.sink, None
        if role == "local":
            held = self.inst.hold_index("user")
        if role == "remote":
            sink.waiting.clear()
            sink.held = threading.Event()
        runner = self.inst.queue_run(strace=tracer.arguments if role == "runner" else ())
        try:
            if role == "local":
                tracer.attach(wait_for_child(runner.pid, lambda p: has_open(p, "/mail/user")))
            if role == "remote":
                sink.waiting.wait(base.PEER_S)
                tracer.attach(wait_for_child(
                    runner.pid, lambda p: has_open(p, "socket:") and not has_open(p, "/mail/")))
        finally:
            if held:
                held.close()
            if role == "remote":
                sink.held.set()
                sink.held = None
        try:
            runner.wait(base.PEER_S * 2)
        except subprocess.TimeoutExpired as e:
            raise Failure("the queue run does not end") from e

    def verify(self, fault):
        self.inst.check_files()
        self.check_left(unreferenced=2, orphans=6)
        self.inst.finish_queue()
        told = self.check_left(unreferenced=2, orphans=6)
        # a removal is not synced: after a power cut the file may be back
        if told["queue"]["files"] and not fault.hit and not isinstance(self.inst, base.LoopInstance):
            raise Failure(f"queue: {told['queue']}")
        self.inst.check_files()
        log = self.inst.read_log()
        self.doubles = 0
        user, second = self.inst.inbox("user"), self.inst.inbox("second")

        def expect(what, found, sure):
            if not 1 <= found <= (1 if sure else 2):
                raise Failure(f"{what}: {found} times; answered: {sure}\n{log}")
            self.doubles += found == 2

        def tagged(texts, tag):
            return sum(f"\r\nSubject: {tag}\r\n".encode() in t.split(b"\r\n\r\n")[0] + b"\r\n" for t in texts)

        quiet = not fault.hit
        expect("both to user", tagged(user, "both"), quiet)
        expect("more to user", tagged(user, "more"), quiet)
        expect("both to second", tagged(second, "both"), quiet)
        expect("nowhere to second", tagged(second, "nowhere"), quiet)
        expect("away to the relay", sum(b"Subject: away\r\n" in m for m in self.inst.sink.messages), quiet)
        for address in (b"reject@sink.example", b"somebody@fail.example"):
            expect(f"notice about {address}",
                   sum(b"multipart/report" in t and b"Final-Recipient: rfc822; " + address in t for t in user), quiet)
        unnoted = re.findall(r"cannot note the result of (\w+)", log)
        for result, message_id, texts in re.findall(r"(delivered|relayed) (?=id=(\w+))(id=\w+ .*? to=<[^>]*>)", log):
            if message_id not in unnoted and len(re.findall(re.escape(f"{result} {texts}"), log)) != 1:
                raise Failure(f"delivered again after its result was noted: {texts}\n{log}")
        bad = os.listdir(f"{self.inst.dir}/state/queue/bad")
        if bad != ["user-0junk"]:
            raise Failure(f"queue/bad has {bad}\n{log}")
        for folder in ("incoming/user", "wake"):
            if os.listdir(f"{self.inst.dir}/state/queue/{folder}"):
                raise Failure(f"{folder} is not empty")


class Admin(Scenario):
    """The command line: done, or not done and possible again; a key logs in by whole records only."""
    program = "postern"
    roles = ("key-add", "key-rm", "password", "account-add", "config-apply")

    def prepare(self):
        """One more key, registered where it is to be removed."""
        work_folder = os.path.dirname(self.inst.dir)
        subprocess.run([f"{base.BUILD}/bin/postern", "tlspubkey", "gen", "more"], cwd=work_folder,
                       stdout=subprocess.DEVNULL, check=True, timeout=60)
        with open(f"{work_folder}/more.pem", "rb") as f:
            self.pem = f.read()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(f"{self.inst.dir}/server.pem")
        context.load_cert_chain(f"{work_folder}/more.pem")
        self.inst.contexts["more"] = context
        self.verbs = {
            "key-add": (["tlspubkey", "add", "--preauth=yes", "user@localhost", "more"], self.pem),
            "password": (["account", "password", "user"], b"correct horse battery\n"),
            "account-add": (["account", "add", "third", "third@localhost"], b""),
            "config-apply": (["config", "apply"], b""),
        }
        told = self.run_verb(*self.verbs["key-add"])
        self.fingerprint = re.search(r"[A-Za-z0-9_-]{43}", told.stdout.decode())[0]
        self.verbs["key-rm"] = (["tlspubkey", "rm", "--yes", self.fingerprint], b"")
        self.inst.fresh()

    def run_verb(self, arguments, stdin, strace=()):
        return subprocess.run([*strace, f"{base.BUILD}/bin/postern", "--instance", self.inst.dir, *arguments],
                              input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)

    def talk(self, tracer, role):
        self.role = role
        if role == "key-rm":
            self.run_verb(*self.verbs["key-add"])
        if role == "config-apply":
            with open(f"{self.inst.dir}/postern.conf", "a", encoding="ascii") as f:
                f.write('account "third" { addresses = {"third@localhost"} }\n')
        self.status = self.run_verb(*self.verbs[role], strace=tracer.arguments).returncode

    def logs_in(self):
        handler = Handler(self.inst, "imap", "more")
        try:
            return handler.line().startswith(b"* PREAUTH")
        except ConnectionError:
            return False
        finally:
            handler.close()
            handler.process.wait(base.PEER_S)

    def is_done(self):
        if self.role in ("key-add", "key-rm"):
            return self.logs_in() == (self.role == "key-add")
        if self.role == "password":
            return os.path.exists(f"{self.inst.dir}/state/keys/secret")
        return "third@localhost" in self.inst.postern("account", "list") and \
            os.path.isdir(f"{self.inst.dir}/state/mail/third")

    def verify(self, fault):
        self.inst.check_files()
        self.check_left()
        if self.status == 0 and not self.is_done():
            raise Failure(f"{self.role} said that it was done")
        again = self.run_verb(*self.verbs[self.role])
        if self.role == "account-add" and again.returncode:
            again = self.run_verb(["config", "apply"], b"")  # its file was written; the rest was not
        if again.returncode and not self.is_done():
            raise Failure(f"{self.role} cannot be done again: {again.stdout.decode()}")
        if not self.is_done():
            raise Failure(f"{self.role} done again has no effect")
        self.inst.check_files()
        self.check_left()


class Full:
    """A disk with so much room left: the answer says what happened, and it is so."""

    LEFT_KIB = (0, 4, 8, 16, 32, 64, 128, 256, 1024, 4096)

    def __init__(self, inst):
        self.inst = inst

    def count(self, client, tag):
        return sum(f"Subject: {tag}\r\n".encode() in text for text in self.inst.inbox(client))

    def check(self, what, answer, good, bad, client, tag):
        if not answer.startswith((good, bad)):
            raise Failure(f"{what}: {answer}")
        found = self.count(client, tag)
        if found != answer.startswith(good):
            raise Failure(f"{what}: {answer}, but it is {found} times in {client}'s INBOX")

    def submit(self, left_bytes):
        inst, answers = self.inst, {}
        inst.fill(left_bytes)
        handler = Handler(inst, "submit")
        smtp = Smtp(handler)
        for tag, lines in (("large", 1200), ("small", 2)):
            answers[tag] = smtp.submit([b"second@localhost"], message(tag, lines))
        handler.close()
        reap_all()
        inst.empty()
        inst.finish_queue()
        for tag, answer in answers.items():
            self.check("submission", answer, b"250", b"452 4.3.1", "second", tag)
        return answers.values()

    def append(self, left_bytes):
        inst, answers = self.inst, {}
        inst.fill(left_bytes)
        handler = Handler(inst, "imap")
        imap = Imap(handler)
        for tag, lines in (("large", 1200), ("small", 2)):
            answers[tag] = imap.command(f"APPEND INBOX () {DATE}", message(tag, lines))[0]
        handler.close()
        reap_all()
        inst.empty()
        for tag, answer in answers.items():
            self.check("APPEND", answer, b"OK", b"NO [LIMIT]", "user", tag)
        return answers.values()

    def deliver(self, left_bytes):
        inst = self.inst
        handler = Handler(inst, "submit")
        smtp = Smtp(handler)
        for tag, lines in (("large", 1200), ("small", 2)):
            if not smtp.submit([b"second@localhost"], message(tag, lines)).startswith(b"250"):
                raise Failure("not taken")
        handler.close()
        reap_all()
        inst.fill(left_bytes)
        status = inst.queue_run().wait(base.PEER_S * 2)
        if status not in (0, 75):
            raise Failure(f"the queue run ends with status {status}")
        log = inst.read_log()
        inst.empty()
        inst.finish_queue()
        for tag in ("large", "small"):
            if self.count("second", tag) != 1:
                raise Failure(f"{tag} is {self.count('second', tag)} times in INBOX: {inst.read_log()}")
        return [re.sub(r"\W", "", w).encode() for w in re.findall(r"(?:delivered|deferred|failed):? ", log)]

    def run(self):
        """True when all is well. Both kinds of answer must have been seen."""
        good = True
        for what, refusal in ((self.submit, b"452"), (self.append, b"NO"), (self.deliver, b"")):
            seen, wrong = set(), []
            for left in self.LEFT_KIB:
                self.inst.fresh()
                try:
                    seen.update(a[:3].split()[0] for a in what(left * 1024))
                    self.inst.check_state()
                    self.inst.check_files()
                except (Failure, ConnectionError) as e:
                    wrong.append(f"{left} KiB left: {e}\n{self.inst.read_log()}")
            self.inst.clear()
            print(f"full {what.__name__}: {len(self.LEFT_KIB)} sizes, answers {sorted(seen)}, {len(wrong)} wrong",
                  *wrong, sep="\n", flush=True)
            good = good and not wrong and (not refusal or refusal in seen)
        return good


class Fault:
    """One point: `call` number `count` of the role's process; error None: it is killed there."""

    def __init__(self, call, count, error=None):
        self.call, self.count, self.error = call, count, error
        self.hit = False

    def __str__(self):
        return f"{self.call} {self.count}" + (f" {self.error}" if self.error else "")

    def arguments(self, trace):
        # getpid in its place: strace's own -1 is no call that the cages let pass
        what = f"{'retval=0' if self.error == 'SKIP' else f'error={self.error}'}:syscall=getpid" \
            if self.error else "signal=KILL"
        return ["-o", trace, "-e", f"trace={self.call}", "-e", f"inject={self.call}:{what}:when={self.count}"]


def list_points(scenario, role, mode, trace):
    """All calls of the role in a run without a fault, which must pass its checks."""
    inst = scenario.inst
    inst.fresh()
    open(trace, "wb").close()
    scenario.talk(Tracer(["-o", trace, "-e", f"trace={','.join(CALLS)}"]), role)
    reap_all()
    scenario.verify(Fault("none", None))
    inst.clear()
    counts = {}
    with open(trace, encoding="ascii", errors="replace") as f:
        for line in f:
            found = re.match(r"(\w+)\(", line)
            if found:
                counts[found[1]] = counts.get(found[1], 0) + 1
    if mode == "fail":
        return [(c, n, e) for c, most in counts.items() for n in range(1, most + 1) for e in ERRORS.get(c, ())]
    return [(c, n, None) for c, most in counts.items() for n in range(1, most + 1)]


class Bench:
    """A worker's instance, with one scenario prepared."""

    def __init__(self, kind, mode):
        base.become_subreaper()
        self.work = tempfile.mkdtemp(prefix="postern-fault.", dir=os.environ.get("FAULT_DIR"))
        sink = base.Sink()
        sink.start()
        self.inst = (base.LoopInstance if mode == "powerloss" else base.Instance)(self.work, sink)
        self.scenario = kind(self.inst)
        self.inst.fresh()
        self.scenario.prepare()
        self.inst.clear()
        self.trace = f"{self.work}/trace"
        self.mode = mode

    def points(self, role):
        return list_points(self.scenario, role, self.mode, self.trace)

    def try_point(self, role, point):
        """"" or what is wrong; whether the point was reached; double deliveries."""
        fault = Fault(*point)
        self.inst.fresh()
        open(self.trace, "wb").close()
        try:
            try:
                self.scenario.talk(Tracer(fault.arguments(self.trace)), role)
            finally:
                reap_all()
            with open(self.trace, encoding="ascii", errors="replace") as f:
                text = f.read()
            fault.hit = "(INJECTED)" in text or "killed by SIGKILL" in text
            self.inst.crash()
            self.scenario.verify(fault)
        except Failure as e:
            return f"{role} {fault}: {e}", fault.hit, 0
        except (OSError, subprocess.SubprocessError) as e:
            return f"{role} {fault}: {e!r}", fault.hit, 0
        finally:
            self.inst.clear()
        return "", fault.hit, getattr(self.scenario, "doubles", 0)

    def close(self):
        shutil.rmtree(self.work, ignore_errors=True)


def sees_missing_syncs():
    """Without them the test of power loss must find something, or it is worth nothing."""
    bench = Bench(Submission, "powerloss")
    try:
        text, _, _ = bench.try_point("session", ("fsync", "1+", "SKIP"))
    finally:
        bench.close()
    print(f"powerloss without fsync: {text[:60] or 'nothing is missed'}")
    return text != ""


def work(kind, mode, role, points):
    """In a process of its own: tries these points, or all of them (None: lists them)."""
    bench = Bench(kind, mode)
    try:
        if points is None:
            return bench.points(role)
        return [bench.try_point(role, p) for p in points]
    finally:
        bench.close()


def run_role(kind, mode, role, jobs):
    """True when all points are well."""
    stride = int(os.environ.get("FAULT_STRIDE", kind.strides.get(mode, 1)))
    started = time.monotonic()
    with concurrent.futures.ProcessPoolExecutor(max_workers=jobs) as pool:
        points = pool.submit(work, kind, mode, role, None).result()
        chosen = points[::stride]
        parts = [chosen[n::jobs] for n in range(jobs)]
        results = [r for part in pool.map(work, *zip(*[(kind, mode, role, p) for p in parts])) for r in part]
    wrong = [text for text, _, _ in results if text]
    for text in wrong:
        print(text)
    hit = sum(h for _, h, _ in results)
    doubles = sum(d for _, _, d in results)
    print(f"{mode} {kind.program}-{role}: {len(points)} points, {len(chosen)} tried, {hit} reached, "
          f"{len(wrong)} wrong, {doubles} delivered twice, {time.monotonic() - started:.0f} s", flush=True)
    return not wrong and hit > 0


def run_full():
    base.become_subreaper()
    work_folder = tempfile.mkdtemp(prefix="postern-fault.", dir=os.environ.get("FAULT_DIR"))
    sink = base.Sink()
    sink.start()
    inst = base.SmallInstance(work_folder, sink)
    for client in ("user", "second"):
        inst.inbox(client)  # makes the store
    inst.queue_run().wait(base.PEER_S)
    inst.save()
    try:
        return 0 if Full(inst).run() else 1
    finally:
        inst.clear()
        shutil.rmtree(work_folder, ignore_errors=True)


KINDS = {"kill": (Submission, Mailbox, QueueRun, Admin), "fail": (Submission, MailboxAppend, QueueRun),
         "powerloss": (Submission, Mailbox, QueueRun), "full": ()}


def main(arguments):
    if len(arguments) < 2 or arguments[1] not in KINDS:
        print(__doc__, file=sys.stderr)
        return 64
    mode, wanted = arguments[1], arguments[2:]
    if mode == "full":
        return run_full()
    jobs = int(os.environ.get("FAULT_JOBS", "2"))
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    good = mode != "powerloss" or bool(wanted) or sees_missing_syncs()
    for kind in KINDS[mode]:
        for role in kind.roles:
            if mode != "kill" and role in ("gate", "remote"):
                continue  # it has no files
            if not wanted or f"{kind.program}-{role}" in wanted:
                good = run_role(kind, mode, role, jobs) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
