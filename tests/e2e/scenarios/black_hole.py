"""The same while every packet of the node is swallowed, so that nothing is refused and everything times out."""

from .. import outage


def run(world):
    network = world.cluster.network
    outage.run(world, cut=lambda: network.black_hole(1), mend=lambda: network.restore(1), slack=2.5, waits=2)
