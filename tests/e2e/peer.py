"""One handler on one loopback connection, as inetd starts it, and a client to talk to it."""
import base64
import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import tempfile
import time

BUILD = os.environ["BUILD"]
INSTANCE = os.environ["INSTANCE"]
KEYS = os.environ["KEYS"]
TIMEOUT_S = 60


class Peer:
    """`with Peer("imap", "--implicit-tls", key="yes") as c:`"""

    def __init__(self, *arguments, key=None, tls=True, program="tools/fake_handler", env=None,
                 tls12=False, receive_buffer=None, source=None, mapped=False):
        # mapped: an IPv6 socket that takes IPv4 clients too, as systemd's do
        listener = socket.socket(socket.AF_INET6 if mapped else socket.AF_INET)
        if mapped:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(("::" if mapped else "127.0.0.1", 0))
        listener.listen(1)
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(TIMEOUT_S)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect(("127.0.0.1", listener.getsockname()[1]))
        connection, _ = listener.accept()
        listener.close()
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [f"{BUILD}/{program}", *arguments, "--instance", INSTANCE, "--log=stderr"],
            stdin=connection, stdout=connection, stderr=self.log,
            env={**os.environ, **(env or {})})
        connection.close()
        self.key = key
        self.tls12 = tls12
        self.buffer = b""
        if tls and "--implicit-tls" in arguments:
            self.start_tls()

    def context(self):
        context = ssl.create_default_context(cafile=f"{INSTANCE}/server.pem")
        if self.tls12:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        if self.key:
            context.load_cert_chain(f"{KEYS}/{self.key}.pem")
        return context

    def start_tls(self):
        self.socket = self.context().wrap_socket(self.socket, server_hostname="localhost")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()
        try:
            self.status = self.process.wait(TIMEOUT_S)
        finally:
            self.process.kill()
        self.log.seek(0)
        report = re.search(rb"(Address|Leak)Sanitizer|runtime error:.*", self.log.read())
        assert not report, report[0]

    def send(self, text):
        self.socket.sendall(text.encode() if isinstance(text, str) else text)

    def line(self):
        while b"\n" not in self.buffer:
            more = self.socket.recv(65536)
            if not more:
                break
            self.buffer += more
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def ask(self, text):
        self.send(text + "\r\n")
        return self.line()

    def expect(self, text, *words):
        """Sends a line (None: nothing), reads one that holds all the words."""
        got = self.ask(text) if text is not None else self.line()
        for word in words:
            assert word in got, f"sent {text!r}, wanted {word!r}, got {got!r}"
        return got

    def reply(self, text, code):
        """Sends a line, reads a whole SMTP reply of that code."""
        lines = [self.ask(text) if text is not None else self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        assert lines[-1].startswith(code), f"sent {text!r}, wanted {code}, got {lines!r}"
        return "\n".join(lines)

    def at_end(self):
        """Is the connection closed (in order)?"""
        assert self.line() == "", "the connection goes on"

    def terminate(self, both=True):
        """SIGTERM to the gate, or to gate and session as systemd does."""
        for pid in [*(self.children() if both else []), self.process.pid]:
            os.kill(pid, signal.SIGTERM)

    def at_sleep(self):
        """Waits until the gate waits for us: it has its cage and has begun the handshake."""
        end = time.monotonic() + TIMEOUT_S
        while True:
            with open(f"/proc/{self.process.pid}/wchan", encoding="ascii") as f:
                if "poll" in f.read():
                    return
            assert time.monotonic() < end, "the gate does not wait"
            time.sleep(0.02)

    def logged(self):
        """What the handler has written to stderr, once it is gone."""
        self.process.wait(TIMEOUT_S)
        self.log.seek(0)
        return self.log.read().decode()

    def children(self):
        """The session's pid, in a list, while it runs."""
        def runs(pid):
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                    return f.read().split()[2] != "Z"
            except OSError:
                return False
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children",
                  encoding="ascii") as f:
            return [int(pid) for pid in f.read().split() if runs(pid)]

    def resident_kib(self):
        """Resident memory of gate and session; what they share is counted twice."""
        total = 0
        for pid in [self.process.pid, *self.children()]:
            with open(f"/proc/{pid}/statm", encoding="ascii") as f:
                total += int(f.read().split()[1]) * resource.getpagesize() // 1024
        return total


def b64(data):
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def plain(user, password):
    return b64(f"\0{user}\0{password}")
