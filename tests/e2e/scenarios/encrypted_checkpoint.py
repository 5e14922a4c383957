"""The other source document's encrypted request at its own URL: opened with openssl and age alone, and restored; refused where it must be."""

import json
import time

from cluster import wait_until
from cluster.process import run as command
from cluster.registry import Registry

from .. import containers
from ..containers import COUNTER, NAMESPACE
from ..service import ARCHIVES, NAME, People, Proxy, Service

NODES = 2

# As it is written in the source document.
ENCRYPT = r"""curl 'localhost:8001/api/v1/namespaces/default/pods/counter/checkpoint' -X POST -d '{"leaveRunning":true,"encrypt":true,"encryptionSecret":"test-secret"}' -H "Content-type: application/json" """
# As docs/formats.md has it: $1 sealed file, $2 key, $3 certificate, $4 what comes out.
OPEN = r"""set -euo pipefail
LC_ALL=C sed -n '/^---/q; /^-> pod-checkpointer\.cms-v1$/,$ {/^-/!p;}' "$1" |
  base64 -d |
  openssl cms -decrypt -inform DER -inkey "$2" -recip "$3" |
  age -d -i - -o "$4" "$1"
"""
# Words that are in the container's memory, environment and files, and must be nowhere in a sealed archive.
SECRET_WORD = "quite-confidential-indeed"


def run(world):
    first, second = world.cluster.nodes
    registry = Registry(world.control_plane).start()
    base = containers.push_base(registry)
    service = Service(world, registry)
    service.install()
    people = People(world)
    _, kubeconfig = people.user("alice")
    people.allow("alice", "container-checkpoints-user")
    counter = containers.pod("counter", first, [("counter", base, COUNTER)])
    counter["spec"]["containers"][0]["env"] = [{"name": "WORD", "value": SECRET_WORD}]
    containers.start(world, counter)
    containers.pulled(world, second, base)
    proxy = Proxy(world, kubeconfig)

    refused_in_the_right_order(world, service, people, proxy, first)
    for kind, algorithm in (("ec", "EC -pkeyopt ec_paramgen_curve:P-256"), ("rsa", "RSA -pkeyopt rsa_keygen_bits:3072")):
        key, certificate = tls_secret(world, "test-secret", algorithm)
        sealed_opened_restored(world, service, proxy, registry, kind, key, certificate)
    unusable_certificates(world, service, proxy, first)
    gone_with_its_pod(world, service, people, proxy, first)


def tls_secret(world, name, algorithm, days=30, namespace=NAMESPACE):
    """Makes a certificate and its Secret; returns the paths of key and certificate."""
    key, certificate = (world.cluster.state / f"{name}.{ending}" for ending in ("key", "crt"))
    kind, *options = algorithm.split()
    command(["openssl", "genpkey", "-algorithm", kind, *options, "-out", key])
    request = command(["openssl", "req", "-new", "-key", key, "-subj", f"/CN={name}"])
    command(["openssl", "x509", "-req", "-signkey", key, "-days", str(days), "-out", certificate], stdin=request)
    world.api.kubectl("delete", "secret", "-n", namespace, name, "--ignore-not-found")
    world.api.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "type": "kubernetes.io/tls",
                     "stringData": {"tls.crt": certificate.read_text(), "tls.key": key.read_text()}})
    return key, certificate


def refused_in_the_right_order(world, service, people, proxy, node):
    """Whoever may not read the Secret does not learn whether it is there; nothing is checkpointed for a request that cannot end well."""
    before = service.archives(node)
    status, answer = proxy.curl(ENCRYPT)
    assert status == 403 and "secrets" in answer["message"], (status, answer)
    people.allow("alice", people.role("get-test-secrets", "secrets", "get", ["test-secret", "opaque", "missing"]))
    # The caller may now; the service may not yet, and says which right it is that it has not.
    tls_secret(world, "test-secret", "EC -pkeyopt ec_paramgen_curve:P-256")
    status, answer = wait_until("the service's own refusal", lambda: _saying("serve itself may not read", proxy.curl(ENCRYPT)), limit=30)
    assert status == 500, (status, answer)
    world.note(f"service without the right: {status}: {answer['message']}")
    people.allow({"kind": "ServiceAccount", "name": NAME, "namespace": "kube-system"}, "container-checkpoints-encryption")
    status, answer = wait_until("the service's right", lambda: _not(403, proxy.curl(ENCRYPT.replace("test-secret", "missing"))), limit=30)
    assert status == 404 and "missing" in answer["message"], (status, answer)
    world.api.kubectl("create", "secret", "generic", "opaque", "--from-literal=tls.crt=x")
    status, answer = proxy.curl(ENCRYPT.replace("test-secret", "opaque"))
    assert status == 400 and "kubernetes.io/tls" in answer["message"], (status, answer)
    status, answer = proxy.curl(ENCRYPT.replace(',"encryptionSecret":"test-secret"', ""))
    assert status == 400 and "encryptionSecret" in answer["message"], (status, answer)
    # Each instance remembers a refusal for 10 s, and this is asked of either.
    status, answer = wait_until("no old refusal", lambda: _not(403, proxy.curl(ENCRYPT.replace("pods/counter", "pods/nobody"))), limit=30)
    assert status == 404, (status, answer)
    time.sleep(10)  # until the other refusals are forgotten too, and time enough for an archive that nobody should have asked for
    assert service.archives(node) == before, "something was checkpointed"


