# SPDX-License-Identifier: LGPL-2.1-or-later
"""Login by redirect (authorization-code): the address, what comes back, and what was granted."""

import json
import os
import pwd
import time
import urllib.parse

import pytest
from shim import Shim

from logins import (
    LIBRARY,
    LOGIN,
    PLAYBACK,
    REQUEST,
    UNKNOWN_OBJECT,
    Login,
    accounts,
    counter,
    error_of,
    grants,
    link,
    settle,
    status,
    store_held,
    take,
    wait_trail,
)
from world import wait_until

REDIRECT = "http://127.0.0.1:9090/cb"
ANSWERED = "token.authorization_code.ok"
ASKED = "token.authorization_code.requests"


@pytest.fixture
def quick(world):
    return settle(world)


def begin(client, scopes=(LIBRARY,), **options):
    """A login that waits for its redirect."""
    options = {"redirect_uri": REDIRECT, **options}
    return Login(client, list(scopes), "authorization-code", **options).wait_state("waiting")


def query_of(uri):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(uri).query, strict_parsing=True))


def hand_in(login, answer, *names):
    """What the redirect brought, as a listener hands it in; all of it, or only what is named."""
    names = names or ("code", "state", "scope", "error")
    login.complete(**{name: answer[name] for name in names if name in answer})


def voluntary(*scopes):
    return json.dumps({scope: {"essential": False} for scope in scopes})


def set_secret(world, secret="simulated-secret"):
    path = world.path("conf/client-secret")
    world.write_or_remove("conf/client-secret", None)
    with open(path, "w", encoding="ascii") as file:
        file.write(secret)
    os.chmod(path, 0o440)
    os.chown(path, 0, pwd.getpwnam("lwa-broker").pw_gid)
    world.write_config(provider={"client_secret_file": path})


# --- the whole way ---


def test_states_and_address(quick):
    alice = quick.client("alice")
    began = time.time()
    login = begin(alice, ["profile", LIBRARY], locale="de-DE")
    assert login.states == ["waiting"]
    assert login.properties() == {
        "State": "waiting",
        "UserCode": "",
        "VerificationUri": "",
        "AuthorizeUri": login.authorize_uri,
        "Notice": login.notice,
        "ExpiresAt": login.expires_at,
    }
    assert abs(login.expires_at - (began + 600)) <= 5
    assert login.authorize_uri.startswith(quick.sim.state()["public_base"] + "/ap/oa?")
    query = query_of(login.authorize_uri)
    assert query.keys() == {
        "client_id", "scope", "response_type", "redirect_uri", "state", "code_challenge", "code_challenge_method",
    }  # fmt: skip
    assert query["scope"] == f"{LIBRARY} profile" and query["response_type"] == "code"
    assert query["redirect_uri"] == REDIRECT and query["code_challenge_method"] == "S256"
    assert len(query["state"]) == len(query["code_challenge"]) == 43
    hand_in(login, quick.sim.authorize(login.authorize_uri))
    assert login.finish() == ("linked", {"account": "main", "scopes": [LIBRARY, "profile"]})
    assert login.states == ["waiting", "exchanging", "proving", "done"]
    assert error_of(login.properties).name == UNKNOWN_OBJECT
    assert counter(quick, ANSWERED) == 1
    account = accounts(alice)["main"]
    assert account["grants"] == [f"{LIBRARY} profile"] and not account["claimed"]
    take(alice)
    finished = wait_trail(quick.client("root"), "login-begun")
    assert finished["detail"] == "authorization-code"


def fail(client):
    """(reason, states, seconds) of a login that cannot begin."""
    began = time.monotonic()
    login = Login(client, [LIBRARY], "authorization-code", redirect_uri=REDIRECT)
    outcome, details = login.finish()
    assert outcome == "failed" and details["error"] == "ProviderUnavailable" and login.authorize_uri == ""
    return details["reason"], login.states, time.monotonic() - began


