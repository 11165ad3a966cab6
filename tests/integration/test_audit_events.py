# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every event of the trail, caused on the real broker, and its record looked at field by field: what is not named in a
test has to be empty. The records are read from the database itself, so that nothing in between can leave a field out.

A test says with @causes which events it causes, and has to find each of them on the trail; a test of these tests
compares that with the broker's own list of names."""

import os
import pwd
import re
import time

import pytest

from agent import Agent
from logins import ACCOUNTS, LIBRARY, PLAYBACK, Login, error_of, link, refreshes, reject, rows, settle, take
from shim import Shim
from world import NAME, wait_until

AUDIT, POLICY, KEYS = "org.lwabroker.Audit1", "org.lwabroker.Policy1", "org.lwabroker.Keys1"
TEXTS = (
    "app", "kind", "strength", "unit", "program", "account", "owner", "asked", "carried", "verdict", "decided_by", "chain",
    "detail", "request",
)  # fmt: skip
COLUMNS = ("sequence", "time_sec", "event", "uid", "owner_uid", "grant_row", "expires_sec", "fingerprint", "boot_usec",
           "boot_id", *TEXTS)  # fmt: skip
REQUEST = re.compile(r"[0-9a-f]{8}-[0-9a-f]{1,16}")
# These are caused where the trail is pruned and damaged.
ELSEWHERE = {"trail-pruned", "trail-damaged"}


def causes(*events):
    def mark(function):
        function.causes = events
        return function

    return mark


def uid(user):
    return pwd.getpwnam(user).pw_uid


def records(world, event=None):
    """As dictionaries, oldest first; of one event."""
    found = rows(world, f"SELECT {', '.join(COLUMNS)} FROM audit ORDER BY sequence")
    every = [dict(zip(COLUMNS, row, strict=True)) for row in found]
    return [r for r in every if event in (None, r["event"]) and (event or not r["event"].startswith("trail-"))]


def wait_record(world, event, n=1):
    """The n-th record of this event, as soon as it is there, and the last."""

    def found():
        of_event = records(world, event)
        assert len(of_event) <= n, of_event
        return of_event[-1] if len(of_event) == n else None

    return wait_until(found, 10 * world.slowness, f"{n} records {event}")


def full(world, record, **fields):
    """The record has these fields, and no others; a pattern for what cannot be known. Returns it."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        assert record["boot_id"].hex() == file.read().strip().replace("-", "")
    assert 0 < record["boot_usec"] <= time.clock_gettime_ns(time.CLOCK_BOOTTIME) / 1000
    assert abs(record["time_sec"] - time.time()) < 120 and record["sequence"] > 0
    expected = {"uid": None, "owner_uid": None, "grant_row": 0, "expires_sec": 0, "fingerprint": None, **dict.fromkeys(TEXTS, "")}
    expected |= fields
    for name, value in expected.items():
        if isinstance(value, re.Pattern):
            assert value.fullmatch(str(record[name])), (name, record)
        else:
            assert record[name] == value, (name, record)
    return record


def caller(user, request=REQUEST):
    """What is told of a client of this user's: its processes run Python."""
    return {
        "app": f"user:{user}", "kind": "user", "strength": "uid", "uid": uid(user), "program": re.compile("/.*"),
        "request": request,
    }  # fmt: skip


ALICES = {"owner": "alice", "owner_uid": 20001}
MAIN = {"account": "main", **ALICES}
HEX = re.compile("[0-9a-f]{32}")


@pytest.fixture
def quick(world, request):
    assert uid("alice") == 20001
    yield settle(world)
    if world.broker.alive():
        seen = {event for (event,) in rows(world, "SELECT DISTINCT event FROM audit")}
        assert set(getattr(request.function, "causes", ())) <= seen


@pytest.fixture
def linked(quick):
    link(quick, "alice", [LIBRARY], label="Alice Person's")
    return quick


