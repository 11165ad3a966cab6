# SPDX-License-Identifier: LGPL-2.1-or-later
"""lwactl login by browser, by a pasted address, and by import, against a broker that says what the test wants, and
against whoever may come to a listener on the loopback."""

import fcntl
import http.client
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import termios
import threading
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from fake_broker import BusError  # noqa: E402
from test_lwactl import (  # noqa: E402, F401
    HOSTILE, LIBRARY, LWACTL, Login, Terminal, assert_harmless, broker, bus, environment, run)

STATE = "s-" + "x" * 41
AUTHORIZE = "https://www.amazon.com/ap/oa?client_id=c&response_type=code&state=" + STATE + "&scope=profile"
NOTICE = "Amazon may give no refresh token without a client secret."
TOKEN = "Atzr|IwEBIP-refresh.token_with+all/of=it"
RETURN = "https://app.example/cb"
STRANGER = 65534


class RedirectLogin(Login):
    """A login that waits for the answer of a redirect. `taken` are the arguments of Complete that it took."""

    def __init__(self, broker, uri=AUTHORIZE, notice="", outcome="linked", **details):  # noqa: F811
        super().__init__(broker, code="", uri="")
        self.properties.update(AuthorizeUri=("s", uri), Notice=("s", notice))
        self.refusals = []
        self.taken = []
        broker.replies["Complete"] = self.complete
        details = details or {"account": ("s", "main"), "scopes": ("as", [LIBRARY])}
        broker.after["Complete"] = lambda _: self.taken and self.finish(outcome, **details)

    def complete(self, values):
        if self.refusals:
            raise self.refusals.pop(0)
        self.taken.append({name: text for name, (_, text) in values.items()})
        return "", ()


