"""Requests, registries and a kubelet that mean harm: the right code each, nothing lost, nothing leaked, and service goes on."""

import json

from cluster.registry import PASSWORD, USER, Registry, pull_secret

from .. import containers
from ..attacks import PATH, beneath, how, what, who
from ..containers import CONNECTED, COUNTER
from ..lies import LyingRegistry
from ..service import ACCOUNT, NAME, People, Service

NODES = 2
QUEUE = 8


def run(world):
    first, second = world.cluster.nodes
    base = containers.push_base(Registry(world.control_plane).start())
    liar = LyingRegistry(world).start()
    # The harvester is one that may be spoken to, but not one that has an account of ours.
    service = Service(world, liar, "lies", [f"--max-queue={QUEUE}", f"--plain-http-registry={liar.harvester.partition(':')[0]}"], {"KANIKO_TIMEOUT": "15"})
    world.api.apply(pull_secret("kaniko-secret", "kube-system", liar.address))
    service.install()
    people = People(world)
    tokens = accounts(people)
    containers.start(world, containers.pod("counter", first, [("counter", base, COUNTER)]), containers.pod("connected", first, [("app", base, CONNECTED)]))
    untouched = service.archives(first)

    for attack in (who.strangers, who.forged_names, who.others_secrets, who.own_account, what.paths, what.foreign_hosts, what.loops,
                   how.big_bodies, how.slow_heads, how.proxy_from_a_web_page):
        attack(world, service, people, tokens, liar)
        assert service.archives(first) == untouched and not service.archives(second), f"{attack.__name__} made a checkpoint"
    works(service, first, tokens)
    for attack in (beneath.dump_that_fails, beneath.switched_off, how.many_at_once, beneath.lies, beneath.hanging_kubelet, beneath.hanging_runtime):
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
