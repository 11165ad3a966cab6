# SPDX-License-Identifier: LGPL-2.1-or-later
"""Trails for a broker that only pretends: what a household's device writes down in a month, and one that is all
malice. Each is a dict of the replies of fake_broker.Broker."""

import itertools
import random

PLAYER, RADIO, LAMP = "flatpak:org.example.Player", "flatpak:com.example.radio.InternetRadio", "unit:lampd.service"
LIBRARY, READ = "music::library", "music::library:read"
HOUR, DAY = 3600, 86400


def record(sequence, when, event, app="", **more):
    found = {"sequence": ("t", sequence), "time": ("x", when), "event": ("s", event), "app": ("s", app), "kind": ("s", ""),
             "strength": ("s", "uid"), "unit": ("s", ""), "program": ("s", ""), "account": ("s", ""), "owner": ("s", ""),
             "asked": ("s", ""), "carried": ("s", ""), "verdict": ("s", ""), "decided_by": ("s", ""), "detail": ("s", ""),
             "grant": ("t", 0), "expires_at": ("x", 0), "repeats": ("t", 0), "token": ("s", "")}
    found.update({key: value if isinstance(value, tuple) else ("s", value) for key, value in more.items()})
    return found


def cell(app, user, scope, allowed, account="main", **more):
    found = {"app": ("s", app), "user": ("s", user), "account": ("s", account), "scope": ("s", scope),
             "allowed": ("s", allowed), "asked": ("t", 0), "asked_at": ("x", 0), "used_at": ("x", 0),
             "denied_at": ("x", 0), "held_until": ("x", 0)}
    found.update({key: ("t" if key == "asked" else "x", value) for key, value in more.items()})
    return found


def holder(sequence, app, user, owner, since, until, *scopes, account="main"):
    return {"app": ("s", app), "uid": ("u", 1000), "user": ("s", user), "account": ("s", account), "owner": ("s", owner),
            "scopes": ("as", list(scopes)), "since": ("x", since), "expires_at": ("x", until), "sequence": ("t", sequence),
            "token": ("s", "ab" * 16)}


def replies(records, rows, holders, verified=None, page=1000):
    """Query answers in pages, and like the broker's leaves out what is older than asked for."""
    def query(filter, after, limit):
        since = filter.get("since", ("x", 0))[1]
        rest = [r for r in records if r["sequence"][1] > after and r["time"][1] >= since]
        found = rest[:min(limit, page)]
        return "aa{sv}t", (found, found[-1]["sequence"][1] if len(rest) > len(found) else 0)

    def who_has(scope, _):
        return "aa{sv}", ([h for h in holders if scope in h["scopes"][1]],)

    found = {"Query": query, "WhoHas": who_has, "Matrix": lambda _: ("aa{sv}", (rows,))}
    if verified:
        found["Verify"] = lambda _: ("a{sv}", (verified,))
    return found


def verified(verdict="intact", findings=()):
    return {"verdict": ("s", verdict), "records": ("t", 1234), "unchained": ("t", 0), "proven": ("t", 0), "first": ("t", 1),
            "last": ("t", 1234), "head": ("s", "1234:" + "0f" * 32), "secret": ("s", "none"), "removed_up_to": ("t", 0),
            "damage": ("u", len(findings)), "findings": ("aa{sv}", list(findings))}


