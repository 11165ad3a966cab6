# SPDX-License-Identifier: LGPL-2.1-or-later
"""What survives a crash, a full disk and a spoiled file, and what the daemon then says (I3, I4, I5)."""

import contextlib
import os
import pwd
import random
import shutil
import signal
import sqlite3
import subprocess
import time

import pytest

from logins import (
    LIBRARY,
    Login,
    accounts,
    counter,
    error_of,
    grants,
    link,
    link_device,
    refreshes,
    reject,
    rows,
    settle,
    status,
    take,
    trail,
    try_take,
)
from world import BUS_CONFIG, NAME, SYSTEM_POLKIT_POLICY, Client, DBusError, Part, wait_until

KILLS = 60


@pytest.fixture
def linked(world):
    settle(world)
    link(world, "alice", [LIBRARY])
    return world


# --- kill -9 ---


def ask_for_much(clients):
    """Calls that are under way when the broker is killed: deliveries, reports that force a refresh, changes."""
    for number, client in enumerate(clients):
        for _ in range(10):
            client.send(NAME, "GetToken", "asa{sv}", ([LIBRARY], {}))
        client.send("org.lwabroker.Accounts1", "Rename", "ss", ("main", f"label {number} {random.random()}"))


def relink_if_lost(world, client, started):
    """True when the login was lost, which must be on the trail: an interrupted refresh since `started`."""
    try:
        take(client)
        return False
    except DBusError as error:
        assert error.short == "LoginRequired", error
    records = [record for record in trail(world.client("root")) if record["sequence"] > started]
    events = {record["event"]: record for record in records}
    assert "grant-interrupted" in events, records
    assert "interrupted" in events["grant-died"]["detail"], records
    assert link(world, "alice", [LIBRARY]) == "main"
    return True


def test_killed_at_any_instant(world):
    """A provider that gives a new refresh token each time and ends the old one is the hardest case."""
    instants = random.Random(20001)
    settle(world, rotation="new", rotation_kills_old="yes", token_lifetime=1)
    link(world, "alice", [LIBRARY])
    lost = 0
    for _ in range(KILLS):
        clients = [world.client("alice") for _ in range(3)]
        text, info = take(clients[0])
        ask_for_much(clients)
        clients[1].send(NAME, "ReportRejected", "s", (info["token_id"],))
        clients[0].send(NAME, "ReportRejected", "s", (info["token_id"],))
        time.sleep(instants.uniform(0, 0.05))
        world.broker.kill9()
        world.close_clients()
        newest = newest_record(world)
        world.broker.start()
        lost += relink_if_lost(world, world.client("alice"), newest)
        world.close_clients()
    # Whatever was lost was explained; and it is the exception.
    assert lost <= KILLS // 4
    assert counter(world, "token.refresh_token.ok") >= KILLS


def newest_record(world):
    return rows(world, "SELECT max(sequence) FROM audit")[0][0]


def test_killed_between_answer_and_commit(world):
    """The documented window, met on purpose: the provider has rotated, and the broker never stored the answer."""
    settle(world, rotation="new", rotation_kills_old="yes")
    link(world, "alice", [LIBRARY])
    alice = world.client("alice")
    _, info = take(alice)
    world.sim.fault("token", "hang-after", grant_type="refresh_token")
    alice.send(NAME, "ReportRejected", "s", (info["token_id"],))
    wait_until(lambda: counter(world, "token.refresh_token.ok") == 2, 5 * world.slowness, "the rotation")
    newest = newest_record(world)
    world.broker.kill9()
    world.sim.clear_faults()
    world.broker.start()
    assert relink_if_lost(world, world.client("alice"), newest) is True


def test_no_crash_between_requests_loses_anything(world):
    """Right after an answer the rotated token is durable: nothing is excused here."""
    settle(world, rotation="new", rotation_kills_old="yes")
    link(world, "alice", [LIBRARY])
    for _ in range(8):
        alice = world.client("alice")
        _, info = take(alice)
        assert reject(alice, info["token_id"]) is True
        world.broker.kill9()
        world.broker.start()
    take(world.client("alice"))
    assert counter(world, "token.refresh_token.invalid_grant") == 0
    assert trail(world.client("root"), "grant-interrupted") == []


