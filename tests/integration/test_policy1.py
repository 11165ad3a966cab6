# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.lwabroker.Policy1: who may call what, what the answers say, and that what was taken back is taken back for every
call that comes after the answer."""

import os
import pwd
import time
import xml.etree.ElementTree as ElementTree

import pytest

from logins import GRANTS, LIBRARY, counter, error_of, link, link_device, settle, take, trail
from world import NAME, NO_RATES, DBusError, wait_until

POLICY = "org.lwabroker.Policy1"
MANAGERS = """
polkit.addRule(function(action, subject) {
    if (action.id === "org.lwabroker.policy.manage" && subject.user === "carol")
        return polkit.Result.YES;
});
"""


def packed(options):
    kinds = {bool: "b", int: "u", str: "s"}
    return {key: (kinds[type(value)], value) for key, value in options.items()}


def list_apps(client, **options):
    return client.call(POLICY, "ListApps", "a{sv}", (packed(options),))


def list_exposure(client, **options):
    return client.call(POLICY, "ListExposure", "a{sv}", (packed(options),))


def list_consents(client, **options):
    return client.call(POLICY, "ListConsents", "a{sv}", (packed(options),))


def set_consent(client, app, answer, scopes=(LIBRARY,), account="", interactive=False, **options):
    args = (app, account, list(scopes), answer, packed(options))
    return client.call(POLICY, "SetConsent", "ssassa{sv}", args, interactive=interactive)


def revoke_app(client, app, timeout=25, **options):
    return client.call(POLICY, "RevokeApp", "sa{sv}", (app, packed(options)), timeout=timeout)


def explain(client, app, scopes=(LIBRARY,), **options):
    return client.call(POLICY, "Explain", "sasa{sv}", (app, list(scopes), packed(options)))


def plan(client, **options):
    return client.call(POLICY, "Plan", "a{sv}", (packed(options),))


def check(client):
    return client.call(POLICY, "Check", "a{sv}", ({},))


def reload(client, **options):
    return client.call(POLICY, "Reload", **options)


@pytest.fixture
def quick(world):
    return settle(world)


@pytest.fixture
def managed(quick):
    """carol may manage policy; no other person may."""
    quick.write_rule("15-managers", MANAGERS)
    return quick


# Nobody has to prove who he is, and everything is asked for.
AGREEING = """
polkit.addRule(function(action, subject) {
    if (action.id === "org.lwabroker.consent" && ["alice", "bob"].indexOf(subject.user) >= 0)
        return polkit.Result.YES;
    if (action.id === "org.lwabroker.consent.device" && subject.user === "carol")
        return polkit.Result.YES;
});
"""
ASKING = "[user:alice]\nask = music::library profile\n[user:musicd]\nask = music::library\n"


@pytest.fixture
def asking(managed):
    managed.write_rule("16-agreeing", AGREEING)
    managed.write_grants("people", ASKING)
    managed.reload()
    link(managed, "alice", [LIBRARY])
    return managed


# --- ListApps ---------------------------------------------------------------------------------------------


def test_apps_that_are_connected(managed):
    app, other = managed.client("musicd"), managed.client("weatherd")
    for client in (app, other):
        client.call("org.freedesktop.DBus.Peer", "Ping")
    asker = app.another()
    managed.clients.append(asker)
    (row,) = list_apps(asker)
    exe = row.pop("exe")
    assert exe in ("", os.path.realpath(f"/proc/{app.pid}/exe"))
    assert row == {
        "app": "user:musicd",
        "kind": "user",
        "strength": "uid",
        "pinned": row["pinned"],
        "uid": row["uid"],
        "user": "musicd",
        "unit": "",
        "pid": row["pid"],
        "connection": app.name,
        "tokens": 0,
    }
    assert row["pid"] in (0, app.pid)
    assert error_of(list_apps, asker, all=True).short in ("AccessDenied", "ConsentRequired")
    everyone = {row["connection"]: row["app"] for row in list_apps(managed.client("carol"), all=True)}
    assert everyone[app.name] == "user:musicd" and everyone[other.name] == "user:weatherd"
    assert everyone[asker.name] == "user:musicd"
    other.close()
    managed.clients.remove(other)
    everyone = [row["connection"] for row in list_apps(managed.root(), all=True)]
    assert app.name in everyone and other.name not in everyone


# --- who may ----------------------------------------------------------------------------------------------

REFUSED = ("AccessDenied", "ConsentRequired")
OK, NO, NONE, NOTHING = ("",), REFUSED, ("NoSuchAccount",), ("InvalidArgument",)
# For each call what it comes to for the account's owner, another user, an administrator and root.
PERMISSIONS = {
    "ListApps": ("a{sv}", ({},), OK, OK, OK, OK),
    "ListApps all": ("a{sv}", ({"all": ("b", True)},), NO, NO, OK, OK),
    "ListExposure": ("a{sv}", ({},), OK, OK, OK, OK),
    "ListExposure all": ("a{sv}", ({"all": ("b", True)},), NO, NO, OK, OK),
    "ListConsents": ("a{sv}", ({},), OK, OK, OK, OK),
    "ListConsents all": ("a{sv}", ({"all": ("b", True)},), NO, NO, OK, OK),
    "Plan": ("a{sv}", ({},), OK, OK, OK, OK),
    "Plan named": ("a{sv}", ({"account": ("s", "main")},), OK, NONE, NONE, NONE),
    "Plan device": ("a{sv}", ({"owner": ("s", "device")},), NO, NO, OK, OK),
    "Explain": ("sasa{sv}", ("user:alice", [LIBRARY], {}), OK, NO, OK, OK),
    "Explain user": ("sasa{sv}", ("flatpak:org.example.Player", [LIBRARY], {"user": ("s", "alice")}), OK, NO, OK, OK),
    "SetConsent forget": ("ssassa{sv}", ("user:alice", "main", [], "forget", {}), NOTHING, NONE, NONE, NONE),
    "SetConsent deny": ("ssassa{sv}", ("user:alice", "main", [], "deny", {}), OK, NONE, NONE, NONE),
    "SetConsent allow": ("ssassa{sv}", ("user:alice", "main", [LIBRARY], "allow", {}), NO, NONE, NONE, NONE),
    "RevokeApp": ("sa{sv}", ("user:alice", {}), OK, NO, NONE, NONE),
    "RevokeApp user": ("sa{sv}", ("user:alice", {"user": ("s", "alice")}), OK, NO, OK, OK),
    "Reload": ("", (), NO, NO, OK, OK),
    "Check": ("a{sv}", ({},), NO, NO, OK, OK),
}


def test_every_method_has_its_permissions():
    source = os.path.join(os.path.dirname(__file__), "../../dbus/org.lwabroker.Policy1.xml")
    methods = {method.get("name") for method in ElementTree.parse(source).getroot().iter("method")}
    assert {name.split()[0] for name in PERMISSIONS} == methods


@pytest.mark.parametrize("name", PERMISSIONS)
def test_who_may(managed, name):
    """Sandboxed apps may nothing of this: test_sandbox.py."""
    signature, args, *expected = PERMISSIONS[name]
    link(managed, "alice", [LIBRARY])
    managed.client("alice").call("org.freedesktop.DBus.Peer", "Ping")
    for user, outcomes in zip(("alice", "bob", "carol", "root"), expected):
        client = managed.client(user)
        serial = client.send(POLICY, name.split()[0], signature, args)
        assert outcome(client, serial, managed) in outcomes, user


# --- Explain ----------------------------------------------------------------------------------------------


def answer_of(client, scopes, **options):
    try:
        take(client, scopes, **options)
    except DBusError as error:
        return error.short
    return "token"


def agree(app, asker, name, scopes=(LIBRARY,), **options):
    """What Explain says to another connection is what GetToken then says; the chain."""
    chain = explain(asker, name, scopes, **options)
    assert chain["result"] == answer_of(app, scopes, **options), chain
    after = explain(asker, name, scopes, **options)
    assert after["result"] == chain["result"] and after["advice"] == chain["advice"]
    assert chain["advice"] and all(sentence.strip() for sentence in chain["advice"])
    return chain


def row_of(chain, scope):
    (row,) = [row for row in chain["scopes"] if row["scope"] == scope]
    return row


def fits(chain):
    return [grant["fits"] for grant in chain["grants"]]


def rule_for(user, result, what="org.lwabroker.scope."):
    return (
        f'polkit.addRule(function(a, s) {{ if (a.id.indexOf("{what}") === 0 && s.user == "{user}")'
        f" return polkit.Result.{result}; }});"
    )


def test_explain_rows(managed):
    link(managed, "alice", [LIBRARY])
    alice = managed.client("alice")
    app = alice.another()
    managed.clients.append(app)
    chain = agree(app, alice, "user:alice", [f"{LIBRARY}:read", LIBRARY])
    (grant,) = chain.pop("grants")
    read, write = chain.pop("scopes")
    assert chain.pop("exe") in ("", os.path.realpath(f"/proc/{alice.pid}/exe"))
    uid = chain.pop("uid")
    assert uid == pwd.getpwnam("alice").pw_uid
    assert chain == {
        "app": "user:alice",
        "kind": "user",
        "strength": "uid",
        "pinned": chain["pinned"],
        "user": "alice",
        "unit": "",
        "connected": True,
        "account": "main",
        "owner": "alice",
        "asked": [LIBRARY],
        "result": "token",
        "verdict": "allow",
        "polkit_subject": "app",
        "advice": ["Nothing is missing: GetToken gives a token of account main."],
    }
    assert grant == {
        "grant": grant["grant"],
        "carries": [LIBRARY],
        "may_carry": [LIBRARY, f"{LIBRARY}:read"],
        "state": grant["state"],
        "fits": "chosen",
        "too_wide": [],
    }
    path = read.pop("file")
    assert path.endswith("/grants.d/people.conf") and write["file"] == path
    assert read == {
        "scope": LIBRARY,
        "asked": True,
        "verdict": "allow",
        "table": "allow",
        "line": 3,
        "section": "user:alice",
        "consent": "none",
        "consent_since": 0,
        "consent_until": 0,
        "consent_lasts": "",
        "default": "ask",
        "polkit": "yes",
    }
    assert write["scope"] == f"{LIBRARY}:read" and write["asked"]


SITUATIONS = {
    "allow": ({}, "token"),
    "ask": ({"table": "ask"}, "ConsentRequired"),
    "deny": ({"table": "deny"}, "AccessDenied"),
    "default ask": ({"table": ""}, "ConsentRequired"),
    "default deny": ({"table": "", "default": "deny"}, "AccessDenied"),
    "malformed": ({"table": "allow", "more": "alow = x\n"}, "AccessDenied"),
    "consent": ({"table": "ask", "answer": "allow"}, "token"),
    "consent over default": ({"table": "", "answer": "allow"}, "token"),
    "consent is no allow": ({"table": "deny", "answer": "allow"}, "AccessDenied"),
    "owner denies": ({"table": "allow", "answer": "deny"}, "AccessDenied"),
    "polkit no": ({"rule": "NO"}, "AccessDenied"),
    "polkit no to what is asked": ({"table": "ask", "rule": "NO"}, "AccessDenied"),
    "polkit wants an administrator": ({"rule": "AUTH_ADMIN"}, "ConsentRequired"),
    "polkit lets what is asked": ({"table": "ask", "rule": "YES"}, "token"),
    "polkit is gone": ({"polkit": False}, "AccessDenied"),
    "no login": ({"login": None}, "LoginRequired"),
    "no login, denied": ({"login": None, "table": "deny"}, "AccessDenied"),
    "login of something else": ({"login": ["profile"]}, "LoginRequired"),
    "too wide": ({"login": [LIBRARY, "profile"], "more": "deny = profile\n"}, "NarrowerLoginRequired"),
    "wide, and asked for": ({"login": [LIBRARY, "profile"], "more": "ask = profile\n"}, "ConsentRequired"),
    "wide, and polkit refuses": ({"login": [LIBRARY, "profile"], "rule": "NO", "of": "profile"}, "NarrowerLoginRequired"),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_explain_agrees_with_get_token(asking, name):
    situation, expected = SITUATIONS[name]
    section = f"[user:alice]\n{situation.get('table', 'allow')} = {LIBRARY}\n" if situation.get("table") != "" else ""
    default_more = "allow = profile\n" if "of" in situation else ""
    carol = asking.client("carol")
    alice, app = asking.client("alice"), asking.client("alice")
    login = situation.get("login", [LIBRARY])
    if login != [LIBRARY]:
        alice.call("org.lwabroker.Accounts1", "Remove", "s", ("main",))
        if login:
            link(asking, "alice", login)
    if situation.get("answer"):
        set_consent(alice, "user:alice", situation["answer"])
    if situation.get("default"):
        asking.write_config(policy={"default": situation["default"]})
    asking.write_grants("people", (section + situation.get("more", default_more)) or None)
    if situation.get("rule"):
        asking.write_rule("20-test", rule_for("alice", situation["rule"], f"org.lwabroker.scope.{situation.get('of', '')}"))
    reload(carol)
    if situation.get("polkit") is False:
        asking.polkitd.stop()
    chain = agree(app, alice, "user:alice")
    assert chain["result"] == expected
    if "polkit is gone" == name:
        assert row_of(chain, LIBRARY)["polkit"] == "unavailable"
        asking.polkitd.start()


def test_explain_names_what_decides(asking):
    """File and line, the consent and since when, what polkit said; and the advice quotes what to do."""
    alice = asking.client("alice")
    row = row_of(explain(alice, "user:alice"), LIBRARY)
    assert (row["table"], row["line"], row["verdict"], row["polkit"]) == ("ask", 2, "ask", "challenge")
    assert any(f"lwactl consent allow user:alice {LIBRARY}" in line for line in explain(alice, "user:alice")["advice"])
    before = int(time.time())
    set_consent(alice, "user:alice", "allow", lasts="days", days=2)
    row = row_of(explain(alice, "user:alice"), LIBRARY)
    assert (row["consent"], row["consent_lasts"], row["verdict"]) == ("allow", "until", "allow")
    assert before <= row["consent_since"] <= time.time() and row["consent_until"] == row["consent_since"] + 2 * 86400
    set_consent(alice, "user:alice", "deny")
    chain = explain(alice, "user:alice")
    assert row_of(chain, LIBRARY)["polkit"] == "not-asked" and "lwactl consent revoke user:alice" in chain["advice"][0]
    asking.write_grants("people", f"\n\n[user:alice]\ndeny = {LIBRARY}\n")
    reload(asking.root())
    set_consent(alice, "user:alice", "forget", [])
    (sentence,) = [line for line in explain(alice, "user:alice")["advice"] if "people.conf:4" in line]
    assert "deny" in sentence
    asking.write_grants("people", "[user:bob]\nallow = profile\n")
    asking.write_config(policy={"default": "deny"})
    reload(asking.root())
    assert f"[user:alice] allow = {LIBRARY}" in "".join(explain(alice, "user:alice")["advice"])


def test_explain_grants(asking):
    """Two logins of one account: which one serves, and why not the other."""
    asking.write_grants("people", f"[user:alice]\nallow = {LIBRARY}\ndeny = profile\n")
    asking.reload()
    alice, app = asking.client("alice"), asking.client("alice")
    asking.write_grants("people", f"[user:alice]\nallow = {LIBRARY} profile\n")
    asking.reload()
    link(asking, "alice", [LIBRARY, "profile"])
    assert sorted(fits(agree(app, alice, "user:alice"))) in (["chosen", "fits"], ["chosen"])
    asking.write_grants("people", f"[user:alice]\nallow = {LIBRARY}\ndeny = profile\n")
    asking.reload()
    chain = agree(app, alice, "user:alice")
    wide = [grant for grant in chain["grants"] if grant["fits"] == "too-wide"]
    assert [grant["too_wide"] for grant in wide] == [["profile"]]


def test_explain_a_dead_and_a_foreign_login(asking):
    set_consent(asking.client("alice"), "user:alice", "allow")
    alice, app = asking.client("alice"), asking.client("alice")
    asking.write_config(provider={"client_id": "amzn1.application-oa2-client.other"})
    asking.reload()
    chain = agree(app, alice, "user:alice")
    assert (chain["result"], fits(chain)) == ("ProviderMisconfigured", ["foreign"])
    asking.write_config()
    asking.reload()
    asking.sim.revoke("alice")
    asking.sim.expire_tokens()
    asking.close_clients()
    asking.broker.restart()
    alice, app = asking.client("alice"), asking.client("alice")
    assert error_of(take, app).short == "LoginRequired"
    chain = agree(app, alice, "user:alice")
    assert (chain["result"], fits(chain)) == ("LoginRequired", ["dead"])
    assert f"lwactl login {LIBRARY}" in chain["advice"][0]


def test_explain_root_and_the_device(asking):
    """For uid 0 polkit is not asked; the device's account needs device.use."""
    link_device(asking, [LIBRARY])
    asking.write_grants("people", f"[user:root]\nask = {LIBRARY}\n[user:musicd]\nallow = {LIBRARY}\n")
    asking.reload()
    root, app = asking.client("root"), asking.client("root")
    chain = agree(app, root, "user:root")
    assert (chain["result"], chain["polkit_subject"]) == ("AccessDenied", "none")
    asking.write_grants("people", f"[user:root]\nallow = {LIBRARY}\n[user:musicd]\nallow = {LIBRARY}\n")
    asking.reload()
    assert agree(app, root, "user:root")["result"] == "token"
    musicd, other = asking.client("musicd"), asking.client("musicd")
    assert agree(musicd, other, "user:musicd")["owner"] == "device"
    assert agree(musicd, other, "user:musicd", account="device")["result"] == "token"
    assert agree(musicd, other, "user:musicd", account="main")["result"] == "NoSuchAccount"
    asking.write_rule("05-device", rule_for("musicd", "NO", "org.lwabroker.device.use"))
    assert agree(musicd, other, "user:musicd")["result"] == "LoginRequired"
    assert agree(musicd, other, "user:musicd", account="device")["result"] == "NoSuchAccount"


