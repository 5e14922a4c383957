"""Applications to save: each prints which copy of it runs and every byte, mode and owner that it was given."""

from cluster import image

from .observe import SOURCE

CHECKPOINT = {"checkpointer.alpha.coreos.com/checkpoint": "true"}

# Its first line tells when it ran and as which copy, then what it reads; the last is printed once it serves. Where the port
# is taken it ends with 1, as a server does. A token differs between copies by its nature: of it only mode and owner are shown.
_SCRIPT = r"""
trap 'exit 0' TERM
echo "running as $SOURCE"
find -L /data /var/run/secrets -type f 2>/dev/null | grep -v '/\.\.' | sort | while read -r file; do
  case $file in
    */token) test -s "$file" -a -r "$file" && echo "token $(stat -L -c '%a %u:%g' "$file") $file" ;;
    *) echo "data $(stat -L -c '%a %u:%g' "$file") $(sha256sum "$file")" ;;
  esac
done
env | grep '^E2E_' | sort | sed 's/^/data /'
if [ -n "$PORT" ]; then httpd -f -p "127.0.0.1:$PORT" -h /bin & else sleep 2147483647 & fi
main=$!
sleep 0.1
kill -0 $main || { echo "port $PORT is taken"; exit 1; }
echo "serving as $SOURCE"
while kill -0 $main 2>/dev/null; do sleep 0.5 & wait $!; done
exit 1
"""


def container(port=None, mounts=(), env=(), env_from=()):
    """The application's container; with a port it serves there and has a probe that names the port.

    A mount is a volume's name, or a pair of that and the path beneath /data.
    """
    mounts = [mount if isinstance(mount, tuple) else (mount, mount) for mount in mounts]
    spec = {"name": "app", "image": image.APPLICATION, "imagePullPolicy": "IfNotPresent", "command": ["/bin/sh", "-c", _SCRIPT],
            "env": [{"name": "SOURCE", "valueFrom": {"fieldRef": {"fieldPath": f"metadata.annotations['{SOURCE}']"}}}, *env],
            "envFrom": list(env_from), "volumeMounts": [{"name": name, "mountPath": f"/data/{path}"} for name, path in mounts],
            "resources": {"requests": {"cpu": "10m", "memory": "8Mi"}, "limits": {"memory": "64Mi"}}}
    if port:
        spec["env"].append({"name": "PORT", "value": str(port)})
        spec["ports"] = [{"name": "web", "containerPort": port}]
        spec["readinessProbe"] = {"httpGet": {"host": "127.0.0.1", "port": "web", "path": "/busybox"}, "periodSeconds": 1}
    return spec


def template(name, spec, volumes=(), host_network=False, annotations=None, **more):
    """A pod template, or with kind and apiVersion added a pod, annotated to be saved."""
    return {"metadata": {"labels": {"app": name}, "annotations": CHECKPOINT | (annotations or {})},
            "spec": {"containers": [spec], "volumes": list(volumes), "hostNetwork": host_network, "terminationGracePeriodSeconds": 2,
                     "tolerations": [{"operator": "Exists"}], **more}}


def alone(name, pod, namespace="kube-system"):
    pod = {"apiVersion": "v1", "kind": "Pod", **pod}
    pod["metadata"] = {**pod["metadata"], "name": name, "namespace": namespace}
    return pod


def owned(kind, name, pod, namespace="kube-system"):
    """A DaemonSet, or a Deployment of one replica."""
    spec = {"selector": {"matchLabels": {"app": name}}, "template": pod}
    if kind == "Deployment":
        spec["replicas"] = 1
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def plain(name, **more):
    """A pod alone with nothing to save but itself."""
    more.setdefault("automountServiceAccountToken", False)
    return alone(name, template(name, container(), **more))


def secret(name, **data):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "kube-system"}, "stringData": data}


def config(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "kube-system"}, "data": data}


def by_hand(name, port=None):
    """A static pod as an operator writes it, to measure against.

    With a volume of the host, as nearly every static pod has: without an API server the kubelet starts those later than others.
    """
    volume = {"name": "host", "hostPath": {"path": "/var/lib/e2e"}}
    pod = alone(name, template(name, container(port, ["host"]), [volume], True))
    del pod["metadata"]["annotations"]
    return pod


