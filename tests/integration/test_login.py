# SPDX-License-Identifier: LGPL-2.1-or-later
"""Login1 and its request objects: linking by code, from Begin to the account."""

import re
import time

import pytest

from logins import (
    CATALOG,
    INTROSPECTABLE,
    LIBRARY,
    LOGIN,
    PLAYBACK,
    REQUEST,
    UNKNOWN_OBJECT,
    Login,
    accounts,
    answer_by_page,
    counter,
    error_of,
    grants,
    link,
    polls,
    refreshes,
    settle,
    status,
    store_held,
    take,
    trail,
    wait_trail,
)
from world import wait_until

OUTCOME_SENT = "token.device_code.ok"


@pytest.fixture
def quick(world):
    return settle(world)


def begin(client, flow="device-code", scopes=(LIBRARY,), options=None):
    return client.call(LOGIN, "Begin", "sasa{sv}", (flow, list(scopes), options or {}))


def approve(world, login, customer="alice", answer="allow"):
    world.sim.approve(login.wait_state("waiting").code, customer, answer)


# --- the whole way ---


def test_states_come_in_order(quick):
    alice = quick.client("alice")
    login = Login(alice, [LIBRARY, "profile"])
    began = time.time()
    assert login.properties()["State"] in ("starting", "waiting")
    login.wait_state("waiting")
    state = quick.sim.state()
    assert [pair["user_code"] for pair in state["code_pairs"]] == [login.code]
    assert login.uri == state["public_base"] + "/code"
    assert abs(login.expires_at - (began + 600)) <= 5
    assert login.properties() == {
        "State": "waiting",
        "UserCode": login.code,
        "VerificationUri": login.uri,
        "AuthorizeUri": "",
        "Notice": "",
        "ExpiresAt": login.expires_at,
    }
    assert accounts(alice) == {}
    quick.sim.approve(login.code)
    outcome, details = login.finish()
    assert (outcome, details) == ("linked", {"account": "main", "scopes": [LIBRARY, "profile"]})
    assert login.states == ["waiting", "exchanging", "proving", "done"]
    assert error_of(login.properties).name == UNKNOWN_OBJECT
    account = accounts(alice)["main"]
    assert account["default"] and not account["needs_login"] and account["owner"] == "alice"
    assert account["grants"] == [f"{LIBRARY} profile"]
    text, info = take(alice, ["music::library:read"])
    assert text.startswith("Atza|") and info["account"] == "main"


def test_done_is_said_before_finished(quick):
    """Who waits for Finished alone knows that nothing of this object comes after it."""
    alice = quick.client("alice")
    login = Login(alice, [LIBRARY])
    approve(quick, login)
    wait_until(lambda: accounts(alice), 10 * quick.slowness, "the account")
    seen = [member for _, member, _ in alice.drain(0.3)]
    assert seen[-1] == "Finished" and seen.count("Finished") == 1
    assert seen[:-1] == ["PropertiesChanged"] * 3


@pytest.mark.parametrize("answer, outcome", [("allow", "linked"), ("deny", "denied")])
def test_through_the_web_page(quick, answer, outcome):
    login = Login(quick.client("alice"), [LIBRARY]).wait_state("waiting")
    page = answer_by_page(quick, login.uri, login.code, "alice", answer)
    assert ("is linked" in page) == (answer == "allow")
    assert login.finish()[0] == outcome


def test_proving_refresh_is_durable_before_linked(quick):
    """With a provider that rotates and ends the old token, a broker that is killed at the very moment it says
    `linked` must come back with the new one (I4)."""
    quick.sim.set(rotation="new", rotation_kills_old="yes")
    alice = quick.client("alice")
    login = Login(alice, [LIBRARY])
    approve(quick, login)
    assert login.finish()[0] == "linked"
    quick.broker.kill9()
    assert counter(quick, "token.refresh_token.ok") == 1
    assert counter(quick, "tokeninfo.ok") == 1
    quick.broker.start()
    take(quick.client("alice"))
    assert counter(quick, "token.refresh_token.ok") == 2
    assert counter(quick, "token.refresh_token.invalid_grant") == 0


