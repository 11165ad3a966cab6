# SPDX-License-Identifier: LGPL-2.1-or-later
"""[limits]: each holds at its bound, says when to come back or what to end, and concerns nobody else (I9)."""

import pwd
import re
import time

import pytest
from jeepney import HeaderFields

from logins import (
    ACCOUNTS,
    INTROSPECTABLE,
    LIBRARY,
    LOGIN,
    PLAYBACK,
    Login,
    accounts,
    error_of,
    link,
    link_device,
    refreshes,
    register_agent,
    reject,
    settle,
    status,
    take,
    trail,
)
from world import DEFAULT_BURSTS, NAME, NO_RATES, DBusError, wait_until

POLICY = "org.lwabroker.Policy1"
PEER = "org.freedesktop.DBus.Peer"
STATS = "org.freedesktop.DBus.Debug.Stats"
PING = (PEER, "Ping")
INTROSPECT = (INTROSPECTABLE, "Introspect")
BEGIN = (LOGIN, "Begin", "sasa{sv}", ("device-code", [LIBRARY], {}))
AGENT = "org.freedesktop.PolicyKit1.AuthenticationAgent"
# A unit a second: a test that takes half a second knows how many there are.
SLOW = {"app_rate": 1, "app_burst": 20, "uid_rate": 2, "uid_burst": 30}


@pytest.fixture
def quick(world):
    return settle(world)


def limit(world, **limits):
    world.write_config(limits=limits)
    world.reload()
    return world


def known(world, user):
    """A connection whose owner the broker has found out, for one unit and those of the connection."""
    client = world.client(user)
    client.call(NAME, "ReleaseTokens")
    return client


def count_answers(client, call, n):
    """(how many of n calls were served, the sentence of those that were not)."""
    results = client.call_many([call] * n)
    refusals = [result for result in results if isinstance(result, DBusError)]
    assert {refusal.short for refusal in refusals} <= {"RateLimited"}
    sentences = {refusal.message for refusal in refusals}
    assert len(sentences) <= 1, sentences
    return n - len(refusals), "".join(sentences)


def wait_of(sentence):
    return int(re.search(r"; try again in (\d+) s\.$", sentence).group(1))


def hold_calls(world, client, n):
    """n calls that wait for polkit, which is paused."""
    for _ in range(n):
        client.send(*BEGIN)
    wait_until(lambda: status(world.root())["calls"] >= n + 1, 5 * world.slowness, "the calls to wait")


# --- calls under way --------------------------------------------------------------------------------------


def test_calls_of_a_connection_and_of_an_app(quick):
    limit(quick, calls_per_connection=3, calls_per_app=5, **NO_RATES)
    first, second, other = known(quick, "carol"), known(quick, "carol"), known(quick, "bob")
    quick.polkitd.pause()
    try:
        hold_calls(quick, first, 3)
        message = error_of(first.call, *BEGIN).message
        assert message == "Too many calls of this connection are under way (3); wait for their answers."
        hold_calls(quick, second, 2)
        message = error_of(second.call, *BEGIN).message
        assert message == "Too many calls of this app are under way (5); wait for their answers."
        hold_calls(quick, other, 3)
    finally:
        quick.polkitd.cont()
    wait_until(lambda: status(quick.root())["calls"] == 1, 10 * quick.slowness, "the calls to end")
    first.call(*PING)
    second.call(*PING)


def test_calls_of_all(quick):
    limit(quick, calls=16, calls_per_uid=8, calls_per_app=8, calls_per_connection=8, **NO_RATES)
    clients = [known(quick, user) for user in ("carol", "bob", "alice")]
    quick.polkitd.pause()
    try:
        for client in clients[:2]:
            for _ in range(8):
                client.send(*BEGIN)
            error_of(client.call, *BEGIN)
        message = error_of(clients[2].call, *PING).message
        assert message == "Too many calls are under way; try again in 1 s."
    finally:
        quick.polkitd.cont()
    wait_until(lambda: quick.root().call_many([PING]) == [None], 10 * quick.slowness, "the calls to end")


# --- rates ------------------------------------------------------------------------------------------------


def test_rate_of_an_app(quick):
    """Exactly the burst, then a refusal whose time is true; another user is not concerned."""
    limit(quick, **SLOW)
    carol, bob = known(quick, "carol"), known(quick, "bob")
    served, sentence = count_answers(carol, PING, 30)
    assert served in (15, 16)  # 20, less what it took to become known; a second may have gone by
    assert sentence.startswith("This app calls too often;") and wait_of(sentence) == 1
    assert count_answers(bob, PING, 15)[0] == 15
    time.sleep(wait_of(sentence))
    assert carol.call(*PING) is None


