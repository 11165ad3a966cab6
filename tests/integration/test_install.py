# SPDX-License-Identifier: LGPL-2.1-or-later
"""`make install` puts all that there is to where it belongs, and what it has put there works."""

import contextlib
import glob
import os
import pwd
import re
import shutil
import stat
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from logins import LIBRARY, OWNERS_RULE, link, take
from world import WorldError

HERE = os.path.dirname(os.path.abspath(__file__))


def run(*argv, check=True, **options):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False, **options)
    assert not check or done.returncode == 0, (argv, done.stdout[-4000:], done.stderr[-4000:])
    return done


def make(build, *arguments):
    # What make hands on to the make that runs us is not meant for this one.
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    return run("make", "-s", "-C", build, *arguments, env=env)


def folders(build):
    """{name: folder}, as this build has them."""
    with open(os.path.join(build, "Makefile"), encoding="utf-8") as file:
        values = dict(re.findall(r"^(\w+) = (.*)$", file.read(), re.MULTILINE))

    def resolve(value):
        while found := re.search(r"\$[({](\w+)[)}]", value):
            value = value.replace(found.group(), values[found.group(1)])
        return value

    return {name: resolve(value) for name, value in values.items() if value.startswith(("/", "${", "$(")) and ("dir" in name or name == "prefix")}


class Installed:
    def __init__(self, world, root):
        self.build, self.root = world.build_dir, root
        self.folders = folders(self.build)
        make(self.build, "install", f"DESTDIR={root}")

    def path(self, folder, *names):
        return os.path.join(self.root + self.folders[folder], *names)

    def files(self):
        return {path.removeprefix(self.root) for path in glob.glob(self.root + "/**", recursive=True, include_hidden=True)
                if not os.path.isdir(path) or os.path.islink(path)}


@pytest.fixture(scope="module")
def installed(the_world):
    root = the_world.path("installed")
    shutil.rmtree(root, ignore_errors=True)
    yield Installed(the_world, root)
    shutil.rmtree(root)


def is_page(path):
    return re.search(r"\.[1-8]$", path) and "/fuzz/" not in path


def is_other_name_of_a_page(path, pages):
    """Of a function that a page of the tree tells of: a link to that page, beside it."""
    return bool(is_page(path)) and os.path.islink(path) and os.readlink(path) in pages


def sources(world):
    done = run("git", "-c", "safe.directory=*", "-C", world.src_dir, "ls-files", check=False)
    found = done.stdout.split("\n") if done.returncode == 0 else []
    return found or [os.path.relpath(path, world.src_dir) for path in glob.glob(world.src_dir + "/[b-u]*/**", recursive=True)]


def test_installed_tree_is_complete(bus_world, installed):
    """Each file of the list, every manual page and example of the tree, the documents, and nothing else."""
    with open(os.path.join(HERE, "installed.txt"), encoding="utf-8") as file:
        listed = [line.strip() for line in file if not line.startswith("#")]
    expected = {re.sub(r"@(\w+)@", lambda m: installed.folders[m[1]], line) for line in listed}
    pages = {os.path.basename(path) for path in sources(bus_world) if is_page(path)}
    assert len(pages) > 5
    expected |= {os.path.join(installed.folders["mandir"], f"man{page[-1]}", page) for page in pages}
    examples = [os.path.basename(path) for path in sources(bus_world) if path.startswith("client/examples/")]
    expected |= {os.path.join(installed.folders["docdir"], "examples", name) for name in examples}
    found = installed.files()
    found = {path for path in found if not is_other_name_of_a_page(installed.root + path, pages)}
    documents = {path for path in found if os.path.dirname(path) == installed.folders["docdir"]}
    assert {os.path.basename(path) for path in documents} >= {"README.md", "SECURITY.md", "LICENSE"}
    assert found - documents == expected


def test_installed_modes(installed):
    programs = [installed.folders["bindir"], installed.folders["libexecdir"]]
    for path in installed.files():
        st = os.lstat(installed.root + path)
        if not stat.S_ISLNK(st.st_mode):
            is_program = os.path.dirname(path) in programs or ".so." in path or path.endswith(".la")
            assert (stat.S_IMODE(st.st_mode), st.st_uid) == (0o755 if is_program else 0o644, 0), path


def test_nothing_of_the_build_is_installed(bus_world, installed):
    """No path of the tree that it was made from, no word that configure should have replaced, no DESTDIR."""
    build = os.path.realpath(bus_world.build_dir)
    for path in installed.files():
        if not path.startswith((installed.folders["bindir"], installed.folders["libexecdir"])) and ".so" not in path and not path.endswith((".a", ".la")):
            with open(installed.root + path, encoding="utf-8") as file:
                text = file.read()
            assert build not in text and installed.root not in text, path
            assert not re.search(r"@[a-z]+dir@", text), path


