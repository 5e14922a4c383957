"""What we write, the kubelet takes; what we refuse for the kubelet's sake, it refuses: ten thousand pods, the newest kubelet and the oldest one."""

import collections
import json
import os
import pathlib
import subprocess
import tempfile

from cluster import Failed, components

from ..binary import ROOT, TARGET

NEEDS_CLUSTER = False

_NODE = "edge-1"
_PODS = 10_000
# Another one finds other pods; a failure is repeated with the seed that it prints.
_SEED = os.environ.get("POD_CHECKPOINTER_SEED", "1")
_KUBELETS = {"newest": components.BIN / "kubelet-oracle", "oldest": components.BIN / "kubelet-oracle-oldest"}
# Fewer of a kind say nothing.
_ENOUGH = 20
# How the kubelet begins its rule on API objects; our own words for that rule are `has_api_object_reference`.
_RULE = "static pods may not reference "
# Nobody reads more.
_SHOWN = 10


def run(world):
    missing = [path.name for path in _KUBELETS.values() if not os.access(path, os.X_OK)]
    if missing:
        raise Failed(f"missing: {', '.join(missing)}. Get it with: tests/cluster/setup")
    _rendered(world)
    subprocess.run(["cargo", "build", "--locked", "--quiet", "--example", "kubelet_cases"], cwd=ROOT, check=True)
    with tempfile.TemporaryDirectory() as name:
        here = pathlib.Path(name)
        print(f"    {_do(TARGET / 'debug' / 'examples' / 'kubelet_cases', here, _SEED, str(_PODS)).strip()}", flush=True)
        cases = {case["file"]: case for case in json.loads((here / "cases.json").read_text())}
        try:
            _valid(here, cases)
            for kubelet in _KUBELETS:
                _written(world, here, cases, kubelet)
                _left_in(world, here, cases, kubelet)
        except Failed:
            _keep(here, world.logs)
            raise


def _rendered(world):
    """The pods of the repository's own tests, as `render` writes them."""
    pods = sorted([*(ROOT / "tests/it/sanitize/pods").glob("*.yaml"), *(ROOT / "tests/cases").glob("*.yaml")])
    with tempfile.TemporaryDirectory() as name:
        here, refused = pathlib.Path(name), 0
        for pod in pods:
            done = subprocess.run([str(world.binary), "render", "-f", str(pod), "--node", _NODE], capture_output=True, text=True)
            if done.returncode == 0:
                (here / pod.name).write_text(done.stdout)
            elif done.returncode == 1 and "is not restorable" in done.stderr:
                refused += 1
            else:
                raise Failed(f"render {pod}: exit {done.returncode}: {done.stderr.strip()}")
        # `render` knows no node and so no kubelet, and stands in for names of variables that no old kubelet takes.
        _none("the newest kubelet refuses what `render` writes", {path.name: why for path, why in _ask("newest", here).items() if why})
        world.note(f"{len(pods) - refused} pods of the tests, rendered, are taken; {refused} are not restorable")


def _valid(here, cases):
    """The generated pods are such as an API server takes; else nothing follows from them."""
    said = _ask("newest", here / "parents")
    _none("no API server would have taken", {path: why for path, why in said.items() if why and not why.startswith(_RULE)})
    _same_rule(here, cases, said)


def _written(world, here, cases, kubelet):
    said = _ask(kubelet, here / kubelet / "written")
    _none(f"the {kubelet} kubelet refuses what we write", {path: why for path, why in said.items() if why})
    _same_rule(here, cases, said)
    if len(said) * 3 < _PODS:
        raise Failed(f"only {len(said)} of {_PODS} pods are written")
    world.note(f"{len(said)} checkpoints are taken by the {kubelet} kubelet")


def _left_in(world, here, cases, kubelet):
    said = _ask(kubelet, here / kubelet / "left-in")
    of = {path: cases[str(path.relative_to(here))] for path in said}
    kubelets = {path: why for path, why in said.items() if of[path]["because"] == "kubelet"}
    _none(f"the {kubelet} kubelet takes what we refuse for its sake", {path: of[path]["thing"] for path, why in kubelets.items() if not why})
    _same_rule(here, cases, said)
    hit = collections.Counter(of[path]["thing"] for path in kubelets)
    if rare := {thing: count for thing, count in hit.items() if count < _ENOUGH}:
        raise Failed(f"seen fewer than {_ENOUGH} times: {rare}")
    world.note(f"{len(kubelets)} with one of {len(hit)} things left in are refused by the {kubelet} kubelet, each thing {min(hit.values())} times or more")


def _same_rule(here, cases, said):
    """Our own rule on API objects says what the kubelet's says; a pod may be invalid for another reason, which the kubelet finds first."""
    wrong = {}
    for path, why in said.items():
        rule = cases[str(path.relative_to(here))]["rule"]
        if why and why.startswith(_RULE) and not rule:
            wrong[path] = f"the kubelet says {why!r}, our rule nothing"
        elif rule and not why:
            wrong[path] = f"our rule says {rule!r}, the kubelet nothing"
    _none("our own rule is not the kubelet's", wrong)


def _ask(kubelet, directory):
    """The kubelet's reasons, by path; None where it takes the pod."""
    said = (json.loads(line) for line in _do(_KUBELETS[kubelet], _NODE, directory).splitlines())
    return {pathlib.Path(verdict["file"]): verdict.get("refused") for verdict in said}


def _none(what, wrong):
    if wrong:
        lines = [f"{path}: {why}" for path, why in list(wrong.items())[:_SHOWN]]
        raise Failed(f"seed {_SEED}: {what}: {len(wrong)} files, such as\n    " + "\n    ".join(lines))


def _keep(here, logs):
    """The files of a failure, under the paths that it names but for the temporary directory."""
    logs.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-r", f"{here}/.", str(logs)], check=True)


def _do(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"{command[0]}: exit {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout
