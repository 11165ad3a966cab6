# SPDX-License-Identifier: LGPL-2.1-or-later
"""lwactl against a broker that says what the test wants."""

import fcntl
import json
import os
import pty
import re
import resource
import select
import signal
import stat
import struct
import subprocess
import sys
import termios
import threading
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from fake_broker import NAME, PATH, REQUEST, Broker, Bus, BusError, send_signal, token_fd  # noqa: E402
from jeepney.io.blocking import open_dbus_connection  # noqa: E402

LWACTL = os.path.abspath(os.path.join(os.environ.get("LWA_BUILD", "build"), "lwactl"))
LIBRARY = "music::library:read"
TOKEN = b"Atza|IwEBIP-token.with_all+sorts/of=marks"
HOSTILE = "evil\x1b]0;owned\x07\x1b[2J\n\r\x7f\u009b31m\u202etxt\u200b"
LOGIN = PATH + "/login/1"


@pytest.fixture(scope="module")
def bus(tmp_path_factory):
    b = Bus(str(tmp_path_factory.mktemp("bus")))
    yield b
    b.close()


@pytest.fixture
def broker(bus):
    b = Broker(bus.address)
    yield b
    b.close()


def environment(bus, **more):
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC",
           "DBUS_SYSTEM_BUS_ADDRESS": bus.address}
    env.update({k: os.environ[k] for k in ("ASAN_OPTIONS", "UBSAN_OPTIONS") if k in os.environ})
    env.update(more)
    return env


def run(bus, *arguments, **options):
    kind = dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30)
    kind.update(options)
    return subprocess.run([LWACTL, *arguments], env=environment(bus), check=False, **kind)


def assert_harmless(output):
    """Nothing that drives a terminal, and nothing unseen."""
    text = output.decode("utf-8")
    bad = [c for c in text if (ord(c) < 0x20 and c != "\n") or 0x7f <= ord(c) <= 0x9f
           or c in "\u200b\u202e\u2028"]
    assert not bad, (bad, text)


QUOTES = 'a"b\\c"}'


def give_token(content=TOKEN, **more):
    info = {"token_id": ("s", "t1"), "token_type": ("s", "Bearer"), "scopes": ("as", [LIBRARY]),
            "expires_at": ("t", 2000000000), "expires_in": ("u", 3600), "account": ("s", "main"),
            "x_api_key": ("s", "amzn1.application.abc"), "api_base": ("s", "https://api.example/v1")}
    info.update(more)
    return lambda scopes, options: ("ha{sv}", (token_fd(content), info))


# --- token --------------------------------------------------------------------------------------------


def test_token_is_printed_with_a_newline(bus, broker):
    broker.replies["GetToken"] = give_token()
    r = run(bus, "token", LIBRARY, "profile postal_code", "--account", "main", "--min-valid", "120")
    assert (r.returncode, r.stdout, r.stderr) == (0, TOKEN + b"\n", b"")
    _, (scopes, options), interactive = broker.last("GetToken")
    assert scopes == [LIBRARY, "profile", "postal_code"]
    assert options == {"account": ("s", "main"), "min_valid": ("u", 120)}
    assert not interactive  # standard input is no terminal


def test_token_header(bus, broker):
    broker.replies["GetToken"] = give_token()
    r = run(bus, "token", LIBRARY, "--header")
    assert r.stdout == b"Authorization: Bearer " + TOKEN + b"\nx-api-key: amzn1.application.abc\n"
    broker.replies["GetToken"] = give_token(x_api_key=("s", ""))
    assert run(bus, "token", LIBRARY, "--header").stdout == b"Authorization: Bearer " + TOKEN + b"\n"


def test_token_json_holds_the_token_and_all_info(bus, broker):
    broker.replies["GetToken"] = give_token(token=("s", "a false one"), account=("s", QUOTES))
    r = run(bus, "token", LIBRARY, "--json")
    answer = json.loads(r.stdout)
    assert r.stdout.count(b"\n") == 1
    assert answer.pop("token") == TOKEN.decode()
    assert answer == {"token_id": "t1", "token_type": "Bearer", "scopes": [LIBRARY], "account": QUOTES,
                      "expires_at": 2000000000, "expires_in": 3600, "x_api_key": "amzn1.application.abc",
                      "api_base": "https://api.example/v1"}
    assert_harmless(r.stdout)