def test_killed_while_proving(quick):
    quick.sim.fault("token", "hang-before", count=1, grant_type="refresh_token")
    login = Login(quick.client("alice"), [LIBRARY])
    approve(quick, login)
    login.wait_state("proving")
    wait_until(lambda: refreshes(quick), 5 * quick.slowness, "the proving refresh")
    quick.broker.kill9()
    quick.sim.clear_faults()
    quick.broker.start()
    alice = quick.client("alice")
    found = wait_until(lambda: accounts(alice), 15 * quick.slowness, "the login to be proven")
    assert list(found) == ["main"] and found["main"]["grants"] == [LIBRARY]
    take(alice)


def test_transient_trouble_while_proving(quick):
    """Neither a failing refresh nor a failing tokeninfo ends a login that the person has agreed to (I6)."""
    quick.sim.fault("token", "status-503", count=1, grant_type="refresh_token")
    quick.sim.fault("tokeninfo", "html-502", count=1)
    login = Login(quick.client("alice"), [LIBRARY])
    approve(quick, login)
    assert login.finish(timeout=25 * quick.slowness)[0] == "linked"
    assert counter(quick, "tokeninfo.requests") == 2


# --- options ---


def test_options(quick):
    alice = quick.client("alice")
    options = {"label": "Küche <b>", "locale": "de-DE", "scope_data": '{"alexa:all":{"productID":"p"}}'}
    assert link(quick, "alice", ["alexa:all"], client=alice, **options) == "main"
    assert accounts(alice)["main"]["label"] == "Küche <b>"
    assert link(quick, "alice", [LIBRARY], client=alice, account="main") == "main"
    assert sorted(accounts(alice)["main"]["grants"]) == ["alexa:all", LIBRARY]


def test_owner_device(quick):
    assert link(quick, "root", [LIBRARY], "carol", owner="device") == "device"
    alice = quick.client("alice")
    assert accounts(alice)["device"]["owner"] == "device"
    # Nobody but an administrator, and there is none to ask; neither by extending it.
    assert error_of(begin, alice, options={"owner": ("s", "device")}).short == "ConsentRequired"
    assert error_of(begin, alice, options={"account": ("s", "device")}).short == "ConsentRequired"
    assert accounts(alice).keys() == {"device"}


BAD = [
    ("InvalidArgument", "device_code", [LIBRARY], {}),
    ("InvalidArgument", "", [LIBRARY], {}),
    ("InvalidArgument", "x" * 5000, [LIBRARY], {}),
    ("InvalidArgument", "authorization-code", [LIBRARY], {}),
    ("InvalidArgument", "import", [LIBRARY], {}),
    ("InvalidArgument", "device-code", [LIBRARY], {"redirect_uri": ("s", "https://app.example/")}),
    ("InvalidArgument", "device-code", [], {}),
    ("InvalidArgument", "device-code", [LIBRARY] * 33, {}),
    ("InvalidScope", "device-code", ["music::nothing"], {}),
    ("InvalidScope", "device-code", [LIBRARY + " profile"], {}),
    ("InvalidScope", "device-code", [""], {}),
    ("InvalidScope", "device-code", ["x" * 200], {}),
    ("InvalidArgument", "device-code", [LIBRARY], {"colour": ("s", "red")}),
    ("InvalidArgument", "device-code", [LIBRARY], {"label": ("u", 7)}),
    ("InvalidArgument", "device-code", [LIBRARY], {"label": ("s", "x" * 129)}),
    ("InvalidArgument", "device-code", [LIBRARY], {"label": ("s", "a\nb")}),
    ("InvalidArgument", "device-code", [LIBRARY], {"label": ("s", "a\x1b[2Jb")}),
    ("InvalidArgument", "device-code", [LIBRARY], {"label": ("s", "a\x9b2Jb")}),
    ("InvalidArgument", "device-code", [LIBRARY], {"locale": ("s", "de\r\nX: y")}),
    ("InvalidArgument", "device-code", [LIBRARY], {"locale": ("s", "")}),
    ("InvalidArgument", "device-code", [LIBRARY], {"locale": ("s", "x" * 36)}),
    ("InvalidArgument", "device-code", [LIBRARY], {"scope_data": ("s", "x" * 4097)}),
    ("InvalidArgument", "device-code", [LIBRARY], {"scope_data": ("s", "{\x07}")}),
    ("InvalidArgument", "device-code", [LIBRARY], {"owner": ("s", "bob")}),
    ("InvalidArgument", "device-code", [LIBRARY], {"account": ("s", "Main")}),
    ("InvalidArgument", "device-code", [LIBRARY], {"account": ("s", "")}),
    ("InvalidArgument", "device-code", [LIBRARY], {"account": ("s", "a" * 33)}),
    ("NoSuchAccount", "device-code", [LIBRARY], {"account": ("s", "main-7")}),
]


