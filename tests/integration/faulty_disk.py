# SPDX-License-Identifier: LGPL-2.1-or-later
"""The broker on a disk that does as it is told: tests/faults/lwa-brokerd-on-test-disk, whose SQLite writes through
tests/unit/test-vfs.c.

    with faulty_disk(world) as disk:        # stops the broker and starts this build of it
        disk.fail(FULL, at=3)               # the third write or sync from now on, and all after it
        ...
        disk.heal()

    with faulty_disk(world, hold=True):     # writes reach the files at their sync: a kill -9 is a power cut
"""

import contextlib
import mmap
import struct

PROGRAM = "tests/faults/lwa-brokerd-on-test-disk"

# SQLite's result codes.
FULL = 13
READ_ONLY = 8
IO_READ, IO_WRITE, IO_SYNC = 10 | 1 << 8, 10 | 3 << 8, 10 | 4 << 8
CORRUPT = 11
BUSY = 5

WRITE, SYNC, OPEN, READ = 1, 2, 4, 8

# struct test_vfs_control.
FIELDS = ("n_writes", "n_syncs", "n_opens", "n_reads", "n_failed", "kinds", "code", "sticky", "sync_msec", "hold",
          "leak_percent", "seed", "fail_at")


class Disk:
    def __init__(self, memory):
        self.memory = memory

    def get(self, name):
        return struct.unpack_from("=I", self.memory, 4 * FIELDS.index(name))[0]

    def set(self, name, value):
        struct.pack_into("=I", self.memory, 4 * FIELDS.index(name), value)

    def fail(self, code, at=1, once=False, kinds=WRITE | SYNC):
        """The at-th of these kinds fails, and unless `once` all after it."""
        self.heal()
        for name, value in (("code", code), ("sticky", not once), ("kinds", kinds), ("n_failed", 0), ("fail_at", at)):
            self.set(name, int(value))

    def heal(self):
        self.set("fail_at", 0)

    @property
    def failed(self):
        """How many have failed since fail()."""
        return self.get("n_failed")


@contextlib.contextmanager
def faulty_disk(world, hold=False, leak_percent=0, seed=0):
    path = world.write("disk-control", bytes(4 * len(FIELDS)))
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        disk = Disk(memory)
        for name, value in (("hold", int(hold)), ("leak_percent", leak_percent), ("seed", seed)):
            disk.set(name, value)
        world.close_clients()
        world.broker.stop()
        world.broker_program, world.broker_environment = PROGRAM, {"LWA_TEST_DISK": path}
        try:
            world.broker.start()
            yield disk
            world.close_clients()
            disk.heal()
            world.broker.stop()
        finally:
            world.broker.kill9()
            world.broker_program, world.broker_environment = "lwa-brokerd", {}