# --- a disk that fills up ---


class Disk:
    def __init__(self, folder):
        self.filler = os.path.join(folder, "filler")

    def fill(self):
        with open(self.filler, "wb", buffering=0) as file:
            with contextlib.suppress(OSError):
                while file.write(b"x" * 4096):
                    pass
            with contextlib.suppress(OSError):
                while file.write(b"x"):
                    pass

    def free(self):
        os.unlink(self.filler)


@pytest.fixture
def disk(world):
    """The state on a small file system of its own."""
    world.broker.stop()
    owner = pwd.getpwnam("lwa-broker")
    options = f"size=1m,mode=0700,uid={owner.pw_uid},gid={owner.pw_gid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", world.state_dir], check=True)
    try:
        world.broker.start()
        settle(world)
        yield Disk(world.state_dir)
        world.close_clients()
        world.broker.stop()
    finally:
        world.broker.kill9()
        subprocess.run(["umount", "-l", world.state_dir], check=True)


def test_full_disk(world, disk):
    world.sim.set(rotation="new", rotation_kills_old="yes")
    link_device(world, [LIBRARY])
    musicd, weatherd, root = world.client("musicd"), world.client("weatherd"), world.client("root")
    text, info = take(musicd)
    assert status(root)["store"] == "ok"
    disk.fill()
    before = refreshes(world)

    # I3: what cannot be recorded is not handed out; what was recorded is still served, and counted.
    for _ in range(3):
        assert error_of(take, weatherd).short == "AuditUnavailable"
    for _ in range(5):
        assert take(musicd)[0] == text
    assert status(root)["store"] != "ok"
    # I4: no refresh without an intent.
    for _ in range(2):
        assert error_of(reject, musicd, info["token_id"]).short == "StoreUnavailable"
    assert refreshes(world) == before
    assert error_of(root.call, "org.lwabroker.Accounts1", "Rename", "ss", ("device", "x")).short == "StoreUnavailable"
    assert accounts(root)["device"]["label"] != "x"
    assert take(musicd)[0] == text

    disk.free()
    # By itself.
    wait_until(lambda: try_take(weatherd), 10 * world.slowness, "the trail to be written again")
    wait_until(lambda: status(root)["store"] == "ok", 10, "the store to be well")
    wait_until(lambda: refreshes(world) > before, 10 * world.slowness, "the renewal")
    served = []
    wait_until(lambda: served.append(take(musicd)[0]) or served[-1] != text, 10 * world.slowness, "a new token")
    world.broker.restart()
    take(world.client("musicd"))
    disclosed = [r for r in trail(world.client("root"), "token-disclosed") if r["app"] == "user:musicd"]
    assert disclosed[0]["repeats"] == 6 + served.count(text)
    assert [r["app"] for r in trail(world.client("root"), "token-disclosed")].count("user:weatherd") == 1


def test_disk_fills_up_during_a_refresh(world, disk):
    """The intent was durable, the provider rotated, and then there was no room: the new refresh token must not be
    forgotten (I4), nor may what came with it be handed out."""
    world.sim.set(rotation="new", rotation_kills_old="yes")
    link(world, "alice", [LIBRARY])
    alice = world.client("alice")
    text, info = take(alice)
    world.sim.fault("token", "delay", ms=1000, grant_type="refresh_token")
    report = alice.send(NAME, "ReportRejected", "s", (info["token_id"],))
    wait_until(lambda: world.sim.state()["refreshes_under_way"] or refreshes(world) == 2, 5, "the refresh")
    disk.fill()
    assert error_of(alice.wait, report).short == "StoreUnavailable"
    assert take(alice)[0] == text
    assert counter(world, "token.refresh_token.ok") == 2
    disk.free()
    wait_until(lambda: take(alice)[0] != text, 15 * world.slowness, "the token that came meanwhile")
    # It was stored, not asked for again; and it is the one that the provider knows.
    assert counter(world, "token.refresh_token.requests") == 2
    world.broker.kill9()
    world.broker.start()
    take(world.client("alice"))
    assert counter(world, "token.refresh_token.invalid_grant") == 0


