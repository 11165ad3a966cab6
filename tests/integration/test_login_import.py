# SPDX-License-Identifier: LGPL-2.1-or-later
"""Import of a refresh token: by a sealed descriptor, proven as any login, and marked as claimed."""

import fcntl
import os
import secrets
import socket
import time

import pytest
from jeepney import DBusAddress, HeaderFields, new_method_call

from logins import (
    ACCOUNTS,
    LIBRARY,
    LOGIN,
    PLAYBACK,
    SEALS,
    Login,
    accounts,
    counter,
    error_of,
    grants,
    link,
    open_descriptors,
    refreshes,
    rows,
    sealed,
    settle,
    status,
    store_held,
    take,
    trail,
    wait_trail,
)
from shim import SANITIZED
from world import NAME, PATH, wait_until

PEER = "org.freedesktop.DBus.Peer"


@pytest.fixture
def quick(world):
    return settle(world)


def mint(world, customer="alice", scope=LIBRARY, **more):
    fields = {"customer": customer, "scope": scope, **more}
    return world.sim.request("POST", "/mint", fields)["refresh_token"]


def begin(client, token, scopes=(LIBRARY,), **options):
    """token: text, or a descriptor."""
    if isinstance(token, int):
        return Login(client, list(scopes), "import", token=("h", token), **options)
    with sealed(token) as fd:
        return Login(client, list(scopes), "import", token=("h", fd), **options)


def refusal(client, fd, **options):
    return error_of(begin, client, fd, **options).short


# --- the whole way ---


def test_import(quick):
    alice = quick.client("alice")
    token = mint(quick)
    login = begin(alice, token + "\n", label="From backup")
    assert login.finish() == ("linked", {"account": "main", "scopes": [LIBRARY]})
    assert login.states == ["exchanging", "proving", "done"]
    assert login.notice == login.authorize_uri == login.code == ""
    assert refreshes(quick) == 1 and counter(quick, "tokeninfo.ok") == 1
    assert accounts(alice)["main"]["label"] == "From backup"
    assert accounts(alice)["main"]["claimed"] is True
    assert [grant["claimed"] for grant in grants(alice)] == [True]
    take(alice)
    quick.broker.restart()
    alice = quick.client("alice")
    assert accounts(alice)["main"]["claimed"] and grants(alice)[0]["claimed"]
    assert rows(quick, "SELECT flow, claimed FROM grant") == [("import", 1)]
    begun = wait_trail(quick.client("root"), "login-begun")
    assert begun["detail"] == "import"
    assert all(token not in str(record) for record in trail(quick.client("root")))
    with open(quick.broker.log_path, encoding="utf-8", errors="replace") as file:
        assert token not in file.read()


def test_a_login_beside_it_is_not_claimed(quick):
    alice = quick.client("alice")
    assert begin(alice, mint(quick)).finish()[0] == "linked"
    link(quick, "alice", [PLAYBACK], client=alice)
    assert sorted((grant["scopes"], grant["claimed"]) for grant in grants(alice)) == [
        ([LIBRARY], True),
        ([PLAYBACK], False),
    ]
    alice.call(ACCOUNTS, "Remove", "s", ("main",))
    link(quick, "alice", [LIBRARY], client=alice)
    assert accounts(alice)["main"]["claimed"] is False


def test_rotation_goes_on(quick):
    """The token that is stored is the one that the provider knows next."""
    quick.sim.set(rotation="new", rotation_kills_old="yes")
    alice = quick.client("alice")
    assert begin(alice, mint(quick)).finish()[0] == "linked"
    quick.broker.kill9()
    quick.broker.start()
    take(quick.client("alice"))
    assert counter(quick, "token.refresh_token.invalid_grant") == 0


def test_owner_device_is_for_administrators(quick):
    alice = quick.client("alice")
    assert refusal(alice, mint(quick), owner="device") == "ConsentRequired"
    login = begin(quick.client("root"), mint(quick, "carol"), owner="device")
    assert login.finish()[1]["account"] == "device"
    assert accounts(alice)["device"]["claimed"]
    assert refusal(alice, mint(quick), account="device") == "ConsentRequired"


def test_who_may_not_log_in(quick):
    assert refusal(quick.client("carol"), mint(quick)) == "ConsentRequired"
    quick.write_rule("05-no", 'polkit.addRule(function(a, s) { if (a.id === "org.lwabroker.login") return "no"; });')
    assert refusal(quick.client("alice"), mint(quick)) == "AccessDenied"
    assert refreshes(quick) == 0


def search_memory(pid, needle):
    """In how many places of its readable memory a process has these bytes."""
    found = 0
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            span, rights = line.split()[:2]
            start, end = (int(part, 16) for part in span.split("-"))
            is_table = SANITIZED and end - start > 8 << 20  # of the sanitizers: terabytes of addresses
            if rights.startswith("r") and "[v" not in line and not is_table:
                try:
                    found += os.pread(memory.fileno(), end - start, start).count(needle)
                except OSError:
                    pass  # the guard pages of secrets
    return found


