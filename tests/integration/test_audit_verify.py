# SPDX-License-Identifier: LGPL-2.1-or-later
"""Audit1.Verify and Audit1.Setup on the real broker and its real database: what was done to the trail is found, and
what cannot be found is said. Besides, tests/harness/audit_chain.py looks at the same trail with other code."""

import contextlib
import os
import pwd
import shutil
import sqlite3
import time

import pytest

import audit_chain
from logins import ACCOUNTS, AUDIT, LIBRARY, PLAYBACK, error_of, link, sealed, settle, take, trail
from world import NO_RATES, DBusError, wait_until


def verify(client, secret=None, head=None):
    options = {"head": ("s", head)} if head else {}
    if secret is None:
        return client.call(AUDIT, "Verify", "a{sv}", (options,))
    with sealed(secret) as fd:
        return client.call(AUDIT, "Verify", "a{sv}", ({"secret": ("h", fd), **options},))


def new_secret(client):
    """(secret, info)"""
    fd, info = client.call(AUDIT, "Setup", "a{sv}", ({},))
    try:
        return os.pread(fd, 4096, 0).decode(), info
    finally:
        os.close(fd)


def kinds(result, damage=True):
    """{kind: sequence of the first of it}"""
    found = {}
    for finding in result["findings"]:
        if finding["damage"] == damage:
            found.setdefault(finding["kind"], finding["sequence"])
    return found


def is_intact(result):
    assert result["verdict"] == "intact" and result["damage"] == 0 and kinds(result) == {}, result
    return result


def is_damaged(result, *any_of, at=None):
    """at: a sequence at which one of these is found."""
    assert result["verdict"] == "damaged" and result["damage"] > 0, result
    found = {(f["kind"], f["sequence"]) for f in result["findings"] if f["damage"]}
    assert any(kind in any_of and at in (None, sequence) for kind, sequence in found), (any_of, at, result["findings"])
    return result


@pytest.fixture
def told(world):
    """A trail that tells of something, and the client of who may read it."""
    world.write_config(limits=NO_RATES)  # to verify is dear
    settle(world)
    link(world, "alice", [LIBRARY, PLAYBACK])
    alice = world.client("alice")
    for scope in (LIBRARY, PLAYBACK):
        take(alice, [scope])
    for n in range(20):
        alice.call(ACCOUNTS, "Rename", "ss", ("main", f"label {n}"))
    with contextlib.suppress(DBusError):
        take(alice, ["profile:user_id"])
    return world


def key_file(world):
    return f"{world.state_dir}/audit.key"


@contextlib.contextmanager
def database(world):
    with contextlib.closing(sqlite3.connect(f"{world.state_dir}/broker.db", isolation_level=None, timeout=20)) as opened:
        yield opened


def give_back(world):
    """The files are the broker's again."""
    owner = pwd.getpwnam("lwa-broker")
    for name in os.listdir(world.state_dir):
        os.chown(f"{world.state_dir}/{name}", owner.pw_uid, owner.pw_gid)


def tamper(world, *statements, live=False):
    """While the broker runs, beside it; or while it is stopped."""
    if not live:
        world.broker.stop()
    with database(world) as opened:
        for sql in statements:
            assert opened.execute(sql).rowcount != 0, sql
        if not live:
            opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    give_back(world)
    if not live:
        world.broker.start()


def own_check(world, secret=None):
    """The other code's opinion."""
    with database(world) as opened:
        return audit_chain.check(opened, key_file(world), secret)


# --- whole ----------------------------------------------------------------------------------------------------


def test_intact(told):
    root = told.client("root")
    result = is_intact(verify(root))
    records = trail(root)
    assert result["first"] == 1 and result["records"] == result["last"] <= len(records)
    assert result["secret"] == "none" and result["unchained"] == 0 and result["removed_up_to"] == 0
    # All of it is of the first epoch, whose key the broker has.
    assert result["proven"] == result["records"] and result["last_epoch"] == 1
    sequence, hash_ = result["head"].split(":")
    assert int(sequence) == result["last"] and records[int(sequence) - 1]["hash"] == hash_
    assert own_check(told) == []
    told.broker.restart()
    is_intact(verify(told.client("root"), head=result["head"]))
    assert own_check(told) == []


