"""What a scenario works with: a cluster, the agent installed as shipped, figures, and what to keep of a failure."""

import json
import re
import shutil

from cluster import Failed, image, wait_until

from .binary import ROOT
from .observe import File, copies, files

IMAGE = "test.invalid/pod-checkpointer:1"
NAMESPACE = "kube-system"
USER = "system:serviceaccount:kube-system:pod-checkpointer"


class World:
    """One scenario's surroundings."""

    def __init__(self, cluster, binary, logs):
        self.cluster, self.binary, self.logs = cluster, binary, logs
        # A scenario that needs no cluster has none.
        self.api, self.control_plane = cluster and cluster.api, cluster and cluster.control_plane

    @property
    def node(self):
        return self.cluster.node(1)

    # The agent

    def install(self):
        """Installs rbac/ and manifests/ as they are shipped, but for the image's name, and waits until the agent leads on every node."""
        archive = image.agent(self.cluster.state / "agent.tar", IMAGE, self.binary)
        for node in self.cluster.nodes:
            node.import_image(archive)
        folder = self.cluster.state / "installed"
        shutil.rmtree(folder, ignore_errors=True)
        for name in ("rbac", "manifests"):
            shutil.copytree(ROOT / name, folder / name)
        manifest = folder / "manifests" / "pod-checkpointer.yaml"
        text, count = re.subn(r"(?m)^(\s*image:) \S+$", rf"\1 {IMAGE}", manifest.read_text())
        if count != 1:
            raise Failed(f"{manifest}: {count} images instead of one")
        manifest.write_text(text)
        self.api.kubectl("apply", "-f", str(folder / "rbac"), "-f", str(folder / "manifests"))
        self.api.wait_ready(NAMESPACE, "app.kubernetes.io/name=pod-checkpointer", len(self.cluster.nodes), limit=90)

    def uninstall(self):
        """Deletes the DaemonSet as people do; the rights stay for the agent to clean up with."""
        self.api.kubectl("delete", "-f", str(self.cluster.state / "installed" / "manifests"), "--wait=false")

    def agent_name(self):
        """Name of the DaemonSet's pod on the first node."""
        found = [pod["metadata"]["name"] for pod in self.api.pods(NAMESPACE, "app.kubernetes.io/name=pod-checkpointer")
                 if pod["metadata"].get("ownerReferences", [{}])[0].get("kind") == "DaemonSet" and pod["spec"].get("nodeName") == self.node.name]
        if len(found) != 1:
            raise Failed(f"{len(found)} pods of the agent: {found}")
        return found[0]

    def wait_captured(self, *pods, limit=60.0):
        """Waits until each pod's checkpoint is on the first node's disk, set aside."""
        wanted = {f"{NAMESPACE}_{pod}.yaml" for pod in pods}

        def captured():
            missing = wanted - files(self.node, File.INACTIVE)
            if missing:
                raise Failed(f"without a checkpoint: {sorted(missing)}")
            return True
        wait_until("checkpoints", captured, limit)

    def active(self):
        """Names of pods whose checkpoints are in the kubelet's directory of the first node, the agent's own left out."""
        stem = f"{NAMESPACE}_"
        return {name.removeprefix(stem).removesuffix(".yaml") for name in files(self.node, File.ACTIVE)
                if name.startswith(stem) and not name.startswith(f"{stem}pod-checkpointer-")}

    def status(self):
        """What `pod-checkpointer status -o json` says on the first node."""
        return json.loads(self.node.run(self.binary, "status", "-o", "json"))

    def pod_status(self, name):
        """The status of one pod by its name."""
        found = [pod for pod in self.status()["pods"] if pod["name"] == name]
        if len(found) != 1:
            raise Failed(f"status has {len(found)} pods named {name}")
        return found[0]

    def requests(self):
        """How many requests the agents have made so far, by the API server's audit log."""
        return len(self.control_plane.requests_of(USER))

    # Figures and failures

    def figure(self, what, value, unit="s", budget=None, limit=None):
        """Prints a figure; fails only beyond `limit`, since machines are noisy and budgets are for quiet ones."""
        beside = "" if budget is None else f" (budget {budget:g} {unit}{'' if value <= budget else ', MISSED'})"
        print(f"    {value:8.2f} {unit:4} {what}{beside}", flush=True)
        if limit is not None and value > limit:
            raise Failed(f"{what}: {value:.2f} {unit}, more than {limit:g} {unit} even for a busy machine")

    def note(self, text):
        print(f"    {text}", flush=True)

    def save_logs(self):
        """Keeps the logs of every daemon and pod, and what the nodes have in /etc/kubernetes."""
        shutil.rmtree(self.logs, ignore_errors=True)
        self.cluster.save_logs(self.logs)

    def explain(self):
        """Keeps the logs of a failure, and shows the last words of the agent."""
        self.save_logs()
        for node in self.cluster.nodes:
            try:
                (self.logs / node.name / "runtime.txt").write_text("\n".join(map(str, copies(node))))
            except Failed:
                pass  # the power is off
            for _, pod, text in node.lines(NAMESPACE, "pod-checkpointer*")[-12:]:
                print(f"    {node.name} {pod.split('_')[1]}: {text}")
