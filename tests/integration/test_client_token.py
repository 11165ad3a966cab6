# SPDX-License-Identifier: LGPL-2.1-or-later
"""liblwa-client's calls of Broker1: what an app gets, waiting and not, and what it is told when it gets nothing."""

import re
import subprocess
import time

import pytest
from client_app import ClientApp, Got
from logins import GRANTS, LIBRARY, PLAYBACK, link, link_device, refreshes, settle, take
from tap import Tap
from test_secrets_memory import memory

from world import wait_until


@pytest.fixture
def linked(world):
    settle(world)
    link(world, "alice", [LIBRARY, PLAYBACK])
    return world


def holds(pid, text):
    return sum(content.count(text.encode()) for _, content in memory(pid))


# --- what an app gets ---


def test_get(linked):
    app = ClientApp(linked, "alice")
    token = app.get(LIBRARY)
    text, info = take(linked.client("alice"))
    assert (token.id, token.account, token.scopes) == (info["token_id"], info["account"], info["scopes"])
    assert abs(token.expires_in - info["expires_in"]) <= 2
    assert app.command("write") == text
    app.end()


def test_order_and_blanks_do_not_matter(linked):
    app = ClientApp(linked, "alice")
    assert app.get(f"{LIBRARY} {PLAYBACK}").id == app.get(f"  {PLAYBACK}   {LIBRARY} ").id


def test_start(linked):
    """Not before it is dispatched, and never from within the start."""
    app = ClientApp(linked, "alice")
    app.start(1, LIBRARY)
    time.sleep(0.3)
    assert app.command("version").startswith("version ")  # a call that waits calls no callback
    token = Got(app.loop_until("got 1 ").removeprefix("got 1 "))
    assert token.id == take(linked.client("alice"))[1]["token_id"]
    # One that is kept comes in the same way.
    app.start(2, LIBRARY)
    assert app.command("feature", "nothing-like-this") == "feature 0"
    assert Got(app.loop_until("got 2 ").removeprefix("got 2 ")).id == token.id


def test_cancel(linked):
    app = ClientApp(linked, "alice")
    app.start(1, LIBRARY)
    app.start(2, PLAYBACK)
    assert app.command("cancel", 1) == "cancelled"
    app.loop_until("got 2 ")
    app.start(3, PLAYBACK)  # kept by now
    app.start(4, PLAYBACK)
    assert app.command("cancel", 3) == "cancelled"
    assert [line.split()[1] for line in app.loop(300) if line.startswith("got")] == ["4"]


@pytest.mark.parametrize("way", ["get", "start"])
def test_errors(linked, way):
    app = ClientApp(linked, "alice")

    def error_of_app(*arguments):
        if way == "get":
            return app.try_get(*arguments)
        app.start(1, *arguments)
        return app.loop_until("got 1 ").removeprefix("got 1 ")

    for arguments, expected in (
        (("music::history",), "error -1 org.lwabroker.Error.ConsentRequired"),
        (("music::nonsense",), "error -22 org.lwabroker.Error.InvalidScope"),
        (("",), "error -22 org.lwabroker.Error.InvalidArgument"),
        ((LIBRARY, "nobodys"), "error -2 org.lwabroker.Error.NoSuchAccount"),
        ((LIBRARY, None, 86400), "error -22 org.lwabroker.Error.InvalidArgument"),
    ):
        assert error_of_app(*arguments) == expected
    linked.write_grants("people", GRANTS.replace("[user:alice]", "[user:alice]\ndeny = music::playback"))
    linked.reload()
    assert error_of_app(PLAYBACK) == "error -13 org.lwabroker.Error.AccessDenied"


def test_arguments_that_cannot_be_sent(linked):
    app = ClientApp(linked, "alice")
    assert app.try_get(None) == "error -22 org.lwabroker.Client.Error.BadArgument"
    assert app.command("check", None) == "error -22 org.lwabroker.Client.Error.BadArgument"
    for line in (b"get\tmusic::\xff\t-\t0\n", b"get\tprofile\t\xc0\xaf\t0\n", b"check\t\xff\n", b"start\t1\t\xff\t-\t0\n"):
        app.process.stdin.write(line)
        app.process.stdin.flush()
        assert app.read_line() == "error -22 org.lwabroker.Client.Error.BadArgument"
    assert app.get(LIBRARY).scopes  # and all is well


