# SPDX-License-Identifier: LGPL-2.1-or-later
"""Static analysers over the whole tree: part of `./dev lint`, which builds first and configures build-analyzer."""

import os
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from tree import TREE, files, read, sources

BUILD = os.environ.get("LWA_BUILD", "build")


def run(*command, cwd=TREE):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def commands():
    """{source: the flags that matter to an analyser}, asked of make as if every source were new."""
    new = [argument for path in c_files() for argument in ("-W", path, "-W", "../" + path)]
    status, text = run("make", "-n", "V=1", "-C", BUILD, *new, "all-am", "check-programs")
    assert status == 0, text
    found = {}
    for line in text.splitlines():
        # automake asks where the source is: `test -f 'a.c' || echo '../'`a.c
        match = re.search(r" -c -o \S+ (?:`test -f '[^']+' \|\| echo '[^']*'`)?(?:\.\./)?(\S+\.c)(?: &&\\)?$", line)
        if match:
            arguments = shlex.split(line[: match.start()])[1:]
            kept = [item for item in arguments if item.startswith(("-D", "-U", "-I", "-isystem", "-pthread"))]
            found.setdefault(match.group(1), ["-std=gnu11", *kept])
    return found


def c_files():
    return [path for path in sources() + files(".c", under="tests") if path.endswith(".c")]


def complaints(jobs):
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = list(pool.map(lambda command: run(*command, cwd=os.path.join(TREE, BUILD)), jobs))
    return "\n".join(text for status, text in results if status != 0)


def test_clang_format():
    paths = sources() + files(".c", ".h", under="tests")
    status, text = run("clang-format", "--dry-run", "-Werror", *paths)
    assert status == 0, text


def test_gcc_analyzer():
    """A build with -fanalyzer -Werror; the objects of an earlier one without findings are kept."""
    status, text = run("make", "-s", "-k", f"-j{os.cpu_count() or 1}", "-C", "build-analyzer")
    assert status == 0, text


def test_every_source_is_built(commands):
    """What the Makefile does not know is neither compiled nor looked at by anybody."""
    unknown = [path for path in c_files() if path not in commands and not path.startswith("tests/fuzz/")]
    assert not unknown, "\n".join(unknown)


def test_clang_tidy(commands):
    jobs = [
        ["clang-tidy", "--quiet", "--warnings-as-errors=*", "../" + path, "--", *commands[path]]
        for path in c_files()
        if path in commands
    ]
    found = complaints(jobs)
    assert not found, found


def test_cppcheck():
    # Without the system's headers, as cppcheck wants it; style is a matter for clang-tidy.
    command = ["cppcheck", "--quiet", "--std=c11", "--enable=warning,performance,portability", "--inline-suppr"]
    command += ["--error-exitcode=1", "-D_GNU_SOURCE", "-DHAVE_CONFIG_H", "-I.", f"-I{BUILD}", "-j2"]
    command += ["--suppress=missingIncludeSystem", "--suppress=normalCheckLevelMaxBranches"]
    # It does not know the cleanup attribute: LSan looks for leaks. It cannot read a compound literal that is
    # assigned through a pointer.
    command += ["--suppress=resourceLeak", "--suppress=memleak", "--suppress=internalAstError"]
    # cmocka's assertions end a test, which cppcheck cannot know.
    for check in ("nullPointer", "nullPointerRedundantCheck", "nullPointerArithmetic", "ctunullpointer"):
        command += [f"--suppress={check}:tests/*"]
    status, text = run(*command, *c_files())
    assert status == 0, text


def test_shellcheck():
    scripts = ["dev", ".ci/run", *files(".sh")]
    scripts += [path for folder in ("tests/harness", "tests/chroot", "debian") for path in files(under=folder)]
    shell = [path for path in scripts if read(path).splitlines()[0].endswith(("/bash", "/sh"))]
    status, text = run("shellcheck", *shell)
    assert status == 0, text


def test_python_compiles():
    scripts = files(".py") + [path for path in files(under="tests/harness") if "python3" in read(path).splitlines()[0]]
    for path in set(scripts):
        compile(read(path), path, "exec")


def test_xml_is_well_formed():
    paths = files(".xml", ".policy") + [path for path in files(".conf") if read(path).startswith("<")]
    status, text = run("xmllint", "--nonet", "--noout", *paths) if paths else (0, "")
    assert status == 0, text
