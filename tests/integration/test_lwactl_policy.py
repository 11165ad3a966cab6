# SPDX-License-Identifier: LGPL-2.1-or-later
"""lwactl's commands about policy (explain, consent, plan, who, revoke, reload, policy) against a broker that says what
the test wants."""

import json
import os
import re
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from fake_broker import BusError  # noqa: E402
from test_lwactl import (  # noqa: E402, F401
    HOSTILE, LIBRARY, Terminal, assert_harmless, broker, bus, run)

PLAYER = "flatpak:org.example.Player"
FILE = "/etc/lwa-broker/grants.d/music.conf"
DAY = 86400


def rows(*items):
    return lambda *_: ("aa{sv}", (list(items),))


def token(**more):
    found = {"token_id": ("s", "t7"), "fingerprint": ("s", "ab" * 8), "app": ("s", PLAYER), "uid": ("u", 1000),
             "user": ("s", "alice"), "account": ("s", "main"), "scopes": ("as", [LIBRARY, "profile"]),
             "expires_at": ("t", int(time.time()) + 30 * 60 + 20), "told": ("b", True)}
    found.update(more)
    return found


def lines_of(terminal):
    return re.sub("\x1b\\[[0-9;]*m", "", terminal.text).replace("\r", "").splitlines()


# --- explain ----------------------------------------------------------------------------------------------


def scope(name, verdict, **more):
    found = {"scope": ("s", name), "asked": ("b", True), "verdict": ("s", verdict), "table": ("s", "none"),
             "file": ("s", ""), "line": ("u", 0), "section": ("s", ""), "consent": ("s", "none"),
             "consent_since": ("t", 0), "consent_until": ("t", 0), "consent_lasts": ("s", ""),
             "default": ("s", "deny"), "polkit": ("s", "not-asked")}
    found.update(more)
    return found


def grant(number, fits, carries, too_wide=()):
    return {"grant": ("t", number), "carries": ("as", carries), "may_carry": ("as", carries), "state": ("s", "fresh"),
            "fits": ("s", fits), "too_wide": ("as", list(too_wide))}


def chain(result="AccessDenied", **more):
    now = int(time.time())
    found = {"app": ("s", PLAYER), "kind": ("s", "flatpak"), "strength": ("s", "sandbox"), "pinned": ("b", True),
             "uid": ("u", 1000), "user": ("s", "alice"), "unit": ("s", "app-player.scope"),
             "exe": ("s", "/app/bin/player"), "connected": ("b", True), "account": ("s", "main"),
             "owner": ("s", "alice"), "asked": ("as", ["music::playback"]), "result": ("s", result),
             "verdict": ("s", "deny"), "polkit_subject": ("s", "app"),
             "scopes": ("aa{sv}", [
                 scope("music::playback", "deny", table=("s", "deny"), file=("s", FILE), line=("u", 3),
                       section=("s", PLAYER)),
                 scope(LIBRARY, "allow", asked=("b", False), table=("s", "ask"), file=("s", FILE), line=("u", 5),
                       section=("s", PLAYER), consent=("s", "allow"), consent_since=("t", now - 2 * DAY - 60),
                       consent_lasts=("s", "logout"), polkit=("s", "yes"))]),
             "grants": ("aa{sv}", [grant(5, "too-wide", ["music::library"], ["music::library"]),
                                   grant(6, "chosen", ["music::playback"])]),
             "advice": ("as", ["An administrator allows it in grants.d: `allow = music::playback`"])}
    found.update(more)
    return found


def explain(chain):
    return lambda *_: ("a{sv}", (chain,))


