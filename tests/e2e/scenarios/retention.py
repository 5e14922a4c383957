"""Archives stay within the policy on the node where they are: the original's sample, a change of policy, a pin, a pod that is gone."""

import time

from cluster import Failed, wait_until
from cluster.registry import Registry

from .. import containers
from ..binary import ROOT
from ..containers import COUNTER, NAMESPACE
from ..service import ARCHIVES, Service
from .restore_self_test import Kubelet

NODES = 2

# The original's sample: its sizes are bare numbers, which taken for bytes would delete everything.
SAMPLE = {"apiVersion": "criu.org/v1", "kind": "CheckpointRestoreOperator", "metadata": {"name": "checkpointrestoreoperator-sample", "namespace": NAMESPACE},
          "spec": {"checkpointDirectory": ARCHIVES, "applyPoliciesImmediately": False,
                   "globalPolicy": {"retainOrphan": True, "maxCheckpointsPerNamespace": 50, "maxCheckpointsPerPod": 30, "maxCheckpointsPerContainer": 10,
                                    "maxCheckpointSize": 10, "maxTotalSizePerNamespace": 1000, "maxTotalSizePerPod": 500, "maxTotalSizePerContainer": 100}}}
OBJECT = f"/apis/criu.org/v1/namespaces/{NAMESPACE}/checkpointrestoreoperators/{SAMPLE['metadata']['name']}"


def run(world):
    first, second = world.cluster.nodes
    registry = Registry(world.control_plane).start()
    base = containers.push_base(registry)
    world.api.kubectl("apply", "-f", ROOT / "manifests/crds")
    service = Service(world, registry)
    service.install()
    containers.start(world, containers.pod("counter", first, [("counter", base, COUNTER)]), containers.pod("other", second, [("counter", base, COUNTER)]))
    here, there = Kubelet(world, first), Kubelet(world, second)
    world.api.apply(SAMPLE)
    wait_until("the policy on both nodes", lambda: len(nodes(world)) == 2, limit=90)

    eleven = [take(service, first, here, "counter") for _ in range(11)]
    left = eleven[1:]
    world.figure("the eleventh archive to the ten newest left", within(service, first, left))
    other = take(service, second, there, "other")

    change(world, globalPolicy={"maxCheckpointsPerContainer": 4})
    time.sleep(5)
    assert service.archives(first) == set(left), "applied at once, although the policy says not to"
    change(world, applyPoliciesImmediately=True)
    left = left[-4:]
    world.figure("applyPoliciesImmediately to the four newest left", within(service, first, left))

    first.disk(f"{ARCHIVES}/{left[0]}.keep").touch()
    left = [left[0], *left[2:], take(service, first, here, "counter")]
    within(service, first, left, also={f"{left[0]}.keep"})
    assert service.archives(second) == {other}, "another node's archives"

    world.api.kubectl("delete", "pod", "-n", NAMESPACE, "counter", "--now")
    time.sleep(5)
    assert service.archives(first) == {*left, f"{left[0]}.keep"}, "orphans are kept unless the policy says otherwise"
    change(world, globalPolicy={"retainOrphan": False})
    world.control_plane.stop()
    time.sleep(45)
    assert service.archives(first) == {*left, f"{left[0]}.keep"}, "an API server that does not answer says of no pod that it is gone"
    world.control_plane.start()
    world.figure("API back to the orphans gone, the pinned one left", within(service, first, left[:1], also={f"{left[0]}.keep"}, limit=420))
    assert service.archives(second) == {other}, "its pod is there"
    told(world, service, first)
    full_disk(world, service, second, there)


def full_disk(world, service, node, kubelet):
    """On a disk for eleven archives, more than that are taken one after the other, and the kubelet never runs out of room."""
    node.run("mount", "-t", "tmpfs", "-o", "size=3m,mode=700", "small", ARCHIVES)
    service.kill(node)  # its next container is given the small disk
    change(world, minFreeSpace="40%", globalPolicy={"maxCheckpointsPerContainer": 100})
    service.wait_ready()
    on_disk = lambda: node.run("sh", "-c", f"ls {ARCHIVES}").split()  # noqa: E731
    taken = 0
    for _ in range(16):
        time.sleep(1.1)
        status, answer = kubelet(f"{NAMESPACE}/other/counter")
        assert status == 200, f"after {taken} archives: {status}: {answer}"
        taken += 1
    wait_until("room again", lambda: 3 <= len(on_disk()) < 9, limit=30)
    world.note(f"{taken} archives of about 270 KB on 3 MiB with minFreeSpace: 40%: the kubelet wrote every one, {len(on_disk())} are left")


def nodes(world):
    return world.api.get(OBJECT).get("status", {}).get("nodes", [])


def change(world, **spec):
    world.api.patch(OBJECT, {"spec": spec})


def take(service, node, kubelet, pod):
    """Has the kubelet take a checkpoint; returns the archive's name. The kubelet names them by the second."""
    before = service.archives(node)
    time.sleep(1.1)
    status, answer = kubelet(f"{NAMESPACE}/{pod}/counter")
    assert status == 200, (status, answer)
    new = {name for name in service.archives(node) - before if name.endswith(".tar")}
    if len(new) != 1:
        raise Failed(f"new archives: {sorted(new)}")
    return new.pop()


def within(service, node, names, also=frozenset(), limit=30):
    """Waits until just these archives are there, and still are a moment later; returns the seconds it took."""
    began = time.time()

    def settled():
        found = service.archives(node)
        if found != {*names, *also}:
            raise Failed(f"there are {sorted(found)}, to be left are {sorted({*names, *also})}")
        return True
    wait_until(f"{len(names)} archives left", settled, limit)
    took = time.time() - began
    time.sleep(3)
    settled()
    return took


def told(world, service, node):
    """What was deleted is in the log, on the object and in an Event, with the reason."""
    log = service.said(node)
    assert log.count("deleted") >= 11, log[-3000:]
    mine = wait_until("this node's part of the status", lambda: [each for each in nodes(world) if each["node"] == node.name and each.get("lastDeletion")], limit=60)[0]
    world.note(f"status of {node.name}: {mine}")
    events = wait_until("an Event of a deletion", lambda: [event for event in world.api.get(f"/api/v1/namespaces/{NAMESPACE}/events")["items"]
                                                            if event["involvedObject"]["kind"] == SAMPLE["kind"]], limit=30)
    world.note(f"Event: {events[0]['reason']}: {events[0]['message']}")
