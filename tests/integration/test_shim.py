# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shim that faults are made with (tests/shim): what it promises, seen from outside the broker."""

import time

import pytest

from logins import LIBRARY, link_device, refreshes, settle, status, take, trail
from shim import SANITIZED, Shim
from world import DBusError, wait_until

DAY = 86400
PEER = "org.freedesktop.DBus.Peer"


@pytest.fixture
def shim(world):
    settle(world)
    world.broker.stop()
    shim = Shim(world)
    world.broker.start(env=shim.environment())
    return shim


def test_wall_clock_steps(shim):
    world = shim.world
    root = world.root()
    before = status(root)["uptime"]
    shim.step(realtime=-400 * DAY)
    world.reload()
    wait_until(lambda: trail(root, "policy-loaded")[-1]["time"] < time.time() - 399 * DAY, 5, "the record")
    assert abs(trail(root, "policy-loaded")[-1]["time"] - time.time() + 400 * DAY) < 60
    assert status(root)["uptime"] - before < 60


def test_suspend(shim):
    world = shim.world
    link_device(world, [LIBRARY])
    app = world.client("musicd")
    first, info = take(app)
    assert take(app)[0] == first
    before = refreshes(world)
    shim.suspend(2 * 3600)
    later, after = take(app)
    assert later != first and after["expires_at"] - info["expires_at"] > 3600
    assert refreshes(world) == before + 1


def test_a_timer_of_the_end_of_time_waits(shim):
    """What the broker waits for to hear of a set clock must not run out because nanoseconds do."""
    app = shim.world.client("musicd")
    shim.suspend(3600)
    for _ in range(3):
        app.call(PEER, "Ping")
    # Some for the step, but not one after another.
    assert shim.world.broker.log().count("the wall clock was set") < 10


def test_memory_ends_once(shim):
    """With the sanitizers it does not end: see tests/shim/shim.c."""
    world = shim.world
    app = world.client("musicd")
    app.call(PEER, "Ping")
    shim.arm(1)
    try:
        app.call(PEER, "Ping")
    except DBusError as error:
        assert not SANITIZED and error.short == "NoMemory", error
    if SANITIZED:
        assert shim.count == 0
        return
    wait_until(lambda: shim.failed, 5, "an allocation to fail")
    app.call(PEER, "Ping")
    assert {name for name, _ in shim.stack()} & {"lwa-brokerd"}
    shim.disarm()
    count = shim.count
    assert count > 1
    app.call(PEER, "Ping")
    assert shim.count == count
