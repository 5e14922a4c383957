"""`serve` on every node as it is shipped, and whoever asks it: by token, by certificate, through the API server, through the proxy."""

import base64
import json
import shutil
import ssl

from cluster import Failed, image, network, pki, wait_until
from cluster.api import ApiError
from cluster.process import run
from cluster.registry import pull_secret

from .binary import ROOT
from .containers import NAMESPACE
from .world import IMAGE

NAME, HOME, PORT = "container-checkpoints", "kube-system", 3333
AUDIENCE = "pod-checkpointer"
ACCOUNT = f"system:serviceaccount:{HOME}:{NAME}"
GROUP = "/apis/checkpointer.alpha.coreos.com/v1alpha1"
ARCHIVES, RECORDS = "/var/lib/kubelet/checkpoints", "/var/lib/pod-checkpointer/serve"
# In every namespace there is a ConfigMap with the cluster's CA, which is also that of the private registry.
REGISTRY_CA = "/etc/registry-ca/ca.crt"


class Service:
    """`serve`, pushing to `registry`."""

    def __init__(self, world, registry, repository="checkpoints", arguments=(), environment=None):
        self.world, self.registry, self.repository = world, registry, repository
        self.arguments, self.environment = list(arguments), dict(environment or {})
        self.folder = world.cluster.state / "serve"
        self._tls = None

    # Installing

    def install(self):
        """Applies rbac/serve, manifests/serve and manifests/apiservice as they are shipped, beneath an overlay as people write one."""
        archive = image.agent(self.world.cluster.state / "agent.tar", IMAGE, self.world.binary)
        for node in self.world.cluster.nodes:
            node.import_image(archive)
        if self.registry.private:
            self.world.api.apply(pull_secret("kaniko-secret", HOME, self.registry.address))
        self.apply()
        self.wait_ready()

    def apply(self):
        """Brings the overlay into force, also a changed one."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("rbac/serve", "manifests/serve", "manifests/apiservice"):
            shutil.copytree(ROOT / name, self.folder / name)
        (self.folder / "kustomization.yaml").write_text(json.dumps(self._overlay()))
        self.world.api.kubectl("apply", "-k", self.folder)

    def _overlay(self):
        files = [str(path.relative_to(self.folder)) for path in sorted(self.folder.rglob("*.yaml"))]
        arguments = ["serve", *self.arguments]
        arguments += [f"--registry-ca={REGISTRY_CA}"] if self.registry.private else [f"--plain-http-registry={self.registry.address}"]
        environment = {"CHECKPOINT_IMAGE_PREFIX": f"{self.registry.address}/{self.repository}", **self.environment}
        container = {"name": NAME, "args": arguments, "env": [{"name": name, "value": value} for name, value in environment.items()],
                     "volumeMounts": [{"name": "registry-ca", "mountPath": "/etc/registry-ca", "readOnly": True}]}
        pod = {"containers": [container], "volumes": [{"name": "registry-ca", "configMap": {"name": "kube-root-ca.crt"}}]}
        patch = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": NAME, "namespace": HOME}, "spec": {"template": {"spec": pod}}}
        name, _, tag = IMAGE.rpartition(":")
        return {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": files,
                "images": [{"name": "pod-checkpointer", "newName": name, "newTag": tag}], "patches": [{"patch": json.dumps(patch)}]}

    def wait_ready(self, limit=90.0):
        """Waits until every instance of the newest template is Ready and the API server reaches one."""
        api, nodes = self.world.api, len(self.world.cluster.nodes)

        def rolled_out():
            found = api.get(f"/apis/apps/v1/namespaces/{HOME}/daemonsets/{NAME}")
            status = found["status"]
            return (status.get("observedGeneration"), status.get("updatedNumberScheduled"), status.get("numberAvailable")) == (
                found["metadata"]["generation"], nodes, nodes)
        wait_until(f"{NAME} on {nodes} nodes", rolled_out, limit)
        wait_until("discovery through the API server", lambda: api.get(GROUP)["resources"], limit=30)
        self._tls = None

    # Where it runs

    def instance(self, node):
        """The instance on a node, as a pod."""
        found = [pod for pod in self.world.api.pods(HOME, f"app={NAME}") if pod["spec"].get("nodeName") == node.name and "deletionTimestamp" not in pod["metadata"]]
        if len(found) != 1:
            raise Failed(f"{len(found)} instances on {node.name}")
        return found[0]

    def process(self, node):
        """The node's own pid of `serve`."""
        found = node.run("sh", "-c", "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline | grep -q '^/pod-checkpointer serve' && echo ${p#/proc/}; done 2>/dev/null; true").split()
        if len(found) != 1:
            raise Failed(f"{len(found)} processes of serve on {node.name}")
        return found[0]

    def kill(self, node):
        """SIGKILL, as for want of memory; the kubelet starts it again."""
        node.run("kill", "-9", self.process(node))

    def restarts(self, node):
        return self.instance(node)["status"]["containerStatuses"][0]["restartCount"]

    def peak(self, node):
        """The most memory that it ever had resident, in MiB."""
        return int(node.run("grep", "VmHWM", f"/proc/{self.process(node)}/status").split()[1]) / 1024

    def said(self, node):
        """Everything that the instances on a node have logged."""
        return "\n".join(text for _, _, text in node.lines(HOME, f"{NAME}*"))

    def archives(self, node):
        """Names of what lies in the kubelet's directory of checkpoints."""
        return {path.name for path in node.disk(ARCHIVES).iterdir()}

    # Asking

    def tls(self, certificate=None):
        """Trust in the CA that `serve` made, with a client certificate (names of files without .crt and .key) or without."""
        if self._tls is None:
            secret = self.world.api.get(f"/api/v1/namespaces/{HOME}/secrets/{NAME}-ca")
            self._tls = base64.b64decode(secret["data"]["ca.crt"]).decode()
        context = ssl.create_default_context(cadata=self._tls)
        if certificate:
            context.load_cert_chain(f"{certificate}.crt", f"{certificate}.key")
        return context

    def ask(self, node, method, path, body=None, token=None, headers=None, certificate=None, limit=60.0):
        """One request to the instance on a node: (status, decoded answer)."""
        headers = {"Content-Type": "application/json", **(headers or {})}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if isinstance(body, dict):
            body = json.dumps(body)
        status, answer = network.request(self.world.control_plane.namespace, f"https://{node.address}:{PORT}{path}", method, headers, body, limit,
                                         self.tls(certificate))
        return status, decoded(answer)


