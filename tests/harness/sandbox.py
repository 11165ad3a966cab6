# SPDX-License-Identifier: LGPL-2.1-or-later
"""Processes of which it is not plain who they are: in sandboxes, in units, under a root that does not answer.

    with Bubblewrap(world, "alice", ["sleep", "1000"], mark=flatpak_info("org.example.Player")) as box:
        box.pid                             # of the command, as seen from outside
    with Unit("musicd") as unit:            # a real cgroup below system.slice, of a name of its own
        unit.add(pid)
        unit.name                           # "musicd-12345.service"
    with SilentRoot(world.path("fuse")) as root:    # a FUSE file system of root's, allow_other
        ...                                 # a process chroots into root.path; who looks .flatpak-info up there hangs
        root.answer()                       # "no such file" (or another error), to all who hang and all who come
    roamer = Roamer(world, "alice")         # a process of alice's that may change its root and its user
    roamer.enter(path)

All of them end with their `with`, at the latest with the world.
"""

import contextlib
import ctypes
import errno
import json
import os
import pwd
import select
import struct
import tempfile
import threading

from world import WorldError, wait_until

PYTHON = "/usr/bin/python3"


def flatpak_info(app):
    """What Flatpak writes, without what does not matter here."""
    return f"[Application]\nname={app}\nruntime=runtime/org.example.Platform/x86_64/1\n\n[Instance]\nname=x\n".encode()


def memory_file(data):
    fd = os.memfd_create("mark")
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


class Bubblewrap:
    """A command in a real bubblewrap sandbox with a root of its own. `mark`: the bytes of /.flatpak-info, put there
    as Flatpak does; None for none. `options`: more for bwrap."""

    def __init__(self, world, user, command, mark=None, options=(), env=None, fds=()):
        read_end, write_end = os.pipe()
        handed = [write_end]
        argv = ["bwrap", "--die-with-parent", "--json-status-fd", write_end, "--ro-bind", "/usr", "/usr", "--proc", "/proc"]
        for name in ("bin", "lib", "lib64", "sbin"):
            argv += ["--symlink", f"usr/{name}", f"/{name}"]
        argv += ["--dev", "/dev"]
        if mark is not None:
            handed.append(memory_file(mark))
            argv += ["--perms", "0600", "--ro-bind-data", handed[-1], "/.flatpak-info"]
        argv += [*options, "--", *command]
        try:
            self.process = world.spawn_as(user, argv, pass_fds=[*handed, *fds], env=env)
        finally:
            for fd in handed:
                os.close(fd)
        with open(read_end, encoding="ascii") as status:
            line = status.readline()
        if not line:
            self.process.wait()
            raise WorldError(f"bwrap did not start: {self.process.stderr.read()}")
        self.pid = json.loads(line)["child-pid"]
        # It is the command's once the sandbox is built.
        program = os.path.basename(command[0])
        wait_until(lambda: self.is_ready(program), 10 * world.slowness, f"{program} to run in the sandbox")

    def is_ready(self, program):
        with open(f"/proc/{self.pid}/cmdline", "rb") as file:
            return os.path.basename(file.read().split(b"\0")[0].decode()) == program

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def systemd_hierarchy():
    """Where systemd keeps its cgroups: its own hierarchy of v1 if there is one, else that of v2."""
    named = "/sys/fs/cgroup/systemd"
    return named if os.path.isdir(named) else "/sys/fs/cgroup"


class Cgroup:
    """A cgroup of that path, made with those above it that were missing; removed again, as far as it is empty."""

    def __init__(self, path):
        self.path = path
        self.made = []
        self.added = []
        self.root = systemd_hierarchy()
        self.folder = os.path.join(self.root, path)
        wait_until(self.make, 5, f"the cgroup {path}")

    def make(self):
        folder = self.root
        for name in self.path.split("/"):
            folder = os.path.join(folder, name)
            try:
                os.mkdir(folder)
                self.made.append(folder)
            except FileExistsError:
                pass
            except FileNotFoundError:
                return False  # another run has just removed the one above
        return True

    def add(self, pid):
        with open(os.path.join(self.folder, "cgroup.procs"), "w", encoding="ascii") as file:
            file.write(str(pid))
        self.added.append(pid)

    def leave(self, pid):
        with open(os.path.join(self.root, "cgroup.procs"), "w", encoding="ascii") as file:
            file.write(str(pid))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in self.added:
            try:
                self.leave(pid)
            except ProcessLookupError:
                pass
        for folder in reversed(self.made):
            self.remove(folder)

    def remove(self, folder):
        def is_gone():
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                pass
            except OSError as error:
                # A process that has just ended still counts; another run may be in one above ours.
                return folder != self.folder or error.errno != errno.EBUSY
            return True

        wait_until(is_gone, 5, f"{folder} to be empty")


class Unit(Cgroup):
    """The cgroup of a system unit, whose name is nobody else's."""

    def __init__(self, stem, below="system.slice", suffix="service"):
        self.name = f"{stem}-{os.getpid()}-{id(self)}.{suffix}"
        super().__init__(f"{below}/{self.name}")


# For a process of its own: it then has alice's user and every capability, so that it can change its root as it is
# looked at.
ROAMING = """
import ctypes, os
NO_SETUID_FIXUP, PR_SET_SECUREBITS = 4, 28
home = os.open("/", os.O_PATH)

def roam_as(uid):
    assert ctypes.CDLL(None).prctl(PR_SET_SECUREBITS, NO_SETUID_FIXUP, 0, 0, 0) == 0
    os.setgroups([]); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)

def enter(path):
    os.fchdir(home)
    os.chroot(path.lstrip("/") or ".")  # not below the root that it has
"""

