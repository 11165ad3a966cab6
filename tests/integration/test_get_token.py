# SPDX-License-Identifier: LGPL-2.1-or-later
"""GetToken and CheckScopes: who gets what, and every way to be refused.

One broker serves the whole module. Its logins:

    alice    main     music::library:read              "narrow"
             main     music::library profile           "wide"
             main     music::playback music::catalog   "play"
             main-2   music::history                   another customer
    bob      main     postal_code
    device   device   music::favorites
"""

import time

import pytest

import apps
from apps import BROKER, check, grants, refused, rule, scope_rule, take, why_refused
from world import SECURITY_PROFILE_ID, DBusError, wait_until

READ, LIBRARY = "music::library:read", "music::library"
LOGINS = [
    ("alice", [READ], "alice", {}),
    ("alice", [LIBRARY, "profile"], "alice", {}),
    ("alice", ["music::playback", "music::catalog"], "alice", {}),
    ("bob", ["postal_code"], "bob", {}),
    ("alice", ["music::favorites"], "carol", {"owner": "device"}),
]
ALL = "music::library music::playback music::catalog music::history music::favorites profile postal_code"


@pytest.fixture(scope="module")
def logged_in(shared_world):
    apps.open_to_logins(shared_world)
    assert apps.link_all(shared_world, LOGINS) == ["main", "main", "main", "main", "device"]
    assert apps.link(shared_world, "alice", ["music::history"], "bob") == "main-2"
    return shared_world


@pytest.fixture
def world(logged_in):
    yield logged_in
    apps.tidy(logged_in)


def call(client, signature, *args):
    return client.call(BROKER, "GetToken", signature, args)


# --- arguments ---


@pytest.mark.parametrize(
    ("signature", "args"),
    [
        ("", ()),
        ("as", ([READ],)),
        ("sa{sv}", (READ, {})),
        ("asa{su}", ([READ], {})),
        ("asa{sv}s", ([READ], {}, "more")),
        ("asas", ([READ], [])),
        ("ava{sv}", ([("s", READ)], {})),
    ],
)
def test_other_signatures_are_refused(world, signature, args):
    with refused("InvalidArgument", "asa{sv}"):
        call(world.client("alice"), signature, *args)


@pytest.mark.parametrize(
    ("scopes", "error", "part"),
    [
        ([], "InvalidArgument", "1 to 32"),
        ([READ] * 33, "InvalidArgument", "1 to 32"),
        ([READ] * 5000, "InvalidArgument", "1 to 32"),
        ([""], "InvalidScope", "number 1"),
        ([READ, ""], "InvalidScope", "number 2"),
        (["x" * 129], "InvalidScope", "number 1"),
        (["x" * 100000], "InvalidScope", "number 1"),
        (["music::library read"], "InvalidScope", "number 1"),
        (["müsic"], "InvalidScope", "number 1"),
        (["\U0001f3b5"], "InvalidScope", "number 1"),
        (['quote"'], "InvalidScope", "number 1"),
        (["back\\slash"], "InvalidScope", "number 1"),
        (["line\nbreak"], "InvalidScope", "number 1"),
        (["\x7f"], "InvalidScope", "number 1"),
        (["music::nothing"], "InvalidScope", "music::nothing"),
        (["x" * 128], "InvalidScope", "x" * 128),
        (["MUSIC::LIBRARY"], "InvalidScope", "MUSIC::LIBRARY"),
        (["music::library%s%n"], "InvalidScope", "%s%n"),
    ],
)
def test_bad_scopes_are_refused(world, scopes, error, part):
    client = world.client("alice")
    with refused(error, part):
        client.get_token(scopes)
    with refused(error, part):
        check(client, scopes)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"acount": ("s", "main")}, '"acount"'),
        ({"": ("s", "main")}, '""'),
        ({"interactive": ("b", True)}, '"interactive"'),
        ({"x" * 65: ("s", "")}, "not printable"),
        ({"ö": ("s", "")}, "not printable"),
        ({"account": ("u", 1)}, '"account"'),
        ({"account": ("as", ["main"])}, '"account"'),
        ({"account": ("v", ("s", "main"))}, '"account"'),
        ({"min_valid": ("s", "60")}, '"min_valid"'),
        ({"min_valid": ("i", 60)}, '"min_valid"'),
        ({"min_valid": ("t", 60)}, '"min_valid"'),
        ({"account": ("s", "")}, "1 to 32"),
        ({"account": ("s", "a" * 33)}, "1 to 32"),
        ({"account": ("s", "Main")}, "1 to 32"),
        ({"account": ("s", "../main")}, "1 to 32"),
        ({"account": ("s", "maïn")}, "1 to 32"),
    ],
)
def test_bad_options_are_refused(world, options, part):
    with refused("InvalidArgument", part):
        call(world.client("alice"), "asa{sv}", [READ], options)