def set_consent(client, app, answer, scopes=(LIBRARY,), **options):
    return client.call(POLICY, "SetConsent", "ssassa{sv}", (app, "", list(scopes), answer, options))


# --- the broker ---


@causes("broker-started", "broker-stopped", "key-created", "policy-loaded")
def test_start_and_stop(quick):
    wait_until(lambda: len(records(quick, "policy-loaded")) == 2, 5 * quick.slowness, "the reload of settle()")
    quick.broker.restart()
    wait_until(lambda: len(records(quick, "policy-loaded")) == 3, 5 * quick.slowness, "the start to be written down")
    found = records(quick)
    assert [record["event"] for record in found] == [
        "broker-started", "key-created", "policy-loaded", "policy-loaded", "broker-stopped", "broker-started", "policy-loaded",
    ]  # fmt: skip
    started, key, first, second, stopped, again, third = found
    for record in (started, again):
        full(quick, record, detail=re.compile(r"\d+\.\d+.*"))
    full(quick, key, detail=HEX)
    full(quick, first, detail="start")
    full(quick, second, detail=re.compile("reload|changed"))
    full(quick, stopped)
    full(quick, third, detail="start")


@causes("broker-crashed")
def test_crash_is_found_at_the_next_start(linked):
    linked.broker.kill9()
    last = records(linked)[-1]["sequence"]
    linked.broker.start()
    crashed = full(linked, wait_record(linked, "broker-crashed"), detail=f"after record {last}")
    assert wait_record(linked, "broker-started", 2)["sequence"] > crashed["sequence"]
    linked.broker.restart()  # which is none
    wait_record(linked, "broker-started", 3)
    assert len(records(linked, "broker-crashed")) == 1
    linked.broker.kill9()
    linked.broker.start()
    wait_record(linked, "broker-crashed", 2)


def test_start_that_fails_is_no_crash(quick):
    """Another broker has the name: this one has started, and stops."""
    state = quick.path("other-state")
    quick.fresh_folder("other-state")
    argv = quick.argv_of("lwa-brokerd")
    argv[argv.index("--state-dir") + 1] = state
    for _ in range(2):
        assert quick.run_as("root", argv).returncode != 0
    own, quick.state_dir = quick.state_dir, state
    try:
        events = [record["event"] for record in records(quick)]
    finally:
        quick.state_dir = own
    assert events.count("broker-started") == events.count("broker-stopped") == 2 and "broker-crashed" not in events


# --- logins ---


@causes("login-begun", "account-added", "grant-added", "grant-removed", "login-finished", "token-refreshed")
def test_login(linked):
    """All of it came of the one call of Begin."""
    link(linked, "alice", [LIBRARY])
    begun, second = records(linked, "login-begun")
    full(linked, begun, **caller("alice"), **ALICES, asked=LIBRARY, detail="device-code")
    login = caller("alice", begun["request"])
    added = full(linked, wait_record(linked, "account-added"), **login, **MAIN, detail="default")
    grant, newer = records(linked, "grant-added")
    full(linked, grant, **login, **MAIN, carried=LIBRARY, grant_row=1)
    finished, again = records(linked, "login-finished")
    full(linked, finished, **login, **MAIN, carried=LIBRARY, grant_row=1)
    assert begun["sequence"] < added["sequence"] < grant["sequence"] < finished["sequence"]
    proven = full(
        linked, records(linked, "token-refreshed")[0], **ALICES, carried=LIBRARY, grant_row=1, request=begun["request"],
        expires_sec=re.compile(r"\d+"), fingerprint=re.compile(".+"),
    )  # fmt: skip
    assert len(proven["fingerprint"]) == 16 and 0 < proven["expires_sec"] - time.time() < 90000
    # The same again takes the place of the first.
    assert second["request"] not in ("", begun["request"])
    login = caller("alice", second["request"])
    full(linked, newer, **login, **MAIN, carried=LIBRARY, grant_row=2)
    full(linked, wait_record(linked, "grant-removed"), **login, **MAIN, carried=LIBRARY, grant_row=1, detail="superseded")
    full(linked, again, **login, **MAIN, carried=LIBRARY, grant_row=2)