def test_setup(told):
    root = told.client("root")
    before = verify(root)["last"]
    secret, info = new_secret(root)
    epoch, key = audit_chain.parse_secret(secret)
    assert info == {"key_id": audit_chain.key_id(key), "epoch": epoch} and epoch == 2
    take(told.client("alice"))
    result = is_intact(verify(root, secret))
    assert result["secret"] == "fits" and result["first_proven_epoch"] == epoch
    assert 0 < result["proven"] <= result["records"] - before
    assert own_check(told, secret) == []
    created = [r for r in trail(root) if r["event"] == "trail-key-created"]
    assert [r["detail"].split()[0] for r in created] == ["first", "setup"]
    assert created[1]["detail"].split()[1] == info["key_id"] and created[1]["app"] == "user:root"
    # The broker has it nowhere.
    for folder in (told.state_dir, told.path("conf/keys")):
        for name in os.listdir(folder):
            with open(f"{folder}/{name}", "rb") as file:
                content = file.read()
            assert key not in content and key.hex().encode() not in content, name
    told.broker.restart()
    is_intact(verify(told.client("root"), secret))


def test_each_secret_proves_its_part(told):
    root, alice = told.client("root"), told.client("alice")
    first, _ = new_secret(root)
    alice.call(ACCOUNTS, "Rename", "ss", ("main", "between"))
    between = verify(root)["last"]
    second, info = new_secret(root)
    alice.call(ACCOUNTS, "Rename", "ss", ("main", "after"))
    of_first, of_second = is_intact(verify(root, first)), is_intact(verify(root, second))
    assert of_first["last_proven_epoch"] < of_second["first_proven_epoch"] == info["epoch"]
    assert of_second["last_proven_epoch"] == of_second["last_epoch"]
    tamper(told, f"UPDATE audit SET detail = 'x' WHERE sequence = {between}", live=True)
    for secret in (first, second):
        is_damaged(verify(root, secret), "altered", at=between)


# --- altered --------------------------------------------------------------------------------------------------

COLUMNS = {
    "time": "time_sec = time_sec - 1", "event": "event = 'token-denied'", "unknown-event": "event = 'token-lost'",
    "uid": "uid = 4242", "no-uid": "uid = NULL", "wide-uid": "uid = uid + 4294967296", "app": "app = 'user:bob'",
    "kind": "kind = 'unit'", "strength": "strength = 'label'", "account": "account = 'other'", "owner": "owner = 'bob'",
    "owner-uid": "owner_uid = 4242", "asked": "asked = ''", "carried": "carried = carried || ' profile'",
    "verdict": "verdict = 'deny'", "decided-by": "decided_by = 'me'", "detail": "detail = 'x'", "chain": "chain = 'x'",
    "unit": "unit = 'x'", "program": "program = '/bin/x'", "request": "request = 'x'", "grant": "grant_row = 77",
    "expires": "expires_sec = expires_sec + 1", "token": "fingerprint = zeroblob(16)", "no-token": "fingerprint = NULL",
    "long-token": "fingerprint = CAST(fingerprint || x'00' AS BLOB)", "boot": "boot_usec = boot_usec + 1",
    "boot-id": "boot_id = zeroblob(16)", "epoch": "epoch = epoch + 1", "far-epoch": "epoch = 9223372036854775807",
    "hash": "hash = zeroblob(32)", "short-hash": "hash = x'00'", "no-hash": "hash = NULL", "repeats": "repeats = 5",
    "negative-repeats": "repeats = -1", "hidden": "detail = detail || char(0) || 'more'", "bytes": "app = CAST(x'ff' AS TEXT)",
}  # fmt: skip
KINDS_OF_ALTERATION = ("altered", "unsealed", "repeats", "epoch", "seal", "order")


