"""Archives on a small disk of their own: it fills, refuses, goes read-only; names that are no archives, one that grows, another process that deletes."""

import time

from cluster import wait_until
from cluster.registry import Registry

from .. import containers
from ..archives import Archives, Policy
from ..binary import ROOT
from ..containers import COUNTER
from ..service import ARCHIVES, HOME, NAME, Service
from .restore_self_test import Kubelet

PATIENT = True
SIZE = 4 << 20
# What is unsettled is looked at again once a minute.
AGAIN = 75.0
OUTSIDE = "/var/lib/e2e/outside"


def run(world):
    node = world.node
    node.mount_disk(ARCHIVES, SIZE)
    registry = Registry(world.control_plane).start()
    base = containers.push_base(registry)
    world.api.kubectl("apply", "-f", ROOT / "manifests/crds")
    service = Service(world, registry)
    service.install()
    containers.start(world, containers.pod("counter", node, [("counter", base, COUNTER)]))
    here = Archives(node, Kubelet(world, node))
    clean = here.names()
    assert clean == {"lost+found"}, clean
    policy = Policy(world, "small", {"minFreeSpace": "40%", "globalPolicy": {"maxCheckpointsPerContainer": 100}})
    wait_until("the policy on the node", policy.nodes, limit=60)

    full(world, here)
    policy.change(minFreeSpace=None, applyPoliciesImmediately=True, globalPolicy={"maxCheckpointsPerContainer": 3})
    wait_until("three left", lambda: len(here.names()) == 4)
    left = sorted(here.names() - clean)
    others = clean | odd_names(here, left[-1])
    left = hostile(world, here, left, others)
    left = undeletable(world, service, here, left, others)
    left = read_only(world, policy, here, left, others)
    growing = Growing(here, left[0])
    left = two_instances(world, service, here, left, others | {growing.name})
    growing.ends(world, here, left, others)


def full(world, here):
    """Many more archives than the disk has room for are taken one after the other, and the kubelet never runs out of room."""
    taken, most = 20, 0
    for count in range(taken):
        status, answer = here.ask("counter")
        assert status == 200, f"after {count} archives: {status}: {answer}"
        most = max(most, len(here.names()))
    free = lambda: int(here.node.run("stat", "-f", "-c", "%a %b", ARCHIVES).split()[0]) / int(here.node.run("stat", "-f", "-c", "%a %b", ARCHIVES).split()[1])  # noqa: E731
    wait_until("room again", lambda: free() >= 0.4, limit=30)
    world.note(f"{taken} archives of about 270 KB on 4 MiB with minFreeSpace: 40%: the kubelet wrote every one, at most {most} lay there, {free():.0%} are free")


def odd_names(here, archive):
    """Names that look like older archives of the same container, and are not, or cannot be read; they are never touched."""
    stem = archive.rsplit("-20", 1)[0]
    script = f"""
        set -e; mkdir -p {OUTSIDE}; cp {ARCHIVES}/{archive} {OUTSIDE}/archive; cd {ARCHIVES}
        ln -s {OUTSIDE}/archive {stem}-2001-01-01T00:00:00Z.tar
        ln -s ../../../../etc/passwd {stem}-2001-01-01T00:00:01Z.tar
        mkdir {stem}-2001-01-01T00:00:02Z.tar
        mkfifo {stem}-2001-01-01T00:00:03Z.tar
        python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' s && mv s {stem}-2001-01-01T00:00:04Z.tar
        head -c 5000 /dev/urandom >{stem}-2001-01-01T00:00:05Z.tar
        cp {archive} "$(printf '{stem}-2001-01-01T00:00:06Z.tar\\nx')"
        cp {archive} "$(printf 'checkpoint-\\377-2001-01-01T00:00:07Z.tar')"
        cp {archive} {stem}-2001-01-01T00:00:08Z.tar; chmod 000 {stem}-2001-01-01T00:00:08Z.tar; chown 1000 {stem}-2001-01-01T00:00:08Z.tar
        printf 'sealed, says its name' >{stem}-2001-01-01T00:00:09Z.tar.age"""
    before = here.names()
    here.node.run("bash", "-c", script)
    return here.names() - before


