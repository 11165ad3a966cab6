# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who is asking, where several apps share one user: real sandboxes, proxies, units and roots, and what they reach.

Snap is not here: these machines have no AppArmor, so that only the reader of its labels is tested
(tests/unit/test-snap-label.c); and no ProcessFD, since the bus is older than that."""

import glob
import os
import pwd
import time
import xml.etree.ElementTree as ElementTree

import pytest

import apps
from apps import BROKER, REQUEST, audit, check, grants, refused, rule, take, why_refused
from boxed import boxed, end_process, flatpak, roaming, run_with_pid
from sandbox import SilentRoot, Unit, flatpak_info
from world import DBusError, wait_until

SCOPE = "music::library:read"
PLAYER, RADIO = "org.example.Player", "org.example.Radio"
INTROSPECTABLE, PEER = "org.freedesktop.DBus.Introspectable", "org.freedesktop.DBus.Peer"
PROPERTIES = "org.freedesktop.DBus.Properties"
THREE = f"""
[flatpak:{PLAYER}]
allow = {SCOPE}
[flatpak:{RADIO}]
allow = profile
[user:alice]
allow = postal_code
"""


@pytest.fixture
def linked(world):
    apps.open_to_logins(world)
    return world


def link_each(world, user="alice"):
    apps.link_all(world, [(user, [scope], "alice", {}) for scope in (SCOPE, "profile", "postal_code")])


def denied(world, n=1):
    """The records of refusals, when there are so many: they are written behind their answers."""

    def found():
        records = audit(world, "token-denied")
        return records if len(records) >= n else None

    return wait_until(found, 10 * world.slowness, f"{n} refusals on the trail")


# --- sandboxes are told apart ---


@pytest.mark.parametrize("proxied", [False, True], ids=["on the bus", "through a proxy"])
def test_two_flatpaks_and_their_user(linked, proxied):
    """Each holds what is its own, and none what is another's."""
    linked.write_config(policy={"default": "deny"})
    grants(linked, THREE)
    link_each(linked)
    clients = {
        SCOPE: flatpak(linked, "alice", PLAYER, proxied),
        "profile": flatpak(linked, "alice", RADIO, proxied),
        "postal_code": linked.client("alice"),
    }
    for own, client in clients.items():
        assert take(client, [own]).info["scopes"] == [own]
        for other in set(clients) - {own}:
            assert why_refused(client, [other]) == "AccessDenied"
            assert check(client, [own, other]) == {own: "allow", other: "deny"}
    disclosed = {(r["app"], r["kind"], r["strength"], r["carried"]) for r in audit(linked, "token-disclosed")}
    assert disclosed == {
        (f"flatpak:{PLAYER}", "flatpak", "sandbox", SCOPE),
        (f"flatpak:{RADIO}", "flatpak", "sandbox", "profile"),
        ("user:alice", "user", "uid", "postal_code"),
    }


def test_same_flatpak_of_another_user_has_another_account(linked):
    grants(linked, THREE)
    apps.link(linked, "alice", [SCOPE])
    take(flatpak(linked, "alice", PLAYER), [SCOPE])
    with refused("LoginRequired"):
        flatpak(linked, "bob", PLAYER).get_token([SCOPE])
    with refused("NoSuchAccount"):
        flatpak(linked, "bob", PLAYER).get_token([SCOPE], account="main")


def test_device_account_only_with_permission(linked):
    grants(linked, THREE)
    apps.link(linked, "alice", [SCOPE], "carol", owner="device")
    player = flatpak(linked, "bob", PLAYER)
    assert take(player, [SCOPE]).info["account"] == "device"
    no_device = rule('action.id == "org.lwabroker.device.use" && d("app_kind") == "flatpak"', "NO")
    linked.write_rule("20-test", no_device)
    assert why_refused(player, [SCOPE]) in ("LoginRequired", "AccessDenied")
    assert why_refused(flatpak(linked, "bob", PLAYER), [SCOPE]) in ("LoginRequired", "AccessDenied")
    assert why_refused(flatpak(linked, "bob", "org.example.Other"), [SCOPE]) == "ConsentRequired"


