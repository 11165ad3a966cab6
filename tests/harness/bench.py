# SPDX-License-Identifier: LGPL-2.1-or-later
"""`./dev bench [SCENE...]`: measures, prints a table, and merges its figures into build/bench.json.

A scene is a function that prepares the world, lets build/lwa-bench (tests/bench) measure in it, and returns its
figures by name; without arguments all of SCENES are played. TARGETS says what the figures should be: a figure that
misses its target is marked, and is no error, since machines differ.
"""

import json
import os
import pwd
import re
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
from faulty_disk import faulty_disk
from stage import perform
from world import BROKER_USER, CLIENT_ID, DEFAULT_BURSTS, NAME, NO_RATES, PATH, WorldError, wait_until

LIMIT = 1500
USER = "alice"
HOSTILE = "bob"
SCOPE = "music::library"
TWO_SCOPES = "music::library:read music::playback"  # neither implies another
ACCOUNTS = 1000

# Figure -> (whether it is to be at least or at most, or just that; bound).
TARGETS = {
    "hot_ratio": ("<=", 1.2),
    "throughput_ratio_16": (">=", 0.8),
    "first_call_own_ms": ("<=", 5),
    "expired_1000_refreshes": ("==", 1),
    "rss_anon_mib": ("<=", 6),
    "rss_1000_accounts_add_mib": ("<", 2),
    "start_1000_accounts_ms": ("<", 150),
    "ten_accounts_s": ("<", 0.5),
    "isolation_p50_ratio": ("<=", 1.2),
    "isolation_p99_add_ms": ("<=", 5),
    "noisy_p50_ratio": ("<=", 1.2),
    "noisy_p99_add_ms": ("<=", 5),
    "waits_per_day": ("==", 0),
    "audit_last_ms": ("<", 50),
    "audit_who_has_ms": ("<", 200),
    "audit_verify_per_s": (">", 100_000),
    "audit_bytes_per_record": ("<=", 700),
    "audit_disclosures_per_commit": (">=", 8),
    "audit_commit_ratio": ("<=", 1.5),
    "client_cached_ns": ("<", 200),
    "client_call_ratio": ("<=", 1.1),
    "lwactl_ratio": ("<=", 2),
    "client_so_kib": ("<", 64),
    "soak_growth_kib": ("<", 64),
    "soak_fds_growth": ("<=", 0),
}
KEEPS = {
    "<=": lambda value, bound: value <= bound,
    ">=": lambda value, bound: value >= bound,
    "<": lambda value, bound: value < bound,
    ">": lambda value, bound: value > bound,
    "==": lambda value, bound: value == bound,
}

# Two dozen hours of hourly tokens, each hour so many seconds long; renewed at a twelfth of it before the end, as real
# ones are. Below 10 the whole seconds of the configuration make it another game.
SOAK_HOUR_S = int(os.environ.get("LWA_SOAK_HOUR", "10"))
SOAK_HOURS = 24
SOAK_SETTLE_HOURS = 2
SOAK_WARM_UP_S = 60  # of hours of two seconds: more than a day's writing, so that SQLite's page cache is full
APPS = 50
FIRST_UID = 30001
TRAIL_RECORDS = 1_000_000
TRAIL_APP = "user:alice12"  # one of tests/bench/long-trail.c
CLIENTS, DISCLOSURES = 16, 20

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


def log_in(world, user=USER, scopes=SCOPE, *options):
    """Links an account of alice's; its token was made by the proving refresh, under the simulator's settings."""
    login = world.spawn_as(user, ["lwactl", "login", "--scopes", scopes, "--no-qr", *options])

    def pending():
        return [pair["user_code"] for pair in world.sim.state()["code_pairs"] if pair["state"] == "pending"]

    world.sim.approve(wait_until(pending, 15 * world.slowness, "a user code")[0])
    _, errors = login.communicate(timeout=30 * world.slowness)
    if login.returncode != 0:
        raise WorldError(f"the login failed: {errors}")


def fresh(world, users=(USER,), limits=NO_RATES, start=True, scopes=SCOPE, **config):
    """A broker without any memory, under whose policy these users may have what they ask for, and as often as they
    can: what is measured is the broker, and not the rate at which it makes one app wait."""
    world.broker.stop()
    world.fresh_folder("state")
    world.fresh_folder("conf/keys")
    world.sim.reset()
    world.sim.set(interval=1)
    world.write_config(limits=limits, **config)
    world.write_grants("bench", "".join(f"[user:{user}]\nallow = {scopes}\n" for user in users))
    if start:
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


