# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the broker remembers of owners' answers, through restarts, kills and clocks; and a store of version 1."""

import os
import pwd
import random
import sqlite3
import sys
import time

import pytest

from logins import LIBRARY, accounts, error_of, link, rows, settle, take, trail, wait_trail
from shim import Shim
from world import NAME, DBusError, wait_until

POLICY = "org.lwabroker.Policy1"
DAY = 86400
APP = "user:alice"
KILLS = 25

# alice need not prove who she is, and everything is asked for.
AGREEING = """
polkit.addRule(function(action, subject) {
    if (action.id === "org.lwabroker.consent" && subject.user === "alice")
        return polkit.Result.YES;
});
"""
ASKING = "[user:alice]\nask = music::library profile\n"


def answer(client, word, scopes=(LIBRARY,), app=APP, **options):
    kinds = {int: "u", str: "s"}
    packed = {key: (kinds[type(value)], value) for key, value in options.items()}
    return client.call(POLICY, "SetConsent", "ssassa{sv}", (app, "", list(scopes), word, packed))


def kept(world):
    return rows(world, "SELECT app, scope, answer, lasts FROM consent ORDER BY app, scope")


@pytest.fixture
def asking(world):
    settle(world)
    world.write_rule("16-agreeing", AGREEING)
    world.write_grants("people", ASKING)
    world.reload()
    link(world, "alice", [LIBRARY])
    return world


@pytest.fixture
def shim(asking):
    shim = Shim(asking)
    asking.broker.stop()
    asking.broker.start(env=shim.environment())
    return shim


def outcome(client):
    """ "token", or the error's name."""
    try:
        take(client)
        return "token"
    except DBusError as error:
        return error.short


# --- a store of version 1 ---

VERSION_1 = """
UPDATE audit SET hash = NULL;
DROP TABLE audit_base;
DROP INDEX audit_by_token;
DROP INDEX audit_by_account;
DROP INDEX audit_by_uid;
DROP INDEX audit_by_event;
DROP INDEX audit_by_time;
ALTER TABLE audit ADD COLUMN previous_hash BLOB;
ALTER TABLE audit DROP COLUMN boot_usec;
ALTER TABLE audit DROP COLUMN boot_id;
ALTER TABLE audit DROP COLUMN request;
ALTER TABLE audit DROP COLUMN epoch;
ALTER TABLE audit DROP COLUMN seal;
ALTER TABLE audit DROP COLUMN repeats_epoch;
ALTER TABLE audit DROP COLUMN repeats_seal;
DROP INDEX audit_exposed;
DROP TABLE consent;
ALTER TABLE audit DROP COLUMN chain;
ALTER TABLE audit DROP COLUMN unit;
ALTER TABLE audit DROP COLUMN program;
PRAGMA user_version = 1;
"""
UNKNOWN_TO_VERSION_1 = {
    **dict.fromkeys(("unit", "program", "chain", "request", "boot_id", "hash", "seal", "repeats_seal"), ""),
    **dict.fromkeys(("boot_time", "epoch", "repeats_epoch"), 0),
}


def write_store(world, script):
    path = os.path.join(world.state_dir, "broker.db")
    database = sqlite3.connect(path)
    database.executescript(script)
    database.close()
    owner = pwd.getpwnam("lwa-broker")
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(path + suffix):
            os.chown(path + suffix, owner.pw_uid, owner.pw_gid)


def test_store_of_version_1(asking):
    """The logins work on, the trail goes on, and what is new is there."""
    before = trail(asking.client("root"))
    asking.broker.stop()
    write_store(asking, VERSION_1)
    os.remove(f"{asking.state_dir}/audit.key")
    asking.broker.start()
    alice = asking.client("alice")
    assert list(accounts(alice)) == ["main"]
    assert outcome(alice) == "ConsentRequired"
    answer(alice, "allow")
    assert outcome(alice) == "token"
    after = trail(asking.client("root"))
    old = {record["sequence"]: record for record in after}
    for record in before:
        assert old[record["sequence"]] == record | UNKNOWN_TO_VERSION_1
    assert [r["event"] for r in after if r["event"] in ("trail-damaged", "broker-crashed")] == []
    asking.broker.restart()
    assert outcome(asking.client("alice")) == "token"


