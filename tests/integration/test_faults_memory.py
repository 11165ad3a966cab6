# SPDX-License-Identifier: LGPL-2.1-or-later
"""Memory that ends at the n-th allocation, for every n that an operation makes: of a GetToken that is served from
memory, of one that has to renew first, and of a whole login.

Whatever fails, the caller gets a token or a named error, nobody else notices, nothing leaks, the login survives, and
no token goes out without its record. With the sanitizers the shim has no hold of memory, so these tests are not
collected there; `./dev test --all` runs them on the plain build.
"""

import pytest

from agent import Agent
from logins import LIBRARY, Login, link, link_device, rows, settle, status, take
from ordeal import HONEST, NO_MEMORY, Ordeal
from shim import SANITIZED
from world import NAME, NO_RATES, Client, DBusError

pytestmark = pytest.mark.slow
if SANITIZED:
    __test__ = False

DAY = 86400


@pytest.fixture
def ordeal(world):
    settle(world)
    found = Ordeal(world)
    link_device(world)
    return found


def test_hot_get_token(ordeal):
    app = ordeal.world.client("musicd")
    take(app)
    ordeal.settle_down()
    rounds = ordeal.run(lambda: ordeal.attempt(app), lambda: take(app))
    assert rounds > 15
    ordeal.check_records("user:musicd")


@pytest.fixture(params=["same", "new"])
def rotation(ordeal, request):
    """The harder case is a provider that gives a new refresh token each time, and ends the one before: then the answer
    is the login."""
    ordeal.world.sim.set(rotation=request.param, rotation_kills_old="yes")


@pytest.mark.usefixtures("rotation")
def test_cold_get_token(ordeal):
    """By a connection that the broker does not know yet, with a token that has ended. Afterwards the same connection is
    served, and the login is there."""
    world = ordeal.world
    ordeal.settle_down()
    begun = len(world.broker.log())
    apps = []

    def leave():
        while apps:
            apps.pop().close()

    def cold():
        apps.append(Client("musicd", world.bus_path))
        ordeal.shim.step(boottime=DAY)
        return ordeal.attempt(apps[0])

    def recover():
        ordeal.shim.step(boottime=DAY)
        try:
            take(apps[0])
        except DBusError as error:
            # The step has overtaken a look-up that was still under way.
            assert "lwa-identd does not answer; try again" in error.message
            take(apps[0])

    rounds = ordeal.run(cold, recover, after=leave)
    assert rounds > 500
    # What the broker does every minute goes on.
    assert "no memory for a timer; repeated" not in world.broker.log()[begun:]
    ordeal.check_records("user:musicd")


@pytest.mark.parametrize(("without_tls", "stride"), [(True, 1), (False, 11)], ids=["every", "in-tls-every-11th"])
def test_get_token_on_a_new_connection(ordeal, without_tls, stride):
    """As above, with the name looked up and TLS set up anew: a reload of the configuration drops the old pool. Of the
    5,000 allocations OpenSSL makes 4,000, which would take three minutes: of those every eleventh."""
    world = ordeal.world
    app = world.client("musicd")
    take(app)
    ordeal.settle_down()

    def expired():
        ordeal.shim.step(boottime=DAY)
        return ordeal.attempt(app)

    def recover():
        ordeal.shim.step(boottime=DAY)
        take(app)

    rounds = ordeal.run(expired, recover, before=world.reload, without_tls=without_tls, stride=stride)
    assert rounds > 500
    ordeal.check_records("user:musicd")


def hurry(ordeal, login):
    """finish(), without the waits between polls and between tries."""
    for _ in range(50):
        ordeal.shim.step(boottime=5)
        try:
            return login.finish(timeout=0.1)
        except TimeoutError:
            pass
    raise AssertionError(f"the login stays {login.properties()}")


def test_whole_login(ordeal):
    """By code, from Begin to the account, with the person's answer given at once. The wait between two polls is skipped
    by a step of the clock."""
    world = ordeal.world
    alice = world.client("alice")
    status(alice)
    ordeal.settle_down()

    def log_in():
        try:
            login = Login(alice, [LIBRARY])
        except DBusError as error:
            assert error.name == NO_MEMORY or error.short in HONEST, error
            return "begin:" + error.short
        login.wait_state("waiting", "done", timeout=5)
        if login.state != "done":
            world.sim.approve(login.code, "alice")
        outcome, details = hurry(ordeal, login)
        return "ok" if outcome == "linked" else outcome + ":" + details.get("error", "")

    def recover():
        assert log_in() == "ok"

    rounds = ordeal.run(log_in, recover)
    assert rounds > 800
    take(alice)


# --- who may have what --------------------------------------------------------------------------------------

ASKING = "[user:alice]\nask = music::library\n[user:musicd]\nallow = music::library\n"
POLICY = "org.lwabroker.Policy1"
APP = "user:alice"
AGREEING = """
polkit.addRule(function(action, subject) {
    if (action.id === "org.lwabroker.consent" && subject.user === "alice")
        return polkit.Result.YES;
});
"""


