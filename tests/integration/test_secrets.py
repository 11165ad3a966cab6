# SPDX-License-Identifier: LGPL-2.1-or-later
"""Refresh tokens never leave the broker (I2), and the process that holds them is closed to everybody."""

import glob
import os
import pwd
import stat

import pytest

from logins import (
    ACCOUNTS,
    INTROSPECTABLE,
    LIBRARY,
    PLAYBACK,
    Login,
    accounts,
    error_of,
    link,
    reject,
    settle,
    status,
    take,
    trail,
)
from tap import Tap
from world import NAME

# What of a token must not be found: a piece that is long enough to be no accident.
PIECE = 40


@pytest.fixture(scope="module")
def lived(shared_world):
    """A world in which everything has happened that a refresh token takes part in; and what the bus carried."""
    world = shared_world
    settle(world, rotation="new", rotation_kills_old="yes")
    tap = Tap(world)
    live(world)
    tap.stop()
    world.close_clients()
    yield world, tap
    tap.close()


def fault_refresh(world, kind, **more):
    world.sim.fault("token", kind, grant_type="refresh_token", **more)


def live(world):
    alice = world.client("alice")
    link(world, "alice", [LIBRARY], client=alice)
    link(world, "alice", [PLAYBACK], "carol", client=alice)
    link(world, "bob", [LIBRARY])
    for _ in range(3):
        assert reject(alice, take(alice)[1]["token_id"]) is True
    # Answers that cannot be used, some of which hold a refresh token, and errors.
    for kind, more in (
        ("status-500", {}),
        ("duplicate-keys", {}),
        ("wrong-types", {}),
        ("nul-and-percent", {}),
        ("long-token", {}),
        ("truncated", {}),
        ("error", {"error": "invalid_client", "status": 401}),
    ):
        world.broker.restart()
        alice = world.client("alice")
        fault_refresh(world, kind, **more)
        error_of(take, alice, account="main-2", scopes=[PLAYBACK])
        world.sim.clear_faults()
    world.broker.kill9()
    world.broker.start()
    alice = world.client("alice")
    accounts(alice)
    login = Login(alice, [LIBRARY], account="main").wait_state("waiting")
    world.sim.approve(login.code, "bob")
    assert login.finish()[0] == "failed"
    world.sim.revoke("carol")
    assert error_of(take, alice, account="main-2", scopes=[PLAYBACK]).short in ("LoginRequired", "ProviderUnavailable")
    take(alice)
    alice.call(ACCOUNTS, "Remove", "s", ("main",))
    take(world.client("bob"))
    look_around(world)


def look_around(world):
    for user in ("alice", "bob", "root"):
        client = world.client(user)
        status(client)
        accounts(client)
        client.get_properties(NAME)
        client.call(INTROSPECTABLE, "Introspect")
    trail(world.client("root"))
    trail(world.client("alice"), own=True)


def pieces(tokens):
    """Several pieces of each token, so that half of one is found too; without the prefix that all share."""
    found = set()
    for token in tokens:
        for start in range(5, len(token) - PIECE, 97):
            found.add(token[start : start + PIECE])
    return found


def refresh_pieces(world):
    tokens = world.sim.tokens()["refresh"]
    assert len(tokens) >= 12
    return pieces(tokens)


def access_pieces(world):
    return pieces(world.sim.tokens()["access"])


def find(needles, haystack):
    return [needle for needle in needles if needle in haystack]


def read_text(path):
    with open(path, "rb") as file:
        return file.read().decode("latin-1")


def state_files(world):
    found = glob.glob(f"{world.state_dir}/*") + glob.glob(world.path("conf/keys/*"))
    assert any(path.endswith("broker.db") for path in found) and any(path.endswith("-wal") for path in found)
    return found


def test_log(lived):
    world, _ = lived
    log = world.broker.log()
    assert "renewal failed" in log
    assert find(refresh_pieces(world) | access_pieces(world), log) == []


def test_bus(lived):
    world, tap = lived
    everything = "\n".join(tap.texts)
    assert "GetToken" in everything and "token_id" in everything and "AttentionNeeded" in everything
    assert find(refresh_pieces(world) | access_pieces(world), everything) == []