@causes("login-failed")
def test_login_that_fails(quick):
    login = Login(quick.client("alice"), [LIBRARY]).wait_state("waiting")
    quick.sim.approve(login.code, answer="deny")
    assert login.finish()[0] == "denied"
    request = wait_record(quick, "login-begun")["request"]
    failed = wait_record(quick, "login-failed")
    full(quick, failed, **caller("alice", request), **ALICES, asked=LIBRARY, detail="denied")


@causes("login-failed")
def test_login_that_turns_out_to_be_of_nobody(quick):
    """Also when what fails is its proof, and whoever began it has left."""
    quick.sim.fault("token", "status-500", 1000, grant_type="refresh_token")
    client = quick.client("alice")
    login = Login(client, [LIBRARY]).wait_state("waiting")
    quick.sim.approve(login.code, "alice")
    login.wait_state("proving")
    client.close()
    quick.clients.remove(client)
    quick.sim.revoke("alice")
    quick.sim.clear_faults()
    request = wait_record(quick, "login-begun")["request"]
    failed = wait_until(lambda: records(quick, "login-failed"), 60 * quick.slowness, "the end of the login")
    full(quick, failed[0], **caller("alice", request), **ALICES, carried=LIBRARY, grant_row=1, detail=re.compile(".+"))


# --- accounts ---


@causes("account-renamed", "account-changed", "account-removed", "grant-removed")
def test_accounts(linked):
    link(linked, "alice", [LIBRARY], customer="bob")
    alice = linked.client("alice")
    alice.call(ACCOUNTS, "Rename", "ss", ("main", "Alice Person's other"))
    full(linked, wait_record(linked, "account-renamed"), **caller("alice"), **MAIN)
    alice.call(ACCOUNTS, "SetDefault", "s", ("main",))
    full(linked, wait_record(linked, "account-changed"), **caller("alice"), **MAIN, detail="default")
    alice.call(ACCOUNTS, "Remove", "s", ("main",))
    removed = full(linked, wait_record(linked, "account-removed"), **caller("alice"), **MAIN)
    one = caller("alice", removed["request"])
    full(linked, wait_record(linked, "grant-removed"), **one, **MAIN, carried=LIBRARY, grant_row=1, detail="account-removed")
    full(linked, wait_record(linked, "account-changed", 2), **one, **ALICES, account="main-2", detail="default")


# --- tokens ---


@causes("token-disclosed", "token-rejected", "token-refreshed", "token-released")
def test_tokens(linked):
    alice = linked.client("alice")
    _, info = take(alice)
    token = {"carried": LIBRARY, "grant_row": 1, "fingerprint": re.compile(".+"), "expires_sec": re.compile(r"\d+")}
    first = full(
        linked, wait_record(linked, "token-disclosed"), **caller("alice"), **MAIN, **token, asked=LIBRARY, verdict="allow",
        decided_by="table+polkit", chain=re.compile(".+"),
    )  # fmt: skip
    assert abs(first["expires_sec"] - info["expires_at"]) <= 1
    assert first["fingerprint"] == wait_record(linked, "token-refreshed")["fingerprint"]

    # One call: what it says, and the refresh that came of it.
    assert reject(alice, info["token_id"]) is True
    said = full(linked, wait_record(linked, "token-rejected"), **caller("alice"), **MAIN, **token)
    assert said["fingerprint"] == first["fingerprint"]
    assert abs(said["expires_sec"] - first["expires_sec"]) <= 1
    newer = full(linked, wait_record(linked, "token-refreshed", 2), **MAIN, **token, request=said["request"])
    assert newer["fingerprint"] != first["fingerprint"]

    take(alice)
    second = wait_record(linked, "token-disclosed", 2)
    assert second["fingerprint"] == newer["fingerprint"] and second["request"] not in ("", first["request"], said["request"])
    alice.call(NAME, "ReleaseTokens")
    released = wait_until(lambda: len(records(linked, "token-released")) == 2 and records(linked, "token-released"), 5, "two")
    for record, of in zip(released, (first, second), strict=True):
        full(linked, record, **caller("alice", released[0]["request"]), **MAIN, **token)
        assert record["fingerprint"] == of["fingerprint"]


