# SPDX-License-Identifier: LGPL-2.1-or-later
"""The wire contract: dbus/*.xml, what the daemon says of itself, and what it does are one and the same; and clients
that know nothing of this project get a token by it."""

import glob
import itertools
import os
import re
import xml.etree.ElementTree as ElementTree

import pytest

import apps
from apps import BROKER, LOGIN, REQUEST, begin_login, grants, refused, take, user_code
from client import DBusError, split_signature
from world import NAME, NO_RATES, PATH

SCOPE = "music::library:read"
INTROSPECTABLE, PROPERTIES = "org.freedesktop.DBus.Introspectable", "org.freedesktop.DBus.Properties"
STANDARD = {INTROSPECTABLE, PROPERTIES, apps.PEER}
SOURCE = os.path.join(os.path.dirname(__file__), "../../dbus")


def describe(interface):
    """{(kind, name): what it consists of} of an <interface>."""
    found = {}
    for element in interface:
        if element.tag == "property":
            found["property", element.get("name")] = (element.get("type"), element.get("access"))
            continue
        directions = ("in", "out") if element.tag == "method" else (None,)
        found[element.tag, element.get("name")] = tuple(
            tuple((arg.get("name"), arg.get("type")) for arg in element if arg.get("direction") in (direction, None))
            for direction in directions
        )
    return found


def read_contract():
    interfaces = {}
    for path in glob.glob(os.path.join(SOURCE, "*.xml")):
        root = ElementTree.parse(path).getroot()
        assert root.get("name") == os.path.basename(path).removesuffix(".xml")
        interfaces[root.get("name")] = describe(root)
    return interfaces


CONTRACT = read_contract()
METHODS = [
    (interface, name, "".join(kind for _, kind in parts[0]))
    for interface, members in sorted(CONTRACT.items())
    for (tag, name), parts in members.items()
    if tag == "method"
]


@pytest.fixture(scope="module")
def linked(shared_world):
    shared_world.write_config(limits=NO_RATES)  # every method is called in many wrong ways
    shared_world.reload()
    apps.open_to_logins(shared_world)
    grants(shared_world, "".join(f"[user:{user}]\nallow = {SCOPE}\n" for user in ("alice", "musicd", "weatherd")))
    apps.link(shared_world, "alice", [SCOPE])
    apps.link(shared_world, "alice", [SCOPE], "carol", owner="device")
    return shared_world


@pytest.fixture
def world(linked):
    yield linked
    linked.close_clients()
    linked.stop_children()


@pytest.fixture
def request_path(world):
    """A login request of alice's, and the connection that made it."""
    client = world.client("alice")
    return client, begin_login(client, ["profile"])


def introspect(client, path):
    return ElementTree.fromstring(client.call(INTROSPECTABLE, "Introspect", path=path))


# --- introspection ---


def test_introspection_is_the_contract(world, request_path):
    client, request = request_path
    found = {}
    for path in (PATH, request):
        for interface in introspect(client, path):
            if interface.tag == "interface" and interface.get("name") not in STANDARD:
                found[interface.get("name")] = describe(interface)
    assert found == CONTRACT


def test_standard_interfaces_are_told(world, request_path):
    client, request = request_path
    for path in ("/", "/org", "/org/lwabroker", PATH, PATH + "/login", request):
        interfaces = {element.get("name"): describe(element) for element in introspect(client, path).iter("interface")}
        assert set(interfaces) >= STANDARD
        assert interfaces[PROPERTIES]["method", "Get"] == (
            (("interface", "s"), ("property", "s")),
            (("value", "v"),),
        )


def test_objects_can_be_found_from_the_root(world, request_path):
    client, request = request_path
    path, seen = "/", []
    while True:
        children = [node.get("name") for node in introspect(client, path).findall("node")]
        seen.append(path)
        if not children:
            break
        assert len(children) == 1, (path, children)
        path = path.rstrip("/") + "/" + children[0]
    assert seen == ["/", "/org", "/org/lwabroker", PATH, PATH + "/login", request]


# --- methods ---


def value_of(kind):
    """Some value of a D-Bus type."""
    if kind.startswith("a{"):
        return {}
    if kind.startswith("a"):
        return []
    return {"s": "x", "u": 1, "t": 1, "o": "/", "v": ("s", "x"), "b": True, "h": 0}[kind]


