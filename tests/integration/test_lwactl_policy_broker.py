# SPDX-License-Identifier: LGPL-2.1-or-later
"""lwactl's commands about policy against the real broker and polkitd: they say what the broker then does."""

import json
import re

import pytest

from terminal import Terminal
from test_lwactl_broker import (  # noqa: F401
    CONFIGURATION, CONSENT, DENIED, LOGIN, NO_ACCOUNT, OK, USAGE, accounts, assert_refused, linked, log_in, lwactl, ready)

LIBRARY = "music::library"
READ = "music::library:read"


def shown(world, user, *arguments, status=OK):
    """The JSON that a command prints."""
    return json.loads(lwactl(world, user, *arguments, "--json", status=status).stdout)


def commands(text):
    """What stands between backquotes, as arguments."""
    return [found.split()[1:] for found in re.findall(r"`(lwactl [^`]*)`", text)]


# --- who, explain, plan ---


def test_who(linked):  # noqa: F811
    app = linked.client("musicd")
    app.get_token([LIBRARY]).close()
    (row,) = shown(linked, "musicd", "who")
    assert (row["app"], row["strength"], row["tokens"], row["connection"]) == ("user:musicd", "uid", 1, app.name)
    assert re.search(r"^user:musicd +uid +(yes|no) +musicd +1 +", lwactl(linked, "root", "who", "--all").stdout, re.M)
    assert lwactl(linked, "alice", "who").stdout == "No app of yours is connected.\n"
    assert_refused(lwactl(linked, "alice", "who", "--all", status=CONSENT), ".")


CASES = [
    ("musicd", LIBRARY, OK, r"would get a token", "allow, .*/apps.conf:4"),
    ("weatherd", LIBRARY, DENIED, r"would be refused .*AccessDenied", "deny, .*/apps.conf:7"),
    ("weatherd", READ, LOGIN, r"NarrowerLoginRequired", "allow, .*/apps.conf:6"),
    ("bob", LIBRARY, CONSENT, r"would have to ask", "ask, .*/apps.conf:9"),
    ("alice", "profile", LOGIN, r"LoginRequired", "allow, .*/apps.conf:2"),
]


@pytest.mark.parametrize("user, scope, status, outcome, line", CASES)
def test_explain_agrees_with_token(linked, user, scope, status, outcome, line):  # noqa: F811
    lwactl(linked, user, "token", scope, status=status)
    for who in (user, "root"):
        text = lwactl(linked, who, "explain", "user:" + user, scope, status=status).stdout
        assert re.search(outcome, text.splitlines()[0]), text
        assert re.search(line, text), text
    assert (status == OK) or "What to do:" in text
    assert shown(linked, user, "explain", "user:" + user, scope, status=status)["app"] == "user:" + user


def test_explain_of_others(linked):  # noqa: F811
    assert_refused(lwactl(linked, "bob", "explain", "user:musicd", LIBRARY, status=CONSENT), ".")
    assert_refused(lwactl(linked, "bob", "explain", "musicd", LIBRARY, status=USAGE), ".")
    assert_refused(lwactl(linked, "bob", "explain", "user:bob", "no:such", status=USAGE), ".")
    assert "the nearest is music::library." in lwactl(linked, "bob", "explain", "user:bob", "music:library", status=USAGE).stderr
    assert "no such user here" in lwactl(linked, "root", "explain", "user:nobodyhere", LIBRARY, status=USAGE).stderr
    assert "as root runs it" in lwactl(linked, "root", "explain", "flatpak:org.example.Player", LIBRARY, status=DENIED).stderr
    whose = lwactl(linked, "root", "explain", "flatpak:org.example.Player", LIBRARY, "--user", "alice", status=CONSENT)
    assert whose.stderr == ""


