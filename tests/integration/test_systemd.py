# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the service manager is told, and the broker under the settings of its units: where no systemd runs, a socket and
tests/harness/as_unit.py take its place."""

import os
import re
import signal
import socket
import struct
import subprocess
import time

import pytest

from boxed import flatpak
from client import DBusError
from collector import JOURNAL, Collector, folders
from logins import LIBRARY, link, settle, take
from units import Units
from world import WorldError, wait_until

SO_TIMESTAMPNS = 35  # by the kernel, however late it is heard
INTERVAL = 0.2  # seconds between two messages of the watchdog


class Manager:
    """Where NOTIFY_SOCKET leads to."""

    def __init__(self, world, name=None):
        self.world = world
        path = world.path("notify")
        if os.path.exists(path):
            os.unlink(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.name = name or path
        self.socket.bind(self.name.replace("@", "\0"))
        if not name:
            os.chmod(path, 0o666)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.heard = []  # (when it was sent, message)

    def environment(self, **more):
        return {"NOTIFY_SOCKET": self.name, "WATCHDOG_USEC": int(2e6 * INTERVAL), **more}

    def hear(self):
        self.socket.setblocking(False)
        try:
            while True:
                message, ((_, _, stamp),), _, _ = self.socket.recvmsg(4096, 64)
                sec, nsec = struct.unpack("ll", stamp)
                self.heard.append((sec + nsec / 1e9, message.decode()))
        except BlockingIOError:
            return [message for _, message in self.heard]

    def await_message(self, pattern, after=0):
        """The first that fits, of those from number `after` on."""

        def found():
            return next((m for m in self.hear()[after:] if re.search(pattern, m)), None)

        return wait_until(found, 20 * self.world.slowness, f"a message {pattern}")

    def count(self):
        return self.hear().count("WATCHDOG=1")


@pytest.fixture
def manager(world):
    world.broker.stop()
    manager = Manager(world)
    world.broker.start(env=manager.environment())
    yield manager
    manager.socket.close()


def test_ready_comes_with_the_name(world):
    """Not before it: whoever waits for the unit can call. The first message of all, and with a line for people."""
    world.broker.stop()
    manager = Manager(world)
    other = world.client("lwa-broker")
    assert other.bus("RequestName", "su", ("org.lwabroker.Broker1", 4)) == 1
    with pytest.raises(WorldError, match="another broker owns"):
        world.broker.start(env=manager.environment())
        world.broker.wait_end()
        world.broker.check_alive()
        raise WorldError(world.broker.log_tail())
    assert manager.hear() == []
    other.close()
    world.broker.start(env=manager.environment())
    assert manager.await_message("").startswith("READY=1\nSTATUS=Serving, with 0 sections in grants.d")
    manager.socket.close()


def test_abstract_socket(world):
    world.broker.stop()
    manager = Manager(world, name=f"@lwa-notify-{os.getpid()}")
    world.broker.start(env=manager.environment())
    assert manager.await_message("").startswith("READY=1\n")
    manager.socket.close()


def test_reload_is_told(world, manager):
    """RELOADING with the time of it, then READY with what is in force; also when it was asked for on the bus, and when
    the files are wrong."""
    manager.await_message("READY")
    for reload in (world.reload, lambda: world.root().call("org.lwabroker.Policy1", "Reload")):
        before = len(manager.hear())
        asked = time.clock_gettime(time.CLOCK_MONOTONIC)
        reload()
        manager.await_message("READY=1", before)
        told = [m for m in manager.hear()[before:] if m != "WATCHDOG=1"]
        usec = re.match(r"RELOADING=1\nMONOTONIC_USEC=(\d+)\nSTATUS=", told[0])[1]
        assert asked <= int(usec) / 1e6 <= time.clock_gettime(time.CLOCK_MONOTONIC)
        assert [m.split("\n")[0] for m in told] == ["RELOADING=1", "READY=1"]
    world.write("conf/broker.conf", "[provider]\nclient_ip = x\n")
    before = len(manager.hear())
    world.broker.signal(signal.SIGHUP)
    assert "the configuration is the one before" in manager.await_message("READY=1", before)


def test_stopping_is_told(world, manager):
    manager.await_message("READY")
    world.broker.stop()
    told = [m for m in manager.hear() if m != "WATCHDOG=1"]
    assert [m.split("\n")[0] for m in told] == ["READY=1", "STOPPING=1"] and "\nSTATUS=" in told[-1]
    world.broker.start()


def test_watchdog_comes_from_the_loop(world, manager):
    """At half of the time that systemd allows, while the loop runs; not while it stands still."""
    wait_until(lambda: manager.count() >= 11, 60 * world.slowness, "the watchdog's messages")
    times = [when for when, message in manager.heard if message == "WATCHDOG=1"]
    # A busy machine can make one late, and the next ones no earlier than they are due.
    assert times[10] - times[0] > 10 * INTERVAL * 0.8
    world.broker.pause()
    manager.hear()
    before = manager.count()
    time.sleep(5 * INTERVAL)
    assert manager.count() == before
    world.broker.cont()
    wait_until(lambda: manager.count() > before, 20 * world.slowness, "the watchdog after the pause")


def test_watchdog_only_where_it_is_wanted(world):
    """Not without WATCHDOG_USEC, nor when it was meant for another process."""
    for more in ({"WATCHDOG_USEC": ""}, {"WATCHDOG_PID": 1}):
        world.broker.stop()
        manager = Manager(world)
        world.broker.start(env=manager.environment(**more))
        manager.await_message("READY")
        time.sleep(3 * INTERVAL)
        assert manager.count() == 0
        manager.socket.close()


def test_a_name_that_is_no_socket(world):
    world.broker.stop()
    with pytest.raises(WorldError, match="NOTIFY_SOCKET names no socket"):
        world.broker.start(env={"NOTIFY_SOCKET": "vsock:2:1"})
    world.broker.start()


# --- under the settings of the units ---


@pytest.fixture
def units(world):
    world.broker.stop()
    units = Units(world)
    world.broker.start()
    yield units
    world.broker.stop()
    units.close()
    world.broker.start()


def status(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def test_broker_lives_in_its_unit(world, units):
    """What it does in life, under all settings: any call or file that they take away would end it here."""
    settle(world)
    link(world, "alice", [LIBRARY])
    alice = world.client("alice")
    token, _ = take(alice)
    assert token
    # The helper looks into a sandbox of another user's; the name service answers; apps are told from each other.
    world.write_grants("player", f"[flatpak:org.example.Player]\nuser = alice\nallow = {LIBRARY}\n")
    world.reload()
    assert take(flatpak(world, "alice", "org.example.Player"))[0] == token
    with pytest.raises(DBusError, match="flatpak:org.example.Game"):
        take(flatpak(world, "alice", "org.example.Game"))
    # Keys and the trail: files are made, renamed, removed.
    assert world.run_as("root", ["lwactl", "rekey"]).returncode == 0
    assert world.run_as("root", ["lwactl", "audit", "verify"]).returncode == 0
    world.sim.expire_tokens()
    assert world.broker.alive()


@pytest.fixture
def hosts(world):
    """A name with two addresses, which the C library puts in order."""
    names = world.write("hosts", "127.0.0.1 localhost amazon.test\n::1 localhost amazon.test\n")
    subprocess.run(["mount", "--bind", names, "/etc/hosts"], check=True)
    yield
    subprocess.run(["umount", "-l", "/etc/hosts"], check=True)


def test_broker_in_its_unit_looks_up_names(world, hosts, units):
    """As in life, where Amazon is not localhost, which curl knows by itself."""
    settle(world)
    world.write_config(provider={"codepair_endpoint": f"https://amazon.test:{world.sim.https}/auth/o2/create/codepair"})
    world.reload()
    done = world.run_as("alice", ["lwactl", "login", LIBRARY], timeout=60)
    assert done.returncode != 0 and "lwactl:" in done.stderr
    assert world.broker.alive() and world.run_as("alice", ["lwactl", "status"]).returncode == 0


def test_broker_in_its_unit_reaches_the_journal(world):
    """Where the trail is sent on to, in spite of a /dev, a tree and users of its own."""
    world.broker.stop()
    with folders(), Collector(JOURNAL) as journal:
        units = Units(world)
        world.broker.start()
        settle(world)
        link(world, "alice", [LIBRARY])
        wait_until(lambda: journal.records("grant-added"), 20 * world.slowness, "a record in the journal")
        world.broker.stop()
        units.close()
    world.broker.start()


def test_broker_in_its_unit_has_no_capability(world, units):
    """From its very start, and in a user namespace where there is nobody but root and itself."""
    found = status(world.broker.pid)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(found[name], 16) == 0, name
    assert os.stat(f"/proc/{world.broker.pid}/ns/user").st_ino != os.stat("/proc/self/ns/user").st_ino
    helper = status(units.helper().pid)
    assert int(helper["CapBnd"], 16) == int(helper["CapEff"], 16) == 1 << 19 | 1 << 2
    assert helper["Uid"].split()[0] != found["Uid"].split()[0]
    assert os.stat(f"/proc/{units.helper().pid}/ns/net").st_ino != os.stat("/proc/self/ns/net").st_ino


def test_helper_ends_with_the_connection(world, units):
    """Each run of the daemon has one of its own; when it ends, the daemon does, to be started again."""
    first = units.helper()
    world.broker.restart()
    assert first.wait(10 * world.slowness) == 0
    units.helper().kill()
    assert world.broker.wait_end() == 1
    assert "lwa-identd has ended" in world.broker.log()
    world.broker.start()


def test_socket_without_a_helper(world):
    """Nobody accepts: it says what it waits for, and does not start."""
    world.broker.stop()
    units = Units(world)
    units.listener.shutdown(socket.SHUT_RDWR)
    with pytest.raises(WorldError, match="lwa-identd does not answer on .*identd.socket"):
        world.broker.start(timeout=60)
    world.broker.kill9()
    units.close()
    world.broker.start()