def call_with(client, path, interface, name, signature):
    return client.call(interface, name, signature, [value_of(kind) for kind in split_signature(signature)], path=path)


@pytest.mark.parametrize(("interface", "name", "signature"), METHODS)
def test_method_exists_with_this_signature_only(world, request_path, interface, name, signature):
    client, request = request_path
    path = request if interface == REQUEST else PATH
    others = ["", "s", "u", "as", "a{sv}", "ss", "asa{sv}s", signature + "s", signature[:-1]]
    for other in others:
        if other == signature or not is_complete(other):
            continue
        with refused("InvalidArgument", f"({signature})"):
            call_with(client, path, interface, name, other)
    try:
        call_with(client, path, interface, name, signature)
    except DBusError as error:
        # It is there, and found fault with the values only.
        assert error.name.startswith("org.lwabroker.Error."), str(error)
        assert "The arguments of" not in error.message


def is_complete(signature):
    return re.fullmatch(r"(a?[sutobvh]|a\{s[sv]\}|aa\{sv\})*", signature) is not None


@pytest.mark.parametrize("interface", sorted(CONTRACT))
@pytest.mark.parametrize("member", ["Nothing", "getToken", "GetTokens", "Introspect", "Ping", "Get"])
def test_unknown_methods(world, request_path, interface, member):
    client, request = request_path
    if (interface, member) == (apps.STATUS, "Get"):
        return
    with refused("UnknownMethod"):
        client.call(interface, member, path=request if interface == REQUEST else PATH)


def test_method_of_another_object_is_unknown(world, request_path):
    client, request = request_path
    for interface, member, path in (
        (BROKER, "ReleaseTokens", request),
        (apps.STATUS, "Get", request),
        (REQUEST, "Cancel", PATH),
        (BROKER, "ReleaseTokens", "/"),
        (BROKER, "ReleaseTokens", PATH + "/login"),
    ):
        with refused("UnknownMethod"):
            client.call(interface, member, path=path)
    with refused("UnknownMethod"):
        client.call(INTROSPECTABLE, "Introspected")
    with refused("UnknownMethod"):
        client.call(apps.PEER, "Pong")


@pytest.mark.parametrize(
    "path",
    [
        "/org/lwabroker/Broker",
        "/org/lwabroker/Broker1/",
        "/org/lwabroker/Broker1/x",
        "/org/lwabroker/Broker1/login/0",
        "/org/lwabroker/Broker1/login/x",
        "/org/lwabroker/Broker1/login/999999999999999999999999",
        "/or",
        "/org/lwabroker/Broker1/logi",
    ],
)
def test_unknown_objects(world, path):
    client = world.client("alice")
    if path.endswith("/"):
        path = path + "a"
    for interface, member, signature, args in (
        (BROKER, "ReleaseTokens", "", ()),
        (REQUEST, "Cancel", "", ()),
        (INTROSPECTABLE, "Introspect", "", ()),
        (PROPERTIES, "GetAll", "s", (BROKER,)),
        (PROPERTIES, "Get", "ss", (BROKER, "Version")),
        (PROPERTIES, "Set", "ssv", (BROKER, "Version", ("s", "2"))),
    ):
        with refused("UnknownObject"):
            client.call(interface, member, signature, args, path=path)


def test_interface_must_be_named(world):
    """The bus's policy lets interfaces through by name; a call without one does not even arrive."""
    client = world.client("alice")
    with pytest.raises(DBusError, match="AccessDenied|UnknownMethod"):
        client.call(None, "ReleaseTokens")


# --- properties ---


