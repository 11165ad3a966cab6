# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Debian packages, on a new Debian: what is in them, and what installing, upgrading, removing and purging does.

They are built once, of what is committed, and installed once, into a chroot (tests/harness/chroot.py). Each test has
a copy of that, and on it a system bus and a polkitd that know nothing but the files that the packages brought. Amazon
is lwa-sim, over TLS, on the network that all of them share.
"""

import gzip
import json
import os
import pathlib
import re
import shutil
import subprocess
import textwrap

import pytest
from chroot import Chroot
from simulator import Simulator

pytestmark = pytest.mark.slow

TREE = pathlib.Path(os.environ.get("LWA_SRC_DIR", "."))
BUILD = TREE / os.environ.get("LWA_BUILD", "build")
NAMES = ["lwa-broker", "lwactl", "liblwa-client0", "liblwa-client-dev"]
SCOPE = "music::library:read"
UNITS = "/lib/systemd/system"
STATE, KEYS, CONF = "/var/lib/lwa-broker", "/etc/lwa-broker/keys", "/etc/lwa-broker"
GRANTS = f"""
[user:musicd]
allow = {SCOPE}
[user:weatherd]
allow = postal_code
deny = {SCOPE}
"""


# --- what the tests are given ---


class Packages:
    def __init__(self, folder):
        self.folder = folder
        self.paths = {}
        for path in sorted(folder.glob("*.deb")):
            self.paths[path.name.split("_")[0]] = path

    def __getitem__(self, name):
        return self.paths[name]

    def ours(self):
        return [self.paths[name] for name in NAMES]

    def field(self, name, field):
        return subprocess.check_output(["dpkg-deb", "-f", self.paths[name], field], text=True).strip()

    def names(self, name):
        listing = subprocess.check_output(["dpkg-deb", "--fsys-tarfile", self.paths[name]])
        tar = subprocess.run(["tar", "-t"], input=listing, stdout=subprocess.PIPE, check=True)
        return [line.removeprefix(".") for line in tar.stdout.decode().splitlines() if not line.endswith("/")]

    def later(self, folder):
        """The same as a later version."""
        folder.mkdir()
        version = self.field("lwa-broker", "Version")
        for name in NAMES:
            unpacked = folder / name
            subprocess.run(["dpkg-deb", "-R", self.paths[name], unpacked], check=True)
            control = unpacked / "DEBIAN/control"
            control.write_text(control.read_text().replace(version, "9" + version))
            subprocess.run(["dpkg-deb", "-b", "-Znone", unpacked, folder], check=True, stdout=subprocess.DEVNULL)
            shutil.rmtree(unpacked)
        return Packages(folder)


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages")
    options = dict(os.environ, DEB_BUILD_OPTIONS="nocheck")
    with open(folder / "build.log", "wb") as log:
        done = subprocess.run([TREE / "tests/chroot/build", folder], env=options, stdout=log, stderr=log, check=False)
    assert done.returncode == 0, (folder / "build.log").read_text()[-4000:]
    return Packages(folder)


@pytest.fixture(scope="module")
def bare():
    """A new Debian, without our packages."""
    archive = TREE / "build/chroot/base.tar"
    assert archive.exists(), "`./dev test --all`, or one that names this file, makes build/chroot with tests/chroot/prepare"
    with Chroot.unpacked(os.path.join(os.environ["LWA_RUN_DIR"], "bare"), archive) as chroot:
        yield chroot


class Device:
    """A machine with our packages, and Amazon."""

    def __init__(self, chroot, amazon):
        self.chroot = chroot
        self.amazon = amazon
        self.run = chroot.run
        self.run_as = chroot.run_as

    def configure(self):
        """What an administrator writes, and users that apps run as."""
        origin = self.amazon.base
        endpoints = {
            "codepair": "/auth/o2/create/codepair", "token": "/auth/o2/token", "authorize": "/ap/oa",
            "tokeninfo": "/auth/o2/tokeninfo", "profile": "/user/profile",
        }
        lines = ["[provider]", f"client_id = {self.amazon.client_id}", f"ca_file = {CONF}/amazon.pem"]
        lines += [f"{name}_endpoint = {origin}{path}" for name, path in endpoints.items()]
        lines += ["[api]", f"base = {origin}/v1", f"security_profile_id = {self.amazon.security_profile_id}", "[policy]", "default = deny"]
        self.chroot.write(f"{CONF}/broker.conf", "\n".join(lines) + "\n")
        self.chroot.write(f"{CONF}/amazon.pem", (self.amazon.certs / "ca.pem").read_text())
        self.chroot.write(f"{CONF}/grants.d/apps.conf", GRANTS)
        for user in ("musicd", "weatherd"):
            self.run("useradd", user)
        return self

    def link(self):
        """The device's login, as a person makes it: by code."""
        argv = self.chroot.argv("root", ["lwactl", "login", "--device", "--no-qr", SCOPE])
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as login:
            said = []
            for line in login.stdout:
                said.append(line)
                if found := re.search(r"Code: (\S+)", line):
                    self.amazon.control("/approve", user_code=found.group(1), customer="carol", answer="allow")
        assert login.returncode == 0, "".join(said) + self.chroot.said()
        return self

    def token(self, user="musicd", **options):
        return self.run_as(user, "lwactl", "token", SCOPE, **options)

    def gives_tokens(self):
        """Whether musicd gets one that Amazon knows."""
        token = self.token().stdout.strip()
        headers = {"Authorization": f"Bearer {token}", "x-api-key": self.amazon.security_profile_id}
        reply = self.amazon.get("/v1/me/playlists", headers=headers)
        assert reply.status == 200, reply.text
        return True

    def kept(self):
        """What must outlive every change of packages, but for what the broker adds to its trail."""
        return self.chroot.tree(KEYS, CONF)

    def events(self):
        """Of the audit trail, oldest first."""
        lines = self.run("lwactl", "audit", "--json", "--all").stdout.splitlines()
        return [json.loads(line)["event"] for line in lines]


