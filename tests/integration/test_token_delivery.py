# SPDX-License-Identifier: LGPL-2.1-or-later
"""What becomes of a token once it is granted: the descriptor, single flight, rejection, release, revocation; and
callers that leave or ask too much."""

import fcntl
import os
import stat

import pytest
from jeepney import DBusAddress, MessageFlag, new_method_call

import apps
from apps import BROKER, await_calls, grants, refused, refreshes, take
from world import PATH, wait_until

SCOPE = "music::library:read"
TABLE = "".join(f"[user:{user}]\nallow = music::library profile\n" for user in ("alice", "bob", "musicd", "weatherd"))
F_SEAL_ALL = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


@pytest.fixture
def linked(world):
    """alice: main, one grant; device: one grant. Everyone may hold them."""
    apps.open_to_logins(world)
    grants(world, TABLE)
    logins = [
        ("alice", [SCOPE], "alice", {}),
        ("alice", ["profile"], "alice", {}),
        ("alice", [SCOPE], "carol", {"owner": "device"}),
    ]
    apps.link_all(world, logins)
    return world


def report(client, token_id):
    return client.call(BROKER, "ReportRejected", "s", (token_id,))


def revoked(client):
    """What it was told by signal, as (member, token id, reason) without the interface."""
    return [(member, *args) for interface, member, args in client.drain() if interface == BROKER]


# --- the descriptor ---


