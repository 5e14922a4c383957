"""Checkpoints by the source document's own requests: pushed, restored on the other node, and finished though `serve` dies in the middle."""

import json
import re
import signal
import time

from cluster import Failed, components, wait_until
from cluster.process import kill
from cluster.registry import OCI_MANIFEST, Registry, pull_secret

from .. import containers
from ..containers import COUNTER, NAMESPACE
from ..service import ACCOUNT, ARCHIVES, GROUP, People, Proxy, Service, shell

NODES = 2

# As they are written in the source document.
CHECKPOINT = r'''curl "http://localhost:3333/checkpoint/default/timer-sleep/timer" \
--header "Content-Type: application/json" \
--data '{"deletePod": true}' \
--verbose'''
STATE = r'''curl "http://localhost:3333/checkpoint?checkpointIdentifier=..." \
--verbose'''

IMAGE_TAG = re.compile(r"[0-9a-f]{16}")


def run(world):
    first, second = world.cluster.nodes
    base = containers.push_base(Registry(world.control_plane).start())
    registry = Registry(world.control_plane, private=True).start()
    world.api.apply(pull_secret("registry", NAMESPACE, registry.address))
    service = Service(world, registry)
    service.install()
    people = People(world)
    _, kubeconfig = people.user("alice")
    people.allow("alice", "container-checkpoints-user")
    people.allow("alice", people.role("delete-pods", "pods", "delete"))
    people.allow("alice", people.role("get-pods", "pods", "get"))
    people.allow(people.account("program"), "container-checkpoints-user")
    containers.pulled(world, second, base)
    containers.start(world, containers.pod("timer-sleep", first, [("timer", base, COUNTER)]), containers.pod("counter", first, [("counter", base, COUNTER)]),
                     containers.pod("pair", first, [("one", base, COUNTER), ("two", base, COUNTER)]))
    proxy = Proxy(world, kubeconfig)

    to_the_letter(world, service, proxy, first, second)
    asynchronous(world, service, proxy, people, kubeconfig)
    other_ways_in(world, service, people, kubeconfig, first, second)
    survives_its_own_death(world, service, proxy, first)
    pod_stays_until_the_push(world, service, proxy, first)
    large(world, service, people, first, base)
    kubelet_that_signs_for_itself(world, service, people, second, base)
    group_is_well_behaved(world)
    doctor_finds_nothing_to_mend(world, service, first)


def doctor_finds_nothing_to_mend(world, service, node):
    """As an operator asks, in the pod: the kubelet, the registry, the APIService and each right are as they must be."""
    pod = service.instance(node)["metadata"]["name"]
    found = json.loads(world.api.kubectl("exec", "-n", "kube-system", pod, "--", "/pod-checkpointer", "doctor", "--for", "serve", "-o", "json"))
    checks = {check["name"]: check for check in found["checks"]}
    assert not [check for check in checks.values() if check["outcome"] == "fail"], checks
    for name in ("kubelet takes checkpoints for us", "registry answers", "APIService answers", "right: create nodes/checkpoint"):
        assert checks[name]["outcome"] == "ok", checks[name]
    world.note(f"doctor: {len(checks)} checks, nothing to mend; to know: {[name for name, check in checks.items() if check['outcome'] == 'warn']}")


def entry(answer, pod, container):
    """Checks the source document's answer, and returns the tag of its image."""
    assert answer["containerIdentifier"] == {"namespace": NAMESPACE, "pod": pod, "container": container}, answer
    assert 0 <= answer["endTimestamp"] - answer["beginTimestamp"] < 60 and abs(answer["endTimestamp"] - time.time()) < 120, answer
    return answer["containerImageName"].rpartition(":")[2]


def to_the_letter(world, service, proxy, first, second):
    before = containers.counts(first, "timer-sleep", "timer")[-1]
    began = time.monotonic()
    status, answer = proxy.curl(CHECKPOINT)
    assert status == 201, (status, answer)
    world.figure("the request, to its answer", time.monotonic() - began, limit=30)
    tag = entry(answer, "timer-sleep", "timer")
    assert IMAGE_TAG.fullmatch(tag) and answer["containerImageName"] == f"{service.registry.address}/{service.repository}:{tag}", answer
    image_is_as_the_runtimes_want_it(service.registry, service.repository, tag, "timer-sleep", "timer")
    wait_until("the end of timer-sleep", lambda: world.api.find(f"/api/v1/namespaces/{NAMESPACE}/pods/timer-sleep") is None, limit=30)
    deleted_after_push(world, service, tag)
    world.figure("pod made of the image to Ready on the other node", containers.goes_on(
        world, second, "timer-again", "timer", answer["containerImageName"], before, imagePullSecrets=[{"name": "registry"}]))


