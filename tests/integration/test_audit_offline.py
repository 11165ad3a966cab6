# SPDX-License-Identifier: LGPL-2.1-or-later
"""lwa-audit-verify: exports made here, by other code than the broker's (harness/audit_chain.py), spoiled in each way, and
a real one."""

import json
import os
import subprocess

import pytest

import audit_chain
from logins import LIBRARY, link, settle, take

BUILD = os.environ.get("LWA_BUILD", "build")
INTACT, DAMAGED, USAGE = 0, 1, 2
HOSTILE = "\x1b]0;owned\x07\x1b[31m\u202e<script>"


def encode_json(record):
    """As broker/audit1-record.c has it."""
    hexed = lambda value: value.hex() if value else ""
    line = {
        "sequence": record["sequence"], "time": record["time_sec"], "event": record["event"], "grant": record["grant_row"],
        "expires_at": record["expires_sec"], "token": hexed(record["fingerprint"]), "boot_time": record["boot_usec"],
        "boot_id": hexed(record["boot_id"]), "epoch": record["epoch"], "hash": hexed(record["hash"]),
        "seal": hexed(record["seal"]), "repeats": record["repeats"], "repeats_epoch": record["repeats_epoch"],
        "repeats_seal": hexed(record["repeats_seal"]),
    }  # fmt: skip
    line |= {name: record[name] for name in audit_chain.TEXTS}
    return line | {name: record[name] for name in ("uid", "owner_uid") if record[name] is not None}


class Trail:
    """A trail of `n` records in epochs of eight; `lines` is what would be exported."""

    def __init__(self, n=30):
        self.key = bytes(range(32))
        self.secret = audit_chain.secret_text(1, self.key)
        self.epoch, self.present, self.previous = 1, self.key, audit_chain.EMPTY
        self.lines = []
        self.add("trail-key-created", detail=f"first {audit_chain.key_id(self.key)}")
        while len(self.lines) < n:
            self.add("trail-sealed" if len(self.lines) % 8 == 7 else "token-disclosed")

    def add(self, event, **fields):
        record = dict.fromkeys(audit_chain.TEXTS, "") | {
            "sequence": len(self.lines) + 1, "epoch": self.epoch, "time_sec": 1764000000 + len(self.lines), "event": event,
            "boot_usec": 1000000 * len(self.lines), "boot_id": b"b" * 16, "uid": None, "owner_uid": None, "grant_row": 0,
            "expires_sec": 0, "fingerprint": None, "repeats": 0, "repeats_epoch": 0, "repeats_seal": None,
        }  # fmt: skip
        if event == "token-disclosed":
            record |= {"app": "user:musicd", "uid": 1001, "grant_row": 3, "fingerprint": b"f" * 16, "request": HOSTILE}
        record |= fields
        record["hash"] = audit_chain.record_hash(record, self.previous)
        record["seal"] = audit_chain.seal(self.present, b"lwa audit seal  ", record["hash"])
        self.previous = record["hash"]
        self.lines.append(encode_json(record))
        if event == "trail-sealed":
            self.epoch, self.present = self.epoch + 1, audit_chain.next_key(self.present)

    def head(self, n=-1):
        return f"{self.lines[n]['sequence']}:{self.lines[n]['hash']}"


def text_of(lines):
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def verify(export, *arguments, status, secret=None, tmp_path=None):
    """Standard output and error, of which neither can drive a terminal."""
    if secret:
        (tmp_path / "secret").write_text(secret)
        arguments = ("--secret", str(tmp_path / "secret"), *arguments)
    if not isinstance(export, bytes):
        export = text_of(export)
    program = os.path.join(BUILD, "lwa-audit-verify")
    done = subprocess.run([program, *arguments], input=export, capture_output=True, timeout=120, check=False)
    text = (done.stdout + done.stderr).decode("ascii")
    assert not [c for c in text if c < " " and c != "\n"], text
    assert done.returncode == status, text
    return text


# --- what it says ---