def test_a_caller_stays_who_it_is_whatever_it_says(linked):
    """It names other apps, users and accounts in every string that it may send, and owns a name of another app."""
    linked.write_config(policy={"default": "deny"})
    grants(linked, THREE)
    apps.link(linked, "alice", [SCOPE])
    liar = flatpak(linked, "alice", RADIO)
    claims = (f"flatpak:{PLAYER}", PLAYER, "user:alice", "uid:0", "unit:musicd.service", "root", "device", ":1.0")
    for claim in claims:
        for option in ("app", "app_id", "user", "uid", "owner", "identity", "flatpak", "sender"):
            with refused("InvalidArgument", option):
                liar.get_token([SCOPE], **{option: ("s", claim)})
        with refused("InvalidScope"):
            liar.get_token([claim.replace(":", "/")])
        with refused("InvalidScope"):
            check(liar, [claim])
        assert why_refused(liar, [SCOPE], account=claim) in ("AccessDenied", "InvalidArgument", "NoSuchAccount")
        assert liar.call(BROKER, "ReportRejected", "s", (claim,)) is False
    assert why_refused(liar, [SCOPE]) == "AccessDenied"
    assert {record["app"] for record in denied(linked)} == {f"flatpak:{RADIO}"}


# --- what is no sandbox that anybody knows ---


def everything(client):
    """A call of each of D-Bus's own interfaces and one of each of ours: what came of them."""
    calls = [
        (PEER, "Ping", "", ()),
        (PEER, "GetMachineId", "", ()),
        (INTROSPECTABLE, "Introspect", "", ()),
        (PROPERTIES, "Get", "ss", (BROKER, "Version")),
        (PROPERTIES, "GetAll", "s", (BROKER,)),
        (BROKER, "GetToken", "asa{sv}", ([SCOPE], {})),
        (BROKER, "CheckScopes", "asa{sv}", ([SCOPE], {})),
        (BROKER, "ReportRejected", "s", ("x",)),
        (BROKER, "ReleaseTokens", "", ()),
        (apps.STATUS, "Get", "", ()),
        (apps.ACCOUNTS, "List", "a{sv}", ({},)),
        (apps.LOGIN, "Begin", "sasa{sv}", ("device-code", [SCOPE], {})),
        (apps.AUDIT, "Query", "a{sv}tu", ({}, 0, 1)),
    ]
    return calls, client.call_many(calls)


def test_unknown_sandbox_is_refused_everything(linked):
    grants(linked, f"[user:alice]\nallow = {SCOPE}\n")
    apps.link(linked, "alice", [SCOPE])
    linked.write_rule("20-test", rule("true", "YES"))
    stranger = boxed(linked, "alice")
    for call, result in zip(*everything(stranger)):
        assert isinstance(result, DBusError) and result.short == "AccessDenied", (call, result)
        assert "Flatpak" in result.message and "unit" in result.message, call
    # Once on the trail, with a count.
    (record,) = denied(linked)
    assert (record["app"], record["kind"], record["uid"]) == ("unknown", "unknown", 20001)
    assert (record["verdict"], record["decided_by"]) == ("AccessDenied", "identity")
    # And alice herself is who she is.
    take(linked.client("alice"), [SCOPE])


BROKEN = {
    "empty": b"",
    "no section": b"name=org.example.Player\n",
    "no name": b"[Application]\nruntime=x\n",
    "two names": b"[Application]\nname=org.example.Player\nname=org.example.Radio\n",
    "binary": bytes(range(256)),
    "huge": b"[Application]\nname=org.example.Player\n" + b"#" * 100000,
    "no id": flatpak_info("../etc"),
}


@pytest.mark.parametrize("mark", BROKEN.values(), ids=BROKEN)
def test_broken_mark_is_refused(linked, mark):
    """Neither what it seems to say, nor an app without a mark, nor the user."""
    grants(linked, THREE)
    caller = boxed(linked, "alice", mark)
    with refused("AccessDenied", "It cannot be told who is calling", ".flatpak-info"):
        caller.get_token(["postal_code"])
    assert why_refused(linked.client("alice"), ["postal_code"]) == "LoginRequired"


