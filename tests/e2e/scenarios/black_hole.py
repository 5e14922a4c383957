"""The same while every packet of the node is swallowed: nothing is refused, and today's kubelet waits 30 s a round before it mounts anything, twice for each pod."""

from .. import outage


def run(world):
    network = world.cluster.network
    # Its volume reconciler asks for its own Node between two rounds, and the dial takes 30 s. The agent needs two rounds to
    # start, its twins two more, and a static pod written by hand two as well: no budget of ours, but all must come back.
    outage.run(world, cut=lambda: network.black_hole(1), mend=lambda: network.restore(1), slack=None)
