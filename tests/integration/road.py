# SPDX-License-Identifier: LGPL-2.1-or-later
"""The road to the provider: what can go wrong before a request has reached it.

    with Road(world) as road:           # the broker now finds the simulator at https://lwa.test:PORT, through here
        road.be("refused")              # "reset", "silent", "no-dns", "--expired", "--other-host", ...
        road.be("open")

Each change cuts the connections that there are. The name lwa.test is in /etc/hosts of the tests' own namespace; without
it there is nobody to ask, since that has no network.
"""

import contextlib
import os
import socket
import ssl
import struct
import subprocess
import threading

HOST, ADDRESS = "lwa.test", "127.0.0.2"
BAD_CERTS = ("--expired", "--not-yet-valid", "--other-host", "--same")
# Authorities that the broker trusts; "--same" is a good certificate of one that it does not.
TRUSTED = ("--expired", "--not-yet-valid", "--other-host")


class Road:
    def __init__(self, world):
        self.world = world
        self.hosts = world.path("hosts")
        self.mode = "open"
        self.n_met = 0
        self.lock = threading.Lock()
        self.sockets = set()
        self.threads = []
        self.listener = None
        self.port = 0

    def __enter__(self):
        self.write_hosts(True)
        subprocess.run(["mount", "--bind", self.hosts, "/etc/hosts"], check=True)
        self.contexts = {kind: self.make_context(kind) for kind in BAD_CERTS}
        self.listen()
        return self

    def __exit__(self, *_):
        self.stop_listening()
        self.cut()
        for thread in self.threads:
            thread.join(10)
        subprocess.run(["umount", "/etc/hosts"], check=True)

    # --- the broker's side ---

    def write_hosts(self, knows):
        # In place: it is the file that is mounted.
        with open(self.hosts, "w", encoding="ascii") as file:
            file.write("127.0.0.1 localhost\n" + (f"{ADDRESS} {HOST}\n" if knows else ""))

    def make_context(self, kind):
        folder = self.world.path("certs" + kind)
        if not os.path.exists(folder):
            self.world.make_certs(folder, *([] if kind == "--same" else [kind]))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder + "/cert.pem", folder + "/key.pem")
        return context

    def settings(self, **more):
        """For write_config(provider=...)."""
        bundle = ""
        for folder in ("certs", *("certs" + kind for kind in TRUSTED)):
            with open(self.world.path(folder + "/ca.pem"), encoding="ascii") as file:
                bundle += file.read()
        origin = f"https://{HOST}:{self.port}"
        return {
            "codepair_endpoint": origin + "/auth/o2/create/codepair",
            "token_endpoint": origin + "/auth/o2/token",
            "tokeninfo_endpoint": origin + "/auth/o2/tokeninfo",
            "ca_file": self.world.write("conf/authorities.pem", bundle),
            **more,
        }

    # --- the road ---

    def be(self, mode):
        self.mode = mode
        self.write_hosts(mode != "no-dns")
        if mode == "refused":
            self.stop_listening()
        elif not self.listener:
            self.listen()
        self.cut()

    def met(self):
        """Counts the connections that were begun; a look-up that finds no name is seen by nobody."""
        with open("/proc/net/snmp", encoding="ascii") as file:
            names, values = (line.split() for line in file if line.startswith("Tcp:"))
        return self.n_met + int(values[names.index("AttemptFails")])

    def listen(self):
        self.listener = socket.create_server((ADDRESS, self.port))
        self.port = self.listener.getsockname()[1]
        self.spawn(self.accept, self.listener)

    def stop_listening(self):
        if self.listener:
            with contextlib.suppress(OSError):
                self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None

    def spawn(self, function, *args):
        thread = threading.Thread(target=function, args=args, daemon=True)
        self.threads.append(thread)
        thread.start()

    def keep(self, *sockets):
        with self.lock:
            self.sockets.update(sockets)

    def drop(self, *sockets):
        with self.lock:
            for one in sockets:
                self.sockets.discard(one)
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()

    def cut(self):
        with self.lock:
            for one in self.sockets:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.keep(client)
            self.n_met += 1
            if self.mode == "reset":
                self.spawn(self.reset, client)
            elif self.mode in self.contexts:
                self.spawn(self.greet, client)
            elif self.mode == "silent":
                self.spawn(self.ignore, client)
            else:
                self.spawn(self.carry, client)

    def reset(self, client):
        """In the handshake. At once it would come before the broker has looked at the connection, or after."""
        with contextlib.suppress(OSError):
            client.recv(1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with self.lock:
            self.sockets.discard(client)
        client.close()

    def greet(self, client):
        """The handshake, with a certificate that is not good."""
        try:
            client.settimeout(10)
            with self.contexts[self.mode].wrap_socket(client, server_side=True, do_handshake_on_connect=False) as tls:
                self.keep(tls)
                with contextlib.suppress(OSError):
                    tls.do_handshake()
                    tls.recv(1)
                self.drop(tls)
        finally:
            self.drop(client)

    def ignore(self, client):
        with contextlib.suppress(OSError):
            while client.recv(4096):
                pass
        self.drop(client)

    def carry(self, client):
        try:
            server = socket.create_connection(("127.0.0.1", self.world.sim.https))
        except OSError:
            self.drop(client)
            return
        self.keep(server)
        self.spawn(self.pump, server, client)
        self.pump(client, server)
        self.drop(client, server)

    def pump(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
