# SPDX-License-Identifier: LGPL-2.1-or-later
"""The master key: made, changed, moved, missing. test-store-keys has every combination of files and every write."""

import json
import os
import pwd
import random
import time

import pytest

from logins import LIBRARY, PLAYBACK, counter, error_of, link, reject, rows, settle, take, trail
from test_durability import key, open_bytes, refuses_to_start, snapshot
from world import DBusError, wait_until

KEYS = "org.lwabroker.Keys1"
KILLS = 15


@pytest.fixture
def linked(world):
    settle(world, rotation="new", rotation_kills_old="yes")
    link(world, "alice", [LIBRARY])
    link(world, "bob", [PLAYBACK])
    return world


def rekey(client):
    return client.call(KEYS, "Rekey", "a{sv}", ({},))


def assert_all_live(world):
    """Both logins, by a refresh of each: with the token that is stored, under the key that is there."""
    for user, scope in (("alice", LIBRARY), ("bob", PLAYBACK)):
        client = world.client(user)
        _, info = take(client, scopes=[scope])
        assert reject(client, info["token_id"]) is True
        take(client, scopes=[scope])


def leftovers(world):
    return sorted(set(os.listdir(world.path("conf/keys"))) - {"master.key"})


# --- the command ---


def test_rekey(linked):
    before, refreshes = open_bytes(key(linked)), counter(linked, "token.refresh_token.ok")
    done = linked.run_as("root", ["lwactl", "rekey"])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("The logins of 2 owners are sealed with a new key now, ") and "backup" in done.stdout
    after = open_bytes(key(linked))
    assert len(after) == 32 and after != before and leftovers(linked) == []
    info = os.lstat(key(linked))
    assert (info.st_mode & 0o7777, info.st_uid) == (0o400, pwd.getpwnam("lwa-broker").pw_uid)
    (record,) = trail(linked.client("root"), "key-rotated")
    assert record["app"] == "user:root" and record["detail"] in done.stdout
    assert counter(linked, "token.refresh_token.ok") == refreshes  # no login had to be used for it
    assert_all_live(linked)
    linked.broker.kill9()
    linked.broker.start()
    assert_all_live(linked)


def test_rekey_as_json(linked):
    done = linked.run_as("root", ["lwactl", "rekey", "--json"])
    result = json.loads(done.stdout)
    assert (result["owners"], result["finished"]) == (2, True)
    assert result["key_id"] == rows(linked, "SELECT lower(hex(value)) FROM meta WHERE name = 'key-id'")[0][0]


def test_rekey_is_for_administrators(linked):
    before = open_bytes(key(linked))
    for user in ("alice", "musicd"):
        assert error_of(rekey, linked.client(user)).short == "ConsentRequired"
    linked.write_rule("20-no", 'polkit.addRule(function(a) { if (a.id == "org.lwabroker.keys.manage") return "no"; });')
    assert error_of(rekey, linked.client("alice")).short == "AccessDenied"
    linked.write_rule("20-no", None)
    assert error_of(linked.client("root").call, KEYS, "Rekey", "a{sv}", ({"force": ("b", True)},)).short == "InvalidArgument"
    assert open_bytes(key(linked)) == before
    assert trail(linked.client("root"), "key-rotated") == []


def test_rekey_where_the_key_cannot_be_written(linked):
    """Nothing is changed, and the next one, when it can be, works."""
    before = open_bytes(key(linked))
    os.chown(linked.path("conf/keys"), 0, 0)
    os.chmod(linked.path("conf/keys"), 0o755)
    done = linked.run_as("root", ["lwactl", "rekey"])
    assert done.returncode != 0 and "Nothing was changed" in done.stderr
    assert "the master key was not changed: Permission denied" in linked.broker.log()
    assert open_bytes(key(linked)) == before and leftovers(linked) == []
    assert_all_live(linked)
    os.chown(linked.path("conf/keys"), pwd.getpwnam("lwa-broker").pw_uid, -1)
    assert linked.run_as("root", ["lwactl", "rekey"]).returncode == 0
    assert_all_live(linked)


