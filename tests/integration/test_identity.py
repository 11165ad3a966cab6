# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who is asking: the UNIX user behind a connection, and what happens when that cannot be told."""

import contextlib
import json
import os
import signal
import subprocess

import pytest

import apps
from apps import BROKER, await_calls, check, grants, refused, take, why_refused
from world import DBusError

SCOPE = "music::library:read"
NAMELESS = 23456


@pytest.fixture
def linked(world):
    apps.open_to_logins(world)
    return world


@contextlib.contextmanager
def users_edited(edit):
    """/etc/passwd is this run's own; every line goes through `edit`, which returns the new one or None."""
    with open("/etc/passwd", encoding="utf-8") as file:
        before = file.read()
    try:
        lines = (edit(line) for line in before.splitlines())
        write_users("".join(line + "\n" for line in lines if line is not None))
        yield
    finally:
        write_users(before)


def write_users(text):
    # In place: the file is bound over the machine's own.
    with open("/etc/passwd", "w", encoding="utf-8") as file:
        file.write(text)


def renamed(old, new):
    return users_edited(lambda line: line.replace(f"{old}:", f"{new}:", 1) if line.startswith(f"{old}:") else line)


ASK = """
import json, sys
from jeepney import DBusAddress, MessageType, new_method_call
from jeepney.io.blocking import open_dbus_connection
bus = open_dbus_connection("SYSTEM", enable_fds=True)
where = DBusAddress("/org/lwabroker/Broker1", bus_name="org.lwabroker.Broker1", interface="org.lwabroker.Broker1")
reply = bus.send_and_get_reply(new_method_call(where, sys.argv[1], "asa{sv}", (sys.argv[2:], {})))
error = reply.header.message_type is MessageType.error
print(json.dumps({"error": reply.header.fields[4], "text": reply.body[0]} if error else {"body": str(reply.body)}))
"""


def ask_as_uid(world, uid, method, *scopes):
    """A call of a process that runs under a bare number."""
    drop = ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--inh-caps=-all", "--"]
    argv = [*drop, "/usr/bin/python3", "-c", ASK, method, *scopes]
    done = apps.run(argv, env=world.environment(), cwd="/")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# --- two users ---


def test_two_users_are_told_apart(linked):
    """I8: each has its own, under the same id, and can reach nothing of the other's by any call."""
    grants(linked, f"[user:alice]\nallow = {SCOPE}\n[user:bob]\nallow = {SCOPE}\n")
    apps.link_all(linked, [("alice", [SCOPE], "alice", {}), ("bob", [SCOPE], "bob", {})])
    apps.link(linked, "alice", ["profile"], "carol")
    alice, bob = linked.client("alice"), linked.client("bob")
    tokens = {user: take(client, [SCOPE]) for user, client in (("alice", alice), ("bob", bob))}
    assert tokens["alice"].text != tokens["bob"].text
    assert {token.info["account"] for token in tokens.values()} == {"main"}

    assert bob.call(BROKER, "ReportRejected", "s", (tokens["alice"].info["token_id"],)) is False
    for attempt in (
        lambda: bob.get_token([SCOPE], account="main-2"),
        lambda: check(bob, [SCOPE], account="main-2"),
        lambda: bob.call(apps.ACCOUNTS, "Remove", "s", ("main-2",)),
        lambda: bob.call(apps.ACCOUNTS, "Rename", "ss", ("main-2", "Mine")),
        lambda: bob.call(apps.ACCOUNTS, "SetDefault", "s", ("main-2",)),
        lambda: apps.begin_login(bob, [SCOPE], account="main-2"),
    ):
        with refused("NoSuchAccount", "main-2"):
            attempt()
    assert [a["id"] for a in bob.call(apps.ACCOUNTS, "List", "a{sv}", ({},))] == ["main"]
    assert {g["owner"] for g in bob.call(apps.STATUS, "Get")["grants"]} == {"bob"}
    own, _ = bob.call(apps.AUDIT, "Query", "a{sv}tu", ({"own": ("b", True)}, 0, 1000))
    assert {record["owner"] for record in own} == {"bob"}
    # What bob removes is bob's.
    bob.call(apps.ACCOUNTS, "Remove", "s", ("main",))
    assert take(alice, [SCOPE]).text == tokens["alice"].text


