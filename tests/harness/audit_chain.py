# SPDX-License-Identifier: LGPL-2.1-or-later
"""Verifies a broker's audit trail by other code than the broker's, from what broker/audit-chain.h, audit-encode.c and
audit-keyfile.c say: a check of these, and of what a crash left.

    problems = audit_chain.check(connection, key_file=PATH, secret=TEXT)      [] for a trail that is whole
"""

import hashlib
import struct

HASH, SEAL = 32, 16
EMPTY = bytes(HASH)
TEXTS = (
    "app", "kind", "strength", "unit", "program", "account", "owner", "asked", "carried", "verdict", "decided_by",
    "chain", "detail", "request",
)  # fmt: skip
COLUMNS = (
    "sequence", "epoch", "time_sec", "boot_usec", "boot_id", "event", "uid", "owner_uid", "grant_row", "expires_sec",
    "fingerprint", *TEXTS, "hash", "seal", "repeats", "repeats_epoch", "repeats_seal",
)  # fmt: skip
BLOCK = 4096


def number(value):
    return struct.pack("<Q", value & (2**64 - 1))


def framed(data):
    data = data.encode() if isinstance(data, str) else data or b""
    return number(len(data)) + data


def keyed(key, person, size=32, data=b""):
    return hashlib.blake2b(data, digest_size=size, key=key, person=person).digest()


# --- the construction ---


def encode(record):
    uid = lambda value: number(2**64 - 1 if value is None else value)
    parts = [framed("lwa-broker audit record 1"), number(record["sequence"]), number(record["epoch"])]
    parts += [number(record["time_sec"]), number(record["boot_usec"]), framed(record["boot_id"] or bytes(16))]
    parts += [framed(record["event"]), uid(record["uid"]), uid(record["owner_uid"]), number(record["grant_row"])]
    parts += [number(record["expires_sec"]), framed(record["fingerprint"])]
    return b"".join(parts + [framed(record[name]) for name in TEXTS])


def record_hash(record, previous):
    return hashlib.blake2b(previous + encode(record), digest_size=HASH, person=b"lwa audit record").digest()


def next_key(key):
    return keyed(key, b"lwa audit next  ")


def key_id(key):
    return keyed(key, b"lwa audit key id", 16)[:8].hex()


def seal(key, person, data):
    return keyed(keyed(key, b"lwa audit keyed "), person, SEAL, data)


class Keys:
    """C of an epoch, from the earliest that is known of its chain."""

    def __init__(self, epoch, key):
        self.first, self.last, self.known = epoch, epoch, {epoch: key}

    def of(self, epoch):
        """None for an epoch of before."""
        while self.first <= self.last < epoch:
            self.known[self.last + 1] = next_key(self.known[self.last])
            self.last += 1
        return self.known.get(epoch)


def parse_secret(text):
    """(first epoch, key) of what `lwactl audit setup` shows."""
    word, epoch, key, name = text.strip().split(":")
    assert word == "lwa-audit"
    key = bytes.fromhex(key)
    assert key_id(key) == name and len(key) == 32
    return int(epoch), key


def read_key_file(path):
    """((epoch, first epoch, key) of the latest key, or None; the heads that are there, as (epoch, sequence, hash,
    seal))."""
    with open(path, "rb") as file:
        blocks = [file.read(BLOCK) for _ in range(4)]
    keys, heads = [], []
    for block in blocks[:2]:
        body, checksum = block[:56], block[56:88]
        summed = hashlib.blake2b(body, digest_size=32, person=b"lwa audit keyfil").digest()
        if body[:8] == b"lwakey 1" and checksum == summed:
            keys.append((*struct.unpack("<QQ", body[8:24]), body[24:]))
    for block in blocks[2:]:
        epoch, sequence = struct.unpack("<QQ", block[:16])
        if sequence:
            heads.append((epoch, sequence, block[16:48], block[48:64]))
    return max(keys, default=None), heads


def secret_text(epoch, key):
    """As `lwactl audit setup` shows it."""
    return f"lwa-audit:{epoch}:{key.hex()}:{key_id(key)}"


# --- checking ---


