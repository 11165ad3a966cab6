# SPDX-License-Identifier: LGPL-2.1-or-later
"""`./dev demo`: the main job, step by step, with real processes. Ends with an error when a step does not do what it
says. Runs in tests/harness/enter."""

import glob
import json
import os
import re
import sys
import textwrap
import time
import urllib.error
import urllib.request

import demo_apps
from person import Person, link
from stage import perform

LIMIT = 120
TOKEN_LIFETIME = 8  # seconds, where Amazon gives an hour: so that one runs out while one watches
WATCHED = 2.2  # lifetimes

GRANTS = """\
[user:musicd]
description = the music player
allow = music::library

[user:weatherd]
description = the weather display
allow = music::library:read
"""

# Instead of a polkit agent, which would ask for an administrator's password.
RULE = """\
polkit.addRule(function (action, subject) {
    if (action.id == "org.lwabroker.login" && subject.user == "alice")
        return polkit.Result.YES;
});
"""

READ_PLAYLISTS = "lwactl token --header music::library:read | curl -sS -H @- $API/me/playlists"


def start(stage):
    world = stage.world
    stage.narrator.step("A bus, polkitd, a simulated Amazon and the broker are started, all private")
    world.start("bus", "polkit", "sim")
    world.sim.set(token_lifetime=TOKEN_LIFETIME, interval=1)
    world.write_config(policy={"default": "deny"})
    world.write_grants("demo", GRANTS)
    world.write_rule("10-demo", RULE)
    world.start("broker")
    with open(f"/proc/{world.broker.pid}/status", encoding="ascii") as file:
        facts = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    stage.expect(facts["Uid"].split()[0] != "0", "the broker runs as a user of its own, lwa-broker")
    stage.expect(int(facts["CapPrm"], 16) == 0, "and has no capability")
    stage.narrator.say("The administrator's table, grants.d/demo.conf; what it does not mention is denied:")
    stage.narrator.show(GRANTS)


def all_tokens(world):
    tokens = world.sim.tokens()
    return tokens["refresh"] + tokens["access"]


def log_in(stage):
    world = stage.world
    stage.narrator.step("alice links the device to her Amazon account, by code")

    def person(address, code):
        stage.narrator.aside(f"(A person opens {address} in a browser, types {code}, and presses Allow.)")
        heading = link(address, code, "alice", world.ca_file)
        stage.expect(heading == "Done", f"Amazon's page says '{heading}'")

    stage.login("alice", ["lwactl", "login", "--device", "--no-qr", "music::library"], person)
    accounts = stage.run("alice", ["lwactl", "accounts"]).stdout
    stage.expect("device" in accounts, "the login is the device's: policy shares it among apps")
    stored = b"".join(open(path, "rb").read() for path in glob.glob(world.path("state") + "/*"))
    tokens = all_tokens(world)
    stage.expect(tokens, f"Amazon has handed out {len(tokens)} tokens so far")
    leaked = [token for token in tokens if token.encode() in stored]
    stage.expect(not leaked, "and none of them can be read in the broker's files: what is stored is sealed")


def read_playlists(stage, api):
    """As musicd, in shell. The status of a pipe is curl's, which is content with a refusal: so the answer is read."""
    done = stage.shell("musicd", READ_PLAYLISTS, env=api)
    answer = json.loads(done.stdout)
    playlists = [edge["node"]["title"] for edge in answer.get("data", {}).get("playlists", {}).get("edges", [])]
    stage.narrator.show("\n".join(playlists) or done.stdout + done.stderr)
    return playlists


def share(stage, api):
    stage.narrator.step("musicd, an app under another user, asks for a token and calls Amazon Music with it")
    stage.expect(len(read_playlists(stage, api)) == 3, "the API took the token and gave the playlists")

    stage.narrator.step("weatherd, under a third user, asks for more than it may have, and then for what it may have")
    denied = stage.run("weatherd", ["lwactl", "token", "music::library"], status=3)
    stage.expect(not denied.stdout, "refused by policy: it may read the library, not change it")
    wide = stage.run("weatherd", ["lwactl", "token", "music::library:read"], status=5)
    stage.expect(not wide.stdout, "refused too: Amazon's tokens are as wide as the login, and this one can change things")


def call_api(world, token):
    """The status of one call with the token, as an app would make it."""
    headers = {"Authorization": f"Bearer {token.text}", "x-api-key": token.info["x_api_key"]}
    request = urllib.request.Request(token.info["api_base"] + "/me/playlists", headers=headers)
    opener = Person(world.ca_file).opener
    try:
        with opener.open(request, timeout=20) as reply:
            return reply.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def poll(stage):
    world = stage.world
    stage.narrator.step(f"Tokens live {TOKEN_LIFETIME} s here; musicd goes on and never meets an expired one")
    app = world.client("musicd")
    seen, statuses, least = [], [], TOKEN_LIFETIME
    before = world.sim.state()["counters"]["token.refresh_token.ok"]
    deadline = time.monotonic() + WATCHED * TOKEN_LIFETIME
    while time.monotonic() < deadline:
        token = app.get_token(["music::library:read"])
        statuses.append(call_api(world, token))
        least = min(least, token.info["expires_in"])
        if token.info["token_id"] not in seen:
            seen.append(token.info["token_id"])
            stage.narrator.show(f"token {token.info['token_id'][:8]}…, good for {token.info['expires_in']} s")
        token.close()
        time.sleep(0.1)
    refreshes = world.sim.state()["counters"]["token.refresh_token.ok"] - before
    good = statuses.count(200)
    stage.expect(good == len(statuses), f"the API took the token in {good} of {len(statuses)} calls")
    stage.expect(len(seen) >= 3, f"with {len(seen)} different tokens, each handed out with at least {least} s to live")
    stage.expect(len(seen) - 1 <= refreshes <= len(seen), f"from {refreshes} renewals at Amazon: one for each, none more")
    app.close()