def test_explain_is_understood_at_a_glance(bus, broker):
    broker.replies["Explain"] = explain(chain())
    r = run(bus, "explain", PLAYER, "music::playback", "--account", "main", "--user", "root")
    assert (r.returncode, r.stderr) == (3, b"")
    options = {"account": ("s", "main"), "user": ("s", "root"), "uid": ("u", 0)}
    assert broker.last("Explain")[1] == (PLAYER, ["music::playback"], options)
    assert r.stdout.decode() == f"""\
{PLAYER} would be refused music::playback: the policy does not allow it (AccessDenied).

 1. Seen as {PLAYER}, strength sandbox: any program of the user outside of sandboxes can pass for it
      user     alice (1000)
      unit     app-player.scope
      program  /app/bin/player
 2. Account main of alice
 3. music::playback: deny
      table    deny, {FILE}:3 in [{PLAYER}]
      polkit   not asked, since it is decided before
 4. {LIBRARY}: allow (not asked for, but the token would carry it)
      table    ask, {FILE}:5 in [{PLAYER}]
      consent  allow, 2 days ago, until logout
      polkit   yes
 5. Login 5 (fresh): too wide: it may carry music::library
      carries  music::library
 6. Login 6 (fresh): serves, and is taken
      carries  music::playback

What to do:
  - An administrator allows it in grants.d: `allow = music::playback`
"""


def test_explain_says_of_which_scopes_polkit_still_decides(bus, broker):
    """A deny of the table is final; of what it allows, rules may refuse an app that is not connected now."""
    def scopes(*verdicts):
        return ("aa{sv}", [scope(name, verdict, table=("s", verdict)) for name, verdict in zip((LIBRARY, "profile"), verdicts)])

    final, open_ = "      polkit   not asked, since it is decided before\n", "      polkit   not asked, see below\n"
    below = "polkit was not asked: the app is not connected"
    for verdicts, lines, is_said in ((("deny", "deny"), (2, 0), False), (("deny", "allow"), (1, 1), True), (("allow", "ask"), (0, 2), True)):
        broker.replies["Explain"] = explain(chain(connected=("b", False), polkit_subject=("s", "none"), scopes=scopes(*verdicts)))
        shown = run(bus, "explain", PLAYER, LIBRARY).stdout.decode()
        assert (shown.count(final), shown.count(open_), below in shown) == (*lines, is_said), shown


@pytest.mark.parametrize("result, code, said", [
    ("token", 0, "would get a token for"), ("AccessDenied", 3, "would be refused"),
    ("ConsentRequired", 4, "would have to ask"), ("LoginRequired", 5, "no login carries"),
    ("NarrowerLoginRequired", 5, "may carry more"), ("NoSuchAccount", 12, "no such account"),
    ("ProviderUnavailable", 6, "Login with Amazon cannot be reached"), ("never heard of", 1, "does not know")])
def test_explain_ends_with_the_code_of_the_outcome(bus, broker, result, code, said):
    broker.replies["Explain"] = explain(chain(result))
    for form in ([], ["--json"]):
        r = run(bus, "explain", PLAYER, "music::playback", *form)
        assert r.returncode == code
    assert said in run(bus, "explain", PLAYER, "music::playback").stdout.decode().splitlines()[0]
    assert json.loads(r.stdout)["grants"][0]["too_wide"] == ["music::library"]


def test_explain_says_the_number_of_a_user(bus, broker):
    broker.replies["Explain"] = explain(chain())
    for app, options in (("user:root", {"uid": ("u", 0)}), ("user:no-such-user", {}), (PLAYER, {}), ("user:", {})):
        run(bus, "explain", app, "a")
        assert broker.last("Explain")[1] == (app, ["a"], options)


def test_explain_tells_what_is_not_known(bus, broker):
    now = int(time.time())
    scopes = [scope("a", "ask", default=("s", "ask"), polkit=("s", "challenge")),
              scope("b", "deny", consent=("s", "deny"), consent_since=("t", now - 70 * 60),
                    consent_until=("t", now + 5 * DAY + 60), polkit=("s", "unavailable"))]
    broker.replies["Explain"] = explain(chain(connected=("b", False), account=("s", ""), owner=("s", ""), exe=("s", ""),
                                              unit=("s", ""), strength=("s", "uid"), polkit_subject=("s", "caller"),
                                              scopes=("aa{sv}", scopes)))
    text = run(bus, "explain", PLAYER, "a").stdout.decode()
    for words in ("any program of the user can pass for it", "not connected now", "No account: ", "says nothing of it",
                  "default  ask\n", "consent  nobody has answered\n", "wants a person to authenticate",
                  "consent  deny, 70 min ago, ends in 5 days\n", "cannot be asked", "polkit was asked about you"):
        assert words in text, (words, text)
    broker.replies["Explain"] = explain(chain(pinned=("b", False), owner=("s", "device")))
    text = run(bus, "explain", PLAYER, "a").stdout.decode()
    assert "not pinned" in text and "Account main of the device" in text
    broker.replies["Explain"] = explain({})  # nothing known at all is an outcome of its own
    assert run(bus, "explain", PLAYER, "a").returncode == 1


