# SPDX-License-Identifier: LGPL-2.1-or-later
"""build/lwa-client-app (tests/library/app.c): an app on liblwa-client that does what a test says.

    app = ClientApp(world, "alice")
    token = app.get(LIBRARY)                    a Got: id, expires_in, account, scopes
    app.command("report")                       any line of it; its answer
    app.loop(200)                               dispatches for 200 ms; what came meanwhile, as lines
"""

import os
import select

from world import WorldError


class Got:
    def __init__(self, line):
        words = line.split(" ")
        assert words[0] == "token", line
        self.id, self.expires_in, self.account = words[1], int(words[2]), words[3]
        self.scopes = words[4:]


class ClientApp:
    def __init__(self, world, user, *wrapper, **options):
        self.world = world
        self.process = world.spawn_as(user, [*wrapper, world.program("lwa-client-app")], stdin=-1, text=False, **options)

    def read_line(self, timeout=30):
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([self.process.stdout], [], [], timeout * self.world.slowness)[0]:
                raise WorldError(f"lwa-client-app says nothing more than {line}")
            byte = os.read(self.process.stdout.fileno(), 1)
            if not byte:
                raise WorldError(f"lwa-client-app has ended: {self.process.stderr.read()}")
            line += byte
        return line[:-1].decode()

    def send(self, *words):
        line = "\t".join("-" if word is None else str(word) for word in words)
        os.write(self.process.stdin.fileno(), f"{line}\n".encode())

    def command(self, *words):
        self.send(*words)
        return self.read_line()

    def try_get(self, scope, account=None, min_valid=0):
        return self.command("get", scope, account, min_valid)

    def get(self, scope, account=None, min_valid=0):
        return Got(self.try_get(scope, account, min_valid))

    def start(self, tag, scope, account=None, min_valid=0):
        assert self.command("start", tag, scope, account, min_valid) == "started"

    def loop(self, msec):
        self.send("loop", msec)
        lines = []
        while (line := self.read_line()) != "looped":
            lines.append(line)
        return lines

    def loop_until(self, start, msec=50, times=400):
        """Dispatches until a line that begins so has come; that line."""
        for _ in range(times * self.world.slowness):
            for line in self.loop(msec):
                if line.startswith(start):
                    return line
        raise WorldError(f"there came no line `{start}...`")

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(30 * self.world.slowness) == 0
