"""Requests, registries and a kubelet that mean harm: the right code each, nothing lost, nothing leaked, and service goes on."""

import concurrent.futures
import contextlib
import json
import signal
import socket
import time

from cluster import Failed, network, pki, wait_until
from cluster.registry import PASSWORD, USER, Registry, pull_secret

from .. import containers
from ..containers import CONNECTED, COUNTER, NAMESPACE
from ..lies import LyingRegistry
from ..service import ACCOUNT, GROUP, NAME, PORT, People, Proxy, Service

NODES = 2
PATH = f"/checkpoint/{NAMESPACE}/counter/counter"
OTHER_PATH = f"/api/v1/namespaces/{NAMESPACE}/pods/counter/checkpoint"
# Of the manifest's own limit, in bytes.
MEMORY = 128 << 20
QUEUE = 8


def run(world):
    first, second = world.cluster.nodes
    base = containers.push_base(Registry(world.control_plane).start())
    liar = LyingRegistry(world).start()
    service = Service(world, liar, "lies", [f"--max-queue={QUEUE}"], {"KANIKO_TIMEOUT": "15"})
    world.api.apply(pull_secret("kaniko-secret", "kube-system", liar.address))
    service.install()
    people = People(world)
    tokens = accounts(people)
    containers.start(world, containers.pod("counter", first, [("counter", base, COUNTER)]), containers.pod("connected", first, [("app", base, CONNECTED)]))
    untouched = service.archives(first)

    for attack in (strangers, forged_names, others_secrets, paths, foreign_hosts, loops, big_bodies, slow_heads, proxy_from_a_web_page):
        attack(world, service, people, tokens, liar)
        assert service.archives(first) == untouched and not service.archives(second), f"{attack.__name__} made a checkpoint"
    works(service, first, tokens)
    for attack in (dump_that_fails, many_at_once, lies, hanging_kubelet, hanging_runtime):
        attack(world, service, people, tokens, liar)
        works(service, first, tokens)
    nothing_leaked(world, service, tokens)


def accounts(people):
    """Tokens by what they are good for."""
    people.allow(people.account("good"), "container-checkpoints-user")
    people.allow(people.account("deleter"), "container-checkpoints-user")
    people.allow(people.account("deleter"), people.role("delete-pods", "pods", "delete"))
    people.account("weak")
    tokens = {name: people.token(name) for name in ("good", "deleter", "weak")}
    tokens["for the API server"] = people.token("good", audience=None)
    tokens["for others"] = people.token("good", audience="somebody-else")
    tokens["its own"] = people.token(NAME, namespace="kube-system")
    return tokens


def works(service, node, tokens):
    """Whoever may still can."""
    status, answer = service.ask(node, "POST", PATH, {}, tokens["good"], limit=120)
    assert status == 201, (status, answer)


def expect(service, wanted, node, method, path, body=None, token=None, **more):
    """The refusal of a request: its code, and a Status that says the same."""
    status, answer = service.ask(node, method, path, body, token, **more)
    codes = wanted if isinstance(wanted, tuple) else (wanted,)
    assert status in codes and answer["kind"] == "Status" and answer["code"] == status, (method, path, status, answer)
    return answer["message"]


# Who asks

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


# What is asked for

SEGMENTS = ("..", ".", "%2e%2e", "%2E%2e%2f%2e%2e", "..%2f..%2fetc", "%2fetc%2fpasswd", "", "%00", "counter%00", "a" * 300, "COUNTER", "counter%0d%0aX-Remote-User:%20admin",
            "counter;x=1", "counter%3ftimeout=1", "counter%23", "%ff%fe", "c%C3%B6unter", "-counter", "counter.", "*", "$(id)", "counter counter")


def paths(world, service, people, tokens, liar):
    shapes = [lambda *s: "/checkpoint/{}/{}/{}".format(*s), lambda *s: "/api/v1/namespaces/{}/pods/{}/checkpoint".format(*s),
              lambda *s: f"{GROUP}/namespaces/{{}}/pods/{{}}/checkpoint/{{}}".format(*s), lambda *s: f"{GROUP}/namespaces/{{}}/pods/{{}}/checkpoint".format(*s)]
    tried = 0
    for shape in shapes:
        for at in range(3):
            for segment in SEGMENTS:
                good = [NAMESPACE, "counter", "counter"]
                good[at] = segment
                path = shape(*good)
                if path in {shape(NAMESPACE, "counter", "counter")}:
                    continue
                status, text = raw(world, service, world.node, f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tokens['good']}\r\n"
                                   "Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
                assert status in (400, 403, 404, 405, 414), (path, status, text[:300])
                tried += 1
    for identifier in ("../../etc/passwd", "node1:../../../etc/pass", "node1:0123456789ABCDEF", "node1:", ":0123456789abcdef", "node1:0123456789abcdef:x", "a" * 5000,
                       "node1%00:0123456789abcdef", "..:0123456789abcdef"):
        expect(service, (400, 404, 414), world.node, "GET", f"/checkpoint?checkpointIdentifier={identifier}", token=tokens["good"])
        tried += 1
    for body in ("[]", "null", "{", '{"deletePod":"yes"}', '{"async":1}', "deletePod=true", '{"timeout":-1}', '{"timeout":99999999999999999999}', "[" * 60000):
        path = OTHER_PATH if "timeout" in body else PATH
        status, answer = service.ask(world.node, "POST", path, body, tokens["good"])
        assert status == 400 and answer["kind"] == "Status", (body[:40], status, answer)
        tried += 1
    world.note(f"{tried} paths, identifiers and bodies refused")