# --- while there is work ---


def test_rekey_under_load(linked):
    """Refreshes with rotation, changes and rekeys at the same time: all of them are answered, and hold."""
    alice, bob, root = linked.client("alice"), linked.client("bob"), linked.client("root")
    for turn in range(4):
        calls = []
        for client, scope in ((alice, LIBRARY), (bob, PLAYBACK)):
            _, info = take(client, scopes=[scope])
            calls.append((client, client.send("org.lwabroker.Broker1", "ReportRejected", "s", (info["token_id"],))))
            calls.append((client, client.send("org.lwabroker.Accounts1", "Rename", "ss", ("main", f"turn {turn}"))))
        rekey(root)
        for client, serial in calls:
            client.wait(serial)
    assert len(trail(linked.client("root"), "key-rotated")) == 4
    linked.broker.restart()
    assert_all_live(linked)


def test_login_during_rekeys(linked):
    """A login that is begun under one key and stored under another."""
    root = linked.client("root")
    rekey(root)
    assert link(linked, "alice", [PLAYBACK], "carol") == "main-2"
    rekey(root)
    linked.broker.restart()
    take(linked.client("alice"), account="main-2", scopes=[PLAYBACK])


def test_killed_at_any_instant(linked):
    """Whatever was cut short, one key file is left in the end, and it opens everything. No refresh is under way, so no
    excuse is accepted."""
    instants = random.Random(20003)
    for _ in range(KILLS):
        root = linked.client("root")
        for _ in range(4):
            root.send("org.lwabroker.Keys1", "Rekey", "a{sv}", ({},))
        time.sleep(instants.uniform(0, 0.06))
        linked.broker.kill9()
        linked.close_clients()
        linked.broker.start()
        assert leftovers(linked) == []
    assert_all_live(linked)


# --- credentials ---


class Credentials:
    """What systemd would hand over: a folder of files, and its name in the environment."""

    def __init__(self, world):
        self.world = world
        self.folder = world.path("credentials")
        os.makedirs(self.folder, exist_ok=True)
        for name in os.listdir(self.folder):
            os.unlink(os.path.join(self.folder, name))
        self.original = world.environment
        self.hand_over(True)

    def hand_over(self, yes):
        more = {"CREDENTIALS_DIRECTORY": self.folder} if yes else {}
        self.world.environment = lambda **extra: {**self.original(**extra), **more}

    def put(self, name, content, mode=0o400):
        path = os.path.join(self.folder, name)
        if os.path.exists(path):
            os.unlink(path)
        with open(path, "wb") as file:
            file.write(content)
        entry = pwd.getpwnam("lwa-broker" if mode else "root")
        os.chown(path, entry.pw_uid, entry.pw_gid)
        os.chmod(path, mode or 0o400)

    def restore(self):
        self.world.environment = self.original


@pytest.fixture
def credentials(linked):
    made = Credentials(linked)
    yield made
    made.restore()


def restart_with(world, **store):
    world.broker.stop()
    world.write_config(store=store)
    world.broker.start()


def test_from_file_to_credential_and_on(linked, credentials):
    """The whole life of a key on a device that gets a TPM later: a file, a credential, another credential, a file."""
    file = key(linked)
    credentials.put("first", os.urandom(32))
    restart_with(linked, key_credential="first", previous_key_file=file)
    assert "sealed with the configured key now" in linked.broker.log()
    assert_all_live(linked)
    os.unlink(file)
    restart_with(linked, key_credential="first")
    assert_all_live(linked)

    done = linked.run_as("root", ["lwactl", "rekey"])
    assert done.returncode != 0 and "previous_key_credential" in done.stderr and "restart" in done.stderr
    assert error_of(rekey, linked.client("root")).short == "NotSupported"

    credentials.put("second", os.urandom(32), mode=0o440)  # with the mask of systemd's access control list
    restart_with(linked, key_credential="second", previous_key_credential="first")
    assert_all_live(linked)
    os.unlink(os.path.join(credentials.folder, "first"))
    restart_with(linked, key_credential="second", previous_key_credential="first")
    assert_all_live(linked)

    restart_with(linked, previous_key_credential="second")
    assert len(open_bytes(file)) == 32
    restart_with(linked)
    assert_all_live(linked)
    assert len(trail(linked.client("root"), "key-rotated")) == 3


