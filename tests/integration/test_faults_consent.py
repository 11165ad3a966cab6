# SPDX-License-Identifier: LGPL-2.1-or-later
"""The fault matrix, consents: the disk fills up at each write of each change, and the broker is killed around them.

What was answered as done is done, after a crash too; what failed has changed nothing, in the files and in memory: no
token by a consent that is not durable, and none against a denial that is.
"""

import random
import time

import pytest

from agent import Agent
from faulty_disk import FULL, faulty_disk
from logins import LIBRARY, error_of, link, rows, settle, status, take
from world import NAME, NO_RATES, DBusError, wait_until

POLICY = "org.lwabroker.Policy1"
APP = "user:alice"
WRITES_MAX = 100  # of one change; more means that it never goes through
DEATHS = 150
ASKING = "[user:alice]\nask = music::library\n"
AGREEING = """
polkit.addRule(function(action, subject) {
    if (action.id === "org.lwabroker.consent" && subject.user === "alice")
        return polkit.Result.YES;
});
"""
# By the verdict that they make, the rows that there must be.
KEPT = {"ask": [], "allow": [(LIBRARY, "allow")], "deny": [("", "deny")]}


@pytest.fixture
def asking(world):
    """alice's app has to ask her, who agrees to everything."""
    settle(world)
    world.write_config(limits=NO_RATES)
    world.write_rule("16-agreeing", AGREEING)
    world.write_grants("people", ASKING)
    world.reload()
    link(world, "alice", [LIBRARY])
    return world


def kept(world):
    return rows(world, "SELECT scope, answer FROM consent")


def verdict(client):
    return client.call(NAME, "CheckScopes", "asa{sv}", ([LIBRARY], {}))[LIBRARY]


def outcome(client):
    try:
        take(client)
        return "allow"
    except DBusError as error:
        return {"ConsentRequired": "ask", "AccessDenied": "deny"}.get(error.short, error.short)


def set_consent(answer, scopes=(LIBRARY,)):
    return (POLICY, "SetConsent", "ssassa{sv}", (APP, "", list(scopes), answer, {}))


FORGET_ALL = set_consent("forget", [])
REVOKE = (POLICY, "RevokeApp", "sa{sv}", (APP, {}))
# name: the verdict before, the call, the verdict after.
CHANGES = {
    "allow": ("ask", set_consent("allow"), "allow"),
    "deny": ("allow", set_consent("deny", []), "deny"),
    "forget": ("allow", FORGET_ALL, "ask"),
    "revoke": ("allow", REVOKE, "deny"),
}


def bring_to(client, wanted):
    if verdict(client) != "ask":
        client.call(*FORGET_ALL)
    if wanted != "ask":
        client.call(*set_consent(wanted, [LIBRARY] if wanted == "allow" else []))


# --- a full disk ------------------------------------------------------------------------------------------


def await_well(world, disk, client):
    disk.heal()
    wait_until(lambda: status(client)["store"] == "ok", 10 * world.slowness, "the store to be well")


def at_each_write(world, disk, attempt):
    """attempt() gives its error or None, and the verdict that there must be."""
    alice, watcher = world.client("alice"), world.client("bob")
    for n in range(1, WRITES_MAX):
        error, now = attempt(alice, n)
        status(watcher)
        was_met = disk.failed
        await_well(world, disk, watcher)
        assert verdict(alice) == now and kept(world) == KEPT[now], (n, error)
        if not was_met:
            assert not error and n > 3
            return
        if error:
            assert error.short == "StoreUnavailable" and "lwactl status" in error.message, error
    raise AssertionError("it never went through")


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_full_at_each_write(asking, name):
    before, call, after = CHANGES[name]
    with faulty_disk(asking) as disk:

        def attempt(alice, n):
            bring_to(alice, before)
            disk.fail(FULL, at=n)
            error = None
            try:
                alice.call(*call)
            except DBusError as found:
                error = found
            now = before if error else after
            assert verdict(alice) == now, (n, error)
            # What is allowed needs a renewal, and a record.
            assert outcome(alice) in (now, "StoreUnavailable", "AuditUnavailable"), (n, error)
            return error, now

        at_each_write(asking, disk, attempt)


