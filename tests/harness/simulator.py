# SPDX-License-Identifier: LGPL-2.1-or-later
"""Starts lwa-sim with a throw-away certificate and talks to it, with the standard library only.

    with Simulator(folder) as sim:
        pair = sim.post("/auth/o2/create/codepair", response_type="device_code", ...).json()
        sim.control("/approve", user_code=pair["user_code"])

The binary is $LWA_SIM, or lwa-sim of $LWA_BUILD, or of build/ under the current folder.
"""

import json
import os
import pathlib
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

HARNESS = pathlib.Path(__file__).resolve().parent


class Reply:
    """An HTTP answer of any status."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args):
        return None


class Simulator:
    def __init__(self, folder, *arguments, certs=None):
        self.folder = pathlib.Path(folder)
        self.binary = os.environ.get("LWA_SIM") or os.path.join(os.environ.get("LWA_BUILD", "build"), "lwa-sim")
        self.arguments = arguments
        self.certs = pathlib.Path(certs) if certs else self.folder / "certs"
        self.process = None

    def __enter__(self):
        if not (self.certs / "cert.pem").exists():
            subprocess.run([HARNESS / "make-certs", self.certs], check=True, timeout=30)
        ports = self.folder / "sim-ports"
        ports.unlink(missing_ok=True)
        self.log = open(self.folder / "sim-log", "wb")
        self.process = subprocess.Popen(
            [self.binary, "--cert", self.certs / "cert.pem", "--key", self.certs / "key.pem",
             "--ports-file", ports, *self.arguments], stderr=self.log)
        deadline = time.monotonic() + 20
        while not ports.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError("lwa-sim did not start: " + self.read_log())
            time.sleep(0.02)
        numbers = dict(line.split() for line in ports.read_text().splitlines())
        self.port, self.control_port = int(numbers["https"]), int(numbers["control"])
        self.base = f"https://localhost:{self.port}"
        self.tls = ssl.create_default_context(cafile=self.certs / "ca.pem")
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.tls), _NoRedirect())
        clients = self.state()["clients"]
        self.client_id = clients["client_id"]
        self.web_client_id = clients["web_client_id"]
        self.client_secret = clients["client_secret"]
        self.security_profile_id = clients["security_profile_id"]
        return self

    def __exit__(self, *_exception):
        self.stop()

    def stop(self):
        """Ends the simulator and returns its exit status."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        return self.process.returncode

    def read_log(self):
        return (self.folder / "sim-log").read_text(errors="replace")

    def request(self, method, url, data=None, headers=None, timeout=20):
        """`url` is a path of the provider, or whole. Raises OSError or HTTPException without an answer."""
        request = urllib.request.Request(url if "://" in url else self.base + url, data=data,
                                         headers=headers or {}, method=method)
        try:
            with self.opener.open(request, timeout=timeout) as answer:
                return Reply(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, error.headers, error.read())

    def get(self, url, headers=None, timeout=20, **query):
        if query:
            url += "?" + urllib.parse.urlencode(query)
        return self.request("GET", url, headers=headers, timeout=timeout)

    def post(self, url, headers=None, timeout=20, **fields):
        data = urllib.parse.urlencode(fields).encode()
        return self.request("POST", url, data=data, headers=headers, timeout=timeout)

    def control(self, command, **fields):
        """POSTs to the control port; an error there is a mistake of the test."""
        reply = self.post(f"http://127.0.0.1:{self.control_port}{command}", **fields)
        if reply.status != 200:
            raise ValueError(f"{command}: {reply.status} {reply.text}")
        return reply.json()

    def state(self):
        return self.get(f"http://127.0.0.1:{self.control_port}/state").json()

    def counter(self, name):
        return self.state()["counters"].get(name, 0)

    def tokens(self):
        return self.get(f"http://127.0.0.1:{self.control_port}/tokens").json()
