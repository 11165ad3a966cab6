# SPDX-License-Identifier: LGPL-2.1-or-later
"""The example rules of policy/examples: polkitd takes each, and it does what its comments say. polkitd only logs that a
rule cannot be read, so every test would fail for one that cannot."""

import os
import re

import pytest

import apps
from agent import Agent
from apps import ACCOUNTS, AUDIT, begin_login, grants, refused, take, why_refused
from boxed import flatpak
from sandbox import Unit

READ = "music::library:read"
PLAYBACK = "music::playback"
DASH = "dash:replenish"
PLAYER = "org.example.Player"
CONSENT_DEVICE = "org.lwabroker.consent.device"


def example(world, name, **names):
    """Puts an example in place, with the names in it changed as its comments ask for."""
    with open(os.path.join(world.src_dir, "policy/examples", name + ".rules"), encoding="utf-8") as file:
        text = file.read()
    for variable, value in names.items():
        text, n = re.subn(rf'(    var {variable} = )"[^"]*"', rf'\1"{value}"', text)
        assert n == 1, variable
    world.write_rule(name, text)
    wrong = [line for line in world.polkitd.log().splitlines() if f"{name}.rules" in line]
    assert not wrong, wrong


def agree(client, app, scopes, interactive=False):
    """Consent given beforehand, for the device's account."""
    args = (app, "", scopes, "allow", {"owner": ("s", "device")})
    serial = client.send("org.lwabroker.Policy1", "SetConsent", "ssassa{sv}", args, interactive=interactive)
    return client.wait(serial, 30)


def test_examples_are_all_tested(shared_world):
    names = {name.removesuffix(".rules") for name in os.listdir(os.path.join(shared_world.src_dir, "policy/examples"))}
    assert names == {"40-kiosk", "40-multi-user-desktop", "40-fleet-image"}


# --- a kiosk ---


@pytest.fixture
def kiosk(world):
    apps.open_to_logins(world)
    grants(
        world,
        f"[flatpak:{PLAYER}]\nallow = {READ}\nask = {PLAYBACK}\n[user:alice]\nallow = {READ}\n[user:root]\nallow = {READ}\n",
    )
    logins = [("root", [scope], "carol", {"owner": "device"}) for scope in (READ, PLAYBACK)]
    apps.link_all(world, logins[:1])
    apps.link_all(world, logins[1:] + [("alice", [READ], "alice", {})])
    world.write_rule("10-manage", None)
    example(world, "40-kiosk")
    return world


def test_kiosk_gives_what_is_plainly_allowed(kiosk):
    player = flatpak(kiosk, "bob", PLAYER)
    assert take(player, [READ]).info["account"] == "device"
    # Nobody can be asked, so nobody is.
    with refused("AccessDenied", PLAYBACK):
        player.get_token([PLAYBACK], interactive=True)
    with refused("AccessDenied"):
        kiosk.client("bob").get_token([READ])


def test_kiosk_gives_what_was_agreed_to_beforehand(kiosk):
    player = flatpak(kiosk, "bob", PLAYER)
    with refused("AccessDenied"):
        agree(kiosk.client("alice"), f"flatpak:{PLAYER}", [PLAYBACK])
    with refused("AccessDenied", PLAYBACK):
        player.get_token([PLAYBACK])
    agree(kiosk.root(), f"flatpak:{PLAYER}", [PLAYBACK])
    assert take(player, [PLAYBACK]).info["account"] == "device"
    with refused("AccessDenied", PLAYBACK):
        flatpak(kiosk, "bob", "org.example.Game").get_token([PLAYBACK])


def test_kiosk_uses_the_account_of_the_device_only(kiosk):
    alice = kiosk.client("alice")
    assert why_refused(alice, [READ]) == "AccessDenied"
    assert take(alice, [READ], account="device").info["account"] == "device"


def test_kiosk_tells_that_nobody_has_logged_in(kiosk):
    kiosk.client("root").call(ACCOUNTS, "Remove", "s", ("device",))
    assert why_refused(flatpak(kiosk, "bob", PLAYER), [READ]) == "LoginRequired"


def test_kiosk_gives_nothing_to_connections_older_than_the_broker(kiosk):
    old = flatpak(kiosk, "bob", PLAYER)
    take(old, [READ])
    kiosk.broker.restart()
    assert why_refused(old, [READ]) == "AccessDenied"
    take(flatpak(kiosk, "bob", PLAYER), [READ])


