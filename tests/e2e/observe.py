"""What runs on a node and what lies on its disk, seen without the API server and without the agent."""

import dataclasses
import enum

SOURCE = "kubernetes.io/config.source"
CHECKPOINT_OF = "checkpointer.alpha.coreos.com/checkpoint-of"


@dataclasses.dataclass(frozen=True)
class Copy:
    """A running container, and whose it is."""

    pod: str
    """Name of the parent, for a parent and its twin alike; of the pod itself for any other."""
    source: str
    """"api" or "file"."""
    twin: bool
    name: str
    container: str
    id: str
    restarts: int


def copies(node, namespace="kube-system"):
    """Running containers of a namespace on a node, by the runtime."""
    known = node.runtime()
    sandboxes = {sandbox["id"]: sandbox for sandbox in known.get("sandboxes") or []}
    found = []
    for container in known.get("containers") or []:
        labels = container["labels"]
        sandbox = sandboxes.get(container["pod_sandbox_id"])
        if container.get("state", 0) != 1 or sandbox is None or labels["io.kubernetes.pod.namespace"] != namespace:
            continue
        annotations = sandbox.get("annotations") or {}
        name, parent = labels["io.kubernetes.pod.name"], annotations.get(CHECKPOINT_OF)
        found.append(Copy(parent or name, annotations.get(SOURCE, ""), parent is not None, name, labels["io.kubernetes.container.name"],
                          container["id"], int(container["annotations"].get("io.kubernetes.container.restartCount", 0))))
    return found


class File(enum.Enum):
    """Directories of a node that hold manifests."""

    ACTIVE = "/etc/kubernetes/manifests"
    INACTIVE = "/etc/kubernetes/inactive-manifests"


ASSETS = ("/etc/kubernetes/checkpoint-secrets", "/etc/kubernetes/checkpoint-configmaps", "/etc/kubernetes/checkpoint-volumes")


def files(node, where):
    """Names of the files in one of those directories."""
    directory = node.disk(where.value)
    return {path.name for path in directory.iterdir()} if directory.exists() else set()


def assets(node):
    """Directories of assets on a node, as (tree, namespace, pod)."""
    return {(tree.rpartition("/")[2], path.parent.name, path.name) for tree in ASSETS for path in node.disk(tree).glob("*/*")}