def test_explain_leaves_no_trace(asking):
    alice = asking.client("alice")
    before = trail(asking.root())
    counters = asking.sim.state()["counters"]
    asking.write_grants("people", f"[user:alice]\ndeny = {LIBRARY}\n")
    asking.reload()
    assert explain(alice, "user:alice")["result"] == "AccessDenied"
    asking.write_grants("people", f"[user:alice]\nallow = {LIBRARY}\n")
    asking.reload()
    assert explain(alice, "user:alice")["result"] == "token"
    assert list_exposure(alice) == [] and asking.sim.state()["counters"] == counters
    new = trail(asking.root())[len(before) :]
    assert {record["event"] for record in new} <= {"policy-loaded"}


def test_explain_apps_that_are_not_connected(asking):
    """By name; polkit is asked about whoever asks where that is the same user, else not at all."""
    alice, carol = asking.client("alice"), asking.client("carol")
    asking.write_grants("people", f"[flatpak:org.example.Player]\nallow = {LIBRARY}\n[unit:playerd.service]\nallow = {LIBRARY}\n")
    asking.reload()
    chain = explain(alice, "flatpak:org.example.Player")
    facts = ("kind", "strength", "connected", "user", "polkit_subject", "result")
    assert [chain[key] for key in facts] == ["flatpak", "sandbox", False, "alice", "caller", "token"]
    for app in ("user:bob", "user:nobody-at-all", "uid:1"):
        assert error_of(explain, alice, app).short in ("AccessDenied", "ConsentRequired")
    assert error_of(explain, carol, "user:nobody-at-all").short == "InvalidArgument"
    assert error_of(explain, alice, "unit:playerd.service").short in ("AccessDenied", "ConsentRequired")
    chain = explain(carol, "flatpak:org.example.Player", user="alice")
    assert [chain[key] for key in facts] == ["flatpak", "sandbox", False, "alice", "none", "token"]
    assert row_of(chain, LIBRARY)["polkit"] == "not-asked"
    chain = explain(carol, "unit:playerd.service")
    assert [chain[key] for key in facts] == ["unit", "unit", False, "", "none", "LoginRequired"]
    asking.client("bob").call("org.freedesktop.DBus.Peer", "Ping")
    chain = explain(carol, "user:bob")
    assert [chain[key] for key in facts] == ["user", "uid", True, "bob", "app", "ConsentRequired"]