def test_good_export(tmp_path):
    trail = Trail()
    plain = verify(trail.lines, status=INTACT)
    assert "30 records, 1 to 30" in plain and "2025-11-24 16:00:29 UTC, in epoch 4" in plain
    assert "were sealed" not in plain and "only the\n  verification secret tells" in plain
    assert f"  {trail.head()}\n" in plain
    proven = verify(trail.lines, status=INTACT, secret=trail.secret, tmp_path=tmp_path)
    assert "30 records, of epochs 1 to 4, were sealed" in proven and "epoch 4, the last one" in proven
    noted = verify(trail.lines, "--head", trail.head(20), status=INTACT)
    assert "Record 21 is the one that was noted" in noted and "after record 21" in noted


def test_secret_from_standard_input_and_file(tmp_path):
    trail = Trail()
    (tmp_path / "export").write_bytes(text_of(trail.lines))
    text = verify(trail.secret.encode() + b"\n", "--secret", "-", str(tmp_path / "export"), status=INTACT)
    assert "30 records, of epochs 1 to 4" in text
    assert "30 records" in verify(b"", str(tmp_path / "export"), status=INTACT)
    assert "30 records" in verify(trail.lines, "-", status=INTACT)


def test_parts_of_a_trail(tmp_path):
    trail = Trail()
    text = verify(trail.lines[10:], status=INTACT, secret=trail.secret, tmp_path=tmp_path)
    assert "19 records, of epochs 2 to 4" in text and "from record 11 on" in text
    text = verify(trail.lines[10:], "--after", trail.head(9), status=INTACT, secret=trail.secret, tmp_path=tmp_path)
    assert "20 records, of epochs 2 to 4" in text
    assert "altered" in verify(trail.lines[10:], "--after", f"10:{'0' * 64}", status=DAMAGED)
    assert "gap" in verify(trail.lines[11:], "--after", trail.head(9), status=DAMAGED)
    early = verify(trail.lines[:12], status=INTACT, secret=audit_chain.secret_text(4, trail.key), tmp_path=tmp_path)
    assert "for epochs from 4 on" in early


def test_a_trail_of_other_keys_is_not_intact(tmp_path):
    """Whoever begins with a setup of his own, in the place of what was, has no record that the secret is for."""
    for how in ("setup", "first"):
        trail, forged = Trail(), Trail()
        forged.lines = []
        forged.add("trail-key-created", sequence=31, detail=f"{how} 0123456789abcdef")
        forged.add("token-disclosed", sequence=32)
        text = verify(forged.lines, status=USAGE, secret=trail.secret, tmp_path=tmp_path)
        assert "nothing of this trail is proven by the secret" in text


def spoil(trail, what):
    lines, middle = trail.lines, trail.lines[13]
    changes = {
        "altered": lambda: middle.update(app="user:other"),
        "gap": lambda: lines.pop(13),
        "order": lambda: lines.insert(14, lines.pop(13)),
        "epoch": lambda: trail.add("trail-sealed") or trail.add("token-disclosed", epoch=trail.epoch + 1),
        "unsealed": lambda: middle.update(hash="", seal=""),
        "key-lost": lambda: trail.add("trail-sealed") or trail.add("trail-key-created", detail="lost 0123456789abcdef"),
        "reported": lambda: trail.add("trail-damaged"),
        "repeats": lambda: middle.update(repeats=3),
    }
    changes[what]()


@pytest.mark.parametrize("what", ["altered", "gap", "order", "epoch", "unsealed", "key-lost", "reported", "repeats"])
def test_damage(what):
    trail = Trail()
    spoil(trail, what)
    text = verify(trail.lines, status=DAMAGED)
    assert "THE TRAIL IS DAMAGED" in text and f"\n  {what:9}  " in text
    assert "Note this elsewhere" not in text


def test_truncated_and_another_head():
    trail = Trail()
    assert "records 21 to 30 are missing at the end" in verify(trail.lines[:20], "--head", trail.head(), status=DAMAGED)
    assert "altered" in verify(trail.lines, "--head", f"12:{'0' * 64}", status=DAMAGED)