@causes("token-released")
def test_releases_do_not_fill_the_trail(linked):
    """An app can take the same token and be done with it as often as it likes: it is said once."""
    alice = linked.client("alice")
    for _ in range(20):
        take(alice)
        alice.call(NAME, "ReleaseTokens")
    alice.close()
    linked.clients.remove(alice)
    linked.broker.restart()
    assert len(records(linked, "token-released")) == len(records(linked, "token-disclosed")) == 1


@causes("token-denied")
def test_denied(linked):
    carol = linked.client("carol")
    assert error_of(take, carol).short == "ConsentRequired"
    full(
        linked, wait_record(linked, "token-denied"), **caller("carol"), asked=LIBRARY, verdict="ConsentRequired",
        decided_by=re.compile(".+"), chain=re.compile(".+"),
    )  # fmt: skip


@causes("token-refresh-failed", "grant-died")
def test_refresh_that_fails_and_death(linked):
    alice = linked.client("alice")
    _, info = take(alice)
    linked.sim.fault("token", "status-500", grant_type="refresh_token")
    assert error_of(reject, alice, info["token_id"]).short == "ProviderUnavailable"
    said = wait_record(linked, "token-rejected")
    failed = wait_record(linked, "token-refresh-failed")
    full(linked, failed, **MAIN, carried=LIBRARY, grant_row=1, detail="transient", request=said["request"])
    # The next try is nobody's call.
    again = wait_record(linked, "token-refreshed", 2)
    full(linked, again, **MAIN, carried=LIBRARY, grant_row=1, fingerprint=re.compile(".+"), expires_sec=re.compile(r"\d+"))

    linked.sim.revoke("alice")
    assert error_of(reject, alice, take(alice)[1]["token_id"]).short == "LoginRequired"
    said = wait_record(linked, "token-rejected", 2)
    died = wait_record(linked, "grant-died")
    full(linked, died, **MAIN, carried=LIBRARY, grant_row=1, detail="invalid-grant", request=said["request"])


@causes("grant-interrupted")
def test_interrupted(linked):
    alice = linked.client("alice")
    _, info = take(alice)
    n = refreshes(linked)
    linked.sim.fault("token", "hang-before", grant_type="refresh_token")
    alice.send(NAME, "ReportRejected", "s", (info["token_id"],))
    wait_until(lambda: refreshes(linked) > n, 10 * linked.slowness, "the refresh to be sent")
    linked.broker.kill9()
    linked.sim.clear_faults()
    linked.broker.start()
    full(linked, wait_record(linked, "grant-interrupted"), **MAIN, carried=LIBRARY, grant_row=1, detail="refresh")


# --- consents ---


@causes("consent-given", "consent-revoked", "consent-refused")
def test_consents_by_command(linked):
    """The app is the one that is spoken of; the uid is that of who speaks."""
    linked.write_rule("20-consent", 'polkit.addRule(function(a) { if (a.id === "org.lwabroker.consent") return polkit.Result.YES; });')
    alice = linked.client("alice")
    about = {"app": "user:musicd", "kind": "user", "uid": uid("alice"), "request": REQUEST, **MAIN}
    set_consent(alice, "user:musicd", "allow")
    given = wait_record(linked, "consent-given")
    full(linked, given, **about, asked=LIBRARY, verdict="allow", decided_by="command", detail="logout")
    set_consent(alice, "user:musicd", "forget")
    full(linked, wait_record(linked, "consent-revoked"), **about, asked=LIBRARY, decided_by="command")
    alice.call(POLICY, "RevokeApp", "sa{sv}", ("user:musicd", {}))
    refused = wait_record(linked, "consent-refused")
    full(linked, refused, **about, verdict="deny", decided_by="command", detail="logout, every scope")
    requests = [record["request"] for record in records(linked) if record["event"].startswith("consent-")]
    assert len(set(requests)) == 3


