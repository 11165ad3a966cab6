# SPDX-License-Identifier: LGPL-2.1-or-later
"""lwactl's commands that answer a question about the trail (audit matrix, who-has, token) against a broker that says
what the test wants."""

import fcntl
import json
import os
import re
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from fake_broker import BusError  # noqa: E402
from test_lwactl import (  # noqa: E402, F401
    HOSTILE, LIBRARY, Terminal, assert_harmless, broker, bus, run)

PLAYER = "flatpak:org.example.Player"
LEAKED = b"Atza|IwEBIP-leaked.token_with+sorts/of=marks"
MINUTE, HOUR, DAY = 60, 3600, 86400


def rows(*items):
    return lambda *_: ("aa{sv}", (list(items),))


def records(*items):
    return lambda *_: ("aa{sv}t", (list(items), 0))


def ago(seconds):
    return int(time.time()) - seconds


def lines_of(terminal):
    return re.sub("\x1b\\[[0-9;]*m", "", terminal.text).replace("\r", "").splitlines()


def at_terminal(bus, columns, *arguments):
    t = Terminal(bus, *arguments, columns=columns)
    t.finish()
    return t


# --- matrix ---------------------------------------------------------------------------------------------------


def cell(app, user, scope, allowed, **more):
    found = {"app": ("s", app), "user": ("s", user), "account": ("s", "main"), "scope": ("s", scope),
             "allowed": ("s", allowed), "asked": ("t", 0), "asked_at": ("x", 0), "used_at": ("x", 0),
             "denied_at": ("x", 0), "held_until": ("x", 0)}
    found.update({key: ("t" if key == "asked" else "x", value) for key, value in more.items()})
    return found


def a_matrix():
    return rows(
        cell("user:musicd", "musicd", "profile", "allow"),
        cell("user:musicd", "musicd", LIBRARY, "allow", asked=9, used_at=ago(40), held_until=ago(-45 * MINUTE - 20)),
        cell("user:weatherd", "weatherd", LIBRARY, "deny", asked=3, denied_at=ago(2 * HOUR + 20)),
        cell("user:weatherd", "weatherd", "profile", "ask"),
        cell("user:weatherd", "weatherd", "postal_code", "deny"),
        cell(PLAYER, "alice", LIBRARY, "ask", asked=1, used_at=ago(3 * DAY)),
        cell(PLAYER, "alice", "profile", "deny", asked=1, used_at=ago(HOUR), held_until=ago(-30 * MINUTE - 20)))


def test_matrix_is_understood_at_a_glance(bus, broker):
    broker.replies["Matrix"] = a_matrix()
    r = run(bus, "audit", "matrix")
    assert (r.returncode, r.stderr) == (0, b"")
    since = broker.last("Matrix")[1][0].pop("since")[1]
    assert broker.last("Matrix")[1] == ({},) and abs(since - ago(90 * DAY)) < 60
    begins = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(since))
    assert r.stdout.decode() == f"""\
APP                         USER      {LIBRARY}  profile
{PLAYER}  alice     3 days ago (ask)     held 30 min (deny)
user:musicd                 musicd    held 45 min          unused
user:weatherd               weatherd  refused 2 h ago      unused (ask)

held: has a token, for that long. 2 h ago: had one last. unused: may have it, and did not take it. asked: may have it, and got none. refused: asked, and may not. (ask): someone is asked first. (deny): may not any more. -: may not, and did not ask.
Since {begins}.

Hold a token now (`lwactl audit who-has SCOPE` tells since when):
  {PLAYER} of alice: profile (30 min left)
  user:musicd of musicd: {LIBRARY} (45 min left)

Asked for what they may not have (`lwactl explain APP SCOPE` tells why):
  user:weatherd of weatherd: {LIBRARY} (asked 3 times, last refused 2 h ago)

May have it, and did not take it; does the table allow too much?
  user:musicd of musicd: profile
"""


