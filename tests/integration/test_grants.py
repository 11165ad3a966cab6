# SPDX-License-Identifier: LGPL-2.1-or-later
"""grants.d: each key, and that changes of its files count by themselves."""

import datetime
import os
import pwd
import shutil
import sys
import threading

import pytest
from apps import (
    BROKER,
    check,
    link_all,
    open_to_logins,
    refused,
    status,
    take,
    tidy,
    why_refused,
)
from logins import trail

from world import NO_RATES, wait_until

READ = "music::library:read"
ALL = f"music::library music::playback {READ}"


@pytest.fixture(scope="module")
def linked(shared_world):
    """alice has the accounts main and main-2."""
    open_to_logins(shared_world)
    link_all(shared_world, [("alice", ALL.split(), "alice", {})])
    link_all(shared_world, [("alice", ALL.split(), "bob", {"label": "second"})])
    return shared_world


@pytest.fixture
def world(linked):
    yield linked
    for name in os.listdir(folder(linked)):
        os.unlink(f"{folder(linked)}/{name}")
    tidy(linked)


def folder(world):
    return world.path("conf/grants.d")


def file_of(world, name="test"):
    return f"{folder(world)}/{name}.conf"


def await_verdict(world, client, verdict, scope=READ, **options):
    """Without a reload: the broker has to notice by itself."""
    wait_until(
        lambda: check(client, [scope], **options) == {scope: verdict}, 10 * world.slowness, f"{scope} to be {verdict}"
    )


def settle(world, text, client, verdict="allow", **options):
    world.write_grants("test", text)
    await_verdict(world, client, verdict, **options)


def await_loaded(world, detail):
    """The newest record of a policy that was taken says so."""
    wait_until(
        lambda: trail(world.root(), "policy-loaded")[-1]["detail"] == detail, 10 * world.slowness, f"the record {detail}"
    )


def after(seconds):
    """The key's form of a time from now."""
    moment = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


# --- keys ---


def test_accounts(world):
    alice = world.client("alice")
    settle(world, f"[user:alice]\nallow = {ALL}\naccounts = main-2\n", alice, account="main-2")
    assert take(alice, [READ], account="main-2").info["account"] == "main-2"
    with refused("ConsentRequired"):
        alice.get_token([READ], account="main")
    assert check(alice, [READ], account="main") == {READ: "ask"}
    # What is denied for one account is not for the other, and adds up with what is allowed for all.
    settle(world, f"[user:alice]\nallow = {ALL}\n[user:alice]\naccounts = main\ndeny = {READ}\n", alice, "deny")
    with refused("AccessDenied", READ):
        alice.get_token([READ], account="main")
    assert take(alice, [READ], account="main-2").info["account"] == "main-2"


@pytest.mark.parametrize("user, result", [("alice", ""), ("bob, 1000000", "ConsentRequired"), ("{uid}", "")])
def test_user(world, user, result):
    alice = world.client("alice")
    user = user.format(uid=pwd.getpwnam("alice").pw_uid)
    world.write_grants("test", f"[user:alice]\nallow = {ALL}\nuser = {user}\n")
    world.reload()
    assert why_refused(alice, [READ]) == result


def test_program(world):
    """The program of a client is this interpreter."""
    alice = world.client("alice")
    path = os.path.realpath(sys.executable)
    settle(world, f"[user:alice exe:{path}]\nallow = {ALL}\n", alice)
    take(alice, [READ])
    settle(world, f"[user:alice exe:{path}x]\nallow = {ALL}\n", alice, "ask")
    with refused("ConsentRequired"):
        alice.get_token([READ])
    settle(world, f"[user:alice]\nallow = {ALL}\n[user:alice exe:{path}]\ndeny = {READ}\n", alice, "deny")


@pytest.mark.parametrize(
    "strength, result",
    [(name, "") for name in ("asserted", "uid")] + [(name, "ConsentRequired") for name in ("sandbox", "unit", "label")],
)
def test_require_strength(world, strength, result):
    alice = world.client("alice")
    world.write_grants("test", f"[user:alice]\nallow = {ALL}\nrequire_strength = {strength}\n")
    world.reload()
    assert why_refused(alice, [READ]) == result
    # Its denial counts for the weak as well.
    world.write_grants("test", f"[user:alice]\nallow = {ALL}\n[user:alice]\nrequire_strength = label\ndeny = {READ}\n")
    world.reload()
    assert why_refused(alice, [READ]) == "AccessDenied"


def test_require_pinned(world):
    """A connection that is older than the broker is not surely that of its process."""
    old = world.client("alice")
    settle(world, f"[user:alice]\nallow = {ALL}\nrequire_pinned = yes\n", old)
    take(old, [READ])
    world.broker.restart()
    assert why_refused(old, [READ]) == "ConsentRequired"
    new = world.client("alice")
    take(new, [READ])
    settle(world, f"[user:alice]\nallow = {ALL}\nrequire_pinned = no\n", old)


# --- what runs out ---


