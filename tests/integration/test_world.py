# SPDX-License-Identifier: LGPL-2.1-or-later
"""The harness itself: what the other integration tests take for granted."""

import os
import pwd
import signal
import subprocess
import textwrap
import time

import pytest

from client import read_token
from world import DBusError, World, WorldError, wait_until

ACTION = "org.lwabroker.test.probe"
ACTIONS = """<?xml version="1.0"?>
<!DOCTYPE policyconfig PUBLIC "-//freedesktop//DTD PolicyKit Policy Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/PolicyKit/1.0/policyconfig.dtd">
<policyconfig>
  <action id="org.lwabroker.test.probe">
    <description>Probe</description><message>Probe</message>
    <defaults><allow_any>no</allow_any><allow_inactive>no</allow_inactive><allow_active>no</allow_active></defaults>
    {annotation}
  </action>
</policyconfig>
"""
OWNED = '<annotate key="org.freedesktop.policykit.owner">unix-user:lwa-broker</annotate>'
POLKIT = {"path": "/org/freedesktop/PolicyKit1/Authority", "destination": "org.freedesktop.PolicyKit1"}

# A service of user lwa-broker under the broker's name, that answers with descriptors and sends unicast signals.
SERVICE = textwrap.dedent(
    """
    import os
    from jeepney import DBusAddress, HeaderFields, MessageType, new_method_return, new_signal
    from jeepney.bus_messages import message_bus
    from jeepney.io.blocking import open_dbus_connection

    bus = open_dbus_connection("SYSTEM", enable_fds=True)
    memory = os.memfd_create("token", os.MFD_CLOEXEC)
    os.write(memory, b"Atza|for-the-test")
    where = DBusAddress("/org/lwabroker/Broker1", interface="org.lwabroker.Broker1")
    bus.send_and_get_reply(message_bus.RequestName("org.lwabroker.Broker1"))
    while True:
        message = bus.receive()
        if message.header.message_type is not MessageType.method_call:
            continue
        if int(message.header.flags) & 4:
            bus.send(new_method_return(message, "s", ("interactive",)))
            continue
        fd = os.open(f"/proc/self/fd/{memory}", os.O_RDONLY | os.O_CLOEXEC)
        info = {"token_id": ("s", "one"), "expires_in": ("u", 3600), "scopes": ("as", ["profile"])}
        bus.send(new_method_return(message, "ha{sv}", (fd, info)))
        os.close(fd)
        signal = new_signal(where, "TokenRevoked", "ss", ("one", "policy"))
        signal.header.fields[HeaderFields.destination] = message.header.fields[HeaderFields.sender]
        bus.send(signal)
    """
)


@pytest.fixture
def probe(bus_world):
    bus_world.write_action("test-probe", ACTIONS.format(annotation=OWNED))
    yield bus_world
    bus_world.write_action("test-probe", None)


def check(asker, subject, details, action=ACTION):
    who = ("system-bus-name", {"name": ("s", subject.name)})
    arguments = (who, action, details, 0, "")
    return asker.call(
        "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization", "(sa{sv})sa{ss}us", arguments, **POLKIT
    )


def spawn_service(world):
    process = world.spawn_as("lwa-broker", ["/usr/bin/python3", "-c", SERVICE], stdout=None, stderr=None)
    wait_until(lambda: world.has_owner("org.lwabroker.Broker1"), 10, "the test service to own the name")
    return process


def test_namespaces_hold_only_us(bus_world):
    with open("/proc/net/dev", encoding="ascii") as file:
        interfaces = [line.split(":")[0].strip() for line in file if ":" in line]
    assert "lo" in interfaces
    with open("/proc/net/route", encoding="ascii") as file:
        assert len(file.readlines()) == 1  # only the heading: nothing leads out
    assert pwd.getpwnam("alice").pw_uid == 20001
    assert max(int(name) for name in os.listdir("/proc") if name.isdigit()) < 32768
    with open("/proc/1/cmdline", "rb") as file:
        assert b"enter" in file.read()


