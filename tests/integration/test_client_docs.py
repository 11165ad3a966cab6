# SPDX-License-Identifier: LGPL-2.1-or-later
"""The library's header, its manual pages, its symbols and its installation say the same."""

import os
import re
import subprocess

import pytest

from logins import link_device, settle

SRC = os.environ["LWA_SRC_DIR"]
BUILD = os.path.join(SRC, os.environ.get("LWA_BUILD", "build"))
LIBRARY = os.path.join(SRC, "client/library")
HEADER = os.path.join(LIBRARY, "lwa-client.h")
# A page that is not of the header's functions.
OVERVIEW = "lwa-client"
WITHOUT_FUNCTIONS = (OVERVIEW, "lwa-client-curl")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def page(name):
    return read(os.path.join(LIBRARY, name + ".3")).replace(r"\-", "-")


def pages():
    return sorted(name.removesuffix(".3") for name in os.listdir(LIBRARY) if name.endswith(".3"))


def run(*argv, **options):
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True, **options).stdout


def name_of(declaration):
    return re.search(r"(\w+)\)?\(", declaration).group(1)


def declarations(text):
    """The functions, and the types of functions, of a piece of C, each in one line."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"^#.*(\\\n.*)*$", "", text, flags=re.MULTILINE).replace("LWA_MUST_CHECK", "").replace('extern "C" {', "")
    found = (" ".join(part.split()).replace(" )", ")") for part in text.split(";"))
    return [part for part in found if "(" in part]


def header_sections():
    """{name of the page: declarations}, as the header's own heads divide it; what is before them is the handle's."""
    parts = re.split(r"/\* --- .*: (\S+)\(3\) -+ \*/", read(HEADER))
    found = {name: declarations(text) for name, text in zip(parts[1::2], parts[2::2])}
    found["lwa_client_new"] = declarations(parts[0]) + found["lwa_client_new"]
    return found


def functions():
    return sorted(name_of(d) for section in header_sections().values() for d in section if not d.startswith("typedef"))


def section(text, name):
    return re.search(rf"^\.SH {name}\n(.*?)(?=^\.SH |\Z)", text, re.MULTILINE | re.DOTALL).group(1)


def synopsis(name):
    lines = re.findall(r"^\.BI? (.*)$", section(page(name), "SYNOPSIS"), re.MULTILINE)
    # In .BI the words alternate between bold and italic, with nothing between them.
    text = " ".join("".join(re.findall(r'"([^"]*)"|(\S+)', line) and [a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', line)]) for line in lines if "#include" not in line)
    return declarations(text)


def named(name):
    """The names before the dash of a page's NAME."""
    return re.findall(r"[\w-]+", section(page(name), "NAME").split("\n- ")[0])


def test_the_header_is_divided_as_the_pages_are():
    found = header_sections()
    assert set(found) == set(pages()) - set(WITHOUT_FUNCTIONS)
    assert len(functions()) == len(set(functions())) > 60


@pytest.mark.parametrize("name", sorted(header_sections()))
def test_pages_have_the_prototypes_of_the_header(name):
    assert synopsis(name) == header_sections()[name]
    declared = [name_of(d) for d in header_sections()[name] if not d.startswith("typedef")]
    assert sorted(named(name)) == sorted(declared)
    told = section(page(name), "DESCRIPTION")
    missing = [function for function in declared if rf"\fB{function}\fR(" not in told]
    assert not missing, "the description says nothing of them"


def test_the_page_of_the_inline_functions():
    header = " ".join(read(os.path.join(LIBRARY, "lwa-client-curl.h")).split())
    declared = synopsis("lwa-client-curl")
    missing = [text for text in declared if f"LWA_CURL_INLINE {text} {{" not in header]
    assert not missing and named("lwa-client-curl")[1:] == [name_of(text) for text in declared]
    members = set(re.findall(r"\b(\w+)(?:\)\(.*?\))?;", re.sub(r"/\*.*?\*/", "", re.search(r"struct lwa_curl \{(.*?)/\* Inside", header).group(1))))
    told = section(page("lwa-client-curl"), "DESCRIPTION")
    assert len(members) == 6 and not [name for name in members if not re.search(rf"\\fI[^\n]*\b{name}\b", told)]


@pytest.mark.parametrize("name", pages())
def test_pages_point_at_functions_that_are_there(name):
    text = page(name)
    pointed = set(re.findall(r"\\fB(lwa[\w-]*)\\fR\(3\)|^\.BR (lwa[\w-]*) \(3\)", text, re.MULTILINE))
    pointed = {a or b for a, b in pointed}
    assert pointed and not pointed - set(functions()) - set(pages())
    called = set(re.findall(r"\b(lwa_\w+)\(", text)) - {name_of(d) for ds in header_sections().values() for d in ds}
    own = set(named(name)) | set(re.findall(r"\b(lwa_\w+)\(", section(text, "SYNOPSIS")))
    assert not called - own, "no such function"


