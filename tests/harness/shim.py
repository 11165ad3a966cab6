# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clocks that can be stepped, and memory that ends, for a running broker: the test's end of tests/shim/shim.c.

    shim = Shim(world)                          # before the broker starts
    world.broker.start(env=shim.environment())
    shim.suspend(8 * 3600)                      # both clocks have gone on, and nothing ran meanwhile
    shim.step(realtime=-365 * 86400)            # the wall clock was set back a year
    shim.arm(17)                                # the 17th allocation from now on fails, once
    ...
    shim.disarm()
    assert shim.failed, "the operation took fewer than 17"

A timer of CLOCK_MONOTONIC goes on as if nothing had happened, as it does in life; timerfds follow the steps. With
the sanitizers only the clocks can be steered: theirs is the memory.
"""

import mmap
import os
import signal
import struct

FIELDS = ("realtime_ns", "boottime_ns", "fail_at", "count", "failed", "without_tls", "n_stack")
STACK_DEPTH = 24
SANITIZED = bool(os.environ.get("LWA_SANITIZE"))


class Shim:
    def __init__(self, world, name="shim"):
        self.world = world
        self.path = world.path(f"{name}.control")
        with open(self.path, "wb") as file:
            file.truncate(mmap.PAGESIZE)
        with open(self.path, "r+b") as file:
            self.control = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self.maps = None

    def environment(self):
        env = {"LD_PRELOAD": self.world.program("tests/shim/shim.so"), "LWA_SHIM_CONTROL": self.path}
        if SANITIZED:
            options = self.world.environment().get("ASAN_OPTIONS", "")
            env["ASAN_OPTIONS"] = options + ":verify_asan_link_order=0"
        return env

    def get(self, field):
        return struct.unpack_from("=q", self.control, 8 * FIELDS.index(field))[0]

    def put(self, field, value):
        struct.pack_into("=q", self.control, 8 * FIELDS.index(field), value)

    # --- clocks ---

    def step(self, realtime=0, boottime=0):
        """Adds seconds to what the clocks show. Takes effect at once; timers that are due then run by themselves."""
        self.put("realtime_ns", self.get("realtime_ns") + int(realtime * 1e9))
        self.put("boottime_ns", self.get("boottime_ns") + int(boottime * 1e9))
        if self.world.broker.alive():
            self.world.broker.signal(signal.SIGUSR2)

    def suspend(self, seconds):
        self.step(realtime=seconds, boottime=seconds)

    @property
    def wall_offset(self):
        """Seconds by which the broker's wall clock is ahead of ours."""
        return self.get("realtime_ns") / 1e9

    # --- memory ---

    def arm(self, n, without_tls=False):
        """The n-th allocation from now on fails, once. without_tls: of those that OpenSSL does not make itself."""
        self.disarm()
        self.maps = self.maps or self.read_maps()
        for field in ("count", "failed", "n_stack"):
            self.put(field, 0)
        self.put("without_tls", int(without_tls))
        self.put("fail_at", n)

    def disarm(self):
        self.put("fail_at", 0)

    @property
    def failed(self):
        return bool(self.get("failed"))

    @property
    def count(self):
        """Allocations since arming."""
        return self.get("count")

    def read_maps(self):
        maps = []
        with open(f"/proc/{self.world.broker.pid}/maps", encoding="utf-8") as file:
            for line in file:
                part = line.split(maxsplit=5)
                begin, end = (int(number, 16) for number in part[0].split("-"))
                maps.append((begin, end, int(part[2], 16), os.path.basename(part[5].strip()) if len(part) > 5 else "?"))
        return maps

    def stack(self):
        """[(library or program, offset in it)] of where it failed, innermost first; of the broker that was there when
        it was armed for the first time."""
        frames = struct.unpack_from(f"={self.get('n_stack')}Q", self.control, 8 * len(FIELDS))
        return [
            next(((name, at - low + offset) for low, high, offset, name in self.maps if low <= at < high), ("?", at))
            for at in frames
        ]
