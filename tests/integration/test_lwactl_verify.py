# SPDX-License-Identifier: LGPL-2.1-or-later
"""lwactl audit verify and audit setup against a broker that says what the test wants."""

import json
import os
import stat
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from fake_broker import BusError, token_fd  # noqa: E402
from test_lwactl import HOSTILE, Terminal, assert_harmless, broker, bus, run  # noqa: E402, F401

KEY = "6b" * 32
SECRET = f"lwa-audit:3:{KEY}:0123456789abcdef"
HEAD = "99:" + "ab" * 32


def finding(kind, sequence=0, damage=True, text="a sentence"):
    return {"kind": ("s", kind), "damage": ("b", damage), "sequence": ("t", sequence), "text": ("s", text)}


def result(*findings, **more):
    found = {"verdict": ("s", "damaged" if any(f["damage"][1] for f in findings) else "intact"),
             "records": ("t", 99), "unchained": ("t", 0), "proven": ("t", 7), "first": ("t", 1), "last": ("t", 99),
             "head": ("s", HEAD), "first_proven_epoch": ("t", 9), "last_proven_epoch": ("t", 9),
             "last_epoch": ("t", 9), "secret": ("s", "none"), "removed_up_to": ("t", 0),
             "damage": ("u", sum(f["damage"][1] for f in findings)), "findings": ("aa{sv}", list(findings))}
    found.update(more)
    return lambda *_: ("a{sv}", (found,))


WITH_SECRET = {"secret": ("s", "fits"), "proven": ("t", 90), "first_proven_epoch": ("t", 3)}


def taken(broker, member, option):  # noqa: F811
    """Keeps what the descriptor holds that comes as an option."""
    answer, kept = broker.replies[member], []

    def take(options):
        with options[option][1] as fd:
            kept.append(os.pread(fd.fileno(), 4096, 0))
        return answer(options)

    broker.replies[member] = take
    return kept


# --- verify ---------------------------------------------------------------------------------------------------


def test_intact_without_a_secret(bus, broker):  # noqa: F811
    broker.replies["Verify"] = result()
    r = run(bus, "audit", "verify")
    assert r.returncode == 0 and r.stderr == b""
    text = r.stdout.decode()
    assert "intact as far as can be known without a secret" in text
    assert "Each of 99 records, 1 to 99, fits the one before it." in text
    assert "present epoch (9) with the seal of the key that this machine has now: 7." in text
    assert "Without the verification secret" in text and "`lwactl audit setup`" in text
    assert text.endswith(HEAD + "\n")
    _, (options,), _ = broker.last("Verify")
    assert options == {}


def test_intact_with_a_secret(bus, broker, tmp_path):  # noqa: F811
    broker.replies["Verify"] = result(**WITH_SECRET)
    sent = taken(broker, "Verify", "secret")
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    for arguments, given in ((["--secret", str(path)], None), (["--secret", "-"], SECRET.encode() + b"\n")):
        options = {"stdin": None, "input": given} if given else {}
        r = run(bus, "audit", "verify", *arguments, "--head", HEAD, **options)
        assert r.returncode == 0, r.stderr
        text = r.stdout.decode()
        assert "The audit trail is intact." in text and "of epochs 3 to 9" in text
        assert "Of records of before epoch 3: only an older secret" in text
        assert "Without the verification secret" not in text and KEY not in text
        assert sent.pop() == SECRET.encode()
        assert broker.last("Verify")[1][0]["head"] == ("s", HEAD)


def test_damage(bus, broker):  # noqa: F811
    broker.replies["Verify"] = result(
        finding("clock", 5, damage=False), finding("altered", 7), finding("gap", 9, text=HOSTILE), finding("novel", 0),
        damage=("u", 12), records=("t", 99), unchained=("t", 4))  # fmt: skip
    r = run(bus, "audit", "verify")
    assert r.returncode == 1 and r.stderr == b""
    assert_harmless(r.stdout)
    lines = r.stdout.decode().splitlines()
    assert lines[0] == "The audit trail is DAMAGED."
    # Damage first, each with what it means; and how much there is that is not told.
    order = [next(i for i, line in enumerate(lines) if part in line)
             for part in ("Damage:", "altered", "gap", "novel", "and 9 more", "Worth knowing:", "clock", "proven")]
    assert order == sorted(order)
    assert "record 7, altered: a sentence. It means: a record was changed" in r.stdout.decode()
    assert "Of the 4 oldest records" in r.stdout.decode()
    assert HEAD not in r.stdout.decode()  # nothing to be kept