def test_every_column(told):
    """Of one record in the middle, each field in turn, and back again: beside the running broker."""
    root = told.client("root")
    (middle,) = [r["sequence"] for r in trail(root, "token-disclosed")][:1]
    with database(told) as opened:
        names = [row[1] for row in opened.execute("PRAGMA table_info (audit)")]
        row = opened.execute("SELECT * FROM audit WHERE sequence = ?", (middle,)).fetchone()
        back = f"UPDATE audit SET {', '.join(f'{name} = ?' for name in names)} WHERE sequence = {middle}"
        touched = set()
        for case, change in COLUMNS.items():
            opened.execute(f"UPDATE audit SET {change} WHERE sequence = {middle}")
            result = verify(root)
            assert result["verdict"] == "damaged", case
            assert set(kinds(result)) & set(KINDS_OF_ALTERATION), (case, result)
            assert middle in [f["sequence"] for f in result["findings"]] or "far-epoch" in case, (case, result)
            opened.execute(back, row)
            touched.add(change.split()[0])
    # All but its number, and what only a key can tell.
    assert set(names) - touched == {"sequence", "seal", "repeats_epoch", "repeats_seal"}
    is_intact(verify(root))


STATEMENTS = {
    "deleted": ("DELETE FROM audit WHERE sequence = {n}", "gap"),
    "several-deleted": ("DELETE FROM audit WHERE sequence BETWEEN {n} - 3 AND {n}", "gap"),
    "first-deleted": ("DELETE FROM audit WHERE sequence = 1", "gap"),
    "first-ones-deleted": ("DELETE FROM audit WHERE sequence <= {n}", "gap"),
    "newest-deleted": ("DELETE FROM audit WHERE sequence >= {last}", "truncated"),
    "newest-ones-deleted": ("DELETE FROM audit WHERE sequence > {n}", "truncated"),
    "all-deleted": ("DELETE FROM audit", "truncated"),
    "moved": ("UPDATE audit SET sequence = {last} + 9 WHERE sequence = {n}", "gap"),
    "swapped": (
        "UPDATE audit SET sequence = -1 WHERE sequence = {n}; UPDATE audit SET sequence = {n} WHERE sequence = {n} + 1;"
        " UPDATE audit SET sequence = {n} + 1 WHERE sequence = -1", "altered"),
    "doubled": (
        "INSERT INTO audit SELECT {last} + 1, * FROM (SELECT {others} FROM audit WHERE sequence = {n})", "altered"),
    "put-in": (
        "INSERT INTO audit (sequence, time_sec, event, app, kind, strength, account, owner, asked, carried, verdict,"
        " decided_by, detail, grant_row, expires_sec) SELECT max(sequence) + 1, 0, 'token-denied', '', '', '', '', '', '',"
        " '', '', '', '', 0, 0 FROM audit", "unsealed"),
    "pretended-pruning": (
        "INSERT INTO audit_base SELECT 1, sequence, hash, epoch, time_sec, sequence, epoch, zeroblob(16) FROM audit WHERE"
        " sequence = {n}; DELETE FROM audit WHERE sequence <= {n}", "base"),
    "pretended-base": (
        "INSERT INTO audit_base SELECT 1, sequence, hash, epoch, time_sec, sequence, epoch, zeroblob(16) FROM audit WHERE"
        " sequence = {n}", "base"),
}  # fmt: skip