def test_explain_fits_the_terminal_and_leaves_commands_whole(bus, broker):
    command = "`lwactl consent allow %s music::playback --account main --days 30`" % PLAYER
    broker.replies["Explain"] = explain(chain(advice=("as", ["Agree to it once with " + command + " and try again"])))
    for columns in (60, 80):
        with Terminal(bus, "explain", PLAYER, "music::playback", columns=columns) as t:
            assert t.finish() == 3
        lines = lines_of(t)
        assert max(len(line) for line in lines if "`" not in line) <= columns
        assert "    " + command in lines
        assert any(line.startswith("      table    deny, ") for line in lines)


def test_nothing_hostile_of_a_chain_reaches_the_terminal(bus, broker):
    evil = {name: ("s", HOSTILE) for name in ("app", "strength", "user", "unit", "exe", "account", "owner", "polkit_subject")}
    scopes = [scope(HOSTILE, HOSTILE, table=("s", HOSTILE), file=("s", HOSTILE), section=("s", HOSTILE),
                    consent=("s", HOSTILE), consent_lasts=("s", HOSTILE), polkit=("s", HOSTILE), default=("s", HOSTILE))]
    broker.replies["Explain"] = explain(chain(HOSTILE, scopes=("aa{sv}", scopes), advice=("as", [HOSTILE, "`" + HOSTILE]),
                                              asked=("as", [HOSTILE]),
                                              grants=("aa{sv}", [grant(2**64 - 1, HOSTILE, [HOSTILE], [HOSTILE])]), **evil))
    for form in ([], ["--json"]):
        r = run(bus, "explain", PLAYER, "a", *form)
        assert r.returncode == 1 and b"evil" in r.stdout
        assert_harmless(r.stdout)
    with Terminal(bus, "explain", PLAYER, "a", columns=30, NO_COLOR="1") as t:
        t.finish()
        assert "\x1b" not in t.text and "\u202e" not in t.text


# --- consent ----------------------------------------------------------------------------------------------


def consent(**more):
    now = int(time.time())
    found = {"app": ("s", PLAYER), "account": ("s", "main"), "owner": ("s", "alice"), "scope": ("s", LIBRARY),
             "answer": ("s", "allow"), "lasts": ("s", "days"), "since": ("t", now - 130), "until": ("t", now + 3 * DAY + 9),
             "how": ("s", "prompt"), "by": ("s", "alice")}
    found.update(more)
    return found


def test_consent_list(bus, broker):
    broker.replies["ListConsents"] = rows(
        consent(), consent(scope=("s", ""), answer=("s", "deny"), lasts=("s", "logout"), until=("t", 0), by=("s", HOSTILE)),
        consent(lasts=("s", "once"), until=("t", 0), how=("s", "command")))
    r = run(bus, "consent")
    lines = r.stdout.decode().splitlines()
    assert r.returncode == 0 and len(lines) == 4
    assert re.search(r"allow +%s +ends in 3 days +2 min ago +alice +prompt$" % LIBRARY, lines[1])
    assert re.search(r"deny +every scope +until logout +2 min ago +evil", lines[2])
    assert re.search(r"once +2 min ago +alice +command$", lines[3])
    assert_harmless(r.stdout)
    run(bus, "consent", "list", "--app", PLAYER, "--account", "main", "--all")
    assert broker.last("ListConsents")[1] == ({"app": ("s", PLAYER), "account": ("s", "main"), "all": ("b", True)},)
    r = run(bus, "consent", "list", "--json")
    assert [c["by"] for c in json.loads(r.stdout)] == ["alice", HOSTILE, "alice"]
    assert_harmless(r.stdout)
    broker.replies["ListConsents"] = rows()
    assert run(bus, "consent", "--all").stdout == b"No answer is remembered.\n"
    assert b"about your accounts" in run(bus, "consent").stdout
    assert json.loads(run(bus, "consent", "--json").stdout) == []


