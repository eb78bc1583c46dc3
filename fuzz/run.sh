#!/usr/bin/env bash
# Runs a fuzz target on stable Rust: fuzz/run.sh TARGET [SECONDS [libFuzzer options]]. Needs a C++ compiler.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
if [ $# -lt 1 ] || [ "$1" = "--help" ]; then
    echo "usage: fuzz/run.sh TARGET [SECONDS [libFuzzer options]]"
    echo "targets: $(basename -s .rs fuzz_targets/*.rs | tr '\n' ' ')"
    exit 2
fi
target=$1 seconds=${2:-60}
shift $(($# > 1 ? 2 : 1))
# What `cargo fuzz` passes, but for the sanitizer, which needs nightly: coverage, so that the fuzzer sees where it gets.
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1"
host=$(rustc -vV | sed -n 's/^host: //p')
RUSTFLAGS=$(echo $coverage) cargo build --release --target "$host" --bin "$target"
mkdir -p "corpus/$target"
exec "target/$host/release/$target" "corpus/$target" -max_total_time="$seconds" "$@"
