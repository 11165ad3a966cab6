# SPDX-License-Identifier: LGPL-2.1-or-later
"""Logins by liblwa-client: against the real broker and the simulator, and, for what only the order of messages or a
forger brings, against a broker that says what the test wants."""

import os
import re
import signal
import subprocess

import pytest
from jeepney.io.blocking import open_dbus_connection

from fake_broker import NAME, PATH, REQUEST, Broker, Bus, send_signal
from library_driver import Driver
from logins import LIBRARY, accounts, counter, settle, status
from world import wait_until

REDIRECT = "http://127.0.0.1:9090/cb"
PROPERTIES = "org.freedesktop.DBus.Properties"
EINVAL, EHOSTUNREACH, EPERM, ECANCELED = 22, 113, 1, 125


class Login:
    """A login of the driver's: the lines that begin with `login NUMBER`."""

    ANSWERS = {"start-begin": "started", "give-up": "given-up", "start-complete": "handed-in", "free": "freed"}

    def __init__(self, app, number=1, flow="device-code", scopes=LIBRARY, **options):
        self.app = app
        self.prefix = f"login {number} "
        assert self.do(f"new {flow} {scopes}") == "0 -"
        for name, value in options.items():
            assert self.do(f"option {name} {value}") == "0 -"

    def lines(self):
        """What has come of this login so far, without its prefix."""
        return [line[len(self.prefix):] for line in self.app.lines if line.startswith(self.prefix)]

    def tell(self, line):
        self.app.tell(self.prefix + line)

    def wait_line(self, beginning):
        """The rest of the next line that begins so; what comes before it is in lines()."""
        while True:
            line = self.app.read()
            if line.startswith(self.prefix + beginning):
                return line[len(self.prefix + beginning):]

    def do(self, line):
        self.tell(line)
        word = line.split(" ")[0]
        return self.wait_line(self.ANSWERS.get(word, word) + " ")

    def begin(self):
        assert self.do("begin") == "0 -"
        return self

    def start(self):
        assert self.do("start-begin") == "0 -"
        assert self.wait_line("begun ") == "0 -"
        return self

    def await_state(self, state):
        """Until a callback has told of it."""
        if not any(line.startswith(f"change {state} ") for line in self.lines()):
            self.wait_line(f"change {state} ")
        return self

    def await_end(self):
        """The outcome, of which the last callback tells."""
        while True:
            outcome = self.wait_line("change ").split(" ")[1]
            if outcome != "-":
                return outcome

    def show(self):
        return dict(part.split("=", 1) for part in self.do("show").split("|"))


@pytest.fixture
def quick(world):
    return settle(world)


@pytest.fixture
def app(quick):
    app = Driver(quick)
    yield app
    app.process.kill()


def approve(world, login, customer="alice", answer="allow"):
    code = login.show()["code"]
    world.sim.approve(code, customer, answer)


# --- by code -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["begin", "start"])
def test_linked(quick, app, way):
    login = getattr(Login(app, label="Mine"), way)().await_state("waiting")
    shown = login.show()
    assert re.fullmatch(r"[A-Z0-9]{5,9}", shown["code"]) and shown["uri"].startswith("https://localhost")
    assert int(shown["expires"]) > 0 and shown["outcome"] == ""
    quick.sim.approve(shown["code"])
    assert login.await_end() == "linked"
    shown = login.show()
    assert (shown["state"], shown["account"], shown["scope"], shown["error"]) == ("done", "main", LIBRARY, "")
    assert login.do("wait") == "0 -" and login.do("cancel") == "0 -"
    assert accounts(quick.client("alice"))["main"]["label"] == "Mine"
    app.quit()


def test_wait_calls_back_and_returns(quick, app):
    """A program without a loop of its own."""
    login = Login(app).begin()
    login.tell("wait")

    def find():
        return [pair["user_code"] for pair in quick.sim.state()["code_pairs"] if pair["state"] == "pending"]

    quick.sim.approve(wait_until(find, 10 * quick.slowness, "a code pair")[0])
    assert login.wait_line("wait ") == "0 -"
    assert login.lines()[-2].startswith("change done linked ")
    app.quit()


def test_denied(quick, app):
    login = Login(app).begin().await_state("waiting")
    approve(quick, login, answer="deny")
    assert login.await_end() == "denied"
    shown = login.show()
    assert shown["reason"] == "denied" and shown["message"] and shown["account"] == ""
    app.quit()


def test_expired(quick, app):
    quick.sim.set(code_lifetime=2)
    login = Login(app).begin()
    assert login.await_end() == "expired" and login.show()["reason"] == "expired"
    app.quit()


