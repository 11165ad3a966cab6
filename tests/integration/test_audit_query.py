# SPDX-License-Identifier: LGPL-2.1-or-later
"""Audit1 is asked: every filter, pages, waiting for what comes, who holds what, and whose a token was."""

import os
import pwd
import sqlite3
import statistics
import time

import pytest

from agent import Agent
from boxed import flatpak
from logins import (
    AUDIT,
    LIBRARY,
    PLAYBACK,
    STATUS,
    error_of,
    link,
    link_device,
    reject,
    sealed,
    settle,
    take,
    trail,
    wait_trail,
)
from world import DBusError, wait_until

READ = "music::library:read"
READ_ALL, READ_OWN = "org.lwabroker.audit.read", "org.lwabroker.audit.read-own"
TYPES = {"newest": "b", "own": "b", "wait": "b", "since": "x", "until": "x"}


def packed(filters):
    return {name: (TYPES.get(name, "s"), value) for name, value in filters.items()}


def send(client, after=0, limit=1000, **filters):
    return client.send(AUDIT, "Query", "a{sv}tu", (packed(filters), after, limit))


def query(client, after=0, limit=1000, **filters):
    return client.call(AUDIT, "Query", "a{sv}tu", (packed(filters), after, limit))


def pages(client, limit=1000, **filters):
    """All that fits, page after page."""
    found, after = [], 0
    while True:
        page, after = query(client, after, limit, **filters)
        found = page + found if filters.get("newest") else found + page
        if after == 0:
            return found


def who_has(client, scope, **options):
    return client.call(AUDIT, "WhoHas", "sa{sv}", (scope, packed(options)))


def find_token(client, text):
    with sealed(text) as fd:
        return client.call(AUDIT, "FindToken", "h", (fd,))


def uid(user):
    return pwd.getpwnam(user).pw_uid


def allow_audit(world, users, action=READ_ALL):
    world.write_rule(
        "05-audit",
        f"polkit.addRule(function(a, s) {{ if (a.id === '{action}' && {users!r}.indexOf(s.user) >= 0)"
        " return polkit.Result.YES; });",
    )


def start_again_with(world, n, **columns):
    """The broker with so many more records on its trail."""
    world.broker.stop()
    values = {"time_sec": int(time.time()), "event": "token-denied", "app": "user:crowd", "verdict": "Crowd"} | columns
    for name in ("kind", "strength", "account", "owner", "asked", "carried", "decided_by", "detail"):
        values.setdefault(name, "")
    values |= {"grant_row": 0, "expires_sec": 0}
    database = sqlite3.connect(f"{world.state_dir}/broker.db")
    with database:
        database.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n})"
            f" INSERT INTO audit ({', '.join(values)}) SELECT {', '.join('?' * len(values))} FROM n",
            list(values.values()),
        )
    database.close()
    world.broker.start()


@pytest.fixture
def quick(world):
    return settle(world)


@pytest.fixture
def busy(quick):
    """Records of all kinds: two owners and the device, several apps, what was given and what was refused."""
    link(quick, "alice", [LIBRARY])
    link(quick, "bob", [LIBRARY, PLAYBACK])
    link_device(quick, [LIBRARY])
    take(quick.client("alice"), [READ])
    take(quick.client("bob"), [PLAYBACK])
    musicd = quick.client("musicd")
    take(musicd)
    for client, scope in ((musicd, "profile"), (quick.client("carol"), LIBRARY)):
        error_of(take, client, [scope])
    wait_trail(quick.client("root"), "token-denied", app="user:carol")
    return quick


def lift_limits(world):
    """For tests that ask more often than a person does."""
    most = {f"{of}_{kind}": 100000 for of in ("app", "uid") for kind in ("rate", "burst")}
    world.write_config(limits=most | {"app_report_burst": 1000, "grant_report_burst": 1000})
    world.reload()


# --- filters ---


def has_scope(record, scope, implying):
    return scope in record["asked"].split() or bool({scope, *implying} & set(record["carried"].split()))


