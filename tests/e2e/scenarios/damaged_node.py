"""A node comes back damaged and without an API server: what is whole runs, what is not is named."""

import shutil

from cluster import wait_until

from .. import applications
from ..observe import File, copies

PATIENT = True


def run(world):
    node = world.node
    volumes = [{"name": "secret", "secret": {"secretName": "keys"}}]
    pods = [applications.alone(name, applications.template(name, applications.container(mounts=["secret"]), volumes, **applications.NO_TOKEN))
            for name in ("whole", "torn", "bare")]
    world.api.apply(*applications.OBJECTS, *pods)
    world.install()
    world.wait_captured("whole", "torn", "bare", world.agent_name())
    wait_until("the agent's twin", lambda: any(copy.twin for copy in copies(node)), limit=60)

    world.control_plane.stop_api()
    node.power_cut()
    etc = node.disk("/etc/kubernetes")
    manifest = node.disk(File.INACTIVE.value) / "kube-system_torn.yaml"
    manifest.write_bytes(manifest.read_bytes()[:200])
    data = next((etc / "checkpoint-secrets/kube-system/bare").glob("*/..data"))
    data.unlink()
    data.write_text("a copy of a volume, with its links followed")
    foreign = etc / "checkpoint-configmaps/kube-system/somebody/file"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("somebody's")
    (node.disk(File.INACTIVE.value) / ".pod-checkpointer-dir").mkdir()
    (etc / "checkpoint-cluster").write_bytes(bytes(37))
    shutil.rmtree(node.disk("/run/lock"), ignore_errors=True)
    node.power_on()

    wait_until("the twin of the whole one", lambda: any(copy.twin and copy.pod == "whole" for copy in copies(node)), limit=90)
    notes = "\n".join(world.status()["notes"])
    for part in ("kube-system_torn.yaml", "checkpoint-cluster"):
        assert part in notes, f"{part} is not named:\n{notes}"
    assert not world.pod_status("bare")["restorable"], "half a volume is called restorable"
    assert foreign.read_text() == "somebody's"
    world.control_plane.start_api()
    wait_until("every parent", lambda: {copy.pod for copy in copies(node) if not copy.twin} >= {"whole", "torn", "bare"}, limit=120)
    wait_until("every checkpoint whole again", lambda: all(pod["restorable"] for pod in world.status()["pods"] if pod["name"] in ("whole", "torn", "bare")), limit=180)