class Browsing:
    """lwactl login --browser, running, and what it has printed up to the address."""

    def __init__(self, bus, broker, *arguments, **more):  # noqa: F811
        self.process = subprocess.Popen(
            [LWACTL, "login", "--browser", *arguments, LIBRARY], env=environment(bus, **more),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.shown = b""
        self.timer = threading.Timer(60, self.process.kill)  # no read of ours waits for ever
        self.timer.daemon = True
        self.timer.start()
        while b"Time left" not in self.shown:
            line = self.process.stdout.readline()
            assert line, self.process.stderr.read()
            self.shown += line
        flow, self.scopes, self.options = broker.last("Begin")[1]
        assert flow == "authorization-code"
        self.uri = self.options["redirect_uri"][1]
        self.port = int(re.fullmatch(r"http://127\.0\.0\.1:(\d+)/lwa-callback", self.uri).group(1))

    def get(self, target, method="GET", timeout=10, **headers):
        """(status, headers, body)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection.request(method, target, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, dict(answer.getheaders()), body

    def bring(self, code="ANcM", state=STATE, timeout=10):
        return self.get(f"/lwa-callback?code={code}&scope=profile&state={state}", timeout=timeout)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def end(self):
        out, error = self.process.communicate(timeout=20)
        return self.process.returncode, (self.shown + out).decode(), error.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.timer.cancel()
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


# --- by browser ----------------------------------------------------------------------------------------------


def test_browser_linked(bus, broker):  # noqa: F811
    login = RedirectLogin(broker, notice=NOTICE)
    with Browsing(bus, broker, "--device") as browsing:
        assert browsing.options == {"owner": ("s", "device"), "redirect_uri": ("s", browsing.uri)}
        text = browsing.shown.decode()
        assert 0 <= text.index(NOTICE) < text.index(AUTHORIZE + "\n"), "said before the person logs in"
        status, headers, body = browsing.bring()
        assert status == 200 and b"You can close this page" in body
        assert headers["Cache-Control"] == "no-store"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert b"ANcM" not in body and STATE.encode() not in body
        code, out, error = browsing.end()
    assert (code, error) == (0, "") and "Linked: account main carries " + LIBRARY in out
    assert login.taken == [{"code": "ANcM", "state": STATE, "scope": "profile"}]
    assert "ANcM" not in out


def test_browser_is_sent_on_to_amazon(bus, broker):  # noqa: F811
    """What it is started with holds no state: that is only told to a process of the same user."""
    RedirectLogin(broker)
    with Browsing(bus, broker) as browsing:
        status, headers, body = browsing.get("/lwa-login")
        assert (status, headers["Location"]) == (302, AUTHORIZE) and STATE.encode() not in body


def test_browser_denied(bus, broker):  # noqa: F811
    login = RedirectLogin(broker, outcome="denied", nothing=("s", ""))
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = str(found.getsockname()[1])
    with Browsing(bus, broker, "--port", port, "--device") as browsing:
        browsing.get(f"/lwa-callback?error=access_denied&error_description=%1b[2J&state={STATE}")
        code, _, error = browsing.end()
    assert code == 3 and "turned down" in error and f"hint: lwactl login --browser --port {port} --device {LIBRARY}\n" in error
    assert login.taken == [{"error": "access_denied", "state": STATE}]


STRANGE = [
    (403, "GET", f"/lwa-callback?code=evil&state={STATE[:-1]}y", {}),
    (403, "GET", "/lwa-callback?code=evil&state=x", {}),
    (400, "GET", "/lwa-callback?code=evil", {}),
    (400, "GET", f"/lwa-callback?code=evil&error=x&state={STATE}", {}),
    (400, "GET", f"/lwa-callback?code=evil&state={STATE}&state={STATE}", {}),
    (404, "GET", "/favicon.ico", {}),
    (404, "GET", f"/?code=evil&state={STATE}", {}),
    (405, "POST", f"/lwa-callback?code=evil&state={STATE}", {"Content-Length": "0"}),
    (403, "GET", f"/lwa-callback?code=evil&state={STATE}", {"Host": "evil.example"}),
    (403, "GET", "/lwa-login", {"Host": "evil.example"}),
    (403, "GET", "/lwa-login", {"Sec-Fetch-Site": "cross-site"}),
]


def test_strangers_change_nothing(bus, broker):  # noqa: F811
    """A forged request does not end the login, is never handed to the broker, and gets nothing of itself back."""
    login = RedirectLogin(broker)
    with Browsing(bus, broker) as browsing:
        for wanted, method, target, headers in STRANGE * 3:
            status, answered, body = browsing.get(target, method, **headers)
            assert status == wanted, (method, target, headers)
            assert b"evil" not in body and "Location" not in answered
        assert browsing.process.poll() is None and broker.count("Complete") == 0
        assert browsing.bring()[0] == 200
        assert browsing.end()[0] == 0
    assert [taken["code"] for taken in login.taken] == ["ANcM"]


def test_garbage_changes_nothing(bus, broker):  # noqa: F811
    RedirectLogin(broker)
    with Browsing(bus, broker) as browsing:
        for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0" * 20000, b"GET / HTTP/1.1\r\nA: " + b"x" * 20000,
                        b"\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
            with browsing.connect() as stranger:
                stranger.sendall(garbage)
                stranger.shutdown(socket.SHUT_WR)
                answer = read_all(stranger)
            assert answer == b"" or re.match(rb"HTTP/1\.1 4\d\d ", answer), answer
        assert browsing.bring()[0] == 200
        assert browsing.end()[0] == 0


def read_all(connection):
    found = b""
    try:
        while data := connection.recv(4096):
            found += data
    except ConnectionError:
        pass
    return found


def test_slow_strangers_do_not_keep_the_browser_out(bus, broker):  # noqa: F811
    """More connections than there is room for, none of which ever ends its request."""
    RedirectLogin(broker)
    with Browsing(bus, broker) as browsing:
        strangers = [browsing.connect() for _ in range(20)]
        for stranger in strangers:
            stranger.sendall(b"GET /lwa-callback?code=")
        began = time.monotonic()
        assert browsing.bring()[0] == 200
        assert time.monotonic() - began < 4, "it did not wait for their time-out"
        assert browsing.end()[0] == 0
        for stranger in strangers:
            stranger.close()


def test_a_connection_that_says_nothing_is_closed(bus, broker):  # noqa: F811
    RedirectLogin(broker)
    with Browsing(bus, broker) as browsing, browsing.connect() as stranger:
        stranger.sendall(b"GET ")
        began = time.monotonic()
        assert read_all(stranger) == b"" and 3 < time.monotonic() - began < 9
        assert browsing.process.poll() is None


def test_a_request_in_pieces_is_taken(bus, broker):  # noqa: F811
    login = RedirectLogin(broker)
    request = f"GET /lwa-callback?code=slow&state={STATE} HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n"
    with Browsing(bus, broker) as browsing, browsing.connect() as slow:
        slow.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in (request % browsing.port).encode():
            slow.send(bytes([byte]))
        assert read_all(slow).startswith(b"HTTP/1.1 200 ")
        assert browsing.end()[0] == 0
    assert login.taken == [{"code": "slow", "state": STATE}]


def test_two_browsers(bus, broker):  # noqa: F811
    """Two connections at once, as browsers make them; the first answer counts, and only that."""
    login = RedirectLogin(broker)
    broker.after["Complete"] = lambda _: None
    with Browsing(bus, broker) as browsing, browsing.connect() as idle:
        assert browsing.bring("first")[0] == 200
        browsing.bring("second")
        login.finish("linked", account=("s", "main"), scopes=("as", [LIBRARY]))
        assert browsing.end()[0] == 0
        assert read_all(idle) == b""
    assert [taken["code"] for taken in login.taken] == ["first"]


def test_a_browser_of_another_user_is_turned_away(bus, broker):  # noqa: F811
    """By the uid of the other end: the state alone, once somebody has read it, does not open the door."""
    RedirectLogin(broker)
    script = ("import os, sys, socket\nos.setuid(int(sys.argv[1]))\n"
              "s = socket.create_connection(('127.0.0.1', int(sys.argv[2])), 10)\n"
              "s.sendall(sys.argv[3].encode())\nprint(s.makefile().read())")
    with Browsing(bus, broker) as browsing:
        for target in ("/lwa-login", f"/lwa-callback?code=evil&state={STATE}"):
            request = f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{browsing.port}\r\n\r\n"
            done = subprocess.run(["/usr/bin/python3", "-c", script, str(STRANGER), str(browsing.port), request],
                                  capture_output=True, text=True, timeout=30, check=True)
            assert done.stdout.startswith("HTTP/1.1 403 ") and STATE not in done.stdout
        assert broker.count("Complete") == 0
        assert browsing.bring()[0] == 200
        code, _, error = browsing.end()
    assert code == 0 and error.count("another user") == 1 and "hint: " in error


FLOOD = """import os, socket, sys
os.setuid(int(sys.argv[1]))
while True:
    with socket.socket() as s:
        s.setblocking(False)
        s.connect_ex(('127.0.0.1', int(sys.argv[2])))
"""


def is_answered_soon(browsing):
    began = time.monotonic()
    try:
        assert browsing.get("/lwa-login")[0] == 302
    except TimeoutError:
        return False
    return time.monotonic() - began < 4


def test_a_flood_of_strangers_does_not_keep_the_browser_out(bus, broker):  # noqa: F811
    """Whose each of them is takes no longer to find out for there being many, and all find a place to wait in."""
    RedirectLogin(broker)
    with Browsing(bus, broker) as browsing:
        command = ["/usr/bin/python3", "-c", FLOOD, str(STRANGER), str(browsing.port)]
        strangers = [subprocess.Popen(command) for _ in range(2)]
        try:
            assert b"another user" in browsing.process.stderr.readline()
            time.sleep(1)  # thousands of closed connections
            assert any(is_answered_soon(browsing) for _ in range(6)), "kept out, and not by busy cores alone"
            assert browsing.bring(timeout=60)[0] == 200
        finally:
            for stranger in strangers:
                stranger.kill()
                stranger.wait()
        assert browsing.end()[0] == 0


def socket_owners(port):
    """The uids of the far ends of connections to this port, as the kernel tells them."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in table.read().splitlines()[1:]]
    return [row[7] for row in rows if row[2].endswith(f":{port:04X}")]


def test_a_stranger_who_has_left_is_not_root(bus, broker):  # noqa: F811
    """The kernel shows a socket without a process as root's."""
    RedirectLogin(broker)
    script = ("import os, sys, socket\nos.setuid(int(sys.argv[1]))\n"
              "s = socket.create_connection(('127.0.0.1', int(sys.argv[2])), 10)\n"
              "s.sendall(sys.argv[3].encode())\ns.close()")
    with Browsing(bus, broker) as browsing:
        request = f"GET /lwa-callback?code=evil&state={STATE} HTTP/1.1\r\nHost: 127.0.0.1:{browsing.port}\r\n\r\n"
        browsing.process.send_signal(signal.SIGSTOP)  # so that it looks only when he is gone
        subprocess.run(["/usr/bin/python3", "-c", script, str(STRANGER), str(browsing.port), request],
                       timeout=30, check=True)
        deadline = time.monotonic() + 10
        while socket_owners(browsing.port) != ["0"]:
            assert time.monotonic() < deadline, socket_owners(browsing.port)
            time.sleep(0.01)
        browsing.process.send_signal(signal.SIGCONT)
        assert b"another user" in browsing.process.stderr.readline()
        assert browsing.bring()[0] == 200 and browsing.end()[0] == 0
    assert broker.count("Complete") == 1


def test_the_person_behind_sudo_is_no_stranger(bus, broker):  # noqa: F811
    RedirectLogin(broker)
    with Browsing(bus, broker, SUDO_UID=str(STRANGER)) as browsing:
        script = ("import os, sys, urllib.request\nos.setuid(int(sys.argv[1]))\n"
                  "print(urllib.request.urlopen(sys.argv[2], timeout=10).status)")
        address = f"{browsing.uri}?code=a&state={STATE}"
        done = subprocess.run(["/usr/bin/python3", "-c", script, str(STRANGER), address],
                              capture_output=True, text=True, timeout=30, check=True)
        assert done.stdout == "200\n" and browsing.end()[0] == 0


def test_an_answer_that_the_broker_refuses_leaves_the_login_open(bus, broker):  # noqa: F811
    login = RedirectLogin(broker)
    login.refusals = [BusError("InvalidArgument", "This is not the answer; log in again.")]
    with Browsing(bus, broker) as browsing:
        browsing.bring("first")
        assert b"This is not the answer" in browsing.process.stderr.readline()
        browsing.bring("second")
        assert browsing.end()[0] == 0
    assert [taken["code"] for taken in login.taken] == ["second"]


def test_port(bus, broker):  # noqa: F811
    RedirectLogin(broker)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Browsing(bus, broker, "--port", str(port)) as browsing:
        assert browsing.port == port
        before = broker.count("Begin")
        r = run(bus, "login", "--browser", "--port", str(port), LIBRARY)
        assert r.returncode == 1 and b"Port %d is taken" % port in r.stderr and b"hint: " in r.stderr
        assert broker.count("Begin") == before
        assert browsing.bring()[0] == 200 and browsing.end()[0] == 0
    with Browsing(bus, broker, "--port", str(port)) as browsing:  # at once again
        assert browsing.bring()[0] == 200 and browsing.end()[0] == 0


def test_browser_ctrl_c(bus, broker):  # noqa: F811
    RedirectLogin(broker)
    with Browsing(bus, broker) as browsing:
        browsing.process.send_signal(signal.SIGINT)
        code, _, error = browsing.end()
    assert code == 11 and "Cancelled. Nothing was linked." in error and broker.count("Cancel") == 1


@pytest.mark.parametrize("message, said", [("", "No answer came back from Amazon in time"), ("Too late.", "Too late.")])
def test_browser_times_out(bus, broker, message, said):  # noqa: F811
    """Amazon shows what it does not like as a page, and sends nothing back: the person is told where to look."""
    RedirectLogin(broker).finish_after_properties("expired", message=("s", message))
    r = run(bus, "login", "--browser", LIBRARY)
    assert r.returncode == 13 and said in r.stderr.decode()
    assert b"hint: if Amazon showed an error" in r.stderr


def test_an_address_without_a_state_is_not_used(bus, broker):  # noqa: F811
    for uri in ("https://www.amazon.com/ap/oa?client_id=c", AUTHORIZE + "\r\nX-Evil: 1 &state=" + HOSTILE):
        RedirectLogin(broker, uri=uri)
        r = run(bus, "login", "--browser", LIBRARY)
        assert r.returncode == 1 and b"does not know" in r.stderr
        assert_harmless(r.stdout)


def test_browser_shows_nothing_hostile(bus, broker):  # noqa: F811
    login = RedirectLogin(broker, notice=HOSTILE)
    login.finish_after_properties("linked", account=("s", HOSTILE), scopes=("as", [HOSTILE]), refused=("as", [HOSTILE]))
    r = run(bus, "login", "--browser", LIBRARY)
    assert r.returncode == 0 and b"De-selected" in r.stdout
    assert_harmless(r.stdout)
    login.finish_after_properties("failed", error=("s", HOSTILE), message=("s", HOSTILE), reason=("s", HOSTILE))
    r = run(bus, "login", "--browser", LIBRARY)
    assert r.returncode == 1
    assert_harmless(r.stderr)


# --- what is said at the end ---------------------------------------------------------------------------------


@pytest.mark.parametrize("error, code", [
    ("ProviderUnavailable", 6), ("ProviderMisconfigured", 7), ("AccessDenied", 3), ("InvalidScope", 2),
    ("StoreUnavailable", 9), ("NotSupported", 14), ("LoginRequired", 5), ("NeverHeardOf", 1)])
def test_the_sentence_of_the_broker_is_shown(bus, broker, error, code):  # noqa: F811
    RedirectLogin(broker).finish_after_properties(
        "failed", error=("s", "org.lwabroker.Error." + error), reason=("s", "x"), message=("s", "Do just this."))
    r = run(bus, "login", LIBRARY, "--browser")
    lines = r.stderr.decode().splitlines()
    assert r.returncode == code and lines[0] == "lwactl: Do just this."
    # The sentence says what to do; nothing else may contradict it.
    assert lines[1:] == (["hint: lwactl login --browser " + LIBRARY] if code == 5 else [])


def test_scopes_that_were_left_out_are_told(bus, broker):  # noqa: F811
    Login(broker).finish_after_properties(
        "linked", account=("s", "main"), scopes=("as", [LIBRARY]), refused=("as", ["profile", "postal_code"]))
    r = run(bus, "login", LIBRARY, "--voluntary", 'profile,postal_code we"ird\\')
    assert r.returncode == 0 and b"not linked: profile postal_code\n" in r.stdout
    _, scopes, options = broker.last("Begin")[1]
    assert sorted(scopes) == sorted([LIBRARY, "profile", "postal_code", 'we"ird\\'])
    assert json.loads(options["scope_data"][1]) == {
        name: {"essential": False} for name in ("profile", "postal_code", 'we"ird\\')}


@pytest.mark.slow
@pytest.mark.slow
def test_a_slow_amazon_is_told(bus, broker):  # noqa: F811
    """The broker tries on while Amazon is not well: a person must not think that it hangs."""
    login = Login(broker)
    login.properties.update(State=("s", "proving"))
    with Terminal(bus, "login", LIBRARY) as t:
        t.wait_for("Checking the login...")
        t.wait_for("Amazon is slow to answer; Ctrl-C gives up", 30)
        t.type("\x03")
        assert t.finish() == 11
    # Without a terminal, as a line of its own, once.
    p = subprocess.Popen([LWACTL, "login", LIBRARY], env=environment(bus), stdin=subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    timer = threading.Timer(18, p.send_signal, [signal.SIGINT])
    timer.start()
    out, _ = p.communicate(timeout=60)
    timer.join()
    assert p.returncode == 11
    assert b"Checking the login.\nAmazon is slow to answer; Ctrl-C gives up.\nCancelling...\n" in out


@pytest.mark.parametrize("error, message, hints", [
    ("NoSuchAccount", "There is no account x; see `lwactl accounts`.", 0), ("NoSuchAccount", "There is no account x.", 1),
    ("InvalidScope", "The scope x is in no catalogue.", 0), ("InvalidScope", "No.", 1), ("RateLimited", "No.", 1),
    ("RateLimited", "This app calls too often; try again in 3 s.", 0), ("AccessDenied", "No.", 1),
    ("AccessDenied", "This user may not log in; a polkit rule decides.", 0),
    ("ConsentRequired", "An administrator can allow it in grants.d.", 0),
    ("ConsentRequired", "Logging in needs authentication; call from a session with a polkit agent.", 1),
    ("ProviderUnavailable", "The provider cannot be reached; the next try is due in 3 s.", 0),
    ("ProviderMisconfigured", "An administrator must look at broker.conf.", 0),
    ("StoreUnavailable", "The login cannot be stored; see `lwactl status`.", 0), ("StoreUnavailable", "No.", 1)])
def test_a_hint_says_nothing_twice(bus, broker, error, message, hints):  # noqa: F811
    def fail(*_):
        raise BusError(error, message)
    broker.replies["Begin"] = fail
    r = run(bus, "login", LIBRARY)
    assert r.stderr.startswith(b"lwactl: " + message.encode()) and r.stderr.count(b"hint: ") == hints


def test_how_it_ended_as_json(bus, broker):  # noqa: F811
    """One object for programs; what a person needs stands beside it."""
    login = RedirectLogin(broker, notice=NOTICE)
    for outcome, details, code in (
            ("linked", {"account": "main", "scopes": [LIBRARY], "refused": ["profile"]}, 0),
            ("failed", {"error": "org.lwabroker.Error.AccessDenied", "reason": "other-customer", "message": HOSTILE}, 3),
            ("expired", {"reason": "no-redirect", "message": "Too late."}, 13)):
        packed = {name: ("as" if isinstance(value, list) else "s", value) for name, value in details.items()}
        login.finish_after_properties(outcome, **packed)
        r = run(bus, "login", "--browser", "--json", LIBRARY)
        assert r.returncode == code and json.loads(r.stdout) == {"outcome": outcome, **details}
        assert r.stdout.count(b"\n") == 1
        assert NOTICE.encode() in r.stderr and AUTHORIZE.encode() in r.stderr
        assert_harmless(r.stdout)
        assert_harmless(r.stderr)
    login.finish_after_properties("cancelled")
    with Terminal(bus, "login", "--browser", "--json", LIBRARY) as t:
        assert t.finish() == 11 and "\x1b[K" not in t.text, "nothing is drawn over what a program reads"


def test_browser_over_ssh_is_told_of_the_port(bus, broker):  # noqa: F811
    RedirectLogin(broker)
    with Browsing(bus, broker, SSH_CONNECTION="10.0.0.1 1 10.0.0.2 22") as browsing:
        assert f"`ssh -L {browsing.port}:127.0.0.1:{browsing.port} ".encode() in browsing.shown
        assert browsing.bring()[0] == 200 and browsing.end()[0] == 0


def test_claimed_scopes_are_marked(bus, broker):  # noqa: F811
    accounts = [{"id": ("s", "main"), "grants": ("as", [LIBRARY]), "claimed": ("b", True)},
                {"id": ("s", "other"), "grants": ("as", ["profile"]), "claimed": ("b", False)}]
    grants = [{"account": ("s", "main"), "scopes": ("as", [LIBRARY]), "claimed": ("b", True)},
              {"account": ("s", "other"), "scopes": ("as", ["profile"]), "claimed": ("b", False)}]
    broker.replies["List"] = lambda options: ("aa{sv}", (accounts,))
    broker.replies["Get"] = lambda: ("a{sv}", ({"grants": ("aa{sv}", grants)},))
    for command in ("accounts", "status"):
        r = run(bus, command)
        assert r.returncode == 0
        assert re.search(r" \(claimed\) music::library:read$", r.stdout.decode(), re.M), command
        assert re.search(r"^other .* profile$", r.stdout.decode(), re.M) and r.stdout.count(b"(claimed)") == 1
    assert json.loads(run(bus, "accounts", "--json").stdout)[0]["claimed"]


# --- by a pasted address -------------------------------------------------------------------------------------


def paste(bus, text, *arguments):  # noqa: F811
    return run(bus, "login", "--redirect-uri", RETURN, LIBRARY, *arguments, stdin=None, input=text.encode())


@pytest.mark.parametrize("text, taken", [
    (f"{RETURN}?code=ANcM&scope=profile+postal_code&state={STATE}\r\n",
     {"code": "ANcM", "scope": "profile postal_code", "state": STATE}),
    (f"  {RETURN}?state={STATE}&code=A%7Cb#_ ", {"code": "A|b", "state": STATE}),
    (f"?code=ANcM&state={STATE}\n", {"code": "ANcM", "state": STATE}),
    ("ANcM\n", {"code": "ANcM", "state": STATE}),
    (f"\nnonsense here\n{RETURN}?code=a&state=other\nANcM\n", {"code": "ANcM", "state": STATE}),
    (f"{RETURN}?error=access_denied&state={STATE}\n", {"error": "access_denied", "state": STATE})])
def test_pasted(bus, broker, text, taken):  # noqa: F811
    login = RedirectLogin(broker, notice=NOTICE)
    r = paste(bus, text)
    assert r.returncode == 0, r.stderr
    assert login.taken == [taken]
    assert broker.last("Begin")[1][0] == "authorization-code"
    assert broker.last("Begin")[1][2] == {"redirect_uri": ("s", RETURN)}
    out = r.stdout.decode()
    assert out.index(NOTICE) < out.index(AUTHORIZE + "\n") and "good once" in out


@pytest.mark.parametrize("text, code, said", [
    ("", 11, "Standard input ended"), (f"{RETURN}?code=a&state=other", 2, "another login"),
    (RETURN + "\n", 2, "no answer in that"), (AUTHORIZE + "\n", 2, "no answer in that"),
    (f"{RETURN}?code={'a' * 9000}&state={STATE}\n", 2, "longer than"), ("x\x1b[2J\n", 2, "no answer in that"),
    ("bad line\n" * 9, 2, "the last try")])
def test_pasted_nonsense(bus, broker, text, code, said):  # noqa: F811
    login = RedirectLogin(broker)
    r = paste(bus, text)
    assert r.returncode == code and said in r.stderr.decode()
    assert login.taken == [] and r.stderr.count(b"\n") <= 6
    assert_harmless(r.stderr)


def test_pasted_at_a_terminal(bus, broker):  # noqa: F811
    """Nothing is redrawn under what a person types, a mistake can be made good, and Ctrl-C works."""
    login = RedirectLogin(broker)
    login.refusals = [BusError("InvalidArgument", "The state is not that of this login.")]
    command = ["login", "--redirect-uri", RETURN, LIBRARY]
    with Terminal(bus, *command) as t:
        t.wait_for("Address or code: ")
        assert "\u2580" in t.text, "a QR code"
        t.type("two words\n")
        t.wait_for("no answer in that")
        t.type(f"{RETURN}?code=first&state={STATE}\n")
        t.wait_for("The state is not that of this login.")
        t.type("second\n")
        assert t.finish() == 0
        assert t.text.count("Address or code: ") == 3 and "Linked" in t.text
    assert login.taken == [{"code": "second", "state": STATE}]
    for key, code in (("\x03", 11), ("\x04", 11)):
        with Terminal(bus, *command) as t:
            t.wait_for("Address or code: ")
            t.type(key)
            assert t.finish() == code and "Nothing was linked" in t.text


# --- by import -----------------------------------------------------------------------------------------------

SEALED = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class ImportLogin(Login):
    """Takes the token out of what Begin was given."""

    def __init__(self, broker):  # noqa: F811
        super().__init__(broker, code="", uri="")
        self.seen = []
        broker.replies["Begin"] = self.begin
        self.finish_after_properties("linked", account=("s", "main"), scopes=("as", [LIBRARY]))

    def begin(self, flow, scopes, options):
        assert flow == "import"
        fd = options["token"][1].to_raw_fd()
        self.seen.append((os.pread(fd, 9999, 0), fcntl.fcntl(fd, fcntl.F_GET_SEALS)))
        os.close(fd)
        return "o", ("/org/lwabroker/Broker1/login/1",)


@pytest.mark.parametrize("text", [TOKEN, TOKEN + "\n", " \t" + TOKEN + "\r\n", TOKEN + "\n\n", "x" * 2048 + "\n"])
def test_import_from_a_pipe(bus, broker, text):  # noqa: F811
    login = ImportLogin(broker)
    r = run(bus, "login", "--import", LIBRARY, "--account", "main", stdin=None, input=text.encode())
    assert (r.returncode, r.stderr) == (0, b"") and b"claimed" in r.stdout
    assert login.seen == [(text.strip().encode(), SEALED)]
    assert set(broker.last("Begin")[1][2]) == {"account", "token"}
    assert TOKEN.encode() not in r.stdout


@pytest.mark.parametrize("text, said", [
    ("", "No token"), ("\n", "No token"), ("x" * 2049, "longer"), ("x" * 9999, "longer"), ("two words\n", "no token"),
    (TOKEN + "\n" + TOKEN + "\n", "no token"), ("esc\x1b[2J", "no token"), ("nul\0", "no token"),
    ("Atza|abc\n", "access token")])
def test_import_of_what_is_no_token(bus, broker, text, said):  # noqa: F811
    """It is refused before the broker is asked, and not shown."""
    r = run(bus, "login", "--import", LIBRARY, stdin=None, input=text.encode())
    assert r.returncode == 2 and said in r.stderr.decode() and b"hint: " in r.stderr
    assert broker.count("Begin") == 0 and TOKEN.encode() not in r.stderr
    assert_harmless(r.stderr)


def test_import_at_a_terminal_is_not_shown(bus, broker):  # noqa: F811
    login = ImportLogin(broker)
    with Terminal(bus, "login", "--import", LIBRARY) as t:
        t.wait_for("not shown")
        t.type(TOKEN + "\n")
        assert t.finish() == 0
        assert TOKEN not in t.text and "Linked" in t.text
    assert login.seen == [(TOKEN.encode(), SEALED)]


@pytest.mark.parametrize("ending", [b"\x03", b"\x04", b"\x1c"])
def test_import_puts_the_terminal_right(bus, broker, ending):  # noqa: F811
    """Ctrl-C, the end of the input, Ctrl-\\: echo is on again afterwards."""
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)

    def take_terminal():
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    p = subprocess.Popen([LWACTL, "login", "--import", LIBRARY], env=environment(bus), stdin=slave,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=take_terminal)
    while b"not shown" not in p.stderr.peek():
        assert p.poll() is None
    assert not termios.tcgetattr(slave)[3] & termios.ECHO
    os.write(master, ending)
    p.communicate(timeout=20)
    assert p.returncode == (2 if ending == b"\x04" else 11)
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


# --- wrong arguments -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments, said", [
    (["--browser", "--import"], b"exclude"), (["--browser", "--redirect-uri", "x"], b"exclude"),
    (["--redirect-uri", "x", "--import"], b"exclude"), (["--voluntary", "a", "--scope-data", "{}"], b"exclude"),
    (["--import", "--voluntary", "a"], b"does not go"), (["--import", "--scope-data", "{}"], b"does not go"),
    (["--import", "--locale", "de-DE"], b"does not go"), (["--port", "8000"], b"--browser only"),
    (["--no-open"], b"--browser only"), (["--browser", "--port", "80"], b"1024 to 65535"),
    (["--browser", "--port", "65536"], b"1024 to 65535"), (["--import", "token"], b"No token")])
def test_arguments_that_do_not_go_together(bus, arguments, said):  # noqa: F811
    r = run(bus, "login", LIBRARY, *arguments)
    assert (r.returncode, r.stdout) == (2, b"") and said in r.stderr and b"hint: " in r.stderr