def test_two_processes_of_one_user_are_one_app(linked):
    grants(linked, f"[user:alice]\nallow = {SCOPE}\n")
    apps.link(linked, "alice", [SCOPE])
    assert take(linked.client("alice"), [SCOPE]).text == take(linked.client("alice"), [SCOPE]).text
    assert len(apps.audit(linked, "token-disclosed")) == 1


def test_logins_side_by_side_are_one_account(linked):
    """Two logins of one customer that end at the same moment: one account with two grants, without a wait."""
    for _ in range(3):
        linked.reset()
        apps.open_to_logins(linked)
        accounts = apps.link_all(linked, [("alice", [scope], "alice", {}) for scope in (SCOPE, "profile", "postal_code")])
        assert accounts == ["main"] * 3
        assert "could not be linked yet" not in linked.broker.log().rsplit("serving ", 1)[1]


# --- no name, or none that can be trusted ---


def client_without_a_name(world):
    """dbus-daemon lets no uid connect that has no name, so it loses its name afterwards."""
    line = f"nameless:x:{NAMELESS}:{NAMELESS}::/nonexistent:/usr/sbin/nologin"
    with users_edited(lambda other: f"{other}\n{line}" if other.startswith("alice:") else other):
        return world.client("nameless")


def test_uid_without_a_name(linked):
    grants(linked, f"[uid:{NAMELESS}]\nallow = {SCOPE}\n[uid:2345]\nallow = profile\n[uid:234567]\nallow = profile\n")
    apps.link(linked, "alice", [SCOPE], "carol", owner="device")
    client = client_without_a_name(linked)
    assert check(client, [SCOPE, "profile"]) == {SCOPE: "allow", "profile": "ask"}
    assert take(client, [SCOPE]).info["account"] == "device"
    assert why_refused(client, ["profile"]) == "ConsentRequired"
    seen = {record["app"] for record in apps.audit(linked) if record.get("uid") == NAMELESS}
    assert seen == {f"uid:{NAMELESS}"}


def test_uid_section_is_not_for_those_with_a_name(linked):
    """alice is user:alice, and nothing else."""
    grants(linked, f"[uid:20001]\nallow = {SCOPE}\n")
    assert why_refused(linked.client("alice"), [SCOPE]) == "ConsentRequired"


@pytest.mark.parametrize("name", ["ali ce", "alice]", "al%s", "älice", "x" * 300, "alice/../root"])
def test_odd_user_name_is_not_trusted(linked, name):
    """It becomes no part of an identity, a rule's fact or the trail."""
    grants(linked, f"[user:alice]\nallow = {SCOPE}\n[uid:20001]\ndeny = {SCOPE}\n")
    with renamed("alice", name):
        assert ask_as_uid(linked, 20001, "GetToken", SCOPE)["error"] == "org.lwabroker.Error.AccessDenied"
        seen = {record["app"] for record in apps.audit(linked) if record.get("uid") == 20001}
        assert seen == {"uid:20001"}
    assert why_refused(linked.client("alice"), [SCOPE]) == "LoginRequired"


def test_name_that_cannot_be_read_is_no_name(linked):
    """The name service failed: that is not the same as a uid without a name, for which a table may say other things
    (I5). An entry that does not fit any buffer is such a failure."""
    grants(linked, f"[user:alice]\ndeny = {SCOPE}\n[uid:20001]\nallow = {SCOPE}\n")

    def lengthened(line):
        return line.replace(":alice:", f":{'x' * 100000}:") if line.startswith("alice:") else line

    with users_edited(lengthened):
        answer = ask_as_uid(linked, 20001, "GetToken", SCOPE)
    assert answer["error"] == "org.lwabroker.Error.AccessDenied"
    assert "who is calling" in answer["text"]


