# SPDX-License-Identifier: LGPL-2.1-or-later
"""Renewal: tokens that never run out on an app, and what the provider's trouble does (and does not do) to a login."""

import re
import time

import pytest

from logins import (
    ACCOUNTS,
    LIBRARY,
    Login,
    accounts,
    counter,
    error_of,
    grants,
    link,
    refreshes,
    reject,
    rows,
    settle,
    status,
    take,
    trail,
    try_take,
    wait_trail,
)
from world import CLIENT_ID, NAME, wait_until

QUICK_TOKENS = {"refresh_margin": 3, "min_valid": 1}


@pytest.fixture
def linked(world):
    """alice is linked, with a token of an hour."""
    settle(world)
    link(world, "alice", [LIBRARY])
    return world


def fault_refresh(world, kind, count=0, **more):
    world.sim.fault("token", kind, count=count, grant_type="refresh_token", **more)


def the_grant(client):
    (found,) = grants(client)
    return found


def wait_state(client, state, timeout=5):
    return wait_until(lambda: found if (found := the_grant(client))["state"] == state else None, timeout, state)


def renew(client):
    """Makes the broker renew now: the API is said to have refused the token."""
    _, info = take(client)
    return reject(client, info["token_id"])


# --- ahead of expiry ---


def test_renewed_unseen(world):
    """An app that polls never meets an expired token and never waits, though each refresh takes 0.8 s."""
    world.write_config(tokens=QUICK_TOKENS)
    settle(world, token_lifetime=6)
    link(world, "alice", [LIBRARY])
    fault_refresh(world, "delay", ms=800)
    alice, root = world.client("alice"), world.client("root")
    take(alice)
    waits = status(root)["waits"]
    seen, slowest = set(), 0
    end = time.monotonic() + 13
    while time.monotonic() < end:
        began = time.monotonic()
        text, info = take(alice)
        slowest = max(slowest, time.monotonic() - began)
        assert info["expires_in"] >= 1 and info["expires_at"] > time.time()
        seen.add(text)
        time.sleep(0.05)
    assert len(seen) >= 4
    assert slowest < 0.6 * world.slowness
    assert status(root)["waits"] == waits
    assert world.sim.state()["refreshes_at_once_max"] == 1


def test_waits_and_refreshes_are_counted(linked):
    """Once for the app whose call waited; not for the login's own proof, and not for calls that were served at once."""
    root = linked.client("root")
    assert (status(root)["refreshes"], status(root)["waits"]) == (1, 0)
    linked.broker.restart()
    alice, root = linked.client("alice"), linked.client("root")
    for _ in range(3):
        take(alice)
    assert renew(alice) is True
    assert (status(root)["refreshes"], status(root)["waits"]) == (2, 1)


def test_lifetime_counts_from_the_sending(linked):
    """The provider may have counted since it saw the request: the answer's way back is not part of the lifetime."""
    linked.sim.set(token_lifetime=100)
    fault_refresh(linked, "delay", ms=2000)
    alice = linked.client("alice")
    renew(alice)
    assert take(alice)[1]["expires_in"] <= 98


FORMS = [
    {"rotation": "none"},
    {"rotation": "same"},
    {"rotation": "new", "rotation_kills_old": "no"},
    {"rotation": "new", "rotation_kills_old": "yes"},
    {"expires_in_form": "string"},
    {"token_type": "Bearer"},
    {"token_type": "BEARER"},
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(form.values()))
def test_forms_of_answers(world, form):
    """Login, renewal while running, and the first renewal after a crash."""
    settle(world, **form)
    link(world, "alice", [LIBRARY])
    alice = world.client("alice")
    texts = {take(alice)[0]}
    for _ in range(3):
        assert renew(alice) is True
        text, info = take(alice)
        texts.add(text)
        assert info["token_type"] == "Bearer" and 3590 <= info["expires_in"] <= 3600
    world.broker.kill9()
    world.broker.start()
    texts.add(take(world.client("alice"))[0])
    assert len(texts) == 5
    assert counter(world, "token.refresh_token.ok") == refreshes(world) == 5