def test_offline_is_told_at_once(quick):
    """Nobody fills in a page whose code could not be exchanged then."""
    alice = quick.client("alice")
    quick.write_config(provider={"tokeninfo_endpoint": "https://no-such-host.invalid/tokeninfo"})
    quick.reload()
    assert fail(alice)[:2] == ("offline", ["done"])
    quick.write_config()
    quick.reload()
    begin(alice).cancel()
    quick.simulator.stop()
    reason, states, seconds = fail(alice)
    assert (reason, states) == ("offline", ["done"]) and seconds < 3 * quick.slowness
    wait_until(lambda: status(alice)["logins"] == 0, 2, "no login")
    wait_trail(quick.client("root"), "login-failed", detail="offline", app="user:alice")


def test_lwactl_tells_at_once(quick):
    """Before it shows an address."""
    quick.simulator.stop()
    done = quick.run_as("alice", ["lwactl", "login", "--browser", "--no-open", LIBRARY])
    assert done.returncode == 6 and "Check the network" in done.stderr
    assert "http" not in done.stdout + done.stderr


@pytest.mark.parametrize("certs, reason", [("--expired", "clock"), ("--other-host", "offline")])
def test_certificate_that_is_not_good(quick, certs, reason):
    quick.write_config(provider={"ca_file": quick.restart_sim(certs)})
    quick.reload()
    assert fail(quick.client("alice"))[0] == reason


def test_captive_portal_is_told_at_once(quick):
    alice = quick.client("alice")
    quick.sim.fault("tokeninfo", "html-200")
    quick.sim.fault("tokeninfo", "redirect", location="https://localhost/elsewhere")
    assert [fail(alice)[0] for _ in range(2)] == ["captive-portal", "captive-portal"]
    begin(alice).cancel()


def test_silent_provider_is_told_at_once(quick):
    """It is connected, and says nothing: the time to connect is all that it gets. Until then there is no address, and
    nothing can be handed in."""
    quick.write_config(provider={"connect_timeout": 1})
    quick.reload()
    quick.sim.fault("tokeninfo", "hang-before")
    alice = quick.client("alice")
    login = Login(alice, [LIBRARY], "authorization-code", redirect_uri=REDIRECT)
    properties = login.properties()
    assert (properties["State"], properties["AuthorizeUri"]) == ("starting", "")
    assert "waiting" in error_of(login.complete, code="x", state="y").message
    assert login.finish(timeout=5 * quick.slowness) == ("failed", {"error": "ProviderUnavailable", "reason": "offline"})
    assert login.states == ["done"]


@pytest.mark.parametrize("kind", ["status-503", "http-429", "html-502"])
def test_provider_in_trouble_is_reached(quick, kind):
    """The page of Amazon is another server's; the exchange is minutes away."""
    quick.sim.fault("tokeninfo", kind)
    login = begin(quick.client("alice"))
    hand_in(login, quick.sim.authorize(login.authorize_uri))
    assert login.finish()[0] == "linked"


def test_every_login_has_its_own_state_and_challenge(quick):
    alice = quick.client("alice")
    queries = [query_of(begin(alice).authorize_uri) for _ in range(3)]
    for name in ("state", "code_challenge"):
        assert len({query[name] for query in queries}) == 3


@pytest.mark.parametrize("uri", ["https://app.example/cb?a=b", "amzn://com.example.app", "http://[::1]:7/x"])
def test_companion_app_and_website(quick, uri):
    """The same flow, with the code handed in by whoever caught it."""
    login = begin(quick.client("alice"), redirect_uri=uri)
    hand_in(login, quick.sim.authorize(login.authorize_uri), "code", "state")
    assert login.finish()[0] == "linked"


