# SPDX-License-Identifier: LGPL-2.1-or-later
"""The owner of an account is asked, by a real agent of polkit: what a person is shown, what comes of each answer, and
that nothing but a plain yes is ever a yes."""

import os

import pytest

import apps
from agent import Agent
from apps import BROKER, await_calls, check, grants, refused, rule, scope_rule, take, why_refused
from boxed import flatpak
from sandbox import Unit
from world import wait_until

LIBRARY, READ, PLAYBACK, PROFILE = "music::library", "music::library:read", "music::playback", "profile"
CONSENT, CONSENT_DEVICE = "org.lwabroker.consent", "org.lwabroker.consent.device"
SEE = "see your Amazon Music library and your playlists"
CHANGE = "see and change your Amazon Music library and your playlists"
PLAY = "play music with your Amazon Music account"

POLICY = "org.lwabroker.Policy1"
# The bus of the tests does not vouch for processes, but they are older than their connections.
PINNED = "yes"

TABLE = f"""
[user:alice]
description = The music player
allow = {PROFILE}
ask = {LIBRARY} {PLAYBACK}
[user:bob]
ask = {READ} {PLAYBACK}
[user:root]
ask = {READ}
[user:weatherd]
deny = {READ}
"""


@pytest.fixture
def linked(world):
    """alice has an account that may read the library and play; the device one that may read it."""
    apps.open_to_logins(world)
    world.write_rule("11-device", rule('action.id == "org.lwabroker.device.use"', "YES"))
    grants(world, TABLE)
    apps.link_all(
        world,
        [("alice", [READ, PLAYBACK], "alice", {}), ("alice", [READ], "carol", {"owner": "device"})],
    )
    return world


def ask(client, scopes=(READ,), **options):
    """Sends a GetToken that allows to ask; for client.wait()."""
    packed = {key: ("s", value) for key, value in options.items()}
    return client.send(BROKER, "GetToken", "asa{sv}", (list(scopes), packed), interactive=True)


def get(world, client, scopes=(READ,), **options):
    """A token of a call that allows to ask; returns its info."""
    fd, info = client.wait(ask(client, scopes, **options), 30 * world.slowness)
    os.close(fd)
    return info


def another(world, client):
    """A second connection of the same process."""
    other = client.another()
    world.clients.append(other)
    return other


def trail(world, *events):
    """The records of these events, oldest first."""
    return [record for record in apps.audit(world) if record["event"] in events]


def refusals(world):
    """The details of consent-refused, as soon as there is one: nothing waits for that record."""
    return [record["detail"] for record in wait_until(
        lambda: trail(world, "consent-refused"), 10 * world.slowness, "the refusal on the trail")]


# --- yes ---


def test_one_question_about_all_that_the_token_carries(linked):
    client = linked.client("alice")
    agent = Agent(linked, client, "yes")
    info = get(linked, client, [READ])
    assert sorted(info["scopes"]) == [READ, PLAYBACK]
    (question,) = agent.asked
    assert question.action == CONSENT
    assert question.message == (
        f"The music player (user:alice) wants to use your Amazon account to: {SEE}; {PLAY}."
    )
    assert question.identities == [f"uid:{agent.uid()}"]


def test_what_a_rule_is_told(linked):
    """Of the question to the owner, and of the scopes after a yes."""
    client = linked.client("alice")
    Agent(linked, client, "yes")
    names = ["app", "account", "owner", "scopes", "verdict", "consent", "table"]
    linked.write_rule(
        "20-test",
        "polkit.addRule(function(a) {\n"
        f"    var facts = {names}.map(function(name) {{ return a.lookup(name); }});\n"
        '    polkit.log("facts " + a.id + " " + facts.join(",") + ".");\n'
        "});",
    )
    get(linked, client)
    seen = [line.split("facts ", 1)[1].rstrip(".") for line in linked.polkitd.log().splitlines() if "facts org.lwa" in line]
    assert f"{CONSENT} user:alice,main,alice,{READ},ask,none," in seen
    scope = "org.lwabroker.scope.music.library.read user:alice,main,alice"
    assert {line for line in seen if line.startswith(scope)} == {
        f"{scope},{READ},ask,none,ask",
        f"{scope},{READ},allow,allow,ask",
    }


