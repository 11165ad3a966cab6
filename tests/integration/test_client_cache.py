# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tokens that liblwa-client keeps: given without a call over the bus, renewed before they end, and dropped when
they are good no more, in a program that has a loop and in one that never dispatches."""

import os
import re
import time

import pytest
from client_app import ClientApp, Got
from logins import GRANTS, LIBRARY, PLAYBACK, link, refreshes, settle, take
from tap import Tap

from world import wait_until

QUICK_TOKENS = {"refresh_margin": 3, "min_valid": 1}


@pytest.fixture
def linked(world):
    settle(world)
    link(world, "alice", [LIBRARY, PLAYBACK])
    return world


@pytest.fixture
def quick(world):
    """Tokens of eight seconds: the library renews them from four before their end on, and the broker by itself from
    three."""
    world.write_config(tokens=QUICK_TOKENS)
    settle(world, token_lifetime=8)
    link(world, "alice", [LIBRARY])
    return world


class Counter:
    """How often methods of the broker are called on the bus."""

    def __init__(self, world):
        self.tap = Tap(world)

    def take(self, member="GetToken"):
        self.tap.stop()
        n = sum(bool(re.search(rf"HeaderFields.member[^,]*'{member}'", text)) for text in self.tap.texts)
        self.tap.texts.clear()
        return n


@pytest.fixture
def counter(linked):
    counter = Counter(linked)
    yield counter
    counter.tap.close()


def revoke(world):
    """The table denies what the tokens carry."""
    world.write_grants("people", GRANTS.replace("[user:alice]", f"[user:alice]\ndeny = {LIBRARY}"))
    world.reload()


def allow(world):
    world.write_grants("people", GRANTS)
    world.reload()


# --- given without a call ---


def test_no_call_for_what_is_kept(linked, counter):
    app = ClientApp(linked, "alice")
    first = app.get(LIBRARY).id
    assert counter.take() == 1
    for _ in range(20):
        assert app.get(LIBRARY).id == first
    app.start(1, LIBRARY)
    assert Got(app.loop_until("got 1 ").removeprefix("got 1 ")).id == first
    assert counter.take() == 0
    app.get(PLAYBACK)  # another scope, another question
    assert counter.take() == 1
    app.get(LIBRARY)
    app.get(PLAYBACK)
    assert counter.take() == 0


def test_no_system_call_for_what_is_kept(linked):
    """But for a look at the socket each 10 ms, which a machine that is slow does more often."""
    trace = linked.write("trace", "", 0o666)
    no_leaks = f"ASAN_OPTIONS={os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0"  # LSan does not work under strace
    app = ClientApp(linked, "alice", "strace", "-qq", "-ttt", "-E", no_leaks, "-o", trace)
    app.get(LIBRARY)
    n_gets = 20000
    app.send("gets", n_gets, LIBRARY)
    assert app.read_line() == "begin"
    assert app.read_line() == "end 0"
    app.end()
    with open(trace, encoding="utf-8", errors="replace") as file:
        lines = file.read().splitlines()
    begin, end = (next(i for i, line in enumerate(lines) if f'"{word}' in line) for word in ("begin", "end 0"))
    between = lines[begin + 1 : end]
    seconds = float(lines[end].split()[0]) - float(lines[begin].split()[0])
    looks = seconds / 0.010 + 2
    assert len(between) <= 4 * looks and len(between) < n_gets / 50, between[:20]


def test_version_is_asked_for_once(linked, counter):
    app = ClientApp(linked, "alice")
    first = app.command("version")
    assert counter.take("GetAll") == 1
    assert app.command("version") == first and app.command("feature", "x") == "feature 0"
    assert counter.take("GetAll") == 0
    linked.broker.restart()
    time.sleep(0.1)
    assert app.command("version") == first
    assert counter.take("GetAll") == 1


# --- renewed in time ---


def test_renewed_by_the_loop(quick):
    """Whoever asks in between has his token at once, and never one that is about to end."""
    app = ClientApp(quick, "alice")
    counter = Counter(quick)
    app.command("on-revoked")
    seen = [app.get(LIBRARY)]
    end = time.monotonic() + 20
    while time.monotonic() < end:
        app.loop(200)
        seen.append(app.get(LIBRARY))
    calls = counter.take()
    counter.tap.close()
    ids = list(dict.fromkeys(token.id for token in seen))
    assert len(ids) >= 3
    assert min(token.expires_in for token in seen) >= 1
    assert calls < len(seen) / 3
    assert refreshes(quick) >= len(ids) - 1


def test_renewal_is_by_the_loop_alone(quick):
    """What asks once and then only dispatches: the token is renewed once more, as nobody uses it, and then it ends."""
    app = ClientApp(quick, "alice")
    counter = Counter(quick)
    app.get(LIBRARY)
    app.loop(20000)
    assert counter.take() == 2
    counter.tap.close()


def test_renewed_without_a_loop(quick):
    """The kept one up to its bound, then a new one: no call that a program without a loop does not wait for."""
    app = ClientApp(quick, "alice")
    counter = Counter(quick)
    seen = []
    end = time.monotonic() + 16
    while time.monotonic() < end:
        seen.append(app.get(LIBRARY))
        time.sleep(0.1)
    calls = counter.take()
    counter.tap.close()
    n_ids = len({token.id for token in seen})
    assert n_ids >= 3 and min(token.expires_in for token in seen) >= 1
    assert calls <= 2 * n_ids + 1


@pytest.mark.parametrize("fault", ["status-503", "refuse"])
def test_failed_renewal_keeps_what_is_good(quick, fault):
    app = ClientApp(quick, "alice")
    begun = time.monotonic()
    first = app.get(LIBRARY)
    if fault == "refuse":
        quick.simulator.stop()
    else:
        quick.sim.fault("token", fault, count=0, grant_type="refresh_token")
    while True:
        app.loop(100)
        answer = app.try_get(LIBRARY)
        if time.monotonic() > begun + first.expires_in - 2:
            break
        assert Got(answer).id == first.id
    wait_until(
        lambda: app.try_get(LIBRARY) == "error -11 org.lwabroker.Error.ProviderUnavailable",
        15 * quick.slowness,
        "the token to end",
    )


def test_rate_limit_keeps_what_is_good(linked):
    """Who has called too often is told so, and still has his token: as long as it is kept, and, when it is about to
    end and the broker does not answer, up to its end."""
    lifetime = 16 * linked.slowness
    linked.sim.set(token_lifetime=lifetime)
    linked.write_config(tokens=QUICK_TOKENS, limits={"app_rate": 1, "app_burst": 100})
    linked.broker.restart()
    app = ClientApp(linked, "alice")
    first = app.get(LIBRARY)

    def use_up():
        while (answer := app.command("check", LIBRARY, None)).startswith("verdicts "):
            pass
        assert answer == "error -16 org.lwabroker.Error.RateLimited"

    use_up()
    assert app.get(LIBRARY).id == first.id
    for _ in range(6):  # of which few fail: one call is free each second, and may be free just now
        first = app.get(LIBRARY)
        time.sleep((first.expires_in + 1) * 3 / 4 + 0.5)  # whole seconds, rounded down
        use_up()
        if app.get(LIBRARY).id == first.id:
            return
    pytest.fail("no token was kept")


# --- dropped ---


def test_revoked_with_a_loop(linked):
    app = ClientApp(linked, "alice")
    app.command("on-revoked")
    token = app.get(LIBRARY)
    revoke(linked)
    assert app.loop_until("revoked ") == f"revoked {token.id} policy"
    assert app.try_get(LIBRARY) == "error -13 org.lwabroker.Error.AccessDenied"
    allow(linked)
    assert app.get(LIBRARY).id


def test_revoked_without_a_loop(linked):
    """A program that never dispatches sees it at its next question."""
    app = ClientApp(linked, "alice")
    app.get(LIBRARY)
    revoke(linked)
    wait_until(lambda: app.try_get(LIBRARY).startswith("error"), 10 * linked.slowness, "the token to be dropped")
    assert app.try_get(LIBRARY) == "error -13 org.lwabroker.Error.AccessDenied"


def test_revoked_for_one_leaves_the_other(linked, counter):
    second = link(linked, "alice", [LIBRARY], "bob", label="second")
    app = ClientApp(linked, "alice")
    app.command("on-revoked")
    first = app.get(PLAYBACK).account
    gone, kept = app.get(LIBRARY, second), app.get(PLAYBACK, first)
    linked.client("alice").call("org.lwabroker.Accounts1", "Remove", "s", (second,))
    assert app.loop_until("revoked ") == f"revoked {gone.id} account-removed"
    counter.take()
    assert app.get(PLAYBACK, first).id == kept.id
    assert counter.take() == 0
    assert app.try_get(LIBRARY, second) == "error -2 org.lwabroker.Error.NoSuchAccount"


@pytest.mark.parametrize("has_loop", [True, False], ids=["loop", "no-loop"])
def test_nobody_else_can_revoke(linked, has_loop):
    """A signal that looks like the broker's, from another connection."""
    app = ClientApp(linked, "alice")
    app.command("on-revoked")
    token = app.get(LIBRARY)
    (name,) = (
        line
        for line in linked.root().bus("ListNames")
        if line.startswith(":") and linked.root().bus("GetConnectionUnixProcessID", "s", (line,)) == app.process.pid
    )
    forge(linked.client("bob"), name, token.id)
    forge(linked.client("alice"), name, token.id)
    lines = app.loop(500) if has_loop else time.sleep(0.1) or []
    assert lines == []
    counter = Counter(linked)
    assert app.get(LIBRARY).id == token.id
    assert counter.take() == 0
    counter.tap.close()