def test_bus_knows_the_client_as_its_user(bus_world):
    for user in ("alice", "musicd", "lwa-broker", "root"):
        client = bus_world.client(user)
        credentials = client.bus("GetConnectionCredentials", "s", (client.name,))
        assert credentials["UnixUserID"] == pwd.getpwnam(user).pw_uid
        assert credentials["UnixGroupIDs"] == [pwd.getpwnam(user).pw_gid]
        assert credentials["ProcessID"] == client.pid
        # An ordinary app's entries in /proc belong to its user.
        assert os.stat(f"/proc/{client.pid}/exe", follow_symlinks=False).st_uid == pwd.getpwnam(user).pw_uid


def test_two_connections_of_one_process(bus_world):
    first = bus_world.client("alice")
    with first.another() as second:
        assert first.name != second.name
        assert second.bus("GetConnectionUnixProcessID", "s", (second.name,)) == first.pid
    assert first.bus("NameHasOwner", "s", (first.name,))


def test_bus_denies_what_no_policy_allows(bus_world):
    alice, bob = bus_world.client("alice"), bus_world.client("bob")
    with pytest.raises(DBusError, match="AccessDenied"):
        alice.bus("RequestName", "su", ("org.lwabroker.Broker1", 0))
    with pytest.raises(DBusError, match="AccessDenied"):
        alice.call("org.example.Any", "Call", destination=bob.name)
    broker = bus_world.client("lwa-broker")
    assert broker.bus("RequestName", "su", ("org.lwabroker.Broker1", 4)) == 1
    with pytest.raises(DBusError, match="AccessDenied"):
        alice.call("org.example.Any", "Call")


def test_polkit_answers_the_broker_user(probe):
    broker, alice = probe.client("lwa-broker"), probe.client("alice")
    assert check(broker, alice, {"scope": "profile"})[:2] == (False, False)
    rule = 'polkit.addRule(function(a, s) { if (a.lookup("scope") == "profile" && s.user == "alice") return "yes"; });'
    probe.write_rule("50-probe", rule)
    assert check(broker, alice, {"scope": "profile"})[0]
    assert not check(broker, alice, {"scope": "postal_code"})[0]
    assert not check(broker, probe.client("bob"), {"scope": "profile"})[0]
    probe.write_rule("50-probe", None)
    assert not check(broker, alice, {"scope": "profile"})[0]


def test_polkit_refuses_others(probe):
    """Without the owner annotation, and to a user that it does not name, polkitd gives no answers about others."""
    alice, bob = probe.client("alice"), probe.client("bob")
    with pytest.raises(DBusError, match="NotAuthorized"):
        check(bob, alice, {"scope": "profile"})
    probe.write_action("test-probe", ACTIONS.format(annotation=""))
    with pytest.raises(DBusError, match="NotAuthorized"):
        check(probe.client("lwa-broker"), alice, {"scope": "profile"})


def test_polkit_rules_hold_when_written(probe):
    """write_rule() returns when polkitd goes by the rule: no test needs to sleep."""
    broker, alice = probe.client("lwa-broker"), probe.client("alice")
    for i in range(20):
        answer = "yes" if i % 2 else "no"
        probe.write_rule("50-probe", f'polkit.addRule(function(a, s) {{ return "{answer}"; }});')
        assert check(broker, alice, {})[0] == (answer == "yes")
    probe.write_rule("50-probe", None)


def test_writing_a_rule_waits_for_polkitd(probe, monkeypatch):
    monkeypatch.setattr(probe, "polkit_patience", 0.3)
    probe.polkitd.pause()
    with pytest.raises(WorldError, match="to read the rules"):
        probe.write_rule("50-probe", 'polkit.addRule(function(a, s) { return "yes"; });')
    probe.polkitd.cont()
    probe.await_rules()
    assert check(probe.client("lwa-broker"), probe.client("alice"), {})[0]
    probe.write_rule("50-probe", None)


def test_polkitd_can_be_paused(probe):
    broker, alice = probe.client("lwa-broker"), probe.client("alice")
    probe.polkitd.pause()
    try:
        with pytest.raises(TimeoutError):
            broker.call(
                "org.freedesktop.PolicyKit1.Authority",
                "CheckAuthorization",
                "(sa{sv})sa{ss}us",
                (("system-bus-name", {"name": ("s", alice.name)}), ACTION, {}, 0, ""),
                timeout=0.3,
                **POLKIT,
            )
    finally:
        probe.polkitd.cont()
    assert check(broker, alice, {})[0] is False