def test_yes_is_remembered(linked):
    client = linked.client("alice")
    agent = Agent(linked, client, "yes")
    get(linked, client)
    assert check(client, [READ, PLAYBACK]) == {READ: "allow", PLAYBACK: "allow"}
    take(client, [READ])
    take(linked.client("alice"), [PLAYBACK])
    linked.broker.restart()
    take(linked.client("alice"), [READ])
    assert len(agent.asked) == 1
    given, disclosed, *_ = trail(linked, "consent-given", "token-disclosed")
    assert (given["event"], disclosed["event"]) == ("consent-given", "token-disclosed")
    assert (given["app"], given["account"], given["asked"]) == ("user:alice", "main", f"{READ} {PLAYBACK}")
    assert disclosed["decided_by"] == "consent+polkit"
    assert disclosed["chain"] == (
        f"strength=uid pinned={PINNED}; test.conf:5 ask; consent logout; polkit yes; grant {disclosed['grant']}"
    )


def test_consent_is_no_authorisation(linked):
    """polkit has the last word about what was agreed to."""
    client = linked.client("alice")
    agent = Agent(linked, client, "yes")
    linked.write_rule("20-test", rule(f'd("scope") == "{PLAYBACK}" && d("consent") == "allow"', "NO"))
    with refused("NarrowerLoginRequired"):
        get(linked, client)
    assert len(agent.asked) == 1


def test_nobody_is_asked_for_nothing(linked):
    client = linked.client("alice")
    agent = Agent(linked, client, "yes")
    assert why_refused(client, [LIBRARY], interactive=True) == "LoginRequired"
    assert why_refused(client, [READ], interactive=True, account="other") == "NoSuchAccount"
    grants(linked, f"[user:alice]\nask = {READ}\ndeny = {PLAYBACK}\n")
    assert why_refused(client, [READ], interactive=True) == "NarrowerLoginRequired"
    grants(linked, f"[user:alice]\nask = {PLAYBACK}\ndeny = {READ}\n")
    assert why_refused(client, [READ], interactive=True) == "AccessDenied"
    assert not agent.asked


def test_default_deny_asks_nobody(linked):
    linked.write_config(policy={"default": "deny"})
    grants(linked, "")
    client = linked.client("alice")
    agent = Agent(linked, client, "yes")
    assert why_refused(client, [READ], interactive=True) == "AccessDenied"
    assert not agent.asked


def denials(world, n):
    """The first n records of refusals, which nothing waits for either."""
    def found():
        records = trail(world, "token-denied")
        return records if len(records) >= n else None

    return wait_until(found, 10 * world.slowness, f"{n} refusals on the trail")[:n]


def set_consent(client, answer, scopes, **options):
    args = ("user:alice", "main", list(scopes), answer, options)
    return client.call(POLICY, "SetConsent", "ssassa{sv}", args)


def test_denial_of_the_owner_is_final(linked):
    """Even over a table that allows; and then there is nothing to ask."""
    client = linked.client("alice")
    agent = Agent(linked, client, "yes")
    grants(linked, f"[user:alice]\nallow = {READ}\nask = {PLAYBACK}\n")
    set_consent(linked.client("alice"), "deny", [READ])
    assert why_refused(client, [READ], interactive=True) == "AccessDenied"
    assert why_refused(client, [PLAYBACK], interactive=True) == "NarrowerLoginRequired"
    assert not agent.asked
    denied = denials(linked, 1)[0]
    assert denied["decided_by"] == "consent"
    assert denied["chain"] == f"strength=uid pinned={PINNED}; test.conf:2 allow; consent denied"


def test_what_was_given_can_be_taken_back(linked):
    client = linked.client("alice")
    agent = Agent(linked, client, "yes")
    get(linked, client)
    set_consent(linked.client("alice"), "forget", [READ, PLAYBACK])
    assert why_refused(client, [READ]) == "ConsentRequired"
    get(linked, client)
    assert len(agent.asked) == 2


def test_refusals_say_what_led_to_them(linked):
    client = linked.client("alice")
    Agent(linked, client, "dismiss")
    assert why_refused(client, [READ]) == "ConsentRequired"
    assert why_refused(client, [PLAYBACK], interactive=True) == "Cancelled"
    assert why_refused(linked.client("weatherd"), [READ]) == "AccessDenied"
    chains = [record["chain"] for record in denials(linked, 3)]
    about = f"strength=uid pinned={PINNED}; "
    assert chains == [
        about + "test.conf:5 ask; polkit challenge",
        about + "test.conf:5 ask; prompt dismissed",
        about + "test.conf:11 deny",
    ]


