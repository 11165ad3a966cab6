# SPDX-License-Identifier: LGPL-2.1-or-later
"""A D-Bus client that the bus takes for another user.

The bus learns who connects from the socket, at connect(). So a helper process that really runs as that user
connects and authenticates, hands the socket over, and stays for as long as the client does (its pid is the one
that the bus reports). The conversation is then held from here, with jeepney.

    app = world.client("musicd")
    fd, info = app.call("org.lwabroker.Broker1", "GetToken", "asa{sv}", (["profile"], {}))
    token = app.get_token(["profile"])          # the same, read: token.text, token.info
    app.call_many([...])                        # all sent before the first reply is read
    app.wait_signal("org.lwabroker.Broker1", "TokenRevoked")

A client sees what its own connection receives: replies and unicast signals; others after add_match().
"""

import ctypes
import grp
import os
import pwd
import signal
import socket
import time
from collections import deque

from jeepney import DBusAddress, HeaderFields, MatchRule, Message, MessageFlag, MessageType, new_method_call
from jeepney.fds import FileDescriptor
from jeepney.io.blocking import DBusConnection, prep_socket

NAME = "org.lwabroker.Broker1"
PATH = "/org/lwabroker/Broker1"
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4
TOKEN_BYTES_MAX = 2048

libc = ctypes.CDLL(None, use_errno=True)


class DBusError(Exception):
    """An error reply: name is e.g. org.lwabroker.Error.AccessDenied, message its sentence."""

    def __init__(self, name, message):
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message
        self.short = name.rsplit(".", 1)[-1]


class Token:
    """A token as it was delivered. The descriptor stays open until close()."""

    def __init__(self, fd, info):
        self.fd = fd
        self.info = info
        self.text = read_token(fd)

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def read_token(fd):
    return os.pread(fd, TOKEN_BYTES_MAX + 1, 0).decode("ascii")


def plain(value):
    """Replaces variants by their values, all the way down, and descriptors by plain numbers."""
    if isinstance(value, FileDescriptor):
        return value.to_raw_fd()
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def unpack(value, signature):
    """plain() that knows from the signature which pairs are variants and which are structures."""
    if signature == "v":
        return unpack(value[1], value[0])
    if signature == "ay":
        return bytes(value)
    if signature.startswith("a{"):
        inner = signature[2:-1]
        return {unpack(k, inner[0]): unpack(v, inner[1:]) for k, v in value.items()}
    if signature.startswith("a"):
        return [unpack(item, signature[1:]) for item in value]
    if signature.startswith("("):
        return tuple(unpack(item, kind) for item, kind in zip(value, split_signature(signature[1:-1])))
    return plain(value)


def split_signature(signature):
    """The single complete types of a signature."""
    types, start, depth = [], 0, 0
    for i, letter in enumerate(signature):
        if letter in "({":
            depth += 1
        elif letter in ")}":
            depth -= 1
        if depth == 0 and letter != "a":
            types.append(signature[start : i + 1])
            start = i + 1
    return types


def fields_body(message):
    signature = message.header.fields.get(HeaderFields.signature, "")
    return [unpack(value, kind) for value, kind in zip(message.body, split_signature(signature))]


def become(user):
    entry = pwd.getpwnam(user)
    os.setgroups([group.gr_gid for group in grp.getgrall() if user in group.gr_mem] + [entry.pw_gid])
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    # Changing uid makes a process undumpable, which would hide it in /proc as no ordinary app is hidden.
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


class App:
    """A process of a user that opens bus connections on request and does nothing else."""

    def __init__(self, user, bus_path):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            self.serve(theirs.fileno(), user, bus_path)
        theirs.close()
        self.sock = ours
        self.user = user

    @staticmethod
    def serve(fd, user, bus_path):
        try:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            os.closerange(3, fd)
            os.closerange(fd + 1, 65536)
            sock = socket.socket(fileno=fd)
            become(user)
            while sock.recv(16):
                try:
                    bus = prep_socket(bus_path, enable_fds=True, timeout=10)
                    socket.send_fds(sock, [b"ok"], [bus.fileno()])
                    bus.close()
                except Exception as error:
                    sock.send(f"{type(error).__name__}: {error}".encode()[:4000])
        except BaseException:
            os._exit(1)
        os._exit(0)

    def connect(self):
        self.sock.send(b"connect")
        text, fds, _, _ = socket.recv_fds(self.sock, 4096, 1)
        if not fds:
            raise ConnectionError(text.decode() or f"the helper of {self.user} ended")
        return DBusConnection(socket.socket(fileno=fds[0]), enable_fds=True)

    def close(self):
        if self.pid:
            self.sock.close()
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0