def fill_store(world, count, rows=None):
    """A store with so many made-up accounts, or with these: (uid, user, account, refresh token)."""
    with open(world.config_path, encoding="utf-8") as file:
        settings = dict(line.strip().split(" = ", 1) for line in file if " = " in line)
    database = os.path.join(world.state_dir, "broker.db")
    argv = ["seed-accounts", database, settings["key_file"], settings["token_endpoint"], CLIENT_ID, count]
    lines = "".join(" ".join(map(str, row)) + "\n" for row in rows or [])
    done = world.run_as(BROKER_USER, argv, timeout=60, input=lines)
    if done.returncode != 0:
        raise WorldError(f"seed-accounts ended with {done.returncode}: {done.stderr}")


def crowd(world):
    """Stops the broker, and gives it a store with nothing but a thousand accounts."""
    world.broker.stop()
    world.fresh_folder("state")
    world.fresh_folder("conf/keys")
    fill_store(world, ACCOUNTS)


def fresh_accounts(world, owners, **config):
    """As fresh(), with logins that the provider knows: (user, account id) for each."""
    fresh(world, users=sorted({user for user, _ in owners}), start=False, **config)
    rows = []
    for user, account in owners:
        token = world.sim.mint(f"{user}-{account}", SCOPE)["refresh_token"]
        rows.append((pwd.getpwnam(user).pw_uid, user, account, token))
    fill_store(world, 0, rows)
    world.start()


@contextmanager
def steady(world, user, account, calls, pause_usec):
    """A client that plays a round of calls, and returns its figures, each time it is asked to."""
    argv = ["lwa-bench", world.bus_address, "steady", account, calls, pause_usec]
    client = world.spawn_as(user, argv, stdin=subprocess.PIPE)

    def play_round():
        client.stdin.write("\n")
        client.stdin.flush()
        line = client.stdout.readline()
        if not line:
            raise WorldError(f"lwa-bench steady ended: {client.stderr.read()}")
        return json.loads(line)

    yield play_round
    client.communicate(timeout=30)


@contextmanager
def flood(world, user, rate):
    process = world.spawn_as(user, ["lwa-bench", world.bus_address, "flood", rate])
    yield
    if process.poll() is not None:
        raise WorldError(f"the flood ended by itself: {process.stderr.read()}")
    process.kill()
    process.communicate(timeout=30)


def compare(name, quiet, disturbed):
    """How disturbed rounds compare with the quiet ones between them: each round with its neighbour, so that what the
    machine does otherwise falls on both alike."""
    ratios = [b["steady_p50_us"] / a["steady_p50_us"] for a, b in zip(quiet, disturbed)]
    added = [(b["steady_p99_us"] - a["steady_p99_us"]) / 1000 for a, b in zip(quiet, disturbed)]
    return {
        f"{name}_p50_us": statistics.median(figures["steady_p50_us"] for figures in disturbed),
        f"{name}_p50_ratio": statistics.median(ratios),
        f"{name}_p99_add_ms": statistics.median(added),
    }


# --- scenes ----------------------------------------------------------------------------------------------


def play_calls(world):
    """A logged-in user's cached token, beside the bare handler."""
    fresh(world)
    log_in(world)
    figures = {}
    for repeats, arguments in ((9, ("hot", 1000)), (7, ("throughput", 16, 2)), (1, ("first", 50))):
        figures.update(measure_often(world, repeats, *arguments))
    return figures


def play_first(world):
    """The first call of apps that the broker has never seen, for two scopes of the device's account: with the look at
    who calls, polkit and the durable record. The parts are measured beside it."""
    users = add_users(world)
    fresh(world, users=users, scopes=TWO_SCOPES)
    log_in(world, "root", TWO_SCOPES, "--device")
    return measure(world, "first-calls", FIRST_UID, APPS, user="root")


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


def play_ten(world):
    """Ten accounts of one user, whose tokens have all run out, behind a provider that takes its time."""
    names = [f"account-{i + 1}" for i in range(10)]
    fresh_accounts(world, [(USER, name) for name in names])
    world.sim.set(rotation="new", rotation_kills_old="yes")
    rounds = []
    for _ in range(3):
        world.sim.set(token_lifetime=2, delay_ms=0)
        measure(world, "accounts", 10)
        await_expiry(world, 2)
        world.sim.set(token_lifetime=3600, delay_ms=200)
        rounds.append(measure(world, "accounts", 10)["accounts_s"])
        world.sim.set(delay_ms=0)
        world.broker.restart()
    return {"ten_accounts_s": statistics.median(rounds), "ten_accounts_worst_s": max(rounds)}