def test_matrix_tells_who_is_not_served(bus, broker):
    """Allowed, and yet refused last: that is no question of policy, and no sign that it is not needed."""
    broker.replies["Matrix"] = rows(cell("user:musicd", "musicd", "profile", "allow", asked=2, denied_at=ago(3 * HOUR)))
    text = run(bus, "audit", "matrix").stdout.decode()
    assert text.endswith("""
May have it, asked, and got none (`lwactl explain APP SCOPE` tells what is missing):
  user:musicd: profile (asked 2 times, last refused 3 h ago)
""")


def test_options_of_matrix(bus, broker):
    broker.replies["Matrix"] = a_matrix()
    run(bus, "audit", "matrix", "--own", "--since", "2h")
    options = broker.last("Matrix")[1][0]
    assert options["own"] == ("b", True) and abs(options["since"][1] - ago(2 * HOUR)) < 60


def test_matrix_says_when_there_is_more(bus, broker):
    row = cell("user:musicd", "musicd", "profile", "allow")
    for complete in (True, False):
        broker.replies["Matrix"] = rows({**row, "complete": ("b", complete)})
        assert ("There is MORE" in run(bus, "audit", "matrix").stdout.decode()) != complete


@pytest.mark.parametrize("allowed, more, words", [
    ("allow", {"denied_at": 3 * HOUR}, "asked 3 h ago"), ("deny", {"denied_at": 3 * HOUR}, "refused 3 h ago"),
    ("ask", {"denied_at": 3 * HOUR, "used_at": 5 * HOUR}, "asked 3 h ago (ask)"),
    ("deny", {"denied_at": 3 * HOUR, "used_at": 5 * HOUR}, "refused 3 h ago"),
    ("deny", {"denied_at": 5 * HOUR, "used_at": 3 * HOUR}, "3 h ago (deny)"),
    ("allow", {"used_at": 3 * HOUR, "held_until": 60}, "3 h ago"), ("ask", {}, "unused (ask)"),
    ("ask", {"held_until": -10 * HOUR - 20}, "held 10 h (ask)")])
def test_what_a_cell_says(bus, broker, allowed, more, words):
    broker.replies["Matrix"] = rows(cell("user:musicd", "musicd", "profile", allowed, **{key: ago(seconds) for key, seconds in more.items()}))
    lines = run(bus, "audit", "matrix").stdout.decode().splitlines()
    assert lines[1] == f"user:musicd  {words}"


@pytest.mark.parametrize("columns, form", [(72, "words"), (70, "numbers"), (60, "marks"), (30, "list")])
def test_matrix_fits_the_terminal(bus, broker, columns, form):
    broker.replies["Matrix"] = a_matrix()
    lines = lines_of(at_terminal(bus, columns, "audit", "matrix"))
    table = lines[:lines.index("")] if form != "list" else []
    assert all(len(line) <= columns for line in table)
    text = "\n".join(lines)
    assert (f"{LIBRARY}  profile" in lines[0]) == (form == "words")
    assert ("  1  " + LIBRARY in text) == (form in ("numbers", "marks"))
    assert ("held 45 min" in text) == (form != "marks")
    assert bool(re.search(r"^user:musicd +musicd +H +n$", text, re.M)) == (form == "marks")
    assert (f"\n  {LIBRARY}: held 45 min" in text) == (form == "list")


def test_matrix_is_read_without_colour(bus, broker):
    broker.replies["Matrix"] = a_matrix()
    coloured = at_terminal(bus, 120, "audit", "matrix")
    assert "\x1b[32mheld 45 min" in coloured.text and "\x1b[31mheld 30 min (deny)" in coloured.text
    plain = run(bus, "audit", "matrix").stdout.decode()
    assert lines_of(coloured)[:4] == plain.splitlines()[:4]


