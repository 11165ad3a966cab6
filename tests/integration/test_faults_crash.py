# SPDX-License-Identifier: LGPL-2.1-or-later
"""The fault matrix, crashes: the broker is killed at hundreds of random instants, and what it left is looked at.

Two ways to die: `kill -9`, after which the system still writes all that the broker had written; and a power cut, after
which only what was synced is there, and some of the rest (tests/unit/test-vfs.c holds it back in the broker's memory).
Two providers: one that ends the refresh token that it replaces, with which a crash between its answer and our commit
costs the login; and one that does not, with which nothing may be lost.

After each death, before anything else may touch them, the files must tell:

  - the database is whole, and so is the trail: every record has its number, hash and seal, every epoch its end, and the
    key file is not behind what it says (tests/harness/audit_chain.py: other code than the broker's);
  - every token that an app got is on the trail, for that app (I3);
  - what was answered as done is done: a label, a removal, a login;
  - a start after a death says so;

and at the next start every login works, or it is lost and the trail says why: the refresh was interrupted (I4).
"""

import contextlib
import ctypes
import hashlib
import os
import random
import shutil
import sqlite3
import struct
import time

import audit_chain
import pytest

from client import read_token
from faulty_disk import faulty_disk
from logins import ACCOUNTS, LIBRARY, Login, link, link_device, settle, take
from world import NAME, DBusError, wait_until

sodium = ctypes.CDLL("libsodium.so.23")


# --- what the files tell ---


def index_key(database, master):
    """The key of the trail's fingerprints, unsealed as broker/seal.c says."""
    (blob,) = database.execute("SELECT value FROM meta WHERE name = 'index-key'").fetchone()
    text = lambda value: struct.pack("<Q", len(value)) + value
    about = b"lwa-broker seal 1\0" + struct.pack("<Q", 1) + text(b"meta") + struct.pack("<Q", 0) + text(b"")
    about += struct.pack("<Q", 0) + text(b"") + text(b"")
    key = ctypes.create_string_buffer(32)
    sealed = blob[24:]
    number = ctypes.c_ulonglong
    done = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
        key, None, None, sealed, number(len(sealed)), about, number(len(about)), blob[:24], master
    )
    assert done == 0
    return key.raw


