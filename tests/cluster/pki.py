"""Certificates, tokens and kubeconfigs of a cluster. Made for tests: tokens are known and nothing is revoked."""

import base64
import json

from .network import API_PORT, CONTROL_PLANE, SERVICE_IP, node_address
from .process import run

ADMIN_TOKEN = "admin-token"
API = f"https://{CONTROL_PLANE}:{API_PORT}"
MOST_NODES = 4
_NODES = range(1, MOST_NODES + 1)


def make(directory):
    """Makes everything under `directory`, once."""
    if (directory / "tokens.csv").exists():
        return
    directory.mkdir(parents=True)
    _key(directory / "sa.key")
    run(["openssl", "ec", "-in", directory / "sa.key", "-pubout", "-out", directory / "sa.pub"])
    _key(directory / "ca.key")
    run(["openssl", "req", "-x509", "-new", "-key", directory / "ca.key", "-days", "365", "-subj", "/CN=test-ca", "-out", directory / "ca.crt"])
    _sign(directory, "apiserver", "/CN=kube-apiserver",
          f"subjectAltName=IP:127.0.0.1,IP:{CONTROL_PLANE},IP:{SERVICE_IP},DNS:kubernetes.default.svc,DNS:localhost")
    _sign(directory, "kubelet-client", "/O=system:masters/CN=kubelet-client", "extendedKeyUsage=clientAuth")
    for number in _NODES:
        _sign(directory, f"node{number}", f"/O=system:nodes/CN=system:node:node{number}",
              f"subjectAltName=IP:{node_address(number)},DNS:node{number}")
    _accounts(directory)


def _key(path):
    run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path])


def _sign(directory, name, subject, extension):
    _key(directory / f"{name}.key")
    run(["openssl", "req", "-new", "-key", directory / f"{name}.key", "-subj", subject, "-out", directory / f"{name}.csr"])
    (directory / f"{name}.ext").write_text(extension + "\n")
    run(["openssl", "x509", "-req", "-in", directory / f"{name}.csr", "-CA", directory / "ca.crt", "-CAkey", directory / "ca.key",
         "-CAcreateserial", "-days", "365", "-extfile", directory / f"{name}.ext", "-out", directory / f"{name}.crt"])


def _accounts(directory):
    accounts = [("admin", ADMIN_TOKEN, "admin", "system:masters"),
                ("controller-manager", "controller-manager-token", "system:kube-controller-manager", ""),
                ("scheduler", "scheduler-token", "system:kube-scheduler", "")]
    accounts += [(f"node{n}", f"node-token-{n}", f"system:node:node{n}", "system:nodes") for n in _NODES]
    authority = base64.b64encode((directory / "ca.crt").read_bytes()).decode()
    for name, token, _, _ in accounts:
        (directory / f"{name}.kubeconfig").write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": API, "certificate-authority-data": authority}}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}]}))
    # Last, since its presence says that all of it is there.
    (directory / "tokens.csv").write_text("".join(f"{token},{user},{user},{group}\n" for _, token, user, group in accounts))
