"""A node shuts down in good order: its pods come back without an API server, and with one exactly the replacement runs."""

import time

from cluster import Failed, wait_until

from .. import applications
from ..observe import copies

PATIENT = True
# What the kubelet writes when `shutdownGracePeriod` ends a pod (KEP-2000). The cluster's nodes have no systemd whose
# signal it waits for, so the scenario writes it in its stead, with the kubelet held back.
SHUT_DOWN = {"phase": "Failed", "reason": "Terminated", "message": "Pod was terminated in response to imminent node shutdown.",
             "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}, {"type": "Ready", "status": "False"}]}
WATCHED = 300


def run(world):
    node = world.node
    world.api.apply(applications.owned("Deployment", "orders", applications.template("orders", applications.container(), **applications.NO_TOKEN)))
    world.install()
    world.api.wait_ready("kube-system", "app=orders")
    pod = world.api.pods("kube-system", "app=orders")[0]["metadata"]["name"]
    world.wait_captured(pod, world.agent_name())

    node.hold_daemon("kubelet")
    world.control_plane.stop_server("controller-manager")
    world.api.request("PATCH", f"/api/v1/namespaces/kube-system/pods/{pod}/status", {"status": SHUT_DOWN},
                      content="application/strategic-merge-patch+json")
    time.sleep(5)
    assert "retired" not in inactive(node, pod), "the node's own act was taken for its owner's will"
    world.control_plane.stop()
    node.power_cut()
    node.power_on()
    wait_until("the twin, without an API server", lambda: running(node) == [(pod, True)], limit=60)
    world.figure("power-on to its twin running", time.time() - node.powered_on_at)

    world.control_plane.start()
    world.cluster.wait_node(node)
    wait_until("the replacement, and the end of the twin", lambda: one_parent(node, pod), limit=180)
    until = time.monotonic() + WATCHED
    while time.monotonic() < until:
        found = running(node)
        assert len(found) == 1 and not found[0][1], f"not exactly the replacement: {found}"
        time.sleep(2)
    world.note(f"exactly one ran for {WATCHED} s more")


def inactive(node, pod):
    return node.disk(f"/etc/kubernetes/inactive-manifests/kube-system_{pod}.yaml").read_text()


def running(node):
    """(pod, is a twin) of every copy of the application."""
    return [(copy.pod, copy.twin) for copy in copies(node) if copy.pod.startswith("orders-")]


def one_parent(node, before):
    found = running(node)
    if len(found) != 1 or found[0][1] or found[0][0] == before:
        raise Failed(f"running: {found}")
    return True