def run_statements(world, case, live):
    """(where, kind) of what was done."""
    script, kind = STATEMENTS[case]
    if not live:
        world.broker.stop()
    with database(world) as opened:
        names = [row[1] for row in opened.execute("PRAGMA table_info (audit)") if row[1] != "sequence"]
        (n,) = opened.execute("SELECT sequence FROM audit WHERE event = 'token-disclosed' ORDER BY 1").fetchone()
        (last,) = opened.execute("SELECT max(sequence) FROM audit").fetchone()
        for sql in script.split(";"):
            sql = sql.format(n=n, last=last, others=", ".join(names))
            if "doubled" == case:
                sql = sql.replace("INSERT INTO audit SELECT", f"INSERT INTO audit (sequence, {', '.join(names)}) SELECT")
            assert opened.execute(sql).rowcount != 0, sql
        if not live:
            opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    give_back(world)
    return n, kind


@pytest.mark.parametrize("case", STATEMENTS)
def test_beside_the_running_broker(told, case):
    root = told.client("root")
    is_intact(verify(root))
    _, kind = run_statements(told, case, live=True)
    is_damaged(verify(root), kind)


@pytest.mark.parametrize("case", STATEMENTS)
def test_while_it_was_stopped(told, case):
    """What its memory knew is lost: the key file has it too. The broker serves, and the damage is not forgotten."""
    secret, _ = new_secret(told.client("root"))
    told.client("alice").call(ACCOUNTS, "Rename", "ss", ("main", "later"))
    run_statements(told, case, live=False)
    assert own_check(told, secret) != []
    told.broker.start()
    take(told.client("alice"))
    for _ in range(2):
        root = told.client("root")
        result = verify(root)
        assert result["verdict"] == "damaged", result
        assert own_check(told, secret) != []
        told.broker.restart()


# --- sealed ---------------------------------------------------------------------------------------------------


def rewrite(world, keys, change):
    """What somebody does who has the machine: the trail anew, with hashes that fit, and seals of the keys he has
    (audit_chain.Keys). change: a function of a record, which it alters; true: leave it out."""
    with database(world) as opened:
        columns = ", ".join(audit_chain.COLUMNS)
        rows = opened.execute(f"SELECT {columns} FROM audit ORDER BY sequence").fetchall()
        previous, shift = audit_chain.EMPTY, 0
        opened.execute("BEGIN")
        opened.execute("DELETE FROM audit")
        for row in rows:
            record = dict(zip(audit_chain.COLUMNS, row, strict=True))
            if change(record):
                shift += 1
                continue
            record["sequence"] -= shift
            record["hash"] = previous = audit_chain.record_hash(record, previous)
            key = keys.of(record["epoch"]) if keys else None
            if key:
                record["seal"] = audit_chain.seal(key, b"lwa audit seal  ", record["hash"])
            marks = ", ".join("?" * len(record))
            opened.execute(f"INSERT INTO audit ({', '.join(record)}) VALUES ({marks})", list(record.values()))
        opened.execute("COMMIT")
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    give_back(world)


def accuse_bob(record):
    if record["event"] == "token-disclosed":
        record["app"] = "user:bob"


def leave_out(record):
    return record["event"] == "token-disclosed"


@pytest.fixture
def old(told):
    """(world, secret): what is told is of epochs that are over. Only the second setup's epoch is the present one."""
    root = told.client("root")
    secret, _ = new_secret(root)
    alice = told.client("alice")
    alice.call(ACCOUNTS, "Rename", "ss", ("main", "in the epoch"))
    told.broker.stop()
    told.write_config(limits=NO_RATES, audit={"epoch_seconds": 10})
    told.broker.start()
    told.client("alice").call(ACCOUNTS, "Rename", "ss", ("main", "that ends"))
    take(told.client("alice"), [PLAYBACK])
    epoch = verify(told.client("root"))["last_epoch"]
    wait_until(lambda: verify(told.client("root"))["last_epoch"] > epoch or renamed(told), 40, "the next epoch")
    return told, secret


def renamed(world):
    """Something to record, so that the next epoch begins."""
    world.client("alice").call(ACCOUNTS, "Rename", "ss", ("main", "and on"))
    world.close_clients()


