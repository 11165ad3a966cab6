# SPDX-License-Identifier: LGPL-2.1-or-later
"""lwactl login by browser, by a pasted address and by import, against the real broker and the simulator's pages. The
browser is a program of the user who logs in: what xdg-open would start."""

import json
import os
import re
import urllib.parse

import pytest

from person import Person
from terminal import Terminal
from test_login_code import set_secret
from test_login_import import mint
from test_lwactl_broker import (  # noqa: F401
    CANCELLED, CONFIGURATION, DENIED, LOGIN, OK, PROVIDER, USAGE, accounts, lwactl, ready, status_of)
from world import wait_until

LIBRARY = "music::library"
RETURN = "https://app.example/cb"
# Opens what it is given, as a person answers. What it was given, and the last page, stand in a file.
BROWSER = """#!/usr/bin/python3
import json, os, sys
sys.path.insert(0, os.environ["HARNESS"])
from person import Person
person = Person(os.environ["CA_FILE"])
page = person.open(sys.argv[1])
heads = [page.heading]
if os.environ["KEEP"] == "no":
    del page.fields["keep"]
if page.choices:
    page = person.submit(os.environ["ANSWER"], customer=os.environ["CUSTOMER"])
told = {"argv": sys.argv[1:], "uid": os.getuid(), "heads": heads, "address": page.address, "notes": page.notes}
with open(os.environ["TOLD"] + ".new", "w") as file:
    json.dump(told, file)
os.rename(os.environ["TOLD"] + ".new", os.environ["TOLD"])
"""


class Browser:
    """A graphical session with a browser in it."""

    def __init__(self, world):
        self.world = world
        self.folder = world.path("session")
        os.makedirs(self.folder, exist_ok=True)
        os.chmod(self.folder, 0o777)
        world.write("session/xdg-open", BROWSER, 0o755)
        self.told_path = os.path.join(self.folder, "told")
        if os.path.exists(self.told_path):
            os.unlink(self.told_path)

    def environment(self, answer="Allow", customer="alice", keep="yes"):
        return {"DISPLAY": ":7", "PATH": f"{self.folder}:/usr/bin:/bin", "ANSWER": answer, "CUSTOMER": customer,
                "KEEP": keep, "TOLD": self.told_path, "CA_FILE": self.world.ca_file,
                "HARNESS": os.path.join(self.world.src_dir, "tests/harness")}

    def told(self):
        with open(self.told_path, encoding="utf-8") as file:
            return json.load(file)

    def log_in(self, *arguments, status=OK, user="alice", **answers):
        command = ["lwactl", "login", "--browser", *arguments]
        done = self.world.run_as(user, command, env=self.environment(**answers))
        assert done.returncode == status, done.stdout + done.stderr
        return done


@pytest.fixture
def browser(ready):  # noqa: F811
    return Browser(ready)


# --- by browser ---


def test_browser(browser):
    """It opens by itself, as the user, with an address that tells nobody anything; the login is whole."""
    world = browser.world
    done = browser.log_in(LIBRARY, "--label", "Mine")
    assert "Linked: account main carries " + LIBRARY in done.stdout and done.stderr == ""
    told = browser.told()
    (opened,) = told["argv"]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/lwa-login", opened)
    assert told["heads"] == ["Sign in"] and "You can close this page." in told["notes"][0]
    returned = urllib.parse.urlsplit(told["address"])
    assert returned.path == "/lwa-callback"
    brought = dict(urllib.parse.parse_qsl(returned.query))
    assert brought["state"] in done.stdout, "in the address that is shown"
    assert brought["code"] not in done.stdout
    assert accounts(world, "alice")[0]["label"] == "Mine"
    lwactl(world, "alice", "token", LIBRARY)
    assert status_of(world)["logins"] == 0


def test_browser_says_before_that_a_secret_is_missing(browser):
    done = browser.log_in(LIBRARY)
    assert re.search(r"^Note: No client secret.*\n\nTo link this device", done.stdout, re.MULTILINE)
    set_secret(browser.world)
    browser.world.broker.restart()
    assert "Note:" not in browser.log_in("profile").stdout


def test_browser_that_denies(browser):
    done = browser.log_in(LIBRARY, answer="Deny", status=DENIED)
    assert "answered with no" in done.stderr and accounts(browser.world, "alice") == []


def test_browser_that_leaves_a_scope_out(browser):
    done = browser.log_in(LIBRARY, "--voluntary", "profile", keep="no")
    assert "carries music::library\n" in done.stdout and "not linked: profile\n" in done.stdout
    assert accounts(browser.world, "alice")[0]["grants"] == [LIBRARY]


def test_browser_of_another_customer(browser):
    browser.log_in(LIBRARY)
    done = browser.log_in("profile", "--account", "main", customer="bob", status=DENIED)
    assert "another Amazon customer" in done.stderr
    assert accounts(browser.world, "alice")[0]["grants"] == [LIBRARY]


def test_browser_when_amazon_is_away(browser):
    browser.world.sim.fault("token", "status-503", 0)
    done = browser.log_in(LIBRARY, status=PROVIDER)
    assert done.stderr.count("\n") == 1, "one sentence, which says what to do"
    assert accounts(browser.world, "alice") == []


def test_web_client_without_its_secret(browser):
    """What the notice has warned of."""
    browser.world.sim.fault("token", "error", 0, error="invalid_request", status=400,
                            description="The request is missing a required parameter : client_secret")
    done = browser.log_in(LIBRARY, status=CONFIGURATION)
    assert "client_secret_file" in done.stderr