def test_revoke_tells_root_where_the_denial_is(linked):  # noqa: F811
    text = lwactl(linked, "root", "revoke", "user:bob", "--yes").stdout
    look, _ = commands(" ".join(text.split()))
    assert "every scope" in lwactl(linked, "root", *look).stdout
    lwactl(linked, "bob", "token", LIBRARY, status=DENIED)
    why = " ".join(lwactl(linked, "root", "explain", "user:bob", LIBRARY, status=DENIED).stdout.split())
    undo = re.search(r"take that back: lwactl (consent revoke user:bob --device)$", why)[1].split()
    lwactl(linked, "root", *undo)
    lwactl(linked, "bob", "token", LIBRARY, status=CONSENT)


def test_plan_names_the_login_that_is_missing(linked):  # noqa: F811
    """Weatherd may only read, and the device's login can write."""
    text = lwactl(linked, "root", "plan", "--device").stdout
    missing = re.findall(r"^  lwactl (login .*)$", text, re.M)
    assert missing and READ in " ".join(missing), text
    lwactl(linked, "weatherd", "token", READ, status=LOGIN)
    for command in missing:
        log_in(linked, *command.split()[1:])
    lwactl(linked, "weatherd", "token", READ)
    again = lwactl(linked, "root", "plan", "--device").stdout
    assert "No login is missing." in again and "(exact)" in again
    assert not [row for row in shown(linked, "root", "plan", "--device") if not row["grant"]]


# --- consent, revoke ---


def test_the_hint_of_a_refusal_is_what_helps(linked):  # noqa: F811
    """Whoever follows it, as an administrator, finds the app served."""
    done = lwactl(linked, "bob", "token", LIBRARY, status=CONSENT)
    agree, explain = commands(done.stderr.splitlines()[-1])
    assert agree[:3] == ["consent", "allow", "user:bob"] and explain[:2] == ["explain", "user:bob"], done.stderr
    assert "would have to ask" in lwactl(linked, "bob", *explain, status=CONSENT).stdout
    lwactl(linked, "bob", *agree, status=CONSENT)  # the device's account is not bob's
    assert "Agreed" in lwactl(linked, "root", *agree).stdout
    lwactl(linked, "bob", "token", LIBRARY)


def test_consent(linked):  # noqa: F811
    lwactl(linked, "root", "consent", "allow", "user:bob", LIBRARY, "--device", "--days", "30")
    lwactl(linked, "bob", "token", LIBRARY)
    (row,) = shown(linked, "root", "consent", "list", "--all")
    assert (row["app"], row["account"], row["answer"], row["how"]) == ("user:bob", "device", "allow", "command")
    assert re.search(r"user:bob +device +device +allow +music::library +ends in 29 days|in 30 days",
                     lwactl(linked, "root", "consent", "--all").stdout)
    text = lwactl(linked, "root", "consent", "deny", "user:bob", "--device").stdout
    assert re.search(r"^user:bob +bob +device .* music::library +(yes|no)$", text, re.M), text
    lwactl(linked, "bob", "token", LIBRARY, status=DENIED)
    lwactl(linked, "root", "consent", "revoke", "user:bob", "--device")
    lwactl(linked, "bob", "token", LIBRARY, status=CONSENT)
    assert lwactl(linked, "root", "consent", "--all").stdout == "No answer is remembered.\n"


def test_consent_once_is_used_up(linked):  # noqa: F811
    lwactl(linked, "root", "consent", "allow", "user:bob", LIBRARY, "--account", "device", "--once")
    assert "once" in lwactl(linked, "root", "consent", "--all").stdout
    lwactl(linked, "bob", "token", LIBRARY)
    assert lwactl(linked, "root", "consent", "--all").stdout == "No answer is remembered.\n"
    lwactl(linked, "bob", "token", LIBRARY, status=CONSENT)


