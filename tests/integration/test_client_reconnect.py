# SPDX-License-Identifier: LGPL-2.1-or-later
"""liblwa-client when the bus or the broker goes and comes, and when somebody else speaks in the broker's name."""

import pytest

from fake_broker import Broker, Bus, send_signal
from library_driver import Driver
from logins import ACCOUNTS, LIBRARY, link, settle
from world import NAME, PATH, Client, wait_until


@pytest.fixture
def app(world):
    app = Driver(world)
    yield app
    app.end()


def listening(app):
    """Connected, and told of everything."""
    app.tell("on-changed", "on-revoked")
    assert app.skip_changed("check profile") == "check 0 -"
    app.settle()
    return app


def end_bus(world):
    world.close_clients()
    world.bus.kill9()
    assert world.broker.wait_end() == 1
    world.broker.process = None
    world.polkitd.kill9()


# --- the broker ----------------------------------------------------------------------------------------------------


def test_broker_is_killed_and_comes_back(world, app):
    listening(app)
    world.broker.kill9()
    app.expect("changed")
    assert app.ask("check profile") == "-113 NoBroker"
    app.tell("start 1 profile")
    app.expect("started 1 0", "done 1 -113 NoBroker")
    world.broker.start()
    app.expect("changed")
    assert app.ask("check profile") == "0 -"
    app.settle()
    app.quit()


def test_broker_is_stopped_and_started(world, app):
    listening(app)
    world.broker.restart()
    app.expect("changed")
    app.settle()
    assert app.ask("check profile") == "0 -"
    app.quit()


def test_broker_is_killed_while_it_works(world, app):
    listening(app)
    world.broker.pause()
    app.tell("start 1 profile")
    app.expect("started 1 0")
    world.broker.kill9()
    assert sorted([app.read(), app.read()]) == ["changed", "done 1 -113 NoBroker"]
    world.broker.start()
    app.expect("changed")
    app.quit()


def test_waiting_call_hears_that_the_broker_is_killed(world, app):
    assert app.ask("check profile") == "0 -"
    world.broker.pause()
    app.tell("check profile")
    assert app.quiet(0.2)
    world.broker.kill9()
    app.expect("check -113 NoBroker")
    world.broker.start()
    assert app.ask("check profile") == "0 -"
    app.quit()


# --- the bus -------------------------------------------------------------------------------------------------------


def test_bus_restarts_under_a_loop(world, app):
    """It comes back by itself, and tells; the descriptor to wait for stays the same."""
    listening(app)
    before = app.ask("fd"), app.processes()
    end_bus(world)
    app.expect("changed")
    assert app.ask("check profile") == "-107 NoBus"
    world.start()
    app.expect("changed")
    # The bus was there before the broker.
    wait_until(lambda: app.skip_changed("check profile") == "check 0 -", 10 * world.slowness, "the broker")
    app.settle()
    assert (app.ask("fd"), app.processes()) == before
    app.quit()


@pytest.mark.parametrize("way", ["check", "start"])
def test_call_on_a_dead_connection(world, app, way):
    """Of an app that has not dispatched: the call finds out, and is made on a new connection."""
    app.tell("pause")
    app.expect("paused")
    assert app.ask("check profile") == "0 -"
    end_bus(world)
    world.start()
    if way == "check":
        assert app.ask("check profile") == "0 -"
    else:
        app.tell("start 1 profile", "resume")
        app.expect("started 1 0", "resumed", "done 1 0 -")
    app.tell("resume")
    app.expect("resumed")
    app.settle()
    app.quit()


def test_call_that_waits_when_the_bus_ends(world, app):
    assert app.ask("check profile") == "0 -"
    world.broker.pause()
    app.tell("start 1 profile", "check profile")
    app.expect("started 1 0")
    assert app.quiet(0.2)
    world.close_clients()
    world.bus.kill9()
    app.expect("check -107 NoBus", "done 1 -107 NoBus")
    world.broker.kill9()
    world.polkitd.kill9()
    world.start()
    assert app.ask("check profile") == "0 -"
    app.quit()


def test_child_that_holds_the_socket_makes_nothing_spin(world, app):
    """A descriptor that a child still has open cannot be taken out of the epoll set once ours is closed."""
    listening(app).tell("hold")
    app.expect("holding")
    end_bus(world)
    app.expect("changed")
    world.start()
    app.expect("changed")
    wait_until(lambda: app.skip_changed("check profile") == "check 0 -", 10 * world.slowness, "the broker")
    app.settle()
    app.ask("wakes")
    assert app.quiet(0.5) and int(app.ask("wakes")) == 0
    app.tell("release")
    app.expect("released")
    app.quit()


