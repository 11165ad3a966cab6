# SPDX-License-Identifier: LGPL-2.1-or-later
"""A program on liblwa-client, driven from a test: tests/library/driver.h has its lines.

    app = Driver(world, "alice")                makes the handle
    app.ask("check profile")                    "0 -": the answer to a line
    app.tell("start 1 profile"); app.expect("started 1 0"); app.expect("done 1 0 -")
    app.quit()                                  it ends well, and has written nothing else
"""

import os
import select
import subprocess
import time


class Driver:
    def __init__(self, world, user="alice", prefix=(), make=True, env=None):
        self.world = world
        self.lines = []
        self.rest = b""
        argv = [*prefix, world.program("lwa-client-driver")]
        self.process = world.spawn_as(user, argv, stdin=subprocess.PIPE, text=False, bufsize=0, env=env)
        if make:
            self.tell("new")
            self.expect("new 0")

    def tell(self, *lines):
        for line in lines:
            self.process.stdin.write(line.encode() + b"\n")

    def read(self, timeout=30):
        """The next line."""
        deadline = time.monotonic() + timeout * self.world.slowness
        while b"\n" not in self.rest:
            left = max(deadline - time.monotonic(), 0)
            ready = select.select([self.process.stdout], [], [], left)[0]
            chunk = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert chunk, f"nothing more from the driver (ended: {self.process.poll()}), {self.lines[-5:]}"
            self.rest += chunk
        line, self.rest = self.rest.split(b"\n", 1)
        self.lines.append(line.decode())
        return self.lines[-1]

    def expect(self, *lines):
        for line in lines:
            assert self.read() == line, self.lines

    def ask(self, line):
        """The rest of the answer, which starts with the same word."""
        self.tell(line)
        word = line.split(" ")[0]
        answer = self.read()
        assert answer.split(" ")[0] == word, (line, self.lines)
        return answer[len(word) + 1 :]

    def skip_changed(self, line):
        """The answer, whatever has changed meanwhile."""
        self.tell(line)
        while True:
            found = self.read()
            if found != "changed":
                return found

    def next_but_short(self):
        """The next line that does not say that memory was out in a dispatch."""
        while True:
            line = self.read()
            if line != "dispatch -12":
                return line

    def skip_short(self, line):
        self.tell(line)
        return self.next_but_short()

    def wait_for(self, line):
        """Takes lines until this one."""
        while self.read() != line:
            pass

    def quiet(self, seconds):
        """Whether it says nothing for so long."""
        return not self.rest and not select.select([self.process.stdout], [], [], seconds)[0]

    def wait_readable(self):
        """Until the handle's descriptor is; the loop has to be paused."""
        while not self.ask("wait").startswith("1 "):
            time.sleep(0.01)

    def settle(self):
        """Until the handle has nothing more to do, whatever has changed meanwhile."""
        while self.skip_changed("wait") != "wait 0 -1":
            time.sleep(0.01)

    def processes(self):
        fds, not_cloexec, threads, sigpipe = map(int, self.ask("process").split(" "))
        return {"fds": fds, "not_cloexec": not_cloexec, "threads": threads, "sigpipe": sigpipe}

    def end(self):
        """Whatever has become of it."""
        self.process.kill()
        self.process.wait()

    def quit(self):
        self.tell("quit")
        out, err = self.process.communicate(timeout=20 * self.world.slowness)
        assert (self.process.returncode, self.rest + out, err) == (0, b"", b"")