class Doubled(dict):
    """A dictionary that goes onto the wire with its one entry twice."""

    def items(self):
        return list(super().items()) * 2


@pytest.mark.parametrize("options", [{"account": ("s", "main")}, {"min_valid": ("u", 60)}])
def test_doubled_option_is_refused(world, options):
    with refused("InvalidArgument", "twice"):
        call(world.client("alice"), "asa{sv}", [READ], Doubled(options))


def test_arguments_come_before_everything_else(world):
    """Bad arguments are answered as such to a caller whom everything is denied, and without asking polkit."""
    grants(world, "[user:weatherd]\ndeny = profile\n")
    client = world.client("weatherd")
    with refused("InvalidScope"):
        client.get_token(["profile", "music::nothing"])
    with refused("InvalidArgument"):
        client.get_token(["profile"], account="NOT VALID")


def test_same_scope_twice_and_most_scopes(world):
    grants(world, f"[user:alice]\nallow = {READ}\n")
    assert take(world.client("alice"), [READ] * 32).info["scopes"] == [READ]


# --- what comes with a token ---


def test_info_is_complete(world):
    grants(world, f"[user:alice]\nallow = {READ}\n")
    client = world.client("alice")
    serial = client.send(BROKER, "GetToken", "asa{sv}", ([READ], {}))
    while serial not in client.replies:
        client.receive(10)
    fd, info = client.replies.pop(serial).body
    fd.close()
    kinds = {key: value[0] for key, value in info.items()}
    assert kinds == {
        "token_id": "s",
        "token_type": "s",
        "scopes": "as",
        "expires_at": "t",
        "expires_in": "u",
        "account": "s",
        "x_api_key": "s",
        "api_base": "s",
    }
    info = {key: value[1] for key, value in info.items()}
    assert (info["token_type"], info["account"], info["scopes"]) == ("Bearer", "main", [READ])
    assert (info["x_api_key"], info["api_base"]) == (SECURITY_PROFILE_ID, f"https://localhost:{world.sim.https}/v1")
    assert 3000 < info["expires_in"] <= 3600
    assert abs(info["expires_at"] - time.time() - info["expires_in"]) <= 2
    assert len(info["token_id"]) == 32 and set(info["token_id"]) <= set("0123456789abcdef")


def test_token_type_is_bearer_as_the_header_wants_it(world):
    """The provider says `bearer`; what an app puts into its header is `Bearer`."""
    grants(world, f"[user:alice]\nallow = {ALL}\n")
    assert take(world.client("alice"), ["profile"]).info["token_type"] == "Bearer"


# --- verdicts: the table, polkit, and both ---

VERDICTS = [
    # what the table says of alice's apps; what is asked; the error, "" for a token
    (f"allow = {READ}", READ, ""),
    (f"allow = {READ}", LIBRARY, "ConsentRequired"),  # the default is ask
    (f"allow = {READ} profile\ndeny = {LIBRARY}", LIBRARY, "AccessDenied"),
    (f"allow = {LIBRARY} profile", READ, ""),  # allow(x) allows all that x implies
    (f"allow = {LIBRARY} profile", LIBRARY, ""),
    (f"allow = {LIBRARY}\ndeny = {READ}", LIBRARY, "AccessDenied"),  # deny(y) denies all that imply y
    (f"allow = {LIBRARY}\ndeny = {READ}", READ, "AccessDenied"),
    (f"allow = {READ}\nask = {READ}", READ, "ConsentRequired"),  # deny beats ask beats allow
    (f"ask = {READ}\ndeny = {READ}", READ, "AccessDenied"),
    (f"allow = {LIBRARY} profile\nask = {READ}", LIBRARY, "ConsentRequired"),
    ("deny = profile", "profile", "AccessDenied"),
    ("deny = profile:user_id", "profile", "AccessDenied"),
]