def test_every_filter(busy):
    lift_limits(busy)
    root = busy.client("root")
    everything = pages(root)
    disclosed = next(r for r in everything if r["event"] == "token-disclosed")
    middle = sorted(r["time"] for r in everything)[len(everything) // 2]
    cases = [
        ({"app": "user:musicd"}, lambda r: r["app"] == "user:musicd"),
        ({"app": "user:music"}, lambda r: False),
        ({"user": "alice"}, lambda r: r.get("uid") == uid("alice")),
        ({"user": str(uid("bob"))}, lambda r: r.get("uid") == uid("bob")),
        ({"user": "nobody-of-this-name"}, lambda r: False),
        ({"account": "main"}, lambda r: r["account"] == "main"),
        ({"event": "token-denied"}, lambda r: r["event"] == "token-denied"),
        ({"verdict": "allow"}, lambda r: r["verdict"] == "allow"),
        ({"verdict": "ConsentRequired"}, lambda r: r["verdict"] == "ConsentRequired"),
        ({"scope": READ}, lambda r: has_scope(r, READ, [LIBRARY])),
        ({"scope": LIBRARY}, lambda r: has_scope(r, LIBRARY, [])),
        ({"scope": "no::such"}, lambda r: False),
        ({"since": middle}, lambda r: r["time"] >= middle),
        ({"until": middle}, lambda r: r["time"] < middle),
        ({"since": middle, "until": middle + 1}, lambda r: r["time"] == middle),
        ({"token": disclosed["token"]}, lambda r: r["token"] == disclosed["token"]),
        ({"token": disclosed["token"].upper()}, lambda r: r["token"] == disclosed["token"]),
        ({"app": "user:alice", "event": "token-disclosed"}, lambda r: (r["app"], r["event"]) == ("user:alice", "token-disclosed")),
        ({"user": "musicd", "verdict": "allow", "scope": READ}, lambda r: r["app"] == "user:musicd" and r["verdict"] == "allow"),
    ]  # fmt: skip
    n_empty = 0
    for filters, fits in cases:
        expected = [r for r in everything if fits(r)]
        n_empty += not expected
        for limit in (1, 1000):
            assert pages(root, limit, **filters) == expected, filters
            assert pages(root, limit, newest=True, **filters) == expected, filters
    assert n_empty == 3


def test_users_by_name(busy):
    """Whoever is not on the bus has a name still; and one that is gone has left it on what he ran."""
    busy.close_clients()
    root = busy.client("root")
    for name in ("musicd", "bob"):
        assert {r["uid"] for r in pages(root, user=name)} == {uid(name)}
    start_again_with(busy, 2, app="user:formerly")
    root = busy.client("root")
    assert [r["app"] for r in pages(root, user="formerly")] == ["user:formerly"] * 2
    assert len(pages(root, user="formerly", app="user:formerly")) == 2
    assert pages(root, user="formerly", app="user:musicd") == []


def test_wrong_filters(shared_world):
    root = shared_world.client("root")
    wrong = {
        "app": ["", "x" * 264],
        "user": ["", "x" * 64, "\x1b[31m"],
        "account": ["", "Main", "x" * 33],
        "scope": ["", "a b", 'a"', "x" * 129],
        "event": ["", "token", "token-disclosed "],
        "verdict": ["", "x y", "a" * 64],
        "token": ["", "0" * 31, "0" * 33, "g" * 32],
    }
    for name, values in wrong.items():
        for value in values:
            error = error_of(query, root, **{name: value})
            assert error.short == "InvalidArgument" and name in error.message, (name, value, str(error))
    assert error_of(query, root, wait=True, newest=True).short == "InvalidArgument"
    assert error_of(root.call, AUDIT, "Query", "a{sv}tu", ({"since": ("t", 1)}, 0, 1)).short == "InvalidArgument"


def test_each_record_comes_once_while_more_are_added(busy):
    root, carol = busy.client("root"), busy.client("carol")
    scopes = ["music::catalog", "music::history", "music::playback", "profile", "postal_code"]
    before = pages(root)
    for newest in (False, True):
        found, after, n = [], 0, 0
        while True:
            error_of(take, carol, [scopes[n % len(scopes)], *scopes[: n % 3]])
            n += 1
            page, after = query(root, after, 2, newest=newest)
            found += page[::-1] if newest else page
            if after == 0:
                break
        sequences = [r["sequence"] for r in found]
        assert sequences == sorted(set(sequences), reverse=newest)
        assert {r["sequence"] for r in before} <= set(sequences)


def test_a_filter_that_nothing_leads_comes_to_an_end(quick):
    """In how many parts depends on the machine; tests/unit/test-store-search.c has it end after each record."""
    start_again_with(quick, 300000)
    root = quick.client("root")
    first = query(root, limit=1)[0][0]
    assert pages(root, verdict="NoneLikeThis") == []
    # An index leads past all of them at once.
    assert query(root, event=first["event"], limit=1)[0] == [first]
    page, after = query(root, newest=True, app="user:nobody")
    assert page == [] and after == 0


# --- waiting ---


def test_wait_is_answered_by_the_next_record(busy):
    root, other = busy.client("root"), busy.client("root")
    last = query(root, limit=1, newest=True)[0][-1]["sequence"]
    waiting = send(root, last, wait=True, event="token-denied", app="user:weatherd")
    with pytest.raises(TimeoutError):
        root.wait(waiting, timeout=0.5)
    error_of(take, busy.client("musicd"), ["postal_code"])  # not what is waited for
    wait_trail(other, "token-denied", app="user:musicd", asked="postal_code")
    with pytest.raises(TimeoutError):
        root.wait(waiting, timeout=0.5)
    error_of(take, busy.client("weatherd"), ["postal_code"])
    (record,), _ = root.wait(waiting, timeout=15 * busy.slowness)
    assert record["app"] == "user:weatherd" and record["sequence"] > last
    # What is there already is not waited for.
    assert query(root, last, wait=True, app="user:weatherd")[0][0] == record


def test_following_misses_nothing(busy):
    """Question after question, each from where the last answer ended."""
    root = busy.client("root")
    after = query(root, limit=1, newest=True)[0][-1]["sequence"]
    carol, seen = busy.client("carol"), []
    scopes = ["music::catalog", "music::history", "music::playback", "profile", "postal_code"]
    sets = [[scope, other] for scope in scopes for other in scopes if scope < other]
    serials = [carol.send("org.lwabroker.Broker1", "GetToken", "asa{sv}", (one, {})) for one in sets]
    while len(seen) < len(sets):
        page, _ = query(root, after, wait=True, app="user:carol")
        assert page, "something comes"
        seen += page
        after = page[-1]["sequence"]
    for serial in serials:
        with pytest.raises(DBusError):
            carol.wait(serial)
    assert seen == [r for r in pages(root, app="user:carol") if r["sequence"] >= seen[0]["sequence"]]


def test_waits_of_a_user_are_few_and_end_with_the_caller_and_the_broker(busy):
    root = busy.client("root")
    last = query(root, limit=1, newest=True)[0][-1]["sequence"]

    def wait_times(client, n):
        return [send(client, last, wait=True, event="key-rotated") for _ in range(n)]

    waiting = wait_times(root, 9)
    error = error_of(root.wait, waiting[-1])
    assert error.short == "RateLimited"
    link_free = busy.client("alice")
    assert query(link_free, own=True)[0]  # others are not in the way
    gone = busy.client("root")
    busy.clients.remove(root)
    root.close()

    def is_free():
        serial = wait_times(gone, 1)[0]
        try:
            gone.wait(serial, timeout=1)
        except TimeoutError:
            return True
        except DBusError:
            return False
        raise AssertionError("answered")

    wait_until(is_free, 10 * busy.slowness, "the waits of the one that left to end")
    last_one = wait_times(gone, 1)[0]
    with pytest.raises(TimeoutError):
        gone.wait(last_one, timeout=0.5)
    late = wait_times(gone, 1)[0]  # perhaps not held yet when it stops
    began = time.monotonic()
    busy.broker.stop()
    assert gone.wait(last_one) == [[], 0]
    try:
        assert gone.wait(late) == [[], 0]
    except DBusError as error:
        assert error.short == "NoReply"
    assert time.monotonic() - began < 15 * busy.slowness  # not the 20 seconds of the wait


# --- who may see what ---


def test_owners_see_their_own_and_nothing_of_others(busy):
    root, alice, bob = (busy.client(user) for user in ("root", "alice", "bob"))
    everything = pages(root)
    own = [r for r in everything if r["owner"] == "alice"]
    assert own and pages(alice, 1, own=True) == own
    theirs = next(r for r in everything if r["owner"] == "bob" and r["token"])
    for filters in (
        {"token": theirs["token"]},
        {"app": "user:bob"},
        {"user": "bob"},
        {"scope": PLAYBACK},
        {"account": "main", "user": "bob"},
    ):
        for newest in (False, True):
            assert query(alice, own=True, newest=newest, **filters) == [[], 0], filters
            assert query(alice, 0, 1, own=True, newest=newest, **filters) == [[], 0], filters
    assert error_of(query, alice).short == "ConsentRequired"
    assert error_of(who_has, alice, LIBRARY).short == "ConsentRequired"
    assert {r["owner"] for r in who_has(alice, READ, own=True)} == {"alice"}
    assert who_has(alice, PLAYBACK, own=True) == []
    assert [r["app"] for r in who_has(bob, PLAYBACK, own=True)] == ["user:bob"]


def test_an_owner_is_one_by_name_too(busy):
    """A number that is given to another user brings him nothing of the one before."""
    busy.broker.stop()
    database = sqlite3.connect(f"{busy.state_dir}/broker.db")
    with database:
        database.execute("UPDATE audit SET owner = 'alice-of-before' WHERE owner = 'alice'")
    database.close()
    busy.broker.start()
    alice = busy.client("alice")
    assert pages(alice, own=True) == [] and who_has(alice, READ, own=True) == []


def test_who_may_ask(busy):
    token, _ = take(busy.client("alice"), [READ])
    questions = [
        lambda client: query(client),
        lambda client: who_has(client, LIBRARY),
        lambda client: find_token(client, token),
    ]
    for ask in questions:
        assert error_of(ask, busy.client("musicd")).short == "ConsentRequired"
        assert ask(busy.client("root"))
    allow_audit(busy, ["carol"])
    for ask in questions:
        assert ask(busy.client("carol"))
        assert error_of(ask, busy.client("musicd")).short == "ConsentRequired"
    player = flatpak(busy, "carol", "org.example.Player")
    for ask in questions:
        error = error_of(ask, player)
        assert error.short == "AccessDenied" and "sandbox" in error.message
    assert error_of(query, player, own=True).short == "AccessDenied"


def test_a_person_is_asked_once_for_a_listing(busy):
    """polkit keeps a yes for that process: for all pages, and for no other process of the same user."""

    def page(client, after, **filters):
        args = packed(filters), after, 3
        return client.call(AUDIT, "Query", "a{sv}tu", args, interactive=True)

    carol = busy.client("carol")
    agent = Agent(busy, carol, "yes")
    n, after = 0, 0
    while n == 0 or after:
        _, after = page(carol, after)
        n += 1
    assert n > 3
    for _ in range(3):
        assert page(carol, 0, own=True) == [[], 0]
    assert [question.action for question in agent.asked] == [READ_ALL, READ_OWN]
    assert [question.identities for question in agent.asked] == [["uid:0"], [f"uid:{uid('carol')}"]]
    other = busy.client("carol")
    for filters in ({}, {"own": True}):
        assert error_of(page, other, 0, **filters).short == "ConsentRequired"


# --- who has ---


def test_who_has_a_scope(busy):
    root = busy.client("root")
    rows = who_has(root, READ)
    assert [r["app"] for r in rows] == ["user:musicd", "user:bob", "user:alice"]
    assert [r["app"] for r in who_has(root, LIBRARY)] == ["user:musicd", "user:bob", "user:alice"]
    assert [r["app"] for r in who_has(root, PLAYBACK)] == ["user:bob"]
    assert who_has(root, "profile") == []
    by_app = {r["app"]: r for r in rows}
    for app, owner in (("musicd", "device"), ("alice", "alice")):
        record = wait_trail(root, "token-disclosed", app=f"user:{app}")
        row = by_app[f"user:{app}"]
        assert row == {
            "app": f"user:{app}", "uid": uid(app), "user": app, "account": record["account"], "owner": owner,
            "scopes": record["carried"].split(), "since": record["time"], "expires_at": record["expires_at"],
            "sequence": record["sequence"], "token": record["token"],
        }  # fmt: skip
    error = error_of(who_has, root, "music::libary")
    assert error.short == "InvalidScope" and "music::library" in error.message
    assert error_of(who_has, root, "a b").short == "InvalidScope"


def test_who_has_has_a_row_for_each_token(busy):
    musicd = busy.client("musicd")
    for _ in range(3):
        take(musicd)
    assert reject(musicd, take(musicd)[1]["token_id"]) is True
    take(musicd)
    rows = [r for r in who_has(busy.client("root"), LIBRARY) if r["app"] == "user:musicd"]
    assert len(rows) == 2 and rows[0]["token"] != rows[1]["token"] and rows[0]["sequence"] > rows[1]["sequence"]


# --- whose a token was ---


def test_token_that_an_app_received(busy):
    root, musicd = busy.client("root"), busy.client("musicd")
    text, info = take(musicd)
    for handed in (text, text + "\n"):
        records = find_token(root, handed)
        assert records == [r for r in trail(root) if r["token"] == records[0]["token"]]
        disclosed = [r for r in records if r["event"] == "token-disclosed"]
        assert [r["app"] for r in disclosed] == ["user:musicd"]
        assert abs(disclosed[0]["expires_at"] - info["expires_at"]) <= 1
    assert find_token(root, "Atza|unknown") == []
    assert find_token(root, text[:-1]) == []


def test_owner_finds_tokens_of_own_accounts(busy):
    texts = {user: take(busy.client(user), [READ])[0] for user in ("alice", "bob")}
    for user, text in texts.items():
        records = find_token(busy.client(user), text)
        assert records and {r["owner"] for r in records} == {user}
        other = busy.client("bob" if user == "alice" else "alice")
        assert find_token(other, text) == []
    assert error_of(find_token, busy.client("carol"), texts["alice"]).short == "ConsentRequired"


def test_hostile_descriptors(busy):
    root = busy.client("root")
    before = len(os.listdir(f"/proc/{busy.broker.pid}/fd"))
    reader, writer = os.pipe()
    null = os.open("/dev/null", os.O_RDONLY)
    try:
        for fd in (reader, writer, null):
            assert error_of(root.call, AUDIT, "FindToken", "h", (fd,)).short == "InvalidArgument"
    finally:
        for fd in (reader, writer, null):
            os.close(fd)
    for content in ("", "a b", "x\x1b[0m", "x" * 2049):
        assert error_of(find_token, root, content).short == "InvalidArgument", content
    with sealed("Atza|x", seals=0) as fd:
        assert error_of(root.call, AUDIT, "FindToken", "h", (fd,)).short == "InvalidArgument"
    wait_until(
        lambda: len(os.listdir(f"/proc/{busy.broker.pid}/fd")) <= before, 5 * busy.slowness, "descriptors to be let go"
    )


def test_the_token_is_in_no_log(busy):
    text, _ = take(busy.client("alice"), [READ])
    find_token(busy.client("root"), text)
    error_of(find_token, busy.client("carol"), text)
    assert text not in busy.logs()


# --- beside the main job ---


def test_fetching_the_whole_trail_is_not_dear(busy):
    """Who may read all of it can fetch it in one go; for an owner what is answered costs as any other answer."""
    start_again_with(busy, 4000, owner="alice", owner_uid=uid("alice"))
    busy.write_config(limits={"app_rate": 1, "app_burst": 1000, "uid_rate": 1, "uid_burst": 1000})
    busy.reload()
    root, alice = busy.client("root"), busy.client("alice")
    assert len(pages(root)) > 4000
    assert error_of(pages, alice, own=True).short == "RateLimited"



def test_who_asks_much_keeps_no_token_waiting(busy):
    """First disclosures, with and without walks through a long trail under way beside them."""
    lift_limits(busy)
    start_again_with(busy, 200000)
    askers = [busy.client("root") for _ in range(6)]

    def first_disclosures(client, n=6):
        times = []
        for _ in range(n):
            began = time.monotonic()
            _, info = take(client)
            times.append(time.monotonic() - began)
            assert reject(client, info["token_id"]) is True
        return statistics.median(times)

    alone = first_disclosures(busy.client("musicd"))
    serials = [(asker, send(asker, verdict="NoneLikeThis")) for asker in askers for _ in range(4)]
    beside = first_disclosures(busy.client("weatherd"))
    answered = [asker.wait(serial, timeout=60 * busy.slowness) for asker, serial in serials]
    assert all(page == [] for page, _ in answered)
    assert beside < 20 * max(alone, 0.005), (alone, beside)


def test_one_user_does_not_keep_another_from_asking(busy):
    """Walks that take a quarter of a second each, many of them: another's question comes between."""
    start_again_with(busy, 300000)
    allow_audit(busy, ["carol"])
    carol, root = busy.client("carol"), busy.client("root")
    query(root, limit=1)
    began = time.monotonic()
    serials = [send(carol, verdict="NoneLikeThis") for _ in range(24)]
    assert query(root, limit=1)[0]
    first = time.monotonic() - began
    for serial in serials:
        carol.wait(serial, timeout=60 * busy.slowness)
    assert first < (time.monotonic() - began) / 2


def test_callers_that_leave_take_their_queries_along(busy):
    start_again_with(busy, 200000)
    root = busy.client("root")
    calls = root.call(STATUS, "Get")["calls"]
    for _ in range(5):
        leaving = busy.client("root")
        for _ in range(8):
            send(leaving, verdict="NoneLikeThis")
        busy.clients.remove(leaving)
        leaving.close()
    wait_until(lambda: root.call(STATUS, "Get")["calls"] <= calls, 20 * busy.slowness, "their calls to be gone")
    assert query(root, limit=1)[0]
    busy.broker.stop()
    assert busy.broker.process is None or busy.broker.process.returncode == 0
