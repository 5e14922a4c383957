"""Running commands, waiting for things, and ending whole groups of processes by their cgroup."""

import os
import pathlib
import signal
import subprocess
import time


class Failed(Exception):
    """Something did not work; the message says what and, where known, what to do."""


class TimedOut(Failed):
    """What was waited for did not come; the message has what was seen last."""


def run(argv, check=True, stdin=None, limit=120):
    """Runs a command and returns its output (both streams); fails with that output."""
    argv = [str(word) for word in argv]
    try:
        done = subprocess.run(argv, text=True, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit,
                              stdin=None if stdin is not None else subprocess.DEVNULL)
    except subprocess.TimeoutExpired as error:
        raise TimedOut(f"{' '.join(argv)}: no end after {limit} s; so far: {error.output}") from error
    if check and done.returncode:
        raise Failed(f"{' '.join(argv)}: exit {done.returncode}: {done.stdout.strip()}")
    return done.stdout


def wait_until(what, ask, limit=60.0, every=0.1):
    """Asks until the answer is true and returns it; an exception counts as "not yet" and is told at the end."""
    end, seen = time.monotonic() + limit, None
    while True:
        try:
            seen = ask()
            if seen:
                return seen
        except (Failed, OSError, LookupError, ValueError) as error:
            seen = error
        if time.monotonic() > end:
            raise TimedOut(f"{what}: not within {limit:g} s; last seen: {seen!r}")
        time.sleep(every)


def hierarchies():
    """The cgroup v1 hierarchies of this machine, as {mount point: controllers}."""
    found = {}
    for line in open("/proc/self/mounts"):
        _, point, kind, options, *_ = line.split()
        if kind == "cgroup":
            found[pathlib.Path(point)] = [o for o in options.split(",") if o in CONTROLLERS]
    found = {point: controllers for point, controllers in found.items() if controllers}
    if not any("pids" in controllers for controllers in found.values()):
        raise Failed("nodes are made of cgroup v1 hierarchies, and this machine has none: boot it with systemd.unified_cgroup_hierarchy=0")
    return found


CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids")


class Group:
    """A cgroup in every hierarchy: what is started in it can be ended whole, also by another run of the harness."""

    def __init__(self, name):
        self.paths = [point / name for point in hierarchies()]

    def make(self):
        """Makes the cgroup ready to take processes."""
        for path in self.paths:
            path.mkdir(exist_ok=True)
            for knob in ("cpuset.cpus", "cpuset.mems"):
                if (path / knob).exists():
                    (path / knob).write_text((path.parent / knob).read_text())
            hierarchy = path / "memory.use_hierarchy"
            if hierarchy.exists() and hierarchy.read_text().strip() == "0":
                hierarchy.write_text("1")

    def start(self, argv, log, env=None):
        """Starts a command in the cgroup, apart from this process; returns it."""
        enter = "".join(f"echo $$ >{path}/cgroup.procs; " for path in self.paths)
        with open(log, "ab") as out:
            return subprocess.Popen(["bash", "-c", enter + 'exec "$@"', "enter", *map(str, argv)], stdin=subprocess.DEVNULL,
                                    stdout=out, stderr=out, env={**os.environ, **(env or {})}, start_new_session=True)

    def pids(self):
        """Everything that runs in the cgroup and beneath."""
        found = set()
        for path in self.paths:
            for procs in path.rglob("cgroup.procs"):
                try:
                    found.update(int(pid) for pid in procs.read_text().split())
                except OSError:
                    pass  # the cgroup went meanwhile
        return found

    def destroy(self):
        """Kills everything in it and removes it."""
        def empty():
            left = self.pids()
            for pid in left:
                kill(pid, signal.SIGKILL)
            return not left
        wait_until(f"end of the processes in {self.paths[0].name}", empty, limit=20, every=0.02)
        for path in self.paths:
            for directory in sorted((p.parent for p in path.rglob("cgroup.procs")), key=lambda p: -len(p.parts)):
                wait_until(f"removal of {directory}", lambda d=directory: remove(d), limit=5, every=0.02)


def remove(directory):
    """Removes an empty cgroup; true once it is gone."""
    try:
        directory.rmdir()
    except FileNotFoundError:
        pass
    return not directory.exists()


def kill(pid, number):
    """Sends a signal to a process that may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def ended(pid):
    """True where the process is gone or a zombie."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
