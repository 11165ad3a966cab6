# SPDX-License-Identifier: LGPL-2.1-or-later
"""The fault matrix, provider: one table, FAULTS. Each row is put in the way of a renewal, and of each request of a login;
each time

  - the error is the one of the table, and nothing of the provider's text is in it;
  - other apps are served meanwhile, without waiting;
  - the login survives: once the fault is gone it works, without logging in again (I6); and none is made of nothing.

How a renewal waits after each is in test_renewal.py, what a login says in test_login.py. A provider that ends the refresh
token that it replaced, and whose answer is lost, does end the login: last test.
"""

import re
import time

import pytest

from logins import (
    LIBRARY,
    Login,
    accounts,
    counter,
    error_of,
    grants,
    link,
    refreshes,
    settle,
    status,
    take,
    trail,
)
from road import Road
from world import NAME, DBusError, wait_until

# What a GetToken or a ReportRejected is told while there is no renewal: why, and when to come back. By the word that
# `lwactl status` has for it.
SAID = {
    "offline": "The provider cannot be reached",
    "dns": "The provider cannot be reached: its name is not found, as without a network",
    "tls": "The provider cannot be reached: no secure connection comes about, as when a network wants a sign-in first, or"
    " when ca_file in broker.conf is wrong",
    "clock": "The provider's certificate is not valid at this time: it has run out, or the clock of this device is wrong"
    " (see `date`)",
    "throttled": "The provider asks for a pause",
    "server-error": "The provider answers with errors",
    "captive-portal": "A page answers in the provider's place, as when a network wants a sign-in first",
    "ambiguous": "The provider's answer was lost, and to ask again at once could end the login",
}
NEXT_TRY = re.compile(r"^(.*); the next try is due in (\d+) s\.$")

# name: (what it is, why a renewal waits, why a login by code fails when that is what it asks for)
#
# What it is: a kind of tests/sim/faults.c with its options, or a mode of the road. When the answer to a renewal may be
# lost it is not tried again soon: with rotation a quick retry could end the login.
FAULTS = {
    # --- before the request was sent ---
    "refused": (("road", "refused"), "offline", "offline"),
    "reset-in-the-handshake": (("road", "reset"), "offline", "offline"),
    "silent-at-connect": (("road", "silent"), "offline", "offline"),
    "dns-failure": (("road", "no-dns"), "dns", "offline"),
    "tls-expired": (("road", "--expired"), "clock", "clock"),
    "tls-not-yet-valid": (("road", "--not-yet-valid"), "clock", "clock"),
    "tls-of-another-host": (("road", "--other-host"), "tls", "offline"),
    "tls-of-another-authority": (("road", "--same"), "tls", "offline"),
    # --- it was sent ---
    "reset": (("reset", {}), "ambiguous", "provider"),
    "hangs-before-the-work": (("hang-before", {}), "ambiguous", "provider"),
    "hangs-after-the-work": (("hang-after", {}), "ambiguous", "provider"),
    "rotated-and-lost": (("reset-after", {}), "ambiguous", "provider"),
    "truncated": (("truncated", {}), "ambiguous", "provider"),
    # --- an answer that says no ---
    "429": (("http-429", {}), "throttled", "provider"),
    "429-retry-after": (("http-429", {"retry_after": "2"}), "throttled", "provider"),
    "500": (("status-500", {}), "server-error", "provider"),
    "502-html": (("html-502", {}), "server-error", "provider"),
    "503-percent": (("error", {"status": "503", "error": "%s%n", "description": "%s%n%x"}), "server-error", "provider"),
    "400-nul-and-percent": (("nul-and-percent", {"status": 400}), "server-error", "provider"),
    # --- an answer that is none ---
    "200-html": (("html-200", {}), "captive-portal", "captive-portal"),
    "huge": (("huge", {}), "ambiguous", "provider"),
    "nested": (("nested", {}), "ambiguous", "provider"),
    "duplicate-keys": (("duplicate-keys", {}), "ambiguous", "provider"),
    "wrong-types": (("wrong-types", {}), "ambiguous", "provider"),
    "nul-and-percent": (("nul-and-percent", {}), "ambiguous", "provider"),
    "nul": (("nul", {}), "ambiguous", "provider"),
    "long-token": (("long-token", {}), "ambiguous", "provider"),
}


