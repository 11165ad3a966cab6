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
Running; Ctrl-C stops it all. In other terminals, in {tree}:

  Link the device, as alice:
    ./dev as alice lwactl login --device music::library:read
  It shows an address and a code, and waits. Type the code there, in a browser (it warns of the certificate,
  whose authority is {ca}),
  or let the simulator's control port do it, with the code in place of CODE:
    curl -d user_code=CODE -d customer=alice -d answer=allow http://127.0.0.1:{control}/approve

  Then:
    ./dev as musicd lwactl token --header music::library:read |
        curl -sS --cacert {ca} -H @- https://localhost:{https}/v1/me/playlists
    ./dev as musicd lwactl check music::library:read music::playback
    ./dev as weatherd lwactl token music::library:read          (refused)
    ./dev as alice lwactl accounts
    ./dev as alice lwactl status
    ./dev as root lwactl audit                      (also: matrix, who-has SCOPE, app user:musicd, verify)
    ./dev as musicd lwactl token music::library:read | ./dev as root lwactl audit token
    ./dev as root lwactl explain user:weatherd music::library:read
    ./dev as root lwactl plan --device

  The other ways to log in; the browser shows the simulator's page, and no page at https://app.example:
    ./dev as alice lwactl login --browser --port 8123 music::library:read       (a browser of alice's or root's)
    ./dev as alice lwactl login --redirect-uri https://app.example/cb music::library:read
    ./dev as alice lwactl login --import music::library:read
  The last asks for a refresh token. This makes one; paste what stands in its quotes after "refresh_token":
    curl -d customer=alice -d scope=music::library:read http://127.0.0.1:{control}/mint

  The users are alice, bob, carol, musicd, weatherd and root. Programs that call the simulator want its authority:
    ./dev as musicd env SSL_CERT_FILE={ca} python3

  With any D-Bus program, as whoever you are:
    export DBUS_SYSTEM_BUS_ADDRESS={address}
    busctl --system introspect org.lwabroker.Broker1 /org/lwabroker/Broker1
    gdbus call --system --dest org.lwabroker.Broker1 --object-path /org/lwabroker/Broker1 \\
        --method org.lwabroker.Broker1.CheckScopes "['music::library:read']" "{{}}"
    dbus-send --system --print-reply --dest=org.lwabroker.Broker1 /org/lwabroker/Broker1 \\
        org.freedesktop.DBus.Properties.GetAll string:org.lwabroker.Broker1
    dbus-monitor --system          (as root)

  The simulated Amazon, beyond its pages:
    curl http://127.0.0.1:{control}/state
    curl -X POST http://127.0.0.1:{control}/expire-tokens
    curl -d token_lifetime=20 http://127.0.0.1:{control}/set
  It can be unwell (kind: reset, hang-before, http-429, html-502, ...; count=0: until the second line):
    curl -d endpoint=any -d kind=reset -d count=0 http://127.0.0.1:{control}/fault
    curl -X POST http://127.0.0.1:{control}/clear-faults

  To change: {conf}/broker.conf and grants.d/*.conf, then
    ./dev as root lwactl policy check
    ./dev as root lwactl reload
  polkit rules: {rules}/*.rules (taken up at once). Logs: {logs}/
"""

GRANTS = """# What the apps of this playground may have; edit, then: ./dev as root lwactl reload
[user:alice]
allow = profile music::library:read

[user:musicd]
allow = music::library:read music::playback

[user:weatherd]
allow = postal_code
deny = music::library:read
"""

RULE = """// Nobody has a session or a polkit agent here: people may do what would ask for a password, apps may not.
polkit.addRule(function (action, subject) {
    var asking = ["org.lwabroker.login", "org.lwabroker.accounts.manage", "org.lwabroker.audit.read-own"];
    if (asking.indexOf(action.id) >= 0 && ["alice", "bob", "carol"].indexOf(subject.user) >= 0)
        return polkit.Result.YES;
});
"""


def play(stage, tree):
    world = stage.world
    world.start("bus", "polkit", "sim")
    world.sim.set(interval=2)
    world.write_config()
    world.write_grants("playground", GRANTS)
    world.write_rule("10-playground", RULE)
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
        tree=tree,
        **world.sim.ports(),
    )
    stage.narrator.write(text)
    try:
        while all(part.alive() for part in world.parts.values()):
            signal.sigtimedwait([signal.SIGCHLD], 1)
        ended = [part.name for part in world.parts.values() if not part.alive()]
        stage.narrator.bad(f"{', '.join(ended)} ended by itself, so all of it ends")
        stage.narrator.show(world.logs())
    finally:
        os.unlink(note)


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    sys.exit(perform(lambda stage: play(stage, sys.argv[1]), FOREVER))
