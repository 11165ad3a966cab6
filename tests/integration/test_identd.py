# SPDX-License-Identifier: LGPL-2.1-or-later
"""lwa-identd by itself: the very program that the daemon starts, asked over a pair as the daemon asks it."""

import contextlib
import errno
import os
import pwd
import select
import signal
import socket
import struct
import subprocess
import time

import pytest

from sandbox import Bubblewrap, Cgroup, Roamer, SilentRoot, Unit, flatpak_info
from world import wait_until

REQUEST = struct.Struct("=QQIiII")
ANSWER = struct.Struct("=QIBB2x256s256s256s")
OK, GONE, OTHER_UID, UNREADABLE, TIMEOUT, BUSY = range(6)
# CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE.
CAPABILITIES = 1 << 2 | 1 << 19
LOOK_SEC, WAIT_SEC = 5, 10  # broker/limits.h
PLAYER = "org.example.Player"


def boottime_usec():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


class Answer:
    def __init__(self, data):
        self.id, self.status, self.is_foreign, self.is_pinned, *texts = ANSWER.unpack(data)
        self.flatpak, self.unit, self.exe = (text.split(b"\0", 1)[0].decode() for text in texts)

    def facts(self):
        return self.status, self.flatpak, self.unit, self.exe, self.is_foreign


class Identd:
    """As its unit starts it: the user lwa-broker, with the two capabilities in the ambient set."""

    def __init__(self, world, prefix=(), buffer=None):
        self.world = world
        self.pair, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if buffer:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        self.pair.settimeout(10 * world.slowness)
        caps = "+sys_ptrace,+dac_read_search"
        argv = [*prefix, "setpriv", "--reuid", "lwa-broker", "--regid", "lwa-broker", "--clear-groups"]
        argv += ["--inh-caps", caps, "--ambient-caps", caps, "--", world.program("lwa-identd")]
        self.process = subprocess.Popen(argv, stdin=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={}, cwd="/")
        theirs.close()
        self.pid = self.process.pid
        self.last = 0
        self.early = {}
        ready = self.receive()
        assert (ready.id, ready.status) == (0, OK)

    def receive(self):
        data = self.pair.recv(4096)
        assert data, self.process.stderr.read()
        return Answer(data)

    def send(self, pid, user, pidfd=None, connected=0):
        uid = user if isinstance(user, int) else pwd.getpwnam(user).pw_uid
        self.last += 1
        message = REQUEST.pack(self.last, connected, uid, pid, pidfd is not None, 0)
        socket.send_fds(self.pair, [message], [pidfd] if pidfd is not None else [])
        return self.last

    def wait(self, number):
        while number not in self.early:
            answer = self.receive()
            self.early[answer.id] = answer
        return self.early.pop(number)

    def ask(self, *args, **options):
        return self.wait(self.send(*args, **options))

    def has_answered(self):
        return bool(self.early) or bool(select.select([self.pair], [], [], 0)[0])

    def children(self):
        with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="ascii") as file:
            return [int(pid) for pid in file.read().split()]

    def descriptors(self, pid=None):
        folder, found = f"/proc/{pid or self.pid}/fd", {}
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # of a child: it may end meanwhile
            for fd in os.listdir(folder):
                found[int(fd)] = os.readlink(f"{folder}/{fd}")
        return found

    def close(self):
        """Its end of the pair is closed: that is how the daemon ends it."""
        self.pair.close()
        try:
            status = self.process.wait(10 * self.world.slowness)
        finally:
            self.process.kill()
            self.process.wait()
        said = self.process.stderr.read().decode()
        self.process.stderr.close()
        return status, said

    def __enter__(self):
        return self

    def __exit__(self, *error):
        status, said = self.close() if self.process.stderr and not self.process.stderr.closed else (0, "")
        if not any(error):
            assert (status, said) == (0, "")


@pytest.fixture
def identd(bus_world):
    with Identd(bus_world) as identd:
        yield identd


@pytest.fixture
def world(identd):
    return identd.world