def test_record_of_a_unit(linked):
    with Unit("musicd") as unit:
        grants(linked, f"[unit:{unit.name}]\nuser = alice\nallow = {READ} {PLAYBACK}\n")
        client = linked.client("alice")
        unit.add(client.pid)
        take(client, [READ])
    (record,) = trail(linked, "token-disclosed")
    assert (record["app"], record["unit"], record["decided_by"]) == (f"unit:{unit.name}", unit.name, "table+polkit")
    assert record["program"] == os.path.realpath("/usr/bin/python3")
    assert record["chain"] == f"strength=unit pinned={PINNED}; test.conf:3 allow; polkit yes; grant {record['grant']}"


@pytest.mark.parametrize("proxied", [False, True], ids=["on the bus", "through a proxy"])
def test_flatpak_is_asked_about(linked, proxied):
    """Its agent is the user's own, outside; whom the bus knows is the app, or its proxy."""
    player = "flatpak:org.example.Player"
    grants(linked, f"[{player}]\ndescription = The player\nask = {READ} {PLAYBACK}\n")
    client = flatpak(linked, "alice", "org.example.Player", proxied)
    agent = Agent(linked, linked.client("alice"), "yes", pid=client.app.boxes[-1].pid)
    get(linked, client)
    (question,) = agent.asked
    assert (question.action, question.identities) == (CONSENT, [f"uid:{agent.uid()}"])
    assert question.message == f"The player ({player}) wants to use your Amazon account to: {SEE}; {PLAY}."
    take(flatpak(linked, "alice", "org.example.Player", proxied), [READ])
    (given,) = trail(linked, "consent-given")
    assert (given["app"], given["kind"], given["asked"]) == (player, "flatpak", f"{READ} {PLAYBACK}")
    # It was said of this app: of no other one, nor of the programs of its user.
    assert why_refused(flatpak(linked, "alice", "org.example.Radio"), [READ]) == "ConsentRequired"
    assert why_refused(linked.client("alice"), [READ]) == "ConsentRequired"


# --- anything else ---


def test_without_leave_to_ask(linked):
    client = linked.client("alice")
    agent = Agent(linked, client, "yes")
    command = f"`lwactl consent allow user:alice {READ} --account main`"
    with refused("ConsentRequired", READ, command, "lwactl explain"):
        client.get_token([READ])
    assert check(client, [READ]) == {READ: "ask"}
    assert not agent.asked


def test_the_command_for_the_device_account(linked):
    with refused("ConsentRequired", f"`lwactl consent allow user:bob {READ} --account device --device`"):
        linked.client("bob").get_token([READ])


def test_dismissed(linked):
    client = linked.client("alice")
    agent = Agent(linked, client, "dismiss")
    with refused("Cancelled", READ):
        get(linked, client)
    assert refusals(linked) == ["dismissed"]
    (record,) = trail(linked, "consent-refused")
    assert (record["app"], record["account"]) == ("user:alice", "main")
    # It does not come back at once, nor is anybody else kept from asking.
    with refused("ConsentRequired", "a minute"):
        get(linked, client)
    assert len(agent.asked) == 1
    assert check(client, [READ]) == {READ: "ask"}
    assert not trail(linked, "token-disclosed")


@pytest.mark.parametrize("answer", ["no", "die"])
def test_failed(linked, answer):
    client = linked.client("alice")
    Agent(linked, client, answer)
    with refused("AccessDenied", READ):
        get(linked, client)
    assert refusals(linked) == ["failed"]
    assert check(client, [READ]) == {READ: "ask"}


def test_no_agent(linked):
    with refused("ConsentRequired", READ, "polkit agent"):
        get(linked, linked.client("alice"))
    assert not trail(linked, "consent-refused")


def test_never_answered(linked):
    linked.write_config(policy={"prompt_timeout": 5})
    linked.reload()
    client = linked.client("alice")
    agent = Agent(linked, client, "never", "yes")
    with refused("ConsentRequired", READ, "Nobody answered"):
        get(linked, client)
    agent.wait_cancelled(agent.wait_asked())
    assert not trail(linked, "consent-refused")
    get(linked, client)