def test_dear_calls_cost_more(quick):
    """And what is said of them is true for them."""
    limit(quick, **{**SLOW, "app_rate": 2})
    carol = known(quick, "carol")
    served, sentence = count_answers(carol, (NAME, "ReportRejected", "s", ("x",)), 5)
    assert served == 3 and wait_of(sentence) == 3
    time.sleep(wait_of(sentence))
    assert reject(carol, "x") is False


def test_questions_to_polkit_are_paid_for(quick):
    limit(quick, **SLOW)
    carol = known(quick, "carol")
    asked = (NAME, "CheckScopes", "asa{sv}", ([LIBRARY], {}))
    assert carol.call(*asked) == {LIBRARY: "ask"}
    served, sentence = count_answers(carol, PING, 20)
    assert served < 6 and wait_of(sentence) >= 1


def test_long_answers_are_paid_for(quick):
    limit(quick, **SLOW)
    carol = known(quick, "carol")
    length = len(carol.call(*INTROSPECT))
    served, _ = count_answers(carol, PING, 20)
    assert 13 - length // 1024 <= served <= 16 - length // 1024


def test_a_new_connection_changes_nothing(quick):
    """Who leaves and comes back finds his bucket as he left it, and pays for coming."""
    limit(quick, app_rate=1, app_burst=50, uid_rate=1, uid_burst=50)
    served = 0
    for _ in range(30):
        client = quick.client("carol")
        results = client.call_many([(NAME, "ReleaseTokens")] * 2)
        served += sum(1 for result in results if not isinstance(result, DBusError))
        quick.clients.remove(client)
        client.close()
    assert 10 <= served <= 20
    known(quick, "bob")


def errors_of(client, name):
    """Of the replies that have come."""
    return sum(
        1 for reply in client.replies.values() if reply.header.fields.get(HeaderFields.error_name, "").endswith(name)
    )


def test_who_goes_on_is_not_answered(quick):
    """A thousand refusals and a hundred a second, then silence: with 128 calls unanswered the bus stops him."""
    limit(quick, **SLOW)
    carol, bob = known(quick, "carol"), known(quick, "bob")
    before = len(quick.broker.log().splitlines())
    began = time.monotonic()
    while not errors_of(carol, ".LimitsExceeded"):
        assert time.monotonic() < began + 20 * quick.slowness
        for _ in range(100):
            carol.send(*PING)
        carol.drain(0.01)
    refused = errors_of(carol, ".RateLimited")
    assert 1000 <= refused <= 1000 + 100 * (time.monotonic() - began) + 1
    bob.call(*PING)
    assert status(quick.root())["calls"] == 1
    # The administrator is told who it is, and not once for each call.
    told = [line for line in quick.broker.log().splitlines()[before:] if " is refused: " in line]
    uid = pwd.getpwnam("carol").pw_uid
    assert told == [f"<4>user:carol (uid {uid}) is refused: This app calls too often"]


def test_reload_holds_at_once(quick):
    limit(quick, **SLOW)
    carol = known(quick, "carol")
    assert count_answers(carol, PING, 30)[1]
    limit(quick)
    assert count_answers(carol, PING, 100) == (100, "")
    limit(quick, **SLOW)
    assert count_answers(carol, PING, 30)[1]


def test_contradicting_limits_are_refused(quick):
    """With file and line, and what was there before stays in force."""
    limit(quick, **SLOW)
    carol = known(quick, "carol")
    before = len(quick.broker.log())
    text = "[limits]\napp_burst = 500\nuid_burst = 499\n"
    path = quick.write("conf/broker.conf.d/limits.conf", text)
    quick.reload()
    told = wait_until(lambda: quick.broker.log()[before:], 5 * quick.slowness, "the broker to tell")
    assert f"{path}:2: app_burst cannot be used: it may not be above uid_burst" in told
    assert count_answers(carol, PING, 30)[0] < 20


# --- answers that nobody reads ------------------------------------------------------------------------------


def unread_bytes(world):
    """What the bus holds against the broker, of messages that their receivers have not read."""
    owner = world.root().bus("GetNameOwner", "s", (NAME,))
    where = {"path": "/org/freedesktop/DBus", "destination": "org.freedesktop.DBus"}
    return world.root().call(STATS, "GetConnectionStats", "s", (owner,), **where)["IncomingBytes"]


