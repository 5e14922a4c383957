"""The story of offline-reboot and black-hole: power goes while the API server cannot be reached, and both come back."""

import json
import time

from cluster import Failed, wait_until

from .applications import APPLICATIONS, OBJECTS, ON_HOST_PORT, WITHOUT_TOKEN, by_hand
from .binary import ROOT
from .observe import File, copies


def run(world, cut, mend, slack, waits=1):
    """`cut` takes the API server away and `mend` brings it back; returns the time from power-on to the last twin. Twins may take `slack` seconds longer than the kubelet's own time for a
    hand-written static pod, `waits` times. The kubelet asks a dead network about volumes of before the boot, and mounts nothing
    meanwhile: in the time of one such wait the agent's own twin starts, in the next those that it activates."""
    prepare(world)
    asleep = {pod: data(world.node, pod) for pod in parents(world)}
    cut()
    world.node.power_cut()
    world.node.power_on()
    last = twins_run(world, asleep, slack, waits)
    mend()
    parents_return(world, time.time())
    return last


def prepare(world):
    """Installs the agent, the ten applications and a static pod written by hand, and waits for every checkpoint."""
    node = world.node
    world.api.kubectl("apply", "-f", str(ROOT / "rbac"))  # an account of it is used by an application
    world.api.apply(*OBJECTS, *APPLICATIONS.values())
    node.disk("/etc/kubernetes/manifests/by-hand.yaml").write_text(json.dumps(by_hand("by-hand", 8100)))
    world.install()
    for app in APPLICATIONS:
        world.api.wait_ready("kube-system", f"app={app}")
    world.wait_captured(*parents(world).values(), world.agent_name())
    wait_until("the agent's own checkpoint in the kubelet's directory, and its twin",
               lambda: any(copy.twin for copy in copies(node) if copy.pod == world.agent_name()), limit=60)
    wait_until("the static pod", lambda: began(node, "by-hand", "file"))
    assert world.active() == set(), world.active()


def parents(world):
    """{application: name of its pod}."""
    found = {}
    for pod in world.api.pods("kube-system"):
        app = pod["metadata"].get("labels", {}).get("app")
        if app in APPLICATIONS and "kubernetes.io/config.mirror" not in pod["metadata"].get("annotations", {}):
            found[app] = pod["metadata"]["name"]
    if found.keys() != APPLICATIONS.keys():
        raise Failed(f"no pods of {APPLICATIONS.keys() - found.keys()}")
    return found


def began(node, pod, source, since=0.0, word="running"):
    """When the first copy of a pod after `since` said that it runs (or serves), or None."""
    return min((at for at, _, text in node.lines("kube-system", f"{pod}*", "app") if text == f"{word} as {source}" and at > since), default=None)


def data(node, app, source="api", since=0.0):
    """What the newest copy of an application read: a line for each file, with mode, owner and checksum, and for each variable."""
    found, seen = [], None
    for at, directory, text in node.lines("kube-system", f"{app}-*", "app") + node.lines("kube-system", app, "app"):
        if application(directory) != app or at <= since:
            continue
        if text == f"running as {source}":
            found, seen = [], directory
        elif directory == seen and text.startswith(("data ", "token ")):
            found.append(text)
    return sorted(found)


def application(directory):
    """Which application a pod's log directory `<namespace>_<pod>_<uid>` belongs to: the longest name that fits."""
    pod = directory.split("_")[1]
    return max((app for app in APPLICATIONS if pod == app or pod.startswith(f"{app}-")), key=len, default=None)


def all_started(node, since):
    """{application: when its static pod said after `since` that it runs}, once all do."""
    times = {application(directory): at for at, directory, text in node.lines("kube-system", "*", "app")
             if at > since and text == "running as file" and application(directory)}
    missing = APPLICATIONS.keys() - times.keys()
    if missing:
        raise Failed(f"no twin of {sorted(missing)}")
    return times