def test_accounts_are_kept_apart(linked):
    first = take(linked.client("alice"))[1]["account"]
    second = link(linked, "alice", [LIBRARY], "bob", label="second")
    app = ClientApp(linked, "alice")
    ids = {account: app.get(LIBRARY, account).id for account in (first, second)}
    assert len(set(ids.values())) == 2
    for account, token_id in ids.items():
        token = app.get(LIBRARY, account)
        assert (token.account, token.id) == (account, token_id)
    # What the default is, is the broker's to say: it is asked, though a token of that account is kept.
    linked.client("alice").call("org.lwabroker.Accounts1", "SetDefault", "s", (second,))
    assert app.get(LIBRARY).account == second


def test_default_account_is_followed(linked):
    """What is kept for the default account is not given for another default; what is kept by name stays."""
    first = take(linked.client("alice"))[1]["account"]
    second = link(linked, "alice", [LIBRARY], "bob", label="second")
    app = ClientApp(linked, "alice")
    by_name = app.get(LIBRARY, first).id
    assert app.get(LIBRARY).account == first
    tap = Tap(linked)
    linked.client("alice").call("org.lwabroker.Accounts1", "SetDefault", "s", (second,))
    wait_until(lambda: app.get(LIBRARY).account == second, 10 * linked.slowness, "the other account's token")
    assert app.get(LIBRARY, first).id == by_name
    tap.stop()
    assert sum("HeaderFields.member" in text and "'GetToken'" in text for text in tap.texts) == 1
    tap.close()


def test_min_valid(linked):
    linked.sim.set(token_lifetime=100)
    app = ClientApp(linked, "alice")
    first = app.get(LIBRARY)
    assert app.command("report") == "reported 1"
    short = app.get(LIBRARY)
    assert short.id != first.id and short.expires_in <= 100
    linked.sim.set(token_lifetime=3600)
    assert app.get(LIBRARY, None, 40).id == short.id
    before = refreshes(linked)
    long = app.get(LIBRARY, None, 49)
    assert long.expires_in >= 49
    time.sleep(1)
    # What is kept is good for long enough, or the broker is asked.
    assert app.get(LIBRARY, None, 50).expires_in >= 50
    assert refreshes(linked) <= before + 1


# --- the other calls ---


@pytest.mark.parametrize("start", ["", "start-"])
def test_check_scopes(linked, start):
    linked.write_grants("people", GRANTS.replace("[user:alice]", "[user:alice]\ndeny = profile"))
    linked.reload()
    app = ClientApp(linked, "alice")
    answer = app.command(f"{start}check", f"{LIBRARY} profile music::history music::catalog", None)
    if start:
        assert answer == "started 0"
        answer = app.loop_until("verdicts")
    found = dict(word.split("=") for word in answer.split()[1:])
    assert found == {LIBRARY: "allow", "profile": "deny", "music::history": "ask", "music::catalog": "login-required"}
    answer = app.command(f"{start}check", LIBRARY, "nobodys")
    assert (app.loop_until("error") if start else answer) == "error -2 org.lwabroker.Error.NoSuchAccount"


@pytest.mark.parametrize("start", ["", "start-"])
def test_report(linked, start):
    app = ClientApp(linked, "alice")

    def report():
        answer = app.command(f"{start}report")
        return app.loop_until("reported") if start else answer

    first = app.get(LIBRARY).id
    before = refreshes(linked)
    assert report() == "reported 1"
    second = app.get(LIBRARY).id
    assert second != first and refreshes(linked) == before + 1
    assert app.command("release") == "released 0"
    assert report() == "reported 0"  # the broker does not know us as its holder any more


def test_nobody_wants_to_know(linked):
    """Started without a callback: all of it is done nevertheless."""
    app = ClientApp(linked, "alice")
    old = app.get(LIBRARY)
    assert app.command("start-silent", LIBRARY) == "started"
    # It was reported.
    wait_until(lambda: app.loop(50) == [] and app.get(LIBRARY).id != old.id, 30 * linked.slowness, "another token")
    app.end()


