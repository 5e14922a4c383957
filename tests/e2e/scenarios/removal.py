"""A deleted pod's checkpoint goes and the others stay; then the agent is uninstalled and leaves nothing, itself last."""

import json
import time

from cluster import Failed, wait_until

from .. import applications
from ..observe import File, assets, copies, files

PATIENT = True
KEPT, DELETED = ("kept-1", "kept-2"), "deleted"


def run(world):
    node = world.node
    pods = [applications.alone(name, applications.template(name, applications.container(mounts=["secret"]),
                                                           [{"name": "secret", "secret": {"secretName": "keys"}}], **applications.NO_TOKEN))
            for name in (*KEPT, DELETED)]
    world.api.apply(*applications.OBJECTS, *pods)
    foreign = node.disk("/etc/kubernetes/manifests/by-hand.yaml")
    foreign.write_text(json.dumps(applications.by_hand("by-hand", 8100)))
    world.install()
    world.wait_captured(*KEPT, DELETED, world.agent_name())
    assert {pod for _, _, pod in assets(node)} >= {*KEPT, DELETED}, assets(node)

    one_pod(world)
    the_agent(world, foreign)


def one_pod(world):
    """Deletes a pod and waits until what is kept of it is gone."""
    node = world.node
    before = content(node, KEPT)
    deleted = time.monotonic()
    world.api.delete(f"/api/v1/namespaces/kube-system/pods/{DELETED}")

    def gone():
        left = [name for where in File for name in files(node, where) if DELETED in name] + [a for a in assets(node) if DELETED in a]
        if left:
            raise Failed(f"still there: {left}")
        return True
    wait_until("the end of the deleted pod's files", gone, limit=180)
    world.figure("deletion of a pod to the end of its files (grace period 60 s)", time.monotonic() - deleted)
    assert content(node, KEPT) == before, "the other pods' files changed"


def content(node, pods):
    """Every byte kept of these pods."""
    root = node.disk("/etc/kubernetes")
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*")
            if path.is_file() and any(pod in str(path.relative_to(root)) for pod in pods)}


def the_agent(world, foreign):
    """Deletes the DaemonSet, and watches in which order things go."""
    node, own = world.node, f"kube-system_{world.agent_name()}.yaml"
    deleted, order = time.monotonic(), []
    world.uninstall()

    def gone():
        ours = {(where, name) for where in File for name in files(node, where)} - {(File.ACTIVE, foreign.name)}
        others = {entry for entry in ours if entry[1].removesuffix(".prev") != own}
        order.append((bool(others), (File.ACTIVE, own) in ours))
        if ours or assets(node):
            raise Failed(f"still there: {sorted(name for _, name in ours)}, {sorted(assets(node))}")
        return True
    wait_until("the end of every checkpoint", gone, limit=300, every=0.02)
    world.figure("deletion of the DaemonSet to the end of every checkpoint (grace period 60 s)", time.monotonic() - deleted)
    assert (True, False) not in order, "the agent removed its own checkpoint before the others'"

    def only_parents():
        found = copies(node)
        twins = [copy.name for copy in found if copy.twin or copy.container == "pod-checkpointer"]
        if twins:
            raise Failed(f"still running: {twins}")
        return found
    found = wait_until("the end of the agent's twin", only_parents, limit=60)
    assert {copy.pod for copy in found} == {*KEPT, "by-hand-node1"}, found
    assert foreign.exists()