# It does not touch a file once it has its own root.
ROAM = (
    ROAMING
    + """
import sys
roam_as(int(sys.argv[1]))
print("ready", flush=True)
for line in sys.stdin:
    word, value = line.rstrip("\\n").split(" ", 1)
    if word == "enter":
        enter(value)
    elif word == "become":
        os.setresuid(int(value), int(value), int(value))
    elif word == "exit":
        os._exit(0)
    print("done", flush=True)
"""
)


class Roamer:
    def __init__(self, world, user):
        import subprocess

        self.world = world
        argv = [PYTHON, "-c", ROAM, pwd.getpwnam(user).pw_uid]
        self.process = world.spawn_as("root", argv, stdin=subprocess.PIPE, stderr=None)
        self.pid = self.process.pid
        self.expect("ready")

    def expect(self, word):
        line = self.process.stdout.readline()
        if line != word + "\n":
            raise WorldError(f"the roaming process said {line!r}")

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def enter(self, path):
        """Has this root from now on; "." is the world's own."""
        self.tell(f"enter {path}")
        self.expect("done")

    def become(self, uid):
        self.tell(f"become {uid}")
        self.expect("done")

    def exit(self):
        self.tell("exit 0")
        self.process.wait(10 * self.world.slowness)


FUSE_LOOKUP, FUSE_FORGET, FUSE_GETATTR, FUSE_INIT, FUSE_INTERRUPT, FUSE_BATCH_FORGET = 1, 2, 3, 26, 36, 42
FUSE_HEADER, FUSE_OUT = struct.Struct("=IIQQIIIHH"), struct.Struct("=IiQ")
S_IFDIR = 0o040000
MS_BIND, MNT_DETACH = 4096, 2
libc = ctypes.CDLL(None, use_errno=True)


class SilentRoot:
    """An empty folder that is served from here, by the kernel's own protocol. Look-ups in it are not answered until
    answer(); a process that waits for one cannot be killed."""

    def __init__(self, parent):
        os.makedirs(parent, exist_ok=True)
        self.path = tempfile.mkdtemp(dir=parent)
        self.held = []  # of look-ups that are not answered: their ids
        self.is_silent = True
        self.error = errno.ENOENT
        self.is_deaf = False
        self.lock = threading.Lock()
        self.device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        options = f"fd={self.device},rootmode=40755,user_id=0,group_id=0,allow_other"
        if libc.mount(b"silent", self.path.encode(), b"fuse", 0, options.encode()) != 0:
            raise WorldError(f"no FUSE file system: {os.strerror(ctypes.get_errno())}")
        self.ending = os.pipe()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            heard = [] if self.is_deaf else [self.device]
            ready, _, _ = select.select([*heard, self.ending[0]], [], [])
            if self.ending[0] in ready and os.read(self.ending[0], 1) == b"e":
                return
            if self.device not in ready:
                continue
            try:
                self.handle(os.read(self.device, 1 << 17))
            except (BlockingIOError, FileNotFoundError, InterruptedError):
                continue  # one that was given up while it was read
            except OSError:
                return  # unmounted

    def handle(self, request):
        _, opcode, unique = FUSE_HEADER.unpack_from(request)[:3]
        with self.lock:
            if opcode == FUSE_LOOKUP and self.is_silent:
                self.held.append(unique)
                return
        if opcode == FUSE_INIT:
            self.reply(unique, 0, struct.pack("=IIIIHHIIHHI28x", 7, 31, 0, 0, 16, 12, 4096, 1, 1, 0, 0))
        elif opcode == FUSE_GETATTR:
            attributes = struct.pack("=6Q10I", 1, 0, 0, 0, 0, 0, 0, 0, 0, S_IFDIR | 0o755, 2, 0, 0, 0, 4096, 0)
            self.reply(unique, 0, struct.pack("=QII", 1000, 0, 0) + attributes)
        elif opcode not in (FUSE_FORGET, FUSE_BATCH_FORGET, FUSE_INTERRUPT):
            self.reply(unique, -self.error if opcode == FUSE_LOOKUP else -errno.ENOSYS)

    def reply(self, unique, error, body=b""):
        try:
            os.write(self.device, FUSE_OUT.pack(FUSE_OUT.size + len(body), error, unique) + body)
        except FileNotFoundError:
            pass  # nobody waits for it any more

    def deafen(self):
        """Takes no request from now on. Who waits for one that was not taken can be killed."""
        self.is_deaf = True
        os.write(self.ending[1], b"d")

    def answer(self, error=errno.ENOENT):
        with self.lock:
            self.is_silent, self.error = False, error
            held, self.held = self.held, []
        for unique in held:
            self.reply(unique, -error)

    @contextlib.contextmanager
    def mounted_again(self, path):
        os.mkdir(path)
        if libc.mount(self.path.encode(), path.encode(), None, MS_BIND, None) != 0:
            raise WorldError(f"no bind mount: {os.strerror(ctypes.get_errno())}")
        try:
            yield path
        finally:
            libc.umount2(path.encode(), MNT_DETACH)

    def end(self):
        """Whoever hangs in it is let go by the end of the file system; nothing else would."""
        if self.device < 0:
            return
        os.write(self.ending[1], b"e")
        self.thread.join(10)
        os.close(self.device)
        self.device = -1
        libc.umount2(self.path.encode(), MNT_DETACH)
        for fd in self.ending:
            os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()