def status(world):
    return world.root().call("org.lwabroker.Status1", "Get")


def is_renewing(world, account):
    return [grant["state"] for grant in status(world)["grants"] if grant["account"] == account] == ["renewing"]


def run_below(world, user, argv, timeout=300, **more):
    """A program that works on the store's files, while no broker runs."""
    done = world.run_as(user, argv, timeout=timeout, **more)
    if done.returncode != 0:
        raise WorldError(f"{argv[0]} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def play_audit(world):
    """A trail of a million records, the last of them of tokens that are still good."""
    fresh(world)
    log_in(world)
    world.broker.stop()
    database, key = (os.path.join(world.state_dir, name) for name in ("broker.db", "audit.key"))
    before = time.monotonic()
    run_below(world, BROKER_USER, ["seed-trail", database, key, TRAIL_RECORDS, 365])
    figures = {
        "audit_seed_s": time.monotonic() - before,
        "audit_bytes_per_record": os.stat(database).st_size / TRAIL_RECORDS,
    }
    figures.update(json.loads(run_below(world, BROKER_USER, ["bench-trail", "verify", database])))
    world.start("broker")
    figures.update(measure(world, "audit", TRAIL_APP, SCOPE, 40, user="root"))
    world.broker.stop()
    world.fresh_folder("commits")
    figures.update(json.loads(run_below(world, BROKER_USER, ["bench-trail", "commit", world.path("commits"), 1000])))
    return figures


def play_disclosures(world):
    """First disclosures on a disk whose syncs take 10 ms: how many share one."""
    users = add_users(world, CLIENTS * DISCLOSURES)
    fresh(world, users=[*users, USER])
    log_in(world, "root", SCOPE, "--device")
    with faulty_disk(world) as disk:
        disk.set("sync_msec", 10)
        argv = ["lwa-bench", world.bus_address, "disclosures", FIRST_UID, CLIENTS, DISCLOSURES]
        apps = world.spawn_as("root", argv, stdin=subprocess.PIPE)
        world.client(USER).call("org.lwabroker.Broker1", "GetToken", "asa{sv}", ([SCOPE], {}))
        head = apps.stdout.readline()
        time.sleep(1)  # until what is recorded of that is written
        before = disk.get("n_syncs")
        output, errors = apps.communicate("\n", timeout=120)
        syncs = disk.get("n_syncs") - before
    if apps.returncode != 0:
        raise WorldError(f"lwa-bench disclosures ended with {apps.returncode}: {errors}")
    figures = json.loads(head + output)
    figures["audit_disclosures_per_commit"] = CLIENTS * DISCLOSURES / syncs
    return figures


def size_of_library(world):
    """What an app loads: in KiB, without the symbols for debugging. It needs libdbus and libc, and nothing else."""
    path = os.path.join(world.build_dir, ".libs/liblwa-client.so.0")
    stripped = world.path("liblwa-client.so")
    subprocess.run(["strip", "-o", stripped, path], check=True, stdin=subprocess.DEVNULL)
    text = subprocess.run(["readelf", "-dW", stripped], check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", text))
    if needed != {"libdbus-1.so.3", "libc.so.6"}:
        raise WorldError(f"liblwa-client needs {', '.join(sorted(needed))}")
    return os.stat(stripped).st_size / 1024


def play_client(world):
    """An app's side: a token that the library keeps, one over the bus beside the bare call, and lwactl beside
    dbus-send, from start to end."""
    fresh(world)
    log_in(world)
    figures = measure_often(world, 5, "client", 1000)
    lwactl = [world.program("lwactl"), "token", SCOPE]
    send = ["/usr/bin/dbus-send", "--system", "--print-reply", f"--dest={NAME}", PATH, f"{NAME}.GetToken"]
    found = measure_often(world, 3, "programs", 100, *lwactl, "--", *send, f"array:string:{SCOPE}", "dict:string:string:")
    figures |= {"lwactl_p50_us": found["first_p50_us"], "dbus_send_p50_us": found["second_p50_us"], "lwactl_ratio": found["ratio"]}
    return figures | {"client_so_kib": size_of_library(world)}


def play_isolation(world):
    """The cached token of one account, while the provider does not answer for another."""
    fresh_accounts(world, [(USER, "account-1"), (USER, "account-2")])
    client = world.client(USER)
    quiet, disturbed = [], []
    with steady(world, USER, "account-1", 1000, 0) as play_round:
        for _ in range(7):
            play_round()
            quiet.append(play_round())
            world.sim.fault("token", "hang-before", grant_type="refresh_token", ms=600000)
            client.send("org.lwabroker.Broker1", "GetToken", "asa{sv}", ([SCOPE], {"account": ("s", "account-2")}))
            wait_until(lambda: is_renewing(world, "account-2"), 10, "a refresh that hangs")
            disturbed.append(play_round())
            if not is_renewing(world, "account-2"):
                raise WorldError("the provider did answer for the other account")
            world.sim.clear_faults()
            world.broker.kill9()  # it would wait for the answer
            world.start("broker")
    return compare("isolation", quiet, disturbed)


def play_noisy(world):
    """One user's cached token, while another one calls at twice the rate that is admitted; and, for comparison, as
    fast as the bus takes it, when what is left of the processors for the bus itself is most of what one sees."""
    fresh_accounts(world, [(USER, "account-1"), (HOSTILE, "account-1")], limits=DEFAULT_BURSTS)
    rounds = {"quiet": [], "noisy": [], "flood": []}
    with steady(world, USER, "account-1", 400, 4000) as play_round:
        play_round()
        for _ in range(7):
            rounds["quiet"].append(play_round())
            for name, rate in (("noisy", 600), ("flood", 0)):
                with flood(world, HOSTILE, rate):
                    time.sleep(2)  # until its burst is used up
                    rounds[name].append(play_round())
    return compare("noisy", rounds["quiet"], rounds["noisy"]) | compare("flood", rounds["quiet"], rounds["flood"])


def add_users(world, count=APPS):
    """Many apps, in the passwd of this mount namespace."""
    users = {f"app-{i + 1:02}": FIRST_UID + i for i in range(count)}
    with open(world.path("passwd"), "r+", encoding="utf-8") as file:
        known = file.read()
        lines = [f"{name}:x:{uid}:{uid}:{name}:/nonexistent:/usr/sbin/nologin\n" for name, uid in users.items()]
        file.write("".join(line for line in lines if line not in known))
    return users


def sample_until_end(world, process):
    """(RssAnon in KiB, descriptors) of the broker, once a second."""
    samples = []
    while process.poll() is None:
        time.sleep(1)
        samples.append((rss_anon_mib(world.broker.pid) * 1024, len(os.listdir(f"/proc/{world.broker.pid}/fd"))))
    return samples


def growth(values, least=statistics.median):
    """From the first tenth to the last: by medians, since a refresh under way holds memory for a moment."""
    n = max(len(values) // 10, 3)
    return least(values[-n:]) - least(values[:n])


def play_soak(world):
    """Fifty apps with a login each for a day, on a provider that rotates."""
    users = add_users(world)
    margin = round(SOAK_HOUR_S / 12)
    fresh_accounts(world, [(user, "account-1") for user in users], tokens={"refresh_margin": margin, "min_valid": 0})
    world.sim.set(token_lifetime=2, rotation="new", rotation_kills_old="yes")
    seconds = SOAK_WARM_UP_S + SOAK_HOUR_S * (SOAK_SETTLE_HOURS + SOAK_HOURS)
    argv = ["lwa-bench", world.bus_address, "soak", FIRST_UID, APPS, 500, seconds]
    apps = world.spawn_as("root", argv)
    time.sleep(SOAK_WARM_UP_S)
    world.sim.set(token_lifetime=SOAK_HOUR_S)
    time.sleep(SOAK_HOUR_S * SOAK_SETTLE_HOURS)
    before = status(world)
    samples = sample_until_end(world, apps)
    after = status(world)
    output, errors = apps.communicate()
    if apps.returncode != 0:
        raise WorldError(f"lwa-bench soak ended with {apps.returncode}: {errors}")
    figures = json.loads(output)
    figures["waits_per_day"] = after["waits"] - before["waits"]
    figures["soak_refreshes"] = after["refreshes"] - before["refreshes"]
    figures["soak_growth_kib"] = growth([memory for memory, _ in samples])
    figures["soak_fds_growth"] = growth([descriptors for _, descriptors in samples], min)
    return figures


SCENES = {
    "calls": play_calls,
    "first": play_first,
    "expired": play_expired,
    "memory": play_memory,
    "start": play_start,
    "crowded": play_crowded,
    "ten": play_ten,
    "audit": play_audit,
    "disclosures": play_disclosures,
    "client": play_client,
    "isolation": play_isolation,
    "noisy": play_noisy,
    "soak": play_soak,
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
