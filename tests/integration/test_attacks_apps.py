# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a hostile app tries to be taken for another, to be allowed without a person, to be everywhere, and to keep what
was taken from it. What it sends to the broker besides is test_attacks.py."""


import pytest

import apps
from agent import Agent
from apps import BROKER, grants, refused, take, why_refused
from test_policy1 import POLICY, set_consent
from world import NO_RATES, DBusError, wait_until

READ = "music::library:read"
# Whoever authenticates as the owner is told apart from who only says so.
AGREEING = apps.rule('action.id == "org.lwabroker.consent"', "YES")


@pytest.fixture
def linked(world):
    """alice has an account that may read the library."""
    apps.open_to_logins(world)
    grants(world, f"[user:alice]\nallow = {READ}\n[user:bob]\nask = {READ}\n")
    apps.link(world, "alice", [READ])
    return world


def another(world, client):
    """A second connection of the same process."""
    other = client.another()
    world.clients.append(other)
    return other


# --- consent without a person -----------------------------------------------------------------------------


@pytest.mark.parametrize("scopes", [[], [READ]], ids=["every scope", "one"])
def test_what_an_owner_denied_comes_back_through_the_owner_only(linked, scopes):
    """Any program of alice's can call SetConsent: none forgets or shortens the denial that keeps it out."""
    alice, app = linked.client("alice"), linked.client("alice")
    take(app, [READ])
    set_consent(alice, "user:alice", "deny", scopes)
    for answer, options in (("forget", {}), ("deny", {"days": 1})):
        for chosen in ([], [READ]):
            try:
                set_consent(app, "user:alice", answer, chosen, **options)
            except DBusError as error:
                assert error.short in ("ConsentRequired", "InvalidArgument")
            assert why_refused(app, [READ]) == "AccessDenied"
    (row,) = [row for row in app.call(POLICY, "ListConsents", "a{sv}", ({},)) if row["scope"] == "".join(scopes)]
    assert (row["answer"], row["lasts"]) == ("deny", "logout")
    linked.write_rule("20-test", AGREEING)
    set_consent(alice, "user:alice", "forget", [])
    take(app, [READ])


def test_denial_is_not_undone_while_it_is_written(linked):
    """What is not in force yet cannot be seen by whoever is to be kept from undoing it."""
    linked.write_config(limits=NO_RATES)
    linked.reload()
    alice, app = linked.client("alice"), linked.client("alice")
    args = ("user:alice", "", [], "forget", {})
    for _ in range(10):
        revoking = alice.send(POLICY, "RevokeApp", "sa{sv}", ("user:alice", {}))
        serials = [app.send(POLICY, "SetConsent", "ssassa{sv}", args) for _ in range(20)]
        alice.wait(revoking, 20 * linked.slowness)
        for serial in serials:
            with pytest.raises(DBusError):
                app.wait(serial, 20 * linked.slowness)
        assert why_refused(app, [READ]) == "AccessDenied"
        linked.write_rule("20-test", AGREEING)
        set_consent(alice, "user:alice", "forget", [])
        linked.write_rule("20-test", None)


def test_questions_that_are_left_are_few(linked):
    """An app that asks, leaves before anybody could answer, and comes back does not keep a window flickering until
    somebody clicks it away the wrong way."""
    bob = linked.client("bob")
    agent = Agent(linked, bob, "never")
    apps.link(linked, "bob", [READ])
    refusals = []
    for _ in range(6):
        n = len(agent.asked)
        app = another(linked, bob)
        serial = app.send(BROKER, "GetToken", "asa{sv}", ([READ], {}), interactive=True)
        wait_until(lambda: len(agent.asked) > n or serial in received(app), 10 * linked.slowness, "a question")
        if serial in app.replies:
            with refused("ConsentRequired", "a minute"):
                app.wait(serial)
            refusals.append(serial)
        linked.clients.remove(app)
        app.close()
        for question in agent.asked:
            agent.wait_cancelled(question)
    assert len(agent.asked) == 3 and len(refusals) == 3


def received(client):
    client.drain(0)
    return client.replies