def test_caller_leaves(linked):
    """Another connection of the same process has the agent."""
    client = linked.client("alice")
    agent = Agent(linked, client, "never")
    gone = client.another()
    ask(gone)
    question = agent.wait_asked()
    gone.close()
    agent.wait_cancelled(question)
    await_calls(linked, 0)
    assert check(client, [READ]) == {READ: "ask"}


def test_answer_after_the_caller_gave_up(linked):
    """Its call timed out, but it is still there: the yes counts."""
    client = linked.client("alice")
    agent = Agent(linked, client, "never")
    with pytest.raises(TimeoutError):
        client.wait(ask(client), 0.5)
    agent.answer(agent.wait_asked(), "yes")
    wait_until(lambda: trail(linked, "consent-given"), 10 * linked.slowness, "the consent")
    take(linked.client("alice"), [READ])


# --- administrators ---


def test_rule_that_wants_an_administrator(linked):
    """Consent is not enough where a rule wants more: that is asked on the scope's own action, after the consent."""
    linked.write_rule("20-test", scope_rule(PLAYBACK, "AUTH_ADMIN"))
    client = linked.client("alice")
    agent = Agent(linked, client, "yes")
    get(linked, client)
    assert [question.action for question in agent.asked] == [CONSENT, "org.lwabroker.scope.music.playback"]
    assert agent.asked[1].identities == ["uid:0"]
    # It was for this call.
    get(linked, client)
    assert [question.action for question in agent.asked[2:]] == ["org.lwabroker.scope.music.playback"]
    assert why_refused(client, [READ]) == "ConsentRequired"


def test_administrator_does_not_come(linked):
    linked.write_rule("20-test", scope_rule(PLAYBACK, "AUTH_ADMIN"))
    client = linked.client("alice")
    Agent(linked, client, "yes", "no")
    with refused("AccessDenied", PLAYBACK):
        get(linked, client)
    assert len(trail(linked, "consent-given")) == 1
    assert not trail(linked, "token-disclosed")


def test_several_rules_are_asked_one_after_another(linked):
    linked.write_rule("20-test", rule('d("scope")', "AUTH_ADMIN"))
    client = linked.client("alice")
    agent = Agent(linked, client, "yes", "yes", "never")
    serial = ask(client)
    third = agent.wait_asked(3)
    assert len(agent.open) == 1
    agent.answer(third, "yes")
    os.close(client.wait(serial, 20 * linked.slowness)[0])
    assert len({question.action for question in agent.asked}) == 3


def test_once_and_an_administrator(linked):
    """What was agreed to once is used up by the token, and the administrator is asked once for it."""
    linked.write_rule("16-agreeing", rule(f'action.id == "{CONSENT}"', "YES"))
    grants(linked, f"[user:alice]\nallow = {PLAYBACK}\nask = {READ}\n")
    linked.write_rule("20-test", scope_rule(READ, "AUTH_ADMIN"))
    client = linked.client("alice")
    agent = Agent(linked, client, "no", "yes")
    set_consent(client, "allow", [READ], lasts=("s", "once"))
    linked.write_rule("16-agreeing", None)
    with refused("ConsentRequired", READ, "authenticate"):
        client.get_token([READ])
    with refused("AccessDenied", READ):
        get(linked, client)
    assert check(client, [READ]) == {READ: "ask"}
    assert not trail(linked, "token-disclosed")
    linked.broker.restart()  # forgets that somebody was told no
    again = another(linked, client)
    get(linked, again)
    assert [question.action for question in agent.asked] == ["org.lwabroker.scope.music.library.read"] * 2
    (disclosed,) = trail(linked, "token-disclosed")
    assert disclosed["decided_by"] == "consent+polkit"
    assert "; consent once; polkit yes; " in disclosed["chain"]
    with refused("ConsentRequired", "The owner of the account must agree"):
        again.get_token([READ])