def test_record_says_who_in_full(asking):
    """The caller's program and unit are facts on the trail, next to the chain of what was decided."""
    alice = asking.client("alice")
    answer(alice, "allow")
    take(alice)
    record = wait_trail(asking.client("root"), "token-disclosed")
    assert record["app"] == APP
    assert record["program"] == os.path.realpath(sys.executable)
    given = wait_trail(asking.client("root"), "consent-given")
    assert (given["app"], given["kind"], given["uid"]) == (APP, "user", pwd.getpwnam("alice").pw_uid)
    assert (given["asked"], given["verdict"], given["decided_by"]) == (LIBRARY, "allow", "command")
    assert (given["detail"], given["account"], given["owner"]) == ("logout", "main", "alice")


# --- how long an answer lasts ---


def test_until_logout_survives_until_the_account_goes(asking):
    alice = asking.client("alice")
    answer(alice, "allow")
    asking.broker.kill9()
    asking.broker.start()
    alice = asking.client("alice")
    assert outcome(alice) == "token"
    alice.call("org.lwabroker.Accounts1", "Remove", "s", ("main",))
    assert kept(asking) == []
    link(asking, "alice", [LIBRARY])
    assert outcome(alice) == "ConsentRequired"


def test_denial_survives_and_beats_the_table(asking):
    asking.write_grants("people", "[user:alice]\nallow = music::library\n")
    asking.reload()
    alice = asking.client("alice")
    assert outcome(alice) == "token"
    answer(alice, "deny", [])
    assert outcome(alice) == "AccessDenied"
    asking.broker.kill9()
    asking.broker.start()
    assert outcome(asking.client("alice")) == "AccessDenied"


def test_days_run_out(shim):
    world, alice = shim.world, shim.world.client("alice")
    answer(alice, "allow", lasts="days", days=3)
    assert outcome(alice) == "token"
    shim.step(realtime=2 * DAY)
    text, info = take(alice)
    shim.step(realtime=DAY + 60)
    assert alice.wait_signal(NAME, "TokenRevoked", timeout=10 * world.slowness) == [info["token_id"], "consent"]
    assert outcome(alice) == "ConsentRequired"
    record = wait_trail(world.client("root"), "consent-expired", timeout=10 * world.slowness)
    assert (record["app"], record["asked"], record["detail"]) == (APP, LIBRARY, "until")
    wait_until(lambda: kept(world) == [], 5 * world.slowness, "the row's end")
    shim.step(realtime=-2 * DAY)  # set back: it stays over
    assert outcome(alice) == "ConsentRequired"


def test_clock_of_before_it_was_given(shim):
    """A device that wakes up without a clock: nothing that ends counts until it is set."""
    alice = shim.world.client("alice")
    answer(alice, "allow", lasts="days", days=3)
    shim.step(realtime=-30 * DAY)
    assert outcome(alice) == "ConsentRequired"
    shim.step(realtime=30 * DAY)
    assert outcome(alice) == "token"


def test_explain_by_a_clock_that_is_wrong(shim):
    """It names the line that decides: a section that ends does not count, however early it seems to be."""
    alice, end = shim.world.client("alice"), time.strftime("%Y-%m-%d", time.gmtime(time.time() + 3 * DAY))
    shim.world.write_grants("people", f"[user:alice]\nallow = {LIBRARY}\nexpires = {end}\n")
    shim.world.reload()

    def explained():
        (row,) = [r for r in alice.call(POLICY, "Explain", "sasa{sv}", (APP, [LIBRARY], {}))["scopes"] if r["scope"] == LIBRARY]
        return row["verdict"], row["line"]

    def n_planned():
        return sum(len(login["serves"]) for login in alice.call(POLICY, "Plan", "a{sv}", ({},)))

    assert (outcome(alice), explained(), n_planned()) == ("token", ("allow", 2), 1)
    shim.step(realtime=-30 * DAY)
    assert (outcome(alice), explained(), n_planned()) == ("ConsentRequired", ("ask", 0), 0)