def test_bad_arguments(quick):
    alice = quick.client("alice")
    found = []
    for expected, flow, scopes, options in BAD:
        try:
            login = begin(alice, flow, scopes, options)
            alice.call(REQUEST, "Cancel", path=login)
            found.append(("begun", flow, scopes, options))
        except Exception as error:
            found.append((error.short, flow, scopes, options))
    assert found == BAD
    assert counter(quick, "codepair.requests") == 0
    # What was wrong is named.
    assert "colour" in error_of(begin, alice, options={"colour": ("s", "red")}).message
    assert "music::nothing" in error_of(begin, alice, scopes=["music::nothing"]).message


def test_offline_is_told_at_once(quick):
    """Nobody waits for a code that cannot come; and nothing is tried behind the person's back."""
    alice = quick.client("alice")
    quick.simulator.stop()
    began = time.monotonic()
    login = Login(alice, [LIBRARY])
    assert login.finish() == ("failed", {"error": "ProviderUnavailable", "reason": "offline"})
    assert time.monotonic() - began < 3 * quick.slowness
    assert "network" in login.message
    quick.write_config(provider={"codepair_endpoint": "https://no-such-host.invalid/codepair"})
    quick.reload()
    assert Login(alice, [LIBRARY]).finish()[1]["reason"] == "offline"
    assert status(alice)["logins"] == 0


def test_wrong_region(quick):
    """The login is made, and the first use of it is refused."""
    quick.sim.set(wrong_region="yes")
    login = Login(quick.client("alice"), [LIBRARY])
    approve(quick, login)
    assert login.finish() == ("failed", {"error": "ProviderMisconfigured", "reason": "region-or-client"})
    assert "region" in login.message and accounts(login.client) == {}
    wait_trail(quick.client("root"), "login-failed", detail="region-or-client")


def test_account_of_another_user_is_not_there(quick):
    link(quick, "bob", [LIBRARY])
    link(quick, "bob", [LIBRARY], "carol")
    error = error_of(begin, quick.client("alice"), options={"account": ("s", "main-2")})
    assert error.short == "NoSuchAccount"


def test_complete_is_for_other_flows(quick):
    login = Login(quick.client("alice"), [LIBRARY]).wait_state("waiting")
    arguments = ({"code": ("s", "x")},)
    assert error_of(login.client.call, REQUEST, "Complete", "a{sv}", arguments, path=login.path).short == "NotSupported"
    assert login.properties()["State"] == "waiting"


# --- polling ---


def test_interval_is_honoured(quick):
    quick.sim.set(interval=3)
    login = Login(quick.client("alice"), [LIBRARY]).wait_state("waiting")
    began = time.monotonic()
    wait_until(lambda: polls(quick) == 2, 12 * quick.slowness, "two polls")
    assert time.monotonic() - began >= 5.8
    login.cancel()
    assert login.finish() == ("cancelled", {})