def test_polkitd_killed_and_restarted(probe):
    probe.polkitd.kill9()
    wait_until(lambda: not probe.has_owner("org.freedesktop.PolicyKit1"), 5, "the bus to notice")
    probe.polkitd.start()
    assert check(probe.client("lwa-broker"), probe.client("alice"), {})[0] is False


def test_tokens_and_signals_reach_a_client(bus_world):
    spawn_service(bus_world)
    alice, bob = bus_world.client("alice"), bus_world.client("bob")
    token = alice.get_token(["profile"])
    assert token.text == "Atza|for-the-test"
    assert token.info == {"token_id": "one", "expires_in": 3600, "scopes": ["profile"]}
    assert read_token(token.fd) == token.text  # no offset is shared
    with pytest.raises(OSError):
        os.write(token.fd, b"x")
    token.close()
    assert alice.wait_signal("org.lwabroker.Broker1", "TokenRevoked") == ["one", "policy"]
    assert alice.drain() == []
    assert bob.drain() == []
    assert alice.call("org.lwabroker.Broker1", "GetToken", "asa{sv}", ([], {}), interactive=True) == "interactive"


def test_many_calls_at_once(bus_world):
    spawn_service(bus_world)
    alice = bus_world.client("alice")
    results = alice.call_many([("org.lwabroker.Broker1", "GetToken", "asa{sv}", (["profile"], {}))] * 100)
    assert {read_token(fd) for fd, _ in results} == {"Atza|for-the-test"}
    assert len({fd for fd, _ in results}) == 100
    for fd, _ in results:
        os.close(fd)


def test_the_bus_has_ordinary_limits(bus_world):
    """128 unanswered calls a connection; the next is refused at once."""
    alice, service = bus_world.client("alice"), bus_world.client("lwa-broker")
    assert service.bus("RequestName", "su", ("org.lwabroker.Broker1", 4)) == 1
    serials = [alice.send("org.lwabroker.Broker1", "ReleaseTokens") for _ in range(129)]
    with pytest.raises(DBusError, match="LimitsExceeded"):
        alice.wait(serials[-1])


def test_run_as(bus_world):
    done = bus_world.run_as("weatherd", ["sh", "-c", "id -u; id -G; cat; grep CapEff /proc/self/status"], input="hello\n")
    assert done.stdout.split() == ["20004", "20004", "hello", "CapEff:", "0" * 16]
    call = ["org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId"]
    assert bus_world.run_as("alice", ["busctl", "--system", "call", *call]).stdout.startswith("s ")
    # Test users reach the tree wherever it lies.
    assert bus_world.run_as("bob", ["test", "-r", os.path.join(bus_world.src_dir, "dev")]).returncode == 0


def test_a_client_ends_with_its_connection(bus_world):
    client = bus_world.client("alice")
    pid = client.pid
    bus_world.close_clients()
    assert not os.path.exists(f"/proc/{pid}")


def test_a_part_that_ends_early_is_reported(bus_world):
    started = time.monotonic()
    bus_world.polkitd.stop()
    with pytest.raises(WorldError, match="ended with 3(.|\n)*no luck"):
        bus_world.polkitd.start(["/bin/sh", "-c", "echo no luck; exit 3"])
    assert time.monotonic() - started < 5
    bus_world.polkitd.start()


def test_a_part_that_ends_by_itself_is_noticed(bus_world):
    """A crash that a test did not see must not pass."""
    bus_world.polkitd.signal(signal.SIGSEGV)
    wait_until(lambda: not bus_world.polkitd.alive(), 5, "polkitd to end")
    with pytest.raises(WorldError, match=r"polkitd ended by itself with -11"):
        bus_world.end_test()
    bus_world.polkitd.start()
    bus_world.polkitd.signal(signal.SIGKILL)
    assert bus_world.polkitd.wait_end() == -signal.SIGKILL
    bus_world.end_test()
    bus_world.polkitd.start()


