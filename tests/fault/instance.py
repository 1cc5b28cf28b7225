"""A self-contained instance for the fault tests: made once, copied per test, talked to, looked at."""
import ctypes
import fcntl
import hashlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

BUILD = os.environ.get("BUILD") or os.path.abspath("build/debug")
HANDLERS = {"imap": "imap-handler", "submit": "submit-handler"}
PEER_S = 3  # a silent peer is a failure
LATER_S = 7200  # deferred mail is due by then, and not yet too old
PR_SET_CHILD_SUBREAPER = 36

CONFIG = """hostname = localhost
postmaster = user
certificate {{ certificate-file = server.pem  key-file = server.key }}
domain "localhost" {{ }}
transport "nowhere" {{ kind = fail  code = 550  text = "No way there" }}
transport "sink" {{ kind = submission  host = 127.0.0.1  port = {port}  tls = none  verify = none }}
route {{ to-domain = {{"sink.example"}}  transport = "sink" }}
route {{ transport = "nowhere" }}
account "user" {{ addresses = {{"user@localhost"}} }}
account "second" {{ addresses = {{"second@localhost"}} }}
"""

NAME = r"(user|second|third)"
# Every file that may be there after a crash; doc/states.md has the same list with the reasons.
KNOWN_FILES = re.compile(
    r"^(state/(config/config\.tdb(\.new)?|keys/(keys\.tdb|nobody/credentials\.tdb|\.?secret(\.[0-9a-f]{16})?)"
    rf"|accounts/{NAME}/(credentials\.tdb|changes)|history/(\.nobody|{NAME})/(logins|pending)\.tdb"
    rf"|mail/{NAME}/(index\.tdb|cache\.tdb|changes|msg/[0-9a-f]{{2}}/[0-9a-f]+)"
    rf"|queue/(queue\.tdb|lock|incoming/{NAME}/[0-9a-z]+|wake/{NAME}|msg/[0-9a-z]+|bad/{NAME}-.+))"
    r"|run/state/(limits\.(tdb|lock)|plus-[0-9a-f]{2}))$")


class Failure(Exception):
    """The state after a fault is not one that doc/states.md allows, or something was lost."""


def become_subreaper():
    """Orphans of a killed process become our children, so that none escapes unseen."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return [int(word) for word in f.read().split()]
    except OSError:
        return []


def reap_all(seconds=PEER_S):
    """Waits until no process is left; kills and reports what does not end by itself."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            time.sleep(0.002)
    left = children_of(os.getpid())
    names = []
    for pid in left:
        try:
            with open(f"/proc/{pid}/cmdline", encoding="utf8") as f:
                names.append(f.read().replace("\0", " "))
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except OSError:
            pass
    raise Failure(f"processes stay: {names}")


def run(*args, stdin=b"", check=True):
    done = subprocess.run(args, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60, check=False)
    if check and done.returncode:
        raise Failure(f"{' '.join(args)}: status {done.returncode}: {done.stdout.decode()}")
    return done.stdout.decode("utf8", "replace")


