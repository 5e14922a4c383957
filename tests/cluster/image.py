"""Container images as OCI archives, byte for byte the same for the same content."""

import hashlib
import io
import json
import pathlib
import re
import tarfile

from . import components
from .node import PAUSE
from .process import run

APPLICATION = "test.invalid/application:1"


def write(archive, reference, files, links=(), config=None):
    """Writes an image of one layer: `files` {path: (bytes, mode)}, `links` [(path, target)]."""
    content = layer(files, links)
    configuration = json.dumps({"architecture": "amd64", "os": "linux", "config": config or {},
                                "rootfs": {"type": "layers", "diff_ids": [digest(content)]}}).encode()
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                           "config": descriptor("application/vnd.oci.image.config.v1+json", configuration),
                           "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", content)]}).encode()
    entry = descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
    entry["annotations"] = {"io.containerd.image.name": reference, "org.opencontainers.image.ref.name": reference.rpartition(":")[2]}
    with tarfile.open(archive, "w") as out:
        _add(out, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(out, "index.json", json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode())
        for blob in (content, configuration, manifest):
            _add(out, f"blobs/sha256/{digest(blob).removeprefix('sha256:')}", blob)
    return archive


def agent(archive, reference, binary):
    """The agent's image, the same as the Dockerfile's last stage: the static binary and nothing else.

    A dynamic binary, as a debug build makes it, gets its libraries beside it: good for trying things, not for figures.
    """
    files = {"pod-checkpointer": (binary.read_bytes(), 0o755)}
    if not is_static(binary):
        for path in re.findall(r"(/\S+) \(0x", run(["ldd", binary])):
            files[path.lstrip("/")] = (pathlib.Path(path).read_bytes(), 0o755)
    return write(archive, reference, files, config={"Entrypoint": ["/pod-checkpointer"], "User": "0:0", "WorkingDir": "/"})


def is_static(binary):
    """True for a binary that names no loader."""
    with open(binary, "rb") as file:
        return b"/ld-linux" not in file.read(8192)


_APPLETS = ("sh", "cat", "chmod", "chown", "date", "dd", "echo", "env", "find", "grep", "head", "hostname", "httpd", "id", "kill", "ln", "ls",
            "mkdir", "mv", "nc", "printf", "ps", "readlink", "rm", "sed", "sha256sum", "sleep", "sort", "stat", "tail", "test", "touch", "tr",
            "true", "wc", "wget", "xargs")


def _busybox():
    """The files and links of the image to test with."""
    return {"bin/busybox": (components.BUSYBOX.read_bytes(), 0o755), "tmp/.keep": (b"", 0o644)}, [(f"bin/{name}", "busybox") for name in _APPLETS]


def application_layer():
    """The layer of the image to test with, for a registry."""
    return layer(*_busybox())


def application(archive, reference=APPLICATION, config=None):
    """An image to test with: a static busybox."""
    return write(archive, reference, *_busybox(), config or {"Env": ["PATH=/bin"], "Cmd": ["sh"]})


def pause(archive):
    """What holds a pod's namespaces."""
    return application(archive, PAUSE, {"Cmd": ["/bin/sleep", "2147483647"]})


def layer(files, links=()):
    """An uncompressed layer: `files` {path: (bytes, mode)}, `links` [(path, target)]."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        made = set()
        for path in [*files, *(path for path, _ in links)]:
            parent = path.rpartition("/")[0]
            if parent and parent not in made:
                made.add(parent)
                entry = tarfile.TarInfo(parent)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
        for path, (content, mode) in files.items():
            _add(archive, path, content, mode)
        for path, target in links:
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
            archive.addfile(entry)
    return out.getvalue()


def _add(archive, path, content, mode=0o644):
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def digest(content):
    """As registries name it: sha256 in hex."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def descriptor(kind, content):
    """How a manifest names a blob."""
    return {"mediaType": kind, "digest": digest(content), "size": len(content)}
