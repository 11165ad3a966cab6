# SPDX-License-Identifier: LGPL-2.1-or-later
"""lwactl doctor: one healthy world, and for each check a world in which just that is wrong."""

import contextlib
import json
import os
import pwd
import re
import socket
import sqlite3
import subprocess

import pytest

from logins import LIBRARY, PLAYBACK, STATUS, error_of, link, reject, settle, take, trail, try_take, wait_trail
from shim import Shim
from world import CLIENT_ID, NAME, SECURITY_PROFILE_ID, wait_until

HISTORY = "music::history"
RULES = "polkit/shipped-rules/50-lwa-broker.rules"
ACTIONS = "polkit/actions/org.lwabroker.policy"
LEVELS = {"ok", "note", "warning", "problem", "unknown"}
# Every check of the broker's that a world with a login has a row of, in their order.
ROWS = ["user", "bus", "bus-policy", "process", "process", "polkit-actions", "polkit-rule", "configuration", "client-id",
        "profile-id", "grants.d", "files", "key", "database", "trail", "actions", "rule", "clock", "host", "login",
        "login-end", "width", "app"]


def run(world, user, *arguments):
    return world.run_as(user, ["lwactl", "doctor", *arguments], timeout=90)


def rows(world, user="root"):
    """What it finds, and an exit code that agrees."""
    done = run(world, user, "--json")
    assert not done.stderr, done.stderr
    found = json.loads(done.stdout)
    assert all(set(row) == {"check", "subject", "level", "text", "fix"} and row["level"] in LEVELS for row in found)
    assert all(row["fix"] for row in found if row["level"] in ("warning", "problem")), found
    assert done.returncode == (1 if any(row["level"] == "problem" for row in found) else 0), done
    return found


def of(found, check, level):
    return [row for row in found if row["check"] == check and row["level"] == level]


@pytest.fixture
def linked(world):
    settle(world)
    link(world, "alice", [LIBRARY])
    return world


def chown(world, name, user):
    entry = pwd.getpwnam(user)
    os.chown(world.path(name), entry.pw_uid, entry.pw_gid)


# --- all is well ---


def test_healthy(linked):
    found = rows(linked)
    assert [row["check"] for row in found] == ROWS
    assert {row["level"] for row in found} == {"ok"}, [row for row in found if row["level"] != "ok"]
    text = run(linked, "root").stdout
    assert len(re.findall(r"^ok +\S+ +\S", text, re.M)) == len(ROWS)
    assert text.endswith("\nNothing is wrong.\n")


def test_of_a_plain_user(linked):
    """He sees what is his to see, and is told that there is more."""
    found = rows(linked, "alice")
    assert [row["check"] for row in of(found, "login", "ok")] == ["login"]
    (row,) = of(found, "broker", "unknown")
    assert "sudo lwactl doctor" in row["fix"]
    assert not of(rows(linked, "bob"), "login", "ok")
    assert run(linked, "bob").stdout.endswith("\nNothing is wrong, as far as could be seen.\n")
    error = error_of(linked.client("bob").call, STATUS, "Diagnose", "a{sv}", ({},))
    assert error.short in ("AccessDenied", "ConsentRequired")


def test_arguments(world):
    assert run(world, "root", "x").returncode == 2
    root = world.client("root")
    assert error_of(root.call, STATUS, "Diagnose", "a{sv}", ({"x": ("b", True)},)).short == "InvalidArgument"


def test_looking_uses_no_login(linked):
    """No request but the head of the root, no refresh, and nothing on the trail."""
    root = linked.client("root")
    before, records = linked.sim.state(), len(trail(root))
    rows(linked)
    after = linked.sim.state()
    assert [after[key] for key in ("grant_list", "tokens", "code_pairs")] == \
        [before[key] for key in ("grant_list", "tokens", "code_pairs")]
    assert len(trail(root)) == records


# --- what stands in files ---


def mode(name, bits):
    return lambda world: os.chmod(world.path(name), bits)


def break_client_id(world):
    world.write_config(provider={"client_id": SECURITY_PROFILE_ID})


def break_catalogue(world):
    os.unlink(world.path("conf/scopes.conf"))


