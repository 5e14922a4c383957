"""One node: a real kubelet and containerd in namespaces of their own, with a disk that outlives its power."""

import json
import os
import pathlib
import re
import signal
import time

from . import components, network
from .network import CONTROL_PLANE, REGISTRY_PORT, node_address
from .process import Failed, Group, ended, hierarchies, kill, run, wait_until

# Directories of a node that its disk holds; everything else is the machine's own, and /run is gone with the power.
PERSISTENT = ("/etc/kubernetes", "/etc/cni/net.d", "/etc/containerd", "/var/lib/kubelet", "/var/lib/containerd", "/var/lib/cni",
              "/var/log/pods", "/var/log/containers", "/var/lib/e2e")
CRI_SOCKET = "/run/containerd/containerd.sock"
PAUSE = "test.invalid/pause:1"
_LOG_LINE = re.compile(r"^(\S+) (stdout|stderr) [FP] (.*)$")


class Node:
    """A node of a cluster, by its number from 1."""

    def __init__(self, cluster, number, net, state):
        self.number, self.name = number, f"node{number}"
        self.address = node_address(number)
        self.network = net
        self.namespace = net.node(number)
        self.group = Group(f"{cluster}-n{number}")
        self.root = state / self.name
        self.log = self.root / "log"
        self.pki = state / "pki"
        self.powered_on_at = None

    def disk(self, path):
        """Where a path of the node's disk is on this machine, with the power on or off."""
        return self.root / "disk" / path.lstrip("/")

    # Power

    def power_on(self, held=""):
        """Starts the node; returns at once, with the time in `powered_on_at`. A daemon named in `held` waits for its release."""
        self._write_files()
        self.group.make()
        where = " ".join(f"{point}={','.join(controllers)}" for point, controllers in hierarchies().items())
        environment = {"NODE": self.name, "ADDRESS": self.address, "DISK": str(self.root / "disk"), "LOG": str(self.log),
                       "KUBE": str(components.KUBE), "HIERARCHIES": where, "PERSISTENT": " ".join(PERSISTENT), "HELD": held, "PATH": components.PATH}
        self.powered_on_at = time.time()
        process = self.group.start(
            ["nsenter", f"--net=/run/netns/{self.namespace}", "unshare", "--pid", "--mount", "--cgroup", "--uts", "--propagation", "private",
             "--fork", "--kill-child", "--mount-proc", pathlib.Path(__file__).parent / "node-init"], self.log / "init.log", environment)
        (self.root / "pid").write_text(str(process.pid))

    def init(self):
        """The machine's pid of the node's first process; fails where the power is off."""
        try:
            outer = int((self.root / "pid").read_text())
            return int(pathlib.Path(f"/proc/{outer}/task/{outer}/children").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError, IndexError) as error:
            raise Failed(f"{self.name} is off") from error

    def power_cut(self):
        """Kills every process of the node at once. The page cache stays: that durability is shown elsewhere."""
        outer = int((self.root / "pid").read_text())
        kill(self.init(), signal.SIGKILL)
        wait_until(f"end of {self.name}", lambda: ended(outer), limit=20, every=0.01)
        self._clear_away()

    def _clear_away(self):
        self.group.destroy()
        self.network.forget_pods(self.number)
        (self.root / "pid").unlink(missing_ok=True)

    def down(self):
        """Ends whatever a run, also a killed one, left of this node."""
        self.group.destroy()
        self._unmount()
        (self.root / "pid").unlink(missing_ok=True)

    # The disk

    def small_disk(self, path, size):
        """Puts a small tmpfs where that directory of the disk is; only with the power off. Returns its place on this machine."""
        place = self.disk(path)
        place.mkdir(parents=True, exist_ok=True)
        run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "small", place])
        return place

    def mount_disk(self, path, size):
        """Puts a disk of its own, ext4 on a loop device, over a directory of the node that is on; it is gone with the power."""
        image = self.root / (path.strip("/").replace("/", "-") + ".img")
        with image.open("wb") as file:
            file.truncate(size)
        run(["mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", image])
        self.run("mkdir", "-p", path)
        self.run("mount", "-o", "loop", image, path)

    def _unmount(self):
        for line in pathlib.Path("/proc/mounts").read_text().splitlines():
            if line.split()[1].startswith(f"{self.root}/"):
                run(["umount", line.split()[1]])

    # Inside

    def command(self, *argv):
        """The command line that runs `argv` on the node."""
        return ["nsenter", "-t", str(self.init()), "--mount", "--pid", "--net", "--uts", "--cgroup", "--", "env", f"PATH={components.PATH}",
                *map(str, argv)]

    def run(self, *argv, check=True, stdin=None):
        """Runs a command on the node and returns its output."""
        return run(self.command(*argv), check=check, stdin=stdin)

    def start(self, name, *argv):
        """Starts a process of the node, which ends with its power; its output is in `log`/`name`.log."""
        self.group.start(self.command(*argv), self.log / f"{name}.log")

    def http(self, url, limit=2.0):
        """GET from the node's own network: (status, body)."""
        return network.request(self.namespace, url, limit=limit)

    def wait_runtime(self, limit=30.0):
        """Waits until containerd answers."""
        return wait_until(f"containerd of {self.name} (see {self.log}/containerd.log)",
                          lambda: self.run(components.CTR, "version", check=False).count("Version") >= 2, limit, every=0.05)

    def runtime(self):
        """Everything the runtime knows: {"sandboxes": […], "containers": […]} as CRI has them."""
        return json.loads(self.run(components.CRI, CRI_SOCKET, "list"))

    def containers(self, namespace=None, running=True):
        """Containers by CRI; each with the labels of its pod in "labels"."""
        return [c for c in self.runtime().get("containers") or []
                if (not running or c.get("state", 0) == 1) and namespace in (None, c["labels"]["io.kubernetes.pod.namespace"])]

    def container_run(self, container_id, *argv):
        """Runs a command in a container and returns its output."""
        return self.run(components.CRI, CRI_SOCKET, "exec", container_id, *argv)

    def import_image(self, archive):
        """Makes an OCI archive known to the kubelet of this node."""
        self.run(components.CTR, "-n", "k8s.io", "images", "import", "--local", archive)

    def remove_image(self, reference):
        self.run(components.CTR, "-n", "k8s.io", "images", "rm", "--sync", reference)

    def daemon(self, name):
        """The node's own pid of "kubelet" or "containerd"."""
        return int(self.run("cat", f"/run/node/{name}.pid"))

    def kill_daemon(self, name, number=signal.SIGKILL):
        """Kills "kubelet" or "containerd"; it is started again 0.2 s later unless held back."""
        self.run("kill", f"-{int(number)}", self.daemon(name), check=False)

    def hold_daemon(self, name):
        """Stops a daemon until it is released."""
        self.run("touch", f"/run/node/{name}.off")
        self.kill_daemon(name)

    def release_daemon(self, name):
        self.run("rm", "-f", f"/run/node/{name}.off")

    # Logs: the kubelet keeps them under /var/log/pods/<namespace>_<pod>_<uid>/<container>/<n>.log

    def lines(self, namespace, pod="*", container="*"):
        """Log lines of containers, oldest first: (seconds since the epoch, pod's log directory, text)."""
        found = []
        for file in self.disk("/var/log/pods").glob(f"{namespace}_{pod}_*/{container}/*.log"):
            for line in file.read_text(errors="replace").splitlines():
                if match := _LOG_LINE.match(line):
                    found.append((_seconds(match[1]), file.parent.parent.name, match[3]))
        return sorted(found)

    # The disk of a new node

    def _write_files(self):
        self.log.mkdir(parents=True, exist_ok=True)
        for path in PERSISTENT:
            self.disk(path).mkdir(parents=True, exist_ok=True)
        self.disk("/etc/kubernetes/manifests").mkdir(exist_ok=True)
        self.disk("/etc/cni/net.d/10-bridge.conflist").write_text(json.dumps(_cni(self.number)))
        self.disk("/etc/containerd/config.toml").write_text(_CONTAINERD)
        self._know_registry(f"http://{CONTROL_PLANE}:{REGISTRY_PORT}")
        self._know_registry(f"https://{CONTROL_PLANE}:{REGISTRY_PORT + 1}", f'  ca = "{self.pki}/ca.crt"\n')
        kubeconfig = self.disk("/var/lib/kubelet/kubeconfig")
        kubeconfig.write_text((self.pki / f"{self.name}.kubeconfig").read_text())
        os.chmod(kubeconfig, 0o600)
        self.disk("/var/lib/kubelet/config.json").write_text(json.dumps(_kubelet(self.pki, self.name, self.address)))

    def _know_registry(self, url, more=""):
        """Tells containerd how to reach a registry."""
        hosts = self.disk("/etc/containerd/certs.d/" + url.split("//")[1])
        hosts.mkdir(parents=True, exist_ok=True)
        (hosts / "hosts.toml").write_text(f'[host."{url}"]\n  capabilities = ["pull", "resolve"]\n{more}')


