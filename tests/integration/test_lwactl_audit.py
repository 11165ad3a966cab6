# SPDX-License-Identifier: LGPL-2.1-or-later
"""lwactl audit, audit app and audit export against a broker that says what the test wants."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from fake_broker import Broker, BusError  # noqa: E402
from test_lwactl import (  # noqa: E402, F401
    HOSTILE, LIBRARY, LWACTL, Terminal, assert_harmless, broker, bus, environment, run)

PLAYER = "flatpak:org.example.Player"
NOW = int(time.time())
MOST = 2 ** 64 - 1


def record(sequence, **more):
    """As the broker gives it, all fields."""
    found = {"sequence": ("t", sequence), "time": ("x", NOW - 5000 + sequence), "event": ("s", "token-disclosed"),
             "app": ("s", "user:musicd"), "kind": ("s", "user"), "strength": ("s", "uid"), "unit": ("s", "musicd.service"),
             "program": ("s", "/usr/bin/musicd"), "uid": ("u", 977), "account": ("s", "main"), "owner": ("s", "alice"),
             "owner_uid": ("u", 1000), "asked": ("s", LIBRARY), "carried": ("s", LIBRARY), "verdict": ("s", "allow"),
             "decided_by": ("s", "table"), "chain": ("s", "music.conf:3 allow"), "detail": ("s", ""),
             "request": ("s", "r%d" % sequence), "grant": ("t", 1), "expires_at": ("x", NOW + 3600), "repeats": ("t", 0),
             "token": ("s", "%032x" % sequence), "boot_time": ("t", 1000 + sequence), "boot_id": ("s", "b" * 32),
             "epoch": ("t", 1), "hash": ("s", "%064x" % sequence), "seal": ("s", "5" * 32), "repeats_epoch": ("t", 0),
             "repeats_seal": ("s", "")}
    found.update(more)
    return found


def denied(sequence, **more):
    return record(sequence, **{"event": ("s", "token-denied"), "carried": ("s", ""), "verdict": ("s", "AccessDenied"),
                               "token": ("s", ""), "expires_at": ("x", 0), **more})


class Trail:
    """Records that a fake broker answers from, as the real one does."""

    def __init__(self, broker, records=()):
        self.records = list(records)
        self.waited = 0
        self.slice = 1000000  # records that one query looks at
        self.hook = None  # called with each filter
        self.broker = broker
        broker.replies["Query"] = self.query

    def fits(self, r, options):
        return all(r[key] == options[key] for key in ("app", "account", "event", "verdict") if key in options)

    def page(self, options, after, limit):
        """(records, next); of the real one, too, a page can have less than it could, or nothing."""
        newest = "newest" in options
        there = [r for r in self.records if (r["sequence"][1] < after or not after if newest else r["sequence"][1] > after)]
        if newest:
            there.reverse()
        page, seen = [], there[:self.slice]
        for n, r in enumerate(seen):
            page += [r] if self.fits(r, options) else []
            if len(page) == limit:
                seen = seen[:n + 1]
                break
        next_ = seen[-1]["sequence"][1] if len(seen) < len(there) else 0
        return (page[::-1] if newest else page), next_

    def query(self, options, after, limit):
        if self.hook:
            self.hook(options)
        page, next_ = self.page(options, after, limit)
        if "wait" in options:
            self.waited += 1
            deadline = time.monotonic() + 2
            while not page and not next_ and time.monotonic() < deadline and not self.broker.is_closing:
                time.sleep(0.02)
                page, next_ = self.page(options, after, limit)
        return "aa{sv}t", (page, next_)


def plain_lines(terminal):
    return re.sub("\x1b\\[[0-9;]*m", "", terminal.text).replace("\r", "").splitlines()


def wait_until(condition, what, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


class Running:
    """lwactl under way, its output read as it comes."""

    def __init__(self, bus, *arguments):
        self.read = b""  # and not handed out yet
        self.process = subprocess.Popen([LWACTL, *arguments], env=environment(bus), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()

    def line(self, seconds=20):
        deadline = time.monotonic() + seconds
        while b"\n" not in self.read:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self.process.stdout], [], [], left)[0], "no further line"
            data = os.read(self.process.stdout.fileno(), 65536)
            assert data, "it has ended"
            self.read += data
        line, self.read = self.read.split(b"\n", 1)
        return line + b"\n"

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, self.read + (out or b""), err


# --- filters ----------------------------------------------------------------------------------------------


def test_filters_reach_the_broker(bus, broker):
    Trail(broker, [record(1)])
    run(bus, "audit", "--app", PLAYER, "--user", "alice", "--account", "main", "--scope", LIBRARY, "--event", "Token-Denied",
        "--verdict", "accessdenied", "--since", "2026-11-20", "--until", "2026-11-20", "--own", "--last", "7")
    assert broker.calls[0][1] == ({
        "app": ("s", PLAYER), "user": ("s", "alice"), "account": ("s", "main"), "scope": ("s", LIBRARY),
        "event": ("s", "token-denied"), "verdict": ("s", "AccessDenied"), "since": ("x", 1795132800),
        "until": ("x", 1795219200), "own": ("b", True), "newest": ("b", True)}, 0, 7)
    before = int(time.time())
    run(bus, "audit", "--since", "2h", "--all")
    since = broker.last("Query")[1][0]["since"][1]
    assert before - 7200 <= since <= int(time.time()) - 7200


@pytest.mark.parametrize("arguments, said", [
    (["--event", "token-denid"], b"did you mean `token-denied`?"), (["--event", "login"], b"did you mean `login-"),
    (["--event", "zzzzzzzzz"], b"lwa-broker-audit(5)"), (["--verdict", "alow"], b"did you mean `allow`?"),
    (["--verdict", "AcessDenied"], b"did you mean `AccessDenied`?"), (["--verdict", "zzzzzzzzzzz"], b"such as AccessDenied"),
    (["--since", "soon"], b"yesterday, monday 9:30"), (["--until", "14:61"], b"not `14:61`"), (["--since", ""], b"--since"),
    (["--since", "1h", "--until", "2h"], b"--until 2h is not after --since 1h"), (["--app", ""], b"--app is empty"),
    (["--follow", "--until", "now"], b"exclude"), (["--after", "3"], b"takes no option --after"),
    (["--event", "x" + HOSTILE], b"unknown event xevil"), (["app"], b"an APP"), (["app", "a", "--scope", "x"], b"takes no"),
    (["app", "a", "--last", "3", "--all"], b"exclude"), (["export", "--after", "x"], b"number of a record"),
    (["export", "--after", "9223372036854775808"], b"number of a record"), (["export", "--last", "3"], b"takes no"),
    (["export", "--follow", "--until", "now"], b"exclude"), (["export", "x"], b"takes nothing more"),
])
def test_what_is_not_understood_is_named(bus, broker, arguments, said):
    r = run(bus, "audit", *arguments)
    assert (r.returncode, r.stdout) == (2, b"") and said in r.stderr and b"hint: " in r.stderr, r.stderr
    assert_harmless(r.stderr)
    assert not broker.calls


def test_until_when_an_answer_holds(bus, broker):
    Trail(broker, [record(1, event=("s", "consent-given"), detail=("s", "until"), expires_at=("x", NOW + 500 * 86400))])
    assert time.strftime("until %Y-%m-%d", time.gmtime(NOW + 500 * 86400)) in run(bus, "audit").stdout.decode()


def test_long_counts_as_people_do(bus, broker):
    Trail(broker, [record(1, uid=("u", 0), repeats=("t", 1)), record(2, repeats=("t", 2))])
    root, musicd = run(bus, "audit", "--long").stdout.decode().split("token-disclosed")[1:]
    assert "\n  uid      0\n" in root and "\n  repeated 1 time\n" in root
    assert "\n  uid      977\n" in musicd and "\n  repeated 2 times\n" in musicd


def test_nothing_found_is_a_sentence(bus, broker):
    Trail(broker)
    assert run(bus, "audit").stdout == b"The audit trail has no record yet.\n"
    assert run(bus, "audit", "--long", "--all").stdout == b"The audit trail has no record yet.\n"
    r = run(bus, "audit", "--since", "1h")
    assert (r.returncode, r.stdout, r.stderr) == (0, b"No record of the trail is like that.\n", b"")
    assert run(bus, "audit", "--json").stdout == b""


@pytest.mark.parametrize("option, word, meant", [
    ("--app", "user:musicdd", "user:musicd"), ("--app", "org.example.Player", PLAYER), ("--app", "flatpak:org.exmple.Playr", PLAYER),
    ("--account", "mian", "main")])
def test_names_that_are_nearly_right(bus, broker, option, word, meant):
    Trail(broker, [record(1), record(2, app=("s", PLAYER), asked=("s", "profile"))])
    r = run(bus, "audit", option, word)
    assert r.returncode == 0 and f"hint: did you mean `{meant}`?".encode() in r.stderr
    assert b"hint" not in run(bus, "audit", option, "zzzzzzzzzzzzzzz").stderr


# --- the table ----------------------------------------------------------------------------------------------


def test_a_table_for_a_person(bus, broker):
    old = {"time": ("x", NOW - 40 * 86400)}
    older = {"time": ("x", NOW - 900 * 86400)}
    Trail(broker, [record(1, **older), record(2, **old), denied(3, time=("x", NOW), decided_by=("s", "consent"), repeats=("t", 4))])
    with Terminal(bus, "audit", columns=150) as t:
        assert t.finish() == 0
        lines = plain_lines(t)
    assert lines[0].split() == ["TIME", "EVENT", "APP", "ACCOUNT", "VERDICT", "SCOPES", "DETAIL"]
    assert re.match(r"20\d\d-\d\d-\d\d  ", lines[1])
    assert re.match(r"[A-Z][a-z][a-z] [ \d]\d \d\d:\d\d  ", lines[2])
    assert re.match(r"\d\d:\d\d:\d\d  ", lines[3]) or time.strftime("%H:%M") in ("23:59", "00:00")
    assert lines[3].endswith("by the owner's consent, 4 repeats") and "\x1b[31mtoken-denied" in t.text
    assert "\x1b[31mtoken-disclosed" not in t.text


@pytest.mark.parametrize("columns, titles", [
    (150, "TIME EVENT APP ACCOUNT VERDICT SCOPES DETAIL"), (80, "TIME EVENT APP VERDICT SCOPES"),
    (72, "TIME EVENT APP SCOPES"), (60, "TIME EVENT APP"), (40, "TIME EVENT APP"), (20, "TIME EVENT")])
def test_a_narrow_table_leaves_out_what_is_least_needed(bus, broker, columns, titles):
    wide = {"app": ("s", "flatpak:org." + "x" * 90), "carried": ("s", " ".join([LIBRARY] * 9)), "detail": ("s", "d" * 60),
            "account": ("s", "kitchen-radio"), "time": ("x", NOW - 40 * 86400), "event": ("s", "token-refresh-failed"),
            "verdict": ("s", "NarrowerLoginRequired")}
    Trail(broker, [record(i, **wide) for i in range(1, 4)])
    with Terminal(bus, "audit", columns=columns) as t:
        assert t.finish() == 0
        lines = plain_lines(t)
    assert lines[0].split() == titles.split() and len(lines) == 4
    assert max(map(len, lines)) <= columns
    assert columns < 40 or all("token-refresh-" in line for line in lines[1:])


def test_a_hint_that_there_is_more(bus, broker):
    Trail(broker, [record(i) for i in range(1, 9)])
    with Terminal(bus, "audit", "--last", "5") as t:
        assert t.finish() == 0 and "newest 5" in t.text
    with Terminal(bus, "audit", "--last", "9") as t:
        assert t.finish() == 0 and "newest" not in t.text
    assert run(bus, "audit", "--last", "5").stderr == b""


def test_pages_are_one_table(bus, broker):
    Trail(broker, [record(i, app=("s", "user:" + "m" * (i // 100 + 1))) for i in range(1, 2202)])
    lines = run(bus, "audit", "--all").stdout.decode().splitlines()
    assert len(lines) == 2202 and sum("TIME" in line for line in lines) == 1
    assert broker.count("Query") == 3


@pytest.mark.parametrize("command, expected", [
    (["audit", "--json", "--last", "3"], [13, 14, 15]), (["audit", "--json", "--all", "--app", PLAYER], [1, 2, 15]),
    (["audit", "--json", "--last", "2", "--app", PLAYER], [2, 15]), (["audit", "--json", "--last", "9", "--app", PLAYER], [1, 2, 15]),
    (["audit", "export"], list(range(1, 16))), (["audit", "export", "--app", PLAYER, "--after", "1"], [2, 15]),
    (["audit", "--json", "--app", "user:x", "--all"], [])])
@pytest.mark.parametrize("slice_", [1, 3, 15])
def test_pages_that_are_short_or_empty(bus, broker, command, expected, slice_):
    trail = Trail(broker, [record(i, app=("s", PLAYER if i in (1, 2, 15) else "user:other")) for i in range(1, 16)])
    trail.slice = slice_
    r = run(bus, *command)
    assert (r.returncode, sequences(r.stdout), r.stderr) == (0, expected, b"")


@pytest.mark.parametrize("command", [["audit", "--follow", "--json", "--last", "1"], ["audit", "export", "--follow"]])
def test_follow_over_pages_that_are_empty(bus, broker, command):
    trail = Trail(broker, [record(i) for i in range(1, 9)])
    trail.slice = 2
    with Running(bus, *command, "--app", PLAYER) as running:
        wait_until(lambda: trail.waited > 2, "it waits")
        trail.records += [record(i) for i in range(9, 17)] + [record(17, app=("s", PLAYER))]
        assert sequences(running.line()) == [17]
    r = run(bus, "audit", "app", PLAYER, "--json")
    assert json.loads(r.stdout)["records"] == 1


def test_a_page_that_comes_too_soon_is_waited_for(bus, broker):
    trail = Trail(broker, [record(i) for i in range(1, 1202)])
    refused = []

    def hook(options):
        if broker.count("Query") in (2, 3):
            refused.append(options)
            raise BusError("RateLimited", "Too many calls; wait.")
    trail.hook = hook
    r = run(bus, "audit", "--all", "--json")
    assert r.returncode == 0 and len(r.stdout.splitlines()) == 1201 and len(refused) == 2


def test_hostile_names_are_harmless(bus, broker):
    evil = {key: ("s", key + HOSTILE) for key in ("app", "unit", "program", "account", "owner", "asked", "carried", "verdict",
                                                  "decided_by", "chain", "detail", "request", "strength", "kind")}
    long = {"app": ("s", "flatpak:" + "x" * 5000), "detail": ("s", "\u202e" * 5000)}
    consent = {**evil, "event": ("s", "consent-given" + HOSTILE)}
    records = [record(1, **evil), denied(2, **evil), record(3, **long), record(4, **consent), record(5, event=("s", HOSTILE))]
    trail = Trail(broker, records)
    trail.fits = lambda record, options: True
    commands = [["audit"], ["audit", "--long"], ["audit", "--json"], ["audit", "app", "app" + HOSTILE],
                ["audit", "app", "app" + HOSTILE, "--json"], ["audit", "export"]]
    for command in commands:
        r = run(bus, *command)
        assert r.returncode == 0 and r.stdout and r.stderr == b"", (command, r)
        assert_harmless(r.stdout)
    for columns in (40, 80):
        for command in (commands[0], commands[3]):
            with Terminal(bus, *command, columns=columns, NO_COLOR="1") as t:
                assert t.finish() == 0
                assert_harmless(t.data.replace(b"\r\n", b"\n"))
                assert command[1:2] == ["app"] or max(map(len, plain_lines(t))) <= columns


# --- exact bytes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["audit", "--json"], ["audit", "--all", "--json"], ["audit", "export"]])
def test_json_keeps_every_byte(bus, broker, command):
    texts = {key: ("s", key + HOSTILE + "\\\"/\u00e9\U0001f3b5\ufffe\U000e0001") for key in ("app", "unit", "detail", "chain")}
    numbers = {"boot_time": ("t", MOST), "epoch": ("t", MOST - 1), "grant": ("t", 2 ** 63), "repeats": ("t", 2 ** 53 + 1),
               "repeats_epoch": ("t", MOST), "time": ("x", -(2 ** 63)), "expires_at": ("x", 2 ** 63 - 1), "uid": ("u", 2 ** 32 - 2)}
    sent = record(2 ** 63 - 1, **texts, **numbers)
    Trail(broker, [sent])
    r = run(bus, *command)
    assert r.returncode == 0 and r.stdout.count(b"\n") == 1
    assert json.loads(r.stdout) == {key: value for key, (_, value) in sent.items()}


# --- follow ---------------------------------------------------------------------------------------------------


def test_follow_shows_each_record_once(bus, broker):
    trail = Trail(broker, [record(i) for i in range(1, 4)])
    with Running(bus, "audit", "--follow", "--json") as running:
        seen = [json.loads(running.line())["sequence"] for _ in range(3)]
        for burst in ([4], [5, 6], list(range(7, 60))):
            trail.records += [record(i) for i in burst]
            seen += [json.loads(running.line())["sequence"] for _ in burst]
        wait_until(lambda: trail.waited > 4, "it waits again")
        code, out, err = running.end()
    assert seen == list(range(1, 60)) and (code, out, err) == (0, b"", b"")


def test_follow_misses_nothing_between_the_looks(bus, broker):
    """What is written while it looks at what there is, with a filter that lets nothing through before."""
    trail = Trail(broker, [record(1)])
    added = []

    def hook(options):
        if len(added) < 4:
            added.append(len(trail.records) + 1)
            trail.records.append(denied(added[-1]))
    trail.hook = hook
    with Running(bus, "audit", "--follow", "--json", "--event", "token-denied") as running:
        assert [json.loads(running.line())["sequence"] for _ in range(4)] == [2, 3, 4, 5]
        assert running.end(signal.SIGTERM)[0] == 0
    assert broker.last("Query")[1][0]["event"] == ("s", "token-denied")


def test_follow_goes_on_after_a_restart(bus, broker):
    trail = Trail(broker, [record(1)])
    with Running(bus, "audit", "--follow") as running:
        assert b"TIME" in running.line() and b"token-disclosed" in running.line()
        wait_until(lambda: trail.waited > 0, "it waits")
        broker.close()
        trail.records.append(record(2, app=("s", "user:second")))
        time.sleep(1.5)  # it asks meanwhile, in vain
        second = Broker(bus.address, {"Query": trail.query})
        try:
            trail.broker = second
            assert b"user:second" in running.line()
            trail.records.append(record(3, app=("s", "user:third")))
            assert b"user:third" in running.line()
            code, out, err = running.end()
        finally:
            second.close()
    assert (code, out) == (0, b"") and err.count(b"hint: the broker is not running; waiting") == 1


@pytest.mark.parametrize("error, code", [("RateLimited", 0), ("AuditUnavailable", 0), ("AccessDenied", 3)])
def test_follow_and_errors(bus, broker, error, code):
    """What passes is waited for; what does not ends it."""
    trail = Trail(broker, [record(1)])

    def hook(options):
        if trail.waited == 1:
            trail.waited = 2
            trail.records.append(record(2))
            raise BusError(error, "No; wait.")
    trail.hook = hook
    with Running(bus, "audit", "--follow", "--json") as running:
        running.line()
        if code == 0:
            assert json.loads(running.line())["sequence"] == 2
            assert running.end()[0] == 0
        else:
            assert running.process.wait(20) == code and b"lwactl: No; wait." in running.process.stderr.read()


@pytest.mark.parametrize("command", [["audit", "--follow", "--json"], ["audit", "export", "--follow"]])
def test_follow_ends_when_nobody_reads(bus, broker, command):
    trail = Trail(broker, [record(1)])
    with Running(bus, *command) as running:
        running.line()
        wait_until(lambda: trail.waited > 0, "it waits")
        running.process.stdout.close()  # nothing more is written: it has to see it by itself
        running.process.stdout = None
        assert running.process.wait(20) == 1 and running.process.stderr.read() == b""


def test_follow_ends_with_ctrl_c(bus, broker):
    trail = Trail(broker, [record(1)])
    with Terminal(bus, "audit", "--follow") as t:
        t.wait_for("token-disclosed")
        wait_until(lambda: trail.waited > 0, "it waits")
        trail.records.append(denied(2))
        t.wait_for("token-denied")
        t.type("\x03")
        assert t.finish() == 0 and "lwactl:" not in t.text
    first, second = [line for line in plain_lines(t) if "token-" in line]
    assert first.index("user:") == second.index("user:")  # below each other


# --- the story of an app ------------------------------------------------------------------------------------------


def story(bus, broker, *arguments):
    first = {"time": ("x", 86400 * 100), "expires_at": ("x", 86400 * 100 + 3600)}
    player = {"app": ("s", PLAYER), "kind": ("s", "flatpak"), "strength": ("s", "sandbox"), "unit": ("s", ""), "uid": ("u", 1000),
              "program": ("s", "/app/bin/player")}
    music = {"asked": ("s", "music::playback"), "carried": ("s", "music::playback")}
    answer = {**player, "strength": ("s", "uid"), "program": ("s", "/usr/bin/lwactl"), "uid": ("u", 0), "decided_by": ("s", "command"),
              "detail": ("s", "logout"), "token": ("s", ""), "verdict": ("s", "")}
    records = [
        record(1, **player, **first), record(2), record(3, **player, **{**music, "carried": ("s", f"{LIBRARY} music::playback")}),
        denied(4, **{**player, "asked": ("s", "profile"), "repeats": ("t", 9), "time": ("x", 86400 * 200)}),
        denied(5, **{**player, "asked": ("s", "profile"), "time": ("x", 86400 * 300)}),
        record(6, **{**answer, "event": ("s", "consent-given")}), record(7, **{**answer, "event": ("s", "consent-revoked")}),
        record(8, **{**player, "event": ("s", "token-released"), "token": ("s", "%032x" % 3), "verdict": ("s", "")}),
        record(9, **{**player, "expires_at": ("x", NOW + 1800)})]
    Trail(broker, records)
    return run(bus, "audit", "app", PLAYER, *arguments)


def test_the_story_of_an_app_as_json(bus, broker):
    told = json.loads(story(bus, broker, "--json").stdout)
    assert {key: told[key] for key in ("app", "kind", "strength", "program", "uids", "records", "first")} == {
        "app": PLAYER, "kind": "flatpak", "strength": "sandbox", "program": "/app/bin/player", "uids": [1000], "records": 8,
        "first": 86400 * 100}
    assert "unit" not in told
    assert told["verdicts"] == {"allow": 3, "AccessDenied": 11}
    scopes = {s["scope"]: s for s in told["scopes"]}
    assert scopes[LIBRARY]["got"] == 3 and scopes["music::playback"]["got"] == 1 and scopes["profile"]["refused"] == 11
    assert scopes[LIBRARY]["first_got"] == 86400 * 100 and scopes["profile"]["last_refused"] == 86400 * 300
    (refusal,) = told["refusals"]
    assert (refusal["times"], refusal["first"], refusal["last"], refusal["sequence"]) == (11, 86400 * 200, 86400 * 300, 5)
    assert [c["event"] for c in told["consents"]] == ["consent-given", "consent-revoked"]
    assert [(t["token"], t["released"]) for t in told["holds"]] == [("%032x" % 3, True), ("%032x" % 9, False)]


def test_the_story_of_an_app_for_a_person(bus, broker):
    text = story(bus, broker).stdout.decode()
    assert text.startswith(PLAYER + "\n")
    for words in ("known by   sandbox (any program of the user outside", "program    /app/bin/player",
                  "first seen 1970-04-11 00:00:00", "records    8", "answers    3 allow, 11 AccessDenied",
                  "What it asked for and got:", "What it holds now:", "What it was refused:", "What owners answered about it:",
                  "a person's command", "1000", "Its records:"):
        assert words in text, words
    assert re.search(r"^1970-10-28 +11 +AccessDenied +main +the table +profile$", text, re.M), text
    assert re.search(r"^0{12} +main +.* in \d+ min +yes ", text, re.M), text
    newest = story(bus, broker, "--last", "2").stdout.decode()
    assert "Its newest records:" in newest and f"2 of 8; `lwactl audit app {PLAYER} --all` shows all." in newest
    assert newest.split("Its newest records:")[1].count("\n" + time.strftime("%Y", time.gmtime())) == 2
    assert story(bus, broker, "--all").stdout.decode().split("Its records:")[1].count(" main ") == 8


def test_the_story_of_a_long_trail_is_bounded(bus, broker):
    """An app can be refused in as many ways as it likes, and was given a token each hour for years."""
    denials = [denied(i, detail=("s", f"way {i}")) for i in range(1, 1501)]
    ended = [record(i, expires_at=("x", NOW - 10)) for i in range(1501, 1511)]
    Trail(broker, denials + ended)
    told = json.loads(run(bus, "audit", "app", "user:musicd", "--json").stdout)
    assert [r["detail"] for r in told["refusals"]] == [f"way {i}" for i in range(501, 1501)]
    assert (told["holds"], told["consents"], told["records"]) == ([], [], 1510)
    text = run(bus, "audit", "app", "user:musicd").stdout.decode()
    assert "and 980 or more before them; --json has the newest 1000" in text and "It holds no token now." in text


def test_an_app_that_nobody_knows(bus, broker):
    Trail(broker, [record(1)])
    r = run(bus, "audit", "app", "musicd")
    assert (r.returncode, r.stdout) == (1, b"")
    assert b"lwactl: The trail has no record of musicd.\nhint: did you mean `user:musicd`?\n" == r.stderr
    r = run(bus, "audit", "app", "user:musicd", "--account", "other")
    assert r.returncode == 1 and b"no such record" in r.stderr


# --- export ---------------------------------------------------------------------------------------------------


def sequences(text):
    return [json.loads(line)["sequence"] for line in text.splitlines()]


def test_export_in_order_and_after(bus, broker):
    Trail(broker, [record(i) for i in range(1, 2502)])
    r = run(bus, "audit", "export")
    assert r.returncode == 0 and sequences(r.stdout) == list(range(1, 2502)) and r.stderr == b""
    assert sequences(run(bus, "audit", "export", "--after", "2499").stdout) == [2500, 2501]
    assert run(bus, "audit", "export", "--after", "2501").stdout == b""
    run(bus, "audit", "export", "--app", "user:musicd", "--since", "yesterday", "--own")
    assert set(broker.last("Query")[1][0]) == {"app", "since", "own"}


def test_export_goes_on_from_its_cursor(bus, broker, tmp_path):
    cursor = tmp_path / "cursor"
    trail = Trail(broker, [record(i) for i in range(1, 4)])
    assert sequences(run(bus, "audit", "export", "--cursor-file", str(cursor)).stdout) == [1, 2, 3]
    assert cursor.read_text() == "3:%064x\n" % 3
    r = run(bus, "audit", "export", "--cursor-file", str(cursor))
    assert (r.returncode, r.stdout, r.stderr) == (0, b"", b"")
    trail.records += [record(i) for i in range(4, 6)]
    assert sequences(run(bus, "audit", "export", "--cursor-file", str(cursor)).stdout) == [4, 5]
    assert sequences(run(bus, "audit", "export", "--cursor-file", str(cursor), "--after", "3").stdout) == [4, 5]
    trail.records.append(record(6, hash=("s", "")))  # of before there was a chain
    run(bus, "audit", "export", "--cursor-file", str(cursor))
    assert cursor.read_text() == "6:\n"
    assert run(bus, "audit", "export", "--cursor-file", str(cursor)).returncode == 0


def test_export_notes_nothing_that_it_could_not_write(bus, broker, tmp_path):
    cursor = tmp_path / "cursor"
    Trail(broker, [record(i) for i in range(1, 400)])
    with open("/dev/full", "wb") as full:
        r = run(bus, "audit", "export", "--cursor-file", str(cursor), stdout=full)
    assert r.returncode == 1 and b"No space" in r.stderr and not cursor.exists()
    with Running(bus, "audit", "export", "--cursor-file", str(cursor)) as running:
        running.line()
        running.process.stdout.close()
        running.process.stdout = None
        assert running.process.wait(20) == 1 and not cursor.exists()


def test_export_says_what_is_missing(bus, broker, tmp_path):
    cursor = tmp_path / "cursor"
    trail = Trail(broker, [record(i) for i in range(1, 11)])
    run(bus, "audit", "export", "--cursor-file", str(cursor))
    trail.records = [record(i) for i in (11, 12)]  # pruned, but nothing that was not exported
    r = run(bus, "audit", "export", "--cursor-file", str(cursor))
    assert sequences(r.stdout) == [11, 12] and r.stderr == b""
    trail.records = [record(i) for i in (20, 21, 25)]
    r = run(bus, "audit", "export", "--cursor-file", str(cursor))
    assert r.returncode == 0 and sequences(r.stdout) == [20, 21, 25]
    assert b"records 13 to 19 are not on the trail any more" in r.stderr
    assert b"records 22 to 24 are missing" in r.stderr and r.stderr.count(b"lwactl: ") == 2
    r = run(bus, "audit", "export", "--after", "15")
    assert b"records 16 to 19 are missing" in r.stderr
    assert run(bus, "audit", "export", "--app", "user:musicd").stderr == b""  # others' numbers are left out


@pytest.mark.parametrize("records, said", [
    ([], b"ends before"), ([record(1)], b"ends before"), ([record(i, hash=("s", "f" * 64)) for i in range(1, 9)], b"altered")])
def test_export_refuses_another_trail(bus, broker, tmp_path, records, said):
    cursor = tmp_path / "cursor"
    trail = Trail(broker, [record(i) for i in range(1, 6)])
    run(bus, "audit", "export", "--cursor-file", str(cursor))
    trail.records = records
    r = run(bus, "audit", "export", "--cursor-file", str(cursor))
    assert (r.returncode, r.stdout) == (1, b"") and said in r.stderr and b"--after N" in r.stderr
    assert cursor.read_text() == "5:%064x\n" % 5
    assert run(bus, "audit", "export", "--cursor-file", str(cursor), "--after", "0").returncode == 0


@pytest.mark.parametrize("content", ["", "x", "5", "5:abc\n", "-1:\n", "5:" + "g" * 64, "99999999999999999999:\n", "x" * 300])
def test_a_cursor_file_that_holds_none(bus, broker, tmp_path, content):
    Trail(broker, [record(1)])
    cursor = tmp_path / "cursor"
    cursor.write_text(content)
    r = run(bus, "audit", "export", "--cursor-file", str(cursor))
    assert (r.returncode, r.stdout) == (1, b"") and b"holds no cursor" in r.stderr and cursor.read_text() == content


def test_a_cursor_file_that_is_no_file(bus, broker, tmp_path):
    Trail(broker, [record(1)])
    (tmp_path / "target").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    for name in (str(tmp_path), str(tmp_path / "link"), str(tmp_path / "none" / "cursor")):
        r = run(bus, "audit", "export", "--cursor-file", name)
        assert r.returncode == 1 and b"lwactl: " in r.stderr
    assert (tmp_path / "target").read_text() == ""


@pytest.mark.parametrize("torn", ["", '{ "sequence": 7, "ti', "{"])
def test_export_to_a_file_has_nothing_twice(bus, broker, tmp_path, torn):
    """Killed after the records were written and before the cursor was."""
    Trail(broker, [record(i) for i in range(1, 10)])
    out, cursor = tmp_path / "out", tmp_path / "cursor"
    with open(out, "ab") as f:
        run(bus, "audit", "export", stdout=f)
    lines = out.read_text().splitlines(True)
    out.write_text("".join(lines[:6]) + torn)
    cursor.write_text("4:%064x\n" % 4)
    with open(out, "ab") as f:
        assert run(bus, "audit", "export", "--cursor-file", str(cursor), stdout=f).returncode == 0
    assert out.read_text() == "".join(lines) and cursor.read_text() == "9:%064x\n" % 9
    out.write_text(torn)  # stopped in the very first line
    cursor.unlink()
    with open(out, "ab") as f:
        run(bus, "audit", "export", "--cursor-file", str(cursor), stdout=f)
    assert out.read_text() == "".join(lines)


@pytest.mark.parametrize("content", ["a log of mine", "a log of mine\n", '{"sequence": 99}x\nhalf'])
def test_export_to_a_file_of_others_takes_nothing_away(bus, broker, tmp_path, content):
    Trail(broker, [record(1)])
    out = tmp_path / "out"
    out.write_text(content)
    with open(out, "ab") as f:
        run(bus, "audit", "export", "--cursor-file", str(tmp_path / "cursor"), stdout=f)
    text = out.read_text()
    assert text.startswith(content) and sequences(text[len(content):]) == [1]


def test_export_follows(bus, broker, tmp_path):
    cursor = tmp_path / "cursor"
    trail = Trail(broker, [record(1)])
    with Running(bus, "audit", "export", "--follow", "--cursor-file", str(cursor)) as running:
        assert sequences(running.line()) == [1]
        trail.records += [record(2), record(3)]
        assert sequences(running.line() + running.line()) == [2, 3]
        wait_until(lambda: cursor.exists() and cursor.read_text().startswith("3:"), "the cursor moves on")
        assert running.end()[0] == 0
    with Running(bus, "audit", "export", "--follow", "--cursor-file", str(cursor)) as running:
        trail.records.append(record(4))
        assert sequences(running.line()) == [4]