class Sink(threading.Thread):
    """The relay that mail for sink.example goes to: keeps what it takes, refuses reject@."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.messages = []
        self.held = None  # an Event: connections wait for it before they are greeted
        self.waiting = threading.Event()

    def run(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        if self.held:
            self.waiting.set()
            self.held.wait(PEER_S)
        try:
            with connection, connection.makefile("rwb", buffering=0) as f:
                f.write(b"220 sink ESMTP\r\n")
                for line in iter(f.readline, b""):
                    verb = line.split(b":")[0].strip().upper()
                    if verb.startswith(b"EHLO"):
                        f.write(b"250-sink\r\n250 8BITMIME\r\n")
                    elif b"reject@" in line:
                        f.write(b"550 5.1.1 No such user\r\n")
                    elif verb == b"DATA":
                        f.write(b"354 go\r\n")
                        text = b""
                        while not text.endswith(b"\r\n.\r\n"):
                            piece = f.readline()
                            if not piece:
                                return
                            text += piece
                        self.messages.append(text)
                        f.write(b"250 2.0.0 taken\r\n")
                    elif verb == b"QUIT":
                        f.write(b"221 bye\r\n")
                        return
                    else:
                        f.write(b"250 2.0.0 ok\r\n")
        except OSError:
            pass


class Handler:
    """One connection served by one handler process, with or without strace around it."""

    def __init__(self, instance, kind, client="user", strace=(), before_tls=None):
        listener = socket.create_server(("127.0.0.1", 0))
        self.raw = socket.create_connection(listener.getsockname(), PEER_S)
        served, _ = listener.accept()
        listener.close()
        self.tls = None
        self.lines = None
        with served, open(instance.log, "ab") as log:
            self.process = subprocess.Popen(
                [*strace, f"{BUILD}/bin/{HANDLERS[kind]}", "--instance", instance.dir, "--implicit-tls",
                 "--log=stderr"], stdin=served, stdout=subprocess.DEVNULL, stderr=log)
        if before_tls:
            before_tls(self)
        try:
            self.tls = instance.contexts[client].wrap_socket(self.raw, server_hostname="localhost")
            self.lines = self.tls.makefile("rwb")
        except OSError:
            self.tls = None

    def line(self):
        """The next line; ConnectionError at the end of the connection."""
        try:
            text = self.lines.readline() if self.lines else b""
        except OSError:
            text = b""
        if not text.endswith(b"\n"):
            raise ConnectionError("the handler is gone")
        return text.rstrip(b"\r\n")

    def send(self, data):
        try:
            if self.lines is None:
                raise OSError
            self.lines.write(data)
            self.lines.flush()
        except OSError as e:
            raise ConnectionError("the handler is gone") from e

    def close(self):
        for f in (self.lines, self.tls, self.raw):
            try:
                if f:
                    f.close()
            except OSError:
                pass


class Imap:
    """As much of a client as the tests need."""

    def __init__(self, handler):
        self.handler = handler
        self.tag = 0
        greeting = handler.line()
        if greeting.startswith(b"* BYE"):
            raise ConnectionError("the handler says good-bye")
        if not greeting.startswith(b"* PREAUTH"):
            raise Failure(f"greeting: {greeting}")

    def command(self, text, literal=None):
        """(tagged answer, [untagged line with its literals])"""
        self.tag += 1
        tag = b"a%d" % self.tag
        if literal is None:
            self.handler.send(tag + b" " + text.encode() + b"\r\n")
        else:
            self.handler.send(tag + b" " + text.encode() + b" {%d+}\r\n" % len(literal) + literal + b"\r\n")
        untagged = []
        while True:
            line = self.handler.line()
            if line.startswith(tag + b" "):
                return line[len(tag) + 1:], untagged
            while (size := re.search(rb"\{(\d+)\}$", line)):
                line += self.handler.lines.read(int(size[1])) + self.handler.line()
            untagged.append(line)

    def ok(self, text, literal=None):
        answer, untagged = self.command(text, literal)
        if not answer.startswith(b"OK"):
            raise Failure(f"{text}: {answer}")
        return answer, untagged


class Smtp:
    def __init__(self, handler):
        self.handler = handler
        self.reply()
        self.command(b"EHLO client")

    def reply(self):
        while True:
            line = self.handler.line()
            if line[3:4] != b"-":
                return line

    def command(self, text):
        self.handler.send(text + b"\r\n")
        return self.reply()

    def submit(self, recipients, text, sender=b"user@localhost"):
        """The last reply: of the refused command or of the message."""
        reply = self.command(b"MAIL FROM:<%s>" % sender)
        for r in recipients:
            if reply.startswith(b"2"):
                reply = self.command(b"RCPT TO:<%s>" % r)
        if reply.startswith(b"2"):
            reply = self.command(b"DATA")
        if reply.startswith(b"3"):
            self.handler.send(text + b".\r\n")
            reply = self.reply()
        elif reply.startswith((b"4", b"5")):
            self.command(b"RSET")
        return reply


def message(tag, lines=2, sender="user@localhost"):
    body = "".join(f"{tag} line {n}: {'x' * 60}\r\n" for n in range(lines))
    return (f"From: {sender}\r\nTo: somebody@localhost\r\nSubject: {tag}\r\n"
            f"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{tag}@localhost>\r\n\r\n{body}").encode()


class Instance:
    """work/inst is the instance; work/template what it is copied from for each test."""

    def __init__(self, work, sink):
        self.dir = f"{work}/inst"
        self.template = f"{work}/template"
        self.log = f"{work}/log"
        self.sink = sink
        self.contexts = {}
        self.build()

    def build(self):
        os.makedirs(self.dir, 0o700, exist_ok=True)
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
            "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
            f"{self.dir}/server.key", "-out", f"{self.dir}/server.pem")
        with open(f"{self.dir}/postern.conf", "w", encoding="ascii") as f:
            f.write(CONFIG.format(port=self.sink.port))
        self.postern("config", "apply")
        for name in ("user", "second"):
            pem = f"{os.path.dirname(self.dir)}/{name}.pem"
            subprocess.run([f"{BUILD}/bin/postern", "tlspubkey", "gen", name], cwd=os.path.dirname(self.dir),
                           stdout=subprocess.DEVNULL, check=True, timeout=60)
            with open(pem, "rb") as f:
                self.postern("tlspubkey", "add", "--preauth=yes", f"{name}@localhost", name, stdin=f.read())
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(f"{self.dir}/server.pem")
            context.load_cert_chain(pem)
            self.contexts[name] = context
        self.save()

    def save(self):
        """What is there now is what each test begins with."""
        shutil.rmtree(self.template, ignore_errors=True)
        subprocess.run(["cp", "-a", self.dir, self.template], check=True, timeout=60)

    def fresh(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        subprocess.run(["cp", "-a", self.template, self.dir], check=True, timeout=60)
        self.sink.messages.clear()
        with open(self.log, "wb"):
            pass

    def crash(self):
        """What a machine would lose with its power; nothing, when only processes die."""

    def clear(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def postern(self, *args, stdin=b""):
        return run(f"{BUILD}/bin/postern", "--instance", self.dir, *args, stdin=stdin)

    def queue_run(self, strace=(), later_s=0):
        """Starts a queue run. later_s: as if it were so many seconds later."""
        clock = ()
        if later_s:
            with open(f"{self.dir}/clock", "w", encoding="ascii") as f:
                f.write(str(int(time.time()) + later_s))
            clock = ("--clock", f"{self.dir}/clock")
        with open(self.log, "ab") as log:
            return subprocess.Popen([*strace, f"{BUILD}/bin/queue-runner", "--instance", self.dir, "--log=stderr",
                                     *clock], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)

    def finish_queue(self):
        """A clean run, when everything deferred is due. Afterwards the queue is empty."""
        process = self.queue_run(later_s=LATER_S)
        status = process.wait(PEER_S * 2)
        if status:
            raise Failure(f"a clean queue run ended with status {status}")
        listed = self.postern("queue", "list")
        if "@" in listed:
            raise Failure(f"the queue is not empty: {listed}")

    def read_log(self):
        with open(self.log, encoding="utf8", errors="replace") as f:
            return f.read()

    def check_files(self):
        """Nothing but what doc/states.md names."""
        for root, _, files in os.walk(self.dir):
            for name in files:
                path = os.path.relpath(os.path.join(root, name), self.dir)
                if path.startswith(("state/", "run/")) and not KNOWN_FILES.match(path):
                    raise Failure(f"unknown file {path}")

    def check_state(self):
        """{"mail user": {"unreferenced": 0, …}, "queue": {…}} as tests/tools/check_state says."""
        told = {}
        for line in run(f"{BUILD}/tools/check_state", f"{self.dir}/state").splitlines():
            what, _, rest = line.partition(": ")
            told[what] = {k: int(v) for k, v in (pair.split("=") for pair in rest.split())}
        return told

    def inbox(self, client):
        """The texts in a client's INBOX."""
        handler = Handler(self, "imap", client)
        try:
            imap = Imap(handler)
            imap.ok("SELECT INBOX")
            return [line for line in imap.ok("UID FETCH 1:* (UID BODY.PEEK[])")[1] if b"BODY[]" in line]
        except ConnectionError as e:
            raise Failure(f"no IMAP session: {self.read_log()[-500:]}") from e
        finally:
            handler.close()
            handler.process.wait(PEER_S)

    def dump(self, client="user"):
        """Everything a client sees in its mailboxes, and their UIDVALIDITYs."""
        handler = Handler(self, "imap", client)
        seen, validities = {}, {}
        try:
            imap = Imap(handler)
            subscribed = sorted(imap.ok('LSUB "" "*"')[1])
            for line in sorted(imap.ok('LIST "" "*"')[1]):
                name = line.rsplit(b" ", 1)[1].strip(b'"').decode()
                untagged = imap.ok(f'EXAMINE "{name}"')[1]
                head = b" ".join(untagged)
                validities[name] = int(re.search(rb"UIDVALIDITY (\d+)", head)[1])
                entry = [int(re.search(rb"UIDNEXT (\d+)", head)[1])]
                for m in imap.ok("UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])")[1]:
                    start, end = m.split(b"BODY[]", 1)
                    flags = sorted(set(re.search(rb"FLAGS \(([^)]*)\)", start)[1].split()) - {b"\\Recent"})
                    uid = int(re.search(rb"UID (\d+)", start)[1])
                    date = re.search(rb'INTERNALDATE "([^"]*)"', start)[1]
                    entry.append((uid, flags, date, hashlib.sha256(end).hexdigest()[:12]))
                seen[name] = entry
            seen["(subscribed)"] = subscribed
            imap.ok("LOGOUT")
        except ConnectionError as e:
            raise Failure(f"no IMAP session: {self.read_log()[-500:]}") from e
        finally:
            handler.close()
            handler.process.wait(PEER_S)
        return seen, validities

    def mount(self, *options):
        """Something of its own to hold the instance; gone with clear()."""
        os.makedirs(self.dir, exist_ok=True)
        run("mount", *options, self.dir)

    def hold_index(self, name):
        """Keeps everybody from mail/NAME/index.tdb until the answer is closed."""
        f = open(f"{self.dir}/state/mail/{name}/index.tdb", "r+b")
        fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return f