def test_owner_device_is_for_administrators(quick):
    alice = quick.client("alice")
    arguments = ("authorization-code", [LIBRARY], {"redirect_uri": ("s", REDIRECT), "owner": ("s", "device")})
    assert error_of(alice.call, LOGIN, "Begin", "sasa{sv}", arguments).short == "ConsentRequired"
    login = begin(quick.client("root"), owner="device")
    hand_in(login, quick.sim.authorize(login.authorize_uri, "carol"))
    assert login.finish()[1]["account"] == "device"


def test_another_customer_is_refused(quick):
    alice = quick.client("alice")
    link(quick, "alice", [LIBRARY], client=alice)
    login = begin(alice, [PLAYBACK], account="main")
    hand_in(login, quick.sim.authorize(login.authorize_uri, "carol"))
    assert login.finish() == ("failed", {"error": "AccessDenied", "reason": "other-customer"})
    assert [grant["scopes"] for grant in grants(alice)] == [[LIBRARY]]


# --- what was granted ---


def test_deselected_scopes(quick):
    """What the person de-selected is not served; and for I1 the token counts as one that may carry it all the same."""
    alice = quick.client("alice")
    login = begin(alice, [LIBRARY, "profile"], scope_data=voluntary("profile"))
    answer = quick.sim.authorize(login.authorize_uri, deselect="profile")
    assert answer["scope"] == LIBRARY
    hand_in(login, answer)
    assert login.finish() == ("linked", {"account": "main", "scopes": [LIBRARY], "refused": ["profile"]})
    assert accounts(alice)["main"]["grants"] == [LIBRARY]
    assert take(alice)[1]["scopes"] == [LIBRARY]
    assert error_of(take, alice, ["profile"]).short == "LoginRequired"
    quick.write_grants("people", "[user:alice]\nallow = music::library\ndeny = profile\n")
    quick.reload()
    assert error_of(take, alice).short == "NarrowerLoginRequired"
    quick.broker.restart()
    assert error_of(take, quick.client("alice")).short == "NarrowerLoginRequired"


def test_more_than_asked_is_reckoned_with(quick):
    """A redirect that reports more: the token may carry it (I1), and is not used for it."""
    alice = quick.client("alice")
    login = begin(alice)
    answer = quick.sim.authorize(login.authorize_uri)
    login.complete(code=answer["code"], state=answer["state"], scope=f"{LIBRARY} profile")
    assert login.finish() == ("linked", {"account": "main", "scopes": [LIBRARY]})
    take(alice)
    assert error_of(take, alice, ["profile"]).short == "LoginRequired"
    quick.write_grants("people", "[user:alice]\nallow = music::library\ndeny = profile\n")
    quick.reload()
    assert error_of(take, alice).short == "NarrowerLoginRequired"


def test_implied_scopes_count_as_granted(quick):
    login = begin(quick.client("alice"), [LIBRARY, "profile"])
    answer = quick.sim.authorize(login.authorize_uri)
    login.complete(code=answer["code"], state=answer["state"], scope="music::library:read  profile")
    assert login.finish() == (
        "linked",
        {"account": "main", "scopes": ["music::library:read", "profile"], "refused": [LIBRARY]},
    )


@pytest.mark.parametrize("scope", ["", "music::catalog"])
def test_nothing_left(quick, scope):
    login = begin(quick.client("alice"))
    answer = quick.sim.authorize(login.authorize_uri)
    login.complete(code=answer["code"], state=answer["state"], scope=scope)
    assert login.finish() == ("failed", {"error": "AccessDenied", "reason": "no-scopes-granted"})
    assert counter(quick, ASKED) == 0 and accounts(login.client) == {}


def test_scope_of_no_catalogue(quick):
    """Nothing is known of it, so no app may hold a token that carries it: there is no use in such a login."""
    login = begin(quick.client("alice"))
    answer = quick.sim.authorize(login.authorize_uri)
    login.complete(code=answer["code"], state=answer["state"], scope=f"{LIBRARY} brand:new")
    assert login.finish() == ("failed", {"error": "InvalidScope", "reason": "unlisted-scope"})
    assert counter(quick, ASKED) == 0


