"""An image registry in the control plane's namespace: the real one, and what a test needs to put into it and look at."""

import base64
import json
import ssl

from . import image, network
from .network import CONTROL_PLANE, REGISTRY_PORT
from .process import Failed, wait_until

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
# The one account of a registry that wants to know who is asking. Made for tests, hence no secret.
USER, PASSWORD = "pusher", "not-a-secret"
_HTPASSWD = f"{USER}:$2b$05$abcdefghijklmnopqrstuuVPNOToLP9MHdthRCXkVoiIF0qNKnk2G\n"


class Registry:
    """Speaks plain HTTP to everybody; or with `private` HTTPS, by a certificate of the cluster's CA, to USER alone."""

    def __init__(self, control_plane, private=False):
        self.control_plane, self.private = control_plane, private
        self.name = "registry-private" if private else "registry"
        self.address = f"{CONTROL_PLANE}:{REGISTRY_PORT + private}"
        self.state = control_plane.state

    def start(self):
        settings = {"version": "0.1", "log": {"level": "info", "accesslog": {"disabled": False}}, "http": {"addr": self.address},
                    "storage": {"filesystem": {"rootdirectory": str(self.state / self.name)}, "delete": {"enabled": True}}}
        if self.private:
            keys = self.state / "pki"
            (self.state / "htpasswd").write_text(_HTPASSWD)
            settings["auth"] = {"htpasswd": {"realm": "test", "path": str(self.state / "htpasswd")}}
            settings["http"]["tls"] = {"certificate": str(keys / "apiserver.crt"), "key": str(keys / "apiserver.key")}
        file = self.state / f"{self.name}.json"
        file.write_text(json.dumps(settings))
        self.control_plane.start_server(self.name, "docker-registry", "serve", file)
        wait_until(f"{self.name} (see {self.control_plane.log}/{self.name}.log)", lambda: self._ask("GET", "/v2/")[0] == 200, limit=20, every=0.05)
        return self

    def stop(self):
        self.control_plane.stop_server(self.name)

    # What is in it

    def push(self, repository, tag, layers, config=None, annotations=None):
        """Pushes an image of uncompressed tar layers; returns its reference by tag."""
        configuration = json.dumps({"architecture": "amd64", "os": "linux", "config": config or {}, "rootfs": {
            "type": "layers", "diff_ids": [image.digest(layer) for layer in layers]}}).encode()
        manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "annotations": annotations or {},
                    "config": image.descriptor("application/vnd.oci.image.config.v1+json", configuration),
                    "layers": [image.descriptor("application/vnd.oci.image.layer.v1.tar", layer) for layer in layers]}
        for blob in (*layers, configuration):
            self._upload(repository, blob)
        self._expect(201, "PUT", f"/v2/{repository}/manifests/{tag}", json.dumps(manifest).encode(), {"Content-Type": OCI_MANIFEST})
        return f"{self.address}/{repository}:{tag}"

    def _upload(self, repository, blob):
        where = self._expect(202, "POST", f"/v2/{repository}/blobs/uploads/", b"")["location"].split(self.address, 1)[1]
        self._expect(201, "PUT", f"{where}&digest={image.digest(blob)}", blob, {"Content-Type": "application/octet-stream"})

    def manifest(self, repository, reference):
        """The manifest or index of that tag or digest."""
        status, _, body = self._ask("GET", f"/v2/{repository}/manifests/{reference}", headers={"Accept": f"{OCI_MANIFEST}, {OCI_INDEX}"})
        if status != 200:
            raise Failed(f"{self.address}/{repository}:{reference}: {status}: {body[:300]!r}")
        return json.loads(body)

    def blob(self, repository, digest):
        status, _, body = self._ask("GET", f"/v2/{repository}/blobs/{digest}")
        if status != 200 or image.digest(body) != digest:
            raise Failed(f"{self.address}/{repository}@{digest}: {status}, {len(body)} bytes")
        return body

    def tags(self, repository):
        """Tags of a repository; none where nothing was ever pushed to it."""
        status, _, body = self._ask("GET", f"/v2/{repository}/tags/list")
        return set(json.loads(body).get("tags") or []) if status == 200 else set()

    def _expect(self, wanted, method, path, body=None, headers=None):
        status, got, answer = self._ask(method, path, body, headers)
        if status != wanted:
            raise Failed(f"{method} {path}: {status} instead of {wanted}: {answer[:300]!r}")
        return got

    def _ask(self, method, path, body=None, headers=None):
        headers, tls = dict(headers or {}), None
        if self.private:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            tls = ssl.create_default_context(cafile=self.state / "pki" / "ca.crt")
        scheme = "https" if self.private else "http"
        return network.exchange(self.control_plane.namespace, f"{scheme}://{self.address}{path}", method, headers, body, limit=60.0, tls=tls)


def pull_secret(name, namespace, address):
    """A pull secret with the account of a private registry."""
    account = {"auths": {address: {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": json.dumps(account)}}