@pytest.fixture(scope="module")
def road(the_world):
    """alice and bob are linked, through the road."""
    world = the_world
    world.reset()
    with Road(world) as road:
        world.write_config(provider=road.settings(connect_timeout=1, request_timeout=2))
        settle(world, rotation="new", rotation_kills_old="no")
        link(world, "alice", [LIBRARY])
        link(world, "bob", [LIBRARY])
        road.world = world
        yield road
        world.close_clients()
        world.broker.stop()
        world.write_config()
    world.end_test()


@pytest.fixture
def fresh(road):
    """The same with a broker that has met no trouble yet: budgets, waits and connections are new."""
    world = road.world
    world.close_clients()
    world.broker.restart()
    yield road
    road.be("open")
    world.sim.clear_faults()


class Trouble:
    """A row of the table, put in the way of one kind of request."""

    def __init__(self, road, name):
        self.road, self.world = road, road.world
        (self.kind, self.more), self.because, self.reason = FAULTS[name]
        self.is_ambiguous = self.kind != "road" and self.because in ("ambiguous", "captive-portal")

    def begin(self, endpoint, **which):
        if self.kind == "road":
            self.road.be(self.more)
            if self.more == "no-dns":
                self.world.reload()  # the name that it has looked up goes with its connections
        else:
            self.world.sim.fault(endpoint, self.kind, count=0, **which, **self.more)

    def end(self):
        self.road.be("open") if self.kind == "road" else self.world.sim.clear_faults()


def served_meanwhile(bob, text, serial, client, timeout):
    """Takes tokens of bob's for as long as the call is under way; the slowest."""
    slowest, began = 0, time.monotonic()
    while serial not in client.replies and time.monotonic() - began < timeout:
        started = time.monotonic()
        assert take(bob)[0] == text
        slowest = max(slowest, time.monotonic() - started)
        try:
            client.receive(0.02)
        except TimeoutError:
            pass
    return slowest


@pytest.mark.parametrize("name", FAULTS)
def test_renewal(fresh, name):
    world = fresh.world
    trouble = Trouble(fresh, name)
    alice, bob = world.client("alice"), world.client("bob")
    text, info = take(alice)
    bobs_text, _ = take(bob)
    trouble.begin("token", grant_type="refresh_token")
    first = alice.send(NAME, "ReportRejected", "s", (info["token_id"],))
    assert served_meanwhile(bob, bobs_text, first, alice, 5 * world.slowness) < 0.5 * world.slowness
    error = error_of(alice.wait, first, 10 * world.slowness)
    assert error.short == "ProviderUnavailable", error
    said = NEXT_TRY.match(error.message)
    assert said and said[1] == SAID[trouble.because], error.message
    grant = grants(alice)[0]
    assert grant["because"] == trouble.because, grant
    assert not accounts(alice)["main"]["needs_login"]
    assert take(alice)[0] == text  # good until it ends
    trouble.end()
    if trouble.is_ambiguous:
        # Not within this test's time; a start tries at once, and says what was interrupted.
        assert 25 <= grant["next_try_at"] - time.time() <= 95
        world.broker.restart()
        wait_until(lambda: "grant-interrupted" in [r["event"] for r in trail(world.root())[-6:]], 5, "the record")
    wait_until(lambda: new_text(alice, text), 20 * world.slowness, "the renewal")
    assert counter(world, "token.refresh_token.invalid_grant") == 0
    assert [r for r in trail(world.root()) if r["event"] == "grant-died"] == []


def new_text(client, old):
    try:
        text = take(client)[0]
    except DBusError as error:
        assert error.short == "ProviderUnavailable"
        return None
    return text if text != old else None


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_login_code(fresh, name):
    """Asking for the code: it ends at once and says why, and nothing is left."""
    world = fresh.world
    trouble = Trouble(fresh, name)
    alice, bob = world.client("alice"), world.client("bob")
    bobs_text, _ = take(bob)
    trouble.begin("codepair")
    login = Login(alice, [LIBRARY], label="none")
    began = time.monotonic()
    outcome, details = login.finish(timeout=10 * world.slowness)
    assert time.monotonic() - began < 4 * world.slowness
    assert (outcome, details) == ("failed", {"error": "ProviderUnavailable", "reason": trouble.reason})
    assert take(bob)[0] == bobs_text
    trouble.end()
    assert list(accounts(alice)) == ["main"]