def household(now):
    dice = random.Random(1)
    numbers = itertools.count(1)
    records = [record(next(numbers), now - 30 * DAY + 60, "broker-started"),
               record(next(numbers), now - 30 * DAY + 90, "policy-loaded", detail="4 sections"),
               record(next(numbers), now - 29 * DAY, "account-added", account="main", owner="alice"),
               record(next(numbers), now - 29 * DAY, "login-finished", account="main", owner="alice", carried=LIBRARY)]
    for hour in range(29 * 24):
        when = now - 29 * DAY + hour * HOUR
        for app in (PLAYER, RADIO, "user:musicd"):
            if dice.random() < (0.3 if 7 < hour % 24 < 23 else 0.05):
                records.append(record(next(numbers), when + dice.randrange(HOUR), "token-disclosed", app, account="main",
                                      owner="alice", asked=READ, carried=LIBRARY, verdict="allow", decided_by="table",
                                      repeats=("t", dice.randrange(40)), expires_at=("x", when + 2 * HOUR)))
        if 20 * 24 < hour < 20 * 24 + 9:
            for _ in range(dice.randrange(6)):
                records.append(record(next(numbers), when + dice.randrange(HOUR), "token-denied", LAMP, asked=READ,
                                      verdict="deny", decided_by="default"))
    records += [record(next(numbers), now - 5 * DAY, "consent-given", RADIO, account="main", owner="alice", asked=READ,
                       decided_by="prompt", detail="logout"),
                record(next(numbers), now - 3 * DAY, "policy-rejected", detail="grants.d/lamp.conf:3"),
                record(next(numbers), now - 2 * DAY, "token-denied", PLAYER, asked="profile", verdict="deny", decided_by="table",
                       repeats=("t", 4)),
                record(next(numbers), now - HOUR, "broker-crashed")]
    rows = [cell(PLAYER, "alice", LIBRARY, "allow", used_at=now - DAY),
            cell(PLAYER, "alice", READ, "allow", asked=90, used_at=now - HOUR, held_until=now + 1500),
            cell(PLAYER, "alice", "profile", "deny", asked=1, denied_at=now - 2 * DAY),
            cell(RADIO, "alice", READ, "ask", asked=44, used_at=now - 40, held_until=now + 3400),
            cell("user:musicd", "musicd", READ, "allow", asked=44, used_at=now - 6 * DAY),
            cell("user:musicd", "musicd", LIBRARY, "allow"), cell("user:musicd", "musicd", "postal_code", "allow"),
            cell("user:weatherd", "weatherd", "postal_code", "ask", account="living-room"),
            cell(LAMP, "lampd", READ, "deny", asked=31, denied_at=now - 9 * DAY)]
    holders = [holder(900, PLAYER, "alice", "alice", now - 2100, now + 1500, LIBRARY, READ),
               holder(901, RADIO, "alice", "device", now - 40, now + 3400, READ, account="living-room")]
    return replies(records, rows, holders, verified())


# What a text may try: to be markup, to end an attribute or a style, to load, to turn the writing, to pile up.
EVIL = [
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='alert(1)", "</title></style><h1 id=evil>",
    "javascript:alert(1)", "&lt;b&gt;&#60;b&#62;", "<!-- ", "]]>", "{{7*7}}", "\u202egnp.exe\u202c", "\u2066\u2067\u200f\u05d0\u05d1",
    "\x1b[31m\x07\r\n\t\x7f\u009b", "a" + "\u0301" * 300, "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627", "W" * 4000,
    "\U0001d573\ufeff\u00ad\u3164", "https://evil.example/?<link rel=stylesheet href=//evil.example>", "-" * 300, "\u4e2d" * 300,
]


def malice(now):
    texts = itertools.cycle(EVIL)

    def evil(item):
        return {key: ("s", next(texts)) if value[0] == "s" and key != "event" else
                ("as", [next(texts) for _ in range(3)]) if value[0] == "as" else value for key, value in item.items()}

    scopes = EVIL[:12]
    records = [evil(record(n, now - n * HOUR, event)) for n, event in enumerate(
        ["token-disclosed", "token-denied", "token-denied", "account-added", "login-failed", EVIL[0]] * 30, 1)]
    rows = [{**evil(cell("", "", "", "allow", held_until=now + HOUR)), "scope": ("s", scope)} for scope in scopes for _ in range(3)]
    rows += [{**evil(cell("", "", "", "deny", asked=2**63, denied_at=2**62)), "scope": ("s", scope)} for scope in scopes]
    holders = [evil(holder(n, "", "", "", -2**63, 2**63 - 1)) for n in range(300)]
    finding = evil({"kind": ("s", "gap"), "damage": ("b", True), "sequence": ("t", 7), "text": ("s", "")})
    found = replies(records, rows, holders, evil(verified("damaged", [finding] * 30)))
    found["WhoHas"] = lambda *_: ("aa{sv}", (holders,))
    return found