def test_unread_answers_are_few(quick):
    """At 127 MiB the bus would take nothing more from the broker. Introspect has the longest answer."""
    limit(quick, **DEFAULT_BURSTS)
    bystander = quick.client("bob")
    attackers = [quick.client("carol") for _ in range(4)]
    for attacker in attackers:
        attacker.call(*PING)
    ends = time.monotonic() + 2
    while time.monotonic() < ends:
        for attacker in attackers:
            for _ in range(25):
                attacker.send(*INTROSPECT)
        bystander.call(*PING, timeout=5 * quick.slowness)
    held = unread_bytes(quick)
    assert (1 << 17) < held < (4 << 20), held


# --- connections ------------------------------------------------------------------------------------------


def test_connections_of_a_user(quick):
    """Those that hold something count; the others are forgotten for a new one, which they do not notice."""
    link_device(quick, [LIBRARY])
    limit(quick, connections_per_uid=3)
    holders = [quick.client("musicd") for _ in range(3)]
    for holder in holders:
        take(holder)
    late = quick.client("musicd")
    message = error_of(take, late).message
    assert message == (
        "Too many connections of this user hold something (3); close one, or call ReleaseTokens on it."
    )
    take(quick.client("weatherd"))
    holders[1].call(NAME, "ReleaseTokens")
    take(late)
    assert error_of(take, holders[1]).short == "RateLimited"
    quick.clients.remove(holders[0])
    holders[0].close()
    wait_until(lambda: not isinstance(holders[1].call_many([(NAME, "ReleaseTokens")])[0], DBusError), 5, "room")
    take(holders[1])


def test_idle_connections_are_forgotten(quick):
    limit(quick, connections=16, connections_per_uid=4)
    clients = [known(quick, "carol") for _ in range(10)]
    assert status(quick.root())["connections"] <= 6
    for client in clients:
        client.call(NAME, "ReleaseTokens")
    for user in ("alice", "bob", "musicd", "weatherd"):
        for _ in range(4):
            known(quick, user)
    assert status(quick.root())["connections"] <= 16


# --- logins and accounts ------------------------------------------------------------------------------------


def test_logins(quick):
    limit(quick, logins=2, logins_per_uid=1)
    remedy = "finish or cancel one, or wait until Amazon has answered for those that were left."
    alice = quick.client("alice")
    open_login = Login(alice, [LIBRARY])
    message = error_of(alice.call, *BEGIN).message
    assert message == f"Too many logins of this user are open (1); {remedy}"
    Login(quick.client("bob"), [LIBRARY])
    message = error_of(quick.root().call, *BEGIN).message
    assert message == f"Too many logins are open (2); {remedy}"
    open_login.cancel()
    open_login.finish()
    Login(quick.client("root"), [LIBRARY])


def test_prompts(quick):
    """What is beyond is asked without a prompt, which is then answered as without a person."""
    limit(quick, prompts=2, prompts_per_uid=1)
    quick.write_rule(
        "20-prompt",
        'polkit.addRule(function(a, s) { if (a.id == "org.lwabroker.login") return polkit.Result.AUTH_SELF; });',
    )
    clients = [quick.client(user) for user in ("carol", "musicd", "weatherd")]
    for client in clients:
        register_agent(client)
    held = []
    for client, is_asked in zip((*clients[:1], *clients[:1], *clients[1:]), (True, False, True, False)):
        serial = client.send(*BEGIN, interactive=True)
        if is_asked:
            # Connections are not served in turn: the next one may only come when this one holds its place.
            assert client.wait_call(AGENT, "BeginAuthentication", 10 * quick.slowness)
            held.append((client, serial))
        else:
            assert error_of(client.wait, serial, 10 * quick.slowness).short == "ConsentRequired"
    assert not any(serial in client.replies for client, serial in held)
    assert status(quick.root())["calls"] == 1 + len(held)


def test_accounts_of_an_owner(quick):
    limit(quick, accounts_per_owner=1)
    link(quick, "alice", [LIBRARY], customer="alice")
    alice = quick.client("alice")
    login = Login(alice, [LIBRARY]).wait_state("waiting")
    quick.sim.approve(login.code, "bob")
    outcome, details = login.finish(timeout=15 * quick.slowness)
    assert (outcome, details["error"]) == ("failed", "RateLimited")
    assert len(accounts(alice)) == 1
    link(quick, "bob", [LIBRARY], customer="bob")