# --- name and uid come apart ---


def test_account_is_locked_when_name_and_uid_come_apart(linked):
    grants(linked, f"[user:alice]\nallow = {SCOPE}\n[user:mallory]\nallow = {SCOPE}\n")
    apps.link(linked, "alice", [SCOPE])
    take(linked.client("alice"), [SCOPE])
    with renamed("alice", "mallory"):
        # The uid is somebody else's now: the login stays, and serves nobody.
        client = linked.client("mallory")
        with refused("AccessDenied", "main", "administrator"):
            client.get_token([SCOPE])
        assert check(client, [SCOPE]) == {SCOPE: "login-required"}
        assert [a["locked"] for a in client.call(apps.ACCOUNTS, "List", "a{sv}", ({},))] == [True]
        for attempt in (
            lambda: apps.begin_login(client, [SCOPE], account="main"),
            lambda: client.call(apps.ACCOUNTS, "SetDefault", "s", ("main",)),
            lambda: client.call(apps.ACCOUNTS, "Remove", "s", ("main",)),
        ):
            with refused("AccessDenied", "administrator"):
                attempt()
        client.close()
        linked.clients.remove(client)
    take(linked.client("alice"), [SCOPE])


def test_same_name_under_another_uid_has_nothing(linked):
    """alice was removed and made anew, with another uid."""
    grants(linked, f"[user:alice]\nallow = {SCOPE}\n")
    apps.link(linked, "alice", [SCOPE])
    new = users_edited(lambda line: line.replace(":20001:", f":{NAMELESS}:", 1) if line.startswith("alice:") else line)
    with new:
        assert ask_as_uid(linked, NAMELESS, "GetToken", SCOPE)["error"] == "org.lwabroker.Error.LoginRequired"
        with refused("NoSuchAccount"):
            client = linked.client("alice")
            client.get_token([SCOPE], account="main")
        linked.close_clients()
    take(linked.client("alice"), [SCOPE])


# --- many at once ---


def test_many_identities_at_once(linked):
    """Look-ups wait for their turn, and each gets its own answer."""
    grants(linked, f"[user:bob]\nallow = {SCOPE}\n")
    users = ("alice", "bob", "musicd", "weatherd", "carol")
    first = [linked.client(user) for user in users]
    clients = [(client.user, client.another()) for client in first * 20]
    serials = [(user, c, c.send(BROKER, "CheckScopes", "asa{sv}", ([SCOPE], {}))) for user, c in clients]
    for user, client, serial in serials:
        expected = "login-required" if user == "bob" else "ask"
        assert client.wait(serial) == {SCOPE: expected}, user
        client.close()
    await_calls(linked, 0)


def test_the_caller_says_nothing_about_itself(linked):
    """There is no option, header or name by which a caller could be another app."""
    client = linked.client("bob")
    for option in ("app", "user", "uid", "owner", "identity"):
        with pytest.raises(DBusError, match="InvalidArgument"):
            client.get_token([SCOPE], **{option: ("s", "user:alice")})


def test_stuck_name_service_does_not_hold_up_the_end(linked, tmp_path):
    fifo = tmp_path / "passwd"
    os.mkfifo(fifo)
    client = linked.client("bob")
    apps.status(linked)
    subprocess.run(["mount", "--bind", fifo, "/etc/passwd"], check=True)
    try:
        client.send("org.lwabroker.Broker1", "ReleaseTokens")
        await_calls(linked, 1)
        linked.clients.remove(client)
        client.close()
        await_calls(linked, 0)
        linked.broker.signal(signal.SIGTERM)
        assert linked.broker.wait_end(timeout=10) == 0
    finally:
        subprocess.run(["umount", "--lazy", "/etc/passwd"], check=True)
    linked.broker.process = None