# --- what comes back ---

REDIRECT_ERRORS = [
    ("access_denied", "denied", {"reason": "denied"}),
    ("invalid_scope", "failed", {"error": "InvalidScope", "reason": "scope"}),
    ("unauthorized_client", "failed", {"error": "ProviderMisconfigured", "reason": "client"}),
    ("server_error", "failed", {"error": "ProviderUnavailable", "reason": "provider"}),
    ("temporarily_unavailable", "failed", {"error": "ProviderUnavailable", "reason": "provider"}),
    ("invalid_request", "failed", {"error": "ProviderMisconfigured", "reason": "request"}),
    ("%s%n<script>", "failed", {"error": "ProviderMisconfigured", "reason": "request"}),
]


def test_errors_of_the_redirect(quick):
    alice = quick.client("alice")
    for error, outcome, details in REDIRECT_ERRORS:
        login = begin(alice)
        login.complete(error=error, state=query_of(login.authorize_uri)["state"])
        assert login.finish() == (outcome, details)
        assert error not in login.message
    login = begin(alice)
    hand_in(login, quick.sim.authorize(login.authorize_uri, answer="deny"))
    assert login.finish() == ("denied", {"reason": "denied"})
    assert counter(quick, ASKED) == 0


def test_forged_state_ends_nothing(quick):
    """Anything on the device can reach the listener on the loopback; only who saw the address knows the state."""
    alice = quick.client("alice")
    login, other = begin(alice), begin(alice)
    answer = quick.sim.authorize(login.authorize_uri)
    right = answer["state"]
    wrong = [query_of(other.authorize_uri)["state"], "", "x", right[:-1], right + "x", "A" + right[1:], right.lower()]
    for state in wrong:
        for result in ({"code": answer["code"]}, {"error": "access_denied"}):
            error = error_of(login.complete, state=state, **result)
            assert error.short == "InvalidArgument" and "state" in error.message
    assert login.properties()["State"] == "waiting" and counter(quick, ASKED) == 0
    hand_in(login, answer)
    assert login.finish()[0] == "linked"


def test_forged_states_are_bounded(quick):
    login = begin(quick.client("alice"))
    answer = quick.sim.authorize(login.authorize_uri)
    for _ in range(16):
        assert error_of(login.complete, code=answer["code"], state="x").short == "InvalidArgument"
    assert login.finish() == ("failed", {"error": "InvalidArgument", "reason": "wrong-state"})
    assert error_of(hand_in, login, answer).name == UNKNOWN_OBJECT
    assert counter(quick, ASKED) == 0


BAD_RESULTS = [
    {},
    {"code": "x"},
    {"error": "access_denied"},
    {"state": True},
    {"state": True, "code": "x", "error": "access_denied"},
    {"state": True, "code": ""},
    {"state": True, "code": "a b"},
    {"state": True, "code": "ä"},
    {"state": True, "code": "a\nb"},
    {"state": True, "code": "x" * 513},
    {"state": True, "code": "x" * (1 << 20)},
    {"state": True, "code": ("u", 7)},
    {"state": True, "code": ("as", ["x"])},
    {"state": True, "error": ""},
    {"state": True, "error": "x" * 65},
    {"state": True, "error": "a\x1b[2J"},
    {"state": True, "code": "x", "colour": "red"},
    {"state": True, "code": "x", "scope": "ä"},
    {"state": True, "code": "x", "scope": 'a"b'},
    {"state": True, "code": "x", "scope": "x" * 129},
    {"state": True, "code": "x", "scope": " ".join(["profile"] * 33)},
    {"state": True, "code": "x", "scope": "x " * 5000},
    {"state": ("u", 7), "code": "x"},
]