@pytest.mark.parametrize("change", [accuse_bob, leave_out])
def test_a_trail_that_was_written_anew(old, change):
    """Who has the machine has the present key, and no other: with the secret what he did is found. Without it, it is
    not, and that is said."""
    world, secret = old
    is_intact(verify(world.client("root"), secret))
    world.broker.stop()
    (epoch, _, key), _ = audit_chain.read_key_file(key_file(world))
    rewrite(world, audit_chain.Keys(epoch, key), change)
    forget_head(world)
    assert own_check(world, secret) != []
    world.broker.start()
    root = world.client("root")
    is_damaged(verify(root, secret), "seal")
    without = verify(root)
    assert without["secret"] == "none" and "seal" not in kinds(without)


def forget_head(world):
    """As who writes the trail anew would: the heads in the key file are cleared."""
    with open(key_file(world), "r+b") as file:
        file.seek(2 * audit_chain.BLOCK)
        file.write(bytes(2 * audit_chain.BLOCK))


def test_the_present_epoch_is_not_proven(old):
    """What is documented: who has the present key can still change what was recorded under it."""
    world, secret = old
    world.broker.stop()
    (epoch, _, key), _ = audit_chain.read_key_file(key_file(world))

    def change(record):
        if record["epoch"] == epoch and record["event"] == "account-renamed":
            record["detail"] = "x"

    rewrite(world, audit_chain.Keys(epoch, key), change)
    forget_head(world)
    world.broker.start()
    is_intact(verify(world.client("root"), secret))


# --- put back -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def copies(world, *names):
    """Of these files of the state as they are now; yields what puts them back."""
    world.broker.stop()
    folder = world.path("copies")
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    for name in names:
        shutil.copy2(f"{world.state_dir}/{name}", folder)
    world.broker.start()

    def put_back():
        world.broker.stop()
        for name in ("broker.db-wal", "broker.db-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{world.state_dir}/{name}")
        for name in names:
            shutil.copy2(f"{folder}/{name}", world.state_dir)
        give_back(world)
        world.broker.start()

    yield put_back
    shutil.rmtree(folder)


def test_an_older_database(told):
    with copies(told, "broker.db") as put_back:
        told.client("alice").call(ACCOUNTS, "Rename", "ss", ("main", "later"))
        head = verify(told.client("root"))["head"]
        put_back()
    result = verify(told.client("root"))
    assert result["verdict"] == "damaged" and set(kinds(result)) & {"reported", "gap", "truncated"}, result
    is_damaged(verify(told.client("root"), head=head), "head")
    take(told.client("alice"))


def test_an_older_database_with_its_key_file(told):
    """Nothing on the machine knows better: only a head that was kept elsewhere does. With the secret, too, it is
    intact: it is what it once was."""
    secret, _ = new_secret(told.client("root"))
    with copies(told, "broker.db", "audit.key") as put_back:
        told.client("alice").call(ACCOUNTS, "Rename", "ss", ("main", "later"))
        head = verify(told.client("root"))["head"]
        put_back()
    root = told.client("root")
    is_intact(verify(root))
    is_intact(verify(root, secret))
    is_damaged(verify(root, head=head), "head", at=int(head.split(":")[0]))
    is_damaged(verify(root, secret, head=head), "head")


@pytest.mark.parametrize("how", ["deleted", "garbage", "another"])
def test_key_file(told, how):
    """A new chain of keys begins, and the trail says so; the secret still proves what was before."""
    root = told.client("root")
    secret, _ = new_secret(root)
    told.client("alice").call(ACCOUNTS, "Rename", "ss", ("main", "before"))
    proven = verify(root, secret)["proven"]
    told.broker.stop()
    if how == "deleted":
        os.unlink(key_file(told))
    elif how == "garbage":
        with open(key_file(told), "r+b") as file:
            file.write(os.urandom(2 * audit_chain.BLOCK))
    else:
        replace_key(told)
    told.broker.start()
    told.client("alice").call(ACCOUNTS, "Rename", "ss", ("main", "after"))
    root = told.client("root")
    result = is_damaged(verify(root, secret), "key-lost")
    assert result["secret"] == "fits" and result["proven"] >= proven
    is_damaged(verify(root), "key-lost")
    # From a new setup on it can be proven again. What was is not forgotten.
    again, info = new_secret(root)
    result = is_damaged(verify(root, again), "key-lost")
    assert result["secret"] == "fits" and result["first_proven_epoch"] == info["epoch"]


