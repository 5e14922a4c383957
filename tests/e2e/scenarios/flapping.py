"""An API server that comes and goes ten times while the node keeps its power: nothing is activated, nothing restarts."""

import time

from cluster import wait_until

from .. import applications
from ..observe import File, copies, files

PATIENT = True
PODS = ("still-1", "still-2", "still-host")


def run(world):
    node = world.node
    world.api.apply(*(applications.plain(name) for name in PODS[:2]),
                    applications.alone(PODS[2], applications.template(PODS[2], applications.container(8101), host_network=True,
                                                                      automountServiceAccountToken=False)))
    world.install()
    world.wait_captured(*PODS, world.agent_name())
    wait_until("the agent's twin", lambda: any(copy.twin for copy in copies(node)), limit=60)
    time.sleep(12)  # Up is ten seconds without a restart
    before = sorted(copies(node), key=lambda copy: copy.id)
    manifests = node.disk(File.ACTIVE.value)
    touched = manifests.stat().st_mtime_ns
    for _ in range(10):
        world.control_plane.stop_api()
        time.sleep(2)
        world.control_plane.start_api()
        time.sleep(1)
        assert manifests.stat().st_mtime_ns == touched, f"the kubelet's directory was written to: {files(node, File.ACTIVE)}"
    time.sleep(5)
    after = sorted(copies(node), key=lambda copy: copy.id)
    assert after == before, f"\nbefore {before}\nafter  {after}"
    assert manifests.stat().st_mtime_ns == touched, f"the kubelet's directory was written to: {files(node, File.ACTIVE)}"
    world.note(f"{len(after)} containers, the same as before, none restarted")
