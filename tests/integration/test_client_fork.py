# SPDX-License-Identifier: LGPL-2.1-or-later
"""liblwa-client across fork(2): the child may not use the parent's handle, and whatever it does to it the parent does
not notice. Its epoll set and its socket are shared with the child."""

import pytest

from library_driver import Driver
from logins import ACCOUNTS, LIBRARY, link, settle
from world import Client


@pytest.fixture
def app(world):
    app = Driver(world)
    yield app
    app.end()


def test_child_may_not_use_it(app):
    assert app.ask("check profile") == "0 -"
    app.tell("child check profile;start 1 profile;dispatch;wait;error")
    app.expect("check -10 Forked", "started 1 -10", "dispatch -10", "wait 0 -1")
    assert app.read().startswith("error -10 0 org.lwabroker.Client.Error.Forked | ")
    app.expect("child 0")
    assert app.ask("check profile") == "0 -"
    app.quit()


def test_grandchild_may_not_use_it(app):
    app.tell("child child check profile")
    app.expect("check -10 Forked", "child 0", "child 0")
    app.quit()


def test_child_makes_its_own(app):
    assert app.ask("check profile") == "0 -"
    app.tell("child free;new;check profile;free")
    app.expect("freed", "new 0", "check 0 -", "freed", "child 0")
    assert app.ask("check profile") == "0 -"
    app.quit()


@pytest.mark.parametrize("what", ["free", "cancel 1", "check profile;dispatch;free", "on-changed;dispatch;wait;free"])
def test_parent_goes_on(world, app, what):
    """An answer that is on its way, the next call, and signals: all reach the parent after the child has freed the
    handle and ended."""
    settle(world)
    link(world, "alice", [LIBRARY])
    app.tell("on-revoked", "on-changed")
    assert app.skip_changed(f"token {LIBRARY}") == "token 0 -"
    app.settle()
    world.broker.pause()
    app.tell("start 1 profile", f"child {what}")
    app.expect("started 1 0")
    app.wait_for("child 0")
    world.broker.cont()
    app.expect("done 1 0 -")
    with Client("alice", world.bus_path) as alice:
        alice.call(ACCOUNTS, "Remove", "s", ("main",))
    told = sorted([app.read(), app.read()])
    assert told[0] == "changed" and told[1].startswith("revoked ")
    world.broker.kill9()
    app.expect("changed")
    world.broker.start()
    app.expect("changed")
    app.tell("start 2 profile")
    app.expect("started 2 0", "done 2 0 -")
    app.quit()


def test_child_frees_a_login_that_is_being_begun(world, app):
    """First the login, then the handle, in which the call is still."""
    settle(world)
    assert app.ask("check profile") == "0 -"
    world.broker.pause()
    app.tell("login 1 new device-code profile", "login 1 start-begin", "child free")
    app.expect("login 1 new 0 -", "login 1 started 0 -", "freed", "child 0")
    world.broker.cont()
    app.expect("login 1 begun 0 -")
    app.tell("quit")
    app.process.communicate(timeout=20 * world.slowness)
    assert app.process.returncode == 0


def test_child_of_a_handle_that_is_not_connected(app):
    app.tell("pause", "nothing 1", "child free", "resume")
    app.expect("paused", "started 1 0", "freed", "child 0", "resumed", "done 1 0 -")
    assert app.ask("check profile") == "0 -"
    app.quit()


def test_child_leaves_no_descriptor(app):
    assert app.ask("check profile") == "0 -"
    bare = Driver(app.world, make=False)
    bare.tell("child process")
    fresh = bare.read().replace("child ", "")
    bare.expect("child 0")
    app.tell("child free;process")
    app.expect("freed", fresh, "child 0")
    app.quit()
    bare.quit()
