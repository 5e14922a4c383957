"""One file a scenario: `run(world)` raises where a promise is broken. NODES and NEEDS_AGENT may be set there."""