def image_is_as_the_runtimes_want_it(registry, repository, tag, pod, container):
    manifest = registry.manifest(repository, tag)
    wanted = {"org.criu.checkpoint.container.name": container, "io.kubernetes.cri-o.annotations.checkpoint.name": container,
              "org.criu.checkpoint.pod.name": pod, "org.criu.checkpoint.pod.namespace": NAMESPACE}
    while manifest["mediaType"] != OCI_MANIFEST:
        assert wanted.items() <= manifest["annotations"].items() and len(manifest["manifests"]) == 1, manifest
        manifest = registry.manifest(repository, manifest["manifests"][0]["digest"])
    assert wanted.items() <= manifest["annotations"].items(), manifest
    (layer,) = manifest["layers"]
    archive = registry.blob(repository, layer["digest"])
    assert layer["mediaType"].endswith("tar") and b"config.dump" in archive and b"spec.dump" in archive, layer
    configuration = json.loads(registry.blob(repository, manifest["config"]["digest"]))
    assert configuration["rootfs"]["diff_ids"] == [layer["digest"]] and configuration["architecture"] == "amd64", configuration


def deleted_after_push(world, service, tag):
    """By the registry's log and the API server's: the manifest was there before anybody asked for the pod's end."""
    log = (world.control_plane.log / f"{service.registry.name}.log").read_text()
    assert re.search(rf"PUT /v2/{service.repository}/manifests/{tag} HTTP/1.1\" 201", log), "the registry has no such push in its log"
    pushed = (world.control_plane.state / service.registry.name / "docker/registry/v2/repositories" / service.repository / "_manifests/tags" / tag
              / "current/link").stat().st_mtime
    deletions = [event for event in world.control_plane.requests_of(ACCOUNT)
                 if event["verb"] == "delete" and event["objectRef"]["resource"] == "pods" and event["objectRef"]["name"] == "timer-sleep"]
    assert len(deletions) == 1, deletions
    asked = deletions[0]["requestReceivedTimestamp"]
    pushed = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(pushed)) + f"{pushed % 1:.6f}Z"[1:]
    assert pushed < asked, f"pushed {pushed}, deleted {asked}"


def asynchronous(world, service, proxy, people, kubeconfig):
    status, answer = proxy.curl(r'''curl "http://localhost:3333/checkpoint/default/counter/counter" --header "Content-Type: application/json" --data '{"async": true}' ''')
    assert status == 202, (status, answer)
    identifier = answer["checkpointIdentifier"]
    node, _, hexadecimal = identifier.partition(":")
    assert node == world.node.name and IMAGE_TAG.fullmatch(hexadecimal), identifier
    status, answer = proxy.curl(STATE.replace("...", identifier))
    assert status == 200 and entry(answer, "counter", "counter") == hexadecimal, (status, answer)
    assert hexadecimal in service.registry.tags(service.repository)
    # Again, from the record; and for whoever has not seen it made.
    assert proxy.curl(STATE.replace("...", identifier)) == (status, answer)
    proxy.stop()
    people.allow_everywhere("alice", "container-checkpoints-lookup")
    proxy.start(kubeconfig)
    wait_until("the state by another proxy", lambda: proxy.curl(STATE.replace("...", identifier)) == (status, answer), limit=20)
    for wrong, code in (("node1:0123456789abcdef", 404), ("nowhere:0123456789abcdef", 404), ("node1", 400), ("", 400)):
        status, answer = proxy.curl(STATE.replace("...", wrong))
        assert status == code and answer["kind"] == "Status", (wrong, status, answer)
    status, answer = proxy.curl('curl "http://localhost:3333/checkpoint"')
    assert status == 400, (status, answer)
    # A stranger may ask, and learns nothing.
    _, other = people.user("bob")
    people.allow_everywhere("bob", "container-checkpoints-lookup")
    proxy.stop()
    proxy.start(other)
    status, answer = wait_until("bob's answer", lambda: _unless(403, proxy.curl(STATE.replace("...", identifier))), limit=20)
    assert status == 404, (status, answer)
    proxy.stop()
    proxy.start(kubeconfig)


