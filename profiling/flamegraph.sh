#!/usr/bin/env bash
# Where the threads of a scenario are, as a flame graph.
set -euo pipefail

usage() {
    cat <<'HELP'
usage: profiling/flamegraph.sh [options] SCENARIO

Plays a scenario (reads, writes, settlement, mixed) for some seconds and draws where its threads were: each box is a function, as
wide as its share of CPU time, standing on the one that called it. Open the SVG in a browser; a click zooms, Ctrl-F searches.

  --stack NAME      baseline or optimized (default optimized)
  --seconds N       how long to play (default 10)
  --out FILE        the SVG (default profiling/DATE-flame-SCENARIO-STACK.svg); a record with machine, revision and toolchain is
                    written beside it, as .md
  --sampler NAME    perf, or self: the program samples itself (default: perf where it is installed and allowed, else self)

perf samples cycles where there is a counter for them, and the CPU's clock otherwise. Frames are walked by frame pointers: joulebook
is built with them for this, which costs a percent or two. Exit status: 0 done, 2 bad usage, a missing tool, a build that failed.
HELP
}
fail() { echo "flamegraph.sh: $1" >&2; exit 2; }

here=$(cd "$(dirname "$0")/.." && pwd)
stack=optimized seconds=10 out='' sampler='' scenario=''
while [ $# -gt 0 ]; do
    case $1 in
        -h|--help) usage; exit 0 ;;
        --stack|--seconds|--out|--sampler) [ $# -ge 2 ] || fail "$1 needs a value"; declare "${1#--}=$2"; shift ;;
        -*) fail "unknown option $1 (--help lists them)" ;;
        *) [ -z "$scenario" ] || fail "one scenario is wanted; $1 is a second"; scenario=$1 ;;
    esac
    shift
done
[[ " reads writes settlement mixed " == *" $scenario "* && -n $scenario ]] || fail "no scenario is called \"$scenario\": reads, writes, settlement or mixed"
[[ " baseline optimized " == *" $stack "* ]] || fail "no stack is called $stack: baseline or optimized"
[[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "--seconds $seconds is not a number of at least 1"
[[ " perf self " == *" ${sampler:-perf} "* ]] || fail "no sampler is called $sampler: perf or self"
command -v cargo >/dev/null || fail "cargo is not installed"
out=${out:-$here/profiling/$(date -u +%F)-flame-$scenario-$stack.svg}
{ : >>"$out"; } 2>/dev/null || fail "cannot write $out"

event=''
if [ "$sampler" != self ]; then
    for try in cycles cpu-clock; do
        if perf record --quiet -e "$try" -o /dev/null -- true >/dev/null 2>&1; then event=$try && break; fi
    done
    if [ -z "$event" ]; then
        why="perf is not installed or not allowed (kernel.perf_event_paranoid is $(cat /proc/sys/kernel/perf_event_paranoid 2>/dev/null || echo unknown))"
        [ "$sampler" != perf ] || fail "$why"
        echo "flamegraph.sh: $why: the program samples itself" >&2
    fi
fi

echo "building ..." >&2
RUSTFLAGS="${RUSTFLAGS:-} -C force-frame-pointers=yes" cargo build --release --quiet --manifest-path "$here/profiling/flame/Cargo.toml" ||
    fail "the build failed"
program=$here/profiling/flame/target/release/joulebook-flame
[ -z "${CARGO_TARGET_DIR:-}" ] || program=$CARGO_TARGET_DIR/release/joulebook-flame

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "playing $scenario on the $stack stack for $seconds s ..." >&2
if [ -n "$event" ]; then
    perf record --quiet -F 997 -e "$event" --call-graph fp -o "$work/data" -- "$program" play "$scenario" "$stack" "$seconds" >"$work/done" ||
        fail "the scenario did not run under perf"
    # perf takes the clock by itself where there is no counter of cycles: what it took stands in its file.
    taken=$(perf evlist -i "$work/data" 2>/dev/null | head -n 1)
    how="perf, $taken" unit="ns of CPU time"
    case $taken in cycles*) unit=cycles ;; esac
    perf script -i "$work/data" 2>/dev/null | "$program" draw "$out" "$scenario, $stack: CPU time by stack ($how)" "$unit" >>"$work/done" ||
        fail "perf's samples could not be drawn"
else
    how="the program itself, by CPU time"
    "$program" sample "$scenario" "$stack" "$seconds" "$out" >"$work/done" || fail "the scenario did not run"
fi
cat "$work/done"

cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)
{
    printf '# Flame graph: %s on the %s stack\n\n' "$scenario" "$stack"
    printf '[%s](%s). `profiling/flamegraph.sh --stack %s --seconds %s %s`, sampled by %s.\n\n' \
        "$(basename "$out")" "$(basename "$out")" "$stack" "$seconds" "$scenario" "$how"
    printf '%s; revision %s; %s; %s.\n\n' "${cpu:-unknown CPU}" "$(git -C "$here" describe --always --dirty 2>/dev/null || echo unknown)" \
        "$(rustc --version)" "$(date -u +%F)"
    sed 's/^/> /' "$work/done"
} >"${out%.svg}.md"
echo "$out" >&2
