# SPDX-License-Identifier: LGPL-2.1-or-later
"""The broker and polkitd: what polkit is told, what is remembered of its answers, and what happens when it is slow,
gone, misconfigured or impersonated."""

import os
import re
import sys
import time

import pytest
from jeepney import DBusAddress, HeaderFields, new_signal

import apps
from apps import BROKER, await_calls, check, grants, refused, rule, scope_rule, take, why_refused
from world import wait_until

SCOPE = "music::library:read"
ALLOW = "".join(f"[user:{user}]\nallow = {SCOPE} profile\n" for user in ("alice", "bob", "musicd", "root"))
AUTHORITY = "org.freedesktop.PolicyKit1.Authority"


@pytest.fixture
def linked(world):
    apps.open_to_logins(world)
    grants(world, ALLOW)
    apps.link_all(world, [("alice", [SCOPE], "alice", {}), ("alice", [SCOPE], "carol", {"owner": "device"})])
    return world


def polkit_health(world):
    return apps.status(world)["polkit"]


# --- gone ---


def test_without_polkit_nothing_is_disclosed(linked):
    remembered = linked.client("alice")
    take(remembered, [SCOPE])
    disclosed = apps.audit(linked, "token-disclosed")
    linked.polkitd.stop()
    wait_until(lambda: polkit_health(linked) != "ok", 5 * linked.slowness, "the broker to notice")
    assert "not on the bus" in polkit_health(linked)
    # What was remembered is forgotten: nobody could take it back.
    for user in ("alice", "bob", "musicd"):
        with refused("AccessDenied", "polkit", "lwactl status"):
            linked.client(user).get_token([SCOPE])
    with refused("AccessDenied", "polkit"):
        remembered.get_token([SCOPE])
    assert check(remembered, [SCOPE]) == {SCOPE: "deny"}
    with refused("AccessDenied", "polkit cannot be asked", "lwactl status"):
        apps.begin_login(remembered, [SCOPE])
    # For uid 0 the table alone decides, and the device's account needs nobody else.
    take(linked.client("root"), [SCOPE])

    linked.polkitd.start()
    wait_until(lambda: polkit_health(linked) == "ok", 5 * linked.slowness, "the broker to find polkit again")
    more = apps.audit(linked, "token-disclosed")[len(disclosed) :]
    assert [record["app"] for record in more] == ["user:root"]
    take(remembered, [SCOPE])
    take(linked.client("bob"), [SCOPE])


def test_broker_starts_without_polkit(linked):
    linked.broker.stop()
    linked.polkitd.stop()
    linked.broker.start()
    assert why_refused(linked.client("alice"), [SCOPE]) == "AccessDenied"
    linked.polkitd.start()
    wait_until(lambda: polkit_health(linked) == "ok", 5 * linked.slowness, "the broker to find polkit")
    take(linked.client("alice"), [SCOPE])


def test_polkit_restarts_while_it_is_asked(linked):
    """The answer that never comes is no permission; the next call asks the new one."""
    linked.polkitd.pause()
    client = linked.client("alice")
    serial = client.send(BROKER, "GetToken", "asa{sv}", ([SCOPE], {}))
    await_calls(linked, 1)
    linked.polkitd.kill9()
    with refused("AccessDenied", "polkit"):
        client.wait(serial, 5 * linked.slowness)
    linked.polkitd.start()
    wait_until(lambda: polkit_health(linked) == "ok", 5 * linked.slowness, "the broker to find polkit again")
    take(client, [SCOPE])


# --- slow ---


def test_hanging_polkit_blocks_only_those_who_need_it(linked):
    """I7."""
    remembered, fresh = linked.client("alice"), linked.client("bob")
    take(remembered, [SCOPE])
    linked.polkitd.pause()
    try:
        began = time.monotonic()
        blocked = fresh.send(BROKER, "GetToken", "asa{sv}", ([SCOPE], {}))
        await_calls(linked, 1)
        for _ in range(10):
            asked = time.monotonic()
            take(remembered, [SCOPE])
            fresh.call(apps.PEER, "Ping")
            apps.status(linked)
            linked.client("musicd").get_property(BROKER, "Version")
            assert time.monotonic() - asked < 1 * linked.slowness
        # The very question that is under way, asked again, waits for the same answer.
        again = fresh.send(BROKER, "GetToken", "asa{sv}", ([SCOPE], {}))
        for serial in (blocked, again):
            with refused("AccessDenied", "polkit", "lwactl status"):
                fresh.wait(serial, 40)
        assert 15 < time.monotonic() - began < 35
        await_calls(linked, 0)
    finally:
        linked.polkitd.cont()
    take(fresh, [SCOPE])


