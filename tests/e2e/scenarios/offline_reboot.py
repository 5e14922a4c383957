"""A node loses power while the API server is stopped: twins run with the same data, and go when the parents return."""

from .. import outage


def run(world):
    twins = outage.run(world, cut=world.control_plane.stop, mend=world.control_plane.start, slack=1.0)
    outage.beside_the_kubelet_alone(world, twins)
