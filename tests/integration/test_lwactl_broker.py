# SPDX-License-Identifier: LGPL-2.1-or-later
"""lwactl against the real broker, polkitd and simulator: every command, every form of output, the exit codes."""

import json
import os
import re
import signal
import stat
import time

import pytest

from person import link
from terminal import Terminal
from world import wait_until

# What an active local session would be allowed.
RULE = """polkit.addRule(function (action, subject) {
    if (["org.lwabroker.login", "org.lwabroker.accounts.manage", "org.lwabroker.audit.read-own"].indexOf(action.id) >= 0
        && subject.user == "alice")
        return polkit.Result.YES;
});"""
GRANTS = """[user:alice]
allow = music::library profile
[user:musicd]
allow = music::library
[user:weatherd]
allow = music::library:read
deny = music::library
[user:bob]
ask = music::library
"""
OK, FAILED, USAGE, DENIED, CONSENT, LOGIN, PROVIDER, CONFIGURATION, NO_BROKER = range(9)
CANCELLED, NO_ACCOUNT, EXPIRED = 11, 12, 13


@pytest.fixture
def ready(world):
    """A world in which alice may log in and the table says something of everyone."""
    world.sim.set(interval=1)
    world.write_rule("10-session", RULE)
    world.write_grants("apps", GRANTS)
    world.reload()
    return world


@pytest.fixture
def linked(ready):
    log_in(ready, "--device", "music::library")
    return ready


def log_in(world, *arguments, customer="alice", answer="allow", status=OK):
    """A login from a pipe, answered over the control port; returns what was printed."""
    process = world.spawn_as("alice", ["lwactl", "login", *arguments])
    world.sim.approve(pending_code(world), customer, answer)
    out, error = process.communicate(timeout=20 * world.slowness)
    assert process.returncode == status, out + error
    return out, error


def pending_code(world):
    def find():
        return [pair["user_code"] for pair in world.sim.state()["code_pairs"] if pair["state"] == "pending"]

    return wait_until(find, 10 * world.slowness, "a code pair")[0]


def lwactl(world, user, *arguments, status=OK, **options):
    done = world.run_as(user, ["lwactl", *arguments], **options)
    assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def assert_refused(done, sentence):
    """One line that says why, perhaps one that says what to do, and nothing on standard output."""
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith("lwactl: ") and len(lines) <= 2, done.stderr
    assert all(line.startswith("hint: ") for line in lines[1:]), done.stderr
    assert re.search(sentence, lines[0]), done.stderr
    assert "Atza" not in done.stderr and "Atzr" not in done.stderr


# --- login ---


def test_login_on_a_terminal(ready):
    """The code can be read and typed into Amazon's page while the time left counts down; then it is linked."""
    with Terminal(ready, "alice", ["lwactl", "login", "profile"], columns=90, rows=60) as terminal:
        terminal.wait_for(r"Time left|left")
        code = pending_code(ready)
        address = terminal.wait_for(r"https://localhost:\d+/code\S*").group()
        assert link(address, code, "alice", ready.ca_file) == "Done"
        assert terminal.wait_end() == OK, terminal.text
        shown = terminal.plain()
    assert code in shown.replace(" ", ""), "the code is shown"
    assert re.search("[█▀▄]{3}", shown), "and a QR code"
    assert "Linked: account main" in shown
    assert "Atz" not in shown


@pytest.mark.parametrize("rows", [32, 33])
def test_login_qr_pushes_nothing_off_the_screen(ready, rows):
    """A QR code that leaves no room for the address and the code is not shown."""
    with Terminal(ready, "alice", ["lwactl", "login", "profile"], rows=rows) as terminal:
        terminal.wait_for(r"Time left|left")
        assert bool(re.search("[█▀▄]{33}", terminal.plain())) == (rows == 33)
        lines = terminal.plain().rstrip("\r\n").split("\n")
        first = next(i for i, line in enumerate(lines) if "To link this device" in line)
        assert len(lines) - first <= rows, terminal.text
        terminal.type("\x03")
        assert terminal.wait_end() == CANCELLED, terminal.text


