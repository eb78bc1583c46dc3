#!/usr/bin/env bash
# joulebook's book on the public matching challenge (flash1-dev/matching-engine-benchmark).
set -euo pipefail

usage() {
    cat <<'HELP'
usage: profiling/challenge.sh HARNESS_DIR [options] [PEER.so ...]

Builds the two adapters (examples/challenge: with the harness's own ring and one call per message; with joulebook's own
ring in batches), runs the five scenarios with both and with the given peers in turn, checks every hash, audits the book,
runs the conformance gate, and prints a table of medians. Everything is left as it was in HARNESS_DIR.

HARNESS_DIR is a checkout in which `make` has been run. The audit needs liquibook_adapter.so there, and the conformance gate
the engines that its own documentation names; what is missing is said and counts as not passed.

  --rounds N        runs of each engine and scenario, in turn (default 6)
  --seeds "A B"     also check hash and book on these seeds, against BASELINE (default: none)
  --baseline NAME   engine in HARNESS_DIR whose output is the reference for --seeds (default liquibook)
  --cores M,D       CPUs of the matcher and of the drainer (default 0,1)
  --no-audit        leave out the audits and the gate (for repeated measuring)

Exit status: 0 if every hash, audit and gate passed, 1 if not, 2 on bad usage.
HELP
}
fail() { echo "challenge.sh: $1" >&2; exit 2; }

here=$(cd "$(dirname "$0")/.." && pwd)
harness='' rounds=6 seeds='' baseline=liquibook cores=0,1 audit=yes peers=()
while [ $# -gt 0 ]; do
    case $1 in
        -h|--help) usage; exit 0 ;;
        --rounds|--seeds|--baseline|--cores) [ $# -ge 2 ] || fail "$1 needs a value"; declare "${1#--}=$2"; shift ;;
        --no-audit) audit=no ;;
        -*) fail "unknown option $1 (--help lists them)" ;;
        *) if [ -z "$harness" ]; then harness=$1; else peers+=("$(realpath "$1")"); fi ;;
    esac
    shift
done
[ -n "$harness" ] || { usage >&2; exit 2; }
[[ $rounds =~ ^[1-9][0-9]*$ ]] || fail "--rounds $rounds is not a number of at least 1"
[[ $cores =~ ^[0-9]+,[0-9]+$ ]] || fail "--cores $cores is not of the form M,D"
harness=$(realpath "$harness")
[ -x "$harness/harness" ] && [ -x "$harness/generator" ] || fail "$harness has no ./harness and ./generator: run make there"
for peer in ${peers[@]+"${peers[@]}"}; do [ -f "$peer" ] || fail "$peer: no such file"; done

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
echo "building the adapters for this CPU ..." >&2
(cd "$here" && RUSTFLAGS="-C target-cpu=native ${RUSTFLAGS:-}" CARGO_TARGET_DIR="$here/target/challenge" \
    cargo build --quiet --release --example challenge_own_ring --example challenge_harness_ring)
for ring in own harness; do
    cp "$here/target/challenge/release/examples/libchallenge_${ring}_ring.so" "$out/joulebook_${ring}_ring.so"
done

scenarios=(static normal swing-25 swing-40 flash-crash)
engines=("$out/joulebook_own_ring.so" "$out/joulebook_harness_ring.so" ${peers[@]+"${peers[@]}"})
failed=0
cd "$harness"
mkdir "$out/results"
# The harness leaves a result file for each run: ours are taken away again.
touch "$out/since"
trap 'find "$harness/results" -newer "$out/since" -type f -delete 2>/dev/null; rm -rf "$out"' EXIT

# run ENGINE SCENARIO MODE SEED: prints the harness's output.
run() {
    ./harness --engine "$1" --scenario "$2" --mode "$3" --seed "$4" --matcher-core "${cores%,*}" \
        --drainer-core "${cores#*,}" 2>&1 || true
}
# check WHAT OUTPUT: counts a run that is not valid.
check() {
    grep -q 'Verdict: VALID' <<<"$2" || { failed=$((failed + 1)); echo "NOT VALID: $1"; tail -4 <<<"$2"; }
}
name() { basename "$1" .so; }

for round in $(seq "$rounds"); do
    for scenario in "${scenarios[@]}"; do
        for engine in "${engines[@]}"; do
            output=$(run "$engine" "$scenario" perf 23)
            check "$(name "$engine"), $scenario" "$output"
            sed -n 's/.*Throughput: *\([0-9.]*\) M.*/\1/p' <<<"$output" >>"$out/results/$(name "$engine").$scenario"
        done
    done
    echo "round $round of $rounds done" >&2
done

echo
echo "M messages/s, seed 23, $rounds runs of each, in turn: median (fastest)"
printf '%-26s' engine; printf '%18s' "${scenarios[@]}"; printf '%10s\n' worst
for engine in "${engines[@]}"; do
    printf '%-26s' "$(name "$engine")"
    worst=''
    for scenario in "${scenarios[@]}"; do
        read -r median fastest < <(sort -n "$out/results/$(name "$engine").$scenario" |
            awk '{v[NR] = $1} END {m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2; print m, v[NR]}')
        printf '%18s' "$median ($fastest)"
        worst=$(awk -v a="${worst:-$median}" -v b="$median" 'BEGIN {print a < b ? a : b}')
    done
    printf '%10s\n' "$worst"
done

ours=("${engines[@]:0:2}")
if [ "$audit" = yes ]; then
    echo
    for engine in "${ours[@]}"; do
        for scenario in "${scenarios[@]}"; do
            output=$(run "$engine" "$scenario" audit 23)
            grep -q 'State audit: *PASS' <<<"$output" || { failed=$((failed + 1)); echo "NO AUDIT: $scenario"; }
            check "$(name "$engine"), audit of $scenario" "$output"
        done
        gate=$(python3 scripts/conformance_check.py "$engine" 2>&1 | tail -1)
        echo "$gate"
        grep -q ': CONFORMANT' <<<"$gate" || failed=$((failed + 1))
    done
fi
for seed in $seeds; do
    for scenario in "${scenarios[@]}"; do
        cp reference/correctness_hash.txt "$out/hashes"
        # Writing a reference is no valid run, so its exit status says nothing.
        output=$(./harness --baseline "$baseline" --scenario "$scenario" --seed "$seed" --write-reference \
            --matcher-core "${cores%,*}" --drainer-core "${cores#*,}" 2>&1 || true)
        grep -q 'REFERENCE WRITTEN' <<<"$output" || {
            tail -4 <<<"$output" >&2
            fail "$baseline cannot write the reference of seed $seed"
        }
        for engine in "${ours[@]}"; do
            check "$(name "$engine"), $scenario of seed $seed" "$(run "$engine" "$scenario" perf "$seed")"
        done
        cp "$out/hashes" reference/correctness_hash.txt
        rm -f "orders_${scenario}_s${seed}_"*.bin "reference/canonical_output_${scenario}.txt"
    done
    echo "seed $seed done" >&2
done

echo
[ "$failed" = 0 ] && echo "everything valid" || { echo "$failed checks failed"; exit 1; }
