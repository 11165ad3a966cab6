# SPDX-License-Identifier: LGPL-2.1-or-later
"""liblwa-client in an event loop: started calls, cancelling, callbacks that call, and what it leaves of the process."""

import pytest

from library_driver import Driver


@pytest.fixture
def app(world):
    app = Driver(world)
    yield app
    app.process.kill()


def test_first_call_waits_or_not(world, app):
    assert app.ask("check profile") == "0 -"
    other = Driver(world)
    other.tell("start 1 profile")
    other.expect("started 1 0", "done 1 0 -")
    app.quit()
    other.quit()
