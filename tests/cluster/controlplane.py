"""etcd, the API server, the controllers, the scheduler, and what else a test starts beside them, in one network namespace."""

import json
import signal

from . import components
from .network import CONTROL_PLANE
from .process import Group, ended, kill, wait_until

# Requests of the service accounts in kube-system are written down, so that a test can count them; nodes' are not.
_AUDIT = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [
    {"level": "None", "users": ["system:apiserver"]},
    {"level": "Metadata", "userGroups": ["system:serviceaccounts:kube-system"],
     "namespaces": [], "omitManagedFields": True},
    {"level": "None"}]}


class ControlPlane:
    """The servers of a cluster; each can be stopped and started again."""

    SERVERS = ("apiserver", "controller-manager", "scheduler")

    def __init__(self, cluster, namespace, state, api):
        self.namespace, self.state, self.api = namespace, state, api
        self.group = Group(f"{cluster}-cp")
        self.log = state / "log"

    def start_server(self, name, *argv):
        """Starts a program in the namespace of the control plane; its output is in the log of that name."""
        self.log.mkdir(parents=True, exist_ok=True)
        process = self.group.start(["nsenter", f"--net=/run/netns/{self.namespace}", *argv], self.log / f"{name}.log",
                                   {"PATH": components.PATH})
        self._pidfile(name).write_text(str(process.pid))

    def _pidfile(self, name):
        return self.state / f"{name}.pid"

    def stop_server(self, name, number=signal.SIGKILL, limit=70.0):
        """Ends it; one that was never started is fine."""
        if not self._pidfile(name).exists():
            return
        pid = int(self._pidfile(name).read_text())
        kill(pid, number)
        wait_until(f"end of {name}", lambda: ended(pid), limit, every=0.02)
        self._pidfile(name).unlink()

    def up(self, meanwhile):
        """Starts everything, does something else meanwhile, and returns when the API server is ready."""
        self.group.make()
        self.start_etcd()
        self._start_api()
        meanwhile()
        self.wait_api()
        # Not before: the controllers look for the API server every 10 s only.
        self._start_controllers()

    def start_etcd(self):
        self.start_server("etcd", components.ETCD, "--data-dir", self.state / "etcd", "--listen-client-urls", "http://127.0.0.1:2379",
                    "--advertise-client-urls", "http://127.0.0.1:2379", "--listen-peer-urls", "http://127.0.0.1:2380",
                    # Of this etcd no power cut is asked, and its disk is shared with what is measured.
                    "--unsafe-no-fsync", "--log-level", "error")

    def stop_etcd(self):
        self.stop_server("etcd")

    def start(self):
        """Starts the API server, the controllers and the scheduler."""
        self._start_api()
        self.wait_api()
        self._start_controllers()

    def _start_controllers(self):
        self.start_server("controller-manager", components.KUBE, "kube-controller-manager",
                    f"--kubeconfig={self.state}/pki/controller-manager.kubeconfig",
                    f"--service-account-private-key-file={self.state}/pki/sa.key", f"--root-ca-file={self.state}/pki/ca.crt",
                    "--use-service-account-credentials", "--leader-elect=false", "--allocate-node-cidrs=false",
                    # Unthrottled, or its start alone takes 4 s.
                    "--node-monitor-grace-period=20s", "--kube-api-qps=500", "--kube-api-burst=1000")
        self.start_server("scheduler", components.KUBE, "kube-scheduler", f"--kubeconfig={self.state}/pki/scheduler.kubeconfig",
                    "--leader-elect=false")

    def start_api(self):
        """Starts the API server alone and waits until it is ready."""
        self._start_api()
        self.wait_api()

    def _start_api(self):
        keys = self.state / "pki"
        (self.state / "audit.json").write_text(json.dumps(_AUDIT))
        self.start_server("apiserver", components.KUBE, "kube-apiserver", "--etcd-servers=http://127.0.0.1:2379", "--secure-port=6443",
                    f"--bind-address={CONTROL_PLANE}", f"--advertise-address={CONTROL_PLANE}", f"--tls-cert-file={keys}/apiserver.crt",
                    f"--tls-private-key-file={keys}/apiserver.key", f"--client-ca-file={keys}/ca.crt",
                    f"--token-auth-file={keys}/tokens.csv", "--authorization-mode=Node,RBAC",
                    f"--service-account-key-file={keys}/sa.pub", f"--service-account-signing-key-file={keys}/sa.key",
                    "--service-account-issuer=https://kubernetes.default.svc", "--service-cluster-ip-range=10.96.0.0/16",
                    "--allow-privileged", f"--kubelet-client-certificate={keys}/kubelet-client.crt",
                    f"--kubelet-client-key={keys}/kubelet-client.key", f"--kubelet-certificate-authority={keys}/ca.crt",
                    "--kubelet-preferred-address-types=InternalIP", f"--audit-policy-file={self.state}/audit.json",
                    f"--audit-log-path={self.state}/audit.log",
                    # For servers behind the API server: who it is to them, and that it goes to their endpoints, for want of a kube-proxy.
                    f"--requestheader-client-ca-file={keys}/front-proxy-ca.crt", "--requestheader-allowed-names=front-proxy-client",
                    "--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
                    "--requestheader-extra-headers-prefix=X-Remote-Extra-", f"--proxy-client-cert-file={keys}/front-proxy-client.crt",
                    f"--proxy-client-key-file={keys}/front-proxy-client.key", "--enable-aggregator-routing=true")

    def wait_api(self, limit=120.0):
        wait_until(f"a ready API server (see {self.log}/apiserver.log)", self.api.ready, limit, every=0.05)

    def stop_api(self, gently=False):
        """Stops the API server alone: connections are refused from now on."""
        self.stop_server("apiserver", signal.SIGTERM if gently else signal.SIGKILL)

    def stop(self):
        """Stops all but etcd, as when the machine of a control plane goes; connections are refused from now on."""
        for name in self.SERVERS:
            self.stop_server(name)

    def requests_of(self, user):
        """What a user asked of the API server so far, as audit events."""
        lines = (self.state / "audit.log").read_text().splitlines()
        return [event for event in map(json.loads, lines) if event["user"]["username"] == user]

    def down(self):
        self.group.destroy()
        for file in self.state.glob("*.pid"):
            file.unlink()
