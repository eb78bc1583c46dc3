# Short names for what README.md spells out.

# List the recipes
default:
    @just --list

# The main job: four scenarios, both stacks (any `joulebook run` option may follow)
run *options:
    cargo run --release -- run {{options}}

# A tenth of the operations
quick *options:
    cargo run --release -- run --quick {{options}}

# Writes on a deep book
deep:
    cargo run --release -- run --scenario writes --users 100000 --orders 100000

# All tests
test:
    cargo test

# 54 million random commands on both engines, then the planted bugs
test-long:
    cargo test --test differential -- --ignored --nocapture
    cargo test --test planted_bugs -- --ignored --nocapture

# Bytes per order and per account
memory:
    cargo test --test allocation -- --nocapture

# Format and lints
lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

# Documentation, opened in a browser
doc:
    cargo doc --no-deps --open

# The parts by themselves (a group's name may follow: `just bench writes`)
bench *filter:
    cargo bench --bench engine -- {{filter}}

# What continuous integration runs
ci:
    .ci/run