@pytest.mark.parametrize("kind", ["dumb", "xterm"])
def test_login_without_qr_on_a_small_terminal(ready, kind):
    command = ["lwactl", "login", "--no-qr", "profile"]
    with Terminal(ready, "alice", command, columns=40, rows=10, kind=kind) as terminal:
        terminal.wait_for("https://localhost")
        ready.sim.approve(pending_code(ready))
        assert terminal.wait_end() == OK, terminal.text
        assert "█" not in terminal.text
        assert ("\033[" in terminal.text) == (kind == "xterm")


def test_login_without_a_terminal(ready):
    out, error = log_in(ready, "--device", "music::library")
    assert "Linked: account device carries music::library\n" in out
    assert "\033" not in out and "█" not in out and error == ""


def test_login_is_cancelled_by_ctrl_c(ready):
    with Terminal(ready, "alice", ["lwactl", "login", "profile"], rows=60) as terminal:
        terminal.wait_for("https://localhost")
        terminal.type("\x03")
        assert terminal.wait_end() == CANCELLED, terminal.text
    wait_until(lambda: status_of(ready)["logins"] == 0, 5 * ready.slowness, "the login to go")


@pytest.mark.parametrize(
    "prepare, status, sentence",
    [
        (lambda world: world.sim.set(code_lifetime=2), EXPIRED, "not used in time"),
        (lambda world: world.sim.fault("codepair", "html-502", 0), PROVIDER, "."),
    ],
    ids=["expired", "unavailable"],
)
def test_login_that_ends_badly(ready, prepare, status, sentence):
    prepare(ready)
    done = ready.run_as("alice", ["lwactl", "login", "profile"])
    assert done.returncode == status, done.stdout + done.stderr
    assert re.search(sentence, done.stderr)
    lwactl(ready, "alice", "accounts")


def test_login_that_is_denied(ready):
    _, error = log_in(ready, "profile", answer="deny", status=DENIED)
    assert error.startswith("lwactl: ")


def test_login_of_another_customer_into_an_account(ready):
    log_in(ready, "profile")
    process = ready.spawn_as("alice", ["lwactl", "login", "--account", "main", "postal_code"])
    ready.sim.approve(pending_code(ready), "bob")
    _, error = process.communicate(timeout=20 * ready.slowness)
    assert process.returncode not in (OK, None), error
    (account,) = accounts(ready, "alice")
    assert account["grants"] == ["profile"]


def test_login_needs_polkit(ready):
    assert_refused(lwactl(ready, "bob", "login", "profile", status=CONSENT), ".")
    assert_refused(lwactl(ready, "alice", "login", "--account", "nothing", "profile", status=NO_ACCOUNT), ".")
    assert_refused(lwactl(ready, "alice", "login", "no:such:scope", status=USAGE), ".")


# --- accounts ---


def accounts(world, user):
    done = lwactl(world, user, "accounts", "--json")
    return json.loads(done.stdout)


def status_of(world, user="root"):
    return json.loads(lwactl(world, user, "status", "--json").stdout)


def test_accounts(ready):
    assert accounts(ready, "alice") == []
    log_in(ready, "profile")
    log_in(ready, "music::library", customer="bob")
    assert [entry["id"] for entry in accounts(ready, "alice")] == ["main", "main-2"]
    assert accounts(ready, "bob") == []

    lwactl(ready, "alice", "accounts", "rename", "main", "Alice's own")
    lwactl(ready, "alice", "accounts", "default", "main-2")
    found = {entry["id"]: entry for entry in accounts(ready, "alice")}
    assert found["main"]["label"] == "Alice's own"
    assert [entry["default"] for entry in found.values()] == [False, True]
    assert "Alice's own" in lwactl(ready, "alice", "accounts").stdout

    lwactl(ready, "alice", "accounts", "remove", "main", "--yes")
    assert [entry["id"] for entry in accounts(ready, "alice")] == ["main-2"]
    assert_refused(lwactl(ready, "alice", "accounts", "remove", "main", "--yes", status=NO_ACCOUNT), "main")
    assert_refused(lwactl(ready, "bob", "accounts", "remove", "main-2", "--yes", status=NO_ACCOUNT), "main-2")


