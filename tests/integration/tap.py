# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the bus carried."""

from client import Client


class Tap:
    """Every byte of the bus, as root may see it."""

    def __init__(self, world):
        self.client = Client("root", world.bus_path)
        where = {"path": "/org/freedesktop/DBus", "destination": "org.freedesktop.DBus"}
        self.client.call("org.freedesktop.DBus.Monitoring", "BecomeMonitor", "asu", ([], 0), **where)
        self.texts = []

    def stop(self):
        try:
            while True:
                message = self.client.connection.receive(timeout=0.5)
                self.texts.append(repr((message.header.flags, message.header.fields, message.body)))
                close_fds(message.body)
        except TimeoutError:
            pass

    def close(self):
        self.client.close()


def close_fds(body):
    for value in body or ():
        if hasattr(value, "to_raw_fd"):
            value.close()
