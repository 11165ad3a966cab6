# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.lwabroker.Policy1: who may call what, what the answers say, and that what was taken back is taken back for every
call that comes after the answer."""

import os
import time

import pytest

from logins import GRANTS, LIBRARY, error_of, link, link_device, settle, take, trail
from world import NAME, wait_until

POLICY = "org.lwabroker.Policy1"
MANAGERS = """
polkit.addRule(function(action, subject) {
    if (action.id === "org.lwabroker.policy.manage" && subject.user === "carol")
        return polkit.Result.YES;
});
"""


def packed(options):
    kinds = {bool: "b", int: "u", str: "s"}
    return {key: (kinds[type(value)], value) for key, value in options.items()}


def list_apps(client, **options):
    return client.call(POLICY, "ListApps", "a{sv}", (packed(options),))


def list_exposure(client, **options):
    return client.call(POLICY, "ListExposure", "a{sv}", (packed(options),))


def reload(client, **options):
    return client.call(POLICY, "Reload", **options)


@pytest.fixture
def quick(world):
    return settle(world)


@pytest.fixture
def managed(quick):
    """carol may manage policy; no other person may."""
    quick.write_rule("15-managers", MANAGERS)
    return quick


# --- ListApps ---------------------------------------------------------------------------------------------


def test_apps_that_are_connected(managed):
    app, other = managed.client("musicd"), managed.client("weatherd")
    for client in (app, other):
        client.call("org.freedesktop.DBus.Peer", "Ping")
    asker = app.another()
    managed.clients.append(asker)
    (row,) = list_apps(asker)
    exe = row.pop("exe")
    assert exe in ("", os.path.realpath(f"/proc/{app.pid}/exe"))
    assert row == {
        "app": "user:musicd",
        "kind": "user",
        "strength": "uid",
        "pinned": row["pinned"],
        "uid": row["uid"],
        "user": "musicd",
        "unit": "",
        "pid": row["pid"],
        "connection": app.name,
        "tokens": 0,
    }
    assert row["pid"] in (0, app.pid)
    assert error_of(list_apps, asker, all=True).short in ("AccessDenied", "ConsentRequired")
    everyone = {row["connection"]: row["app"] for row in list_apps(managed.client("carol"), all=True)}
    assert everyone[app.name] == "user:musicd" and everyone[other.name] == "user:weatherd"
    assert everyone[asker.name] == "user:musicd"
    other.close()
    managed.clients.remove(other)
    everyone = [row["connection"] for row in list_apps(managed.root(), all=True)]
    assert app.name in everyone and other.name not in everyone


# --- ListExposure -----------------------------------------------------------------------------------------


def seen(rows):
    return sorted((row["app"], row["account"], row["token_id"], row["told"]) for row in rows)


def test_exposure_is_what_apps_got(managed):
    link(managed, "alice", [LIBRARY])
    link(managed, "bob", [LIBRARY])
    before = time.time()
    alice, bob = managed.client("alice"), managed.client("bob")
    assert list_exposure(alice) == []
    _, info = take(alice)
    _, other = take(bob)
    take(alice)
    (row,) = list_exposure(alice)
    assert abs(row.pop("expires_at") - info["expires_at"]) <= 1 and info["expires_at"] > before
    assert row == {
        "token_id": info["token_id"],
        "fingerprint": trail(managed.root(), "token-disclosed")[0]["token"],
        "app": "user:alice",
        "uid": row["uid"],
        "user": "alice",
        "account": "main",
        "owner": "alice",
        "scopes": [LIBRARY],
        "told": False,
    }
    assert error_of(list_exposure, alice, all=True).short in ("AccessDenied", "ConsentRequired")
    carol = managed.client("carol")
    mine, others = ("user:alice", "main", info["token_id"], False), ("user:bob", "main", other["token_id"], False)
    assert list_exposure(carol) == []
    assert seen(list_exposure(carol, all=True)) == [mine, others]
    assert seen(list_exposure(carol, all=True, app="user:bob")) == [others]
    assert list_exposure(alice, app="user:bob") == list_exposure(alice, account="main-2") == []
    for bad in ({"app": "alice"}, {"app": "exe:/usr/bin/x"}, {"account": "Main"}, {"app": "unknown"}):
        assert error_of(list_exposure, alice, **bad).short == "InvalidArgument"


def test_exposure_is_known_after_a_restart(managed):
    link_device(managed, [LIBRARY])
    app = managed.client("musicd")
    _, info = take(app, [LIBRARY])
    (before,) = list_exposure(app)
    managed.close_clients()
    managed.broker.restart()
    (row,) = list_exposure(managed.client("musicd"))
    assert before["token_id"] == info["token_id"] and row["token_id"] == ""
    assert row["owner"] == "device" and row | {"token_id": 0, "expires_at": 0} == before | {"token_id": 0, "expires_at": 0}
    assert abs(row["expires_at"] - before["expires_at"]) <= 1


def test_exposure_says_who_was_told(managed):
    """One holder is there to be told, the other has left with what it got."""
    link_device(managed, [LIBRARY])
    holder, leaver = managed.client("musicd"), managed.client("weatherd")
    text, info = take(holder, [LIBRARY])
    assert take(leaver, [LIBRARY])[1]["token_id"] == info["token_id"]
    managed.clients.remove(leaver)
    leaver.close()
    wait_until(lambda: leaver.name not in [row["connection"] for row in list_apps(managed.root(), all=True)], 5, "it to leave")
    managed.write_grants("people", "[user:alice]\nallow = profile\n[user:musicd]\ndeny = music::library\n")
    reload(managed.root())
    assert holder.wait_signal(NAME, "TokenRevoked") == [info["token_id"], "policy"]
    assert {row["app"]: row["told"] for row in list_exposure(managed.root(), all=True)} == {
        "user:musicd": True,
        "user:weatherd": False,
    }
    # Who gets it again is on the trail again, and is no more told.
    managed.write_grants("people", GRANTS)
    reload(managed.root())
    assert take(holder, [LIBRARY])[0] == text
    assert len(trail(managed.root(), "token-disclosed")) == 3
    assert [row["told"] for row in list_exposure(managed.root(), all=True, app="user:musicd")] == [False]


def test_exposure_ends_when_the_token_does(managed):
    managed.sim.set(token_lifetime=3)
    link(managed, "alice", [LIBRARY])
    alice = managed.client("alice")
    take(alice)
    assert len(list_exposure(alice)) == 1
    wait_until(lambda: not list_exposure(alice), 10 * managed.slowness, "the token to run out")


# --- Reload -----------------------------------------------------------------------------------------------


def test_reload_is_an_administrators(managed):
    for user in ("alice", "musicd"):
        assert error_of(reload, managed.client(user)).short in ("AccessDenied", "ConsentRequired")
    for user in ("carol", "root"):
        assert reload(managed.client(user)) == []


def test_reload_names_what_is_wrong(managed):
    managed.write_grants("broken", "[user:bob]\nallow = music::library\nalow = profile\n")
    (problem,) = reload(managed.root())
    assert problem["file"].endswith("/grants.d/broken.conf") and problem["line"] == 3 and "alow" in problem["problem"]
    managed.write_grants("broken", None)
    assert reload(managed.root()) == []


NO_MUSICD = (
    'polkit.addRule(function(a, s) { if (a.id.indexOf("org.lwabroker.scope.") === 0 && s.user == "musicd")'
    " return polkit.Result.NO; });"
)


@pytest.mark.parametrize("turn", range(3))
def test_reload_waits_for_rules_that_were_just_written(managed, turn):
    """What a rule says holds for every call after Reload has answered, though nobody waited for polkitd to notice. A
    file that is moved away is noticed late: its library waits for where it was moved to."""
    managed.write_grants("people", f"[user:musicd]\nallow = {LIBRARY}\n")
    root, app = managed.root(), managed.client("musicd")
    assert reload(root) == []
    assert error_of(take, app).short == "LoginRequired"
    path = managed.path("polkit/rules/20-no.rules")
    with open(path, "w", encoding="utf-8") as file:
        file.write(NO_MUSICD)
    reload(root)
    assert error_of(take, app).short == "AccessDenied"
    os.rename(path, managed.path("20-no.rules"))
    reload(root)
    assert error_of(take, app).short == "LoginRequired"


def test_reload_without_polkit(managed):
    """It is not known who may, so nobody may."""
    managed.polkitd.stop()
    assert error_of(reload, managed.root()).short in ("AccessDenied", "ConsentRequired")
    managed.polkitd.start()
    assert reload(managed.root(), timeout=30 * managed.slowness) == []
    assert managed.client("musicd").get_property(NAME, "Version")
