# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each example of client/examples does what it says, with the real broker and the simulated Amazon.

They run as the apps and people that they speak of, as they stand there; only where the bus, the API and lwactl are is
told to them, or put in the place of the paths of an installed system.
"""

import os
import re
import select
import shlex
import signal
import subprocess
import tempfile

import pytest

from boxed import flatpak_info
from logins import counter, link_device, settle
from sandbox import PYTHON, Bubblewrap, Unit
from world import NAME, wait_until

FOLDER = os.path.join(os.environ["LWA_SRC_DIR"], "client/examples")
REAL_API = "https://api.music.amazon.dev/v1"
LOOPS = ("poll", "libuv", "glib")
READ = "music::library:read"
PLAYLIST = "Morning walk"


def path(name):
    return os.path.join(FOLDER, name)


def read(name):
    with open(path(name), encoding="utf-8") as file:
        return file.read()


def program(world, name):
    return world.program(f"client/examples/{name}")


def web(world):
    """Where an app finds the API, and whom it trusts."""
    return {
        "API_BASE": f"https://localhost:{world.sim.https}/v1",
        "CURL_CA_BUNDLE": world.ca_file,
        "SSL_CERT_FILE": world.ca_file,
        "PATH": f"{world.build_dir}:/usr/bin:/bin",
    }


@pytest.fixture
def device(world):
    """The device is linked; musicd is an app that may read the library."""
    world.write_config(policy={"default": "deny"})
    settle(world)
    link_device(world, [READ])
    return world


class Running:
    """An example that goes on, whose lines are waited for."""

    def __init__(self, world, process):
        self.world, self.process, self.text = world, process, b""

    def line(self, pattern, timeout=20):
        """The match of the next line that fits; those before are skipped."""
        found = []

        def has_come():
            while b"\n" in self.text:
                line, self.text = self.text.split(b"\n", 1)
                found.append(line.decode())
                match = re.fullmatch(pattern, found[-1])
                if match:
                    return match
            ready, _, _ = select.select([self.process.stdout], [], [], 0.1)
            if ready:
                got = os.read(self.process.stdout.fileno(), 65536)
                assert got, f"it ended, after {found}: {self.process.stderr.read()}"
                self.text += got
            return None

        return wait_until(has_come, timeout * self.world.slowness, f"a line {pattern} after {found}")

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=20 * self.world.slowness)
        assert self.process.returncode == 0 and not errors, errors


def follow(world, user, argv):
    return Running(world, world.spawn_as(user, argv, text=False))


def test_every_example_is_tested():
    """By name, in this file; and the build and the tarball know it."""
    with open(__file__, encoding="utf-8") as file:
        tests = file.read()
    with open(os.path.join(os.environ["LWA_SRC_DIR"], "Makefile.am"), encoding="utf-8") as file:
        makefile = file.read()
    names = sorted(os.listdir(FOLDER))
    assert len(names) > 10
    for name in names:
        assert f'"{name.removesuffix(".c")}"' in tests or f'"{name}"' in tests, name
        assert f"\tclient/examples/{name}" in makefile, name


@pytest.mark.parametrize("name", [name for name in sorted(os.listdir(FOLDER)) if name.endswith(".c")])
def test_only_what_is_installed_is_included(name):
    included = set(re.findall(r'#include [<"](lwa[^>"]*|.*/.*)[>"]', read(name)))
    assert "lwa-client.h" in included
    assert {header for header in included if not header.startswith(("sys/", "curl/"))} <= {"lwa-client.h", "lwa-client-curl.h"}


# --- C ---


def test_blocking(device):
    told = device.run_as("musicd", [program(device, "blocking")])
    assert re.fullmatch(rf"token \w+, \d+ s left, for https://localhost:{device.sim.https}/v1\n", told.stdout), told
    refused = device.run_as("carol", [program(device, "blocking")])
    assert refused.returncode == 1 and refused.stdout == "" and re.match(r"no token: .*\.\n$", refused.stderr)


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_sees_a_revocation(device, name):
    """And goes on asking, until it is given a token again."""
    app = follow(device, "musicd", [program(device, name)])
    token_id = app.line(r"token (\w+), \d+ s left").group(1)
    device.write_grants("people", "[user:weatherd]\nallow = music::library\n")
    device.reload()
    assert app.line(r"revoked (\w+): policy").group(1) == token_id
    app.line(r"no token: .+")
    device.write_grants("people", "[user:musicd]\nallow = music::library\n")
    device.reload()
    app.line(r"token (\w+), \d+ s left")
    app.end()


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_sees_a_renewal(world, name):
    """Another token without a word of it: the one before has not ended when there is its successor."""
    settle(world, token_lifetime=6)
    link_device(world, [READ])
    app = follow(world, "musicd", [program(world, name)])
    first = app.line(r"token (\w+), \d+ s left").group(1)
    assert app.line(r"token (\w+), \d+ s left").group(1) != first
    app.end()


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_outlives_the_broker(device, name):
    app = follow(device, "musicd", [program(device, name)])
    app.line(r"token (\w+), \d+ s left")
    device.broker.stop()
    app.line(r"changed" if name == "libuv" else r"no token: .+")
    device.broker.start()
    app.line(r"token (\w+), \d+ s left")
    app.end()


def test_curl(device):
    """It asks the API; a token that is rejected is reported and replaced, once."""
    argv = [program(device, "curl")]
    told = device.run_as("musicd", argv, env=web(device))
    assert told.returncode == 0 and PLAYLIST in told.stdout, told
    device.sim.expire_tokens()
    before = counter(device, "api.requests"), counter(device, "token.refresh_token.requests")
    told = device.run_as("musicd", argv, env=web(device))
    after = counter(device, "api.requests"), counter(device, "token.refresh_token.requests")
    assert told.returncode == 0 and PLAYLIST in told.stdout, told
    assert (after[0] - before[0], after[1] - before[1]) == (2, 1)


def test_login(world):
    settle(world)
    app = follow(world, "alice", [program(world, "login"), "music::library profile"])
    code = app.line(r"Open https://\S+ and type (\S+)").group(1)
    world.sim.approve(code, "alice")
    app.line(r"linked account \S+, which carries .*music::library.*")
    assert app.process.wait(10 * world.slowness) == 0


def test_login_that_is_turned_down(world):
    settle(world)
    app = follow(world, "alice", [program(world, "login")])
    code = app.line(r"Open https://\S+ and type (\S+)").group(1)
    world.sim.approve(code, "alice", "deny")
    app.line(r"denied: .+\.")
    assert app.process.wait(10 * world.slowness) == 1


# --- Python and shell ---


@pytest.mark.parametrize("name", ["with_jeepney.py", "with_dbus_python.py"])
def test_python(device, name):
    told = device.run_as("musicd", [PYTHON, path(name)], env=web(device))
    assert told.returncode == 0 and PLAYLIST in told.stdout.splitlines(), told
    refused = device.run_as("carol", [PYTHON, path(name)], env=web(device))
    assert refused.returncode == 1 and refused.stderr.endswith("(org.lwabroker.Error.AccessDenied)\n"), refused


def test_python_gets_over_a_rejected_token(device):
    device.run_as("musicd", [PYTHON, path("with_jeepney.py")], env=web(device))
    device.sim.expire_tokens()
    told = device.run_as("musicd", [PYTHON, path("with_jeepney.py")], env=web(device))
    assert told.returncode == 0 and PLAYLIST in told.stdout.splitlines(), told


def test_shell(device):
    told = device.run_as("musicd", ["sh", path("token.sh")], env=web(device))
    assert told.returncode == 0 and PLAYLIST in told.stdout, told
    refused = device.run_as("carol", ["sh", path("token.sh")], env=web(device))
    assert refused.returncode == 3 and refused.stdout == "" and "lwactl:" in refused.stderr, refused


def test_shell_says_that_a_login_is_missing(world):
    settle(world)
    told = world.run_as("musicd", ["sh", path("token.sh")], env=web(world))
    assert told.returncode == 5 and "Somebody has to log in first." in told.stderr, told


def test_gdbus(device):
    told = device.run_as("musicd", ["sh", path("gdbus.sh")])
    assert told.returncode == 0, told
    check, token, properties = told.stdout.splitlines()
    assert "'music::library:read': 'allow'" in check
    assert re.search(r"'token_id': <'\w+'>", token) and re.search(r"'Version': <'[\d.]+'>", properties)


# --- Flatpak ---


def permissions():
    return re.findall(r"^  - (--\S+)$", read("org.example.Player.yml"), re.MULTILINE)


class Player:
    """What flatpak makes of a manifest's permissions: xdg-dbus-proxy in a sandbox of its own, and the app in another.
    It is one of the examples, and can see no more of the build than itself."""

    def __init__(self, world, granted):
        mark = flatpak_info(re.search(r"^id: (\S+)$", read("org.example.Player.yml"), re.MULTILINE).group(1))
        folder = tempfile.mkdtemp(dir=world.run_dir)
        os.chmod(folder, 0o777)
        bus, app = os.path.join(folder, "bus"), program(world, "poll")
        talk = [option.replace("--system-talk-name=", "--talk=") for option in granted]
        proxy = ["/usr/bin/xdg-dbus-proxy", world.bus_address, bus, "--filter", *talk]
        where = ["--bind", world.bus_path, world.bus_path, "--bind", folder, folder]
        self.proxy = Bubblewrap(world, "alice", proxy, mark, where)
        try:
            wait_until(lambda: os.path.exists(bus), 10 * world.slowness, "xdg-dbus-proxy to listen")
            env = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={bus}"}
            self.box = Bubblewrap(world, "alice", [app], mark, ["--ro-bind", app, app, "--bind", folder, folder], env)
        except BaseException:
            self.proxy.__exit__()
            raise
        self.app = Running(world, self.box.process)

    def __enter__(self):
        return self.app

    def __exit__(self, *_):
        self.box.__exit__()
        self.proxy.__exit__()


def test_flatpak(device):
    """The permission of the manifest is enough for tokens and for revocations, and without it there is nothing."""
    device.write_grants("player", "[flatpak:org.example.Player]\nallow = music::library\n")
    device.reload()
    talk = [option for option in permissions() if option.startswith("--system-talk-name=")]
    assert talk == [f"--system-talk-name={NAME}"]
    with Player(device, talk) as app:
        token_id = app.line(r"token (\w+), \d+ s left").group(1)
        device.write_grants("player", None)
        device.reload()
        assert app.line(r"revoked (\w+): policy").group(1) == token_id
    with Player(device, []) as app:
        app.line(r"no token: .+")


# --- systemd ---


def values(name, key):
    return re.findall(rf"^{key}=(.*)$", read(name), re.MULTILINE)


def installed(world, text):
    """With what stands in this build for the programs of an installed system."""
    return text.replace("/usr/bin/lwactl", world.program("lwactl"))


def run_unit(world, unit, name):
    """The commands of a unit, as its user, in its cgroup and with its folder. Returns the folder and what came of each."""
    (user,) = values(name, "User")
    (mode,) = values(name, "RuntimeDirectoryMode")
    folder = world.path(values(name, "RuntimeDirectory")[0])
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, int(mode, 8))
    subprocess.run(["chown", user, folder], check=True)
    variables = dict(text.split("=", 1) for text in values(name, "Environment")) | web(world) | {"RUNTIME_DIRECTORY": folder}
    done = []
    for line in values(name, "ExecStartPre") + values(name, "ExecStart"):
        argv = shlex.split(re.sub(r"\$\{(\w+)\}", lambda found: variables[found.group(1)], installed(world, line)))
        # Into the cgroup before it is the user's, as systemd does it.
        enter = ["sh", "-c", 'umask 0077; echo $$ >"$0"; exec "$@"', os.path.join(unit.folder, "cgroup.procs")]
        done.append(world.run_as("root", [*enter, *world.argv_as(user, argv)], env=web(world)))
        if done[-1].returncode != 0:
            break
    return folder, done


def table_of(name, unit):
    """The section of grants.d that the unit's own comment shows, for a unit of that name."""
    lines = re.findall(r"^#     (\[unit:.*|user = .*|allow = .*)$", read(name), re.MULTILINE)
    assert lines[0] == f"[unit:{name}]"
    return "\n".join([f"[unit:{unit.name}]", *lines[1:]]) + "\n"


