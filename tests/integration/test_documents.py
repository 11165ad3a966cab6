# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the documents and manual pages name is there, and their numbers are those of the code."""

import fnmatch
import os
import re
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.environ["LWA_SRC_DIR"], "tests/tree"))
from tree import LAYERS, TREE, code, files, read, sources

DOCUMENTS = ["ARCHITECTURE.md", "CONTRIBUTING.md", "NEWS.md", "README.md", "SECURITY.md"]
PAGES = files(".1", ".3", ".5", ".8")
BUILD = os.path.join(TREE, os.environ["LWA_BUILD"])
FOLDERS = (*LAYERS, "tests", "debian")
# Pages of others that ours point at.
FOREIGN_PAGES = {"polkit(8)", "xdg-open(1)", "curl(1)", "poll(2)", "systemd.unit(5)", "systemd.exec(5)", "journalctl(1)", "pread(2)"}


def run(*argv):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=True).stdout


def prose(name):
    """Without the blocks, which have tests of their own."""
    return re.sub(r"^```.*?^```$", "", read(name), flags=re.MULTILINE | re.DOTALL)


def quoted(name):
    return re.findall(r"`([^`\n]+)`", prose(name))


def paths(text):
    found = re.findall(rf"`((?:{'|'.join(FOLDERS)})/[^`\s]*)`", text)
    return [path for path in found if "NAME" not in path]


# --- files and functions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_is_pointed_at_is_there(name):
    """Links, with their anchors, and paths."""
    text = prose(name)
    links = re.findall(r"\]\((?!http)([^)#]*)(?:#([^)]*))?\)", text)
    wanted = [path for path, _ in links if path] + paths(text) + re.findall(r"man -l ([\w./-]+)", text)
    there = {path for path in files()}
    missing = [path for path in wanted if not os.path.exists(os.path.join(TREE, path)) and not fnmatch.filter(there, path)]
    assert (wanted or name in ("NEWS.md", "SECURITY.md")) and not missing
    for path, anchor in links:
        heads = re.findall(r"^#+ (.*)$", prose(path or name), re.MULTILINE) if anchor else []
        heads = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
        assert not anchor or anchor in heads, (path, anchor)


def defined(path):
    """The functions and structs that a file defines or, a header, declares; of a test file its tests."""
    text = read(path)
    if path.endswith(".py"):
        return set(re.findall(r"^def (\w+)\(", text, re.MULTILINE))
    return set(re.findall(r"^(?!#|\s)[\w \*]*?\b(\w+)\([^;]*?\)\n\{", code(path), re.MULTILINE | re.DOTALL))


def test_functions_are_where_the_architecture_says():
    """Each is defined in one of the files that its paragraph, or its step, names."""
    places = re.split(r"\n\n|\n(?=[0-9]+\. |- )", prose("ARCHITECTURE.md"))
    wrong, n = [], 0
    for place in places:
        named = {path for path in paths(place) if path.endswith((".c", ".py"))}
        there = set().union(*(defined(path) for path in named if os.path.exists(os.path.join(TREE, path))))
        functions = re.findall(r"`(\w+)\(\)`", place)
        n += len(functions)
        wrong += [(function, sorted(named)) for function in functions if function not in there]
    assert n > 50 and not wrong


def test_maps_name_every_folder():
    """That of the layers every folder with sources, that of the tests every folder with tests."""
    rows = set(re.findall(r"^\| `([\w/]+)/` \|", read("ARCHITECTURE.md"), re.MULTILINE))
    folders = {os.path.dirname(path) for path in sources()}
    assert {folder for folder in folders if folder not in rows} <= {"client/examples"} and rows <= folders
    rows = set(re.findall(r"^\| `(tests/\w+)/` \|", read("CONTRIBUTING.md"), re.MULTILINE))
    assert rows == {"/".join(path.split("/")[:2]) for path in files(under="tests") if path.count("/") > 1}
    rows = set(re.findall(r"^\| `(\w+)/` \|", read("CONTRIBUTING.md"), re.MULTILINE))
    rows |= {row.split("/")[0] for row in re.findall(r"^\| `(\w+/\w+)/` \|", read("CONTRIBUTING.md"), re.MULTILINE)}
    assert rows == {path.split("/")[0] for path in files() if "/" in path and path[0] != "."}