class Remains:
    """A copy of what a death left, read beside the broker's own files."""

    def __init__(self, world):
        folder = world.path("remains")
        os.makedirs(folder, exist_ok=True)
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        for name in ("broker.db", "broker.db-wal", "audit.key"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(f"{world.state_dir}/{name}", f"{folder}/{name}")
        self.key_file = f"{folder}/audit.key"
        self.database = sqlite3.connect(f"{folder}/broker.db")
        with open(world.path("conf/keys/master.key"), "rb") as file:
            self.key = index_key(self.database, file.read())

    def close(self):
        self.database.close()

    def query(self, sql, *values):
        return self.database.execute(sql, values).fetchall()

    def check_whole(self):
        assert self.query("PRAGMA integrity_check") == [("ok",)]
        assert self.query("PRAGMA foreign_key_check") == []

    def check_trail(self, check):
        """check: of the trail as it was before, which is not looked at again."""
        key, heads = audit_chain.read_key_file(self.key_file)
        assert key, "the key file holds no key"
        check.keys.append(audit_chain.Keys(key[0], key[2]))
        check.go_on(self.database)
        for head in heads:
            check.check_head(head, self.database)
        check.keys.pop()
        assert check.problems == []
        # The key is of the present epoch, or a step behind it: it moves on after the record.
        assert check.epoch - 1 <= key[0] <= check.epoch + check.ended

    def check_starts(self):
        """Each start after the first tells how the run before it ended."""
        sql = "SELECT event FROM audit WHERE event IN ('broker-started', 'broker-stopped', 'broker-crashed')"
        before = None
        for (event,) in self.query(sql + " ORDER BY sequence"):
            if event == "broker-started":
                assert before in (None, "broker-stopped", "broker-crashed"), before
            before = event

    def check_disclosed(self, handed):
        """handed: (app, text) of every token that was handed out since the beginning."""
        found = set(self.query("SELECT app, fingerprint FROM audit WHERE event = 'token-disclosed'"))
        size = len(next(iter(found))[1]) if found else 32
        for app, text in handed:
            print_ = hashlib.blake2b(text.encode(), digest_size=size, key=self.key, person=b"token print 0001").digest()
            assert (app, print_) in found, f"{app} holds a token that is not on the trail"

    def accounts(self):
        """{(owner, id): label}"""
        sql = "SELECT o.name, a.name, a.label FROM account a JOIN owner o ON o.id = a.owner"
        return {(owner, name): label for owner, name, label in self.query(sql)}


def read_trail(world, account):
    """The newest (event, detail) of an account, while the broker runs: as one more reader of its database, since files
    that are being written cannot be copied."""
    sql = "SELECT event, detail FROM audit WHERE account = ? OR grant_row IN"
    sql += " (SELECT grant_row FROM audit WHERE account = ?) ORDER BY sequence DESC LIMIT 400"
    with contextlib.closing(sqlite3.connect(f"file:{world.state_dir}/broker.db?mode=ro", uri=True)) as database:
        return database.execute(sql, (account, account)).fetchall()


# --- life and death ---

EPOCH_SEC = 10  # as short as can be configured


def first_secret(world):
    """The first key of the trail, as it is in the key file until the first epoch ends: proves every seal since."""
    (epoch, first, key), _ = audit_chain.read_key_file(f"{world.state_dir}/audit.key")
    assert epoch == first
    return audit_chain.secret_text(epoch, key)


def check_all(world, lives):
    """Every record anew, with its seal, as one reader more."""
    with contextlib.closing(sqlite3.connect(f"file:{world.state_dir}/broker.db?mode=ro", uri=True)) as database:
        whole = audit_chain.examine(database, secret=lives.secret)
    assert whole.problems == []
    assert whole.n_proven == whole.sequence >= 5 * lives.deaths
    assert whole.epoch > lives.seconds() // (3 * EPOCH_SEC), "hardly an epoch ended"


class Lives:
    def __init__(self, world, seed, loses):
        self.world, self.loses = world, loses
        self.random = random.Random(seed)
        self.handed = set()
        self.secret = first_secret(world)
        self.check = audit_chain.Check([audit_chain.Keys(*audit_chain.parse_secret(self.secret))])
        self.lost = 0
        self.deaths = 0
        self.begun = time.monotonic()
        self.label = {"sent": 0, "done": 0}
        self.guests = {}  # id: "asked", "there", "leaving" or "gone", of bob's further accounts
        link(world, "alice", [LIBRARY])
        link(world, "alice", [LIBRARY], "alice-too")
        link(world, "bob", [LIBRARY])
        link_device(world, [LIBRARY])
        self.alice, self.bob = world.client("alice"), world.client("bob")
        # Each login with who uses it.
        self.users = [
            (self.alice, "user:alice", "main", "alice"),
            (self.alice, "user:alice", "main-2", "alice-too"),
            (self.bob, "user:bob", "main", "bob"),
            (world.client("musicd"), "user:musicd", "device", "carol"),
            (world.client("weatherd"), "user:weatherd", "device", "carol"),
        ]

    def seconds(self):
        return int(time.monotonic() - self.begun)

    def send_take(self, client, account):
        options = {} if account == "device" else {"account": ("s", account)}
        return client.send(NAME, "GetToken", "asa{sv}", ([LIBRARY], options))

    def take_reply(self, client, app, serial):
        """The token's id; None when no token came."""
        try:
            fd, info = client.wait(serial, 20 * self.world.slowness)
        except DBusError as error:
            if error.short not in ("NoReply", "ServiceUnknown", "NameHasNoOwner"):
                raise
            return None
        self.handed.add((app, read_token(fd)))
        os.close(fd)
        return info["token_id"]

    def check_logins(self):
        """Every login works, or its loss was on the trail before anybody asked. Returns the tokens' ids."""
        calls = [(user, self.send_take(user[0], user[2])) for user in self.users]
        ids = {}
        for (client, app, account, customer), serial in calls:
            try:
                ids[app, account] = self.take_reply(client, app, serial)
                assert ids[app, account]
            except DBusError as error:
                assert error.short == "LoginRequired", error
                self.count_loss(app, account, customer)
        return ids

    def count_loss(self, app, account, customer):
        said = read_trail(self.world, account)
        assert any(event == "grant-interrupted" for event, _ in said), said[:20]
        assert any(event == "grant-died" and "interrupted" in detail for event, detail in said), said[:20]
        assert self.loses, f"{account} was lost though its refresh token was not ended"
        self.lost += 1
        self.relink(app, account, customer)

    def relink(self, app, account, customer):
        if account == "device" and app == "user:weatherd":
            return  # musicd's turn has done it
        user, more = ("root", {"owner": "device"}) if account == "device" else (app.removeprefix("user:"), {})
        assert link(self.world, user, [LIBRARY], customer, **more) == account

    def work(self, ids):
        """Calls that will be under way when it dies."""
        sent = []
        for client, app, account, _ in self.users:
            sent += [(client, app, self.send_take(client, account)) for _ in range(2)]
            if ids.get((app, account)) and self.random.random() < 0.3:
                client.send(NAME, "ReportRejected", "s", (ids[app, account],))
            sent.append((client, app, self.send_take(client, account)))
        self.label["sent"] += 1
        rename = self.alice.send(ACCOUNTS, "Rename", "ss", ("main", f"label {self.label['sent']}"))
        removals = {}
        for guest in [name for name, state in self.guests.items() if state == "there"][:1]:
            removals[guest] = self.bob.send(ACCOUNTS, "Remove", "s", (guest,))
            self.guests[guest] = "leaving"
        return sent, rename, removals

    def die(self):
        self.world.broker.kill9()
        wait_until(lambda: not self.world.has_owner(NAME), 10, "the bus to notice")
        self.deaths += 1

    def gather(self, sent, rename, removals):
        """What was answered before it died."""
        for client, app, serial in sent:
            self.take_reply(client, app, serial)
        if self.is_done(self.alice, rename):
            self.label["done"] = self.label["sent"]
        for guest, serial in removals.items():
            if self.is_done(self.bob, serial):
                self.guests[guest] = "gone"
        for client, *_ in self.users:
            client.replies.clear()
            client.signals.clear()

    def is_done(self, client, serial):
        try:
            client.wait(serial, 10)
            return True
        except DBusError as error:
            assert error.short in ("NoReply", "ServiceUnknown"), error
            return False

    def invite(self):
        """bob logs in as somebody else, and it dies somewhere near the end of that."""
        with self.world.client("bob") as client:
            self.world.clients.remove(client)
            login = Login(client, [LIBRARY]).wait_state("waiting")
            self.world.sim.approve(login.code, f"guest{self.deaths}")
            login.wait_state("exchanging", "proving", timeout=10 * self.world.slowness)
            time.sleep(self.random.uniform(0, 0.05))
            self.die()
            try:
                while True:
                    client.receive(0.01)
            except TimeoutError:
                pass
            done = [s for s in client.signals if s.body and s.body[0] == "linked"]
            for signal in done:
                self.guests[signal.body[1]["account"][1]] = "there"

    def check_remains(self):
        remains = Remains(self.world)
        try:
            remains.check_whole()
            remains.check_trail(self.check)
            remains.check_starts()
            remains.check_disclosed(self.handed)
            there = remains.accounts()
        finally:
            remains.close()
        assert {("alice", "main"), ("alice", "main-2"), ("bob", "main"), ("", "device")} <= set(there), there
        label = there["alice", "main"]
        assert self.label["done"] <= int(label.split()[1]) <= self.label["sent"] if " " in label else not self.label["done"]
        for guest, state in list(self.guests.items()):
            assert state != "there" or ("bob", guest) in there, f"{guest} was linked and is gone"
            assert state != "gone" or ("bob", guest) not in there, f"{guest} was removed and is back"
            if state == "gone":
                del self.guests[guest]  # the id may be given again
        for owner, name in there:
            if owner == "bob" and name != "main":
                self.guests[name] = "there"
        for guest, state in list(self.guests.items()):
            if state == "leaving" and ("bob", guest) not in there:
                del self.guests[guest]

    def live_and_die(self):
        self.world.broker.start(wait=False)
        if self.random.random() < 0.15:
            time.sleep(self.random.uniform(0, 0.04))  # it dies while it starts
            self.die()
        else:
            self.world.broker.wait_ready()
            ids = self.check_logins()
            if self.deaths % 25 == 24:
                self.invite()
            else:
                under_way = self.work(ids)
                time.sleep(self.random.uniform(0, 0.06))
                self.die()
                self.gather(*under_way)
        self.check_remains()


# name: (how often, power cut, the provider ends the refresh token that it replaces)
DEATHS = {
    "killed": (500, False, True),
    "killed-and-nothing-lost": (100, False, False),
    "power-cut": (500, True, True),
    "power-cut-and-nothing-lost": (100, True, False),
}


def run(world, name, n, kills_old, seed):
    lives = Lives(world, seed, loses=kills_old)
    world.broker.kill9()
    for _ in range(n):
        lives.live_and_die()
    world.broker.start()
    lives.check_logins()
    check_all(world, lives)
    print(f"\n{name}: {n} deaths, seed {seed}: {lives.lost} logins lost, each explained; {len(lives.handed)} tokens handed out")
    # A loss takes a death between the provider's answer and our commit: the exception.
    assert lives.lost <= n // 4
    assert len(lives.handed) >= n


def shorten_epochs(world):
    """So that many end while it dies."""
    world.write_config(audit={"epoch_seconds": EPOCH_SEC})
    world.broker.stop()
    world.fresh_folder("state")
    world.fresh_folder("conf/keys")
    world.broker.start()


@pytest.mark.slow
@pytest.mark.parametrize("name", DEATHS)
def test_killed_at_any_instant(world, name):
    n, is_cut, kills_old = DEATHS[name]
    seed = int(os.environ.get("LWA_SEED", "3"))
    print(f"seed {seed}")
    settle(world, rotation="new", rotation_kills_old="yes" if kills_old else "no", token_lifetime=1)
    shorten_epochs(world)
    if not is_cut:
        run(world, name, n, kills_old, seed)
        return
    with faulty_disk(world, hold=True, leak_percent=30, seed=seed):
        run(world, name, n, kills_old, seed)
