# SPDX-License-Identifier: LGPL-2.1-or-later
"""`./dev demo`: the main job, step by step, with real processes. Ends with an error when a step does not do what it
says. Runs in tests/harness/enter."""

import sys

from stage import perform

LIMIT = 120


def play(stage):
    say, world = stage.narrator, stage.world
    say.step("A private bus, polkitd, the simulated Amazon and the broker are started")
    world.start()
    stage.run("alice", ["lwactl", "status"])
    say.write()
    say.title(f"That was all, in {say.seconds():.1f} s. `./dev up` keeps everything running for you to try.")


if __name__ == "__main__":
    sys.exit(perform(play, LIMIT, "lwa-broker: one login, many apps, no app holding more than it may"))