def test_what_is_no_result(quick):
    """Refused by name, and the login stays open."""
    login = begin(quick.client("alice"))
    answer = quick.sim.authorize(login.authorize_uri)
    found = []
    for result in BAD_RESULTS:
        filled = {key: answer["state"] if value is True else value for key, value in result.items()}
        found.append(error_of(login.complete, **filled).short)
    assert found == ["InvalidArgument"] * len(BAD_RESULTS)
    assert "colour" in error_of(login.complete, state=answer["state"], code="x", colour="red").message
    hand_in(login, answer)
    assert login.finish()[0] == "linked"


def test_second_complete_is_refused(quick):
    quick.sim.fault("token", "delay", ms=500, grant_type="authorization_code")
    login = begin(quick.client("alice"))
    answer = quick.sim.authorize(login.authorize_uri)
    hand_in(login, answer)
    for result in (answer, {"error": "access_denied", "state": answer["state"]}, {"code": "x", "state": "x"}):
        assert "already" in error_of(hand_in, login, result).message
    assert login.finish()[0] == "linked"
    assert counter(quick, ASKED) == 1
    assert error_of(hand_in, login, answer).name == UNKNOWN_OBJECT


def test_complete_is_its_creators_alone(quick):
    alice = quick.client("alice")
    login = begin(alice)
    answer = quick.sim.authorize(login.authorize_uri)
    arguments = ({"code": ("s", answer["code"]), "state": ("s", answer["state"])},)
    with alice.another() as second:
        for other in (second, quick.client("bob"), quick.root()):
            error = error_of(other.call, REQUEST, "Complete", "a{sv}", arguments, path=login.path)
            assert error.name == UNKNOWN_OBJECT
            error = error_of(other.get_property, REQUEST, "AuthorizeUri", path=login.path)
            assert error.name == UNKNOWN_OBJECT
    assert counter(quick, ASKED) == 0
    hand_in(login, answer)
    assert login.finish()[0] == "linked"


BAD_URIS = [
    "",
    "http://127.0.0.1/cb",
    "http://127.0.0.1:9090",
    "http://evil.example:80/",
    "http://127.0.0.1:80@evil.example/",
    "https://app.example/#x",
    "https://app.example/ä",
    "javascript:/alert(1)",
    "https://app.example/" + "x" * 1005,
    "x" * (1 << 20),
]


def test_addresses_that_are_refused(quick):
    alice = quick.client("alice")
    for uri in BAD_URIS:
        arguments = ("authorization-code", [LIBRARY], {"redirect_uri": ("s", uri)})
        assert error_of(alice.call, LOGIN, "Begin", "sasa{sv}", arguments).short == "InvalidArgument", uri
    assert status(alice)["logins"] == 0


# --- the exchange ---

EXCHANGE = [
    ("error", {"error": "invalid_grant"}, "LoginRequired", "code"),
    ("error", {"error": "invalid_client", "status": 401}, "ProviderMisconfigured", "client"),
    ("error", {"error": "unauthorized_client"}, "ProviderMisconfigured", "client"),
    ("error", {"error": "invalid_scope"}, "InvalidScope", "scope"),
    ("error", {"error": "unheard_of"}, "ProviderMisconfigured", "request"),
    ("status-503", {}, "ProviderUnavailable", "provider"),
    ("html-502", {}, "ProviderUnavailable", "provider"),
    ("http-429", {}, "ProviderUnavailable", "provider"),
    ("redirect", {"location": "https://localhost/elsewhere"}, "ProviderUnavailable", "captive-portal"),
    ("html-200", {}, "ProviderUnavailable", "lost-answer"),
    ("empty-200", {}, "ProviderUnavailable", "lost-answer"),
    ("truncated", {}, "ProviderUnavailable", "lost-answer"),
    ("huge", {}, "ProviderUnavailable", "lost-answer"),
    ("reset-after", {}, "ProviderUnavailable", "lost-answer"),
]


