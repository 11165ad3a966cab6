# SPDX-License-Identifier: LGPL-2.1-or-later
"""Audit1: every deed is on the trail, and who may read it."""

import os
import pwd
import time

import pytest

from logins import (
    ACCOUNTS,
    AUDIT,
    LIBRARY,
    PLAYBACK,
    Login,
    error_of,
    link,
    link_device,
    reject,
    settle,
    take,
    trail,
    wait_trail,
)
from world import wait_until

FIELDS = {
    "sequence", "time", "event", "app", "kind", "strength", "account", "owner", "asked", "carried", "verdict",
    "decided_by", "detail", "grant", "expires_at", "repeats", "token", "unit", "program", "chain",
    "request", "boot_time", "boot_id", "epoch", "hash", "seal", "repeats_epoch", "repeats_seal",
}  # fmt: skip


@pytest.fixture
def quick(world):
    return settle(world)


@pytest.fixture
def linked(quick):
    link(quick, "alice", [LIBRARY])
    return quick


def query(client, after=0, limit=1000, **filters):
    return client.call(AUDIT, "Query", "a{sv}tu", ({key: ("b", value) for key, value in filters.items()}, after, limit))


def uid(user):
    return pwd.getpwnam(user).pw_uid


def fits(record, **fields):
    wrong = {key: (record.get(key), value) for key, value in fields.items() if record.get(key) != value}
    assert wrong == {}
    return record


# --- reading ---


def test_paging(linked):
    """Page after page gives each record once, in order, whatever comes in meanwhile."""
    root = linked.client("root")
    everything, _ = query(root)
    assert len(everything) >= 5
    for limit in (1, 2, len(everything) - 1, len(everything)):
        found, after = [], 0
        while True:
            page, after = query(root, after, limit)
            assert len(page) <= limit
            found += page
            if after == 0:
                break
            assert after == page[-1]["sequence"]
        assert found[: len(everything)] == everything
    sequences = [record["sequence"] for record in everything]
    assert sequences == sorted(set(sequences))
    page, after = query(root, sequences[-1])
    assert after == 0 and all(record["sequence"] > sequences[-1] for record in page)


def test_newest(linked):
    root = linked.client("root")
    everything, _ = query(root)
    page, after = query(root, limit=2, newest=True)
    assert page == everything[-2:] and after == everything[-2]["sequence"]
    page, after = query(root, after, 1000, newest=True)
    assert page == everything[:-2] and after == 0


def test_own(linked):
    link(linked, "bob", [LIBRARY])
    take(linked.client("bob"))
    alice = linked.client("alice")
    take(alice)
    own, _ = query(alice, own=True)
    assert {record["owner"] for record in own} == {"alice"}
    assert {"login-begun", "login-finished", "token-disclosed"} <= {record["event"] for record in own}
    everything, _ = query(linked.client("root"))
    assert own == [record for record in everything if record["owner"] == "alice"]
    assert query(alice, limit=1, own=True, newest=True)[0] == own[-1:]


def test_own_paging_does_not_stop_at_others_records(linked):
    """A long stretch of other owners' records is not the end."""
    bob = linked.client("bob")
    link(linked, "bob", [LIBRARY], client=bob)
    for label in range(30):
        bob.call(ACCOUNTS, "Rename", "ss", ("main", f"label {label}"))
    alice = linked.client("alice")
    take(alice)
    found, after = [], 0
    for _ in range(100):
        page, after = query(alice, after, 1, own=True)
        found += page
        if after == 0:
            break
    assert found == query(alice, own=True)[0] and found[-1]["event"] == "token-disclosed"


BAD_QUERIES = [
    ({}, 0, 0),
    ({}, 0, 1001),
    ({}, 0, 2**32 - 1),
    ({}, 2**63, 10),
    ({}, 2**64 - 1, 10),
    ({"apps": ("s", "user:alice")}, 0, 10),
    ({"newest": ("s", "yes")}, 0, 10),
    ({"own": ("u", 1)}, 0, 10),
    ({"": ("b", True)}, 0, 10),
]


def test_bad_queries(linked):
    root = linked.client("root")
    for arguments in BAD_QUERIES:
        assert error_of(root.call, AUDIT, "Query", "a{sv}tu", arguments).short == "InvalidArgument", arguments
    assert "apps" in error_of(root.call, AUDIT, "Query", "a{sv}tu", BAD_QUERIES[5]).message
    assert query(root, 2**63 - 1) == [[], 0]


def test_who_may_read(linked):
    """Everything is for administrators; one's own is for people at the device."""
    for user in ("alice", "musicd"):
        assert error_of(query, linked.client(user)).short == "ConsentRequired"
    assert error_of(query, linked.client("musicd"), own=True).short == "ConsentRequired"
    assert query(linked.client("bob"), own=True)[0] == []
    rule = 'polkit.addRule(function(a, s) { if (a.id.indexOf("org.lwabroker.audit") === 0) return polkit.Result.%s; });'
    linked.write_rule("05-audit", rule % "NO")
    assert error_of(query, linked.client("alice")).short == "AccessDenied"
    assert error_of(query, linked.client("alice"), own=True).short == "AccessDenied"
    linked.write_rule("05-audit", rule % "YES")
    assert query(linked.client("musicd"))[0] == query(linked.client("root"))[0]