def test_the_map_of_the_layers_is_what_is_tested():
    arrows = dict(re.findall(r'^    "(\w+)": \{(.*)\},$', read("tests/tree/test_tree.py"), re.MULTILINE))
    rows = re.findall(r"^\| `(\w+)/(?:\w+/)?` \|[^|]*\|([^|]*)\|", read("ARCHITECTURE.md"), re.MULTILINE)
    assert {folder for folder, _ in rows} == set(LAYERS)
    for folder, told in rows:
        assert set(re.findall(r"`(\w+)/`", told)) == set(re.findall(r'"(\w+)"', arrows[folder])) - {folder}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_words_of_the_code_are_in_the_code(name):
    """Keys, options, errors, methods: a word between ` ` that looks like one stands in a source, too."""
    looks = re.compile(r"[a-z]+(?:_[a-z0-9]+)+|[A-Z][a-z]+[A-Z]\w+|--[a-z][a-z-]+|LIMIT_\w+")
    text = "".join(read(path) for path in files(".c", ".h", ".xml", ".rules", ".in", ".am", ".ac", ".py", ".conf") + ["dev"])
    words = {word for piece in quoted(name) if "/" not in piece for word in looks.findall(piece)}
    foreign = {"--system-talk-name", "--bind", "user_allow_other", "ptrace_scope"}
    assert not {word for word in words - foreign if word not in text}


# --- commands ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def helped():
    """{command: its help}"""
    lwactl = os.path.join(BUILD, "lwactl")
    names = re.findall(r"^  ([a-z]+) +[A-Z]", run(lwactl, "help").split("Options:")[0], re.MULTILINE)
    return {name: run(lwactl, "help", name) if name != "help" else "" for name in names}


@pytest.mark.parametrize("name", DOCUMENTS + PAGES)
def test_commands_exist(name, helped):
    """Each `lwactl COMMAND [VERB]`, and the options behind it."""
    text = re.sub(r"\\f[BIR]", "", read(name)).replace("\\-", "-") if name in PAGES else read(name)
    told = re.findall(r'(?:^|[`"(|]|\bB |\bBR ")(?:sudo )?lwactl ([a-z]+)((?:[ =][\w:.@/-]+)*)', text, re.MULTILINE)
    for command, rest in told:
        assert command in helped, command
        for option in re.findall(r"(?<!\S)--[a-z-]+", rest):
            assert option in helped[command] + "--version", (command, option)
        verbs = set(re.findall(rf"lwactl {command} \[?([a-z][a-z-]*)", helped[command]))
        first = rest.split()[0] if rest.split() else ""
        assert not verbs or not re.fullmatch("[a-z]+(-[a-z]+)?", first) or first in verbs, (command, first)


# --- pages -------------------------------------------------------------------------------------------------


def titles():
    return {os.path.basename(path)[:-2] + f"({path[-1]})": path for path in PAGES}


def references(path):
    text = read(path).replace("\\-", "-")
    return {f"{name}({number})" for name, number in re.findall(r"^\.BR ([\w.-]+) \((\d)\)", text, re.MULTILINE)}


@pytest.mark.parametrize("path", PAGES)
def test_pages_point_at_pages(path):
    """All that a page names is there; the list at its end is in order, and is not of itself."""
    own = os.path.basename(path)[:-2] + f"({path[-1]})"
    assert not references(path) - set(titles()) - FOREIGN_PAGES
    listed = re.findall(r"^\.BR ([\w.-]+) \((\d)\)", read(path).replace("\\-", "-").split(".SH SEE ALSO")[1], re.MULTILINE)
    assert listed and own not in {f"{name}({number})" for name, number in listed}
    assert listed == sorted(listed, key=lambda entry: (entry[1], re.sub(r"\W", "", entry[0])))


def test_every_page_is_pointed_at():
    told = set().union(*(references(path) - {title} for title, path in titles().items()))
    assert set(titles()) <= told


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_name_pages(name):
    named = set(re.findall(r"\b((?:lwa|lwactl)[\w.-]*\(\d\))", read(name)))
    assert not named - set(titles())


MANUALS = {
    "1": "General Commands Manual",
    "3": "Library Functions Manual",
    "5": "File Formats Manual",
    "8": "System Manager's Manual",
}