ODD = {
    "directory": ["--dir", "/.flatpak-info"],
    "symlink": ["--symlink", "/usr/lib/os-release", "/.flatpak-info"],
    "device": ["--dev-bind", "/dev/zero", "/.flatpak-info"],
}


@pytest.mark.parametrize("options", ODD.values(), ids=ODD)
def test_mark_that_is_no_file_is_refused(linked, options):
    grants(linked, THREE)
    with refused("AccessDenied", "It cannot be told who is calling", ".flatpak-info"):
        boxed(linked, "alice", options=options).get_token(["postal_code"])


def sentence(client):
    """What its call is refused with, or "" when it is not."""
    try:
        check(client, [SCOPE])
    except DBusError as error:
        assert error.short == "AccessDenied"
        return error.message
    return ""


def test_who_cannot_be_identified_pays_for_the_looks(linked):
    """An app of its user, and looked at now and then: each look is a process."""
    linked.write_config(limits={"app_rate": 1, "app_burst": 30})
    linked.reload()
    caller = boxed(linked, "alice", b"broken")
    errors = [getattr(caught, "short", "") for caught in caller.call_many([(PEER, "Ping", "", ())] * 60)]
    errors += [why_refused(caller, ["profile"]) for _ in range(10)]
    assert set(errors) == {"AccessDenied", "RateLimited"} and errors[0] == "AccessDenied"
    # Those who are known have their own.
    linked.client("alice").call(PEER, "Ping")
    linked.client("bob").call(PEER, "Ping")


def test_who_is_mended_is_looked_at_again(linked, tmp_path):
    (tmp_path / ".flatpak-info").mkdir()
    roamer = roaming(linked, "alice")
    roamer.app.enter(str(tmp_path))
    with refused("AccessDenied", "It cannot be told who is calling"):
        check(roamer, [SCOPE])
    roamer.app.enter(".")
    wait_until(lambda: not sentence(roamer), 10 * linked.slowness, "another look")
    assert check(roamer, [SCOPE]) == {SCOPE: "ask"}


def test_who_left_the_sandboxes_root_is_not_its_user(linked):
    """A user namespace alone, with the root of the host, is an unknown sandbox too."""
    grants(linked, f"[user:alice]\nallow = {SCOPE}\n")
    caller = boxed(linked, "alice", options=["--unshare-user"])
    assert why_refused(caller, [SCOPE]) == "AccessDenied"
    assert {record["app"] for record in denied(linked)} == {"unknown"}


# --- closed to sandboxes ---

VALUES = {"flow": "device-code", "answer": "allow", "app": f"flatpak:{PLAYER}", "account": "main", "scope": SCOPE}
BY_TYPE = {"s": "main", "as": [SCOPE], "a{sv}": {}, "t": 0, "u": 1, "b": True}


def methods_of(world):
    """(interface, member, signature, good arguments) of every method in the XML files."""
    found = []
    for path in sorted(glob.glob(os.path.join(glob.escape(world.src_dir), "dbus/*.xml"))):
        for interface in ElementTree.parse(path).getroot().iter("interface"):
            for method in interface.findall("method"):
                args = [arg for arg in method.findall("arg") if arg.get("direction") != "out"]
                signature = "".join(arg.get("type") for arg in args)
                values = tuple(VALUES.get(arg.get("name"), BY_TYPE.get(arg.get("type"))) for arg in args)
                found.append((interface.get("name"), method.get("name"), signature, values))
    return found


def closed_methods(world):
    """Those on the broker's own object that a sandboxed app is refused. One that takes a descriptor is no call at all
    to who may not send one."""
    closed = [m for m in methods_of(world) if m[0] not in (BROKER, REQUEST) and "h" not in m[2]]
    assert len(closed) >= 11 and {m[0] for m in closed} >= {apps.LOGIN, apps.ACCOUNTS, apps.AUDIT, apps.STATUS}
    return closed


