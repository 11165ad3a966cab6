# SPDX-License-Identifier: LGPL-2.1-or-later
"""Audit1.Matrix: apps by scopes, what each may have, asked for, got and holds."""

import contextlib
import os
import pwd
import sqlite3
import time

import pytest

from logins import AUDIT, GRANTS, LIBRARY, PLAYBACK, error_of, link, link_device, settle, take
from test_policy1 import set_consent
from world import NAME, DBusError, wait_until

READ = "music::library:read"
FLATPAK = "flatpak:org.example.Player"
NEVER = {"asked": 0, "asked_at": 0, "used_at": 0, "denied_at": 0, "held_until": 0}


def rows(client, **options):
    kinds = {bool: "b", int: "x"}
    packed = {key: (kinds[type(value)], value) for key, value in options.items()}
    return client.call(AUDIT, "Matrix", "a{sv}", (packed,))


def matrix(client, **options):
    """{(app, user, scope): row}; each is there once."""
    found = rows(client, **options)
    by_key = {(row["app"], row["user"], row["scope"]): row for row in found}
    assert len(by_key) == len(found)
    return by_key


def uid(user):
    return pwd.getpwnam(user).pw_uid


def part(row, *keys):
    return {key: row[key] for key in keys}


@pytest.fixture
def linked(world):
    settle(world)
    link(world, "alice", [LIBRARY])
    return world


def test_what_was_asked_and_got(linked):
    begun = int(time.time())
    alice, root = linked.client("alice"), linked.client("root")
    _, info = take(alice)
    for _ in range(2):
        take(alice)
    linked.broker.restart()  # repeats are written lazily
    found = matrix(root)
    row = found["user:alice", "alice", LIBRARY]
    assert begun <= row["asked_at"] <= time.time() and row["used_at"] == row["asked_at"]
    assert part(row, "account", "uid", "allowed", "denied_at", "held_until", "complete") == {
        "account": "main", "uid": uid("alice"), "allowed": "allow", "denied_at": 0,
        "held_until": info["expires_at"], "complete": True,
    }
    assert row["asked"] == 3  # fmt: skip
    # What it holds gives the narrower scope too, for which it never asked.
    narrow = found["user:alice", "alice", READ]
    assert part(narrow, "asked", "asked_at") == {"asked": 0, "asked_at": 0}
    assert part(narrow, "used_at", "held_until", "allowed") == part(row, "used_at", "held_until", "allowed")


def test_what_was_denied(linked):
    alice, root = linked.client("alice"), linked.client("root")
    linked.write_grants("people", GRANTS + "[user:alice]\ndeny = profile\n")
    linked.reload()
    begun = int(time.time())
    with pytest.raises(DBusError):
        take(alice, ["profile"])
    row = wait_until(lambda: matrix(root).get(("user:alice", "alice", "profile")), 5, "the row")
    assert row["denied_at"] >= begun and row["asked_at"] == row["denied_at"] and row["asked"] == 1
    assert part(row, "used_at", "held_until", "allowed") == {"used_at": 0, "held_until": 0, "allowed": "deny"}


def test_an_app_that_has_left_is_the_one_of_the_table(linked):
    """What the table says of a user and what the trail says are of one app, also when nobody is connected."""
    linked.write_grants("people", GRANTS + "[user:weatherd]\ndeny = profile\n")
    linked.reload()
    app, root = linked.client("weatherd"), linked.client("root")
    with pytest.raises(DBusError):
        take(app, ["profile"])
    linked.clients.remove(app)
    app.close()
    row = wait_until(lambda: (lambda r: r if r["denied_at"] else None)(matrix(root)["user:weatherd", "weatherd", "profile"]),
                     5, "the refusal")
    assert part(row, "uid", "asked", "allowed") == {"uid": uid("weatherd"), "asked": 1, "allowed": "deny"}


