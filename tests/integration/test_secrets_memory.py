# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where a refresh token is in the daemon's memory, and when (I2), and the keys of the trail: all of it is searched, as
root may."""

import contextlib
import glob
import os
import re

import pytest

import audit_chain
from logins import ACCOUNTS, AUDIT, LIBRARY, Login, link, reject, settle, take, trail
from shim import Shim
from tap import Tap
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


# --- the keys of the trail ---------------------------------------------------------------------------------


def seal_key(key):
    return audit_chain.keyed(key, b"lwa audit keyed ")


def texts_of(key):
    """Pieces of it as it is written down, so that half of it is found too."""
    digits = key.hex().encode()
    return [form[at : at + 32] for form in (digits, digits.upper()) for at in (0, 16, 32)]


def halves(key):
    return [key[:16], key[16:]]


def assert_gone(world, key):
    """A key of an epoch that is over, and what it sealed with."""
    for needle in (*texts_of(key), *halves(key), *halves(seal_key(key))):
        assert flags_of(world.broker.pid, needle) == [], needle


def assert_not_written(world, tap, key):
    """The descriptor of the secret goes over the bus, and nothing of what it holds."""
    needles = [*texts_of(key), *halves(key)]
    told = [world.broker.log(), "\n".join(tap.texts)]
    assert "trail-key-created" in repr(trail(world.client("root"))) and "Setup" in told[1]
    for text in told:
        assert not any(needle.decode("latin-1") in text for needle in needles)
    for path in glob.glob(f"{world.state_dir}/*"):
        with open(path, "rb") as file:
            content = file.read()
        assert not any(needle in content for needle in needles), path


def test_verification_secret_and_the_keys_that_follow(linked):
    """Once it was handed out it is nowhere, as text or as a key. The key that is in use is locked, and is nowhere
    either when its epoch is over."""
    shim = Shim(linked)
    linked.broker.stop()
    linked.broker.start(env=shim.environment())
    with contextlib.closing(Tap(linked)) as tap:
        client = linked.client("root")
        fd, _ = client.call(AUDIT, "Setup", "a{sv}", ({},))
        secret = os.pread(fd, 4096, 0).decode()
        os.close(fd)
        epoch, key = audit_chain.parse_secret(secret)
        tap.stop()
        assert_not_written(linked, tap, key)
    wait_until(lambda: not flags_of(linked.broker.pid, key), 3 * linked.slowness, "the secret to be gone from memory")
    assert_gone(linked, key)

    present = audit_chain.next_key(key)
    assert_only_locked(linked, present)
    alice = linked.client("alice")
    alice.call(ACCOUNTS, "Rename", "ss", ("main", "in the epoch"))
    shim.step(boottime=40 * 86400)
    alice.call(ACCOUNTS, "Rename", "ss", ("main", "that ends"))
    assert [r["epoch"] for r in trail(linked.client("root"), "trail-sealed")][-1] == epoch + 1
    wait_until(lambda: not flags_of(linked.broker.pid, present), 3 * linked.slowness, "the key to be gone from memory")
    assert_gone(linked, present)
    assert_only_locked(linked, audit_chain.next_key(present))
