# SPDX-License-Identifier: LGPL-2.1-or-later
"""The fault matrix, disk: what each trouble of the disk does to callers, to logins and to the trail.

Two tables. TROUBLES is of the whole disk: what an app, a renewal and a manager are told, what `lwactl status` and the
log say, and how it ends. KINDS is of transactions: the disk fills up at the first, second, ... write of each kind of
transaction until it goes through. In all of them

  - the answer is a named error, and no token leaves without its record (I3, I5);
  - a token that is already on the trail is still served;
  - no login is lost (I4, I6): when the trouble is over all of them work, without logging in again.

What the store does below this is in tests/unit/test-store-disk.c; files that are spoiled while the broker does not run,
and a disk that is really full, are in test_durability.py.
"""

import contextlib
import itertools
import os
import pwd
import shutil
import sqlite3
import threading

import pytest

from faulty_disk import CORRUPT, FULL, IO_READ, IO_SYNC, IO_WRITE, READ, READ_ONLY, faulty_disk
from logins import (
    ACCOUNTS,
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
from world import DBusError, wait_until

WRITES_MAX = 120  # of one operation; more means that it never goes through


@pytest.fixture
def disk(world):
    settle(world, rotation="new", rotation_kills_old="yes")
    with faulty_disk(world) as disk:
        yield disk


def database(world, suffix=""):
    return os.path.join(world.state_dir, "broker.db" + suffix)


def integrity(world):
    return rows(world, "PRAGMA integrity_check")


def gaps(world):
    """Sequences that the trail misses."""
    found = [row[0] for row in rows(world, "SELECT sequence FROM audit ORDER BY sequence")]
    return [n for n in range(1, found[-1] + 1) if n not in set(found)]


# --- the whole disk ---------------------------------------------------------------------------------------


def fails_with(code, **more):
    return (lambda world, disk: disk.fail(code, **more)), (lambda world, disk: disk.heal())


class Lock:
    """Another program that holds the database."""

    def begin(self, world, _disk):
        self.over = threading.Event()
        held = threading.Event()

        def hold():
            connection = sqlite3.connect(database(world), isolation_level=None)
            connection.execute("BEGIN IMMEDIATE")
            held.set()
            self.over.wait(60)
            connection.execute("ROLLBACK")
            connection.close()

        self.thread = threading.Thread(target=hold)
        self.thread.start()
        assert held.wait(10)

    def end(self, _world, _disk):
        self.over.set()
        self.thread.join()


LOCK = Lock()


def move_away(world, _disk):
    os.rename(database(world), database(world, ".away"))


def move_back(world, _disk):
    os.rename(database(world, ".away"), database(world))


def replace(world, _disk):
    """Somebody has put a copy in place, as one would restore a backup."""
    shutil.copyfile(database(world), database(world, ".copy"))
    entry = pwd.getpwnam("lwa-broker")
    os.chown(database(world, ".copy"), entry.pw_uid, entry.pw_gid)
    os.chmod(database(world, ".copy"), 0o600)
    os.rename(database(world), database(world, ".old"))
    os.rename(database(world, ".copy"), database(world))


def put_old_back(world, _disk):
    os.rename(database(world, ".old"), database(world))


AUDIT_ERROR = "The disclosure cannot be recorded, so no token is given out; see `lwactl status`."
STORE_ERROR = "The login store cannot be written, so no renewal is made; see `lwactl status`."
CHANGE_ERROR = "The login store cannot be written, so nothing was changed; see `lwactl status`."

# name: how it begins and ends, and what `lwactl status` says of the store. To apps it is all one: AUDIT_ERROR and so on.
TROUBLES = {
    "full": (*fails_with(FULL), "the disk is full; make room, and it goes on by itself"),
    "read-only": (*fails_with(READ_ONLY), "is read-only; make it writable, and it goes on by itself"),
    "write-error": (*fails_with(IO_WRITE), "the disk fails; see what the kernel's log says of it"),
    "sync-error": (*fails_with(IO_SYNC), "the disk fails; see what the kernel's log says of it"),
    "locked": (LOCK.begin, LOCK.end, "another program holds the database locked; end that program"),
    "moved": (move_away, move_back, "was moved, removed or replaced while in use: put it back, or restart"),
    "replaced": (replace, put_old_back, "was moved, removed or replaced while in use: put it back, or restart"),
}


QUICK = ("full", "moved")


@pytest.mark.parametrize("name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in TROUBLES])
def test_trouble(world, disk, name):
    begin, end, said = TROUBLES[name]
    link_device(world, [LIBRARY])
    musicd, weatherd, root = world.client("musicd"), world.client("weatherd"), world.client("root")
    text, info = take(musicd)
    before, start = refreshes(world), len(world.broker.log())
    begin(world, disk)
    try:
        for _ in range(2):
            error = error_of(take, weatherd)
            assert (error.short, error.message) == ("AuditUnavailable", AUDIT_ERROR)
        error = error_of(reject, musicd, info["token_id"])
        assert (error.short, error.message) == ("StoreUnavailable", STORE_ERROR)
        error = error_of(root.call, ACCOUNTS, "Rename", "ss", ("device", "x"))
        assert (error.short, error.message) == ("StoreUnavailable", CHANGE_ERROR)
        # What is on the trail is still served, and what needs no writing answers.
        assert take(musicd)[0] == text
        assert accounts(root)["device"]["label"] != "x"
        assert said in status(root)["store"]
        assert f"the login store {status(root)['store']}" in world.broker.log()
        assert refreshes(world) == before
        if disk.failed:
            # It is tried again and again, by itself, and not taken to be over before it is.
            for _ in range(2):
                failed = disk.failed
                wait_until(lambda: disk.failed > failed, 10 * world.slowness, "the next try")
            assert said in status(root)["store"]
        assert "can be written again" not in world.broker.log()[start:]
    finally:
        end(world, disk)
    # Known to be over without anybody asking for anything.
    wait_until(lambda: status(root)["store"] == "ok", 10 * world.slowness, "the store to be well")
    assert "the login store can be written again" in world.broker.log()
    take(weatherd)
    wait_until(lambda: take(musicd)[0] != text, 15 * world.slowness, "the renewal")
    root.call(ACCOUNTS, "Rename", "ss", ("device", "x"))
    world.broker.kill9()
    world.broker.start()
    take(world.client("musicd"))
    assert accounts(world.client("root"))["device"]["label"] == "x"
    assert counter(world, "token.refresh_token.invalid_grant") == 0
    assert integrity(world) == [("ok",)] and gaps(world) == []


@pytest.mark.parametrize("suffixes", [["-wal"], ["-shm"], ["-wal", "-shm"]], ids="".join)
def test_wal_deleted(world, disk, suffixes):
    """SQLite goes on in the file without a name, and all that it calls durable would be gone at the next start. The
    broker notices at the next commit, brings everything home, and nobody sees an error."""
    link(world, "alice", [LIBRARY])
    alice = world.client("alice")
    _, info = take(alice)
    before = rows(world, "SELECT max(sequence) FROM audit")
    for _ in range(2):
        for suffix in suffixes:
            os.unlink(database(world, suffix))
        assert reject(alice, info["token_id"]) is True
        text, info = take(alice)
        assert status(alice)["store"] == "ok"
        assert all(os.path.exists(database(world, suffix)) for suffix in suffixes)
    sequence = rows(world, "SELECT max(sequence) FROM audit")
    assert sequence > before
    world.broker.kill9()
    world.broker.start()
    alice = world.client("alice")
    assert take(alice)[0] != text
    assert counter(world, "token.refresh_token.invalid_grant") == 0
    assert integrity(world) == [("ok",)] and gaps(world) == []


def test_wal_of_another(world, disk):
    """A WAL from a backup in place of ours would be replayed over the logins: it is left alone, and said."""
    link(world, "alice", [LIBRARY])
    alice = world.client("alice")
    text, info = take(alice)
    os.rename(database(world, "-wal"), database(world, "-ours"))
    shutil.copyfile(database(world, "-ours"), database(world, "-wal"))
    assert error_of(reject, alice, info["token_id"]).short == "StoreUnavailable"
    assert "was moved, removed or replaced" in status(alice)["store"]
    assert take(alice)[0] == text
    os.rename(database(world, "-ours"), database(world, "-wal"))
    wait_until(lambda: status(alice)["store"] == "ok", 10 * world.slowness, "the store to be well")
    wait_until(lambda: take(alice)[0] != text, 15 * world.slowness, "the renewal")


def test_page_found_damaged(world, disk):
    """While it runs: the reader of the trail meets it, and is told; who needs nothing of it is served; nothing is taken
    for repaired before somebody has looked."""
    link_device(world, [LIBRARY])
    musicd, root = world.client("musicd"), world.client("root")
    text, _ = take(musicd)
    disk.fail(CORRUPT, kinds=READ)
    error = error_of(trail, root)
    assert error.short == "AuditUnavailable" and "lwactl status" in error.message
    assert take(musicd)[0] == text
    assert "is damaged: stop lwa-brokerd and put a copy of the database back" in status(root)["store"]
    disk.heal()
    assert trail(root)
    assert "is damaged" in status(root)["store"]
    world.broker.restart()
    assert status(world.client("root"))["store"] == "ok"
    take(world.client("musicd"))


def test_login_found_damaged(world, disk):
    """The same, met by a renewal: no token is made of it, nor is the login taken for dead."""
    link(world, "alice", [LIBRARY])
    link(world, "bob", [LIBRARY])
    alice, bob = world.client("alice"), world.client("bob")
    world.broker.restart()
    bobs_text, _ = take(bob)
    before = refreshes(world)
    # Whatever the writer still knows of the file is forgotten when someone else writes to it.
    with contextlib.closing(sqlite3.connect(database(world), isolation_level=None)) as other:
        other.execute("UPDATE account SET label = label || '.'")
    disk.fail(CORRUPT, kinds=READ)
    error = error_of(take, alice)
    assert (error.short, error.message) == ("StoreUnavailable", STORE_ERROR)
    assert refreshes(world) == before
    assert take(bob)[0] == bobs_text
    assert "is damaged: stop lwa-brokerd and put a copy of the database back" in status(alice)["store"]
    disk.heal()
    wait_until(lambda: try_take(alice), 15 * world.slowness, "the renewal")
    assert "is damaged" in status(alice)["store"]
    assert not accounts(alice)["main"]["needs_login"]


def test_page_cannot_be_read(world, disk):
    link_device(world, [LIBRARY])
    musicd, root = world.client("musicd"), world.client("root")
    text, _ = take(musicd)
    disk.fail(IO_READ, kinds=READ)
    assert error_of(trail, root).short == "AuditUnavailable"
    assert take(musicd)[0] == text
    disk.heal()
    assert trail(root) and status(root)["store"] == "ok"


@pytest.mark.slow
def test_wal_cannot_be_copied_back(world, disk):
    """Commits work and checkpoints do not, as on a disk with little room: everything is served, the log grows, and it is
    said; once there is room the log is copied back."""
    link_device(world, [LIBRARY])
    root, musicd = world.client("root"), world.client("musicd")
    take(musicd)
    wal = lambda: os.path.getsize(database(world, "-wal"))
    # A removal truncates the log: its own writes pass, the checkpoint's first does not.
    doomed = link(world, "root", [LIBRARY], "doomed", owner="device")
    start = disk.get("n_writes") + disk.get("n_syncs")
    root.call(ACCOUNTS, "Remove", "s", (doomed,))
    wait_until(lambda: wal() == 0, 10, "the log to be truncated")
    total = disk.get("n_writes") + disk.get("n_syncs") - start
    for n in range(1, total + 2):
        doomed = link(world, "root", [LIBRARY], f"doomed{n}", owner="device")
        disk.fail(FULL, at=n)
        error = None
        try:
            root.call(ACCOUNTS, "Remove", "s", (doomed,))
        except DBusError as found:
            error = found
        assert (error is None) == (doomed not in accounts(root))
        if error is None and disk.failed:
            break
        disk.heal()
    else:
        raise AssertionError("no write of a checkpoint was met")
    wait_until(lambda: "the disk is full" in status(root)["store"], 10 * world.slowness, "it to be said")
    take(musicd)
    disk.heal()
    wait_until(lambda: status(root)["store"] == "ok" and wal() == 0, 10 * world.slowness, "the log to be copied back")
    assert integrity(world) == [("ok",)]


# --- each write of each transaction -----------------------------------------------------------------------


class Scene:
    """Accounts enough that each attempt finds one that is not waiting for its next try, and an app that holds a token
    and is served all the time."""

    def __init__(self, world, disk, n_accounts):
        self.world, self.disk = world, disk
        self.alice, self.bob = world.client("alice"), world.client("bob")
        link(world, "bob", [LIBRARY], client=self.bob)
        self.bobs_text, _ = take(self.bob)
        self.names = [
            link(world, "alice", [LIBRARY], f"customer{i}", client=self.alice) for i in range(n_accounts)
        ]
        self.turn = itertools.cycle(self.names)

    def ready_account(self):
        """One whose login is doing well."""
        name = next(self.turn)
        self.wait_well(name)
        return name

    def wait_well(self, name):
        """It serves, and nothing of it is still to be stored."""
        wait_until(lambda: try_take(self.alice, account=name), 20 * self.world.slowness, f"{name} to work")
        wait_until(lambda: grants(self.alice, name)[0]["state"] == "fresh", 20 * self.world.slowness, f"{name} fresh")

    def check_others(self):
        assert take(self.bob)[0] == self.bobs_text

    def check_logins(self):
        """Every login works, after a crash too, and none had to be made again."""
        for restart in (False, True):
            if restart:
                self.world.broker.kill9()
                self.world.broker.start()
                self.alice, self.bob = self.world.client("alice"), self.world.client("bob")
            for name in accounts(self.alice):
                self.wait_well(name)
        assert not any(account["needs_login"] for account in accounts(self.alice).values())
        assert counter(self.world, "token.refresh_token.invalid_grant") == 0
        assert integrity(self.world) == [("ok",)] and gaps(self.world) == []


def names_of(scene):
    return {name: account["label"] for name, account in accounts(scene.alice).items()}


def disclosure(scene, n):
    """One app after another asks for the same token."""
    musicd = scene.world.client("musicd")
    before = trail(scene.world.root(), "token-disclosed")
    scene.disk.fail(FULL, at=n)
    try:
        take(musicd)
        error = None
    except DBusError as found:
        error = found
        assert (error.short, error.message) == ("AuditUnavailable", AUDIT_ERROR)
    scene.disk.heal()
    after = trail(scene.world.root(), "token-disclosed")
    assert len(after) - len(before) == (error is None)
    return error


def renewal(scene, n):
    """Intent, answer, the new token. Whatever came is kept; nothing is asked of the provider without an intent."""
    name = scene.ready_account()
    text, info = take(scene.alice, account=name)
    start = len(scene.world.broker.log())
    scene.disk.fail(FULL, at=n)
    try:
        assert reject(scene.alice, info["token_id"]) is True
        error = None
    except DBusError as found:
        error = found
        assert (error.short, error.message) == ("StoreUnavailable", STORE_ERROR)
    scene.check_others()
    if error:
        # Nothing is handed out before it is durable (I4).
        assert take(scene.alice, account=name)[0] == text
        said = scene.world.broker.log()[start:]
        scene.seen.append("answer" if "the renewed login cannot be stored yet" in said else "intent")
        assert scene.seen[-1] == "answer" or "no renewal, the store cannot write" in said
    scene.disk.heal()
    return error


def failed_renewal(scene, n):
    """That it failed is written down, too; if it cannot be, the login does not suffer."""
    name = scene.ready_account()
    _, info = take(scene.alice, account=name)
    before = failures(scene)
    scene.world.sim.fault("token", "status-503", grant_type="refresh_token")
    scene.disk.fail(FULL, at=n)
    error = error_of(reject, scene.alice, info["token_id"])
    scene.check_others()
    scene.seen.append(error.short)
    # What is written after the answer is not waited for.
    wait_until(lambda: scene.disk.failed or failures(scene) > before, 5, "the failure to be written")
    was_reached = scene.disk.failed
    scene.disk.heal()
    scene.world.sim.clear_faults()
    return error if was_reached else None


def failures(scene):
    return rows(scene.world, "SELECT count(*) FROM audit WHERE event = 'token-refresh-failed'")


def change(member, signature, arguments, changed):
    def attempt(scene, n):
        before = names_of(scene), {name for name, a in accounts(scene.alice).items() if a["default"]}
        scene.disk.fail(FULL, at=n)
        try:
            scene.alice.call(ACCOUNTS, member, signature, arguments(scene, n))
            error = None
        except DBusError as found:
            error = found
            assert (error.short, error.message) == ("StoreUnavailable", CHANGE_ERROR)
        scene.check_others()
        scene.disk.heal()
        after = names_of(scene), {name for name, a in accounts(scene.alice).items() if a["default"]}
        assert (after == before) == (error is not None)
        assert error or changed(scene, after)
        return error

    return attempt


rename = change("Rename", "ss", lambda s, n: (s.names[0], f"label {n}"), lambda s, after: "label" in after[0][s.names[0]])
default = change("SetDefault", "s", lambda s, n: (s.names[1],), lambda s, after: after[1] == {s.names[1]})
remove = change("Remove", "s", lambda s, n: (s.names[3],), lambda s, after: s.names[3] not in after[0])


def login(scene, n):
    """Before it is stored it fails, and says so; from then on it is finished as soon as there is room."""
    client = scene.world.client("alice")
    request = Login(client, [LIBRARY]).wait_state("waiting")
    scene.disk.fail(FULL, at=n)
    scene.world.sim.approve(request.code, f"newcomer{n}")
    request.wait_state("proving", "done", timeout=15 * scene.world.slowness)
    wait_until(lambda: scene.disk.failed or request_is_done(client, request), 15, "the disk to be met, or not to be")
    was_reached = scene.disk.failed
    scene.check_others()
    scene.disk.heal()
    outcome, details = request.finish(timeout=20 * scene.world.slowness)
    scene.outcomes.append(outcome)
    if outcome == "failed":
        assert details["error"] == "StoreUnavailable"
        assert set(accounts(client)) == set(scene.names)
    else:
        assert outcome == "linked"
        take(client, account=details["account"])
        client.call(ACCOUNTS, "Remove", "s", (details["account"],))
    scene.world.clients.remove(client)
    client.close()
    return DBusError("org.lwabroker.Error.StoreUnavailable", "") if was_reached else None


def request_is_done(client, request):
    with contextlib.suppress(TimeoutError):
        request.wait_state("done", timeout=0.05)
    return request.state == "done"


def end(scene, n):
    """Repeats are counted, and the end is recorded, when the broker stops: it stops all the same."""
    for _ in range(3):
        take(scene.alice)
    scene.disk.fail(FULL, at=n)
    scene.world.close_clients()
    scene.world.broker.stop()
    was_reached = scene.disk.failed
    scene.disk.heal()
    scene.world.broker.start()
    scene.alice, scene.bob = scene.world.client("alice"), scene.world.client("bob")
    return "stopped" if was_reached else None


def begin(scene, n):
    """A start on a full disk: either it serves, or it ends, says why, and leaves the database as it was."""
    scene.world.close_clients()
    scene.world.broker.kill9()
    scene.disk.fail(FULL, at=n)
    world = scene.world
    start = len(world.broker.log())
    before = starts(scene)
    world.broker.start(wait=False)
    serves = wait_until(lambda: world.has_owner("org.lwabroker.Broker1") or not world.broker.alive(), 10, "a start")
    if not world.broker.alive():
        assert world.broker.wait_end() > 0
        world.broker.process = None
        assert "broker.db: " in world.broker.log()[start:] and "No space left" in world.broker.log()[start:]
    assert serves
    # It serves before its start is written down.
    if world.broker.alive():
        wait_until(lambda: scene.disk.failed or starts(scene) > before, 10, "the disk to be met, or not to be")
    was_reached = scene.disk.failed
    scene.disk.heal()
    if not world.broker.alive():
        world.broker.start()
    scene.alice, scene.bob = world.client("alice"), world.client("bob")
    return "started" if was_reached else None


def starts(scene):
    return rows(scene.world, "SELECT count(*) FROM audit WHERE event = 'broker-started'")


KINDS = {
    "disclosure": disclosure,
    "renewal": renewal,
    "failed-renewal": failed_renewal,
    "rename": rename,
    "default": default,
    "remove": remove,
    "login": login,
    "end": end,
    "start": begin,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_full_at_each_write(world, disk, kind):
    # Reports of a refused token are limited for each login.
    scene = Scene(world, disk, 8 if "renewal" in kind else 4)
    scene.seen, scene.outcomes = [], []
    if kind == "disclosure":
        link_device(world, [LIBRARY])
    for n in range(1, WRITES_MAX):
        if KINDS[kind](scene, n) is None:
            break
    else:
        raise AssertionError("it never went through")
    print(f"{kind}: met at {n - 1} writes")
    assert n > 3
    if kind == "renewal":
        # Both sides of the provider's answer were met.
        assert scene.seen[0] == "intent" and scene.seen.count("answer") > 3
    if kind == "failed-renewal":
        assert set(scene.seen) == {"StoreUnavailable", "ProviderUnavailable"}
    if kind == "login":
        assert scene.outcomes[0] == "failed" and scene.outcomes.count("linked") > 10
    scene.check_logins()