def test_removal_is_asked_about_on_a_terminal(linked):
    for answer, left in (("n\n", 1), ("y\n", 0)):
        command = ["lwactl", "accounts", "remove", "device"]
        with Terminal(linked, "alice", command) as terminal:
            terminal.wait_for(r"\?|\[y")
            terminal.type(answer)
            terminal.wait_end()
        assert len(accounts(linked, "alice")) == left


# --- token ---


def sh(world, user, text, status=OK):
    """A line of shell with lwactl in its path and the API's address in $API."""
    env = {
        "PATH": f"{world.build_dir}:/usr/bin:/bin",
        "API": f"https://localhost:{world.sim.https}/v1",
        "CURL_CA_BUNDLE": world.ca_file,
    }
    done = world.run_as(user, ["sh", "-c", text], env=env)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_token_plain(linked):
    out = lwactl(linked, "musicd", "token", "music::library:read").stdout
    assert out.endswith("\n") and out.strip() in linked.sim.tokens()["access"]


def test_token_header_is_what_the_api_takes(linked):
    answer = json.loads(sh(linked, "musicd", "lwactl token --header music::library | curl -sS -H @- $API/me/playlists"))
    assert len(answer["data"]["playlists"]["edges"]) == 3


def test_token_json(linked):
    found = json.loads(lwactl(linked, "musicd", "token", "--json", "music::library").stdout)
    assert found["token"] in linked.sim.tokens()["access"]
    assert found["scopes"] == ["music::library"] and found["account"] == "device"
    assert found["token_type"] == "Bearer" and 0 < found["expires_in"] <= 3600
    assert found["expires_at"] - time.time() == pytest.approx(found["expires_in"], abs=10 * linked.slowness)


@pytest.mark.parametrize("form", [[], ["--header"], ["--json"]])
def test_token_into_a_file(linked, form):
    """The file is its owner's alone, and there is never half of one: an old one is replaced whole, or not at all."""
    folder = linked.path("out")
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o777)
    path = os.path.join(folder, "token")
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    command = ["token", *form, "--output", path, "music::library"]
    assert lwactl(linked, "musicd", *command).stdout == ""
    first = os.stat(path)
    assert stat.S_IMODE(first.st_mode) == 0o600
    with open(path, encoding="ascii") as file:
        assert file.read() == lwactl(linked, "musicd", "token", *form, "music::library").stdout or form == ["--json"]
    lwactl(linked, "musicd", *command)
    assert os.stat(path).st_ino != first.st_ino, "replaced, not rewritten"
    second = os.stat(path)
    linked.write_grants("apps", "[user:musicd]\ndeny = music::library\n")
    linked.reload()
    lwactl(linked, "musicd", *command, status=DENIED)
    assert os.stat(path).st_ino == second.st_ino and os.listdir(folder) == ["token"]


def test_token_min_valid(linked):
    lwactl(linked, "musicd", "token", "--min-valid", "1800", "music::library")
    assert_refused(lwactl(linked, "musicd", "token", "--min-valid", "1801", "music::library", status=USAGE), "1800")


def test_token_that_is_refused(linked):
    cases = [
        ("weatherd", "music::library", DENIED, "may not hold music::library;"),
        ("bob", "music::library", CONSENT, "must agree"),
        ("weatherd", "music::library:read", LOGIN, "may carry more"),
        ("alice", "profile", LOGIN, "log in"),
        ("alice", "no:such", USAGE, "."),
    ]
    for user, scope, status, sentence in cases:
        assert_refused(lwactl(linked, user, "token", scope, status=status), sentence)
    assert_refused(lwactl(linked, "alice", "token", "--account", "other", "profile", status=NO_ACCOUNT), "other")


def test_token_when_amazon_is_not_well(linked):
    linked.sim.fault("token", "status-503", 0)
    linked.broker.restart()
    assert_refused(lwactl(linked, "musicd", "token", "music::library", status=PROVIDER), r"next try is due in \d+ s")
    (grant,) = status_of(linked)["grants"]
    assert grant["state"] == "waiting" and grant["error"]