def test_the_overview_names_all_pages():
    listed = re.findall(r"^\.TP\n\\fB(lwa[\w-]*)\\fR\(3\)", page(OVERVIEW), re.MULTILINE)
    assert sorted([*listed, OVERVIEW]) == pages()


def test_the_errors_of_the_page():
    """The header's list of errno and error is the page's."""
    comment = re.search(r"/\* The negative errno: (.*?)\*/", read(HEADER), re.DOTALL).group(1)
    words = re.findall(r"(-E[A-Z]+) ((?:[A-Z][a-z]+)+)(?: and ((?:[A-Z][a-z]+)+))?", " ".join(comment.replace(" * ", " ").split()))
    told = {(code, name) for code, *names in words for name in names if name}
    comment = re.search(r'"org.lwabroker.Client.Error." and a word: (.*?)\.', " ".join(read(HEADER).split())).group(1)
    own = set(comment.replace("* ", "").split(", "))
    errors = section(page("lwa_error"), "ERRORS")
    found = set()
    for head in re.findall(r"^\.TP\n(.*)$", errors, re.MULTILINE):
        codes, names = re.findall(r"-E[A-Z]+", head), re.findall(r"(?<![A-Z-])(?:[A-Z][a-z]+)+", head.replace(r"\fB", "").replace(r"\fR", ""))
        found |= {(codes[0], name) for name in names}
    assert len(told) > 12 and told <= found
    assert {name for _, name in found - told} == own
    # And of the code, where each error has a row.
    rows = re.findall(r"\[(OWN|BUS_E)_(\w+)\] =\s*\{(-E\w+), (?:NULL|OWN_PREFIX \"(\w+)\")", read(os.path.join(LIBRARY, "error.c")))
    assert {(code, name or words.title().replace("_", "")) for _, words, code, name in rows} == found


# --- the header and the library ---


def test_symbols_of_the_library():
    """Who removes one breaks what is installed: then LIBRARY_VERSION and the package's name change, too."""
    golden = read(os.path.join(LIBRARY, "symbols.txt")).splitlines()
    shared = os.path.join(BUILD, ".libs/liblwa-client.so")
    exported = re.findall(r" [TDBRV] (lwa\w+)@@(\S+)$", run("nm", "-D", "--defined-only", "--with-symbol-versions", shared), re.MULTILINE)
    everything = run("nm", "-D", "--defined-only", shared).split("\n")
    assert sorted(f"{name} {version}" for name, version in exported) == golden == sorted(golden)
    assert [line.split()[0] for line in golden] == functions()
    others = [line for line in everything if line and not re.search(r" [TA] (lwa_|LWA_CLIENT_)", line)]
    assert not others


COMPILERS = {
    "gcc": ["gcc", "-std=c89"],
    "clang": ["clang", "-std=c89"],
    "g++": ["g++", "-std=c++98", "-x", "c++"],
    "clang++": ["clang++", "-std=c++98", "-x", "c++"],
    "gcc-c17": ["gcc", "-std=c17"],
    "g++-20": ["g++", "-std=c++20", "-x", "c++"],
}


@pytest.mark.parametrize("compiler", sorted(COMPILERS))
def test_the_header_is_c89_and_cxx(compiler, tmp_path):
    """Alone, twice, and with every warning."""
    source = tmp_path / "alone.c"
    source.write_text('#include "lwa-client.h"\n#include "lwa-client.h"\nint main(void) { return lwa_client_version() == 0; }\n')
    strict = ["-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-Wundef", "-I", LIBRARY]
    done = subprocess.run([*COMPILERS[compiler], *strict, "-c", source, "-o", tmp_path / "alone.o"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def needed(path):
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "-d", path)))


def test_what_the_library_needs():
    sanitizers = {"libasan.so.8", "libubsan.so.1"} if os.environ.get("LWA_SANITIZE") else set()
    shared = os.path.join(BUILD, ".libs/liblwa-client.so")
    assert needed(shared) - sanitizers == {"libdbus-1.so.3", "libc.so.6"}


def test_the_name_of_the_library_follows_the_rule():
    """current:revision:age of libtool: the name's number is current - age. The rule is written where it is kept, and
    where one looks for rules."""
    makefile = read(os.path.join(SRC, "Makefile.am"))
    comment, current, age = re.search(r"((?:^#.*\n)+)LIBRARY_VERSION = (\d+):\d+:(\d+)$", makefile, re.MULTILINE).groups()
    soname = re.search(r"\(SONAME\).*\[(.*)\]", run("readelf", "-d", os.path.join(BUILD, ".libs/liblwa-client.so"))).group(1)
    assert soname == f"liblwa-client.so.{int(current) - int(age)}"
    contributing = read(os.path.join(SRC, "CONTRIBUTING.md"))
    assert "current:revision:age" in comment and "LIBRARY_VERSION" in contributing and "symbols.txt" in contributing


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """What `make install` puts into a folder of its own, and the environment in which pkg-config finds it there."""
    root = tmp_path_factory.mktemp("installed")
    run("make", "-s", "-C", BUILD, "install-data", "install-libLTLIBRARIES", f"DESTDIR={root}")
    (pc,) = root.rglob("lwa-client.pc")
    env = {**os.environ, "PKG_CONFIG_PATH": str(pc.parent), "PKG_CONFIG_SYSROOT_DIR": str(root)}
    return root, env