UNFIT = {
    "not-handed-over": ("LoadCredential=lwa:", None, 0),
    "missing": ("is not there", b"", 0),
    "short": ("32 bytes", b"x" * 31, 0o400),
    "with-newline": ("32 bytes", b"x" * 32 + b"\n", 0o400),
    "of-root": ("this user can read", b"x" * 32, None),
    "for-all": ("nobody else can read", b"x" * 32, 0o444),
    "writable-for-the-group": ("nobody else can read", b"x" * 32, 0o460),
    "wrong": ("another key", b"x" * 32, 0o400),
}


@pytest.mark.parametrize("case", UNFIT)
def test_unfit_credential(linked, credentials, case):
    """It says what to do, falls back to no file, makes none, and changes no byte."""
    expected, content, mode = UNFIT[case]
    linked.broker.kill9()  # the newest commits are in the WAL only
    os.rename(key(linked), linked.path("key.away"))
    if content:
        credentials.put("lwa", content, mode)
    credentials.hand_over(content is not None)
    linked.write_config(store={"key_credential": "lwa"})
    before = snapshot(linked)
    assert any(path.endswith("-wal") and found for path, (found, _, _) in before.items())
    said = refuses_to_start(linked)
    assert "broker.db: " in said and expected in said and "key_credential" in said
    assert snapshot(linked) == before
    credentials.put("lwa", open_bytes(linked.path("key.away")))
    credentials.hand_over(True)
    linked.broker.start()
    assert_all_live(linked)


def test_unfit_previous_key(linked, credentials):
    """Neither opens the logins: both stay, and so does the database."""
    credentials.put("lwa", os.urandom(32))
    linked.broker.stop()
    with open(linked.path("conf/keys/before.key"), "wb") as file:
        file.write(os.urandom(32))
    os.chmod(file.name, 0o400)
    os.chown(file.name, pwd.getpwnam("lwa-broker").pw_uid, -1)
    linked.write_config(store={"key_credential": "lwa", "previous_key_file": file.name})
    before = snapshot(linked)
    assert "another key" in refuses_to_start(linked)
    assert snapshot(linked) == before
    linked.write_config()
    linked.broker.start()
    assert_all_live(linked)


def test_first_key_is_on_the_trail(world):
    assert len(trail(world.client("root"), "key-created")) == 1
    assert "made a master key" in world.broker.log()
    world.broker.restart()
    assert len(trail(world.client("root"), "key-created")) == 1


# --- removal ---


def raw_files(world):
    return b"".join(open_bytes(os.path.join(world.state_dir, name)) for name in sorted(os.listdir(world.state_dir)))


def test_removed_owner_leaves_nothing_sealed(linked):
    """With the last account its key and its tokens are gone from every byte of the files; bob's are not."""
    def blobs(uid):
        sql = "SELECT o.key, g.token, g.previous FROM owner o JOIN grant g ON g.owner = o.id WHERE o.uid = ?"
        return [blob for row in rows(linked, sql, uid) for blob in row if blob]

    alice = linked.client("alice")
    assert reject(alice, take(alice)[1]["token_id"]) is True
    hers, his = blobs(pwd.getpwnam("alice").pw_uid), blobs(pwd.getpwnam("bob").pw_uid)
    assert len(hers) == 3 and len(his) >= 2
    assert all(blob in raw_files(linked) for blob in hers + his)
    alice.call("org.lwabroker.Accounts1", "Remove", "s", ("main",))
    wait_until(lambda: not any(blob in raw_files(linked) for blob in hers), 5 * linked.slowness, "the checkpoint")
    assert all(blob in raw_files(linked) for blob in his)
    with pytest.raises(DBusError):
        take(alice)
    take(linked.client("bob"), scopes=[PLAYBACK])