# --- once ---


def test_once_is_one_token(asking):
    alice, root = asking.client("alice"), asking.client("root")
    answer(alice, "allow", lasts="once")
    assert alice.call(NAME, "CheckScopes", "asa{sv}", ([LIBRARY], {})) == {LIBRARY: "allow"}  # uses up nothing
    assert outcome(alice) == "token"
    assert kept(asking) == []
    assert [outcome(alice), outcome(asking.client("alice"))] == ["ConsentRequired"] * 2
    # The same token again, by a second consent: used up, and on the trail, too.
    answer(alice, "allow", lasts="once")
    assert outcome(alice) == "token"
    assert outcome(alice) == "ConsentRequired"
    assert len(trail(root, "token-disclosed")) == 2
    asking.broker.restart()
    assert outcome(asking.client("alice")) == "ConsentRequired"
    assert [record["repeats"] for record in trail(asking.client("root"), "token-disclosed")] == [0, 0]


def test_once_is_not_used_up_for_nothing(asking):
    """What is allowed anyway needs none, and a token that cannot be given out takes none."""
    alice = asking.client("alice")
    answer(alice, "allow", lasts="once")
    asking.write_grants("people", "[user:alice]\nallow = music::library\n")
    asking.reload()
    assert outcome(alice) == "token"
    assert len(kept(asking)) == 1
    asking.write_grants("people", ASKING)
    asking.reload()
    asking.sim.fault("token", "status-500", count=0, grant_type="refresh_token")
    asking.broker.restart()  # it has no token now
    assert outcome(asking.client("alice")) == "ProviderUnavailable"
    assert len(kept(asking)) == 1


def test_many_at_once_share_one_consent(asking):
    """One of them has it, whoever it is; also where none of them had to wait for anything else."""
    clients = [asking.client("alice") for _ in range(8)]
    for _ in range(6):
        answer(clients[0], "allow", lasts="once")
        serials = [(client, client.send(NAME, "GetToken", "asa{sv}", ([LIBRARY], {}))) for client in clients]
        words = []
        for client, serial in serials:
            try:
                os.close(client.wait(serial, 30 * asking.slowness)[0])
                words.append("token")
            except DBusError as error:
                words.append(error.short)
        assert sorted(words) == ["ConsentRequired"] * 7 + ["token"]


def test_killed_at_any_instant(asking):
    """There is a record of a disclosure if and only if the consent is gone: never used twice, never used unseen."""
    instants = random.Random(4)
    n = len(trail(asking.client("root"), "token-disclosed"))
    for _ in range(KILLS):
        alice = asking.client("alice")
        if not kept(asking):
            answer(alice, "allow", lasts="once")
        alice.send(NAME, "GetToken", "asa{sv}", ([LIBRARY], {}))
        time.sleep(instants.uniform(0, 0.03))
        asking.broker.kill9()
        asking.close_clients()
        asking.broker.start()
        records = len(trail(asking.client("root"), "token-disclosed"))
        assert (records - n, len(kept(asking))) in ((0, 1), (1, 0))
        n = records
        asking.close_clients()
    assert kept(asking) or outcome(asking.client("alice")) == "ConsentRequired"


# --- bounds ---


def test_answers_are_bounded(asking):
    """As many as fit are kept; beyond, the owner is told to forget some."""
    write = "INSERT INTO consent (account, app, scope, answer, lasts, given_sec, until_sec, how, by_uid, by_name) " \
            "SELECT account.id, 'user:u' || value, 'profile', 'allow', 'logout', 1, 0, 'command', 1000, 'alice' " \
            "FROM account, (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n LIMIT 1024) " \
            "SELECT value FROM n);"
    asking.broker.stop()
    write_store(asking, write)
    asking.broker.start()
    alice = asking.client("alice")
    error = error_of(answer, alice, "allow")
    assert error.short == "RateLimited" and "lwactl consent" in error.message
    answer(alice, "forget", [], app="user:u7")
    answer(alice, "allow")
    assert outcome(alice) == "token"