def test_unknown_token_type_is_not_handed_on(linked):
    alice = linked.client("alice")
    text, info = take(alice)
    linked.sim.set(token_type="mac")
    assert error_of(reject, alice, info["token_id"]).short == "ProviderUnavailable"
    assert take(alice)[0] == text


# --- the provider's trouble ---

TRANSIENT = [
    ("status-500", {}),
    ("status-503", {}),
    ("html-502", {}),
    ("http-429", {}),
    ("http-429", {"retry_after": "1"}),
    ("error", {"error": "temporarily_unavailable"}),
    ("error", {"error": "invalid_grant", "status": 500}),
    ("error", {"error": "invalid_grant", "status": 429}),
]
# Whoever answered is not Amazon.
CAPTIVE = ("redirect", {"location": "https://localhost/elsewhere"})
# The request was carried out, or may have been: with rotation a quick retry could end the login.
AMBIGUOUS = [
    ("html-200", {}),
    ("empty-200", {}),
    ("huge", {}),
    ("nested", {}),
    ("duplicate-keys", {}),
    ("wrong-types", {}),
    ("nul-and-percent", {}),
    ("long-token", {}),
    ("reset", {}),
    ("reset-after", {}),
    ("truncated", {}),
    ("hang-after", {}),
]
MISCONFIGURED = [
    ("error", {"error": "invalid_client", "status": 401}),
    ("error", {"error": "unauthorized_client"}),
    ("error", {"error": "invalid_scope"}),
    ("error", {"error": "unsupported_grant_type"}),
    ("error", {"error": "invalid_request"}),
]


def name_of(case):
    kind, more = case
    return "-".join([kind, *(str(value) for key, value in more.items() if key != "location")])


def fail_to_renew(world, case):
    """Lets one renewal fail; (client, the text of the token from before, the error)."""
    kind, more = case
    alice = world.client("alice")
    text, info = take(alice)
    fault_refresh(world, kind, **more)
    error = error_of(reject, alice, info["token_id"])
    assert "fault" not in error.message and "html" not in error.message
    # What is good until it runs out is still served.
    assert take(alice)[0] == text
    return alice, text, error


@pytest.mark.parametrize("case", [*TRANSIENT, CAPTIVE], ids=name_of)
def test_transient_trouble(linked, case):
    alice, text, error = fail_to_renew(linked, case)
    assert error.short == "ProviderUnavailable" and re.search(r"\b\d+ s\b", error.message)
    grant = the_grant(alice)
    assert grant["state"] in ("waiting", "renewing")
    expected = "captive-portal" if case is CAPTIVE else "transient"
    assert grant["error"] == expected
    because = {"http-429": "throttled", "redirect": "captive-portal"}.get(case[0], "server-error")
    assert grant["because"] == ("throttled" if case[1].get("status") == 429 else because)
    linked.sim.clear_faults()
    # By itself, and soon.
    wait_state(alice, "fresh", 15 * linked.slowness)
    assert take(alice)[0] != text
    assert counter(linked, "elsewhere.requests") == 0
    wait_trail(linked.client("root"), "token-refresh-failed", detail=expected, account="main")
    assert not accounts(alice)["main"]["needs_login"]


@pytest.mark.parametrize("case", AMBIGUOUS, ids=name_of)
def test_ambiguous_trouble(linked, case):
    linked.write_config(provider={"request_timeout": 1})
    linked.reload()
    alice, text, error = fail_to_renew(linked, case)
    assert error.short == "ProviderUnavailable"
    (seconds,) = re.findall(r"\b(\d+) s\b", error.message)
    assert 25 <= int(seconds) <= 95
    grant = the_grant(alice)
    assert (grant["state"], grant["error"]) == ("waiting", "ambiguous")
    assert grant["because"] in ("ambiguous", "captive-portal" if case[0].endswith("-200") else "ambiguous")
    assert 24 <= grant["next_try_at"] - time.time() <= 96
    before = refreshes(linked)
    for _ in range(4):
        assert error_of(reject, alice, take(alice)[1]["token_id"]).short == "ProviderUnavailable"
        assert take(alice)[0] == text
        time.sleep(0.3)
    assert refreshes(linked) == before
    # Nor is the login forgotten (I6).
    linked.sim.clear_faults()
    linked.broker.restart()
    alice = linked.client("alice")
    assert take(alice)[0] != text
    assert wait_trail(linked.client("root"), "grant-interrupted", timeout=5)["detail"] == "refresh"