def beside_the_kubelet_alone(world, twins):
    """Measures the kubelet alone: the same ten pods as static pods that lie there at power-on, with no agent on the node. What the
    agent adds to that is `twins` seconds less it: starting ten pods takes the kubelet and the runtime most of the time."""
    node = world.node
    world.control_plane.stop()
    node.power_cut()
    active, inactive = node.disk("/etc/kubernetes/manifests"), node.disk("/etc/kubernetes/inactive-manifests")
    for file in active.iterdir():
        file.unlink()
    for file in inactive.glob("*.yaml"):
        if not file.name.startswith("kube-system_pod-checkpointer-"):
            lines = [line for line in file.read_text().splitlines() if "checkpoint-of" not in line]
            (active / f"by-hand-{file.name}").write_text("\n".join(lines) + "\n")
    node.power_on()
    since = node.powered_on_at
    times = wait_until("ten static pods", lambda: all_started(node, since), limit=60)
    alone = max(times.values()) - since
    world.figure("power-on to the last of the same ten as hand-written static pods, no agent", alone)
    world.figure("what the agent adds to that", twins - alone, budget=1)


def twins_run(world, asleep, slack, waits):
    """Waits for all twins; compares what they read with what the parents read; prints how long it took."""
    node = world.node
    since = node.powered_on_at
    node.wait_runtime()
    times = wait_until("a twin of every application", lambda: all_started(node, since), limit=60 if waits == 1 else 240)
    hand = wait_until("the static pod", lambda: began(node, "by-hand", "file", since))
    world.figure("power-on to the hand-written static pod", hand - since)
    activated = node.disk(File.ACTIVE.value).stat().st_mtime
    spoke = min(at for at, _, _ in node.lines("kube-system", "pod-checkpointer-*") if at > since)
    last = max(times.values())
    world.figure("power-on to the agent's first word", spoke - since)
    world.figure("the agent's first word to the last manifest in the kubelet's directory", activated - spoke, budget=0.5)
    world.figure("power-on to the first twin", min(times.values()) - since)
    world.figure("power-on to the last of ten twins", last - since, budget=waits * (hand - since) + slack,
                 limit=waits * (hand - since) + slack + 10)
    time.sleep(3)  # long enough for a second copy to show
    running = [copy for copy in copies(node) if copy.container in ("app", "pod-checkpointer")]
    strangers = [copy for copy in running if copy.source == "api"]
    assert not strangers, f"the kubelet cannot know these without an API server: {strangers}"
    for app in APPLICATIONS:
        twins = [copy for copy in running if copy.twin and application(f"_{copy.pod}_") == app]
        assert len(twins) == 1 and twins[0].restarts == 0, f"{app}: {twins}"
        twin = data(node, app, "file", since)
        if app == WITHOUT_TOKEN:
            asleep[app] = [line for line in asleep[app] if not line.startswith("token ")]
        assert bool(asleep[app]) == (app != "alone-bare") and twin == asleep[app], f"{app} reads other data than its parent:\nparent {asleep[app]}\ntwin   {twin}"
    own = [copy for copy in running if copy.container == "pod-checkpointer"]
    assert len(own) == 1 and own[0].twin, f"the agent's own twin: {own}"
    return last - since


def parents_return(world, returned):
    """Waits until every parent runs and every twin is gone, with nobody's help; prints how long it took."""
    node = world.node

    def started():
        times = {application(directory): at for at, directory, text in node.lines("kube-system", "*", "app")
                 if at > returned and text == "serving as api" and application(directory)}
        missing = APPLICATIONS.keys() - times.keys()
        if missing:
            raise Failed(f"no parent of {sorted(missing)} serves")
        return times
    times = wait_until("every parent", started, limit=240)
    for kind, chosen in (("with a port of the host", ON_HOST_PORT), ("of the others", APPLICATIONS.keys() - set(ON_HOST_PORT))):
        world.figure(f"API back to the last parent {kind} serving", max(times[app] for app in chosen) - returned)

    def handed_over():
        left = world.active()
        twins = [copy.name for copy in copies(node) if copy.twin and copy.container == "app"]
        if left or twins:
            raise Failed(f"active: {sorted(left)}; twins running: {sorted(twins)}")
        return True
    wait_until("no twin left", handed_over, limit=120)
    world.figure("API back to one copy of each", time.time() - returned)
    for app in APPLICATIONS:
        world.api.wait_ready("kube-system", f"app={app}", limit=60)
        running = [copy for copy in copies(node) if copy.container == "app" and application(f"_{copy.pod}_") == app]
        assert len(running) == 1 and running[0].source == "api", f"{app}: {running}"
    world.api.wait_ready("kube-system", "app.kubernetes.io/name=pod-checkpointer", limit=180)
    world.figure("API back to the DaemonSet's agent leading", time.time() - returned)
