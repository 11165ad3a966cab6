# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the manual pages say is what the programs do: options, keys, defaults, examples."""

import hashlib
import os
import re
import subprocess

from logins import LIBRARY, link, rows, settle, take
from world import wait_until

BUILD = os.environ.get("LWA_BUILD", "build")


def read(path):
    with open(os.path.join(os.environ["LWA_SRC_DIR"], path), encoding="utf-8") as file:
        return file.read()


def text_of(roff):
    """The words of a piece of a page, without fonts and escapes."""
    roff = re.sub(r"\\f[BIR]", "", roff).replace(r"\-", "-").replace(r"\[u2026]", "…")
    return " ".join(roff.split())


def section(page, name):
    """The lines of one .SH section."""
    found = re.search(rf"^\.SH {name}\n(.*?)(?=^\.SH |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"the page has no section {name}"
    return found.group(1)


def entries(text):
    """(head, body) of each .TP."""
    return [
        (head, text_of(body))
        for head, body in re.findall(r"^\.TP\n(.*)\n((?:(?!\.(?:TP|SS|SH)).*\n)*)", text, re.MULTILINE)
    ]


def example(page):
    return re.search(r"\.nf\n(.*?)\n\.fi", section(page, "EXAMPLE"), re.DOTALL).group(1).replace(r"\-", "-") + "\n"


def run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout


def as_installed(text):
    """With the folders that the pages speak of, however this build was configured."""
    makefile = read(os.path.join(BUILD, "Makefile"))
    values = dict(re.findall(r"^(\w+) = (.*)$", makefile, re.MULTILINE))

    def folder(name):
        value = values[name]
        while found := re.search(r"\$\{(\w+)\}", value):
            value = value.replace(found.group(), values[found.group(1)])
        return value

    for name, installed in (
        ("sysconfdir", "/etc"),
        ("localstatedir", "/var"),
        ("datarootdir", "/usr/share"),
        ("libexecdir", "/usr/libexec"),
    ):
        text = text.replace(folder(name) + "/", installed + "/")
    return text


def test_options_of_the_daemon():
    """The help and the page name the same options with the same defaults."""
    printed = as_installed(run(os.path.join(BUILD, "lwa-brokerd"), "--help"))
    told = {}
    for names, text in re.findall(r"^  (--.*?)(?:  +(.*))?$", printed, re.MULTILINE):
        for name in names.split(", "):
            found = re.search(r"\((.*)\)$", text or "")
            told[name] = found.group(1) if found else None
    documented = {}
    for head, body in entries(section(read("broker/lwa-brokerd.8"), "OPTIONS")):
        found = re.search(r"\(default: ([^)]*)\)", body)
        documented[text_of(head)] = found.group(1) if found else None
    told = {name: value and value.removeprefix("the ") for name, value in told.items()}
    documented = {name: value and value.removeprefix("the ") for name, value in documented.items()}
    assert told == documented


def test_what_the_daemon_says_of_a_wrong_start():
    """The sentence tells what to mend, and names no line where it is about none."""
    daemon = os.path.join(BUILD, "lwa-brokerd")
    for arguments, told in (
        (["--user", "nosuchuser"], "there is no user nosuchuser: add one, or name another with --user"),
        (["--config", "/nonexistent.conf"], "/nonexistent.conf: the file cannot be used: there is no such file"),
        (
            ["--identd", "/nonexistent"],
            "/nonexistent cannot be run: No such file or directory; without it nobody can be identified",
        ),
    ):
        arguments = ["--identd", os.path.join(BUILD, "lwa-identd"), *arguments]
        done = subprocess.run([daemon, *arguments], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1 and done.stderr == f"<3>{told}\n"


def test_reasons_of_logins():
    """Programs tell them apart, so the interface lists them all, by outcome."""
    told = re.search(r"reason: (.*?)\. More", " ".join(read("dbus/org.lwabroker.Login1.Request.xml").split())).group(1)
    listed = {}
    for part in told.split("; "):
        outcome, names = re.fullmatch(r"of (\w+) (.*)", part).groups()
        listed[outcome] = set(names.split(", "))
    made = {}
    for name, outcome in re.findall(r'\{"([a-z-]+)",\s*"(\w+)",', read("broker/login-reason.c")):
        if outcome not in ("linked", "cancelled"):
            made.setdefault(outcome, set()).add(name)
    assert len(made["failed"]) > 20 and listed == made


def printed_keys(text):
    """{(section, key): (default, meaning)} of what --print-config prints."""
    keys, comments, current = {}, [], None
    for line in text.splitlines():
        if found := re.match(r"\[(\w+)\]$", line):
            current, comments = found.group(1), []
        elif found := re.match(r"#(\w+) =(?: (.*))?$", line):
            keys[current, found.group(1)] = (found.group(2) or "", " ".join(comments))
            comments = []
        elif line.startswith("# "):
            comments.append(line[2:])
        else:
            comments = []
    return keys


def test_keys_of_the_configuration():
    """The page has every key in the program's order, with its default, its meaning and its bounds."""
    printed = printed_keys(as_installed(run(os.path.join(BUILD, "lwa-brokerd"), "--print-config")))
    documented = {}
    parts = re.split(r"^\.SS \[(\w+)\]\n", section(read("broker/lwa-broker.conf.5"), "KEYS"), flags=re.MULTILINE)
    for name, text in zip(parts[1::2], parts[2::2]):
        for head, body in entries(text):
            key, default = re.fullmatch(r"(\w+) \((.*)\)", text_of(head)).groups()
            documented[name, key] = ("" if default in ("none", "the region's") else default, body)
    assert list(documented) == list(printed)
    wrong = {key: (printed[key], documented[key]) for key in printed if printed[key] != documented[key]}
    assert not wrong


def test_a_part_of_the_configuration_can_be_printed():
    """A section, or one key with or without its section: all that is printed of it otherwise."""
    daemon = os.path.join(BUILD, "lwa-brokerd")
    printed = printed_keys(run(daemon, "--print-config"))
    for section, key in printed:
        for name in (key, f"{section}.{key}"):
            assert printed_keys(run(daemon, f"--print-config={name}")) == {(section, key): printed[section, key]}
        part = {where: text for where, text in printed.items() if where[0] == section}
        assert printed_keys(run(daemon, f"--print-config={section}")) == part
    for wrong, nearest in (("app_brst", '"app_burst" in [limits]'), ("token.min_valide", '"min_valid" in [tokens]'), ("", "")):
        done = subprocess.run([daemon, f"--print-config={wrong}"], capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (2, "") and nearest in done.stderr


def completed(*words):
    script = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; _lwa_brokerd; printf "%s\\n" "${COMPREPLY[@]}"'
    return run("bash", "-c", script, os.path.join(BUILD, "broker/completion/bash/lwa-brokerd"), "lwa-brokerd", *words).split()


def test_completion_has_options_and_keys():
    """Of both shells: those of the help, and those of the configuration, in their order."""
    printed = run(os.path.join(BUILD, "lwa-brokerd"), "--print-config")
    keys = re.findall(r"^(?:\[|#)([a-z_]+)(?:\]$| =)", printed, re.MULTILINE)
    assert len(keys) > 50 and set(keys) == {word for pair in printed_keys(printed) for word in pair}
    options = re.findall(r"--[a-z-]+", run(os.path.join(BUILD, "lwa-brokerd"), "--help"))
    assert [word.rstrip("=") for word in completed("")] == options and len(options) > 7
    assert completed("--print-config=") == keys and completed("--print-config=app_b") == ["app_burst"]
    assert completed("--user", "") == [] and "/" in "".join(completed("--config", "/"))
    script = 'compadd() { shift; print -- KEYS $@ }; _arguments() { print -rl -- $@; _lwa_brokerd_keys }; source $0'
    told = run("zsh", "-f", "-c", script, os.path.join(BUILD, "broker/completion/zsh/_lwa-brokerd")).splitlines()
    assert told[-1].split() == ["KEYS", *keys]
    assert [re.match(r"--[a-z-]+", line).group() for line in told if line.startswith("--")] == options


def test_printed_configuration_is_good(world):
    """It is accepted as it is printed, and with every default written out."""
    printed = run(os.path.join(BUILD, "lwa-brokerd"), "--print-config")
    ours = read(world.config_path)
    for text in (printed, re.sub(r"^#(\w+ = )", r"\1", printed, flags=re.MULTILINE)):
        world.broker.stop()
        world.write("conf/broker.conf", text)
        world.write("conf/broker.conf.d/world.conf", ours)
        world.broker.start()
        assert world.run_as("alice", ["lwactl", "status"]).returncode == 0


def test_example_of_the_configuration(world):
    """The page's example is taken without a complaint."""
    world.write("conf/broker.conf.d/world.conf", read(world.config_path))
    world.write("conf/broker.conf", example(read("broker/lwa-broker.conf.5")))
    before = len(world.broker.log().splitlines())
    world.reload()
    told = wait_until(lambda: world.broker.log().splitlines()[before:], 5 * world.slowness, "the broker to tell")
    assert "configuration re-read" in told[-1]


def problems(world):
    world.reload()
    status = world.root().call("org.lwabroker.Status1", "Get")
    return status["table_sections"], status["problems"]


def test_example_of_the_table(world):
    world.write_grants("example", example(read("policy/lwa-broker-grants.5")))
    assert problems(world) == (4, [])


def test_keys_and_identities_of_the_table(world):
    """What the broker knows is what the page names."""
    page = read("policy/lwa-broker-grants.5")
    heads = [text_of(head) for head, _ in entries(section(page, "DESCRIPTION"))]
    known = re.findall(r'^    \{"(\w+)", take_\w+, FORM_', read("policy/table-read.c"), re.M)
    assert len(known) > 5 and set(known) == {head for head in heads if ":" not in head}

    world.write_grants("wrong", "[exe:/usr/bin/player]\nallow = profile\n")
    (complaint,) = problems(world)[1]
    kinds = set(re.findall(r"(\w+):(?=[A-Z])", complaint.split("an app: ")[1]))
    assert kinds | {"exe"} == {found for head in heads for found in re.findall(r"(\w+):", head)}


# --- the trail ---

TRAIL = "broker/lwa-broker-audit.5"


def heads(page, name):
    return [re.sub(r"^\.B ", "", head).replace(r"\-", "-") for head, _ in entries(section(page, name))]


def test_fields_of_the_trail(world):
    """Those of a record on the bus, of lwactl, and of the journal."""
    settle(world)
    link(world, "alice", [LIBRARY])
    take(world.client("alice"))
    found, _ = world.client("root").call("org.lwabroker.Audit1", "Query", "a{sv}tu", ({}, 0, 1000))
    fields = heads(read(TRAIL), "FIELDS")
    assert len(set(fields)) == len(fields) and set(fields) == set().union(*found)
    for record in found:
        assert set(fields) - set(record) <= {"uid", "owner_uid"}
    sent = re.findall(r'"([A-Z_]+)", ', read("broker/sink-format.c"))
    assert len(sent) > 20
    forwarding = section(read(TRAIL), "FORWARDING")
    listed = dict(re.findall(r"LWA_([A-Z_]+) +([a-z_]+)", forwarding))
    assert sorted(listed) == sorted(sent)
    assert set(listed.values()) == set(fields) - {"repeats", "repeats_epoch", "repeats_seal"}


def test_events_of_the_trail():
    names = re.findall(r'\[AUDIT_\w+\] = "([a-z-]+)"', read("dbus/audit-names.c"))
    assert len(names) > 25 and heads(read(TRAIL), "EVENTS") == names


def test_hashes_are_made_as_the_page_says(world):
    """From the page alone: the order of the fields, and each purpose by its name."""
    page = read(TRAIL).replace(r"\-", "-")
    parts = re.search(r"^    text    \"(lwa.*?)\n\n\.fi", page, re.MULTILINE | re.DOTALL).group(1).splitlines()
    title = parts[0].rstrip('"')
    order = [(line.split()[0], re.sub("[,;].*", "", line.split(None, 1)[1])) for line in parts[1:] if line.split()[0] in ("number", "text")]
    texts = re.search(r"texts   (.*)", "\n".join(parts), re.DOTALL).group(1).split()
    purposes = re.findall(r'"(lwa audit [^"]*)"', page)
    assert sorted(purposes) == sorted(re.findall(r'"(lwa audit .*?)"', read("broker/audit-chain.c")))
    assert all(len(purpose) == 16 for purpose in purposes) and len(order) == 11 and len(texts) == 14

    settle(world)
    link(world, "alice", [LIBRARY])
    take(world.client("alice"))
    columns = {"time": "time_sec", "boot_time": "boot_usec", "grant": "grant_row", "expires_at": "expires_sec", "token": "fingerprint"}
    names = ["hash", *(name for _, name in order), *texts]
    found = rows(world, f"SELECT {', '.join(columns.get(name, name) for name in names)} FROM audit ORDER BY sequence")
    previous = bytes(32)

    def number(value):
        return (2**64 - 1 if value is None else value).to_bytes(8, "little")

    def text(value):
        value = value.encode() if isinstance(value, str) else value or b""
        return number(len(value)) + value

    assert len(found) > 8
    for row in found:
        record = dict(zip(names, row, strict=True))
        encoded = text(title)
        for kind, name in order:
            encoded += (number if kind == "number" else text)(record[name])
        encoded += b"".join(text(record[name]) for name in texts)
        previous = hashlib.blake2b(previous + encoded, digest_size=32, person=b"lwa audit record").digest()
        assert previous == record["hash"], record


def test_pages_name_the_page_of_the_trail():
    for page in ("broker/lwa-broker.conf.5", "broker/lwa-brokerd.8", "client/lwactl/lwactl.1", "policy/lwa-broker-grants.5"):
        assert ".BR lwa-broker-audit (5)" in section(read(page), "SEE ALSO"), page
    assert TRAIL in read("Makefile.am") and "lwa-broker-audit" in read("SECURITY.md")