def test_checks_are_pipelined(linked):
    """More checks at once than are let under way: every caller gets its answer."""
    linked.polkitd.pause()
    clients = [linked.client("alice")]
    clients += [clients[0].another() for _ in range(99)]
    try:
        serials = [client.send(BROKER, "GetToken", "asa{sv}", ([SCOPE], {})) for client in clients]
        await_calls(linked, 100)
    finally:
        linked.polkitd.cont()
    for client, serial in zip(clients, serials):
        os.close(client.wait(serial)[0])
    for client in clients[1:]:
        client.close()


# --- remembered ---


LOG_ASKED = 'polkit.addRule(function(action) { if (action.lookup("scope")) polkit.log("asked."); });'


def count_checks(world, call):
    """How often polkit's rules ran because of it."""
    world.write_rule("20-test", LOG_ASKED)
    call()
    before = world.polkitd.log().count("asked.")
    for _ in range(10):
        call()
    # polkitd's log is written before it answers.
    return world.polkitd.log().count("asked.") - before


def test_plain_yes_is_remembered(linked):
    client = linked.client("alice")
    assert count_checks(linked, lambda: take(client, [SCOPE])) == 0
    # By another connection of the same app it has to be asked for anew.
    before = linked.polkitd.log().count("asked.")
    take(linked.client("alice"), [SCOPE])
    assert linked.polkitd.log().count("asked.") == before + 1


def test_no_memory_without_cache_seconds(linked):
    linked.write_config(policy={"decision_cache_seconds": 0})
    linked.reload()
    client = linked.client("alice")
    assert count_checks(linked, lambda: take(client, [SCOPE])) == 10


def test_refusals_are_not_remembered(linked):
    client = linked.client("alice")
    assert count_checks(linked, lambda: why_refused(client, ["postal_code"])) == 10


def test_changed_drops_what_is_remembered(linked):
    client, other = linked.client("alice"), linked.client("bob")
    for answer, expected in (("NO", "AccessDenied"), ("AUTH_ADMIN", "ConsentRequired"), ("YES", "")) * 2:
        linked.write_rule("20-test", scope_rule(SCOPE, answer))
        assert [why_refused(c, [SCOPE]) for c in (client, other)] == [expected] * 2


def test_rule_changes_while_it_is_asked(linked):
    """The yes of before the change, arriving after it, does not count for more than the call it was asked for, and
    is not remembered."""
    linked.polkitd.pause()
    client = linked.client("alice")
    serial = client.send(BROKER, "GetToken", "asa{sv}", ([SCOPE], {}))
    try:
        await_calls(linked, 1)
        linked.write_or_remove("polkit/rules/20-test.rules", scope_rule(SCOPE, "NO"))
    finally:
        linked.polkitd.cont()
    linked.await_rules()
    try:
        os.close(client.wait(serial)[0])
    except apps.DBusError as error:
        assert error.short == "AccessDenied"
    assert why_refused(client, [SCOPE]) == "AccessDenied"


def test_reload_drops_what_is_remembered(linked):
    client = linked.client("alice")
    take(client, [SCOPE])
    grants(linked, f"[user:alice]\ndeny = {SCOPE}\n")
    assert why_refused(client, [SCOPE]) == "AccessDenied"


# --- what a rule sees ---

LOG_DETAILS = """polkit.addRule(function(action, subject) {
    if (action.id.indexOf("org.lwabroker.") !== 0)
        return;
    var names = ["app", "app_kind", "strength", "pinned", "exe", "account", "owner", "scope", "scopes", "verdict",
                 "table", "consent"];
    var facts = names.map(function(name) { return name + "=" + action.lookup(name); });
    polkit.log("facts " + action.id + " " + subject.user + "; " + facts.join("; ") + ".");
});
"""


def facts_seen(world, call):
    """{action: {detail: value}} of the checks that a call caused; `undefined` for a detail that was not given."""
    world.write_rule("05-facts", LOG_DETAILS)
    before = len(world.polkitd.log())
    call()
    found = {}
    for line in world.polkitd.log()[before:].splitlines():
        if "facts org.lwabroker." not in line:
            continue
        head, *facts = line.split("facts ", 1)[1].rstrip(".").split("; ")
        action, user = head.split()
        found[action] = {"user": user, **dict(fact.split("=", 1) for fact in facts)}
    world.write_rule("05-facts", None)
    return found