def test_descriptor_is_sealed_and_read_only(linked):
    token = linked.client("alice").get_token([SCOPE])
    try:
        assert fcntl.fcntl(token.fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
        assert fcntl.fcntl(token.fd, fcntl.F_GET_SEALS) == F_SEAL_ALL
        assert os.readlink(f"/proc/self/fd/{token.fd}").startswith("/memfd:")
        assert stat.S_IMODE(os.fstat(token.fd).st_mode) & 0o022 == 0
        for change in (
            lambda: os.write(token.fd, b"x"),
            lambda: os.ftruncate(token.fd, 0),
            lambda: fcntl.fcntl(token.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE),
        ):
            with pytest.raises(OSError):
                change()
        # Even who can open it for writing (here: root) finds the file sealed.
        writable = os.open(f"/proc/self/fd/{token.fd}", os.O_RDWR)
        try:
            with pytest.raises(OSError):
                os.write(writable, b"x")
            with pytest.raises(OSError):
                os.ftruncate(writable, 0)
        finally:
            os.close(writable)
    finally:
        token.close()


REOPEN = """
import errno, os, sys
try:
    fd = os.open("/proc/self/fd/0", os.O_RDWR)
    os.write(fd, b"x")
    print("written")
except OSError as error:
    print(errno.errorcode[error.errno])
"""


def test_descriptor_cannot_be_reopened_for_writing_by_an_app(linked):
    token = linked.client("alice").get_token([SCOPE])
    try:
        argv = linked.argv_as("alice", ["/usr/bin/python3", "-c", REOPEN])
        done = apps.run(argv, stdin=token.fd)
        assert done.stdout.strip() in ("EACCES", "EPERM")
    finally:
        token.close()


def test_descriptors_have_their_own_offset(linked):
    """Two apps (and one app twice) that read() to the end each get all of it."""
    fds = []
    for client in (linked.client("alice"), linked.client("alice")) * 2:
        fds.append(client.get_token([SCOPE]).fd)
    issued = linked.sim.tokens()["access"]
    try:
        texts = [os.read(fd, 4096).decode() for fd in fds]
        assert len(set(texts)) == 1 and texts[0] in issued
        assert [os.read(fd, 4096) for fd in fds] == [b""] * len(fds)
        assert len({os.fstat(fd).st_ino for fd in fds}) == 1
    finally:
        for fd in fds:
            os.close(fd)


def test_bytes_are_those_that_the_provider_issued(linked):
    for user, scope in (("alice", SCOPE), ("alice", "profile"), ("bob", SCOPE)):
        token = take(linked.client(user), [scope])
        issued = linked.sim.tokens()
        assert token.text in issued["access"] and token.text not in issued["refresh"]


def test_no_descriptor_leaks(linked):
    client = linked.client("alice")
    take(client, [SCOPE])

    def count():
        return len(os.listdir(f"/proc/{linked.broker.pid}/fd"))

    before = count()
    for _ in range(50):
        take(client, [SCOPE])
    # What is on its way to the bus is closed a moment later.
    wait_until(lambda: count() <= before, 5, "as many descriptors as before")


# --- single flight ---


def test_single_flight(linked):
    """Ten connections with a hundred calls each at once on a token that has run out: one refresh for all."""
    linked.sim.set(token_lifetime=2)
    clients = [linked.client("alice") for _ in range(10)]
    token = take(clients[0], [SCOPE])
    assert report(clients[0], token.info["token_id"])
    short = take(clients[0], [SCOPE])
    assert short.info["expires_in"] <= 2
    # Nobody asks for it while it runs out, and so nobody renews it ...
    clients[0].call(BROKER, "ReleaseTokens")
    wait_until(lambda: idle(linked), 30, "the token to run out unasked for")
    linked.sim.set(token_lifetime=3600, delay_ms=300)
    before = refreshes(linked)
    # ... and then everybody does.
    serials = [
        [client.send(BROKER, "GetToken", "asa{sv}", ([SCOPE], {})) for _ in range(100)] for client in clients
    ]
    ids = set()
    for client, mine in zip(clients, serials):
        for serial in mine:
            fd, info = client.wait(serial, 30 * linked.slowness)
            os.close(fd)
            ids.add(info["token_id"])
    assert len(ids) == 1 and short.info["token_id"] not in ids
    assert refreshes(linked) == before + 1
    disclosed = [r for r in apps.audit(linked, "token-disclosed") if r["grant"] == 1]
    assert len([r for r in disclosed if r["app"] == "user:alice"]) == len({r["token"] for r in disclosed})


def idle(world):
    return [g["state"] for g in apps.status(world)["grants"] if g["grant"] == 1] == ["idle"]


# --- repeats ---


def test_repeats_are_counted_and_not_recorded_again(linked):
    alice = linked.client("alice")
    for _ in range(5):
        take(alice, [SCOPE])
    take(linked.client("alice"), [SCOPE])  # the same app on another connection
    take(linked.client("bob"), [SCOPE])  # another app, and the device's account
    records = apps.audit(linked, "token-disclosed")
    assert [(r["app"], r["account"]) for r in records] == [("user:alice", "main"), ("user:bob", "device")]
    assert all(r["expires_at"] > r["time"] and len(r["token"]) == 32 for r in records)
    linked.broker.restart()
    counts = {r["app"]: r["repeats"] for r in apps.audit(linked, "token-disclosed")}
    assert counts == {"user:alice": 5, "user:bob": 0}


# --- ReportRejected ---


def test_report_renews_the_current_token(linked):
    alice = linked.client("alice")
    first = take(alice, [SCOPE])
    before = refreshes(linked)
    assert report(alice, first.info["token_id"]) is True
    second = take(alice, [SCOPE])
    assert second.text != first.text and second.info["token_id"] != first.info["token_id"]
    # The old one again: it was renewed already.
    assert report(alice, first.info["token_id"]) is True
    assert refreshes(linked) == before + 1
    assert [r["app"] for r in apps.audit(linked, "token-rejected")] == ["user:alice"]


@pytest.mark.parametrize("token_id", ["", "0" * 32, "x", "0" * 31, "0" * 33, "x" * 100000, "ü" * 16, "%s%n"])
def test_report_of_an_unknown_id(linked, token_id):
    alice = linked.client("alice")
    take(alice, [SCOPE])
    before = refreshes(linked)
    assert report(alice, token_id) is False
    assert refreshes(linked) == before


def test_report_of_a_foreign_id(linked):
    """Nobody can renew, or learn of, what another holds: not even another connection of the same uid."""
    alice, same_user, bob = linked.client("alice"), linked.client("alice"), linked.client("bob")
    token = take(alice, [SCOPE])
    before = refreshes(linked)
    for other in (same_user, bob, linked.client("root")):
        assert report(other, token.info["token_id"]) is False
    # An id is known in full or not at all.
    for near in (token.info["token_id"][:-1], token.info["token_id"] + "0", token.info["token_id"].upper() + " "):
        assert report(alice, near) is False
    assert refreshes(linked) == before


def test_reports_are_coalesced(linked):
    """Two hundred reports of one token, from two apps, are one refresh."""
    alice, other = linked.client("alice"), linked.client("alice")
    token_id = take(alice, [SCOPE]).info["token_id"]
    assert take(other, [SCOPE]).info["token_id"] == token_id
    linked.sim.set(delay_ms=200)
    before = refreshes(linked)
    serials = [(c, c.send(BROKER, "ReportRejected", "s", (token_id,))) for _ in range(100) for c in (alice, other)]
    assert all(client.wait(serial) is True for client, serial in serials)
    assert refreshes(linked) == before + 1
    assert len(apps.audit(linked, "token-rejected")) == 1


def test_reports_are_rate_limited(linked):
    alice = linked.client("alice")
    before = refreshes(linked)
    for _ in range(5):
        assert report(alice, take(alice, [SCOPE]).info["token_id"]) is True
    last = take(alice, [SCOPE])
    with refused("RateLimited", "This app had this login renewed often lately; try again in ", " s."):
        report(alice, last.info["token_id"])
    assert refreshes(linked) == before + 5
    # The token is still served, and the other login is not limited by it.
    assert take(alice, [SCOPE]).text == last.text
    assert report(alice, take(alice, ["profile"]).info["token_id"]) is True


@pytest.mark.parametrize(("signature", "args"), [("", ()), ("u", (1,)), ("ss", ("a", "b")), ("v", (("s", "a"),))])
def test_report_signatures(linked, signature, args):
    with refused("InvalidArgument"):
        linked.client("alice").call(BROKER, "ReportRejected", signature, args)


# --- ReleaseTokens ---


def test_release_forgets(linked):
    alice, other = linked.client("alice"), linked.client("alice")
    token_id = take(alice, [SCOPE]).info["token_id"]
    take(other, [SCOPE])
    alice.call(BROKER, "ReleaseTokens")
    assert report(alice, token_id) is False
    remove_account(linked, "alice", "main")
    assert revoked(alice) == []
    assert ("TokenRevoked", token_id, "account-removed") in revoked(other)
    alice.call(BROKER, "ReleaseTokens")  # once more, with nothing to release
    linked.client("weatherd").call(BROKER, "ReleaseTokens")  # who never asked for one


# --- revocation ---


def remove_account(world, user, account):
    world.client(user).call(apps.ACCOUNTS, "Remove", "s", (account,))


def bystander(world, user):
    client = world.client(user)
    for kind in ("signal", "method_call", "method_return", "error"):
        client.add_match(type=kind)
    return client


def seen_of_the_broker(client):
    return [item for item in client.drain() if item[0] and item[0].startswith("org.lwabroker.")]


def test_table_that_denies_revokes(linked):
    """Who may not hold a scope any more that its token carries is told; others that hold the token are not."""
    alice, other = linked.client("alice"), linked.client("bob")
    ids = {scope: take(alice, [scope]).info["token_id"] for scope in (SCOPE, "profile")}
    apps.grants(linked, f"[user:alice]\nallow = {SCOPE}\ndeny = profile\n[user:bob]\nallow = {SCOPE}\n")
    assert revoked(alice) == [("TokenRevoked", ids["profile"], "policy")]
    assert report(alice, ids["profile"]) is False and revoked(other) == []
    apps.grants(linked, f"[user:alice]\nask = {SCOPE}\n")
    assert revoked(alice) == [("TokenRevoked", ids[SCOPE], "policy")], "the table alone had given it"
    linked.write_rule(
        "20-yes",
        'polkit.addRule(function(a) { if (a.id.indexOf("org.lwabroker.scope.") == 0) return polkit.Result.YES; });',
    )
    assert take(alice, [SCOPE]).info["token_id"] == ids[SCOPE]
    apps.grants(linked, f"[user:alice]\nask = {SCOPE} profile\n")
    assert revoked(alice) == [], "polkit has said yes, and may still"
    apps.grants(linked, f"[user:alice]\ndeny = {SCOPE}\n")
    assert revoked(alice) == [("TokenRevoked", ids[SCOPE], "policy")]


def test_removed_account_revokes_every_token_of_every_holder(linked):
    holders = [linked.client("alice") for _ in range(3)]
    ids = [[take(holder, [scope]).info["token_id"] for scope in (SCOPE, "profile")] for holder in holders]
    assert ids[0] == ids[1] == ids[2]
    # One of them holds an older token besides, which may still be good at the provider.
    assert report(holders[0], ids[0][0])
    newer = take(holders[0], [SCOPE]).info["token_id"]
    device_holder = linked.client("bob")
    take(device_holder, [SCOPE])
    onlookers = [bystander(linked, user) for user in ("bob", "alice", "root")]
    remove_account(linked, "alice", "main")

    expected = [("AccountsChanged",)] + [("TokenRevoked", token_id, "account-removed") for token_id in ids[0]]
    assert sorted(revoked(holders[1])) == sorted(revoked(holders[2])) == sorted(expected)
    assert sorted(revoked(holders[0])) == sorted([*expected, ("TokenRevoked", newer, "account-removed")])
    assert revoked(device_holder) == []
    assert [seen_of_the_broker(onlooker) for onlooker in onlookers] == [[], [], []]
    with refused("LoginRequired"):
        holders[0].get_token(["profile"])
    assert report(holders[0], newer) is False


def test_dead_grant_revokes(linked):
    alice, idle_one = linked.client("alice"), linked.client("alice")
    token = take(alice, [SCOPE])
    other = take(idle_one, ["profile"])
    linked.sim.revoke("alice")
    with refused("LoginRequired", "lwactl login"):
        report(alice, token.info["token_id"])
    assert revoked(alice) == [("TokenRevoked", token.info["token_id"], "grant-dead"), ("AccountsChanged",)]
    # The other grant is not known to be dead yet; its holder is told only that accounts changed.
    assert revoked(idle_one) == [("AccountsChanged",)]
    assert take(idle_one, ["profile"]).text == other.text
    with refused("LoginRequired"):
        alice.get_token([SCOPE])


def test_accounts_changed_goes_to_those_concerned(linked):
    holder, asked, checked = linked.client("alice"), linked.client("alice"), linked.client("alice")
    bob = linked.client("bob")
    take(holder, [SCOPE])
    assert apps.why_refused(asked, ["postal_code"]) == "ConsentRequired"
    apps.check(checked, [SCOPE])
    take(bob, [SCOPE])
    onlooker = bystander(linked, "weatherd")
    linked.client("alice").call(apps.ACCOUNTS, "Rename", "ss", ("main", "Mine"))
    apps.link(linked, "alice", ["postal_code"])
    for client in (holder, asked):
        assert ("AccountsChanged",) in revoked(client)
    assert revoked(checked) == revoked(bob) == seen_of_the_broker(onlooker) == []
    # The device's account concerns everybody who asked.
    apps.link(linked, "alice", ["postal_code"], "carol", owner="device")
    assert [("AccountsChanged",) in revoked(client) for client in (holder, bob)] == [True, True]


# --- callers that leave ---


def stays_well(world, user="alice"):
    await_calls(world, 0)
    take(world.client(user), [SCOPE])
    assert apps.status(world)["polkit"] == "ok"


def test_caller_leaves_before_it_is_identified(linked):
    for _ in range(50):
        client = linked.client("alice")
        client.send(BROKER, "GetToken", "asa{sv}", ([SCOPE], {}))
        linked.clients.remove(client)
        client.close()
    stays_well(linked)
    wait_until(lambda: apps.status(linked)["connections"] <= 3, 10, "the connections to be forgotten")


def test_caller_leaves_while_polkit_is_asked(linked):
    linked.polkitd.pause()
    try:
        client, other = linked.client("alice"), linked.client("alice")
        for _ in range(20):
            client.send(BROKER, "GetToken", "asa{sv}", ([SCOPE], {}))
            client.send(BROKER, "CheckScopes", "asa{sv}", ([SCOPE], {}))
        await_calls(linked, 40)
        waiting = other.send(BROKER, "GetToken", "asa{sv}", ([SCOPE], {}))
        await_calls(linked, 41)
        leave(linked, client)
        await_calls(linked, 1)
    finally:
        linked.polkitd.cont()
    os.close(other.wait(waiting)[0])
    stays_well(linked)


def leave(world, client):
    world.clients.remove(client)
    client.close()


@pytest.fixture
def expired(linked):
    """The token of alice's first grant has run out, and the next refresh takes a while."""
    client = linked.client("alice")
    linked.sim.set(token_lifetime=2)
    report(client, take(client, [SCOPE]).info["token_id"])
    wait_until(lambda: idle(linked), 30, "the token to run out unasked for")
    leave(linked, client)
    linked.sim.set(token_lifetime=3600)
    return linked


def requests(world):
    return apps.counter(world, "token.refresh_token.requests")


def await_request(world, before):
    wait_until(lambda: requests(world) > before, 10 * world.slowness, "the refresh to be at the provider")


def test_caller_leaves_while_the_provider_is_asked(expired):
    world = expired
    world.sim.set(delay_ms=1000)
    client, other = world.client("alice"), world.client("alice")
    before, asked = refreshes(world), requests(world)
    for _ in range(20):
        client.send(BROKER, "GetToken", "asa{sv}", ([SCOPE], {}))
    waiting = other.send(BROKER, "GetToken", "asa{sv}", ([SCOPE], {}))
    await_calls(world, 21)
    await_request(world, asked)
    leave(world, client)
    await_calls(world, 1)
    os.close(other.wait(waiting)[0])
    assert refreshes(world) == before + 1
    stays_well(world)


def test_only_caller_leaves_while_the_provider_is_asked(expired):
    """The refresh goes on: it has been sent, and its refresh token may have been rotated."""
    world = expired
    world.sim.set(delay_ms=700)
    client = world.client("alice")
    before, asked = refreshes(world), requests(world)
    client.send(BROKER, "GetToken", "asa{sv}", ([SCOPE], {}))
    await_request(world, asked)
    leave(world, client)
    await_calls(world, 0)
    wait_until(lambda: refreshes(world) == before + 1, 10, "the refresh to be answered")
    stays_well(world)
    assert refreshes(world) == before + 1


def test_caller_leaves_before_the_record(linked):
    """Each connection is another app's first time, or the same one's, and leaves while the record is written."""
    for _ in range(20):
        for user in ("alice", "bob", "musicd", "weatherd"):
            client = linked.client(user)
            client.call(apps.PEER, "Ping")
            client.send(BROKER, "GetToken", "asa{sv}", ([SCOPE], {}))
            client.send(BROKER, "ReleaseTokens")
            leave(linked, client)
        linked.sim.state()
    await_calls(linked, 0)
    stays_well(linked)
    records = apps.audit(linked, "token-disclosed")
    assert len(records) == len({(r["app"], r["token"]) for r in records})


def test_app_is_killed(linked):
    """Not a polite good-bye: the process is gone, with its calls under way."""
    linked.polkitd.pause()
    try:
        process = linked.spawn_as("musicd", ["lwactl", "token", SCOPE])
        await_calls(linked, 1)
        process.kill()
        await_calls(linked, 0)
    finally:
        linked.polkitd.cont()
    stays_well(linked, "musicd")


# --- callers that ask too much ---


def send_unanswered(client, n):
    """Calls that want no answer: the bus's own limit of unanswered calls does not count them."""
    address = DBusAddress(PATH, bus_name=BROKER, interface=BROKER)
    for _ in range(n):
        message = new_method_call(address, "GetToken", "asa{sv}", ([SCOPE], {}))
        message.header.flags |= MessageFlag.no_reply_expected
        client.connection.send(message, serial=next(client.connection.outgoing_serial))


def test_too_many_calls_of_one_connection(linked):
    """I9: beyond 256 calls under way this connection is refused, and nobody else."""
    greedy, other = linked.client("alice"), linked.client("alice")
    take(other, [SCOPE])
    linked.polkitd.pause()
    try:
        send_unanswered(greedy, 400)
        await_calls(linked, 256)
        for _ in range(3):
            with refused("RateLimited", "(256); wait for their answers."):
                greedy.get_token([SCOPE])
        # Others are served, and who was refused is still counted only once.
        take(other, [SCOPE])
        assert other.call(apps.PEER, "Ping") is None
        assert apps.calls_under_way(linked) == 256
    finally:
        linked.polkitd.cont()
    await_calls(linked, 0)
    take(greedy, [SCOPE])


def test_many_connections(linked):
    """As many as the bus lets one user have; when they go, nothing stays."""
    clients = [linked.client("alice")]
    before = apps.status(linked)["connections"]
    for _ in range(150):
        clients.append(clients[0].another())
        clients[-1].send(BROKER, "GetToken", "asa{sv}", ([SCOPE], {}))
    take(linked.client("bob"), [SCOPE])
    for client in clients[1:]:
        client.close()
    stays_well(linked)
    wait_until(lambda: apps.status(linked)["connections"] <= before + 3, 10, "the connections to be forgotten")
