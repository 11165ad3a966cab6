# SPDX-License-Identifier: LGPL-2.1-or-later
"""`./dev bench [SCENE...]`: measures, prints a table, and merges its figures into build/bench.json.

A scene is a function that prepares the world, lets build/lwa-bench (tests/bench) measure in it, and returns its
figures by name; without arguments all of SCENES are played. TARGETS says what the figures should be: a figure that
misses its target is marked, and is no error, since machines differ.
"""

import json
import os
import statistics
import subprocess
import sys
import time

from stage import perform
from world import BROKER_USER, CLIENT_ID, NO_RATES, WorldError, wait_until

LIMIT = 900
USER = "alice"
SCOPE = "music::library"
ACCOUNTS = 1000

# Figure -> (whether it is to be at least or at most, or just that; bound).
TARGETS = {
    "hot_ratio": ("<=", 1.2),
    "throughput_ratio_16": (">=", 0.8),
    "expired_1000_refreshes": ("==", 1),
    "rss_anon_mib": ("<=", 6),
    "rss_1000_accounts_add_mib": ("<", 2),
    "start_1000_accounts_ms": ("<", 150),
}
KEEPS = {
    "<=": lambda value, bound: value <= bound,
    ">=": lambda value, bound: value >= bound,
    "<": lambda value, bound: value < bound,
    "==": lambda value, bound: value == bound,
}

# The bare handler's name: open to all, as the broker's is.
BARE_NAME = "org.lwabroker.Bench"
BARE_POLICY = f"""<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <policy user="{BROKER_USER}"><allow own="{BARE_NAME}"/></policy>
  <policy context="default"><allow send_destination="{BARE_NAME}"/></policy>
</busconfig>
"""
# Alice is at no console here, so that polkit would want her password.
LOGIN_RULE = """polkit.addRule(function(action, subject) {
    if (action.id === "org.lwabroker.login" && subject.user === "alice")
        return polkit.Result.YES;
});
"""


# --- the world -------------------------------------------------------------------------------------------


def log_in(world):
    """Links an account of alice's; its token was made by the proving refresh, under the simulator's settings."""
    login = world.spawn_as(USER, ["lwactl", "login", "--scopes", SCOPE, "--no-qr"])

    def pending():
        return [pair["user_code"] for pair in world.sim.state()["code_pairs"] if pair["state"] == "pending"]

    world.sim.approve(wait_until(pending, 15 * world.slowness, "a user code")[0])
    _, errors = login.communicate(timeout=30 * world.slowness)
    if login.returncode != 0:
        raise WorldError(f"the login failed: {errors}")


def fresh(world, **config):
    """A broker without any memory, under whose policy alice may have what she asks for, and as often as she can:
    what is measured is the broker, and not the rate at which it makes one app wait."""
    world.broker.stop()
    world.fresh_folder("state")
    world.fresh_folder("conf/keys")
    world.sim.reset()
    world.sim.set(interval=1)
    world.write_config(**{"limits": NO_RATES, **config})
    world.write_grants("bench", f"[user:{USER}]\nallow = {SCOPE}\n")
    world.start()


def measure(world, *arguments, user=USER):
    done = world.run_as(user, ["lwa-bench", world.bus_address, *arguments], timeout=120)
    if done.returncode != 0:
        raise WorldError(f"lwa-bench {arguments[0]} ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def measure_often(world, times, *arguments):
    """The median of each figure over several runs. A process stays where the scheduler first put it, beside the bus
    or on another processor, which is worth more than what is measured: new clients are put anew."""
    runs = [measure(world, *arguments) for _ in range(times)]
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def start_bare(world):
    bare = world.spawn_as(BROKER_USER, ["lwa-bench", world.bus_address, "bare"], stdout=subprocess.DEVNULL, stderr=None)
    wait_until(lambda: bare.poll() is not None or world.has_owner(BARE_NAME), 10 * world.slowness, "the bare handler")


def rss_anon_mib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["RssAnon"].split()[0]) / 1024


def settled_rss(world):
    """RssAnon once the broker has nothing left to do: it stays the same for half a second."""
    seen = []

    def is_still():
        seen.append(rss_anon_mib(world.broker.pid))
        time.sleep(0.05)
        return len(seen) > 10 and len(set(seen[-10:])) == 1

    wait_until(is_still, 20 * world.slowness, "the broker to settle")
    return seen[-1]


def crowd(world):
    """Stops the broker, and gives it a store with nothing but a thousand accounts."""
    world.broker.stop()
    world.fresh_folder("state")
    world.fresh_folder("conf/keys")
    with open(world.config_path, encoding="utf-8") as file:
        settings = dict(line.strip().split(" = ", 1) for line in file if " = " in line)
    database = os.path.join(world.state_dir, "broker.db")
    argv = ["seed-accounts", database, settings["key_file"], settings["token_endpoint"], CLIENT_ID, ACCOUNTS]
    world.run_as(BROKER_USER, argv, timeout=60, check=True)


