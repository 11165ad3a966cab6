# SPDX-License-Identifier: LGPL-2.1-or-later
"""A Debian of its own to install packages in, with a bus, a polkitd and whatever else is started there.

    with Chroot.unpacked(folder, "build/chroot/base.tar") as base:   # made by tests/chroot/prepare
        base.install(*packages)
        with base.copy(other_folder) as device:                      # what is changed there, `base` does not see
            device.start_bus()
            device.run("lwactl", "status")
            device.run_as("musicd", "lwactl", "token", "music::library:read")

For inside of tests/harness/enter: processes, mounts and the network (loopback alone) are those of its namespaces, so
that nothing here is seen, or left, outside. Nothing is downloaded. What was started is ended by its process id.
"""

import contextlib
import itertools
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import threading
import time

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
PATIENCE = 60


class ChrootError(Exception):
    pass


def await_that(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise ChrootError(f"waited {PATIENCE} s for {what}")
        time.sleep(0.05)
    return result


def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True, timeout=PATIENCE)


class Chroot:
    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.processes = {}
        self.logs = self.root.with_name(self.root.name + ".logs")
        self.logs.mkdir(exist_ok=True)

    # --- the file systems ---

    @classmethod
    @contextlib.contextmanager
    def mounted(cls, folder, *arguments):
        """Mounts a root file system on folder/root, and what belongs into it."""
        root = pathlib.Path(folder, "root")
        root.mkdir(parents=True)
        chroot = cls(root)
        mounts = []
        try:
            for at, mount_arguments in ((root, arguments), (root / "proc", ("-t", "proc", "proc"))):
                at.mkdir(exist_ok=True)
                mount(*mount_arguments, str(at))
                mounts.append(at)
            yield chroot
        finally:
            chroot.stop()
            for at in reversed(mounts):
                subprocess.run(["umount", str(at)], check=True, timeout=PATIENCE)

    @classmethod
    @contextlib.contextmanager
    def unpacked(cls, folder, archive):
        """In memory: dpkg waits for the disk after each file."""
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(folder))
        try:
            base = pathlib.Path(folder, "base")
            base.mkdir()
            subprocess.run(["tar", "-C", base, "-x", "-p", "-f", archive], check=True, timeout=10 * PATIENCE)
            with cls.mounted(folder, "--bind", str(base)) as chroot:
                yield chroot
        finally:
            subprocess.run(["umount", str(folder)], check=True, timeout=PATIENCE)

    @contextlib.contextmanager
    def copy(self, folder):
        """One that begins with what is here now. Nothing may be changed here while it is used."""
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True)
        mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(folder))
        try:
            for name in ("upper", "work"):
                (folder / name).mkdir()
            options = f"lowerdir={self.root},upperdir={folder}/upper,workdir={folder}/work"
            with self.mounted(folder, "-t", "overlay", "-o", options, "overlay") as chroot:
                yield chroot
        finally:
            subprocess.run(["umount", str(folder)], check=True, timeout=PATIENCE)

    # --- files ---

    def path(self, name):
        return self.root / name.lstrip("/")

    def read(self, name):
        return self.path(name).read_text(encoding="utf-8")

    def write(self, name, text):
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text, encoding="utf-8")
        self.path(name).chmod(0o644)

    def tree(self, *names):
        """{path: bytes} of all files below."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for name in names
            for path in sorted(self.path(name).rglob("*"))
            if path.is_file()
        }

    def owners(self, name):
        """{(user, mode)} of a folder and all that is in it: what `ls` in there would say."""
        shown = self.run("find", name, "-printf", "%u:%g %m %p\\n").stdout
        return {path: (owner, mode) for owner, mode, path in (line.split(" ", 2) for line in shown.splitlines())}

    # --- programs ---

    def argv(self, user, argv):
        drop = ["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--inh-caps=-all", "--"]
        return ["chroot", str(self.root), *(drop if user != "root" else []), *map(str, argv)]

    def run(self, *argv, user="root", status=0, timeout=5 * PATIENCE, env=None, **options):
        """A CompletedProcess with texts; ChrootError when it ends with another status (None: any)."""
        options.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run(
            self.argv(user, argv), env={**ENVIRONMENT, **(env or {})}, cwd="/", capture_output=True, text=True, timeout=timeout,
            check=False, **options,
        )
        if status is not None and done.returncode != status:
            raise ChrootError(f"`{shlex.join(map(str, argv))}` ended with {done.returncode}:\n{done.stdout}{done.stderr}\n{self.said()}")
        return done

    def run_as(self, user, *argv, **options):
        return self.run(*argv, user=user, **options)

    def start(self, name, *argv, env=None, **options):
        """A process that runs until stop()."""
        options.setdefault("stdin", subprocess.DEVNULL)
        with open(self.logs / name, "ab") as log:
            self.processes[name] = subprocess.Popen(
                self.argv("root", argv), stdout=log, stderr=log, cwd="/", env={**ENVIRONMENT, **(env or {})}, **options
            )
        return self.processes[name]

    def said(self):
        logs = sorted(self.logs.iterdir())
        return "\n".join(f"{log.name}| {line}" for log in logs for line in log.read_text(errors="replace").splitlines()[-30:])

    def end(self, name):
        """Its status, as Popen tells it."""
        process = self.processes.pop(name)
        process.terminate()
        try:
            return process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise ChrootError(f"{name} did not end\n{self.said()}") from None

    def stop(self):
        if "bus" in self.processes:
            self.end_activated()
        for name in reversed(list(self.processes)):
            self.end(name)

    # --- the bus, polkit, and what the bus starts ---

    def start_bus(self):
        """The system bus and polkitd, as the installed files say."""
        (self.root / "run/dbus").mkdir(parents=True, exist_ok=True)
        (self.root / "run/dbus/system_bus_socket").unlink(missing_ok=True)
        self.start("bus", "dbus-daemon", "--system", "--nofork", "--nopidfile")
        await_that(self.path("/run/dbus/system_bus_socket").exists, "the bus")
        self.start("polkitd", "/usr/lib/polkit-1/polkitd", "--no-debug")
        await_that(lambda: self.owner_of("org.freedesktop.PolicyKit1"), "polkitd")

    def ask_bus(self, member, *arguments):
        argv = ["dbus-send", "--system", "--print-reply=literal", "--dest=org.freedesktop.DBus", "/org/freedesktop/DBus"]
        done = self.run(*argv, "org.freedesktop.DBus." + member, *arguments, status=None)
        return done.stdout.split() if done.returncode == 0 else []

    def owner_of(self, name):
        """The pid of who owns the name on the bus, or None."""
        answer = self.ask_bus("GetConnectionUnixProcessID", f"string:{name}")
        return int(answer[-1]) if answer else None

    def end_activated(self, name="org.lwabroker.Broker1"):
        """What the bus has started is the bus's child: it is ended by the process id that the bus tells."""
        pid = self.owner_of(name)
        if pid and not any(process.pid == pid for process in self.processes.values()):
            handle = os.pidfd_open(pid)
            try:
                signal.pidfd_send_signal(handle, signal.SIGTERM)
                await_that(lambda: self.owner_of(name) != pid, f"the end of {name}")
            finally:
                os.close(handle)

    def start_unit(self, name):
        """Runs a service as its unit says, with its user and capabilities, and until it says that it
        is ready. The rest of what units say needs systemd, or tests/harness/as_unit.py."""
        service = self.unit(f"{name}.service")["Service"]
        notify = self.path("/run/notify")
        notify.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
            ear.bind(str(notify))
            notify.chmod(0o777)
            ear.settimeout(PATIENCE)
            self.start(name, *as_unit(service), env={"NOTIFY_SOCKET": "/run/notify"})
            try:
                said = ear.recv(4096).decode()
            except TimeoutError:
                raise ChrootError(f"{name} was not ready after {PATIENCE} s\n{self.said()}") from None
        assert service["Type"] == "notify" and "READY=1" in said.split("\n"), (service, said)

    @contextlib.contextmanager
    def socket_unit(self, name):
        """Does for NAME.socket what systemd does: for each connection to it an instance of NAME@.service."""
        place = self.unit(f"{name}.socket")["Socket"]
        service = self.unit(f"{name}@.service")["Service"]
        path = self.path(place["ListenSequentialPacket"].replace("%t", "/run"))
        path.parent.mkdir(parents=True, exist_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(str(path))
            uid, gid = (int(self.run("id", option, place["SocketUser"]).stdout) for option in ("-u", "-g"))
            os.chown(path, uid, gid)
            path.chmod(int(place["SocketMode"], 8))
            listener.listen()
            thread = threading.Thread(target=self.accept, args=(name, service, listener))
            thread.start()
            try:
                yield
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                thread.join()
                path.unlink()

    def accept(self, name, service, listener):
        for number in itertools.count():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                self.start(f"{name}-{number}", *as_unit(service), stdin=connection)

    def unit(self, name):
        return read_unit(self.read(f"/lib/systemd/system/{name}"))

    # --- packages ---

    def apt(self, *arguments, **options):
        """apt-get; all that it has is in its cache."""
        return self.run("apt-get", "-q", "-y", "--no-install-recommends", *arguments, **options)

    def install(self, *packages, **options):
        """.deb files of ours."""
        for package in packages:
            target = self.path("/root") / os.path.basename(package)
            target.write_bytes(pathlib.Path(package).read_bytes())
        return self.apt("install", *(f"/root/{os.path.basename(package)}" for package in packages), **options)

    def package_status(self, name):
        done = self.run("dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Version}", name, status=None)
        return done.stdout.strip()


def read_unit(text):
    """{section: {key: value}}; of a key that stands there twice the values are joined."""
    sections, section = {}, None
    for line in text.splitlines():
        if found := re.fullmatch(r"\[(\w+)\]", line.strip()):
            section = sections.setdefault(found.group(1), {})
        elif found := re.match(r"(\w+)=(.*)", line):
            key, value = found.groups()
            section[key] = f"{section[key]} {value}" if key in section else value
    return sections


def as_unit(service):
    """What setpriv makes of a service's user and capabilities."""

    def only(key):
        return ",".join(["-all", *("+" + name.removeprefix("CAP_").lower() for name in service.get(key, "").split())])

    # The user that systemd would make for the run.
    user = "61234" if service.get("DynamicUser") == "yes" else service["User"]
    argv = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups"]
    argv += ["--bounding-set", only("CapabilityBoundingSet"), "--inh-caps", only("AmbientCapabilities")]
    argv += ["--ambient-caps", only("AmbientCapabilities")]
    argv += ["--no-new-privs"] if service["NoNewPrivileges"] == "yes" else []
    return [*argv, "--", *shlex.split(service["ExecStart"].replace("%t", "/run"))]
