"""A real Kubernetes on one machine, whose nodes can lose power and network. See README.md."""

from .cluster import Cluster
from .process import Failed, TimedOut, wait_until

__all__ = ["Cluster", "Failed", "TimedOut", "wait_until"]
