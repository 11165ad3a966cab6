# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of the apps' side share: logging in, asking, and looking at what came of it."""

import contextlib
import os
import subprocess

import pytest
from jeepney import MessageType

from world import NAME, DBusError, wait_until

BROKER = NAME
LOGIN = "org.lwabroker.Login1"
REQUEST = "org.lwabroker.Login1.Request"
ACCOUNTS = "org.lwabroker.Accounts1"
AUDIT = "org.lwabroker.Audit1"
STATUS = "org.lwabroker.Status1"
PEER = "org.freedesktop.DBus.Peer"
METHOD_RETURN = MessageType.method_return

# Logging in and managing accounts are not what these tests are about: everybody may.
MANAGE = """polkit.addRule(function(action, subject) {
    var name = action.id.replace("org.lwabroker.", "");
    if (["login", "accounts.manage", "audit.read-own"].indexOf(name) >= 0)
        return polkit.Result.YES;
});
"""


def rule(condition, result):
    """An administrator's polkit rule; `d(NAME)` is a detail."""
    return (
        "polkit.addRule(function(action, subject) {\n"
        "    function d(name) { return action.lookup(name); }\n"
        f"    if ({condition}) return polkit.Result.{result};\n"
        "});\n"
    )


def scope_rule(scope, result):
    return rule(f'd("scope") == "{scope}"', result)


def open_to_logins(world):
    world.write_rule("10-manage", MANAGE)
    world.sim.set(interval=1)


def begin_login(client, scopes, **options):
    """The request's path. options: account, owner, label."""
    packed = {key: ("s", value) for key, value in options.items()}
    return client.call(LOGIN, "Begin", "sasa{sv}", ("device-code", list(scopes), packed))


def user_code(world, client, path):
    return wait_until(
        lambda: client.get_property(REQUEST, "UserCode", path=path), 10 * world.slowness, "the user code"
    )


def link(world, user, scopes, customer="alice", **options):
    """Logs in by code; returns the account's id."""
    return link_all(world, [(user, scopes, customer, options)])[0]


def link_all(world, logins):
    """Several logins side by side, since each waits a second for its first poll."""
    clients = [world.client(user) for user, *_ in logins]
    paths = []
    for client, (_, scopes, customer, options) in zip(clients, logins):
        paths.append(begin_login(client, scopes, **options))
        world.sim.approve(user_code(world, client, paths[-1]), customer)
    return [finish_login(world, client, path) for client, path in zip(clients, paths)]


def finish_login(world, client, path):
    outcome, details = client.wait_signal(REQUEST, "Finished", timeout=15 * world.slowness, path=path)
    assert outcome == "linked", (outcome, details)
    world.clients.remove(client)
    client.close()
    return details["account"]


@contextlib.contextmanager
def refused(short, *parts):
    """The call inside must fail with this error, whose sentence has these parts."""
    with pytest.raises(DBusError) as caught:
        yield caught
    error = caught.value
    assert error.name in (f"org.lwabroker.Error.{short}", f"org.freedesktop.DBus.Error.{short}"), str(error)
    assert all(part in error.message for part in parts), str(error)
    is_ours = error.name.startswith("org.lwabroker.")
    assert not is_ours or error.message.endswith(".") or "lwactl login " in error.message, str(error)


def why_refused(client, scopes, **options):
    """The short name of the error, or "" when there was a token."""
    try:
        client.get_token(scopes, **options).close()
    except DBusError as error:
        return error.short
    return ""


def take(client, scopes, **options):
    """A token's text and info; the descriptor is closed."""
    token = client.get_token(scopes, **options)
    token.close()
    return token


def grants(world, text, name="test"):
    world.write_grants(name, text)
    world.reload()


def status(world):
    return world.root().call(STATUS, "Get")


def calls_under_way(world):
    return status(world)["calls"] - 1  # the one that asks


def await_calls(world, n, what="calls under way"):
    wait_until(lambda: calls_under_way(world) == n, 10 * world.slowness, f"{n} {what}")


def audit(world, event=None):
    args = ({"newest": ("b", True)}, 0, 1000)
    records, _ = world.root().call(AUDIT, "Query", "a{sv}tu", args)
    return [record for record in records if event in (None, record["event"])]


def check(client, scopes, **options):
    packed = {key: ("s", value) for key, value in options.items()}
    return client.call(BROKER, "CheckScopes", "asa{sv}", (list(scopes), packed))


def counter(world, name):
    return world.sim.state()["counters"].get(name, 0)


def refreshes(world):
    return counter(world, "token.refresh_token.ok")


def tidy(world):
    """What a test on a shared world leaves is taken away: clients, the table, the rule, the configuration."""
    world.close_clients()
    world.stop_children()
    if os.path.exists(world.path("polkit/rules/20-test.rules")):
        world.write_rule("20-test", None)
    world.write_grants("test", None)
    world.write_config()
    world.reload()


def run(argv, **options):
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, **options)