@pytest.mark.parametrize("fact", ["account", "token_id", "api_base", "x_api_key"])
def test_a_token_with_a_hostile_fact_is_never_printed(bus, broker, fact):
    broker.replies["GetToken"] = give_token(**{fact: ("s", HOSTILE)})
    for form in ("--json", "--header"):
        r = run(bus, "token", LIBRARY, form)
        assert r.returncode == 1 and r.stdout == b"" and b"holds what no token may hold" in r.stderr, r


@pytest.mark.parametrize("content", [b"", b"a\r\nX-Evil: 1", b"a b", b"a\0b", b"\x1b[2J", b"a" * 4097, b"\xc3\xa9"])
def test_a_malformed_token_is_never_printed(bus, broker, content):
    broker.replies["GetToken"] = give_token(content)
    for form in ([], ["--header"], ["--json"]):
        r = run(bus, "token", LIBRARY, *form)
        assert (r.returncode, r.stdout) == (1, b""), form


def test_a_token_of_4096_bytes_is_whole(bus, broker):
    broker.replies["GetToken"] = give_token(b"x" * 4096)
    assert run(bus, "token", LIBRARY).stdout == b"x" * 4096 + b"\n"


def test_a_malformed_api_key_is_no_header(bus, broker):
    broker.replies["GetToken"] = give_token(x_api_key=("s", "k\nX-Evil: 1"))
    r = run(bus, "token", LIBRARY, "--header")
    assert (r.returncode, r.stdout) == (1, b"")


def test_output_is_a_private_file_replaced_as_a_whole(bus, broker, tmp_path):
    broker.replies["GetToken"] = give_token()
    target = tmp_path / "token"
    target.write_text("old")
    target.chmod(0o644)
    before = target.stat().st_ino
    held = open(target, encoding="utf-8")
    r = run(bus, "token", LIBRARY, "--output", str(target), umask=0o777)
    assert (r.returncode, r.stdout, r.stderr) == (0, b"", b"")
    assert target.read_bytes() == TOKEN + b"\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert target.stat().st_ino != before and held.read() == "old"  # a reader of the old one keeps it
    held.close()
    assert os.listdir(tmp_path) == ["token"]
    assert run(bus, "token", LIBRARY, "--header", "--output", "token", cwd=tmp_path).returncode == 0
    assert target.read_bytes().startswith(b"Authorization: Bearer ")


def test_output_leaves_what_is_no_file_alone(bus, broker, tmp_path):
    broker.replies["GetToken"] = give_token()
    (tmp_path / "real").write_text("kept")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "folder", "fifo", "missing/x", "folder/"):
        r = run(bus, "token", LIBRARY, "--output", str(tmp_path / name) + ("/" if name == "folder/" else ""))
        assert (r.returncode, r.stdout) == (1, b""), name
    assert (tmp_path / "real").read_text() == "kept"
    assert sorted(os.listdir(tmp_path)) == ["fifo", "folder", "link", "real"]


def test_a_failed_write_is_never_silent(bus, broker):
    broker.replies["GetToken"] = give_token()
    broker.replies["List"] = lambda options: ("aa{sv}", ([{"id": ("s", "main")}],))
    for command in (["token", LIBRARY], ["token", LIBRARY, "--json"], ["accounts"], ["help"], ["--version"]):
        with open("/dev/full", "wb") as full:
            r = run(bus, *command, stdout=full)
        assert r.returncode == 1 and b"No space left" in r.stderr, command


def test_a_failed_write_leaves_the_old_file_and_no_other(bus, broker, tmp_path):
    broker.replies["GetToken"] = give_token()
    (tmp_path / "token").write_text("old")
    r = run(bus, "token", LIBRARY, "--output", str(tmp_path / "token"), restore_signals=False,  # SIGXFSZ ignored
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (8, 8)))
    assert r.returncode == 1 and b"File too large" in r.stderr
    assert (tmp_path / "token").read_text() == "old" and os.listdir(tmp_path) == ["token"]


