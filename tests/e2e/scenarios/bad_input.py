"""Input that cannot be saved, files that are not ours, a full and a read-only disk, a runtime that hangs: said clearly, and no harm beside."""

import json
import os
import signal
import socket
import time

from cluster import Failed, image, wait_until

from .. import applications
from ..applications import NO_TOKEN, alone, container, template
from ..observe import File, copies, files
from ..world import NAMESPACE
from .status_offline import secret_env

NODES = 2
PATIENT = True
GONE_IMAGE = "test.invalid/gone:1"


def run(world):
    first, second = world.cluster.nodes
    small = small_disk(second)
    unlucky_pods(world)
    odd_files(first)
    world.install()
    world.wait_captured("healthy", world.agent_name())
    pods_are_explained(world)
    odd_files_are_left_alone(world)
    commands_say_what_is_wrong(world)
    full_and_read_only(world, second, small)
    hanging_runtime(world)


def on(node, name, spec, **more):
    return alone(name, template(name, spec, nodeName=node.name, **NO_TOKEN, **more))


# Pods that cannot be saved

def unlucky_pods(world):
    """Pods that run now and would not offline, and a healthy one beside them."""
    node, api = world.node, world.api
    node.import_image(image.application(world.cluster.state / "gone.tar", GONE_IMAGE))
    claim = {"name": "claim", "persistentVolumeClaim": {"claimName": "claim"}}
    disappearing = container() | {"image": GONE_IMAGE}
    api.apply(*applications.OBJECTS, *_claim(),
              on(node, "healthy", container(mounts=["secret"]), volumes=[{"name": "secret", "secret": {"secretName": "keys"}}]),
              on(node, "with-claim", container(mounts=["claim"]), volumes=[claim]),
              on(node, "secret-env", secret_env()),
              on(node, "image-gone", disappearing),
              on(node, "runs-once", container(), restartPolicy="OnFailure"))
    for name in ("healthy", "with-claim", "secret-env", "image-gone", "runs-once"):
        api.wait_ready(NAMESPACE, f"app={name}")
    node.remove_image(GONE_IMAGE)


def _claim():
    volume = {"capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "", "hostPath": {"path": "/var/lib/e2e/claim"}}
    claim = {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "volumeName": "claim", "resources": {"requests": {"storage": "1Mi"}}}
    return ({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "claim"}, "spec": volume},
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "claim", "namespace": NAMESPACE}, "spec": claim})


def pods_are_explained(world):
    for name, words in (("with-claim", ("claim",)), ("secret-env", ("inline-secret-env", "E2E_KEY")), ("image-gone", (GONE_IMAGE,)),
                        ("runs-once", ("restartPolicy",))):
        def explained(name=name, words=words):
            status = world.pod_status(name)
            said = " ".join(status["reasons"])
            if status["restorable"] or not all(word.lower() in said.lower() for word in words):
                raise Failed(f"{name}: restorable {status['restorable']}, reasons {status['reasons']}")
            return said
        world.note(f"{name}: {wait_until(f'the reason for {name}', explained, limit=30)}")
        assert f"{NAMESPACE}_{name}.yaml" not in files(world.node, File.INACTIVE), "something was written for a pod that is not restorable"
    assert world.pod_status("healthy")["restorable"]


# Files that are not ours, or not whole

FOREIGN, HALF, TEMPORARY = f"{NAMESPACE}_foreign.yaml", f"{NAMESPACE}_half.yaml", ".pod-checkpointer-left-by-a-crash"


def odd_files(node):
    inactive = node.disk(File.INACTIVE.value)
    inactive.mkdir(parents=True, mode=0o700)
    node.disk(f"{File.ACTIVE.value}/{FOREIGN}").write_text(json.dumps(applications.by_hand("foreign")))
    (inactive / HALF).write_text('apiVersion: v1\nkind: Pod\nmetadata:\n  annotations: {"checkpointer.alpha.coreos.com/checkpoi')
    (inactive / TEMPORARY).write_text("half a manif")


def odd_files_are_left_alone(world):
    node = world.node
    assert FOREIGN in files(node, File.ACTIVE) and HALF in files(node, File.INACTIVE), "a file that is not ours was removed"
    assert TEMPORARY not in files(node, File.INACTIVE), "a temporary file was left"
    assert any(copy.name == "foreign-node1" for copy in copies(node)), copies(node)
    assert any(HALF in note for note in world.status()["notes"]), world.status()["notes"]


# Commands

