"""What the agent costs while nothing happens: memory, disk writes, API requests and processor with twenty checkpoints."""

import os
import pathlib
import re
import time

from cluster import wait_until

from .. import applications
from ..observe import copies

PODS = [f"idle-{number:02}" for number in range(20)]
MINUTES = 2


def run(world):
    node = world.node
    world.api.apply(*map(applications.plain, PODS))
    world.install()
    world.wait_captured(*PODS, world.agent_name(), limit=180)
    wait_until("the agent's twin", lambda: any(copy.twin for copy in copies(node)), limit=60)
    time.sleep(30)  # what starting caused is over
    agents = {copy.source: host_pid(node, copy.id) for copy in copies(node) if copy.container == "pod-checkpointer"}
    assert agents.keys() == {"api", "file"}, agents
    before, requests = {source: usage(pid) for source, pid in agents.items()}, world.requests()
    time.sleep(MINUTES * 60)
    after, requests = {source: usage(pid) for source, pid in agents.items()}, world.requests() - requests

    for source, name in (("api", "the agent"), ("file", "its twin standing by")):
        status = pathlib.Path(f"/proc/{agents[source]}/status").read_text()
        world.figure(f"anonymous memory of {name}", kib(status, "RssAnon") / 1024, "MiB", budget=12 if source == "api" else None, limit=16)
        world.figure(f"resident memory of {name}", kib(status, "VmRSS") / 1024, "MiB")
    written = sum(after[source][0] - before[source][0] for source in agents)
    cpu = sum(after[source][1] - before[source][1] for source in agents)
    world.figure(f"written to disk in {MINUTES} minutes", written / 1024, "KiB", budget=0, limit=0)
    world.figure(f"API requests in {MINUTES} minutes", requests, "", budget=MINUTES * 12 / 60, limit=2)
    # The clock of /proc ticks every 10 ms.
    world.figure("of a core", 100 * cpu / (MINUTES * 60), "%", budget=0.1, limit=0.5)


def host_pid(node, container):
    """The machine's pid of a container's first process."""
    for line in node.run("ctr", "-n", "k8s.io", "tasks", "ls").splitlines():
        if line.startswith(container):
            inner = int(line.split()[1])
            for pid in node.group.pids():
                status = pathlib.Path(f"/proc/{pid}/status")
                if not status.exists():
                    continue  # ended meanwhile
                inside = re.search(r"^NSpid:\s+\d+\s+(\d+)", status.read_text(), re.M)
                if inside and int(inside[1]) == inner:
                    return pid
    raise LookupError(f"no process of container {container}")


def usage(pid):
    """Bytes sent to disk, and seconds of processor, since the process began."""
    written = int(re.search(r"^write_bytes: (\d+)", pathlib.Path(f"/proc/{pid}/io").read_text(), re.M)[1])
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return written, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def kib(status, name):
    return int(re.search(rf"^{name}:\s+(\d+) kB", status, re.M)[1])
