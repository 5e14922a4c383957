"""What a disk holds durably, by the system calls that a trace shows, and whether their order is the one that docs/architecture.md promises.

An entry of a directory is durable once that directory was fsynced after the entry changed; a file's content and mode once the
file was. Nothing else is taken for durable, not even what every filesystem of today does besides."""

import dataclasses
import re
import shutil
import subprocess

from cluster import Failed

CALLS = ("open,openat,openat2,creat,write,pwrite64,writev,ftruncate,fallocate,fchmod,fchown,fsync,fdatasync,rename,renameat,renameat2,"
         "link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat")
_LINE = re.compile(r"^(\d+) +(.*)$")
_ARGUMENT = re.compile(r'(?:\d+|AT_FDCWD)<(?P<fd>[^>]*?)(?: \(deleted\))?>|"(?P<text>(?:[^"\\]|\\.)*)"')
_ON_DESCRIPTOR = ("write", "pwrite64", "writev", "ftruncate", "fallocate", "fchmod", "fchown", "fsync", "fdatasync")


def trace(command, log, env=None):
    """Runs a command under strace; returns what it printed and the calls of its threads in order, but for the first one's."""
    if not shutil.which("strace"):
        raise Failed("missing: strace. Get it with: tests/cluster/setup")
    # Strings are cut to nothing, so no content ends up in the log; names are always whole.
    done = subprocess.run(["strace", "-f", "-y", "-s", "0", "--seccomp-bpf", "-o", log, "-e", f"trace={CALLS}", *map(str, command)],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, timeout=300)
    if done.returncode:
        raise Failed(f"{command[0]}: exit {done.returncode}: {done.stderr[-3000:]}")
    return done.stdout, list(calls(log.read_text().splitlines()))


@dataclasses.dataclass(frozen=True)
class Call:
    """A system call that succeeded."""

    name: str
    paths: tuple
    """What it was about, as whole paths: for a rename and a link, from and to."""
    text: str
    """As traced."""

    @property
    def target(self):
        """Of a symbolic link."""
        return _ARGUMENT.search(self.text).group("text")


def calls(lines):
    """Reads a trace; a call that another thread's interrupted is put together again. What the first thread does is not told: it
    is the world around the agent."""
    unfinished, first = {}, _LINE.match(lines[0]).group(1)
    for line in lines:
        pid, text = _LINE.match(line).groups()
        if pid == first:
            continue
        if text.endswith("<unfinished ...>"):
            unfinished[pid] = text.removesuffix("<unfinished ...>")
            continue
        if resumed := re.match(r"<\.\.\. \w+ resumed>(.*)$", text):
            text = unfinished.pop(pid, "") + resumed.group(1)
        head = re.match(r"(\w+)\((.*)\)\s+= (-?\d+)", text)
        if head and not head.group(3).startswith("-"):
            yield Call(head.group(1), tuple(_paths(head.group(1), head.group(2))), text)


def _paths(name, arguments):
    if name in _ON_DESCRIPTOR:
        return [_ARGUMENT.match(arguments).group("fd")]
    found, directory = [], None
    for argument in _ARGUMENT.finditer(arguments):
        if argument.group("fd") is not None:
            if directory is not None:
                found.append(directory)
            directory = argument.group("fd")
        else:
            text = argument.group("text")
            found.append(text if directory is None or text.startswith("/") else directory if text == "." else f"{directory}/{text}")
            directory = None
    if directory is not None:
        found.append(directory)
    return found[1:] if name.startswith("symlink") else found


class Node:
    """A file, directory or symbolic link."""

    def __init__(self, kind, target=None):
        self.kind, self.target = kind, target
        self.unsynced = kind == "file"
        """Content or mode."""
        self.entries, self.changed = {}, set()
        """Of a directory: what is in it, and which names changed since its last fsync."""


