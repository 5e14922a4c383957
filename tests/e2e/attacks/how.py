"""Requests that take too much: of memory, of time, of everybody's turn; and a web page that asks through somebody's browser."""

import concurrent.futures
import socket
import time

from cluster import network

from ..service import PORT, Proxy
from . import PATH, expect

# The manifest's own limit, in MiB.
MEMORY = 128


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
    assert service.restarts(world.node) == 0, service.instance(world.node)["status"]
    world.figure("most memory so far", service.peak(world.node), "MiB", limit=MEMORY * 0.8)