def test_token_is_not_left_in_memory(quick):
    """It came by descriptor, so no bus message holds it, and what the broker makes of it is wiped (I2)."""
    alice = quick.client("alice")
    needle = secrets.token_hex(20).encode()
    quick.sim.fault("token", "hang-before", count=1, grant_type="refresh_token")
    login = begin(alice, needle.decode()).wait_state("proving")
    wait_until(lambda: refreshes(quick), 5 * quick.slowness, "the proving refresh")
    assert search_memory(quick.broker.pid, needle) > 0  # while it is sent; so the search can find it
    quick.sim.clear_faults()
    login.cancel()
    assert login.finish() == ("cancelled", {})
    token = mint(quick)
    assert begin(alice, token).finish()[0] == "linked"
    take(alice)
    for secret in (needle, token.encode()):
        wait_until(lambda: search_memory(quick.broker.pid, secret) == 0, 5 * quick.slowness, "it to be wiped")


# --- what Amazon says of it ---


def test_tokens_that_are_refused(quick):
    alice = quick.client("alice")
    bad = [
        ("Atzr|made-up", "LoginRequired", "refresh-token"),
        (mint(quick, client_id=quick.sim.state()["clients"]["web_client_id"]), "LoginRequired", "refresh-token"),
    ]
    for token, error, reason in bad:
        login = begin(alice, token)
        assert login.finish() == ("failed", {"error": error, "reason": reason})
        assert "client id or region" in login.message
    quick.sim.set(wrong_region="yes")
    assert begin(alice, mint(quick)).finish()[1]["reason"] == "refresh-token"
    quick.sim.set(wrong_region="no", client_type="web")
    assert begin(alice, mint(quick)).finish()[1]["reason"] == "client-type"
    assert accounts(alice) == {} and grants(alice) == []
    wait_until(lambda: rows(quick, "SELECT count(*) FROM grant") == [(0,)], 5 * quick.slowness, "their removal")


def test_another_customer_is_refused(quick):
    alice = quick.client("alice")
    link(quick, "alice", [LIBRARY], client=alice)
    login = begin(alice, mint(quick, "carol"), account="main")
    assert login.finish() == ("failed", {"error": "AccessDenied", "reason": "other-customer"})
    assert begin(alice, mint(quick, scope=PLAYBACK), [PLAYBACK], account="main").finish()[0] == "linked"
    assert len(grants(alice)) == 2


def test_offline_is_told_at_once(quick):
    """The person has the token still: nothing is kept and tried behind the back."""
    alice = quick.client("alice")
    token = mint(quick)
    quick.simulator.stop()
    began = time.monotonic()
    assert begin(alice, token).finish() == ("failed", {"error": "ProviderUnavailable", "reason": "offline"})
    assert time.monotonic() - began < 3 * quick.slowness
    assert grants(alice) == [] and status(alice)["logins"] == 0


@pytest.mark.parametrize("certs, reason", [("--expired", "clock"), ("--other-host", "offline")])
def test_certificate_that_is_not_good(quick, certs, reason):
    quick.write_config(provider={"ca_file": quick.restart_sim(certs)})
    quick.reload()
    assert begin(quick.client("alice"), "Atzr|x").finish()[1]["reason"] == reason
    assert refreshes(quick) == 0


def test_transient_trouble_is_waited_out(quick):
    """It was sent, so with rotation the token may be used up: from here on it is the broker's to keep (I4, I6)."""
    quick.sim.fault("token", "status-503", count=1, grant_type="refresh_token")
    quick.sim.fault("tokeninfo", "html-502", count=1)
    assert begin(quick.client("alice"), mint(quick)).finish(timeout=25 * quick.slowness)[0] == "linked"


# --- cancelling and leaving ---


def test_cancel_while_it_is_stored(quick):
    alice = quick.client("alice")
    token = mint(quick)
    with store_held(quick):
        login = begin(alice, token).wait_state("exchanging")
        login.cancel()
    assert login.finish() == ("cancelled", {})
    assert grants(alice) == []
    quick.broker.restart()
    assert grants(quick.client("alice")) == []


def test_creator_leaves(quick):
    quick.sim.fault("token", "delay", ms=500, grant_type="refresh_token")
    alice = quick.client("alice")
    second = alice.another()
    begin(second, mint(quick)).wait_state("proving")
    second.close()
    wait_until(lambda: accounts(alice), 10 * quick.slowness, "the account")
    assert accounts(alice)["main"]["claimed"]


# --- hostile descriptors ---


