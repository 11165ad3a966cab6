# SPDX-License-Identifier: LGPL-2.1-or-later
"""One private instance of everything: bus, polkitd, simulator, broker. Tests, demo, bench and `up` share it.

Runs only inside tests/harness/enter, which made the namespaces, the test users and the polkit folders.

    with World() as world:
        world.start()                       # or start("bus", "polkit")
        world.write_grants("music", "[user:musicd]\\nallow = music::library:read\\n")
        world.reload()
        app = world.client("musicd")
        ...

The folder of the run ($LWA_RUN_DIR), readable by all test users:

    bus, bus.conf         the bus's socket and configuration
    polkit/               actions, shipped-rules, rules: what polkitd reads
    conf/                 broker.conf, grants.d, scopes.conf, scopes.d, keys
    state/                the broker's state
    certs/                CA and server certificate of the simulator
    log/                  what each part wrote
    src/                  the source tree, and the build in it
"""

import contextlib
import glob
import http.client
import json
import os
import pwd
import shutil
import signal
import subprocess
import time
import urllib.parse

from client import NAME, PATH, Client, DBusError
from units import Units

# What lwa-sim knows unless told otherwise.
CLIENT_ID = "amzn1.application-oa2-client.00000000000000000000000000d01ce0"
SECURITY_PROFILE_ID = "amzn1.application.000000000000000000000000005ec0f0"
# For [limits], where a test or a bench calls more often than one app may: as often as can be configured.
# A test is more hurried than any app: it makes in a second the calls of a day, with bursts that would not be refused.
BURSTS = {"app_burst": 6000, "uid_burst": 12000}
DEFAULT_BURSTS = {"app_burst": None, "uid_burst": None}
NO_RATES = {"app_rate": 100000, "uid_rate": 100000, "app_burst": 1000000, "uid_burst": 1000000,
            "change_burst": 1000000}
POLKIT_NAME = "org.freedesktop.PolicyKit1"
POLKITD = "/usr/lib/polkit-1/polkitd"
SYSTEM_POLKIT_POLICY = "/usr/share/dbus-1/system.d/org.freedesktop.PolicyKit1.conf"
# The broker makes its own key below it, so the folder is its own; all else below conf is root's.
BROKER_USER = "lwa-broker"

# As Debian's system.conf, without activation, syslog and what this machine's packages allow. No limit is set: the
# defaults are the ordinary ones (256 connections a user, 128 unanswered calls a connection).
BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <user>messagebus</user>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Introspectable"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Properties"/>
    <deny send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"
          send_member="UpdateActivationEnvironment"/>
    <deny send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Debug.Stats"/>
  </policy>
  <policy user="root">
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Monitoring"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Debug.Stats"/>
  </policy>
  <include>{polkit_policy}</include>
  <include>{broker_policy}</include>
  <includedir>{extra}</includedir>