# Every way in which pods come by data, and every kind of parent; ten pods in all, so that the last of them is a fair figure.

_SECRET = {"name": "secret", "secret": {"secretName": "keys"}}
_SECRET_ITEMS = {"name": "items", "secret": {"secretName": "keys", "items": [{"key": "tls.key", "path": "deep/key.pem", "mode": 0o400}]}}
_SECRET_MODE = {"name": "mode", "secret": {"secretName": "keys", "defaultMode": 0o400}}
_CONFIG = {"name": "config", "configMap": {"name": "settings"}}
# A Secret inside a ConfigMap, as MetalLB's speaker has it, deeper in and beside another volume that hides a key.
_SCRATCH = {"name": "scratch", "emptyDir": {}}
_NESTED = ["config", ("secret", "config/more/secret"), ("scratch", "config/multi")]
_PROJECTED = {"name": "projected", "projected": {"defaultMode": 0o440, "sources": [
    {"secret": {"name": "keys", "items": [{"key": "tls.crt", "path": "crt"}]}},
    {"configMap": {"name": "settings"}},
    {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
                               {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}}]}}
_ENV = [{"name": "E2E_LEVEL", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "level"}}},
        {"name": "E2E_DOLLAR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "dollar"}}},
        {"name": "E2E_NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        # Variables that the kubelet sets for a Service, with an API server only.
        {"name": "E2E_SERVICE", "value": "$(KUBERNETES_PORT_443_TCP_ADDR):$(KUBERNETES_SERVICE_PORT_HTTPS)"},
        {"name": "E2E_LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}}]
_ENV_FROM = [{"prefix": "E2E_", "configMapRef": {"name": "settings"}}]

OBJECTS = [secret("keys", **{"tls.key": "a private key\n", "tls.crt": "a certificate\n", "empty": ""}),
           config("settings", level="debug", dollar="$(NOT_EXPANDED) $HOME", multi="one\ntwo\n")]

NO_TOKEN = {"automountServiceAccountToken": False}
APPLICATIONS = {
    "ds-host": owned("DaemonSet", "ds-host", template("ds-host", container(8101, ["items", "config"], _ENV), [_SECRET_ITEMS, _CONFIG], True, **NO_TOKEN)),
    "ds-host-projected": owned("DaemonSet", "ds-host-projected", template("ds-host-projected", container(8102, ["projected"]), [_PROJECTED], True, **NO_TOKEN)),
    "ds-ip": owned("DaemonSet", "ds-ip", template("ds-ip", container(None, _NESTED, _ENV, _ENV_FROM), [_SECRET, _CONFIG, _SCRATCH], **NO_TOKEN)),
    "ds-ip-group": owned("DaemonSet", "ds-ip-group", template("ds-ip-group", container(None, ["secret", "items"]), [_SECRET, _SECRET_ITEMS],
                                                              securityContext={"runAsUser": 1000, "fsGroup": 2000}, **NO_TOKEN)),
    "dep-host": owned("Deployment", "dep-host", template("dep-host", container(8103, ["mode"]), [_SECRET_MODE], True, **NO_TOKEN)),
    "dep-ip": owned("Deployment", "dep-ip", template("dep-ip", container(None, ["projected", "mode"]), [_PROJECTED, _SECRET_MODE], **NO_TOKEN)),
    # With a token that the agent may not ask for: saved without.
    "dep-ip-token": owned("Deployment", "dep-ip-token", template("dep-ip-token", container())),
    "alone-host": alone("alone-host", template("alone-host", container(8104, ["config"], (), _ENV_FROM), [_CONFIG], True, **NO_TOKEN)),
    # With a token that the agent may ask for, and a user of its own who must be able to read it.
    "alone-ip": alone("alone-ip", template("alone-ip", container(None, ["config"]), [_CONFIG], serviceAccountName="pod-checkpointer",
                                           securityContext={"runAsUser": 1000})),
    "alone-bare": plain("alone-bare"),
}
ON_HOST_PORT = ("ds-host", "ds-host-projected", "dep-host", "alone-host")
WITHOUT_TOKEN = "dep-ip-token"