def test_full_while_the_owner_answers(asking):
    """She has said yes, and it cannot be kept: it counts for nothing, and she can be asked again at once."""
    with faulty_disk(asking) as disk:
        app = asking.client("alice")
        disk.fail(FULL)
        assert error_of(app.call, *set_consent("allow")).short == "StoreUnavailable"
        assert outcome(app) == "ask" and kept(asking) == []
        await_well(asking, disk, app)
        asking.write_rule("16-agreeing", None)
        agent = Agent(asking, app, "yes")
        for n in (1, 2):
            disk.fail(FULL, at=n)
            error = error_of(app.get_token, [LIBRARY], interactive=True)
            assert error.short == "StoreUnavailable" and "lwactl status" in error.message, error
            assert len(agent.asked) == n and verdict(app) == outcome(app) == "ask"
            await_well(asking, disk, app)
            assert kept(asking) == []
        app.get_token([LIBRARY], interactive=True).close()
        assert len(agent.asked) == 3 and kept(asking) == KEPT["allow"]


# --- killed -----------------------------------------------------------------------------------------------


# By the verdict at first: what denies has to be forgotten before something is allowed.
TURNS = {
    "ask": (("allow", "revoke", "forget"), ("revoke", "forget", "allow"), ("deny", "deny", "forget")),
    "allow": (("revoke", "forget", "allow"), ("forget", "allow", "deny"), ("allow", "revoke", "forget")),
    "deny": (("forget", "allow", "revoke"), ("forget", "revoke", "forget"), ("revoke", "forget", "allow")),
}


def live_and_die(world, instants):
    """One change after another until it dies: the verdicts that there may be then."""
    alice = world.client("alice")
    done = verdict(alice)
    assert kept(world) == KEPT[done]
    for name in instants.choice(TURNS[done]):
        serial, after = alice.send(*CHANGES[name][1]), CHANGES[name][2]
        if instants.random() < 0.3:
            time.sleep(instants.uniform(0, 0.02))
            world.broker.kill9()
        try:
            alice.wait(serial, 10 * world.slowness)
            done = after
        except DBusError as error:
            assert error.short in ("NoReply", "ServiceUnknown"), error
            break
    was_answered = done == after
    world.broker.kill9()
    world.close_clients()
    return [done] if was_answered else [done, after]


def die_often(world, n):
    instants = random.Random(5)
    counts = {}
    for _ in range(n):
        possible = live_and_die(world, instants)
        world.broker.start()
        alice = world.client("alice")
        found = verdict(alice)
        assert found in possible and kept(world) == KEPT[found], (found, possible)
        assert outcome(alice) == found
        counts[len(possible)] = counts.get(len(possible), 0) + 1
        world.close_clients()
    print(f"changes under way at a death, and how often: {counts}")
    return counts


@pytest.mark.slow
def test_killed_around_changes(asking):
    counts = die_often(asking, DEATHS)
    assert min(counts.values()) > DEATHS // 10 and len(counts) == 2


@pytest.mark.slow
def test_power_cut_around_changes(asking):
    with faulty_disk(asking, hold=True, leak_percent=30, seed=5):
        die_often(asking, DEATHS)


def test_killed_once_it_is_answered(asking):
    """Each answer is durable by the time that it is there."""
    with faulty_disk(asking, hold=True):
        for name in ("allow", "revoke", "forget", "allow", "forget"):
            call, after = CHANGES[name][1:]
            alice = asking.client("alice")
            alice.call(*call)
            asking.broker.kill9()
            asking.close_clients()
            asking.broker.start()
            alice = asking.client("alice")
            assert verdict(alice) == outcome(alice) == after and kept(asking) == KEPT[after], name