def crash(stage, api):
    world = stage.world
    stage.narrator.step("kill -9 of the broker, and a new one")
    old = world.broker.pid
    stage.narrator.command("root", ["kill", "-9", str(old)])
    world.broker.kill9()
    stage.run("musicd", ["lwactl", "token", "music::library:read"], status=8)
    world.start("broker")
    stage.narrator.say(f"The broker was started again (process {world.broker.pid}).")
    stage.run("alice", ["lwactl", "status"])
    stage.expect(len(read_playlists(stage, api)) == 3, "musicd is served as before")
    stage.expect(world.sim.state()["counters"]["codepair.ok"] == 1, "and nobody had to log in again")


def look_back(stage):
    stage.narrator.step("The audit trail of all of it")
    stage.narrator.say("(Without the dates.)")
    done = stage.shell("root", "lwactl audit | cut -c12-")
    stage.narrator.write(textwrap.indent(done.stdout, " "))
    done = stage.world.run_as("root", ["lwactl", "audit", "--json"])
    records = [json.loads(line) for line in done.stdout.splitlines()]
    given = {record["app"] for record in records if record["event"] == "token-disclosed"}
    denied = {record["app"] for record in records if record["event"] == "token-denied"}
    events = {record["event"] for record in records}
    player, radio = (f"flatpak:{app}" for app in (demo_apps.PLAYER, demo_apps.RADIO))
    stage.expect(given == {"user:musicd", player, radio}, "who was given a token")
    stage.expect(denied == {"user:weatherd", radio, "unknown"}, "and who was not")
    stage.expect({"login-finished", "token-refreshed"} <= events, "the login and every renewal")
    starts = sum(record["event"] == "broker-started" for record in records)
    stage.expect(starts == 2, "both starts of the broker")
    tokens = all_tokens(stage.world)
    logs = done.stdout + "".join(part.log() for part in (stage.world.broker, stage.world.bus))
    stage.expect(not any(token in logs for token in tokens), "and no token, neither there nor in a log")


def find_leak(stage, token):
    stage.narrator.step("A token turns up in somebody's log: who let it out?")
    found = stage.run("root", ["lwactl", "audit", "token"], input=token.text).stdout
    apps = re.findall(r"^  (\S+), uid", found, re.MULTILINE)
    stage.expect(apps == ["user:musicd"], "the token alone names the app that was given it")
    stage.expect("lwactl revoke user:musicd" in found, "and what to do is ready to be copied")


def sum_up(stage):
    """The matrix: a row of it for each app, after the titles."""
    stage.narrator.step("Who may have what, who has it now, and who asked in vain")
    matrix = stage.run("root", ["lwactl", "audit", "matrix"]).stdout
    rows = dict(re.findall(r"^((?:user|flatpak):\S+) +(.*)$", matrix.split("\n\n")[0], re.MULTILINE))
    player, radio = (f"flatpak:{app}" for app in (demo_apps.PLAYER, demo_apps.RADIO))
    stage.expect({"user:musicd", "user:weatherd", player, radio} <= set(rows), "every app is in it")
    stage.expect("held" in rows["user:musicd"], "musicd holds a token now")
    stage.expect("refused" in rows["user:weatherd"] and "held" not in rows["user:weatherd"], "weatherd asked in vain")


def verify(stage):
    stage.narrator.step("And can this list be trusted?")
    verdict = stage.run("root", ["lwactl", "audit", "verify"]).stdout
    stage.expect(verdict.startswith("The audit trail is intact"), "no record is missing, altered or out of its order")


def play(stage):
    say, world = stage.narrator, stage.world
    start(stage)
    api = {"API": f"https://localhost:{world.sim.https}/v1", "CURL_CA_BUNDLE": world.ca_file}
    log_in(stage)
    share(stage, api)
    poll(stage)
    crash(stage, api)
    demo_apps.play(stage)
    look_back(stage)
    app = world.client("musicd")
    token = app.get_token(["music::library"])
    find_leak(stage, token)
    sum_up(stage)
    verify(stage)
    token.close()
    app.close()
    say.write()
    say.title(f"That was all, in {say.seconds():.1f} s. `./dev up` keeps everything running for you to try.")


if __name__ == "__main__":
    sys.exit(perform(play, LIMIT, "lwa-broker: one login, many apps, no app holding more than it may"))