class Growing:
    """A writer that adds to a file with the name of an archive, on and on, and in the end makes it a whole one."""

    def __init__(self, here, archive):
        self.node = here.node
        self.name = f"{archive.rsplit('-20', 1)[0]}-2001-01-02T00:00:00Z.tar"
        # A dump that is slow: what was written so far could be an archive at any moment, but has no end.
        script = f"""
            cp {ARCHIVES}/{archive} {OUTSIDE}/growing; size=$(stat -c %s {OUTSIDE}/growing); at=0; mkfifo {OUTSIDE}/done
            exec >>{ARCHIVES}/{self.name}
            while [ $at -lt $((size - 1024)) ] && [ ! -e {OUTSIDE}/end ]; do tail -c +$((at + 1)) {OUTSIDE}/growing | head -c 512; at=$((at + 512)); sleep 1; done
            tail -c +$((at + 1)) {OUTSIDE}/growing"""
        self.began = time.monotonic()
        self.node.start("growing", "bash", "-c", script)
        wait_until("the file that grows", lambda: self.name in here.names(), limit=5)

    def ends(self, world, here, left, others):
        """It becomes an archive of this container like any other: the older of two, by what it says itself, and so the one that goes."""
        world.note(f"a file grew for {time.monotonic() - self.began:.0f} s, and stayed")
        self.node.run("touch", f"{OUTSIDE}/end")
        here.wait_left({*left, *others})


def hostile(world, here, left, others):
    """With all of these there, one more archive takes the place of the oldest that is one; returns what is left."""
    left = [*left[1:], here.take("counter")]
    here.wait_left({*left, *others})
    assert here.node.run("sh", "-c", f"test -s {OUTSIDE}/archive && test -s /etc/passwd && echo both").strip() == "both"
    world.note(f"{len(others) - 1} names that are no archives were left alone")
    return left


def undeletable(world, service, here, left, others):
    """In the place of a file that the disk will not give up, the next oldest goes."""
    here.node.run("chattr", "+i", f"{ARCHIVES}/{left[0]}")
    left = [left[0], *left[2:], here.take("counter")]
    here.wait_left({*left, *others})
    said = [line for line in service.said(here.node).splitlines() if "cannot delete an archive" in line and left[0] in line]
    assert len(said) == 1, said
    world.note(f"immutable: {said[0]}")
    here.node.run("chattr", "-i", f"{ARCHIVES}/{left[0]}")
    return left


def read_only(world, policy, here, left, others):
    """A disk that is read-only refuses every deletion; what was demanded meanwhile is done when it is not, and the oldest can go by now."""
    here.node.run("mount", "-o", "remount,ro", ARCHIVES)
    policy.change(globalPolicy={"maxCheckpointsPerContainer": 2})
    world.note("read-only: " + policy.wait_condition(here.node, "Held", "False", "DeletionFailed", "read-write"))
    assert here.names() == {*left, *others}
    here.node.run("mount", "-o", "remount,rw", ARCHIVES)
    world.figure("disk mended to the policy held", here.wait_left({*left[1:], *others}, limit=AGAIN))
    policy.wait_condition(here.node, "Held", "True", "Sweeping")
    return left[1:]


def two_instances(world, service, here, left, others):
    """A second instance deletes nothing while the first is there, and takes over when it is gone; returns what is left."""
    node, second = here.node, "/var/lib/e2e/second"
    node.disk("/var/lib/e2e/policy.yaml").write_text("{applyPoliciesImmediately: true, maxCheckpointsPerContainer: 1}\n")
    # Root without any capability, as the DaemonSet has it: what is not for it to read, it does not.
    node.start("second", "setpriv", "--bounding-set=-all", "env", "CHECKPOINT_IMAGE_PREFIX=test.invalid/none", f"CHECKPOINTER_NAMESPACE={HOME}", f"CHECKPOINTER_NODE={node.name}",
               f"CHECKPOINTER_NODE_IP={node.address}", world.binary, "serve", "--port=3334", f"--storage={second}", "--retention-policy=/var/lib/e2e/policy.yaml",
               "--kubeconfig=/var/lib/kubelet/kubeconfig")
    said = wait_until("the second instance to see that it is not the first", lambda: [
        line for line in (node.log / "second.log").read_text().splitlines() if "another process keeps this directory" in line], limit=30)
    world.note(f"the second: {said[0]}")
    taken = here.take("counter")
    left = [*left[1:], taken]
    here.wait_left({*left, *others})
    world.api.kubectl("delete", "daemonset", "-n", HOME, NAME)
    world.figure("the first gone to the second's policy held", here.wait_left({taken, *others}, limit=AGAIN + 60))
    assert "panicked" not in service.said(node)
    return [taken]
