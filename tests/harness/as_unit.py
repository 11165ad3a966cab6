#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a program as its unit says, where no systemd runs: what of the unit's sandbox the kernel does.

    as_unit.py UNIT [--keep DIR]... -- COMMAND [ARGUMENT...]

Namespaces, a read-only tree, the process folder, users, capabilities, limits and the filter of system calls are made
from the settings of the file, so that a program that does not survive one of them dies here too: a call that the unit
does not allow ends it. --keep: a folder that stays as it is, for what a test has there. A setting that this does not
know is an error, so that none is passed over. What a cgroup would do (DevicePolicy=, IPAddressDeny=, SocketBindDeny=,
TasksMax=) is not done. Needs root, in a process and a mount namespace of a test's own.
"""

import ctypes
import os
import pwd
import resource
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
seccomp.seccomp_init.restype = ctypes.c_void_p

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_SLAVE = 1, 2, 4, 8, 4096, 16384, 1 << 19
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_SET_SECUREBITS = 24, 38, 47, 28
KEEP_CAPS, SYS_MOUNT_SETATTR, AT_RECURSIVE, ATTR_RDONLY = 1 << 4, 442, 0x8000, 1
CAPABILITIES = {"CAP_DAC_READ_SEARCH": 2, "CAP_SYS_PTRACE": 19}
CAPABILITY_LAST = 40
ALLOW, KILL = 0x7FFF0000, 0x80000000
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}
# Done by the functions below, or by nothing here (see above), or no confinement at all.
KNOWN = set(
    "AmbientCapabilities CapabilityBoundingSet DynamicUser LimitCORE LimitMEMLOCK MemoryDenyWriteExecute NoNewPrivileges "
    "PrivateDevices PrivateIPC PrivateNetwork PrivateTmp PrivateUsers ProcSubset ProtectHome ProtectHostname ProtectProc "
    "ProtectSystem ReadWritePaths RestrictAddressFamilies RestrictNamespaces StateDirectory SystemCallFilter UMask User "
    "DevicePolicy IPAddressDeny SocketBindDeny TasksMax "
    "ConditionPathExists Documentation Description Wants Requires After CollectMode Type NotifyAccess WatchdogSec BusName ExecStart ExecReload "
    "Restart RestartSec TimeoutStartSec TimeoutStopSec StateDirectoryMode ConfigurationDirectory KillMode StandardInput "
    "StandardOutput StandardError WantedBy "
    # Of what these forbid the filter of calls forbids the call, or a namespace or a missing capability forbids it.
    "KeyringMode LockPersonality PrivateMounts ProtectClock ProtectControlGroups ProtectKernelLogs ProtectKernelModules "
    "ProtectKernelTunables RemoveIPC RestrictRealtime RestrictSUIDSGID SystemCallArchitectures".split()
)


def check(result, what):
    if result < 0:
        sys.exit(f"as_unit: {what}: {os.strerror(ctypes.get_errno())}")


def settings(path):
    """[(key, value)], in the order of the file."""
    with open(path, encoding="utf-8") as file:
        found = [tuple(line.strip().split("=", 1)) for line in file if "=" in line and line[0] not in "#["]
    unknown = {key for key, _ in found} - KNOWN
    if unknown:
        sys.exit(f"as_unit: {path}: what does {', '.join(sorted(unknown))} do?")
    return found


def call_sets():
    """{"@set": its words}, as this machine's systemd has them."""
    done = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager"], capture_output=True, text=True, check=True)
    found, name = {}, None
    for line in done.stdout.splitlines():
        word = line.strip()
        if line.startswith("@"):
            name = word
            found[name] = set()
        elif name and word and not word.startswith("#"):
            found[name].add(word)
    return found


def expand(words, sets):
    found = set()
    for word in words:
        found |= expand(sets[word], sets) if word.startswith("@") else {word}
    return found


def allowed_calls(found, sets):
    calls = set()
    for key, value in found:
        if key == "SystemCallFilter":
            names = expand(value.lstrip("~").split(), sets)
            calls = calls - names if value.startswith("~") else calls | names
    return calls


# --- files ---


def mount(source, target, kind=None, flags=0, data=None):
    words = [word and os.fsencode(word) for word in (source, target, kind)]
    check(libc.mount(words[0], words[1], words[2], flags, data and data.encode()), f"mount {target}")