APP = r"""
#include <lwa-client.h>
#include <stdio.h>

int main(void)
{
    struct lwa_client *client;
    struct lwa_verdicts *verdicts;
    if (lwa_client_new(&client) < 0)
        return 1;
    if (lwa_client_check_scopes(client, "profile", NULL, &verdicts) < 0) {
        fprintf(stderr, "%s\n", lwa_error_get_message(lwa_client_get_error(client)));
        return 2;
    }
    printf("%d.%d.%d %s %s\n", LWA_CLIENT_VERSION_MAJOR, LWA_CLIENT_VERSION_MINOR, LWA_CLIENT_VERSION_PATCH,
           lwa_client_version(), lwa_verdicts_find(verdicts, "profile"));
    lwa_verdicts_free(verdicts);
    lwa_client_free(client);
    return 0;
}
"""


def compiled(world, installed, text):
    """A function that runs the program as a user, with what is installed alone."""
    root, env = installed
    source, program = world.write("app.c", text), world.path("app")
    flags = run("pkg-config", "--cflags", "--libs", "lwa-client", env=env).split()
    assert any(flag.startswith(f"-I{root}") for flag in flags) and "-llwa-client" in flags
    sanitizers = ["-fsanitize=address,undefined"] if os.environ.get("LWA_SANITIZE") else []
    run("gcc", "-Wall", "-Wextra", "-Werror", source, "-o", program, *flags, *sanitizers)
    # The folder of pytest's is root's alone.
    (library,) = root.rglob("liblwa-client.so.0")
    copy = world.write("liblwa-client.so.0", library.read_bytes(), mode=0o755)
    env = {"LD_LIBRARY_PATH": os.path.dirname(copy)}
    if sanitizers:
        env["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"
    return lambda user: world.run_as(user, [program], env=env)


def test_a_program_outside_of_the_tree(world, installed):
    """Compiled with what is installed alone, it runs; and all versions are one."""
    app = compiled(world, installed, APP)
    world.write_grants("app", "[user:alice]\nallow = profile\n")
    world.reload()
    done = app("alice")
    version = re.search(r"AC_INIT\(\[lwa-broker\], \[(.*?)\]\)", read(os.path.join(SRC, "configure.ac"))).group(1)
    assert done.stdout == f"{version} {version} login-required\n", done.stderr
    assert run("pkg-config", "--modversion", "lwa-client", env=installed[1]) == version + "\n"


OF_THE_README = r"""
#include <lwa-client.h>
#include <stdio.h>

static void send_request(const char *authorization, const char *api_key)
{
    printf("%%.22s... %%s\n", authorization, api_key);
}

int main(void)
{
%s
lwa_token_unref(token);
lwa_client_free(client);
return 0;
}
"""


def test_the_lines_of_the_readme(world, installed):
    """The first that a developer sees is a program, and says what is wrong."""
    (lines,) = re.findall(r"^```c\n(.*?)^```$", read(os.path.join(SRC, "README.md")), re.MULTILINE | re.DOTALL)
    assert len(lines.splitlines()) < 10
    app = compiled(world, installed, OF_THE_README % lines)
    world.write_config(policy={"default": "deny"})
    settle(world)
    link_device(world, ["music::library:read"])
    assert re.fullmatch(r"Authorization: Bearer \.\.\. x-api-key: \S+\n", app("musicd").stdout)
    refused = app("carol")
    assert refused.stdout == "" and re.fullmatch(r".*music::library:read.*\.\n", refused.stderr), refused


def test_each_function_has_a_page_where_man_looks(installed):
    root, _ = installed
    (folder,) = {path.parent for path in root.rglob("lwa-client.3")}
    there = {path.name.removesuffix(".3") for path in folder.glob("lwa*.3")}
    assert there == set(functions()) | set(pages()) | set(named("lwa-client-curl"))
    shown = run("man", "-M", str(folder.parent), "-E", "UTF-8", "3", "lwa_error_is", env={**os.environ, "MANWIDTH": "200"})
    assert "int lwa_error_is(const struct lwa_error *error, const char *name);" in shown


def test_the_pages_are_removed_again(tmp_path):
    run("make", "-s", "-C", BUILD, "install-man", "install-data-local", f"DESTDIR={tmp_path}")
    assert any(tmp_path.rglob("lwa_error_is.3"))
    run("make", "-s", "-C", BUILD, "uninstall-man", "uninstall-local", f"DESTDIR={tmp_path}")
    assert not list(tmp_path.rglob("lwa*"))
