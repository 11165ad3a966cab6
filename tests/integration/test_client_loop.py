# SPDX-License-Identifier: LGPL-2.1-or-later
"""liblwa-client in an event loop: started calls, cancelling at every stage, callbacks that call, and what it leaves
of the process."""

import time

import pytest

from fake_broker import Broker, Bus
from library_driver import Driver
from world import NAME, PATH, wait_until


@pytest.fixture
def app(world):
    app = Driver(world)
    yield app
    app.end()


def connected(app):
    assert app.ask("check profile") == "0 -"
    app.settle()
    return app


@pytest.fixture
def stalled(world, app):
    """A broker that does not answer for now."""
    connected(app)
    world.broker.pause()
    yield app
    world.broker.cont()


def test_first_call_connects(world, app):
    """Waiting or not: nobody has to connect before."""
    assert app.ask("check profile") == "0 -"
    other = Driver(world)
    other.tell("start 1 profile")
    other.expect("started 1 0", "done 1 0 -")
    app.quit()
    other.quit()


def test_each_start_is_answered_once(app):
    n = 40
    app.tell(*[f"start {i} profile" for i in range(n)])
    lines = [app.read() for _ in range(2 * n)]
    assert sorted(lines) == sorted([f"started {i} 0" for i in range(n)] + [f"done {i} 0 -" for i in range(n)])
    app.settle()
    app.quit()


def test_errors_come_by_the_callback(app):
    app.tell("start 1 no::such")
    app.expect("started 1 0", "done 1 -22 InvalidScope")
    assert app.ask("check no::such") == "-22 InvalidScope"
    assert app.ask("error").startswith("-22 0 org.lwabroker.Error.InvalidScope | ")
    app.quit()


def test_bad_text_is_refused(app):
    """libdbus would abort."""
    app.process.stdin.write(b"check \xff\xfe\n")
    app.expect("check -22 BadArgument")
    app.quit()


def test_callback_never_runs_in_the_start(app):
    app.tell("nothing 1")
    app.expect("started 1 0", "done 1 0 -")
    app.quit()


def test_answers_and_signals_in_their_order(world, tmp_path):
    """A signal that the broker sends after an answer is told after it, and one that it sends before is told before."""
    bus = Bus(str(tmp_path))
    broker = Broker(bus.address)

    def revoke(member):
        broker.signal(holder[0], PATH, NAME, "TokenRevoked", "ss", (f"{member}-{broker.count('CheckScopes')}", "policy"))

    def answer(*_):
        if holder:
            revoke("before")
        return "a{ss}", ({},)

    holder = []
    broker.replies["CheckScopes"] = answer
    broker.after["CheckScopes"] = lambda caller: revoke("after") if holder else holder.append(caller)
    app = Driver(world, "root", env={"DBUS_SYSTEM_BUS_ADDRESS": bus.address})
    app.tell("on-revoked")
    connected(app)
    wait_until(lambda: holder, 10 * world.slowness, "the broker to know who it is")
    app.tell("pause", "start 1 x", "start 2 x")
    app.expect("paused", "started 1 0", "started 2 0")
    # Its answer comes after all others, and all of them have been read by then.
    assert app.ask("check x") == "0 -"
    app.tell("dispatch")
    app.expect("revoked before-2 policy", "done 1 0 -", "revoked after-2 policy")
    app.expect("revoked before-3 policy", "done 2 0 -", "revoked after-3 policy", "revoked before-4 policy")
    assert app.read() in ("dispatch 0", "revoked after-4 policy")
    app.end()
    broker.close()
    bus.close()


# --- cancelling ----------------------------------------------------------------------------------------------------


def still_works(app, *unexpected):
    """It answers, and nothing of what was cancelled."""
    app.tell("start 60 profile")
    app.expect("started 60 0", "done 60 0 -")
    assert not set(unexpected) & set(app.lines), app.lines
    app.quit()


def test_cancel_before_it_is_connected(app):
    app.tell("start 1 profile", "cancel 1")
    app.expect("started 1 0", "cancelled 1")
    still_works(app)


def test_cancel_while_the_broker_works(world, stalled):
    stalled.tell("start 1 profile", "cancel 1")
    stalled.expect("started 1 0", "cancelled 1")
    world.broker.cont()
    still_works(stalled)


def test_cancel_what_was_answered_and_is_due(app):
    connected(app).tell("pause", "start 1 profile", "start 2 profile")
    app.expect("paused", "started 1 0", "started 2 0")
    app.wait_readable()
    # Both have been read, and the first callback cancels the second.
    assert app.ask("check profile") == "0 -"
    app.tell("then cancel 2", "resume")
    app.expect("resumed", "done 1 0 -", "cancelled 2")
    still_works(app)


def test_cancel_of_another_that_is_due(app):
    app.tell("pause", "nothing 1", "nothing 2", "nothing 3", "then cancel 3", "then cancel 2", "dispatch")
    app.expect("paused", "started 1 0", "started 2 0", "started 3 0")
    app.expect("done 1 0 -", "cancelled 3", "done 2 0 -", "cancelled 2", "dispatch 0")
    assert app.ask("dispatch") == "0"
    app.tell("resume")
    app.expect("resumed")
    still_works(app)


def test_cancel_itself_is_harmless(app):
    app.tell("then cancel 1", "start 1 profile")
    app.expect("started 1 0", "done 1 0 -", "cancelled 1")
    still_works(app)


