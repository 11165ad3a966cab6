# SPDX-License-Identifier: LGPL-2.1-or-later
"""Memory that ends at the n-th allocation, for every n that an operation makes: see test_faults_memory.py."""

from logins import status, take, trail
from shim import Shim
from world import DBusError, wait_until

PEER = "org.freedesktop.DBus.Peer"
NO_MEMORY = "org.freedesktop.DBus.Error.NoMemory"
# What may be said instead: of a part that ran out, which fails closed. Never that somebody else could help.
HONEST = ("AccessDenied", "AuditUnavailable", "ProviderUnavailable", "RateLimited", "StoreUnavailable")
N_MAX = 20000


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
        self.watcher.call(PEER, "Ping", timeout=5 * self.world.slowness)
        if outcome != "ok":
            recover()
        after()
        wait_until(lambda: self.figures() == self.base, 5 * self.world.slowness, f"{self.base} again")

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