class LoopInstance(Instance):
    """On an ext4 of its own: crash() leaves only what had reached the disk."""

    def __init__(self, work, sink):
        self.image = f"{work}/image"
        self.mounted = False
        super().__init__(work, sink)

    def save(self):
        super().save()
        self.clear()
        run("truncate", "-s", "48M", f"{self.image}.base")
        run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", f"{self.image}.base")
        self.use(f"{self.image}.base")
        run("cp", "-a", f"{self.template}/.", self.dir)
        self.clear()

    def use(self, image):
        # no commit by time: what is not synced must not get there by luck
        self.mount("-o", "loop,commit=300", image)
        self.mounted = True

    def fresh(self):
        self.clear()
        run("cp", "--sparse=always", f"{self.image}.base", self.image)
        self.use(self.image)
        self.sink.messages.clear()
        with open(self.log, "wb"):
            pass

    def crash(self):
        run("cp", "--sparse=always", self.image, f"{self.image}.crashed")
        self.clear()
        self.use(f"{self.image}.crashed")

    def clear(self):
        if self.mounted:
            run("umount", self.dir)
            self.mounted = False
        shutil.rmtree(self.dir, ignore_errors=True)


class SmallInstance(Instance):
    """On a tmpfs that can be filled."""

    mounted = False

    def fresh(self):
        self.clear()
        self.mount("-t", "tmpfs", "-o", "size=16m,mode=700", "tmpfs")
        self.mounted = True
        run("cp", "-a", f"{self.template}/.", self.dir)
        self.sink.messages.clear()
        with open(self.log, "wb"):
            pass

    def clear(self):
        if self.mounted:
            run("umount", self.dir)
            self.mounted = False
        shutil.rmtree(self.dir, ignore_errors=True)

    def fill(self, left_bytes):
        with open(f"{self.dir}/fill", "wb", buffering=0) as f:
            try:
                while True:
                    f.write(bytes(4096))
            except OSError:
                pass
            f.truncate(max(f.seek(0, os.SEEK_END) - left_bytes, 0))

    def empty(self):
        os.unlink(f"{self.dir}/fill")
