# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a hostile app tries to be taken for another, to be allowed without a person, to be everywhere, and to keep what
was taken from it. What it sends to the broker besides is test_attacks.py."""


import os
import pwd
import shutil
import socket
import sqlite3
import time

import pytest

import apps
from agent import Agent
from apps import BROKER, audit, grants, refused, take, why_refused
from boxed import roaming
from client import App, Client
from sandbox import PYTHON, flatpak_info
from test_policy1 import POLICY, revoke_app, set_consent
from world import NO_RATES, DBusError, wait_until

READ = "music::library:read"
# Whoever authenticates as the owner is told apart from who only says so.
AGREEING = apps.rule('action.id == "org.lwabroker.consent"', "YES")


@pytest.fixture
def linked(world):
    """alice has an account that may read the library."""
    apps.open_to_logins(world)
    grants(world, f"[user:alice]\nallow = {READ}\n[user:bob]\nask = {READ}\n")
    apps.link(world, "alice", [READ])
    return world


def another(world, client):
    """A second connection of the same process."""
    other = client.another()
    world.clients.append(other)
    return other


# --- consent without a person -----------------------------------------------------------------------------


@pytest.mark.parametrize("scopes", [[], [READ]], ids=["every scope", "one"])
def test_what_an_owner_denied_comes_back_through_the_owner_only(linked, scopes):
    """Any program of alice's can call SetConsent: none forgets or shortens the denial that keeps it out."""
    alice, app = linked.client("alice"), linked.client("alice")
    take(app, [READ])
    set_consent(alice, "user:alice", "deny", scopes)
    for answer, options in (("forget", {}), ("deny", {"days": 1})):
        for chosen in ([], [READ]):
            try:
                set_consent(app, "user:alice", answer, chosen, **options)
            except DBusError as error:
                assert error.short in ("ConsentRequired", "InvalidArgument")
            assert why_refused(app, [READ]) == "AccessDenied"
    (row,) = [row for row in app.call(POLICY, "ListConsents", "a{sv}", ({},)) if row["scope"] == "".join(scopes)]
    assert (row["answer"], row["lasts"]) == ("deny", "logout")
    linked.write_rule("20-test", AGREEING)
    set_consent(alice, "user:alice", "forget", [])
    take(app, [READ])


def test_denial_is_not_undone_while_it_is_written(linked):
    """What is not in force yet cannot be seen by whoever is to be kept from undoing it."""
    linked.write_config(limits=NO_RATES)
    linked.reload()
    alice, app = linked.client("alice"), linked.client("alice")
    args = ("user:alice", "", [], "forget", {})
    for _ in range(10):
        revoking = alice.send(POLICY, "RevokeApp", "sa{sv}", ("user:alice", {}))
        serials = [app.send(POLICY, "SetConsent", "ssassa{sv}", args) for _ in range(20)]
        alice.wait(revoking, 20 * linked.slowness)
        for serial in serials:
            with pytest.raises(DBusError):
                app.wait(serial, 20 * linked.slowness)
        assert why_refused(app, [READ]) == "AccessDenied"
        linked.write_rule("20-test", AGREEING)
        set_consent(alice, "user:alice", "forget", [])
        linked.write_rule("20-test", None)


def test_questions_that_are_left_are_few(linked):
    """An app that asks, leaves before anybody could answer, and comes back does not keep a window flickering until
    somebody clicks it away the wrong way."""
    bob = linked.client("bob")
    agent = Agent(linked, bob, "never")
    apps.link(linked, "bob", [READ])
    refusals = []
    for _ in range(6):
        n = len(agent.asked)
        app = another(linked, bob)
        serial = app.send(BROKER, "GetToken", "asa{sv}", ([READ], {}), interactive=True)
        wait_until(lambda: len(agent.asked) > n or serial in received(app), 10 * linked.slowness, "a question")
        if serial in app.replies:
            with refused("ConsentRequired", "a minute"):
                app.wait(serial)
            refusals.append(serial)
        linked.clients.remove(app)
        app.close()
        for question in agent.asked:
            agent.wait_cancelled(question)
    assert len(agent.asked) == 3 and len(refusals) == 3


def received(client):
    client.drain(0)
    return client.replies


def write_trail(world, n):
    """So many records of an owner who began logins all day."""
    world.close_clients()
    world.broker.stop()
    database = sqlite3.connect(f"{world.state_dir}/broker.db")
    names = [row[1] for row in database.execute("PRAGMA table_info(audit)")]
    names = sorted(set(names) - {"sequence", "event", "expires_sec"})
    database.execute(
        f"INSERT INTO audit (event, expires_sec, {', '.join(names)}) SELECT 'login-started', 0, {', '.join(names)}"
        " FROM (SELECT * FROM audit ORDER BY sequence DESC LIMIT 1),"
        f" (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n LIMIT {n}) SELECT value FROM n)"
    )
    database.commit()
    database.close()
    for name in os.listdir(world.state_dir):
        shutil.chown(os.path.join(world.state_dir, name), "lwa-broker", "lwa-broker")
    world.broker.start()