@pytest.mark.parametrize(("section", "scope", "error"), VERDICTS)
def test_table_decides(world, section, scope, error):
    grants(world, f"[user:alice]\n{section}\n")
    client = world.client("alice")
    assert why_refused(client, [scope]) == error
    expected = {"": "allow", "ConsentRequired": "ask", "AccessDenied": "deny"}[error]
    assert check(client, [scope]) == {scope: expected}


def test_one_denied_scope_refuses_all_and_is_named(world):
    grants(world, f"[user:alice]\nallow = {READ}\ndeny = profile:user_id\n")
    with refused("AccessDenied", "profile") as caught:
        world.client("alice").get_token([READ, "profile"])
    assert READ not in caught.value.message


def test_another_users_section_is_not_mine(world):
    grants(world, f"[user:bob]\nallow = {ALL}\n[user:alic]\nallow = {ALL}\n[user:alice2]\nallow = {ALL}\n")
    assert why_refused(world.client("alice"), [READ]) == "ConsentRequired"


def test_polkit_no_beats_allow(world):
    grants(world, f"[user:alice]\nallow = {ALL}\n")
    client = world.client("alice")
    take(client, [READ])
    world.write_rule("20-test", scope_rule(READ, "NO"))
    with refused("AccessDenied", READ):
        client.get_token([READ])
    with refused("AccessDenied", READ):
        client.get_token([LIBRARY])
    assert check(client, [READ, LIBRARY, "profile"]) == {READ: "deny", LIBRARY: "deny", "profile": "login-required"}


def test_polkit_yes_turns_ask_into_a_token(world):
    """An administrator's rule may be more generous than an `ask` ..."""
    world.write_rule("20-test", scope_rule(READ, "YES"))
    take(world.client("alice"), [READ])


def test_polkit_yes_never_beats_the_tables_deny(world):
    """... but the table's deny is final."""
    world.write_rule("20-test", rule("true", "YES"))
    grants(world, f"[user:alice]\ndeny = {READ}\n")
    client = world.client("alice")
    assert [why_refused(client, [scope]) for scope in (READ, LIBRARY)] == ["AccessDenied"] * 2
    assert check(client, [READ, "postal_code"]) == {READ: "deny", "postal_code": "login-required"}


@pytest.mark.parametrize("result", ["AUTH_SELF", "AUTH_ADMIN", "AUTH_SELF_KEEP", "AUTH_ADMIN_KEEP"])
def test_polkit_challenge_is_consent_required(world, result):
    grants(world, f"[user:alice]\nallow = {ALL}\n")
    world.write_rule("20-test", scope_rule(READ, result))
    client = world.client("alice")
    with refused("ConsentRequired", READ):
        client.get_token([READ])
    # The only login with profile carries READ as well.
    assert check(client, [READ, "profile", "music::playback"]) == {
        READ: "ask",
        "profile": "ask",
        "music::playback": "allow",
    }


def test_default_deny(world):
    world.write_config(policy={"default": "deny"})
    grants(world, f"[user:alice]\nallow = {READ}\n")
    client = world.client("alice")
    assert [why_refused(client, [scope]) for scope in (READ, "profile")] == ["", "AccessDenied"]


# --- uid 0 ---


