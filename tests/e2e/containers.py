"""Pods whose containers are checkpointed, what the restored ones say, and an image of an archive made without our help."""

import time

from cluster import Failed, image, wait_until

NAMESPACE = "default"
REPOSITORY = "test/application"

# Counts in memory, and shows it on its output and in a file.
COUNTER = "i=0; while :; do i=$((i+1)); echo count $i; echo $i >/tmp/count; sleep 0.5; done"
# Talks to itself over an established TCP connection, which no runtime here can dump.
CONNECTED = "nc -l -p 9000 -e cat & sleep 0.5; sleep 100000 | nc 127.0.0.1 9000"


def push_base(registry):
    """Puts the application into a registry: only an image that was pulled has the digest that a restore asks for."""
    return registry.push(REPOSITORY, "1", [image.application_layer()], {"Env": ["PATH=/bin"], "Cmd": ["sh"]})


def pod(name, node, containers, **more):
    """A pod on that node of [(container, image, script or None)]."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": name}},
            "spec": {"nodeName": node.name, "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 1, "containers": [
                {"name": container, "image": reference, **({"command": ["/bin/sh", "-c", script]} if script else {})}
                for container, reference, script in containers], **more}}


def start(world, *pods):
    """Creates pods and waits until they are Ready."""
    world.api.apply(*pods)
    for each in pods:
        world.api.wait_ready(NAMESPACE, f"app={each['metadata']['name']}")


def pulled(world, node, reference):
    """Has the node pull an image: a restore would look for the base image by HTTPS, whatever the node's mirrors say."""
    name = f"pull-{node.name}"
    start(world, pod(name, node, [("pull", reference, "sleep 100000")]))


def counts(node, name, container, since=0.0):
    """What a container counted after that moment. A restored container has its old output, with the old times, before the new."""
    found = [int(text.removeprefix("count ")) for at, _, text in node.lines(NAMESPACE, name, container) if at > since and text.startswith("count ")]
    if not found:
        raise Failed(f"{name}/{container} on {node.name} has not counted since {since}")
    return found


def goes_on(world, node, name, container, reference, before, **more):
    """Starts a pod from a checkpoint's image, and waits until it counts on from what it had; returns the seconds to Ready."""
    began = time.time()
    start(world, pod(name, node, [(container, reference, None)], **more))
    took = time.time() - began
    first = wait_until(f"{name} counting", lambda: counts(node, name, container, began), limit=20)[0]
    assert first >= before, f"{name} began again at {first}: it had counted to {before} before its checkpoint"
    wait_until(f"{name} counting on", lambda: counts(node, name, container, began)[-1] > first, limit=20)
    return took


def image_of(registry, repository, tag, archive, container):
    """Pushes an archive as the runtimes want it: one layer, and the annotations that say what it is."""
    return registry.push(repository, tag, [archive], {}, {"org.criu.checkpoint.container.name": container,
                                                         "io.kubernetes.cri-o.annotations.checkpoint.name": container})
