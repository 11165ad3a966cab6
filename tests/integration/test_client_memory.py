# SPDX-License-Identifier: LGPL-2.1-or-later
"""liblwa-client when memory ends at the n-th allocation, for every n that an operation makes: it says so or works, no
callback is lost or doubled, and the next call works. With the sanitizers the shim has no hold of memory, so these
tests are not collected there.
"""

import pytest
from jeepney import DBusAddress, new_method_call
from jeepney.io.blocking import open_dbus_connection

from fake_broker import Broker, Bus
from library_driver import Driver
from shim import SANITIZED, Shim
from world import NAME, PATH, wait_until

pytestmark = pytest.mark.slow
if SANITIZED:
    __test__ = False

ROUNDS_MAX = 3000
WELL = "0 -"
SHORT = "-12 NoMemory"


@pytest.fixture
def ordeal(world, tmp_path):
    bus = Bus(str(tmp_path))
    broker = Broker(bus.address, {"CheckScopes": lambda *_: ("a{ss}", ({},))})
    broker.after["CheckScopes"] = lambda caller: setattr(broker, "caller", caller)
    shim = Shim(world, "client")
    shim.maps = [(0, 0, 0, "")]
    app = Driver(world, "root", env={"DBUS_SYSTEM_BUS_ADDRESS": bus.address, **shim.environment()})
    app.bus_address = bus.address
    assert app.ask("check profile") == WELL
    yield app, shim, broker
    app.end()
    broker.close()
    bus.close()


def each_allocation(shim, operation, check):
    """The number of rounds, of which the last took fewer allocations."""
    failures = 0
    for n in range(1, ROUNDS_MAX):
        shim.arm(n)
        operation()
        shim.disarm()
        if not shim.failed:
            return failures
        failures += 1
        check()
    raise AssertionError("there is no end of it")


def test_call_that_waits(ordeal):
    app, shim, _ = ordeal
    answers = set()
    n = each_allocation(
        shim,
        lambda: answers.add(app.skip_short("check profile")),
        lambda: answers.add("check " + ("" if app.skip_short("check profile") == "check 0 -" else "BROKEN")),
    )
    assert n > 10 and answers <= {"check " + WELL, "check " + SHORT, "check "}
    app.quit()


def test_first_call(ordeal):
    app, shim, _ = ordeal
    answers = set()

    def first():
        if app.skip_short("new") == "new 0":
            answers.add(app.skip_short("check profile"))
            assert app.skip_short("free") == "freed"

    app.tell("free")
    app.expect("freed")
    n = each_allocation(shim, first, lambda: None)
    assert n > 50 and answers == {"check " + WELL, "check " + SHORT}
    app.tell("new")
    app.expect("new 0")
    assert app.ask("check profile") == WELL
    app.quit()


def test_started_call(ordeal):
    app, shim, _ = ordeal
    answers = set()

    def start():
        if app.skip_short("start 1 profile") == "started 1 0":
            answers.add(app.next_but_short())

    n = each_allocation(shim, start, lambda: answers.add(app.skip_short("check profile")))
    assert n > 10 and answers <= {"done 1 " + WELL, "done 1 " + SHORT, "check " + WELL}
    app.quit()


def test_signals(ordeal):
    """One that is told late is told all the same, and once."""
    app, shim, broker = ordeal
    app.tell("on-revoked")
    app.settle()
    wait_until(lambda: hasattr(broker, "caller"), 10 * app.world.slowness, "the broker to have answered")
    holder, count = broker.caller, 0
    trigger = open_dbus_connection(bus=app.bus_address)
    broker.replies["Poke"] = lambda: ("", ())
    # From the thread of the broker, to which the connection belongs.
    broker.after["Poke"] = lambda _: broker.signal(
        holder, PATH, NAME, "TokenRevoked", "ss", (f"id{count}", "policy")
    )

    def revoke():
        nonlocal count
        count += 1
        trigger.send_and_get_reply(new_method_call(DBusAddress(PATH, bus_name=NAME, interface=NAME), "Poke"))
        assert app.next_but_short() == f"revoked id{count} policy"

    n = each_allocation(shim, revoke, lambda: None)
    assert n >= 1
    trigger.close()
    app.quit()
