# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sleep and clocks that are set: what they must not do to tokens and logins. The clocks are those of tests/shim."""

import os
import signal
import time

import pytest

from logins import (
    LIBRARY,
    accounts,
    error_of,
    grants,
    link,
    refreshes,
    reject,
    settle,
    status,
    take,
    trail,
    wait_trail,
)
from shim import Shim
from world import NAME, wait_until

HOUR = 3600
YEAR = 365 * 24 * HOUR


@pytest.fixture
def shim(world):
    """alice is linked, has taken a token of an hour, and the broker's clocks can be stepped."""
    settle(world)
    link(world, "alice", [LIBRARY])
    shim = Shim(world)
    world.broker.stop()
    world.broker.start(env=shim.environment())
    return shim


def the_grant(client):
    (found,) = grants(client)
    return found


def test_due_while_asleep(world, shim):
    """What fell due in the sleep is done at the wake-up, unasked, and not as much later as the sleep was long."""
    alice = world.client("alice")
    text, _ = take(alice)
    before = refreshes(world)
    shim.suspend(8 * HOUR)
    wait_until(lambda: refreshes(world) == before + 1, 5 * world.slowness, "the renewal that is due")
    wait_until(lambda: the_grant(alice)["state"] == "fresh", 5 * world.slowness, "the renewal")
    again, info = take(alice)
    assert again != text
    assert HOUR - 60 <= info["expires_in"] <= HOUR
    assert abs(info["expires_at"] - (time.time() + shim.wall_offset + HOUR)) < 60
    assert refreshes(world) == before + 1


def test_wanted_for_a_working_day(world, shim):
    """A token that was asked for once is kept fresh for eight lifetimes, and then no more."""
    alice = world.client("alice")
    take(alice)
    before = refreshes(world)
    for hour in range(1, 9):
        shim.step(realtime=HOUR, boottime=HOUR)
        wait_until(lambda n=before + hour: refreshes(world) == n, 5 * world.slowness, f"renewal {hour}")
        wait_until(lambda: the_grant(alice)["state"] == "fresh", 5 * world.slowness, "the renewal")
    for _ in range(3):
        shim.step(realtime=HOUR, boottime=HOUR)
        wait_until(lambda: the_grant(alice)["state"] == "idle", 5 * world.slowness, "the end of it")
    assert refreshes(world) == before + 8
    root = world.client("root")
    waits = status(root)["waits"]
    assert take(alice)[1]["expires_in"] > HOUR - 60
    assert (refreshes(world), status(root)["waits"]) == (before + 9, waits + 1)


def test_ahead_of_what_is_asked_for(world, shim):
    """An app that always asks for ten minutes more does not wait for them each hour: they are renewed ahead, too."""
    alice = world.client("alice")
    take(alice, min_valid=600)
    assert reject(alice, take(alice)[1]["token_id"]) is True
    before = refreshes(world)
    shim.suspend(HOUR - 1400)
    text, _ = take(alice, min_valid=600)
    assert refreshes(world) == before
    shim.suspend(500)
    wait_until(lambda: refreshes(world) == before + 1, 5 * world.slowness, "the renewal ahead")
    wait_until(lambda: take(alice)[0] != text, 5 * world.slowness, "the new token")


