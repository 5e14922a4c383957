"""The same with the node's cable cut: nobody answers ARP, and every connection fails after three seconds."""

from .. import outage


def run(world):
    network = world.cluster.network
    outage.run(world, cut=lambda: network.cut(1), mend=lambda: network.restore(1), slack=2.5, waits=2)
