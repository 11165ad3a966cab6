# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files of the tree, for the tests of the tree."""

import os
import re

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
LAYERS = ("util", "dbus", "policy", "broker", "client")
GENERATED = re.compile(r"^(build($|-)|\.git$|autom4te\.cache$|m4$|__pycache__$|\.pytest_cache$)")


def files(*suffixes, under=""):
    """Paths relative to the tree, sorted; nothing that is generated."""
    found = []
    for folder, folders, names in os.walk(os.path.join(TREE, under)):
        folders[:] = [name for name in folders if not GENERATED.match(name)]
        for name in names:
            # In a work tree .git is a file.
            if name == ".git":
                continue
            if not suffixes or name.endswith(suffixes):
                found.append(os.path.relpath(os.path.join(folder, name), TREE))
    return sorted(found)


def sources(*folders):
    return [path for folder in folders or LAYERS for path in files(".c", ".h", under=folder)]


def read(path):
    with open(os.path.join(TREE, path), encoding="utf-8") as file:
        return file.read()


def code(path):
    """The text of a C file without comments and the contents of literals; lines keep their numbers."""

    def blank(match):
        text = match.group(0)
        if text[0] in "\"'":
            return text[0] * 2
        return "\n" * text.count("\n") or " "

    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    # An include line keeps its quoted name.
    parts = re.split(r"(?m)^(\s*#\s*include[^\n]*)$", read(path))
    return "".join(
        part if i % 2 else re.sub(pattern, blank, part, flags=re.DOTALL) for i, part in enumerate(parts)
    )


def includes(path):
    """(line number, name, is system header) of each #include."""
    for number, line in enumerate(code(path).splitlines(), 1):
        found = re.match(r'\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', line)
        if found:
            yield number, found.group(1) or found.group(2), found.group(2) is not None


def matches(pattern, paths, text=code):
    """'path:line: line' wherever the pattern occurs."""
    return [
        f"{path}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(text(path).splitlines(), 1)
        if re.search(pattern, line)
    ]
