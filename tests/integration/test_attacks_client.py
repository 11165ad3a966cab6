# SPDX-License-Identifier: LGPL-2.1-or-later
"""Attacks on what an app, a person and an administrator have on their side: the library and its header for libcurl,
the examples, the completions, the doctor, and what the package does with old folders.

SECURITY.md says what is a boundary; each test tries to get over one.
"""

import http.server
import json
import os
import pathlib
import pty
import pwd
import re
import signal
import ssl
import stat
import subprocess
import threading

import pytest

from logins import counter, link_device, settle
from sandbox import PYTHON, Unit

SRC = pathlib.Path(os.environ["LWA_SRC_DIR"])
BUILD = pathlib.Path(os.environ.get("LWA_BUILD", "build"))
READ = "music::library:read"


# --- the token and other hosts ---


class Server:
    """Serves HTTP, over TLS unless it is plain, and notes the headers of all that it is asked for."""

    def __init__(self, world, status=200, location=None, body=b"{}", plain=False):
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                server.headers.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(status)
                if location:
                    self.send_header("Location", location)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.headers = []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"{'http' if plain else 'https'}://localhost:{self.server.server_port}"
        if not plain:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(world.path("certs/cert.pem"), world.path("certs/key.pem"))
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def device(world):
    settle(world)
    link_device(world, [READ])
    return world


# An app that tells libcurl to follow each redirect with all that it has, and uses its handle for something else later.
FOLLOWER = r"""
#include <lwa-client-curl.h>
#include <stdio.h>

static size_t write_fn(char *bytes, size_t size, size_t n, void *userdata)
{
    (void)bytes, (void)userdata;
    printf("body\n");
    return size * n;
}

int main(int argc, char **argv)
{
    struct lwa_client *client = NULL;
    struct lwa_curl request = LWA_CURL_INIT;
    CURL *easy = curl_easy_init();
    int r;
    if (argc != 3 || !easy || lwa_client_new(&client) < 0)
        return 1;
    curl_easy_setopt(easy, CURLOPT_URL, argv[1]);
    curl_easy_setopt(easy, CURLOPT_CAINFO, argv[2]);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_UNRESTRICTED_AUTH, 1L);
    request.easy = easy;
    r = lwa_client_call(client, "music::library:read", NULL, 0, lwa_curl_perform, &request);
    printf("%d %d %ld\n", r, request.code == CURLE_UNSUPPORTED_PROTOCOL, request.status);
    request.write_fn = write_fn;
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    printf("later %d\n", curl_easy_perform(easy));
    curl_easy_cleanup(easy);
    lwa_client_free(client);
    return 0;
}
"""


@pytest.fixture
def follower(device):
    """Runs it with a URL; what it printed."""
    source, program = device.write("follower.c", FOLLOWER), device.path("follower")
    library = device.write("liblwa-client.so.0", (BUILD / ".libs/liblwa-client.so").read_bytes(), mode=0o755)
    sanitizers = ["-fsanitize=address,undefined"] if os.environ.get("LWA_SANITIZE") else []
    flags = ["-Wall", "-Wextra", "-Werror", f"-I{SRC}/client/library", *sanitizers]
    subprocess.run(["gcc", source, "-o", program, *flags, library, "-lcurl"], check=True, timeout=60)
    env = {"LD_LIBRARY_PATH": os.path.dirname(library), "ASAN_OPTIONS": "detect_leaks=0"}

    def run(url):
        done = device.run_as("musicd", [program, url, device.ca_file], env=env)
        assert done.returncode == 0, done
        return done.stdout.splitlines()

    return run


def test_curl_takes_the_token_to_no_other_host(device, follower):
    """Not the key either, and another host's word that it was rejected causes no refresh."""
    rejected = b'{"error":{"code":"INVALID_ACCESS_TOKEN"}}'
    with Server(device, 401, body=rejected) as thief, Server(device, 302, thief.address + "/") as api:
        before = counter(device, "token.refresh_token.requests")
        lines = follower(api.address + "/")
        assert counter(device, "token.refresh_token.requests") == before
        assert lines[0] == "0 0 302"
    assert api.headers[0]["authorization"].startswith("Bearer ") and api.headers[0]["x-api-key"]
    assert not [headers for headers in thief.headers if {"authorization", "x-api-key"} & set(headers)]


def test_curl_sends_no_token_in_clear(device, follower):
    with Server(device, plain=True) as eavesdropper:
        lines = follower(eavesdropper.address + "/")
        assert lines[0] == "-1 1 0"
    assert not [headers for headers in eavesdropper.headers if "authorization" in headers]


def test_curl_leaves_nothing_of_the_request_in_the_handle(device, follower):
    """The struct is on a stack as a rule, and gone when the handle is used again."""
    with Server(device, body=b"later") as api:
        lines = follower(api.address + "/")
    assert lines[0] == "0 0 200" and "body" not in lines, lines
    assert "authorization" in api.headers[0] and "authorization" not in api.headers[1]


@pytest.mark.parametrize("name", ["with_jeepney.py", "with_dbus_python.py"])
def test_python_takes_the_token_to_no_other_host(device, name):
    with Server(device) as thief, Server(device, 302, thief.address + "/") as api:
        device.write_config(api={"base": api.address})
        device.reload()
        path = SRC / "client/examples" / name
        told = device.run_as("musicd", [PYTHON, path], env={"SSL_CERT_FILE": device.ca_file})
        assert told.returncode != 0
    assert api.headers[0]["authorization"].startswith("Bearer ")
    assert not [headers for headers in thief.headers if {"authorization", "x-api-key"} & set(headers)]


