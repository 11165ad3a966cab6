#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prints the names of the playlists, with a token of lwa-broker. Needs dbus-python (python3-dbus).

The token comes as a descriptor of a sealed memory file, so that it is in no bus message."""

import json
import os
import sys
import urllib.request

import dbus


def get_token(broker, *scopes):
    """(token, info). Ask each time, and do not keep it: the broker renews it before it ends."""
    # The broker may wait for Amazon for a minute.
    descriptor, info = broker.GetToken(scopes, dbus.Dictionary(signature="sv"), timeout=90)
    descriptor = descriptor.take()  # it is ours from here
    try:
        return os.pread(descriptor, 4096, 0).decode("ascii"), info
    finally:
        os.close(descriptor)


def main():
    proxy = dbus.SystemBus().get_object("org.lwabroker.Broker1", "/org/lwabroker/Broker1")
    broker = dbus.Interface(proxy, "org.lwabroker.Broker1")
    try:
        token, info = get_token(broker, "music::library:read")
    except dbus.DBusException as error:
        sys.exit(f"{error.get_dbus_message()} ({error.get_dbus_name()})")
    request = urllib.request.Request(info["api_base"] + "/me/playlists")
    # Not add_header(): on a redirect urllib would take the token along, to whatever host.
    request.add_unredirected_header("Authorization", "Bearer " + token)
    request.add_unredirected_header("x-api-key", info["x_api_key"])
    # with_jeepney.py shows what to do when the API answers that it does not take the token.
    with urllib.request.urlopen(request) as answer:
        for edge in json.load(answer)["data"]["playlists"]["edges"]:
            print(edge["node"]["title"])


main()