def test_matrix_json(bus, broker):
    broker.replies["Matrix"] = rows(cell(HOSTILE, "alice", LIBRARY, "deny"), cell(PLAYER, "alice", LIBRARY, "ask", asked=2))
    r = run(bus, "audit", "matrix", "--json")
    found = [json.loads(line) for line in r.stdout.splitlines()]
    assert [row["app"] for row in found] == [HOSTILE, PLAYER] and found[1]["asked"] == 2
    assert_harmless(r.stdout)


def test_matrix_of_nothing(bus, broker):
    broker.replies["Matrix"] = rows(cell("user:musicd", "musicd", "profile", "deny"))
    r = run(bus, "audit", "matrix")
    assert r.stdout == b"No app may have any scope, and none has asked.\n"


def test_matrix_of_very_many(bus, broker):
    """More scopes than a table has columns become a list, and long lists below it say that they are cut."""
    many = [cell(f"user:app{i:03}", f"app{i:03}", f"scope{j:03}", "allow") for i in range(30) for j in range(70)]
    broker.replies["Matrix"] = rows(*many)
    text = run(bus, "audit", "matrix").stdout.decode()
    assert text.startswith("user:app000\n  scope000: unused\n")
    assert "\n  ... and 20 more\n" in text and text.count("scope069: unused") == 30


@pytest.mark.parametrize("columns", [None, 100, 30])
def test_matrix_of_hostile_names(bus, broker, columns):
    long = "x" * 3000
    broker.replies["Matrix"] = rows(
        cell(HOSTILE, HOSTILE, HOSTILE, HOSTILE, held_until=ago(-HOUR)), cell(long, long, long, "allow", used_at=2**62),
        cell("a", "b", "c", "deny", denied_at=-2**63, used_at=-2**63, held_until=2**63 - 1))
    if columns:
        t = at_terminal(bus, columns, "audit", "matrix")
        assert_harmless("\n".join(lines_of(t)).encode())
    else:
        r = run(bus, "audit", "matrix")
        assert r.returncode == 0
        assert_harmless(r.stdout)


# --- who-has --------------------------------------------------------------------------------------------------


def holder(**more):
    found = {"app": ("s", PLAYER), "uid": ("u", 1000), "user": ("s", "alice"), "account": ("s", "main"),
             "owner": ("s", "alice"), "scopes": ("as", [LIBRARY, "profile"]), "since": ("x", ago(25 * MINUTE + 20)),
             "expires_at": ("x", ago(-35 * MINUTE - 20)), "sequence": ("t", 7), "token": ("s", "ab" * 16)}
    found.update(more)
    return found


def test_who_has_tells_who_until_when_and_what_to_do(bus, broker):
    ends = ago(-35 * MINUTE - 20)
    broker.replies["WhoHas"] = rows(
        holder(expires_at=("x", ends)), holder(app=("s", "user:musicd"), user=("s", "musicd"), owner=("s", "device")),
        holder(owner=("s", "root"), sequence=("t", 3)), holder(token=("s", "cd" * 16)))
    r = run(bus, "audit", "who-has", LIBRARY)
    assert (r.returncode, r.stderr) == (0, b"")
    assert broker.last("WhoHas")[1] == (LIBRARY, {})
    lines = r.stdout.decode().splitlines()
    assert lines[0] == f"4 tokens that are out carry {LIBRARY}:"
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(ends))
    assert lines[2].split() == ["APP", "USER", "ACCOUNT", "GIVEN", "ENDS", "AT", "CARRIES"]
    assert re.fullmatch(rf"{PLAYER} +alice +main +25 min ago +in 35 min +{at}  {LIBRARY} profile", lines[3])
    text = r.stdout.decode().split("To take it back:\n")[1].split("\n\n")[0]
    assert text.splitlines() == [f"  lwactl revoke {PLAYER} --user alice", "  lwactl revoke user:musicd",
                                 f"  lwactl revoke {PLAYER}"]