@pytest.fixture(scope="module")
def amazon(tmp_path_factory):
    os.environ.setdefault("LWA_SIM", str(BUILD / "lwa-sim"))
    with Simulator(tmp_path_factory.mktemp("amazon")) as simulator:
        simulator.control("/set", interval=1)
        yield simulator


@pytest.fixture(scope="module")
def installed(bare, packages, tmp_path_factory):
    """The packages on a new Debian, just installed; `said` is what the person who did it saw."""
    with bare.copy(os.path.join(os.environ["LWA_RUN_DIR"], "installed")) as chroot:
        chroot.said_at_install = chroot.install(*packages.ours()).stdout
        yield chroot


@pytest.fixture
def device(installed, amazon, request):
    """Installed, and configured; the bus runs."""
    with installed.copy(os.path.join(os.environ["LWA_RUN_DIR"], request.node.name)) as chroot:
        chroot.start_bus()
        yield Device(chroot, amazon).configure()


# --- what is in them ---


def test_lintian_finds_nothing(packages):
    [changes] = packages.folder.glob("*.changes")
    done = subprocess.run(
        ["lintian", "--profile", "debian", "-I", "--allow-root", "--fail-on", "error,warning,info", changes],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0 and not re.findall(r"^[EWI]: ", done.stdout, re.M), done.stdout + done.stderr


def test_each_file_is_in_the_package_of_those_who_need_it(packages):
    lib = "/usr/lib/" + subprocess.check_output(["dpkg-architecture", "-qDEB_HOST_MULTIARCH"], text=True).strip()
    places = {
        "lwa-broker": [
            f"{UNITS}/lwa-brokerd.service", f"{UNITS}/lwa-identd.socket", f"{UNITS}/lwa-identd@.service",
            "/usr/lib/tmpfiles.d/lwa-broker.conf", "/usr/libexec/lwa-brokerd", "/usr/libexec/lwa-identd", "/usr/lib/sysusers.d/lwa-broker.conf",
            "/usr/share/dbus-1/system.d/org.lwabroker.Broker1.conf",
            "/usr/share/dbus-1/system-services/org.lwabroker.Broker1.service",
            "/usr/share/dbus-1/interfaces/org.lwabroker.Broker1.xml",
            "/usr/share/polkit-1/actions/org.lwabroker.policy", "/usr/share/polkit-1/rules.d/50-lwa-broker.rules",
            "/usr/share/lwa-broker/scopes.conf", "/usr/share/man/man8/lwa-brokerd.8.gz",
            "/usr/share/man/man5/lwa-broker.conf.5.gz", "/usr/share/man/man5/lwa-broker-grants.5.gz",
        ],
        "lwactl": [
            "/usr/bin/lwactl", "/usr/bin/lwa-audit-verify", "/usr/share/bash-completion/completions/lwactl",
            "/usr/share/zsh/vendor-completions/_lwactl",
            "/usr/share/man/man1/lwactl.1.gz", "/usr/share/man/man1/lwa-audit-verify.1.gz",
        ],
        "liblwa-client0": [f"{lib}/liblwa-client.so.0"],
        "liblwa-client-dev": [
            "/usr/include/lwa-client.h", "/usr/include/lwa-client-curl.h", "/usr/share/doc/liblwa-client-dev/examples/curl.c",
            "/usr/share/man/man3/lwa-client.3.gz",
            f"{lib}/liblwa-client.so", f"{lib}/liblwa-client.a", f"{lib}/pkgconfig/lwa-client.pc",
        ],
    }
    assert set(places) == set(NAMES)
    for name, expected in places.items():
        there = set(packages.names(name))
        assert set(expected) <= there, (name, set(expected) - there)
        # Two packages of one file cannot be installed together, and what an administrator writes is no package's.
        for other in set(places) - {name}:
            assert not there & set(packages.names(other))
        assert not [path for path in there if path.startswith(("/etc/", "/var/"))]


def test_what_the_manuals_point_to_is_installed(packages, tmp_path):
    """Debian's places are not always those of `make install`."""
    there = {str(pathlib.PurePath(path)) for name in NAMES for path in packages.names(name)}
    there |= {str(folder) for path in there for folder in pathlib.PurePath(path).parents}
    named = set()
    for name in NAMES:
        subprocess.run(["dpkg-deb", "-x", packages[name], tmp_path], check=True)
    for page in tmp_path.glob("usr/share/man/man*/*.gz"):
        text = gzip.decompress(page.read_bytes()).decode().replace("\\-", "-")
        named |= {path.rstrip(".") for path in re.findall(r"/usr/[\w./-]*(?:lwa|lwabroker|examples)[\w./-]*", text)}
    assert "/usr/share/doc/liblwa-client-dev/examples/curl.c" in named
    assert not named - there, named - there


def test_the_symbols_file_names_what_the_library_exports(packages, tmp_path):
    """Each with the version that brought it, so that programs depend on the library that they need."""
    subprocess.run(["dpkg-deb", "-x", packages["liblwa-client0"], tmp_path], check=True)
    [library] = tmp_path.glob("usr/lib/*/liblwa-client.so.0")
    listing = subprocess.check_output(["nm", "-D", "--defined-only", library], text=True)
    exported = {line.split()[2].replace("@@", "@") for line in listing.splitlines()}
    exported = {f"{name}@{name}" if "@" not in name else name for name in exported}
    lines = (TREE / "debian/liblwa-client0.symbols").read_text().splitlines()
    assert lines[0] == "liblwa-client.so.0 liblwa-client0 #MINVER#"
    named = {line.split()[0] for line in lines if line.startswith(" ")}
    assert named == exported, named ^ exported


# --- installing ---


def test_a_new_installation(installed):
    assert [installed.package_status(name)[:2] for name in NAMES] == ["ii"] * len(NAMES)
    assert installed.run("dpkg", "--audit").stdout == ""
    assert "client id" in installed.said_at_install
    assert installed.owners(STATE) == {STATE: ("lwa-broker:lwa-broker", "700")}
    assert installed.owners(KEYS) == {KEYS: ("lwa-broker:lwa-broker", "700")}
    assert installed.owners(CONF) == {
        KEYS: ("lwa-broker:lwa-broker", "700"),
        **{path: ("root:root", "755") for path in (CONF, f"{CONF}/broker.conf.d", f"{CONF}/grants.d", f"{CONF}/scopes.d")},
    }
    entry = installed.run("getent", "passwd", "lwa-broker").stdout.strip().split(":")
    assert int(entry[2]) < 1000 and entry[6].endswith("nologin")


def test_it_starts_with_the_machine_once_it_is_configured(installed):
    """Enabled, but systemd passes over it without a failure while there is no configuration."""
    assert installed.run("systemctl", "is-enabled", "lwa-brokerd").stdout.strip() == "enabled"
    assert installed.unit("lwa-brokerd.service")["Unit"]["ConditionPathExists"] == f"{CONF}/broker.conf"
    assert not installed.path(f"{CONF}/broker.conf").exists()


def test_without_a_client_id_it_says_so(installed):
    """To whoever calls, at once, and nothing is made: no key, no database."""
    with installed.copy(os.path.join(os.environ["LWA_RUN_DIR"], "unconfigured")) as chroot:
        chroot.start_bus()
        refused = chroot.run("lwactl", "status", status=8)
        assert refused.stdout == "" and refused.stderr
        assert "broker.conf" in chroot.said()
        assert chroot.tree(STATE, KEYS) == {}


def test_to_install_again_changes_nothing(device, packages):
    before = device.chroot.owners(CONF), device.kept()
    device.chroot.apt("install", "--reinstall", *(f"/root/{path.name}" for path in packages.ours()))
    assert (device.chroot.owners(CONF), device.kept()) == before


# --- at work ---


def test_the_bus_starts_it_when_it_is_called(device):
    """As root, without systemd; it becomes its own user before it serves."""
    assert not device.chroot.owner_of("org.lwabroker.Broker1")
    assert device.link().gives_tokens()
    status = pathlib.Path(f"/proc/{device.chroot.owner_of('org.lwabroker.Broker1')}/status").read_text()
    uid = device.run("id", "-u", "lwa-broker").stdout.strip()
    assert re.search(rf"^Uid:\t{uid}\t{uid}\t{uid}\t{uid}$", status, re.M), status
    assert not re.search(r"^Cap(Prm|Eff|Amb):\t0*[1-9a-f]", status, re.M), status


def test_it_serves_as_its_units_start_it(device):
    """The daemon without any capability, and lwa-identd at the other end of its socket."""
    with device.chroot.socket_unit("lwa-identd"):
        device.chroot.start_unit("lwa-brokerd")
        assert "lwa-identd-0" in device.chroot.processes
        assert device.link().gives_tokens()
        assert device.chroot.end("lwa-brokerd") == 0


def test_a_refusal_is_explained(device):
    device.link()
    refused = device.token("weatherd", status=3)
    assert refused.stdout == "" and SCOPE in refused.stderr
    explained = device.run("lwactl", "explain", "user:weatherd", SCOPE, status=3).stdout
    assert f"{CONF}/grants.d/apps.conf:" in explained and "deny" in explained, explained
    # What the sentence says is also so: without that line it is given.
    device.chroot.write(f"{CONF}/grants.d/apps.conf", GRANTS.replace("deny = ", "allow = ").replace("allow = postal_code\n", ""))
    device.run("lwactl", "reload")
    assert device.token("weatherd").stdout.strip()


PROGRAM = """
#include <lwa-client.h>
#include <stdio.h>
static void send_request(const char *authorization, const char *api_key)
{
    printf("%s\\n%s\\n", authorization, api_key);
}
int main(void)
{
@README@
    lwa_token_unref(token);
    lwa_client_free(client);
    return 0;
}
"""


def test_an_app_is_built_as_the_readme_says_and_run(device):
    chroot = device.link().chroot
    chroot.apt("install", "gcc", "libc6-dev", "pkg-config")
    example = re.search(r"^```c\n(.*?)^```$", (TREE / "README.md").read_text(), re.M | re.S).group(1)
    chroot.write("/usr/src/player.c", PROGRAM.replace("@README@", textwrap.indent(example, "    ")))
    build = "cc -Wall -Wextra -Werror -o /usr/local/bin/player /usr/src/player.c $(pkg-config --cflags --libs lwa-client)"
    chroot.run("sh", "-c", build)
    # The package that has what it is linked with, as a package of the app would depend on it.
    assert "liblwa-client.so.0" in chroot.run("ldd", "/usr/local/bin/player").stdout
    lines = device.run_as("musicd", "player").stdout.splitlines()
    headers = dict(line.split(": ", 1) for line in lines)
    assert device.amazon.get("/v1/me/playlists", headers=headers).status == 200
    refused = device.run_as("weatherd", "player")
    assert refused.stdout == "" and f"may not hold {SCOPE}" in refused.stderr


# --- upgrading, removing, purging ---


def test_an_upgrade_keeps_all(device, packages, tmp_path):
    device.link()
    before = device.kept()
    old = device.chroot.owner_of("org.lwabroker.Broker1")
    device.chroot.install(*packages.later(tmp_path / "later").ours())
    assert all(re.match(r"ii +9", device.chroot.package_status(name)) for name in NAMES)
    # The old one no longer serves: its program is gone.
    assert device.chroot.owner_of("org.lwabroker.Broker1") is None and not os.path.exists(f"/proc/{old}")
    assert device.kept() == before
    assert device.gives_tokens()


def test_removing_keeps_configuration_and_logins(device, packages):
    device.link()
    before = device.kept()
    device.chroot.apt("remove", *NAMES)
    assert not device.chroot.path("/usr/libexec/lwa-brokerd").exists() and not device.chroot.path("/usr/bin/lwactl").exists()
    assert device.chroot.owner_of("org.lwabroker.Broker1") is None
    assert device.kept() == before
    device.chroot.install(*packages.ours())
    assert device.gives_tokens()


@pytest.mark.parametrize("user", ["same-user", "another-uid"])
def test_a_purge_keeps_logins(device, packages, user):
    """It says where they are and how to delete them; installed again, also under another uid, the broker has them."""
    chroot = device.link().chroot
    recorded = device.events()
    chroot.end_activated()
    state, kept = chroot.tree(STATE), device.kept()
    said = chroot.apt("purge", *NAMES).stdout
    assert not any(chroot.package_status(name) for name in NAMES)
    assert chroot.tree(STATE) == state and device.kept() == kept
    assert STATE in said and CONF in said and "rm -r" in said

    if user == "another-uid":
        uid = int(device.run("id", "-u", "lwa-broker").stdout)
        device.run("userdel", "lwa-broker")
        device.run("useradd", "--system", "--uid", str(uid), "somebody")
        assert chroot.owners(STATE)[STATE] == ("somebody:somebody", "700")
        # Nothing that has a second name is given away: it may be another's.
        chroot.write("/var/lib/roots", "")
        os.link(chroot.path("/var/lib/roots"), chroot.path(f"{STATE}/second-name"))
        os.symlink("/var/lib/roots", chroot.path(f"{STATE}/link"))
    chroot.install(*packages.ours())
    if user == "another-uid":
        assert int(device.run("id", "-u", "lwa-broker").stdout) != uid
        assert chroot.owners("/var/lib/roots") == {"/var/lib/roots": ("root:root", "644")}
    owners = {**chroot.owners(STATE), **chroot.owners(KEYS)}
    theirs = {path for path, (owner, _) in owners.items() if owner == "lwa-broker:lwa-broker"}
    assert set(owners) - theirs <= {f"{STATE}/second-name", f"{STATE}/link"}, owners
    assert device.gives_tokens()
    assert device.events()[: len(recorded)] == recorded


def test_a_purge_without_logins_leaves_nothing(installed):
    with installed.copy(os.path.join(os.environ["LWA_RUN_DIR"], "unused")) as chroot:
        said = chroot.apt("purge", *NAMES).stdout
        assert not chroot.path(STATE).exists() and not chroot.path(CONF).exists()
        assert "logins" not in said
