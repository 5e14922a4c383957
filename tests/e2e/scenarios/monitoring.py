"""Prometheus on a node scrapes the agent and `serve` as they are: the alerts load, the dashboard's queries have answers, what is wrong is alerted."""

import base64
import json
import re
import textwrap
import urllib.parse

from cluster import Failed, wait_until
from cluster.registry import Registry

from .. import applications
from ..applications import NO_TOKEN, alone, container, template
from ..binary import ROOT
from ..service import HOME, NAME, PORT, Service
from ..world import NAMESPACE
from .status_offline import secret_env

PATIENT = True
HERE, ADDRESS = "/var/lib/e2e/prometheus", "127.0.0.1:9090"


def run(world):
    node, api = world.node, world.api
    api.apply(*applications.OBJECTS, alone("healthy", template("healthy", container(), **NO_TOKEN)), alone("secret-env", template("secret-env", secret_env(), **NO_TOKEN)))
    world.install()
    world.wait_captured("healthy", world.agent_name())
    service = Service(world, Registry(world.control_plane).start())
    service.install()
    start(world)
    wait_until("both targets", lambda: {target["labels"]["job"] for target in ask(node, "targets")["activeTargets"] if target["health"] == "up"} == {"agent", "serve"}, limit=30)

    def loaded():
        rules = [rule for group in ask(node, "rules")["groups"] for rule in group["rules"]]
        if bad := [rule for rule in rules if rule["health"] != "ok"]:
            raise Failed(f"{bad}")
        return rules
    rules = wait_until("the alerts evaluated", loaded, limit=30)
    assert len(rules) == (ROOT / "manifests/monitoring/rules.yaml").read_text().count("- alert: ") > 5, rules

    def fires():
        found = {(alert["labels"]["alertname"], alert["labels"].get("pod")) for alert in ask(node, "alerts")["alerts"] if alert["state"] == "firing"}
        if found != {("PodNotRestorable", "secret-env")}:
            raise Failed(f"firing: {found}")
        return True
    wait_until("an alert for the pod that would not come back, and no other", fires, limit=60)

    def answered():
        # No step has failed, so that counter has no series.
        empty = {query for query in queries() if not ask(node, "query?" + urllib.parse.urlencode({"query": query}))["result"]}
        if any("step_failures" not in query for query in empty):
            raise Failed(f"without an answer: {empty}")
        return True
    wait_until("an answer to every query of the dashboard", answered, limit=30)
    world.note(f"{len(rules)} alerts, {len(queries())} queries of the dashboard")


def start(world):
    """Prometheus as a collector on the node: the agent on the loopback address, `serve` by its CA, every second; alerts without their patience."""
    node = world.node
    directory = node.disk(HERE)
    directory.mkdir(parents=True)
    secret = world.api.get(f"/api/v1/namespaces/{HOME}/secrets/{NAME}-ca")
    (directory / "ca.crt").write_bytes(base64.b64decode(secret["data"]["ca.crt"]))
    rules = textwrap.dedent((ROOT / "manifests/monitoring/rules.yaml").read_text().split("\nspec:\n")[1])
    (directory / "rules.yaml").write_text(re.sub(r"(?m)^ *for: .*\n", "", rules))
    jobs = [{"job_name": "agent", "static_configs": [{"targets": ["127.0.0.1:9881"]}]},
            {"job_name": "serve", "scheme": "https", "tls_config": {"ca_file": f"{HERE}/ca.crt"}, "static_configs": [{"targets": [f"{node.address}:{PORT}"]}]}]
    config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [f"{HERE}/rules.yaml"], "scrape_configs": jobs}
    (directory / "prometheus.yaml").write_text(json.dumps(config))
    node.start("prometheus", "prometheus", f"--config.file={HERE}/prometheus.yaml", f"--storage.tsdb.path={HERE}/data", f"--web.listen-address={ADDRESS}")


def ask(node, path):
    status, answer = node.http(f"http://{ADDRESS}/api/v1/{path}")
    answer = json.loads(answer)
    if (status, answer["status"]) != (200, "success"):
        raise Failed(f"{path}: {status}: {answer}")
    return answer["data"]


def queries():
    """Every query of the dashboard."""
    board = json.loads((ROOT / "manifests/monitoring/dashboard.json").read_text())
    return [target["expr"].replace("$__rate_interval", "1m") for panel in board["panels"] for target in panel.get("targets", [])]
