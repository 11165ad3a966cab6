# SPDX-License-Identifier: LGPL-2.1-or-later
"""Memory that ends at the n-th allocation, for every n that an operation makes: of a GetToken that is served from
memory, of one that has to renew first, and of a whole login.

Whatever fails, the caller gets a token or a named error, nobody else notices, nothing leaks, the login survives, and
no token goes out without its record. With the sanitizers the shim has no hold of memory, so these tests are not
collected there; `./dev test --all` runs them on the plain build.
"""

import time

import pytest

from logins import LIBRARY, Login, link_device, settle, status, take, trail
from shim import SANITIZED, Shim
from world import Client, DBusError, wait_until

pytestmark = pytest.mark.slow
if SANITIZED:
    __test__ = False

PEER = "org.freedesktop.DBus.Peer"
NO_MEMORY = "org.freedesktop.DBus.Error.NoMemory"
# What may be said instead: of a part that ran out, which fails closed. Never that somebody else could help.
HONEST = ("AccessDenied", "AuditUnavailable", "ProviderUnavailable", "RateLimited", "StoreUnavailable")
N_MAX = 20000
DAY = 86400


def nothing():
    pass


class Ordeal:
    """Runs an operation again and again, each time with another allocation failing, until it needs no more."""

    def __init__(self, world):
        self.world = world
        self.shim = Shim(world)
        world.broker.stop()
        world.broker.start(env=self.shim.environment())
        self.outcomes = {}
        self.tokens = set()

    def settle_down(self):
        """The base that every round must come back to."""
        self.watcher = self.world.client("bob")
        self.base = self.figures()

    def figures(self):
        found = status(self.watcher)
        return {name: found[name] for name in ("connections", "calls", "logins")}

    def describe(self, n):
        try:
            return f"n={n}: " + " < ".join(f"{name}+{at:#x}" for name, at in self.shim.stack())
        except OSError:
            return f"n={n}: the broker is gone"

    def run(self, operation, recover, before=nothing, after=nothing, without_tls=False, stride=1):
        """operation() gives a word for how it ended; recover() must make the same thing work again."""
        n = 1
        while n < N_MAX:
            before()
            self.shim.arm(n, without_tls)
            try:
                outcome = operation()
                failed = self.shim.failed
                self.shim.disarm()
                self.check_round(outcome, recover, after)
            except BaseException as error:
                raise AssertionError(f"{self.describe(n)}: {error!r}") from error
            if not failed:
                print(self.outcomes, "rounds", n)
                return n
            n += stride
        raise AssertionError("it never ends")

    def check_round(self, outcome, recover, after):
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1
        self.watcher.call(PEER, "Ping", timeout=5)
        if outcome != "ok":
            recover()
        after()
        wait_until(lambda: self.figures() == self.base, 5, f"{self.base} again")

    def attempt(self, client):
        """A GetToken: "ok" or the name of its error, which must be one that callers know."""
        try:
            text, _ = take(client)
            self.tokens.add(text)
            return "ok"
        except DBusError as error:
            assert error.name == NO_MEMORY or error.short in HONEST, error
            return error.short

    def check_records(self, app):
        records = [r for r in trail(self.world.root(), "token-disclosed") if r["app"] == app]
        assert len(records) >= len(self.tokens)


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