@pytest.mark.parametrize("user, more", [("root", []), ("alice", ["--no-open"])])
def test_browser_is_not_started(browser, user, more):
    """Never as root, nor when told so. The address is there to be opened by hand, and Ctrl-C ends it."""
    world = browser.world
    command = ["lwactl", "login", "--browser", *more, LIBRARY]
    with Terminal(world, user, command, env=browser.environment(), columns=120) as terminal:
        terminal.wait_for("Waiting for the browser, 9:5")
        assert not os.path.exists(browser.told_path) and "should open" not in terminal.text
        terminal.type("\x03")
        assert terminal.wait_end() == CANCELLED, terminal.text
    wait_until(lambda: status_of(world)["logins"] == 0, 5 * world.slowness, "the login to go")


def test_page_that_sends_nobody_back(browser):
    """An unknown scope is a page of Amazon's: the listener stays, until the person gives up."""
    world = browser.world
    with Terminal(world, "alice", ["lwactl", "login", "--browser", "--no-open", LIBRARY], columns=300) as terminal:
        address = terminal.wait_for(r"https://localhost\S+").group()
        terminal.wait_for("Waiting for the browser")
        page = Person(world.ca_file).open(address.replace("scope=", "scope=no%3Asuch+"))
        assert page.heading == "We're sorry!"
        assert terminal.process.poll() is None
        terminal.type("\x03")
        assert terminal.wait_end() == CANCELLED


# --- by a pasted address ---


def test_pasted_at_a_terminal(ready):  # noqa: F811
    command = ["lwactl", "login", "--redirect-uri", RETURN, LIBRARY]
    with Terminal(ready, "alice", command, columns=300, rows=100) as terminal:
        address = terminal.wait_for(r"https://localhost\S+").group()
        terminal.wait_for("Address or code: ")
        answer = ready.sim.authorize(address)
        terminal.type(f"{RETURN}?{urllib.parse.urlencode({**answer, 'state': 'x'})}\n")
        terminal.wait_for("belongs to another login")
        terminal.type(f"{RETURN}?{urllib.parse.urlencode(answer)}\n")
        assert terminal.wait_end() == OK, terminal.text
    assert accounts(ready, "alice")[0]["grants"] == [LIBRARY]


@pytest.mark.parametrize("form", ["{code}\n", RETURN + "?code={code}&state={state}\r\n"])
def test_pasted_through_a_pipe(ready, form):  # noqa: F811
    process = ready.spawn_as("alice", ["lwactl", "login", "--redirect-uri", RETURN, LIBRARY], stdin=-1)
    shown = ""
    while not (found := re.search(r"^(https://localhost\S+)\n", shown, re.MULTILINE)):
        shown += process.stdout.readline()
    answer = ready.sim.authorize(found.group(1))
    out, error = process.communicate(form.format(**answer), timeout=20 * ready.slowness)
    assert process.returncode == OK, out + error
    assert "Linked: account main" in out


def test_code_that_amazon_does_not_take(ready):  # noqa: F811
    done = ready.run_as("alice", ["lwactl", "login", "--redirect-uri", RETURN, LIBRARY], input="ANmadeUp\n")
    assert done.returncode == LOGIN and "does not take the code" in done.stderr
    assert "hint: lwactl login --redirect-uri URI music::library" in done.stderr


@pytest.mark.parametrize("uri", ["http://app.example/cb", "https://app.example/#x", "javascript:alert(1)", "cb"])
def test_return_address_that_the_broker_refuses(ready, uri):  # noqa: F811
    done = ready.run_as("alice", ["lwactl", "login", "--redirect-uri", uri, LIBRARY], input="x\n")
    assert done.returncode == USAGE and done.stdout == "" and "redirect_uri" in done.stderr


# --- by import ---


def test_import(ready):  # noqa: F811
    token = mint(ready)
    done = ready.run_as("alice", ["lwactl", "login", "--import", LIBRARY, "--label", "Old"], input=token + "\n")
    assert done.returncode == OK, done.stderr
    assert "claimed" in done.stdout and token not in done.stdout + done.stderr
    assert accounts(ready, "alice")[0]["claimed"] is True
    assert "(claimed) music::library" in lwactl(ready, "alice", "accounts").stdout
    assert "(claimed) music::library" in lwactl(ready, "alice", "status").stdout
    lwactl(ready, "alice", "token", LIBRARY)


def test_import_at_a_terminal(ready):  # noqa: F811
    token = mint(ready)
    with Terminal(ready, "alice", ["lwactl", "login", "--import", LIBRARY]) as terminal:
        terminal.wait_for("not shown")
        terminal.type(token + "\n")
        assert terminal.wait_end() == OK, terminal.text
        assert token[:40] not in terminal.text


def test_import_of_a_token_that_has_ended(ready):  # noqa: F811
    token = mint(ready)
    ready.sim.revoke("alice")
    done = ready.run_as("alice", ["lwactl", "login", "--import", LIBRARY], input=token)
    assert done.returncode == LOGIN and "does not take this refresh token" in done.stderr
    assert done.stderr.count("\n") == 1 and accounts(ready, "alice") == []


def test_import_while_offline(ready):  # noqa: F811
    token = mint(ready)
    ready.simulator.stop()
    done = ready.run_as("alice", ["lwactl", "login", "--import", LIBRARY], input=token)
    assert done.returncode == PROVIDER and "cannot be reached" in done.stderr and done.stderr.count("\n") == 1
    assert accounts(ready, "alice") == []