@pytest.mark.parametrize("arguments, sent", [
    (["allow", PLAYER, LIBRARY, "profile"], (PLAYER, "", [LIBRARY, "profile"], "allow", {})),
    (["allow", PLAYER, LIBRARY, "--once", "--account", "main"], (PLAYER, "main", [LIBRARY], "allow", {"lasts": ("s", "once")})),
    (["allow", PLAYER, LIBRARY, "--until-logout", "--device"],
     (PLAYER, "", [LIBRARY], "allow", {"owner": ("s", "device"), "lasts": ("s", "logout")})),
    (["allow", PLAYER, LIBRARY, "--days", "30", "--user", "bob"],
     (PLAYER, "", [LIBRARY], "allow", {"user": ("s", "bob"), "lasts": ("s", "days"), "days": ("u", 30)})),
    (["deny", PLAYER], (PLAYER, "", [], "deny", {})),
    (["deny", PLAYER, LIBRARY, "--days", "1"], (PLAYER, "", [LIBRARY], "deny", {"lasts": ("s", "days"), "days": ("u", 1)})),
    (["revoke", PLAYER], (PLAYER, "", [], "forget", {})),
    (["revoke", PLAYER, LIBRARY, "--account", "main"], (PLAYER, "main", [LIBRARY], "forget", {})),
])
def test_consent_is_given_as_it_was_said(bus, broker, arguments, sent):
    broker.replies["SetConsent"] = rows()
    assert run(bus, "consent", *arguments).returncode == 0
    assert broker.last("SetConsent")[1] == sent


def test_consent_says_what_follows(bus, broker):
    broker.replies["SetConsent"] = rows(token())
    text = run(bus, "consent", "allow", PLAYER, LIBRARY, "--days", "30").stdout.decode()
    assert text.startswith(f"Agreed, for 30 days: {PLAYER} may hold {LIBRARY} where the policy asks.")
    assert f"`lwactl explain {PLAYER} {LIBRARY}`" in text and "t7" not in text
    for verb, said in (("deny", "gets no token that may carry anything"), ("revoke", "The policy alone decides")):
        text = run(bus, "consent", verb, PLAYER).stdout.decode()
        assert said in text and "Still usable until it ends" in text and "https://amazon.com/ap/adam" in text
        assert re.search(r"%s +alice +main +t7 +in 30 min +%s profile +yes\n" % (PLAYER, LIBRARY), text)
    broker.replies["SetConsent"] = rows(token(told=("b", False), app=("s", HOSTILE)), token())
    r = run(bus, "consent", "deny", PLAYER)
    assert b"until they end" in r.stdout and re.search(rb"profile +no\n", r.stdout)
    assert_harmless(r.stdout)
    r = run(bus, "consent", "deny", PLAYER, "--json")
    assert [t["app"] for t in json.loads(r.stdout)] == [HOSTILE, PLAYER]
    broker.replies["SetConsent"] = rows()
    assert b"No app holds a token" in run(bus, "consent", "deny", PLAYER).stdout


# --- plan, who --------------------------------------------------------------------------------------------


def login(scopes, serves, number=0, **more):
    found = {"scopes": ("as", scopes), "serves": ("as", serves), "consent": ("b", False), "grant": ("t", number),
             "command": ("s", "" if number else "lwactl login --device " + " ".join(scopes)), "exact": ("b", True),
             "unneeded": ("b", False)}
    found.update(more)
    return found


