# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sleep and clocks that are set: what they must not do to tokens and logins. The clocks are those of tests/shim."""

import time

import pytest

from logins import LIBRARY, grants, link, refreshes, settle, take
from shim import Shim
from world import wait_until

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