@causes("consent-given", "consent-refused", "token-disclosed")
def test_consents_by_prompt(linked):
    """What is remembered after the prompt is of the call that asked, as is the token."""
    linked.write_grants("people", f"[user:alice]\nask = {LIBRARY}\n")
    linked.reload()
    alice = linked.client("alice")
    agent = Agent(linked, alice, "dismiss")
    call = ("GetToken", "asa{sv}", ([LIBRARY], {}))
    assert error_of(alice.wait, alice.send(NAME, *call, interactive=True), 20 * linked.slowness).short == "Cancelled"
    refused = full(
        linked, wait_record(linked, "consent-refused"), **caller("alice"), **MAIN, asked=LIBRARY, carried=LIBRARY,
        verdict="deny", decided_by="prompt", detail="dismissed",
    )  # fmt: skip
    assert wait_record(linked, "token-denied")["request"] == refused["request"]
    agent.close()
    other = linked.client("bob")  # whom nobody has asked yet
    link(linked, "bob", [LIBRARY])
    linked.write_grants("people", f"[user:bob]\nask = {LIBRARY}\n")
    linked.reload()
    Agent(linked, other, "yes")
    fd, _ = other.wait(other.send(NAME, *call, interactive=True), 20 * linked.slowness)
    os.close(fd)
    given = full(
        linked, wait_record(linked, "consent-given"), app="user:bob", kind="user", uid=uid("bob"), request=REQUEST,
        account="main", owner="bob", owner_uid=uid("bob"), asked=LIBRARY, verdict="allow", decided_by="prompt", detail="logout",
    )  # fmt: skip
    assert wait_record(linked, "token-disclosed")["request"] == given["request"] != refused["request"]


@causes("consent-expired")
def test_consent_that_runs_out(quick):
    shim = Shim(quick)
    quick.broker.stop()
    quick.broker.start(env=shim.environment())
    link(quick, "alice", [LIBRARY])
    set_consent(quick.client("alice"), "user:musicd", "deny", lasts=("s", "days"), days=("u", 3))
    given = wait_record(quick, "consent-refused")
    assert given["expires_sec"] - given["time_sec"] == 3 * 86400
    shim.suspend(3 * 86400 + 2)
    expired = wait_record(quick, "consent-expired")
    expired |= {"time_sec": time.time(), "boot_usec": 1}
    full(
        quick, expired, app="user:musicd", kind="user", **MAIN, asked=LIBRARY, decided_by="time", detail="until",
        expires_sec=given["expires_sec"],
    )  # fmt: skip


# --- policy and keys ---


@causes("policy-rejected", "policy-loaded")
def test_policy(quick):
    root = quick.client("root")

    def of_reload(event):
        """What came of the call; the watch over the folder may have been faster, and have records of its own."""
        n = len(records(quick, event))
        root.call(POLICY, "Reload", "")
        found = wait_until(lambda: [r for r in records(quick, event)[n:] if r["request"]], 5 * quick.slowness, event)
        return found[-1]

    path = quick.write_grants("bad", "[user:alice]\nallow = no such scope\n")
    rejected = full(quick, of_reload("policy-rejected"), **caller("root"), detail=path + ":2")
    loaded = wait_until(
        lambda: [r for r in records(quick, "policy-loaded") if r["request"] == rejected["request"]], 5, "the table"
    )
    full(quick, loaded[0], **caller("root"), detail="reload; 1 problem")
    quick.write_grants("bad", None)
    full(quick, of_reload("policy-loaded"), **caller("root"), detail="reload")
    # What was refused is no policy.
    n = len(records(quick, "policy-loaded"))
    path = quick.write("conf/broker.conf", "[provider]\nregion = mars\n")
    full(quick, of_reload("policy-rejected"), **caller("root"), detail=f"{path}:2")
    assert len(records(quick, "policy-loaded")) == n
    quick.write_config()
    full(quick, of_reload("policy-loaded"), **caller("root"), detail="reload")