def test_login_on_a_full_disk(world, disk):
    alice = world.client("alice")
    login = Login(alice, [LIBRARY]).wait_state("waiting")
    disk.fill()
    world.sim.approve(login.code)
    assert login.finish() == ("failed", {"error": "StoreUnavailable", "reason": "store"})
    assert accounts(alice) == {}
    disk.free()
    link(world, "alice", [LIBRARY], client=alice)
    take(alice)


# --- files that are not as they were ---


def snapshot(world):
    """Every file of the state and the keys but SQLite's index of the WAL, which it makes anew at will."""
    found = {}
    for folder in (world.state_dir, world.path("conf/keys")):
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            if not name.endswith("-shm"):
                info = os.lstat(path)
                content = os.readlink(path) if os.path.islink(path) else open_bytes(path)
                found[path] = (content, info.st_mode, info.st_uid)
    return found


def open_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def refuses_to_start(world, timeout=10):
    """What it says as it refuses."""
    start = len(world.broker.log())
    world.broker.start(wait=False)
    assert world.broker.wait_end(timeout) > 0
    world.broker.process = None
    said = world.broker.log()[start:]
    assert not world.has_owner(NAME)
    return said


def database(world):
    return os.path.join(world.state_dir, "broker.db")


def key(world):
    return world.path("conf/keys/master.key")


