#!/usr/bin/env python3
"""Runs a command on a terminal of its own, as a shell with job control would.

usage: on_terminal.py [EXPECT SEND]... -- COMMAND...

Waits until the command has written EXPECT, then types SEND (with \\n and \\xNN), and so on. What the
terminal showed goes to standard output, with a line for each time the command stopped, after which it
is continued, and one for its end; both say whether the terminal then echoes. Exits as a shell does:
128 + N for signal N.
"""
import fcntl
import os
import pty
import select
import signal
import sys
import termios
import time

LIMIT_S = 30


def echoes(fd):
    return "echo" if termios.tcgetattr(fd)[3] & termios.ECHO else "no echo"


def spawn(slave, command):
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(slave, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        for fd in range(3):
            os.dup2(slave, fd)
        os.execvp(command[0], command)
    return pid


class Terminal:
    def __init__(self, steps, command):
        self.steps = steps
        self.master, self.slave = pty.openpty()
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # not to be stopped by setting the terminal
        os.setsid()
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
        self.pid = spawn(self.slave, command)
        self.shown, self.seen = b"", 0

    def read(self, timeout_s):
        while select.select([self.master], [], [], timeout_s)[0]:
            self.shown += os.read(self.master, 4096)
            timeout_s = 0
        if self.steps:
            expect, send = self.steps[0]
            at = self.shown.find(expect, self.seen)
            if at >= 0:
                self.seen = at + len(expect)
                self.steps.pop(0)
                os.write(self.master, send)

    def run(self):
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid == 0:
                continue
            self.read(0.05)
            state = echoes(self.slave)
            if not os.WIFSTOPPED(status):
                self.shown += f"[ended: {state}]\n".encode()
                return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            self.shown += f"[stopped: {state}]\n".encode()
            self.seen = len(self.shown)
            os.tcsetpgrp(self.slave, self.pid)
            os.killpg(self.pid, signal.SIGCONT)
        os.killpg(self.pid, signal.SIGKILL)
        self.shown += b"[took too long]\n"
        return 124


def main():
    at = sys.argv.index("--")
    words = [w.encode().decode("unicode_escape").encode("latin-1") for w in sys.argv[1:at]]
    pid = os.fork()  # a leader of a process group could not begin a session
    if pid:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    terminal = Terminal(list(zip(words[::2], words[1::2])), sys.argv[at + 1:])
    status = terminal.run()
    sys.stdout.buffer.write(terminal.shown)
    sys.stdout.flush()
    os._exit(status)


main()
