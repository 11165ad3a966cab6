# SPDX-License-Identifier: LGPL-2.1-or-later
"""The trail is sent on to the journal, or to syslog: all of it and nothing else, and nobody ever waits for it."""

import os
import re
import statistics
import time

import pytest

from collector import JOURNAL, SYSLOG, Collector, folders
from logins import ACCOUNTS, LIBRARY, link, rows, settle, status, take
from world import NO_RATES, wait_until

# Columns of the trail, and the names of fields; what is empty is not sent.
FIELDS = {
    "sequence": "SEQUENCE", "time_sec": "TIME", "event": "EVENT", "app": "APP", "kind": "KIND", "strength": "STRENGTH",
    "unit": "UNIT", "program": "PROGRAM", "uid": "UID", "account": "ACCOUNT", "owner": "OWNER", "owner_uid": "OWNER_UID",
    "asked": "SCOPES_ASKED", "carried": "SCOPES_CARRIED", "verdict": "VERDICT", "decided_by": "DECIDED_BY", "chain": "CHAIN",
    "detail": "DETAIL", "request": "REQUEST", "grant_row": "GRANT", "fingerprint": "TOKEN", "expires_sec": "EXPIRES_AT",
    "boot_usec": "BOOT_TIME", "boot_id": "BOOT_ID", "epoch": "EPOCH", "hash": "HASH", "seal": "SEAL",
}  # fmt: skip
NUMBERS_OF_NOBODY = ("uid", "owner_uid")
UNSENT = re.compile(r"(\d+) records of the trail were not sent to the (journal|syslog); `lwactl audit export` has them")


def text_of(column, value):
    """As it is sent; None where it is not."""
    if isinstance(value, bytes):
        return value.hex()
    if value is None or value == "" or (value == 0 and column not in NUMBERS_OF_NOBODY):
        return None
    return str(value)


def on_the_trail(world):
    """What has to be sent of each record, oldest first."""
    found = []
    for row in rows(world, f"SELECT {', '.join(FIELDS)} FROM audit ORDER BY sequence"):
        texts = {"LWA_" + FIELDS[column]: text_of(column, value) for column, value in zip(FIELDS, row, strict=True)}
        found.append({name: text for name, text in texts.items() if text is not None})
    return found


def own_fields(record):
    return {name: value for name, value in record.items() if name.startswith("LWA_")}


def await_all(world, collector, after=0):
    """All that was recorded after this one has come, as it was recorded, in order, once."""

    def all_have():
        # One more may be written between the two looks: then both are looked at again.
        wanted = [record for record in on_the_trail(world) if int(record["LWA_SEQUENCE"]) > after]
        return [own_fields(record) for record in collector.records()] == wanted != []

    wait_until(all_have, 10 * world.slowness, "the records to come, as they were recorded")
    return collector.records()


def unsent_said(world):
    """What this run of the broker has said of records that were not sent."""
    return UNSENT.findall(world.broker.log().rpartition("\n--- ")[2])


def rename(client, label):
    client.call(ACCOUNTS, "Rename", "ss", ("main", label))


def await_records(collector, n, event="account-renamed"):
    return wait_until(lambda: len(collector.records(event)) == n and collector.records(event), 10, f"{n} records")


@pytest.fixture
def places(world):
    """Where there is no collector yet, for a broker that starts anew."""
    world.broker.stop()
    with folders():
        yield world
        if world.broker.alive():
            world.broker.stop()
    world.start("broker")


def begin(world, **audit):
    world.fresh_folder("state")
    world.fresh_folder("conf/keys")
    world.write_config(limits=NO_RATES, **({"audit": audit} if audit else {}))
    world.broker.start()
    settle(world)


@pytest.mark.parametrize("path", [JOURNAL, SYSLOG])
def test_each_record_is_sent(places, path):
    with Collector(path) as collector:
        begin(places)
        link(places, "alice", [LIBRARY])
        alice = places.client("alice")
        take(alice)
        places.write_grants("bad\n\x1b[2JLWA_EVENT=no\u202e\"\\", "[user:alice]\nallow = no such scope\n")
        places.reload()
        wait_until(lambda: collector.records("policy-rejected"), 10, "the refusal")
        records = await_all(places, collector)
        (given,) = collector.records("token-disclosed")
        assert given["MESSAGE"].startswith("A token was given to an app: user:alice, account main of alice, allow by ")
        assert given["PRIORITY"] == "6" and given["SYSLOG_FACILITY"] == "10"
        if path == JOURNAL:
            assert {record["SYSLOG_IDENTIFIER"] for record in records} == {"lwa-brokerd"}
        assert collector.records("policy-rejected")[-1]["PRIORITY"] == "4"
        seen = status(places.root())
        assert (seen["forward"], seen["unsent"]) == ("journal" if path == JOURNAL else "syslog", 0)
        alice.close()
        places.clients.remove(alice)
        places.broker.stop()
        wait_until(lambda: collector.records("broker-stopped"), 5, "the last record")
        await_all(places, collector)
    places.write_grants("bad\n\x1b[2JLWA_EVENT=no\u202e\"\\", None)


