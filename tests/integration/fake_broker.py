# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private bus, and a stand-in for the broker on it that answers as a test tells it to.

It is for tests of bus clients only: it can say what the real broker never says (hostile labels, malformed
tokens, each error at will). Bus and thread end with the object."""

import os
import signal
import subprocess
import threading

from jeepney import DBusAddress, HeaderFields, MessageType, new_error, new_method_return, new_signal
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection
from jeepney.low_level import MessageFlag

NAME = "org.lwabroker.Broker1"
PATH = "/org/lwabroker/Broker1"
REQUEST = "org.lwabroker.Login1.Request"
ERROR = "org.lwabroker.Error."

BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/>
<allow send_type="signal"/><allow send_requested_reply="true" send_type="method_return"/>
<allow send_requested_reply="true" send_type="error"/><allow receive_type="method_call"/>
<allow receive_type="signal"/><allow receive_type="method_return"/><allow receive_type="error"/>
</policy></busconfig>
"""


class Bus:
    def __init__(self, folder):
        config = os.path.join(folder, "bus.conf")
        self.address = "unix:path=" + os.path.join(folder, "bus")
        with open(config, "w", encoding="utf-8") as f:
            f.write(BUS_CONFIG.format(socket=os.path.join(folder, "bus")))
        self.process = subprocess.Popen(
            ["dbus-daemon", "--config-file=" + config, "--nofork", "--nopidfile", "--print-address=1"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.process.stdout.readline()  # it listens

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        self.process.stdout.close()


def token_fd(content):
    """A memory file that holds `content`, with its offset at the end, as a careless broker might leave it."""
    fd = os.memfd_create("token")
    os.write(fd, content)
    return fd


class BusError(Exception):
    def __init__(self, name, text=""):
        super().__init__(name)
        self.name = name if "." in name else ERROR + name
        self.text = text


class Broker:
    """`replies` maps a member to a function of its arguments that returns (signature, body), or raises
    BusError. `calls` collects (member, arguments, whether the interactive flag was set)."""

    def __init__(self, address, replies=None):
        self.replies = replies or {}  # those that it has from the very first call
        self.calls = []
        self.after = {}  # member -> function(caller), called when the answer has been sent
        self.connection = open_dbus_connection(bus=address, enable_fds=True)
        assert self.connection.send_and_get_reply(message_bus.RequestName(NAME)).body == (1,)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.is_closing = False
        self.lock = threading.Lock()
        self.thread.start()

    def _serve(self):
        while not self.is_closing:
            try:
                message = self.connection.receive(timeout=0.1)
            except TimeoutError:
                continue
            except (ConnectionError, OSError, ValueError):
                return
            if message.header.message_type == MessageType.method_call:
                self._answer(message)

    def _answer(self, message):
        fields = message.header.fields
        member, caller = fields[HeaderFields.member], fields[HeaderFields.sender]
        interactive = bool(message.header.flags & MessageFlag.allow_interactive_authorization)
        with self.lock:
            self.calls.append((member, message.body, interactive))
        opened = []
        try:
            reply = self.replies.get(member)
            if not reply:
                raise BusError("org.freedesktop.DBus.Error.UnknownMethod", "no such method")
            answer_signature, body = reply(*message.body)
            opened = [item for item, kind in zip(body, answer_signature) if kind == "h"]
            answer = new_method_return(message, answer_signature or None, body)
        except BusError as e:
            answer = new_error(message, e.name, "s", (e.text,))
        if not message.header.flags & MessageFlag.no_reply_expected:
            self.connection.send(answer)
        for fd in opened:
            os.close(fd)
        if member in self.after:
            self.after[member](caller)

    def last(self, member):
        with self.lock:
            return [c for c in self.calls if c[0] == member][-1]

    def count(self, member):
        with self.lock:
            return len([c for c in self.calls if c[0] == member])

    def signal(self, to, path, interface, member, signature, body):
        send_signal(self.connection, to, path, interface, member, signature, body)

    def close(self):
        self.is_closing = True
        self.thread.join(10)
        self.connection.close()


def send_signal(connection, to, path, interface, member, signature, body):
    message = new_signal(DBusAddress(path, interface=interface), member, signature, body)
    message.header.fields[HeaderFields.destination] = to
    connection.send(message)