# --- what is on it ---


def test_form_of_records(linked):
    take(linked.client("alice"))
    records, _ = query(linked.client("root"))
    for record in records:
        assert record.keys() - {"uid", "owner_uid"} == FIELDS
        assert abs(record["time"] - time.time()) < 30
    disclosed = [record for record in records if record["event"] == "token-disclosed"]
    assert len(disclosed) == 1


def test_login_is_recorded(quick):
    root = quick.client("root")
    link(quick, "alice", [LIBRARY, PLAYBACK])
    scopes = f"{LIBRARY} {PLAYBACK}"
    begun = fits(
        wait_trail(root, "login-begun"),
        app="user:alice", kind="user", strength="uid", uid=uid("alice"), owner="alice", asked=scopes, detail="device-code",
    )  # fmt: skip
    refreshed = fits(wait_trail(root, "token-refreshed"), owner="alice", carried=scopes)
    finished = fits(wait_trail(root, "login-finished"), account="main", owner="alice", carried=scopes)
    assert begun["sequence"] < refreshed["sequence"] < finished["sequence"]
    assert finished["grant"] == refreshed["grant"] > 0


def test_failed_logins_are_recorded(quick):
    root, alice = quick.client("root"), quick.client("alice")
    login = Login(alice, [LIBRARY]).wait_state("waiting")
    quick.sim.approve(login.code, answer="deny")
    assert login.finish()[0] == "denied"
    fits(wait_trail(root, "login-failed", detail="denied"), app="user:alice", asked=LIBRARY, owner="alice")
    quick.sim.fault("codepair", "status-500")
    assert Login(alice, [LIBRARY]).finish()[0] == "failed"
    fits(wait_trail(root, "login-failed", detail="provider"), app="user:alice")
    assert trail(root, "login-finished") == []


def test_disclosure_is_recorded(linked):
    """Once for each app and token, and before the token is there; what follows is counted."""
    alice, root = linked.client("alice"), linked.client("root")
    before = time.time()
    _, info = take(alice, ["music::library:read"])
    record = fits(
        wait_trail(root, "token-disclosed"),
        app="user:alice", kind="user", strength="uid", uid=uid("alice"), account="main", owner="alice",
        asked="music::library:read", carried=LIBRARY, verdict="allow", decided_by="table+polkit", repeats=0,
    )  # fmt: skip
    assert abs(record["expires_at"] - info["expires_at"]) <= 1 and record["time"] >= int(before)
    assert len(record["token"]) >= 32 and record["token"] != info["token_id"]
    for client in (alice, alice, linked.client("alice")):
        take(client)
    assert len(trail(root, "token-disclosed")) == 1
    linked.broker.stop()
    linked.broker.start()
    assert trail(linked.client("root"), "token-disclosed")[0]["repeats"] == 3


def test_each_app_and_each_token_is_a_disclosure(quick):
    link_device(quick, [LIBRARY])
    musicd, root = quick.client("musicd"), quick.client("root")
    take(musicd)
    take(quick.client("weatherd"))
    assert reject(musicd, take(musicd)[1]["token_id"]) is True
    take(musicd)
    found = trail(root, "token-disclosed")
    assert [record["app"] for record in found] == ["user:musicd", "user:weatherd", "user:musicd"]
    first, second, third = (record["token"] for record in found)
    assert first == second != third
    assert {record["owner"] for record in found} == {"device"}


def test_refusals_are_recorded(linked):
    root = linked.client("root")
    linked.write_grants("people", "[user:alice]\nallow = music::library\ndeny = postal_code\n")
    linked.reload()
    alice = linked.client("alice")
    assert error_of(take, alice, ["postal_code"]).short == "AccessDenied"
    fits(
        wait_trail(root, "token-denied"),
        app="user:alice", uid=uid("alice"), asked="postal_code", verdict="AccessDenied", decided_by="table",
    )  # fmt: skip
    assert error_of(take, alice, ["profile"]).short == "ConsentRequired"
    fits(wait_trail(root, "token-denied", asked="profile"), verdict="ConsentRequired")


def test_a_thousand_equal_denials_are_one_record(linked):
    carol, root = linked.client("carol"), linked.client("root")
    for _ in range(10):
        results = carol.call_many([("org.lwabroker.Broker1", "GetToken", "asa{sv}", ([LIBRARY], {}))] * 100)
        assert {result.short for result in results} == {"ConsentRequired"}
    assert len(trail(root, "token-denied")) == 1
    linked.broker.restart()
    fits(trail(linked.client("root"), "token-denied")[0], app="user:carol", repeats=999)