def test_details_of_a_scope(linked):
    client = linked.client("alice")
    everywhere = {
        "user": "alice",
        "app": "user:alice",
        "app_kind": "user",
        "strength": "uid",
        "pinned": "yes",
        "exe": os.path.realpath(sys.executable),
        "account": "main",
        "owner": "alice",
        "consent": "none",
    }
    seen = facts_seen(linked, lambda: take(client, [SCOPE]))
    about = {"scope": SCOPE, "scopes": SCOPE, "verdict": "allow", "table": "allow"}
    assert seen == {"org.lwabroker.scope.music.library.read": everywhere | about}

    seen = facts_seen(linked, lambda: why_refused(client, ["music::library", "profile"]))
    together = {"scopes": "music::library profile"}
    assert seen == {
        "org.lwabroker.scope.music.library.read": everywhere | about | together,
        "org.lwabroker.scope.music.library": everywhere
        | together
        | {"scope": "music::library", "verdict": "ask", "table": "none"},
        "org.lwabroker.scope.profile": everywhere
        | together
        | {"scope": "profile", "verdict": "allow", "table": "allow"},
        "org.lwabroker.scope.profile.user-id": everywhere
        | together
        | {"scope": "profile:user_id", "verdict": "allow", "table": "allow"},
    }


def test_details_of_the_device_account(linked):
    client = linked.client("bob")
    seen = facts_seen(linked, lambda: take(client, [SCOPE]))
    assert set(seen) == {"org.lwabroker.scope.music.library.read", "org.lwabroker.device.use"}
    assert {facts["account"] for facts in seen.values()} == {"device"}
    assert {facts["owner"] for facts in seen.values()} == {"device"}
    assert seen["org.lwabroker.device.use"]["scope"] == "undefined"
    assert seen["org.lwabroker.device.use"]["verdict"] == "allow"


def test_details_without_an_account(linked):
    linked.client("alice").call(apps.ACCOUNTS, "Remove", "s", ("device",))
    seen = facts_seen(linked, lambda: why_refused(linked.client("bob"), [SCOPE]))
    assert seen["org.lwabroker.scope.music.library.read"]["account"] == ""


@pytest.mark.parametrize(
    ("detail", "value"),
    [
        ("app", "user:alice"),
        ("app_kind", "user"),
        ("strength", "uid"),
        ("pinned", "yes"),
        ("account", "main"),
        ("owner", "alice"),
        ("scope", SCOPE),
        ("scopes", SCOPE),
        ("verdict", "allow"),
        ("table", "allow"),
        ("consent", "none"),
    ],
)
def test_a_rule_can_decide_by_each_detail(linked, detail, value):
    client = linked.client("alice")
    linked.write_rule("20-test", rule(f'd("scope") && d("{detail}") == "{value}"', "NO"))
    assert why_refused(client, [SCOPE]) == "AccessDenied"
    linked.write_rule("20-test", rule(f'd("scope") && d("{detail}") != "{value}"', "NO"))
    assert why_refused(client, [SCOPE]) == ""


def test_subject_is_the_caller(linked):
    linked.write_rule("20-test", rule('subject.user == "alice" && d("scope")', "NO"))
    assert why_refused(linked.client("alice"), [SCOPE]) == "AccessDenied"
    take(linked.client("bob"), [SCOPE])


def test_a_rule_that_throws_gives_nothing(linked):
    """A broken rule is not handled by polkit; ours after it must still stand, and nothing more."""
    linked.write_rule("20-test", 'polkit.addRule(function(a) { throw "broken"; });')
    assert why_refused(linked.client("alice"), ["postal_code"]) != ""


# --- actions ---

def actions_file(world):
    names = [name for name in os.listdir(world.path("polkit/actions")) if "lwabroker" in name]
    assert len(names) == 1, names
    return names[0].removesuffix(".policy")


@pytest.fixture
def actions(linked):
    """The text of our action file, which a test may change; it is put back."""
    name = actions_file(linked)
    with open(linked.path(f"polkit/actions/{name}.policy"), encoding="utf-8") as file:
        text = file.read()
    yield name, text
    linked.write_action(name, text)


def replace_actions(world, name, text):
    """Actions are looked at when the broker starts."""
    world.broker.stop()
    world.write_action(name, text)
    world.broker.start()
    wait_until(lambda: polkit_health(world) != "not asked yet", 5 * world.slowness, "the self-check")