def test_slow_down_is_honoured(quick):
    """Polled each second where three are asked for, the provider says slow_down: 1 s becomes 6."""
    quick.sim.set(min_poll_interval=3)
    login = Login(quick.client("alice"), [LIBRARY]).wait_state("waiting")
    wait_until(lambda: counter(quick, "token.device_code.slow_down") == 1, 10 * quick.slowness, "slow_down")
    slowed = time.monotonic()
    quick.sim.approve(login.code)
    outcome, _ = login.finish(timeout=20 * quick.slowness)
    assert outcome == "linked" and time.monotonic() - slowed >= 5.5
    assert polls(quick) == 3


POLL_TROUBLE = ["status-500", "status-503", "html-502", "html-200", "http-429", "empty-200", "wrong-types", "reset"]


def test_trouble_while_polling(quick):
    """A person is typing: what goes wrong meanwhile is waited out (I6)."""
    login = Login(quick.client("alice"), [LIBRARY]).wait_state("waiting")
    for kind in POLL_TROUBLE:
        quick.sim.fault("token", kind, grant_type="device_code")
    wait_until(lambda: not quick.sim.state()["faults"], 30 * quick.slowness, "all faults to be met")
    assert login.properties()["State"] == "waiting"
    quick.sim.approve(login.code)
    assert login.finish()[0] == "linked"


def test_lost_tokens_use_up_the_code(quick):
    """The provider gave tokens and the answer was lost: the pair is used up, and the person is told at once."""
    login = Login(quick.client("alice"), [LIBRARY]).wait_state("waiting")
    quick.sim.fault("token", "reset-after", grant_type="device_code")
    quick.sim.approve(login.code)
    assert login.finish()[0] == "expired"
    assert accounts(login.client) == {}


def test_expiry(quick):
    quick.sim.set(code_lifetime=2)
    login = Login(quick.client("alice"), [LIBRARY])
    began = time.monotonic()
    assert login.finish() == ("expired", {"reason": "expired"})
    assert "again" in login.message
    assert time.monotonic() - began < 5 * quick.slowness
    wait_trail(quick.client("root"), "login-failed", detail="expired", app="user:alice")


def test_denial(quick):
    login = Login(quick.client("alice"), [LIBRARY])
    approve(quick, login, answer="deny")
    assert login.finish() == ("denied", {"reason": "denied"})
    assert accounts(login.client) == {}


# --- cancelling and leaving ---


@pytest.mark.parametrize("state", ["starting", "waiting", "proving"])
def test_cancel(quick, state):
    if state == "starting":
        quick.sim.fault("codepair", "hang-before")
    if state == "proving":
        quick.sim.fault("token", "hang-before", grant_type="refresh_token")
    login = Login(quick.client("alice"), [LIBRARY])
    if state != "starting":
        login.wait_state("waiting")
    if state == "proving":
        quick.sim.approve(login.code)
        login.wait_state("proving")
    assert login.properties()["State"] == state
    login.cancel()
    assert login.finish(timeout=3 * quick.slowness) == ("cancelled", {})
    assert error_of(login.cancel).name == UNKNOWN_OBJECT
    wait_trail(quick.client("root"), "login-failed", detail="cancelled")
    assert accounts(login.client) == {} and grants(login.client) == []
    quick.broker.restart()
    assert grants(quick.client("alice")) == []


def test_cancel_while_the_token_is_stored(quick):
    login = Login(quick.client("alice"), [LIBRARY]).wait_state("waiting")
    with store_held(quick):
        quick.sim.approve(login.code)
        login.wait_state("exchanging")
        login.cancel()
    assert login.finish() == ("cancelled", {})
    wait_trail(quick.client("root"), "login-failed", detail="cancelled")
    assert accounts(login.client) == {} and grants(login.client) == []
    quick.broker.restart()
    assert grants(quick.client("alice")) == []