def stage_key(world):
    world.write("conf/keys/master.key.new", b"0" * 32, 0o400)


FILES = {
    "configuration that others can write": (mode("conf/broker.conf", 0o666), "files", "broker.conf", "others can write"),
    "configuration of another user": (lambda world: chown(world, "conf/broker.conf", "alice"), "files", "broker.conf", "root's"),
    "configuration nobody can read": (mode("conf/broker.conf", 0o600), "files", "broker.conf", "cannot be read"),
    "table of another user": (lambda world: chown(world, "conf/grants.d/people.conf", "bob"), "files", "people.conf", "root's"),
    "table's folder that others can write": (mode("conf/grants.d", 0o777), "files", "grants.d", "others can write"),
    "no catalogue": (break_catalogue, "files", "scopes.conf", "No such file"),
    "key that others can read": (mode("conf/keys/master.key", 0o440), "files", "master.key", "others can read"),
    "key of root": (lambda world: chown(world, "conf/keys/master.key", "root"), "files", "master.key", "cannot be read"),
    "key's folder that others can write": (mode("conf/keys", 0o777), "files", "keys", "others can write"),
    "state that others can enter": (mode("state", 0o755), "files", "state", "others can read"),
    "database that others can read": (mode("state/broker.db", 0o644), "files", "broker.db", "others can read"),
    "trail's key of another user": (lambda world: chown(world, "state/audit.key", "alice"), "files", "audit.key", "lwa-broker's"),
    "malformed table": (lambda world: world.write_grants("bad", "[user:alice]\nallow = x y z\n\nnonsense\n"), "grants.d",
                        "bad.conf:", ""),
    "unknown key": (lambda world: world.write_config(provider={"clientid": "x"}), "configuration", "broker.conf:", "unknown key"),
    "client id that is the profile's": (break_client_id, "configuration", "broker.conf:", "security profile id"),
    "profile id that is the client's": (lambda world: world.write_config(api={"security_profile_id": CLIENT_ID}),
                                        "configuration", "broker.conf:", "is a client id"),
}


@pytest.mark.parametrize("case", FILES)
def test_files(linked, case):
    spoil, check, subject, text = FILES[case]
    with open(linked.path("conf/scopes.conf"), encoding="utf-8") as file:
        catalogue = file.read()
    spoil(linked)
    found = rows(linked)
    linked.write("conf/scopes.conf", catalogue)
    os.chmod(linked.path("conf/grants.d"), 0o755)
    assert any(subject in row["subject"] and text in row["text"] for row in of(found, check, "problem")), found
    assert all(re.search(r"`ch(mod|own|grp) ", row["fix"]) for row in of(found, "files", "problem") if "cannot be read" in row["text"])
    # Nothing else is blamed but what a file that cannot be trusted leads to.
    blamed = {row["check"] for row in found if row["level"] == "problem"}
    assert blamed <= {check, "files", "configuration", "grants.d"}



def test_good_files_are_named_beside_a_bad_one(linked):
    linked.write_grants("bad", "nonsense\n")
    found = rows(linked)
    assert [os.path.basename(row["subject"]) for row in of(found, "grants.d", "ok")] == ["people.conf"]
    assert len(of(found, "grants.d", "problem")) == 1


CONFIGURED = {
    "no profile id": ({"api": {"security_profile_id": None}}, "profile-id", "warning", "x-api-key"),
    "client id of another form": ({"provider": {"client_id": "amzn1.application-oa2-client.x"}}, "client-id", "warning",
                                  "does not look like"),
    "key in the state": ({"store": {"key_file": "{state}/master.key"}}, "key", "warning", "a copy of the state"),
    "previous key": ({"store": {"previous_key_file": "/nonexistent"}}, "key", "note", "previous key"),
    "no table": ({"policy": {"grants_dir": "/nonexistent"}}, "grants.d", "note", "names no app"),
}


@pytest.mark.parametrize("case", CONFIGURED)
def test_configured(world, case):
    sections, check, level, text = CONFIGURED[case]
    sections = {section: {key: value and value.format(state=world.state_dir) for key, value in values.items()}
                for section, values in sections.items()}
    world.reset(**sections)
    found = rows(world)
    assert any(text in row["text"] for row in of(found, check, level)), found
    assert not [row for row in found if row["level"] == "problem"]