def test_who_has_nobody(bus, broker):
    broker.replies["WhoHas"] = rows()
    assert run(bus, "audit", "who-has", LIBRARY).stdout == f"No app holds a token that carries {LIBRARY}.\n".encode()
    r = run(bus, "audit", "who-has", LIBRARY, "--own")
    assert r.stdout == f"No app holds a token of your accounts that carries {LIBRARY}.\n".encode()
    assert broker.last("WhoHas")[1] == (LIBRARY, {"own": ("b", True)})


def test_who_has_an_unknown_scope(bus, broker):
    def refuse(*_):
        raise BusError("InvalidScope", "music:library is in no catalogue; the nearest is music::library.")

    broker.replies["WhoHas"] = refuse
    r = run(bus, "audit", "who-has", "music:library")
    assert (r.returncode, r.stdout) == (2, b"")
    assert b"the nearest is music::library." in r.stderr


def test_who_has_says_when_there_may_be_more(bus, broker):
    broker.replies["WhoHas"] = rows(*[holder()] * 1000)
    text = run(bus, "audit", "who-has", LIBRARY).stdout.decode()
    assert "the newest 1000" in text and text.count("lwactl revoke") == 1


def test_who_has_hostile_names(bus, broker):
    broker.replies["WhoHas"] = rows(holder(app=("s", HOSTILE + "; $(reboot) '"), user=("s", HOSTILE), owner=("s", HOSTILE),
                                           account=("s", HOSTILE), scopes=("as", [HOSTILE])))
    r = run(bus, "audit", "who-has", LIBRARY)
    assert_harmless(r.stdout)
    (command,) = re.findall(r"^  lwactl revoke (.*)$", r.stdout.decode(), re.M)
    assert re.match(r"'evil[^']*; \$\(reboot\) '\\''' --user 'evil[^']*'$", command)
    r = run(bus, "audit", "who-has", LIBRARY, "--json")
    assert json.loads(r.stdout)["scopes"] == [HOSTILE]
    assert_harmless(r.stdout)


# --- token ----------------------------------------------------------------------------------------------------


def record(sequence, event="token-disclosed", **more):
    found = {"sequence": ("t", sequence), "time": ("x", ago(25 * MINUTE + 20)), "event": ("s", event), "app": ("s", PLAYER),
             "kind": ("s", "flatpak"), "strength": ("s", "sandbox"), "unit": ("s", ""), "program": ("s", "/app/bin/player"),
             "uid": ("u", 1000), "account": ("s", "main"), "owner": ("s", "alice"), "asked": ("s", LIBRARY),
             "carried": ("s", LIBRARY + " profile"), "verdict": ("s", "allow"), "decided_by": ("s", "table"),
             "detail": ("s", ""), "grant": ("t", 1), "expires_at": ("x", ago(-35 * MINUTE - 20)), "repeats": ("t", 3),
             "token": ("s", "ab" * 16)}
    found.update(more)
    return found


class Handed:
    """FindToken's answer, which keeps what it was handed."""

    def __init__(self, *found):
        self.found = found
        self.token = self.seals = None

    def __call__(self, fd):
        number = fd.to_raw_fd() if hasattr(fd, "to_raw_fd") else fd.fileno()
        self.seals = fcntl.fcntl(number, fcntl.F_GET_SEALS)
        self.token = os.pread(number, 4096, 0)
        os.close(number)
        return "aa{sv}", (list(self.found),)