def test_cancel_while_the_account_is_written(quick):
    """Too late or not, what the creator is told is what is so, now and after a restart."""
    quick.sim.fault("tokeninfo", "delay", ms=100)
    login = Login(quick.client("alice"), [LIBRARY]).wait_state("waiting")
    quick.sim.approve(login.code)
    wait_until(lambda: counter(quick, "tokeninfo.requests") == 1, 10 * quick.slowness, "tokeninfo")
    with store_held(quick):
        wait_until(lambda: counter(quick, "tokeninfo.ok") == 1, 1, "its answer")
        time.sleep(0.1)  # for the broker to read it; either end is right
        login.cancel()
    outcome, _ = login.finish()
    expected = {"linked": {"main"}, "cancelled": set()}[outcome]
    assert accounts(login.client).keys() == expected
    quick.broker.restart()
    assert accounts(quick.client("alice")).keys() == expected


def test_request_dies_with_its_creator(quick):
    alice = quick.client("alice")
    second = alice.another()
    login = Login(second, [LIBRARY]).wait_state("waiting")
    wait_until(lambda: polls(quick) == 1, 5 * quick.slowness, "a poll")
    second.close()
    wait_trail(quick.client("root"), "login-failed", detail="caller-left")
    before = polls(quick)
    time.sleep(1.5)
    assert polls(quick) == before
    assert error_of(alice.get_properties, REQUEST, path=login.path).name == UNKNOWN_OBJECT


def test_creator_leaves_while_proving(quick):
    """The person has agreed, and the tokens are here: the login is finished all the same."""
    quick.sim.fault("token", "delay", ms=700, grant_type="refresh_token")
    alice = quick.client("alice")
    second = alice.another()
    login = Login(second, [LIBRARY])
    approve(quick, login)
    login.wait_state("proving")
    second.close()
    wait_until(lambda: accounts(alice), 10 * quick.slowness, "the account")
    take(alice)


def test_creator_leaves_while_the_token_is_stored(quick):
    alice = quick.client("alice")
    second = alice.another()
    before = status(alice)["connections"]
    login = Login(second, [LIBRARY]).wait_state("waiting")
    with store_held(quick):
        quick.sim.approve(login.code)
        login.wait_state("exchanging")
        second.close()
        wait_until(lambda: status(alice)["connections"] <= before, 1, "its departure")
    wait_until(lambda: accounts(alice), 10 * quick.slowness, "the account")
    take(alice)


def test_request_is_its_creators_alone(quick):
    """Who reads a user code first can link his own account: not even another connection of the same process sees
    the request."""
    alice = quick.client("alice")
    login = Login(alice, [LIBRARY]).wait_state("waiting")
    parent = login.path.rsplit("/", 1)[0]
    own = alice.call(INTROSPECTABLE, "Introspect", path=parent)
    assert f'<node name="{login.path.rsplit("/", 1)[1]}"/>' in own
    with alice.another() as second:
        for other in (second, quick.client("alice"), quick.client("bob"), quick.client("root")):
            other.add_match(type="signal", path=login.path)
            for interface, member, signature, args in (
                (REQUEST, "Cancel", "", ()),
                (REQUEST, "Complete", "a{sv}", ({},)),
                ("org.freedesktop.DBus.Properties", "GetAll", "s", (REQUEST,)),
                ("org.freedesktop.DBus.Properties", "Get", "ss", (REQUEST, "UserCode")),
                (INTROSPECTABLE, "Introspect", "", ()),
            ):
                error = error_of(other.call, interface, member, signature, args, path=login.path)
                assert error.name == UNKNOWN_OBJECT, (other.user, member)
            assert "<node name=" not in other.call(INTROSPECTABLE, "Introspect", path=parent)
        quick.sim.approve(login.code)
        assert login.finish()[0] == "linked"
        assert second.drain(0.2) == []


def test_open_logins_are_limited(quick):
    alice = quick.client("alice")
    with alice.another() as second:
        open_logins = [Login(alice, [LIBRARY]) for _ in range(3)] + [Login(second, [LIBRARY])]
        for client in (alice, second, quick.client("alice")):
            assert error_of(begin, client).short == "RateLimited"
        Login(quick.client("bob"), [LIBRARY])  # another user is not in the way
        open_logins[0].cancel()
        open_logins[0].finish()
        Login(second, [LIBRARY])


