"""The API server as a test sees it: plain requests, and the real kubectl for what people install."""

import json
import ssl
import urllib.parse

from . import components, network, pki
from .process import Failed, run, wait_until


class ApiError(Failed):
    """The API server answered with an error."""

    def __init__(self, status, message):
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """Requests as the administrator, from the control plane's own namespace (a node's cut cable does not matter)."""

    def __init__(self, namespace, pki_directory):
        self.namespace = namespace
        self.directory = pki_directory
        self._tls = None

    def request(self, method, path, body=None, limit=5.0, content="application/json", **query):
        """One request; returns the decoded answer."""
        self._tls = self._tls or ssl.create_default_context(cafile=self.directory / "ca.crt")
        query = {name: value for name, value in query.items() if value is not None}
        url = pki.API + path + ("?" + urllib.parse.urlencode(query) if query else "")
        headers = {"Authorization": f"Bearer {pki.ADMIN_TOKEN}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content
            body = json.dumps(body)
        status, text = network.request(self.namespace, url, method, headers, body, limit, self._tls)
        if status >= 400:
            raise ApiError(status, text.decode(errors="replace")[:500])
        return json.loads(text) if text[:1] in (b"{", b"[") else text.decode()

    def get(self, path, **query):
        return self.request("GET", path, **query)

    def find(self, path):
        """The object, or None where the API server says that there is none."""
        try:
            return self.get(path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def create(self, path, body):
        return self.request("POST", path, body)

    def delete(self, path, **options):
        """Deletes an object; one that is not there is fine."""
        try:
            return self.request("DELETE", path, options or None)
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def patch(self, path, change):
        return self.request("PATCH", path, change, content="application/merge-patch+json")

    def ready(self):
        return self.get("/readyz", limit=2.0) == "ok"

    def pods(self, namespace, labels=None):
        return self.get(f"/api/v1/namespaces/{namespace}/pods", labelSelector=labels)["items"]

    def wait_ready(self, namespace, labels, count=1, limit=60.0):
        """Waits until exactly that many pods of these labels are there, and all Ready; returns them."""
        def all_ready():
            found = [pod for pod in self.pods(namespace, labels) if not mirrored(pod)]
            return found if len(found) == count and all(map(is_ready, found)) else None
        return wait_until(f"{count} Ready pods of {labels} in {namespace}", all_ready, limit)

    def kubectl(self, *words, stdin=None, check=True):
        """The real kubectl, from the same namespace."""
        return run(["nsenter", f"--net=/run/netns/{self.namespace}", "env", f"KUBECONFIG={self.directory}/admin.kubeconfig",
                    components.KUBE, "kubectl", *words], stdin=stdin, check=check)

    def apply(self, *objects):
        """Applies objects given as dictionaries."""
        return self.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def is_ready(pod):
    """True for a pod that is Ready and not on its way out."""
    conditions = {c["type"]: c["status"] for c in pod.get("status", {}).get("conditions", [])}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def mirrored(pod):
    """True for the API's picture of a static pod."""
    return "kubernetes.io/config.mirror" in pod["metadata"].get("annotations", {})