def test_plan(bus, broker):
    long = ["music::%d" % i for i in range(30)]
    broker.replies["Plan"] = rows(login([LIBRARY], ["user:musicd", PLAYER], 4), login(long, ["user:x"], consent=("b", True)),
                                  login(["profile"], [], 9, unneeded=("b", True)))
    r = run(bus, "plan", "--device")
    text = r.stdout.decode()
    assert r.returncode == 0 and broker.last("Plan")[1] == ({"owner": ("s", "device")},)
    assert re.search(r"^4 +%s +user:musicd %s +-$" % (LIBRARY, PLAYER), text, re.M)
    assert re.search(r"^missing +music::0 .* user:x +consent$", text, re.M)
    assert re.search(r"^not needed +profile +-", text, re.M)
    assert "One login is missing:\n  lwactl login --device " + " ".join(long) + "\n" in text
    assert "One login is not needed once these are there;" in text and "(exact)" in text
    with Terminal(bus, "plan", columns=60) as t:
        assert t.finish() == 0
    lines = lines_of(t)
    assert "  lwactl login --device " + " ".join(long) in lines  # whole, to be copied
    assert max(len(line) for line in lines if not line.startswith("  lwactl")) <= 80
    assert max(map(len, lines[:4])) <= 60
    r = run(bus, "plan", "--json", "--account", "main")
    assert broker.last("Plan")[1] == ({"account": ("s", "main")},)
    assert json.loads(r.stdout)[1]["command"].startswith("lwactl login")


def test_plan_without_need_and_greedy(bus, broker):
    broker.replies["Plan"] = rows()
    assert b"no login is needed" in run(bus, "plan").stdout
    broker.replies["Plan"] = rows(login(["a"], ["user:x"], 1, exact=("b", False)), login(["b"], ["user:y"], 2))
    text = run(bus, "plan").stdout
    assert b"No login is missing." in text and b"(greedy)" in text
    broker.replies["Plan"] = rows(login([HOSTILE], [HOSTILE], command=("s", HOSTILE)))
    r = run(bus, "plan")
    assert b"evil" in r.stdout
    assert_harmless(r.stdout)


def app(**more):
    found = {"app": ("s", PLAYER), "kind": ("s", "flatpak"), "strength": ("s", "sandbox"), "pinned": ("b", True),
             "uid": ("u", 1000), "user": ("s", "alice"), "unit": ("s", "app-player.scope"), "exe": ("s", "/app/bin/player"),
             "pid": ("u", 4711), "connection": ("s", ":1.5"), "tokens": ("u", 2)}
    found.update(more)
    return found


def test_who(bus, broker):
    broker.replies["ListApps"] = rows(app(), app(user=("s", ""), uid=("u", 20001), pinned=("b", False), pid=("u", 0),
                                                 tokens=("u", 0), unit=("s", ""), exe=("s", HOSTILE)))
    r = run(bus, "who")
    lines = r.stdout.decode().splitlines()
    assert r.returncode == 0 and broker.last("ListApps")[1] == ({},)
    assert lines[0].split() == ["APP", "STRENGTH", "PINNED", "USER", "TOKENS", "PID", "UNIT", "PROGRAM"]
    assert lines[1].split() == [PLAYER, "sandbox", "yes", "alice", "2", "4711", "app-player.scope", "/app/bin/player"]
    assert lines[2].split()[2:7] == ["no", "20001", "-", "-", "-"]
    assert_harmless(r.stdout)
    r = run(bus, "who", "--all", "--json")
    assert broker.last("ListApps")[1] == ({"all": ("b", True)},)
    assert json.loads(r.stdout)[1]["exe"] == HOSTILE
    broker.replies["ListApps"] = rows()
    assert run(bus, "who").stdout == b"No app of yours is connected.\n"
    assert run(bus, "who", "--all").stdout == b"No app is connected.\n"


def test_tables_of_policy_fit_the_terminal(bus, broker):
    long = "flatpak:org.example." + "x" * 90
    broker.replies["ListApps"] = rows(app(app=("s", long), exe=("s", "/" + "y" * 200), unit=("s", "z" * 100)))
    broker.replies["ListConsents"] = rows(consent(app=("s", long), by=("s", "n" * 60), scope=("s", "s" * 128)))
    broker.replies["SetConsent"] = rows(token(app=("s", long), scopes=("as", [LIBRARY] * 12)))
    for arguments in (["who"], ["consent"], ["consent", "deny", PLAYER]):
        for columns in (40, 100):
            with Terminal(bus, *arguments, columns=columns) as t:
                assert t.finish() == 0
            lines = [line for line in lines_of(t) if line]
            assert len(lines) >= 2 and max(map(len, lines)) <= columns, (arguments, lines)
            assert [line for line in lines if line.startswith("APP ")]