def test_for_root_the_verdict_alone_counts(world):
    """polkit authorises uid 0 without running a rule, so that its yes means nothing: ask is no."""
    client = world.client("root")
    assert why_refused(client, ["music::favorites"]) == "AccessDenied"
    grants(world, "[user:root]\nask = music::favorites\n")
    assert why_refused(client, ["music::favorites"]) == "AccessDenied"
    assert check(client, ["music::favorites"]) == {"music::favorites": "deny"}
    grants(world, "[user:root]\nallow = music::favorites:read\n")
    assert why_refused(client, ["music::favorites:read"]) == "NarrowerLoginRequired"
    grants(world, "[user:root]\nallow = music::favorites\n")
    assert take(client, ["music::favorites:read"]).info["account"] == "device"


# --- accounts ---


def test_own_default_account(world):
    grants(world, f"[user:alice]\nallow = {ALL}\n[user:bob]\nallow = {ALL}\n")
    alice = world.client("alice")
    assert take(alice, [READ]).info["account"] == "main"
    assert take(alice, ["music::history"], account="main-2").info["account"] == "main-2"
    alice.call(apps.ACCOUNTS, "SetDefault", "s", ("main-2",))
    try:
        assert take(alice, ["music::history"]).info["account"] == "main-2"
        assert why_refused(alice, [READ]) == "LoginRequired"
    finally:
        alice.call(apps.ACCOUNTS, "SetDefault", "s", ("main",))


def test_device_account_where_device_use_allows(world):
    grants(world, f"[user:weatherd]\nallow = {ALL}\n[user:alice]\nallow = {ALL}\n")
    app = world.client("weatherd")
    assert take(app, ["music::favorites"]).info["account"] == "device"
    assert take(app, ["music::favorites"], account="device").info["account"] == "device"
    # One's own default comes first, whatever it carries.
    assert why_refused(world.client("alice"), ["music::favorites"]) == "LoginRequired"
    assert take(world.client("alice"), ["music::favorites"], account="device").info["account"] == "device"

    world.write_rule("20-test", rule('action.id == "org.lwabroker.device.use"', "NO"))
    with refused("LoginRequired"):
        app.get_token(["music::favorites"])
    with refused("NoSuchAccount", "device"):
        app.get_token(["music::favorites"], account="device")
    assert check(app, ["music::favorites"]) == {"music::favorites": "login-required"}
    with refused("NoSuchAccount", "device"):
        check(app, ["music::favorites"], account="device")


def test_device_use_per_app(world):
    grants(world, f"[user:weatherd]\nallow = {ALL}\n[user:musicd]\nallow = {ALL}\n")
    world.write_rule("20-test", rule('action.id == "org.lwabroker.device.use" && d("app") != "user:musicd"', "NO"))
    take(world.client("musicd"), ["music::favorites"])
    assert why_refused(world.client("weatherd"), ["music::favorites"]) == "LoginRequired"


def test_another_uids_account_does_not_exist(world):
    """I8: nothing tells it from an account that nobody has."""
    grants(world, f"[user:bob]\nallow = {ALL}\n[user:weatherd]\nallow = {ALL}\n")
    for user, name in (("bob", "main-2"), ("weatherd", "main"), ("weatherd", "main-2")):
        client = world.client(user)
        answers = []
        for account in (name, "nobodys"):
            for ask in (client.get_token, lambda scopes, client=client, **options: check(client, scopes, **options)):
                with refused("NoSuchAccount", account) as caught:
                    ask(["profile"], account=account)
                answers.append(caught.value.message.replace(account, "X"))
        assert len(set(answers[0::2])) == len(set(answers[1::2])) == 1
    # The same id of another owner is one's own account, never the other's.
    assert why_refused(world.client("bob"), [READ], account="main") == "LoginRequired"


def test_root_has_nobodys_account(world):
    grants(world, f"[user:root]\nallow = {ALL}\n")
    root = world.client("root")
    assert why_refused(root, [READ], account="main") == "NoSuchAccount"
    assert why_refused(root, [READ]) == "LoginRequired"


def test_login_required(world):
    grants(world, f"[user:alice]\nallow = {ALL} music::recommendation\n")
    with refused("LoginRequired", "lwactl login", "music::recommendation"):
        world.client("alice").get_token(["music::recommendation"])
    with refused("LoginRequired", "lwactl login --device music::recommendation"):
        world.client("alice").get_token(["music::recommendation"], account="device")
    # No single login carries both.
    with refused("LoginRequired", "lwactl login", READ, "music::playback"):
        world.client("alice").get_token([READ, "music::playback"])


