"""Archives on nodes: taken by the kubelets, held to a policy; who asks for either, and waits for what comes of it."""

import json
import time

from cluster import Failed, wait_until

from .containers import NAMESPACE
from .service import ARCHIVES

KIND = "CheckpointRestoreOperator"


class Policy:
    """The resource, and what the nodes say on it."""

    def __init__(self, world, name, spec):
        self.world = world
        self.path = f"/apis/criu.org/v1/namespaces/{NAMESPACE}/checkpointrestoreoperators/{name}"
        world.api.apply({"apiVersion": "criu.org/v1", "kind": KIND, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})

    def change(self, **spec):
        self.world.api.patch(self.path, {"spec": spec})

    def nodes(self):
        return self.world.api.get(self.path).get("status", {}).get("nodes", [])

    def of(self, node):
        """What a node says."""
        found = [each for each in self.nodes() if each["node"] == node.name]
        if len(found) != 1:
            raise Failed(f"{len(found)} parts of {node.name}")
        return found[0]

    def wait_condition(self, node, kind, status, reason, word="", limit=60.0):
        """Waits until a node says so; returns its message."""
        def said():
            condition = next(each for each in self.of(node)["conditions"] if each["type"] == kind)
            if (condition["status"], condition["reason"]) != (status, reason) or word not in condition["message"]:
                raise Failed(f"{condition}")
            return condition
        return wait_until(f"{kind}={status} for {reason} of {node.name}", said, limit)["message"]


class Archives:
    """The kubelet's directory on a node, and the kubelet that writes there."""

    def __init__(self, node, kubelet):
        self.node, self.kubelet = node, kubelet

    def names(self):
        """Every name; unusual characters as `ls -b` shows them."""
        return set(self.node.run("ls", "-A", "-b", ARCHIVES).splitlines())

    def ask(self, pod):
        """Has the kubelet take a checkpoint, whose name has the second of now: (status, text)."""
        time.sleep(1.1)
        return self.kubelet(f"{NAMESPACE}/{pod}/counter")

    def take(self, pod):
        """Takes one; returns its name."""
        status, answer = self.ask(pod)
        if status != 200:
            raise Failed(f"checkpoint of {pod}: {status}: {answer}")
        return json.loads(answer)["items"][0].removeprefix(f"{ARCHIVES}/")

    def wait_left(self, names, limit=30.0):
        """Waits until just these are there, and still are a moment later; returns the seconds it took."""
        began = time.time()

        def settled():
            found = self.names()
            if found != set(names):
                raise Failed(f"there are {sorted(found)}, to be left are {sorted(names)}")
            return True
        wait_until(f"{len(names)} files left on {self.node.name}", settled, limit)
        took = time.time() - began
        time.sleep(3)
        settled()
        return took