# --- revoke, accounts remove ------------------------------------------------------------------------------


def test_revoke(bus, broker):
    broker.replies["RevokeApp"] = rows(token())
    r = run(bus, "revoke", PLAYER, "--yes")
    text = r.stdout.decode()
    assert r.returncode == 0 and broker.last("RevokeApp")[1] == (PLAYER, {})
    assert text.startswith(f"Revoked: {PLAYER} gets no token of the accounts any more.")
    assert f"`lwactl consent list --app {PLAYER} --all`" in text and "in 30 min" in text
    assert "no revocation" in text and "https://amazon.com/ap/adam" in text
    text = run(bus, "revoke", PLAYER, "--yes", "--account", "main", "--user", "bob").stdout.decode()
    assert broker.last("RevokeApp")[1] == (PLAYER, {"account": ("s", "main"), "user": ("s", "bob")})
    assert f"`lwactl consent revoke {PLAYER} --account main --user bob`" in text
    r = run(bus, "revoke", PLAYER, "--yes", "--json")
    assert json.loads(r.stdout)[0]["fingerprint"] == "ab" * 8


@pytest.mark.parametrize("answer, code", [("y", 0), ("", 11), ("n", 11)])
def test_revoke_asks_at_a_terminal(bus, broker, answer, code):
    broker.replies["RevokeApp"] = rows()
    with Terminal(bus, "revoke", PLAYER) as t:
        t.wait_for("[y/N]")
        assert PLAYER in t.text
        t.type(answer + "\n")
        assert t.finish() == code
    assert broker.count("RevokeApp") == (1 if code == 0 else 0)
    assert run(bus, "revoke", PLAYER).returncode == 2
    assert broker.count("RevokeApp") == (1 if code == 0 else 0)


def test_removing_an_account_tells_which_tokens_are_out(bus, broker):
    broker.replies["ListExposure"] = rows(token())
    broker.replies["List"] = lambda _: ("aa{sv}", ([{"id": ("s", "main"), "owner": ("s", "alice")},
                                                    {"id": ("s", "tv"), "owner": ("s", "device")}],))
    broker.replies["Remove"] = lambda *_: ("", ())
    r = run(bus, "accounts", "remove", "main", "--yes", "--interactive")
    text = r.stdout.decode()
    assert r.returncode == 0 and "Removed main" in text and re.search(r"t7 +in 30 min +%s profile\n" % LIBRARY, text), text
    assert "TOLD" not in text, "they are told in a moment"
    assert text.count("https://amazon.com/ap/adam") == 1
    assert [c[0] for c in broker.calls] == ["List", "ListExposure", "Remove"]
    assert broker.last("ListExposure")[1:] == (({"account": ("s", "main")},), False), "no prompt for a mere list"
    run(bus, "accounts", "remove", "tv", "--yes")
    assert broker.last("ListExposure")[1] == ({"account": ("s", "tv"), "owner": ("s", "device")},), "of all users' apps"


@pytest.mark.parametrize("answer", ["refused", "malformed"])
def test_an_account_is_removed_though_its_tokens_cannot_be_listed(bus, broker, answer):
    def list_exposure(_):
        if answer == "malformed":
            return "s", ("x",)
        raise BusError("AccessDenied", "no")
    broker.replies["ListExposure"] = list_exposure
    broker.replies["Remove"] = lambda *_: ("", ())
    r = run(bus, "accounts", "remove", "main", "--yes")
    assert (r.returncode, r.stderr) == (0, b"")
    assert b"Removed main" in r.stdout and b"No app holds" not in r.stdout, "what is not known is not said"


# --- reload, policy check ---------------------------------------------------------------------------------


