# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests of logins, renewal, store and trail share.

    settle(world)                               quick simulator, owners who may manage their logins, a table
    account = link(world, "alice", [LIBRARY])   a whole login by code; the account's id
    login = Login(client, [LIBRARY], label="x") one that the test drives: events(), wait_state(), finish()
"""

import contextlib
import fcntl
import html
import os
import re
import shutil
import sqlite3
import ssl
import tempfile
import time
import urllib.parse
import urllib.request

from world import NAME, DBusError, wait_until

LOGIN = "org.lwabroker.Login1"
REQUEST = "org.lwabroker.Login1.Request"
ACCOUNTS = "org.lwabroker.Accounts1"
AUDIT = "org.lwabroker.Audit1"
STATUS = "org.lwabroker.Status1"
POLKIT = "org.freedesktop.PolicyKit1.Authority"
PROPERTIES = "org.freedesktop.DBus.Properties"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
UNKNOWN_OBJECT = "org.freedesktop.DBus.Error.UnknownObject"

LIBRARY = "music::library"
PLAYBACK = "music::playback"
CATALOG = "music::catalog"

# There is no logind here, so nobody is "the active local user": what a person at the device may do is granted by name.
OWNERS_RULE = """
polkit.addRule(function(action, subject) {
    var own = ["org.lwabroker.login", "org.lwabroker.accounts.manage", "org.lwabroker.audit.read-own"];
    var people = ["alice", "bob"];
    if (own.indexOf(action.id) >= 0 && action.lookup("owner") !== "device" && people.indexOf(subject.user) >= 0)
        return polkit.Result.YES;
});
"""
GRANTS = """
[user:alice]
allow = music::library music::playback music::catalog profile postal_code
[user:bob]
allow = music::library music::playback music::catalog profile
[user:musicd]
allow = music::library music::playback
[user:weatherd]
allow = music::library
"""


def settle(world, **settings):
    """A simulator that is polled every second, and policy with which alice and bob can work."""
    world.sim.set(interval=1, **settings)
    world.write_rule("10-owners", OWNERS_RULE)
    world.write_grants("people", GRANTS)
    world.reload()
    return world


class Login:
    """A login request, seen from the connection that began it."""

    def __init__(self, client, scopes, flow="device-code", **options):
        self.client = client
        packed = {key: value if isinstance(value, tuple) else ("s", value) for key, value in options.items()}
        self.path = client.call(LOGIN, "Begin", "sasa{sv}", (flow, list(scopes), packed))
        self.state = "starting"
        self.states = []
        self.code = ""
        self.uri = ""
        self.expires_at = 0
        self.authorize_uri = ""
        self.notice = ""

    def wait_state(self, *states, timeout=15):
        """Takes changes until the state is one of these."""
        deadline = time.monotonic() + timeout
        while self.state not in states:
            left = max(deadline - time.monotonic(), 0)
            interface, changed, invalidated = self.client.wait_signal(
                PROPERTIES, "PropertiesChanged", timeout=left, path=self.path
            )
            assert interface == REQUEST and invalidated == []
            self.state = changed["State"]
            self.states.append(self.state)
            self.code, self.uri = changed["UserCode"], changed["VerificationUri"]
            self.expires_at = changed["ExpiresAt"]
            self.authorize_uri, self.notice = changed["AuthorizeUri"], changed["Notice"]
        return self

    def finish(self, timeout=15):
        """(outcome, details); all states up to there are in `states`, and the sentence is in `message`."""
        self.wait_state("done", timeout=timeout)
        outcome, details = self.client.wait_signal(REQUEST, "Finished", timeout=timeout, path=self.path)
        if "error" in details:
            details["error"] = details["error"].rsplit(".", 1)[-1]
        self.message = details.pop("message", "")
        assert bool(self.message) == (outcome in ("denied", "expired", "failed")), (outcome, details, self.message)
        return outcome, details

    def complete(self, **result):
        packed = {key: value if isinstance(value, tuple) else ("s", value) for key, value in result.items()}
        self.client.call(REQUEST, "Complete", "a{sv}", (packed,), path=self.path)

    def cancel(self):
        self.client.call(REQUEST, "Cancel", path=self.path)

    def properties(self):
        return self.client.get_properties(REQUEST, path=self.path)


def link(world, user, scopes, customer=None, client=None, **options):
    """Links and returns the account's id. client: a connection to do it on."""
    own = client or world.client(user)
    login = Login(own, scopes, **options).wait_state("waiting")
    world.sim.approve(login.code, customer or user)
    outcome, details = login.finish(timeout=15 * world.slowness)
    assert outcome == "linked", (outcome, details)
    if not client:
        world.clients.remove(own)
        own.close()
    return details["account"]


def link_device(world, scopes=(LIBRARY, PLAYBACK), customer="carol"):
    """The device's own account, which apps without a login of their own use."""
    world.write_rule(
        "10-owners",
        OWNERS_RULE
        + 'polkit.addRule(function(a, s) { if (a.id === "org.lwabroker.device.use") return polkit.Result.YES; });',
    )
    return link(world, "root", scopes, customer, owner="device")


SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK


@contextlib.contextmanager
def sealed(content, seals=SEALS):
    """A memfd as an import takes it."""
    fd = os.memfd_create("token", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.write(fd, content if isinstance(content, bytes) else content.encode())
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
        yield fd
    finally:
        os.close(fd)


# --- the person's page ---


def open_page(world, path, fields=None):
    """(status, text) of a page of the simulator, over TLS as a browser does it."""
    tls = ssl.create_default_context(cafile=world.ca_file)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls))
    url = path if "://" in path else f"https://localhost:{world.sim.https}{path}"
    data = urllib.parse.urlencode(fields).encode() if fields else None
    with opener.open(url, data, timeout=10 * world.slowness) as answer:
        return answer.status, answer.read().decode()


def hidden_fields(page):
    found = {}
    for tag in re.findall(r"<input[^>]*>", page):
        attributes = {name: html.unescape(value) for name, value in re.findall(r'(\w+)="([^"]*)"', tag)}
        if attributes.get("type") == "hidden":
            found[attributes["name"]] = attributes["value"]
    return found


def answer_by_page(world, uri, code, customer="alice", answer="allow"):
    """Types the code into the page and answers the question; the text of the last page."""
    _, page = open_page(world, uri)
    _, page = open_page(world, uri, hidden_fields(page) | {"user_code": code})
    _, page = open_page(world, uri, hidden_fields(page) | {"customer": customer, "answer": answer})
    return page


# --- looking ---


def counter(world, name):
    return world.sim.state()["counters"].get(name, 0)


def polls(world):
    return counter(world, "token.device_code.requests")


def refreshes(world):
    return counter(world, "token.refresh_token.requests")


def status(client):
    return client.call(STATUS, "Get")


def grants(client, account=None):
    """What Status1 says of the caller's grants (of one account)."""
    return [grant for grant in status(client)["grants"] if account in (None, grant["account"])]


def accounts(client):
    return {account["id"]: account for account in client.call(ACCOUNTS, "List", "a{sv}", ({},))}


def trail(client, event=None, own=False):
    """All records, oldest first; of one event."""
    filters = {"own": ("b", True)} if own else {}
    records, after = [], 0
    while True:
        page, after = client.call(AUDIT, "Query", "a{sv}tu", (filters, after, 1000))
        records += page
        if after == 0:
            break
    return [record for record in records if event in (None, record["event"])]


def wait_trail(client, event, timeout=5, **fields):
    """The newest record of this event with these fields, as soon as it is there."""

    def found():
        fitting = [r for r in trail(client, event) if all(r.get(key) == value for key, value in fields.items())]
        return fitting[-1] if fitting else None

    return wait_until(found, timeout, f"a record {event} with {fields}")


def error_of(function, *args, **options):
    """The DBusError that it must end with."""
    try:
        result = function(*args, **options)
    except DBusError as error:
        return error
    raise AssertionError(f"no error, but {result!r}")


def take(client, scopes=(LIBRARY,), **options):
    """Gets a token and closes it; returns (text, info)."""
    token = client.get_token(list(scopes), **options)
    token.close()
    return token.text, token.info


def try_take(client, **options):
    try:
        return take(client, **options)
    except DBusError:
        return None


def open_descriptors(world):
    return len(os.listdir(f"/proc/{world.broker.pid}/fd"))


def reject(client, token_id, timeout=25):
    return client.call(NAME, "ReportRejected", "s", (token_id,), timeout=timeout)


def start_time(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return int(file.read().rsplit(")", 1)[1].split()[19])


def register_agent(client):
    """An agent of the client's own, which never answers."""
    subject = ("unix-process", {"pid": ("u", client.pid), "start-time": ("t", start_time(client.pid))})
    where = {"path": "/org/freedesktop/PolicyKit1/Authority", "destination": "org.freedesktop.PolicyKit1"}
    client.call(POLKIT, "RegisterAuthenticationAgent", "(sa{sv})ss", (subject, "C", "/agent"), **where)


@contextlib.contextmanager
def store_held(world):
    """The broker's store cannot commit meanwhile. For less than a second: then its operations fail with EBUSY."""
    database = sqlite3.connect(f"{world.state_dir}/broker.db", isolation_level=None)
    try:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("ROLLBACK")
    finally:
        database.close()


def rows(world, sql, *values):
    """Reads from a copy of the database, so that the broker's own files are not touched."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("", "-wal"):
            source = f"{world.state_dir}/broker.db{suffix}"
            try:
                shutil.copyfile(source, f"{folder}/broker.db{suffix}")
            except FileNotFoundError:
                pass
        database = sqlite3.connect(f"{folder}/broker.db")
        try:
            return database.execute(sql, values).fetchall()
        finally:
            database.close()
