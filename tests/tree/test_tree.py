# SPDX-License-Identifier: LGPL-2.1-or-later
"""The shape of the tree: layers, one module for each foreign library, banned functions, house rules."""

import fnmatch
import os
import re
import subprocess

import pytest
from tree import LAYERS, TREE, files, includes, matches, read, sources

# Which folder may include which.
ARROWS = {
    "util": {"util"},
    "dbus": {"dbus", "util"},
    "policy": {"policy", "util"},
    "broker": {"broker", "policy", "dbus", "util"},
    "client": {"client", "dbus", "util"},
}

# Which files may include which foreign header; several patterns for a library mean several modules that need it.
FOREIGN = {
    "ini.h": ["util/ini.c"],
    "dbus/*": ["dbus/*", "client/*", "broker/bus.h", "broker/bus-watches.h", "broker/server.h"],
    "uv.h": ["broker/*", "client/examples/libuv.c"],
    "glib*.h": ["client/examples/glib.c"],
    "lwa-client*.h": ["client/examples/*.c"],
    "curl/*": ["broker/http.c", "broker/http-*.[ch]", "client/library/lwa-client-curl.h", "client/examples/*.c"],
    "openssl/*": ["broker/http-*.[ch]"],
    "sqlite3.h": ["broker/store.c", "broker/store-*.[ch]"],
    "jansson.h": ["broker/json.c"],
    "json-c/*": ["client/lwactl/*"],
    "json.h": ["client/lwactl/*"],
    "sodium.h": ["broker/*.c"],
    "cap-ng.h": ["broker/harden.c"],
    "seccomp.h": ["broker/syscall-filter.c"],
    "qrencode.h": ["client/lwactl/*.c"],
}

LIBC = set(
    "assert ctype dirent dlfcn langinfo wctype err errno fcntl fnmatch getopt glob grp inttypes limits locale math netdb poll "
    "pthread pwd sched setjmp signal spawn stdarg stdbool stddef stdint stdio stdlib string strings syslog termios "
    "time unistd wchar endian byteswap malloc search".split()
)


def is_libc(name):
    return name[:-2] in LIBC or re.match(r"(sys|linux|net|netinet|arpa)/", name) is not None


def test_layers():
    wrong = [
        f"{path}:{line}: {name}"
        for layer in LAYERS
        for path in sources(layer)
        for line, name, is_system in includes(path)
        if not is_system and "/" in name and name.split("/")[0] not in ARROWS[layer]
    ]
    assert not wrong, "\n".join(wrong)


def test_includes_name_their_folder():
    """Only generated headers, and the public one, are included without a folder."""
    wrong = [
        f"{path}:{line}: {name}"
        for path in sources()
        for line, name, is_system in includes(path)
        if not is_system and "/" not in name and name not in ("autoconf.h", "lwa-client.h")
    ]
    assert not wrong, "\n".join(wrong)


def test_foreign_libraries():
    wrong = []
    for path in sources():
        for line, name, is_system in includes(path):
            if not is_system or is_libc(name):
                continue
            library = next((pattern for pattern in FOREIGN if fnmatch.fnmatch(name, pattern)), None)
            if not library or not any(fnmatch.fnmatch(path, allowed) for allowed in FOREIGN[library]):
                wrong.append(f"{path}:{line}: <{name}>")
    assert not wrong, "\n".join(wrong)


def test_secret_memory_is_one_module():
    calls = r"\bsodium_(malloc|allocarray|free|m?lock|munlock|memzero|mprotect_\w+)\s*\("
    wrong = matches(calls, [path for path in sources() if path != "broker/secret.c"])
    assert not wrong, "\n".join(wrong)


def test_the_maps_name_the_files_of_store_and_chain():
    """The heads of these headers say which file does what: each is named, and is there."""
    found = {os.path.basename(path) for path in sources("broker") if fnmatch.fnmatch(path, "broker/store*.c")}
    maps = read("broker/store-internal.h") + read("broker/store-chain.h")
    patterns = set(re.findall(r"^ \*   (store[a-z*-]*\.c) ", maps, re.M))
    unnamed = {name for name in found if not any(fnmatch.fnmatch(name, pattern) for pattern in patterns)}
    gone = {pattern for pattern in patterns if not fnmatch.filter(found, pattern)}
    assert not unnamed and not gone, (unnamed, gone)


def test_refusals_are_worded_in_one_place():
    """RateLimited says when to come back or what to end first: refusal_explain() makes the sentence. A login's
    outcome has reasons of its own."""
    own = ("broker/call.c", "broker/server.c", "broker/login-reason.c")
    wrong = matches(r"\bBUS_E_RATE_LIMITED\b", [path for path in sources("broker") if path not in own])
    assert not wrong, "\n".join(wrong)


def test_library_needs_only_libdbus():
    """liblwa-client is client/library and what it includes: libdbus and libc, no other foreign library."""
    wrong = [
        f"{path}:{line}: <{name}>"
        for path in sources("client/library")
        for line, name, is_system in includes(path)
        if is_system and not is_libc(name) and not name.startswith("dbus/") and path != "client/library/lwa-client-curl.h"
    ]
    assert not wrong, "\n".join(wrong)