def test_trouble_with_the_exchange(quick):
    """A code works once, so each is told at once, with a sentence, and the code is not sent again."""
    alice = quick.client("alice")
    wrong = []
    for n, (kind, more, error, reason) in enumerate(EXCHANGE):
        quick.sim.fault("token", kind, grant_type="authorization_code", **more)
        login = begin(alice)
        hand_in(login, quick.sim.authorize(login.authorize_uri))
        found = login.finish()
        if found != ("failed", {"error": error, "reason": reason}) or counter(quick, ASKED) != n + 1:
            wrong.append((kind, more, found, counter(quick, ASKED)))
    assert wrong == []
    assert accounts(alice) == {} and grants(alice) == []
    wait_trail(quick.client("root"), "login-failed", detail="code", app="user:alice")


def test_code_that_came_too_late(quick):
    quick.sim.set(auth_code_lifetime=0)
    login = begin(quick.client("alice"))
    hand_in(login, quick.sim.authorize(login.authorize_uri))
    assert login.finish() == ("failed", {"error": "LoginRequired", "reason": "code"})
    assert "five minutes" in login.message


def test_code_of_another_login(quick):
    """Its verifier is another: whoever catches a code cannot use it, not even through the broker."""
    alice = quick.client("alice")
    first, second = begin(alice), begin(alice)
    code = quick.sim.authorize(first.authorize_uri)["code"]
    second.complete(code=code, state=query_of(second.authorize_uri)["state"])
    assert second.finish() == ("failed", {"error": "LoginRequired", "reason": "code"})


def test_offline_at_the_exchange(quick):
    login = begin(quick.client("alice"))
    answer = quick.sim.authorize(login.authorize_uri)
    quick.simulator.stop()
    began = time.monotonic()
    hand_in(login, answer)
    assert login.finish() == ("failed", {"error": "ProviderUnavailable", "reason": "offline"})
    assert time.monotonic() - began < 3 * quick.slowness


def test_wrong_region(quick):
    quick.sim.set(wrong_region="yes")
    login = begin(quick.client("alice"))
    hand_in(login, quick.sim.authorize(login.authorize_uri))
    assert login.finish() == ("failed", {"error": "ProviderMisconfigured", "reason": "region-or-client"})


def test_scope_that_the_profile_does_not_have(quick):
    """Amazon shows a page and sends nobody back; the address is right all the same, and the login waits."""
    quick.sim.set(disabled_scopes=LIBRARY)
    login = begin(quick.client("alice"))
    with pytest.raises(Exception, match="An unknown scope was requested"):
        quick.sim.authorize(login.authorize_uri)
    assert login.properties()["State"] == "waiting"
    login.cancel()
    assert login.finish() == ("cancelled", {})


# --- the client secret ---


def test_without_a_secret_a_web_client_gets_no_lasting_login(quick):
    """Said before the person logs in, and again where it then happens."""
    quick.sim.set(client_type="web")
    login = begin(quick.client("alice"))
    assert "client_secret_file" in login.notice and login.notice.endswith(".")
    hand_in(login, quick.sim.authorize(login.authorize_uri))
    assert login.finish() == ("failed", {"error": "ProviderMisconfigured", "reason": "no-refresh-token"})
    assert "client_secret_file" in login.message
    assert accounts(login.client) == {} and grants(login.client) == []


def test_with_a_secret(quick):
    set_secret(quick, "other-secret")
    quick.sim.set(client_type="web")
    quick.reload()
    alice = quick.client("alice")
    login = begin(alice)
    assert login.notice == ""
    set_secret(quick)
    quick.reload()
    hand_in(login, quick.sim.authorize(login.authorize_uri))
    assert login.finish()[0] == "linked"
    take(alice)


def test_wrong_secret(quick):
    set_secret(quick, "wrong")
    quick.reload()
    quick.sim.set(client_type="web")
    login = begin(quick.client("alice"))
    hand_in(login, quick.sim.authorize(login.authorize_uri))
    assert login.finish() == ("failed", {"error": "ProviderMisconfigured", "reason": "client"})


