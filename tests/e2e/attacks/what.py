"""Requests for what is not theirs to name: paths, hosts, the way between instances."""

from .. import containers
from ..containers import NAMESPACE
from ..service import GROUP, NAME
from . import OTHER_PATH, PATH, expect
from .how import raw



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
