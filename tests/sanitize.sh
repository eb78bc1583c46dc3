#!/usr/bin/env bash
# What has unsafe code or threads of its own, under a sanitizer, on stable Rust.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    cat <<'HELP'
usage: tests/sanitize.sh address|thread

address   every hashing kernel of this CPU, the book and the ring: reads and writes outside of what is allocated
thread    the ring and the feed on real threads: accesses that nothing orders

Builds everything once more, without optimization (minutes: whole kernels are inlined), in target/sanitize-*. Exit status: 0 if nothing was found.
HELP
}

case "${1:-}" in
    address) runs=("--lib -q hash:: optimized:: ring:: measure::") ;;
    # One test at a time, because the runner's own threads are not what is looked at.
    thread) runs=("--lib -q ring:: --test-threads=1" "--test feed --test-threads=1") ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
esac

# The standard library is not instrumented: what it orders by fences (the last owner of an `Arc`), and what the test runner does, is not seen.
suppressions=$(mktemp)
trap 'rm -f "$suppressions"' EXIT
printf 'race:drop_slow\nrace:test::event\nrace:test::run_test\n' >"$suppressions"

# A sanitizer is an unstable flag; that is all this is for. Build scripts and macros run on the host, without it.
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=$1 -Cunsafe-allow-abi-mismatch=sanitizer"
export CARGO_PROFILE_DEV_OPT_LEVEL=0 CARGO_PROFILE_DEV_DEBUG=line-tables-only CARGO_TARGET_DIR="target/sanitize-$1"
export TSAN_OPTIONS="suppressions=$suppressions" ASAN_OPTIONS="detect_leaks=0"
host=$(rustc -vV | sed -n 's/^host: //p')
for run in "${runs[@]}"; do
    read -ra parts <<<"$run"
    # The ring's model has stacks of its own, which a sanitizer takes for an error.
    cargo test --target "$host" "${parts[@]:0:2}" -- --skip ring::model "${parts[@]:2}"
done
echo "$1: nothing found"