class Client:
    """One connection. app: share the process of another client instead of starting one."""

    def __init__(self, user, bus_path, app=None):
        self.user = user
        self.bus_path = bus_path
        self.owns_app = app is None
        self.app = app or App(user, bus_path)
        try:
            self.connection = self.app.connect()
        except BaseException:
            if self.owns_app:
                self.app.close()
            raise
        self.name = self.connection.unique_name
        self.pid = self.app.pid
        self.signals = deque()
        self.calls = deque()
        self.replies = {}

    def another(self):
        """A second connection of the same process."""
        return Client(self.user, self.bus_path, self.app)

    def close(self):
        """Leaves the bus."""
        self.connection.close()
        for message in list(self.replies.values()) + list(self.signals):
            for value in message.body or ():
                if isinstance(value, FileDescriptor):
                    value.close()
        self.replies.clear()
        self.signals.clear()
        if self.owns_app:
            self.app.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- calls ---

    def send(
        self, interface, member, signature="", args=(), *, path=PATH, destination=NAME, interactive=False
    ):
        """Sends a call and returns its serial, for wait()."""
        address = DBusAddress(path, bus_name=destination, interface=interface)
        message = new_method_call(address, member, signature or None, tuple(args))
        if interactive:
            message.header.flags |= MessageFlag.allow_interactive_authorization
        serial = next(self.connection.outgoing_serial)
        self.connection.send(message, serial=serial)
        return serial

    def wait(self, serial, timeout=25):
        """The reply's values (none: None; one: itself; more: a list), or DBusError, or TimeoutError."""
        deadline = time.monotonic() + timeout
        while serial not in self.replies:
            self.receive(max(deadline - time.monotonic(), 0))
        message = self.replies.pop(serial)
        body = fields_body(message)
        if message.header.message_type is MessageType.error:
            name = message.header.fields.get(HeaderFields.error_name, "")
            raise DBusError(name, body[0] if body and isinstance(body[0], str) else "")
        return None if not body else body[0] if len(body) == 1 else body

    def call(self, interface, member, signature="", args=(), *, timeout=25, **where):
        return self.wait(self.send(interface, member, signature, args, **where), timeout)

    def call_many(self, calls, timeout=60):
        """Calls given as tuples (interface, member, signature, args): all are sent before the first reply is
        read. Returns a value or a DBusError for each. The bus allows 128 unanswered calls a connection."""
        serials = [self.send(*call) for call in calls]
        deadline = time.monotonic() + timeout
        results = []
        for serial in serials:
            try:
                results.append(self.wait(serial, max(deadline - time.monotonic(), 0)))
            except DBusError as error:
                results.append(error)
        return results

    def get_token(self, scopes, *, interactive=False, timeout=25, **options):
        """options: account (s), min_valid (u), or any as a (signature, value) pair."""
        kinds = {"account": "s", "min_valid": "u"}
        packed = {key: value if isinstance(value, tuple) else (kinds[key], value) for key, value in options.items()}
        args = (list(scopes), packed)
        fd, info = self.call(NAME, "GetToken", "asa{sv}", args, interactive=interactive, timeout=timeout)
        return Token(fd, info)

    def get_property(self, interface, name, **where):
        return self.call("org.freedesktop.DBus.Properties", "Get", "ss", (interface, name), **where)

    def get_properties(self, interface, **where):
        return self.call("org.freedesktop.DBus.Properties", "GetAll", "s", (interface,), **where)

    def bus(self, member, signature="", args=(), timeout=10):
        """A call to the bus itself."""
        where = {"path": "/org/freedesktop/DBus", "destination": "org.freedesktop.DBus"}
        return self.call("org.freedesktop.DBus", member, signature, args, timeout=timeout, **where)

    # --- what comes by itself ---

    def receive(self, timeout):
        """Takes one message from the bus, or raises TimeoutError. The bus's greeting is dropped."""
        message = self.connection.receive(timeout=timeout)
        kind = message.header.message_type
        if kind in (MessageType.method_return, MessageType.error):
            self.replies[message.header.fields[HeaderFields.reply_serial]] = message
        elif kind is MessageType.method_call:
            self.calls.append(message)
        elif kind is MessageType.signal and message.header.fields.get(HeaderFields.member) != "NameAcquired":
            self.signals.append(message)

    def add_match(self, **rule):
        self.bus("AddMatch", "s", (MatchRule(**rule).serialise(),))

    def wait_signal(self, interface, member, timeout=10, path=None):
        """The arguments, as a list, of the next such signal; those before it that do not fit are kept."""
        deadline = time.monotonic() + timeout
        seen = 0
        while True:
            while seen < len(self.signals):
                fields = self.signals[seen].header.fields
                fits = fields.get(HeaderFields.interface) == interface and fields.get(HeaderFields.member) == member
                if fits and path in (None, fields.get(HeaderFields.path)):
                    message: Message = self.signals[seen]
                    del self.signals[seen]
                    return fields_body(message)
                seen += 1
            self.receive(max(deadline - time.monotonic(), 0))

    def wait_call(self, interface, member, timeout=10):
        """The next call of this method that others make to this connection, which nobody answers here."""
        deadline = time.monotonic() + timeout
        while True:
            while self.calls:
                message = self.calls.popleft()
                fields = message.header.fields
                if (fields.get(HeaderFields.interface), fields.get(HeaderFields.member)) == (interface, member):
                    return message
            self.receive(max(deadline - time.monotonic(), 0))

    def drain(self, quiet=0.05):
        """Reads until nothing has come for `quiet` seconds; returns all signals as (interface, member, args)."""
        try:
            while True:
                self.receive(quiet)
        except TimeoutError:
            pass
        found = []
        while self.signals:
            message = self.signals.popleft()
            fields = message.header.fields
            found.append((fields.get(HeaderFields.interface), fields.get(HeaderFields.member), fields_body(message)))
        return found