@pytest.mark.parametrize("result", ["AUTH_ADMIN_KEEP", "AUTH_SELF_KEEP"])
def test_kept_authorisation_is_never_remembered(linked, result):
    """polkit keeps it, for this process and this action: its yes is asked for anew for each token, though nothing
    changes that would make the broker forget one."""
    grants(linked, f"[user:alice]\nallow = {READ} {PLAYBACK}\n")
    linked.write_rule("20-test", scope_rule(READ, result))
    linked.write_rule("19-log", f'polkit.addRule(function(a) {{ if (a.lookup("scope") == "{READ}") polkit.log("asked."); }});')
    client = linked.client("alice")
    agent = Agent(linked, client, "yes", "no")
    get(linked, client)
    for _ in range(3):
        before = linked.polkitd.log().count("asked.")
        take(client, [READ])
        wait_until(lambda: linked.polkitd.log().count("asked.") > before, 10 * linked.slowness, "polkit to be asked")
    assert len(agent.asked) == 1
    # It is nobody else's.
    assert why_refused(linked.client("alice"), [READ]) == "ConsentRequired"
    # A yes that rests on no such thing is remembered, as soon as polkit has told of all its changes.
    linked.write_rule("20-test", None)

    def is_remembered():
        take(client, [READ])
        before = linked.polkitd.log().count("asked.")
        take(client, [READ])
        linked.await_rules()  # what polkit logged before is to be read by then
        return linked.polkitd.log().count("asked.") == before

    wait_until(is_remembered, 30 * linked.slowness, "the answer to be remembered")


def test_kept_consent_is_for_one_call(linked):
    """polkit may give a kept yes without showing anybody the question."""
    linked.write_rule("20-test", rule(f'action.id == "{CONSENT}"', "AUTH_SELF_KEEP"))
    client = linked.client("alice")
    Agent(linked, client, "yes")
    get(linked, client)
    assert not trail(linked, "consent-given")
    assert check(client, [READ]) == {READ: "ask"}
    assert why_refused(client, [READ]) == "ConsentRequired"


def test_device_account_needs_an_administrator(linked):
    client = linked.client("bob")
    agent = Agent(linked, client, "yes")
    get(linked, client)
    (question,) = agent.asked
    assert question.action == CONSENT_DEVICE
    assert question.identities == ["uid:0"]
    assert question.message == f"user:bob wants to use the Amazon account of this device to: {SEE}."
    take(linked.client("bob"), [READ])


def test_root_is_never_asked(linked):
    client = linked.client("root")
    agent = Agent(linked, client, "yes")
    with refused("AccessDenied", READ):
        get(linked, client)
    assert not agent.asked


# --- the world changes while the question is open ---


def test_table_changes_meanwhile(linked):
    client = linked.client("alice")
    agent = Agent(linked, client, "never")
    serial = ask(client)
    question = agent.wait_asked()
    grants(linked, f"[user:alice]\ndeny = {READ}\n")
    agent.answer(question, "yes")
    with refused("AccessDenied", READ):
        client.wait(serial, 20 * linked.slowness)


def test_rule_changes_meanwhile(linked):
    client = linked.client("alice")
    agent = Agent(linked, client, "never")
    serial = ask(client)
    question = agent.wait_asked()
    linked.write_rule("20-test", scope_rule(READ, "NO"))
    agent.answer(question, "yes")
    with refused("AccessDenied", READ):
        client.wait(serial, 20 * linked.slowness)


def test_rule_wants_somebody_else_meanwhile(linked):
    """Who answered was good enough for the rule of then. The answers of polkit to both rules look alike."""
    grants(linked, f"[user:alice]\nallow = {READ} {PLAYBACK}\n")
    linked.write_rule("20-test", scope_rule(READ, "AUTH_SELF"))
    client = linked.client("alice")
    agent = Agent(linked, client, "never")
    serial = ask(client)
    first = agent.wait_asked()
    assert first.identities == [f"uid:{agent.uid()}"]
    linked.write_rule("20-test", scope_rule(READ, "AUTH_ADMIN"))
    agent.answer(first, "yes")
    second = agent.wait_asked(2)
    assert second.identities == ["uid:0"]
    agent.answer(second, "no")
    with refused("AccessDenied", READ):
        client.wait(serial, 20 * linked.slowness)
    assert not trail(linked, "token-disclosed")


def ask_slowly(world, client):
    """A GetToken that waits for Amazon by now: what polkit and the person had to say is said."""
    before = apps.counter(world, "token.refresh_token.requests")
    world.sim.fault("token", "delay", ms=int(3000 * world.slowness), grant_type="refresh_token")
    serial = ask(client)
    wait_until(lambda: apps.counter(world, "token.refresh_token.requests") > before, 15 * world.slowness, "the request")
    return serial