def test_changes_push_nothing_out_of_the_trail(quick):
    """The trail is kept up to a size: whoever writes on it without an end pushes out what others did."""
    limit(quick, **NO_RATES | {"change_burst": 200})
    link(quick, "alice", [LIBRARY])
    alice, root, n, begun = quick.client("alice"), quick.client("root"), 0, time.monotonic()
    for _ in range(3):
        answers = alice.call_many([(ACCOUNTS, "Rename", "ss", ("main", f"label {i}")) for i in range(100)])
        n += sum(not isinstance(answer, DBusError) for answer in answers)
    assert 190 < n <= 200 + (time.monotonic() - begun) / 10
    for call in (
        (ACCOUNTS, "SetDefault", "s", ("main",)), BEGIN,
        (POLICY, "SetConsent", "ssassa{sv}", ("user:x", "main", [LIBRARY], "deny", {})),
        (POLICY, "RevokeApp", "sa{sv}", ("user:x", {})),
    ):  # fmt: skip
        answers = alice.call_many([call] * 5)
        assert "RateLimited" in {answer.short for answer in answers if isinstance(answer, DBusError)}, call
    assert accounts(alice)
    # An administrator can still help.
    root.call(POLICY, "RevokeApp", "sa{sv}", ("user:x", {"user": ("s", "alice")}))


def test_scopes_of_a_call(quick):
    limit(quick, scopes_per_call=2)
    carol = quick.client("carol")
    assert set(carol.call(NAME, "CheckScopes", "asa{sv}", ([LIBRARY, PLAYBACK], {}))) == {LIBRARY, PLAYBACK}
    error = error_of(carol.call, NAME, "CheckScopes", "asa{sv}", ([LIBRARY, PLAYBACK, "profile"], {}))
    assert (error.short, error.message) == ("InvalidArgument", "Ask for 1 to 2 scopes.")


# --- reports ------------------------------------------------------------------------------------------------


def test_a_thousand_reports_are_one_refresh(quick):
    """Of the same token, by several apps and on many connections, while it is renewed and after that."""
    link_device(quick, [LIBRARY])
    clients = [quick.client(user) for user in ("musicd", "weatherd", "alice", "bob") for _ in range(5)]
    ids = {take(client)[1]["token_id"] for client in clients}
    assert len(ids) == 1
    report = (NAME, "ReportRejected", "s", (ids.pop(),))
    before = refreshes(quick)
    quick.sim.set(delay_ms=300)
    serials = [(client, client.send(*report)) for _ in range(50) for client in clients]
    assert all(client.wait(serial, 25 * quick.slowness) is True for client, serial in serials)
    quick.sim.set(delay_ms=0)
    for client in clients:
        assert client.call(*report) is True
    assert refreshes(quick) == before + 1
    assert len(trail(quick.root(), "token-rejected")) == 1


def test_one_app_does_not_use_up_the_reports_of_others(quick):
    link_device(quick, [LIBRARY])
    hostile = [quick.client("musicd") for _ in range(3)]
    before = refreshes(quick)
    for i in range(5):
        assert reject(hostile[i % 3], take(hostile[i % 3])[1]["token_id"]) is True
    for client in hostile:
        error = error_of(reject, client, take(client)[1]["token_id"])
        assert error.short == "RateLimited"
        assert error.message.startswith("This app had this login renewed often lately; try again in ")
        assert 20 <= wait_of(error.message) <= 30
    weatherd = quick.client("weatherd")
    assert reject(weatherd, take(weatherd)[1]["token_id"]) is True
    assert refreshes(quick) == before + 6


def test_reports_of_all_apps_of_a_login(quick):
    link_device(quick, [LIBRARY])
    limit(quick, app_report_burst=2, app_report_interval=2, grant_report_burst=3, grant_report_interval=2)
    before = refreshes(quick)
    for user, n in (("musicd", 2), ("weatherd", 1)):
        client = quick.client(user)
        for _ in range(n):
            assert reject(client, take(client)[1]["token_id"]) is True
    error = error_of(reject, client, take(client)[1]["token_id"])
    assert error.message.startswith("This login was renewed often lately; try again in ")
    time.sleep(wait_of(error.message))
    assert reject(client, take(client)[1]["token_id"]) is True
    assert refreshes(quick) == before + 4


def test_reports_without_effect(quick):
    """Unknown, foreign, released: false, no refresh, nothing on the trail, and no budget is used."""
    link_device(quick, [LIBRARY])
    musicd, weatherd = quick.client("musicd"), quick.client("weatherd")
    token_id = take(musicd)[1]["token_id"]
    before = refreshes(quick)
    for _ in range(20):
        assert reject(weatherd, token_id) is False
        assert reject(musicd, token_id[::-1]) is False
    assert refreshes(quick) == before and trail(quick.root(), "token-rejected") == []
    assert reject(musicd, token_id) is True
