# Short names for plain commands, which work without `just` as well.

# List the recipes.
default:
    @just --list

# Formatting, lints, bans and licences (the last needs cargo-deny).
check:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings
    cargo deny --locked check bans licenses sources

# The hermetic tests; arguments go to cargo: `just test hand_back`.
test *arguments:
    cargo test --locked {{ arguments }}

# End to end on real components, as root, after tests/cluster/setup once: all scenarios, or `just e2e offline-reboot`.
e2e *scenarios:
    tests/e2e/run {{ scenarios }}

# Figures beside what one would take instead: all benches, or `just bench seal`.
bench *names="budgets seal push retention":
    for name in {{ names }}; do cargo bench --locked --bench "$name" || exit; done

# Compile the fuzz targets (needs a nightly toolchain and cargo-fuzz; how to run one: fuzz/README.md).
fuzz-build:
    cargo +nightly fuzz build

# Everything that must hold before a change goes in; `just ci --no-e2e` leaves out what needs root.
ci *options:
    .ci/run {{ options }}

# Format the Rust sources.
fmt:
    cargo fmt

# The documentation of the crate, in target/doc.
docs:
    cargo doc --locked --no-deps

# Make anew what tests compare with: golden manifests and the resource definition. Read the difference before it is committed.
update-golden:
    UPDATE_MANIFESTS=1 UPDATE_DOCS=1 INSTA_UPDATE=always cargo test --locked
    git --no-pager diff --stat -- manifests tests