def refused_methods(client, methods):
    return [
        method[:2]
        for method, result in zip(methods, client.call_many(methods))
        if isinstance(result, DBusError) and result.short == "AccessDenied" and "sandbox" in result.message
    ]


@pytest.mark.parametrize("proxied", [False, True], ids=["on the bus", "through a proxy"])
def test_flatpak_has_broker1_and_nothing_else(linked, proxied):
    grants(linked, THREE)
    apps.link(linked, "alice", [SCOPE])
    player = flatpak(linked, "alice", PLAYER, proxied)
    closed = closed_methods(linked)
    assert refused_methods(player, closed) == [method[:2] for method in closed]
    # It is not told of them either, and nothing that they do was done.
    shown = {i.get("name") for i in ElementTree.fromstring(player.call(INTROSPECTABLE, "Introspect")).iter("interface")}
    assert {name for name in shown if name.startswith("org.lwabroker.")} == {BROKER}
    assert player.get_properties(apps.STATUS) == {}
    take(player, [SCOPE])
    player.call(PEER, "Ping")


def test_login_requests_are_for_their_creator_only(linked):
    """Who reads a code first can link his own account: not even an app of the same user may."""
    grants(linked, THREE)
    alice = linked.client("alice")
    path = apps.begin_login(alice, [SCOPE])
    apps.user_code(linked, alice, path)
    methods = [m for m in methods_of(linked) if m[0] == REQUEST]
    own = [(PROPERTIES, "Get", "ss", (REQUEST, "UserCode")), (PROPERTIES, "GetAll", "s", (REQUEST,))]
    assert len(methods) >= 2
    others = (flatpak(linked, "alice", PLAYER), linked.client("alice"), linked.client("bob"), linked.client("root"))
    for client in others:
        for method in [*methods, *own, (INTROSPECTABLE, "Introspect", "", ())]:
            with refused("UnknownObject"):
                client.call(*method, path=path)
        branch = client.call(INTROSPECTABLE, "Introspect", path=path.rsplit("/", 1)[0])
        assert path.rsplit("/", 1)[1] not in [n.get("name") for n in ElementTree.fromstring(branch).iter("node")]
    assert alice.get_property(REQUEST, "State", path=path) == "waiting"


def test_polkit_rule_opens_what_it_names(linked):
    """One app and one interface; what a call does still asks its own action."""
    grants(linked, THREE)
    named = f'd("app") == "flatpak:{PLAYER}" && d("app_kind") == "flatpak" && d("strength") == "sandbox"'
    let_in = rule(f'{named} && action.id == "org.lwabroker.sandbox.allow" && d("interface") == "{apps.LOGIN}"', "YES")
    linked.write_rule("10-manage", None)
    linked.write_rule("20-test", let_in)
    player, radio = flatpak(linked, "alice", PLAYER), flatpak(linked, "alice", RADIO)
    with refused("AccessDenied", "org.lwabroker.login"):
        apps.begin_login(player, [SCOPE])
    linked.write_rule("10-manage", apps.MANAGE)
    path = apps.begin_login(player, [SCOPE])
    linked.sim.approve(apps.user_code(linked, player, path))
    outcome, details = player.wait_signal(REQUEST, "Finished", timeout=15 * linked.slowness, path=path)
    assert (outcome, details["account"]) == ("linked", "main")

    closed = closed_methods(linked)
    others = [m for m in closed if m[0] != apps.LOGIN]
    assert refused_methods(player, others) == [m[:2] for m in others]
    assert refused_methods(radio, closed) == [m[:2] for m in closed]
    # A rule that says another thing from now on holds from now on: nothing is remembered.
    linked.write_rule("20-test", None)
    with refused("AccessDenied", "closed to sandboxed apps", "org.lwabroker.sandbox.allow"):
        apps.begin_login(player, [SCOPE])