def replace_key(world):
    """By one of the same epoch, made of nothing."""
    (epoch, _, _), _ = audit_chain.read_key_file(key_file(world))
    body = b"lwakey 1" + audit_chain.number(epoch) + audit_chain.number(epoch) + os.urandom(32)
    body += audit_chain.hashlib.blake2b(body, digest_size=32, person=b"lwa audit keyfil").digest()
    with open(key_file(world), "r+b") as file:
        file.write(body.ljust(audit_chain.BLOCK, b"\0") + bytes(3 * audit_chain.BLOCK))


# --- secrets that are none ------------------------------------------------------------------------------------


def test_secret_of_another_trail(told):
    root = told.client("root")
    new_secret(root)
    told.client("alice").call(ACCOUNTS, "Rename", "ss", ("main", "later"))
    for epoch in (1, 2, 900):
        other = audit_chain.secret_text(epoch, os.urandom(32))
        result = is_damaged(verify(root, other), "secret")
        assert result["secret"] == "other"
        # The rest is as without one.
        assert set(kinds(result)) == {"secret"} and result["proven"] == verify(root)["proven"]


def test_wrong_secrets(told):
    root = told.client("root")
    secret, _ = new_secret(root)
    word, epoch, key, name = secret.split(":")
    wrong = [
        "x", word, f"{word}:{epoch}:{key}", f"{word}:{epoch}:{key[:-1]}:{name}", f"{word}:{epoch}:{key}:{name}0",
        f"{word}:{epoch}:{key[:-1] + ('0' if key[-1] != '0' else '1')}:{name}", f"{word}:0:{key}:{name}",
        f"{word}:-1:{key}:{name}", f"{word}:99999999999999999999:{key}:{name}", f"lwa-secret:{epoch}:{key}:{name}",
        f"{secret}:", f"{secret} ", secret + "x" * 2000, secret.encode() + b"\0", b"\xff" * 20,
    ]  # fmt: skip
    for text in wrong:
        error = error_of(verify, root, text)
        assert error.short == "InvalidArgument" and key not in error.message, text
    is_intact(verify(root, secret + "\n"))
    with open(os.devnull, "rb") as file:
        args = ({"secret": ("h", file.fileno())},)
        assert error_of(root.call, AUDIT, "Verify", "a{sv}", args).short == "InvalidArgument"
    for head in ("", "1", "1:", ":" + "a" * 64, "0:" + "a" * 64, "1:" + "g" * 64, "1:" + "a" * 63, "-1:" + "a" * 64):
        args = ({"head": ("s", head)},)
        assert error_of(root.call, AUDIT, "Verify", "a{sv}", args).short == "InvalidArgument", head
    for options in ({"key": ("s", "x")}, {"secret": ("s", secret)}):
        assert error_of(root.call, AUDIT, "Verify", "a{sv}", (options,)).short == "InvalidArgument"
        assert error_of(root.call, AUDIT, "Setup", "a{sv}", (options,)).short == "InvalidArgument"
    is_damaged(verify(root, head="2:" + "a" * 64), "head", at=2)
    is_damaged(verify(root, head="999999:" + "a" * 64), "head", at=999999)