def test_damage_and_what_to_do(bus, broker):  # noqa: F811
    for more, fetches in (({}, True), (WITH_SECRET, False)):
        broker.replies["Verify"] = result(finding("gap", 9), **more)
        text = run(bus, "audit", "verify").stdout.decode()
        advice = text.split("\nWhat to do:\n")[1]
        assert "`lwactl audit export >trail.json`" in advice and "journalctl" in advice
        assert ("lwa-audit-verify --secret FILE" in advice) == fetches
    broker.replies["Verify"] = result()
    assert "What to do" not in run(bus, "audit", "verify").stdout.decode()


def test_verify_as_json(bus, broker):  # noqa: F811
    broker.replies["Verify"] = result(finding("altered", 7, text=HOSTILE))
    r = run(bus, "audit", "verify", "--json")
    assert r.returncode == 1
    assert_harmless(r.stdout)
    found = json.loads(r.stdout)
    assert found["verdict"] == "damaged" and found["findings"][0]["text"] == HOSTILE


def test_every_kind_of_finding_has_its_meaning(bus, broker):  # noqa: F811
    kinds = ["altered", "seal", "gap", "order", "epoch", "truncated", "repeats", "base", "unsealed", "key-lost", "reported",
             "head", "secret", "database", "clock", "pruned", "partial"]  # fmt: skip
    broker.replies["Verify"] = result(*(finding(kind, 7) for kind in kinds))
    text = run(bus, "audit", "verify").stdout.decode()
    for kind in kinds:
        assert f"record 7, {kind}: a sentence. It means: " in text, kind


BAD_SECRETS = {
    "empty": b"", "a-token": b"Atza|abc", "blank": b"lwa-audit:1 2", "long": b"lwa-audit:" + b"a" * 4000,
    "control": b"lwa-audit:\x1b", "zero": b"lwa-audit:\0",
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_SECRETS)
def test_what_is_no_secret_is_not_sent(bus, broker, tmp_path, case):  # noqa: F811
    path = tmp_path / "secret"
    path.write_bytes(BAD_SECRETS[case])
    r = run(bus, "audit", "verify", "--secret", str(path))
    assert r.returncode == 2 and r.stdout == b"" and b"Nothing was verified." in r.stderr
    assert str(path).encode() in r.stderr
    assert broker.count("Verify") == 0


def test_verify_usage(bus, broker, tmp_path):  # noqa: F811
    for arguments in (["--secret", str(tmp_path / "none")], ["--secret"], ["--yes"], ["--all"], ["more"], ["--output", "x"]):
        r = run(bus, "audit", "verify", *arguments)
        assert r.returncode == 2 and r.stdout == b"", arguments
    assert broker.count("Verify") == 0
    for error, code in (("InvalidArgument", 2), ("AccessDenied", 3), ("AuditUnavailable", 9)):
        broker.replies["Verify"] = lambda *_, e=error: (_ for _ in ()).throw(BusError(e, "why"))
        assert run(bus, "audit", "verify").returncode == code, error


def test_the_secret_is_asked_for_unseen(bus, broker):  # noqa: F811
    broker.replies["Verify"] = result(**WITH_SECRET)
    sent = taken(broker, "Verify", "secret")
    t = Terminal(bus, "audit", "verify", "--secret", "-")
    t.wait_for("Verification secret (it is not shown): ")
    t.type(SECRET + "\n")
    assert t.finish() == 0
    assert KEY not in t.text and sent == [SECRET.encode()]


# --- setup ----------------------------------------------------------------------------------------------------


def setups(*details):
    records = [{"event": ("s", "trail-key-created"), "detail": ("s", detail), "time": ("x", 1700000000)} for detail in details]
    return lambda *_: ("aa{sv}t", (records, 0))


