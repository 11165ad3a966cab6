# SPDX-License-Identifier: LGPL-2.1-or-later
"""lwactl audit, audit app and audit export against the real broker: filters, what comes while it is followed, exports
that are stopped at any moment, the story of an app."""

import json
import os
import random
import signal
import stat
import time

import pytest

from logins import GRANTS, LIBRARY, PLAYBACK, link, link_device, settle
from terminal import Terminal
from test_lwactl_broker import CONSENT, DENIED, FAILED, USAGE, lwactl
from world import wait_until

IMPLIED = LIBRARY + ":read"


@pytest.fixture
def busy(world):
    """A device whose apps got tokens and were refused some, and alice with an account of her own."""
    settle(world)
    world.write_grants("people", GRANTS + f"deny = {PLAYBACK}\n")  # of weatherd, the last one
    world.reload()
    link_device(world)
    link(world, "alice", [LIBRARY])
    use(world)
    return world


def use(world):
    lwactl(world, "musicd", "token", LIBRARY)
    lwactl(world, "musicd", "token", PLAYBACK)
    lwactl(world, "weatherd", "token", PLAYBACK, status=DENIED)
    lwactl(world, "alice", "token", LIBRARY)


def happen(world, n=1):
    """Records, of which no two are the same."""
    for i in range(n):
        days = str(1 + happen.count % 3000)
        happen.count += 1
        lwactl(world, "root", "consent", "allow", "user:musicd", LIBRARY, "--device", "--days", days)


happen.count = 0


def records_of(text):
    return [json.loads(line) for line in text.splitlines()]


def audit(world, *arguments, user="root"):
    return records_of(lwactl(world, user, "audit", *arguments, "--json").stdout)


def numbers(records):
    return [record["sequence"] for record in records]


# --- filters ---


def scopes_of(record):
    return set(record["asked"].split()) | set(record["carried"].split())


def test_filters(busy):
    everything = audit(busy, "--all")
    middle = everything[len(everything) // 2]["time"]
    cases = {
        ("--app", "user:musicd"): lambda r: r["app"] == "user:musicd",
        ("--user", "weatherd"): lambda r: r["app"] == "user:weatherd",
        ("--account", "device"): lambda r: r["account"] == "device",
        ("--event", "token-disclosed"): lambda r: r["event"] == "token-disclosed",
        ("--verdict", "AccessDenied"): lambda r: r["verdict"] == "AccessDenied",
        ("--scope", PLAYBACK): lambda r: PLAYBACK in scopes_of(r),
        ("--since", f"@{middle}"): lambda r: r["time"] >= middle,
        ("--until", f"@{middle}"): lambda r: r["time"] < middle,
        ("--since", "yesterday"): lambda r: True,
        ("--until", "yesterday"): lambda r: False,
        ("--app", "user:musicd", "--event", "token-disclosed", "--scope", LIBRARY):
            lambda r: r["app"] == "user:musicd" and r["event"] == "token-disclosed" and LIBRARY in scopes_of(r),
    }
    for arguments, fits in cases.items():
        expected = [record["sequence"] for record in everything if fits(record)]
        assert numbers(audit(busy, "--all", *arguments)) == expected, arguments
        assert numbers(audit(busy, "--last", "2", *arguments)) == expected[-2:], arguments
        assert expected or arguments == ("--until", "yesterday"), arguments
    implied = audit(busy, "--scope", IMPLIED, "--event", "token-disclosed")
    assert implied and all(IMPLIED not in scopes_of(record) for record in implied), "what implies it carries it"
    assert lwactl(busy, "root", "audit", "--until", "yesterday").stdout == "No record of the trail is like that.\n"
    assert "did you mean `user:musicd`?" in lwactl(busy, "root", "audit", "--app", "musicd").stderr
    assert "did you mean" in lwactl(busy, "root", "audit", "--event", "token-disclosd", status=USAGE).stderr


def test_own_records(busy):
    own = audit(busy, "--all", "--own", user="alice")
    assert own and all(record["owner"] == "alice" or record["app"] == "user:alice" for record in own)
    assert "device" not in {record["account"] for record in own if record["app"] != "user:alice"}
    lwactl(busy, "alice", "audit", "app", "user:musicd", status=CONSENT)
    lwactl(busy, "alice", "audit", "export", status=CONSENT)
    assert numbers(records_of(lwactl(busy, "alice", "audit", "export", "--own").stdout)) == numbers(own)


# --- follow ---


def test_follow_goes_on_over_restarts_of_the_broker(busy, tmp_path):
    followed = str(tmp_path / "followed")
    with open(followed, "wb") as out:
        process = busy.spawn_as("root", ["lwactl", "audit", "--follow", "--json", "--last", "1"], stdout=out)

    def lines():
        with open(followed, encoding="utf-8") as file:
            return records_of(file.read())

    wait_until(lines, 20 * busy.slowness, "it shows the newest")
    for end in (busy.broker.stop, busy.broker.kill9):
        happen(busy, 3)
        end()
        time.sleep(0.5)
        busy.broker.start()
        happen(busy, 2)
    last = audit(busy, "--last", "1")[0]["sequence"]
    wait_until(lambda: lines()[-1]["sequence"] >= last, 20 * busy.slowness, f"record {last}")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20 * busy.slowness)
    found = numbers(lines())
    assert process.returncode == 0 and found == list(range(found[0], found[-1] + 1))
    assert errors.count("hint: the broker is not running; waiting") <= 2 and "lwactl:" not in errors