def test_uninstall_leaves_nothing(bus_world, tmp_path):
    own = Installed(bus_world, str(tmp_path / "root"))
    assert own.files()
    make(own.build, "uninstall", f"DESTDIR={own.root}")
    assert own.files() == set()


# --- the bus ---


def test_bus_policy_is_closed_but_for_interfaces(bus_world, installed):
    """The first word is no; what opens it again names an interface of ours, or one that every service has."""
    policy = ElementTree.parse(installed.path("dbusdatadir", "system.d/org.lwabroker.Broker1.conf")).getroot()
    (closed,) = [p for p in policy.iter("policy") if p.get("context") == "default"]
    (owner,) = [p for p in policy.iter("policy") if p.get("user")]
    name = {"send_destination": "org.lwabroker.Broker1"}
    assert owner.get("user") == "lwa-broker" and [rule.attrib for rule in owner] == [{"own": "org.lwabroker.Broker1"}]
    rules = list(closed)
    assert rules[0].tag == "deny" and rules[0].attrib == {**name, "send_type": "method_call"}
    assert all(name.items() <= rule.attrib.items() for rule in rules)
    opened = {rule.get("send_interface") for rule in rules if rule.tag == "allow"}
    ours = {os.path.basename(path).removesuffix(".xml") for path in glob.glob(bus_world.src_dir + "/dbus/org.*.xml")}
    assert opened == ours | {f"org.freedesktop.DBus.{word}" for word in ("Introspectable", "Peer", "Properties")}


def test_activation_and_unit_name_each_other(installed):
    with open(installed.path("dbusdatadir", "system-services/org.lwabroker.Broker1.service"), encoding="utf-8") as file:
        activation = dict(line.strip().split("=", 1) for line in file if "=" in line)
    with open(installed.path("systemdsystemunitdir", "lwa-brokerd.service"), encoding="utf-8") as file:
        unit = dict(line.strip().split("=", 1) for line in file if "=" in line and line[0] != "#")
    assert activation["SystemdService"] == "lwa-brokerd.service" and unit["BusName"] == activation["Name"]
    daemon = os.path.join(installed.folders["libexecdir"], "lwa-brokerd")
    assert activation["Exec"] == daemon and unit["ExecStart"] == f"{daemon} --identd=%t/lwa-broker/identd"
    assert (unit["Type"], unit["User"]) == ("notify", "lwa-broker") and int(unit["WatchdogSec"]) >= 10


# --- systemd ---

UNITS = ("lwa-brokerd.service", "lwa-identd.socket", "lwa-identd@.service")


