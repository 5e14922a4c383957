"""The cluster itself: the kubelet takes checkpoints for whom it may, and the other node restores one, without our help."""

import json
import ssl

from cluster import network, wait_until
from cluster.registry import Registry

from .. import containers
from ..containers import COUNTER, CONNECTED

NODES = 2
NEEDS_AGENT = False


def run(world):
    first, second = world.cluster.nodes
    registry = Registry(world.control_plane).start()
    base = containers.push_base(registry)
    containers.start(world, containers.pod("counter", first, [("counter", base, COUNTER)]), containers.pod("connected", first, [("app", base, CONNECTED)]))
    ask = Kubelet(world, first)

    status, answer = ask("default/counter/counter", "refused")
    assert status == 403, (status, answer)
    before = containers.counts(first, "counter", "counter")[-1]
    status, answer = ask("default/counter/counter")
    assert status == 200, (status, answer)
    archive = first.disk(json.loads(answer)["items"][0])
    containers.pulled(world, second, base)
    world.figure("pod made of a checkpoint to Ready on the other node", containers.goes_on(
        world, second, "restored", "counter", containers.image_of(registry, "test/by-hand", "1", archive.read_bytes(), "counter"), before))

    for path, wanted, word in (("default/counter/none", 404, "container none does not exist"), ("default/none/none", 404, "pod does not exist"),
                               ("default/counter/counter?timeout=x", 404, "timeout"), ("default/connected/app", 500, "criu-dump.log")):
        status, answer = ask(path)
        assert status == wanted and word in answer, (path, status, answer)
    log = first.run("cat", answer.split("path= ")[1].split(")")[0])
    assert "Connected TCP socket" in log, log[-2000:]
    assert not list(second.disk("/var/lib/kubelet/checkpoints").iterdir()), "a checkpoint on a node that nobody asked"


class Kubelet:
    """Asks a kubelet for checkpoints with tokens of service accounts."""

    def __init__(self, world, node):
        self.world, self.node = world, node
        self.tls = ssl.create_default_context(cafile=world.cluster.state / "pki" / "ca.crt")
        account = {"apiVersion": "v1", "kind": "ServiceAccount"}
        binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "kubelet-checkpoint"}}
        world.api.apply({**account, "metadata": {"name": "allowed", "namespace": "default"}}, {**account, "metadata": {"name": "refused", "namespace": "default"}},
                        {**binding, "kind": "ClusterRole", "rules": [{"apiGroups": [""], "resources": ["nodes/checkpoint"], "verbs": ["create"]}]},
                        {**binding, "kind": "ClusterRoleBinding", "subjects": [{"kind": "ServiceAccount", "name": "allowed", "namespace": "default"}],
                         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "kubelet-checkpoint"}})
        self.tokens = {name: world.api.kubectl("create", "token", name).strip() for name in ("allowed", "refused")}
        # The kubelet remembers a refusal for half a minute: this must not come before the right does.
        wait_until("the right in force", lambda: "yes" in world.api.kubectl(
            "auth", "can-i", "create", "nodes", "--subresource=checkpoint", "--as=system:serviceaccount:default:allowed", check=False), limit=10)

    def __call__(self, path, account="allowed"):
        """POST /checkpoint/`path`: (status, text)."""
        status, body = network.request(self.world.control_plane.namespace, f"https://{self.node.address}:10250/checkpoint/{path}", "POST",
                                       {"Authorization": f"Bearer {self.tokens[account]}"}, b"", 30.0, self.tls)
        return status, body.decode()