# --- scenes ----------------------------------------------------------------------------------------------


def play_calls(world):
    """A logged-in user's cached token, beside the bare handler."""
    fresh(world)
    log_in(world)
    figures = {}
    for repeats, arguments in ((9, ("hot", 1000)), (7, ("throughput", 16, 2)), (1, ("first", 50))):
        figures.update(measure_often(world, repeats, *arguments))
    return figures


def count_refreshes(world):
    return world.sim.state()["counters"].get("token.refresh_token.requests", 0)


def await_expiry(world, lifetime):
    """Until the last token was made longer ago than it lives. A token that nobody asks for is renewed once ahead of
    its expiry at most."""
    seen = count_refreshes(world)
    since = time.monotonic()

    def is_over():
        nonlocal seen, since
        if count_refreshes(world) != seen:
            seen = count_refreshes(world)
            since = time.monotonic()
        return time.monotonic() > since + lifetime + 0.5

    wait_until(is_over, 10 * lifetime, "the token to run out")
    return seen


def play_expired(world):
    """Ten connections with a hundred calls each, all at once, on a token that has run out."""
    fresh(world)
    lifetime = 2
    world.sim.set(token_lifetime=lifetime)
    log_in(world)
    before = await_expiry(world, lifetime)
    world.sim.set(token_lifetime=3600)
    figures = measure(world, "burst", 10, 100)
    figures["expired_1000_refreshes"] = count_refreshes(world) - before
    figures["rss_anon_after_1000_mib"] = settled_rss(world)
    return figures


def play_memory(world):
    fresh(world)
    unused = settled_rss(world)
    log_in(world)
    measure(world, "hot", 500)
    used = settled_rss(world)
    crowd(world)
    world.start("broker")
    full = settled_rss(world)
    return {
        "rss_anon_unused_mib": unused,
        "rss_anon_mib": max(unused, used),
        "rss_anon_1000_accounts_mib": full,
        "rss_1000_accounts_add_mib": full - unused,
    }


def play_start(world):
    fresh(world)
    world.broker.stop()
    figures = {}
    for name in ("start_empty", "start_1000_accounts"):
        if name == "start_1000_accounts":
            crowd(world)
        found = measure(world, "starts", 5, *world.argv_of("lwa-brokerd"), user="root")
        figures.update({f"{name}_{key}": value for key, value in found.items()})
    return figures


def play_crowded(world):
    """The cached token of a user whose account is the last of a thousand and one."""
    fresh(world)
    crowd(world)
    world.start("broker")
    log_in(world)
    found = measure_often(world, 5, "hot", 1000)
    return {f"crowded_{key}": found[key] for key in ("hot_p50_us", "hot_ratio")}


SCENES = {
    "calls": play_calls,
    "expired": play_expired,
    "memory": play_memory,
    "start": play_start,
    "crowded": play_crowded,
}

# --- the table -------------------------------------------------------------------------------------------


def merge(path, figures):
    try:
        with open(path, encoding="utf-8") as file:
            known = json.load(file)
    except (FileNotFoundError, ValueError):
        known = {}
    known.update(figures)
    temporary = path + ".new"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(known, file, indent=2, sort_keys=True)
        file.write("\n")
    os.rename(temporary, path)


def row(narrator, name, value):
    if name not in TARGETS:
        return f"   {name:<32}{value:>12.2f}"
    relation, bound = TARGETS[name]
    mark = narrator.paint("32", "met") if KEEPS[relation](value, bound) else narrator.paint("1;31", "MISSED")
    return f"   {name:<32}{value:>12.2f}   {relation + ' ' + format(bound, 'g'):<10} {mark}"


def play(stage, names):
    world, narrator = stage.world, stage.narrator
    world.write("bus.d/bench.conf", BARE_POLICY)
    world.start("bus", "polkit", "sim")
    world.write_rule("10-bench", LOGIN_RULE)
    start_bare(world)
    figures = {}
    for name in names or SCENES:
        narrator.step(name)
        found = SCENES[name](world)
        for key in sorted(found):
            narrator.write(row(narrator, key, found[key]))
        figures.update(found)
    path = os.path.join(world.build_dir, "bench.json")
    merge(path, {key: round(value, 3) for key, value in figures.items()})
    missed = [key for key, (relation, bound) in TARGETS.items() if key in figures and not KEEPS[relation](figures[key], bound)]
    narrator.write()
    narrator.write(f"figures are in build/bench.json; targets missed: {', '.join(missed) or 'none'}")


if __name__ == "__main__":
    unknown = [name for name in sys.argv[1:] if name not in SCENES]
    if unknown:
        sys.exit(f"bench: there is no scene {unknown[0]}; there are {', '.join(SCENES)}")
    sys.exit(perform(lambda stage: play(stage, sys.argv[1:]), LIMIT))