def test_explain_to_the_app_itself(asking):
    """Who calls need not know what he was seen as."""
    alice, bob = asking.client("alice"), asking.client("bob")
    for client, app in ((alice, "user:alice"), (bob, "user:bob")):
        chain = explain(client, "")
        assert (chain["app"], chain["connected"], chain["polkit_subject"]) == (app, True, "app")
        assert chain["result"] == explain(client, app)["result"] == error_of(take, client).short
    assert error_of(explain, alice, "", user="bob").short == "InvalidArgument"


def test_explain_users_whom_nobody_has_met(asking):
    """The number goes along; it opens nothing to who may not ask about others, nor passes the caller off as another."""
    number = pwd.getpwnam("weatherd").pw_uid
    carol, bob = asking.client("carol"), asking.client("bob")
    asking.write_grants("people", f"[user:weatherd]\ndeny = {LIBRARY}\n")
    asking.reload()
    assert error_of(explain, carol, "user:weatherd").short == "InvalidArgument"
    chain = explain(carol, "user:weatherd", uid=number)
    assert (chain["user"], chain["uid"], chain["result"]) == ("weatherd", number, "AccessDenied")
    for uid in (number, pwd.getpwnam("bob").pw_uid):
        assert error_of(explain, bob, "user:weatherd", uid=uid).short in ("AccessDenied", "ConsentRequired")