def test_token_names_the_app_and_what_to_do(bus, broker):
    broker.replies["FindToken"] = handed = Handed(record(7), record(8, "token-rejected", app=("s", "user:other")))
    broker.replies["Query"] = records(record(7), record(9, "token-denied", carried=("s", ""), verdict=("s", "deny")))
    r = run(bus, "audit", "token", stdin=None, input=LEAKED + b"\n")
    assert (r.returncode, r.stderr) == (0, b"")
    assert handed.token == LEAKED and handed.seals & 0xf == 0xf
    filter, after, limit = broker.last("Query")[1]
    assert (filter["app"], after, limit) == (("s", PLAYER), 0, 10) and abs(filter["since"][1] - ago(25 * MINUTE + 20)) < 60
    text = r.stdout.decode()
    shown = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", text)
    assert shown.startswith(f"""\
One app was given this token:

  {PLAYER}, uid 1000
    given    TIME, 25 min ago
    again    3 more times
    account  main of alice
    carries  {LIBRARY} profile
    because  allow, by the table
    known by sandbox: any program of the user outside of sandboxes can pass for it
    program  /app/bin/player
    record   7

It is DANGEROUS until TIME (in 35 min): who has it can use it until then.

What to do:
""")
    assert f"\n       lwactl revoke {PLAYER} --user alice\n" in text
    assert "\n       lwactl accounts remove main  # only as its owner, alice\n" in text and "https://amazon.com/ap/adam" in text
    assert re.search(rf"What {PLAYER} did from then on; `lwactl audit app {PLAYER}` tells all of it:\n"
                     rf"TIME +EVENT +VERDICT +SCOPES\n.*token-disclosed +allow .*\n.*token-denied +deny +{LIBRARY}\n$", text)


def test_token_that_is_over(bus, broker):
    broker.replies["FindToken"] = Handed(record(7, expires_at=("x", ago(HOUR + 60))))
    text = run(bus, "audit", "token", stdin=None, input=LEAKED).stdout.decode()
    assert "\nIt ended 61 min ago (" in text and "DANGEROUS" not in text and "from then on" not in text


def test_token_that_several_apps_had(bus, broker):
    broker.replies["FindToken"] = Handed(record(7), record(8, app=("s", "user:musicd"), owner=("s", "device"), account=("s", "living-room")))
    text = run(bus, "audit", "token", stdin=None, input=LEAKED).stdout.decode()
    assert text.startswith("2 apps were given this token; each of them may have let it out:\n")
    assert re.findall(r"^       (lwactl .*)$", text, re.M) == [
        f"lwactl revoke {PLAYER} --user alice", "lwactl revoke user:musicd",
        "lwactl accounts remove main  # only as its owner, alice", "lwactl accounts remove living-room"]
    assert "1. So that they get no further token" in text


@pytest.mark.parametrize("form", [b"Bearer %s", b"Authorization: Bearer %s\r\n", b"  %s  \n", b"authorization:bearer %s"])
def test_token_as_it_is_found(bus, broker, form):
    broker.replies["FindToken"] = handed = Handed(record(7))
    assert run(bus, "audit", "token", stdin=None, input=form % LEAKED).returncode == 0
    assert handed.token == LEAKED


@pytest.mark.parametrize("found", [
    b"curl -H 'Authorization: Bearer %s' https://api.example/v1", b'{"access_token":"%s","refresh_token":"Atzr|Iw-x"}',
    b"GET /me?access_token=ENCODED&next=1 HTTP/1.1", b"first line\r\nAuthorization: Bearer %s\r\n\r\nbody\n",
    b"It was %s.", b"%s\n%s\n", pytest.param(b"x" * 5000 + b" %s", id="long")])
def test_token_in_what_it_was_found_in(bus, broker, found):
    """Else whoever pastes the line of a log is told that no app had the token."""
    broker.replies["FindToken"] = handed = Handed(record(7))
    text = found.replace(b"%s", LEAKED).replace(b"ENCODED", LEAKED.replace(b"|", b"%7C"))
    r = run(bus, "audit", "token", stdin=None, input=text)
    assert (r.returncode, r.stderr, handed.token) == (0, b"", LEAKED)


def test_lines_that_come_one_by_one(bus, broker):
    broker.replies["FindToken"] = handed = Handed(record(7))
    reading, writing = os.pipe()
    t = threading.Thread(target=lambda: (os.write(writing, b"first\n"), time.sleep(0.3), os.write(writing, LEAKED), os.close(writing)))
    t.start()
    r = run(bus, "audit", "token", stdin=reading)
    t.join()
    os.close(reading)
    assert (r.returncode, handed.token) == (0, LEAKED)


