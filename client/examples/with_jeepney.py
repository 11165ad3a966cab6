#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prints the names of the playlists, with a token of lwa-broker. Needs jeepney (python3-jeepney), which is pure Python.

The token comes as a descriptor of a sealed memory file, so that it is in no bus message."""

import json
import os
import sys
import urllib.error
import urllib.request

from jeepney import DBusAddress, MessageType, new_method_call
from jeepney.io.blocking import open_dbus_connection

BROKER = DBusAddress("/org/lwabroker/Broker1", "org.lwabroker.Broker1", "org.lwabroker.Broker1")
REJECTED = ("INVALID_ACCESS_TOKEN", "UNAUTHORIZED")  # of version 1 and 2 of the API


class BrokerError(Exception):
    """name: such as org.lwabroker.Error.LoginRequired. Its text is a sentence that says what to do next."""

    def __init__(self, name, text):
        super().__init__(text)
        self.name = name


class Broker:
    """One connection, for as long as the app runs: the broker tells each connection of its own tokens."""

    def __init__(self):
        self.bus = open_dbus_connection("SYSTEM", enable_fds=True)

    def call(self, method, signature, *arguments):
        # The broker may wait for Amazon for a minute.
        reply = self.bus.send_and_get_reply(new_method_call(BROKER, method, signature, arguments), timeout=90)
        if reply.header.message_type == MessageType.error:
            raise BrokerError(reply.header.fields[4], reply.body[0] if reply.body else "")  # 4: the error's name
        return reply.body

    def get_token(self, *scopes):
        """(token, info). Ask each time, and do not keep it: the broker renews it before it ends."""
        descriptor, info = self.call("GetToken", "asa{sv}", list(scopes), {})
        with descriptor.to_file("rb", buffering=0) as file:
            token = os.pread(file.fileno(), 4096, 0).decode("ascii")
        return token, {name: value for name, (_, value) in info.items()}

    def report_rejected(self, token_id):
        return self.call("ReportRejected", "s", token_id)[0]


def get(path, token, info):
    request = urllib.request.Request(info["api_base"] + path)
    # Not add_header(): on a redirect urllib would take the token along, to whatever host.
    request.add_unredirected_header("Authorization", "Bearer " + token)
    request.add_unredirected_header("x-api-key", info["x_api_key"])
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def get_with_token(broker, path, *scopes):
    """A token can be rejected before its time. Then it is reported, and there is a second try, not a third."""
    token, info = broker.get_token(*scopes)
    try:
        return get(path, token, info)
    except urllib.error.HTTPError as error:
        text = error.read().decode()
        if error.code != 401 or not any(code in text for code in REJECTED) or not broker.report_rejected(info["token_id"]):
            raise
    return get(path, *broker.get_token(*scopes))


def main():
    try:
        answer = get_with_token(Broker(), "/me/playlists", "music::library:read")
    except BrokerError as error:
        sys.exit(f"{error} ({error.name})")
    for edge in answer["data"]["playlists"]["edges"]:
        print(edge["node"]["title"])


main()