def test_a_closed_standard_output_does_not_become_the_bus(bus, broker):
    seen = []
    started = threading.Event()

    def list_accounts(_):
        started.wait()  # it may ask before Popen() is back
        seen.append(os.readlink("/proc/%d/fd/1" % p.pid))
        return "aa{sv}", ([{"id": ("s", "main")}],)
    broker.replies["List"] = list_accounts
    p = subprocess.Popen(["sh", "-c", 'exec "$0" accounts >&-', LWACTL], env=environment(bus),
                         stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    started.set()
    _, err = p.communicate(timeout=30)
    assert seen == ["/dev/null"]
    assert p.returncode == 1 and b"cannot write the output" in err


def test_a_reader_that_left_ends_it_quietly(bus, broker):
    broker.replies["GetToken"] = give_token()
    broker.replies["List"] = lambda options: ("aa{sv}", ([{"id": ("s", "main")}],))
    for command in (["token", LIBRARY], ["accounts"]):
        r, w = os.pipe()
        os.close(r)
        result = run(bus, *command, stdout=w)
        os.close(w)
        assert (result.returncode, result.stderr) == (1, b""), command


def test_interactive_follows_flag_and_terminal(bus, broker):
    broker.replies["GetToken"] = give_token()
    run(bus, "token", LIBRARY, "--interactive")
    assert broker.last("GetToken")[2]
    master, slave = pty.openpty()
    run(bus, "token", LIBRARY, stdin=slave)
    assert broker.last("GetToken")[2]
    run(bus, "token", LIBRARY, "--no-interactive", stdin=slave)
    assert not broker.last("GetToken")[2]
    os.close(master)
    os.close(slave)


# --- errors and usage -----------------------------------------------------------------------------------

ERRORS = {"AccessDenied": 3, "ConsentRequired": 4, "LoginRequired": 5, "NarrowerLoginRequired": 5,
          "InvalidScope": 2, "InvalidArgument": 2, "NoSuchAccount": 12, "ProviderUnavailable": 6,
          "ProviderMisconfigured": 7, "RateLimited": 10, "AuditUnavailable": 9, "StoreUnavailable": 9,
          "Cancelled": 11, "NotSupported": 14, "NeverHeardOf": 1,
          "org.freedesktop.DBus.Error.AccessDenied": 3, "org.freedesktop.DBus.Error.NoReply": 8,
          "org.freedesktop.DBus.Error.ServiceUnknown": 8, "org.freedesktop.DBus.Error.UnknownMethod": 14,
          "org.example.Other": 1}


@pytest.mark.parametrize("name", ERRORS)
def test_each_error_has_its_code_and_a_sentence(bus, broker, name):
    def fail(*_):
        raise BusError(name, "Do this " + HOSTILE)
    members = {"GetToken": ["token", LIBRARY], "CheckScopes": ["check", LIBRARY], "List": ["accounts"],
               "Get": ["status"], "Query": ["audit"], "Begin": ["login", LIBRARY],
               "Remove": ["accounts", "remove", "main", "--yes"]}
    for member, command in members.items():
        broker.replies[member] = fail
        r = run(bus, *command)
        assert (r.returncode, r.stdout) == (ERRORS[name], b""), command
        assert r.stderr.startswith(b"lwactl: "), command
        assert_harmless(r.stderr)
        if "org." not in name:
            assert b"Do this evil" in r.stderr
        if ERRORS[name] == 5 and member == "GetToken":
            assert b"hint: lwactl login music::library:read\n" in r.stderr


def test_a_login_that_the_broker_names_is_not_named_twice(bus, broker):
    def fail(*_):
        raise BusError("org.lwabroker.Error.LoginRequired", "Nobody has logged in; log in: lwactl login " + LIBRARY)
    broker.replies["GetToken"] = fail
    assert b"hint:" not in run(bus, "token", LIBRARY).stderr
    assert b"hint: lwactl login --account old " in run(bus, "token", LIBRARY, "--account", "old").stderr


def test_an_answer_of_another_shape_is_an_error(bus, broker):
    for member, command in {"GetToken": ["token", LIBRARY], "CheckScopes": ["check", LIBRARY], "List": ["accounts"],
                            "Get": ["status"], "Query": ["audit"], "Begin": ["login", LIBRARY]}.items():
        broker.replies[member] = lambda *_: ("s", ("x",))
        assert run(bus, *command).returncode == 1, command


def test_no_broker_and_no_bus(bus):
    r = run(bus, "status")
    assert r.returncode == 8 and b"not running" in r.stderr and b"hint:" in r.stderr
    env = environment(bus, DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nonexistent")
    r = subprocess.run([LWACTL, "status"], env=env, capture_output=True, check=False, timeout=30)
    assert r.returncode == 8 and b"system bus" in r.stderr


@pytest.mark.parametrize("arguments, said", [
    ([], b"no command"), (["statsu"], b"did you mean `status`?"), (["--verson"], b"did you mean `--version`?"),
    (["token", "--jsno", "a"], b"did you mean `--json`?"), (["token"], b"no scope"),
    (["token", "a", "--header", "--json"], b"exclude"), (["token", "a", "--min-valid", "-1"], b"whole number"),
    (["token", "a", "--min-valid", "1x"], b"whole number"), (["token", "a", "--account"], b"needs a value"),
    (["token", "a", "--json=1"], b"takes no value"), (["token", "a", "-x"], b"unknown option -x"),
    (["token", "a", "--account", "x", "--account", "y"], b"twice"),
    (["token", "a", "--interactive", "--no-interactive"], b"exclude"),
    (["token"] + ["s%d" % i for i in range(33)], b"more than 32"),
    (["audit", "--last", "0"], b"1 to 1000"), (["audit", "--last", "99999999999"], b"1 to 1000"),
    (["audit", "--last", "5", "--all"], b"exclude"), (["audit", "x"], b"unknown audit command"),
    (["accounts", "renme"], b"did you mean `rename`?"), (["accounts", "rename", "x"], b"LABEL"),
    (["accounts", "remove", "x"], b"--yes"), (["accounts", "default", "x", "--json"], b"list only"),
    (["login"], b"no scope"), (["login", "a", "--scope-data", "[1"], b"no JSON"), (["help", "x", "y"], b"one"),
    (["help", "tokn"], b"did you mean `token`?"), (["status\x1b[2J"], b"unknown command status?[2J"),
])
def test_usage_errors_are_named(bus, arguments, said):
    r = run(bus, *arguments)
    assert (r.returncode, r.stdout) == (2, b"")
    assert said in r.stderr and b"hint: " in r.stderr
    assert_harmless(r.stderr)


def test_an_argument_that_is_no_text_is_refused(bus, broker):
    r = run(bus, "token", b"\xff\xfe")
    assert r.returncode == 2 and b"UTF-8" in r.stderr


# --- accounts, check, status, audit ----------------------------------------------------------------------


def test_accounts_list(bus, broker):
    accounts = [{"id": ("s", "main"), "label": ("s", "Kitchen"), "owner": ("s", "alice"), "default": ("b", True),
                 "created_at": ("t", 86400), "grants": ("as", [LIBRARY + " profile", "postal_code"]),
                 "needs_login": ("b", False)},
                {"id": ("s", "main-2"), "label": ("s", HOSTILE), "owner": ("u", 7), "locked": ("b", True)}]
    broker.replies["List"] = lambda options: ("aa{sv}", (accounts,))
    r = run(bus, "accounts")
    lines = r.stdout.decode().splitlines()
    assert r.returncode == 0 and len(lines) == 3
    assert lines[0].split() == ["ID", "LABEL", "OWNER", "DEFAULT", "CREATED", "STATE", "SCOPES"]
    assert "Kitchen" in lines[1] and "1970-01-02 00:00:00" in lines[1]
    assert re.search("ok +%s profile \\+ postal_code$" % LIBRARY, lines[1])
    assert "locked" in lines[2]
    assert_harmless(r.stdout)
    r = run(bus, "accounts", "list", "--json")
    assert [a["label"] for a in json.loads(r.stdout)] == ["Kitchen", HOSTILE]
    assert_harmless(r.stdout)


def test_accounts_changes(bus, broker):
    for member in ("Rename", "SetDefault", "Remove"):
        broker.replies[member] = lambda *_: ("", ())
    assert run(bus, "accounts", "rename", "main", "Living room").returncode == 0
    assert broker.last("Rename")[1] == ("main", "Living room")
    assert run(bus, "accounts", "default", "main").returncode == 0
    assert broker.last("SetDefault")[1] == ("main",)
    assert run(bus, "accounts", "remove", "main").returncode == 2
    assert broker.count("Remove") == 0
    r = run(bus, "accounts", "remove", "main", "--yes")
    assert r.returncode == 0 and b"amazon.com/ap/adam" in r.stdout
    assert broker.last("Remove")[1] == ("main",)


@pytest.mark.parametrize("answer, code", [("y", 0), ("yes", 0), ("", 11), ("n", 11), ("yesterday", 11)])
def test_remove_asks_at_a_terminal(bus, broker, answer, code):
    broker.replies["Remove"] = lambda *_: ("", ())
    with Terminal(bus, "accounts", "remove", "main") as t:
        t.wait_for("[y/N]")
        t.type(answer + "\n")
        assert t.finish() == code
    assert broker.count("Remove") == (1 if code == 0 else 0)


@pytest.mark.parametrize("verdicts, code", [
    ({"a": "allow"}, 0), ({"a": "allow", "b": "ask"}, 4), ({"a": "ask", "b": "login-required"}, 5),
    ({"a": "deny", "b": "ask"}, 3), ({"a": "never heard of"}, 3), ({}, 3)])
def test_check_ends_with_the_worst_verdict(bus, broker, verdicts, code):
    broker.replies["CheckScopes"] = lambda scopes, options: ("a{ss}", (verdicts,))
    r = run(bus, "check", "a", "b")
    assert r.returncode == code
    assert all(v in r.stdout.decode() for v in verdicts.values())
    r = run(bus, "check", "a", "b", "--json")
    assert r.returncode == code and json.loads(r.stdout) == verdicts


def status_of(now):
    grant = {"grant": ("t", 1), "account": ("s", "main"), "owner": ("s", "alice"), "scopes": ("as", [LIBRARY]),
             "state": ("s", "waiting"), "because": ("s", "dns"), "since": ("t", now - 3 * 86400),
             "error": ("s", "offline"), "expires_at": ("t", now - 130),
             "next_try_at": ("t", now + 12 * 60 + 30), "refreshes": ("t", 3)}
    dead = {"account": ("s", "old"), "state": ("s", "dead"), "scopes": ("as", ["profile"])}
    return {"version": ("s", "0.1"), "provider": ("s", HOSTILE), "store": ("s", "ok"), "polkit": ("s", "absent"),
            "table_sections": ("u", 4), "consents": ("u", 5), "problems": ("as", ["a.conf:3: " + HOSTILE]), "uptime": ("t", 7200),
            "grants": ("aa{sv}", [grant, dead])}


def test_status(bus, broker):
    broker.replies["Get"] = lambda: ("a{sv}", (status_of(int(time.time())),))
    r = run(bus, "status")
    text = r.stdout.decode()
    assert r.returncode == 0
    for words in ("4 sections, 1 problem, 5 consents", "in 12 min", "2 min ago", "3 days ago", "dns", "main waits: ",
                  "is the network up?", "The next try is due in 12 min.", "2 h ago", "absent"):
        assert words in text
    assert b"hint: lwactl login --account old profile" in r.stderr
    assert_harmless(r.stdout)
    r = run(bus, "status", "--json")
    assert json.loads(r.stdout)["grants"][0]["refreshes"] == 3
    assert_harmless(r.stdout)


def record(i, **more):
    r = {"sequence": ("t", i), "time": ("x", 86400 + i), "event": ("s", "token-disclosed"),
         "app": ("s", "user:musicd"), "account": ("s", "main"), "asked": ("s", LIBRARY),
         "carried": ("s", LIBRARY), "verdict": ("s", "allow"), "decided_by": ("s", "table"), "repeats": ("t", 2)}
    r.update(more)
    return r


def test_audit_last_and_filters(bus, broker):
    broker.replies["Query"] = lambda f, after, limit: ("aa{sv}t", ([record(1, app=("s", HOSTILE))], 0))
    r = run(bus, "audit")
    assert r.returncode == 0 and b"1970-01-02 00:00:01" in r.stdout and b"2 repeats" in r.stdout
    assert broker.last("Query")[1] == ({"newest": ("b", True)}, 0, 50)
    assert_harmless(r.stdout)
    run(bus, "audit", "--own", "--last", "7")
    assert broker.last("Query")[1] == ({"newest": ("b", True), "own": ("b", True)}, 0, 7)


def test_audit_long_shows_all_of_a_record(bus, broker):
    facts = {"strength": ("s", "unit"), "owner": ("s", "alice"), "unit": ("s", "musicd.service"),
             "program": ("s", "/usr/bin/musicd"), "chain": ("s", "music.conf:3 allow; polkit yes; grant 5"),
             "token": ("s", "ab" * 16), "expires_at": ("x", 90000)}
    broker.replies["Query"] = lambda f, after, limit: ("aa{sv}t", ([record(1, **facts), record(2, detail=("s", HOSTILE))], 0))
    r = run(bus, "audit", "--long")
    first, second = r.stdout.decode().split("1970-01-02 00:00:02")
    assert [line.split(None, 1) for line in first.splitlines()[1:]] == [
        ["app", "user:musicd, known by unit"], ["unit", "musicd.service"], ["program", "/usr/bin/musicd"],
        ["account", "main of alice"], ["asked", LIBRARY], ["carried", LIBRARY], ["verdict", "allow, by table"],
        ["chain", "music.conf:3 allow; polkit yes; grant 5"], ["token", "ab" * 16], ["until", "1970-01-02 01:00:00"],
        ["repeated", "2 times"]]
    assert "unit" not in second and "detail" in second and r.returncode == 0
    assert_harmless(r.stdout)
    assert run(bus, "audit", "--long", "--json").returncode == 2


def test_audit_all_goes_page_by_page(bus, broker):
    def query(options, after, limit):
        return "aa{sv}t", ([record(i) for i in range(after + 1, after + 4)], after + 3 if after < 6 else 0)
    broker.replies["Query"] = query
    r = run(bus, "audit", "--all", "--json")
    assert [json.loads(line)["sequence"] for line in r.stdout.splitlines()] == list(range(1, 10))
    assert broker.count("Query") == 3
    broker.replies["Query"] = lambda f, after, limit: ("aa{sv}t", ([], 5))  # goes round in a circle
    assert run(bus, "audit", "--all").returncode == 0


def test_tables_fit_the_terminal(bus, broker):
    wide = record(1, carried=("s", " ".join([LIBRARY] * 12)), app=("s", "flatpak:" + "x" * 90))
    broker.replies["Query"] = lambda f, after, limit: ("aa{sv}t", ([wide] * 3, 0))
    for columns in (40, 80, 120):
        with Terminal(bus, "audit", columns=columns) as t:
            assert t.finish() == 0
            lines = re.sub("\x1b\\[[0-9;]*m", "", t.text).replace("\r", "").splitlines()
            assert len(lines) == 4 and max(map(len, lines)) <= columns
    for more in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        with Terminal(bus, "audit", **more) as t:
            assert t.finish() == 0 and "\x1b" not in t.text


# --- login ------------------------------------------------------------------------------------------------


class Terminal:
    """lwactl on a terminal of its own."""

    def __init__(self, bus, *arguments, columns=100, **more):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
            os.execve(LWACTL, [LWACTL, *arguments], environment(bus, **{"TERM": "xterm", **more}))
        self.data = b""

    @property
    def text(self):
        return self.data.decode("utf-8", "replace")

    def read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:  # the other side is closed
            return False
        self.data += data
        return bool(data)

    def wait_for(self, words, seconds=15):
        deadline = time.monotonic() + seconds
        while words not in self.text:
            assert time.monotonic() < deadline, self.text
            self.read(0.2)

    def type(self, text):
        os.write(self.fd, text.encode())

    def finish(self):
        while self.read(15):
            pass
        pid, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


class Login:
    """The login request of a fake broker."""

    def __init__(self, broker, seconds=599, code="ABC234", uri="https://amazon.com/us/code"):
        self.broker = broker
        self.caller = None
        self.properties = {"State": ("s", "waiting"), "UserCode": ("s", code), "VerificationUri": ("s", uri),
                           "AuthorizeUri": ("s", ""), "ExpiresAt": ("t", int(time.time()) + seconds)}
        broker.replies["Begin"] = lambda flow, scopes, options: ("o", (LOGIN,))
        broker.replies["GetAll"] = lambda interface: ("a{sv}", (self.properties,))
        broker.replies["Cancel"] = lambda: ("", ())
        broker.after["Begin"] = self.begun
        broker.after["Cancel"] = self.cancelled

    def begun(self, caller):
        self.caller = caller

    def cancelled(self, caller):
        # One that has left cancels what it had open, perhaps when the next login is there already.
        if caller == self.caller:
            self.finish("cancelled")

    def change(self, **properties):
        self.broker.signal(self.caller, LOGIN, "org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as",
                           (REQUEST, properties, []))

    def finish(self, outcome, **details):
        self.broker.signal(self.caller, LOGIN, REQUEST, "Finished", "sa{sv}", (outcome, details))

    def finish_after_properties(self, outcome, **details):
        self.broker.after["GetAll"] = lambda caller: self.finish(outcome, **details)


def test_login_linked_without_a_terminal(bus, broker):
    login = Login(broker)
    login.properties.update(State=("s", "starting"), UserCode=("s", ""), VerificationUri=("s", ""), ExpiresAt=("t", 0))

    def go_on(_):
        login.change(State=("s", "waiting"), UserCode=("s", "ABC234"), ExpiresAt=("t", int(time.time()) + 599),
                     VerificationUri=("s", "https://amazon.com/us/code"))
        time.sleep(0.3)
        login.change(State=("s", "exchanging"))
        login.change(State=("s", "proving"))
        login.finish("linked", account=("s", "main"), scopes=("as", [LIBRARY]))
    broker.after["GetAll"] = go_on
    r = run(bus, "login", "--scopes", LIBRARY + " profile", "--device", "--account", "main", "--label", "K",
            "--locale", "de-DE", "--scope-data", '{"a": 1}')
    text = r.stdout.decode()
    assert (r.returncode, r.stderr) == (0, b"")
    flow, scopes, options = broker.last("Begin")[1]
    assert (flow, scopes) == ("device-code", [LIBRARY, "profile"])
    assert options == {"owner": ("s", "device"), "account": ("s", "main"), "label": ("s", "K"),
                       "locale": ("s", "de-DE"), "scope_data": ("s", '{"a": 1}')}
    assert "Code: ABC234\n" in text and "https://amazon.com/us/code\n" in text
    assert re.search("Time left: 9:5[0-9]\n", text)
    assert "Linked: account main carries " + LIBRARY in text
    assert_harmless(r.stdout)  # no redrawing, no block letters, no QR code


@pytest.mark.parametrize("outcome, details, code, said", [
    ("denied", {}, 3, "turned down"), ("expired", {}, 13, "ran out"), ("cancelled", {}, 11, "Cancelled"),
    ("failed", {"error": ("s", "ProviderMisconfigured")}, 7, "configuration"),
    ("failed", {"error": ("s", "org.lwabroker.Error.ProviderUnavailable")}, 6, "reached"),
    ("failed", {"error": ("s", HOSTILE)}, 1, "evil"), ("never heard of", {}, 1, "no reason given")])
def test_login_outcomes(bus, broker, outcome, details, code, said):
    Login(broker).finish_after_properties(outcome, **details)
    r = run(bus, "login", LIBRARY)
    assert r.returncode == code and said in r.stderr.decode()
    assert_harmless(r.stderr)
    if outcome in ("denied", "expired"):
        assert b"hint: lwactl login " + LIBRARY.encode() in r.stderr


def test_login_that_ends_before_its_properties_are_read(bus, broker):
    login = Login(broker)

    def begun(caller):
        login.caller = caller
        login.finish("linked", account=("s", "main"), scopes=("as", [LIBRARY]))

    def gone(_):
        raise BusError("org.freedesktop.DBus.Error.UnknownObject", "gone")
    broker.after["Begin"] = begun
    broker.replies["GetAll"] = gone
    assert run(bus, "login", LIBRARY).returncode == 0


def test_login_on_a_terminal(bus, broker):
    login = Login(broker)
    with Terminal(bus, "login", LIBRARY) as t:
        t.wait_for("9:58 left")
        login.change(State=("s", "proving"))
        t.wait_for("Checking the login")
        login.finish("linked", account=("s", "main"), scopes=("as", [LIBRARY]))
        assert t.finish() == 0
        assert "\r\x1b[K" in t.text  # redrawn in place
        assert "\u2580" in t.text and "\u2588" in t.text  # the QR code
        assert " \u2588\u2588\u2588  " in t.text  # block letters
        assert "Code: ABC234" in t.text
        assert "Linked" in t.text
    for arguments, columns in (([], 30), (["--no-qr"], 100)):
        login.finish_after_properties("cancelled")
        with Terminal(bus, "login", LIBRARY, *arguments, columns=columns) as t:
            assert t.finish() == 11 and "\u2580" not in t.text


def test_login_shows_nothing_hostile(bus, broker):
    login = Login(broker, code=HOSTILE, uri="https://x/" + HOSTILE)
    login.finish_after_properties("linked", account=("s", HOSTILE), scopes=("as", [HOSTILE]))
    r = run(bus, "login", LIBRARY)
    assert r.returncode == 0
    assert_harmless(r.stdout)
    with Terminal(bus, "login", LIBRARY, "--no-qr", NO_COLOR="1") as t:
        t.finish()
        assert not re.search("\x1b(?!\\[K)|\x07|\u009b|\u202e", t.text)


def test_login_believes_only_the_broker(bus, broker):
    login = Login(broker)
    login.properties["UserCode"] = ("s", "")
    stranger = open_dbus_connection(bus=bus.address)

    def forge(_):
        send_signal(stranger, login.caller, LOGIN, "org.freedesktop.DBus.Properties", "PropertiesChanged",
                    "sa{sv}as", (REQUEST, {"UserCode": ("s", "EVIL42")}, []))
        send_signal(stranger, login.caller, LOGIN, REQUEST, "Finished", "sa{sv}", ("linked", {}))
        send_signal(stranger, login.caller, "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameOwnerChanged",
                    "sss", (NAME, broker.connection.unique_name, ""))
        time.sleep(0.5)
        login.change(UserCode=("s", "GOOD42"))
        login.finish("denied")
    broker.after["GetAll"] = forge
    r = run(bus, "login", LIBRARY)
    stranger.close()
    assert r.returncode == 3 and b"EVIL42" not in r.stdout and b"GOOD42" in r.stdout


def start_login(bus):
    """Runs a login up to its countdown. The caller ends it with communicate()."""
    p = subprocess.Popen([LWACTL, "login", LIBRARY], env=environment(bus), stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while b"Time left" not in p.stdout.readline():
        assert p.poll() is None
    return p


def test_login_ctrl_c_cancels(bus, broker):
    Login(broker)
    p = start_login(bus)
    p.send_signal(signal.SIGINT)
    _, err = p.communicate(timeout=20)
    assert p.returncode == 11 and b"Cancelled. Nothing was linked." in err
    assert broker.count("Cancel") == 1


def test_login_linked_while_it_is_cancelled_is_linked(bus, broker):
    login = Login(broker)
    broker.after["Cancel"] = lambda _: login.finish("linked", account=("s", "main"), scopes=("as", []))
    p = start_login(bus)
    p.send_signal(signal.SIGINT)
    out, _ = p.communicate(timeout=20)
    assert p.returncode == 0 and b"Linked" in out


def test_login_second_ctrl_c_does_not_wait(bus, broker):
    Login(broker)
    broker.after["Cancel"] = lambda _: None
    p = start_login(bus)
    p.send_signal(signal.SIGINT)
    assert b"Cancelling" in p.stdout.readline()
    began = time.monotonic()
    p.send_signal(signal.SIGINT)
    p.communicate(timeout=20)
    assert p.returncode == 11 and time.monotonic() - began < 3


def test_login_says_that_the_broker_left(bus):
    broker = Broker(bus.address)
    Login(broker)
    p = start_login(bus)
    broker.close()
    _, err = p.communicate(timeout=20)
    assert p.returncode == 8 and b"left the bus" in err


def test_login_says_that_the_bus_is_lost(tmp_path):
    bus = Bus(str(tmp_path))
    broker = Broker(bus.address)
    Login(broker)
    p = start_login(bus)
    bus.process.kill()  # an orderly end would first tell that the broker left
    bus.close()
    _, err = p.communicate(timeout=20)
    broker.close()
    assert p.returncode == 8 and b"connection to the system bus is lost" in err