def test_free_cancels(world, stalled):
    stalled.tell("start 1 profile", "nothing 2", "free", "new")
    # The second is due at once, and may be served before the line that frees.
    lines = [stalled.read() for _ in range(4)]
    if lines[2] == "done 2 0 -":
        lines = [line for line in lines if line != "done 2 0 -"] + [stalled.read()]
    assert lines == ["started 1 0", "started 2 0", "freed", "new 0"]
    world.broker.cont()
    still_works(stalled)


# --- callbacks that call -------------------------------------------------------------------------------------------


def test_callback_starts_another(app):
    app.tell("then start 2 profile", "then start 3 profile", "start 1 profile")
    app.expect("started 1 0", "done 1 0 -", "started 2 0", "done 2 0 -", "started 3 0", "done 3 0 -")
    app.settle()
    app.quit()


def test_callback_that_starts_for_ever_does_not_hold_the_dispatch(app):
    app.tell("pause", *["then nothing 2"] * 5, "nothing 1", "dispatch", "wait")
    app.expect("paused", "started 1 0", "done 1 0 -", "started 2 0", "dispatch 0", "wait 0 0")
    app.quit()


def test_callback_waits_for_a_call(app):
    """Others come meanwhile, and are told afterwards: no callback runs inside of a call."""
    connected(app).tell("pause", "then check profile", *[f"start {i} profile" for i in range(1, 5)], "resume")
    app.expect("paused", *[f"started {i} 0" for i in range(1, 5)], "resumed")
    lines = [app.read() for _ in range(5)]
    assert lines[1] == "check 0 -" and sorted(lines[:1] + lines[2:]) == [f"done {i} 0 -" for i in range(1, 5)]
    app.settle()
    app.quit()


def test_call_runs_no_callback(app):
    connected(app).tell("pause", "start 1 profile", "start 2 profile", "check profile", "check profile", "resume")
    app.expect("paused", "started 1 0", "started 2 0", "check 0 -", "check 0 -", "resumed")
    assert sorted([app.read(), app.read()]) == ["done 1 0 -", "done 2 0 -"]
    app.quit()


def test_dispatch_in_a_callback(app):
    app.tell("pause", "then dispatch", "nothing 1", "nothing 2", "dispatch")
    app.expect("paused", "started 1 0", "started 2 0", "done 1 0 -", "done 2 0 -", "dispatch 0", "dispatch 0")
    app.quit()


# --- time ----------------------------------------------------------------------------------------------------------


def test_time_outs(world, stalled):
    stalled.tell("timeout 200", "start 1 profile", "check profile")
    stalled.expect("started 1 0", "check -110 NoReply", "done 1 -110 NoReply")
    stalled.tell("timeout 90000")
    world.broker.cont()
    # The answers that come too late are nobody's.
    assert stalled.ask("check profile") == "0 -"
    still_works(stalled, "done 1 0 -")


def test_no_end_of_time(world, stalled):
    stalled.tell("timeout -1", "pause", "start 1 profile", "wait")
    stalled.expect("paused", "started 1 0", "wait 0 -1")
    stalled.tell("resume")
    stalled.expect("resumed")
    world.broker.cont()
    stalled.expect("done 1 0 -")
    stalled.quit()


def ticks(pid):
    """Of the processor, that it has used."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:13]))


def is_idle(pid):
    before = ticks(pid)
    time.sleep(0.3)
    return ticks(pid) == before


@pytest.mark.parametrize("how", ["timeout -1", "interactive", "timeout 600000"])
def test_call_sleeps_while_it_waits(world, stalled, how):
    """Also without an end."""
    stalled.tell(how, "check profile")
    wait_until(lambda: is_idle(stalled.process.pid), 10 * world.slowness, "the driver to sleep")
    assert stalled.quiet(0)
    world.broker.cont()
    stalled.expect("check 0 -")
    stalled.quit()


def test_wait_is_until_the_first_time_out(stalled):
    stalled.tell("pause", "timeout 80000", "start 1 profile", "timeout 50000", "start 2 profile")
    stalled.expect("paused", "started 1 0", "started 2 0")
    readable, left = map(int, stalled.ask("wait").split(" "))
    assert readable == 0 and 0 < left <= 50000
    stalled.quit()


# --- what it costs, and leaves ---------------------------------------------------------------------------------------


def test_nothing_to_do_is_nothing(app):
    """A million times: nothing is readable, nothing is due, and the loop sleeps."""
    connected(app)
    assert app.ask("spin 1000000") == "0"
    app.ask("wakes")
    assert app.ask("wait") == "0 -1"
    assert app.ask("wakes") == "0"
    app.quit()


def test_loop_sleeps_while_it_waits(world, app):
    """For a bus that has accepted the connection and says nothing, before and after it was authenticated."""
    other = Driver(world)
    connected(other)
    world.bus.pause()
    try:
        for each in (app, other):
            each.tell("start 1 profile")
            each.expect("started 1 0")
        assert app.quiet(1)
        assert int(app.ask("wakes")) < 20
        assert int(other.ask("wakes")) < 20
    finally:
        world.bus.cont()
    app.expect("done 1 0 -")
    other.expect("done 1 0 -")
    app.quit()
    other.quit()


def test_leaves_the_process_as_it_was(world):
    app = Driver(world, make=False)
    before = app.processes()
    assert before["not_cloexec"] == 0 and before["threads"] == 1 and before["sigpipe"] == 0
    for _ in range(3):
        app.tell("new")
        app.expect("new 0")
        app.tell("on-changed")
        connected(app)
        app.tell("start 1 profile")
        app.expect("started 1 0", "done 1 0 -")
        during = app.processes()
        assert during["fds"] > before["fds"] and {**during, "fds": 0} == {**before, "fds": 0}
        app.tell("free")
        app.expect("freed")
        assert app.processes() == before
    app.quit()
