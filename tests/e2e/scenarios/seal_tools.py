"""Sealed archives open with stock sed, base64, openssl and age, by the commands in docs/formats.md, for every kind of key."""

import datetime
import io
import json
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile

from cluster import Failed

from ..binary import ROOT

NEEDS_CLUSTER = False

_NAME = "checkpoint-web-0_shop-web-2026-11-21T07:12:53Z.tar"
_KEYS = {
    "RSA 2048": ("rsa:2048",), "RSA 3072": ("rsa:3072",), "RSA 4096": ("rsa:4096",),
    "P-256": ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), "P-384": ("ec", "-pkeyopt", "ec_paramgen_curve:P-384"),
    "P-521": ("ec", "-pkeyopt", "ec_paramgen_curve:P-521"),
}


def run(world):
    missing = [tool for tool in ("age", "openssl", "sed", "base64", "bash") if not shutil.which(tool)]
    if missing:
        raise Failed(f"missing: {', '.join(missing)}; get them with: apt-get install age openssl sed coreutils bash")
    documented = _documented()
    for kind, how in _KEYS.items():
        # A certificate for servers, as a Secret has it: it says nothing of encrypting.
        with tempfile.TemporaryDirectory() as name:
            here = pathlib.Path(name)
            _do(here, "openssl", "req", "-x509", "-nodes", "-newkey", *how, "-keyout", "tls.key", "-out", "tls.crt", "-days", "2",
                "-subj", "/O=Acme, \"Archive\"/CN=web.example", "-addext", "keyUsage=critical,digitalSignature", "-addext", "extendedKeyUsage=serverAuth")
            plain = _archive()
            (here / _NAME).write_bytes(plain)
            _do(here, world.binary, "archive", "seal", _NAME, "--to", "tls.crt")
            if (here / _NAME).exists():
                raise Failed(f"{kind}: the plain archive is still there")
            _do(here, "bash", "-c", "set -euo pipefail\n" + documented)
            if (here / _NAME).read_bytes() != plain:
                raise Failed(f"{kind}: the documented commands gave something else back")
            (here / _NAME).unlink()
            _do(here, world.binary, "archive", "unseal", f"{_NAME}.age", "--key", "tls.key", "--cert", "tls.crt")
            if (here / _NAME).read_bytes() != plain:
                raise Failed(f"{kind}: unseal gave something else back")
            _refusals(here, kind, documented)
            world.note(f"{kind}: opened by stock tools and by unseal")


def _refusals(here, kind, documented):
    """What was changed opens with stock tools neither: the whole file is covered, not only what our own program looks at."""
    sealed = here / f"{_NAME}.age"
    good = sealed.read_bytes()
    mac = good.index(b"\n--- ") + 6
    for what, bad in {"cut off": good[:-1], "changed at its end": good[:-1] + bytes([good[-1] ^ 1]),
                      "changed in its MAC": good[:mac] + (b"A" if good[mac:mac + 1] != b"A" else b"B") + good[mac + 1:]}.items():
        (here / _NAME).unlink(missing_ok=True)
        sealed.write_bytes(bad)
        done = subprocess.run(["bash", "-c", "set -euo pipefail\n" + documented], cwd=here, capture_output=True)
        if done.returncode == 0:
            raise Failed(f"{kind}: stock tools open a file that was {what}")
    sealed.write_bytes(good)


def _documented():
    """The commands, from the page itself."""
    found = re.search(r"^```sh\n(f=checkpoint-.*?)^```", (ROOT / "docs/formats.md").read_text(), re.MULTILINE | re.DOTALL)
    if not found:
        raise Failed("docs/formats.md has no commands for stock tools")
    return found[1]


def _archive():
    """As containerd writes it, as far as it matters here."""
    taken = datetime.datetime.now(datetime.timezone.utc).isoformat()
    annotations = {"io.kubernetes.cri.sandbox-namespace": "shop", "io.kubernetes.cri.sandbox-name": "web-0",
                   "io.kubernetes.cri.container-name": "web"}
    files = {
        "checkpoint/pages-1.img": bytes(range(256)) * 4000,
        "config.dump": json.dumps({"id": "1", "name": "web", "rootfsImageName": "web:1", "runtime": "runc", "checkpointedTime": taken}).encode(),
        "spec.dump": json.dumps({"annotations": annotations}).encode(),
    }
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return written.getvalue()


def _do(here, *command):
    done = subprocess.run([str(word) for word in command], cwd=here, capture_output=True, text=True)
    if done.returncode:
        raise Failed(f"{' '.join(str(word) for word in command[:3])}: exit {done.returncode}: {done.stderr.strip()}")
