# SPDX-License-Identifier: LGPL-2.1-or-later
"""`./dev bench [PROGRAM [ARGUMENT...]]`: starts a World, runs build/lwa-bench (or the program named) in it as root, and
merges the JSON object that it writes into build/bench.json, which holds the figures of all benches.

The program is called with

    --bus-address ADDRESS --sim-https PORT --sim-control PORT --build-dir DIR --run-dir DIR
    --config FILE --state-dir DIR --broker-pid PID --json FILE

prints its table for people, and writes one JSON object to FILE. It starts with a fresh broker in the default
configuration, and may stop it and start its own.
"""

import json
import os
import subprocess
import sys

from stage import perform
from world import WorldError

LIMIT = 900


def merge(path, figures):
    try:
        with open(path, encoding="utf-8") as file:
            known = json.load(file)
    except (FileNotFoundError, ValueError):
        known = {}
    known.update(figures)
    temporary = path + ".new"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(known, file, indent=2, sort_keys=True)
        file.write("\n")
    os.rename(temporary, path)


def arguments_for(world, result):
    ports = world.sim.ports()
    return {
        "--bus-address": world.bus_address,
        "--sim-https": ports["https"],
        "--sim-control": ports["control"],
        "--build-dir": world.build_dir,
        "--run-dir": world.run_dir,
        "--config": world.config_path,
        "--state-dir": world.state_dir,
        "--broker-pid": world.broker.pid,
        "--json": result,
    }


def play(stage, program, more):
    world = stage.world
    program = program or world.program("lwa-bench")
    if not os.path.exists(program):
        raise WorldError(f"there is no {program}")
    world.start()
    result = world.path("bench.json")
    argv = [program, *(str(part) for pair in arguments_for(world, result).items() for part in pair), *more]
    status = subprocess.run(argv, stdin=subprocess.DEVNULL, env=world.environment(), check=False).returncode
    if status != 0:
        raise WorldError(f"{program} ended with {status}")
    try:
        with open(result, encoding="utf-8") as file:
            figures = json.load(file)
    except (OSError, ValueError) as error:
        raise WorldError(f"{program} left no JSON object: {error}") from None
    if not isinstance(figures, dict):
        raise WorldError(f"{program} left JSON that is no object")
    merge(os.path.join(world.build_dir, "bench.json"), figures)
    stage.narrator.write("figures are in build/bench.json")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(perform(lambda stage: play(stage, arguments[0] if arguments else None, arguments[1:]), LIMIT))