# --- there is none yet ---------------------------------------------------------------------------------------------


@pytest.fixture
def nowhere(world, tmp_path):
    app = Driver(world, "root", env={"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/bus"})
    yield app
    app.end()


def test_no_bus(nowhere):
    assert nowhere.ask("check profile") == "-107 NoBus"
    error = nowhere.ask("error")
    assert error.startswith("-107 0 org.lwabroker.Client.Error.NoBus | The system bus cannot be reached: ")
    assert "No such file or directory" in error
    nowhere.tell("start 1 profile")
    nowhere.expect("started 1 0", "done 1 -107 NoBus")
    assert nowhere.ask("wait") == "0 -1", "nobody wants to be told"
    nowhere.quit()


def test_bus_comes_late(nowhere, tmp_path):
    """It tries less and less often; then it is told."""
    nowhere.tell("on-changed")
    assert nowhere.ask("check profile") == "-107 NoBus"
    nowhere.ask("wakes")
    assert nowhere.quiet(2)
    assert int(nowhere.ask("wakes")) <= 6, "after 0, 0.1, 0.2, 0.4, 0.8, 1.6 seconds"
    bus = Bus(str(tmp_path))
    broker = Broker(bus.address, {"CheckScopes": lambda *_: ("a{ss}", ({},))})
    nowhere.expect("changed")
    assert nowhere.ask("check profile") == "0 -"
    broker.close()
    nowhere.wait_for("changed")
    bus.close()
    nowhere.wait_for("changed")
    nowhere.quit()


def test_broker_is_not_there_yet(nowhere, tmp_path):
    bus = Bus(str(tmp_path))
    nowhere.tell("on-changed")
    assert nowhere.ask("check profile") == "-113 NoBroker"
    broker = Broker(bus.address, {"CheckScopes": lambda *_: ("a{ss}", ({},))})
    nowhere.expect("changed")
    assert nowhere.ask("check profile") == "0 -"
    broker.close()
    nowhere.expect("changed")
    bus.close()
    nowhere.expect("changed")
    nowhere.quit()


def test_hostile_address(world):
    """It comes from the environment, and is shown."""
    app = Driver(world, env={"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/no/%1b[2J"})
    assert app.ask("check profile") == "-107 NoBus"
    assert "\x1b" not in app.ask("error")
    app.quit()


def test_answers_of_another_kind(nowhere, tmp_path):
    bus = Bus(str(tmp_path))
    broker = Broker(bus.address, {"CheckScopes": lambda *_: ("as", (["allow"],))})
    assert nowhere.ask("check profile") == "-74 BadAnswer"
    nowhere.tell("start 1 profile")
    nowhere.expect("started 1 0", "done 1 -74 BadAnswer")
    broker.close()
    bus.close()
    nowhere.quit()


# --- who speaks ----------------------------------------------------------------------------------------------------


def unique_name(world, app):
    """Of the driver's connection."""
    root = world.root()
    found = [
        name
        for name in root.bus("ListNames")
        if name.startswith(":") and root.bus("GetConnectionUnixProcessID", "s", (name,)) == app.process.pid
    ]
    assert len(found) == 1
    return found[0]


def test_only_the_broker_is_heard(world, app):
    """Anybody may send a signal to anybody, and write the broker's interface on it."""
    settle(world)
    link(world, "alice", [LIBRARY])
    listening(app)
    assert app.ask(f"token {LIBRARY}") == "0 -"
    name = unique_name(world, app)
    with Client("bob", world.bus_path) as bob:
        for interface, member, signature, body in [
            (NAME, "TokenRevoked", "ss", ("0123456789abcdef", "policy")),
            (NAME, "AccountsChanged", None, ()),
            ("org.freedesktop.DBus", "NameOwnerChanged", "sss", (NAME, bob.name, ":1.99999")),
            ("org.freedesktop.DBus.Local", "Disconnected", None, ()),
        ]:
            try:
                send_signal(bob.connection, name, PATH, interface, member, signature, body)
            except (ConnectionError, OSError):
                break  # the bus throws out who names the reserved interface
    # What the broker itself says afterwards comes first.
    with Client("alice", world.bus_path) as alice:
        alice.call(ACCOUNTS, "Remove", "s", ("main",))
    told = sorted([app.read(), app.read()])
    assert told[0] == "changed" and told[1].startswith("revoked ") and told[1].endswith(" account-removed"), app.lines
    assert "0123456789abcdef" not in told[1]
    app.settle()
    app.quit()