@pytest.mark.parametrize("path", PAGES)
def test_pages_say_what_they_are_of(path):
    """Their name in capitals, their section, no date, and the manual of that section."""
    name, section = os.path.basename(path)[:-2].upper(), path[-1]
    head = re.search(r"^\.TH .*", read(path), re.MULTILINE).group().replace("\\-", "-").replace('"lwa-broker"', "lwa-broker")
    assert head == f'.TH {name} {section} "" lwa-broker "{MANUALS[section]}"'


@pytest.mark.parametrize("path", PAGES)
def test_pages_have_no_fault(path):
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", os.path.join(TREE, path)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )
    assert done.returncode == 0 and done.stderr == ""


# --- numbers -----------------------------------------------------------------------------------------------


def number(name, path="broker/limits.h"):
    """A macro's value; of a key of the configuration the default."""
    found = (
        re.search(rf"#define {name} \(?(\d+)", read(path))
        or re.search(rf"X\({name}, (\d+),", read(path))
        or re.search(rf'"{name}", KIND_\w+, [^"]*"(\d+)"', read("broker/config-keys.c"), re.DOTALL)
    )
    return int(found.group(1))


MIB = 2**20
WORDS = {word: value for value, word in enumerate("one two three four five six seven eight nine ten".split(), 1)}

LWACTL = "client/lwactl/lwactl.1"
GRANTS = "policy/lwa-broker-grants.5"
TRAIL = "broker/lwa-broker-audit.5"

# (document, the words around a number, what it is made of in the code)
NUMBERS = [
    ("SECURITY.md", r"one of `lwa-identd`'s (\d+) places", lambda: number("LIMIT_IDENTD_CHILDREN")),
    ("SECURITY.md", r"one uid has (\w+) at most", lambda: number("LIMIT_IDENTD_PER_UID")),
    ("SECURITY.md", r"the current epoch \((\d+) minutes", lambda: number("epoch_seconds") / 60),
    ("SECURITY.md", r"default bound of (\d+) MB", lambda: number("max_megabytes")),
    ("SECURITY.md", r"some (\w+) a second with the default limits", lambda: number("app_rate") / number("COST_LOGIN")),
    ("SECURITY.md", r"\((\d+) MiB at once", lambda: round(number("app_burst") * number("COST_REPLY_BYTES") / MIB)),
    ("SECURITY.md", r"then ([\d.]+) MiB a second", lambda: round(number("app_rate") * number("COST_REPLY_BYTES") / MIB, 1)),
    (LWACTL, r"wait on this port, (\d+) to", lambda: number("PORT_MIN", "client/lwactl/cmd-login.c")),
    (LWACTL, r"wait on this port, \d+ to (\d+)", lambda: number("PORT_MAX", "client/lwactl/cmd-login.c")),
    (LWACTL, r"After (\w+) lines that are no answer", lambda: number("TRIES", "client/lwactl/answers.c")),
    (LWACTL, r"Good for N days, 1 to (\d+)", lambda: number("DAYS_MAX", "client/lwactl/cmd-consent.c")),
    (LWACTL, r"newest N records, 1 to (\d+)", lambda: number("AUDIT_PAGE_MAX", "client/lwactl/audit-query.h")),
    (LWACTL, r"1 to 1000\. The default is (\d+)", lambda: number("LAST_DEFAULT", "client/lwactl/audit-list.c")),
    (LWACTL, r"its newest records, (\d+) if not", lambda: number("RECORDS_DEFAULT", "client/lwactl/audit-app.c")),
    (LWACTL, r"each list has its newest (\d+) at most", lambda: number("AUDIT_STORY_MAX", "client/lwactl/audit-story.h")),
    (LWACTL, r"by default in (\d+) days", lambda: number("DAYS_DEFAULT", "client/lwactl/audit-matrix.c")),
    (LWACTL, r"the default is (\d+) days\) and", lambda: number("DAYS_DEFAULT", "client/lwactl/audit-report.c")),
    (LWACTL, r"JSON, up to (\d+) KB", lambda: 8 * number("TOKEN_INPUT_BYTES_MAX", "client/lwactl/token-input.h") / 1024),
    (GRANTS, r"At most (\d+) bytes", lambda: number("DESCRIPTION_BYTES_MAX", "policy/table-read.c")),
    (TRAIL, r"At most (\d+) of one reading", lambda: number("LIMIT_REJECTED_RECORDED")),
    (TRAIL, r"longer than (\d+) bytes", lambda: number("LINE_BYTES_MAX", "broker/sink-syslog.c")),
]


