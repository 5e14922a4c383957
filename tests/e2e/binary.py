"""The static release binary, as the Dockerfile builds it."""

import os
import pathlib
import subprocess
import time

from cluster import Failed

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
TRIPLE = "x86_64-unknown-linux-gnu"


def build():
    """Builds it and returns its path; cargo's own output is shown."""
    began = time.monotonic()
    print("building the static release binary", flush=True)
    # With --target the flag does not reach build scripts and macros, which cannot be static.
    flags = os.environ.get("RUSTFLAGS", "") + " -C target-feature=+crt-static"
    done = subprocess.run(["cargo", "build", "--release", "--locked", "--quiet", "--target", TRIPLE, "--bin", "pod-checkpointer"],
                          cwd=ROOT, env={**os.environ, "RUSTFLAGS": flags.strip()})
    if done.returncode:
        raise Failed(f"cargo build: exit {done.returncode}")
    built = TARGET / TRIPLE / "release" / "pod-checkpointer"
    print(f"built in {time.monotonic() - began:.0f} s: {built}, {built.stat().st_size / 1e6:.1f} MB", flush=True)
    return built