def spawn(world, user, *argv):
    """A plain process of a user's, once it runs its program."""
    process = world.spawn_as(user, argv or ["/usr/bin/sleep", "1000"])
    program = os.path.realpath((argv or ["/usr/bin/sleep"])[0])
    wait_until(lambda: os.readlink(f"/proc/{process.pid}/exe") == program, 10 * world.slowness, f"{program} to run")
    return process


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def end(process):
    process.kill()
    process.wait()


# --- plain processes ---


def test_plain_process(identd, world):
    program = os.path.realpath("/usr/bin/sleep")
    for user in ("alice", "bob"):
        process = spawn(world, user)
        answer = identd.ask(process.pid, user)
        assert answer.facts() == (OK, "", "", program, 0)


def test_root_is_a_user_like_any(identd, world):
    process = spawn(world, "root")
    assert identd.ask(process.pid, "root").status == OK
    assert identd.ask(process.pid, "alice").status == OTHER_UID


def test_other_user(identd, world):
    process = spawn(world, "alice")
    answer = identd.ask(process.pid, "bob")
    assert answer.facts() == (OTHER_UID, "", "", "", 0)


def test_effective_uid_counts(identd, world):
    """A setuid program runs as whose it is; the bus knew it as who it was when it connected."""
    roamer = Roamer(world, "alice")
    assert identd.ask(roamer.pid, "alice").status == OK
    roamer.become(pwd.getpwnam("bob").pw_uid)
    assert identd.ask(roamer.pid, "alice").status == OTHER_UID
    assert identd.ask(roamer.pid, "bob").status == OK


@pytest.mark.parametrize("pid", [0, -1, -2147483648, 2147483647])
def test_no_process(identd, pid):
    assert identd.ask(pid, "alice").status == GONE