def test_no_rule_opens_anything_to_roots_flatpak(linked):
    """polkit up to 124 says yes to uid 0 without asking any rule."""
    linked.write_rule("20-test", rule("true", "YES"))
    player = flatpak(linked, "root", PLAYER)
    closed = closed_methods(linked)
    assert refused_methods(player, closed) == [m[:2] for m in closed]


def test_caller_that_leaves_while_polkit_thinks(linked):
    """The question goes with it; and polkit's death is a no."""
    player, radio = flatpak(linked, "alice", PLAYER), flatpak(linked, "alice", RADIO)
    check(player, [SCOPE])
    linked.polkitd.pause()
    player.send(apps.STATUS, "Get")
    serial = radio.send(apps.STATUS, "Get")
    apps.await_calls(linked, 2)
    linked.clients.remove(player)
    player.close()
    apps.await_calls(linked, 1)
    linked.polkitd.kill9()
    with refused("AccessDenied", "closed to sandboxed apps"):
        radio.wait(serial)
    linked.start("polkit")


# --- signals ---


def test_signals_go_to_whom_they_concern(linked):
    """AccountsChanged to the apps of the owner that asked for a token, sandboxed ones too; AttentionNeeded to the
    owner's connections outside of sandboxes only, whatever a rule lets the others call."""
    grants(linked, THREE.replace("allow = postal_code", f"allow = {SCOPE}"))
    apps.link(linked, "alice", [SCOPE])
    linked.write_rule("20-test", rule('action.id == "org.lwabroker.sandbox.allow"', "YES"))
    inside, outside = flatpak(linked, "alice", PLAYER), linked.client("alice")
    stranger, bob = boxed(linked, "alice"), linked.client("bob")
    for client in (inside, outside, bob):
        assert client.call(apps.ACCOUNTS, "List", "a{sv}", ({},)) is not None
        why_refused(client, [SCOPE])
    for call in everything(stranger)[1]:
        assert isinstance(call, DBusError)
    linked.sim.revoke("alice")
    with refused("LoginRequired"):
        outside.call(BROKER, "ReportRejected", "s", (take(outside, [SCOPE]).info["token_id"],))
    outside.wait_signal(apps.ACCOUNTS, "AttentionNeeded", timeout=15 * linked.slowness)
    apps.link(linked, "alice", ["profile"])
    inside.wait_signal(BROKER, "AccountsChanged", timeout=15 * linked.slowness)
    # What the broker had to say to anybody is ahead of its answer to this.
    for client in (inside, stranger, bob):
        assert why_refused(client, ["no:such"]) == "InvalidScope"
        members = {member for _, member, _ in client.drain(0)}
        assert "AttentionNeeded" not in members
        assert client is inside or members == set()


# --- units ---


def in_unit(world, user, unit):
    client = world.client(user)
    unit.add(client.pid)
    return client


def test_unit_that_the_table_names_for_a_person(linked):
    """The process in the unit is the unit; outside of it, or as another user, it is its user."""
    linked.write_config(policy={"default": "deny"})
    with Unit("musicd") as unit:
        grants(linked, f"[unit:{unit.name}]\nuser = musicd\nallow = {SCOPE}\n[user:musicd]\nallow = profile\n")
        link_each(linked, "musicd")
        inside, outside = in_unit(linked, "musicd", unit), linked.client("musicd")
        other = in_unit(linked, "alice", unit)
        take(inside, [SCOPE])
        take(outside, ["profile"])
        assert why_refused(inside, ["profile"]) == "AccessDenied"
        assert why_refused(outside, [SCOPE]) == "AccessDenied"
        assert why_refused(other, [SCOPE]) == "AccessDenied"
        records = [*denied(linked, 3), *audit(linked, "token-disclosed")]
        seen = {(r["app"], r["kind"], r["strength"], r.get("unit", "")) for r in records}
        assert seen == {
            (f"unit:{unit.name}", "unit", "unit", unit.name),
            ("user:musicd", "user", "uid", ""),
            ("user:alice", "user", "uid", unit.name),
        }
        # A unit is no sandbox.
        inside.call(apps.ACCOUNTS, "List", "a{sv}", ({},))


