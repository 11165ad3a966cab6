# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a hostile app, user or owner tries on the running broker. Each takes a few seconds at most."""

import array
import contextlib
import os
import socket
import sqlite3
import time

import pytest
from jeepney import DBusAddress, HeaderFields, new_method_call

from logins import (
    ACCOUNTS,
    LIBRARY,
    LOGIN,
    REQUEST,
    Login,
    accounts,
    error_of,
    link,
    link_device,
    open_descriptors,
    register_agent,
    rows,
    sealed,
    settle,
    status,
    take,
    trail,
)
from world import NAME, NO_RATES, PATH, wait_until

PEER = "org.freedesktop.DBus.Peer"
BEGIN = (LOGIN, "Begin", "sasa{sv}", ("device-code", [LIBRARY], {}))


IMPORT = (LOGIN, "Begin", "sasa{sv}", ("import", [LIBRARY], {"token": ("h", 2)}))


@pytest.fixture
def quick(world):
    return settle(world)


@pytest.fixture
def unhurried(quick):
    """Where the rate of calls does not stop an attacker before what is to stop him is reached."""
    quick.write_config(limits=NO_RATES)
    quick.reload()
    return quick


def connections_of(world, user, n):
    """Many connections of one process."""
    first = world.client(user)
    found = [first]
    for _ in range(n - 1):
        found.append(first.another())
        world.clients.append(found[-1])
    return found


def send_descriptors(client, call, n, descriptor):
    interface, member, signature, args = call
    message = new_method_call(DBusAddress(PATH, bus_name=NAME, interface=interface), member, signature, args)
    message.header.fields[HeaderFields.unix_fds] = n
    data = message.serialise(serial=next(client.connection.outgoing_serial), fds=array.array("i"))
    socket.send_fds(client.connection.sock, [data], [descriptor] * n)


# --- descriptors ------------------------------------------------------------------------------------------


def test_descriptors_in_calls_do_not_reach_the_broker(quick):
    """No method takes so many. Calls that wait for polkit would keep them, and while the bus has more than a few
    for the broker it drops everything else for it, who has left included."""
    bystander = quick.client("bob")
    before = open_descriptors(quick)
    attackers = [quick.client("carol") for _ in range(4)]
    descriptor = os.open("/dev/null", os.O_RDONLY)
    for attacker in attackers:
        for _ in range(100):
            send_descriptors(attacker, BEGIN, 16, descriptor)
    os.close(descriptor)
    for _ in range(20):
        bystander.call(PEER, "Ping", timeout=2 * quick.slowness)
        assert open_descriptors(quick) <= before + 2
    for attacker in attackers:
        quick.clients.remove(attacker)
        attacker.close()
    wait_until(lambda: status(quick.root())["connections"] <= 2, 5 * quick.slowness, "the attackers to be forgotten")


def test_unread_tokens_do_not_silence_the_broker(quick):
    """The bus holds a few descriptors for one who does not read, and counts them against the broker."""
    link_device(quick, [LIBRARY])
    bystander = quick.client("weatherd")
    take(bystander)
    for attacker in connections_of(quick, "musicd", 4):
        take(attacker)
        for _ in range(10):
            for _ in range(50):
                attacker.send(NAME, "GetToken", "asa{sv}", ([LIBRARY], {}))
            time.sleep(0.02)
    for _ in range(20):
        bystander.get_token([LIBRARY], timeout=3 * quick.slowness).close()


def test_big_messages_of_one_user_do_not_grow_the_broker(quick):
    bystander, attacker = quick.client("bob"), quick.client("carol")
    bystander.call(PEER, "Ping")
    attacker.connection.sock.settimeout(10)
    for _ in range(3):
        serial = attacker.send(ACCOUNTS, "Rename", "ss", ("main", "x" * (16 << 20)))
        assert error_of(attacker.wait, serial, 10 * quick.slowness).short == "InvalidArgument"
        bystander.call(PEER, "Ping", timeout=2 * quick.slowness)
    with open(f"/proc/{quick.broker.pid}/status", encoding="ascii") as file:
        resident = int(next(line for line in file if line.startswith("VmRSS")).split()[1])
    assert resident < 96 * 1024 * quick.slowness


# --- leaving at the wrong moment ----------------------------------------------------------------------------


