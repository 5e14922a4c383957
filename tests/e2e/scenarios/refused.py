"""The rights are deleted, the kubelet starts anew and an application is deleted: nothing rises, for five minutes."""

import time

from cluster import wait_until

from .. import applications
from ..observe import copies

PATIENT = True
WATCHED = 300


def run(world):
    node = world.node
    world.api.apply(*(applications.owned("Deployment", name, applications.template(name, applications.container(), **applications.NO_TOKEN))
                      for name in ("deleted", "kept")))
    world.install()
    for name in ("deleted", "kept"):
        world.api.wait_ready("kube-system", f"app={name}")
    pods = {name: world.api.pods("kube-system", f"app={name}")[0]["metadata"]["name"] for name in ("deleted", "kept")}
    world.wait_captured(*pods.values(), world.agent_name())
    wait_until("the agent's twin", lambda: any(copy.twin for copy in copies(node)), limit=60)

    world.api.kubectl("delete", "-f", str(world.cluster.state / "installed" / "rbac"), "--wait=false")
    # A watch that is open stays open; a new kubelet has the agent ask.
    node.kill_daemon("kubelet")
    wait_until("the agent to hear of it", lambda: world.status()["api"].startswith("refused"), limit=90)
    time.sleep(10)
    world.api.delete("/apis/apps/v1/namespaces/kube-system/deployments/deleted", propagationPolicy="Background")
    wait_until("the end of the deleted application", lambda: not any(copy.pod == pods["deleted"] for copy in copies(node)), limit=90)
    until = time.monotonic() + WATCHED
    while time.monotonic() < until:
        assert world.active() == set(), f"risen: {world.active()}"
        time.sleep(2)
    assert any(copy.pod == pods["kept"] for copy in copies(node)), "the other application ended"
    world.note(f"nothing rose for {WATCHED} s")
