"""The network of a cluster: a bridge in the control plane's namespace, a cable to each node.

Nothing of it is visible outside these namespaces, so that clusters of different names share the same addresses.
"""

import contextlib
import ctypes
import http.client
import json
import os
import pathlib
import socket
import ssl

from .process import Failed, run

CONTROL_PLANE = "10.99.0.100"
API_PORT, REGISTRY_PORT = 6443, 5000
SERVICE_IP = "10.96.0.1"
# States of a bridge port; the node sees a carrier in both.
_DISABLED, _FORWARDING = 0, 3
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def node_address(number):
    return f"10.99.0.{number}"


def ip(namespace, *words):
    return run(["ip", "-n", namespace, *words])


class Network:
    """The namespaces of one cluster and the cables between them."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.control_plane = f"{cluster}-cp"

    def node(self, number):
        return f"{self.cluster}-n{number}"

    def make(self, nodes):
        pathlib.Path("/run/netns").mkdir(exist_ok=True)
        cp = self.control_plane
        run(["ip", "netns", "add", cp])
        ip(cp, "link", "set", "lo", "up")
        ip(cp, "link", "add", "lan", "type", "bridge")
        ip(cp, "addr", "add", f"{CONTROL_PLANE}/24", "dev", "lan")
        ip(cp, "link", "set", "lan", "up")
        for number in range(1, nodes + 1):
            self._connect(number)

    def _connect(self, number):
        cp, node = self.control_plane, self.node(number)
        run(["ip", "netns", "add", node])
        ip(node, "link", "set", "lo", "up")
        ip(cp, "link", "add", f"n{number}", "type", "veth", "peer", "name", "eth0", "netns", node)
        ip(cp, "link", "set", f"n{number}", "master", "lan", "up")
        ip(node, "addr", "add", f"{node_address(number)}/24", "dev", "eth0")
        ip(node, "link", "set", "eth0", "up")
        ip(node, "route", "add", "default", "via", CONTROL_PLANE)
        run(["ip", "netns", "exec", node, "sysctl", "-qw", "net.ipv4.ip_forward=1"])
        # The Service IP of the API server; there is no kube-proxy.
        for chain in ("OUTPUT", "PREROUTING"):
            run(["ip", "netns", "exec", node, "iptables", "-t", "nat", "-A", chain, "-d", SERVICE_IP, "-p", "tcp", "--dport", "443",
                 "-j", "DNAT", "--to", f"{CONTROL_PLANE}:{API_PORT}"])

    def black_hole(self, number):
        """Swallows every packet of a node silently, as a firewall or a dead line behind a router does: everything times out."""
        lan = json.loads(run(["ip", "-n", self.control_plane, "-j", "link", "show", "lan"]))[0]["address"]
        # Known for good: else the kernel would find that nobody answers ARP.
        ip(self.node(number), "neigh", "replace", CONTROL_PLANE, "lladdr", lan, "dev", "eth0", "nud", "permanent")
        self._port(number, _DISABLED)

    def cut(self, number):
        """Cuts the cable behind the node's switch: nobody answers ARP, and the kernel says "no route to host" after 3 s."""
        ip(self.node(number), "neigh", "flush", "dev", "eth0")
        self._port(number, _DISABLED)

    def _port(self, number, state):
        run(["ip", "netns", "exec", self.control_plane, "bridge", "link", "set", "dev", f"n{number}", "state", state])

    def unplug(self, number):
        """Takes the carrier away from a node."""
        ip(self.control_plane, "link", "set", f"n{number}", "down")

    def restore(self, number):
        ip(self.control_plane, "link", "set", f"n{number}", "up")
        run(["ip", "-n", self.node(number), "neigh", "del", CONTROL_PLANE, "dev", "eth0"], check=False)
        self._port(number, _FORWARDING)

    def forget_pods(self, number):
        """Removes what the CNI plugins left in a node's namespace, which a real power cut takes too."""
        for link in json.loads(run(["ip", "-n", self.node(number), "-j", "link"])):
            if link["ifname"] == "cni0" or link["ifname"].startswith("veth"):
                run(["ip", "-n", self.node(number), "link", "del", link["ifname"]], check=False)

    def destroy(self):
        for path in pathlib.Path("/run/netns").glob(f"{self.cluster}-*"):
            if path.name.removeprefix(f"{self.cluster}-").strip("0123456789") in ("cp", "n"):
                run(["ip", "netns", "del", path.name])


@contextlib.contextmanager
def inside(namespace):
    """This thread is in that network namespace for a while; a socket made meanwhile stays there."""
    with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{namespace}") as there:
        _enter(there, namespace)
        try:
            yield
        finally:
            _enter(home, "home")


def _enter(file, name):
    if _libc.setns(file.fileno(), _CLONE_NEWNET):
        raise Failed(f"entering the network namespace {name}: {os.strerror(ctypes.get_errno())}")


def request(namespace, url, method="GET", headers=None, body=None, limit=5.0, tls=None):
    """One HTTP request from inside a namespace: (status, body)."""
    status, _, answer = exchange(namespace, url, method, headers, body, limit, tls)
    return status, answer


def exchange(namespace, url, method="GET", headers=None, body=None, limit=5.0, tls=None):
    """The same, with the answer's headers (names in lower case) between the two."""
    scheme, rest = url.split("://", 1)
    host, _, path = rest.partition("/")
    address, _, port = host.partition(":")
    connection = http.client.HTTPConnection(address, int(port or (443 if scheme == "https" else 80)), timeout=limit)
    with inside(namespace):
        plain = socket.create_connection((connection.host, connection.port), timeout=limit)
    with plain:
        if scheme == "https":
            context = tls or ssl.create_default_context()
            plain = context.wrap_socket(plain, server_hostname=address)
        connection.sock = plain
        try:
            connection.request(method, f"/{path}", body, headers or {})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        except http.client.HTTPException as error:
            raise Failed(f"{method} {url}: {error!r}") from error
        finally:
            connection.close()
