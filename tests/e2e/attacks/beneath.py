"""What `serve` asks itself, and should not believe or wait for: a dump that fails, registries that lie, a kubelet that hangs."""

import concurrent.futures
import contextlib
import json
import signal
import time

from cluster import Failed, wait_until
from cluster.registry import PASSWORD

from ..containers import NAMESPACE
from . import OTHER_PATH, PATH, expect



def dump_that_fails(world, service, people, tokens, liar):
    """The reason is CRIU's, and the container goes on."""
    status, answer = service.ask(world.node, "POST", f"/checkpoint/{NAMESPACE}/connected/app", {}, tokens["good"])
    assert status == 500 and "TCP" in answer["message"], (status, answer)
    world.note(answer["message"])
    assert expect(service, 404, world.node, "POST", f"/checkpoint/{NAMESPACE}/counter/none", {}, tokens["good"])
    status, answer = service.ask(world.node, "POST", f"/api/v1/namespaces/{NAMESPACE}/pods/connected/checkpoint", {}, tokens["good"])
    assert status == 500 and "TCP" in answer["message"], (status, answer)


def switched_off(world, service, people, tokens, liar):
    """A kubelet and a runtime that are told not to take checkpoints: what to switch on is said."""
    node = world.node
    settings = node.disk("/var/lib/kubelet/config.json")
    runtime = node.disk("/etc/containerd/config.toml")
    for daemon, file, off, on, words in (
            ("kubelet", settings, lambda text: json.dumps(json.loads(text) | {"featureGates": {"ContainerCheckpoint": False}}), settings.read_text(), "ContainerCheckpoint"),
            ("containerd", runtime, lambda text: text.replace("  enable_experimental", "  enable_criu = false\n  enable_experimental"), runtime.read_text(), "enable_criu")):
        file.write_text(off(on))
        node.kill_daemon(daemon)
        try:
            def told(words=words):
                status, answer = service.ask(node, "POST", PATH, {}, tokens["good"])
                if status == 201 or words not in answer["message"]:
                    raise Failed(f"{status}: {answer}")
                return answer["message"]
            world.note(f"{daemon} without: {wait_until(f'{words} in the answer', told, limit=40, every=1)[:250]}")
        finally:
            file.write_text(on)
            node.kill_daemon(daemon)
        node.wait_runtime()
        wait_until(f"{daemon} with it again", lambda: service.ask(node, "POST", PATH, {}, tokens["good"])[0] == 201, limit=60, every=1)


def lies(world, service, people, tokens, liar):
    """Whatever the registry does, it is told as it is, the pod stays, and what we know it by goes to nobody else."""
    uid = world.api.get(f"/api/v1/namespaces/{NAMESPACE}/pods/counter")["metadata"]["uid"]
    for how in ("other-digest", "other-content", "foreign-realm", "foreign-upload", "foreign-redirect", "dies", "endless", "silent"):
        liar.lie(how)
        before, began = service.archives(world.node), time.monotonic()
        status, answer = service.ask(world.node, "POST", PATH, {"deletePod": True}, tokens["deleter"], limit=180)
        assert status in (500, 502, 504) and liar.address in answer["message"], (how, status, answer)
        assert PASSWORD not in json.dumps(answer) and len(json.dumps(answer)) < 5000, answer
        world.note(f"{how}: {status} after {time.monotonic() - began:.1f} s: {answer['message'][:200]}")
        pod = world.api.get(f"/api/v1/namespaces/{NAMESPACE}/pods/counter")
        assert pod["metadata"]["uid"] == uid and "deletionTimestamp" not in pod["metadata"], f"{how}: the pod was deleted though its image is nowhere"
        assert service.archives(world.node) - before, f"{how}: the archive is gone though its image is nowhere"
        harvested = [request for request in liar.seen("harvester") if any(name.lower() == "authorization" for name in request["headers"])]
        assert not harvested, f"{how}: {harvested}"
        # A registry may keep its blobs elsewhere: the archive may go there, the password not.
        assert bool(liar.seen("harvester")) == (how == "foreign-upload"), (how, liar.seen("harvester"))
        liar.lie("honest")
    # It does have something to lose.
    liar.lie("asks")
    status, answer = service.ask(world.node, "POST", PATH, {}, tokens["good"], limit=120)
    assert status == 201, (status, answer)
    assert any("authorization" in map(str.lower, request["headers"]) for request in liar.seen()), "the credentials were never used"
    liar.lie("honest")


def hanging_kubelet(world, service, people, tokens, liar):
    """It is not waited for without end, and nobody else is kept waiting."""
    with stopped(world.node, "kubelet"):
        gives_up(world, service, tokens, "a kubelet that hangs")


def hanging_runtime(world, service, people, tokens, liar):
    """Nor is a kubelet that waits itself; what it brings after all is not left lying about."""
    node = world.node
    before = service.archives(node)
    with stopped(node, "containerd"):
        gives_up(world, service, tokens, "a kubelet whose runtime hangs")
    time.sleep(10)

    def settled():
        late = {name for name in service.archives(node) - before if name.endswith(".tar")}
        if late:
            raise Failed(f"nobody's: {late}")
        return True
    wait_until("late archives removed", settled, limit=60)
    world.api.wait_ready(NAMESPACE, "app=counter", limit=60)


@contextlib.contextmanager
def stopped(node, daemon):
    node.kill_daemon(daemon, signal.SIGSTOP)
    try:
        yield
    finally:
        node.kill_daemon(daemon, signal.SIGCONT)
        node.wait_runtime()


def gives_up(world, service, tokens, what):
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(service.ask, world.node, "POST", OTHER_PATH, {"timeout": 5}, tokens["good"], limit=400)
        time.sleep(1)
        expect(service, 401, world.node, "POST", PATH, {}, limit=5)
        status, answer = asked.result()
    assert status in (500, 504) and answer["kind"] == "Status", (status, answer)
    world.note(f"{what}: {status}: {answer['message'][:300]}")
    # The kubelet waits for two minutes at least, whatever it is told.
    world.figure(f"{what}, to the answer", time.monotonic() - began, limit=200)