def test_lwactl_is_built_on_the_library():
    """On its public header, as any program is, and not on what is inside of it; the library knows nothing of lwactl."""
    wrong = [
        f"{path}:{line}: {name}"
        for folder, foreign in (("client/lwactl", "client/library/"), ("client/library", "client/lwactl/"))
        for path in sources(folder)
        for line, name, _ in includes(path)
        if name.startswith(foreign) and name != "client/library/lwa-client.h"
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "pattern",
    [
        r"\b(strcpy|strcat|sprintf|vsprintf|gets|alloca|strtok|strncat|strncpy)\s*\(",
        r"\b(atoi|atol|atoll|atof|system|popen|mktemp|tmpnam|tempnam|rand|srand|random)\s*\(|(?<![.>])\bsignal\s*\((?!\w+, SIG_(IGN|DFL))",
        r"\bgoto\b",
        r"\btypedef\s+(struct|union|enum)\b",
        r"\bCURLOPT_(VERBOSE|DEBUGFUNCTION|SSL_VERIFYPEER|SSL_VERIFYHOST)\b.*\b0L?\b",
    ],
    ids=["strings", "unsafe", "goto", "typedef", "curl"],
)
def test_banned(pattern):
    wrong = matches(pattern, sources())
    assert not wrong, "\n".join(wrong)


def test_environment_is_not_read():
    """The daemon has no hooks in its environment: only start-up looks at it, for what systemd hands over."""
    allowed = ("broker/main.c", "broker/harden.c")
    daemon = [path for path in sources("util", "dbus", "policy", "broker") if path not in allowed]
    wrong = matches(r"\b(secure_)?getenv\s*\(|\benviron\b", daemon)
    assert not wrong, "\n".join(wrong)


def test_notes_to_self():
    """Nothing unfinished is kept: no such marks in anything that we write."""
    marks = r"\b(" + "TO" + "DO|FIX" + "ME|XX" + r"X)\b"
    ours = [path for path in files(".c", ".h", ".py", ".am", ".ac", ".xml", ".conf", ".rules") + ["dev"]]
    wrong = matches(marks, ours, text=read)
    assert not wrong, "\n".join(wrong)


def test_headers_are_guarded():
    wrong = [path for path in sources() if path.endswith(".h") and "#pragma once" not in read(path)]
    # The public header must serve compilers that know no pragma.
    wrong = [path for path in wrong if not path.startswith("client/library/lwa-client")]
    assert not wrong, "\n".join(wrong)


def test_licence_lines():
    first = [path for path in files(".c", ".h") if not read(path).startswith("/* SPDX-License-Identifier: ")]
    scripts = files(".py", ".am", ".ac") + files(under="tests/harness")
    first += [path for path in set(scripts) if "SPDX-License-Identifier: " not in read(path)[:400]]
    assert not first, "\n".join(sorted(first))


def test_top_level():
    expected = {"broker", "client", "dbus", "debian", "policy", "tests", "util", "docs"}
    folders = {path.split("/")[0] for path in files() if "/" in path}
    assert {name for name in folders if not name.startswith(".")} <= expected


def test_no_path_of_a_machine():
    """Paths of the one machine that it was written on do not belong into the tree."""
    pattern = "/" + r"work/\w|/" + r"tmp/wt/|/" + r"root/\w"
    text = [path for path in files() if not path.endswith((".png", ".db", ".bin")) and is_text(path)]
    wrong = matches(pattern, text, text=read)
    assert not wrong, "\n".join(wrong)


def is_text(path):
    full = os.path.join(TREE, path)
    if os.path.islink(full) or "/corpus/" in path:
        return False
    with open(full, "rb") as file:
        return b"\0" not in file.read(8192)


def test_scripts_can_be_run():
    for path in ["dev", ".ci/run", *files(under="tests/harness")]:
        full = os.path.join(TREE, path)
        if read(path).startswith("#!"):
            assert os.access(full, os.X_OK), path


def test_tarball_is_whole():
    """`make dist` takes along every file, so that what it makes can be built, tested and checked."""
    build = os.path.join(TREE, os.environ["LWA_BUILD"])
    listing = subprocess.run(
        ["make", "-s", "-C", build, "list-dist"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True
    )
    names = listing.stdout.split()
    listed = {os.path.relpath(os.path.join(build if name.startswith("..") else TREE, name), TREE) for name in names}
    ours = [path for path in files() if "/" in path]
    missing = [path for path in ours if not any(path == name or path.startswith(name + "/") for name in listed)]
    assert ours and not missing, "\n".join(missing)


def test_packages_name_what_the_library_exports():
    """By debian's symbols file a program depends on the version that brought what it calls."""
    golden = {"@".join(line.split()) for line in read("client/library/symbols.txt").splitlines()}
    named = {line.split()[0] for line in read("debian/liblwa-client0.symbols").splitlines() if line.startswith(" ")}
    assert golden and named == golden | {"LWA_CLIENT_0.1@LWA_CLIENT_0.1"}


# Programs that a bare Debian 12 lacks, and their packages.
PROGRAMS = {"bwrap": "bubblewrap", "xdg-dbus-proxy": "xdg-dbus-proxy", "sqlite3": "sqlite3", "xmllint": "libxml2-utils", "man": "man-db"}


def harness_of(name, found):
    """The modules of tests/harness that one of them stands on, itself included."""
    path = f"tests/harness/{name}.py"
    if name not in found and os.path.exists(os.path.join(TREE, path)):
        found.add(name)
        for imported in re.findall(r"^(?:import|from) (\w+)", read(path), re.MULTILINE):
            harness_of(imported, found)
    return found


@pytest.mark.parametrize("command", ["demo", "up", "bench"])
def test_dev_installs_what_it_runs(command):
    """Nobody has these programs already, only because the tests have been run."""
    packages = re.search(r"^RUN_PACKAGES=\((.*?)\)", read("dev"), re.MULTILINE | re.DOTALL)[1].split()
    text = "".join(read(f"tests/harness/{name}.py") for name in sorted(harness_of(command, set())))
    used = {package for program, package in PROGRAMS.items() if re.search(rf'"(/usr/bin/)?{program}"', text)}
    assert used <= set(packages)
