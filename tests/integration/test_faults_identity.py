# SPDX-License-Identifier: LGPL-2.1-or-later
"""The fault matrix, identity and table: lwa-identd is killed or stands still, grants.d cannot be read.

Each shows the named error, that others are still served, and that the login survives. Sandboxes that hang are in
test_sandbox.py, what is wrong in a file of the table is in test_grants.py.
"""

import contextlib
import os
import signal

import pytest

from apps import status
from boxed import roaming
from logins import GRANTS, LIBRARY, counter, grants, link, settle, take, trail
from sandbox import SilentRoot
from shim import Shim
from world import NAME, DBusError, wait_until

ANSWER_SEC = 20  # broker/limits.h: LIMIT_IDENTD_ANSWER_SEC
GET_TOKEN = (NAME, "GetToken", "asa{sv}", ([LIBRARY], {}))


@pytest.fixture
def linked(world):
    """alice and bob are linked; the provider rotates, and the old token ends with that."""
    settle(world, rotation="new", rotation_kills_old="yes")
    link(world, "alice", [LIBRARY])
    link(world, "bob", [LIBRARY])
    return world


def identd_of(world):
    with open(f"/proc/{world.broker.pid}/task/{world.broker.pid}/children", encoding="ascii") as file:
        (pid,) = file.read().split()
    return int(pid)


def error_of_reply(client, serial, world):
    with pytest.raises(DBusError) as caught:
        client.wait(serial, 10 * world.slowness)
    return caught.value


# --- lwa-identd -------------------------------------------------------------------------------------------


def test_identd_is_killed_while_it_looks(linked):
    """Who waits for it is told so by name, the service ends with a failure and a sentence, and is started again."""
    linked.broker.restart()
    alice, bob = linked.client("alice"), linked.client("bob")
    take(bob)
    before = trail(linked.root())
    roamer = roaming(linked, "bob")
    with SilentRoot(linked.path("fuse")) as silent:
        roamer.app.enter(silent.path)
        stuck = roamer.send(*GET_TOKEN)
        wait_until(lambda: silent.held, 10 * linked.slowness, "the look-up to hang")
        # I4: the provider has rotated by the time that the answer comes, so the answer is waited for and stored.
        linked.sim.fault("token", "delay", grant_type="refresh_token", ms=1500)
        alice.send(*GET_TOKEN)
        wait_until(lambda: grants(linked.root(), "main")[0]["state"] == "renewing", 5 * linked.slowness, "the refresh")
        done = counter(linked, "token.refresh_token.ok")
        os.kill(identd_of(linked), signal.SIGKILL)
        error = error_of_reply(roamer, stuck, linked)
        assert error.short == "AccessDenied" and "lwa-identd has ended" in error.message, error
        assert linked.broker.wait_end() == 1
        assert counter(linked, "token.refresh_token.ok") == done + 1
    assert "lwa-identd has ended: nobody can be identified; stopping, to be started again" in linked.broker.log()
    linked.broker.start()
    take(linked.client("alice"))
    take(linked.client("bob"))
    assert trail(linked.root())[: len(before)] == before
    assert counter(linked, "token.refresh_token.invalid_grant") == 0


def test_identd_stands_still(linked):
    """Who is known is served; who is new is refused after a while; and when it goes on, so does everything."""
    shim = Shim(linked)
    linked.broker.stop()
    linked.broker.start(env=shim.environment())
    start = len(linked.broker.log())
    alice, bob = linked.client("alice"), linked.client("bob")
    take(alice)
    text, _ = take(bob)
    linked.root().call("org.freedesktop.DBus.Peer", "Ping")
    pid = identd_of(linked)
    os.kill(pid, signal.SIGSTOP)
    try:
        strangers = [linked.client(user) for user in ("alice", "bob", "carol") for _ in range(3)]
        waiting = [(client, client.send(*GET_TOKEN)) for client in strangers]
        wait_until(lambda: status(linked)["calls"] == 1 + len(waiting), 5 * linked.slowness, "the calls to wait")
        assert take(bob)[0] == text
        shim.step(boottime=ANSWER_SEC + 1)
        for client, serial in waiting:
            error = error_of_reply(client, serial, linked)
            assert error.short == "AccessDenied" and "try again later" in error.message, error
            assert "lwa-identd does not answer" in error.message, error
        assert take(bob)[0] == text
    finally:
        os.kill(pid, signal.SIGCONT)
    # What it says to the old questions is for nobody; the same connections are looked at anew.
    for client in strangers[:6]:
        wait_until(lambda client=client: not why_refused(client), 10 * linked.slowness, "another look")
    assert why_refused(strangers[6]) == "ConsentRequired"
    assert "lwa-identd has ended" not in linked.broker.log()[start:]


def why_refused(client):
    try:
        take(client)
    except DBusError as error:
        return error.short
    return ""


# --- grants.d ---------------------------------------------------------------------------------------------

# As lwa-brokerd sees it: who may not read it, what is no file, what is no folder.
NO_FILE = "the file must be a regular file"
UNREADABLE = {
    "folder": (lambda folder, path: os.chmod(folder, 0o700), "the folder cannot be read by the user of lwa-brokerd"),
    "file": (lambda folder, path: os.chmod(path, 0o600), "the file cannot be read: Permission denied"),
    "no file": (lambda folder, path: (os.unlink(path), os.mkdir(path)), NO_FILE),
    "fifo": (lambda folder, path: (os.unlink(path), os.mkfifo(path)), NO_FILE),
    "link": (lambda folder, path: (os.unlink(path), os.symlink("nowhere", path)), NO_FILE),
    "huge": (lambda folder, path: os.truncate(path, 1 << 40), "the file is too large"),
}


@pytest.mark.parametrize("when", ["running", "at start"])
def test_table_cannot_be_read(linked, when):
    """It denies what it would have granted, holders are told, and it is said where; nobody waits for it."""
    alice = linked.client("alice")
    for name, (spoil, said) in UNREADABLE.items():
        _, info = take(alice)
        start = len(linked.broker.log())
        if when == "at start":
            linked.broker.stop()
        with spoiled(linked, spoil) as (folder, path):
            if when == "at start":
                linked.broker.start()
                alice = linked.client("alice")
            else:
                told = alice.wait_signal(NAME, "TokenRevoked", timeout=10 * linked.slowness)
                assert told == [info["token_id"], "policy"], name
            assert why_refused(alice) == "AccessDenied", name
            (problem,) = status(linked)["problems"]
            blamed = folder if name == "folder" else path
            assert problem.startswith(f"{blamed}: {said}") and problem in linked.broker.log()[start:], problem
        wait_until(lambda: not why_refused(alice), 10 * linked.slowness, f"the table to be read after {name}")
        assert status(linked)["problems"] == []
    # Its login is not touched by that.
    linked.broker.restart()
    take(linked.client("alice"))


@contextlib.contextmanager
def spoiled(world, spoil):
    folder = world.path("conf/grants.d")
    path = f"{folder}/people.conf"
    spoil(folder, path)
    try:
        yield folder, path
    finally:
        os.chmod(folder, 0o755)
        if os.path.isdir(path):
            os.rmdir(path)
        elif os.path.lexists(path):
            os.unlink(path)
        world.write_grants("people", GRANTS)