def test_ended_process(identd, world):
    """Before its parent has taken its status, and after."""
    process = world.spawn_as("alice", ["/usr/bin/true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert status_of(process.pid)["State"].startswith("Z")
    assert identd.ask(process.pid, "alice").status == GONE
    process.wait()
    assert identd.ask(process.pid, "alice").status == GONE


def test_program_that_was_deleted(identd, world):
    copy = world.path("program")
    with open("/usr/bin/sleep", "rb") as file:
        world.write("program", file.read(), 0o755)
    process = spawn(world, "alice", copy, "1000")
    assert identd.ask(process.pid, "alice").exe == copy
    os.unlink(copy)
    assert identd.ask(process.pid, "alice").facts() == (OK, "", "", "", 0)


def test_program_of_a_strange_name(identd, world):
    for name, shown in (("a b", True), ("\u00e4", True), ("a\nb", False), (os.fsdecode(b"a\xff"), False), ("x" * 250, False)):
        with open("/usr/bin/sleep", "rb") as file:
            path = world.write(name, file.read(), 0o755)
        process = spawn(world, "alice", path, "1000")
        answer = identd.ask(process.pid, "alice")
        assert (answer.status, answer.exe) == (OK, path if shown else ""), name
        end(process)
        os.unlink(path)


def test_many_at_once(identd, world):
    """More than may look at once; each gets its own answer."""
    processes = [(user, spawn(world, user)) for user in ("alice", "bob", "carol")]
    asked = []
    for i in range(100):
        user, process = processes[i % 3]
        asked.append((user, identd.send(process.pid, user), OK))
        asked.append((user, identd.send(process.pid, "root"), OTHER_UID))
    for user, number, status in asked:
        assert identd.wait(number).status == status, user


# --- the same process? ---


def test_pinned(identd, world):
    process = spawn(world, "alice")
    pidfd = os.pidfd_open(process.pid)
    now = boottime_usec()
    assert identd.ask(process.pid, "alice").is_pinned == 0
    assert identd.ask(process.pid, "alice", connected=now).is_pinned == 1
    assert identd.ask(process.pid, "alice", pidfd=pidfd).is_pinned == 1
    assert identd.ask(process.pid, "alice", pidfd=pidfd, connected=1).is_pinned == 1
    assert identd.ask(process.pid, "alice", connected=1).status == GONE  # started later
    os.close(pidfd)


def recycle(world, pid):
    """A process of alice's with this number, which must be free."""

    def start():
        with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as file:
            file.write(str(pid - 1))
        process = spawn(world, "alice")
        if process.pid == pid:
            return process
        end(process)
        return None

    return wait_until(start, 10 * world.slowness, "the number to be given again")


def test_recycled_number(identd, world):
    """The process that connected has ended, and its number is another's."""
    first = spawn(world, "alice")
    pidfd, connected = os.pidfd_open(first.pid), boottime_usec()
    assert identd.ask(first.pid, "alice", connected=connected).status == OK
    end(first)
    # Start times have a hundredth of a second.
    wait_until(lambda: boottime_usec() > connected + 20000, 5, "the clock to go on")
    second = recycle(world, first.pid)
    assert identd.ask(second.pid, "alice", connected=connected).status == GONE
    assert identd.ask(second.pid, "alice", pidfd=pidfd).status == GONE
    assert identd.ask(second.pid, "alice", connected=boottime_usec()).status == OK
    os.close(pidfd)


def test_descriptor_of_something_else(identd, world):
    process, other = spawn(world, "alice"), spawn(world, "alice")
    pidfd = os.pidfd_open(other.pid)
    with open("/dev/null", "rb") as null:
        assert identd.ask(process.pid, "alice", pidfd=null.fileno()).status == UNREADABLE
        assert identd.ask(process.pid, "alice", pidfd=pidfd).status == GONE
    os.close(pidfd)


# --- sandboxes ---

SLEEP = ["sleep", "1000"]


def test_flatpak(identd, world):
    with Bubblewrap(world, "alice", SLEEP, mark=flatpak_info(PLAYER)) as box:
        mark = os.lstat(f"/proc/{box.pid}/root/.flatpak-info")
        assert (mark.st_mode & 0o7777, mark.st_uid) == (0o600, pwd.getpwnam("alice").pw_uid)
        assert identd.ask(box.pid, "alice").facts() == (OK, PLAYER, "", "", 1)
        assert identd.ask(box.pid, "bob").facts() == (OTHER_UID, "", "", "", 0)


def test_unknown_sandbox(identd, world):
    with Bubblewrap(world, "alice", SLEEP) as box:
        assert identd.ask(box.pid, "alice").facts() == (OK, "", "", "", 1)


def test_own_user_namespace_only(identd, world):
    """The root is the host's: what it shows as its program may not be."""
    with Bubblewrap(world, "alice", SLEEP, options=["--bind", "/", "/"]) as box:
        assert os.stat(f"/proc/{box.pid}/root").st_ino == os.stat("/").st_ino
        assert identd.ask(box.pid, "alice").facts() == (OK, "", "", "", 1)


def make_mark(world, kind):
    """A folder that serves as a root, with a mark in it of that kind."""
    root = world.path(f"root-{kind}")
    os.makedirs(root)
    mark = os.path.join(root, ".flatpak-info")
    good = flatpak_info(PLAYER)
    if kind == "symlink":
        with open(mark + ".real", "wb") as file:
            file.write(good)
        os.symlink(".flatpak-info.real", mark)
    elif kind == "dangling":
        os.symlink("nowhere", mark)
    elif kind == "folder":
        os.mkdir(mark)
    elif kind == "fifo":
        os.mkfifo(mark)
    elif kind == "device":
        os.mknod(mark, 0o666 | 0o020000, os.makedev(1, 5))  # /dev/zero
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(mark)
    else:
        content = {
            "good": good,
            "huge": good + b"#" * 65536,
            "largest": good + b"#" * (65536 - len(good)),
            "binary": b"\x7fELF\2\1\1\0" * 100,
            "nul": good + b"\0",
            "empty": b"",
            "two": good + b"[Application]\nname=org.example.Other\n",
            "two-names": good.replace(b"\nruntime", b"\nname=org.example.Other\nruntime"),
            "no-app": b"[Instance]\nname=org.example.Player\n",
            "no-id": b"[Application]\nname=../../etc\n",
        }[kind]
        with open(mark, "wb") as file:
            file.write(content)
        os.chmod(mark, 0o600)
    return root


@pytest.mark.parametrize("kind", ["good", "largest"])
def test_mark_in_another_root(identd, world, kind):
    roamer = Roamer(world, "alice")
    roamer.enter(make_mark(world, kind))
    assert identd.ask(roamer.pid, "alice").facts() == (OK, PLAYER, "", "", 1)


KINDS = ["symlink", "dangling", "folder", "fifo", "device", "socket", "huge", "binary", "nul", "empty"]


@pytest.mark.parametrize("kind", [*KINDS, "two", "two-names", "no-app", "no-id"])
def test_mark_that_is_none(identd, world, kind):
    """Not "no sandbox", and not the app that it names: nothing."""
    roamer = Roamer(world, "alice")
    roamer.enter(make_mark(world, kind))
    assert identd.ask(roamer.pid, "alice").facts() == (UNREADABLE, "", "", "", 0)


# --- what changes while it is looked at ---


@pytest.fixture
def silent(world):
    with SilentRoot(world.path("fuse")) as root:
        yield root


def hang(identd, silent, roamer, user="alice"):
    """The number of a question whose look-up has come to the look-up of the mark."""
    roamer.enter(silent.path)
    number = identd.send(roamer.pid, user)
    wait_until(lambda: silent.held, 10 * identd.world.slowness, "the look-up to hang")
    assert not identd.has_answered()
    return number


def hanging(identd, silent, n):
    """The n children that have opened that root."""

    def find():
        found = [pid for pid in identd.children() if silent.path in identd.descriptors(pid).values()]
        return found if len(found) == n else None

    return wait_until(find, 10 * identd.world.slowness, "the children to open the root")


def test_no_mark_in_a_slow_root(identd, world, silent):
    number = hang(identd, silent, Roamer(world, "alice"))
    silent.answer()
    assert identd.wait(number).facts() == (OK, "", "", "", 1)


@pytest.mark.parametrize("error", [errno.EIO, errno.EACCES, errno.ENOTDIR])
def test_mark_that_cannot_be_looked_up(identd, world, silent, error):
    """Only that there is none is "none"."""
    number = hang(identd, silent, Roamer(world, "alice"))
    silent.answer(error)
    assert identd.wait(number).facts() == (UNREADABLE, "", "", "", 0)


def test_root_is_swapped_meanwhile(identd, world, silent):
    roamer = Roamer(world, "alice")
    number = hang(identd, silent, roamer)
    roamer.enter(".")
    silent.answer()
    assert identd.wait(number).status == UNREADABLE
    assert identd.ask(roamer.pid, "alice").status == OK


def test_root_is_swapped_for_another_mount_of_it(identd, world, silent):
    """The same folder, but what is mounted in it can be another thing."""
    roamer = Roamer(world, "alice")
    number = hang(identd, silent, roamer)
    with silent.mounted_again(world.path("again")) as again:
        roamer.enter(again)
        silent.answer()
        assert identd.wait(number).status == UNREADABLE
        assert identd.ask(roamer.pid, "alice").status == OK
        roamer.enter(".")


def test_process_ends_meanwhile(identd, world, silent):
    roamer = Roamer(world, "alice")
    number = hang(identd, silent, roamer)
    roamer.exit()
    silent.answer()
    assert identd.wait(number).status == GONE


def test_user_changes_meanwhile(identd, world, silent):
    roamer = Roamer(world, "alice")
    number = hang(identd, silent, roamer)
    roamer.become(pwd.getpwnam("bob").pw_uid)
    silent.answer()
    assert identd.wait(number).status == OTHER_UID


# --- units ---


def test_unit(identd, world):
    process = spawn(world, "musicd")
    assert identd.ask(process.pid, "musicd").unit == ""
    with Unit("musicd") as unit:
        unit.add(process.pid)
        assert identd.ask(process.pid, "musicd").unit == unit.name
    assert identd.ask(process.pid, "musicd").unit == ""


@pytest.mark.parametrize("below", ["system.slice/lwa-test.slice", "system.slice/_lwa.slice"])
def test_unit_in_a_slice(identd, world, below):
    process = spawn(world, "musicd")
    with Unit("musicd", below=below) as unit:
        unit.add(process.pid)
        assert identd.ask(process.pid, "musicd").unit == unit.name


def test_escaped_unit(identd, world):
    process = spawn(world, "musicd")
    with Unit("_cpu.x") as unit:
        unit.add(process.pid)
        assert identd.ask(process.pid, "musicd").unit == unit.name[1:]


def test_folders_within_a_unit(identd, world):
    process = spawn(world, "musicd")
    with Unit("musicd") as unit, Cgroup(f"{unit.path}/system.slice/other.service") as inner:
        inner.add(process.pid)
        assert identd.ask(process.pid, "musicd").unit == unit.name


@pytest.mark.parametrize("below", ["user.slice/user-20001.slice/user@20001.service/system.slice", "lwa-test"])
def test_what_is_no_system_unit(identd, world, below):
    process = spawn(world, "alice")
    with Unit("musicd", below=below) as unit:
        unit.add(process.pid)
        assert identd.ask(process.pid, "alice").facts()[:3] == (OK, "", "")


def test_seen_from_a_cgroup_namespace(bus_world):
    """lwa-identd within a namespace: the paths of others begin with /.. there."""
    process = spawn(bus_world, "musicd")
    with Cgroup(f"lwa-test-{os.getpid()}/inner") as own, Unit("musicd") as unit:
        unit.add(process.pid)
        join = f"echo $$ >{own.folder}/cgroup.procs; exec unshare --cgroup -- \"$@\""
        with Identd(bus_world, prefix=["sh", "-c", join, "sh"]) as identd:
            own.added.append(identd.pid)
            with open(f"/proc/{identd.pid}/cgroup", encoding="ascii") as file:
                assert f"{own.path}\n" in file.read()
            assert identd.ask(process.pid, "musicd").unit == unit.name
            unit.leave(process.pid)
            assert identd.ask(process.pid, "musicd").unit == ""


# --- a file system that does not answer ---


def test_others_are_served(identd, world, silent):
    """Two look-ups of alice's hang, a third waits; bob's are answered, and so are those of alice's once one of hers is free."""
    roamer = Roamer(world, "alice")
    number = hang(identd, silent, roamer)
    others = [identd.send(roamer.pid, "alice") for _ in range(3)]
    bob = spawn(world, "bob")
    for _ in range(20):
        assert identd.ask(bob.pid, "bob").status == OK
    wait_until(lambda: len(identd.children()) == 2, 10 * world.slowness, "only two to look for alice")
    assert not identd.has_answered()
    silent.answer()
    for number in [number, *others]:
        assert identd.wait(number).status == OK


def test_ends_while_look_ups_hang(bus_world, silent):
    """Nobody waits for a child that cannot be killed."""
    identd = Identd(bus_world)
    roamer = Roamer(bus_world, "alice")
    hang(identd, silent, roamer)
    identd.send(roamer.pid, "alice")
    children = hanging(identd, silent, 2)
    # While they hang, all that they hold of ours is the pipe of their own.
    pair = identd.descriptors()[0]
    for child in children:
        held = identd.descriptors(child)
        assert pair not in held.values() and sum("pipe:" in name for name in held.values()) == 1, held
        assert 2 not in held or not held[2].startswith(("pipe:", "socket:")), held
    # Their standard error is not ours either: it ends with their parent.
    assert identd.close() == (0, "")
    stuck = [pid for pid in children if os.path.exists(f"/proc/{pid}")]
    assert stuck, "nothing hung"
    with Identd(bus_world) as another:
        bob = spawn(bus_world, "bob")
        assert another.ask(bob.pid, "bob").status == OK
    silent.end()
    wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in stuck), 10 * bus_world.slowness, "the children to end")


