"""Servers that `serve` must not believe: a registry that lies, and one beside it that only listens for what is sent to it."""

import json
import pathlib
import sys

from cluster import network, wait_until
from cluster.network import CONTROL_PLANE

FAKE = pathlib.Path(__file__).parent / "fakes" / "registry.py"
PORT = 5002
# Another host, by an address of its own.
ELSEWHERE = "10.99.0.66"


class LyingRegistry:
    """Both servers, as programs of the control plane."""

    private = False

    def __init__(self, world):
        self.world = world
        self.address, self.harvester = f"{CONTROL_PLANE}:{PORT}", f"{ELSEWHERE}:80"
        self.states = {name: world.cluster.state / name for name in ("liar", "harvester")}

    def start(self):
        """The liar, honest at first, and the harvester."""
        plane = self.world.control_plane
        network.ip(plane.namespace, "addr", "add", f"{ELSEWHERE}/24", "dev", "lan")
        for (name, state), address in zip(self.states.items(), (self.address, self.harvester)):
            state.mkdir()
            (state / "mode").write_text("honest")
            if name == "liar":
                (state / "harvester").write_text(self.harvester)
            plane.start_server(name, sys.executable, FAKE, address, state)
            wait_until(name, lambda where=address: network.request(plane.namespace, f"http://{where}/v2/")[0] == 200, limit=10)
        self.forget()
        return self

    def lie(self, how):
        """From now on; "honest" ends it."""
        self.forget()
        (self.states["liar"] / "mode").write_text(how)

    def forget(self):
        for state in self.states.values():
            (state / "seen").write_text("")

    def seen(self, who="liar"):
        """The requests since then."""
        return [json.loads(line) for line in (self.states[who] / "seen").read_text().splitlines()]