def forge(client, destination, token_id):
    from jeepney import DBusAddress, HeaderFields, new_signal

    address = DBusAddress("/org/lwabroker/Broker1", interface="org.lwabroker.Broker1")
    message = new_signal(address, "TokenRevoked", "ss", (token_id, "policy"))
    message.header.fields[HeaderFields.destination] = destination
    client.connection.send(message)
    client.bus("GetId")  # the bus has read it by now


@pytest.mark.parametrize("has_loop", [True, False], ids=["loop", "no-loop"])
def test_broker_restart_drops(linked, has_loop, counter):
    app = ClientApp(linked, "alice")
    before = app.get(LIBRARY)
    counter.take()
    linked.broker.restart()
    if has_loop:
        app.loop(100)
    time.sleep(0.05)
    after = app.get(LIBRARY)
    assert counter.take() == 1
    assert after.id != before.id  # the broker has no memory of the old one


def test_report_drops(linked, counter):
    app = ClientApp(linked, "alice")
    first = app.get(LIBRARY).id
    assert app.get(f"{LIBRARY} {PLAYBACK}").id == first  # one token, kept for two questions
    assert app.command("report") == "reported 1"
    counter.take()
    second = app.get(LIBRARY).id
    assert second != first and app.get(f"{LIBRARY} {PLAYBACK}").id == second
    assert counter.take() == 2


def test_release_drops(linked, counter):
    app = ClientApp(linked, "alice")
    app.get(LIBRARY)
    app.command("release")
    counter.take()
    app.get(LIBRARY)
    assert counter.take() == 1


def test_renewal_asks_nobody(quick):
    """A renewal is never interactive, even where the app allows it for its own calls."""
    app = ClientApp(quick, "alice")
    app.command("interactive")
    tap = Tap(quick)
    app.get(LIBRARY)
    app.loop(6000)
    tap.stop()
    tap.close()
    calls = [text for text in tap.texts if "'GetToken'" in text]
    assert len(calls) >= 2
    assert ["allow_interactive" in text for text in calls] == [True] + [False] * (len(calls) - 1)