def open_tree(path):
    """A folder to be put back later, wherever its old place is covered by then."""
    fd = libc.syscall(428, -100, os.fsencode(path), 1 | 0x80000 | AT_RECURSIVE)  # open_tree(OPEN_TREE_CLONE)
    check(fd, f"open_tree {path}")
    return fd


def put_back(fd, path):
    os.makedirs(path, exist_ok=True)
    check(libc.syscall(429, fd, b"", -100, os.fsencode(path), 4), f"move_mount {path}")
    os.close(fd)


def set_read_only(path, is_read_only):
    attributes = (ctypes.c_uint64 * 4)(ATTR_RDONLY if is_read_only else 0, 0 if is_read_only else ATTR_RDONLY, 0, 0)
    check(libc.syscall(SYS_MOUNT_SETATTR, -100, os.fsencode(path), AT_RECURSIVE, attributes, 32), f"setattr {path}")


def make_devices():
    """As systemd has them: the harmless ones, and the way to the syslog."""
    names = ("null", "zero", "full", "random", "urandom", "tty")
    kept = {name: open_file(f"/dev/{name}") for name in names}
    mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755")
    for name, fd in kept.items():
        with open(f"/dev/{name}", "w", encoding="ascii"):
            pass
        check(libc.syscall(429, fd, b"", -100, f"/dev/{name}".encode(), 4), f"move_mount /dev/{name}")
        os.close(fd)
    os.symlink("/run/systemd/journal/dev-log", "/dev/log")


def open_file(path):
    fd = libc.syscall(428, -100, os.fsencode(path), 1 | 0x80000)
    check(fd, f"open_tree {path}")
    return fd


def make_tree(one, keep):
    """one: the settings that stand once."""
    check(libc.unshare(NEWNS), "unshare")
    mount("none", "/", flags=MS_REC | MS_SLAVE)
    kept = {path: open_tree(path) for path in keep}
    if one.get("PrivateTmp") == "yes":
        for path in ("/tmp", "/var/tmp"):
            mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    if one.get("ProtectHome") == "yes":
        for path in ("/home", "/root", "/run/user"):
            if os.path.isdir(path):
                mount("tmpfs", path, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV, "mode=0000")
    if one.get("PrivateDevices") == "yes":
        make_devices()
    options = "hidepid=invisible" if one.get("ProtectProc") == "invisible" else "hidepid=off"
    options += ",subset=pid" if one.get("ProcSubset") == "pid" else ""
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, options)
    if one.get("ProtectSystem") == "strict":
        set_read_only("/", True)
        # systemd leaves these three to settings of their own.
        set_read_only("/proc", False)
        set_read_only("/dev", False)
        for path in ("/tmp", "/var/tmp"):
            set_read_only(path, False)
    for path, fd in kept.items():
        put_back(fd, path)


# --- privileges ---


def map_users(uid, gid):
    """Root and the unit's user are themselves; all others are nobody. Written from outside of the namespace."""
    entered, enter = os.pipe()
    done, ready = os.pipe()
    if os.fork() == 0:
        os.read(entered, 1)
        for name, number in (("uid_map", uid), ("gid_map", gid)):
            with open(f"/proc/{os.getppid()}/{name}", "w", encoding="ascii") as file:
                file.write(f"0 0 1\n{number} {number} 1\n")
        os.write(ready, b".")
        os._exit(0)
    check(libc.unshare(NEWUSER), "unshare users")
    os.write(enter, b".")
    if os.read(done, 1) != b".":
        sys.exit("as_unit: the users could not be mapped")
    os.wait()
    for fd in (entered, enter, done, ready):
        os.close(fd)


def capabilities(one, key):
    return [CAPABILITIES[name] for name in one.get(key, "").split()]


class CapHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


def set_capabilities(numbers):
    low = sum(1 << n for n in numbers)
    data = (ctypes.c_uint32 * 6)(low, low, low, 0, 0, 0)
    check(libc.capset(ctypes.byref(CapHeader(0x20080522, 0)), data), "capset")


