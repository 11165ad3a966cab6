# SPDX-License-Identifier: LGPL-2.1-or-later
"""The README's blocks are run, in their order, so that they cannot rot. What a block is says the line that opens it:

    ```ini file=broker.conf, file=grants.d/NAME, ```js file=rules.d/NAME    a file that is put in place
    ```sh as=USER, ```python as=USER                                         run as that user
    ```sh                                                                    of the machine itself: not run here
"""

import os
import re
import subprocess

import pytest

from world import wait_until

REAL_API = "https://api.music.amazon.dev/v1"


def readme(name="README.md"):
    with open(os.path.join(os.environ["LWA_SRC_DIR"], name), encoding="utf-8") as file:
        return file.read()


def blocks():
    """(language, {"as" or "file": value}, text) of each fenced block."""
    for info, text in re.findall(r"^```([^\n`]+)\n(.*?)^```$", readme(), re.MULTILINE | re.DOTALL):
        words = info.split()
        yield words[0], dict(word.split("=", 1) for word in words[1:]), text


@pytest.fixture
def installed(world):
    """A world with the README's own files; only where Amazon is differs."""
    files = {marks["file"]: text for _, marks, text in blocks() if "file" in marks}
    assert len(files) == 3
    with open(world.config_path, encoding="utf-8") as file:
        ours = file.read()
    world.sim.set(interval=1)
    world.broker.stop()
    for name, text in files.items():
        if name == "broker.conf":
            world.write("conf/broker.conf", text)
            # All that the README sets stays as it sets it.
            set_there = re.findall(r"^(\w+) =", text, re.MULTILINE)
            rest = "\n".join(line for line in ours.splitlines() if line.split(" =")[0] not in set_there)
            world.write("conf/broker.conf.d/simulated.conf", rest)
        elif name.startswith("grants.d/"):
            world.write_grants(os.path.basename(name).removesuffix(".conf"), text)
        else:
            world.write_rule(os.path.basename(name).removesuffix(".rules"), text)
    world.broker.start()
    return world


def run(world, user, language, text):
    text = text.replace(REAL_API, f"https://localhost:{world.sim.https}/v1")
    command = ["sh", "-euc", text] if language == "sh" else ["/usr/bin/python3", "-c", text]
    path = f"{world.build_dir}:/usr/bin:/bin"
    env = {"PATH": path, "CURL_CA_BUNDLE": world.ca_file, "SSL_CERT_FILE": world.ca_file}
    process = world.spawn_as(user, command, env=env, stderr=subprocess.STDOUT)
    if "lwactl login" in text:
        pairs = wait_until(lambda: world.sim.state()["code_pairs"], 10 * world.slowness, "a code pair")
        world.sim.approve(pairs[0]["user_code"])
    out, _ = process.communicate(timeout=30 * world.slowness)
    assert process.returncode == 0, f"{text}\n{out}"
    return out


def test_blocks_can_be_run(installed):
    status = installed.root().call("org.lwabroker.Status1", "Get")
    assert status["problems"] == [] and status["table_sections"] == 3
    outputs = [run(installed, marks["as"], kind, text) for kind, marks, text in blocks() if "as" in marks]
    shell, python, tools = outputs[1:4]
    assert "Morning walk" in shell and "Morning walk" in python
    assert len(re.findall(r'"token_id" s "\w+"|\'token_id\': <\'\w+\'>', tools)) == 2
    assert 'string "token_id"' in tools and "file descriptor" in tools
    rest = "".join(outputs[4:])
    assert re.search(r"unit:musicd\.service user:musicd", rest), "the device's login serves the service and its user"
    for words in ("token-disclosed", "would get a token", "No app holds a token", "Agreed", "until logout|ends in", "Revoked"):
        assert re.search(words, rest), (words, rest)


def test_what_the_table_of_the_readme_refuses(installed):
    assert installed.run_as("weatherd", ["lwactl", "token", "music::library:read"]).returncode == 3


def outline(text):
    """Its lines, whatever the time, the uid and the widths."""
    text = re.sub(r"\b[0-9][0-9:.-]*( (?:s|min|h)\b)?", "N", text).replace("N ago", "now")
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def test_what_the_readme_shows_of_the_trail(installed):
    """Each line that it shows is printed, in that order."""
    shell = [text for kind, marks, text in blocks() if "as" in marks][:2]
    for user, text in zip(("root", "musicd"), shell, strict=True):
        run(installed, user, "sh", text)
    installed.run_as("weatherd", ["lwactl", "token", "music::library:read"])
    token = installed.run_as("musicd", ["lwactl", "token", "music::library:read"]).stdout
    matrix = installed.run_as("root", ["lwactl", "audit", "matrix"]).stdout
    found = installed.run_as("root", ["lwactl", "audit", "token"], input=token).stdout
    shown = [text for kind, _, text in blocks() if kind == "text"]
    assert len(shown) == 2
    for text, real in zip(shown, (matrix, found), strict=True):
        lines = iter(outline(real))
        missing = [line for line in outline(text) if line not in lines]
        assert not missing, (missing, real)


def test_rule_of_the_readme(installed):
    """The rule refuses what a table would allow."""
    installed.write_grants("games", "[user:carol]\nallow = music::library\n")
    installed.reload()
    text = next(text for _, marks, text in blocks() if marks.get("file", "").startswith("rules.d/"))
    assert installed.run_as("carol", ["lwactl", "check", "music::library"]).returncode != 3
    installed.write_rule("30-carol", text.replace("user:gamesd", "user:carol"))
    done = installed.run_as("carol", ["lwactl", "token", "music::library"])
    assert done.returncode == 3, done.stderr


def test_commands_of_dev():
    """Each `./dev` command that the documents name exists."""
    dev = os.path.join(os.environ["LWA_SRC_DIR"], "dev")
    told = subprocess.run([dev, "help"], capture_output=True, text=True, timeout=20, check=True).stdout
    for name in ("README.md", "CONTRIBUTING.md"):
        with open(os.path.join(os.environ["LWA_SRC_DIR"], name), encoding="utf-8") as file:
            for command in re.findall(r"\./dev (\w+)", file.read()):
                assert command == "help" or re.search(rf"^  {command}\b", told, re.MULTILINE), command