def test_apps_of_the_table_and_others(linked):
    """Who is named and never asked is in it, and who asked and is not named."""
    linked.write_grants("people", "[user:bob]\nask = music::playback\nallow = music::library\ndeny = profile\n")
    linked.reload()
    with pytest.raises(DBusError):
        take(linked.client("carol"), [PLAYBACK])
    root = linked.client("root")
    row = wait_until(lambda: matrix(root).get(("user:carol", "carol", PLAYBACK)), 5, "carol's row")
    assert row["uid"] == uid("carol") and row["allowed"] in ("ask", "deny") and row["asked"] == 1
    found = matrix(root)
    bobs = {scope: row for (app, user, scope), row in found.items() if app == "user:bob"}
    assert {scope: row["allowed"] for scope, row in bobs.items()} == {
        PLAYBACK: "ask", LIBRARY: "allow", READ: "allow", "profile": "deny",
    }  # fmt: skip
    assert all(row.items() >= NEVER.items() for row in bobs.values())
    # Of the device's account, once there is one.
    assert bobs[LIBRARY]["account"] == ""
    link_device(linked, [LIBRARY])
    assert matrix(root)["user:bob", "bob", LIBRARY]["account"] == "device"


def allowed(found, app, scope=LIBRARY):
    return {row["user"]: row["allowed"] for row in found.values() if (row["app"], row["scope"]) == (app, scope)}


def test_an_app_of_each_user(linked):
    """flatpak:X of alice and of bob are two, and a section says for whom it is."""
    root = linked.client("root")
    link(linked, "bob", [LIBRARY])
    linked.write_grants("flatpaks", f"[{FLATPAK}]\nallow = {LIBRARY}\n")
    linked.reload()
    assert allowed(matrix(root), FLATPAK) == {"alice": "allow", "bob": "allow"}
    linked.write_grants("flatpaks", f"[{FLATPAK}]\nuser = alice\nallow = {LIBRARY}\n[{FLATPAK}]\nuser = bob\nask = {LIBRARY}\n")
    linked.reload()
    assert allowed(matrix(root), FLATPAK) == {"alice": "allow", "bob": "ask"}
    linked.write_grants("flatpaks", f"[{FLATPAK}]\nuser = {uid('bob')} nobody-met\nallow = {LIBRARY}\n")
    linked.reload()
    found = matrix(root)
    assert allowed(found, FLATPAK) == {"bob": "allow", "nobody-met": "allow"}
    assert "uid" not in found[FLATPAK, "nobody-met", LIBRARY]
    # A unit's section without `user` is for the system's users, whichever.
    linked.write_grants("flatpaks", f"[unit:playerd.service]\nallow = {LIBRARY}\n")
    linked.reload()
    assert allowed(matrix(root), "unit:playerd.service") == {"": "allow"}


def test_programs(linked):
    """What any program of the app may have; and that a section has run out."""
    root = linked.client("root")
    linked.write_grants("people", f"[user:bob exe:/usr/bin/player]\nallow = {LIBRARY}\n[user:alice]\nallow = {LIBRARY}\n")
    linked.reload()
    assert allowed(matrix(root), "user:bob") == {"bob": "allow"}
    linked.write_grants("people", f"[user:bob]\nallow = {LIBRARY}\nexpires = 2020-01-01\n")
    linked.reload()
    assert allowed(matrix(root), "user:bob")["bob"] != "allow"


def test_consents(linked):
    linked.write_grants("flatpaks", f"[{FLATPAK}]\nask = {LIBRARY}\n")
    linked.reload()
    alice, root = linked.client("alice"), linked.client("root")
    assert allowed(matrix(root), FLATPAK) == {"alice": "ask"}
    linked.write_rule("20-consent", 'polkit.addRule(function(a, s) { if (a.id === "org.lwabroker.consent") return polkit.Result.YES; });')
    set_consent(alice, FLATPAK, "allow", interactive=True)
    assert allowed(matrix(root), FLATPAK) == {"alice": "allow"}
    assert allowed(matrix(root), FLATPAK, READ) == {"alice": "allow"}
    set_consent(alice, FLATPAK, "deny")
    assert allowed(matrix(root), FLATPAK) == {"alice": "deny"}
    # Nothing but the answer speaks of the app.
    linked.write_grants("flatpaks", "")
    linked.reload()
    assert allowed(matrix(root), FLATPAK) == {"alice": "deny"}


