# SPDX-License-Identifier: LGPL-2.1-or-later
"""The broker of a World as its units start it: a sandbox each for lwa-brokerd and lwa-identd (as_unit.py), and what
systemd does for a socket that accepts.

    units = Units(world)                # from the next start of world.broker on
    ...
    units.close()                       # and as before

With LWA_AS_UNITS in its environment every World does this: `LWA_AS_UNITS=1 ./dev test tests/integration/test_x.py`.
"""

import os
import pwd
import socket
import subprocess
import threading

RUNNER = "tests/harness/as_unit.py"


class Units:
    def __init__(self, world, folder=None):
        self.world = world
        self.folder = folder or world.program("dbus")
        self.helpers = []
        self.path = world.path("identd.socket")
        self.listener = self.listen()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        world.wrap_broker = self.wrap

    def listen(self):
        """As lwa-identd.socket has it."""
        if os.path.exists(self.path):
            os.unlink(self.path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(self.path)
        entry = pwd.getpwnam("lwa-broker")
        os.chown(self.path, entry.pw_uid, entry.pw_gid)
        os.chmod(self.path, 0o600)
        listener.listen()
        return listener

    def serve(self):
        """One helper for each connection, which is its standard input, until the listener is shut."""
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, open(self.world.path("log/lwa-identd.log"), "ab") as log:
                argv = self.argv("lwa-identd@.service", [self.world.program("lwa-identd")])
                self.helpers.append(subprocess.Popen(argv, stdin=connection, stdout=subprocess.DEVNULL, stderr=log))

    def argv(self, unit, command):
        runner = os.path.join(self.world.src_dir, RUNNER)
        return [runner, os.path.join(self.folder, unit), "--keep", self.world.run_dir, "--", *command]

    def wrap(self, command):
        where = command.index("--identd") + 1
        return self.argv("lwa-brokerd.service", [*command[:where], self.path, *command[where + 1 :]])

    def helper(self):
        """The one that serves now."""
        return next(helper for helper in reversed(self.helpers) if helper.poll() is None)

    def close(self):
        self.world.wrap_broker = list
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()
        for helper in self.helpers:
            if helper.poll() is None:
                helper.kill()
            helper.wait()