def test_explain_arguments(asking):
    alice = asking.client("alice")
    assert error_of(explain, alice, "user:alice", ["music::nothing"]).short == "InvalidScope"
    assert error_of(explain, alice, "user:alice", []).short == "InvalidArgument"
    assert error_of(explain, alice, "alice").short == "InvalidArgument"
    assert error_of(explain, alice, "user:alice", account="A").short == "InvalidArgument"
    assert error_of(explain, alice, "user:alice", other="x").short == "InvalidArgument"


# --- Plan -------------------------------------------------------------------------------------------------


def test_plan(managed):
    """What is missing, with its command; then what is there, and what serves nobody."""
    alice = managed.client("alice")
    managed.write_grants(
        "people",
        f"[user:alice]\nallow = {LIBRARY}\ndeny = profile\n"
        "[flatpak:org.example.Player]\nask = music::playback\ndeny = profile\n"
        "[user:bob]\nallow = music::catalog\n[unit:playerd.service]\nallow = postal_code\n"
        "[flatpak:org.example.Card]\naccounts = other\nallow = profile\n",
    )
    managed.reload()
    rows = plan(alice)
    missing = {tuple(row["serves"]): row for row in rows}
    assert set(missing) == {("user:alice",), ("flatpak:org.example.Player",)}
    assert missing["user:alice",] == {
        "scopes": [LIBRARY],
        "serves": ["user:alice"],
        "consent": False,
        "grant": 0,
        "command": f"lwactl login {LIBRARY}",
        "exact": True,
        "unneeded": False,
    }
    assert missing["flatpak:org.example.Player",]["consent"]
    link(managed, "alice", ["profile"])
    managed.write_grants("people", f"[user:alice]\nallow = {LIBRARY}\ndeny = profile\n")
    managed.reload()
    lost, unneeded = sorted(plan(alice), key=lambda row: row["unneeded"])
    assert (lost["command"], lost["grant"]) == (f"lwactl login --account main {LIBRARY}", 0)
    assert unneeded["scopes"] == ["profile"] and unneeded["grant"] > 0 and unneeded["serves"] == []
    managed.write_grants("people", "[user:alice]\nallow = profile\n")
    managed.reload()
    (row,) = plan(alice, account="main")
    assert row["grant"] == unneeded["grant"] and row["serves"] == ["user:alice"] and row["command"] == ""


def test_plan_of_the_device_and_of_others(managed):
    alice, carol = managed.client("alice"), managed.client("carol")
    managed.write_grants("people", f"[user:musicd]\nallow = {LIBRARY}\n")
    managed.reload()
    assert plan(alice) == []
    assert error_of(plan, alice, owner="device").short in ("AccessDenied", "ConsentRequired")
    assert error_of(plan, alice, account="main").short == "NoSuchAccount"
    assert error_of(plan, alice, owner="alice").short == "InvalidArgument"
    (row,) = plan(carol, owner="device")
    assert row["command"] == f"lwactl login --device {LIBRARY}"
    link_device(managed, [LIBRARY])
    assert error_of(plan, alice, account="device").short in ("AccessDenied", "ConsentRequired")
    (row,) = plan(managed.root(), account="device")
    assert row["grant"] > 0 and row["serves"] == ["user:musicd"]