# --- which grant ---


def test_least_grant_is_taken(world):
    grants(world, f"[user:alice]\nallow = {ALL}\n")
    client = world.client("alice")
    assert take(client, [READ]).info["scopes"] == [READ]
    assert take(client, [LIBRARY]).info["scopes"] == [LIBRARY, "profile"]
    assert take(client, ["profile:user_id"]).info["scopes"] == [LIBRARY, "profile"]


def test_scope_truth(world):
    """I1: with wider logins at hand, no app gets a token that may carry what it may not hold."""
    may_hold = [READ, LIBRARY, "profile", "profile:user_id", "music::playback", "music::catalog"]
    wide = {LIBRARY, READ, "profile", "profile:user_id"}
    carried = {(READ,): {READ}, (LIBRARY, "profile"): wide, ("music::catalog", "music::playback"): set(may_hold[4:])}
    client = world.client("alice")
    for denied in may_hold:
        grants(world, f"[user:alice]\nallow = {' '.join(may_hold)}\ndeny = {denied}\n")
        for asked in may_hold:
            try:
                token = take(client, [asked])
            except DBusError as error:
                assert error.short in ("AccessDenied", "NarrowerLoginRequired")
                continue
            assert denied not in carried[tuple(sorted(token.info["scopes"]))], (denied, asked, token.info)


def test_narrower_login_is_named(world):
    grants(world, "[user:alice]\nallow = profile:user_id music::catalog\n")
    world.write_config(policy={"default": "deny"})
    world.reload()
    client = world.client("alice")
    with refused("NarrowerLoginRequired", "lwactl login profile:user_id"):
        client.get_token(["profile:user_id"])
    with refused("NarrowerLoginRequired", "lwactl login music::catalog"):
        client.get_token(["music::catalog"])
    assert check(client, ["music::catalog", "profile:user_id"]) == {
        "music::catalog": "login-required",
        "profile:user_id": "login-required",
    }


def test_narrows_on_refresh_gives_no_wide_token(world):
    """A provider that is said to narrow, and does not: what is handed out is still what the app may hold (I1)."""
    world.write_config(provider={"narrows_on_refresh": "yes"}, policy={"default": "deny"})
    grants(world, "[user:alice]\nallow = music::catalog\n")
    assert why_refused(world.client("alice"), ["music::catalog"]) == "NarrowerLoginRequired"


def test_an_extra_that_needs_asking_goes_last(world):
    """Both `play` and `wide` serve nobody here; narrow and wide serve READ: with the extras of wide to be asked
    for, narrow is taken; without narrow the answer is the question."""
    grants(world, f"[user:alice]\nallow = {READ} profile:user_id\nask = profile\n")
    client = world.client("alice")
    assert take(client, [READ]).info["scopes"] == [READ]
    assert why_refused(client, ["profile:user_id"]) == "ConsentRequired"


def test_polkit_no_to_an_extra_chooses_another_grant(world):
    """The least login that carries what is asked has an extra that polkit refuses: the next one is taken."""
    apps.link(world, "alice", ["music::catalog", "postal_code", "profile"])
    grants(world, f"[user:alice]\nallow = {ALL}\n")
    client = world.client("alice")
    assert take(client, ["music::catalog"]).info["scopes"] == ["music::catalog", "music::playback"]
    world.write_rule("20-test", scope_rule("music::playback", "NO"))
    assert take(client, ["music::catalog"]).info["scopes"] == ["music::catalog", "postal_code", "profile"]
    world.write_rule("20-test", rule('d("scope") == "music::playback" || d("scope") == "postal_code"', "NO"))
    assert why_refused(client, ["music::catalog"]) == "NarrowerLoginRequired"


# --- min_valid ---