def other_ways_in(world, service, people, kubeconfig, first, second):
    """A token straight to the wrong node; a certificate; kubectl; the command; the other document's request for all containers."""
    token = people.token("program")
    for node in (second, first):
        status, answer = service.ask(node, "POST", f"/checkpoint/{NAMESPACE}/counter/counter", {}, token)
        assert status == 201, (node.name, status, answer)
        assert entry(answer, "counter", "counter") in service.registry.tags(service.repository)
    assert not service.archives(second), "the wrong node has an archive"
    status, answer = service.ask(second, "POST", f"/checkpoint/{NAMESPACE}/counter/counter", {"async": True}, token)
    assert status == 202 and answer["checkpointIdentifier"].startswith("node1:"), answer
    status, answer = service.ask(second, "GET", f"/checkpoint?checkpointIdentifier={answer['checkpointIdentifier']}", token=token)
    assert status == 200, (status, answer)

    status, answer = service.ask(first, "POST", f"/api/v1/namespaces/{NAMESPACE}/pods/pair/checkpoint", {}, certificate=people.directory / "alice")
    assert status == 200 and len(answer["items"]) == 2, (status, answer)
    for path in answer["items"]:
        assert path.startswith(ARCHIVES + "/") and first.disk(path).stat().st_size > 10_000, path

    kubectl = f"KUBECONFIG={kubeconfig} {components.KUBE} kubectl"
    answer = json.loads(shell(world, f"echo '{{}}' | {kubectl} create --raw {GROUP}/namespaces/{NAMESPACE}/pods/counter/checkpoint -f -"))
    assert len(answer["items"]) == 1, answer
    answer = json.loads(shell(world, f"{world.binary} checkpoint {NAMESPACE}/counter/counter --image --kubeconfig {kubeconfig} -o json 2>/dev/null"))
    assert json.dumps(answer).count(service.registry.address), answer
    said = shell(world, f"{world.binary} checkpoint {NAMESPACE}/nobody --kubeconfig {kubeconfig}; echo exit $?")
    assert "nobody" in said and "exit 0" not in said, said
    world.note(said.splitlines()[0])


def survives_its_own_death(world, service, proxy, first):
    """A job is on disk before its 202: `serve` dies while the registry keeps it waiting, and the next one ends the job."""
    # Something to wait for: the registry stands still.
    registry = int((world.control_plane.state / f"{service.registry.name}.pid").read_text())
    kill(registry, signal.SIGSTOP)
    try:
        began = time.time()
        status, answer = proxy.curl('''curl http://localhost:3333/checkpoint/default/counter/counter --data '{"async": true}' ''')
        assert status == 202, (status, answer)
        identifier = answer["checkpointIdentifier"]
        wait_until("the archive of the job", lambda: archive_since(first, "counter", began), limit=20)
        before = service.restarts(first)
        service.kill(first)
    finally:
        kill(registry, signal.SIGCONT)
    wait_until("serve to be back", lambda: service.restarts(first) > before, limit=60)
    service.wait_ready()

    def done():
        status, answer = proxy.curl(STATE.replace("...", identifier))
        if status != 200:
            raise Failed(f"{status}: {answer}")
        return answer
    answer = wait_until("the job's end", done, limit=90)
    tag = entry(answer, "counter", "counter")
    assert identifier.endswith(tag) and tag in service.registry.tags(service.repository), answer
    image_is_as_the_runtimes_want_it(service.registry, service.repository, tag, "counter", "counter")


def archive_since(node, pod, moment):
    return any(path.stat().st_mtime > moment for path in node.disk(ARCHIVES).glob(f"checkpoint-{pod}_*.tar"))


