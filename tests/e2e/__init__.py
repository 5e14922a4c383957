"""End-to-end scenarios on real components. `tests/e2e/run --help`."""