@pytest.mark.parametrize("case", MISCONFIGURED, ids=name_of)
def test_misconfiguration(linked, case):
    """Not a matter of logging in again."""
    alice, _, error = fail_to_renew(linked, case)
    assert error.short == "ProviderMisconfigured"
    grant = the_grant(alice)
    assert (grant["state"], grant["because"]) == ("waiting", "misconfigured")
    assert not accounts(alice)["main"]["needs_login"]
    linked.sim.clear_faults()
    linked.broker.restart()
    take(linked.client("alice"))


def test_outage_longer_than_a_token(world):
    """Served until it runs out, then an error that says when the next try is due; and back by itself."""
    world.write_config(tokens=QUICK_TOKENS)
    settle(world, token_lifetime=5)
    link(world, "alice", [LIBRARY])
    alice = world.client("alice")
    text, info = take(alice)
    fault_refresh(world, "status-503")
    last = None
    error = None
    while error is None:
        try:
            last = take(alice)
            assert last[0] == text
        except Exception as failure:
            error = failure
        time.sleep(0.05)
        assert time.time() < info["expires_at"] + 3
    assert error.short == "ProviderUnavailable" and re.search(r"due in \d+ s", error.message)
    assert last[1]["expires_in"] <= 2
    # A streak is one record, not one for each try.
    assert len(trail(world.client("root"), "token-refresh-failed")) == 1
    world.sim.clear_faults()
    wait_until(lambda: try_take(alice), 20 * world.slowness, "the provider to be asked again")
    assert not accounts(alice)["main"]["needs_login"]


def test_retry_after_is_honoured(linked):
    alice, _, error = fail_to_renew(linked, ("http-429", {"retry_after": "30"}))
    (seconds,) = re.findall(r"\b(\d+) s\b", error.message)
    assert 28 <= int(seconds) <= 30
    before = refreshes(linked)
    time.sleep(2.5)
    assert refreshes(linked) == before


# --- the end of a login ---


def test_dead_login(linked):
    asked, app, bob = linked.client("alice"), linked.client("alice"), linked.client("bob")
    accounts(asked)
    accounts(bob)
    _, info = take(app)
    sealed = rows(linked, "SELECT token FROM grant")
    linked.sim.revoke("alice")
    assert error_of(reject, app, info["token_id"]).short == "LoginRequired"
    assert app.wait_signal(NAME, "TokenRevoked") == [info["token_id"], "grant-dead"]
    assert asked.wait_signal(ACCOUNTS, "AttentionNeeded") == ["main", "dead"]
    assert [member for _, member, _ in app.drain(0.1)] == ["AccountsChanged"]
    assert bob.drain(0.1) == []
    for _ in range(2):
        client = linked.client("alice")
        assert "lwactl login" in error_of(take, client).message
        assert the_grant(client)["state"] == "dead" and accounts(client)["main"]["needs_login"]
        assert the_grant(client)["because"] == "invalid-grant"
        assert time.time() - 60 < the_grant(client)["since"] <= time.time()
        assert client.call(NAME, "CheckScopes", "asa{sv}", ([LIBRARY], {})) == {LIBRARY: "login-required"}
        # Kept, marked dead.
        assert rows(linked, "SELECT token, dead FROM grant") == [(sealed[0][0], 1)]
        linked.broker.restart()
    before = refreshes(linked)
    alice = linked.client("alice")
    for _ in range(3):
        assert error_of(take, alice).short == "LoginRequired"
    assert refreshes(linked) == before  # a dead token is not sent again
    assert wait_trail(linked.client("root"), "grant-died")["account"] == "main"
    assert link(linked, "alice", [LIBRARY], client=alice) == "main"
    take(alice)
    assert not accounts(alice)["main"]["needs_login"]


