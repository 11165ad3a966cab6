# SPDX-License-Identifier: LGPL-2.1-or-later
"""The commands that answer a question about the trail, against the real broker: what they say is what happened."""

import contextlib
import json
import re
import sqlite3
import stat
import time

import pytest

from terminal import Terminal
from world import wait_until
from test_lwactl_broker import (  # noqa: F401
    CONSENT, DENIED, FAILED, LOGIN, OK, USAGE, assert_refused, linked, log_in, lwactl, ready)

LIBRARY, READ = "music::library", "music::library:read"


@pytest.fixture
def shared(linked):  # noqa: F811
    """musicd holds a token of the device's login, weatherd was refused one, alice may have and did not take."""
    app = linked.client("musicd")
    token = app.get_token([LIBRARY])
    linked.leaked = token.text
    token.close()
    lwactl(linked, "weatherd", "token", LIBRARY, status=DENIED)
    # What was refused is written down behind the answer.
    wait_until(lambda: lwactl(linked, "root", "audit", "--event", "token-denied", "--json").stdout, 10, "the refusal's record")
    return linked


def lines(world, user, *arguments, status=OK, **options):
    """The JSON objects that a command prints."""
    done = lwactl(world, user, *arguments, "--json", status=status, **options)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_matrix(shared):
    rows = {(row["app"], row["scope"]): row for row in lines(shared, "root", "audit", "matrix")}
    assert rows["user:musicd", LIBRARY]["held_until"] > time.time() and rows["user:weatherd", LIBRARY]["denied_at"] > 0
    text = lwactl(shared, "root", "audit", "matrix").stdout
    assert re.search(r"^user:musicd .*held \d+ min", text, re.M) and re.search(r"^user:weatherd .*refused 1? ?\S+ ago", text, re.M)
    held, refused, unneeded = text.split("\n\n")[2:5]
    assert re.search(rf"^  user:musicd.*: {LIBRARY} \(\d+ min left\)", held, re.M) and "weatherd" not in held
    assert re.search(rf"^  user:weatherd.*: {LIBRARY} \(asked 1 time, last refused ", refused, re.M) and "musicd" not in refused
    assert re.search(rf"^  user:alice.*: {LIBRARY}.*profile, profile:user_id$", unneeded, re.M)


ALTERATIONS = ["event = 'token-lost'", "detail = 'a' || char(0) || 'b'", "uid = uid + 4294967296"]


@pytest.mark.parametrize("change", ALTERATIONS, ids=lambda change: change.split()[0])
def test_an_unreadable_record_hides_nothing(shared, change):
    """Just after an incident the rest of the trail is what is asked for: one row that no broker wrote so is shown as that."""
    before = lines(shared, "root", "audit", "--all")
    (given,) = [r["sequence"] for r in before if r["event"] == "token-disclosed"]
    with contextlib.closing(sqlite3.connect(f"{shared.state_dir}/broker.db", isolation_level=None, timeout=20)) as opened:
        opened.execute(f"UPDATE audit SET {change} WHERE sequence = {given}")

    after = lines(shared, "root", "audit", "--all")
    assert [r["sequence"] for r in after if r["sequence"] <= before[-1]["sequence"]] == [r["sequence"] for r in before]
    (bad,) = [r for r in after if r["event"] == "unreadable"]
    assert bad["sequence"] == given and bad["app"] == bad["carried"] == bad["token"] == ""
    exported = [json.loads(line) for line in lwactl(shared, "root", "audit", "export").stdout.splitlines()]
    assert given in [r["sequence"] for r in exported if r["event"] == "unreadable"] and len(exported) >= len(before)

    found = [(r["event"], r["sequence"]) for r in lines(shared, "root", "audit", "token", input=shared.leaked)]
    assert ("unreadable", given) in found and "token-refreshed" in dict(found), found
    text = lwactl(shared, "root", "audit", "token", input=shared.leaked).stdout
    assert f"Record {given} about this token was altered" in text
    (holder,) = lines(shared, "root", "audit", "who-has", READ)
    assert (holder["event"], holder["sequence"], holder["app"]) == ("unreadable", given, "")
    text = lwactl(shared, "root", "audit", "who-has", READ).stdout
    assert f"unreadable, record {given}" in text and "To take it back" not in text
    assert ("user:weatherd", LIBRARY) in {(row["app"], row["scope"]) for row in lines(shared, "root", "audit", "matrix")}

    with Terminal(shared, "root", ["lwactl", "audit"], columns=120) as terminal:
        assert terminal.wait_end() == 0
        assert re.search(r"\x1b\[[0-9;]*31m *unreadable", terminal.text), terminal.text
    assert "damaged" not in lwactl(shared, "root", "status").stdout
    verified = lwactl(shared, "root", "audit", "verify", status=FAILED)
    assert f"record {given}" in verified.stdout or f"record {given - 1}" in verified.stdout
    taken = shared.client("musicd").get_token([LIBRARY])
    taken.close()