def become(one, uid, gid):
    bounding, ambient = capabilities(one, "CapabilityBoundingSet"), capabilities(one, "AmbientCapabilities")
    for n in range(CAPABILITY_LAST + 1):
        if n not in bounding:
            check(libc.prctl(PR_CAPBSET_DROP, n, 0, 0, 0), "bounding set")
    check(libc.prctl(PR_SET_SECUREBITS, KEEP_CAPS, 0, 0, 0), "keep capabilities")
    os.setgroups([gid])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    set_capabilities(ambient)
    for n in ambient:
        check(libc.prctl(PR_CAP_AMBIENT, 2, n, 0, 0), "ambient set")
    if one.get("NoNewPrivileges") == "yes":
        check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")


def limit(one):
    os.umask(int(one.get("UMask", "0022"), 8))
    for key, number in (("LimitCORE", resource.RLIMIT_CORE), ("LimitMEMLOCK", resource.RLIMIT_MEMLOCK)):
        if key in one:
            wanted = int(one[key].replace("M", "000000"))
            hard = resource.getrlimit(number)[1]
            wanted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(number, (wanted, wanted))


# --- system calls ---


class Compare(ctypes.Structure):
    """Of an argument with its mask: SCMP_CMP_MASKED_EQ."""

    _fields_ = [("argument", ctypes.c_uint), ("operator", ctypes.c_int), ("mask", ctypes.c_uint64), ("value", ctypes.c_uint64)]


def load(default, rules):
    """rules: (action, call, [(argument, mask, value)])"""
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(default)))
    for action, name, compares in rules:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number == -1:
            continue
        array = (Compare * len(compares))(*[Compare(a, 7, mask, value) for a, mask, value in compares])
        done = seccomp.seccomp_rule_add_array(context, ctypes.c_uint32(action), number, len(compares), array)
        if done < 0:
            sys.exit(f"as_unit: no rule for {name}: {done}")
    if seccomp.seccomp_load(context) < 0:
        sys.exit("as_unit: no filter")


def filters(found, one):
    """The narrow ones first: the last says which calls there are at all, these two included."""
    result = []
    if one.get("MemoryDenyWriteExecute") == "yes":
        result.append((ALLOW, [(KILL, "mmap", [(2, 6, 6)]), (KILL, "mprotect", [(2, 4, 4)]), (KILL, "pkey_mprotect", [(2, 4, 4)])]))
    if "RestrictAddressFamilies" in one:
        names = [name for name in one["RestrictAddressFamilies"].split() if name != "none"]
        numbers = [FAMILIES[name] for name in names]
        others = [n for n in range(46) if n not in numbers]
        result.append((ALLOW, [(KILL, "socket", [(0, 0xFFFFFFFF, n)]) for n in others]))
    if one.get("RestrictNamespaces") == "yes":
        kinds = (NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWNET, 0x20000000, 0x2000000)
        rules = [(KILL, name, [(0, kind, kind)]) for name in ("clone", "unshare") for kind in kinds]
        result.append((ALLOW, [*rules, (KILL, "setns", [])]))
    calls = allowed_calls(found, call_sets())
    if calls:
        # What systemd itself needs to get there is allowed in any unit.
        result.append((KILL, [(ALLOW, name, []) for name in sorted(calls | {"execve", "brk", "arch_prctl"})]))
    return result


def run(unit, keep, command):
    found = settings(unit)
    one = dict(found)
    user = one["User"]
    # A user that systemd would make for the run.
    numbers = (61234, 61234) if one.get("DynamicUser") == "yes" else pwd.getpwnam(user)[2:4]
    ready = filters(found, one)
    kinds = [(NEWNET, "PrivateNetwork"), (NEWIPC, "PrivateIPC"), (NEWUTS, "ProtectHostname")]
    check(libc.unshare(sum(kind for kind, key in kinds if one.get(key) == "yes")), "unshare")
    make_tree(one, keep)
    limit(one)
    if one.get("PrivateUsers") == "yes":
        map_users(*numbers)
    become(one, *numbers)
    os.chdir("/")
    for default, rules in ready:
        load(default, rules)
    if "ASAN_OPTIONS" in os.environ:  # LSan is a tracer, which units forbid; it would wait for ever
        os.environ["ASAN_OPTIONS"] += ":detect_leaks=0"
    os.execv(command[0], command)


def main(arguments):
    unit, *rest = arguments
    split = rest.index("--")
    keep = [word for word in rest[:split] if word != "--keep"]
    run(unit, keep, rest[split + 1 :])


if __name__ == "__main__":
    main(sys.argv[1:])