def test_plan_makes_no_login_for_both_kinds_in_one_token(asking):
    """What is plainly allowed and what was agreed to come from two logins; who wants both at once is told the login."""
    alice = asking.client("alice")
    asking.write_grants("people", f"[user:alice]\nallow = profile\nask = {LIBRARY}\n")
    asking.reload()
    link(asking, "alice", ["profile"], account="main")
    assert [(row["grant"] > 0, row["serves"], row["unneeded"]) for row in plan(alice)] == [(True, ["user:alice"], False)] * 2
    set_consent(alice, "user:alice", "allow", [LIBRARY])
    take(alice, ["profile"])
    take(alice, [LIBRARY])
    error = error_of(take, alice, ["profile", LIBRARY])
    assert error.short == "LoginRequired" and all(scope in error.message for scope in ("lwactl login ", "profile", LIBRARY))
    link(asking, "alice", ["profile", LIBRARY], account="main")
    take(alice, ["profile", LIBRARY])


def test_plan_goes_by_the_verdicts(managed):
    """Which scope implies which counts as it does for a token, over all sections of an app."""
    alice, read = managed.client("alice"), "music::library:read"
    managed.write_grants(
        "people",
        f"[user:alice]\nallow = {read}\nask = {LIBRARY}\n"
        f"[flatpak:org.example.Player]\nallow = {LIBRARY} profile\n"
        f"[flatpak:org.example.Player]\ndeny = {read}\n"
        "[flatpak:org.example.Strict]\nallow = postal_code\nrequire_strength = label\nrequire_pinned = yes\n",
    )
    managed.reload()
    rows = {(*row["serves"], row["consent"]): row["scopes"] for row in plan(alice)}
    assert rows == {
        ("user:alice", False): [read],
        ("user:alice", True): [LIBRARY],
        ("flatpak:org.example.Player", False): ["profile"],
        ("flatpak:org.example.Strict", False): ["postal_code"],
    }


def test_plan_of_a_large_table(managed):
    """Each section is compared with each, so there is an end to how many; those for other accounts do not count."""
    alice = managed.client("alice")

    def write(n):
        mine = "".join(f"[flatpak:org.example.A{i}]\nallow = profile\n" for i in range(n))
        others = "".join(f"[flatpak:org.example.B{i}]\nallow = profile\naccounts = other\n" for i in range(600))
        managed.write_grants("people", mine + others)
        managed.reload()

    write(512)
    (row,) = plan(alice)
    assert len(row["serves"]) == 512
    write(513)
    error = error_of(plan, alice)
    assert error.short == "RateLimited" and "(512)" in error.message and "`accounts`" in error.message
    managed.write_grants("people", f"[user:alice]\nallow = {LIBRARY}\n")
    managed.reload()
    assert [row["serves"] for row in plan(alice)] == [["user:alice"]]


# --- consents ---------------------------------------------------------------------------------------------

def answers(rows):
    return sorted((row["app"], row["scope"], row["answer"]) for row in rows)


def test_consent_is_set_listed_and_forgotten(asking):
    alice = asking.client("alice")
    assert error_of(take, alice).short == "ConsentRequired"
    assert list_consents(alice) == []
    before = int(time.time())
    assert set_consent(alice, "user:alice", "allow") == []
    (row,) = list_consents(alice)
    assert before <= row.pop("since") <= time.time()
    assert row == {
        "app": "user:alice",
        "account": "main",
        "owner": "alice",
        "scope": LIBRARY,
        "answer": "allow",
        "lasts": "logout",
        "until": 0,
        "how": "command",
        "by": "alice",
    }
    _, info = take(alice)
    assert list_consents(asking.client("bob")) == []
    assert error_of(list_consents, asking.client("bob"), all=True).short in ("AccessDenied", "ConsentRequired")
    assert answers(list_consents(asking.client("carol"), all=True)) == [("user:alice", LIBRARY, "allow")]
    assert list_consents(alice, app="user:bob") == list_consents(alice, account="other") == []
    (exposed,) = set_consent(alice, "user:alice", "forget")
    assert (exposed["token_id"], exposed["told"]) == (info["token_id"], True)
    assert alice.wait_signal(NAME, "TokenRevoked") == [info["token_id"], "consent"]
    assert error_of(take, alice).short == "ConsentRequired"
    assert list_consents(alice) == []
    assert error_of(set_consent, alice, "user:alice", "forget").short == "InvalidArgument"


def count_consents(client):
    return client.call("org.lwabroker.Status1", "Get")["consents"]


def test_consents_are_counted(asking):
    """Those that the caller sees, and that count still."""
    alice, bob, root = asking.client("alice"), asking.client("bob"), asking.root()
    assert count_consents(root) == 0
    set_consent(alice, "user:alice", "allow", [LIBRARY])
    set_consent(alice, "user:bob", "deny", [])
    assert [count_consents(client) for client in (alice, bob, root)] == [2, 0, 2]
    set_consent(alice, "user:alice", "forget")
    assert [count_consents(client) for client in (alice, bob, root)] == [1, 0, 1]


def test_denial_is_final(asking):
    """Also over an administrator's allow; until it is taken back."""
    asking.write_grants("people", f"[user:alice]\nallow = {LIBRARY}\n")
    asking.reload()
    alice = asking.client("alice")
    _, info = take(alice)
    (row,) = set_consent(alice, "user:alice", "deny")
    assert row["told"] and alice.wait_signal(NAME, "TokenRevoked") == [info["token_id"], "consent"]
    error = error_of(take, alice)
    assert error.short == "AccessDenied" and "lwactl consent revoke user:alice" in error.message
    set_consent(alice, "user:alice", "forget", [])
    take(alice)
    set_consent(alice, "user:alice", "deny", [], days=3)
    (row,) = list_consents(alice)
    assert (row["scope"], row["lasts"], row["until"] - row["since"]) == ("", "until", 3 * 86400)
    assert error_of(take, alice).short == "AccessDenied"
    assert error_of(set_consent, alice, "user:alice", "allow").short == "InvalidArgument"


def test_consent_needs_its_owner(asking):
    """Any program of alice's could call this: it is for polkit to find out that it is her. About the device's account
    an administrator decides, and nobody about another's."""
    alice, bob, carol = (asking.client(user) for user in ("alice", "bob", "carol"))
    asking.write_rule("16-agreeing", None)
    assert error_of(set_consent, alice, "user:alice", "allow").short == "ConsentRequired"
    asking.write_rule("16-agreeing", AGREEING)
    assert error_of(set_consent, bob, "user:alice", "allow").short == "NoSuchAccount"
    assert error_of(set_consent, bob, "user:alice", "deny", account="main").short == "NoSuchAccount"
    link_device(asking, [LIBRARY])
    for answer in ("allow", "deny", "forget"):
        assert error_of(set_consent, bob, "user:musicd", answer, account="device").short in (
            "AccessDenied",
            "ConsentRequired",
        )
    musicd = asking.client("musicd")
    assert error_of(take, musicd).short == "ConsentRequired"
    set_consent(carol, "user:musicd", "allow", account="device")
    take(musicd)
    (row,) = set_consent(carol, "user:musicd", "deny", account="device")
    assert (row["app"], row["owner"], row["told"]) == ("user:musicd", "device", True)
    assert error_of(take, musicd).short == "AccessDenied"
    assert list_consents(musicd) == [] and len(list_consents(carol, all=True)) == 1