def test_who_has(shared):
    (row,) = lines(shared, "root", "audit", "who-has", READ)
    assert (row["app"], row["account"], row["owner"], row["scopes"]) == ("user:musicd", "device", "device", [LIBRARY])
    text = lwactl(shared, "root", "audit", "who-has", READ).stdout
    assert text.startswith(f"One token that is out carries {READ}:\n")
    (command,) = re.findall(r"^  lwactl (revoke .*)$", text, re.M)
    assert "user:musicd" in lwactl(shared, "root", *command.split(), "--yes").stdout
    lwactl(shared, "musicd", "token", LIBRARY, status=DENIED)
    assert lwactl(shared, "root", "audit", "who-has", "profile").stdout == "No app holds a token that carries profile.\n"
    unknown = lwactl(shared, "root", "audit", "who-has", "music:library", status=USAGE)
    assert "the nearest is music::library." in unknown.stderr
    assert_refused(lwactl(shared, "bob", "audit", "who-has", READ, status=CONSENT), ".")


def test_who_leaked_a_token(shared):
    """From the token to the app, and to a state in which that app gets nothing more: with what is printed alone."""
    text = lwactl(shared, "root", "audit", "token", input=f"Authorization: Bearer {shared.leaked}\n").stdout
    assert text.startswith("One app was given this token:\n\n  user:musicd, uid ")
    assert "account  device of the device" in text and f"carries  {LIBRARY}" in text and "It is DANGEROUS until" in text
    commands = re.findall(r"^       lwactl (.*)$", text, re.M)
    assert commands == ["revoke user:musicd", "accounts remove device"]
    assert re.search(r"What user:musicd did from then on.*\n(.*\n)*.*token-disclosed +allow", text)
    lwactl(shared, "root", *commands[0].split(), "--yes")
    lwactl(shared, "musicd", "token", LIBRARY, status=DENIED)
    lwactl(shared, "root", *commands[1].split(), "--yes")
    assert lwactl(shared, "root", "accounts").stdout.count(LIBRARY) == 0
    records = lines(shared, "root", "audit", "token", input=shared.leaked)
    assert [record["app"] for record in records if record["event"] == "token-disclosed"] == ["user:musicd"]
    assert shared.leaked not in text + shared.broker.log() + shared.bus.log()


def test_a_token_of_nobody(shared):
    text = lwactl(shared, "root", "audit", "token", input="Atza|some-other-token", status=FAILED).stdout
    begins = time.strftime("%Y-%m-%d", time.localtime())
    assert re.match(rf"This broker gave this token to no app since {begins} [\d:]+, when the records begin\.\n", text)
    refresh = shared.sim.tokens()["refresh"][0]
    done = lwactl(shared, "root", "audit", "token", input=refresh, status=USAGE)
    assert "refresh token" in done.stderr and refresh not in done.stderr + done.stdout


def test_an_owner_sees_what_was_given_of_own_accounts(shared):
    log_in(shared, "profile", customer="carol")
    app = shared.client("alice")
    token = app.get_token(["profile"])
    own = token.text
    token.close()
    assert "user:alice, uid" in lwactl(shared, "alice", "audit", "token", input=own).stdout
    other = lwactl(shared, "alice", "audit", "token", input=shared.leaked, status=FAILED).stdout
    assert "Your accounts have no record of this token since" in other and "an administrator can look" in " ".join(other.split())


def test_report(shared, tmp_path):
    target = tmp_path / "report.html"
    lwactl(shared, "root", "audit", "report", "--html", str(target))
    text = target.read_text(encoding="utf-8")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600 and shared.leaked not in text
    plain = re.sub(r"<[^>]*>", "", text)
    assert "The trail is intact" in plain and "lwactl revoke user:musicd" in plain
    assert "deviceof the device" in plain
    assert re.search(r"user:weatherdAsked formusic::libraryWhyAccessDeniedby the tableTimes1", plain) and "login-finished" in plain
    numbers = dict(re.findall(r"<dt>([^<]*)</dt><dd>(\d+)</dd>", text))
    assert numbers["tokens are out now"] == "1" and numbers["apps hold one"] == "1" and numbers["refusals"] == "1"
    lwactl(shared, "bob", "audit", "report", "--html", "/tmp/none.html", status=CONSENT)