def test_only_the_secret_sees_what_was_made_anew(tmp_path):
    """By one who has the database, but no key of then."""
    trail = Trail()
    forged = Trail()
    forged.key = bytes(32)
    forged.lines = [line | {"seal": trail.lines[i]["seal"]} for i, line in enumerate(forged.lines)]
    previous = bytes.fromhex(forged.lines[9]["hash"])
    for line in forged.lines[10:]:
        line["app"] = "user:other"
        fields = {name: line[name] for name in (*audit_chain.TEXTS, "sequence", "epoch", "event")}
        record = fields | {
            "time_sec": line["time"], "boot_usec": line["boot_time"], "boot_id": bytes.fromhex(line["boot_id"]),
            "uid": line.get("uid"), "owner_uid": line.get("owner_uid"), "grant_row": line["grant"],
            "expires_sec": line["expires_at"], "fingerprint": bytes.fromhex(line["token"]),
        }  # fmt: skip
        previous = audit_chain.record_hash(record, previous)
        line["hash"] = previous.hex()
    verify(forged.lines, status=INTACT)
    text = verify(forged.lines, status=DAMAGED, secret=trail.secret, tmp_path=tmp_path)
    assert "20 findings, the first at record 11" in text and "record 11 was not sealed in epoch 2" in text
    text = verify(forged.lines, "--head", trail.head(15), status=DAMAGED)
    assert "record 16 is not the one that was noted" in text


def test_secret_of_another_trail(tmp_path):
    trail = Trail()
    text = verify(trail.lines, status=DAMAGED, secret=audit_chain.secret_text(1, b"x" * 32), tmp_path=tmp_path)
    assert "not one seal fits" in text and "1 finding, " in text


# --- what others wrote ---


def mangle(text):
    """The text in place of the fourteenth line."""
    lines = text_of(Trail().lines).split(b"\n")
    return b"\n".join([*lines[:13], text, *lines[14:]])


def changed(**fields):
    return json.dumps(Trail().lines[13] | fields).encode()


LINE = json.dumps(Trail().lines[13]).encode()
UNREADABLE = {
    "no-json": b"hello", "array": b"[]", "cut": LINE[:-5], "twice": LINE[:-1] + b', "app": "user:musicd"}',
    "escaped-twice": LINE[:-1] + b', "\\u0061pp": "user:musicd"}', "nul": LINE[:-1] + b"\0}", "nul-escape": changed(app="a\0b"),
    "nested": b'{"app":' * 5000 + b"1" + b"}" * 5000, "deep": b"[" * 100000, "long": b'{"app": "' + b"a" * 3000000 + b'"}',
    "unknown": changed(note="believe me"), "number-as-text": changed(sequence="14"), "text-as-number": changed(app=5),
    "negative": changed(sequence=-14), "zero": changed(sequence=0), "huge": changed(grant=2**63), "float": changed(time=1.5),
    "no-user": changed(uid=2**32 - 1), "large-user": changed(uid=2**32 + 1001), "event": changed(event=HOSTILE),
    "hash": changed(hash="00"), "upper": changed(hash="AA" * 32), "no-seal": changed(seal=""),
    "repeats-seal": changed(repeats_seal="00" * 16), "null": changed(app=None), "terminal": HOSTILE.encode(),
    "not-utf-8": LINE.replace(b"user:musicd", b"user:\xff\xfe"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNREADABLE)
def test_hostile_line(name):
    text = verify(mangle(UNREADABLE[name]), status=DAMAGED)
    assert "what stands after record 13 cannot be read" in text and "1 finding, the first at record 13" in text


@pytest.mark.parametrize("export", [b"", b"\n\n\n"])
def test_no_record(export):
    assert "there is no record" in verify(export, status=USAGE)


def test_many_findings_are_counted():
    text = verify(b"x\n" * 100000, status=DAMAGED)
    assert "100000 findings" in text and "and 99900 more" in text and len(text.splitlines()) < 150


def test_long_line_takes_no_memory():
    """A line that never ends is read to its end, and not kept."""
    with subprocess.Popen([os.path.join(BUILD, "lwa-audit-verify")], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for _ in range(400):
            process.stdin.write(b"a" * 1000000)
        process.stdin.close()
        assert b"cannot be read" in process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == DAMAGED and usage.ru_maxrss < 200_000  # KiB; the line has 400,000


# --- the command line ---


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--nothing"], "Try"), (["--head", "5"], "--head takes"), (["--head", "0:" + "0" * 64], "--head takes"),
        (["--head", "5:" + "0" * 63], "--head takes"), (["--head", "5:" + "g" * 64], "--head takes"),
        (["--head", "9" * 19 + ":" + "0" * 64], "--head takes"), (["--after", "x"], "--after takes"),
        (["a", "b"], "one FILE"), (["--secret", "-"], "both be standard input"), (["/nonexistent/a\x1b[31m"], "a?[31m"),
        (["--secret", "/nonexistent"], "the secret cannot be read"), (["--secret", "/dev/null"], "no verification secret"),
        (["/"], "cannot be read"),
    ],
)  # fmt: skip
def test_usage(arguments, word):
    assert word in verify(b"", *arguments, status=USAGE)