def decoded(answer):
    """JSON, or the text as it came."""
    try:
        return json.loads(answer)
    except ValueError:
        return answer.decode(errors="replace") if isinstance(answer, bytes) else answer


class People:
    """Accounts in the namespace `default`, and a user with a client certificate."""

    def __init__(self, world):
        self.world = world
        self.directory = world.cluster.state / "pki"

    def account(self, name, namespace=NAMESPACE):
        """A ServiceAccount without any right."""
        self.world.api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}})
        return {"kind": "ServiceAccount", "name": name, "namespace": namespace}

    def token(self, name, audience=AUDIENCE, namespace=NAMESPACE):
        """A token of a ServiceAccount; with no audience, one for the API server."""
        return self.world.api.kubectl("create", "token", name, "-n", namespace, *([f"--audience={audience}"] if audience else [])).strip()

    def user(self, name):
        """A user by certificate: (the path of certificate and key without their endings, a kubeconfig)."""
        pki.sign(self.directory, name, f"/CN={name}", "extendedKeyUsage=clientAuth")
        data = {f"client-{kind}-data": base64.b64encode((self.directory / f"{name}.{ending}").read_bytes()).decode()
                for kind, ending in (("certificate", "crt"), ("key", "key"))}
        kubeconfig = self.directory / f"{name}.kubeconfig"
        kubeconfig.write_text(pki.kubeconfig(self.directory, name, data))
        return self.directory / name, kubeconfig

    def allow(self, subject, role, namespace=NAMESPACE):
        """Binds a ClusterRole in a namespace."""
        subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": subject} if isinstance(subject, str) else subject
        self.world.api.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "subjects": [subject],
                              "metadata": {"name": f"{subject['name']}-{role}", "namespace": namespace},
                              "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}})

    def allow_everywhere(self, user, role):
        """Binds a ClusterRole to a user in all namespaces."""
        self.world.api.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": f"{user}-{role}"},
                              "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
                              "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}})

    def role(self, name, resource, verb, names=()):
        """A ClusterRole of one right of the core API."""
        rule = {"apiGroups": [""], "resources": [resource], "verbs": [verb], **({"resourceNames": list(names)} if names else {})}
        self.world.api.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": [rule]})
        return name


class Proxy:
    """`pod-checkpointer proxy` on the control plane's localhost, and the shell of the person who started it."""

    def __init__(self, world, kubeconfig):
        self.world = world
        self.start(kubeconfig)

    def start(self, kubeconfig):
        plane = self.world.control_plane
        plane.start_server("proxy", self.world.binary, "proxy", "--kubeconfig", kubeconfig)
        wait_until("the proxy", lambda: network.request(plane.namespace, "http://127.0.0.1:8001/version")[0] == 200, limit=15)

    def stop(self):
        self.world.control_plane.stop_server("proxy")

    def curl(self, line, limit=120):
        """A curl command as it is written down, in a shell; returns (status, decoded answer). Its --verbose goes to the error output."""
        output = shell(self.world, f"({line} --silent --show-error --write-out '\\n%{{http_code}}') 2>/dev/null", limit)
        answer, _, status = output.rpartition("\n")
        return int(status), decoded(answer)


def shell(world, line, limit=120):
    """A line of shell where the control plane is: all output."""
    return run(["nsenter", f"--net=/run/netns/{world.control_plane.namespace}", "bash", "-c", line], check=False, limit=limit)


def refused(error_code, call):
    """The error that the API server passes on."""
    try:
        answer = call()
    except ApiError as error:
        assert error.status == error_code, error
        return str(error)
    raise Failed(f"{answer} in place of {error_code}")