def test_descriptors_that_are_refused(quick):
    """Nothing that could block the reader or change under it, and nothing that is no token."""
    alice = quick.client("alice")
    before = open_descriptors(quick)
    contents = [b"", b"\n", b"a b", b"a\0b", b"a\n\n", b"a\r\n", b"\xc3\xa4", b"\x7f", b"x" * 2049, b"x" * (1 << 20)]
    for content in contents:
        with sealed(content) as fd:
            assert refusal(alice, fd) == "InvalidArgument", content[:20]
    lacking = [0, fcntl.F_SEAL_SEAL, *(SEALS & ~seal for seal in (fcntl.F_SEAL_WRITE, fcntl.F_SEAL_GROW, fcntl.F_SEAL_SHRINK))]
    for seals in lacking:
        with sealed(b"token", seals) as fd:
            assert refusal(alice, fd) == "InvalidArgument", seals
    reader, writer = os.pipe()
    ours, theirs = socket.socketpair()
    with sealed(b"token") as fd:
        paths = ["/dev/zero", "/dev/null", "/proc/self/status", "/", "/etc/passwd"]
        opened = [os.open(path, os.O_RDONLY) for path in paths]
        opened += [os.open(f"/proc/self/fd/{fd}", os.O_PATH), reader, writer, ours.detach(), theirs.detach()]
        for other in opened:
            began = time.monotonic()
            assert refusal(alice, other) == "InvalidArgument"
            assert time.monotonic() - began < 2 * quick.slowness
            os.close(other)
    assert status(alice)["logins"] == 0 and refreshes(quick) == 0
    wait_until(lambda: open_descriptors(quick) <= before + 1, 5, "the descriptors to be closed")


BAD = [
    ("import", {"token": ("s", "Atzr|x")}),
    ("import", {}),
    ("import", {"token": True, "redirect_uri": ("s", "https://app.example/")}),
    ("import", {"token": True, "scope_data": ("s", "{}")}),
    ("import", {"token": True, "locale": ("s", "de-DE")}),
    ("import", {"token": True, "colour": ("s", "red")}),
    ("import", {"token": True, "label": ("s", "a\nb")}),
    ("device-code", {"token": True}),
    ("authorization-code", {"token": True, "redirect_uri": ("s", "https://app.example/")}),
]


def test_bad_arguments(quick):
    alice = quick.client("alice")
    before = open_descriptors(quick)
    with sealed(b"token") as fd:
        for flow, options in BAD:
            filled = {key: ("h", fd) if value is True else value for key, value in options.items()}
            arguments = (flow, [LIBRARY], filled)
            assert error_of(alice.call, LOGIN, "Begin", "sasa{sv}", arguments).short == "InvalidArgument", options
    wait_until(lambda: open_descriptors(quick) <= before + 1, 5, "the descriptors to be closed")
    assert counter(quick, "codepair.requests") == 0


def send_with(client, member, signature, args, fds, interface=LOGIN):
    """With these descriptors in the message, whatever its arguments say."""
    message = new_method_call(DBusAddress(PATH, bus_name=NAME, interface=interface), member, signature, args)
    message.header.fields[HeaderFields.unix_fds] = len(fds)
    serial = next(client.connection.outgoing_serial)
    socket.send_fds(client.connection.sock, [message.serialise(serial=serial)], fds)
    return serial


def test_descriptors_elsewhere_stay_shut_out(quick):
    """One for Begin, and none for anything else: the bus stops them."""
    alice = quick.client("alice")
    begin_arguments = ("device-code", [LIBRARY], {})
    with sealed(b"token") as fd:
        two = send_with(alice, "Begin", "sasa{sv}", begin_arguments, [fd, fd])
        assert error_of(alice.wait, two).name == "org.freedesktop.DBus.Error.AccessDenied"
        for interface, member, signature, args in (
            (NAME, "GetToken", "asa{sv}", ([LIBRARY], {})),
            (ACCOUNTS, "List", "a{sv}", ({},)),
            (PEER, "Ping", None, ()),
        ):
            serial = send_with(alice, member, signature, args, [fd], interface)
            assert error_of(alice.wait, serial).name == "org.freedesktop.DBus.Error.AccessDenied"


def test_waiting_calls_hold_no_descriptor(quick):
    """polkit is asked, and hangs: what was handed in is read and closed before."""
    quick.polkitd.signal(19)
    alice = quick.client("alice")
    before = open_descriptors(quick)
    with sealed(b"token") as fd:
        arguments = ("import", [LIBRARY], {"token": ("h", fd)})
        for _ in range(60):
            alice.send(LOGIN, "Begin", "sasa{sv}", arguments)
        wait_until(lambda: status(quick.root())["calls"] >= 60, 5 * quick.slowness, "the calls to wait")
    assert open_descriptors(quick) <= before + 2
    quick.polkitd.signal(18)