@pytest.fixture
def first(broker):  # noqa: F811
    broker.replies["Query"] = setups("first 0123456789abcdef")
    broker.replies["Setup"] = lambda *_: ("ha{sv}", (token_fd(SECRET.encode()), {"key_id": ("s", "0123"), "epoch": ("t", 3)}))
    return broker


def test_setup_shows_the_secret_once(bus, first):  # noqa: F811
    t = Terminal(bus, "audit", "setup")
    assert t.finish() == 0
    assert t.text.count(SECRET) == 1 and "0123" in t.text and "epoch 3" in t.text
    assert "Keep it where" in t.text and "[y/N]" not in t.text
    query = first.last("Query")[1]
    assert query[0]["event"] == ("s", "trail-key-created")


@pytest.mark.parametrize("answer, code", [("y", 0), ("n", 11)])
def test_setup_asks_before_a_second_one(bus, first, answer, code):  # noqa: F811
    first.replies["Query"] = setups("first 01", "setup 02")
    t = Terminal(bus, "audit", "setup", columns=200)
    t.wait_for("[y/N]")
    assert "There was a setup on 2023-11-14" in t.text
    t.type(answer + "\n")
    assert t.finish() == code
    assert first.count("Setup") == (code == 0) and (SECRET in t.text) == (code == 0)


def test_setup_finds_one_that_is_far_back(bus, first):  # noqa: F811
    """A page ends, empty, when the broker has searched for long enough; the next one may have it."""
    (records, _) = setups("setup 02")()[1]
    first.replies["Query"] = lambda options, after, limit: ("aa{sv}t", (records, 0) if after == 5000 else ([], 5000))
    t = Terminal(bus, "audit", "setup", columns=200)
    t.wait_for("[y/N]")
    assert "There was a setup on 2023-11-14" in t.text
    t.type("\n")
    assert t.finish() == 11 and first.count("Setup") == 0


def test_setup_asks_where_it_cannot_know(bus, first):  # noqa: F811
    del first.replies["Query"]
    t = Terminal(bus, "audit", "setup")
    t.wait_for("[y/N]")
    t.type("\n")
    assert t.finish() == 11 and first.count("Setup") == 0


def test_setup_into_a_file(bus, first, tmp_path):  # noqa: F811
    path = tmp_path / "secret"
    r = run(bus, "audit", "setup", "--output", str(path))
    assert r.returncode == 0, r.stderr
    assert path.read_text() == SECRET + "\n" and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert KEY.encode() not in r.stdout + r.stderr and b"move the file away" in r.stdout
    # A file that is there may hold the secret of before.
    r = run(bus, "audit", "setup", "--output", str(path), "--yes")
    assert r.returncode == 2 and b"overwrites nothing" in r.stderr
    assert first.count("Setup") == 1 and path.read_text() == SECRET + "\n"
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    assert run(bus, "audit", "setup", "--output", str(tmp_path / "link"), "--yes").returncode == 2
    assert run(bus, "audit", "setup", "--output", str(tmp_path / "no/such"), "--yes").returncode == 1
    assert first.count("Setup") == 1


def test_setup_that_fails_leaves_no_file(bus, first, tmp_path):  # noqa: F811
    def fail(*_):
        raise BusError("AuditUnavailable", "why")

    for reply in (fail, lambda *_: ("ha{sv}", (token_fd(b""), {})), lambda *_: ("ha{sv}", (token_fd(b"a\x1bb"), {}))):
        first.replies["Setup"] = reply
        r = run(bus, "audit", "setup", "--output", str(tmp_path / "secret"), "--yes")
        assert r.returncode != 0 and r.stdout == b""
        assert list(tmp_path.iterdir()) == []


def test_setup_is_shown_to_nobody_by_accident(bus, first):  # noqa: F811
    r = run(bus, "audit", "setup", "--yes")
    assert r.returncode == 2 and b"--output FILE" in r.stderr and r.stdout == b""
    first.replies["Query"] = setups("setup 02")
    r = run(bus, "audit", "setup", "--output", "/dev/null")
    assert r.returncode == 2 and b"--yes" in r.stderr
    assert first.count("Setup") == 0