def test_token_when_amazon_refuses_the_client(linked):
    linked.sim.fault("token", "error", 0, error="invalid_client", status=401)
    linked.broker.restart()
    assert_refused(lwactl(linked, "musicd", "token", "music::library", status=CONFIGURATION), "client id")
    linked.sim.clear_faults()


def test_token_when_the_login_has_ended(linked):
    linked.sim.revoke("alice")
    linked.broker.restart()
    assert_refused(lwactl(linked, "musicd", "token", "music::library", status=LOGIN), "log in")
    (account,) = accounts(linked, "alice")
    assert account["needs_login"]


def test_no_broker(linked):
    linked.broker.stop()
    for arguments in (["token", "profile"], ["check", "profile"], ["status"], ["audit"], ["accounts"], ["login", "profile"]):
        assert_refused(lwactl(linked, "alice", *arguments, status=NO_BROKER), "not running")
    nowhere = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"}
    assert_refused(lwactl(linked, "alice", "status", status=NO_BROKER, env=nowhere), "bus")


# --- check, status, audit ---


@pytest.mark.parametrize(
    "user, scope, status, verdict",
    [
        ("musicd", "music::library", OK, "allow"),
        ("weatherd", "music::library", DENIED, "deny"),
        ("bob", "music::library", CONSENT, "ask"),
        ("alice", "profile", LOGIN, "login-required"),
    ],
)
def test_check(linked, user, scope, status, verdict):
    before = linked.sim.state()["counters"]
    assert verdict in lwactl(linked, user, "check", scope, status=status).stdout
    assert json.loads(lwactl(linked, user, "check", "--json", scope, status=status).stdout)[scope] == verdict
    assert linked.sim.state()["counters"] == before, "checking asks Amazon nothing"


def test_status(linked):
    lwactl(linked, "musicd", "token", "music::library")
    text = lwactl(linked, "alice", "status").stdout
    assert re.search(r"^device +device +fresh +(now|\d+ s ago) +in \d+ min", text, re.MULTILINE), text
    found = status_of(linked, "alice")
    assert found["store"] == "ok" and found["polkit"] == "ok" and found["problems"] == []
    assert found["grants"][0]["scopes"] == ["music::library"]
    linked.write_grants("wrong", "[user:carol]\nallwo = profile\n")
    linked.reload()
    assert "wrong.conf:2" in lwactl(linked, "alice", "status").stdout


def test_audit(linked):
    lwactl(linked, "musicd", "token", "music::library")
    lwactl(linked, "weatherd", "token", "music::library", status=DENIED)
    text = lwactl(linked, "root", "audit").stdout
    assert re.search(r"token-disclosed +user:musicd +device +allow +music::library", text)
    assert re.search(r"token-denied +user:weatherd +\S+ +AccessDenied +music::library", text)

    records = [json.loads(line) for line in lwactl(linked, "root", "audit", "--json", "--all").stdout.splitlines()]
    events = [record["event"] for record in records]
    for event in ("broker-started", "login-begun", "login-finished", "token-refreshed", "token-disclosed", "token-denied"):
        assert event in events
    assert [record["sequence"] for record in records] == sorted(record["sequence"] for record in records)
    assert len(lwactl(linked, "root", "audit", "--json", "--last", "2").stdout.splitlines()) == 2
    lwactl(linked, "alice", "audit", "--own")
    refused = lwactl(linked, "alice", "audit", status=CONSENT)
    assert_refused(refused, ".")
    assert "with --own: of own accounts" in refused.stderr
    everything = text + json.dumps(records)
    assert not any(token in everything for kind in linked.sim.tokens().values() for token in kind)


def test_output_that_cannot_be_written(linked):
    done = linked.run_as("root", ["sh", "-c", f"{linked.program('lwactl')} audit --all >/dev/full; echo status $?"])
    assert "status 1" in done.stdout and "No space" in done.stderr


def test_ended_by_a_signal(ready):
    """SIGTERM cancels the login, as Ctrl-C does."""
    process = ready.spawn_as("alice", ["lwactl", "login", "profile"])
    pending_code(ready)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20 * ready.slowness)
    assert process.returncode in (CANCELLED, -signal.SIGTERM)
    wait_until(lambda: status_of(ready)["logins"] == 0, 5 * ready.slowness, "the login to go")
