# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a system does to a running broker: descriptors run out, the bus goes, callers leave in the middle, crowds stay
silent, nobody reads the log, the clock is wrong. polkit's part is in test_polkit.py, sleep in test_clock.py (a time
namespace cannot be changed under a running process, so the clocks there and here are those of tests/shim).

Each shows the named error, that others are still served, and that the login survives.
"""

import fcntl
import os
import signal
import subprocess
import time

import pytest

from logins import (
    AUDIT,
    LIBRARY,
    LOGIN,
    Login,
    accounts,
    counter,
    grants,
    link,
    link_device,
    refreshes,
    settle,
    status,
    store_held,
    take,
    trail,
)
from shim import Shim
from world import NAME, NO_RATES, Client, DBusError, wait_until

GET_TOKEN = (NAME, "GetToken", "asa{sv}", ([LIBRARY], {}))
BEGIN = (LOGIN, "Begin", "sasa{sv}", ("device-code", [LIBRARY], {}))
YEAR = 365 * 86400


@pytest.fixture
def linked(world):
    """alice and the device are linked; the provider rotates, and the old token ends with that."""
    settle(world, rotation="new", rotation_kills_old="yes")
    link(world, "alice", [LIBRARY])
    link_device(world, [LIBRARY])
    return world


@pytest.fixture
def shim(linked):
    found = Shim(linked)
    linked.broker.stop()
    linked.broker.start(env=found.environment())
    return found


def figures(client):
    found = status(client)
    return {name: found[name] for name in ("connections", "calls", "logins")}


def is_renewing(world):
    return grants(world.root(), "main")[0]["state"] == "renewing"


# --- descriptors ------------------------------------------------------------------------------------------


class FewDescriptors:
    """Leaves the broker just so many free descriptors. Its own user may set its limit, and root may not everywhere."""

    def __init__(self, world):
        self.world = world
        self.pid = world.broker.pid

    def set(self, soft):
        self.world.run_as("lwa-broker", ["prlimit", "--pid", self.pid, f"--nofile={soft}:"], check=True)

    def leave(self, n):
        used = {int(name) for name in os.listdir(f"/proc/{self.pid}/fd")}
        limit = 0
        while n > 0 or limit in used:
            n -= limit not in used
            limit += 1
        self.set(limit)

    def restore(self):
        self.set(1024)


def ask(client):
    try:
        take(client)
        return "ok"
    except DBusError as error:
        return error.short


def log_in(world, client):
    try:
        login = Login(client, [LIBRARY]).wait_state("waiting", "done")
    except DBusError as error:
        return error.short
    if login.state != "done":
        world.sim.approve(login.code, "alice")
    outcome, details = login.finish()
    return "ok" if outcome == "linked" else details["error"]


def read_trail(client):
    try:
        client.call(AUDIT, "Query", "a{sv}tu", ({"own": ("b", True)}, 0, 10))
        return "ok"
    except DBusError as error:
        return error.short


def renew(shim, client):
    shim.step(boottime=86400)
    return ask(client)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["token", "login", "trail", "stranger"])
def test_descriptors_run_out(shim, what):
    """With none left, one, two, ... until it works: a new connection to the provider, the name service's files, the
    database's, the token's memory file and the one that is handed out."""
    world = shim.world
    alice, served = world.client("alice"), world.client("weatherd")
    take(served)
    status(alice)
    few = FewDescriptors(world)
    words = []
    for n in range(40):
        world.reload()  # drops the connections to the provider
        caller = alice if what != "stranger" else Client("alice", world.bus_path)
        few.leave(n)
        try:
            action = {
                "token": lambda: renew(shim, caller),
                "login": lambda: log_in(world, caller),
                "trail": lambda: read_trail(caller),
                "stranger": lambda: ask(caller),
            }[what]
            words.append(action())
            # Who is known and asks for what is there needs no descriptor but its own token's.
            status(served)
        finally:
            few.restore()
        shim.step(boottime=3600)
        assert ask(caller) == "ok", (n, words)
        if caller is not alice:
            caller.close()
        if words[-1] == "ok":
            break
    assert words[-1] == "ok" and len(words) > 1, words
    known = {"AccessDenied", "AuditUnavailable", "NoMemory", "ProviderUnavailable", "StoreUnavailable", "ok"}
    assert set(words) <= known, words
    assert ask(served) == "ok"
    wait_until(lambda: figures(alice)["calls"] == 1, 5 * world.slowness, "all calls to end")


def test_no_descriptor_for_a_new_token(shim):
    """A refresh on a connection that stands needs none, its token does. It waits then, however often someone asks."""
    world = shim.world
    alice = world.client("alice")
    _, info = take(alice)
    few = FewDescriptors(world)
    few.set(3)  # not even one that another leaves behind
    try:
        before, began = refreshes(world), time.monotonic()
        for _ in range(10):
            with pytest.raises(DBusError, match="ProviderUnavailable"):
                alice.call(NAME, "ReportRejected", "s", (info["token_id"],))
        made, seconds = refreshes(world) - before, time.monotonic() - began
        # It may try anew by itself after no less than half of 1, 2, 4 and 10 seconds.
        assert 1 <= made <= 1 + sum(seconds >= due for due in (0.5, 1.5, 3.5, 8.5)), seconds

        def waits():
            found = grants(alice, "main")[0]
            return (found["state"], found["because"]) == ("waiting", "resources")

        wait_until(waits, 5 * world.slowness, "the grant to wait")
    finally:
        few.restore()
    shim.step(boottime=3600)
    assert ask(alice) == "ok"


# --- the bus ----------------------------------------------------------------------------------------------


def restart_everything(world):
    world.close_clients()
    world.polkitd.kill9()
    world.simulator.check_alive()
    world.start("bus", "polkit")
    world.broker.process = None
    world.broker.start()


def test_bus_restarts(linked):
    """The broker ends with a failure, to be started again, and then everything is as it was."""
    before = linked.root().call(AUDIT, "Query", "a{sv}tu", ({}, 0, 1000))[0]
    known = accounts(linked.client("alice"))
    take(linked.client("alice"))
    linked.bus.kill9()
    assert linked.broker.wait_end() == 1
    restart_everything(linked)
    alice = linked.client("alice")
    assert accounts(alice) == known
    take(alice)
    take(linked.client("musicd"))
    assert trail(linked.root())[: len(before)] == before


def test_bus_goes_while_a_refresh_is_under_way(linked):
    """I4: the provider has rotated by the time that the answer comes, so the answer is waited for and stored."""
    linked.broker.restart()
    alice = linked.client("alice")
    done = counter(linked, "token.refresh_token.ok")
    asked = refreshes(linked)
    linked.sim.fault("token", "delay", grant_type="refresh_token", ms=1500)
    alice.send(*GET_TOKEN)
    wait_until(lambda: is_renewing(linked), 5 * linked.slowness, "the refresh to begin")
    linked.bus.kill9()
    assert linked.broker.wait_end() == 1
    assert refreshes(linked) == asked + 1 and counter(linked, "token.refresh_token.ok") == done + 1
    restart_everything(linked)
    take(linked.client("alice"))


# --- the caller leaves --------------------------------------------------------------------------------------


class Held:
    """What a step waits for, held back: polkit, the provider, the store."""

    def __init__(self, world, what, endpoint="token"):
        self.world = world
        self.what = what
        self.endpoint = endpoint

    def __enter__(self):
        if self.what == "polkit":
            self.world.polkitd.pause()
        elif self.what == "store":
            self.store = store_held(self.world)
            self.store.__enter__()
        else:
            self.world.sim.fault(self.endpoint, "delay", ms=700)

    def __exit__(self, *_):
        if self.what == "polkit":
            self.world.polkitd.cont()
        elif self.what == "store":
            self.store.__exit__(None, None, None)


def leave_at(world, client, call, held, reached=lambda: True):
    """Makes the call, waits until it hangs at what is held, and leaves; everything of it goes."""
    watcher = world.client("bob")
    status(world.root())
    base = figures(watcher)
    with held:
        if call:
            client.send(*call)
            wait_until(
                lambda: figures(watcher)["calls"] == 2 and reached(), 5 * world.slowness, "the call to wait"
            )
        world.clients.remove(client)
        client.close()
        wait_until(
            lambda: figures(watcher)["calls"] == 1 and figures(watcher)["connections"] <= base["connections"],
            5 * world.slowness,
            "the caller to be forgotten",
        )
    wait_until(lambda: figures(watcher)["logins"] == 0, 5 * world.slowness, "its logins to go")


@pytest.mark.parametrize("held", ["polkit", "store", "provider"])
def test_caller_leaves_get_token(linked, held):
    linked.broker.restart()
    done = counter(linked, "token.refresh_token.ok")
    reached = None if held == "polkit" else lambda: is_renewing(linked)
    leave_at(linked, linked.client("alice"), GET_TOKEN, Held(linked, held), reached or (lambda: True))
    alice = linked.client("alice")
    if held != "polkit":
        # What was begun is ended and stored: the next one needs no refresh of its own.
        wait_until(lambda: grants(alice, "main")[0]["state"] == "fresh", 5 * linked.slowness, "the refresh to end")
    take(alice)
    assert counter(linked, "token.refresh_token.ok") == done + 1


def test_caller_leaves_get_token_while_it_is_recorded(linked):
    """The record is written all the same; it says more than happened, never less."""
    take(linked.client("alice"))
    linked.broker.restart()
    renewer = linked.client("root")
    alice = linked.client("alice")
    status(alice)
    musicd = linked.client("musicd")
    take(musicd)
    before = len(trail(renewer, "token-disclosed"))
    leaver = linked.client("weatherd")
    # With polkit's answer remembered nothing but the record is waited for.
    assert leaver.call(NAME, "CheckScopes", "asa{sv}", ([LIBRARY], {})) == {LIBRARY: "allow"}
    leave_at(linked, leaver, GET_TOKEN, Held(linked, "store"))
    wait_until(lambda: len(trail(renewer, "token-disclosed")) == before + 1, 5 * linked.slowness, "the record")
    take(linked.client("weatherd"))
    assert len(trail(renewer, "token-disclosed")) == before + 1


@pytest.mark.parametrize("held", ["store", "provider"])
def test_caller_leaves_report_rejected(linked, held):
    client = linked.client("alice")
    text, info = take(client)
    done = counter(linked, "token.refresh_token.ok")
    leave_at(linked, client, (NAME, "ReportRejected", "s", (info["token_id"],)), Held(linked, held), lambda: is_renewing(linked))
    alice = linked.client("alice")
    wait_until(lambda: counter(linked, "token.refresh_token.ok") == done + 1, 5 * linked.slowness, "the refresh")
    wait_until(lambda: take(alice)[0] != text, 5 * linked.slowness, "the new token")
    assert counter(linked, "token.refresh_token.ok") == done + 1


def test_caller_leaves_begin(linked):
    leave_at(linked, linked.client("alice"), BEGIN, Held(linked, "polkit"))
    assert counter(linked, "codepair.requests") == 2
    take(linked.client("alice"))


@pytest.mark.parametrize("state", ["starting", "waiting", "exchanging", "proving"])
def test_caller_leaves_login(linked, state):
    """A login is its creator's; from the moment that its refresh token is there it is kept, though nobody waits."""
    endpoint = "codepair" if state == "starting" else "tokeninfo"
    held = Held(linked, "store" if state == "exchanging" else "provider", endpoint)
    client = linked.client("alice")
    login = Login(client, [LIBRARY])
    if state == "starting":
        with held:
            pass
        again = Login(client, [LIBRARY])
        assert again.state == "starting"
    else:
        login.wait_state("waiting")
    if state in ("exchanging", "proving"):
        held.__enter__()
        linked.sim.approve(login.code, "alice")
        login.wait_state(state)
    linked.clients.remove(client)
    client.close()
    if state in ("exchanging", "proving"):
        held.__exit__()
    bob = linked.client("bob")
    wait_until(lambda: figures(bob)["logins"] == 0, 5 * linked.slowness, "the login to go")
    alice = linked.client("alice")
    if state in ("exchanging", "proving"):
        finished = [r for r in trail(linked.root(), "login-finished") if r["account"] == "main"]
        wait_until(
            lambda: len([r for r in trail(linked.root(), "login-finished") if r["account"] == "main"]) == 2,
            10 * linked.slowness,
            f"the login to be linked, after {finished}",
        )
    take(alice)