def test_follow_on_a_terminal(busy):
    with Terminal(busy, "root", ["lwactl", "audit", "--follow", "--event", "consent-given"], columns=80) as terminal:
        happen(busy)
        terminal.wait_for("consent-given")
        terminal.type("\x03")
        assert terminal.wait_end() == 0
        assert max(map(len, terminal.plain().splitlines())) <= 82


# --- export ---


def spawn_to_be_killed(world, *arguments, **options):
    """`lwactl audit export` as root. LSan looks for leaks when a process ends: if it is killed just then, an empty report
    is left behind."""
    env = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
    return world.spawn_as("root", ["lwactl", "audit", "export", *arguments], env=env, **options)


def assert_whole(world, exported):
    """Every record of the trail once, in order; later deliveries are counted in records that were exported before."""
    expected = audit(world, "--all")
    assert numbers(exported) == numbers(expected)[:len(exported)]
    assert [record["hash"] for record in exported] == [record["hash"] for record in expected][:len(exported)]


def test_export_goes_on_whatever_stops_it(busy, tmp_path):
    """kill -9 of lwactl and of the broker at any moment, the output being a file: nothing is lost, nothing twice."""
    chance = random.Random(4711)
    out, cursor = str(tmp_path / "exported"), str(tmp_path / "cursor")
    for turn in range(12):
        with open(out, "ab") as file:
            process = spawn_to_be_killed(busy, "--follow", "--cursor-file", cursor, stdout=file)
        if turn % 5 == 4:
            busy.broker.kill9()
            busy.broker.start()
        happen(busy, chance.randrange(1, 4))
        time.sleep(chance.random() * 0.4)
        process.kill()
        process.communicate()
    with open(out, "ab") as file:
        done = busy.spawn_as("root", ["lwactl", "audit", "export", "--cursor-file", cursor], stdout=file)
        _, errors = done.communicate(timeout=30 * busy.slowness)
    assert (done.returncode, errors) == (0, "")
    with open(out, encoding="utf-8") as file:
        exported = records_of(file.read())
    assert exported[-1]["event"] == "consent-given" and len(exported) > 20
    assert_whole(busy, exported)
    with open(cursor, encoding="utf-8") as file:
        assert file.read() == f"{exported[-1]['sequence']}:{exported[-1]['hash']}\n"
    assert stat.S_IMODE(os.stat(cursor).st_mode) == 0o600
    # Killed between the output and the cursor, and nothing new since.
    with open(cursor, "w", encoding="utf-8") as file:
        file.write(f"{exported[-5]['sequence']}:{exported[-5]['hash']}\n")
    with open(out, "ab") as file:
        done = busy.spawn_as("root", ["lwactl", "audit", "export", "--cursor-file", cursor], stdout=file)
        assert done.communicate(timeout=30 * busy.slowness)[1] == "" and done.returncode == 0
    with open(out, encoding="utf-8") as file, open(cursor, encoding="utf-8") as moved:
        assert (len(records_of(file.read())), moved.read()) == (
            len(exported), f"{exported[-1]['sequence']}:{exported[-1]['hash']}\n")