# --- what the provider refuses ---

CODEPAIR = [
    ("status-500", {}, "ProviderUnavailable", "provider"),
    ("status-503", {}, "ProviderUnavailable", "provider"),
    ("html-502", {}, "ProviderUnavailable", "provider"),
    ("html-200", {}, "ProviderUnavailable", "captive-portal"),
    ("http-429", {}, "ProviderUnavailable", "provider"),
    ("huge", {}, "ProviderUnavailable", "provider"),
    ("nested", {}, "ProviderUnavailable", "provider"),
    ("duplicate-keys", {}, "ProviderUnavailable", "provider"),
    ("wrong-types", {}, "ProviderUnavailable", "provider"),
    ("empty-200", {}, "ProviderUnavailable", "provider"),
    ("nul-and-percent", {}, "ProviderUnavailable", "provider"),
    ("redirect", {"location": "https://localhost/elsewhere"}, "ProviderUnavailable", "captive-portal"),
    ("reset", {}, "ProviderUnavailable", "provider"),
    ("reset-after", {}, "ProviderUnavailable", "provider"),
    ("truncated", {}, "ProviderUnavailable", "provider"),
    ("error", {"error": "server_error"}, "ProviderUnavailable", "provider"),
    ("error", {"error": "invalid_client", "status": 401}, "ProviderMisconfigured", "client"),
    ("error", {"error": "unauthorized_client"}, "ProviderMisconfigured", "client"),
    ("error", {"error": "invalid_request"}, "ProviderMisconfigured", "request"),
    ("error", {"error": "unheard_of"}, "ProviderMisconfigured", "request"),
    ("error", {"error": "invalid_scope"}, "InvalidScope", "scope"),
    # invalid_grant makes no sense here: it is no dead login
    ("error", {"error": "invalid_grant"}, "ProviderMisconfigured", "request"),
]


def test_provider_errors_at_codepair(quick):
    """Each ends the login at once, with a name, and with nothing of the provider's text."""
    alice = quick.client("alice")
    wrong = []
    for kind, more, expected, reason in CODEPAIR:
        quick.sim.fault("codepair", kind, **more)
        began = time.monotonic()
        outcome, details = Login(alice, [LIBRARY]).finish()
        if (outcome, details) != ("failed", {"error": expected, "reason": reason}) or time.monotonic() - began > 3 * quick.slowness:
            wrong.append((kind, more, outcome, details, time.monotonic() - began))
        assert quick.sim.state()["faults"] == []
    assert wrong == []
    assert counter(quick, "elsewhere.requests") == 0
    quick.sim.fault("codepair", "error", error="access_denied")
    assert Login(alice, [LIBRARY]).finish() == ("denied", {"reason": "denied"})


def test_hanging_provider_is_given_up(quick):
    quick.write_config(provider={"request_timeout": 1})
    quick.reload()
    quick.sim.fault("codepair", "hang-before")
    login = Login(quick.client("alice"), [LIBRARY])
    assert login.finish(timeout=5 * quick.slowness) == (
        "failed",
        {"error": "ProviderUnavailable", "reason": "provider"},
    )


def test_web_client_id(quick):
    """The most repeated mistake, a web client id on a device: linking works, and the first refresh is refused."""
    quick.sim.set(client_type="web")
    login = Login(quick.client("alice"), [LIBRARY])
    approve(quick, login)
    assert login.finish() == ("failed", {"error": "ProviderMisconfigured", "reason": "client-type"})
    assert "proving" in login.states
    assert accounts(login.client) == {} and grants(login.client) == []
    wait_trail(quick.client("root"), "login-failed", detail="client-type")


def test_scope_that_the_profile_does_not_have(quick):
    quick.sim.set(disabled_scopes="postal_code")
    login = Login(quick.client("alice"), ["postal_code"])
    assert login.finish() == ("failed", {"error": "InvalidScope", "reason": "scope"})
    assert "Amazon Music" in login.message and "enabled for the profile by Amazon" in login.message


# --- several logins ---