def test_consent_for_the_account_of_another(ready):  # noqa: F811
    """An administrator prepares what nobody can be asked about."""
    ready.write_grants("more", "[user:alice]\nask = postal_code\n")
    ready.reload()
    log_in(ready, "postal_code")
    lwactl(ready, "alice", "token", "postal_code", status=CONSENT)
    arguments = ["consent", "allow", "user:alice", "postal_code", "--user", "alice"]
    assert_refused(lwactl(ready, "bob", *arguments, status=CONSENT), ".")
    lwactl(ready, "root", *arguments)
    lwactl(ready, "alice", "token", "postal_code")
    (row,) = shown(ready, "alice", "consent")
    assert (row["owner"], row["by"]) == ("alice", "root")
    assert_refused(lwactl(ready, "root", *arguments[:-1], "carol", status=NO_ACCOUNT), ".")
    assert_refused(lwactl(ready, "root", *arguments[:-1], "nobody-at-all", status=NO_ACCOUNT), ".")


def test_a_users_account_is_not_the_devices(linked):  # noqa: F811
    """--device means the device's account also for who has one, and --user never falls back on it."""
    log_in(linked, "profile")
    lwactl(linked, "alice", "consent", "deny", "user:alice", "--device", status=CONSENT)
    lwactl(linked, "root", "consent", "deny", "user:alice", "--device")
    assert [row["account"] for row in shown(linked, "root", "consent", "--all")] == ["device"]
    assert_refused(lwactl(linked, "root", "consent", "deny", "user:bob", "--user", "bob", status=NO_ACCOUNT), ".")
    assert_refused(
        lwactl(linked, "root", "consent", "deny", "user:bob", "--user", "bob", "--account", "device", status=NO_ACCOUNT), ".")
    lwactl(linked, "alice", "token", "profile")


def test_revoke(linked):  # noqa: F811
    app = linked.client("musicd")
    token = app.get_token([LIBRARY])
    token.close()
    assert_refused(lwactl(linked, "alice", "revoke", "user:musicd", "--yes", status=CONSENT), ".")
    with Terminal(linked, "root", ["lwactl", "revoke", "user:musicd"], columns=120) as terminal:
        terminal.wait_for(r"\[y/N\]")
        terminal.type("y\n")
        assert terminal.wait_end() == OK, terminal.text
        text = terminal.plain()
    assert re.search(r"user:musicd +musicd +device +%s +in \d+ min +music::library +yes" % token.info["token_id"], text), text
    lwactl(linked, "musicd", "token", LIBRARY, status=DENIED)
    undo = [command for command in commands(text.replace("\n", " ")) if command[1] == "revoke"]
    lwactl(linked, "root", *undo[0][:-1], "device")
    lwactl(linked, "musicd", "token", LIBRARY)


def test_removal_tells_what_is_left(linked):  # noqa: F811
    lwactl(linked, "musicd", "token", LIBRARY)
    text = lwactl(linked, "root", "accounts", "remove", "device", "--yes").stdout
    assert "Removed device" in text
    assert re.search(r"^user:musicd +musicd +device +\S+ +in \d+ min +music::library$", text, re.M), text
    log_in(linked, "profile")
    lwactl(linked, "alice", "token", "profile")
    text = lwactl(linked, "alice", "accounts", "remove", "main", "--yes").stdout
    assert re.search(r"^user:alice +alice +main +\S+ +in \d+ min +profile$", text, re.M), text


# --- reload, policy check ---


def test_reload_and_check(linked):  # noqa: F811
    assert lwactl(linked, "root", "policy", "check").stdout.startswith("The files have no mistake.")
    linked.write_grants("apps", "[user:musicd]\ndeny = music::library\n")
    lwactl(linked, "root", "reload")
    lwactl(linked, "musicd", "token", LIBRARY, status=DENIED)
    linked.write_grants("wrong", "[user:carol]\nallow = profile\nallwo = profile\n")
    for command in (["policy", "check"], ["reload"]):
        done = lwactl(linked, "root", *command, status=CONFIGURATION)
        assert re.match(r"/\S*/wrong\.conf:3: .*allwo", done.stdout), done.stdout
        assert done.stderr.startswith("lwactl: 1 mistake")
        assert_refused(lwactl(linked, "alice", *command, status=CONSENT), ".")
    assert "wrong.conf:3" in lwactl(linked, "root", "status").stdout