class Disk:
    """A directory and everything beneath it, as it is and as it would be after a power cut."""

    def __init__(self, root):
        self.root, self.top, self.wrong = root.rstrip("/"), Node("dir"), []
        self.counts = {}

    def name(self, path):
        """A path relative to the root, or None where it is none of ours."""
        return "" if path == self.root else path[len(self.root) + 1:] if path.startswith(f"{self.root}/") else None

    def find(self, path):
        node = self.top
        for part in filter(None, path.split("/")):
            node = node.entries.get(part) if node else None
        return node

    def parent(self, path):
        directory, _, name = path.rpartition("/")
        node = self.top
        for part in filter(None, directory.split("/")):
            # What was there before the trace began is durable.
            node = node.entries.setdefault(part, Node("dir"))
        return node, name

    def put(self, path, node):
        directory, name = self.parent(path)
        if node is None:
            directory.entries.pop(name, None)
        else:
            directory.entries[name] = node
        directory.changed.add(name)

    # Durability

    def lost(self, path):
        """What a power cut could take of what is at a path: of the way to it and of everything beneath."""
        found, node, at = [], self.top, ""
        for part in path.split("/"):
            if part in node.changed:
                found.append(f"{at}{part} (the directory is not fsynced)")
            node, at = node.entries.get(part), f"{at}{part}/"
            if node is None:
                return found
        return found + list(self._beneath(path, node))

    def _beneath(self, path, node):
        if node.unsynced:
            yield f"{path} (its content or mode is not fsynced)"
        for name in node.changed:
            yield f"{path}/{name} (the directory is not fsynced)"
        for name, entry in node.entries.items():
            yield from self._beneath(f"{path}/{name}", entry)

    def _lost_in(self, volume, data):
        """The same within a volume; the way to it is needed only by a manifest."""
        directory = self.find(volume)
        names = [f"{volume}/{name} (the directory is not fsynced)" for name in directory.changed]
        return names + list(self._beneath(f"{volume}/{data}", directory.entries[data]))

    def is_gone(self, path):
        """Is not there, and would not be after a power cut."""
        directory, name = self.parent(path)
        return name not in directory.entries and name not in directory.changed

    def require(self, rule, what, call):
        self.counts[rule] = self.counts.get(rule, 0) + 1
        if what:
            self.wrong.append(f"{rule}: {'; '.join(what[:3])}\n      at {call.text}")

    # What happens

    def apply(self, call):
        paths = [self.name(path) for path in call.paths]
        if not paths or paths[-1] is None:
            return
        self._HANDLERS[call.name](self, call, *paths)

    def _open(self, call, path, *_):
        if "O_CREAT" in call.text and self.find(path) is None:
            self.put(path, Node("file"))
        elif re.search(r"O_WRONLY|O_RDWR|O_TRUNC", call.text):
            self._change(call, path)

    def _change(self, call, path):
        node = self.find(path)
        if node is None:
            return
        node.unsynced = True
        if node.kind == "file":
            self.require("a file under its final name is never written to", [path] if self._is_final(path) else [], call)

    def _is_final(self, path):
        top, _, rest = path.partition("/")
        if top.startswith("checkpoint-") and rest:
            volume, _, inside = rest.partition("/..")
            data = self.find(f"{top}/{volume}/..data")
            return data is not None and data.target == ".." + inside.partition("/")[0]
        return not path.rpartition("/")[2].startswith(".pod-checkpointer-")

    def _fsync(self, call, path):
        if (node := self.find(path)) is not None:
            node.unsynced = False
            node.changed.clear()
        elif path == "":
            self.top.changed.clear()

    def _mkdir(self, call, path):
        self.put(path, Node("dir"))

    def _symlink(self, call, path):
        self.put(path, Node("link", call.target))

    def _link(self, call, old, new):
        node = self.find(old)
        self.require("a file is durable before it gets a second name", self.lost(old), call)
        self._arrives(call, new)
        self.put(new, node)

    def _rename(self, call, old, new):
        node = self.find(old)
        if node.kind == "file":
            self.require("a file is fsynced before it is renamed to its name", list(self._beneath(old, node)), call)
        if new.endswith("/..data"):
            volume = new.rpartition("/")[0]
            self.require("a volume is durable before ..data leads to it", self._lost_in(volume, node.target), call)
        self._arrives(call, new)
        self.put(old, None)
        self.put(new, node)

    def _arrives(self, call, new):
        if pod := manifest_of(new):
            lost = [what for tree in TREES for what in self.lost(f"{tree}/{pod}")]
            self.require("assets are durable before the manifest that names them", lost, call)

    def _unlink(self, call, path):
        if "AT_REMOVEDIR" not in call.text:
            self._leaves(call, path)
        self.put(path, None)

    def _leaves(self, call, path):
        stem = None
        if path.startswith(f"{INACTIVE}/"):
            stem = path.removeprefix(f"{INACTIVE}/").removesuffix(".prev")
            stem = stem if manifest_of(f"{INACTIVE}/{stem}") else None
            first = [f"{ACTIVE}/{stem}"] + ([] if path.endswith(".prev") else [f"{INACTIVE}/{stem}.prev"])
        elif path.endswith("/..data") and path.startswith(TREES):
            stem = "_".join(path.split("/")[1:3]) + ".yaml"
            first = [f"{ACTIVE}/{stem}", f"{INACTIVE}/{stem}.prev", f"{INACTIVE}/{stem}"]
        if stem:
            there = [f"{other} is not durably gone" for other in first if not self.is_gone(other)]
            self.require("removed and fsynced first: active manifest, previous, inactive, then assets", there, call)

    _HANDLERS = {
        **dict.fromkeys(("open", "openat", "openat2", "creat"), _open),
        **dict.fromkeys(("write", "pwrite64", "writev", "ftruncate", "fallocate", "fchmod", "fchown"), _change),
        **dict.fromkeys(("fsync", "fdatasync"), _fsync),
        **dict.fromkeys(("mkdir", "mkdirat"), _mkdir),
        **dict.fromkeys(("symlink", "symlinkat"), _symlink),
        **dict.fromkeys(("link", "linkat"), _link),
        **dict.fromkeys(("rename", "renameat", "renameat2"), _rename),
        **dict.fromkeys(("unlink", "unlinkat", "rmdir"), _unlink),
    }


ACTIVE, INACTIVE = "manifests", "inactive-manifests"
TREES = ("checkpoint-secrets", "checkpoint-configmaps", "checkpoint-volumes")


def manifest_of(path):
    """`ns/pod` where the path is a checkpoint's manifest."""
    match = re.fullmatch(rf"(?:{ACTIVE}|{INACTIVE})/([a-z0-9.-]+)_([a-z0-9.-]+)\.yaml", path)
    return match and "/".join(match.groups())


def check(root, traced):
    """Replays the calls; returns what was wrong, and how often each rule was looked at."""
    disk = Disk(root)
    for call in traced:
        disk.apply(call)
    end = list(disk._beneath(".", disk.top))
    disk.counts["in the end everything is durable"] = 1
    if end:
        disk.wrong.append(f"in the end everything is durable: {'; '.join(end[:5])}")
    return disk.wrong, disk.counts