def test_expires(world):
    alice = world.client("alice")
    today = datetime.datetime.now(datetime.timezone.utc).date()
    yesterday = today - datetime.timedelta(days=1)
    settle(world, f"[user:alice]\nallow = {ALL}\nexpires = {today + datetime.timedelta(days=1)}\n", alice)
    settle(world, f"[user:alice]\nallow = {ALL}\nexpires = {yesterday}\n", alice, "ask")
    settle(world, f"[user:alice]\ndeny = {READ}\nexpires = {yesterday}\n", alice, "deny")


def test_a_grant_that_runs_out_is_taken_back(world):
    alice, bob = world.client("alice"), world.client("alice")
    left = 3 * world.slowness
    text = f"[user:alice]\nallow = {ALL}\ndeny = profile\nexpires = {after(left + 1)}\n"
    settle(world, text, alice)
    token = take(alice, [READ])
    told = alice.wait_signal(BROKER, "TokenRevoked", timeout=left + 20 * world.slowness)
    assert told == [token.info["token_id"], "policy"]
    assert check(bob, [READ, "profile"]) == {READ: "ask", "profile": "deny"}
    with refused("ConsentRequired"):
        bob.get_token([READ])
    await_loaded(world, "expired")


# --- noticed without a signal ---


def test_changes_of_files_are_noticed(world):
    alice = world.client("alice")
    await_verdict(world, alice, "ask")
    settle(world, f"[user:alice]\nallow = {ALL}\n", alice)  # renamed into place
    await_loaded(world, "changed")
    token = take(alice, [READ])

    with open(file_of(world), "a", encoding="utf-8") as file:  # written in place
        file.write(f"deny = {READ}\n")
    assert alice.wait_signal(BROKER, "TokenRevoked", timeout=10 * world.slowness) == [token.info["token_id"], "policy"]
    assert why_refused(alice, [READ]) == "AccessDenied"

    os.rename(file_of(world), file_of(world) + ".off")  # renamed away
    await_verdict(world, alice, "ask")
    os.rename(file_of(world) + ".off", file_of(world, "other"))
    await_verdict(world, alice, "deny")
    os.unlink(file_of(world, "other"))
    await_verdict(world, alice, "ask")
    with open(file_of(world, "new"), "w", encoding="utf-8") as file:  # made in place
        file.write(f"[user:alice]\nallow = {ALL}\n")
    await_verdict(world, alice, "allow")
    os.unlink(file_of(world, "new"))
    await_verdict(world, alice, "ask")


def test_what_is_no_change_is_none(world):
    alice = world.client("alice")
    settle(world, f"[user:alice]\nallow = {ALL}\n", alice)
    before = len(trail(world.root(), "policy-loaded"))
    os.utime(file_of(world))
    world.write_grants("test", f"[user:alice]\nallow = {ALL}\n")
    for name in ("notes", ".hidden.conf", "old.conf~"):
        with open(f"{folder(world)}/{name}", "w", encoding="utf-8") as file:
            file.write("nonsense\n")
    # Changes are read in the order in which they are made.
    settle(world, f"[user:alice]\ndeny = {READ}\n", alice, "deny")
    wait_until(lambda: len(trail(world.root(), "policy-loaded")) > before, 10 * world.slowness, "the record")
    assert len(trail(world.root(), "policy-loaded")) == before + 1
    for name in ("notes", ".hidden.conf", "old.conf~"):
        os.unlink(f"{folder(world)}/{name}")


def test_the_folder_is_replaced(world):
    alice = world.client("alice")
    settle(world, f"[user:alice]\nallow = {ALL}\n", alice)
    away, fresh = world.path("conf/away"), world.path("conf/fresh")
    os.rename(folder(world), away)
    await_verdict(world, alice, "ask")
    os.mkdir(fresh, 0o755)
    shutil.copy(f"{away}/test.conf", fresh)
    os.rename(fresh, folder(world))
    await_verdict(world, alice, "allow")
    # The new one is watched, and the old one is not any more.
    settle(world, f"[user:alice]\ndeny = {READ}\n", alice, "deny")
    shutil.rmtree(away)
    shutil.rmtree(folder(world))
    await_verdict(world, alice, "ask")
    os.mkdir(folder(world), 0o755)
    settle(world, f"[user:alice]\nallow = {ALL}\n", alice)


def test_the_folder_is_a_link(world):
    alice = world.client("alice")
    settle(world, f"[user:alice]\nallow = {ALL}\n", alice)
    one, two, link = world.path("conf/one"), world.path("conf/two"), world.path("conf/link")
    os.rename(folder(world), one)
    os.mkdir(two, 0o755)
    try:
        os.symlink(one, folder(world))
        await_verdict(world, alice, "allow")
        os.symlink(two, link)
        os.rename(link, folder(world))  # another one in its place, in one step
        await_verdict(world, alice, "ask")
        shutil.copy(f"{one}/test.conf", two)
        await_verdict(world, alice, "allow")
    finally:
        os.unlink(folder(world))
        os.rename(one, folder(world))
        shutil.rmtree(two)