STEPS = {
    "poll": ("token", {"grant_type": "device_code"}),
    "proof": ("token", {"grant_type": "refresh_token"}),
    "whose": ("tokeninfo", {}),
}
# The person has agreed, the tokens were issued, and that answer was lost: the code is used up, and said to be.
USED_UP = ("hangs-after-the-work", "rotated-and-lost", "truncated")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "step"), [
    (name, step) for name, ((kind, _), *_) in FAULTS.items() for step in STEPS if kind != "road" or step == "poll"])
def test_login_step(fresh, name, step):
    """From there on a person has done all there is to do: whatever happens is waited out, or the person is told at once
    that the code is used up. A login that was stored is finished, after a restart too."""
    world = fresh.world
    trouble = Trouble(fresh, name)
    client, bob = world.client("bob"), world.client("bob")
    bobs_text, _ = take(bob)
    endpoint, which = STEPS[step]
    login = Login(client, [LIBRARY]).wait_state("waiting")
    trouble.begin(endpoint, **which)
    met = fresh.met if trouble.kind == "road" else lambda: counter(world, step_counter(step))
    before = met()
    world.sim.approve(login.code, "guest")
    if name == "dns-failure":
        time.sleep(1.2)  # a poll a second
    else:
        wait_until(lambda: met() > before, 10 * world.slowness, "a request to meet it")
    started = time.monotonic()
    assert take(bob)[0] == bobs_text
    assert time.monotonic() - started < 0.5 * world.slowness
    trouble.end()
    if name in USED_UP and step == "poll":
        outcome, details = login.finish(timeout=10 * world.slowness)
        assert outcome == "expired" and "Log in again" in login.message, (outcome, details)
        assert list(accounts(client)) == ["main"]
        return
    if step == "proof" and trouble.is_ambiguous:
        # It waits longer than this test.
        wait_until(lambda: [g for g in grants(client) if g["state"] == "unproven" and g["error"]], 10, "the failure")
        world.broker.restart()
    (account,) = wait_until(lambda: set(accounts(client)) - {"main"}, 15 * world.slowness, "the account")
    take(client, account=account)
    assert counter(world, "token.refresh_token.invalid_grant") == 0
    client.call("org.lwabroker.Accounts1", "Remove", "s", (account,))


def step_counter(step):
    return {"poll": "token.device_code.requests", "proof": "token.refresh_token.requests", "whose": "tokeninfo.requests"}[step]


def test_rotated_lost_and_ended(world):
    """The one case that costs a login: the new refresh token was lost on its way, and the provider has ended the old
    one. The app is told to log in, and the trail why (I4)."""
    settle(world, rotation="new", rotation_kills_old="yes")
    link(world, "alice", [LIBRARY])
    link(world, "bob", [LIBRARY])
    alice, bob, root = world.client("alice"), world.client("bob"), world.client("root")
    text, info = take(alice)
    before = refreshes(world)
    world.sim.fault("token", "reset-after", grant_type="refresh_token")
    error = error_of(alice.call, NAME, "ReportRejected", "s", (info["token_id"],))
    assert error.short == "ProviderUnavailable" and NEXT_TRY.match(error.message)
    assert take(alice)[0] == text and refreshes(world) == before + 1
    world.broker.restart()
    error = error_of(take, alice)
    assert error.short == "LoginRequired" and "log in" in error.message and "lwactl login" in error.message
    take(bob)
    assert [r["detail"] for r in trail(root, "grant-interrupted")] == ["refresh"]
    assert [r["detail"] for r in trail(root, "grant-died")] == ["invalid-grant; an earlier refresh was interrupted"]
    assert status(root)["store"] == "ok"
    assert link(world, "alice", [LIBRARY]) == "main"
    take(alice)