@pytest.mark.parametrize("killed", [False, True])
def test_children_end_with_it(bus_world, silent, killed):
    """Those that can be killed are: by it when the daemon is gone, by the kernel when it is gone itself."""
    identd = Identd(bus_world)
    roamer = Roamer(bus_world, "alice")
    roamer.enter(silent.path)
    silent.deafen()
    identd.send(roamer.pid, "alice")
    (child,) = hanging(identd, silent, 1)
    if killed:
        identd.process.kill()
    identd.close()
    wait_until(lambda: not os.path.exists(f"/proc/{child}"), 10 * bus_world.slowness, "the child to end")


@pytest.mark.slow
def test_stuck_look_ups_are_given_up(identd, world, silent):
    """They are answered in time, count until they are gone, and those behind them do not wait for ever."""
    identd.pair.settimeout(3 * WAIT_SEC * world.slowness)
    roamer = Roamer(world, "alice")
    numbers = [hang(identd, silent, roamer)]
    begun = time.monotonic()
    numbers += [identd.send(roamer.pid, "alice") for _ in range(4)]
    assert [identd.wait(number).status for number in numbers[:2]] == [TIMEOUT, TIMEOUT]
    assert time.monotonic() - begun >= LOOK_SEC - 1
    stuck = identd.children()
    assert len(stuck) == 2
    assert [identd.wait(number).status for number in numbers[2:]] == [TIMEOUT] * 3
    assert time.monotonic() - begun >= WAIT_SEC - 1
    assert identd.children() == stuck
    plain = spawn(world, "alice")
    waiting = identd.send(plain.pid, "alice")
    assert identd.ask(spawn(world, "bob").pid, "bob").status == OK
    assert not identd.has_answered()
    silent.answer()
    assert identd.wait(waiting).status == OK
    wait_until(lambda: not identd.children(), 10 * world.slowness, "the children to end")