def test_kiosk_is_managed_by_root_only(kiosk):
    alice, root = kiosk.client("alice"), kiosk.client("root")
    for owner in ("", "device"):
        with refused("AccessDenied"):
            begin_login(alice, [READ], **({"owner": owner} if owner else {}))
    with refused("AccessDenied"):
        alice.call(ACCOUNTS, "Remove", "s", ("main",))
    with refused("AccessDenied"):
        alice.call(AUDIT, "Query", "a{sv}tu", ({}, 0, 10))
    root.call(ACCOUNTS, "Rename", "ss", ("device", "the screen"))
    assert root.call(AUDIT, "Query", "a{sv}tu", ({}, 0, 10))[0]


# --- a desktop of several users ---


@pytest.fixture
def desktop(world):
    apps.open_to_logins(world)
    grants(world, "".join(f"[user:{user}]\nallow = {READ} {DASH}\n" for user in ("alice", "bob")))
    apps.link_all(world, [("alice", [READ], "alice", {}), ("bob", [READ], "carol", {})])
    apps.link_all(world, [("alice", [DASH], "alice", {"account": "main"}), ("bob", [DASH], "carol", {"account": "main"})])
    # There is no logind here, so nobody is the active local user who may log in.
    world.write_rule("10-manage", None)
    world.write_rule("45-manage", apps.MANAGE)
    example(world, "40-multi-user-desktop", parents="alice", children="bob")
    return world


def test_desktop_keeps_children_from_what_is_delicate(desktop):
    alice, bob = desktop.client("alice"), desktop.client("bob")
    for client in (alice, bob):
        take(client, [READ])
    with refused("ConsentRequired", DASH):
        alice.get_token([DASH])
    with refused("AccessDenied", DASH):
        bob.get_token([DASH])


def test_desktop_wants_the_users_own_password_for_what_is_delicate(desktop):
    """Each time, and a wrong one or an administrator's command does not do."""
    alice = desktop.client("alice")
    agent = Agent(desktop, alice, "yes", "yes", "no")
    for n in (1, 2):
        serial = alice.send(apps.BROKER, "GetToken", "asa{sv}", ([DASH], {}), interactive=True)
        os.close(alice.wait(serial, 30 * desktop.slowness)[0])
        assert len(agent.asked) == n and agent.asked[-1].identities == [f"uid:{agent.uid()}"]
    with refused("AccessDenied", DASH):
        alice.wait(alice.send(apps.BROKER, "GetToken", "asa{sv}", ([DASH], {}), interactive=True), 30 * desktop.slowness)
    with refused("ConsentRequired", DASH):
        alice.get_token([DASH])


def test_desktop_lets_parents_agree_for_the_device(desktop):
    """With their own password; of whoever else an administrator's is wanted."""
    apps.link_all(desktop, [("root", [PLAYBACK], "carol", {"owner": "device"})])
    alice, carol = desktop.client("alice"), desktop.client("carol")
    for client, expected in ((alice, "own"), (carol, "uid:0")):
        with refused("ConsentRequired"):
            agree(client, f"flatpak:{PLAYER}", [PLAYBACK])
        agent = Agent(desktop, client, "yes")
        agree(client, f"flatpak:{PLAYER}", [PLAYBACK], interactive=True)
        (question,) = agent.asked
        assert question.action == CONSENT_DEVICE
        assert question.identities == [f"uid:{agent.uid()}" if expected == "own" else expected]


def test_desktop_lets_children_not_log_in(desktop):
    begin_login(desktop.client("alice"), [READ])
    with refused("AccessDenied"):
        begin_login(desktop.client("bob"), [READ])


def test_desktop_opens_accounts_to_one_app_in_a_sandbox(desktop):
    desktop.write_rule("45-manage", None)
    settings = flatpak(desktop, "alice", "org.example.Settings")
    assert [row["id"] for row in settings.call(ACCOUNTS, "List", "a{sv}", ({},))] == ["main"]
    # Its own password is needed for more, and there is nobody here to type it.
    with refused("ConsentRequired"):
        settings.call(ACCOUNTS, "Rename", "ss", ("main", "mine"))
    with refused("ConsentRequired"):
        begin_login(settings, [READ])
    with refused("AccessDenied"):
        settings.call(AUDIT, "Query", "a{sv}tu", ({}, 0, 10))
    for other in (flatpak(desktop, "alice", "org.example.Settings2"), flatpak(desktop, "bob", "org.example.Settings")):
        with refused("AccessDenied"):
            other.call(ACCOUNTS, "List", "a{sv}", ({},))