def test_properties(world, request_path):
    client, request = request_path
    everything = client.get_properties(BROKER)
    assert set(everything) == {name for tag, name in CONTRACT[BROKER] if tag == "property"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", everything["Version"])
    flows = {"flow:device-code", "flow:authorization-code", "flow:import"}
    assert set(everything["Features"]) == {"option:account", "option:min_valid"} | flows
    for name, value in everything.items():
        assert client.get_property(BROKER, name) == value

    user_code(world, client, request)
    everything = client.get_properties(REQUEST, path=request)
    assert set(everything) == {name for tag, name in CONTRACT[REQUEST] if tag == "property"}
    assert everything["State"] == "waiting" and everything["VerificationUri"].startswith("https://")
    for name, value in everything.items():
        assert client.get_property(REQUEST, name, path=request) == value


@pytest.mark.parametrize("interface", [BROKER, REQUEST])
def test_property_types(world, request_path, interface):
    client, request = request_path
    path = request if interface == REQUEST else PATH
    expected = {name: parts for (tag, name), parts in CONTRACT[interface].items() if tag == "property"}
    for name, (kind, access) in expected.items():
        serial = client.send(PROPERTIES, "Get", "ss", (interface, name), path=path)
        while serial not in client.replies:
            client.receive(10)
        assert (client.replies.pop(serial).body[0][0], access) == (kind, "read"), name


def test_properties_cannot_be_set(world, request_path):
    client, request = request_path
    for path, interface, name in ((PATH, BROKER, "Version"), (PATH, BROKER, "x"), (request, REQUEST, "UserCode")):
        with refused("PropertyReadOnly"):
            client.call(PROPERTIES, "Set", "ssv", (interface, name, ("s", "x")), path=path)


def test_unknown_properties(world, request_path):
    client, request = request_path
    for path, interface, name in (
        (PATH, BROKER, "version"),
        (PATH, BROKER, ""),
        (PATH, LOGIN, "Version"),
        (PATH, "org.example.Nothing", "Version"),
        (PATH, REQUEST, "UserCode"),
        (request, REQUEST, "Version"),
        (request, BROKER, "Version"),
    ):
        with refused("UnknownProperty"):
            client.get_property(interface, name, path=path)
    assert client.get_properties(LOGIN) == {}


@pytest.mark.parametrize(
    ("member", "signature", "args"),
    [("Get", "s", (BROKER,)), ("Get", "", ()), ("GetAll", "", ()), ("GetAll", "u", (1,)), ("Gets", "s", (BROKER,))],
)
def test_bad_properties_calls(world, member, signature, args):
    with pytest.raises(DBusError, match="UnknownMethod|InvalidArgs"):
        world.client("alice").call(PROPERTIES, member, signature, args)


# --- Peer ---


def test_peer(world):
    client = world.client("weatherd")
    assert client.call(apps.PEER, "Ping") is None
    with open("/etc/machine-id" if os.path.exists("/etc/machine-id") else "/var/lib/dbus/machine-id") as file:
        assert client.call(apps.PEER, "GetMachineId") == file.read().strip()


# --- login requests are their creator's ---


def test_login_request_is_invisible_to_others(world, request_path):
    creator, request = request_path
    code = user_code(world, creator, request)
    others = [world.client(user) for user in ("alice", "bob", "root")] + [creator.another()]
    for other in others:
        other.add_match(type="signal")
        for interface, member, signature, args in (
            (REQUEST, "Cancel", "", ()),
            (REQUEST, "Complete", "a{sv}", ({},)),
            (PROPERTIES, "GetAll", "s", (REQUEST,)),
            (PROPERTIES, "Get", "ss", (REQUEST, "UserCode")),
            (INTROSPECTABLE, "Introspect", "", ()),
        ):
            with refused("UnknownObject") as caught:
                other.call(interface, member, signature, args, path=request)
            assert code not in caught.value.message
        nodes = [node.get("name") for node in introspect(other, PATH + "/login").findall("node")]
        assert nodes == []
    creator.call(REQUEST, "Cancel", path=request)
    assert creator.wait_signal(REQUEST, "Finished", path=request)[0] == "cancelled"
    for other in others:
        assert [item for item in other.drain() if str(item[0]).startswith("org.lwabroker")] == []
    others[-1].close()
    with refused("UnknownObject"):
        creator.call(REQUEST, "Cancel", path=request)


# --- other people's clients ---


def token_of(world, user):
    """What that user's clients must get, read by our own."""
    return take(world.client(user), [SCOPE])


GDBUS = ["gdbus", "call", "--system", "--dest", NAME, "--object-path", PATH, "--method", f"{BROKER}.GetToken"]
BUSCTL = ["busctl", "--system", "call", NAME, PATH, BROKER, "GetToken", "asa{sv}", "1", SCOPE, "0"]
DBUS_SEND = ["dbus-send", "--system", "--print-reply", f"--dest={NAME}", PATH]


@pytest.mark.parametrize("user", ["alice", "weatherd"])
def test_gdbus(world, user):
    token = token_of(world, user)
    done = world.run_as(user, [*GDBUS, f"['{SCOPE}']", "{}"])
    assert done.returncode == 0, done.stderr
    assert "handle 0" in done.stdout and token.info["token_id"] in done.stdout
    assert token.text not in done.stdout
    refusal = world.run_as(user, [*GDBUS, "['profile']", "{}"])
    assert refusal.returncode != 0 and "org.lwabroker.Error.ConsentRequired" in refusal.stderr


@pytest.mark.parametrize("user", ["alice", "weatherd"])
def test_busctl(world, user):
    token = token_of(world, user)
    done = world.run_as(user, BUSCTL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ha{sv} ") and token.info["token_id"] in done.stdout
    told = world.run_as(user, ["busctl", "--system", "introspect", NAME, PATH])
    assert told.returncode == 0 and ".GetToken" in told.stdout, told.stderr


@pytest.mark.parametrize("user", ["alice", "weatherd"])
def test_dbus_send(world, user):
    """dbus-send has no way to write a{sv}, not even an empty one: its a{ss} is taken for one whose options are
    strings, and is as strict."""
    token = token_of(world, user)
    ask = [*DBUS_SEND, f"{BROKER}.GetToken", f"array:string:{SCOPE}"]
    done = world.run_as(user, [*ask, "dict:string:string:"])
    assert done.returncode == 0, done.stderr
    assert "file descriptor" in done.stdout and token.info["token_id"] in done.stdout
    assert token.text not in done.stdout
    done = world.run_as(user, [*ask, "dict:string:string:account,nobody"])
    assert "org.lwabroker.Error.NoSuchAccount" in done.stderr, done.stdout
    for option in ("min_valid,5", "unknown,x"):
        done = world.run_as(user, [*ask, f"dict:string:string:{option}"])
        assert done.returncode != 0 and "org.lwabroker.Error.InvalidArgument" in done.stderr, done.stdout
    done = world.run_as(user, [*DBUS_SEND, f"{PROPERTIES}.Get", f"string:{BROKER}", "string:Features"])
    assert done.returncode == 0 and "flow:device-code" in done.stdout, done.stderr
    done = world.run_as(user, [*DBUS_SEND, f"{BROKER}.ReportRejected", "string:x"])
    assert done.returncode == 0 and "boolean false" in done.stdout, done.stderr
    done = world.run_as(user, [*DBUS_SEND, f"{BROKER}.ReleaseTokens"])
    assert done.returncode == 0, done.stderr


PYTHON = f"""
import dbus, os
bus = dbus.SystemBus()
broker = dbus.Interface(bus.get_object("{NAME}", "{PATH}"), "{BROKER}")
fd, info = broker.GetToken(["{SCOPE}"], {{}})
with os.fdopen(fd.take(), "rb") as file:
    print(file.read().decode(), info["token_id"], info["expires_in"] > 0)
try:
    broker.GetToken(["profile"], {{}})
except dbus.DBusException as error:
    print(error.get_dbus_name())
print(*sorted(broker.CheckScopes(["{SCOPE}", "profile"], {{}}).items()))
"""


@pytest.mark.parametrize("user", ["alice", "weatherd"])
def test_python_dbus(world, user):
    """A client of libdbus that introspects first, as most do, and then reads the token by plain read()."""
    token = token_of(world, user)
    done = world.run_as(user, ["/usr/bin/python3", "-c", PYTHON])
    assert done.returncode == 0, done.stderr
    first, error, verdicts = done.stdout.splitlines()
    assert first == f"{token.text} {token.info['token_id']} True"
    assert error == "org.lwabroker.Error.ConsentRequired"
    assert "allow" in verdicts and "ask" in verdicts


# --- the bus's policy ---


@pytest.mark.parametrize("user", ["alice", "bob", "polkitd"])
def test_nobody_else_can_own_the_name(world, user):
    client = world.client(user)
    for name, flags in itertools.product((NAME, "org.lwabroker.Broker2"), (0, 2, 4)):
        with refused("AccessDenied"):
            client.bus("RequestName", "su", (name, flags))


@pytest.mark.parametrize(
    "interface",
    ["org.lwabroker.Policy2", "org.lwabroker.Broker2", "org.lwabroker", "org.example.Any", "org.freedesktop.DBus"],
)
def test_unknown_interfaces_do_not_arrive(world, interface):
    client = world.client("alice")
    for destination in (NAME, client.bus("GetNameOwner", "s", (NAME,))):
        with refused("AccessDenied"):
            client.call(interface, "Anything", destination=destination)