@pytest.fixture
def authenticated(linked):
    """alice's program may hold what it asks for if she authenticates; and Amazon is asked for the token."""
    grants(linked, f"[user:alice]\nallow = {READ} {PLAYBACK}\n")
    linked.write_rule("20-test", scope_rule(READ, "AUTH_SELF"))
    linked.broker.restart()  # forgets the token that the login was proven with
    return linked


def test_rule_wants_somebody_else_before_the_token_is_there(authenticated):
    client = authenticated.client("alice")
    agent = Agent(authenticated, client, "yes", "no")
    serial = ask_slowly(authenticated, client)
    authenticated.write_rule("20-test", scope_rule(READ, "AUTH_ADMIN"))
    with refused("AccessDenied", READ):
        client.wait(serial, 30 * authenticated.slowness)
    assert [question.identities for question in agent.asked] == [[f"uid:{agent.uid()}"], ["uid:0"]]


def test_table_asks_before_the_token_is_there(authenticated):
    """Who authenticated was not asked whether the app may use the account."""
    client = authenticated.client("alice")
    agent = Agent(authenticated, client, "yes", "dismiss")
    serial = ask_slowly(authenticated, client)
    grants(authenticated, f"[user:alice]\nallow = {PLAYBACK}\nask = {READ}\n")
    with refused("Cancelled", READ):
        client.wait(serial, 30 * authenticated.slowness)
    assert [question.action for question in agent.asked] == ["org.lwabroker.scope.music.library.read", CONSENT]


def test_what_was_agreed_to_is_for_that_account(linked):
    """A yes that counts for one call and is remembered nowhere: not for the account that the call goes on to."""
    linked.write_rule("20-test", rule(f'action.id == "{CONSENT}"', "AUTH_SELF_KEEP"))
    linked.broker.restart()  # forgets the token that the login was proven with
    client = linked.client("alice")
    agent = Agent(linked, client, "yes", "no")
    serial = ask_slowly(linked, client)
    linked.client("alice").call(apps.ACCOUNTS, "Remove", "s", ("main",))
    with refused("AccessDenied", READ):
        client.wait(serial, 30 * linked.slowness)
    assert [question.action for question in agent.asked] == [CONSENT, CONSENT_DEVICE]


def test_revoke_meanwhile(linked):
    """What was asked before is refused, too: the person only says who it is."""
    grants(linked, f"[user:alice]\nallow = {READ} {PLAYBACK}\n")
    linked.write_rule("20-test", scope_rule(READ, "AUTH_SELF"))
    client = linked.client("alice")
    agent = Agent(linked, client, "never")
    serial = ask(client)
    question = agent.wait_asked()
    assert linked.client("alice").call(POLICY, "RevokeApp", "sa{sv}", ("user:alice", {})) == []
    agent.answer(question, "yes")
    with refused("AccessDenied", READ):
        client.wait(serial, 20 * linked.slowness)
    assert not trail(linked, "token-disclosed")


def test_account_is_another_meanwhile(linked):
    """One that has the same name is not what was agreed to, nor remembered for."""
    client = linked.client("alice")
    agent = Agent(linked, client, "never")
    serial = ask(client, account="main")
    first = agent.wait_asked()
    linked.client("alice").call(apps.ACCOUNTS, "Remove", "s", ("main",))
    assert apps.link(linked, "alice", [READ, PLAYBACK], "carol") == "main"
    agent.answer(first, "yes")
    second = agent.wait_asked(2)
    assert not trail(linked, "consent-given")
    agent.answer(second, "dismiss")
    with refused("Cancelled", READ):
        client.wait(serial, 20 * linked.slowness)
    assert check(linked.client("alice"), [READ]) == {READ: "ask"}


def test_account_goes_meanwhile(linked):
    client = linked.client("alice")
    agent = Agent(linked, client, "never")
    serial = ask(client, account="main")
    question = agent.wait_asked()
    linked.client("alice").call(apps.ACCOUNTS, "Remove", "s", ("main",))
    agent.answer(question, "yes")
    with refused("NoSuchAccount", "main"):
        client.wait(serial, 20 * linked.slowness)
    assert not trail(linked, "consent-given")


# --- many ---