def test_service_that_runs_as_root(linked):
    """A unit names what runs as a system's user without being asked to; for uid 0 the verdict alone counts."""
    linked.write_rule("20-test", rule('action.id.indexOf("org.lwabroker.scope.") == 0', "NO"))
    with Unit("musicd") as unit, Unit("other") as other:
        grants(linked, f"[unit:{unit.name}]\nallow = {SCOPE}\n")
        apps.link(linked, "alice", [SCOPE], "carol", owner="device")
        assert take(in_unit(linked, "root", unit), [SCOPE]).info["account"] == "device"
        assert why_refused(in_unit(linked, "root", other), [SCOPE]) == "AccessDenied"
        assert why_refused(linked.client("root"), [SCOPE]) == "AccessDenied"
        seen = {(r["app"], r["event"]) for r in [*denied(linked, 2), *audit(linked, "token-disclosed")]}
        assert seen == {
            (f"unit:{unit.name}", "token-disclosed"),
            (f"unit:{other.name}", "token-denied"),
            ("user:root", "token-denied"),
        }


def test_sandbox_in_a_unit_is_the_unit(linked):
    """A root of its own makes a service no unknown sandbox, and a mark gives it no other name; but with a mark it is
    in a sandbox all the same."""
    with Unit("kiosk") as unit:
        grants(linked, f"[unit:{unit.name}]\nuser = alice\nallow = {SCOPE}\n")
        apps.link(linked, "alice", [SCOPE])
        service, marked = boxed(linked, "alice"), flatpak(linked, "alice", PLAYER)
        for client in (service, marked):
            unit.add(client.pid)
            take(client, [SCOPE])
        service.call(apps.ACCOUNTS, "List", "a{sv}", ({},))
        closed = closed_methods(linked)
        assert refused_methods(marked, closed) == [m[:2] for m in closed]
        assert {record["app"] for record in audit(linked, "token-disclosed")} == {f"unit:{unit.name}"}


def test_table_that_is_read_anew_names_anew(linked):
    """Connections that are known follow the table: what the user may is taken from the unit, and comes back."""
    linked.write_config(policy={"default": "deny"})
    with Unit("musicd") as unit:
        as_user = f"[user:musicd]\nallow = {SCOPE}\n"
        as_unit = f"[unit:{unit.name}]\nuser = musicd\nallow = profile\n"
        grants(linked, as_user)
        link_each(linked, "musicd")
        client = in_unit(linked, "musicd", unit)
        token = take(client, [SCOPE])
        grants(linked, as_user + as_unit)
        revoked = client.wait_signal(BROKER, "TokenRevoked", timeout=10 * linked.slowness)
        assert revoked == [token.info["token_id"], "policy"]
        assert why_refused(client, [SCOPE]) == "AccessDenied"
        take(client, ["profile"])
        grants(linked, as_user)
        take(client, [SCOPE])
        assert why_refused(client, ["profile"]) == "AccessDenied"
        names = [record["app"] for record in audit(linked, "token-disclosed")]
        assert sorted(names) == sorted(["user:musicd", f"unit:{unit.name}"])  # the second time is no new one


def test_polkit_is_asked_about_the_new_name(linked):
    """The verdict is the same, but what polkit has allowed, it has allowed to another app."""
    with Unit("musicd") as unit:
        linked.write_rule("20-test", rule(f'd("app") == "unit:{unit.name}"', "NO"))
        as_user, as_unit = f"[user:musicd]\nallow = {SCOPE}\n", f"[unit:{unit.name}]\nuser = musicd\nallow = {SCOPE}\n"
        grants(linked, as_user)
        link_each(linked, "musicd")
        client = in_unit(linked, "musicd", unit)
        take(client, [SCOPE])
        grants(linked, as_user + as_unit)
        assert why_refused(client, [SCOPE]) == "AccessDenied"


# --- whether it is the process that connected ---