def test_another_folder_after_a_reload(world):
    alice = world.client("alice")
    other = world.path("conf/other.d")
    os.mkdir(other, 0o755)
    world.write_config(policy={"grants_dir": other})
    world.reload()
    world.write("conf/other.d/a.conf", f"[user:alice]\nallow = {ALL}\n")
    await_verdict(world, alice, "allow")
    shutil.rmtree(other)
    await_verdict(world, alice, "ask")


# --- mistakes ---


def test_a_broken_file_denies_and_is_blamed(world):
    alice = world.client("alice")
    settle(world, f"[user:alice]\nallow = {ALL}\n", alice)
    token = take(alice, [READ])
    world.write_grants("broken", f"[user:bob]\n[user:alice exe:/usr/bin/none]\nalow = {READ}\n")
    assert alice.wait_signal(BROKER, "TokenRevoked", timeout=10 * world.slowness) == [token.info["token_id"], "policy"]
    assert why_refused(alice, [READ]) == "AccessDenied"
    sentence = f'{file_of(world, "broken")}:3: unknown key "alow"; the nearest is "allow"'
    assert status(world)["problems"] == [sentence]
    assert sentence in world.broker.log()
    await_loaded(world, "changed; 1 problem")
    world.write_grants("broken", None)
    await_verdict(world, alice, "allow")
    assert status(world)["problems"] == []


def test_a_file_of_another_user_denies_what_no_other_mentions(world):
    alice = world.client("alice")
    settle(world, f"[user:alice]\nallow = {ALL}\n", alice)
    world.write_grants("foreign", "[user:alice]\nallow = profile\n")
    await_verdict(world, alice, "login-required", scope="profile")
    os.chmod(file_of(world, "foreign"), 0o666)
    await_verdict(world, alice, "deny", "profile")
    await_verdict(world, alice, "allow")
    (problem,) = status(world)["problems"]
    assert "foreign.conf" in problem and "owned by root and not writable by others" in problem
    world.write_grants("foreign", None)
    await_verdict(world, alice, "ask", "profile")


@pytest.mark.parametrize("mode, uid", [(0o777, 0), (0o775, 0), (0o755, 12345)])
def test_a_folder_that_others_can_write_to(world, mode, uid):
    alice = world.client("alice")
    settle(world, f"[user:alice]\nallow = {ALL}\n", alice)
    os.chmod(folder(world), mode)
    os.chown(folder(world), uid, 0)
    try:
        await_verdict(world, alice, "deny")
        (problem,) = status(world)["problems"]
        assert "conf/grants.d: the folder must be owned by root and not be writable by others" in problem
    finally:
        os.chown(folder(world), 0, 0)
        os.chmod(folder(world), 0o755)
    await_verdict(world, alice, "allow")


@pytest.mark.parametrize("name", ["scopes.d", "broker.conf.d"])
def test_other_folders_that_others_can_write_to(world, name):
    """The configuration before stays in force, and grants.d is read all the same."""
    alice = world.client("alice")
    path = world.path(f"conf/{name}")
    os.chmod(path, 0o777)
    try:
        world.write_grants("test", f"[user:alice]\nallow = {ALL}\n")
        world.reload()
        assert check(alice, [READ]) == {READ: "allow"}
        (problem,) = status(world)["problems"]
        assert name.split(".")[0] in problem and "owned by root" in problem or "that root owns" in problem
    finally:
        os.chmod(path, 0o755)
    world.reload()
    assert status(world)["problems"] == []


# --- under load ---


def test_edited_under_load(world):
    """While calls go on, files change, break and vanish; a token is given only by the table of its time."""
    world.write_config(limits=NO_RATES)
    world.reload()
    alice, busy = world.client("alice"), [world.client("alice") for _ in range(3)]
    settle(world, f"[user:alice]\nallow = {ALL}\n", alice)
    stop = threading.Event()
    outcomes = set()

    def ask_on(client):
        while not stop.is_set():
            outcomes.add(why_refused(client, [READ]))

    threads = [threading.Thread(target=ask_on, args=(client,)) for client in busy]
    for thread in threads:
        thread.start()
    tables = [
        (f"[user:alice]\ndeny = {READ}\n", "AccessDenied"),
        (f"[user:alice]\nallow = {ALL}\n", ""),
        (f"[user:alice]\nallow = {ALL}\nnonsense\n", "AccessDenied"),
        (f"[user:alice]\nallow = {ALL}\nexpires = 2001-01-01\n", "ConsentRequired"),
        (None, "ConsentRequired"),
    ]
    try:
        for round_ in range(40):
            text, expected = tables[round_ % len(tables)]
            world.write_grants("test", text)
            world.write_grants("noise", f"[user:bob]\nallow = {READ}\n; {round_}\n")
            if round_ % 4 == 3:  # the broker's own pace
                await_verdict(world, alice, {"": "allow", "AccessDenied": "deny"}.get(expected, "ask"))
            else:  # from here on the table is the new one
                world.reload()
            assert [why_refused(alice, [READ]) for _ in range(3)] == [expected] * 3, text
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
        world.write_grants("noise", None)
    assert outcomes == {"", "AccessDenied", "ConsentRequired"}
    assert world.broker.alive()