@pytest.mark.parametrize("command, member", [(["reload"], "Reload"), (["policy", "check"], "Check")])
def test_mistakes_are_named_with_file_and_line(bus, broker, command, member):
    broker.replies[member] = rows()
    r = run(bus, *command)
    assert (r.returncode, r.stderr) == (0, b"") and r.stdout
    assert json.loads(run(bus, *command, "--json").stdout) == []
    broker.replies[member] = rows({"file": ("s", FILE), "line": ("u", 7), "problem": ("s", "unknown key `allwo`")},
                                  {"file": ("s", FILE), "line": ("u", 0), "problem": ("s", HOSTILE)})
    r = run(bus, *command)
    assert r.returncode == 7 and r.stderr.startswith(b"lwactl: 2 mistakes. A file of grants.d with a mistake grants nothing; the configuration")
    assert r.stdout.decode().splitlines()[0] == FILE + ":7: unknown key `allwo`"
    assert r.stdout.decode().splitlines()[1].startswith(FILE + ": evil")
    assert_harmless(r.stdout)
    r = run(bus, *command, "--json")
    assert (r.returncode, r.stderr) == (7, b"") and json.loads(r.stdout)[0]["line"] == 7


# --- hints after a refusal --------------------------------------------------------------------------------


def refuse(name):
    def fail(*_):
        raise BusError(name, "No, said an administrator.")
    return fail


def test_a_refusal_names_the_commands_for_this_very_app(bus, broker):
    asking = [scope("music::library", "ask", asked=("b", False)), scope(LIBRARY, "ask"), scope("profile", "allow")]
    broker.replies["Explain"] = explain(chain("ConsentRequired", app=("s", "user:musicd"), scopes=("aa{sv}", asking)))
    why = f"`lwactl explain user:musicd {LIBRARY}`"
    for name, hint in (("AccessDenied", why + " says why, and what to do"),
                       ("ConsentRequired", f"agree with `lwactl consent allow user:musicd music::library {LIBRARY}`, or"),
                       ("NarrowerLoginRequired", why + " says which logins are too wide, `lwactl plan`")):
        broker.replies["GetToken"] = refuse(name)
        r = run(bus, "token", LIBRARY, "--interactive")
        assert ("hint: " + hint).encode() in r.stderr, r.stderr
        assert broker.last("Explain")[1:] == (("", [LIBRARY], {}), False), "about the caller, without a prompt"
    broker.replies["Explain"] = explain(chain(app=("s", HOSTILE), owner=("s", "device"), scopes=("aa{sv}", asking)))
    broker.replies["GetToken"] = refuse("ConsentRequired")
    r = run(bus, "token", LIBRARY, "--account", "old")
    assert f"{LIBRARY} --account old --device`".encode() in r.stderr
    assert broker.last("Explain")[1] == ("", [LIBRARY], {"account": ("s", "old")})
    assert_harmless(r.stderr)
    broker.replies["Explain"] = explain(chain(scopes=("aa{sv}", [])))  # polkit wants an administrator, nobody asks
    r = run(bus, "token", LIBRARY)
    assert b"consent allow" not in r.stderr and b"--interactive" in r.stderr


def test_no_app_is_asked_about_in_vain(bus, broker):
    """Neither after what no policy decides, nor when no app was refused."""
    broker.replies["Explain"] = explain(chain())
    for name in ("LoginRequired", "NoSuchAccount", "ProviderUnavailable"):
        broker.replies["GetToken"] = refuse(name)
        run(bus, "token", LIBRARY)
    broker.replies["List"] = broker.replies["Begin"] = broker.replies["Plan"] = refuse("AccessDenied")
    for command in (["accounts"], ["login", LIBRARY], ["plan"]):
        run(bus, *command)
    assert broker.count("Explain") == 0
    for answer in (refuse("AccessDenied"), explain({}), lambda *_: ("s", ("x",))):  # it does not say who this is
        broker.replies["Explain"] = answer
        broker.replies["GetToken"] = refuse("ConsentRequired")
        r = run(bus, "token", LIBRARY)
        assert r.returncode == 4 and b"hint: run it from a terminal" in r.stderr and b"explain" not in r.stderr


@pytest.mark.parametrize("verdict, hint", [("deny", b"hint: `lwactl explain user:musicd a` says why"),
                                           ("ask", b"hint: agree with `lwactl consent allow user:musicd a`"),
                                           ("allow", b"")])