def test_a_short_sleep_renews_nothing(world, shim):
    alice = world.client("alice")
    text, _ = take(alice)
    before = refreshes(world)
    shim.suspend(HOUR // 2)
    again, info = take(alice)
    assert again == text and HOUR // 2 - 60 <= info["expires_in"] <= HOUR // 2
    assert refreshes(world) == before


@pytest.mark.parametrize("years", [-1, 1])
def test_wall_clock_set(world, shim, years):
    """A token is neither thrown away nor kept too long, and what people read follows the wall clock."""
    alice = world.client("alice")
    text, _ = take(alice)
    before = refreshes(world)
    shim.step(realtime=years * YEAR)
    again, info = take(alice)
    assert again == text and HOUR - 60 <= info["expires_in"] <= HOUR
    expected = time.time() + years * YEAR + HOUR
    assert abs(info["expires_at"] - expected) < 60
    assert abs(the_grant(alice)["expires_at"] - expected) < 60
    shim.step(boottime=HOUR - 30)
    wait_until(lambda: take(alice)[0] != text, 5 * world.slowness, "another token, half a minute before the end")
    assert refreshes(world) == before + 1


# --- a clock that is not set ---


def test_clock_not_set(world, shim):
    """A device that starts in 1970, or a year ago, has a state of its own, says what is wrong, and goes on at once when
    the clock is set: the login is not touched."""
    world.broker.stop()
    shim.step(realtime=-YEAR)
    world.broker.start(env=shim.environment())
    alice = world.client("alice")
    error = error_of(take, alice)
    assert error.short == "ProviderUnavailable"
    assert "clock of this device is not set" in error.message and "due in" in error.message
    grant = the_grant(alice)
    assert (grant["state"], grant["because"], grant["error"]) == ("clock", "clock", "clock")
    assert refreshes(world) == 1  # that of the login
    assert not accounts(alice)["main"]["needs_login"]
    # Until it gives up for longer than the news will take.
    wait_until(lambda: the_grant(alice)["next_try_at"] - wall(shim) > 4, 20 * world.slowness, "a long wait")
    shim.step(realtime=YEAR)
    wait_until(lambda: the_grant(alice)["state"] == "fresh", 2 * world.slowness, "the renewal, at once")
    assert alice.wait_signal(NAME, "AccountsChanged") == []
    take(alice)
    assert refreshes(world) == 2
    assert trail(world.client("root"), "grant-died") == []


def wall(shim):
    return time.time() + shim.wall_offset


def test_expired_certificate_with_a_good_clock(world):
    """It may be the clock and it may be the certificate; who has a good clock must not be sent to look at it only."""
    settle(world)
    link(world, "alice", [LIBRARY])
    authority = world.restart_sim("--expired")
    world.write_config(provider={"ca_file": authority})
    world.broker.restart()
    alice = world.client("alice")
    message = error_of(take, alice).message
    assert "has run out, or the clock of this device is wrong" in message
    assert the_grant(alice)["state"] == "clock"


@pytest.mark.parametrize("years", [-1, 1])
def test_waiting_while_the_wall_clock_is_set(world, shim, years):
    """When the next try is due does not depend on the wall clock, and is told by the new one."""
    alice = world.client("alice")
    world.sim.fault("token", "http-429", count=1, grant_type="refresh_token", retry_after="60")
    assert error_of(take, alice).short == "ProviderUnavailable"
    shim.step(realtime=years * YEAR)
    grant = the_grant(alice)
    assert (grant["state"], grant["because"]) == ("waiting", "throttled")
    assert 50 <= grant["next_try_at"] - wall(shim) <= 61
    assert -10 <= grant["since"] - wall(shim) <= 1
    before = refreshes(world)
    assert error_of(take, alice).short == "ProviderUnavailable"
    assert refreshes(world) == before
    shim.step(boottime=61)
    wait_until(lambda: the_grant(alice)["state"] == "fresh", 5 * world.slowness, "the next try")
    record = wait_trail(world.client("root"), "token-refreshed")
    assert abs(record["time"] - wall(shim)) < 30


# --- a real time namespace ---


def test_time_namespace(world):
    """CLOCK_BOOTTIME a month ahead of CLOCK_MONOTONIC, as on a device that has slept for a month since it booted: what
    mixed the two would never fire, or at once and for ever."""
    world.write_config(tokens={"refresh_margin": 2, "min_valid": 1})
    settle(world, token_lifetime=5)
    world.broker.stop()
    world.broker.start(
        argv=["unshare", "--time", "--boottime", 30 * 24 * HOUR, "--fork", *world.argv_of("lwa-brokerd")]
    )
    link(world, "alice", [LIBRARY])
    alice = world.client("alice")
    assert 3 <= take(alice)[1]["expires_in"] <= 5
    before = refreshes(world)
    wait_until(lambda: refreshes(world) >= before + 2, 15 * world.slowness, "two renewals ahead")
    grant = the_grant(alice)
    assert 0 <= grant["expires_at"] - time.time() <= 6
    assert abs(grant["since"] - time.time()) < 15 * world.slowness
    world.sim.fault("token", "http-429", count=1, grant_type="refresh_token", retry_after="2")
    wait_until(lambda: the_grant(alice)["state"] == "waiting", 10 * world.slowness, "a failure")
    assert 0 <= the_grant(alice)["next_try_at"] - time.time() <= 4
    wait_until(lambda: the_grant(alice)["state"] == "fresh", 10 * world.slowness, "the next try")
    assert refreshes(world) <= before + 12
    # unshare passes no signal on.
    with open(f"/proc/{world.broker.pid}/task/{world.broker.pid}/children", encoding="ascii") as children:
        os.kill(int(children.read()), signal.SIGTERM)
    assert world.broker.wait_end() == 0