@pytest.mark.parametrize(
    ("app", "answer", "scopes", "options"),
    [
        ("", "allow", [LIBRARY], {}),
        ("alice", "allow", [LIBRARY], {}),
        ("exe:/usr/bin/x", "allow", [LIBRARY], {}),
        ("unknown", "allow", [LIBRARY], {}),
        ("unknown:x", "deny", [], {}),
        ("flatpak:", "deny", [], {}),
        ("flatpak:a b", "deny", [], {}),
        ("uid:x", "deny", [], {}),
        ("flatpak:" + "a" * 300, "deny", [], {}),
        ("user:alice", "yes", [LIBRARY], {}),
        ("user:alice", "", [LIBRARY], {}),
        ("user:alice", "allow", [], {}),
        ("user:alice", "allow", [LIBRARY], {"lasts": "forever"}),
        ("user:alice", "allow", [LIBRARY], {"lasts": "days"}),
        ("user:alice", "allow", [LIBRARY], {"lasts": "logout", "days": 1}),
        ("user:alice", "allow", [LIBRARY], {"days": 3651}),
        ("user:alice", "deny", [LIBRARY], {"lasts": "once"}),
        ("user:alice", "forget", [LIBRARY], {"lasts": "logout"}),
        ("user:alice", "allow", [LIBRARY], {"owner": "alice"}),
        ("user:alice", "allow", [LIBRARY], {"owner": "device", "user": "alice"}),
        ("user:alice", "allow", [LIBRARY], {"uid": "bob"}),
    ],
)
def test_consents_that_make_no_sense(asking, app, answer, scopes, options):
    alice = asking.client("alice")
    assert error_of(set_consent, alice, app, answer, scopes, **options).short == "InvalidArgument"
    assert list_consents(alice) == []


def test_consent_for_others(asking):
    """Who manages policy answers for any user; to nobody else it tells who has an account."""
    refused = ("AccessDenied", "ConsentRequired")
    alice, bob, carol = (asking.client(user) for user in ("alice", "bob", "carol"))
    told = {error_of(set_consent, bob, "user:alice", "deny", user=user).message for user in ("alice", "bob-or-so", "0")}
    told |= {error_of(revoke_app, bob, "user:alice", user=user).message for user in ("alice", "bob-or-so", "0")}
    assert len(told) == 1, told
    assert error_of(set_consent, bob, "user:alice", "allow", user="alice").short in refused
    set_consent(carol, "user:alice", "allow", user="alice")
    take(alice)
    (row,) = list_consents(alice)
    assert (row["owner"], row["by"], row["how"]) == ("alice", "carol", "command")
    assert error_of(set_consent, carol, "user:alice", "deny", user="bob").short == "NoSuchAccount"
    set_consent(alice, "user:alice", "deny", user="alice")
    link_device(asking, [LIBRARY])
    for client in (carol, bob):
        assert error_of(set_consent, client, "user:bob", "deny", user="bob").short == "NoSuchAccount"
        assert error_of(set_consent, client, "user:bob", "deny", account="device", user="bob").short == "NoSuchAccount"
    assert error_of(set_consent, carol, "user:alice", "deny", account="device", user="alice").short == "NoSuchAccount"
    assert error_of(set_consent, alice, "user:alice", "deny", owner="device").short in refused
    assert error_of(set_consent, carol, "user:alice", "deny", account="main", owner="device").short == "NoSuchAccount"
    set_consent(carol, "user:alice", "deny", owner="device")
    assert {row["owner"]: row["answer"] for row in list_consents(carol, all=True)} == {"alice": "deny", "device": "deny"}


def test_consents_about_nothing(asking):
    alice = asking.client("alice")
    assert error_of(set_consent, alice, "user:alice", "allow", ["music::nothing"]).short == "InvalidScope"
    assert error_of(set_consent, alice, "user:alice", "allow", account="other").short == "NoSuchAccount"
    assert error_of(set_consent, alice, "user:alice", "allow", account="A").short == "InvalidArgument"


# --- RevokeApp --------------------------------------------------------------------------------------------


def test_revoke_takes_all_back(asking):
    alice = asking.client("alice")
    set_consent(alice, "user:alice", "allow")
    _, info = take(alice)
    (row,) = revoke_app(alice, "user:alice")
    assert (row["token_id"], row["app"], row["told"]) == (info["token_id"], "user:alice", True)
    assert alice.wait_signal(NAME, "TokenRevoked") == [info["token_id"], "consent"]
    assert error_of(take, alice).short == "AccessDenied"
    assert answers(list_consents(alice)) == [("user:alice", "", "deny")]
    asking.close_clients()
    asking.broker.restart()
    assert error_of(take, asking.client("alice")).short == "AccessDenied"
    alice = asking.client("alice")
    set_consent(alice, "user:alice", "forget", [])
    set_consent(alice, "user:alice", "allow")
    take(alice)


def test_who_comes_back_after_a_revoke_is_on_the_trail_anew(asking):
    """What was handed out before is over, for who has left meanwhile too: the same token is a new disclosure."""
    alice, app = asking.client("alice"), asking.client("alice")
    set_consent(alice, "user:alice", "allow")
    text, info = take(app)
    asking.clients.remove(app)
    app.close()
    wait_until(lambda: not [row for row in list_apps(alice) if row["connection"] == app.name], 5, "it to leave")
    (row,) = revoke_app(alice, "user:alice")
    assert (row["token_id"], row["told"]) == (info["token_id"], False)
    set_consent(alice, "user:alice", "forget", [])
    set_consent(alice, "user:alice", "allow")
    assert take(alice)[0] == text
    assert len(trail(asking.root(), "token-disclosed")) == 2


