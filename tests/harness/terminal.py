# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program of a test user on a terminal of its own, with a size and a keyboard.

    with Terminal(world, "alice", ["lwactl", "login", "profile"]) as terminal:
        found = terminal.wait_for(r"Code: (\\S+)")
        terminal.type("\\x03")
        status = terminal.wait_end()
        terminal.text                        # all it wrote, escape sequences included
"""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from world import WorldError

# Sequences that colour, move or erase.
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    def __init__(self, world, user, argv, *, columns=80, rows=40, kind="xterm", env=None):
        self.world = world
        self.text = ""
        self.fd, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.chmod(os.ttyname(slave), 0o666)

        def take_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            world.argv_as(user, argv),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=world.environment(**{"TERM": kind, "LC_ALL": "C.UTF-8", **(env or {})}),
            cwd="/",
            preexec_fn=take_terminal,
        )
        os.close(slave)
        world.children.append(self.process)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.fd)

    def read(self, timeout):
        """False at the end: nobody has the other side open any more."""
        if not select.select([self.fd], [], [], max(timeout, 0))[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.text += data.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(data)

    def wait_for(self, pattern, timeout=20):
        deadline = time.monotonic() + timeout * self.world.slowness
        while True:
            found = re.search(pattern, self.plain())
            if found:
                return found
            if time.monotonic() > deadline or not self.read(deadline - time.monotonic()):
                raise WorldError(f"no {pattern!r} on the terminal, but:\n{self.text}")

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def wait_end(self, timeout=20):
        """Its exit status, once all it wrote has been read."""
        deadline = time.monotonic() + timeout * self.world.slowness
        while self.read(deadline - time.monotonic()):
            if time.monotonic() > deadline:
                raise WorldError(f"it did not end, but wrote:\n{self.text}")
        return self.process.wait(timeout * self.world.slowness)

    def plain(self):
        return ESCAPES.sub("", self.text)
