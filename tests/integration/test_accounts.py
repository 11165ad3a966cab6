# SPDX-License-Identifier: LGPL-2.1-or-later
"""Accounts1: listing, renaming, the default, removal, and who is told what."""

import os
import time

import pytest

from logins import (
    ACCOUNTS,
    LIBRARY,
    PLAYBACK,
    accounts,
    error_of,
    link,
    link_device,
    refreshes,
    reject,
    rows,
    settle,
    status,
    store_held,
    take,
    trail,
    wait_trail,
)
from world import NAME, wait_until

BROKER = NAME


@pytest.fixture
def quick(world):
    return settle(world)


def change(client, member, account, *more):
    return client.call(ACCOUNTS, member, "s" * (1 + len(more)), (account, *more))


def changes(account="main"):
    return [("Remove", account), ("Rename", account, "mine"), ("SetDefault", account)]


def test_list(quick):
    alice, bob = quick.client("alice"), quick.client("bob")
    assert accounts(alice) == {}
    link(quick, "alice", [LIBRARY], client=alice, label="Alice at home")
    began = time.time()
    link_device(quick)
    assert accounts(bob).keys() == {"device"}
    found = accounts(alice)
    assert found.keys() == {"main", "device"}
    assert abs(found["main"].pop("created_at") - began) < 10
    assert found["main"] == {
        "id": "main",
        "label": "Alice at home",
        "owner": "alice",
        "default": True,
        "locked": False,
        "needs_login": False,
        "claimed": False,
        "grants": [LIBRARY],
    }
    assert found["device"]["owner"] == "device" and found["device"]["default"]
    error = error_of(alice.call, ACCOUNTS, "List", "a{sv}", ({"all": ("b", True)},))
    assert error.short == "InvalidArgument" and "all" in error.message


def test_nobody_changes_anothers_account(quick):
    link(quick, "alice", [LIBRARY])
    link(quick, "alice", [LIBRARY], "carol")
    before = accounts(quick.client("alice"))
    for user in ("bob", "root", "musicd"):
        client = quick.client(user)
        for call in changes("main-2"):
            assert error_of(change, client, *call).short == "NoSuchAccount", (user, call)
    assert accounts(quick.client("alice")) == before


def test_own_account_needs_the_right_to_manage(quick):
    link(quick, "alice", [LIBRARY])
    alice = quick.client("alice")
    before = accounts(alice)
    quick.write_rule("10-owners", None)
    for call in changes():
        assert error_of(change, alice, *call).short == "ConsentRequired", call
    quick.write_rule("10-owners", "polkit.addRule(function(a, s) { return polkit.Result.NO; });")
    for call in changes():
        assert error_of(change, alice, *call).short == "AccessDenied", call
    assert accounts(alice) == before


def test_device_account_is_the_administrators(quick):
    link_device(quick)
    alice, root = quick.client("alice"), quick.client("root")
    for call in changes("device"):
        assert error_of(change, alice, *call).short == "ConsentRequired", call
    change(root, "Rename", "device", "Living room")
    assert accounts(alice)["device"]["label"] == "Living room"
    rule = (
        'polkit.addRule(function(a, s) { if (a.id === "org.lwabroker.accounts.manage" && s.user === "alice" && '
        'a.lookup("owner") === "device" && a.lookup("account") === "device") return polkit.Result.YES; });'
    )
    quick.write_rule("05-alice", rule)
    change(alice, "Rename", "device", "Kitchen")
    assert error_of(change, quick.client("bob"), "Rename", "device", "Bob's").short == "ConsentRequired"
    assert accounts(root)["device"]["label"] == "Kitchen"
    change(alice, "Remove", "device")
    assert accounts(root) == {}


GOOD_LABELS = ["x", "Küche", "日本語", "<b>&amp;%s%n'\"\\", "$(reboot)`id`", "x" * 128, "é" * 64, "🎵"]
BAD_LABELS = [
    "",
    "x" * 129,
    "é" * 65,
    "a\nb",
    "a\tb",
    "a\x1b[31mb",
    "a\x7fb",
    "a\x9b31mb",  # CSI in one character
    "a\u2028b",
    "a\u202eb",  # what follows is shown backwards
    "a\u2066b",
]
BAD_ACCOUNTS = ["", "Main", "main ", "ma/in", "x" * 33, "é", "main\n", "%s", "-" * 40]


def test_labels(quick):
    link(quick, "alice", [LIBRARY])
    alice = quick.client("alice")
    for label in GOOD_LABELS:
        change(alice, "Rename", "main", label)
        assert accounts(alice)["main"]["label"] == label
    for label in BAD_LABELS:
        assert error_of(change, alice, "Rename", "main", label).short == "InvalidArgument", label
    for account in BAD_ACCOUNTS:
        for call in changes(account):
            assert error_of(change, alice, *call).short == "InvalidArgument", call
    for call in changes("other"):
        assert error_of(change, alice, *call).short == "NoSuchAccount", call
    assert accounts(alice)["main"]["label"] == GOOD_LABELS[-1]
    quick.broker.kill9()
    quick.broker.start()
    assert accounts(quick.client("alice"))["main"]["label"] == GOOD_LABELS[-1]


def test_default(quick):
    alice = quick.client("alice")
    link(quick, "alice", [LIBRARY], client=alice)
    link(quick, "alice", [LIBRARY], "carol", client=alice)
    link(quick, "bob", [LIBRARY])
    change(alice, "SetDefault", "main-2")
    for _ in range(2):
        assert {name: account["default"] for name, account in accounts(alice).items()} == {"main": False, "main-2": True}
        assert take(alice)[1]["account"] == "main-2"
        assert accounts(quick.client("bob"))["main"]["default"]
        quick.broker.kill9()
        quick.broker.start()
        alice = quick.client("alice")


