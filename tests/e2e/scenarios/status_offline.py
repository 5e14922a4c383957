"""`pod-checkpointer status` tells what would come back while API server and agent are both away."""

import json

from cluster import Failed, wait_until

from .. import applications
from ..observe import copies


def run(world):
    node = world.node
    world.api.apply(*applications.OBJECTS, applications.plain("saved"),
                    applications.alone("refused", applications.template("refused", secret_env(), **applications.NO_TOKEN)))
    world.install()
    world.wait_captured("saved")
    world.api.wait_ready("kube-system", "app=refused")
    wait_until("the reason why a pod cannot be saved", lambda: why_not(world), limit=60)

    world.control_plane.stop()
    # With its twin's manifest taken away and its containers killed the agent is really gone; the kubelet must not bring it back.
    node.hold_daemon("kubelet")
    for copy in copies(node):
        if copy.container == "pod-checkpointer":
            node.run("ctr", "-n", "k8s.io", "tasks", "kill", "-s", "KILL", copy.id)
    wait_until("the end of the agent", lambda: not any(copy.container == "pod-checkpointer" for copy in copies(node)))

    document = world.status()
    assert set(document) >= {"node", "leader", "api", "runtime", "kubelet", "pods"}, document.keys()
    assert document["node"] == "node1", document["node"]
    assert document["runtime"] == "ok", document["runtime"]
    assert document["leader"] is False, document["leader"]
    saved, refused = world.pod_status("saved"), world.pod_status("refused")
    assert saved["restorable"] and saved["phase"] == "standby" and saved["image_present"], saved
    assert not refused["restorable"] and why_not(world), refused
    secrets = json.dumps(document)
    assert "a private key" not in secrets, "a Secret in status"

    table = node.run(world.binary, "status")
    assert "saved" in table and "refused" in table, table
    world.note("status with API server and agent away:\n" + "\n".join(f"      {line}" for line in table.splitlines()))
    node.run("sh", "-c", f"{world.binary} status --check; test $? = 3")


def why_not(world):
    """True once status says what to do about the pod that cannot be saved."""
    reasons = world.pod_status("refused")["reasons"]
    if not any("inline-secret-env" in reason for reason in reasons):
        raise Failed(f"reasons: {reasons}")
    return True


def secret_env():
    """A container that has a Secret in its environment, without the annotation that lets it be saved so."""
    return applications.container(env=[{"name": "E2E_KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "tls.key"}}}])