def test_ever_different_denials_do_not_fill_the_trail(linked):
    """Each set of scopes is a refusal of its own, and there are more sets than a disk has room for."""
    carol, root = linked.client("carol"), linked.client("root")
    scopes = ["music::catalog", "music::history", "music::playback", "music::recommendation", "profile", "postal_code"]
    sets = [[s for bit, s in enumerate(scopes) if number >> bit & 1] for number in range(1, 64)]
    results = carol.call_many([("org.lwabroker.Broker1", "GetToken", "asa{sv}", (one, {})) for one in sets])
    assert {result.short for result in results} == {"ConsentRequired"}
    denied = wait_until(lambda: trail(root, "token-denied"), 10 * linked.slowness, "the records")
    assert len(denied) == 17
    fits(denied[-1], app="user:carol", asked="", detail="many-kinds")
    linked.broker.restart()
    assert sum(1 + record["repeats"] for record in trail(linked.client("root"), "token-denied")) == len(sets)


def test_ever_different_users_do_not_fill_the_trail(linked):
    """Who may make users of his own (subuids) is many of them."""
    users, root = ["alice", "bob", "carol", "musicd", "weatherd"], linked.client("root")
    scopes = ["music::catalog", "music::history", "music::playback", "music::recommendation", "profile", "postal_code"]
    sets = [[s for bit, s in enumerate(scopes) if number >> bit & 1] for number in range(1, 25)]
    clients = [linked.client(user) for user in users]
    for _ in range(3):
        for client in clients:
            client.call_many([("org.lwabroker.Broker1", "GetToken", "asa{sv}", (one, {})) for one in sets])
    denied = wait_until(lambda: trail(root, "token-denied"), 10 * linked.slowness, "the records")
    assert len(denied) <= 64
    everybody = [record for record in denied if record["detail"] == "many-users"]
    assert everybody and "uid" not in everybody[0] and everybody[0]["app"] == "", denied[-1]
    linked.broker.restart()
    denied = trail(linked.client("root"), "token-denied")
    assert sum(1 + record["repeats"] for record in denied) == 3 * len(users) * len(sets)


def test_refresh_and_its_failures_are_recorded(linked):
    alice, root = linked.client("alice"), linked.client("root")
    _, info = take(alice)
    n = len(trail(root, "token-refreshed"))
    linked.sim.fault("token", "status-500", grant_type="refresh_token")
    assert error_of(reject, alice, info["token_id"]).short == "ProviderUnavailable"
    fits(
        wait_trail(root, "token-rejected"),
        app="user:alice", uid=uid("alice"), account="main", token=wait_trail(root, "token-disclosed")["token"],
    )  # fmt: skip
    fits(wait_trail(root, "token-refresh-failed"), account="main", owner="alice", detail="transient", carried=LIBRARY)
    wait_until(lambda: len(trail(root, "token-refreshed")) == n + 1, 10 * linked.slowness, "the next try")


def test_death_is_recorded(linked):
    alice, root = linked.client("alice"), linked.client("root")
    _, info = take(alice)
    linked.sim.revoke("alice")
    assert error_of(reject, alice, info["token_id"]).short == "LoginRequired"
    fits(wait_trail(root, "grant-died"), account="main", owner="alice", detail="invalid-grant")


def test_changes_of_accounts_are_recorded(linked):
    alice, root = linked.client("alice"), linked.client("root")
    who = {"app": "user:alice", "uid": uid("alice"), "account": "main", "owner": "alice"}
    alice.call(ACCOUNTS, "Rename", "ss", ("main", "x"))
    fits(wait_trail(root, "account-renamed"), detail="", **who)
    alice.call(ACCOUNTS, "SetDefault", "s", ("main",))
    fits(wait_trail(root, "account-changed", detail="default"), **who)
    alice.call(ACCOUNTS, "Remove", "s", ("main",))
    fits(wait_trail(root, "account-removed"), **who)


def test_start_stop_and_policy_are_recorded(quick):
    quick.reload()
    quick.broker.restart()
    root = quick.client("root")
    wait_until(lambda: len(trail(root, "policy-loaded")) == 4, 5 * quick.slowness, "the start to be written down")
    events = [record["event"] for record in trail(root)]
    assert events == [
        "trail-key-created", "broker-started", "key-created", "policy-loaded", "policy-loaded", "policy-loaded", "broker-stopped",
        "broker-started", "policy-loaded",
    ]  # fmt: skip
    # What was refused is no policy.
    quick.write("conf/broker.conf", "[nothing]\n")
    quick.reload()
    assert len(trail(root, "policy-loaded")) == 4
    quick.write_config()


def test_deed_before_answer(linked):
    """A broker that is killed at the moment it answers has the record."""
    alice = linked.client("alice")
    take(alice)
    linked.broker.kill9()
    linked.broker.start()
    assert len(trail(linked.client("root"), "token-disclosed")) == 1
    alice = linked.client("alice")
    alice.call(ACCOUNTS, "Remove", "s", ("main",))
    linked.broker.kill9()
    linked.broker.start()
    assert len(trail(linked.client("root"), "account-removed")) == 1


def test_lwactl_reads_it(linked):
    take(linked.client("alice"))
    done = linked.run_as("root", [os.path.join(linked.build_dir, "lwactl"), "audit"])
    assert done.returncode == 0 and "token-disclosed" in done.stdout and "user:alice" in done.stdout