def overwrite(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def write_key(world, data, mode=0o400, user="lwa-broker"):
    os.unlink(key(world))
    with open(key(world), "wb") as file:
        file.write(data)
    entry = pwd.getpwnam(user)
    os.chown(key(world), entry.pw_uid, entry.pw_gid)
    os.chmod(key(world), mode)


def run_sql(world, sql):
    connection = sqlite3.connect(database(world), isolation_level=None)
    connection.execute(sql)
    connection.close()
    owner = pwd.getpwnam("lwa-broker")
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.chown(database(world) + suffix, owner.pw_uid, owner.pw_gid)


def link_key(world):
    os.rename(key(world), key(world) + ".real")
    os.symlink(key(world) + ".real", key(world))


# A word that no broker writes: whether it allows or denies is not for anyone to guess.
SPOILED_CONSENT = (
    "INSERT INTO consent (account, app, scope, answer, lasts, given_sec, until_sec, how, by_uid, by_name)"
    " SELECT id, 'user:alice', 'profile', 'perhaps', 'logout', 1, 0, 'command', 1000, 'alice' FROM account"
)

SPOILED = {
    "no-database": ("corrupt", lambda w: overwrite(database(w), 0, b"This is not a database, but a text.\n" * 300)),
    "torn": ("corrupt", lambda w: os.truncate(database(w), os.path.getsize(database(w)) // 2 // 4096 * 4096 + 100)),
    "page": ("corrupt", lambda w: overwrite(database(w), 4096 * 2, b"\xff" * 4096)),
    "other-application": ("corrupt", lambda w: overwrite(database(w), 68, b"\0\0\0\x01")),
    "too-new": ("later version", lambda w: run_sql(w, "PRAGMA user_version = 99")),
    "account-id": ("corrupt", lambda w: run_sql(w, "UPDATE account SET name = '../' || name")),
    "label": ("corrupt", lambda w: run_sql(w, "UPDATE account SET label = cast(x'ff' AS text)")),
    "scopes": ("corrupt", lambda w: run_sql(w, "UPDATE grant SET carries = 'a\"b'")),
    "consent": ("corrupt", lambda w: run_sql(w, SPOILED_CONSENT)),
    "other-key": ("another key", lambda w: write_key(w, os.urandom(32))),
    "no-key": ("is not there", lambda w: os.unlink(key(w))),
    "short-key": ("32 bytes", lambda w: write_key(w, b"x" * 31)),
    "long-key": ("32 bytes", lambda w: write_key(w, open_bytes(key(w)) + b"\n")),
    "empty-key": ("32 bytes", lambda w: write_key(w, b"")),
    "key-for-the-group": ("nobody else can read", lambda w: os.chmod(key(w), 0o440)),
    "key-for-all": ("nobody else can read", lambda w: os.chmod(key(w), 0o604)),
    "key-of-alice": ("", lambda w: write_key(w, open_bytes(key(w)), user="alice")),
    "key-is-a-link": ("32 bytes", link_key),
}


@pytest.mark.parametrize("case", SPOILED)
def test_spoiled_files_are_left_alone(linked, case):
    """It refuses with a sentence, changes no byte, and works again when the files are as they were."""
    expected, spoil = SPOILED[case]
    linked.broker.stop()
    shutil.copytree(linked.state_dir, linked.path("saved/state"), dirs_exist_ok=False)
    shutil.copytree(linked.path("conf/keys"), linked.path("saved/keys"))
    try:
        spoil(linked)
        before = snapshot(linked)
        for _ in range(2):
            said = refuses_to_start(linked)
            assert "broker.db: " in said and expected in said
            assert snapshot(linked) == before
        restore(linked)
        linked.broker.start()
        take(linked.client("alice"))
    finally:
        shutil.rmtree(linked.path("saved"))


def restore(world):
    for name, folder in (("saved/state", world.state_dir), ("saved/keys", world.path("conf/keys"))):
        for entry in os.listdir(folder):
            os.unlink(os.path.join(folder, entry))
        for entry in os.listdir(world.path(name)):
            shutil.copy2(world.path(f"{name}/{entry}"), folder)
            owner = pwd.getpwnam("lwa-broker")
            os.chown(os.path.join(folder, entry), owner.pw_uid, owner.pw_gid)


def test_missing_key_after_a_crash(linked):
    """The same with a WAL that still holds the newest commits."""
    take(linked.client("alice"))
    linked.broker.kill9()
    os.rename(key(linked), key(linked) + ".away")
    before = snapshot(linked)
    assert any(path.endswith("-wal") and content for path, (content, _, _) in before.items())
    assert "is not there" in refuses_to_start(linked)
    assert snapshot(linked) == before
    os.rename(key(linked) + ".away", key(linked))
    linked.broker.start()
    take(linked.client("alice"))


def test_read_only_state(linked):
    """A file system that came up read-only: no service that would lose logins, and the login is there afterwards."""
    linked.broker.stop()
    before = snapshot(linked)
    subprocess.run(["mount", "--bind", linked.state_dir, linked.state_dir], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", linked.state_dir], check=True)
        said = refuses_to_start(linked)
        assert "broker.db: " in said and "read-only" in said.lower()
    finally:
        subprocess.run(["umount", linked.state_dir], check=True)
    assert snapshot(linked) == before
    linked.broker.start()
    take(linked.client("alice"))


# --- configuration ---


def after(text):
    return lambda base: (base + text, base.count("\n") + text.count("\n"))


def replaced(old, new, line_of):
    def make(base):
        text = base.replace(old, new, 1)
        assert text != base
        return text, next(i for i, line in enumerate(text.split("\n"), 1) if line_of in line)

    return make


MALFORMED = {
    "section": (after("[tokns]\n"), "unknown section [tokns]; the nearest is [tokens]"),
    "key": (after("[tokens]\nrefresh_marging = 3\n"), 'nearest is "refresh_margin" in [tokens]'),
    "twice": (after("[tokens]\nmin_valid = 3\nmin_valid = 4\n"), "set again"),
    "no-value": (after("[tokens]\nmin_valid\n"), ""),
    "range": (after("[tokens]\nmin_valid = 1801\n"), "min_valid"),
    "negative": (after("[tokens]\nmin_valid = -1\n"), "min_valid"),
    "word": (after("[tokens]\nmin_valid = soon\n"), "min_valid"),
    "verdict": (after("[policy]\ndefault = allow\n"), "must be ask or deny"),
    "bool": (after("[provider]\nnarrows_on_refresh = maybe\n"), "must be yes or no"),
    "http": (replaced("token_endpoint = https://", "token_endpoint = http://", "token_endpoint"), "https://"),
    "relative": (replaced("key_file = /", "key_file = ", "key_file"), "absolute"),
    "client": (replaced("client_id = amzn1.application-oa2-client", "client_id = amzn1.application", "client_id"), "client id"),
    "no-ca": (replaced("ca_file = /", "ca_file = /nowhere/", "ca_file"), "ca_file"),
    "utf8": (after("[tokens]\nmin_valid = \udcff\n"), ""),
    "nul": (after("[tokens]\nmin_valid = 3\0\n"), ""),
    "unclosed": (after("[tokens\n"), ""),
}


def read_config(world):
    with open(world.config_path, encoding="utf-8") as file:
        return file.read()


def write_malformed(world, case):
    """(what must be said, the good text)."""
    make, reason = MALFORMED[case]
    base = read_config(world)
    text, line = make(base)
    world.write("conf/broker.conf", text.encode("utf-8", "surrogateescape"))
    return [f"{world.config_path}:{line}: ", reason], base


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_configuration(linked, case):
    """Refused at start, with file, line and reason; at SIGHUP the one before stays in force."""
    alice = linked.client("alice")
    text = take(alice)[0]
    expected, base = write_malformed(linked, case)
    start = len(linked.broker.log())
    linked.reload()
    said = linked.broker.log()[start:]
    assert all(part in said for part in expected) and "stays in force" in said, said
    assert take(alice)[0] == text
    linked.broker.stop()
    said = refuses_to_start(linked)
    assert all(part in said for part in expected), said
    linked.write("conf/broker.conf", base)
    linked.broker.start()
    take(linked.client("alice"))


def with_link(world):
    os.rename(world.config_path, world.config_path + ".real")
    os.symlink(world.config_path + ".real", world.config_path)


def with_folder(world):
    os.unlink(world.config_path)
    os.mkdir(world.config_path)


UNTRUSTED = {
    "missing": (lambda w: os.unlink(w.config_path), "no such file"),
    "not-roots": (lambda w: os.chown(w.config_path, pwd.getpwnam("alice").pw_uid, -1), "root owns"),
    "brokers": (lambda w: os.chown(w.config_path, pwd.getpwnam("lwa-broker").pw_uid, -1), "root owns"),
    "for-the-group": (lambda w: os.chmod(w.config_path, 0o664), "nobody else may write"),
    "for-all": (lambda w: os.chmod(w.config_path, 0o646), "nobody else may write"),
    "link": (with_link, "symbolic link"),
    "folder": (with_folder, ""),
    "huge": (lambda w: w.write("conf/broker.conf", "# " + "x" * 70000 + "\n"), "too large"),
    "no-client": (lambda w: w.write_config(provider={"client_id": None}), "client_id is missing"),
}


@pytest.mark.parametrize("case", UNTRUSTED)
def test_configuration_that_is_not_trusted(linked, case):
    make, reason = UNTRUSTED[case]
    try:
        make(linked)
        linked.reload()
        take(linked.client("alice"))
        linked.broker.stop()
        said = refuses_to_start(linked)
        assert linked.config_path in said and reason in said
    finally:
        if os.path.isdir(linked.config_path):
            os.rmdir(linked.config_path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(linked.config_path + ".real")
    linked.write_config()
    linked.broker.start()
    take(linked.client("alice"))


# --- the end ---


def test_sigterm_finishes_what_is_in_flight(linked):
    linked.broker.restart()
    linked.sim.fault("token", "delay", ms=1500, grant_type="refresh_token")
    alice = linked.client("alice")
    calls = [alice.send(NAME, "GetToken", "asa{sv}", ([LIBRARY], {})) for _ in range(3)]
    wait_until(lambda: refreshes(linked) == 2, 5 * linked.slowness, "the refresh")
    linked.broker.signal(signal.SIGTERM)
    for call in calls:
        fd, info = alice.wait(call, 10 * linked.slowness)
        os.close(fd)
        assert info["expires_in"] > 3000
    assert linked.broker.wait_end() == 0
    linked.broker.process = None
    linked.broker.start()
    records = [record for record in trail(linked.client("root")) if record["event"] != "policy-loaded"]
    assert [record["event"] for record in records[-3:]] == ["token-disclosed", "broker-stopped", "broker-started"]
    assert records[-3]["repeats"] == 2


def test_sigterm_waits_for_a_refresh_that_nobody_waits_for(world):
    """An ordinary restart in the middle of a renewal must not cost the login."""
    settle(world, rotation="new", rotation_kills_old="yes")
    link(world, "alice", [LIBRARY])
    world.sim.fault("token", "delay", ms=1500, grant_type="refresh_token")
    alice = world.client("alice")
    _, info = take(alice)
    alice.send(NAME, "ReportRejected", "s", (info["token_id"],))
    wait_until(lambda: refreshes(world) == 2, 5 * world.slowness, "the refresh")
    world.close_clients()
    world.broker.restart()
    # The provider rotates at the end of the delay, whether or not anybody still listens.
    wait_until(lambda: counter(world, "token.refresh_token.ok") == 2, 10 * world.slowness, "the rotation")
    take(world.client("alice"))
    assert counter(world, "token.refresh_token.invalid_grant") == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_broker_ends_at_once(linked, number):
    linked.broker.signal(number)
    began = time.monotonic()
    assert linked.broker.wait_end() == 0
    assert time.monotonic() - began < 3 * linked.slowness
    linked.broker.process = None


def second_bus(world):
    text = BUS_CONFIG.format(
        socket=world.path("bus-2"),
        polkit_policy=SYSTEM_POLKIT_POLICY,
        broker_policy=os.path.join(world.src_dir, "dbus/org.lwabroker.Broker1.conf"),
        extra=world.path("bus.d"),
    )
    world.write("bus-2.conf", text)
    bus = Part(world, "second-bus", lambda: os.path.exists(world.path("bus-2")), (0, -signal.SIGTERM))
    return bus.start(["/usr/bin/dbus-daemon", f"--config-file={world.path('bus-2.conf')}", "--nofork", "--nopidfile"])


def owns_name(address):
    with Client("root", address) as root:
        return root.bus("NameHasOwner", "s", (NAME,))


@contextlib.contextmanager
def second_broker(world, bus_path, ready):
    """A broker with a state and a key of its own on any bus."""
    for name in ("state-2", "conf/keys-2"):
        world.fresh_folder(name)
    text = read_config(world).replace("conf/keys/", "conf/keys-2/")
    config = world.write("conf/second.conf", text)
    where = ["--config", config, "--state-dir", world.path("state-2"), "--bus-address", f"unix:path={bus_path}"]
    where += ["--identd", world.program("lwa-identd")]
    broker = Part(world, "second-broker", ready)
    broker.start([world.program("lwa-brokerd"), *where], wait=False)
    try:
        yield broker
    finally:
        broker.kill9()


def test_bus_is_gone(world):
    """Without a bus there is nobody to serve: it ends, with a status that has it started again."""
    bus = second_bus(world)
    try:
        with second_broker(world, world.path("bus-2"), lambda: owns_name(world.path("bus-2"))) as broker:
            broker.wait_ready()
            bus.kill9()
            assert broker.wait_end() > 0
            assert "bus is gone" in broker.log()
    finally:
        bus.kill9()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(world.path("bus-2"))


def test_second_broker_is_refused(linked):
    with second_broker(linked, linked.bus_path, lambda: False) as broker:
        assert broker.wait_end() > 0
        assert "another broker owns" in broker.log()
    take(linked.client("alice"))
    assert len(grants(linked.client("alice"))) == 1