def commands_say_what_is_wrong(world):
    node = world.node
    garbage = world.cluster.state / "garbage.kubeconfig"
    garbage.write_bytes(os.urandom(512))
    # It goes on without an API server, as on any damaged node, and waits for the lock of the agent that leads.
    lines = said(node, 124, "timeout", "5", world.binary, "run", "--node-name=node1", "--pod-name=by-hand", "--pod-namespace=kube-system", f"--kubeconfig={garbage}",
                 f"--probe-socket={world.cluster.state}/probe.sock", "--listen=")
    assert str(garbage) in lines[0] and any("waiting for the node's lock" in line for line in lines), lines
    world.note(lines[0])

    tomorrow = applications.plain("tomorrow")
    tomorrow["metadata"]["uid"] = "0d5c1f3a-7f2f-4f0e-9a55-1f3e9a7c0009"  # an API server that knows the field has stored it
    tomorrow["spec"]["volumes"] = [{"name": "q", "quantum": {"entangledWith": "node2"}}]
    pod = world.cluster.state / "tomorrow.json"
    pod.write_text(json.dumps(tomorrow))
    lines = said(node, 1, world.binary, "render", "-f", pod)
    assert any("quantum" in line for line in lines), lines
    world.note(next(line for line in lines if "quantum" in line))

    hanging = world.cluster.state / "hang.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(hanging))
        listener.listen()
        began = time.monotonic()
        document = json.loads(node.run(world.binary, "status", "-o", "json", f"--container-runtime-endpoint=unix://{hanging}"))
        assert document["runtime"].startswith("unavailable"), document["runtime"]
        world.figure("status with a runtime that never answers", time.monotonic() - began, limit=20)
    hanging.unlink()


def said(node, code, *argv):
    """The lines of a command that is to exit with this code."""
    lines = node.run("sh", "-c", '"$@"; echo "exit $?"', "sh", *argv).splitlines()
    assert lines[-1] == f"exit {code}", lines
    return lines[:-1]


# Disks

def small_disk(node):
    """A node whose /etc/kubernetes is small."""
    node.power_cut()
    small = node.small_disk("/etc/kubernetes", "1m")
    node.power_on()
    node.wait_runtime()
    return small


def full_and_read_only(world, node, small):
    api = world.api
    api.apply(on(node, "early", container(mounts=["secret"]), volumes=[{"name": "secret", "secret": {"secretName": "keys"}}]))
    inactive = node.disk(File.INACTIVE.value)
    wait_until("the checkpoint of early", lambda: (inactive / f"{NAMESPACE}_early.yaml").exists())
    before = (inactive / f"{NAMESPACE}_early.yaml").read_bytes()

    def refused(name, word):
        api.apply(on(node, name, container()))
        api.wait_ready(NAMESPACE, f"app={name}")
        wait_until(f"a report about {name}", lambda: any(name in text and word in text.lower() for _, _, text in node.lines(NAMESPACE, "pod-checkpointer*")))
        assert not (inactive / f"{NAMESPACE}_{name}.yaml").exists()
        assert (inactive / f"{NAMESPACE}_early.yaml").read_bytes() == before

    def saved(name):
        began = time.monotonic()
        wait_until(f"the checkpoint of {name}", lambda: (inactive / f"{NAMESPACE}_{name}.yaml").exists(), limit=180)
        world.figure(f"disk mended to {name} saved", time.monotonic() - began)

    fill(small / "filler")
    refused("on-a-full-disk", "space")
    (small / "filler").unlink()
    saved("on-a-full-disk")
    node.run("mount", "-o", "remount,ro", "/etc/kubernetes")
    refused("on-a-read-only-disk", "read-only")
    node.run("mount", "-o", "remount,rw", "/etc/kubernetes")
    saved("on-a-read-only-disk")


def fill(path):
    """Writes until nothing fits any more, not even a name."""
    with open(path, "wb", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass


# The runtime

def hanging_runtime(world):
    """A runtime that does not answer is no evidence that pods are down."""
    node = world.node
    touched = node.disk(File.ACTIVE.value).stat().st_mtime_ns
    before = {copy.id for copy in copies(node)}
    world.control_plane.stop()
    node.kill_daemon("containerd", signal.SIGSTOP)
    time.sleep(45)  # an aware kubelet's pod counts as down after 30 s
    assert node.disk(File.ACTIVE.value).stat().st_mtime_ns == touched, "something was activated on no evidence"
    node.kill_daemon("containerd", signal.SIGCONT)
    node.wait_runtime()
    time.sleep(15)
    assert node.disk(File.ACTIVE.value).stat().st_mtime_ns == touched, "something was activated after the runtime came back"
    assert {copy.id for copy in copies(node)} == before, "a container was restarted"
