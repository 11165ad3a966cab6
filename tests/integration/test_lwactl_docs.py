# SPDX-License-Identifier: LGPL-2.1-or-later
"""What lwactl's help says, its man page and its bash completion say too, and nothing else."""

import os
import re
import subprocess

import pytest

LWACTL = os.path.abspath(os.path.join(os.environ.get("LWA_BUILD", "build"), "lwactl"))
CLIENT = os.path.join(os.path.dirname(__file__), "..", "..", "client", "lwactl")


def helped(*command):
    return subprocess.run([LWACTL, "help", *command], capture_output=True, text=True, check=True, timeout=30).stdout


def options_of(text):
    """{option: name of its value or None} of a help text."""
    return {o: v or None for o, v in re.findall(r"^  (--[a-z-]+)(?: (\S+))? {2,}", text, re.M)}


def commands():
    return re.findall(r"^  ([a-z]+) +[A-Z]", helped().split("Options:")[0], re.M)


def man():
    with open(os.path.join(CLIENT, "lwactl.1"), encoding="utf-8") as f:
        return f.read().replace("\\-", "-")


def man_options(text):
    found = {}
    for line in re.findall(r"^\.TP\n\.BI? (--.*)$", text, re.M):
        name, _, value = line.partition(" ")
        found[name] = value.replace('""', "'").replace('"', "").replace("'", '"').strip() or None
    return found


def man_sections(command):
    return "".join(re.findall(r"^\.SS lwactl %s\b.*?(?=^\.S[SH] )" % command, man(), re.M | re.S))


def complete(*words):
    script = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _lwactl; printf "%s\\n" "${COMPREPLY[@]}"'
    r = subprocess.run(["bash", "-c", script, os.path.join(CLIENT, "lwactl.bash"), "lwactl", *words],
                       capture_output=True, text=True, check=True, timeout=30)
    return set(r.stdout.split())


def common():
    return man_options(man().split(".SH COMMON OPTIONS")[1].split(".SH EXIT STATUS")[0])


def test_commands():
    assert len(commands()) > 5
    assert set(re.findall(r"^\.SS lwactl ([a-z]+)", man(), re.M)) == set(commands())
    assert complete("") == set(commands()) | {"--help", "--version"}
    assert complete("help", "") == set(commands()) - {"help"}


@pytest.mark.parametrize("command", [c for c in commands() if c != "help"])
def test_options(command):
    options = options_of(helped(command))
    assert "--help" in options
    documented = man_options(man_sections(command))
    shared = {k: v for k, v in common().items() if k != "--version"}
    assert {**documented, **shared} == options
    assert complete(command, "--") == set(options)


@pytest.mark.parametrize("command", [c for c in commands() if c != "help"])
def test_help_is_the_same_by_option(command):
    r = subprocess.run([LWACTL, command, "--help"], capture_output=True, text=True, check=True, timeout=30)
    assert r.stdout == helped(command)


@pytest.mark.parametrize("command", ["accounts", "consent", "policy", "audit"])
def test_verbs(command):
    verbs = set(re.findall(r"lwactl %s \[?([a-z][a-z-]*)" % command, helped(command).split("\n\n")[0]))
    assert verbs and set(re.findall(r"^\.SS lwactl %s \[?([a-z][a-z-]*)" % command, man(), re.M)) == verbs
    assert {w for w in complete(command, "") if not w.startswith("-")} == verbs


@pytest.mark.parametrize("command", [c for c in commands() if c != "help"])
def test_a_value_is_no_option(command):
    for option in (o for o, value in options_of(helped(command)).items() if value):
        assert not {w for w in complete(command, option, "") if w.startswith("-")}, option


@pytest.mark.parametrize("verb, method", [("who-has", "WhoHas"), ("matrix", "Matrix"), ("verify", "Verify")])
def test_json_of_the_trail(verb, method):
    """The page names each key, as the interface has them: that is what programs get."""
    with open(os.path.join(CLIENT, "..", "..", "dbus", "org.lwabroker.Audit1.xml"), encoding="utf-8") as f:
        comment = f.read().split(f'<method name="{method}">')[0].rsplit("<!--", 1)[1]
    fields = re.sub(r"\(.*?\)", "", re.search(r"\n +(?:row|result): (.*?)\n +Errors:", comment, re.S)[1])
    keys = set(re.findall(r"([a-z_]+) (?:(?:s|as|b|u|x|t)\b|aa\{sv\})", " ".join(fields.split())))
    told = re.search(r"^\.SS lwactl audit %s\b.*?(?=^\.SS )" % verb, man(), re.M | re.S)[0].split("--json")[-1]
    assert len(keys) > 8 and keys - set(re.findall(r"[a-z_]+", told)) == set()


def test_exit_codes():
    codes = re.findall(r"^ +(\d+)  (.*)$", helped().split("Exit codes:")[1], re.M)
    assert len(codes) > 10
    section = man().split(".SH EXIT STATUS")[1].split(".SH")[0]
    assert re.findall(r"^\.TP\n\.B (\d+)\n(.*)$", section, re.M) == codes


def test_defaults():
    """The numbers that the help tells are those of the man page."""
    assert "default 50" in helped("audit") and "The default is 50." in man()
    assert "(1 to 3650)" in helped("consent") and "1 to 3650." in man()


def test_the_man_page_has_no_fault():
    r = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", os.path.join(CLIENT, "lwactl.1")],
                       capture_output=True, text=True, check=False, timeout=30)
    assert r.returncode == 0 and r.stderr == ""