def test_failed_names_the_error(quick, app):
    quick.sim.fault("codepair", "error", 0, error="invalid_client", status=401)
    login = Login(app).begin()
    assert login.await_end() == "failed"
    assert login.show()["error"] == "org.lwabroker.Error.ProviderMisconfigured"
    app.quit()


def test_cancelled(quick, app):
    login = Login(app).begin().await_state("waiting")
    assert login.do("cancel") == "0 -" and login.await_end() == "cancelled"
    assert status(quick.client("alice"))["logins"] == 0
    app.quit()


def test_cancelled_by_its_own_callback(quick, app):
    app.tell("then login 1 cancel")
    login = Login(app).begin()
    assert login.await_end() == "cancelled" and "cancel 0 -" in login.lines()
    app.quit()


def test_a_callback_frees_another(quick, app):
    other = Login(app, 2).begin().await_state("waiting")
    app.tell("then login 2 free")
    login = Login(app).begin().await_state("waiting")
    login.show()  # what that callback has said is read
    assert "freed 0 -" in other.lines()
    alice = quick.client("alice")
    wait_until(lambda: status(alice)["logins"] == 1, 10 * quick.slowness, "the other to go")
    approve(quick, login)
    assert login.await_end() == "linked"
    app.quit()


def test_cancel_races_with_linked(quick, app):
    """Whoever is first: what the outcome says is what is."""
    alice = quick.client("alice")
    for number in range(4):
        login = Login(app, number, scopes="profile").begin().await_state("waiting")
        approve(quick, login)
        login.tell("cancel")
        outcome = login.await_end()
        assert outcome in ("linked", "cancelled"), outcome
        assert login.show()["account"] in accounts(alice) if outcome == "linked" else login.show()["account"] == ""
        login.do("free")
        for account in accounts(alice):
            alice.call("org.lwabroker.Accounts1", "Remove", "s", (account,))
    app.quit()


# --- refused -------------------------------------------------------------------------------------------------------


def test_refused(quick):
    """Like any call; it can be begun again."""
    app = Driver(quick, "weatherd")
    login = Login(app)
    assert login.do("begin") == f"-{EPERM} ConsentRequired"
    assert login.do("start-begin") == "0 -" and login.wait_line("begun ") == f"-{EPERM} ConsentRequired"
    assert login.do("wait") == f"-{EINVAL} BadArgument"
    app.quit()


def test_wait_tells_why_it_could_not_be_begun(quick):
    """Nothing else has failed at the handle, or something else has failed since."""
    app = Driver(quick, "weatherd")
    app.tell("pause")
    app.expect("paused")
    login = Login(app)
    assert login.do("start-begin") == "0 -" and login.do("wait") == f"-{EPERM} ConsentRequired"
    assert login.do("start-begin") == "0 -"
    app.tell("then check no::such")
    assert login.do("wait") == f"-{EPERM} ConsentRequired" and "check -22 InvalidScope" in app.lines
    app.tell("resume")
    app.expect("resumed")
    app.quit()


def test_wait_tells_that_it_was_given_up(quick, app):
    """By another's callback, while it waited."""
    assert app.ask("check profile") == "0 -"
    login = Login(app)
    app.tell("pause", "then login 1 give-up", "nothing 1")
    app.expect("paused", "started 1 0")
    quick.broker.pause()
    assert login.do("start-begin") == "0 -" and login.do("wait") == f"-{ECANCELED} Cancelled"
    quick.broker.cont()
    app.tell("resume")
    app.expect("resumed")
    app.quit()


def test_wrong_use(quick, app):
    login = Login(app)
    assert login.do("option nothing x") == f"-{EINVAL} BadArgument"
    assert login.do("complete code a b") == f"-{EINVAL} BadArgument"
    login.begin()
    assert login.do("begin") == f"-{EINVAL} BadArgument"
    assert login.do("option label x") == f"-{EINVAL} BadArgument"
    assert login.do("secret Atzr|x") == f"-{EINVAL} BadArgument"
    app.quit()


# --- by redirect ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["complete", "start-complete"])
def test_authorization_code(quick, app, how):
    """A forged answer leaves it open."""
    def hand_in(line):
        done = login.do(f"{how} {line}")
        return done if how == "complete" else login.wait_line("completed ")

    login = Login(app, flow="authorization-code", redirect_uri=REDIRECT).begin().await_state("waiting")
    answer = quick.sim.authorize(login.show()["authorize"])
    assert hand_in(f"code evil {'x' * 43}") == f"-{EINVAL} InvalidArgument"
    assert login.show()["outcome"] == ""
    assert hand_in(f"code {answer['code']} {answer['state']}") == "0 -"
    if "linked" not in "".join(login.lines()):
        assert login.await_end() == "linked"
    assert login.show()["account"] == "main"
    app.quit()


