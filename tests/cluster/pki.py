"""Certificates, tokens and kubeconfigs of a cluster. Made for tests: tokens are known and nothing is revoked."""

import base64
import hashlib
import json
import pathlib
import shutil

from . import components
from .network import API_PORT, CONTROL_PLANE, SERVICE_IP, node_address
from .process import run

ADMIN_TOKEN = "admin-token"
API = f"https://{CONTROL_PLANE}:{API_PORT}"
MOST_NODES = 4
_NODES = range(1, MOST_NODES + 1)


def made():
    """The directory that has everything, made once; another version of this file makes another."""
    directory = components.CACHE / f"pki-{hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()[:12]}"
    if (directory / "tokens.csv").exists():
        return directory
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    _key(directory / "sa.key")
    run(["openssl", "ec", "-in", directory / "sa.key", "-pubout", "-out", directory / "sa.pub"])
    authority(directory, "ca")
    sign(directory, "apiserver", "/CN=kube-apiserver",
         f"subjectAltName=IP:127.0.0.1,IP:{CONTROL_PLANE},IP:{SERVICE_IP},DNS:kubernetes.default.svc,DNS:localhost")
    sign(directory, "kubelet-client", "/O=system:masters/CN=kubelet-client", "extendedKeyUsage=clientAuth")
    # A CA of its own, as kubeadm has it: whoever it signs for may say who is asking.
    authority(directory, "front-proxy-ca")
    sign(directory, "front-proxy-client", "/CN=front-proxy-client", "extendedKeyUsage=clientAuth", "front-proxy-ca")
    for number in _NODES:
        sign(directory, f"node{number}", f"/O=system:nodes/CN=system:node:node{number}",
             f"subjectAltName=IP:{node_address(number)},DNS:node{number}")
    _accounts(directory)
    return directory


def _key(path):
    run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path])


def authority(directory, name):
    """Makes a certificate authority: `name`.key and `name`.crt."""
    _key(directory / f"{name}.key")
    run(["openssl", "req", "-x509", "-new", "-key", directory / f"{name}.key", "-days", "365", "-subj", f"/CN=test-{name}", "-out", directory / f"{name}.crt"])


def sign(directory, name, subject, extension, by="ca"):
    """Makes `name`.key and `name`.crt, signed by that authority."""
    _key(directory / f"{name}.key")
    run(["openssl", "req", "-new", "-key", directory / f"{name}.key", "-subj", subject, "-out", directory / f"{name}.csr"])
    (directory / f"{name}.ext").write_text(extension + "\n")
    run(["openssl", "x509", "-req", "-in", directory / f"{name}.csr", "-CA", directory / f"{by}.crt", "-CAkey",
         directory / f"{by}.key", "-CAcreateserial", "-days", "365", "-extfile", directory / f"{name}.ext", "-out", directory / f"{name}.crt"])


def _accounts(directory):
    accounts = [("admin", ADMIN_TOKEN, "admin", "system:masters"),
                ("controller-manager", "controller-manager-token", "system:kube-controller-manager", ""),
                ("scheduler", "scheduler-token", "system:kube-scheduler", "")]
    accounts += [(f"node{n}", f"node-token-{n}", f"system:node:node{n}", "system:nodes") for n in _NODES]
    for name, token, _, _ in accounts:
        (directory / f"{name}.kubeconfig").write_text(kubeconfig(directory, name, {"token": token}))
    # Last, since its presence says that all of it is there.
    (directory / "tokens.csv").write_text("".join(f"{token},{user},{user},{group}\n" for _, token, user, group in accounts))


def kubeconfig(directory, name, user):
    """A kubeconfig of this cluster with the fields of that user."""
    ca = base64.b64encode((directory / "ca.crt").read_bytes()).decode()
    return json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": API, "certificate-authority-data": ca}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}]})
