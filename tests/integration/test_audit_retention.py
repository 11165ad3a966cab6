# SPDX-License-Identifier: LGPL-2.1-or-later
"""Old records go while apps are served: by age, as the configuration says, and nothing that is younger. What is left
verifies. Which records go is decided in tests/unit/test-retention.c, what can happen meanwhile is in
tests/unit/test-store-prune.c."""

import contextlib
import os
import sqlite3
import statistics
import time

import pytest

from logins import LIBRARY, link_device, settle, status, take
from world import wait_until

FIRST_UID = 31001
APPS = 30  # for each of both measurements
KEEP_DAYS = 30


@pytest.fixture
def users(world):
    """Apps that nobody has seen yet."""
    path = world.path("passwd")
    with open(path, encoding="utf-8") as file:
        before = file.read()
    names = {f"late-{i}": FIRST_UID + i for i in range(2 * APPS)}
    with open(path, "w", encoding="utf-8") as file:
        file.write(before)
        file.writelines(f"{name}:x:{uid}:{uid}:{name}:/nonexistent:/usr/sbin/nologin\n" for name, uid in names.items())
    yield list(names)
    with open(path, "w", encoding="utf-8") as file:
        file.write(before)


def database(world):
    return os.path.join(world.state_dir, "broker.db")


def ask(world, sql):
    with contextlib.closing(sqlite3.connect(f"file:{database(world)}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchone()[0]


def removed_up_to(world):
    return ask(world, "SELECT coalesce(max(sequence), 0) FROM audit_base")


def fill(world, count, days):
    """In the place of the trail that is there."""
    world.broker.stop()
    argv = ["seed-trail", database(world), os.path.join(world.state_dir, "audit.key"), count, days]
    done = world.run_as("lwa-broker", argv, timeout=300)
    assert done.returncode == 0, done.stderr
    world.broker.start()


def time_disclosures(world, names):
    """What the first token of each app takes, once it is known who it is and what it may."""
    taken = []
    for name in names:
        client = world.client(name)
        client.call("org.lwabroker.Broker1", "CheckScopes", "asa{sv}", ([LIBRARY], {}))
        start = time.monotonic()
        take(client)
        taken.append(time.monotonic() - start)
        client.close()
        world.clients.remove(client)
    return taken


@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_pruned_while_apps_are_served(world, users, count):
    settle(world)
    world.write_grants("late", "".join(f"[user:{name}]\nallow = {LIBRARY}\n" for name in users))
    world.write_config(audit={"keep_days": 0, "max_megabytes": 0})
    world.reload()
    link_device(world, [LIBRARY])
    fill(world, count, 365)
    expected = ask(world, f"SELECT max(sequence) FROM audit WHERE time_sec < unixepoch() - {KEEP_DAYS} * 86400")
    assert expected > count * 0.9
    quiet = time_disclosures(world, users[:APPS])
    pages = ask(world, "SELECT page_count FROM pragma_page_count")
    assert removed_up_to(world) == 0

    world.write_config(audit={"keep_days": KEEP_DAYS, "max_megabytes": 0})
    world.reload()
    wait_until(lambda: removed_up_to(world) > 0, 20 * world.slowness, "the first removal")
    busy = time_disclosures(world, users[APPS:])
    ratio = statistics.median(busy) / statistics.median(quiet)
    print(f"p50 {statistics.median(quiet) * 1000:.2f} ms, while removing {statistics.median(busy) * 1000:.2f} ms: {ratio:.2f};",
          f"the longest {max(quiet) * 1000:.2f} and {max(busy) * 1000:.2f} ms; removed by then {removed_up_to(world)}")
    if count > 100_000:
        assert removed_up_to(world) < expected, "it was over before the end of the measurement"
    # A wait for the removal under way, and its share of the disk: three commits, and not all that is to be removed.
    assert ratio < 4

    # The trail is read meanwhile.
    newest = world.root().call("org.lwabroker.Audit1", "Query", "a{sv}tu", ({"newest": ("b", True)}, 0, 50))[0]
    assert len(newest) == 50 and newest[-1]["sequence"] > expected
    if count < 100_000:
        wait_until(lambda: removed_up_to(world) == expected, 300 * world.slowness, "the last removal")
    assert ask(world, "SELECT count(*) FROM audit WHERE event = 'trail-pruned' AND detail LIKE 'up to %, by age'") == 1
    # The room in the file is used again, and the WAL did not grow with what was removed.
    assert ask(world, "SELECT page_count FROM pragma_page_count") <= pages + 200
    assert os.stat(database(world) + "-wal").st_size < 8 << 20
    client = world.root()
    assert status(client)["store"] == "ok"
    world.broker.stop()
    base = removed_up_to(world)
    assert ask(world, "SELECT min(sequence) FROM audit") == base + 1
    assert ask(world, "SELECT removed FROM audit_base") == base
    verified = world.run_as("lwa-broker", ["bench-trail", "verify", database(world)], timeout=120)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    world.broker.start()
    assert status(world.client("root"))["audit"] == "ok"