def test_configuration_is_what_was_written(bus_world):
    path = bus_world.write_config(tokens={"refresh_margin": 5}, provider={"ca_file": None, "region": "eu"})
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert "refresh_margin = 5" in text and "region = eu" in text and "ca_file" not in text
    status = os.stat(path)
    assert (status.st_uid, status.st_mode & 0o777) == (0, 0o644)
    os.unlink(path)


def test_certificates(bus_world, tmp_path):
    bus_world.make_certs(str(tmp_path))
    verify = ["openssl", "verify", "-CAfile", tmp_path / "ca.pem"]
    cases = (("", "localhost", 0), ("--expired", "localhost", 2), ("--not-yet-valid", "localhost", 2))
    for option, host, status in (*cases, ("--other-host", "localhost", 2), ("--other-host", "other.example", 0)):
        bus_world.make_certs(str(tmp_path), *([option] if option else []))
        command = [*verify, "-verify_hostname", host, tmp_path / "cert.pem"]
        assert subprocess.run(command, capture_output=True, check=False).returncode == status, option


def test_simulator_with_other_certificates(bus_world):
    """It comes back on the same ports, with a certificate that a client refuses for the reason that was asked for."""
    bus_world.start("sim")
    before = bus_world.sim.ports()
    url = f"https://localhost:{before['https']}/"
    for option, sentence in (
        (None, ""),
        ("--expired", "certificate has expired"),
        ("--not-yet-valid", "certificate is not yet valid"),
        ("--other-host", "no alternative certificate subject name matches"),
        (None, ""),
    ):
        authority = bus_world.restart_sim(option)
        assert bus_world.sim.ports() == before
        command = ["curl", "-sS", "-o", "/dev/null", "--noproxy", "*", "--cacert", authority, url]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == (not sentence) and sentence in done.stderr, done.stderr
    assert bus_world.sim.set(token_lifetime=7)["token_lifetime"] == 7
    bus_world.sim.fault("token", "status-500", count=2)
    assert bus_world.sim.reset() and bus_world.sim.state()["settings"]["token_lifetime"] == 3600
    bus_world.simulator.stop()


def test_nothing_outlives_enter(bus_world, tmp_path):
    """enter hands signals on, ends all that a command left, and removes its folder."""
    enter = os.path.join(bus_world.src_dir, "tests/harness/enter")
    note = tmp_path / "note"
    script = f"(setsid sleep 1000 &) ; echo $LWA_RUN_DIR >{note}; sleep 1000"
    process = subprocess.Popen([enter, "sh", "-c", script])
    folder = wait_until(lambda: note.exists() and note.read_text().strip(), 10, "the command to run")
    assert os.path.isdir(folder)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 128 + signal.SIGTERM
    assert not os.path.exists(folder)
    assert os.path.exists(os.path.join(bus_world.src_dir, "dev"))
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "sleep 1000" not in listing


def test_nothing_outlives_a_reachable_enter(bus_world, tmp_path):
    """Without a process namespace: not when the command is killed, nor when enter itself is."""
    enter = os.path.join(bus_world.src_dir, "tests/harness/enter")
    for victim in ("command", "enter"):
        note = tmp_path / victim
        script = f"(setsid sleep 1001 &) ; echo $$ $LWA_RUN_DIR >{note}; exec sleep 1001"
        process = subprocess.Popen([enter, "--reachable", "sh", "-c", script])
        text = wait_until(lambda note=note: note.exists() and note.read_text().strip(), 10, "the command to run")
        pid, folder = text.split()
        os.kill(int(pid) if victim == "command" else process.pid, signal.SIGKILL)
        process.wait(10)

        def gone():
            listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
            return "sleep 1001" not in listing

        wait_until(gone, 10, f"everything to end after the {victim} was killed")
    # The next one sweeps what could not be removed.
    subprocess.run([enter, "true"], check=True)
    wait_until(lambda: not os.path.exists(folder), 10, "its folder to be removed")


def test_worlds_can_be_made_only_inside(monkeypatch):
    monkeypatch.delenv("LWA_RUN_DIR")
    with pytest.raises(WorldError, match="enter"):
        World()
