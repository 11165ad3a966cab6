# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many logins behind one provider in trouble: what one of them learns is for all, and one's own trouble is its own."""

import concurrent.futures
import re
import time

import pytest

from logins import (
    LIBRARY,
    PLAYBACK,
    Login,
    accounts,
    error_of,
    grants,
    link,
    refreshes,
    reject,
    settle,
    take,
    trail,
    wait_trail,
)
from shim import Shim
from world import NAME, wait_until

USERS = ("alice", "bob")
EACH = 4


@pytest.fixture
def eight(world):
    """alice and bob have four accounts each, of different customers; the broker has no token yet."""
    settle(world)
    logins = []
    for user in USERS:
        client = world.client(user)
        logins += [(user, i, Login(client, [LIBRARY])) for i in range(EACH)]
    for user, i, login in logins:
        login.wait_state("waiting")
        world.sim.approve(login.code, f"{user}{i}")
    for _, _, login in logins:
        assert login.finish(timeout=20 * world.slowness)[0] == "linked"
    world.broker.restart()
    return world


def ids(client):
    return sorted(account for account, facts in accounts(client).items() if facts["owner"] != "device")


def everyone(world):
    """[(a connection of its own, account id)] of all eight."""
    return [(world.client(user), account) for user in USERS for account in ids(world.client(user))]


def ask_all(pairs):
    """Asks for all tokens at once; the errors, None for a token."""

    def ask(pair):
        client, account = pair
        try:
            take(client, account=account)
        except Exception as error:
            return error
        return None

    with concurrent.futures.ThreadPoolExecutor(len(pairs)) as pool:
        return list(pool.map(ask, pairs))


def states(world):
    return [grant["state"] for grant in grants(world.client("root"))]


def fault_refresh(world, kind, count=0, **more):
    world.sim.fault("token", kind, count=count, grant_type="refresh_token", **more)


def test_healthy_provider_serves_all_at_once(eight):
    """Nobody is queued behind another: eight refreshes of half a second take little more than one."""
    fault_refresh(eight, "delay", ms=500)
    pairs = everyone(eight)
    began = time.monotonic()
    assert ask_all(pairs) == [None] * 8
    assert time.monotonic() - began < 1.5 * eight.slowness
    assert eight.sim.state()["refreshes_at_once_max"] >= 6


def test_one_budget_for_a_provider_in_trouble(eight):
    """After a few have failed, the others are told so without a request each, and one try goes out now and then."""
    fault_refresh(eight, "status-503")
    before = refreshes(eight)
    pairs = everyone(eight)
    for client, account in pairs:
        error = error_of(take, client, account=account)
        assert error.short == "ProviderUnavailable"
        assert re.fullmatch(r"The provider answers with errors; the next try is due in \d+ s\.", error.message)
    assert refreshes(eight) - before <= 4
    end = time.monotonic() + 4
    while time.monotonic() < end:
        for client, account in pairs:
            assert error_of(take, client, account=account).short == "ProviderUnavailable"
        time.sleep(0.2)
    # Alone, each would have tried at about 0, 1 and 3 s.
    assert refreshes(eight) - before <= 9
    for grant in grants(eight.client("root")):
        assert grant["state"] in ("waiting", "renewing") and grant["because"] == "server-error"
        assert time.time() - 15 * eight.slowness < grant["since"] <= time.time() + 1

    # One answer, and all go on; no login is lost, and the trail has one line for each that tried.
    eight.sim.clear_faults()
    wait_until(lambda: states(eight) == ["fresh"] * 8, 20 * eight.slowness, "all to go on")
    assert ask_all(pairs) == [None] * 8
    assert len(trail(eight.client("root"), "token-refresh-failed")) <= 8


def test_recovery_is_announced_once(eight):
    """Apps whose calls failed learn that they may ask again (and only those of the owner)."""
    client, other = eight.client("alice"), eight.client("bob")
    take(other)
    said = eight.broker.log().count("renewed again, after ")
    fault_refresh(eight, "status-503", count=2)
    assert error_of(take, client).short == "ProviderUnavailable"
    assert client.wait_signal(NAME, "AccountsChanged", timeout=20 * eight.slowness) == []
    take(client)
    assert [member for _, member, _ in client.drain(0.3)] == []
    assert other.drain(0.1) == []
    assert eight.broker.log().count("renewed again, after ") == said + 1