def test_waiting_is_bounded(identd, world, silent):
    roamer = Roamer(world, "alice")
    hang(identd, silent, roamer)
    identd.send(roamer.pid, "alice")
    for _ in range(1024):  # LIMIT_IDENTD_WAITING_PER_UID
        identd.send(roamer.pid, "alice")
    assert identd.ask(roamer.pid, "alice").status == BUSY
    assert identd.ask(spawn(world, "bob").pid, "bob").status == OK
    silent.answer()


# --- the process itself ---


def test_daemon_reads_late(bus_world):
    """Answers wait until they are read, and none is lost: here the pair holds few of them."""
    process = spawn(bus_world, "alice")
    with Identd(bus_world, buffer=1) as identd:
        numbers = [identd.send(process.pid, user) for user in ["alice", "bob"] * 20]

        def is_idle():
            return not any(identd.children() for _ in range(20))

        wait_until(is_idle, 10 * bus_world.slowness, "it to wait for the reader")
        for i, number in enumerate(numbers):
            assert identd.wait(number).status == (OTHER_UID if i % 2 else OK)


def test_more_than_fits(identd, world):
    """Requests are sent until it takes no more; each is answered."""
    process = spawn(world, "alice")
    pidfd = os.pidfd_open(process.pid)
    identd.pair.setblocking(False)
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while sent < 3000:
            identd.send(process.pid, "alice", pidfd=pidfd)
            sent += 1
    identd.pair.settimeout(20 * world.slowness)
    statuses = [identd.wait(number).status for number in range(1, sent + 1)]
    assert set(statuses) <= {OK, BUSY, TIMEOUT} and OK in statuses
    os.close(pidfd)


