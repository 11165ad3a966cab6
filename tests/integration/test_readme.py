# SPDX-License-Identifier: LGPL-2.1-or-later
"""The README's blocks are run, in their order, so that they cannot rot. What a block is says the line that opens it:

    ```ini file=broker.conf, file=grants.d/NAME, ```js file=rules.d/NAME    a file that is put in place
    ```console      commands behind the prompt of root (#) or of a user (USER$), and what they print: all of it, but
                    for lines left out (...) and ends of lines (…)
    ```sh as=USER, ```python as=USER                                         run as that user
    ```c                                                                     the inside of a function
    ```sh                                                                    of the machine itself: not run here
"""

import difflib
import os
import re
import subprocess

import pytest

from world import wait_until

REAL_API = "https://api.music.amazon.dev/v1"
TESTS_ONLY = ("glib-2.0", "cmocka", "libmicrohttpd", "gnutls")


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


def run(world, user, language, text, given=None):
    text = text.replace(REAL_API, f"https://localhost:{world.sim.https}/v1")
    command = ["sh", "-uc", text] if language == "sh" else ["/usr/bin/python3", "-c", text]
    path = f"{world.build_dir}:/usr/bin:/bin"
    env = {"PATH": path, "CURL_CA_BUNDLE": world.ca_file, "SSL_CERT_FILE": world.ca_file}
    process = world.spawn_as(user, command, env=env, stdin=subprocess.PIPE, stderr=subprocess.STDOUT)
    if "lwactl login" in text:
        pairs = wait_until(lambda: world.sim.state()["code_pairs"], 10 * world.slowness, "a code pair")
        world.sim.approve(pairs[0]["user_code"])
    out, _ = process.communicate(given, timeout=30 * world.slowness)
    return process.returncode, out


def session(text):
    """(user, command, what it prints) of each prompt of a console."""
    for user, command, shown in re.findall(r"^(?:#|(\w+)\$) (.*)\n((?:(?!#|\w+\$ ).*\n)*)", text, re.MULTILINE):
        yield user or "root", command, shown


# What is another one each time, and what is the simulator's.
MASKS = [
    (r"https://(localhost:\d+/code|amazon\.com/us/code)", "https://CODE"),
    (r"https://(localhost:\d+|api\.amazon\.com)/auth", "https://TOKENS"),
    (r"\b(localhost:\d+|api\.amazon\.com): ", "HOST: "),
    (r"process \d+", "PROCESS"),
    (r"Atza\|\S+", "TOKEN"),
    (r"(Code: +)\w+", r"\1CODE"),
    (r"(trail to +)\w.*", r"\1COLLECTOR"),
    (r"Time left: [\d:]+", "Time left: TIME"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
    (r"\d{4}-\d\d-\d\d", "DATE"),
    (r"\b(now|\d+ (s|min|h) ago)\b", "AGO"),
    (r"\b\d+ (s|min|h|days)\b", "SPAN"),
    (r"uid \d+|\(\d+\)", "UID"),
    (r"\b[0-9a-f]{32}\b", "ID"),
]


def masked(text):
    """Its lines, whatever the time, the ids and the widths."""
    for pattern, name in MASKS:
        text = re.sub(pattern, name, text)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def fits(shown, real):
    parts = []
    for line in shown:
        is_cut = line.endswith("…")
        parts.append("(?:.*\n)*?" if line == "..." else re.escape(line.rstrip("…")) + (".*" if is_cut else "") + "\n")
    return re.fullmatch("".join(parts), "".join(line + "\n" for line in real))


def check_console(world, text):
    for user, command, shown in session(text):
        given = None
        if command.endswith(" <found"):
            _, given = run(world, "musicd", "sh", "lwactl token music::library:read")
            command = command.removesuffix(" <found")
        _, out = run(world, user, "sh", command, given)
        shown, real = masked(shown), masked(out.replace(world.path("conf"), "/etc/lwa-broker"))
        assert fits(shown, real), "\n".join((command, *difflib.unified_diff(shown, real, "README.md", "printed", n=99, lineterm="")))


def check_other(kind, out):
    if kind == "python":
        assert "Morning walk" in out
        return
    assert len(re.findall(r'"token_id" s "\w+"|\'token_id\': <\'\w+\'>', out)) == 2
    assert 'string "token_id"' in out and "file descriptor" in out


def test_what_the_readme_shows(installed):
    consoles = 0
    for kind, marks, text in blocks():
        if kind == "console":
            check_console(installed, text)
            consoles += 1
        elif "as" in marks:
            code, out = run(installed, marks["as"], kind, text)
            assert code == 0, out
            check_other(kind, out)
    assert consoles > 8


def test_c_of_the_readme(tmp_path):
    """It is what the header offers."""
    (text,) = (text for kind, _, text in blocks() if kind == "c")
    source = tmp_path / "app.c"
    source.write_text(
        "#include <lwa-client.h>\n#include <stdio.h>\nvoid send_request(const char *authorization, const char *api_key);\n"
        "void app(void);\nvoid app(void)\n{\n" + text + "}\n"
    )
    folder = os.path.join(os.environ["LWA_SRC_DIR"], "client/library")
    done = subprocess.run(["gcc", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", f"-I{folder}", source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_the_table_of_the_readme_refuses(installed):
    assert installed.run_as("weatherd", ["lwactl", "token", "music::library:read"]).returncode == 3


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


def test_what_the_readme_says_of_installing():
    """The libraries that the build looks for, the files of systemd's tools, the unit."""
    text = readme().split("## Install")[1]
    root = os.environ["LWA_SRC_DIR"]
    needed = re.findall(r"PKG_CHECK_MODULES\(\[\w+\], \[([\w.+-]+)", readme("configure.ac"))
    listed = re.search(r"the headers of (.*?)\. On Debian", " ".join(text.split())).group(1).lower()
    names = {re.sub(r"^lib|-?\d+$", "", name) for name in needed if name not in TESTS_ONLY}
    assert len(names) > 10 and not {name for name in names if name not in listed}
    for tool, folder in (("systemd-sysusers", "sysusers.d"), ("systemd-tmpfiles --create", "tmpfiles.d")):
        (name,) = re.findall(rf"^{tool} (\S+)", text, re.MULTILINE)
        assert [file for file in os.listdir(f"{root}/dbus/{folder}") if file.removesuffix(".in") == name]
    control = readme("debian/control")
    packages = re.findall(r"build/packages/([\w-]+)_", text) + re.findall(r"`(liblwa-client[\w-]+)`", text)
    assert set(packages) == set(re.findall(r"^Package: (\S+)", control, re.MULTILINE))
    (unit,) = re.findall(r"^systemctl enable --now (\S+)", text, re.MULTILINE)
    assert os.path.exists(f"{root}/dbus/{unit}.service.in")