def test_files(lived):
    world, _ = lived
    needles = refresh_pieces(world) | access_pieces(world)
    for path in state_files(world):
        assert find(needles, read_text(path)) == [], path


def test_audit_and_status(lived):
    world, _ = lived
    root = world.client("root")
    told = repr((trail(root), status(root), accounts(root), root.call(INTROSPECTABLE, "Introspect")))
    assert "token-disclosed" in told and "account-removed" in told
    assert find(refresh_pieces(world) | access_pieces(world), told) == []
    done = world.run_as("root", ["lwactl", "audit", "--json"])
    assert done.returncode == 0 and find(refresh_pieces(world), done.stdout + done.stderr) == []


def test_argv_and_environment(lived):
    world, _ = lived
    needles = refresh_pieces(world)
    pid = world.broker.pid
    for name in ("environ", "cmdline"):
        assert find(needles, read_text(f"/proc/{pid}/{name}")) == [], name


def test_modes_of_state_and_key(lived):
    world, _ = lived
    owner = pwd.getpwnam("lwa-broker").pw_uid
    for path in state_files(world):
        info = os.lstat(path)
        wanted = 0o400 if "/keys/" in path else 0o600
        assert (stat.S_IMODE(info.st_mode), info.st_uid) == (wanted, owner), path
    for user in ("alice", "musicd", "polkitd"):
        for path in state_files(world):
            assert world.run_as(user, ["/usr/bin/cat", path]).returncode != 0


def test_process(lived):
    """No capability, no new privileges, no core dump, nothing in /proc for anybody but root."""
    world, _ = lived
    pid = world.broker.pid
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    owner = pwd.getpwnam("lwa-broker")
    assert fields["Uid"].split() == [str(owner.pw_uid)] * 4
    assert fields["Gid"].split() == [str(owner.pw_gid)] * 4
    assert fields["Groups"].split() in ([], [str(owner.pw_gid)])
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[name], 16) == 0, name
    assert fields["NoNewPrivs"] == "1"
    (core,) = [line for line in read_text(f"/proc/{pid}/limits").splitlines() if line.startswith("Max core file size")]
    assert core.split()[4:6] == ["0", "0"]


def test_process_is_not_dumpable(lived):
    world, _ = lived
    if os.environ.get("LWA_SANITIZE"):
        return  # the leak checker has to attach to its own process
    pid = world.broker.pid
    for name in ("mem", "environ", "maps", "fd", "auxv"):
        assert os.lstat(f"/proc/{pid}/{name}").st_uid == 0, name
    for user in ("alice", "lwa-broker"):
        for command in (["/usr/bin/cat", f"/proc/{pid}/environ"], ["/usr/bin/cat", f"/proc/{pid}/maps"],
                        ["/usr/bin/ls", f"/proc/{pid}/fd"], ["/usr/bin/head", "-c1", f"/proc/{pid}/mem"]):
            done = world.run_as(user, command)
            assert done.returncode != 0 and "Permission denied" in done.stderr, (user, command)


def test_descriptors_are_its_own(lived):
    """Nothing it did not open itself: no descriptor of who started it but the three standard ones."""
    world, _ = lived
    pid = world.broker.pid
    found = {number: os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")}
    assert found["0"] == "/dev/null"
    regular = [path for number, path in found.items() if path.startswith("/") and int(number) > 2]
    assert all(path.startswith((world.state_dir, "/dev/", "/memfd:", "/proc/")) for path in regular), regular


def test_environment_does_not_steer_it(world):
    """Each of these would break it, if it took notice."""
    settle(world)
    hostile = {
        "https_proxy": "http://127.0.0.1:1",
        "ALL_PROXY": "http://127.0.0.1:1",
        "SSL_CERT_FILE": "/nowhere",
        "OPENSSL_CONF": "/nowhere",
        "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nowhere",
        "CURL_CA_BUNDLE": "/nowhere",
    }
    world.broker.stop()
    original = world.environment
    world.environment = lambda **more: {**original(**more), **hostile}
    try:
        world.broker.start()
    finally:
        world.environment = original
    link(world, "alice", [LIBRARY])
    take(world.client("alice"))
