"""Where the components of a cluster are, and what to say when one is missing."""

import os
import pathlib
import shutil

from .process import Failed

CACHE = pathlib.Path(
    os.environ.get("POD_CHECKPOINTER_E2E_CACHE")
    or pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "pod-checkpointer-e2e"
)
BIN = CACHE / "bin"
KUBE, CRI, CONTAINERD, CTR, ETCD = (BIN / name for name in ("kube", "cri", "containerd", "ctr", "etcd"))
CNI = pathlib.Path("/usr/lib/cni")
BUSYBOX = pathlib.Path("/bin/busybox")
# The PATH of everything that a cluster starts.
PATH = f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_BUILT = ("kube", "cri", "containerd", "containerd-shim-runc-v2", "ctr", "etcd", "prometheus")
_INSTALLED = ("runc", "ip", "bridge", "iptables", "nsenter", "unshare", "openssl", "docker-registry", "strace", "age", "curl", "mkfs.ext4", "setpriv")


def check():
    """Fails with the command that gets what is missing."""
    missing = [name for name in _BUILT if not os.access(BIN / name, os.X_OK)]
    missing += [name for name in _INSTALLED if not shutil.which(name, path=PATH)]
    missing += [str(path) for path in (CNI / "bridge", CNI / "host-local", BUSYBOX) if not path.exists()]
    if missing:
        raise Failed(f"missing: {', '.join(missing)}. Get it with: tests/cluster/setup")
    if os.geteuid() != 0:
        raise Failed("a cluster needs namespaces and cgroups: run this as root")