def test_journal_is_preferred(places):
    with Collector(JOURNAL) as journal, Collector(SYSLOG) as syslog:
        begin(places)
        await_all(places, journal)
        assert syslog.entries == []


@pytest.mark.parametrize("name", ["journal", "syslog", "none"])
def test_only_where_it_is_wanted(places, name):
    with Collector(JOURNAL) as journal, Collector(SYSLOG) as syslog:
        begin(places, forward=name)
        link(places, "alice", [LIBRARY])
        chosen = {"journal": journal, "syslog": syslog}
        if name != "none":
            await_all(places, chosen[name])
        assert all(collector.entries == [] for other, collector in chosen.items() if other != name)
        assert status(places.root())["unsent"] == 0
        # Read again with the configuration.
        last = int(on_the_trail(places)[-1]["LWA_SEQUENCE"])
        other = syslog if name == "journal" else journal
        places.write_config(audit={"forward": "syslog" if name == "journal" else "journal"})
        places.reload()
        await_all(places, other, last)


def test_none_there_and_later(places):
    """What nobody could take is counted; it is said when somebody can, once."""
    begin(places)
    link(places, "alice", [LIBRARY])
    alice = places.client("alice")
    take(alice)
    n = wait_until(lambda: status(places.root())["unsent"] == len(on_the_trail(places)) and len(on_the_trail(places)), 5, "a count")
    assert status(places.root())["forward"] == "none" and unsent_said(places) == []
    last = int(on_the_trail(places)[-1]["LWA_SEQUENCE"])
    with Collector(JOURNAL) as journal:
        for label in ("one", "two"):
            rename(alice, label)
        await_records(journal, 2)
        await_all(places, journal, last)
        assert unsent_said(places) == [(str(n), "journal")]
        assert status(places.root())["unsent"] == n


def test_restarted(places):
    """It goes, and is there again under the same name; or another takes its place."""
    journal = Collector(JOURNAL)
    begin(places)
    link(places, "alice", [LIBRARY])
    alice = places.client("alice")
    await_all(places, journal)
    unsent = 0
    # Another kind of collector costs one record: what was made for the one before is in no form for it.
    for path, name, n in ((JOURNAL, "journal", 2), (SYSLOG, "syslog", 1), (JOURNAL, "journal", 1), (JOURNAL, "journal", 2)):
        journal.close()
        journal = Collector(path)
        rename(alice, "first")
        rename(alice, "second")
        seen = await_records(journal, n)
        assert own_fields(seen[-1]) == on_the_trail(places)[-1]
        unsent += 2 - n
        now = status(places.root())
        assert (now["forward"], now["unsent"]) == (name, unsent)
    journal.close()


def measure(client, n):
    """How long each of n pairs of a durable deed and a token takes."""
    took = []
    for number in range(n):
        before = time.monotonic()
        rename(client, f"label {number}")
        take(client)
        took.append(time.monotonic() - before)
    return statistics.median(took)


def test_nobody_waits_for_who_never_reads(places):
    """Also when all that is kept for it is full. It gets what was kept, in order, and the rest is counted."""
    with Collector(JOURNAL) as journal:
        begin(places)
        link(places, "alice", [LIBRARY])
        alice = places.client("alice")
        take(alice)
        await_all(places, journal)
        reading = measure(alice, 60)
        await_all(places, journal)
        journal.pause()
        time.sleep(0.1)  # it may be within recv()
        n = len(journal.entries)
        rename(alice, "first")
        for start in range(0, 1200, 100):
            results = alice.call_many([(ACCOUNTS, "Rename", "ss", ("main", f"label {start + i}")) for i in range(100)])
            assert set(map(type, results)) == {type(None)}, results[:3]
        unsent = status(places.root())["unsent"]
        assert unsent > 50
        assert measure(alice, 60) < 3 * reading + 0.005
        unsent = status(places.root())["unsent"]
        every = len(on_the_trail(places))
        journal.resume()
        wait_until(lambda: len(journal.entries) == every - unsent, 20, "what was kept")
        sequences = [int(record["LWA_SEQUENCE"]) for record in journal.records()]
        assert sequences == sorted(set(sequences)) and len(journal.entries) > n + 1000
        wait_until(lambda: unsent_said(places), 5, "the count in the log")
        rename(alice, "last")
        wait_until(lambda: int(journal.records()[-1]["LWA_SEQUENCE"]) > sequences[-1], 5, "the next record")
        assert sum(int(count) for count, _ in unsent_said(places)) == unsent
        assert len(unsent_said(places)) == 1


def test_the_unit_leaves_the_way_open():
    """systemd is not here to try it: what would close the sockets, or hide the kernel's boot id, is not in the unit. Its
    private /dev has a log that leads to the journal."""
    with open(f"{os.environ['LWA_SRC_DIR']}/dbus/lwa-brokerd.service.in", encoding="utf-8") as file:
        settings = dict(re.findall(r"^(\w+)=(.*)$", file.read(), re.MULTILINE))
    assert "AF_UNIX" in settings["RestrictAddressFamilies"].split()
    closing = {"ProcSubset", "InaccessiblePaths", "TemporaryFileSystem", "RootDirectory", "RootImage"}
    assert not closing & set(settings)