@pytest.mark.parametrize("start", ["", "start-"])
def test_release(linked, start):
    app = ClientApp(linked, "alice")
    app.command("on-revoked")
    token = app.get(LIBRARY)
    answer = app.command(f"{start}release")
    assert (app.loop_until("released") if start else answer) == "released 0"
    linked.write_grants("people", "[user:alice]\ndeny = music::library\n")
    linked.reload()
    assert not [line for line in app.loop(500) if token.id in line]  # who has released hears no more of it
    assert app.try_get(LIBRARY) == "error -13 org.lwabroker.Error.AccessDenied"


def test_broker_info(linked):
    app = ClientApp(linked, "alice")
    properties = linked.client("alice").get_properties("org.lwabroker.Broker1")
    assert app.command("version") == f"version {properties['Version']}"
    for feature in properties["Features"]:
        assert app.command("feature", feature) == "feature 1"
    assert app.command("feature", "") == app.command("feature", None) == "feature 0"


def test_device_account(world):
    settle(world)
    account = link_device(world)
    app = ClientApp(world, "musicd")
    assert app.get(LIBRARY).account == account


# --- a request, and once more ---


def test_call(linked):
    app = ClientApp(linked, "alice")
    before = refreshes(linked)
    result, times, token = app.command("call", LIBRARY, 0).split()[1:]
    assert (result, times) == ("7", "1") and refreshes(linked) == before

    result, times, first, second = app.command("call", LIBRARY, 1).split()[1:]
    assert (result, times, first) == ("7", "2", token) and second != first
    assert refreshes(linked) == before + 1

    result, times, first, third = app.command("call", LIBRARY, 2).split()[1:]
    assert (int(result), times, first) == (-127, "2", second)  # EKEYEXPIRED
    assert third not in (first, token) and refreshes(linked) == before + 2
    # The third is not given again without a look at the broker, which takes it for good: nobody has reported it.
    assert app.command("call", LIBRARY, 0).split()[1:] == ["7", "1", third]


def test_call_without_a_token(linked):
    app = ClientApp(linked, "alice")
    assert app.command("call", "music::nonsense", 0) == "called -22 0"
    app.get(LIBRARY)
    linked.sim.fault("token", "status-503", count=0, grant_type="refresh_token")
    assert app.command("call", LIBRARY, 1).startswith("called -11 1 ")  # EAGAIN: the report failed


# --- where the token is ---


def test_token_is_wiped(linked):
    """It is in the memory of the app once, as long as it is held, and nowhere after that."""
    app = ClientApp(linked, "alice")
    app.get(LIBRARY)
    (text,) = (token for token in linked.sim.tokens()["access"] if token == app.command("write"))
    assert holds(app.process.pid, text) == 1
    assert app.command("free") == "freed"
    assert holds(app.process.pid, text) == 1  # the app's own reference
    assert app.command("drop") == "dropped"
    assert holds(app.process.pid, text) == 0


def test_every_old_token_is_wiped(linked):
    app = ClientApp(linked, "alice")
    for _ in range(3):
        app.get(LIBRARY)
        assert app.command("report") == "reported 1"
    app.start(1, LIBRARY)
    app.loop_until("got 1 ")
    kept = app.command("write")
    tokens = linked.sim.tokens()["access"]
    assert len(tokens) >= 4 and kept in tokens
    found = [text for text in tokens if holds(app.process.pid, text)]
    assert found == [kept]
    app.command("drop")
    assert app.command("release") == "released 0"
    assert not [text for text in tokens if holds(app.process.pid, text)]


def test_bus_carries_no_token(linked):
    tap = Tap(linked)
    app = ClientApp(linked, "alice")
    app.get(LIBRARY)
    text = app.command("write")
    tap.stop()
    assert any("GetToken" in seen for seen in tap.texts)
    assert not any(text in seen for seen in tap.texts)
    tap.close()


def test_library_needs_libdbus_and_libc_alone(bus_world):
    argv = ["readelf", "-dW", bus_world.program(".libs/liblwa-client.so.0")]
    text = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True).stdout
    needed = {name for name in re.findall(r"\(NEEDED\).*\[(.*)\]", text) if not re.match(r"lib(a|ub)san", name)}
    assert needed == {"libdbus-1.so.3", "libc.so.6"}
    assert "(SONAME)" in text and "[liblwa-client.so.0]" in text