# --- crowds -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_thousand_silent_connections(linked):
    """Within the bus's 256 of a user: each calls once, then stays and says nothing."""

    def resident():
        with open(f"/proc/{linked.broker.pid}/status", encoding="ascii") as file:
            return int(next(line for line in file if line.startswith("VmRSS")).split()[1])

    served = linked.client("bob")
    base = figures(served)
    users = ("alice", "carol", "musicd", "weatherd", "root")
    linked.write_config(limits=NO_RATES)
    linked.reload()
    first = {user: linked.client(user) for user in users}
    for client in first.values():
        status(client)
    before = resident()
    crowd = []
    for user in users:
        for _ in range(200):
            crowd.append(first[user].another())
            crowd[-1].send(*GET_TOKEN)
    for client in crowd:
        client.receive(20 * linked.slowness)
    assert figures(served)["connections"] == base["connections"] + len(users) + len(crowd)
    assert resident() - before < 8 * 1024 * linked.slowness
    take(linked.client("alice"))
    for client in crowd:
        client.close()
    linked.close_clients()
    bob = linked.client("bob")
    wait_until(lambda: figures(bob)["connections"] <= 2, 10 * linked.slowness, "all of them to be forgotten")
    take(linked.client("musicd"))


# --- the log ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_nobody_reads_the_log(linked, kind):
    """I7: a full pipe, or the journal's full socket, holds nobody up."""
    linked.broker.stop()
    if kind == "pipe":
        reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 8192)
    else:
        import socket

        ends = socket.socketpair()
        ends[1].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        reader, writer = (end.detach() for end in ends)
    broker = subprocess.Popen(
        linked.argv_of("lwa-brokerd"), stdin=subprocess.DEVNULL, stderr=writer, env=linked.environment(), cwd="/"
    )
    try:
        os.close(writer)
        wait_until(lambda: linked.has_owner(NAME), 10 * linked.slowness, "the broker")
        alice = linked.client("alice")
        for _ in range(200):
            broker.send_signal(signal.SIGHUP)
            status(alice)
        # polkit was asked so often that it takes a moment.
        wait_until(lambda: ask(alice) == "ok", 10 * linked.slowness, "a token")
        kept = os.read(reader, 1 << 20).decode()
        # Each time it says two lines, for which there is no room in the pipe.
        assert 3 < kept.count("\n") < 300 and "configuration re-read" in kept
    finally:
        broker.terminate()
        status_of_end = broker.wait(20)
        os.close(reader)
    assert status_of_end == 0
    linked.broker.start()


# --- the clock --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("years", [-1, 10])
def test_clock_is_wrong(shim, years):
    """A certificate that is not valid by our clock is no failure of the login. With the clock right again it goes on."""
    world = shim.world
    alice = world.client("alice")
    text, _ = take(alice)
    world.reload()  # drops the connections that stand
    shim.step(realtime=years * YEAR)
    assert take(alice)[0] == text, "what is there is served: its end is not by the wall clock"
    shim.step(boottime=2 * 3600)
    assert ask(alice) == "ProviderUnavailable"
    assert grants(alice, "main")[0]["error"] == "clock", grants(alice, "main")
    shim.step(realtime=-years * YEAR)
    shim.step(boottime=3600)
    wait_until(lambda: ask(alice) == "ok", 10 * world.slowness, "the login to be renewed")
