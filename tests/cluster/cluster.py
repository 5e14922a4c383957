"""A whole cluster: control plane, network, nodes. Several can stand side by side under different names."""

import atexit
import contextlib
import re
import shutil
import signal
import sys
import time

from . import components, image, pki
from .api import Api, is_ready
from .controlplane import ControlPlane
from .network import Network
from .node import Node
from .process import Failed, wait_until


class Cluster:
    """`with Cluster("name") as cluster:` is up inside, and gone after, whatever happens."""

    def __init__(self, name="dev", nodes=1):
        if not re.fullmatch(r"[a-z][a-z0-9]{0,19}", name):
            raise Failed(f"a cluster's name is a letter and up to 19 more letters and digits, not {name!r}")
        if not 1 <= nodes <= pki.MOST_NODES:
            raise Failed(f"1 to {pki.MOST_NODES} nodes, not {nodes}")
        self.name, self.id = name, f"pc-{name}"
        self.state = components.CACHE / "clusters" / name
        self.log = self.state / "log"
        self.network = Network(self.id)
        self.api = Api(self.network.control_plane, self.state / "pki")
        self.control_plane = ControlPlane(self.id, self.network.control_plane, self.state, self.api)
        self.nodes = [Node(self.id, number, self.network, self.state) for number in range(1, nodes + 1)]

    def node(self, number=1):
        return self.nodes[number - 1]

    def up(self):
        """Makes it; returns the seconds until every node was Ready."""
        components.check()
        self.down()
        began = time.monotonic()
        shutil.copytree(pki.made(), self.state / "pki")
        archives = [image.pause(self.state / "pause.tar"), image.application(self.state / "application.tar")]
        self.network.make(len(self.nodes))
        # A kubelet that finds no API server comes back after up to 7 s: it starts last.
        for node in self.nodes:
            node.power_on(held="kubelet")
        self.control_plane.up(meanwhile=lambda: self._prepare(archives))
        for node in self.nodes:
            node.release_daemon("kubelet")
        for node in self.nodes:
            self.wait_node(node)
        return time.monotonic() - began

    def _prepare(self, archives):
        for node in self.nodes:
            node.wait_runtime()
            for archive in archives:
                node.import_image(archive)

    def wait_node(self, node, limit=60.0):
        """Waits until a node is Ready and takes pods, and pods can be created."""
        def there():
            found = self.api.get(f"/api/v1/nodes/{node.name}")
            return is_ready(found) and not found["spec"].get("taints") and self.api.find(
                "/api/v1/namespaces/default/serviceaccounts/default")
        wait_until(f"{node.name} Ready (see {node.log}/kubelet.log)", there, limit, every=0.05)

    def down(self):
        """Ends it, or what a killed run left of it. The logs go too: save_logs() first where they matter."""
        for number in range(1, pki.MOST_NODES + 1):
            Node(self.id, number, self.network, self.state).down()
        self.control_plane.down()
        self.network.destroy()
        shutil.rmtree(self.state, ignore_errors=True)

    def save_logs(self, target):
        """Copies the logs of every server, kubelet and pod, and what the nodes have in /etc/kubernetes."""
        target.mkdir(parents=True, exist_ok=True)
        for source, name in [(self.log, "control-plane"), (self.state / "audit.log", "audit.log")]:
            if source.is_dir():
                shutil.copytree(source, target / name, dirs_exist_ok=True)
            elif source.exists():
                shutil.copy(source, target / name)
        for node in self.nodes:
            for source, name in [(node.log, "daemons"), (node.disk("/var/log/pods"), "pods"), (node.disk("/etc/kubernetes"), "etc-kubernetes")]:
                if source.exists():
                    shutil.copytree(source, target / node.name / name, symlinks=True, dirs_exist_ok=True)

    def __enter__(self):
        # A second way out for whatever does not unwind the stack.
        atexit.register(self.down)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda got, _: sys.exit(128 + got))
        self.up()
        return self

    def __exit__(self, *_):
        self.down()
        atexit.unregister(self.down)

    @contextlib.contextmanager
    def kept_on_failure(self):
        """Like `with` itself, but what failed stays up to be looked at."""
        self.up()
        yield self
        self.down()