def test_token_that_is_not_ours(bus, broker):
    broker.replies["FindToken"] = Handed()
    broker.replies["Query"] = records(record(1, time=("x", 1700000000)))
    r = run(bus, "audit", "token", stdin=None, input=LEAKED)
    assert (r.returncode, r.stderr) == (1, b"")
    assert r.stdout.decode().startswith(
        "This broker gave this token to no app since 2023-11-14 22:13:20, when the records begin.\n")
    assert broker.last("Query")[1] == ({}, 0, 1) and b"administrator" not in r.stdout
    r = run(bus, "audit", "token", "--json", stdin=None, input=LEAKED)
    assert (r.returncode, r.stdout) == (1, b"")


def test_token_looked_up_by_an_owner(bus, broker):
    """Who may only read the records of own accounts is told that there are others."""
    def query(filter, *_):
        if "own" not in filter:
            raise BusError("AccessDenied")
        return "aa{sv}t", ([record(1, time=("x", 1700000000))], 0)

    broker.replies.update(FindToken=Handed(), Query=query)
    r = run(bus, "audit", "token", stdin=None, input=LEAKED)
    assert (r.returncode, r.stderr) == (1, b"")
    assert b"Your accounts have no record of this token since 2023-11-14" in r.stdout and b"an administrator can look" in r.stdout


@pytest.mark.parametrize("given, said", [
    (b"", "No token came"), (b"Bearer ", "Bearer"), (b"a b", "no token"), (b"\xff", "no token"), (b"x" * 2049, "longer"),
    (b"Atzr|IwEBIrefresh", "refresh token (Atzr|...)"), (b'{"refresh_token": "Atzr|IwEBI"}', "refresh token (Atzr|...)"),
    (b"Atza|one Atza|two", "several tokens"), (b"Atza|one\nAtza|oneandmore", "several tokens"),
    pytest.param(b"x" * 17000 + b" Atza|one", "longer", id="too-long")])
def test_what_is_no_token_is_not_looked_up(bus, broker, given, said):
    broker.replies["FindToken"] = handed = Handed(record(7))
    r = run(bus, "audit", "token", stdin=None, input=given)
    if given == b"Bearer ":
        assert handed.token in (None, b"Bearer")
        return
    assert (r.returncode, r.stdout, handed.token) == (2, b"", None)
    assert said in r.stderr.decode() and "Nothing was looked up." in r.stderr.decode()


def test_token_is_never_an_argument(bus, broker):
    r = run(bus, "audit", "token", LEAKED.decode(), stdin=None, input=b"")
    assert r.returncode == 2 and broker.count("FindToken") == 0


def test_token_at_a_terminal_is_not_shown(bus, broker):
    broker.replies["FindToken"] = handed = Handed(record(7))
    t = Terminal(bus, "audit", "token")
    t.wait_for("it is not shown")
    t.type(LEAKED.decode() + "\n")
    assert t.finish() == 0
    assert handed.token == LEAKED and LEAKED.decode() not in t.text and "DANGEROUS" in t.text


def test_token_json_and_hostile_records(bus, broker):
    hostile = record(7, app=("s", HOSTILE), account=("s", HOSTILE), owner=("s", HOSTILE), carried=("s", HOSTILE),
                     strength=("s", HOSTILE), program=("s", HOSTILE), unit=("s", HOSTILE), verdict=("s", HOSTILE),
                     time=("x", 2**62), expires_at=("x", -2**62))
    broker.replies["FindToken"] = Handed(hostile)
    broker.replies["Query"] = records(hostile)
    r = run(bus, "audit", "token", stdin=None, input=LEAKED)
    assert r.returncode == 0
    assert_harmless(r.stdout)
    r = run(bus, "audit", "token", "--json", stdin=None, input=LEAKED)
    assert json.loads(r.stdout)["app"] == HOSTILE and LEAKED not in r.stdout
    assert_harmless(r.stdout)
