"""The order of fsyncs: a checkpoint's whole life on disk under strace, from its first save to its removal."""

import os
import subprocess

from cluster import Failed

from .. import disk_order
from ..binary import ROOT, TARGET

NEEDS_AGENT = NEEDS_CLUSTER = False

# Each fsync of a kind, and a rule that must be broken without it: a checker that finds nothing proves nothing.
_KINDS = {
    "files": ("a file is fsynced before", lambda name: True, "file"),
    "the kubelet's directory": ("removed and fsynced first", lambda name: name == disk_order.ACTIVE, "dir"),
    "inactive manifests": ("a file is durable before", lambda name: name == disk_order.INACTIVE, "dir"),
    "volumes": ("a volume is durable before", lambda name: name.startswith(disk_order.TREES) and name.count("/") >= 3, "dir"),
    "the way to volumes": ("assets are durable before", lambda name: name.startswith(disk_order.TREES) and name.count("/") < 3, "dir"),
}


def run(world):
    subprocess.run(["cargo", "build", "--locked", "--quiet", "--example", "lifetime"], cwd=ROOT, check=True)
    world.logs.mkdir(parents=True, exist_ok=True)
    printed, traced = disk_order.trace([TARGET / "debug" / "examples" / "lifetime"], world.logs / "strace.log",
                                       {**os.environ, "RUST_BACKTRACE": "0"})
    root = printed.splitlines()[0].rstrip("/")
    wrong, counts = disk_order.check(root, traced)
    if wrong:
        raise Failed(f"{len(wrong)} times out of order:\n    " + "\n    ".join(wrong[:10]))
    for rule, count in counts.items():
        world.note(f"{count:5} × {rule}")
    world.note(f"{sum(call.name == 'fsync' for call in traced):5} fsyncs, {len(traced)} system calls")
    _control(world, root, traced)


def _control(world, root, traced):
    """The same trace without the fsyncs of one kind has to be found out."""
    disk = disk_order.Disk(root)
    for kind, (rule, is_meant, what) in _KINDS.items():
        def dropped(call):
            name = disk.name(call.paths[0]) if call.name == "fsync" else None
            return name is not None and _is(what, name) and is_meant(name)
        kept = [call for call in traced if not dropped(call)]
        wrong, _ = disk_order.check(root, kept)
        if len(kept) == len(traced) or not any(text.startswith(rule) for text in wrong):
            raise Failed(f"without {len(traced) - len(kept)} fsyncs of {kind} nobody would notice: {wrong[:3]}")
        world.note(f"without the {len(traced) - len(kept)} of {kind} it would fail ({len(wrong)} times)")


def _is(what, name):
    """By its place, a file or a directory of ours."""
    last = name.rpartition("/")[2]
    in_volume = name.startswith(disk_order.TREES) and name.count("/") >= 5
    is_file = in_volume or last.startswith(".pod-checkpointer-")
    return is_file == (what == "file")