def test_actions_missing(linked, actions):
    name, _ = actions
    replace_actions(linked, name, None)
    assert "not installed" in polkit_health(linked)
    with refused("AccessDenied", "polkit", "lwactl status"):
        linked.client("alice").get_token([SCOPE])
    assert "not installed" in linked.broker.log()


def test_each_action_is_looked_for(linked, actions):
    """A policy file of an older version lacks the newer ones."""
    name, text = actions
    ids = [found for found in re.findall(r'<action id="([^"]*)"', text) if ".scope." not in found]
    assert len(ids) >= 10
    for missing in ids:
        without = re.sub(rf'<action id="{re.escape(missing)}">.*?</action>', "", text, flags=re.DOTALL)
        replace_actions(linked, name, without)
        assert f"action {missing} is not installed" in polkit_health(linked)


def test_actions_with_another_owner(linked, actions):
    name, text = actions
    assert text.count("unix-user:lwa-broker") > 10
    replace_actions(linked, name, text.replace("unix-user:lwa-broker", "unix-user:bob"))
    assert "owner" in polkit_health(linked)
    with refused("AccessDenied", "polkit", "lwactl status"):
        linked.client("alice").get_token([SCOPE])


# --- forged signals ---


def shout(client, to, path, interface, member, signature, args):
    signal = new_signal(DBusAddress(path, interface=interface), member, signature, args)
    if to:
        signal.header.fields[HeaderFields.destination] = to
    client.connection.send(signal, serial=next(client.connection.outgoing_serial))


def owner_of(client, name):
    return client.bus("GetNameOwner", "s", (name,))


def test_forged_signals_do_nothing(linked):
    """Anybody can send the broker a signal that looks like the bus's or polkit's own."""
    victim, hostile = linked.client("alice"), linked.client("weatherd")
    linked.write_rule("20-test", LOG_ASKED)
    token = take(victim, [SCOPE])

    linked.polkitd.pause()
    try:
        waiting = linked.client("bob")
        serial = waiting.send(BROKER, "GetToken", "asa{sv}", ([SCOPE], {}))
        await_calls(linked, 1)
        bus_path, authority_path = "/org/freedesktop/DBus", "/org/freedesktop/PolicyKit1/Authority"
        polkit_name = "org.freedesktop.PolicyKit1"
        for to in (BROKER, owner_of(hostile, BROKER), None):
            for gone in (victim.name, waiting.name, polkit_name, owner_of(hostile, polkit_name), BROKER):
                args = (gone, gone, "")
                shout(hostile, to, bus_path, "org.freedesktop.DBus", "NameOwnerChanged", "sss", args)
            shout(hostile, to, authority_path, AUTHORITY, "Changed", "", ())
            shout(hostile, to, bus_path, "org.freedesktop.DBus", "NameLost", "s", (BROKER,))
        hostile.call(apps.PEER, "Ping")
        assert polkit_health(linked) == "ok"
        assert apps.calls_under_way(linked) == 1
    finally:
        linked.polkitd.cont()
    os.close(waiting.wait(serial)[0])
    # The victim's permission is still remembered, and its token still its own.
    asked = linked.polkitd.log().count("asked.")
    take(victim, [SCOPE])
    assert linked.polkitd.log().count("asked.") == asked
    assert victim.call(BROKER, "ReportRejected", "s", (token.info["token_id"],)) is True


def test_forged_answers_do_nothing(linked):
    """A reply from somebody else than polkit, to every serial that the broker may have used."""
    linked.polkitd.pause()
    victim, hostile = linked.client("alice"), linked.client("weatherd")
    linked.write_or_remove("polkit/rules/20-test.rules", scope_rule(SCOPE, "NO"))
    try:
        serial = victim.send(BROKER, "GetToken", "asa{sv}", ([SCOPE], {}))
        await_calls(linked, 1)
        to = owner_of(hostile, BROKER)
        for number in range(1, 400):
            reply = new_signal(DBusAddress("/", interface="x.y"), "x", "(bba{ss})", ((True, False, {}),))
            reply.header.message_type = apps.METHOD_RETURN
            reply.header.fields = {
                HeaderFields.destination: to,
                HeaderFields.reply_serial: number,
                HeaderFields.signature: "(bba{ss})",
            }
            hostile.connection.send(reply, serial=next(hostile.connection.outgoing_serial))
        hostile.drain(0.1)
        assert apps.calls_under_way(linked) == 1
    finally:
        linked.polkitd.cont()
    linked.await_rules()
    try:
        os.close(victim.wait(serial)[0])
        # polkitd answered this one before it read the rule.
    except apps.DBusError as error:
        assert error.short == "AccessDenied"