def test_revoke_by_others(asking):
    """A user revokes on own accounts, an administrator on the device's and on those of a user that is named."""
    link_device(asking, [LIBRARY])
    asking.write_grants("people", ASKING + f"[user:weatherd]\nallow = {LIBRARY}\n")
    asking.reload()
    alice, bob, carol = (asking.client(user) for user in ("alice", "bob", "carol"))
    daemon = asking.client("weatherd")
    take(daemon)
    assert error_of(revoke_app, bob, "user:weatherd").short in ("AccessDenied", "ConsentRequired")
    assert error_of(revoke_app, bob, "user:alice", user="alice").short in ("AccessDenied", "ConsentRequired")
    assert error_of(revoke_app, alice, "user:weatherd", account="device").short in ("AccessDenied", "ConsentRequired")
    assert error_of(revoke_app, alice, "user:weatherd", account="none").short == "NoSuchAccount"
    assert error_of(revoke_app, carol, "user:weatherd", user="nobody").short == "NoSuchAccount"
    assert revoke_app(alice, "user:weatherd") == []
    take(daemon)
    (row,) = revoke_app(carol, "user:weatherd")
    assert (row["owner"], row["told"]) == ("device", True)
    assert error_of(take, daemon).short == "AccessDenied"
    set_consent(alice, "user:alice", "allow")
    _, info = take(alice)
    assert [row["token_id"] for row in revoke_app(carol, "user:alice", user="alice")] == [info["token_id"]]
    assert error_of(take, alice).short == "AccessDenied"


def test_revoke_holds_at_once(asking):
    """A client that asks all the time gets no token after the call has returned."""
    asking.write_config(limits=NO_RATES)
    asking.reload()
    alice = asking.client("alice")
    app = asking.client("alice")
    for _ in range(20):
        set_consent(alice, "user:alice", "allow")
        serials = []
        for _ in range(30):
            serials.append(app.send(NAME, "GetToken", "asa{sv}", ([LIBRARY], {})))
        revoke_app(alice, "user:alice")
        after = [app.send(NAME, "GetToken", "asa{sv}", ([LIBRARY], {})) for _ in range(5)]
        for serial in serials:
            outcome(app, serial, asking)
        assert {outcome(app, serial, asking) for serial in after} == {"AccessDenied"}
        set_consent(alice, "user:alice", "forget", [])


def outcome(client, serial, world):
    """The short name of the error, or "" for a token."""
    try:
        client.wait(serial, 20 * world.slowness)
    except DBusError as error:
        return error.short
    return ""


@pytest.mark.parametrize("how", ["revoke", "deny", "forget", "grants.d", "polkit", "remove"])
def test_refresh_that_ends_after_the_revoke_changes_nothing(asking, how):
    """The token that comes is not handed out, whatever took it back while Amazon thought."""
    set_consent(asking.client("alice"), "user:alice", "allow")
    asking.close_clients()
    asking.broker.restart()  # forgets the token that the login was proven with
    alice, app = asking.client("alice"), asking.client("alice")
    before = counter(asking, "token.refresh_token.requests")
    asking.sim.fault("token", "delay", ms=1500, grant_type="refresh_token")
    serial = app.send(NAME, "GetToken", "asa{sv}", ([LIBRARY], {}))
    wait_until(lambda: counter(asking, "token.refresh_token.requests") > before, 10 * asking.slowness, "the request")
    expected = {"AccessDenied"}
    if how == "revoke":
        revoke_app(alice, "user:alice")
    elif how == "deny":
        set_consent(alice, "user:alice", "deny")
    elif how == "forget":
        set_consent(alice, "user:alice", "forget")
        expected = {"ConsentRequired"}
    elif how == "grants.d":
        asking.write_grants("people", f"[user:alice]\ndeny = {LIBRARY}\n")
        reload(asking.root())
    elif how == "polkit":
        with open(asking.path("polkit/rules/20-no.rules"), "w", encoding="utf-8") as file:
            file.write(NO_MUSICD.replace("musicd", "alice"))
        reload(asking.root())
    else:
        alice.call("org.lwabroker.Accounts1", "Remove", "s", ("main",))
        expected = {"ConsentRequired", "LoginRequired"}
    assert outcome(app, serial, asking) in expected
    assert list_exposure(asking.root(), all=True) == []


# --- ListExposure -----------------------------------------------------------------------------------------


def seen(rows):
    return sorted((row["app"], row["account"], row["token_id"], row["told"]) for row in rows)


def test_exposure_is_what_apps_got(managed):
    link(managed, "alice", [LIBRARY])
    link(managed, "bob", [LIBRARY])
    before = time.time()
    alice, bob = managed.client("alice"), managed.client("bob")
    assert list_exposure(alice) == []
    _, info = take(alice)
    _, other = take(bob)
    take(alice)
    (row,) = list_exposure(alice)
    assert abs(row.pop("expires_at") - info["expires_at"]) <= 1 and info["expires_at"] > before
    assert row == {
        "token_id": info["token_id"],
        "fingerprint": trail(managed.root(), "token-disclosed")[0]["token"],
        "app": "user:alice",
        "uid": row["uid"],
        "user": "alice",
        "account": "main",
        "owner": "alice",
        "scopes": [LIBRARY],
        "told": False,
    }
    assert error_of(list_exposure, alice, all=True).short in ("AccessDenied", "ConsentRequired")
    carol = managed.client("carol")
    mine, others = ("user:alice", "main", info["token_id"], False), ("user:bob", "main", other["token_id"], False)
    assert list_exposure(carol) == []
    assert seen(list_exposure(carol, all=True)) == [mine, others]
    assert seen(list_exposure(carol, all=True, app="user:bob")) == [others]
    assert list_exposure(alice, app="user:bob") == list_exposure(alice, account="main-2") == []
    for bad in ({"app": "alice"}, {"app": "exe:/usr/bin/x"}, {"account": "Main"}, {"app": "unknown"}):
        assert error_of(list_exposure, alice, **bad).short == "InvalidArgument"


def test_exposure_is_known_after_a_restart(managed):
    link_device(managed, [LIBRARY])
    app = managed.client("musicd")
    _, info = take(app, [LIBRARY])
    (before,) = list_exposure(app)
    managed.close_clients()
    managed.broker.restart()
    (row,) = list_exposure(managed.client("musicd"))
    assert before["token_id"] == info["token_id"] and row["token_id"] == ""
    assert row["owner"] == "device" and row | {"token_id": 0, "expires_at": 0} == before | {"token_id": 0, "expires_at": 0}
    assert abs(row["expires_at"] - before["expires_at"]) <= 1