@pytest.mark.parametrize("restart", [False, True])
def test_default_is_handed_over(quick, restart):
    """Who had two logins and removed one is not left without a default, now or after a restart."""
    alice = quick.client("alice")
    link(quick, "alice", [LIBRARY], client=alice)
    link(quick, "alice", [LIBRARY], "carol", client=alice)
    change(alice, "Remove", "main")
    if restart:
        quick.broker.kill9()
        quick.broker.start()
        alice = quick.client("alice")
    assert accounts(alice)["main-2"]["default"]
    assert take(alice)[1]["account"] == "main-2"


def test_removal(quick):
    """From the answer on nothing of the account is served, and its secrets are gone from the database."""
    alice, other, bob = quick.client("alice"), quick.client("alice"), quick.client("bob")
    link(quick, "alice", [LIBRARY], client=alice)
    link(quick, "bob", [LIBRARY], client=bob)
    _, info = take(alice)
    take(bob)
    assert rows(quick, "SELECT count(*) FROM owner") == [(2,)]
    sealed = rows(quick, "SELECT g.token, o.key FROM grant g JOIN owner o ON o.id = g.owner WHERE o.name = 'alice'")
    before = refreshes(quick)

    change(alice, "Remove", "main")
    for client in (alice, other):
        assert error_of(take, client).short == "LoginRequired"
    assert accounts(alice) == {} and reject(alice, info["token_id"]) is False
    assert alice.wait_signal(BROKER, "TokenRevoked") == [info["token_id"], "account-removed"]
    assert error_of(change, alice, "Remove", "main").short == "NoSuchAccount"
    assert refreshes(quick) == before
    take(bob)

    assert rows(quick, "SELECT name FROM owner") == [("bob",)]
    assert rows(quick, "SELECT count(*) FROM grant") == [(1,)]
    for blob in sealed[0]:
        for name in os.listdir(quick.state_dir):
            with open(f"{quick.state_dir}/{name}", "rb") as file:
                assert blob not in file.read(), name
    quick.broker.kill9()
    quick.broker.start()
    assert error_of(take, quick.client("alice")).short == "LoginRequired"
    assert wait_trail(quick.client("root"), "account-removed", account="main")["owner"] == "alice"


def test_removal_whose_caller_leaves(quick):
    """What the store was told cannot be taken back: it holds, with or without someone to answer."""
    root, alice, other = quick.client("root"), quick.client("alice"), quick.client("alice")
    link(quick, "alice", [LIBRARY], client=other)
    _, info = take(other)
    accounts(alice)
    before = status(root)["connections"]
    with store_held(quick):
        alice.send(ACCOUNTS, "Remove", "s", ("main",))
        trail(root)  # through polkit too, which answers in order: the removal is with the store
        quick.clients.remove(alice)
        alice.close()
        wait_until(lambda: status(root)["connections"] < before, 1, "the caller's departure")
    wait_until(lambda: not accounts(other), 5 * quick.slowness, "the removal")
    assert other.wait_signal(BROKER, "TokenRevoked") == [info["token_id"], "account-removed"]
    assert error_of(take, other).short == "LoginRequired"


def test_key_stays_while_the_owner_has_an_account(quick):
    alice = quick.client("alice")
    link(quick, "alice", [LIBRARY], client=alice)
    link(quick, "alice", [PLAYBACK], "carol", client=alice)
    change(alice, "Remove", "main")
    assert rows(quick, "SELECT name FROM owner") == [("alice",)]
    quick.broker.restart()
    take(quick.client("alice"), [PLAYBACK])


def test_new_login_after_removal(quick):
    alice = quick.client("alice")
    link(quick, "alice", [LIBRARY], client=alice)
    change(alice, "Remove", "main")
    assert link(quick, "alice", [LIBRARY], client=alice) == "main"
    take(alice)


def test_attention_is_for_owners_that_asked(quick):
    asked, silent, bob, root = (quick.client(user) for user in ("alice", "alice", "bob", "root"))
    link(quick, "alice", [LIBRARY])
    for client in (asked, bob, root):
        accounts(client)
    _, info = take(silent)
    quick.sim.revoke("alice")
    assert error_of(reject, silent, info["token_id"]).short == "LoginRequired"
    assert asked.wait_signal(ACCOUNTS, "AttentionNeeded") == ["main", "dead"]
    for client in (silent, bob, root, asked):
        assert "AttentionNeeded" not in [member for _, member, _ in client.drain(0.1)], client.user
    assert accounts(asked)["main"]["needs_login"]


def test_attention_for_the_device_account(quick):
    link_device(quick)
    alice, bob = quick.client("alice"), quick.client("bob")
    accounts(alice)
    musicd = quick.client("musicd")
    _, info = take(musicd)
    quick.sim.revoke("carol")
    assert error_of(reject, musicd, info["token_id"]).short == "LoginRequired"
    assert alice.wait_signal(ACCOUNTS, "AttentionNeeded") == ["device", "dead"]
    assert bob.drain(0.1) == []


def test_accounts_changed_is_for_apps_that_use_them(quick):
    alice, silent, bob = quick.client("alice"), quick.client("alice"), quick.client("bob")
    link(quick, "alice", [LIBRARY])
    take(alice)
    assert error_of(take, bob).short == "LoginRequired"
    change(quick.client("alice"), "Rename", "main", "new")
    assert alice.wait_signal(BROKER, "AccountsChanged") == []
    assert silent.drain(0.1) == [] and bob.drain(0.1) == []