def test_staged_key(linked):
    stage_key(linked)
    found = rows(linked)
    assert any("FILE.new" in row["text"] for row in of(found, "key", "warning")), found


# --- database and trail ---


def test_damaged_page(linked):
    linked.broker.restart()  # all of it is in the file now, and not in the WAL
    break_page(linked)
    assert any("damaged" in row["text"] or "sound" in row["text"] for row in of(rows(linked), "database", "problem"))


def test_cut_trail(linked):
    linked.broker.stop()
    with contextlib.closing(sqlite3.connect(f"{linked.state_dir}/broker.db")) as database:
        database.execute("DELETE FROM audit WHERE sequence = (SELECT max(sequence) FROM audit)")
        database.commit()
    linked.broker.start()
    (row,) = of(rows(linked), "trail", "problem")
    assert "cut short" in row["text"]


# --- bus ---


@contextlib.contextmanager
def bus_rule(world, text):
    """Is in force meanwhile."""
    path = world.write("bus.d/extra.conf", f"<busconfig>{text}</busconfig>")

    def reload():
        world.root().bus("ReloadConfig", "", ())

    try:
        reload()
        yield
    finally:
        os.unlink(path)
        reload()


def test_others_may_own_the_name(linked):
    with bus_rule(linked, f'<policy user="root"><allow own="{NAME}"/></policy>'):
        (row,) = of(rows(linked), "bus-policy", "problem")
        assert "own the broker's name" in row["text"]
        assert of(rows(linked, "alice"), "bus-policy", "ok")
    assert of(rows(linked), "bus-policy", "ok")


def test_policy_is_not_in_force(linked):
    with bus_rule(linked, f'<policy context="mandatory"><deny send_destination="{NAME}"/></policy>'):
        (row,) = of(rows(linked), "bus-policy", "problem")
        assert "not in force" in row["text"]


def test_another_owns_the_name(world):
    world.broker.stop()
    with bus_rule(world, f'<policy user="root"><allow own="{NAME}"/></policy>'):
        impostor = world.client("root")
        assert impostor.bus("RequestName", "su", (NAME, 0)) == 1
        done = world.spawn_as("bob", ["lwactl", "doctor", "--json"])
        impostor.wait_call("org.freedesktop.DBus.Peer", "Ping", timeout=10 * world.slowness)
        impostor.close()  # instead of an answer
        found = json.loads(done.communicate(timeout=60 * world.slowness)[0])
    (row,) = of(found, "bus", "problem")
    assert "uid 0" in row["text"]


def test_no_bus(world):
    done = world.run_as("bob", ["lwactl", "doctor", "--json"], env={"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"})
    assert done.returncode == 1
    assert len(of(json.loads(done.stdout), "bus", "problem")) == 1


def test_no_service_user(linked):
    with open("/etc/passwd", encoding="utf-8") as file:
        before = file.read()
    try:
        with open("/etc/passwd", "w", encoding="utf-8") as file:
            file.write("".join(line for line in before.splitlines(True) if not line.startswith("lwa-broker:")))
        (row,) = of(rows(linked, "bob"), "user", "problem")
    finally:
        with open("/etc/passwd", "w", encoding="utf-8") as file:
            file.write(before)
    assert "no such user" in row["text"]


# --- no broker ---


def check(world):
    """What `lwa-brokerd --check` prints, and an exit code that agrees."""
    done = world.run_as("root", [*world.argv_of("lwa-brokerd")[:7], "--check"], timeout=60)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == (1 if any(row["level"] == "problem" for row in found) else 0), done
    return found