def test_exposure_says_who_was_told(managed):
    """One holder is there to be told, the other has left with what it got."""
    link_device(managed, [LIBRARY])
    holder, leaver = managed.client("musicd"), managed.client("weatherd")
    text, info = take(holder, [LIBRARY])
    assert take(leaver, [LIBRARY])[1]["token_id"] == info["token_id"]
    managed.clients.remove(leaver)
    leaver.close()
    wait_until(lambda: leaver.name not in [row["connection"] for row in list_apps(managed.root(), all=True)], 5, "it to leave")
    managed.write_grants("people", "[user:alice]\nallow = profile\n[user:musicd]\ndeny = music::library\n")
    reload(managed.root())
    assert holder.wait_signal(NAME, "TokenRevoked") == [info["token_id"], "policy"]
    assert {row["app"]: row["told"] for row in list_exposure(managed.root(), all=True)} == {
        "user:musicd": True,
        "user:weatherd": False,
    }
    # Who gets it again is on the trail again, and is no more told.
    managed.write_grants("people", GRANTS)
    reload(managed.root())
    assert take(holder, [LIBRARY])[0] == text
    assert len(trail(managed.root(), "token-disclosed")) == 3
    assert [row["told"] for row in list_exposure(managed.root(), all=True, app="user:musicd")] == [False]


def test_exposure_of_the_device(managed):
    """Of all users, for who may manage policy; what users hold of their own is not in it."""
    link_device(managed, [LIBRARY])
    link(managed, "alice", ["profile"])
    take(managed.client("musicd"), [LIBRARY])
    take(managed.client("alice"), ["profile"])
    for options in ({"owner": "device"}, {"owner": "device", "account": "device"}):
        (row,) = list_exposure(managed.root(), **options)
        assert (row["app"], row["owner"]) == ("user:musicd", "device")
        assert error_of(list_exposure, managed.client("alice"), **options).short in ("AccessDenied", "ConsentRequired")
    assert list_exposure(managed.root(), owner="device", account="main") == []
    assert error_of(list_exposure, managed.root(), owner="alice").short == "InvalidArgument"


def test_exposure_ends_when_the_token_does(managed):
    managed.sim.set(token_lifetime=3)
    link(managed, "alice", [LIBRARY])
    alice = managed.client("alice")
    take(alice)
    assert len(list_exposure(alice)) == 1
    wait_until(lambda: not list_exposure(alice), 10 * managed.slowness, "the token to run out")


# --- Reload -----------------------------------------------------------------------------------------------


def test_reload_is_an_administrators(managed):
    for user in ("alice", "musicd"):
        assert error_of(reload, managed.client(user)).short in ("AccessDenied", "ConsentRequired")
    for user in ("carol", "root"):
        assert reload(managed.client(user)) == []


def test_reload_names_what_is_wrong(managed):
    managed.write_grants("broken", "[user:bob]\nallow = music::library\nalow = profile\n")
    (problem,) = reload(managed.root())
    assert problem["file"].endswith("/grants.d/broken.conf") and problem["line"] == 3 and "alow" in problem["problem"]
    managed.write_grants("broken", None)
    assert reload(managed.root()) == []


def test_check_takes_nothing(managed):
    alice = managed.client("alice")
    link(managed, "alice", [LIBRARY])
    take(alice)
    managed.write_grants("people", "[user:alice]\nalow = music::library\n")
    if not reload(managed.root()):
        raise AssertionError("no problem")
    managed.write_grants("people", GRANTS)
    assert reload(managed.root()) == [] == check(managed.root())
    take(alice)
    for client in (alice, managed.client("musicd")):
        assert error_of(check, client).short in ("AccessDenied", "ConsentRequired")
    assert check(managed.client("carol")) == []
    managed.write_config(policy={"default": "perhaps"})
    (problem,) = check(managed.root())
    assert problem["file"].endswith("broker.conf") and "perhaps" in problem["problem"] or "default" in problem["problem"]
    take(alice)
    managed.write_config()


NO_MUSICD = (
    'polkit.addRule(function(a, s) { if (a.id.indexOf("org.lwabroker.scope.") === 0 && s.user == "musicd")'
    " return polkit.Result.NO; });"
)


@pytest.mark.parametrize("turn", range(3))
def test_reload_waits_for_rules_that_were_just_written(managed, turn):
    """What a rule says holds for every call after Reload has answered, though nobody waited for polkitd to notice. A
    file that is moved away is noticed late: its library waits for where it was moved to."""
    managed.write_grants("people", f"[user:musicd]\nallow = {LIBRARY}\n")
    root, app = managed.root(), managed.client("musicd")
    assert reload(root) == []
    assert error_of(take, app).short == "LoginRequired"
    path = managed.path("polkit/rules/20-no.rules")
    with open(path, "w", encoding="utf-8") as file:
        file.write(NO_MUSICD)
    reload(root)
    assert error_of(take, app).short == "AccessDenied"
    os.rename(path, managed.path("20-no.rules"))
    reload(root)
    assert error_of(take, app).short == "LoginRequired"


def test_holders_are_told_of_a_rule(managed):
    """Those whom it concerns, of every token they hold, and nobody else."""
    link_device(managed, [LIBRARY])
    apps = [managed.client("musicd"), managed.client("musicd")]
    other = managed.client("weatherd")
    ids = {take(app, [LIBRARY])[1]["token_id"] for app in (*apps, other)}
    assert len(ids) == 1
    managed.write_rule("20-no", NO_MUSICD)
    for app in apps:
        assert app.wait_signal(NAME, "TokenRevoked", timeout=10 * managed.slowness) == [*ids, "policy"]
        assert error_of(take, app, [LIBRARY]).short == "AccessDenied"
    told = {row["app"]: row["told"] for row in list_exposure(managed.root(), all=True)}
    assert told == {"user:musicd": True, "user:weatherd": False}
    managed.polkitd.stop()  # nobody can be asked: that takes nothing back
    assert error_of(take, other, [LIBRARY]).short == "AccessDenied"
    managed.polkitd.start()
    take(other, [LIBRARY])
    assert [item for item in other.drain(0.2) if "TokenRevoked" in str(item)] == []


def test_reload_without_polkit(managed):
    """It is not known who may, so nobody may."""
    managed.polkitd.stop()
    assert error_of(reload, managed.root()).short in ("AccessDenied", "ConsentRequired")
    managed.polkitd.start()
    assert reload(managed.root(), timeout=30 * managed.slowness) == []
    assert managed.client("musicd").get_property(NAME, "Version")