def test_units_are_well_formed(installed, tmp_path):
    """As systemd reads them, with the programs where they are now."""
    for name in UNITS:
        with open(installed.path("systemdsystemunitdir", name), encoding="utf-8") as file:
            text = file.read().replace(installed.folders["libexecdir"], installed.path("libexecdir"))
        (tmp_path / name).write_text(text)
    done = run("systemd-analyze", "verify", "--man=no", *[str(tmp_path / name) for name in UNITS], check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    # It would have seen a mistake.
    (tmp_path / UNITS[0]).write_text((tmp_path / UNITS[0]).read_text().replace("PrivateUsers=yes", "PrivateUsres=yes"))
    done = run("systemd-analyze", "verify", "--man=no", str(tmp_path / UNITS[0]), check=False)
    assert "PrivateUsres" in done.stderr


def make_machine(installed, root):
    """A root folder of a machine on which it was installed: its user and its folders, by systemd's own programs."""
    os.makedirs(os.path.join(root, "etc"))
    for path, folder in (("sysusers.d/lwa-broker.conf", "sysusersdir"), ("tmpfiles.d/lwa-broker.conf", "tmpfilesdir")):
        target = os.path.join(root, "usr/lib", path)
        os.makedirs(os.path.dirname(target))
        shutil.copyfile(installed.path(folder, "lwa-broker.conf"), target)
    run("systemd-sysusers", f"--root={root}", "lwa-broker.conf")
    run("systemd-tmpfiles", f"--root={root}", "--create", "lwa-broker.conf")


def test_user_and_folders_are_made(installed, tmp_path):
    root = str(tmp_path / "machine")
    make_machine(installed, root)
    with open(os.path.join(root, "etc/passwd"), encoding="utf-8") as file:
        (entry,) = [line.rstrip("\n").split(":") for line in file if line.startswith("lwa-broker:")]
    uid, gid = int(entry[2]), int(entry[3])
    assert 0 < uid < 1000 and entry[5] == "/var/lib/lwa-broker" and entry[6].endswith("nologin")
    conf = root + os.path.join(installed.folders["sysconfdir"], "lwa-broker")
    made = {}
    for path in [conf, *glob.glob(conf + "/**", recursive=True)]:
        st = os.stat(path)
        made[os.path.relpath(path, conf)] = (stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid)
    ours = (0o755, 0, 0)
    assert made == {".": ours, "broker.conf.d": ours, "grants.d": ours, "scopes.d": ours, "keys": (0o700, uid, gid)}
    # A second time changes nothing, and an administrator's files stay.
    with open(conf + "/grants.d/mine.conf", "w", encoding="ascii") as file:
        file.write("[user:me]\n")
    run("systemd-sysusers", f"--root={root}", "lwa-broker.conf")
    run("systemd-tmpfiles", f"--root={root}", "--create", "--remove", "--clean", "lwa-broker.conf")
    assert os.path.exists(conf + "/grants.d/mine.conf")


# --- the daemon, where it was installed ---


@contextlib.contextmanager
def in_place(installed):
    """Bound to where its prefix says that it is: a mount namespace of the test's own."""
    prefix = installed.folders["prefix"]
    if prefix in ("/", "/usr"):
        raise WorldError("the build's --prefix is this machine's own: a test cannot install there")
    run("mount", "--bind", installed.root + prefix, prefix)
    try:
        yield
    finally:
        run("umount", "-l", prefix)


def set_up(world, installed):
    """As an administrator would: tmpfiles.d's folders, the example of the configuration, the login of the test."""
    conf, state = installed.path("sysconfdir", "lwa-broker"), installed.path("localstatedir", "lib/lwa-broker")
    with open(installed.path("tmpfilesdir", "lwa-broker.conf"), encoding="utf-8") as file:
        rows = [line.split() for line in file if line.startswith("d ")]
    for _, path, mode, user, group, _ in rows:
        os.makedirs(installed.root + path, exist_ok=True)
        os.chmod(installed.root + path, int(mode, 8))
        shutil.chown(installed.root + path, user, group)
    os.makedirs(state, exist_ok=True)
    os.chmod(state, 0o700)
    shutil.chown(state, "lwa-broker", "lwa-broker")
    shutil.copyfile(installed.path("docdir", "examples/broker.conf"), conf + "/broker.conf")
    world.write_config(policy={"scopes_file": None, "scopes_dir": None, "grants_dir": None}, store={"key_file": None})
    shutil.copyfile(world.config_path, conf + "/broker.conf.d/here.conf")


def test_installed_daemon_serves(world, installed):
    """From where it is, with nothing said on its command line but the bus; its policy, actions and rules are those that
    were installed; and the installed lwactl talks to it."""
    world.broker.stop()
    set_up(world, installed)
    for folder, kind in (("actions", "actions"), ("rules.d", "shipped-rules")):
        for path in glob.glob(installed.path("polkitdatadir", folder, "*")):
            with open(path, encoding="utf-8") as one, open(world.path(f"polkit/{kind}/{os.path.basename(path)}"), encoding="utf-8") as other:
                assert one.read() == other.read()
    with open(installed.path("dbusdatadir", "system.d/org.lwabroker.Broker1.conf"), encoding="utf-8") as file:
        world.write("bus.d/installed.conf", file.read())
    daemon = os.path.join(installed.folders["libexecdir"], "lwa-brokerd")
    lwactl = os.path.join(installed.folders["bindir"], "lwactl")
    try:
        with in_place(installed):
            world.broker.start([daemon, "--bus-address", world.bus_address])
            world.sim.set(interval=1)
            world.write_rule("10-owners", OWNERS_RULE)
            link(world, "alice", [LIBRARY])
            grants = installed.path("sysconfdir", "lwa-broker/grants.d/musicd.conf")
            with open(grants, "w", encoding="ascii") as file:
                file.write(f"[user:alice]\nallow = {LIBRARY}\n")
            world.reload()
            token = take(world.client("alice"))[0]
            done = world.run_as("alice", [lwactl, "token", LIBRARY])
            assert (done.stdout.strip(), done.returncode) == (token, 0), done.stderr
            assert world.run_as("root", [lwactl, "audit", "verify"]).returncode == 0
            made = installed.path("sysconfdir", "lwa-broker/keys/master.key")
            st = os.stat(made)
            assert (stat.S_IMODE(st.st_mode), st.st_uid) == (0o400, pwd.getpwnam("lwa-broker").pw_uid)
            assert os.listdir(installed.path("localstatedir", "lib/lwa-broker"))
            world.broker.stop()
    finally:
        os.unlink(world.path("bus.d/installed.conf"))
        for folder in ("sysconfdir", "localstatedir"):
            shutil.rmtree(installed.path(folder), ignore_errors=True)
        world.write_config()
    world.broker.start()


# --- the tarball ---


@pytest.mark.slow
def test_distcheck(bus_world, tmp_path):
    """From the tarball alone, with a source that cannot be written to, in a folder of its own: it builds, passes its unit
    tests, installs below DESTDIR, and uninstalls and cleans up without a trace."""
    build = str(tmp_path / "build")
    os.makedirs(build)
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    run(os.path.join(bus_world.src_dir, "configure"), cwd=build)
    done = subprocess.run(["make", "-C", build, f"-j{os.cpu_count()}", "distcheck"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=3600, env=env, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    assert "archives ready for distribution" in done.stdout