def test_who_was_told_no_is_quiet(linked):
    """On every connection; the bound on many names is test-prompt-turn.c."""
    client = linked.client("alice")
    agent = Agent(linked, client, "dismiss")
    assert why_refused(client, [READ], interactive=True) == "Cancelled"
    for other in (client, another(linked, client), linked.client("alice")):
        assert why_refused(other, [PLAYBACK], interactive=True) == "ConsentRequired"
    assert len(agent.asked) == 1
    # Of another user's there is nobody in the way.
    bob = linked.client("bob")
    Agent(linked, bob, "yes")
    get(linked, bob)


def test_calls_of_an_app_share_the_question(linked):
    client = linked.client("alice")
    agent = Agent(linked, client, "never")
    others = [client, another(linked, client), linked.client("alice")]
    serials = [(other, ask(other, [scope])) for other in others for scope in (READ, PLAYBACK)]
    question = agent.wait_asked()
    await_calls(linked, len(serials))
    agent.answer(question, "yes")
    for other, serial in serials:
        os.close(other.wait(serial, 20 * linked.slowness)[0])
    assert len(agent.asked) == 1


def test_who_waited_hears_of_the_no(linked):
    client = linked.client("alice")
    agent = Agent(linked, client, "never")
    first = ask(client)
    question = agent.wait_asked()
    second = ask(client, [PLAYBACK])
    await_calls(linked, 2)
    agent.answer(question, "dismiss")
    with refused("Cancelled"):
        client.wait(first, 20 * linked.slowness)
    with refused("ConsentRequired", PLAYBACK):
        client.wait(second, 20 * linked.slowness)
    assert len(agent.asked) == 1


def test_next_in_turn_asks_when_the_first_leaves(linked):
    client = linked.client("alice")
    agent = Agent(linked, client, "never", "yes")
    gone = client.another()
    ask(gone)
    question = agent.wait_asked()
    serial = ask(client)
    await_calls(linked, 2)
    gone.close()
    agent.wait_cancelled(question)
    os.close(client.wait(serial, 20 * linked.slowness)[0])
    assert len(agent.asked) == 2


def test_questions_are_bounded(linked):
    """Beyond [limits] nothing waits, and the sentence says why nobody is asked."""
    linked.write_config(limits={"prompts": 1, "prompts_per_uid": 1})
    linked.reload()
    alice, bob = linked.client("alice"), linked.client("bob")
    agents = Agent(linked, alice, "never"), Agent(linked, bob, "yes")
    serial = ask(alice)
    question = agents[0].wait_asked()
    with refused("ConsentRequired", READ, "Too many questions wait for a person", "lwactl consent"):
        get(linked, bob)
    assert not agents[1].asked
    agents[0].answer(question, "yes")
    os.close(alice.wait(serial, 20 * linked.slowness)[0])
    get(linked, bob)


# --- consent by command ---


def allow_by_command(client, app, account="main"):
    """Sends a SetConsent that allows to ask; for client.wait()."""
    return client.send(POLICY, "SetConsent", "ssassa{sv}", (app, account, [READ], "allow", {}), interactive=True)


def test_command_asks_the_same_question(linked):
    """With what the administrator calls the app, and which account is meant where there are several."""
    apps.link(linked, "alice", [READ], "carol")
    client = linked.client("alice")
    agent = Agent(linked, client, "yes")
    client.wait(allow_by_command(client, "user:alice", "main-2"), 20 * linked.slowness)
    (question,) = agent.asked
    assert (question.action, question.identities) == (CONSENT, [f"uid:{agent.uid()}"])
    assert question.message == f"The music player (user:alice) wants to use your Amazon account main-2 to: {SEE}."
    take(client, [READ], account="main-2")
    assert why_refused(client, [READ], account="main") == "ConsentRequired"


def test_command_about_anothers_app_takes_nothing_from_him(linked):
    """The questions that alice causes are hers, whatever app they are about."""
    linked.write_config(limits={"prompts_per_uid": 1})
    linked.reload()
    alice, bob = linked.client("alice"), linked.client("bob")
    hers, his = Agent(linked, alice, "never"), Agent(linked, bob, "yes")
    serial = allow_by_command(alice, "user:bob")
    question = hers.wait_asked()
    get(linked, bob)
    assert len(his.asked) == 1
    with refused("ConsentRequired", "too many questions"):
        alice.wait(allow_by_command(alice, "user:alice"), 20 * linked.slowness)
    hers.answer(question, "dismiss")
    with refused("Cancelled"):
        alice.wait(serial, 20 * linked.slowness)