def foreign_hosts(world, service, people, tokens, liar):
    """The node in an identifier, and every header that might name a host, choose nothing but a Node of this cluster."""
    elsewhere = liar.harvester.partition(":")[0]
    for node in (elsewhere, liar.harvester.replace(":", "%3A"), f"node1@{elsewhere}", f"{elsewhere}%2fx", f"node2.{elsewhere}", "localhost", "127.0.0.1", "[::1]"):
        expect(service, (400, 404), world.node, "GET", f"/checkpoint?checkpointIdentifier={node}:0123456789abcdef", token=tokens["good"])
    for header in ("Host", "X-Forwarded-Host", "Forwarded", "X-Original-URL"):
        status, _ = service.ask(world.node, "GET", "/checkpoint?checkpointIdentifier=node2:0123456789abcdef", token=tokens["good"], headers={header: liar.harvester})
        assert status in (400, 404), (header, status)
    # A pod that calls itself an instance, in a namespace where its maker may make pods.
    lure = containers.pod("lure", world.cluster.node(2), [("lure", "10.99.0.100:5000/test/application:1", "sleep 1000")])
    lure["metadata"]["labels"] = {"app": NAME}
    world.api.apply(lure)
    world.api.wait_ready(NAMESPACE, f"app={NAME}")
    status, _ = service.ask(world.node, "GET", "/checkpoint?checkpointIdentifier=node2:0123456789abcdef", token=tokens["good"])
    assert status == 404, status
    assert not liar.seen("harvester"), liar.seen("harvester")


def loops(world, service, people, tokens, liar):
    """What one instance sent to another goes no further, though it is the wrong one."""
    before = len(service.said(world.node))
    good = f"system:serviceaccount:{NAMESPACE}:good"
    names = {"X-Checkpointer-Forwarded-User": good.replace(":", "%3a")}
    message = expect(service, (404, 409, 421), world.cluster.node(2), "POST", PATH, {}, tokens["its own"], headers=names)
    world.note(f"forwarded twice: {message[:160]}")
    expect(service, 403, world.node, "POST", PATH, {}, tokens["its own"])
    weak = {"X-Checkpointer-Forwarded-User": f"system%3aserviceaccount%3a{NAMESPACE}%3aweak"}
    expect(service, 403, world.node, "POST", PATH, {}, tokens["its own"], headers=weak)
    assert len(service.said(world.node)) - before < 20_000, "somebody went round in circles"


# How it is asked

def raw(world, service, node, text, limit=30.0):
    """Sends exactly these bytes over TLS: (status, answer)."""
    with connection(world, service, node, limit) as stream:
        stream.sendall(text if isinstance(text, bytes) else text.encode())
        return answered(stream)


def connection(world, service, node, limit=30.0):
    with network.inside(world.control_plane.namespace):
        plain = socket.create_connection((node.address, PORT), timeout=limit)
    return service.tls().wrap_socket(plain, server_hostname=node.address)


def answered(stream):
    """Reads to the end: (status, everything); 0 where the connection was closed without a word."""
    text = b""
    try:
        while part := stream.recv(65536):
            text += part
    except (ConnectionError, TimeoutError):
        pass
    return int(text.split(b" ", 2)[1]) if text.startswith(b"HTTP/") else 0, text.decode(errors="replace")


def big_bodies(world, service, people, tokens, liar):
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {tokens['good']}\r\nContent-Type: application/json\r\n"
    began = time.monotonic()
    status, text = raw(world, service, world.node, head + f"Content-Length: {1 << 30}\r\n\r\n")
    assert status == 413, (status, text)
    for framing, chunk in ((f"Content-Length: {1 << 30}", b"x" * 65536), ("Transfer-Encoding: chunked", b"10000\r\n" + b"x" * 65536 + b"\r\n")):
        with connection(world, service, world.node) as stream:
            stream.sendall((head + framing + "\r\n\r\n").encode())
            sent = 0
            try:
                while sent < 1 << 30:
                    stream.sendall(chunk)
                    sent += len(chunk)
            except OSError:
                pass  # it does not listen any more
            status, text = answered(stream)
        assert status == 413 or (status == 0 and sent < 1 << 28), (framing, sent, status, text[:200])
        world.note(f"{framing.split(':')[0]}: {status or 'closed'} after {sent / 1e6:.0f} MB of 1 GB")
    world.figure("refusing three bodies of 1 GB", time.monotonic() - began, limit=90)
    in_bounds(world, service)


