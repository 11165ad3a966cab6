# SPDX-License-Identifier: LGPL-2.1-or-later
"""The part of the demo that is about who asks: two sandboxed apps of one user told apart, one that has to ask, and a
sandbox that nothing names."""

from agent import Agent
from boxed import boxed, flatpak
from person import link
from world import NAME, DBusError

SCOPE = "music::library:read"
PLAYER, RADIO = "org.example.Player", "org.example.Radio"
GRANTS = f"""\
[flatpak:{PLAYER}]
description = Player
allow = music::library:read

[flatpak:{RADIO}]
description = Radio
ask = music::library:read
"""


class SandboxedApp:
    """An app of alice's in a bubblewrap sandbox, with the mark of a Flatpak or with none."""

    def __init__(self, stage, title, client):
        self.stage = stage
        self.title = title
        self.client = client

    def show(self, interactive):
        flag = ", and may be asked" if interactive else ""
        self.stage.narrator.command(f"alice, in {self.title}", [f"GetToken(['{SCOPE}']){flag}"])

    def get(self, interactive=False):
        self.show(interactive)
        token = self.client.get_token([SCOPE], interactive=interactive)
        token.close()
        self.stage.narrator.show(f"a token of account {token.info['account']}, {' '.join(token.info['scopes'])}")
        return token

    def is_refused(self, *parts):
        """With this error, whose sentence says these things."""
        self.show(False)
        try:
            self.client.get_token([SCOPE]).close()
        except DBusError as error:
            self.stage.narrator.show(f"{error.name}: {error.message}")
            return all(part in f"{error.name} {error.message}" for part in parts)
        return False


def log_in(stage):
    world = stage.world
    world.write_grants("apps", GRANTS)

    def person(address, code):
        link(address, code, "carol", world.ca_file)

    stage.narrator.say("alice has a login of her own too, and two Flatpaks. The table says of them:")
    stage.narrator.show(GRANTS)
    stage.run("root", ["lwactl", "reload"])
    stage.login("alice", ["lwactl", "login", "--no-qr", SCOPE], person)


def tell_apart(stage, player, radio):
    stage.expect(player.get().info["account"] == "main", "Player gets its token: the table allows it")
    stage.expect(
        radio.is_refused("ConsentRequired", SCOPE), "Radio, of the same user, does not: someone has to be asked first"
    )
    explained = stage.run("alice", ["lwactl", "explain", f"flatpak:{RADIO}", SCOPE], status=None).stdout
    stage.expect("apps.conf" in explained, "explain names the line that decided, and what is missing")


def ask(stage, radio):
    stage.narrator.step("Radio lets its user be asked, once")
    agent = Agent(stage.world, radio.client, "yes")
    radio.get(interactive=True)
    message = agent.asked[0].message
    stage.narrator.aside(f"(polkit's agent showed: “{message}” alice typed her password.)")
    stage.expect("Radio" in message and "library" in message, "she could read what she agreed to")
    radio.get()
    stage.expect(len(agent.asked) == 1, "and was not asked again")
    seen = stage.run("alice", ["lwactl", "who"]).stdout
    stage.expect(PLAYER in seen and RADIO in seen, "who is connected, and who they were seen as")


def take_back(stage, player, radio):
    stage.narrator.step("alice takes it back")
    told = stage.run("alice", ["lwactl", "revoke", f"flatpak:{RADIO}", "--yes"]).stdout
    stage.expect(RADIO in told, "which token is still out, and until when: Amazon cannot revoke it")
    radio.client.wait_signal(NAME, "TokenRevoked", timeout=5 * stage.world.slowness)
    stage.expect(True, "Radio was told to stop using it")
    stage.expect(radio.is_refused("AccessDenied", "consent revoke"), "and is refused from the next call on")
    player.get()
    stage.expect(True, "Player is not touched")


def play(stage):
    stage.narrator.step("Two apps of one user, each in a sandbox, and a sandbox that nobody knows")
    log_in(stage)
    world = stage.world
    player = SandboxedApp(stage, "Player", flatpak(world, "alice", PLAYER))
    radio = SandboxedApp(stage, "Radio", flatpak(world, "alice", RADIO))
    tell_apart(stage, player, radio)
    stranger = SandboxedApp(stage, "a sandbox", boxed(world, "alice"))
    stage.expect(stranger.is_refused("AccessDenied", "sandbox"), "a sandbox without a name gets nothing, whoever's it is")
    ask(stage, radio)
    take_back(stage, player, radio)
    for app in (player, radio, stranger):
        world.clients.remove(app.client)
        app.client.close()
