# SPDX-License-Identifier: LGPL-2.1-or-later
"""What integration tests are given.

    bus_world    bus and polkitd only; for tests of the harness itself and of data files
    world        everything, with a broker that has no memory, default configuration, no grants, no extra rules
    shared_world the same, once a module, for tests that only read

One World serves the whole run, so no two of these are ever mixed up: `world` makes it fresh before each test.
"""

import os

import pytest

from world import World, WorldError


def pytest_configure(config):
    if "LWA_RUN_DIR" not in os.environ:
        pytest.exit("integration tests run in private namespaces: use `./dev test [PYTEST-ARGUMENT...]`", returncode=1)


@pytest.fixture(scope="session")
def the_world():
    with World() as world:
        yield world


@pytest.fixture
def bus_world(the_world):
    for part in (the_world.broker, the_world.simulator):
        if part.alive():
            part.stop()
    the_world.start("bus", "polkit")
    yield the_world
    the_world.end_test()


@pytest.fixture
def world(the_world):
    the_world.reset()
    yield the_world
    the_world.end_test()


@pytest.fixture(scope="module")
def shared_world(the_world):
    the_world.reset()
    yield the_world
    the_world.end_test()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows what the parts wrote while the test ran."""
    outcome = yield
    report = outcome.get_result()
    found = [value for value in getattr(item, "funcargs", {}).values() if isinstance(value, World)]
    if report.failed and found:
        report.sections.append(("logs of the world", found[0].logs()))
    elif report.failed and call.excinfo and call.excinfo.errisinstance(WorldError):
        report.sections.append(("the world", str(call.excinfo.value)))
