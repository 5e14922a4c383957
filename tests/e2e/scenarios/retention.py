"""Archives stay within the policy on the node where they are: the original's sample, a change of policy, a pin, a pod that is gone."""

import json
import time

from cluster import wait_until
from cluster.registry import Registry

from .. import containers
from ..archives import KIND, Archives, Policy
from ..binary import ROOT
from ..containers import COUNTER, NAMESPACE
from ..service import ARCHIVES, PORT, Service
from .restore_self_test import Kubelet

NODES = 2
PATIENT = True

# The original's sample: its sizes are bare numbers, which taken for bytes would delete everything.
SAMPLE = {"checkpointDirectory": ARCHIVES, "applyPoliciesImmediately": False,
          "globalPolicy": {"retainOrphan": True, "maxCheckpointsPerNamespace": 50, "maxCheckpointsPerPod": 30, "maxCheckpointsPerContainer": 10,
                           "maxCheckpointSize": 10, "maxTotalSizePerNamespace": 1000, "maxTotalSizePerPod": 500, "maxTotalSizePerContainer": 100}}


def run(world):
    first, second = world.cluster.nodes
    registry = Registry(world.control_plane).start()
    base = containers.push_base(registry)
    world.api.kubectl("apply", "-f", ROOT / "manifests/crds")
    service = Service(world, registry)
    service.install()
    containers.start(world, containers.pod("counter", first, [("counter", base, COUNTER)]), containers.pod("other", second, [("counter", base, COUNTER)]))
    here, there = Archives(first, Kubelet(world, first)), Archives(second, Kubelet(world, second))
    policy = Policy(world, "checkpointrestoreoperator-sample", SAMPLE)
    wait_until("the policy on both nodes", lambda: len(policy.nodes()) == 2, limit=90)

    eleven = [here.take("counter") for _ in range(11)]
    left = eleven[1:]
    world.figure("the eleventh archive to the ten newest left", here.wait_left(left))
    other = there.take("other")

    left = change_of_policy(world, policy, here, left)
    left = [*pinned(world, here, left), here.take("counter")]
    pin = f"{left[0]}.keep"
    here.wait_left([*left, pin])
    assert there.names() == {other}, "another node's archives"

    orphans(world, policy, here, left, pin)
    assert there.names() == {other}, "its pod is there"
    told(world, service, policy, first)


def change_of_policy(world, policy, here, left):
    """It is applied to what lies there only when it says so; a value that cannot be changes nothing. Returns what is left."""
    policy.change(globalPolicy={"maxCheckpointsPerContainer": 4})
    time.sleep(5)
    assert here.names() == set(left), "applied at once, although the policy says not to"
    policy.change(maxAge="soon", applyPoliciesImmediately=True)
    message = policy.wait_condition(here.node, "Valid", "False", "Refused", "spec.maxAge")
    world.note(f"a value that cannot be: {message}")
    assert here.names() == set(left), "applied, although a part of it cannot be"
    policy.change(maxAge=None)
    left = left[-4:]
    world.figure("applyPoliciesImmediately to the four newest left", here.wait_left(left))
    policy.wait_condition(here.node, "Valid", "True", "Read", "spec.globalPolicy.maxCheckpointSize")
    return left


def pinned(world, here, left):
    """The oldest is pinned from the command line, which says what a policy would delete; returns those that another one leaves."""
    node, archive = here.node, [world.binary, "archive"]
    node.run(*archive, "pin", f"{ARCHIVES}/{left[0]}")
    listed = json.loads(node.run(*archive, "ls", ARCHIVES, "-o", "json"))
    assert {(each["file"], each["metadata"]["pod"]) for each in listed} == {(name, "counter") for name in left}, listed
    strict = world.cluster.state / "strict.yaml"
    strict.write_text("maxCheckpointsPerContainer: 2\n")
    chosen = json.loads(node.run(*archive, "prune", "--policy", strict, "--dry-run", "-o", "json"))
    assert [each["file"] for each in chosen] == left[1:3], chosen
    world.note(f"archive prune --dry-run: {chosen[0]['file']}: {chosen[0]['why']}")
    refused = node.run(*archive, "prune", "--policy", strict, "--yes", check=False)
    assert "another process" in refused and here.names() == {*left, f"{left[0]}.keep"}, refused
    return [left[0], *left[2:]]


def orphans(world, policy, here, left, pin):
    """Archives of a pod that is gone stay unless the policy says otherwise, and as long as the API server says nothing."""
    world.api.kubectl("delete", "pod", "-n", NAMESPACE, "counter", "--now")
    time.sleep(5)
    assert here.names() == {*left, pin}, "orphans are kept unless the policy says otherwise"
    policy.change(globalPolicy={"retainOrphan": False})
    world.control_plane.stop()
    time.sleep(45)
    assert here.names() == {*left, pin}, "an API server that does not answer says of no pod that it is gone"
    world.control_plane.start()
    world.figure("API back to the orphans gone, the pinned one left", here.wait_left([left[0], pin], limit=150))


def told(world, service, policy, node):
    """What was deleted is in the log, on the object, in an Event and in metrics, with the reason."""
    log = service.said(node)
    assert log.count("deleted") >= 11, log[-3000:]
    mine = wait_until("this node's part of the status", lambda: policy.of(node).get("lastDeletion") and policy.of(node), limit=60)
    world.note(f"status of {node.name}: {mine}")
    events = wait_until("an Event of a deletion", lambda: [event for event in world.api.get(f"/api/v1/namespaces/{NAMESPACE}/events")["items"]
                                                            if event["involvedObject"]["kind"] == KIND], limit=30)
    table = world.api.kubectl("get", "checkpointrestoreoperators", "-n", NAMESPACE)
    assert table.splitlines()[1].split()[1:3] == ["True", "Sweeping"], table
    world.note(f"Event: {events[0]['reason']}: {events[0]['message']}")
    status, metrics = service.ask(node, "GET", "/metrics")
    assert status == 200 and 'container_checkpoints_archives_deleted_total{reason="orphan"} 3' in metrics, metrics
    for line in ('archives{state="whole"} 1', 'archives{state="pinned"} 1'):
        assert f"container_checkpoints_{line}\n" in metrics, metrics
