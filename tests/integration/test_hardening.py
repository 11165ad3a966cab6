# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the process that holds the secrets has given up. test-seccomp shows call by call that its filter bites."""

import contextlib
import os
import re
import resource
import signal
import subprocess

import pytest

from as_unit import allowed_calls, call_sets, expand, settings
from logins import ACCOUNTS, AUDIT, LIBRARY, link, settle, take, trail
from shim import Shim
from world import WorldError


@pytest.fixture
def busy(world):
    """A broker whose store, workers and resolver have all been at work: the threads that there can be."""
    settle(world)
    link(world, "alice", [LIBRARY])
    take(world.client("alice"))
    return world


def threads(world):
    """{thread: its fields of /proc/PID/task/TID/status}"""
    found = {}
    folder = f"/proc/{world.broker.pid}/task"
    for thread in os.listdir(folder):
        try:
            with open(f"{folder}/{thread}/status", encoding="ascii") as file:
                found[thread] = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
        except (FileNotFoundError, ProcessLookupError):
            pass  # the resolver's are short-lived
    return found


def test_filter_holds_in_every_thread(busy):
    """The whole suite runs under it: there is no switch, and whoever starts the broker gets this."""
    found = threads(busy)
    assert len(found) >= 3
    for fields in found.values():
        assert (fields["Seccomp"], fields["NoNewPrivs"]) == ("2", "1"), fields
        assert int(fields["Seccomp_filters"]) >= 1
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(fields[name], 16) == 0, (name, fields)


def test_trail_changes_its_key_under_the_filter(busy):
    """An epoch's end, and a setup: the key's file is written under the filter as all else is."""
    shim = Shim(busy)
    busy.broker.stop()
    busy.broker.start(env=shim.environment())
    alice = busy.client("alice")
    for n in range(2):
        alice.call(ACCOUNTS, "Rename", "ss", ("main", f"label {n}"))
        shim.step(boottime=40 * 86400)
        alice.call(ACCOUNTS, "Rename", "ss", ("main", f"label {n} of later"))
        fd, info = busy.client("root").call(AUDIT, "Setup", "a{sv}", ({},))
        os.close(fd)
    assert all(fields["Seccomp"] == "2" for fields in threads(busy).values())
    records = trail(busy.client("root"))
    assert [r["detail"].split()[0] for r in records if r["event"] == "trail-key-created"] == ["first", "setup", "setup"]
    assert records[-1]["epoch"] == info["epoch"] and len({r["epoch"] for r in records}) == info["epoch"]
    # What the file has is what the next start goes on with.
    busy.broker.restart()
    busy.client("alice").call(ACCOUNTS, "Rename", "ss", ("main", "at last"))
    records = trail(busy.client("root"))
    assert records[-1]["epoch"] == info["epoch"] + 1
    assert [r["event"] for r in records if r["event"] in ("trail-damaged", "broker-crashed")] == []


def test_death_by_the_filter_would_be_seen(busy):
    """This is what fails any test in which the broker tries a call that it does not have."""
    busy.broker.signal(signal.SIGSYS)
    busy.broker.process.wait(10)
    with pytest.raises(WorldError, match=f"ended by itself with -{int(signal.SIGSYS)}"):
        busy.broker.check_alive()
    busy.broker.start()


def test_no_core_even_with_raised_limits(busy):
    """Whoever may raise the limit still gets no core: the process is not dumpable either."""
    pid = busy.broker.pid
    with contextlib.suppress(PermissionError):  # root of a container may not
        resource.prlimit(pid, resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    if os.environ.get("LWA_SANITIZE"):
        return  # the leak checker needs a dumpable process
    busy.broker.signal(signal.SIGABRT)
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    busy.broker.process.wait()
    assert (ended.si_status, ended.si_code) == (signal.SIGABRT, os.CLD_KILLED)
    busy.broker.process = None
    busy.broker.start()


def test_nobody_else_can_attach(busy):
    if os.environ.get("LWA_SANITIZE"):
        return  # as above
    attach = "import ctypes, sys; sys.exit(ctypes.CDLL(None).ptrace(16, int(sys.argv[1]), 0, 0) == 0)"
    for user in ("alice", "lwa-broker"):
        done = busy.run_as(user, ["/usr/bin/python3", "-c", attach, busy.broker.pid])
        assert (done.returncode, done.stderr) == (0, ""), user
    assert threads(busy)[str(busy.broker.pid)]["TracerPid"] == "0"


UNITS = {"lwa-brokerd.service": "seccomp.c", "lwa-identd@.service": "identd-seccomp.c"}
WAY_THERE = {"capget", "prctl", "prlimit64", "seccomp", "clone3", "execve", "arch_prctl", "rseq"}


@pytest.mark.parametrize("unit", UNITS)
def test_unit_lets_the_filter_have_what_it_needs(shared_world, unit):
    """What the unit takes away is never something that the program's own filter, or its way there, makes use of."""
    sets = call_sets()
    allowed = allowed_calls(settings(os.path.join(shared_world.build_dir, "dbus", unit)), sets)
    with open(os.path.join(shared_world.src_dir, "broker", UNITS[unit]), encoding="utf-8") as file:
        tables = re.findall(r"(?:allowed|conditional)\[\] = \{(.*?)(?:#if|\};)", file.read(), re.DOTALL)
    assert len(tables) == 2
    needed = {name for table in tables for name in re.findall(r'"([a-z0-9_]+)"', re.sub(r"/\*.*?\*/", "", table, flags=re.DOTALL))}
    needed |= WAY_THERE | ({"capset"} if "identd" in unit else set())
    known = expand(sets, sets) | {"seccomp"}
    assert len(needed & known) > 40
    assert needed & known <= allowed, needed & known - allowed


@pytest.mark.parametrize("unit", UNITS)
def test_unit_gives_up_what_a_unit_can(shared_world, unit):
    """By systemd's own measure, on which 10 is an ordinary service. What is left is named in the units."""
    path = os.path.join(shared_world.build_dir, "dbus", unit)
    command = ["systemd-analyze", "security", "--offline=yes", "--threshold=12", "--no-pager", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