def test_hanging_logins_hold_nobody_up(eight):
    """Three of alice's refreshes hang: as many as make a provider look ill. While they do, and when they time out, the
    others are served as ever."""
    eight.write_config(provider={"request_timeout": 3 * eight.slowness})
    eight.reload()
    fault_refresh(eight, "hang-before", count=3)
    before = refreshes(eight)
    hanging = [(eight.client("alice"), account) for account in ids(eight.client("alice"))[:3]]
    serials = [
        app.send(NAME, "GetToken", "asa{sv}", ([LIBRARY], {"account": ("s", account)})) for app, account in hanging
    ]
    wait_until(lambda: refreshes(eight) == before + 3, 5 * eight.slowness, "three that hang")
    bob = eight.client("bob")
    began = time.monotonic()
    assert ask_all([(eight.client("bob"), account) for account in ids(bob)]) == [None] * 4
    assert reject(bob, take(bob)[1]["token_id"]) is True
    assert time.monotonic() - began < 1.5 * eight.slowness
    for (app, _), serial in zip(hanging, serials):
        assert error_of(app.wait, serial, 10 * eight.slowness).short == "ProviderUnavailable"
    alice = eight.client("alice")
    take(alice, account=ids(alice)[3])


@pytest.mark.slow
def test_wake_up_of_many(world):
    """Two dozen tokens that ran out in a sleep are renewed unasked, but not all at once."""
    settle(world)
    for round_ in range(3):
        logins = [(user, Login(client, [LIBRARY])) for user, client in clients(world) for _ in range(EACH)]
        for n, (user, login) in enumerate(logins):
            login.wait_state("waiting")
            world.sim.approve(login.code, f"{user}{round_}{n}")
        for _, login in logins:
            assert login.finish(timeout=20 * world.slowness)[0] == "linked"
    shim = Shim(world)
    world.broker.stop()
    world.broker.start(env=shim.environment())
    for client, account in everyone(world):
        take(client, account=account)
    assert states(world) == ["fresh"] * 24
    before = refreshes(world)
    fault_refresh(world, "delay", ms=400)
    shim.suspend(8 * 3600)
    wait_until(lambda: refreshes(world) == before + 24, 20 * world.slowness, "all renewals")
    wait_until(lambda: states(world) == ["fresh"] * 24, 20 * world.slowness, "all tokens")
    assert 8 <= world.sim.state()["refreshes_at_once_max"] <= 16


def clients(world):
    return [(user, world.client(user)) for user in USERS]


def test_mended_configuration_is_tried_at_once(world):
    """Who has mended broker.conf does not wait for the next try."""
    settle(world)
    link(world, "alice", [LIBRARY])
    world.write_config(provider={"proxy": "http://127.0.0.1:1"})
    world.broker.restart()
    client = world.client("alice")
    assert "cannot be reached" in error_of(take, client).message
    assert grants(client)[0]["because"] == "offline"
    # Long enough that a try in time could not be chance.
    wait_until(lambda: grants(client)[0]["next_try_at"] - time.time() > 4, 30 * world.slowness, "a long wait")
    world.write_config()
    world.reload()
    wait_until(lambda: grants(client)[0]["state"] == "fresh", 2 * world.slowness, "the try")


def test_interrupted_refreshes_go_one_by_one(eight):
    """A broker that died in the middle of eight refreshes does not fire them all again at its start."""
    fault_refresh(eight, "hang-after")
    pairs = everyone(eight)
    serials = [
        client.send(NAME, "GetToken", "asa{sv}", ([LIBRARY], {"account": ("s", account)})) for client, account in pairs
    ]
    assert len(serials) == 8
    before = refreshes(eight)
    wait_until(lambda: refreshes(eight) == before + 8, 10 * eight.slowness, "eight refreshes")
    eight.broker.kill9()
    eight.sim.clear_faults()
    eight.broker.start()
    pairs = everyone(eight)
    began = time.monotonic()
    assert ask_all(pairs) == [None] * 8
    assert time.monotonic() - began >= 7 * 0.05
    assert len(trail(eight.client("root"), "grant-interrupted")) == 8


def test_death_after_another_login(world):
    """Whether a second login of the same customer ends the first one is not known: the trail says when it looks so."""
    settle(world)
    link(world, "alice", [LIBRARY])
    client, root = world.client("alice"), world.client("root")
    take(client)
    link(world, "alice", [PLAYBACK], account="main")
    assert len(grants(client)) == 2
    world.sim.fault("token", "error", count=2, grant_type="refresh_token", error="invalid_grant")
    assert error_of(reject, client, take(client)[1]["token_id"]).short == "LoginRequired"
    first = wait_trail(root, "grant-died")
    assert first["detail"] == "invalid-grant; after another login of the same customer"
    # The newer one, when it dies too, has no such excuse.
    world.sim.fault("token", "error", count=2, grant_type="refresh_token", error="invalid_grant")
    token_id = take(client, [PLAYBACK])[1]["token_id"]
    assert error_of(reject, client, token_id).short == "LoginRequired"
    assert wait_trail(root, "grant-died", detail="invalid-grant")["grant"] != first["grant"]