def test_export_into_a_pipe_loses_nothing(busy, tmp_path):
    """The collector on the other side may get a record twice, and drops it by its number."""
    chance = random.Random(4712)
    cursor = str(tmp_path / "cursor")
    collected = {}
    for _ in range(10):
        happen(busy, 2)
        process = spawn_to_be_killed(busy, "--cursor-file", cursor)
        time.sleep(chance.random() * 0.03)
        process.kill()
        text, _ = process.communicate()
        whole = text[:text.rfind("\n") + 1]  # what it was stopped in comes again
        collected.update({record["sequence"]: record for record in records_of(whole)})
    rest = lwactl(busy, "root", "audit", "export", "--cursor-file", cursor).stdout
    collected.update({record["sequence"]: record for record in records_of(rest)})
    assert_whole(busy, [collected[number] for number in sorted(collected)])


def test_a_cursor_is_a_head(busy, tmp_path):
    """What a collector noted is what `verify --head` takes, and shows what was taken off the end since."""
    cursor = str(tmp_path / "cursor")
    lwactl(busy, "root", "audit", "export", "--cursor-file", cursor)
    with open(cursor, encoding="utf-8") as file:
        head = file.read()
    happen(busy, 2)
    for given in (head, head.strip()):
        assert "The audit trail is intact" in lwactl(busy, "root", "audit", "verify", "--head", given).stdout
    sequence, hash_ = head.strip().split(":")
    for given in (f"{int(sequence) + 500}:{hash_}", f"{sequence}:{'0' * 64}"):
        text = lwactl(busy, "root", "audit", "verify", "--head", given, status=FAILED).stdout
        assert "DAMAGED" in text and "head" in text


def test_export_refuses_the_trail_of_another_device(busy, tmp_path):
    cursor = str(tmp_path / "cursor")
    lwactl(busy, "root", "audit", "export", "--cursor-file", cursor)
    with open(cursor, encoding="utf-8") as file:
        sequence = int(file.read().split(":")[0])
    for content, said in ((f"{sequence}:{'f' * 64}\n", "altered"), (f"{sequence + 500}:{'f' * 64}\n", "ends before")):
        with open(cursor, "w", encoding="utf-8") as file:
            file.write(content)
        done = lwactl(busy, "root", "audit", "export", "--cursor-file", cursor, status=FAILED)
        assert said in done.stderr and done.stdout == ""


# --- the story of an app ---


def test_the_story_of_an_app(busy):
    lwactl(busy, "root", "consent", "deny", "user:musicd", PLAYBACK, "--device")
    lwactl(busy, "musicd", "token", PLAYBACK, status=DENIED)
    told = json.loads(lwactl(busy, "root", "audit", "app", "user:musicd", "--json").stdout)
    mine = audit(busy, "--all", "--app", "user:musicd")
    assert told["records"] == len(mine) and told["strength"] == "uid" and told["app"] == "user:musicd"
    assert told["program"].endswith("/lwactl")
    scopes = {row["scope"]: row for row in told["scopes"]}
    assert scopes[LIBRARY]["got"] >= 1 and scopes[PLAYBACK]["refused"] == 1
    assert {c["event"] for c in told["consents"]} == {"consent-refused"}
    disclosed = {record["token"] for record in mine if record["event"] == "token-disclosed"}
    assert {token["token"] for token in told["holds"]} == disclosed and disclosed
    assert all(token["expires_at"] > time.time() for token in told["holds"])
    text = lwactl(busy, "root", "audit", "app", "user:musicd").stdout
    for words in ("user:musicd\n", "known by   uid (any program of the user can pass for it)", "user       musicd (",
                  "What it asked for and got:", "What it holds now:", "What it was refused:", "AccessDenied",
                  "What owners answered about it:", "Its records:"):
        assert words in text, words
    refused = lwactl(busy, "root", "audit", "app", "user:weatherd").stdout
    assert "It holds no token now." in refused and "What it was refused:" in refused
    nobody = lwactl(busy, "root", "audit", "app", "user:musicdd", status=FAILED)
    assert "no record of user:musicdd" in nobody.stderr and "did you mean `user:musicd`?" in nobody.stderr