# --- time-out, cancelling and leaving ---


def test_time_out(world):
    world.broker.stop()
    shim = Shim(world)
    world.broker.start(env=shim.environment())
    settle(world)
    login = begin(world.client("alice"))
    shim.suspend(595)
    assert login.properties()["State"] == "waiting"
    shim.suspend(10)
    assert login.finish() == ("expired", {"reason": "no-redirect"})
    assert "scope is unknown" in login.message and "again" in login.message
    wait_trail(world.client("root"), "login-failed", detail="no-redirect")


@pytest.mark.parametrize("state", ["waiting", "exchanging", "storing", "proving"])
def test_cancel(quick, state):
    if state == "exchanging":
        quick.sim.fault("token", "hang-before", grant_type="authorization_code")
    if state == "proving":
        quick.sim.fault("token", "hang-before", grant_type="refresh_token")
    login = begin(quick.client("alice"))
    answer = quick.sim.authorize(login.authorize_uri)
    if state == "storing":
        with store_held(quick):
            hand_in(login, answer)
            login.wait_state("exchanging")
            wait_until(lambda: counter(quick, ANSWERED) == 1, 1, "the tokens")
            login.cancel()
    else:
        if state != "waiting":
            hand_in(login, answer)
            login.wait_state(state)
        login.cancel()
    assert login.finish(timeout=5 * quick.slowness) == ("cancelled", {})
    wait_trail(quick.client("root"), "login-failed", detail="cancelled")
    assert accounts(login.client) == {} and grants(login.client) == []
    quick.broker.restart()
    assert grants(quick.client("alice")) == []


@pytest.mark.parametrize("state", ["waiting", "exchanging"])
def test_request_dies_with_its_creator(quick, state):
    quick.sim.fault("token", "hang-before", grant_type="authorization_code")
    alice = quick.client("alice")
    second = alice.another()
    login = begin(second)
    if state == "exchanging":
        hand_in(login, quick.sim.authorize(login.authorize_uri))
        login.wait_state("exchanging")
    second.close()
    wait_trail(quick.client("root"), "login-failed", detail="caller-left")
    assert status(alice)["logins"] == 0


def test_creator_leaves_while_proving(quick):
    quick.sim.fault("token", "delay", ms=500, grant_type="refresh_token")
    alice = quick.client("alice")
    second = alice.another()
    login = begin(second)
    hand_in(login, quick.sim.authorize(login.authorize_uri))
    login.wait_state("proving")
    second.close()
    wait_until(lambda: accounts(alice), 10 * quick.slowness, "the account")
    take(alice)


def test_begin_is_bounded(quick):
    alice = quick.client("alice")
    open_logins = [begin(alice) for _ in range(4)]
    arguments = ("authorization-code", [LIBRARY], {"redirect_uri": ("s", REDIRECT)})
    # Each costs what a login costs, refused or not: fewer than the budget of an app has.
    answers = alice.call_many([(LOGIN, "Begin", "sasa{sv}", arguments)] * 50)
    assert {answer.short for answer in answers} == {"RateLimited"}
    begin(quick.client("bob"))
    for login in open_logins:
        login.cancel()
        assert login.finish() == ("cancelled", {})
    begin(alice)


# --- secrets ---


def test_code_is_in_no_log(quick):
    login = begin(quick.client("alice"))
    answer = quick.sim.authorize(login.authorize_uri)
    quick.sim.fault("token", "error", grant_type="authorization_code", error="invalid_grant")
    hand_in(login, answer)
    assert login.finish()[0] == "failed"
    query = query_of(login.authorize_uri)
    with open(quick.broker.log_path, encoding="utf-8", errors="replace") as file:
        log = file.read()
    for secret in (answer["code"], answer["state"], query["code_challenge"]):
        assert secret not in log