</busconfig>
"""


class WorldError(Exception):
    pass


def wait_until(condition, timeout, what):
    """Polls until the condition gives something true, and returns that; WorldError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    pause = 0.002
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise WorldError(f"timed out after {timeout} s: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


class Part:
    """One process of the world. `ready` is asked until it says yes; `clean` are the statuses of a good end."""

    def __init__(self, world, name, ready, clean=(0,)):
        self.world = world
        self.name = name
        self.ready = ready
        self.clean = clean
        self.process = None
        self.end_expected = False
        self.argv = []
        self.log_path = os.path.join(world.run_dir, "log", name + ".log")

    @property
    def environment(self):
        return self.world.broker_environment if self is self.world.broker else {}

    @property
    def pid(self):
        return self.process.pid if self.process else 0

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def start(self, argv=None, wait=True, timeout=None, env=None):
        """env: added to its environment."""
        if self.alive():
            raise WorldError(f"{self.name} runs already")
        self.end_expected = False
        self.argv = [str(argument) for argument in argv or self.world.argv_of(self.name)]
        with open(self.log_path, "ab") as log:
            log.write(f"--- {' '.join(self.argv)}\n".encode())
            log.flush()
            try:
                self.process = subprocess.Popen(
                    self.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=self.world.environment(**self.environment, **(env or {})),
                    cwd="/",
                    start_new_session=True,
                )
            except OSError as error:
                raise WorldError(f"{self.name} could not be started: {error}") from None
        if wait:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=None):
        def ready_or_gone():
            return self.process.poll() is not None or self.ready()

        try:
            wait_until(ready_or_gone, timeout or 10 * self.world.slowness, f"{self.name} to be ready")
        except WorldError as error:
            raise WorldError(f"{error}\n{self.log_tail()}") from None
        if not self.alive():
            status = self.process.returncode
            self.process = None
            raise WorldError(f"{self.name} ended with {status}\n{self.log_tail()}")

    def signal(self, number):
        if not self.alive():
            raise WorldError(f"{self.name} does not run")
        self.process.send_signal(number)

    def pause(self):
        """SIGSTOP, and all threads stand still on return; stop() and kill9() work on a paused part too."""
        self.signal(signal.SIGSTOP)
        wait_until(self._stands_still, 10 * self.world.slowness, f"{self.name} to stop")

    def _stands_still(self):
        for stat in glob.glob(f"/proc/{self.process.pid}/task/*/stat"):
            with contextlib.suppress(OSError), open(stat, encoding="ascii", errors="replace") as file:  # a thread may end
                if file.read().rpartition(")")[2].split()[0] not in "TtZX":
                    return False
        return True

    def cont(self):
        self.signal(signal.SIGCONT)

    def wait_end(self, timeout=10):
        """Waits for it to end by itself; returns its status as Popen does."""
        self.end_expected = True
        try:
            return self.process.wait(timeout * self.world.slowness)
        except subprocess.TimeoutExpired:
            raise WorldError(f"{self.name} did not end in {timeout} s\n{self.log_tail()}") from None

    def stop(self, timeout=10):
        """SIGTERM. An error when that does not end it in time, when it had ended by itself before (unless wait_end()
        saw that), and when it ends with a status that is not clean."""
        self.check_alive()
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        self.process.send_signal(signal.SIGCONT)
        try:
            status = self.wait_end(timeout)
        except WorldError:
            self.kill9()
            raise
        self.process = None
        if status not in self.clean:
            raise WorldError(f"{self.name} ended with {status} when it was stopped\n{self.log_tail()}")

    def check_alive(self):
        """An error, once, when it was started and has ended by itself."""
        if self.process is None or self.alive():
            return
        status = self.process.returncode
        self.process = None
        if not self.end_expected:
            raise WorldError(f"{self.name} ended by itself with {status}\n{self.log_tail()}")

    def kill9(self):
        if self.process is not None:
            if self.alive():
                self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self, **options):
        self.stop()
        return self.start(**options)

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def log_tail(self, lines=40):
        return "\n".join(f"  {self.name}| {line}" for line in self.log().splitlines()[-lines:])


class Sim:
    """The control port of lwa-sim."""

    def __init__(self, world):
        self.world = world

    def ports(self):
        """{"https": N, "control": N}, or None while it has not written them."""
        try:
            with open(self.world.path("sim.ports"), encoding="ascii") as file:
                found = dict(line.split() for line in file if line.strip())
        except FileNotFoundError:
            return None
        return {name: int(port) for name, port in found.items()} if {"https", "control"} <= set(found) else None

    @property
    def https(self):
        return self.ports()["https"]

    def request(self, method, path, fields=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports()["control"], timeout=10)
        try:
            body = urllib.parse.urlencode(fields or {})
            headers = {"Content-Type": "application/x-www-form-urlencoded"} if method == "POST" else {}
            connection.request(method, path, body if method == "POST" else None, headers)
            reply = connection.getresponse()
            text = reply.read().decode()
        finally:
            connection.close()
        if reply.status >= 300:
            raise WorldError(f"lwa-sim answered {reply.status} to {method} {path} {fields}: {text[:500]}")
        return json.loads(text) if text.strip() else {}

    def set(self, **values):
        return self.request("POST", "/set", values)

    def fault(self, endpoint, kind, count=1, **more):
        return self.request("POST", "/fault", {"endpoint": endpoint, "kind": kind, "count": count, **more})

    def clear_faults(self):
        return self.request("POST", "/clear-faults")

    def approve(self, user_code, customer="alice", answer="allow"):
        return self.request("POST", "/approve", {"user_code": user_code, "customer": customer, "answer": answer})

    def authorize(self, uri, customer="alice", answer="allow", deselect=""):
        """What the browser is sent back with from the page at `uri`: a dictionary."""
        fields = {"uri": uri, "customer": customer, "answer": answer, "deselect": deselect}
        location = self.request("POST", "/authorize-as", fields)["location"]
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query, keep_blank_values=True))

    def revoke(self, customer):
        return self.request("POST", "/revoke", {"customer": customer})

    def expire_tokens(self):
        return self.request("POST", "/expire-tokens")

    def mint(self, customer, scope):
        """A refresh token (and the user_id) as an import would bring it."""
        return self.request("POST", "/mint", {"customer": customer, "scope": scope})

    def reset(self):
        return self.request("POST", "/reset")

    def state(self):
        return self.request("GET", "/state")

    def tokens(self):
        return self.request("GET", "/tokens")