def time_revocation(world, app):
    """(seconds, exposure) of a revocation behind ninety questions of somebody else's."""
    alice, bob = world.client("alice"), world.client("bob")
    take(alice, [READ])
    bob.call("org.freedesktop.DBus.Peer", "Ping")
    serials = [bob.send(POLICY, "ListExposure", "a{sv}", ({},)) for _ in range(90)]
    began = time.monotonic()
    rows = revoke_app(alice, app)
    taken = time.monotonic() - began
    assert [bob.wait(serial, 20 * world.slowness) for serial in serials] == [[]] * 90
    return taken, rows


def test_long_trail_delays_no_revocation(linked):
    """Who holds what is found without reading all that happened since yesterday: everybody may ask for it."""
    linked.write_config(limits=NO_RATES)
    linked.reload()
    short, _ = time_revocation(linked, "flatpak:org.example.Other")
    write_trail(linked, 300000)
    long, rows = time_revocation(linked, "user:alice")
    # Read in full, it takes some three seconds, thirty times as long.
    assert long < 6 * short + 0.5 * linked.slowness, (short, long)
    assert {row["app"] for row in rows} == {"user:alice"}


# --- taken for another ------------------------------------------------------------------------------------


def refused_as(client, why):
    """Who cannot be identified is told why, and is nobody."""
    with refused("AccessDenied", why):
        client.get_token([READ])


def test_program_of_another_user_in_the_place_of_the_one_that_connected(linked, tmp_path):
    """The process runs a set-uid program by the time it is looked at: neither its old user's nor its new one's."""
    program = shutil.copy("/usr/bin/sleep", tmp_path)
    os.chmod(program, 0o4755)
    open_up(tmp_path)
    client = changed(linked, f"os.execv({program!r}, [{program!r}, '1000'])")
    wait_until(lambda: uid_of(client.pid) == "0", 10 * linked.slowness, "the program of root's")
    refused_as(client, "another user")


def test_process_of_which_only_threads_are_left(linked):
    """Its main thread has ended: there is no root and no program to look at, and no user to be taken for."""
    threads = "threading.Thread(target=time.sleep, args=(1000,)).start(); ctypes.CDLL(None).pthread_exit(None)"
    client = changed(linked, threads)
    wait_until(lambda: state_of(client.pid) == "Z", 10 * linked.slowness, "the main thread to end")
    refused_as(client, "ended")


def test_one_user_with_many_names(linked, tmp_path):
    """Whoever makes roots may call himself by any number of names: others are served and stay on the trail."""
    linked.write_config(limits=NO_RATES, policy={"default": "deny"})
    linked.reload()
    impostor = roaming(linked, "carol")
    open_up(tmp_path)
    names = [f"org.example.Forged{i}" for i in range(100)]
    for name in names:
        folder = tmp_path / name
        folder.mkdir()
        (folder / ".flatpak-info").write_bytes(flatpak_info(name))
        connection = another(linked, impostor)
        impostor.app.enter(folder)
        assert why_refused(connection, [READ]) == "AccessDenied"
        impostor.app.enter(".")
    assert why_refused(linked.client("weatherd"), [READ]) == "AccessDenied"
    take(linked.client("alice"), [READ])
    found = lambda: "user:weatherd" in [record["app"] for record in audit(linked, "token-denied")]
    wait_until(found, 10 * linked.slowness, "the record")
    denied = [record for record in audit(linked, "token-denied") if record["app"] != "user:weatherd"]
    assert len(denied) == 33 and {record["uid"] for record in denied} == {pwd.getpwnam("carol").pw_uid}
    assert [record["app"] for record in denied if not record["app"].startswith("flatpak:")] == [""]


CHANGE = """
import ctypes, os, socket, sys, threading, time
from jeepney.io.blocking import prep_socket
sock = socket.socket(fileno=int(sys.argv[1]))
bus = prep_socket(sys.argv[2], enable_fds=True, timeout=10)
socket.send_fds(sock, [b"ok"], [bus.fileno()])
exec(sys.argv[3])
"""


class ChangedApp(App):
    """A process of alice's that connects once and then becomes something else."""

    def __init__(self, world, code):
        self.user = "alice"
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = [PYTHON, "-c", CHANGE, theirs.fileno(), world.bus_path, code]
        self.process = world.spawn_as("alice", argv, pass_fds=[theirs.fileno()])
        theirs.close()
        self.pid = self.process.pid
        self.sock.settimeout(20 * world.slowness)

    def close(self):
        self.sock.close()
        self.process.kill()
        self.process.wait()


def changed(world, code):
    client = Client("alice", world.bus_path, ChangedApp(world, code))
    client.owns_app = True
    world.clients.append(client)
    return client


def open_up(folder):
    """Others may go through to what is in it."""
    for one in (folder, *folder.parents):
        os.chmod(one, os.stat(one).st_mode | 0o111)


def status_of(pid, key):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(line.split()[1:] for line in file if line.startswith(key + ":"))


def uid_of(pid):
    return status_of(pid, "Uid")[1]


def state_of(pid):
    return status_of(pid, "State")[0]