def test_it_says_what_apps_are_told(linked):
    """The verdicts are those that CheckScopes gives to the app itself."""
    link_device(linked, [LIBRARY])
    users = ("alice", "bob", "musicd", "weatherd", "carol")
    clients = {user: linked.client(user) for user in users}
    for client in clients.values():
        for scope in (LIBRARY, PLAYBACK, "profile"):
            with contextlib.suppress(DBusError):
                take(client, [scope])
    found = {key: row for key, row in matrix(linked.client("root")).items() if key[1] in users}
    assert {user for _, user, _ in found} == set(users)
    for (_, user, scope), row in found.items():
        told = clients[user].call(NAME, "CheckScopes", "asa{sv}", ([scope], {}))[scope]
        assert told == row["allowed"] or told == "login-required" and row["allowed"] == "allow", (user, scope)


def test_own(linked):
    link(linked, "bob", [LIBRARY])
    linked.write_grants("flatpaks", f"[{FLATPAK}]\nallow = {LIBRARY}\n[flatpak:org.example.Bobs]\nuser = bob\nallow = profile\n")
    linked.reload()
    alice, bob, root = linked.client("alice"), linked.client("bob"), linked.client("root")
    for client in (alice, bob):
        take(client)
    own = matrix(alice, own=True)
    assert {user for _, user, _ in own} == {"alice"}
    everything = matrix(root)
    assert own == {key: row for key, row in everything.items() if key[1] == "alice"}
    assert ("flatpak:org.example.Bobs", "bob", "profile") in everything


def test_since(linked):
    """What was asked counts from then on; what is held is held."""
    alice, root = linked.client("alice"), linked.client("root")
    _, info = take(alice)
    row = matrix(root, since=int(time.time()) + 60)["user:alice", "alice", LIBRARY]
    assert row.items() >= {**NEVER, "held_until": info["expires_at"], "allowed": "allow"}.items()
    old = int(time.time()) - 200 * 86400
    with stopped(linked) as database:
        database.execute("UPDATE audit SET time_sec = ? WHERE event = 'token-disclosed'", (old,))
    row = matrix(root)["user:alice", "alice", LIBRARY]
    assert row.items() >= NEVER.items()
    assert matrix(root, since=old)["user:alice", "alice", LIBRARY]["used_at"] == old
    assert matrix(root, since=old + 1)["user:alice", "alice", LIBRARY]["used_at"] == 0


def test_held_ends_with_the_token(linked):
    linked.sim.set(token_lifetime=3)
    alice, root = linked.client("alice"), linked.client("root")
    linked.broker.restart()
    _, info = take(alice)
    assert info["expires_at"] - time.time() < 60
    assert matrix(root)["user:alice", "alice", LIBRARY]["held_until"] == info["expires_at"]
    alice.close()
    linked.clients.remove(alice)
    wait_until(lambda: time.time() > info["expires_at"] + 1, 70, "the token to end")
    row = matrix(root)["user:alice", "alice", LIBRARY]
    assert row["held_until"] == 0 or row["held_until"] > info["expires_at"]


@contextlib.contextmanager
def stopped(world):
    """The database, while the broker is not there. Whoever comes after it finds it the broker's again."""
    world.broker.stop()
    path = f"{world.state_dir}/broker.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN")
        yield database
        database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    owner = pwd.getpwnam("lwa-broker")
    for name in os.listdir(world.state_dir):
        os.chown(f"{world.state_dir}/{name}", owner.pw_uid, owner.pw_gid)
    world.broker.start()