def test_same_customer_joins_the_account(quick):
    alice = quick.client("alice")
    assert link(quick, "alice", [LIBRARY], client=alice) == "main"
    first = grants(alice)[0]["grant"]
    # Equal: takes the place of the first.
    assert link(quick, "alice", [LIBRARY], client=alice) == "main"
    assert [grant["grant"] for grant in grants(alice)] != [first] and len(grants(alice)) == 1
    # Other scopes: beside it.
    assert link(quick, "alice", [CATALOG], client=alice) == "main"
    assert sorted(grant["scopes"][0] for grant in grants(alice)) == [CATALOG, LIBRARY]
    assert list(accounts(alice)) == ["main"]


def test_new_login_supersedes_a_dead_one(quick):
    alice = quick.client("alice")
    link(quick, "alice", [LIBRARY], client=alice)
    quick.sim.revoke("alice")
    quick.broker.restart()
    alice = quick.client("alice")
    assert error_of(take, alice).short == "LoginRequired"
    assert [grant["state"] for grant in grants(alice)] == ["dead"]
    assert link(quick, "alice", [LIBRARY, PLAYBACK], client=alice) == "main"
    assert [grant["scopes"] for grant in grants(alice)] == [[LIBRARY, PLAYBACK]]
    take(alice)


def test_another_customer_is_another_account(quick):
    alice = quick.client("alice")
    assert link(quick, "alice", [LIBRARY], "alice", alice) == "main"
    assert link(quick, "alice", [LIBRARY], "carol", alice) == "main-2"
    found = accounts(alice)
    assert found["main"]["default"] and not found["main-2"]["default"]
    assert take(alice)[1]["account"] == "main"
    assert take(alice, account="main-2")[1]["account"] == "main-2"
    # The same customer under another owner is that owner's own account.
    assert link(quick, "bob", [LIBRARY], "alice") == "main"
    assert len(accounts(alice)) == 2


def test_extending_with_another_customer_is_refused(quick):
    alice = quick.client("alice")
    link(quick, "alice", [LIBRARY], "alice", alice)
    before = take(alice)[0]
    login = Login(alice, [LIBRARY], account="main")
    approve(quick, login, "carol")
    assert login.finish() == ("failed", {"error": "AccessDenied", "reason": "other-customer"})
    assert "another Amazon customer" in login.message
    wait_trail(quick.client("root"), "login-failed", detail="other-customer", account="main")
    assert list(accounts(alice)) == ["main"] and len(grants(alice)) == 1
    assert take(alice)[0] == before
    quick.sim.expire_tokens()
    quick.broker.restart()
    take(quick.client("alice"))


# --- who may ---


def test_user_who_may_not_log_in(quick):
    carol = quick.client("carol")
    assert error_of(begin, carol).short == "ConsentRequired"  # the action's default is a question
    rule = 'polkit.addRule(function(a, s) { if (a.id === "org.lwabroker.login") return polkit.Result.NO; });'
    quick.write_rule("05-nobody", rule)
    assert error_of(begin, carol).short == "AccessDenied"
    assert error_of(begin, quick.client("alice")).short == "AccessDenied"
    assert counter(quick, "codepair.requests") == 0


def test_no_polkit_no_login(quick):
    quick.polkitd.stop()
    assert error_of(begin, quick.client("alice")).short == "AccessDenied"
    quick.start("polkit")
    alice = quick.client("alice")
    wait_until(lambda: try_begin(alice), 10 * quick.slowness, "polkit to be asked again")


def try_begin(client):
    try:
        return begin(client)
    except Exception:
        return None


def test_a_login_is_on_the_trail(quick):
    alice, root = quick.client("alice"), quick.client("root")
    link(quick, "alice", [LIBRARY], client=alice)
    events = [record["event"] for record in trail(root)]
    assert events.index("login-begun") < events.index("token-refreshed") < events.index("login-finished")
    finished = wait_trail(root, "login-finished")
    assert re.fullmatch("main", finished["account"]) and finished["owner"] == "alice"