@pytest.mark.parametrize("name", ["music-sync.service", "music-token.service"])
def test_unit(device, name):
    device.write_grants("people", None)
    device.reload()
    with Unit(name.removesuffix(".service")) as unit:
        _, refused = run_unit(device, unit, name)
        assert [told.returncode for told in refused] == [3], refused
        device.write_grants("unit", table_of(name, unit))
        device.reload()
        folder, done = run_unit(device, unit, name)
    assert done and all(told.returncode == 0 for told in done), done
    headers = os.path.join(folder, "headers")
    assert os.stat(headers).st_mode & 0o777 == 0o600
    with open(headers, encoding="ascii") as file:
        assert re.fullmatch(r"Authorization: Bearer \S+\nx-api-key: \S+\n", file.read())
    if name == "music-sync.service":
        with open(os.path.join(folder, "playlists.json"), encoding="utf-8") as file:
            assert PLAYLIST in file.read()


def test_units_are_accepted_by_systemd(world):
    names = ["music-sync.service", "music-token.service", "music-token.timer"]
    folder = tempfile.mkdtemp(dir=world.run_dir)
    for name in names:
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(installed(world, read(name)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(os.path.join(folder, name) for name in names)],
        capture_output=True, text=True, timeout=60 * world.slowness, check=False,
    )
    ours = [line for line in done.stderr.splitlines() if "music-" in line]
    assert done.returncode == 0 and not ours, done.stderr
