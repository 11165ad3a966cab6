# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where a refresh token is in the daemon's memory, and when (I2): all of it is searched, as root may."""

import contextlib
import os
import re

import pytest

from logins import ACCOUNTS, LIBRARY, Login, link, reject, settle, take
from world import DBusError, wait_until


# The sanitizers keep large tables of their own.
HUGE = 1 << (23 if os.environ.get("LWA_SANITIZE") else 30)


@pytest.fixture
def linked(world):
    settle(world, rotation="new", rotation_kills_old="yes")
    link(world, "alice", [LIBRARY])
    return world


def mappings(pid):
    with open(f"/proc/{pid}/maps", encoding="utf-8") as file:
        for line in file:
            begin, end, mode, name = re.fullmatch(r"(\w+)-(\w+) (\S+) \w+ \S+ \d+\s*(.*)\n", line).groups()
            begin, end = int(begin, 16), int(end, 16)
            if end - begin > HUGE:
                assert os.environ.get("LWA_SANITIZE"), line
            elif name not in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                yield begin, end, mode, name


def memory(pid):
    """[(mapping, its bytes)] of everything that can be read, the pages of secrets included."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        for begin, end, mode, name in mappings(pid):
            content, at = b"", begin
            while at < end:
                try:
                    file.seek(at)
                    piece = file.read(min(end - at, 1 << 20))
                except OSError:
                    piece = b""
                content += piece or bytes(4096)
                at += len(piece) or 4096
            found.append((f"{name or 'anonymous'} {mode}", content))
    return found


def pieces(tokens):
    return [token.encode()[start : start + 40] for token in tokens for start in range(5, len(token) - 40, 97)]


def places(world, tokens):
    needles = pieces(tokens)
    found = {}
    for name, content in memory(world.broker.pid):
        n = sum(content.count(needle) for needle in needles)
        if n:
            found[name] = n
    return found


def refresh_tokens(world):
    return world.sim.tokens()["refresh"]


def all_tokens(world):
    tokens = world.sim.tokens()
    return tokens["refresh"] + tokens["access"]


def assert_forgotten(world):
    """Nowhere, neither as what was used nor as what came instead. The connection to the provider is still open."""
    assert len(pieces(refresh_tokens(world))) >= 4
    wait_until(lambda: not places(world, all_tokens(world)), 3 * world.slowness, "the tokens to be gone from memory")


def send_report(client):
    _, info = take(client)
    return client.send("org.lwabroker.Broker1", "ReportRejected", "s", (info["token_id"],))


def test_while_it_is_sent(linked):
    """The search finds it when it is there: in the one form that is being sent, as long as no answer came, and nowhere
    else. This is the only time at which it is in memory."""
    alice = linked.client("alice")
    linked.sim.fault("token", "hang-after", grant_type="refresh_token")
    old = refresh_tokens(linked)
    serial = send_report(alice)
    wait_until(lambda: len(refresh_tokens(linked)) > len(old), 5 * linked.slowness, "the rotation")
    found = places(linked, refresh_tokens(linked))
    assert os.environ.get("LWA_SANITIZE") or list(found) == ["[heap] rw-p"]
    assert sum(found.values()) <= 2 * len(pieces(old[-1:])), found
    linked.sim.clear_faults()
    with contextlib.suppress(DBusError):
        alice.wait(serial)
    assert_forgotten(linked)


def test_after_login_and_rotations(linked):
    assert_forgotten(linked)
    alice = linked.client("alice")
    for _ in range(3):
        assert reject(alice, take(alice)[1]["token_id"]) is True
        assert_forgotten(linked)
    assert len(refresh_tokens(linked)) >= 4


ANSWERS = ("status-500", "html-502", "html-200", "huge", "nested", "duplicate-keys", "wrong-types", "nul-and-percent", "long-token", "truncated", "reset-after")


@pytest.mark.parametrize("kind", ANSWERS)
def test_after_an_answer_that_cannot_be_used(linked, kind):
    """Parsers that give up half-way through hold half of a reply."""
    linked.sim.fault("token", kind, grant_type="refresh_token", count=1)
    alice = linked.client("alice")
    with contextlib.suppress(DBusError):
        alice.wait(send_report(alice))
    linked.sim.clear_faults()
    assert_forgotten(linked)


def test_after_the_caller_left_and_the_account_was_removed(linked):
    alice = linked.client("alice")
    linked.sim.fault("token", "hang-after", grant_type="refresh_token")
    send_report(alice)
    wait_until(lambda: places(linked, refresh_tokens(linked)), 5 * linked.slowness, "the request")
    alice.close()
    linked.client("alice").call(ACCOUNTS, "Remove", "s", ("main",))
    linked.sim.clear_faults()
    assert_forgotten(linked)


def test_after_logins_that_failed(linked):
    alice = linked.client("alice")
    login = Login(alice, [LIBRARY], account="main").wait_state("waiting")
    linked.sim.approve(login.code, "bob")  # another customer than the account's
    assert login.finish()[0] == "failed"
    Login(alice, [LIBRARY]).wait_state("waiting").cancel()
    assert_forgotten(linked)


def flags_of(pid, needle):
    """The kernel's flags of each mapping that holds it, by the name of the mapping."""
    found = []
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as file:
        smaps = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", file.read(), flags=re.MULTILINE)[1:]
    flags = {int(entry.split("-")[0], 16): re.search(r"^VmFlags: (.*)$", entry, re.MULTILINE).group(1).split() for entry in smaps}
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
        for begin, end, mode, name in mappings(pid):
            with contextlib.suppress(OSError):
                file.seek(begin)
                if needle in file.read(end - begin):
                    found.append((name, set(flags.get(begin, ()))))
    return found


def test_master_key_is_locked_and_out_of_dumps(linked):
    """Once, in a mapping of its own that is locked, left out of dumps, and cannot be written. After a change of the key
    the old one is nowhere."""
    path = linked.path("conf/keys/master.key")
    with open(path, "rb") as file:
        old = file.read()
    assert_only_locked(linked, old)
    assert linked.run_as("root", ["lwactl", "rekey"]).returncode == 0
    assert flags_of(linked.broker.pid, old) == []
    with open(path, "rb") as file:
        assert_only_locked(linked, file.read())


def assert_only_locked(world, key):
    ((name, flags),) = flags_of(world.broker.pid, key)
    assert name == "" and "rd" in flags and "wr" not in flags
    if not os.environ.get("LWA_SANITIZE"):  # whose allocator takes no part in locking
        assert {"lo", "dd"} <= flags