def test_min_valid_limits(world):
    grants(world, f"[user:alice]\nallow = {READ}\n")
    client = world.client("alice")
    take(client, [READ], min_valid=0)
    take(client, [READ], min_valid=1800)
    for seconds in (1801, 3600, 2**32 - 1):
        with refused("InvalidArgument", "min_valid", "1800"):
            client.get_token([READ], min_valid=seconds)


def test_min_valid_refreshes_once(world):
    """A token that is valid, but not for long enough, is renewed; the caller waits for that one."""
    grants(world, "[user:alice]\nallow = music::history\n")
    client = world.client("alice")
    world.sim.set(token_lifetime=10)
    where = {"account": "main-2"}
    first = take(client, ["music::history"], **where)
    client.call(BROKER, "ReportRejected", "s", (first.info["token_id"],))
    short = take(client, ["music::history"], **where)
    assert short.info["expires_in"] <= 10
    before = apps.refreshes(world)
    assert take(client, ["music::history"], min_valid=1, **where).info["token_id"] == short.info["token_id"]
    with refused("InvalidArgument", " 5 s"):
        client.get_token(["music::history"], min_valid=6, **where)
    world.sim.set(token_lifetime=3600)
    wait_until(
        lambda: take(client, ["music::history"], min_valid=5, **where).info["token_id"] != short.info["token_id"],
        15,
        "a token that lives longer",
    )
    assert apps.refreshes(world) == before + 1
    assert take(client, ["music::history"], min_valid=1800, **where).info["expires_in"] > 1800


# --- the order of errors ---


def test_a_denied_app_learns_nothing_of_logins(world):
    """Whether there is a login, a fitting grant, or an account of that name: the answer is the same."""
    grants(world, f"[user:alice]\ndeny = {READ}\n[user:weatherd]\ndeny = {READ}\n")
    messages = set()
    for user in ("alice", "weatherd"):
        for account in (None, "main", "main-2", "device", "nobodys"):
            options = {"account": account} if account else {}
            client = world.client(user)
            with refused("AccessDenied") as caught:
                client.get_token([READ], **options)
            messages.add(caught.value.message)
            assert check(client, [READ], **options) == {READ: "deny"}
    assert len(messages) == 1


def test_asked_scopes_are_judged_before_the_account(world):
    """So is an app that would have to be agreed to."""
    for account in ("main", "nobodys"):
        assert why_refused(world.client("alice"), [READ], account=account) == "ConsentRequired"


def test_account_comes_before_grant_and_grant_before_provider(world):
    grants(world, f"[user:alice]\nallow = {ALL}\n")
    client = world.client("alice")
    assert why_refused(client, ["music::history"], account="nobodys", min_valid=9999) == "NoSuchAccount"
    assert why_refused(client, ["music::history"], account="main", min_valid=9999) == "LoginRequired"
    assert why_refused(client, [READ], account="main", min_valid=9999) == "InvalidArgument"


def test_refusals_are_on_the_trail(world):
    grants(world, f"[user:musicd]\nallow = {READ}\ndeny = profile\n")
    client = world.client("musicd")
    for scope in ("profile", "postal_code", READ):
        why_refused(client, [scope])
    found = wait_until(lambda: refusals_of(world, "user:musicd", 3), 5 * world.slowness, "three refusals")
    assert set(found) == {"profile", "postal_code", READ}
    assert found["profile"] == "table"


def refusals_of(world, app, n):
    """{scopes asked: what decided}, once there are n."""
    records = [record for record in apps.audit(world) if record["app"] == app and record["event"] != "token-disclosed"]
    return {record["asked"]: record["decided_by"] for record in records} if len(records) >= n else None


# --- grants.d ---


def test_malformed_file_denies_what_it_names(world):
    world.write_grants("other", f"[user:bob]\nallow = {ALL}\n")
    grants(world, f"[user:alice]\nallow = {READ}\nalow = profile\n")
    try:
        problems = apps.status(world)["problems"]
        assert len(problems) == 1 and "test.conf:3" in problems[0], problems
        assert why_refused(world.client("alice"), [READ]) == "AccessDenied"
        take(world.client("bob"), ["postal_code"])
        # Another file that allows it does not help.
        world.write_grants("other", f"[user:bob]\nallow = {ALL}\n[user:alice]\nallow = {READ}\n")
        world.reload()
        assert why_refused(world.client("alice"), [READ]) == "AccessDenied"
        grants(world, f"[user:alice]\nallow = {READ}\n")
        assert apps.status(world)["problems"] == []
        take(world.client("alice"), [READ])
    finally:
        world.write_grants("other", None)