def test_authorization_denied(quick, app):
    login = Login(app, flow="authorization-code", redirect_uri=REDIRECT).begin().await_state("waiting")
    answer = quick.sim.authorize(login.show()["authorize"], answer="deny")
    assert login.do(f"start-complete error {answer['error']} {answer['state']}") == "0 -"
    assert login.await_end() == "denied"
    if "completed 0 -" not in login.lines():
        assert login.wait_line("completed ") == "0 -"
    app.quit()


# --- by import -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["begin", "start"])
def test_import(quick, app, way):
    """Also as the first call of a connection, which the bus would not yet take a descriptor from."""
    minted = quick.sim.mint("alice", LIBRARY)
    login = Login(app, flow="import")
    for wrong in ("two words", "x" * 2049):
        assert login.do(f"secret {wrong}") == f"-{EINVAL} BadArgument"
    assert login.do(f"secret {minted['refresh_token']}") == "0 -"
    getattr(login, way)()
    if not any("linked" in line for line in login.lines()):
        assert login.await_end() == "linked"
    assert login.show()["account"] == "main"
    app.quit()


# --- what goes away ------------------------------------------------------------------------------------------------


def test_broker_killed(quick, app):
    """The login is lost, which is told once; the next one is a new one."""
    login = Login(app).begin().await_state("waiting")
    login.tell("wait")
    quick.broker.kill9()
    assert login.wait_line("wait ") == f"-{EHOSTUNREACH} NoBroker"
    assert [line for line in login.lines() if " lost " in line] == ["change waiting lost NoBroker"]
    assert login.show()["outcome"] == "lost" and login.do("wait") == f"-{EHOSTUNREACH} NoBroker"
    assert login.do("complete code a b") == f"-{EHOSTUNREACH} NoBroker" and login.do("cancel") == "0 -"
    quick.broker.start()
    again = Login(app, 2).begin().await_state("waiting")
    approve(quick, again)
    assert again.await_end() == "linked"
    assert len([line for line in login.lines() if " lost " in line]) == 1
    app.quit()


def test_begun_at_a_broker_that_came_anew(quick, app):
    """The handle hears only with the answer that there was another before."""
    assert app.ask("check profile") == "0 -"
    app.tell("pause")
    app.expect("paused")
    quick.broker.kill9()
    quick.broker.start()
    login = Login(app).begin()
    app.tell("resume")
    login.await_state("waiting")
    approve(quick, login)
    assert login.await_end() == "linked" and not any(" lost " in line for line in login.lines())
    app.quit()


def test_freed_in_the_middle(quick, app):
    """The broker forgets it, though the connection stays."""
    alice = quick.client("alice")
    login = Login(app).begin().await_state("waiting")
    assert status(alice)["logins"] == 1
    login.do("free")
    wait_until(lambda: status(alice)["logins"] == 0, 10 * quick.slowness, "the login to go")
    assert app.ask("check profile") == "0 -"
    app.quit()


@pytest.mark.parametrize("last", ["give-up", "free"])
def test_given_up_before_it_was_answered(quick, app, last):
    """What the broker makes of it all the same is ended; the callback is not called."""
    assert app.ask("check profile") == "0 -"
    alice = quick.client("alice")
    login = Login(app)
    quick.broker.pause()
    assert login.do("start-begin") == "0 -" and login.do(last) == "0 -"
    quick.broker.cont()
    wait_until(lambda: counter(quick, "codepair.requests") == 1, 10 * quick.slowness, "the broker to make it")
    wait_until(lambda: status(alice)["logins"] == 0, 10 * quick.slowness, "the login to go")
    assert not any(line.startswith(("begun", "change")) for line in login.lines())
    if last == "give-up":
        login.begin().await_state("waiting")
    app.quit()


# --- what a broker that says anything, and others, can send ----------------------------------------------------------


class Bench:
    """What the driver needs of a world."""

    slowness = 4 if os.environ.get("LWA_SANITIZE") else 1

    def __init__(self, address):
        self.address = address

    def program(self, name):
        return os.path.abspath(os.path.join(os.environ.get("LWA_BUILD", "build"), name))

    def spawn_as(self, _user, argv, env=None, text=False, **options):
        return subprocess.Popen(argv, env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address, **(env or {})},
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=text, **options)