def _saying(word, answer):
    return answer if word in json.dumps(answer[1]) else None


def _not(status, answer):
    return answer if answer[0] not in (status, 500, 503) else None


def sealed_opened_restored(world, service, proxy, registry, kind, key, certificate):
    first, second = world.cluster.nodes
    before, known = containers.counts(first, "counter", "counter")[-1], service.archives(first)
    began = time.monotonic()
    status, answer = proxy.curl(ENCRYPT)
    assert status == 200 and len(answer["items"]) == 1, (status, answer)
    world.figure(f"sealed to {kind}", time.monotonic() - began)
    (path,) = answer["items"]
    assert path.startswith(ARCHIVES + "/checkpoint-counter_default-counter-") and path.endswith(".tar.age"), path
    name = path.rpartition("/")[2]
    fresh = service.archives(first) - known
    assert name in fresh and all(other.startswith(name) for other in fresh), f"left beside the sealed archive: {fresh}"
    sealed = first.disk(path)
    assert sealed.stat().st_mode & 0o777 == 0o600 and sealed.stat().st_uid == 0, oct(sealed.stat().st_mode)
    for other in fresh:
        assert SECRET_WORD.encode() not in first.disk(f"{ARCHIVES}/{other}").read_bytes(), f"{other} tells what is in it"
    assert containers.counts(first, "counter", "counter", time.time() - 5), "leaveRunning: it does not run"

    opened = world.cluster.state / f"opened-{kind}.tar"
    command(["bash", "-c", OPEN, "open", sealed, key, certificate, opened])
    again = world.cluster.state / f"unsealed-{kind}.tar"
    command([world.binary, "archive", "unseal", sealed, "--key", key, "--cert", certificate, "-O", again])
    content = opened.read_bytes()
    assert content == again.read_bytes() and SECRET_WORD.encode() in content and b"config.dump" in content
    wrong = world.cluster.state / "wrong.key"
    command(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", wrong])
    nothing = world.cluster.state / "nothing.tar"
    said = command(["sh", "-c", '"$@"; echo "exit $?"', "sh", world.binary, "archive", "unseal", sealed, "--key", wrong, "-O", nothing])
    assert "exit 0" not in said and not nothing.exists(), said

    pushed = f"{registry.address}/test/opened:{kind}"
    command(["nsenter", f"--net=/run/netns/{world.control_plane.namespace}", world.binary, "archive", "push", opened, pushed, "--plain-http", registry.address])
    world.figure("the opened archive to Ready on the other node", containers.goes_on(world, second, f"opened-{kind}", "counter", pushed, before))


def unusable_certificates(world, service, proxy, node):
    before = service.archives(node)
    for what, algorithm, days, words in (("a short RSA key", "RSA -pkeyopt rsa_keygen_bits:1024", 30, "2048"), ("Ed25519", "ED25519", 30, "RSA"),
                                         ("RSA-PSS", "RSA-PSS -pkeyopt rsa_keygen_bits:2048", 30, "RSA"), ("one that is over", "RSA -pkeyopt rsa_keygen_bits:2048", -1, "")):
        tls_secret(world, "test-secret", algorithm, days)
        status, answer = proxy.curl(ENCRYPT)
        assert status == 400 and words in answer["message"], (what, status, answer)
        world.note(f"{what}: {answer['message']}")
    assert service.archives(node) == before, "something was checkpointed"


def gone_with_its_pod(world, service, people, proxy, node):
    """leaveRunning=false deletes the pod, for who may delete it, once the sealed archive is safe."""
    tls_secret(world, "test-secret", "EC -pkeyopt ec_paramgen_curve:P-384")
    line = ENCRYPT.replace('"leaveRunning":true', '"leaveRunning":false')
    status, answer = proxy.curl(line)
    assert status == 403 and "delete" in answer["message"], (status, answer)
    people.allow("alice", people.role("delete-pods", "pods", "delete"))
    status, answer = wait_until("the right to delete", lambda: _not(403, proxy.curl(line)), limit=30)
    assert status == 200, (status, answer)
    assert answer["items"][0].rpartition("/")[2] in service.archives(node)
    wait_until("the end of counter", lambda: world.api.find(f"/api/v1/namespaces/{NAMESPACE}/pods/counter") is None, limit=30)