def await_tick():
    """A process that starts from now on starts later than what has happened by now, in /proc's coarse time."""
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    wait_until(lambda: time.clock_gettime(time.CLOCK_BOOTTIME) > now + 0.03, 10, "three ticks")


def test_connection_older_than_the_broker_is_not_pinned(linked):
    """It stays what it is; but a rule can tell."""
    grants(linked, THREE)
    link_each(linked)
    old = [(flatpak(linked, "alice", PLAYER, True), SCOPE), (linked.client("alice"), "postal_code")]
    linked.write_rule("20-test", rule('d("pinned") != "yes"', "NO"))
    for client, scope in old:
        take(client, [scope])
    linked.broker.restart()
    for client, scope in old:
        assert why_refused(client, [scope]) == "AccessDenied"
    take(flatpak(linked, "alice", PLAYER, True), [SCOPE])
    take(linked.client("alice"), ["postal_code"])
    linked.write_rule("20-test", rule('d("pinned") == "yes"', "NO"))
    for client, scope in old:
        take(client, [scope])


def test_table_can_refuse_who_is_not_pinned(linked):
    grants(linked, f"[flatpak:{PLAYER}]\nallow = {SCOPE}\nrequire_pinned = yes\n")
    apps.link(linked, "alice", [SCOPE])
    old = flatpak(linked, "alice", PLAYER)
    take(old, [SCOPE])
    linked.broker.restart()
    assert why_refused(old, [SCOPE]) in ("AccessDenied", "ConsentRequired")
    take(flatpak(linked, "alice", PLAYER), [SCOPE])


def test_process_that_has_ended(linked):
    """Its connection lives on in other hands."""
    grants(linked, f"[user:alice]\nallow = {SCOPE}\n")
    apps.link(linked, "alice", [SCOPE])
    orphan, known = linked.client("alice"), linked.client("alice")
    take(known, [SCOPE])
    end_process(orphan)
    end_process(known)
    with refused("AccessDenied", "has ended", "connect anew"):
        orphan.get_token([SCOPE])
    # Who was known before stays so: the connection is the one that was looked at.
    take(known, [SCOPE])


SLEEP = ["sleep", "600"]


def start_heir(world, user, pid):
    world.children.append(run_with_pid(pid, world.argv_as(user, SLEEP)))
    uid = pwd.getpwnam(user).pw_uid
    wait_until(lambda: os.stat(f"/proc/{pid}").st_uid == uid, 10 * world.slowness, f"the process to be {user}'s")


@pytest.mark.parametrize("user", ["alice", "bob"])
def test_process_number_that_is_anothers_by_now(linked, user):
    """Someone connects and ends, and his number is given to a process that is allowed more."""
    grants(linked, f"[user:alice]\nallow = {SCOPE}\n")
    apps.link(linked, "alice", [SCOPE])
    client = linked.client("alice")
    apps.status(linked)  # the broker has seen it come
    await_tick()
    end_process(client)
    start_heir(linked, user, client.pid)
    words = ("has ended", "connect anew") if user == "alice" else ("another",)
    with refused("AccessDenied", *words):
        client.get_token([SCOPE])


def test_process_number_of_an_old_connection(linked):
    """After a restart nobody knows when it came: it is whoever has the number, and not pinned."""
    grants(linked, f"[user:alice]\nallow = {SCOPE}\n")
    apps.link(linked, "alice", [SCOPE])
    client = linked.client("alice")
    end_process(client)
    linked.broker.restart()
    start_heir(linked, "alice", client.pid)
    linked.write_rule("20-test", rule('d("pinned") != "no"', "NO"))
    take(client, [SCOPE])
    linked.write_rule("20-test", rule('d("pinned") == "no"', "NO"))
    assert why_refused(client, [SCOPE]) == "AccessDenied"


# --- roots that change, and one that does not answer ---


def test_another_root_without_a_mark_is_an_unknown_sandbox(linked, tmp_path):
    grants(linked, f"[user:alice]\nallow = {SCOPE}\n")
    roamer = roaming(linked, "alice")
    roamer.app.enter(str(tmp_path))
    assert why_refused(roamer, [SCOPE]) == "AccessDenied"
    assert {record["app"] for record in denied(linked)} == {"unknown"}


