# SPDX-License-Identifier: LGPL-2.1-or-later
"""Collectors of logs: the sockets of journald and of syslog, in folders of /run and /dev that only this world sees.

    with folders():
        with Collector(JOURNAL) as journal:
            ...
            journal.pause()                 it takes nothing any more; resume()
            journal.records("token-disclosed")
"""

import contextlib
import os
import re
import socket
import struct
import subprocess
import threading

JOURNAL, SYSLOG = "/run/systemd/journal/socket", "/dev/log"


def run(*argv):
    subprocess.run(argv, check=True, timeout=20)


@contextlib.contextmanager
def folders():
    """An empty /run, and a /dev that has all but a log. Mounts: enter's namespace has its own."""
    if os.readlink("/proc/self/ns/mnt") == os.readlink("/proc/1/ns/mnt") and "LWA_RUN_DIR" not in os.environ:
        raise RuntimeError("not inside tests/harness/enter")
    devices = os.path.join(os.environ["LWA_RUN_DIR"], "devices")
    os.mkdir(devices)
    run("mount", "--rbind", "/dev", devices)
    run("mount", "-t", "tmpfs", "tmpfs", "/dev")
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    try:
        for name in ("null", "zero", "full", "random", "urandom", "tty", "fuse"):
            if os.path.exists(f"{devices}/{name}"):
                with open(f"/dev/{name}", "wb"):
                    pass
                run("mount", "--bind", f"{devices}/{name}", f"/dev/{name}")
        for name in ("pts", "shm"):
            os.mkdir(f"/dev/{name}")
            run("mount", "--rbind", f"{devices}/{name}", f"/dev/{name}")
        for name, target in (("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd")):
            os.symlink(target, f"/dev/{name}")
        os.makedirs(os.path.dirname(JOURNAL))
        yield
    finally:
        run("umount", "-l", "/run")
        run("umount", "-l", "/dev")
        run("umount", "-l", devices)
        os.rmdir(devices)


def parse_journal(datagram):
    """The fields of one entry, as bytes; a form that is not the protocol's is an error."""
    fields = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (n,) = struct.unpack_from("<Q", rest)
            value, rest = rest[8 : 8 + n], rest[8 + n :]
            assert len(value) == n and rest[:1] == b"\n", datagram
            rest = rest[1:]
        assert re.fullmatch(rb"[A-Z][A-Z0-9_]*", name) and name not in fields, (name, datagram)
        fields[name] = value
        datagram = rest
    return {name.decode(): value.decode("utf-8", "surrogateescape") for name, value in fields.items()}


HEAD = re.compile(r"<(\d+)>([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) lwa-brokerd\[(\d+)\]: ([^\"]*?)((?: [a-z_]+=\"(?:[^\"\\]|\\.)*\")+)")


def unescape(text):
    text = re.sub(r"\\(x[0-9a-f]{2}|.)", lambda m: chr(int(m[1][1:], 16)) if len(m[1]) == 3 else m[1], text)
    return text.encode("latin-1").decode("utf-8", "surrogateescape")


def parse_syslog(datagram):
    """The same names as in the journal."""
    assert all(0x20 <= byte <= 0x7E for byte in datagram), datagram
    found = HEAD.fullmatch(datagram.decode())
    assert found, datagram
    priority, _, pid, message, rest = found.groups()
    fields = {"PRIORITY": str(int(priority) % 8), "SYSLOG_FACILITY": str(int(priority) // 8), "PID": pid, "MESSAGE": message}
    for name, value in re.findall(r' ([a-z_]+)="((?:[^"\\]|\\.)*)"', rest):
        assert name not in fields
        fields["LWA_" + name.upper()] = unescape(value)
    return fields


class Collector:
    """Takes what comes, on a thread of its own."""

    def __init__(self, path, reads=True):
        self.path = path
        self.parse = parse_journal if path == JOURNAL else parse_syslog
        self.entries = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        os.chmod(path, 0o666)
        self.socket.settimeout(0.05)
        self.may_read = threading.Event()
        if reads:
            self.may_read.set()
        self.is_ending = False
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.socket.fileno() < 0:
            return
        self.is_ending = True
        self.may_read.set()
        self.thread.join()
        self.socket.close()
        os.unlink(self.path)

    def read(self):
        while not self.is_ending:
            self.may_read.wait()
            try:
                entry = self.socket.recv(1 << 20)
                if b"lwa-brokerd" in entry:  # polkitd tells syslog of itself
                    self.entries.append(entry)
            except TimeoutError:
                pass

    def pause(self):
        self.may_read.clear()

    def resume(self):
        self.may_read.set()

    def records(self, event=None):
        """What came, parsed, in the order in which it came."""
        return [r for r in map(self.parse, list(self.entries)) if event in (None, r["LWA_EVENT"])]