@pytest.mark.parametrize(("document", "pattern", "value"), NUMBERS)
def test_numbers_are_those_of_the_code(document, pattern, value):
    text = re.sub(r"^\.[A-Z]+ ", "", read(document), flags=re.MULTILINE)
    found = re.search(pattern, " ".join(text.split()))
    assert found, "the document says it in other words"
    assert float(WORDS.get(found.group(1), found.group(1))) == value()


def test_states_of_a_login():
    """What `lwactl status` can show is what its page explains, each state and each reason."""
    page = read(LWACTL).split(".SS lwactl status")[1].split(".SS ")[0].replace("\\-", "-")
    states, reasons = page.split("What a login waits for is")
    words = r"^\.BR? ([a-z][a-z-]+)"
    name = re.search(r"^const char \*renewal_state_name\(.*?^}", read("broker/renewal.c"), re.MULTILINE | re.DOTALL).group()
    made = set(re.findall(r'"([a-z]+)"', name))
    assert len(made) == 8 and set(re.findall(words, states.split("The states are")[1], re.MULTILINE)) == made
    made = set(re.findall(r'\[TROUBLE_\w+\] =\s*\{\s*"([a-z-]+)"', read("broker/trouble.c")))
    assert len(made) > 10 and set(re.findall(words, reasons, re.MULTILINE)) == made


def test_flows_of_a_login_are_told_everywhere():
    """Those that the broker has are its Features, and stand where a flow is to be named."""
    table = re.search(r"\bflows\[\] = \{(.*?)\}", read("broker/login.c"), re.DOTALL).group(1)
    made = set()
    for symbol in re.findall(r"&(\w+)", table):
        (text,) = (read(path) for path in sources("broker") if f"struct login_flow {symbol} = {{" in read(path))
        made.add(re.search(rf'{symbol} = {{\s*\.name = "([a-z-]+)"', text).group(1))
    assert len(made) > 2 and set(re.findall(r'"flow:([a-z-]+)"', read("broker/broker1.c"))) == made
    for path in ("broker/login1.c", "dbus/org.lwabroker.Login1.xml", "policy/50-lwa-broker.rules", "client/library/lwa-client.h"):
        assert not {name for name in made if not re.search(rf"\b{name}\b", read(path))}, path


def test_kinds_of_apps_are_told_everywhere():
    """Those that can be named are shut by a malformed file, and stand where a name is asked for."""
    kinds = set(re.findall(r'\{"([a-z]+:)", \w+, SUBJECT_', read("policy/app-name.c")))
    shut = re.search(r"kinds\[\] = \{(.*?)\}", read("policy/table-shut.c")).group(1)
    assert len(kinds) > 4 and set(re.findall(r'"([a-z]+:)"', shut)) == kinds
    for path in ("policy/table-read.c", "broker/policy1.c", GRANTS):
        text = re.sub(r"\\f[BIR]", "", read(path))
        assert not {kind for kind in kinds if not re.search(rf"\b{kind}[A-Z]", text)}, path
    names = set(re.findall(r'\[SUBJECT_\w+\] = "(\w+)"', read("policy/subject.c"))) - {"unknown"}
    told = re.search(r"What names it: (.*?)\.$", read(TRAIL), re.MULTILINE).group(1)
    assert set(re.findall(r"[a-z]+", told)) - {"or"} == names


# --- the tarball -------------------------------------------------------------------------------------------


def test_top_level_is_packed():
    """What stands beside the folders; tests/tree has a test for what is in them."""
    listed = run("make", "-s", "-C", BUILD, "list-dist").split()
    there = {name for name in os.listdir(TREE) if os.path.isfile(os.path.join(TREE, name))}
    kept = {name for name in there if name.endswith((".md", ".am", ".ac")) or name in ("dev", "LICENSE")}
    assert len(kept) > 7 and kept <= {os.path.normpath(name).removeprefix("../") for name in listed}


def test_documents_are_packed_and_installed():
    makefile = read("Makefile.am")
    installed = re.search(r"^dist_doc_DATA = (.*(?:\\\n.*)*)", makefile, re.MULTILINE).group(1).split()
    assert set(DOCUMENTS) <= set(installed)
    assert set(PAGES) <= set(re.findall(r"\S+\.[1358]\b", makefile))