def test_root_that_never_answers(linked):
    """Who lives in it waits for himself only; and the broker is stopped and started again while it hangs."""
    grants(linked, f"[user:alice]\nallow = {SCOPE}\n[user:bob]\nallow = {SCOPE}\n")
    apps.link_all(linked, [("alice", [SCOPE], "alice", {}), ("bob", [SCOPE], "bob", {})])
    roamer, bob = roaming(linked, "alice"), linked.client("bob")
    with SilentRoot(linked.path("fuse")) as silent:
        roamer.app.enter(silent.path)
        roamer.send(BROKER, "GetToken", "asa{sv}", ([SCOPE], {}))
        wait_until(lambda: silent.held, 10 * linked.slowness, "the look-up to hang")
        for _ in range(5):
            take(bob, [SCOPE])
            take(linked.client("bob"), [SCOPE])
            take(linked.client("alice"), [SCOPE])
        linked.broker.stop()
        linked.broker.start()
        serial = roamer.send(BROKER, "GetToken", "asa{sv}", ([SCOPE], {}))
        # The kernel does not ask again for what has no answer yet, so that this one hangs behind the first.
        apps.await_calls(linked, 1)
        take(linked.client("bob"), [SCOPE])
        with refused("AccessDenied", "does not answer", "try again later"):
            roamer.wait(serial, timeout=30 * linked.slowness)
        take(linked.client("alice"), [SCOPE])
        # When it answers, it is a sandbox like any other.
        silent.answer()
        wait_until(lambda: "Flatpak" in sentence(roamer), 10 * linked.slowness, "another look")


# --- what polkit is told ---

FACTS = ("app", "app_kind", "strength", "pinned", "exe")


def test_polkit_is_told_the_facts(linked):
    grants(linked, THREE)
    link_each(linked)
    log = ' + " " + '.join(f'"{name}=" + action.lookup("{name}")' for name in FACTS)
    linked.write_rule("20-test", f'polkit.addRule(function(action) {{ polkit.log("facts " + {log} + "."); }});')
    take(flatpak(linked, "alice", PLAYER), [SCOPE])
    take(linked.client("alice"), ["postal_code"])
    with Unit("alices") as unit:
        grants(linked, THREE + f"[unit:{unit.name}]\nuser = alice\nallow = profile\n")
        take(in_unit(linked, "alice", unit), ["profile"])
    python = os.readlink("/proc/self/exe")
    for facts in (
        (f"flatpak:{PLAYER}", "flatpak", "sandbox", "yes", ""),
        ("user:alice", "user", "uid", "yes", python),
        (f"unit:{unit.name}", "unit", "unit", "yes", python),
    ):
        line = "facts " + " ".join(f"{name}={value}" for name, value in zip(FACTS, facts)) + "."
        assert line in linked.polkitd.log(), line


def test_polkit_decides_by_the_facts(linked):
    grants(linked, f"[flatpak:{PLAYER}]\nallow = {SCOPE}\n[user:alice]\nallow = {SCOPE}\n")
    apps.link(linked, "alice", [SCOPE])
    inside, outside = flatpak(linked, "alice", PLAYER), linked.client("alice")
    python = os.readlink("/proc/self/exe")
    for is_inside, condition in (
        (True, f'd("app") == "flatpak:{PLAYER}"'),
        (True, 'd("app_kind") == "flatpak"'),
        (True, 'd("strength") == "sandbox"'),
        (True, 'd("exe") == ""'),
        (False, 'd("app") == "user:alice"'),
        (False, 'd("strength") == "uid"'),
        (False, f'd("exe") == "{python}"'),
    ):
        linked.write_rule("20-test", rule(condition, "NO"))
        assert why_refused(inside, [SCOPE]) == ("AccessDenied" if is_inside else ""), condition
        assert why_refused(outside, [SCOPE]) == ("" if is_inside else "AccessDenied"), condition