def _seconds(stamp):
    """A log line's RFC 3339 time, whose nanoseconds Python does not read."""
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    return time.mktime(time.strptime(whole[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone + float("0." + (re.match(r"\d+", fraction) or ["0"])[0])


def _cni(number):
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [{
        "type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "hairpinMode": True,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": f"10.24{number}.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}


# Not obvious: oom scores cannot be lowered without CAP_SYS_RESOURCE; restoring a container checkpoint is off by default in 2.3.
_CONTAINERD = f"""version = 3
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  enable_experimental_restore_via_create = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{components.CNI}"]
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{PAUSE}"
[plugins."io.containerd.cri.v1.images".registry]
  config_path = "/etc/containerd/certs.d"
[plugins."io.containerd.nri.v1.nri"]
  disable = true
"""


def _kubelet(keys, name, address):
    """The kubelet's configuration: webhook authorization and the runtime's path as kubeadm has them (from 1.34 on it writes
    /var/run, which only a node's own root has), and what a node inside a machine needs."""
    return {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "staticPodPath": "/etc/kubernetes/manifests", "containerRuntimeEndpoint": f"unix:///var{CRI_SOCKET}", "address": address,
            "tlsCertFile": f"{keys}/{name}.crt", "tlsPrivateKeyFile": f"{keys}/{name}.key", "readOnlyPort": 0,
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True}, "x509": {"clientCAFile": f"{keys}/ca.crt"}},
            "authorization": {"mode": "Webhook"}, "clusterDNS": ["10.96.0.10"], "clusterDomain": "cluster.local",
            "cgroupDriver": "cgroupfs", "failCgroupV1": False, "failSwapOn": False, "enforceNodeAllocatable": [],
            "makeIPTablesUtilChains": False, "nodeStatusUpdateFrequency": "5s",
            # The machine's disk is not the node's: never evict because of it.
            "evictionHard": {"memory.available": "10Mi", "nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%"}}