def test_files_that_others_can_write_are_not_trusted(world):
    world.write_grants("test", f"[user:alice]\nallow = {ALL}\n")
    world.write("conf/grants.d/test.conf", f"[user:alice]\nallow = {ALL}\n", mode=0o666)
    world.reload()
    assert apps.status(world)["problems"]
    assert why_refused(world.client("alice"), [READ]) == "AccessDenied"


def test_removed_section_takes_effect_at_once(world):
    grants(world, f"[user:alice]\nallow = {READ}\n")
    client = world.client("alice")
    take(client, [READ])
    grants(world, None)
    assert why_refused(client, [READ]) == "ConsentRequired"


# --- CheckScopes ---


def test_check_scopes_has_no_effect(world):
    grants(world, f"[user:alice]\nallow = {READ} music::recommendation\nask = profile\ndeny = postal_code\n")
    client = world.client("alice")
    trail, sent = apps.audit(world), apps.counter(world, "requests")
    counters = world.sim.state()["counters"]
    assert check(client, [READ, "profile", "postal_code", "music::recommendation"]) == {
        READ: "allow",
        "profile": "ask",
        "postal_code": "deny",
        "music::recommendation": "login-required",
    }
    serial = client.send(BROKER, "CheckScopes", "asa{sv}", (["profile"], {}), interactive=True)
    assert client.wait(serial) == {"profile": "ask"}
    assert apps.audit(world) == trail
    assert (apps.counter(world, "requests"), world.sim.state()["counters"]) == (sent, counters)
    # It asked for no token, so it is told of no change.
    apps.link(world, "alice", [READ])
    assert client.drain() == []


def test_check_scopes_names_each_scope_as_asked(world):
    grants(world, f"[user:alice]\nallow = {ALL}\n")
    assert check(world.client("alice"), [LIBRARY, READ, READ]) == {LIBRARY: "allow", READ: "allow"}


def test_check_scopes_knows_what_polkit_says_of_extras(world):
    """`allow` means that GetToken gives a token."""
    grants(world, f"[user:alice]\nallow = {ALL}\n")
    world.write_rule("20-test", rule('d("scope") == "profile"', "NO"))
    client = world.client("alice")
    assert check(client, [LIBRARY]) == {LIBRARY: "login-required"}
    assert why_refused(client, [LIBRARY]) == "NarrowerLoginRequired"


@pytest.mark.parametrize(
    ("signature", "args"), [("", ()), ("as", ([READ],)), ("sa{sv}", (READ, {})), ("asa{su}", ([READ], {}))]
)
def test_check_scopes_signatures(world, signature, args):
    with refused("InvalidArgument"):
        world.client("alice").call(BROKER, "CheckScopes", signature, args)


def test_check_scopes_options(world):
    client = world.client("alice")
    with refused("InvalidArgument", '"min_valid"'):
        client.call(BROKER, "CheckScopes", "asa{sv}", ([READ], {"min_valid": ("u", 1)}))
    with refused("InvalidArgument", "1 to 32"):
        check(client, [READ], account="x" * 40)


# --- many logins (last: it leaves them behind) ---


def test_many_logins_with_refused_extras(world):
    """Each of them is tried in turn, however many polkit refuses."""
    extras = ["profile", "postal_code", "music::history", "music::favorites", LIBRARY, READ]
    for extra in extras:
        apps.link(world, "alice", ["music::catalog", extra])
    grants(world, f"[user:alice]\nallow = {ALL}\n")
    world.write_rule("20-test", rule('d("scope") != "music::catalog"', "NO"))
    assert why_refused(world.client("alice"), ["music::catalog"]) == "NarrowerLoginRequired"
