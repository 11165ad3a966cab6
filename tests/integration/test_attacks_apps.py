# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a hostile app tries to be taken for another, to be allowed without a person, to be everywhere, and to keep what
was taken from it. What it sends to the broker besides is test_attacks.py."""

import time

import pytest

import apps
from apps import grants, take, why_refused
from test_policy1 import POLICY, set_consent
from world import NO_RATES, DBusError

LIBRARY, READ, PROFILE = "music::library", "music::library:read", "profile"
PING = ("org.freedesktop.DBus.Peer", "Ping")
# Whoever authenticates as the owner is told apart from who only says so.
AGREEING = apps.rule('action.id == "org.lwabroker.consent"', "YES")


@pytest.fixture
def linked(world):
    """alice has an account that may read the library."""
    apps.open_to_logins(world)
    grants(world, f"[user:alice]\nallow = {READ}\n[user:bob]\nask = {READ}\n")
    apps.link(world, "alice", [READ])
    return world


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


# --- everywhere at once -----------------------------------------------------------------------------------


def test_plan_of_a_long_table_delays_nobody(linked):
    """Everybody may call it, and may choose how often."""
    linked.write_grants("many", "".join(
        f"[flatpak:org.example.App{i}]\nallow = {READ}\nask = {PROFILE}\n[flatpak:org.example.App{i}]\ndeny = postal_code\n"
        for i in range(4000)))
    linked.reload()
    bob, bystander = linked.client("bob"), linked.client("alice")
    for client in (bob, bystander):
        client.call(*PING)
    serials = [bob.send(POLICY, "Plan", "a{sv}", ({},)) for _ in range(3)]
    began = time.monotonic()
    bystander.call(*PING)
    for serial in serials:
        (login, *_) = bob.wait(serial, 25 * linked.slowness)
        assert len(login["serves"]) == 4000
    assert time.monotonic() - began < 2 * linked.slowness