def test_who_may(told):
    alice, root = told.client("alice"), told.client("root")
    assert error_of(verify, alice).short == "ConsentRequired"
    assert error_of(new_secret, alice).short == "ConsentRequired"
    rule = 'polkit.addRule(function(a, s) { if (a.id === "org.lwabroker.%s") return polkit.Result.%s; });'
    told.write_rule("05-audit", rule % ("audit.read", "YES"))
    is_intact(verify(alice))
    assert error_of(new_secret, alice).short == "ConsentRequired"
    told.write_rule("05-audit", rule % ("keys.manage", "NO"))
    assert error_of(new_secret, alice).short == "AccessDenied"
    assert [r["detail"].split()[0] for r in trail(root, "trail-key-created")] == ["first"]


# --- a long trail, and what goes on meanwhile -------------------------------------------------------------------

DEFAULTS = {name: "" for name in audit_chain.TEXTS} | {
    "time_sec": 1, "boot_usec": 1, "boot_id": bytes(16), "event": "token-denied", "uid": None, "owner_uid": None,
    "grant_row": 0, "expires_sec": 0, "fingerprint": None, "repeats": 0, "repeats_epoch": 0, "repeats_seal": None,
}  # fmt: skip


def extend(world, n, **of_last):
    """n more records, made as the broker would make them in its present epoch."""
    world.broker.stop()
    (epoch, _, key), _ = audit_chain.read_key_file(key_file(world))
    with database(world) as opened:
        sequence, previous = opened.execute("SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1").fetchone()
        opened.execute("BEGIN")
        for i in range(n):
            sequence += 1
            record = DEFAULTS | {"sequence": sequence, "epoch": epoch, "app": f"user:app{i % 50}"}
            record |= of_last if i == n - 1 else {}
            record["hash"] = previous = audit_chain.record_hash(record, previous)
            record["seal"] = audit_chain.seal(key, b"lwa audit seal  ", previous)
            marks = ", ".join("?" * len(record))
            opened.execute(f"INSERT INTO audit ({', '.join(record)}) VALUES ({marks})", list(record.values()))
        opened.execute("COMMIT")
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    give_back(world)
    forget_head(world)
    world.broker.start()


def test_each_slice(told):
    """A slice is 4096 records: what is missing is found where slices meet, too."""
    extend(told, 13000)
    root = told.client("root")
    result = is_intact(verify(root))
    assert result["records"] > 13000 and result["proven"] == result["records"]
    with database(told) as opened:
        for sequence in (4095, 4096, 4097, 4098, 8192, 8193, result["last"] - 1):
            row = opened.execute("SELECT * FROM audit WHERE sequence = ?", (sequence,)).fetchone()
            opened.execute("DELETE FROM audit WHERE sequence = ?", (sequence,))
            is_damaged(verify(root), "gap", at=sequence + 1)
            opened.execute(f"INSERT INTO audit VALUES ({', '.join('?' * len(row))})", row)
        opened.execute("UPDATE audit SET app = 'x' WHERE sequence > 1000 AND sequence % 3 = 0")
        many = verify(root)
    assert many["damage"] >= 4000 and len(many["findings"]) <= 103


def test_while_it_is_written(told):
    """Neither what is recorded meanwhile, nor an epoch that ends, is damage."""
    told.broker.stop()
    told.write_config(limits=NO_RATES, audit={"epoch_seconds": 10})
    told.broker.start()
    extend(told, 9000)
    root, alice = told.client("root"), told.client("alice")
    began = verify(root)["last_epoch"]
    ended, n = began, 0
    while ended < began + 2:
        calls = [alice.send(ACCOUNTS, "Rename", "ss", ("main", f"label {n} {i}")) for i in range(20)]
        ended = is_intact(verify(root))["last_epoch"]
        for call in calls:
            alice.wait(call)
        n += 1