def slow_heads(world, service, people, tokens, liar):
    """A hundred who say a byte a second keep nobody out, and are not listened to for long."""
    streams = [connection(world, service, world.node) for _ in range(100)]
    words = iter(f"GET /checkpoint HTTP/1.1\r\nHost: {'x' * 200}")
    began, alive = time.monotonic(), streams
    while alive and time.monotonic() - began < 40:
        letter, left = next(words).encode(), []
        for stream in alive:
            try:
                stream.sendall(letter)
                stream.settimeout(0.001)
                if stream.recv(100):
                    continue
            except TimeoutError:
                left.append(stream)
            except OSError:
                pass
        if len(alive) == len(streams):
            expect(service, 401, world.node, "POST", PATH, {}, limit=5)
        alive = left
        time.sleep(1)
    for stream in streams:
        stream.close()
    assert not alive, f"{len(alive)} are still listened to"
    world.figure("a hundred slow clients heard out", time.monotonic() - began)
    in_bounds(world, service)


def proxy_from_a_web_page(world, service, people, tokens, liar):
    """A name that somebody had resolve to localhost does not open the proxy to their web page."""
    _, kubeconfig = people.user("alice")
    people.allow("alice", "container-checkpoints-user")
    proxy = Proxy(world, kubeconfig)
    for where in ("localhost:8001/version", "localhost:3333/checkpoint?checkpointIdentifier=node1:0123456789abcdef"):
        for header in ("Host: evil.example", "Origin: http://evil.example"):
            status, answer = proxy.curl(f"curl '{where}' --header '{header}'")
            assert status == 403, (where, header, status, answer)
    proxy.stop()


def in_bounds(world, service):
    """It has not been killed, and has not grown."""
    status = service.instance(world.node)["status"]["containerStatuses"][0]
    assert status["restartCount"] == 0, status
    peak = int(world.node.run("sh", "-c", "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep -q '^/pod-checkpointer serve' && "
                              "grep VmHWM $p/status; done; true").split()[1]) << 10
    world.figure("most memory so far", peak / (1 << 20), "MiB", limit=MEMORY / (1 << 20) * 0.8)


# What it asks

def dump_that_fails(world, service, people, tokens, liar):
    """The reason is CRIU's, and the container goes on."""
    status, answer = service.ask(world.node, "POST", f"/checkpoint/{NAMESPACE}/connected/app", {}, tokens["good"])
    assert status == 500 and "TCP" in answer["message"], (status, answer)
    world.note(answer["message"])
    assert expect(service, 404, world.node, "POST", f"/checkpoint/{NAMESPACE}/counter/none", {}, tokens["good"])
    status, answer = service.ask(world.node, "POST", f"/api/v1/namespaces/{NAMESPACE}/pods/connected/checkpoint", {}, tokens["good"])
    assert status == 500 and "TCP" in answer["message"], (status, answer)


def many_at_once(world, service, people, tokens, liar):
    """Two hundred requests for one container: some are served, one after the other; the others are told to come again."""
    service.tls()
    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(lambda _: service.ask(world.node, "POST", PATH, {}, tokens["good"], limit=180), range(200)))
    codes = {}
    for status, answer in answers:
        codes[status] = codes.get(status, 0) + 1
        assert status == 201 or answer["kind"] == "Status", (status, answer)
    images = [answer["containerImageName"] for status, answer in answers if status == 201]
    world.note(f"answers by code: {codes}")
    assert set(codes) <= {201, 429, 503} and images and len(set(images)) == len(images), codes
    in_bounds(world, service)


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
        liar.lie("honest")
    # It does have something to lose.
    liar.lie("asks")
    works(service, world.node, tokens)
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


def nothing_leaked(world, service, tokens):
    """No token, password or key in any log of ours, in the API server's objects about us, or beside the records."""
    said = "\n".join(service.said(node) for node in world.cluster.nodes)
    assert len(said) > 1000, "there are no logs to look at"
    events = json.dumps(world.api.get("/api/v1/events")["items"])
    for name, word in {**tokens, "password": PASSWORD, "basic": f"{USER}:{PASSWORD}", "key": "PRIVATE KEY"}.items():
        for where, text in (("logs", said), ("events", events)):
            assert word not in text and word.rpartition(".")[2] not in text, f"{name} is in the {where}"
    for node in world.cluster.nodes:
        for file in node.disk("/var/lib/pod-checkpointer/serve").rglob("*"):
            if file.is_file():
                content = file.read_text(errors="replace")
                assert not any(word in content for word in (*tokens.values(), PASSWORD)), f"{file} has credentials in it"
                assert file.stat().st_mode & 0o077 == 0, f"{file}: {oct(file.stat().st_mode)}"
    deletions = [event for event in world.control_plane.requests_of(ACCOUNT) if event["verb"] == "delete"]
    assert not deletions, deletions