INSERT = (
    "INSERT INTO audit (time_sec, event, uid, app, kind, strength, account, owner, owner_uid, asked, carried, verdict,"
    " decided_by, detail, grant_row, expires_sec) VALUES (?, 'token-disclosed', ?, ?, 'flatpak', 'sandbox', 'main',"
    " 'bob', ?, ?, ?, 'allow', 'table', '', 1, ?)"
)


def test_a_long_trail(linked):
    """More slices than one, and more apps than fit: those that hold a token are in it, and it says so."""
    bob, now = uid("bob"), int(time.time())

    def record(n):
        held = now + 3000 if n == 7 else now - 3000
        app = f"flatpak:org.example.App{n % 700}"
        return now - 9000, bob, app, bob, LIBRARY, LIBRARY, held

    with stopped(linked) as database:
        database.executemany(INSERT, map(record, range(20000)))
    root = linked.client("root")
    found = matrix(root)
    holder = found["flatpak:org.example.App7", "bob", LIBRARY]
    assert holder["held_until"] == now + 3000
    assert holder["asked"] == sum(n % 700 == 7 for n in range(20000))
    assert not any(row["complete"] for row in found.values())
    assert {app for app, _, _ in found} >= {"flatpak:org.example.App7"}
    assert all(row["complete"] for row in rows(linked.client("alice"), own=True))


def test_old_names_and_strangers(linked):
    """What the trail holds of users, scopes and apps that are gone."""
    now = int(time.time())
    with stopped(linked) as database:
        insert = lambda *values: database.execute(INSERT, (now, *values))
        insert(4242, "flatpak:org.example.Gone", None, "no::such:scope music::playback", "music::playback", now - 1)
        insert(4242, "user:nobody-met", None, LIBRARY, LIBRARY, now - 1)
        insert(uid("alice"), "unknown", None, LIBRARY, "", now - 1)
        insert(uid("alice"), "user:renamed", None, LIBRARY, LIBRARY, now - 1)
    found = matrix(linked.client("root"))
    assert found["flatpak:org.example.Gone", "4242", PLAYBACK]["uid"] == 4242
    assert found["user:nobody-met", "nobody-met", LIBRARY]["uid"] == 4242
    assert found["unknown", "alice", LIBRARY]["allowed"] == "deny"
    assert ("user:renamed", "renamed", LIBRARY) in found
    assert not any(scope == "no::such:scope" for _, _, scope in found)


def test_bad_arguments(linked):
    root = linked.client("root")
    for options in ({"own": ("s", "yes")}, {"since": ("t", 1)}, {"app": ("s", "user:alice")}):
        assert error_of(root.call, AUDIT, "Matrix", "a{sv}", (options,)).short == "InvalidArgument", options
    for since in (-(2**63), 2**63 - 1):
        assert isinstance(rows(root, since=since), list)


def test_who_may(linked):
    alice = linked.client("alice")
    assert error_of(rows, alice).short == "ConsentRequired"
    assert error_of(rows, linked.client("musicd"), own=True).short == "ConsentRequired"
    assert rows(alice, own=True)
    rule = 'polkit.addRule(function(a, s) { if (a.id.indexOf("org.lwabroker.audit") === 0) return polkit.Result.%s; });'
    linked.write_rule("05-audit", rule % "NO")
    assert error_of(rows, alice).short == "AccessDenied"
    assert error_of(rows, alice, own=True).short == "AccessDenied"
    linked.write_rule("05-audit", rule % "YES")
    assert rows(linked.client("musicd"))


def test_whoever_leaves_is_not_waited_for(linked):
    """Queries of callers that are gone end between their slices, and leave nothing behind."""
    with stopped(linked) as database:
        record = (1, uid("bob"), FLATPAK, uid("bob"), LIBRARY, LIBRARY, 1)
        database.executemany(INSERT, (record for _ in range(60000)))
    for _ in range(6):
        root = linked.client("root")
        root.send(AUDIT, "Matrix", "a{sv}", ({"since": ("x", 0)},))
        root.close()
        linked.clients.remove(root)
    assert matrix(linked.client("root"), since=0)[FLATPAK, "bob", LIBRARY]["asked"] == 60000