class World:
    def __init__(self, run_dir=None, build_dir=None):
        self.run_dir = run_dir or os.environ.get("LWA_RUN_DIR", "")
        self.src_dir = os.environ.get("LWA_SRC_DIR", "")
        if not self.run_dir or not self.src_dir:
            raise WorldError("a World can only be made inside tests/harness/enter")
        self.build_dir = build_dir or os.path.join(self.src_dir, os.environ.get("LWA_BUILD", "build"))
        self.slowness = 4 if os.environ.get("LWA_SANITIZE") else 1
        self.rules_generation = 0
        # It reads in milliseconds; this is for cores that others keep busy.
        self.polkit_patience = 20 * self.slowness
        self.config_path = self.path("conf/broker.conf")
        self.state_dir = self.path("state")
        self.ca_file = self.path("certs/ca.pem")
        self.bus_path = self.path("bus")
        self.bus_address = f"unix:path={self.bus_path}"
        self.sim = Sim(self)
        self.clients = []
        self.children = []
        self.monitor = None
        self.bus = Part(self, "dbus-daemon", self.bus_answers)
        by_signal = (0, -signal.SIGTERM)
        self.polkitd = Part(self, "polkitd", lambda: self.has_owner(POLKIT_NAME), by_signal)
        self.simulator = Part(self, "lwa-sim", self.sim.ports, by_signal)
        self.broker = Part(self, "lwa-brokerd", lambda: self.has_owner(NAME))
        # Another build of the broker, and what it finds in its environment; see tests/integration/faulty_disk.py.
        self.broker_program = "lwa-brokerd"
        self.broker_environment = {}
        self.wrap_broker = list  # what its command line becomes: tests/harness/units.py
        self.parts = {"bus": self.bus, "polkit": self.polkitd, "sim": self.simulator, "broker": self.broker}
        self.prepare()
        self.units = Units(self) if os.environ.get("LWA_AS_UNITS") else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def path(self, name):
        return os.path.join(self.run_dir, name)

    def program(self, name):
        return os.path.join(self.build_dir, name)

    # --- files ---

    def prepare(self):
        for name in ("log", "conf", "conf/grants.d", "conf/scopes.d", "conf/broker.conf.d", "certs", "bus.d"):
            os.makedirs(self.path(name), mode=0o755, exist_ok=True)
        self.fresh_folder("state")
        self.fresh_folder("conf/keys")
        self.copy_polkit_files()
        shipped = os.path.join(self.src_dir, "policy/scopes.conf")
        if os.path.exists(shipped):
            # A copy, because the broker accepts only files of root, and a clone may be anybody's.
            with open(shipped, encoding="utf-8") as file:
                self.write("conf/scopes.conf", file.read())
        text = BUS_CONFIG.format(
            socket=self.bus_path,
            polkit_policy=SYSTEM_POLKIT_POLICY,
            broker_policy=os.path.join(self.src_dir, "dbus/org.lwabroker.Broker1.conf"),
            extra=self.path("bus.d"),
        )
        self.write("bus.conf", text)

    def fresh_folder(self, name):
        """A folder of the broker's own, empty."""
        path = self.path(name)
        shutil.rmtree(path, ignore_errors=True)
        os.mkdir(path, 0o700)
        entry = pwd.getpwnam(BROKER_USER)
        os.chown(path, entry.pw_uid, entry.pw_gid)

    def copy_polkit_files(self):
        for folder, suffix in (("actions", "policy"), ("shipped-rules", "rules")):
            for root in (self.src_dir, self.build_dir):
                for path in glob.glob(os.path.join(glob.escape(root), "policy", "*." + suffix)):
                    shutil.copyfile(path, self.path(os.path.join("polkit", folder, os.path.basename(path))))

    def write(self, name, text, mode=0o644):
        """Writes a file of the run folder in one step, so that no reader sees half of it."""
        path = self.path(name)
        temporary = self.path("." + os.path.basename(path))
        with open(temporary, "w" if isinstance(text, str) else "wb") as file:
            file.write(text)
        os.chmod(temporary, mode)
        os.rename(temporary, path)
        return path

    def write_config(self, **sections):
        """broker.conf, for this world. Sections as keywords: write_config(tokens={"refresh_margin": 5}); a value
        of None leaves a key out."""
        ports = self.sim.ports() or {"https": 1}
        origin = f"https://localhost:{ports['https']}"
        config = {
            "provider": {
                "region": "na",
                "client_id": CLIENT_ID,
                "codepair_endpoint": origin + "/auth/o2/create/codepair",
                "token_endpoint": origin + "/auth/o2/token",
                "authorize_endpoint": origin + "/ap/oa",
                "tokeninfo_endpoint": origin + "/auth/o2/tokeninfo",
                "profile_endpoint": origin + "/user/profile",
                "ca_file": self.ca_file,
            },
            "api": {"base": origin + "/v1", "security_profile_id": SECURITY_PROFILE_ID},
            "policy": {
                "scopes_file": self.path("conf/scopes.conf"),
                "scopes_dir": self.path("conf/scopes.d"),
                "grants_dir": self.path("conf/grants.d"),
            },
            "store": {"key_file": self.path("conf/keys/master.key")},
            "limits": dict(BURSTS),
        }
        for section, values in sections.items():
            config.setdefault(section, {}).update(values)
        lines = []
        for section, values in config.items():
            lines.append(f"[{section}]")
            lines += [f"{key} = {value}" for key, value in values.items() if value is not None]
            lines.append("")
        return self.write("conf/broker.conf", "\n".join(lines))

    def write_grants(self, name, text):
        """grants.d/NAME.conf; None removes it. The broker sees it after reload() or a start."""
        return self.write_or_remove(f"conf/grants.d/{name}.conf", text)

    def write_or_remove(self, name, text):
        if text is not None:
            return self.write(name, text)
        if os.path.exists(self.path(name)):
            os.unlink(self.path(name))
        return None

    def write_rule(self, name, text):
        """An administrator's polkit rule (/etc/polkit-1/rules.d/NAME.rules); None removes it. Returns when polkitd
        has taken it up."""
        path = self.write_or_remove(f"polkit/rules/{name}.rules", text)
        self.await_rules()
        return path

    def await_rules(self):
        """polkitd reads all rules again after each change, perhaps twice, and announces each time, so that its signal
        does not tell which change it has seen. A rule file that logs a number as it is read does."""
        if not self.polkitd.alive():
            return
        self.rules_generation += 1
        mark = f"rules generation {self.rules_generation}."
        self.write("polkit/rules/00-generation.rules", f'polkit.log("{mark}");')
        wait_until(lambda: mark in self.polkitd.log(), self.polkit_patience, "polkitd to read the rules")
        # It announces the change after it has read it, and before it answers the next call: with that answer the
        # announcement is ahead of whatever we send to the broker.
        where = {"path": "/org/freedesktop/PolicyKit1/Authority", "destination": POLKIT_NAME}
        self.root().get_property("org.freedesktop.PolicyKit1.Authority", "BackendName", **where)

    def write_action(self, name, text):
        """A polkit action file (NAME.policy); None removes it. There is no such mark for actions, so this takes a
        moment: what polkitd still has to say about earlier changes is waited for."""
        watch = self.root() if self.polkitd.alive() else None
        if watch:
            watch.drain(0.1)
        path = self.write_or_remove(f"polkit/actions/{name}.policy", text)
        if watch:
            authority = "org.freedesktop.PolicyKit1.Authority"
            watch.wait_signal(authority, "Changed", timeout=self.polkit_patience)
        return path

    # --- processes ---

    def environment(self, **more):
        kept = ("PATH", "LANG", "LC_ALL", "TERM", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")
        env = {name: os.environ[name] for name in kept if name in os.environ}
        env.setdefault("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        env["DBUS_SYSTEM_BUS_ADDRESS"] = self.bus_address
        # A test must not find a session bus of anybody's.
        env["DBUS_SESSION_BUS_ADDRESS"] = "unix:path=/nonexistent"
        env.update({name: str(value) for name, value in more.items()})
        return env

    def argv_of(self, name):
        if name == "dbus-daemon":
            return ["/usr/bin/dbus-daemon", f"--config-file={self.path('bus.conf')}", "--nofork", "--nopidfile"]
        if name == "polkitd":
            return [POLKITD]
        if name == "lwa-sim":
            return self.sim_argv("certs")
        where = ["--config", self.config_path, "--state-dir", self.state_dir, "--bus-address", self.bus_address]
        return self.wrap_broker([self.program(self.broker_program), *where, "--identd", self.program("lwa-identd")])

    def sim_argv(self, certs, ports=None):
        files = ["--cert", self.path(certs + "/cert.pem"), "--key", self.path(certs + "/key.pem")]
        fixed = ["--port", ports["https"], "--control-port", ports["control"]] if ports else []
        return [self.program("lwa-sim"), *files, *fixed, "--ports-file", self.path("sim.ports")]

    def restart_sim(self, certs=None):
        """A simulator without any memory on the same ports, so that the broker's configuration still fits. certs: an
        option of make-certs, "--expired", "--not-yet-valid", "--other-host", or "--same" for a good one of another
        authority. Returns the file of the authority, for write_config(provider={"ca_file": ...})."""
        folder = f"certs{certs}" if certs else "certs"
        if not os.path.exists(self.path(folder)):
            self.make_certs(self.path(folder), *([] if certs == "--same" else [certs]))
        ports = self.sim.ports()
        self.simulator.stop()
        os.unlink(self.path("sim.ports"))
        self.simulator.start(self.sim_argv(folder, ports))
        return self.path(folder + "/ca.pem")

    def start(self, *names):
        """Starts the named parts (bus, polkit, sim, broker), all of them without names, in that order."""
        for name, part in self.parts.items():
            if (names and name not in names) or part.alive():
                continue
            getattr(self, f"before_{name}", lambda: None)()
            part.start()
        return self

    def before_bus(self):
        if os.path.exists(self.bus_path):
            os.unlink(self.bus_path)

    def before_sim(self):
        if not os.path.exists(self.ca_file):
            self.make_certs(self.path("certs"))
        if os.path.exists(self.path("sim.ports")):
            os.unlink(self.path("sim.ports"))

    def before_broker(self):
        if not os.path.exists(self.config_path):
            self.write_config()

    def make_certs(self, folder, *options):
        program = os.path.join(self.src_dir, "tests/harness/make-certs")
        done = subprocess.run([program, *options, folder], capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise WorldError(f"make-certs failed:\n{done.stdout}{done.stderr}")

    def reload(self):
        """SIGHUP, until the broker has said how it went: any of its threads may take the signal up, so a round trip
        on the bus can be faster."""
        with open(self.broker.log_path, "rb") as log:
            log.seek(0, os.SEEK_END)
            said = []

            def is_re_read():
                said.append(log.read())
                return b"re-read" in b"".join(said)

            self.broker.signal(signal.SIGHUP)
            wait_until(is_re_read, 10 * self.slowness, "the configuration to be re-read")

    def reset(self, **config):
        """A broker without any memory, default configuration, no grants, no rules; bus, polkitd and simulator
        go on. Cheap enough for every test."""
        self.close_clients()
        self.stop_children()
        for part in ("bus", "polkit", "sim"):
            if self.parts[part].alive():
                # A test may have left it paused.
                self.parts[part].cont()
        if self.simulator.alive():
            # The broker ends what is in flight before it ends: an answer that a test holds back would keep it.
            self.sim.clear_faults()
        self.broker.stop()
        self.start("bus", "polkit", "sim")
        for folder in ("conf/grants.d", "conf/scopes.d", "conf/broker.conf.d"):
            for path in glob.glob(self.path(folder) + "/*"):
                os.unlink(path)
        self.remove_polkit_extras()
        self.fresh_folder("state")
        self.fresh_folder("conf/keys")
        if self.simulator.argv[1:3] != self.sim_argv("certs")[1:3]:
            self.restart_sim()
        self.sim.reset()
        self.write_config(**config)
        self.broker.start()

    def remove_polkit_extras(self):
        rules = [path for path in glob.glob(self.path("polkit/rules/*")) if not path.endswith("/00-generation.rules")]
        for path in rules:
            os.unlink(path)
        if rules:
            self.await_rules()
        shipped = set()
        for root in (self.src_dir, self.build_dir):
            found = glob.glob(os.path.join(glob.escape(root), "policy", "*.policy"))
            shipped |= {os.path.basename(path) for path in found}
        for path in glob.glob(self.path("polkit/actions/*")):
            name = os.path.basename(path)
            if name not in shipped:
                self.write_action(name.removesuffix(".policy"), None)

    def end_test(self):
        """What a test leaves is taken away, and it is blamed when a part has ended by itself."""
        self.close_clients()
        self.stop_children()
        for part in self.parts.values():
            part.check_alive()

    def stop(self):
        """Ends everything that this world started, newest first, and makes sure of it."""
        self.close_clients()
        self.stop_children()
        problems = []
        started = [part.pid for part in self.parts.values() if part.process]
        for part in reversed(self.parts.values()):
            try:
                part.stop()
            except WorldError as error:
                problems.append(str(error))
        if self.monitor:
            self.monitor.close()
            self.monitor = None
        left = [str(pid) for pid in started if os.path.exists(f"/proc/{pid}")]
        if left:
            problems.append("still there: " + " ".join(left))
        if problems:
            raise WorldError("\n".join(problems))

    def stop_children(self):
        for process in self.children:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()
        self.children.clear()

    def logs(self, lines=40):
        return "\n".join(part.log_tail(lines) for part in self.parts.values() if os.path.exists(part.log_path))

    # --- talking to it ---

    def client(self, user):
        """A bus connection of a test user, in a process of its own; closed with the world at the latest."""
        client = Client(user, self.bus_path)
        self.clients.append(client)
        return client

    connect_as = client

    def close_clients(self):
        while self.clients:
            self.clients.pop().close()

    def root(self):
        """A connection of root's that the world itself uses."""
        if not self.monitor:
            self.monitor = Client("root", self.bus_path)
            self.monitor.add_match(type="signal", interface="org.freedesktop.PolicyKit1.Authority")
        return self.monitor

    def bus_answers(self):
        try:
            if self.monitor:
                self.monitor.close()
                self.monitor = None
            self.root()
            return True
        except (OSError, EOFError):
            return False

    def has_owner(self, name):
        return self.root().bus("NameHasOwner", "s", (name,))

    def run_as(self, user, argv, *, input=None, timeout=30, env=None, check=False, **options):
        """Runs a program as a test user with this world's bus; returns a CompletedProcess with texts. A program
        without a slash in its name is looked for in the build folder first."""
        argv = self.argv_as(user, argv)
        stdin = {"input": input} if input is not None else {"stdin": subprocess.DEVNULL}
        return subprocess.run(
            argv,
            **stdin,
            env=self.environment(**(env or {})),
            cwd=options.pop("cwd", "/"),
            capture_output=True,
            text=options.pop("text", True),
            timeout=timeout * self.slowness,
            check=check,
            **options,
        )

    def spawn_as(self, user, argv, *, env=None, **options):
        """As run_as(), but returns the running Popen (pipes unless said otherwise); ended with the world."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        options.setdefault("text", True)
        process = subprocess.Popen(
            self.argv_as(user, argv), env=self.environment(**(env or {})), cwd="/", **options
        )
        self.children.append(process)
        return process

    def argv_as(self, user, argv):
        argv = [str(argument) for argument in argv]
        if "/" not in argv[0] and os.path.exists(self.program(argv[0])):
            argv[0] = self.program(argv[0])
        drop = ["setpriv", "--reuid", user, "--regid", user, "--init-groups", "--inh-caps=-all", "--"]
        return (drop if user != "root" else []) + argv


__all__ = ["CLIENT_ID", "NAME", "NO_RATES", "PATH", "SECURITY_PROFILE_ID", "Client", "DBusError", "World", "WorldError", "wait_until"]