def test_nothing_leaks(identd, world):
    process = spawn(world, "alice")
    pidfd = os.pidfd_open(process.pid)
    before = identd.descriptors()
    assert set(before) == {0, 1, 2} and before[1] == "/dev/null"
    for i in range(200):
        identd.ask(process.pid, "alice", pidfd=pidfd if i % 2 else None, connected=boottime_usec())
    wait_until(lambda: not identd.children(), 10 * world.slowness, "the children to end")
    assert identd.descriptors() == before
    os.close(pidfd)


def test_more_descriptors_than_one(identd, world):
    """There is room for a second one, by alignment."""
    process = spawn(world, "alice")
    uid, before = pwd.getpwnam("alice").pw_uid, identd.descriptors()
    pidfd = os.pidfd_open(process.pid)
    for n in (2, 3, 10):
        identd.last += 1
        message = REQUEST.pack(identd.last, 0, uid, process.pid, 1, 0)
        socket.send_fds(identd.pair, [message], [pidfd] * n)
        assert identd.wait(identd.last).status == BUSY
    os.close(pidfd)
    assert identd.descriptors() == before
    assert identd.ask(process.pid, "alice").status == OK


def check_privileges(pid):
    fields = status_of(pid)
    assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == CAPABILITIES, fields
    assert int(fields["CapInh"], 16) == int(fields["CapAmb"], 16) == 0, fields
    assert (fields["Seccomp"], fields["NoNewPrivs"]) == ("2", "1"), fields
    assert (fields["Threads"], fields["Umask"]) == ("1", "0077"), fields
    uid = str(pwd.getpwnam("lwa-broker").pw_uid)
    assert fields["Uid"].split() == fields["Gid"].split() == [uid] * 4, fields
    with open(f"/proc/{pid}/environ", "rb") as file:
        assert file.read() == b""
    with open(f"/proc/{pid}/limits", encoding="ascii") as file:
        assert any(line.split()[:6] == "Max core file size 0 0".split() for line in file)
    if not os.environ.get("LWA_SANITIZE"):  # whose leak checker needs a dumpable process
        assert os.stat(f"/proc/{pid}/fd").st_uid == 0
    return fields