def pod_stays_until_the_push(world, service, proxy, first):
    """No registry, no deletion: and the checkpoint is not lost either."""
    service.registry.stop()
    uid = world.api.get(f"/api/v1/namespaces/{NAMESPACE}/pods/pair")["metadata"]["uid"]
    status, answer = proxy.curl('''curl http://localhost:3333/checkpoint/default/pair/one --data '{"deletePod": true}' ''', limit=300)
    assert status == 500 and service.registry.address in json.dumps(answer), (status, answer)
    world.note(f"{status}: {answer['message']}")
    pod = world.api.get(f"/api/v1/namespaces/{NAMESPACE}/pods/pair")
    assert pod["metadata"]["uid"] == uid and "deletionTimestamp" not in pod["metadata"], pod["metadata"]
    assert any(name.startswith("checkpoint-pair_") and "-one-" in name for name in service.archives(first)), service.archives(first)
    service.registry.start()
    status, answer = proxy.curl('''curl http://localhost:3333/checkpoint/default/pair/one --data '{"deletePod": true}' ''')
    assert status == 201, (status, answer)
    wait_until("the end of pair", lambda: world.api.find(f"/api/v1/namespaces/{NAMESPACE}/pods/pair") is None, limit=30)


# 256 MiB that compress to nothing less, in memory.
LARGE = "{ head -c 268435456 /dev/urandom; echo held >/tmp/held; sleep 100000; } | tail -c 268435456"


def large(world, service, people, node, base):
    """A checkpoint of twice the memory that `serve` may have."""
    containers.start(world, containers.pod("large", node, [("app", base, LARGE)]))
    (there,) = [c["id"] for c in node.containers(NAMESPACE) if c["labels"]["io.kubernetes.pod.name"] == "large"]
    wait_until("256 MiB", lambda: "held" in node.container_run(there, "cat", "/tmp/held"), limit=60)
    before, began = service.restarts(node), time.monotonic()
    status, answer = service.ask(node, "POST", f"/checkpoint/{NAMESPACE}/large/app", {}, people.token("program"), limit=300)
    assert status == 201, (status, answer)
    took = time.monotonic() - began
    (layer,) = layers(service.registry, service.repository, answer["containerImageName"].rpartition(":")[2])
    assert layer["size"] > 256 << 20, layer
    world.figure(f"checkpoint and push of {layer['size'] / (1 << 20):.0f} MiB", took)
    assert service.restarts(node) == before, "serve was killed"
    world.figure("most memory so far", service.peak(node), "MiB", limit=100)
    world.api.delete(f"/api/v1/namespaces/{NAMESPACE}/pods/large")


def layers(registry, repository, tag):
    manifest = registry.manifest(repository, tag)
    while manifest["mediaType"] != OCI_MANIFEST:
        manifest = registry.manifest(repository, manifest["manifests"][0]["digest"])
    return manifest["layers"]


def kubelet_that_signs_for_itself(world, service, people, node, base):
    """As kubeadm sets them up: no CA vouches for the certificate, and the node's own file alone says that it is the kubelet's."""
    configuration = node.disk("/var/lib/kubelet/config.json")
    settings = json.loads(configuration.read_text())
    configuration.write_text(json.dumps({name: value for name, value in settings.items() if not name.startswith("tls")}))
    node.kill_daemon("kubelet")
    wait_until("its own certificate", lambda: node.disk("/var/lib/kubelet/pki/kubelet.crt").exists(), limit=30)
    containers.start(world, containers.pod("beside", node, [("counter", base, COUNTER)]))
    path, token = f"/checkpoint/{NAMESPACE}/beside/counter", people.token("program")
    status, answer = wait_until("the kubelet to answer", lambda: _unless(500, service.ask(node, "POST", path, {}, token)), limit=60)
    assert status == 201, (status, answer)
    # Another's certificate in the same place is not believed.
    own = node.disk("/var/lib/kubelet/pki/kubelet.crt")
    kept = own.read_text()
    own.write_text((world.cluster.state / "pki" / "apiserver.crt").read_text())
    status, answer = service.ask(node, "POST", path, {}, token)
    assert status == 500 and "certificate" in answer["message"], (status, answer)
    world.note(answer["message"])
    own.write_text(kept)


def _unless(status, answer):
    return answer if answer[0] != status else None


def group_is_well_behaved(world):
    """Namespaces can be deleted only while every group of the API answers discovery as it should."""
    resources = world.api.kubectl("api-resources", "--api-group=checkpointer.alpha.coreos.com")
    assert "checkpoints" in resources, resources
    world.api.kubectl("create", "namespace", "short-lived")
    world.api.kubectl("delete", "namespace", "short-lived", "--timeout=30s")
    assert world.api.find("/api/v1/namespaces/short-lived") is None
