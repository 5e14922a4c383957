"""The cluster itself: a static pod survives a power cut without an API server, a pod of the API does not."""

import json

from cluster import wait_until

from .. import applications
from ..observe import copies

NEEDS_AGENT = False


def run(world):
    node = world.node
    node.disk("/etc/kubernetes/manifests/by-hand.yaml").write_text(json.dumps(applications.by_hand("by-hand", 8100)))
    # With a token, as nearly every pod: what the kubelet finds of its volumes on disk after a reboot delays those of all pods.
    world.api.apply(applications.plain("from-api", automountServiceAccountToken=True))
    world.api.wait_ready("kube-system", "app=from-api")
    wait_until("the static pod", lambda: started(node, "by-hand"))
    assert sources(node) == {"by-hand": "file", "from-api": "api"}, copies(node)

    network = world.cluster.network
    for how, cut in (("API stopped", world.control_plane.stop), ("cable cut", lambda: network.cut(1))):
        cut()
        node.power_cut()
        node.power_on()
        at = wait_until("the static pod after the power cut", lambda: started(node, "by-hand", node.powered_on_at), limit=60)
        world.figure(f"power-on to a hand-written static pod, {how}", at - node.powered_on_at)
        assert sources(node) == {"by-hand": "file"}, copies(node)
    network.restore(1)

    ten_at_once(world)
    world.control_plane.start()
    world.api.wait_ready("kube-system", "app=from-api", limit=90)
    wait_until("the end of the ten", lambda: len(sources(node)) == 2)
    assert sources(node) == {"by-hand": "file", "from-api": "api"}, copies(node)


def ten_at_once(world):
    """What the kubelet needs for ten static pods, which no agent can be faster than."""
    node, names = world.node, [f"ten-{number}" for number in range(10)]
    for name in names:
        node.disk(f"/etc/kubernetes/manifests/{name}.yaml").write_text(json.dumps(applications.by_hand(name)))
    node.power_cut()
    node.power_on()
    last = wait_until("ten static pods", lambda: max(started(node, name, node.powered_on_at) or _never() for name in names))
    world.figure("power-on to the last of ten hand-written static pods", last - node.powered_on_at)
    for name in names:
        node.disk(f"/etc/kubernetes/manifests/{name}.yaml").unlink()


def _never():
    raise LookupError("a pod has not started yet")


def started(node, pod, since=0.0):
    """When the newest copy of a pod began to run, if after `since`."""
    times = [at for at, _, text in node.lines("kube-system", f"{pod}*") if text.startswith("running as") and at > since]
    return max(times, default=None)


def sources(node):
    return {copy.name.removesuffix("-node1"): copy.source for copy in copies(node) if copy.container == "app"}
