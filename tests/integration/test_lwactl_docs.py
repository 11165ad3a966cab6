# SPDX-License-Identifier: LGPL-2.1-or-later
"""What lwactl's help says, its man page and its completions say too, and nothing else."""

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


COMPLETIONS = os.path.join(os.path.dirname(LWACTL), "client", "completion")


def complete(*words, breaks=" :="):
    """What bash would put in place of the last word, from where it would begin."""
    script = 'source "$0"; COMP_WORDBREAKS=$1; shift; COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; _lwactl; printf "%s\\n" "${COMPREPLY[@]}"'
    r = subprocess.run(["bash", "-c", script, os.path.join(COMPLETIONS, "bash/lwactl"), breaks, "lwactl", *words],
                       capture_output=True, text=True, check=True, timeout=30)
    assert r.stderr == ""
    return set(r.stdout.split())


def zsh_specs(command):
    """{option: name of its value or None}, the verbs, and the rest, as the function hands them to zsh."""
    script = '_arguments() { print -rl -- "$@" }; words=(lwactl $1 ""); CURRENT=3; source $0'
    r = subprocess.run(["zsh", "-f", "-c", script, os.path.join(COMPLETIONS, "zsh/_lwactl"), command],
                       capture_output=True, text=True, check=True, timeout=30)
    assert r.stderr == ""
    lines = [line.replace("\\:", "\0") for line in r.stdout.splitlines()]
    options = {}
    for line in lines:
        if found := re.match(r"(--[a-z-]+)=?\[(?:[^\]\\]|\\.)+\](?::([^:]*):([^:]*))?$", line):
            options[found[1]] = found[2] and (found[2].replace("\0", ":").replace("\\", ""), found[3])
    verbs = next((line.split("(")[1].rstrip(")").split() for line in lines if line.startswith("1:command:(")), [])
    return options, set(verbs), lines[-1]


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
    for_zsh, _, _ = zsh_specs(command)
    assert {name: value and value[0] for name, value in for_zsh.items()} == options


@pytest.mark.parametrize("command", [c for c in commands() if c != "help"])
def test_help_is_the_same_by_option(command):
    r = subprocess.run([LWACTL, command, "--help"], capture_output=True, text=True, check=True, timeout=30)
    assert r.stdout == helped(command)


@pytest.mark.parametrize("command", ["accounts", "consent", "policy", "audit"])
def test_verbs(command):
    verbs = set(re.findall(r"lwactl %s \[?([a-z][a-z-]*)" % command, helped(command).split("\n\n")[0]))
    assert verbs and set(re.findall(r"^\.SS lwactl %s \[?([a-z][a-z-]*)" % command, man(), re.M)) == verbs
    assert {w for w in complete(command, "") if not re.match("-|.*:|profile$|postal_code$", w)} == verbs
    assert zsh_specs(command)[1] == verbs


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


# --- what completions offer besides ---


@pytest.fixture
def catalogues(tmp_path, monkeypatch):
    """The completions, with the catalogue of the tree and one of an administrator's. Returns all scopes."""
    (tmp_path / "scopes.d").mkdir()
    (tmp_path / "scopes.d" / "own.conf").write_text("# mine\n[acme:lights]\ndescription = see the lights\n")
    shipped = os.path.join(os.path.abspath(CLIENT), "..", "..", "policy", "scopes.conf")
    for name in ("bash/lwactl", "zsh/_lwactl"):
        with open(os.path.join(COMPLETIONS, name), encoding="utf-8") as f:
            script = f.read()
        found = re.search(r"(\S+/scopes\.conf) (\S+/scopes\.d)/\*\.conf", script)
        script = script.replace(found[1], shipped).replace(found[2], str(tmp_path / "scopes.d"))
        path = tmp_path / name
        path.parent.mkdir()
        path.write_text(script)
    monkeypatch.setitem(globals(), "COMPLETIONS", str(tmp_path))
    with open(shipped, encoding="utf-8") as f:
        scopes = set(re.findall(r"^\[(.*)\]$", f.read(), re.M)) | {"acme:lights"}
    assert len(scopes) > 30
    return scopes


@pytest.mark.parametrize("words", [["token"], ["check", "profile"], ["login", "--no-qr"], ["explain", "user:x"],
                                   ["consent", "allow", "user:x"], ["consent", "deny", "--account", "main", "user:x"],
                                   ["audit", "who-has"], ["audit", "--scope"], ["login", "--voluntary"]])
def test_scopes_are_completed(catalogues, words):
    assert {w for w in complete(*words, "") if not w.startswith("-")} == catalogues


@pytest.mark.parametrize("words", [["explain"], ["consent", "allow"], ["consent", "list"], ["audit", "app"], ["revoke"],
                                   ["accounts", "rename"], ["token", "--account"], ["audit", "--app"], ["reload"]])
def test_nothing_else_is_taken_for_a_scope(catalogues, words):
    """Apps and accounts are not offered: to know them the broker would have to be asked."""
    assert not complete(*words, "") & catalogues


def test_scopes_have_colons(catalogues):
    """bash cuts words at colons, and puts what is offered in the place of the last piece."""
    whole = {scope for scope in catalogues if scope.startswith("music::l")}
    assert len(whole) > 1
    assert complete("token", "music::l") == {scope.removeprefix("music::") for scope in whole}
    assert complete("token", "music::l", breaks=" ") == whole
    assert complete("audit", "--scope=music::l") == {scope.removeprefix("music::") for scope in whole}


def test_values_are_completed(catalogues, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert complete("token", "--output", "sco") == complete("audit", "--html=sco") == {"scopes.d"}
    events = complete("audit", "--event", "")
    assert "token-disclosed" in events and len(events) > 25 and complete("audit", "--event", "token-dis") == {"token-disclosed"}
    assert zsh_specs("audit")[0]["--event"] == ("EVENT", "(" + " ".join(sorted(events, key=events_in_order().index)) + ")")
    assert zsh_specs("audit")[0]["--scope"][1] == "_lwactl_scopes" and zsh_specs("audit")[0]["--html"][1] == "_files"


def events_in_order():
    with open(os.path.join(CLIENT, "..", "..", "dbus", "audit-names.c"), encoding="utf-8") as f:
        return re.findall(r'\[AUDIT_\w+\] = "([a-z-]+)"', f.read())


def test_zsh_knows_the_scopes(catalogues):
    script = 'compadd() { shift; print -rl -- ${(P)1} }; _arguments() { _lwactl_scopes }; words=(lwactl token ""); CURRENT=3; source $0'
    r = subprocess.run(["zsh", "-f", "-c", script, os.path.join(COMPLETIONS, "zsh/_lwactl")],
                       capture_output=True, text=True, check=True, timeout=30)
    assert set(r.stdout.split()) == catalogues and r.stderr == ""
    assert zsh_specs("token")[2] == "*: :_lwactl_scopes" and zsh_specs("reload")[2] == "*: :"


def test_completion_of_no_such_shell():
    for words in ([], ["fish"], ["bash", "zsh"]):
        r = subprocess.run([LWACTL, "completion", *words], capture_output=True, text=True, check=False, timeout=30)
        assert (r.returncode, r.stdout) == (2, "") and "bash or zsh" in r.stderr