@causes("policy-rejected", "policy-loaded")
def test_files_that_are_malformed_at_the_start(quick):
    """Each is named, as far as there are not many of them; how many there are is said."""
    for number in range(20):
        quick.write_grants(f"bad-{number:02}", "[user:alice]\nallow = no such scope\n")
    quick.broker.stop()
    n = len(records(quick, "policy-rejected"))
    started = len(records(quick, "policy-loaded")) + 1
    quick.broker.start()
    full(quick, wait_record(quick, "policy-loaded", started), detail="start; 20 problems")
    found = records(quick, "policy-rejected")[n:]
    assert len(found) == 16 and found[3]["detail"].endswith("/bad-03.conf:2")
    full(quick, found[0], detail=quick.path("conf/grants.d/bad-00.conf:2"))


@causes("key-rotated")
def test_key(linked):
    linked.client("root").call(KEYS, "Rekey", "a{sv}", ({},))
    full(linked, wait_record(linked, "key-rotated"), **caller("root"), detail=HEX)


@causes("trail-key-created", "trail-sealed")
def test_key_of_the_trail(linked):
    full(linked, wait_record(linked, "trail-key-created"), detail=re.compile("first [0-9a-f]{16}"))
    fd, _ = linked.client("root").call(AUDIT, "Setup", "a{sv}", ({},))
    os.close(fd)
    made = wait_record(linked, "trail-key-created", 2)
    full(linked, made, **caller("root"), detail=re.compile("setup [0-9a-f]{16}"))
    for sealed in records(linked, "trail-sealed"):  # for the call, or because it was time
        of_call = {**caller("root", made["request"]), "detail": re.compile(f"|{made['detail']}")}
        full(linked, sealed, **(of_call if sealed["app"] else {}))


# --- all of them ---


def test_requests_are_unique(linked):
    """Each call has its own, also after a restart."""
    for _ in range(2):
        alice = linked.client("alice")
        for number in range(3):
            alice.call(ACCOUNTS, "Rename", "ss", ("main", f"label {number}"))
        alice.close()
        linked.clients.remove(alice)
        linked.broker.restart()
    found = [record["request"] for record in records(linked, "account-renamed")]
    assert len(set(found)) == 6 and all(REQUEST.fullmatch(request) for request in found)
    assert len({request.split("-")[0] for request in found}) == 2


def test_nothing_personal(linked):
    """The label that was chosen, and what the provider knows of its customer, is not on the trail."""
    alice = linked.client("alice")
    alice.call(ACCOUNTS, "Rename", "ss", ("main", "Alice Person's new"))
    take(alice)
    linked.sim.revoke("alice")
    assert error_of(reject, alice, take(alice)[1]["token_id"]).short == "LoginRequired"
    wait_record(linked, "grant-died")
    text = repr([value for record in records(linked) for value in record.values() if isinstance(value, str)])
    for part in ("Person", "@", "amzn1.", "Atz", "http", "new label"):
        assert part not in text, part


def test_every_event_is_caused():
    with open(f"{os.environ['LWA_SRC_DIR']}/dbus/audit-names.c", encoding="utf-8") as file:
        names = set(re.findall(r'\[AUDIT_\w+\] = "([a-z-]+)"', file.read()))
    caused = {event for thing in globals().values() for event in getattr(thing, "causes", ())}
    assert len(names) > 25 and caused == names - ELSEWHERE


# PLAYBACK is what alice's table allows beside LIBRARY; a login of both is another grant beside, not in its place.
@causes("grant-added")
def test_wider_login_beside(linked):
    link(linked, "alice", [LIBRARY, PLAYBACK])
    wait_record(linked, "grant-added", 2)
    assert records(linked, "grant-removed") == []
