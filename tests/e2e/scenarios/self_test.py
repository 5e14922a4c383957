"""The cluster itself: a static pod survives a power cut without an API server, a pod of the API does not."""

import json

from cluster import wait_until

from .. import applications
from ..observe import copies

NEEDS_AGENT = False


def run(world):
    node = world.node
    node.disk("/etc/kubernetes/manifests/by-hand.yaml").write_text(json.dumps(applications.by_hand("by-hand", 8100)))
    world.api.apply(applications.plain("from-api"))
    world.api.wait_ready("kube-system", "app=from-api")
    wait_until("the static pod", lambda: started(node, "by-hand"))
    assert sources(node) == {"by-hand": "file", "from-api": "api"}, copies(node)

    world.control_plane.stop()
    for cut in ("refused", "black-holed"):
        if cut == "black-holed":
            world.cluster.network.black_hole(1)
        node.power_cut()
        node.power_on()
        at = wait_until("the static pod after the power cut", lambda: started(node, "by-hand", node.powered_on_at))
        world.figure(f"power-on to a hand-written static pod, API {cut}", at - node.powered_on_at)
        assert sources(node) == {"by-hand": "file"}, copies(node)

    world.cluster.network.restore(1)
    world.control_plane.start()
    world.api.wait_ready("kube-system", "app=from-api", limit=90)
    assert sources(node) == {"by-hand": "file", "from-api": "api"}, copies(node)


def started(node, pod, since=0.0):
    """When the newest copy of a pod began to run, if after `since`."""
    times = [at for at, _, text in node.lines("kube-system", f"{pod}*") if text.startswith("running as") and at > since]
    return max(times, default=None)


def sources(node):
    return {copy.name.removesuffix("-node1"): copy.source for copy in copies(node) if copy.container == "app"}