@pytest.fixture
def asked(ordeal):
    """alice's app has to ask her, who agrees to everything."""
    world = ordeal.world
    world.write_rule("16-agreeing", AGREEING)
    world.write_grants("people", ASKING)
    world.write_config(limits=NO_RATES)
    world.reload()
    link(world, "alice", [LIBRARY])
    return ordeal


def set_consent(client, answer, scopes=(LIBRARY,)):
    client.call(POLICY, "SetConsent", "ssassa{sv}", (APP, "", list(scopes), answer, {}))


def forget_all(client):
    if verdict(client) != "ask":
        set_consent(client, "forget", [])


def try_call(call):
    try:
        call()
        return "ok"
    except DBusError as error:
        assert error.name == NO_MEMORY or error.short in HONEST, error
        return error.short


def verdict(client):
    return client.call(NAME, "CheckScopes", "asa{sv}", ([LIBRARY], {}))[LIBRARY]


CHANGES = {
    "allow": (None, lambda alice: set_consent(alice, "allow"), "allow"),
    "deny": ("allow", lambda alice: set_consent(alice, "deny", []), "deny"),
    "forget": ("allow", lambda alice: set_consent(alice, "forget"), "ask"),
    "revoke": ("allow", lambda alice: alice.call(POLICY, "RevokeApp", "sa{sv}", (APP, {})), "deny"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_consent_changes(asked, name):
    """What is answered as done is done. What fails may have become durable before, and then it is in force, too."""
    world, alice = asked.world, asked.world.client("alice")
    begin, change, end = CHANGES[name]
    start = begin or "ask"
    status(alice)
    asked.settle_down()

    def before():
        forget_all(alice)
        if begin:
            set_consent(alice, begin)
        assert verdict(alice) == start

    def attempt():
        outcome = try_call(lambda: change(alice))
        asked.shim.disarm()
        found = verdict(alice)
        assert found == end if outcome == "ok" else found in (start, end), (outcome, found)
        kept = rows(world, "SELECT scope, answer FROM consent")
        assert kept == {"ask": [], "allow": [(LIBRARY, "allow")], "deny": [("", "deny")]}[found], (outcome, found)
        return outcome

    def recover():
        if verdict(alice) != end:
            change(alice)

    rounds = asked.run(attempt, recover, before=before)
    assert rounds > 30


def count_of(shim, call):
    shim.arm(10**9)
    call()
    shim.disarm()
    return shim.count


def test_a_consent_costs_the_same_however_long_the_trail_is(asked):
    """Else the rounds above make more allocations than they try, and never end."""
    alice = asked.world.client("alice")

    def deny():
        forget_all(alice)
        set_consent(alice, "allow")
        return count_of(asked.shim, lambda: set_consent(alice, "deny", []))

    deny()
    few = deny()
    for _ in range(30):
        many = deny()
    assert many < few + few / 2, (few, many)


def test_prompted_consent(asked):
    """What runs out is no answer of the person: she can be asked again at once."""
    world = asked.world
    world.write_rule("16-agreeing", None)
    app = world.client("alice")
    agent = Agent(world, app, "yes")
    status(app)
    asked.settle_down()

    def ask():
        try:
            app.get_token([LIBRARY], interactive=True).close()
            return "ok"
        except DBusError as error:
            assert error.name == NO_MEMORY or error.short in HONEST, error
            return error.short

    def recover():
        assert ask() == "ok"

    rounds = asked.run(ask, recover, before=lambda: forget_all(app))
    assert rounds > 50 and agent.asked


def explain(client):
    return client.call(POLICY, "Explain", "sasa{sv}", (APP, [LIBRARY], {}))


QUESTIONS = {
    "explain": explain,
    "plan": lambda client: client.call(POLICY, "Plan", "a{sv}", ({},)),
    "consents": lambda client: client.call(POLICY, "ListConsents", "a{sv}", ({},)),
    "apps": lambda client: client.call(POLICY, "ListApps", "a{sv}", ({},)),
    "exposure": lambda client: client.call(POLICY, "ListExposure", "a{sv}", ({},)),
    "check": lambda client: client.call(NAME, "CheckScopes", "asa{sv}", ([LIBRARY, "profile"], {})),
    "status": status,
}


@pytest.mark.parametrize("name", QUESTIONS)
def test_questions(asked, name):
    """A whole answer, or none: never one that leaves something out."""
    client = asked.world.client("alice")
    set_consent(client, "allow")
    take(client)
    asked.settle_down()
    whole = QUESTIONS[name](client)

    def attempt():
        answers = []
        outcome = try_call(lambda: answers.append(QUESTIONS[name](client)))
        assert not answers or same(answers[0], whole), (answers, whole)
        return outcome

    rounds = asked.run(attempt, lambda: QUESTIONS[name](client))
    assert rounds > 3


def same(answer, whole):
    """Without what goes by the clock or counts."""
    passing = ("uptime", "unsent", "forward", "expires_in", "age", "since", "calls", "connections", "loop")
    if isinstance(whole, dict):
        return set(answer) == set(whole) and all(k in passing or same(answer[k], whole[k]) for k in whole)
    if isinstance(whole, (list, tuple)):
        return len(answer) == len(whole) and all(map(same, answer, whole))
    return answer == whole
