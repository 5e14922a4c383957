"""One file a scenario: `run(world)` raises where a promise is broken. NODES, NEEDS_CLUSTER and NEEDS_AGENT may be set there, and PATIENT where it
mostly waits and its figures need no quiet machine: such scenarios run beside each other."""