def test_privileges(identd):
    check_privileges(identd.pid)


def test_signals_do_not_end_it(identd, world):
    """What is sent to a service as a whole: the daemon may still need it."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        identd.process.send_signal(number)
    assert identd.ask(spawn(world, "alice").pid, "alice").status == OK


def test_nonsense_ends_it(bus_world):
    for nonsense in (b"x", b"x" * (REQUEST.size + 1)):
        with Identd(bus_world) as identd:
            identd.pair.send(nonsense)
            assert identd.process.wait(10 * bus_world.slowness) == 0


def test_descriptor_that_is_missing(identd, world):
    """The daemon says that one comes along and none does: as when there is no room for it here."""
    process = spawn(world, "alice")
    identd.last += 1
    identd.pair.send(REQUEST.pack(identd.last, 0, pwd.getpwnam("alice").pw_uid, process.pid, 1, 0))
    assert identd.wait(identd.last).status == BUSY


def test_is_no_program_for_people(bus_world):
    done = bus_world.run_as("alice", ["lwa-identd"])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "lwa-identd is a part of lwa-brokerd, which starts it.\n"


# --- as the daemon starts it ---


def identd_of(world):
    with open(f"/proc/{world.broker.pid}/task/{world.broker.pid}/children", encoding="ascii") as file:
        (pid,) = file.read().split()
    return int(pid)


@pytest.fixture
def running(the_world):
    the_world.reset()
    yield the_world
    the_world.end_test()


def test_started_by_root(running):
    pid = identd_of(running)
    fields = check_privileges(pid)
    assert int(fields["CapBnd"], 16) == 0
    folder = f"/proc/{pid}/fd"
    assert set(os.listdir(folder)) == {"0", "1", "2"}


def test_started_by_its_unit(running):
    """The unit gives both capabilities to the daemon, which keeps none of them."""
    running.broker.stop()
    caps = "+sys_ptrace,+dac_read_search"
    unit = ["setpriv", "--reuid", "lwa-broker", "--regid", "lwa-broker", "--init-groups", "--no-new-privs"]
    unit += ["--bounding-set", "-all," + caps, "--inh-caps", caps, "--ambient-caps", caps, "--"]
    running.broker.start([*unit, *running.argv_of("lwa-brokerd")])
    check_privileges(identd_of(running))
    fields = status_of(running.broker.pid)
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(fields[name], 16) == 0, (name, fields)


def test_not_started_without_capabilities(running):
    running.broker.stop()
    done = running.run_as("lwa-broker", running.argv_of("lwa-brokerd"))
    assert done.returncode == 1
    needs = "lwa-identd needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH: start lwa-brokerd from its unit, or as root"
    assert done.stderr == f"<3>{needs}\n"


def test_daemon_ends_with_it(running):
    """Without it nobody can be identified: the service is started again."""
    os.kill(identd_of(running), signal.SIGKILL)
    assert running.broker.wait_end() == 1
    assert "lwa-identd has ended" in running.broker.log()
    running.broker.start()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ends_with_the_daemon(running, number):
    pid = identd_of(running)
    running.broker.signal(number)
    running.broker.wait_end()
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 10 * running.slowness, "lwa-identd to end")
    running.broker.start()