def test_secret_is_not_told(tmp_path):
    trail = Trail()
    text = verify(trail.lines, status=USAGE, secret=trail.secret[:-1] + "x", tmp_path=tmp_path)
    assert "mistyped" in text and trail.secret[12:30] not in text


def test_page_has_the_options():
    with open(os.path.join(os.environ["LWA_SRC_DIR"], "broker/lwa-audit-verify.1"), encoding="utf-8") as file:
        page = file.read().replace(r"\-", "-").replace(r"\fB", "").replace(r"\fR", "").replace(r"\fI", "")
    helped = verify(b"", "--help", status=INTACT)
    for option in ("--secret FILE", "--head N:HASH", "--after N:HASH", "--help", "--version"):
        assert option in helped and f".TP\n{option}\n" in page
    assert verify(b"", "--version", status=INTACT).startswith("lwa-audit-verify ")


# --- a real one ---


def test_real_export(world, tmp_path):
    quick = settle(world)
    link(quick, "alice", [LIBRARY])
    take(quick.client("alice"))
    done = world.run_as("root", ["lwactl", "audit", "export"])
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"trail-key-created", "token-disclosed"} <= {line["event"] for line in lines}
    text = verify(done.stdout.encode(), "--head", f"{lines[-1]['sequence']}:{lines[-1]['hash']}", status=INTACT)
    assert f"{len(lines)} records, 1 to {len(lines)}" in text
    lines[2]["detail"] += "x"
    assert "\n  altered    record 3 " in verify(lines, status=DAMAGED)


def test_real_export_around_a_setup(world, tmp_path):
    """What is recorded after a setup is proven by its secret, and what was before by none that there is."""
    quick = settle(world)
    link(quick, "alice", [LIBRARY])
    take(quick.client("alice"))
    secrets = []
    for n in range(2):
        path = quick.path(f"secret-{n}")
        done = quick.run_as("root", ["lwactl", "audit", "setup", "--yes", "--output", path])
        assert done.returncode == 0, done.stderr
        with open(path, encoding="utf-8") as file:
            secrets.append(file.read())
        os.unlink(path)
        quick.run_as("root", ["lwactl", "accounts", "list"])
        take(quick.client("alice"))
    lines = [json.loads(line) for line in quick.run_as("root", ["lwactl", "audit", "export"]).stdout.splitlines()]
    assert "only the\n  verification secret tells" in verify(lines, status=INTACT)
    first, last = (int(secret.split(":")[1]) for secret in secrets)
    of = lambda begin, end: sum(begin <= line["epoch"] < end for line in lines)
    end = lines[-1]["epoch"] + 1
    assert 1 < first < last < end
    for secret, begin, over in ((secrets[0], first, last), (secrets[1], last, end)):
        text = verify(lines, status=INTACT, secret=secret, tmp_path=tmp_path)
        assert f"{of(begin, over)} records, of epochs {begin} to {over - 1}, were sealed" in text, text
    # One who has the database, and made all of it anew from the first proven record on.
    at = next(i for i, line in enumerate(lines) if line["epoch"] == first)
    lines[at]["seal"] = "0" * 32
    text = verify(lines, status=DAMAGED, secret=secrets[0], tmp_path=tmp_path)
    assert f"record {lines[at]['sequence']} was not sealed in epoch {first}" in text