# --- a fleet ---


@pytest.fixture
def fleet(world):
    """Units of users that are people here, so the table says whose they are."""
    with Unit("musicd") as music, Unit("provisioning") as provisioning, Unit("fleet-agent") as agent:
        grants(
            world,
            f"[unit:{music.name}]\nuser = musicd\nallow = {READ}\nask = {PLAYBACK}\n"
            f"[unit:{provisioning.name}]\nuser = weatherd\nallow = {READ}\n"
            f"[unit:{agent.name}]\nuser = carol\n"
            f"[user:alice]\nallow = {READ}\n[flatpak:{PLAYER}]\nallow = {READ}\n",
        )
        world.sim.set(interval=1)
        example(world, "40-fleet-image", provisioning=f"unit:{provisioning.name}", agent=f"unit:{agent.name}")
        clients = {}
        for unit, user in ((music, "musicd"), (provisioning, "weatherd"), (agent, "carol")):
            clients[user] = world.client(user)
            unit.add(clients[user].pid)
        world.fleet = clients["musicd"], clients["weatherd"], clients["carol"]
        yield world
        world.close_clients()


def log_in(world, client, scopes, **options):
    path = begin_login(client, scopes, owner="device", **options)
    world.sim.approve(apps.user_code(world, client, path), "carol")
    outcome, details = client.wait_signal(apps.REQUEST, "Finished", timeout=15 * world.slowness, path=path)
    assert outcome == "linked", (outcome, details)


def test_fleet_is_provisioned_and_watched_by_its_units(fleet):
    music, provisioning, agent = fleet.fleet
    with refused("AccessDenied"):
        begin_login(music, [READ], owner="device")
    with refused("AccessDenied"):
        begin_login(provisioning, [READ])
    log_in(fleet, provisioning, [READ])
    assert take(music, [READ]).info["account"] == "device"

    records = agent.call(AUDIT, "Query", "a{sv}tu", ({}, 0, 100))[0]
    assert {"login-finished", "token-disclosed"} <= {record["event"] for record in records}
    with refused("AccessDenied"):
        music.call(AUDIT, "Query", "a{sv}tu", ({}, 0, 100))
    provisioning.call(ACCOUNTS, "Remove", "s", ("device",))
    assert why_refused(music, [READ]) == "LoginRequired"


def test_fleet_goes_by_the_image_and_no_consent(fleet):
    """Given beforehand by root, it makes an app hold no more on this device than on the others."""
    music, provisioning, _ = fleet.fleet
    log_in(fleet, provisioning, [PLAYBACK])
    with refused("AccessDenied", PLAYBACK):
        music.get_token([PLAYBACK])
    apps_now = fleet.root().call("org.lwabroker.Policy1", "ListApps", "a{sv}", ({"all": ("b", True)},))
    (unit,) = [row["app"] for row in apps_now if row["connection"] == music.name]
    assert unit.startswith("unit:")
    agree(fleet.root(), unit, [PLAYBACK])
    (row,) = fleet.root().call("org.lwabroker.Policy1", "ListConsents", "a{sv}", ({"all": ("b", True)},))
    assert (row["app"], row["scope"], row["answer"]) == (unit, PLAYBACK, "allow")
    with refused("AccessDenied", PLAYBACK):
        music.get_token([PLAYBACK], interactive=True)


def test_fleet_gives_to_units_what_the_table_plainly_allows(fleet):
    music, provisioning, _ = fleet.fleet
    log_in(fleet, provisioning, [READ])
    log_in(fleet, provisioning, [PLAYBACK], account="device")
    take(music, [READ])
    with refused("AccessDenied", PLAYBACK):
        music.get_token([PLAYBACK], interactive=True)
    for other in (fleet.client("alice"), fleet.client("musicd"), flatpak(fleet, "bob", PLAYER)):
        assert why_refused(other, [READ]) == "AccessDenied"