class Check:
    def __init__(self, keys):
        self.keys = keys  # of one or more chains of keys
        self.problems = []
        self.previous = EMPTY
        self.sequence = 0
        self.epoch = 0
        self.ended = True
        self.n_proven = 0
        self.base = 0
        self.pruned = 0  # what a record says that was removed, at least

    def say(self, sequence, what):
        self.problems.append(f"{sequence}: {what}")

    def key_of(self, epoch):
        return next((key for key in (keys.of(epoch) for keys in self.keys) if key), None)

    def fits(self, epoch, person, data, value):
        """True also where no key is known."""
        key = self.key_of(epoch)
        return key is None or seal(key, person, data) == value

    def start(self, base):
        if base is None:
            return
        sequence, hash_, epoch, time_sec, removed, seal_epoch, value = base
        data = number(sequence) + number(epoch) + number(time_sec) + number(removed) + hash_
        if not self.fits(seal_epoch, b"lwa audit base  ", data, value):
            self.say(sequence, "the base's seal")
        self.sequence, self.previous, self.epoch, self.ended = sequence, hash_, epoch, None
        self.base = sequence

    def add_epoch(self, record):
        epoch = record["epoch"]
        if self.ended is False and epoch != self.epoch:
            self.say(record["sequence"], f"epoch {epoch}, and epoch {self.epoch} has no end")
        if self.ended is True and epoch != self.epoch + 1:
            self.say(record["sequence"], f"epoch {epoch} after the end of {self.epoch}")
        if self.ended is None and not self.epoch <= epoch <= self.epoch + 1:
            self.say(record["sequence"], f"epoch {epoch} after what was removed up to {self.epoch}")
        self.epoch, self.ended = epoch, record["event"] == "trail-sealed"

    def add(self, record):
        sequence = record["sequence"]
        if sequence != self.sequence + 1:
            self.say(sequence, f"after {self.sequence}")
        self.sequence = sequence
        if record["hash"] is None:
            if self.previous != EMPTY:
                self.say(sequence, "no hash")
            return
        if record_hash(record, self.previous) != record["hash"]:
            self.say(sequence, "the hash")
        self.add_epoch(record)
        if not self.fits(record["epoch"], b"lwa audit seal  ", record["hash"], record["seal"]):
            self.say(sequence, "the seal")
        again = number(sequence) + number(record["repeats"])
        if record["repeats"] and not self.fits(record["repeats_epoch"], b"lwa audit again ", again, record["repeats_seal"]):
            self.say(sequence, "the seal of its repeats")
        self.n_proven += self.key_of(record["epoch"]) is not None
        self.previous = record["hash"]
        if record["event"] == "trail-pruned":
            self.pruned = max(self.pruned, int(record["detail"].split()[2].rstrip(",")))
        if record["event"] == "trail-damaged":
            self.say(sequence, "the broker reported damage")

    def check_head(self, head, database):
        epoch, sequence, hash_, value = head
        if not self.fits(epoch, b"lwa audit head  ", number(sequence) + hash_, value):
            return  # torn, or of another key: nothing is known by it
        found = database.execute("SELECT hash FROM audit WHERE sequence = ?", (sequence,)).fetchone()
        if sequence > self.sequence or (found and found[0] != hash_):
            self.say(sequence, "the head of the key file is not in the trail")


    def go_on(self, database):
        """From the last record that was looked at: what was found whole before is not looked at again."""
        columns = ", ".join(COLUMNS)
        rows = database.execute(f"SELECT {columns} FROM audit WHERE sequence > ? ORDER BY sequence", (self.sequence,))
        for row in rows:
            self.add(dict(zip(COLUMNS, row, strict=True)))
        return self


BASE = "SELECT sequence, hash, epoch, time_sec, removed, seal_epoch, seal FROM audit_base"


def examine(database, key_file=None, secret=None):
    """A Check of the whole trail that this connection reads. Of a key file the present epoch's seals are checked too,
    of a secret all since its setup."""
    keys, heads = [], []
    if secret:
        keys.append(Keys(*parse_secret(secret)))
    if key_file:
        latest, heads = read_key_file(key_file)
        assert latest, "the key file holds no key"
        keys.append(Keys(latest[0], latest[2]))
    run = Check(keys)
    run.start(database.execute(BASE).fetchone())
    run.go_on(database)
    if run.base > run.pruned:
        run.say(run.base, "records were removed, and no record of that is left")
    for head in heads:
        run.check_head(head, database)
    return run


def check(database, key_file=None, secret=None):
    """What is wrong, in words; [] for nothing."""
    return examine(database, key_file, secret).problems
