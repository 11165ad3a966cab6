# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bus clients whose process is in a sandbox, or somewhere else where it is not plain who it is.

    player = flatpak(world, "alice", "org.example.Player")              # a Client, in a sandbox like Flatpak's
    player = flatpak(world, "alice", "org.example.Player", proxied=True)    # through a real xdg-dbus-proxy
    stranger = boxed(world, "alice")                                    # in a sandbox that nothing names
    roamer = roaming(world, "alice")                                    # roamer.app.enter(path): another root
    end_process(client)                                                 # and the connection lives on

As for every Client, the process itself connects and authenticates, and the conversation is then held by the test. All
are closed with the world at the latest.
"""

import os
import pwd
import socket
import subprocess
import tempfile

from client import App, Client
from sandbox import PYTHON, ROAMING, Bubblewrap, flatpak_info
from world import NAME, WorldError, wait_until

SERVE = """
import socket, sys
from jeepney.io.blocking import prep_socket

def serve(fd, path, others={}):
    sock = socket.socket(fileno=fd)
    sock.send(b"ready")
    while True:
        word, _, value = sock.recv(4096).decode().partition(" ")
        if not word:
            return
        try:
            if word == "connect":
                bus = prep_socket(path, enable_fds=True, timeout=10)
                socket.send_fds(sock, [b"ok"], [bus.fileno()])
                bus.close()
            else:
                others[word](value)
                sock.send(b"ok")
        except Exception as error:
            sock.send(f"{type(error).__name__}: {error}".encode()[:4000])
"""
BOXED = SERVE + "serve(int(sys.argv[1]), sys.argv[2])"

# What it needs of its old root it has open or in memory by the time that it has another.
ROAM = (
    SERVE
    + ROAMING
    + """
import encodings.idna
roam_as(int(sys.argv[3]))
serve(int(sys.argv[1]), sys.argv[2], {"enter": enter})
"""
)


class BoxedApp(App):
    """client.App, in a sandbox."""

    def __init__(self, world, user, mark, options, bus_path):
        self.user = user
        self.boxes = []
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [PYTHON, "-c", BOXED, str(theirs.fileno()), bus_path]
        where = ["--bind", bus_path, bus_path]
        try:
            self.boxes.append(Bubblewrap(world, user, command, mark, [*where, *options], fds=[theirs.fileno()]))
        finally:
            theirs.close()
        self.pid = self.boxes[0].pid
        await_ready(world, self.sock)

    def close(self):
        self.sock.close()
        while self.boxes:
            self.boxes.pop().__exit__()


class RoamingApp(App):
    def __init__(self, world, user):
        self.user = user
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = [PYTHON, "-c", ROAM, theirs.fileno(), world.bus_path, pwd.getpwnam(user).pw_uid]
        self.process = world.spawn_as("root", argv, pass_fds=[theirs.fileno()], stderr=None)
        theirs.close()
        self.pid = self.process.pid
        await_ready(world, self.sock)

    def enter(self, path):
        """Has this root from now on; "." is the world's own."""
        self.sock.send(f"enter {path}".encode())
        answer = self.sock.recv(4096)
        if answer != b"ok":
            raise WorldError(f"the roaming process said {answer!r}")

    def close(self):
        self.sock.close()
        self.process.kill()
        self.process.wait()


def await_ready(world, sock):
    sock.settimeout(20 * world.slowness)
    if sock.recv(4096) != b"ready":
        raise WorldError("the process of a client ended")


def adopt(world, client):
    """The world closes it, and its process with it."""
    client.owns_app = True
    world.clients.append(client)
    return client


def boxed(world, user, mark=None, options=(), bus_path=None):
    path = bus_path or world.bus_path
    app = BoxedApp(world, user, mark, options, path)
    try:
        return adopt(world, Client(user, path, app))
    except BaseException:
        app.close()
        raise


def flatpak(world, user, app_id, proxied=False, mark=None):
    mark = mark or flatpak_info(app_id)
    if not proxied:
        return boxed(world, user, mark)
    folder = tempfile.mkdtemp(dir=world.run_dir)
    os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    path = os.path.join(folder, "bus")
    # As Flatpak does it: the proxy runs in a sandbox of its own, which has the same mark.
    command = ["/usr/bin/xdg-dbus-proxy", world.bus_address, path, "--filter", f"--talk={NAME}"]
    where = ["--bind", world.bus_path, world.bus_path, "--bind", folder, folder]
    proxy = Bubblewrap(world, user, command, mark, where)
    try:
        wait_until(lambda: os.path.exists(path), 10 * world.slowness, "xdg-dbus-proxy to listen")
        client = boxed(world, user, mark, bus_path=path)
    except BaseException:
        proxy.__exit__()
        raise
    client.app.boxes.append(proxy)
    return client


def roaming(world, user):
    app = RoamingApp(world, user)
    return adopt(world, Client(user, world.bus_path, app))


def end_process(client):
    """The connection lives on after its process; `client.pid` stays."""
    client.app.close()


def run_with_pid(pid, argv, **options):
    """Starts a program that gets this free process number, in the world's own process namespace."""
    for _ in range(1000):
        with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as file:
            file.write(str(pid - 1))
        process = subprocess.Popen(argv, **options)
        if process.pid == pid:
            return process
        process.kill()
        process.wait()
    raise WorldError(f"the process number {pid} cannot be had")