class Stage:
    """A broker with one login, which speaks when it is told to."""

    PATH = PATH + "/login/7"

    def __init__(self, address):
        self.app = Driver(Bench(address))
        self.broker = Broker(address, {
            "Begin": lambda *_: ("o", (self.PATH,)), "Cancel": lambda: ("", ()),
            "GetAll": lambda _: ("a{sv}", (self.properties,))})
        self.properties = {"State": ("s", "waiting"), "UserCode": ("s", "FIRST")}
        self.caller = None
        self.broker.after["Begin"] = self.begun

    def begun(self, caller):
        self.caller = caller

    def stop(self):
        self.app.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.app.process.send_signal(signal.SIGCONT)

    def change(self, **properties):
        self.broker.signal(self.caller, self.PATH, PROPERTIES, "PropertiesChanged", "sa{sv}as",
                           (REQUEST, {name: ("s", value) for name, value in properties.items()}, []))

    def finish(self, outcome="linked", **details):
        self.broker.signal(self.caller, self.PATH, REQUEST, "Finished", "sa{sv}", (outcome, details))

    def close(self):
        self.app.process.kill()
        self.app.process.communicate()
        self.broker.close()


@pytest.fixture(scope="module")
def bus(tmp_path_factory):
    bus = Bus(str(tmp_path_factory.mktemp("bus")))
    yield bus
    bus.close()


@pytest.fixture
def stage(bus):
    stage = Stage(bus.address)
    yield stage
    stage.close()


def test_strangers_are_not_believed(bus, stage):
    """Anyone on the bus can send the app what looks like a signal of the broker's, or of the bus."""
    login = Login(stage.app).begin().await_state("waiting")
    stranger = open_dbus_connection(bus=bus.address)
    for path in (Stage.PATH, PATH + "/login/8"):
        send_signal(stranger, stage.caller, path, PROPERTIES, "PropertiesChanged", "sa{sv}as",
                    (REQUEST, {"UserCode": ("s", "EVIL")}, []))
        send_signal(stranger, stage.caller, path, REQUEST, "Finished", "sa{sv}", ("linked", {"account": ("s", "evil")}))
    send_signal(stranger, stage.caller, "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameOwnerChanged", "sss",
                (NAME, stage.broker.connection.unique_name, ""))
    stranger.close()
    stage.change(UserCode="SECOND")
    login.wait_line("change waiting ")
    assert login.show()["code"] == "SECOND" and login.show()["outcome"] == ""
    stage.finish("denied")
    assert login.await_end() == "denied" and login.show()["account"] == ""
    assert stage.broker.count("Cancel") == 0


def test_a_newer_signal_is_not_undone_by_an_older_answer(stage):
    """Both have come when the app looks, and it hears of signals first."""
    def stopped(_):
        stage.stop()
        return "a{sv}", ({"State": ("s", "starting"), "UserCode": ("s", "OLD"), "Notice": ("s", "kept")},)

    def then(_):
        stage.change(State="waiting", UserCode="NEW")
        stage.go_on()

    stage.broker.replies["GetAll"] = stopped
    stage.broker.after["GetAll"] = then
    login = Login(stage.app).begin()
    login.await_state("waiting")
    wait_until(lambda: login.show()["notice"] == "kept", 10 * Bench.slowness, "the answer to GetAll")
    shown = login.show()
    assert (shown["state"], shown["code"]) == ("waiting", "NEW")


@pytest.mark.parametrize("way", ["begin", "start"])
def test_signals_that_come_with_the_answer_to_begin(stage, way):
    """It is over before the app has heard that it has begun."""
    def stopped(*_):
        stage.stop()
        return "o", (Stage.PATH,)

    def then(caller):
        stage.begun(caller)
        stage.change(State="done")
        stage.finish("linked", account=("s", "main"), scopes=("as", [LIBRARY, "profile"]), refused=("as", ["a"]))
        stage.go_on()

    stage.broker.replies["Begin"] = stopped
    stage.broker.after["Begin"] = then
    login = getattr(Login(stage.app), way)()
    assert login.await_end() == "linked"
    shown = login.show()
    assert (shown["account"], shown["scope"], shown["refused"]) == ("main", LIBRARY + " profile", "a")


def test_a_login_that_the_broker_does_not_know(stage):
    """And of whose end it has said nothing: it is not waited for."""
    stage.broker.replies.pop("GetAll")
    login = Login(stage.app).begin()
    assert login.wait_line("change - lost ") == "UnknownMethod"
    assert login.do("wait") == "-95 UnknownMethod"
