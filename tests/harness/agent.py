# SPDX-License-Identifier: LGPL-2.1-or-later
"""A polkit authentication agent that answers as a test says, for the process of a client.

    app = world.client("alice")
    agent = Agent(world, app, "yes")            # answers whatever polkit asks about that process
    app.get_token([...], interactive=True)
    agent.asked[0].message                      # what the person was shown
    agent.script("dismiss", "yes")              # the next answers; the last one stays
    held = agent.wait_asked(); agent.answer(held, "no")

The answers: "yes", as the one whom polkit asks for; "no", a wrong password: the conversation ends without a word
to polkit; "dismiss", the window is closed; "never", nothing happens until answer(); "die", the agent leaves the bus.

    Agent(world, alice, "yes", pid=player.pid)  # for another process of hers, in a sandbox, say

Without logind an agent registers for a process, not for a session. Only root may tell polkit that somebody has
authenticated, so the word goes by a connection of root's, as polkit's own setuid helper does it.
"""

import socket
import threading
from collections import deque

from jeepney import HeaderFields, Message, new_error, new_method_return

from world import Client, wait_until

AUTHORITY = "org.freedesktop.PolicyKit1.Authority"
AGENT = "org.freedesktop.PolicyKit1.AuthenticationAgent"
POLKIT = {"path": "/org/freedesktop/PolicyKit1/Authority", "destination": "org.freedesktop.PolicyKit1"}
CANCELLED = "org.freedesktop.PolicyKit1.Error.Cancelled"


def start_time(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return int(file.read().rsplit(")", 1)[1].split()[19])


class Question:
    """One BeginAuthentication. identities: the names of those who may answer, e.g. "uid:20001"."""

    def __init__(self, call):
        self.call = call
        self.action, self.message, self.icon, self.details, self.cookie, self.offered = call.body
        self.identities = [f"{'uid' if kind == 'unix-user' else 'gid'}:{next(iter(values.values()))[1]}"
                           for kind, values in self.offered]
        self.is_cancelled = False
        self.is_answered = False


class Agent:
    def __init__(self, world, client, *answers, pid=None):
        self.world = world
        self.client = client
        self.answers = deque(answers or ("yes",))
        self.asked = []
        self.root = Client("root", world.bus_path)
        self.own = client.another()
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        pid = pid or client.pid
        subject = ("unix-process", {"pid": ("u", pid), "start-time": ("t", start_time(pid))})
        self.own.call(AUTHORITY, "RegisterAuthenticationAgent", "(sa{sv})ss", (subject, "C", "/agent"), **POLKIT)
        self.thread.start()
        # Before its client, which has the process.
        world.clients.append(self)

    def script(self, *answers):
        self.answers = deque(answers)

    def close(self):
        try:
            self.own.connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has died
        self.thread.join(10)
        self.own.close()
        self.root.close()

    # --- what is asked ---

    @property
    def open(self):
        """The questions that wait for an answer."""
        return [question for question in self.asked if not question.is_answered and not question.is_cancelled]

    def wait_asked(self, n=1):
        """The n-th question, as soon as it is there."""
        wait_until(lambda: len(self.asked) >= n, 15 * self.world.slowness, f"{n} questions to the agent")
        return self.asked[n - 1]

    def wait_cancelled(self, question):
        wait_until(lambda: question.is_cancelled, 15 * self.world.slowness, "the question to be taken back")

    # --- answering ---

    def answer(self, question, word):
        question.is_answered = word != "never"
        if word == "yes":
            args = (int(self.uid()), question.cookie, question.offered[0])
            self.root.call(AUTHORITY, "AuthenticationAgentResponse2", "us(sa{sv})", args, **POLKIT)
        if word in ("yes", "no"):
            self.reply(new_method_return(question.call))
        elif word == "dismiss":
            self.reply(new_error(question.call, CANCELLED, "s", ("The person closed the window.",)))
        elif word == "die":
            self.own.connection.sock.shutdown(socket.SHUT_RDWR)
        else:
            assert word == "never", word

    def uid(self):
        return self.root.bus("GetConnectionUnixUser", "s", (self.own.name,))

    def reply(self, message):
        with self.lock:
            self.own.connection.send(message, serial=next(self.own.connection.outgoing_serial))

    def serve(self):
        try:
            while True:
                self.handle(self.own.connection.receive())
        except (OSError, EOFError, ValueError):
            pass  # closed, by us or from our side

    def handle(self, message: Message):
        member = message.header.fields.get(HeaderFields.member)
        if message.header.fields.get(HeaderFields.interface) != AGENT:
            return
        if member == "BeginAuthentication":
            question = Question(message)
            word = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
            self.asked.append(question)
            self.answer(question, word)
        elif member == "CancelAuthentication":
            for question in self.asked:
                if question.cookie == message.body[0]:
                    question.is_cancelled = True
            self.reply(new_method_return(message))