# --- names of files on the command line ---


@pytest.mark.parametrize("folder, program, option", [("client", "lwactl", "token --output"), ("broker", "lwa-brokerd", "--config")])
def test_completed_name_is_no_command(tmp_path, folder, program, option):
    """Who can make a file in a folder of others chooses its name, and a Tab puts that on their command line."""
    (tmp_path / "x;echo >pwned;y").touch()
    completion = (BUILD / folder / "completion/bash" / program).resolve(strict=True)
    shell, slave = pty.openpty()
    environment = {"PATH": "/usr/bin:/bin", "TERM": "dumb", "INPUTRC": "/dev/null", "PS1": ""}
    bash = subprocess.Popen(["bash", "--norc", "--noprofile", "-i"], stdin=slave, stdout=slave, stderr=slave,
                            cwd=tmp_path, env=environment, start_new_session=True)
    os.close(slave)
    try:
        os.write(shell, f"source {completion}; {program}() {{ printf '%s\\n' \"$@\" >seen; }}\n".encode())
        os.write(shell, f"{program} {option} x\t\nexit\n".encode())
        while read_terminal(shell):
            pass
    finally:
        bash.kill()
        bash.wait()
        os.close(shell)
    assert (tmp_path / "seen").read_text().splitlines()[-1] == "x;echo >pwned;y"
    assert not (tmp_path / "pwned").exists()


def read_terminal(fd):
    try:
        return os.read(fd, 65536)
    except OSError:  # the other end has gone
        return b""


# --- folders from before ---


def test_package_takes_a_folder_from_its_owner_for_good(tmp_path, world):
    """The uid of a removed user was given to somebody else, who opens the folder again while the package closes it."""
    text = (SRC / "debian/lwa-broker.postinst").read_text()
    own = re.search(r"^own\(\) \{.*?^\}", text, re.MULTILINE | re.DOTALL).group()
    folder, tools = tmp_path / "state", tmp_path / "bin"
    folder.mkdir()
    tools.mkdir()
    (folder / "broker.db").touch()
    bob, broker = pwd.getpwnam("bob").pw_uid, pwd.getpwnam("lwa-broker").pw_uid
    for path in (folder, folder / "broker.db"):
        os.chown(path, bob, bob)
    for name in ("chmod", "chown"):
        after = f'[ "$(stat -c %u {folder})" != {bob} ] || /bin/chmod 0777 {folder}'
        (tools / name).write_text(f'#!/bin/sh\n/bin/{name} "$@"\n{after}\n')
        (tools / name).chmod(0o755)
    script = f'set -e\n{own}\nown "$1"'
    subprocess.run(["sh", "-c", script, "sh", folder], env={"PATH": f"{tools}:/usr/bin:/bin"}, check=True, timeout=30)
    status = folder.stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (broker, 0o700)
    assert (folder / "broker.db").stat().st_uid == broker


# --- the doctor ---

LOOKALIKE = """
import ctypes, os, sys, time
if os.fork():
    os._exit(0)
os.setsid()
ctypes.CDLL(None).prctl(15, b"lwa-identd", 0, 0, 0)  # PR_SET_NAME
print(os.getpid(), flush=True)
time.sleep(1000)
"""


@pytest.mark.parametrize("is_in_unit", [False, True])
def test_doctor_takes_no_lookalike_for_the_helper(device, is_in_unit):
    """A process of anybody's can have that name, and no parent; but not the cgroup of the unit."""
    lookalike = device.spawn_as("bob", [PYTHON, "-c", LOOKALIKE])
    pid = int(lookalike.stdout.readline())
    with Unit("lwa-identd@1") as unit:
        try:
            if is_in_unit:
                unit.add(pid)
            device.broker.stop()
            device.broker.start()
            assert "\nPPid:\t1\n" in pathlib.Path(f"/proc/{pid}/status").read_text()
            found = json.loads(device.run_as("root", ["lwactl", "doctor", "--json"], timeout=60).stdout)
        finally:
            os.kill(pid, signal.SIGKILL)
    about = [row["level"] for row in found if row["check"] == "process" and row["subject"] == "lwa-identd"]
    assert about == ["problem" if is_in_unit else "ok"], found


def spoil_by_pipe(path, _):
    os.mkfifo(path)


def spoil_by_link(path, target):
    os.symlink(target, path)


def spoil_by_folder(path, _):
    os.mkdir(path)


@pytest.mark.parametrize("name", ["broker.db", "broker.db-wal", "audit.key"])
@pytest.mark.parametrize("spoil", [spoil_by_pipe, spoil_by_link, spoil_by_folder])
def test_check_of_a_hostile_state_folder(device, tmp_path, name, spoil):
    """Who has taken over the broker waits for root to look around: root neither waits for ever, nor shows or changes what
    is not the broker's."""
    device.broker.stop()
    secret = tmp_path / "secret"
    secret.write_text("a secret of root's\n")
    secret.chmod(0o600)
    path = os.path.join(device.state_dir, name)
    if os.path.exists(path):
        os.unlink(path)
    spoil(path, secret)
    done = device.run_as("root", [*device.argv_of("lwa-brokerd")[:7], "--check"], timeout=60)
    assert done.returncode in (0, 1) and done.stdout, done
    if name == "broker.db":
        assert [row for row in map(json.loads, done.stdout.splitlines()) if (row["check"], row["level"]) == ("database", "problem")]
    assert "a secret" not in done.stdout + done.stderr and secret.read_text() == "a secret of root's\n"