def test_previous_token_is_tried_once(world):
    """invalid_grant right after a rotation may mean that the new token never became valid: the one before it gets
    one try."""
    settle(world, rotation="new", rotation_kills_old="no")
    link(world, "alice", [LIBRARY])
    alice = world.client("alice")
    before = refreshes(world)
    fault_refresh(world, "error", count=1, error="invalid_grant")
    assert renew(alice) is True
    assert refreshes(world) == before + 2
    assert the_grant(alice)["state"] == "fresh"
    assert renew(alice) is True
    world.broker.restart()
    take(world.client("alice"))


def test_previous_token_is_tried_only_once(world):
    settle(world, rotation="new", rotation_kills_old="no")
    link(world, "alice", [LIBRARY])
    alice = world.client("alice")
    before = refreshes(world)
    fault_refresh(world, "error", error="invalid_grant")
    _, info = take(alice)
    assert error_of(reject, alice, info["token_id"]).short == "LoginRequired"
    assert error_of(take, alice).short == "LoginRequired"
    assert refreshes(world) == before + 2


def test_trouble_with_the_previous_token_is_not_the_end(world):
    """What ends a login is invalid_grant, not a 503 that comes when the second token is tried."""
    settle(world, rotation="new", rotation_kills_old="no")
    link(world, "alice", [LIBRARY])
    alice = world.client("alice")
    fault_refresh(world, "error", count=1, error="invalid_grant")
    fault_refresh(world, "status-503", count=1)
    _, info = take(alice)
    assert error_of(reject, alice, info["token_id"]).short == "ProviderUnavailable"
    wait_state(alice, "fresh", 15 * world.slowness)


# --- TLS ---


@pytest.mark.parametrize("certs", ["--expired", "--not-yet-valid", "--other-host", "--same"])
def test_certificate_that_is_not_good(linked, certs):
    """Nothing is sent to who cannot show who it is, and the login is kept."""
    authority = linked.restart_sim(certs)
    if certs != "--same":
        linked.write_config(provider={"ca_file": authority})
    linked.broker.restart()
    alice = linked.client("alice")
    assert error_of(take, alice).short == "ProviderUnavailable"
    grant = the_grant(alice)
    in_time = certs in ("--other-host", "--same")
    assert grant["error"] == ("offline" if in_time else "clock")
    if grant["state"] != "renewing":
        assert (grant["state"], grant["because"]) == (("waiting", "tls") if in_time else ("clock", "clock"))
    assert not accounts(alice)["main"]["needs_login"]
    assert refreshes(linked) == 0
    login = Login(alice, [LIBRARY])
    assert login.finish() == ("failed", {"error": "ProviderUnavailable", "reason": "offline" if in_time else "clock"})
    assert ("clock" in login.message) == (not in_time)
    assert counter(linked, "codepair.requests") == 0


# --- one account's trouble is its own ---


def test_a_hanging_refresh_delays_nobody_else(linked):
    link(linked, "bob", [LIBRARY])
    linked.broker.restart()
    fault_refresh(linked, "hang-before", count=1)
    alice, bob = linked.client("alice"), linked.client("bob")
    serial = alice.send(NAME, "GetToken", "asa{sv}", ([LIBRARY], {}))
    wait_until(lambda: refreshes(linked) == 3, 5 * linked.slowness, "alice's refresh")
    began = time.monotonic()
    take(bob)
    assert renew(bob) is True
    assert time.monotonic() - began < 1.5 * linked.slowness
    with pytest.raises(TimeoutError):
        alice.wait(serial, 0.1)


# --- another client id ---


def test_login_of_another_client_id(linked):
    """A refresh token is sent only where it was made for: the client id and endpoint of its login."""
    linked.write_config(provider={"client_id": CLIENT_ID[:-1] + "1"})
    linked.broker.restart()
    before = refreshes(linked)
    alice = linked.client("alice")
    error = error_of(take, alice)
    assert error.short == "ProviderMisconfigured" and "broker.conf" in error.message
    assert the_grant(alice)["state"] == "foreign" and accounts(alice)["main"]["needs_login"]
    assert refreshes(linked) == before
    linked.write_config()
    linked.reload()
    take(alice)
    assert refreshes(linked) == before + 1
