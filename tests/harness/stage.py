# SPDX-License-Identifier: LGPL-2.1-or-later
"""What demo.py, up.py and bench.py share: an end in time, and telling a person what happens."""

import os
import re
import signal
import sys
import textwrap
import time

from world import World, WorldError

WIDTH = 100


class Narrator:
    """Numbered steps on standard output; colours only on a terminal (and not with NO_COLOR)."""

    def __init__(self, stream=sys.stdout):
        self.stream = stream
        self.step_number = 0
        self.started = time.monotonic()
        self.in_colour = stream.isatty() and not os.environ.get("NO_COLOR")

    def paint(self, code, text):
        return f"\033[{code}m{text}\033[0m" if self.in_colour else text

    def write(self, text=""):
        print(text, file=self.stream, flush=True)

    def title(self, text):
        self.write(self.paint("1", text))

    def step(self, text):
        """A new scene."""
        self.step_number += 1
        self.write()
        self.write(self.paint("1;36", f"{self.step_number}. {text}"))

    def say(self, text):
        self.write(textwrap.indent(textwrap.fill(text, WIDTH - 3), "   "))

    def show(self, text):
        """Output of a program, as it came, but that sentences too long for the show are folded."""
        for line in text.rstrip("\n").split("\n"):
            folded = textwrap.wrap(line, WIDTH - 5, subsequent_indent="  ") if len(line) > WIDTH - 5 else [line]
            self.write("\n".join(f"   | {part}".rstrip() for part in folded))

    def command(self, user, argv):
        """What is about to be run, and as whom."""
        self.write("   " + self.paint("33", f"{user}$ ") + " ".join(str(argument) for argument in argv))

    def aside(self, text):
        """What a person does meanwhile."""
        self.write(self.paint("35", textwrap.indent(textwrap.fill(text, WIDTH - 5), "     ")))

    def good(self, text):
        self.write("   " + self.paint("32", "ok: ") + text)

    def bad(self, text):
        self.write("   " + self.paint("31", "FAILED: ") + text)

    def seconds(self):
        return time.monotonic() - self.started


ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Stage:
    """A World and a Narrator.

    stage.run(user, argv) shows a command and its output, and returns it; stage.expect(condition, sentence) says that
    something is so, or ends the show.
    """

    def __init__(self, world, narrator):
        self.world = world
        self.narrator = narrator

    def run(self, user, argv, *, status=0, quiet=False, **options):
        """status: what the command must end with; None for anything."""
        self.narrator.command(user, argv)
        done = self.world.run_as(user, argv, **options)
        if not quiet:
            for text in (done.stdout, done.stderr):
                if text.strip():
                    self.narrator.show(text)
        if status is not None and done.returncode != status:
            output = f"\n{done.stdout}{done.stderr}" if quiet else ""
            raise WorldError(f"`{' '.join(map(str, argv))}` ended with {done.returncode}, not {status}{output}")
        return done

    def shell(self, user, text, *, env=None, **options):
        """As run(), for a line of shell in which the programs of the build are found by name."""
        path = f"{self.world.build_dir}:/usr/bin:/bin"
        self.narrator.command(user, [text])
        options.setdefault("timeout", 30)
        done = self.world.run_as(user, ["sh", "-c", text], env={"PATH": path, **(env or {})}, **options)
        if done.returncode != 0:
            raise WorldError(f"`{text}` ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def login(self, user, argv, person):
        """Runs a login by code and shows what it says as it says it. person(address, code) is called once, when
        both have been shown."""
        self.narrator.command(user, argv)
        process = self.world.spawn_as(user, argv)
        address = code = None
        for line in process.stdout:
            self.narrator.show(line)
            address = address or (found.group() if (found := re.search(r"https://\S+", line)) else None)
            if address and not code and (found := re.search(r"Code: (\S+)", line)):
                code = found.group(1)
                person(address, code)
        status = process.wait(20)
        if status != 0:
            raise WorldError(f"`{' '.join(argv)}` ended with {status}\n{process.stderr.read()}")

    def expect(self, condition, sentence):
        if not condition:
            raise WorldError(f"this should be so, and is not: {sentence}")
        self.narrator.good(sentence)


def perform(play, limit, title=None):
    """Runs play(stage) in a World, for at most `limit` seconds, and returns an exit status. Whatever happens, what
    was started is stopped, and if it went wrong the logs are shown."""

    def too_long(*_):
        raise WorldError(f"this took longer than {limit} s")

    # Once: what is under way is then being stopped, and a second signal must not interrupt that.
    def interrupted(*_):
        for number in ENDING:
            signal.signal(number, lambda *_: None)
        raise KeyboardInterrupt

    narrator = Narrator()
    signal.signal(signal.SIGALRM, too_long)
    for number in ENDING:
        signal.signal(number, interrupted)
    signal.alarm(limit)
    world = None
    status = 1
    try:
        if title:
            narrator.title(title)
        world = World()
        play(Stage(world, narrator))
        status = 0
    except KeyboardInterrupt:
        narrator.write("interrupted")
        status = 130
    except Exception as error:  # shown to a person, who wants the sentence before the trace
        narrator.bad(str(error))
        if not isinstance(error, WorldError):
            import traceback

            traceback.print_exc()
        if world:
            print(world.logs(), file=sys.stderr, flush=True)
    signal.alarm(60)
    try:
        if world:
            world.stop()
    except WorldError as error:
        narrator.bad(str(error))
        status = status or 1
    signal.alarm(0)
    return status