def test_beside_retention(told):
    """Records that are removed before they were read are no damage, since that was said; and what is not read is not
    believed: it begins again with what is left."""
    n = 60000
    extend(told, n, event="trail-pruned", detail=f"up to {n - 100}, by age")
    (epoch, _, key), _ = audit_chain.read_key_file(key_file(told))
    root = told.client("root")
    is_intact(verify(root))
    with database(told) as opened:
        call = root.send(AUDIT, "Verify", "a{sv}", ({},))
        for up_to in range(5000, n - 100, 5000):
            hash_, = opened.execute("SELECT hash FROM audit WHERE sequence = ?", (up_to,)).fetchone()
            data = b"".join(audit_chain.number(value) for value in (up_to, epoch, 1, up_to)) + hash_
            base = (1, up_to, hash_, epoch, 1, up_to, epoch, audit_chain.seal(key, b"lwa audit base  ", data))
            opened.execute("BEGIN IMMEDIATE")
            opened.execute("REPLACE INTO audit_base VALUES (?, ?, ?, ?, ?, ?, ?, ?)", base)
            opened.execute("DELETE FROM audit WHERE sequence <= ?", (up_to,))
            opened.execute("COMMIT")
        result = is_intact(root.wait(call))
        removed = opened.execute("SELECT sequence FROM audit_base").fetchone()[0]
    result = is_intact(verify(root))
    assert result["removed_up_to"] == removed and result["first"] == removed + 1
    assert kinds(result, damage=False).keys() >= {"pruned"}
    with database(told) as opened:
        opened.execute("UPDATE audit_base SET sequence = sequence - 1")
    is_damaged(verify(root), "base", "gap", "altered")


def test_who_leaves_is_not_waited_for(told):
    """Several are asked for and given up: the next one takes about as long as one alone."""
    extend(told, 80000)
    root = told.client("root")
    began = time.monotonic()
    verify(root)
    alone = time.monotonic() - began
    for _ in range(8):
        client = told.client("root")
        client.send(AUDIT, "Verify", "a{sv}", ({},))
        client.close()
        told.clients.remove(client)
    began = time.monotonic()
    is_intact(verify(root))
    assert time.monotonic() - began < 5 * alone


def test_an_index_that_lies(told):
    """The records are all there, and a list of one app's would lack one: an index was altered."""
    is_intact(verify(told.client("root")))
    told.broker.stop()
    with database(told) as opened:
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = opened.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'audit_by_app'").fetchone()
        (size,) = opened.execute("PRAGMA page_size").fetchone()
    with open(f"{told.state_dir}/broker.db", "r+b") as file:
        file.seek((page - 1) * size)
        content = bytearray(file.read(size))
        at = content.index(b"user:alice")
        content[at : at + 10] = b"user:alicf"
        file.seek((page - 1) * size)
        file.write(content)
    give_back(told)
    told.broker.start()
    is_damaged(verify(told.client("root")), "database")


# --- lwactl ---------------------------------------------------------------------------------------------------


def test_lwactl(told):
    lwactl, path = told.program("lwactl"), told.path("a-secret")
    run = lambda user, *arguments: told.run_as(user, [lwactl, "audit", *arguments])
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    made = run("root", "setup", "--output", path)
    assert made.returncode == 0, made.stderr
    with open(path) as file:
        secret = file.read()
    audit_chain.parse_secret(secret)
    for arguments in ([], ["--secret", path]):
        verified = run("root", "verify", *arguments)
        assert verified.returncode == 0 and "intact" in verified.stdout, verified
    head = verified.stdout.splitlines()[-1]
    again = run("root", "setup", "--output", path + "-2")
    assert again.returncode == 2 and "--yes" in again.stderr and not os.path.exists(path + "-2")
    assert run("alice", "verify").returncode == 4
    assert run("alice", "setup", "--output", told.path("alices"), "--yes").returncode != 0
    tamper(told, "UPDATE audit SET verdict = 'deny' WHERE event = 'token-disclosed'", live=True)
    for arguments in ([], ["--secret", path], ["--head", head]):
        verified = run("root", "verify", *arguments)
        assert verified.returncode == 1 and "altered" in verified.stdout, verified
    os.unlink(path)
