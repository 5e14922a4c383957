"""Callers who are not who they say, or may not what they ask."""

import json
import ssl

from cluster import network, pki

from ..containers import NAMESPACE
from ..service import GROUP, NAME, PORT
from . import OTHER_PATH, PATH, expect



def strangers(world, service, people, tokens, liar):
    node = world.node
    for path in (PATH, OTHER_PATH, f"{GROUP}/namespaces/{NAMESPACE}/pods/counter/checkpoint"):
        world.note(f"nobody: {expect(service, 401, node, 'POST', path, {})[:160]}")
        for token in ("not.a.token", "x" * 20000, tokens["for the API server"], tokens["for others"]):
            expect(service, (401, 431, 400) if len(token) > 5000 else 401, node, "POST", path, {}, token)
        world.note(f"without the right: {expect(service, 403, node, 'POST', path, {}, tokens['weak'])[:160]}")
    expect(service, 401, node, "GET", "/checkpoint?checkpointIdentifier=node1:0123456789abcdef")
    expect(service, 404, node, "GET", "/checkpoint?checkpointIdentifier=node1:0123456789abcdef", token=tokens["weak"])
    expect(service, 403, node, "POST", PATH, {"deletePod": True}, tokens["good"])
    expect(service, 403, node, "POST", OTHER_PATH, {"leaveRunning": False}, tokens["good"])
    expect(service, 403, node, "POST", "/checkpoint/kube-system/counter/counter", {}, tokens["good"])
    assert world.api.find(f"/api/v1/namespaces/{NAMESPACE}/pods/counter")
    status, text = network.request(world.control_plane.namespace, f"http://{node.address}:{PORT}{PATH}", "POST", {"Authorization": f"Bearer {tokens['good']}"}, "{}")
    assert status == 400 and b"https" in text.lower(), (status, text)


def forged_names(world, service, people, tokens, liar):
    certificate, _ = people.user("mallory")
    names = {"X-Remote-User": "admin", "X-Remote-Group": "system:masters"}
    ours = {"X-Checkpointer-Forwarded-User": "admin", "X-Checkpointer-Forwarded-Group": "system%3amasters"}
    for headers in (names, ours, names | ours):
        expect(service, 401, world.node, "POST", PATH, {}, headers=headers)
        expect(service, 403, world.node, "POST", PATH, {}, tokens["weak"], headers=headers)
        expect(service, 403, world.node, "POST", PATH, {}, certificate=certificate, headers=headers)
    # A certificate of a CA of their own, with the name of the API server's.
    pki.authority(people.directory, "forged-ca")
    pki.sign(people.directory, "forged", "/CN=front-proxy-client", "extendedKeyUsage=clientAuth", "forged-ca")
    try:
        expect(service, 401, world.node, "POST", PATH, {}, certificate=people.directory / "forged", headers=names)
    except OSError as error:
        world.note(f"forged certificate: {error}")


def others_secrets(world, service, people, tokens, liar):
    world.api.kubectl("create", "namespace", "theirs")
    world.api.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "their-secret", "namespace": "theirs"}, "type": "kubernetes.io/tls",
                     "stringData": {"tls.crt": "x", "tls.key": "x"}})
    people.allow({"kind": "ServiceAccount", "name": NAME, "namespace": "kube-system"}, "container-checkpoints-encryption")
    for name in ("theirs/their-secret", "../../theirs/secrets/their-secret", "%2e%2e%2ftheirs", "their-secret?x", "their-secret#", ""):
        expect(service, 400, world.node, "POST", OTHER_PATH, {"encrypt": True, "encryptionSecret": name}, tokens["good"])
    expect(service, 403, world.node, "POST", OTHER_PATH, {"encrypt": True, "encryptionSecret": "their-secret"}, tokens["good"])


def own_account(world, service, people, tokens, liar):
    """Who has stolen the token of `serve` itself cannot make it the token of another account."""
    token = people.token(NAME, audience=None, namespace="kube-system")
    theirs = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token", "metadata": {
        "name": "stolen", "namespace": "kube-system", "annotations": {"kubernetes.io/service-account.name": "namespace-controller"}}}
    tls = ssl.create_default_context(cafile=people.directory / "ca.crt")

    def api(method, path, body=None):
        return network.request(world.control_plane.namespace, pki.API + path, method, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
                               body and json.dumps(body), tls=tls)
    for what in (theirs, theirs | {"type": "Opaque"}):
        status, text = api("POST", "/api/v1/namespaces/kube-system/secrets", what)
        assert status in (403, 422) and b"container-checkpoints-ca" in text, (status, text)
    for path in ("/api/v1/secrets", "/api/v1/namespaces/kube-system/secrets", "/api/v1/namespaces/theirs/secrets/their-secret", "/api/v1/pods",
                 f"/api/v1/nodes/{world.node.name}/proxy/pods"):
        status, text = api("GET", path)
        assert status == 403, (path, status, text[:300])