def test_check_names_the_commands_too(bus, broker, verdict, hint):
    broker.replies["Explain"] = explain(chain(app=("s", "user:musicd"), scopes=("aa{sv}", [scope("a", "ask")])))
    broker.replies["CheckScopes"] = lambda *_: ("a{ss}", ({"a": verdict},))
    r = run(bus, "check", "a")
    assert hint in r.stderr and bool(hint) == bool(r.stderr)
    assert run(bus, "check", "a", "--json").stderr == b""


@pytest.mark.parametrize("owner, hint", [("device", b"hint: lwactl login --device a\n"), ("alice", b"hint: lwactl login a\n"),
                                         ("", b"hint: lwactl login a\n")])
def test_check_says_whose_login_is_missing(bus, broker, owner, hint):
    broker.replies["Explain"] = explain(chain(app=("s", "user:musicd"), owner=("s", owner)))
    broker.replies["CheckScopes"] = lambda *_: ("a{ss}", ({"a": "login-required"},))
    r = run(bus, "check", "a")
    assert r.returncode == 5 and hint in r.stderr


# --- what goes wrong --------------------------------------------------------------------------------------

COMMANDS = {"Explain": ["explain", PLAYER, LIBRARY], "ListConsents": ["consent"], "Plan": ["plan"], "ListApps": ["who"],
            "SetConsent": ["consent", "deny", PLAYER], "RevokeApp": ["revoke", PLAYER, "--yes"], "Reload": ["reload"],
            "Check": ["policy", "check"]}


@pytest.mark.parametrize("member", COMMANDS)
def test_errors_and_answers_of_another_shape(bus, broker, member):
    def fail(*_):
        raise BusError("ConsentRequired", "Do this " + HOSTILE)
    broker.replies[member] = fail
    r = run(bus, *COMMANDS[member])
    assert (r.returncode, r.stdout) == (4, b"") and r.stderr.startswith(b"lwactl: Do this evil")
    assert_harmless(r.stderr)
    run(bus, *COMMANDS[member], "--interactive")
    assert broker.last(member)[2]
    broker.replies[member] = lambda *_: ("s", ("x",))
    assert run(bus, *COMMANDS[member]).returncode == 1
    broker.replies[member] = rows({}) if member != "Explain" else explain({})  # rows that lack every field
    r = run(bus, *COMMANDS[member])
    assert r.returncode in (0, 1, 7) and r.stdout
    with open("/dev/full", "wb") as full:
        assert run(bus, *COMMANDS[member], stdout=full).returncode != 0


@pytest.mark.parametrize("arguments, said", [
    (["explain"], b"takes an APP"), (["explain", PLAYER], b"no scope"), (["explain", PLAYER, "a", "--all"], b"--a"),
    (["consent", "alow"], b"did you mean `allow`?"), (["consent", "allow"], b"takes an APP"),
    (["consent", "allow", PLAYER], b"no scope"), (["consent", "list", "x"], b"no operand"),
    (["consent", "allow", PLAYER, "a", "--once", "--days", "3"], b"exclude"),
    (["consent", "allow", PLAYER, "a", "--days", "0"], b"1 to 3650"), (["consent", "deny", PLAYER, "--once"], b"allow only"),
    (["consent", "revoke", PLAYER, "--days", "3"], b"neither"), (["consent", "deny", PLAYER, "--all"], b"list only"),
    (["consent", "deny", PLAYER, "--device", "--user", "x"], b"exclude"), (["consent", "list", "--once"], b"only --app"),
    (["plan", "x"], b"no operand"), (["who", "x"], b"no operand"), (["revoke"], b"one APP"), (["revoke", "a", "b"], b"one APP"),
    (["revoke", "a", "--json"], b"--yes"), (["revoke", "a"], b"--yes"), (["reload", "x"], b"no operand"),
    (["policy"], b"policy check"), (["policy", "chek"], b"did you mean `check`?"), (["policy", "check", "x"], b"no operand"),
])
def test_usage(bus, arguments, said):
    r = run(bus, *arguments)
    assert (r.returncode, r.stdout) == (2, b"")
    assert said in r.stderr and b"hint: " in r.stderr
