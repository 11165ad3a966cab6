# SPDX-License-Identifier: LGPL-2.1-or-later
"""`./dev up`: keeps a World running until it is interrupted, and says how to talk to it. Only its mounts are private:
bus and simulator can be reached from any terminal of this machine."""

import os
import shlex
import signal
import sys

from stage import perform

FOREVER = 7 * 24 * 3600

GUIDE = """
Running; Ctrl-C stops it all. In another terminal, in this tree:

  As a test user (alice, bob, carol, musicd, weatherd, or root), inside the private mounts:
    ./dev as alice lwactl login --scopes profile
    ./dev as alice lwactl accounts
    ./dev as alice lwactl status
    ./dev as alice lwactl token profile

  As whoever you are, with any D-Bus program:
    export DBUS_SYSTEM_BUS_ADDRESS={address}
    busctl --system introspect org.lwabroker.Broker1 /org/lwabroker/Broker1
    gdbus call --system --dest org.lwabroker.Broker1 --object-path /org/lwabroker/Broker1 \\
        --method org.lwabroker.Broker1.CheckScopes "['profile']" "{{}}"
    dbus-send --system --print-reply --dest=org.lwabroker.Broker1 /org/lwabroker/Broker1 \\
        org.freedesktop.DBus.Properties.GetAll string:org.lwabroker.Broker1
    dbus-monitor --system          (as root)

  The simulated Amazon: https://localhost:{https}/ (its authority is {ca})
    curl http://127.0.0.1:{control}/state
    curl -d user_code=CODE -d customer=alice -d answer=allow http://127.0.0.1:{control}/approve
    curl http://127.0.0.1:{control}/expire-tokens -X POST

  To change: {conf}/broker.conf and grants.d/*.conf, then
    kill -HUP {broker}
  polkit rules: {rules}/*.rules (taken up at once). Logs: {logs}/
"""

GRANTS = """# What the apps of this playground may have; edit, then send the broker SIGHUP.
[user:alice]
allow = profile music::library:read

[user:musicd]
allow = music::library:read music::playback

[user:weatherd]
allow = postal_code
"""


def play(stage, tree):
    world = stage.world
    world.start("bus", "polkit", "sim")
    world.write_config()
    world.write_grants("playground", GRANTS)
    world.start("broker")
    note = os.path.join(world.src_dir, "build", "up.env")
    with open(note, "w", encoding="utf-8") as file:
        file.write(f"{os.getpid()}\n{world.bus_address}\n{world.src_dir}\n")
    # Seen from outside these lie where they lie inside, but for the tree.
    text = GUIDE.format(
        address=shlex.quote(world.bus_address),
        ca=world.ca_file,
        conf=world.path("conf"),
        rules=world.path("polkit/rules"),
        logs=world.path("log"),
        broker=world.broker.pid,
        **world.sim.ports(),
    )
    stage.narrator.write(f"{text}\n(the tree: {tree})")
    try:
        while all(part.alive() for part in world.parts.values()):
            signal.sigtimedwait([signal.SIGCHLD], 1)
        stage.narrator.bad("a part has ended by itself")
        stage.narrator.show(world.logs())
    finally:
        os.unlink(note)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    sys.exit(perform(lambda stage: play(stage, sys.argv[1]), FOREVER))