@contextlib.contextmanager
def installed(world):
    """lwactl finds the daemon's program where it would be installed; only here and meanwhile."""
    folder = "/usr/local"
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
    try:
        os.mkdir(folder + "/libexec")
        program = folder + "/libexec/lwa-brokerd"
        with open(program, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\nexec " + " ".join(world.argv_of("lwa-brokerd")[:7]) + ' "$@"\n')
        os.chmod(program, 0o755)
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def state_of(world):
    """The bytes and times of all that the broker keeps."""
    found = {}
    for folder in (world.state_dir, world.path("conf/keys")):
        for name in os.listdir(folder):
            status = os.stat(f"{folder}/{name}")
            with open(f"{folder}/{name}", "rb") as file:
                found[name] = (status.st_ino, status.st_mtime_ns, file.read())
    return found


def test_broker_not_running(linked):
    linked.broker.stop()
    with installed(linked):
        found = rows(linked)
    assert "does not run" in of(found, "bus", "problem")[0]["text"]
    for name in ("configuration", "client-id", "profile-id", "grants.d", "files", "key", "database", "clock", "host"):
        assert of(found, name, "ok"), (name, found)
    found = rows(linked, "bob")
    assert of(found, "bus", "problem") and "sudo lwactl doctor" in of(found, "broker", "unknown")[0]["fix"]


def test_program_is_not_there(linked):
    linked.broker.stop()
    with installed(linked):
        os.unlink("/usr/local/libexec/lwa-brokerd")
        found = rows(linked)
    assert "cannot be started" in of(found, "broker", "problem")[0]["text"]


def test_check_changes_nothing(linked):
    """Neither after a good end nor after a bad one, whose WAL is left as it is."""
    linked.broker.stop()
    before = state_of(linked)
    assert of(check(linked), "database", "ok")
    assert state_of(linked) == before
    linked.broker.start()
    link(linked, "bob", [LIBRARY])
    linked.broker.kill9()
    before = state_of(linked)
    assert before["broker.db-wal"][2]
    assert of(check(linked), "database", "ok")
    after = state_of(linked)
    assert {name: after[name] for name in before if not name.endswith("-shm")} == \
        {name: before[name] for name in before if not name.endswith("-shm")}
    linked.broker.start()


def test_check_beside_a_broker(linked):
    (row,) = of(check(linked), "database", "unknown")
    assert "a broker runs" in row["text"]
    assert try_take(linked.client("alice"))


def test_check_without_policy(linked):
    linked.broker.stop()
    with bus_rule(linked, f'<policy context="mandatory"><deny own="{NAME}"/></policy>'):
        (row,) = of(check(linked), "bus-policy", "problem")
    assert "does not let the user lwa-broker own" in row["text"]
    assert of(check(linked), "bus-policy", "ok")


def test_check_of_a_bad_configuration(linked):
    linked.broker.stop()
    linked.write_config(provider={"client_id": SECURITY_PROFILE_ID})
    (row,) = of(check(linked), "configuration", "problem")
    assert re.search(r"broker.conf:\d+$", row["subject"]) and "security profile id" in row["text"]
    os.unlink(linked.path("conf/broker.conf"))
    (row,) = of(check(linked), "configuration", "problem")
    assert row["text"].endswith("there is no such file") and row["fix"].startswith("Write it, at least `client_id = `")


def lose_key(world):
    os.unlink(world.path("conf/keys/master.key"))


def break_page(world):
    with open(f"{world.state_dir}/broker.db", "r+b") as file:
        file.seek(os.fstat(file.fileno()).st_size - 4096)
        file.write(b"\xff" * 4096)


@pytest.mark.parametrize("spoil, text", [(lose_key, "the master key is not there"), (break_page, "is corrupt")])
def test_check_of_a_database(linked, spoil, text):
    linked.broker.stop()
    spoil(linked)
    (row,) = of(check(linked), "database", "problem")
    assert text in row["text"]


def test_check_before_the_first_start(world):
    world.broker.stop()
    world.fresh_folder("state")
    world.fresh_folder("conf/keys")
    found = check(world)
    assert of(found, "database", "note") and not [row for row in found if row["level"] == "problem"]
    assert os.listdir(world.state_dir) == []
    world.broker.start()


# --- polkit ---


@contextlib.contextmanager
def polkit_files(world):
    """What was changed of them is put back; polkitd is restarted, so that it is sure to have read them."""
    try:
        yield
    finally:
        world.copy_polkit_files()
        os.chmod(world.path(RULES), 0o644)
        world.polkitd.restart()


def health(world):
    return world.client("root").call(STATUS, "Get")["polkit"]


def test_no_polkitd(linked):
    linked.polkitd.stop()
    found = rows(linked)
    assert "does not answer" in of(found, "polkit-actions", "problem")[0]["text"]
    assert of(found, "broker", "unknown")


def test_no_actions(linked):
    with polkit_files(linked):
        os.unlink(linked.path(ACTIONS))
        linked.polkitd.restart()
        (row,) = of(rows(linked), "polkit-actions", "problem")
        assert row["subject"] == "org.lwabroker.accounts.manage"


def test_an_action_of_a_scope_is_missing(linked):
    with polkit_files(linked):
        with open(linked.path(ACTIONS), encoding="utf-8") as file:
            text = file.read()
        linked.write(ACTIONS, text.replace("org.lwabroker.scope.music.history", "org.lwabroker.scope.music.histories"))
        linked.polkitd.restart()
        wait_until(lambda: health(linked) not in ("ok", "polkit is not on the bus"), 10 * linked.slowness, "the broker to see it")
        found = rows(linked)
        assert "music.history" in of(found, "actions", "problem")[0]["text"]
        assert of(found, "polkit-actions", "ok")


def test_no_rule(linked):
    with polkit_files(linked):
        os.unlink(linked.path(RULES))
        linked.polkitd.restart()
        wait_until(lambda: health(linked) == "ok", 10 * linked.slowness, "the broker to see polkitd")
        found = rows(linked)
        assert of(found, "polkit-rule", "problem")
        assert "does not say yes" in of(found, "rule", "problem")[0]["text"]


@pytest.mark.parametrize("bits, text", [(0o600, "cannot be read"), (0o666, "can be changed by others")])
def test_rule_of_wrong_mode(linked, bits, text):
    with polkit_files(linked):
        os.chmod(linked.path(RULES), bits)
        (row,) = of(rows(linked), "polkit-rule", "problem")
        assert text in row["text"]


@pytest.mark.parametrize("answer, level, text", [("NO", "problem", "does not say yes"), ("YES", "warning", "says yes even")])
def test_rule_before_ours(linked, answer, level, text):
    linked.write_rule("20-mine", "polkit.addRule(function(action) { if (action.id.indexOf('org.lwabroker.scope.') == 0) "
                                 f"return polkit.Result.{answer}; }});")
    (row,) = of(rows(linked), "rule", level)
    assert text in row["text"]


# --- clock and hosts ---


HOSTS = {
    "name that does not exist": ("https://host.invalid", "name is not found"),
    "nobody listens": ("https://127.0.0.1:1", "cannot be reached"),
}


@pytest.mark.parametrize("case", HOSTS)
def test_host(linked, case):
    origin, text = HOSTS[case]
    linked.write_config(api={"base": origin + "/v1"})
    linked.reload()
    found = rows(linked)
    (row,) = of(found, "host", "problem")
    assert row["subject"] == origin.removeprefix("https://") and text in row["text"]
    assert len(of(found, "host", "ok")) == 1


@pytest.mark.parametrize("certs", ["--other-host", "--same"])
def test_certificate_of_another(linked, certs):
    ca = linked.restart_sim(certs)
    if certs == "--other-host":
        linked.write_config(provider={"ca_file": ca})
    linked.reload()
    (row,) = of(rows(linked), "host", "problem")
    assert "not trusted, or of another host" in row["text"]


@pytest.mark.parametrize("certs, text", [("--expired", "has run out"), ("--not-yet-valid", "not valid yet")])
def test_certificate_and_time(linked, certs, text):
    linked.write_config(provider={"ca_file": linked.restart_sim(certs)})
    linked.reload()
    found = rows(linked)
    assert text in of(found, "host", "problem")[0]["text"]
    assert of(found, "clock", "warning") and not of(found, "clock", "ok")


@pytest.mark.parametrize("seconds, text", [(1200, r"is 1[12]\d\d s ahead"), (-10 * 86400, "is before the time from which")])
def test_clock_beside_the_hosts(linked, seconds, text):
    shim = Shim(linked)
    linked.broker.stop()
    shim.step(realtime=seconds)
    linked.broker.start(env=shim.environment())
    (row,) = of(rows(linked), "clock", "warning")
    assert re.match(text, row["text"]), row


def test_clock_not_set(linked):
    shim = Shim(linked)
    linked.broker.stop()
    shim.step(realtime=-50 * 365 * 86400)
    linked.broker.start(env=shim.environment())
    found = rows(linked)
    assert "is not set" in of(found, "clock", "problem")[0]["text"]
    assert "not valid yet" in of(found, "host", "problem")[0]["text"]


# --- logins ---


def test_dead_login(linked):
    alice = linked.client("alice")
    token = take(alice)[1]["token_id"]
    linked.sim.revoke("alice")
    assert error_of(reject, alice, token).short == "LoginRequired"
    (row,) = of(rows(linked), "login", "problem")
    assert row["subject"].startswith("main of alice") and "lwactl login --account main " + LIBRARY in row["fix"]
    assert of(rows(linked, "alice"), "login", "problem")
    assert not of(rows(linked), "login-end", "warning")


def test_login_that_died_after_another(linked):
    alice, root = linked.client("alice"), linked.client("root")
    take(alice)
    link(linked, "alice", [PLAYBACK], account="main")
    linked.sim.fault("token", "error", count=2, grant_type="refresh_token", error="invalid_grant")
    assert error_of(reject, alice, take(alice)[1]["token_id"]).short == "LoginRequired"
    record = wait_trail(root, "grant-died")
    assert "after another login" in record["detail"]
    (row,) = of(rows(linked), "login-end", "warning")
    assert "right after another login of the same customer" in row["text"] and "main of alice" in row["subject"]


def test_foreign_login(linked):
    linked.write_config(provider={"client_id": CLIENT_ID[:-1] + "1"})
    linked.reload()
    (row,) = of(rows(linked), "login", "problem")
    assert "another client id" in row["text"]


def test_web_client(linked):
    alice = linked.client("alice")
    token = take(alice)[1]["token_id"]
    linked.sim.set(client_type="web")
    assert error_of(reject, alice, token).short == "ProviderMisconfigured"
    found = rows(linked)
    assert "web client" in of(found, "client-id", "problem")[0]["text"]
    assert of(found, "login", "warning")


def test_wider_than_any_app_needs(linked):
    link(linked, "bob", [LIBRARY, HISTORY])
    found = rows(linked)
    (row,) = of(found, "width", "warning")
    assert row["subject"].startswith("main of bob") and row["text"].endswith(HISTORY), row
    assert [row["subject"][:13] for row in of(found, "width", "ok")] == ["main of alice"]


def test_app_that_asks_for_more(linked):
    linked.write_grants("people", "[user:alice]\nallow = music::library\n[user:weatherd]\nallow = music::catalog\ndeny = music::library\n")
    linked.reload()
    assert error_of(take, linked.client("weatherd")).short == "AccessDenied"
    (row,) = of(rows(linked), "app", "warning")
    assert row["subject"] == "user:weatherd" and LIBRARY in row["text"]


# --- one at a time ---


@pytest.fixture
def silent(linked):
    """A host that takes connections and says nothing, until it is closed."""
    with socket.create_server(("127.0.0.1", 0)) as host:
        linked.write_config(api={"base": f"https://127.0.0.1:{host.getsockname()[1]}/v1"})
        linked.reload()
        yield host


def test_one_at_a_time(linked, silent):
    """The second is refused at once; when the first one's caller goes, so does its diagnosis."""
    first, second = linked.client("root"), linked.client("root")
    first.send(STATUS, "Diagnose", "a{sv}", ({},))
    connection, _ = silent.accept()  # it is under way
    error = error_of(second.call, STATUS, "Diagnose", "a{sv}", ({},))
    assert error.short == "RateLimited" and "Another diagnosis is under way" in error.message
    assert "Another diagnosis is under way" in of(rows(linked), "broker", "unknown")[0]["text"]
    first.close()
    connection.settimeout(20 * linked.slowness)
    while connection.recv(4096):  # what it had begun ends with it, long before any time-out
        pass
    connection.close()
    second.send(STATUS, "Diagnose", "a{sv}", ({},))
    silent.accept()[0].close()
    assert try_take(linked.client("alice"))


def test_silent_host(linked, silent):
    """Nothing else waits for it: apps are served meanwhile."""
    root = linked.client("root")
    serial = root.send(STATUS, "Diagnose", "a{sv}", ({},))
    connection, _ = silent.accept()
    assert try_take(linked.client("alice"))
    connection.close()
    found = root.wait(serial)
    assert [row["level"] for row in found if row["check"] == "host" and row["subject"].startswith("127.0.0.1")] == ["problem"]


def test_names_of_others_are_made_printable(linked):
    """A file's name is anybody's text."""
    linked.write("conf/grants.d/\x1b[31m\n.conf", "nonsense\n")
    done = run(linked, "root")
    assert done.returncode == 1 and "\x1b" not in done.stdout
    assert all("\x1b" not in row["subject"] and "\n" not in row["subject"] for row in rows(linked))


# --- the probe ---

PROFILE, POSTAL = "profile", "postal_code"


@pytest.fixture
def profiled(world):
    """alice has a login whose parts the profile endpoint tells apart, and has taken a token of it."""
    settle(world)
    link(world, "alice", [PROFILE, POSTAL])
    take(world.client("alice"), [PROFILE, POSTAL])
    return world


def probe(world, *arguments, user="root", status=0):
    done = world.run_as(user, ["lwactl", "doctor", "--probe-narrowing", "--yes", *arguments], timeout=60)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def state(world):
    """Of alice's one login: what the simulator and the broker know."""
    (known,) = [grant for grant in world.sim.state()["grant_list"] if not grant["revoked"]]
    (told,) = world.client("alice").call(STATUS, "Get")["grants"]
    return known["refreshes"], told["state"], told["error"]


@pytest.mark.parametrize("narrowing, outcome, advice", [
    ("narrow", "narrows", "narrows_on_refresh = yes"),
    ("ignore", "ignores", "narrows_on_refresh = no"),
    ("refuse", "refuses (scope)", "narrows_on_refresh = no"),
    ("grant", "refuses (invalid-grant)", "narrows_on_refresh = no"),
])
@pytest.mark.parametrize("rotation", ["same", "new"])
def test_probe(profiled, narrowing, outcome, advice, rotation):
    """The login lives on with the token that it has, whatever the provider makes of the probe, and so does a rotated
    refresh token."""
    profiled.sim.set(narrowing=narrowing, rotation=rotation, rotation_kills_old="yes")
    alice = profiled.client("alice")
    text, info = take(alice, [PROFILE])
    refreshes = state(profiled)[0]
    out = probe(profiled).stdout
    assert out.splitlines()[0] == outcome and advice in out
    again, told = take(alice, [PROFILE])
    assert again == text and told["token_id"] == info["token_id"]
    made = 1 if narrowing in ("narrow", "ignore") else 0
    assert state(profiled) == (refreshes + made, "fresh", "")
    # An ordinary refresh works after it, and after a restart, and its token is as wide as before.
    assert reject(alice, info["token_id"]) is True
    profiled.broker.restart()
    newest, _ = take(profiled.client("alice"), [PROFILE, POSTAL])
    assert newest not in (text, "")
    assert state(profiled)[0] == refreshes + made + 2
    events = trail(profiled.client("root"))
    assert len([record for record in events if "narrowing probe" in record["detail"]]) == 1
    assert not [record for record in events if record["event"] == "grant-died"]


def test_probe_gives_its_token_to_nobody(profiled):
    """Of the access tokens of the login the narrow one was in no app's hands, and on no trail but its own record."""
    profiled.sim.set(narrowing="narrow")
    alice = profiled.client("alice")
    handed = {take(alice, [PROFILE])[0]}
    before = set(profiled.sim.tokens()["access"])
    done = probe(profiled, "--json")
    (narrow,) = set(profiled.sim.tokens()["access"]) - before
    assert json.loads(done.stdout)["outcome"] == "narrows"
    handed |= {take(alice, [PROFILE])[0], take(alice, [PROFILE, POSTAL])[0]}
    assert narrow not in handed
    assert narrow not in done.stdout + profiled.broker.log()


def test_apps_wait_for_the_probe(profiled):
    """Single flight: who needs a newer token meanwhile gets one, of an ordinary refresh after it."""
    profiled.sim.set(narrowing="narrow")
    alice = profiled.client("alice")
    _, info = take(alice, [PROFILE])
    profiled.sim.set(delay_ms=1500)
    root = profiled.client("root")
    serial = root.send(STATUS, "ProbeNarrowing", "sa{sv}", ("", {}))
    wait_until(lambda: state(profiled)[1] == "renewing", 10 * profiled.slowness, "the probe to be under way")
    assert reject(alice, info["token_id"], timeout=30 * profiled.slowness) is True
    assert root.wait(serial, timeout=30 * profiled.slowness)["outcome"] == "narrows"
    text, told = take(alice, [PROFILE, POSTAL])
    assert told["token_id"] != info["token_id"]
    assert profiled.sim.state()["refreshes_at_once_max"] == 1


def test_prober_who_leaves(profiled):
    """What was begun comes to its end: a rotated refresh token is kept."""
    profiled.sim.set(narrowing="narrow", rotation="new", rotation_kills_old="yes", delay_ms=1000)
    root = profiled.client("root")
    root.send(STATUS, "ProbeNarrowing", "sa{sv}", ("", {}))
    wait_until(lambda: state(profiled)[1] == "renewing", 10 * profiled.slowness, "the probe to be under way")
    root.close()
    wait_until(lambda: state(profiled)[1] == "fresh", 10 * profiled.slowness, "the probe's end")
    profiled.sim.set(delay_ms=0)
    alice = profiled.client("alice")
    assert reject(alice, take(alice, [PROFILE])[1]["token_id"]) is True


@pytest.mark.parametrize("kind", ["status-500", "hang-after"])
def test_probe_that_fails(profiled, kind):
    """As any refresh that fails: it waits, and is not over."""
    if kind == "hang-after":
        profiled.write_config(provider={"request_timeout": 2})
        profiled.reload()
    profiled.sim.fault("token", kind, grant_type="refresh_token")
    assert probe(profiled, status=1).stdout.startswith("unclear")
    assert state(profiled)[1] == "waiting"
    assert try_take(profiled.client("alice"), scopes=[PROFILE])


def test_no_login_fits(linked):
    done = probe(linked, status=5)
    assert "carries the scope profile" in done.stderr and not done.stdout


def test_probe_names_its_login(profiled):
    assert json.loads(probe(profiled, "--account", "main", "--user", "alice", "--json").stdout)["outcome"] == "ignores"
    assert probe(profiled, "--account", "other", status=12).stderr
    assert probe(profiled, "--user", "bob", status=12).stderr


def test_probe_asks_first(profiled):
    done = profiled.run_as("root", ["lwactl", "doctor", "--probe-narrowing"])
    assert done.returncode == 2 and "--yes" in done.stderr
    assert profiled.run_as("root", ["lwactl", "doctor", "--yes"]).returncode == 2


def test_probe_is_for_administrators(profiled):
    before = state(profiled)
    assert probe(profiled, user="alice", status=4).stderr
    assert state(profiled) == before


def test_probe_while_the_store_cannot_write(profiled):
    """The rotated refresh token is kept in memory until it can (I4), and the narrow token is still nobody's."""
    profiled.sim.set(narrowing="narrow", rotation="new", rotation_kills_old="yes", delay_ms=700)
    root, alice = profiled.client("root"), profiled.client("alice")
    text, info = take(alice, [PROFILE])
    serial = root.send(STATUS, "ProbeNarrowing", "sa{sv}", ("", {}))
    wait_until(lambda: state(profiled)[1] == "renewing", 10 * profiled.slowness, "the probe to be under way")
    with contextlib.closing(sqlite3.connect(f"{profiled.state_dir}/broker.db", isolation_level=None)) as database:
        wait_until(lambda: profiled.sim.state()["refreshes_under_way"] == 1, 10 * profiled.slowness, "the refresh")
        database.execute("BEGIN IMMEDIATE")
        assert root.wait(serial, timeout=30 * profiled.slowness)["outcome"] == "unclear"
        database.execute("ROLLBACK")
    wait_until(lambda: state(profiled)[1] == "fresh", 30 * profiled.slowness, "the refresh token to be stored")
    profiled.sim.set(delay_ms=0)
    assert take(alice, [PROFILE])[0] == text
    assert reject(alice, info["token_id"]) is True