def test_removal_holds_though_the_caller_leaves(quick):
    """The store has begun with it, so the account is gone, whoever waits for the answer."""
    account = link(quick, "alice", [LIBRARY])
    app, leaver = quick.client("alice"), quick.client("alice")
    take(app)
    accounts(leaver)
    lock = sqlite3.connect(f"{quick.state_dir}/broker.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    leaver.send(ACCOUNTS, "Remove", "s", (account,))
    time.sleep(0.3)  # until the store has it, which nothing shows
    quick.clients.remove(leaver)
    leaver.close()
    wait_until(lambda: status(quick.root())["calls"] == 1, 5 * quick.slowness, "the call to end")
    lock.execute("ROLLBACK")
    lock.close()
    wait_until(lambda: rows(quick, "SELECT count(*) FROM account") == [(0,)], 5 * quick.slowness, "the removal")
    wait_until(lambda: not accounts(app), 5 * quick.slowness, "the removal to be known")
    assert error_of(take, app).short == "LoginRequired"


@pytest.mark.parametrize("how", ["leave", "cancel"])
def test_login_ended_while_it_is_stored(quick, how):
    """What the trail says of it holds after a restart too."""
    alice = quick.client("alice")
    login = Login(alice, [LIBRARY]).wait_state("waiting")
    lock = sqlite3.connect(f"{quick.state_dir}/broker.db", isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    quick.sim.approve(login.code, "alice")
    login.wait_state("exchanging")
    wait_until(
        lambda: quick.sim.state()["counters"].get("token.device_code.ok"), 5 * quick.slowness, "Amazon's answer"
    )
    if how == "cancel":
        alice.send(REQUEST, "Cancel", path=login.path)
    else:
        quick.clients.remove(alice)
        alice.close()
    time.sleep(0.3)  # shorter than the store waits for the lock
    lock.execute("ROLLBACK")
    lock.close()
    wait_until(lambda: status(quick.root())["logins"] == 0, 5 * quick.slowness, "the login to end")
    wait_until(
        lambda: trail(quick.root(), "login-failed") or trail(quick.root(), "login-finished"),
        5 * quick.slowness, "its record",
    )
    failed = bool(trail(quick.root(), "login-failed"))
    quick.close_clients()
    quick.broker.restart()
    assert failed == (how == "cancel")
    wait_until(lambda: failed != bool(accounts(quick.client("alice"))), 5 * quick.slowness, "what the trail says")


# --- polkit ------------------------------------------------------------------------------------------------


def test_prompts_that_nobody_answers_block_nobody(quick):
    link_device(quick, [LIBRARY])
    quick.write_rule(
        "20-prompt",
        'polkit.addRule(function(a, s) { if (a.id == "org.lwabroker.login" && s.user == "carol")'
        " return polkit.Result.AUTH_SELF; });",
    )
    carol = quick.client("carol")
    register_agent(carol)
    serials = [carol.send(*BEGIN, interactive=True) for _ in range(100)]
    # What is beyond the few prompts of one user is answered as without interaction.
    assert error_of(carol.wait, serials[-1], 10 * quick.slowness).short == "ConsentRequired"
    answered = [serial for serial in serials if serial in carol.replies]
    assert len(serials) - len(answered) <= 5
    quick.client("musicd").get_token([LIBRARY], timeout=5 * quick.slowness).close()
    quick.clients.remove(carol)
    carol.close()
    wait_until(lambda: status(quick.root())["calls"] == 1, 5 * quick.slowness, "the prompts to be cancelled")


def test_one_users_questions_do_not_delay_the_others(unhurried):
    """polkitd answers some hundred questions a second: those who ask take turns."""
    link_device(unhurried, [LIBRARY])
    for attacker in connections_of(unhurried, "carol", 32):
        for _ in range(120):
            attacker.send(*BEGIN)
    began = time.monotonic()
    unhurried.client("musicd").get_token([LIBRARY], timeout=20 * unhurried.slowness).close()
    assert time.monotonic() - began < 2 * unhurried.slowness


def test_one_user_does_not_take_all_calls(unhurried):
    link_device(unhurried, [LIBRARY])
    musicd = unhurried.client("musicd")
    take(musicd)
    attackers = connections_of(unhurried, "carol", 40)
    for attacker in attackers:
        attacker.call(PEER, "Ping")
    unhurried.polkitd.pause()
    for attacker in attackers:
        for _ in range(120):
            attacker.send(*BEGIN)
    try:
        for _ in range(10):
            take(musicd)
    finally:
        unhurried.polkitd.cont()


def test_bus_goes_while_checks_wait(quick):
    """More than are in flight at once; with the bus gone none of the others can be sent."""
    scopes = "music::library music::playback music::catalog profile postal_code"
    quick.write_grants("people", f"[user:carol]\nallow = {scopes}\n")
    quick.reload()
    carol = quick.client("carol")
    carol.call(PEER, "Ping")
    quick.polkitd.pause()
    for i in range(1, 32):
        asked = [scope for bit, scope in enumerate(scopes.split()) if i & (1 << bit)]
        carol.send(NAME, "GetToken", "asa{sv}", (asked, {}))
    wait_until(lambda: status(quick.root())["calls"] > 20, 5 * quick.slowness, "the calls to wait")
    quick.bus.kill9()
    assert quick.broker.wait_end() == 1
    quick.polkitd.kill9()


def flood_descriptors(clients, seconds):
    """A process that sends Begin with a descriptor on these connections, as fast as the bus takes it."""
    pid = os.fork()
    if pid:
        return pid
    try:
        descriptor = os.open("/dev/null", os.O_RDONLY)
        interface, member, signature, args = IMPORT
        message = new_method_call(DBusAddress(PATH, bus_name=NAME, interface=interface), member, signature, args)
        data = message.serialise(serial=1000, fds=array.array("i"))
        for client in clients:
            client.connection.sock.setblocking(False)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for client in clients:
                with contextlib.suppress(BlockingIOError):
                    socket.send_fds(client.connection.sock, [data], [descriptor])
                with contextlib.suppress(BlockingIOError):
                    client.connection.sock.recv(1 << 20)
    except BaseException:
        os._exit(1)
    os._exit(0)


def test_flood_of_handed_descriptors(quick):
    """Begin takes one descriptor. However many are sent, each is read and let go of at once, and the bus still has
    room for what else is for the broker: everyone else's calls, polkit's answers."""
    link_device(quick, [LIBRARY])
    bystander = quick.client("weatherd")
    take(bystander)
    before = open_descriptors(quick)
    with open("/dev/null", "rb") as file:
        arguments = ("import", [LIBRARY], {"token": ("h", file.fileno())})
        error = error_of(quick.client("carol").call, LOGIN, "Begin", "sasa{sv}", arguments)
    assert error.short == "InvalidArgument" and "memfd" in error.message  # it has come to the broker
    pids = [flood_descriptors(connections_of(quick, "carol", 4), 3) for _ in range(4)]
    end = time.monotonic() + 3
    while time.monotonic() < end:
        bystander.get_token([LIBRARY], timeout=3 * quick.slowness).close()
        assert len(accounts(quick.root())) == 1
        assert open_descriptors(quick) <= before + 64
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 4
    wait_until(lambda: open_descriptors(quick) <= before + 2, 5 * quick.slowness, "all to be let go of")


# --- logins --------------------------------------------------------------------------------------------------


def test_logins_left_while_they_are_proven_do_not_pile_up(quick):
    """While the provider answers nothing of use, a login waits to be proven; whoever began it and left pays for it
    until then, as he would if he had stayed."""
    quick.sim.fault("token", "html-502", count=0, grant_type="refresh_token")
    for _ in range(4):
        alice = quick.client("alice")
        with sealed("Atzr|made-up") as fd:
            Login(alice, [LIBRARY], "import", token=("h", fd)).wait_state("proving")
        quick.clients.remove(alice)
        alice.close()
    alice = quick.client("alice")
    with sealed("Atzr|made-up") as fd:
        error = error_of(Login, alice, [LIBRARY], "import", token=("h", fd))
    assert error.short == "RateLimited" and "left" in error.message
    assert [grant["state"] for grant in status(quick.root())["grants"]] == ["unproven"] * 4
    quick.sim.clear_faults()
    wait_until(lambda: status(quick.root())["logins"] == 0, 30 * quick.slowness, "the provider's word on them")
    assert link(quick, "alice", [LIBRARY], client=alice) == "main"


def test_logins_by_device_code_only(quick):
    """What the address of another login asks for is in the hands of who opens it, and what an import carries is only
    said (SECURITY.md): an administrator can have neither."""
    quick.write_grants("people", f"[user:alice]\nallow = {LIBRARY}:read\n")
    quick.write_rule(
        "05-flow",
        'polkit.addRule(function(action) { if (action.id === "org.lwabroker.login" &&'
        ' action.lookup("flow") !== "device-code") return polkit.Result.NO; });',
    )
    quick.reload()
    alice = quick.client("alice")
    redirect = {"redirect_uri": "http://127.0.0.1:9090/cb"}
    assert error_of(Login, alice, [f"{LIBRARY}:read"], "authorization-code", **redirect).short == "AccessDenied"
    with sealed("Atzr|wide") as fd:
        error = error_of(Login, alice, [f"{LIBRARY}:read"], "import", token=("h", fd))
    assert error.short == "AccessDenied"
    assert link(quick, "alice", [f"{LIBRARY}:read"], client=alice) == "main"
