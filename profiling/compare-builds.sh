#!/usr/bin/env bash
# What the way of building is worth: a plain build, each knob turned alone, and all of them.
set -euo pipefail

usage() {
    cat <<'HELP'
usage: profiling/compare-builds.sh [options]

Builds this checkout in several ways, plays the optimized stack of all in turns, and prints, for each scenario, how much faster each
build is than the plain one, with an interval.

  plain       opt-level 2, no LTO, 16 codegen units, the system's allocator, portable hashing
  opt-level   plain, with opt-level 3
  lto         plain, with fat LTO
  one unit    plain, with one codegen unit
  mimalloc    plain, with mimalloc
  dispatch    plain, with the fastest hashing kernel that this CPU has, chosen at run time
  pgo         plain, with a profile of the four scenarios (needs llvm-tools: rustup component add llvm-tools)
  release     all of them but the profile: what `cargo build --release` makes
  + native    release, with -C target-cpu=native
  + pgo       release, with a profile

  --rounds N       how often each build plays (default 10; 8 is the least that tells anything)
  --run "OPTIONS"  options of `joulebook run` (default "--stack optimized --no-attribution --rounds 3")
  --builds LIST    only these, separated by commas (plain is always there)
  --record FILE    where the dated record goes (default profiling/DATE-builds.md); "none" writes none

Needs cargo and python3. Takes about two minutes a build, the first time, and half a minute a round. Exit status: 0 done, 2 bad usage, a
missing tool, a build or a run that failed.
HELP
}
fail() { echo "compare-builds.sh: $1" >&2; exit 2; }

here=$(cd "$(dirname "$0")/.." && pwd)
all=(plain opt-level lto 'one unit' mimalloc dispatch pgo release '+ native' '+ pgo')
rounds=10 run='--stack optimized --no-attribution --rounds 3' builds='' record=''
while [ $# -gt 0 ]; do
    case $1 in
        -h|--help) usage; exit 0 ;;
        --rounds|--run|--builds|--record) [ $# -ge 2 ] || fail "$1 needs a value"; declare "${1#--}=$2"; shift ;;
        *) fail "unknown option $1 (--help lists them)" ;;
    esac
    shift
done
[[ $rounds =~ ^[1-9][0-9]*$ ]] || fail "--rounds $rounds is not a number of at least 1"
for tool in cargo python3; do command -v "$tool" >/dev/null || fail "$tool is not installed"; done
wanted=(plain)
if [ -n "$builds" ]; then
    IFS=, read -ra asked <<<"$builds"
    for name in "${asked[@]}"; do
        known=''
        for other in "${all[@]}"; do if [ "$other" = "$name" ]; then known=yes; fi; done
        [ -n "$known" ] || fail "no build is called \"$name\"; there are: $(printf '%s, ' "${all[@]}")"
        if [ "$name" != plain ]; then wanted+=("$name"); fi
    done
else
    wanted=("${all[@]}")
fi
profdata=$(find "$(rustc --print sysroot)" -name llvm-profdata -type f 2>/dev/null | head -n 1)
if [ -z "$profdata" ]; then
    echo "compare-builds.sh: llvm-profdata is missing (rustup component add llvm-tools): no build with a profile" >&2
    kept=()
    for name in "${wanted[@]}"; do case $name in *pgo) ;; *) kept+=("$name") ;; esac; done
    wanted=("${kept[@]}")
fi

work=${JOULEBOOK_BUILDS_DIR:-$here/target/builds}
mkdir -p "$work"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
trap 'exit 130' INT TERM
host=$(rustc -vV | sed -n 's/^host: //p')

# Builds the program of a name with opt-level, LTO, codegen units, allocator and flags, into a target folder of its own.
build() {
    local name=$1 opt=$2 lto=$3 units=$4 features=$5 flags=$6
    echo "building $name ..." >&2
    (
        cd "$here"
        export CARGO_TARGET_DIR="$work/${name// /-}" CARGO_PROFILE_RELEASE_OPT_LEVEL=$opt CARGO_PROFILE_RELEASE_LTO=$lto
        export CARGO_PROFILE_RELEASE_CODEGEN_UNITS=$units RUSTFLAGS="${RUSTFLAGS:-} $flags"
        # shellcheck disable=SC2086 # features are words
        # With --target, flags do not reach build scripts, which a profile would otherwise be written for, too.
        cargo build --release --quiet --bin joulebook --target "$host" $features
    ) || fail "$name does not build"
    cp "$work/${name// /-}/$host/release/joulebook" "$out/${name// /-}"
}

# The same with a profile: built to count, played, built again.
build_with_profile() {
    local name=$1
    shift
    build "$name counting" "$1" "$2" "$3" "$4" "-C profile-generate=$out/raw-${name// /-}"
    echo "playing for the profile of $name ..." >&2
    # shellcheck disable=SC2086 # options are words
    "$out/${name// /-}-counting" run $run >"$out/log" 2>&1 || { cat "$out/log" >&2; fail "the counting build of $name does not run"; }
    "$profdata" merge -o "$out/${name// /-}.profdata" "$out/raw-${name// /-}" || fail "the profile of $name cannot be read"
    build "$name" "$1" "$2" "$3" "$4" "-C profile-use=$out/${name// /-}.profdata"
}

for name in "${wanted[@]}"; do
    case $name in
        plain) build "$name" 2 off 16 --no-default-features '' ;;
        opt-level) build "$name" 3 off 16 --no-default-features '' ;;
        lto) build "$name" 2 fat 16 --no-default-features '' ;;
        'one unit') build "$name" 2 off 1 --no-default-features '' ;;
        mimalloc) build "$name" 2 off 16 '' '' ;;
        dispatch) cp "$out/plain" "$out/dispatch" ;;
        pgo) build_with_profile "$name" 2 off 16 --no-default-features ;;
        release) build "$name" 3 fat 1 '' '' ;;
        '+ native') build "$name" 3 fat 1 '' '-C target-cpu=native' ;;
        '+ pgo') build_with_profile "$name" 3 fat 1 '' ;;
    esac
done

for name in "${wanted[@]}"; do mkdir -p "$out/reports/${name// /-}"; done
for ((round = 1; round <= rounds; round++)); do
    # Forwards and backwards in turn, so that none always follows the same other one.
    order=("${!wanted[@]}")
    if ((round % 2 == 0)); then order=(); for ((at = ${#wanted[@]} - 1; at >= 0; at--)); do order+=("$at"); done; fi
    for at in "${order[@]}"; do
        name=${wanted[at]} isa=''
        case $name in dispatch|release|+*) ;; *) isa='--isa portable' ;; esac
        printf '\rround %d of %d: %-12s' "$round" "$rounds" "$name" >&2
        # shellcheck disable=SC2086 # options are words
        "$out/${name// /-}" run $run $isa --json "$out/reports/${name// /-}/$(printf %04d "$round").json" >"$out/log" 2>&1 ||
            { cat "$out/log" >&2; fail "a run of $name failed"; }
    done
done
echo >&2

comparer=$out/plain
for name in "${wanted[@]:1}"; do
    # 1 says that something is slower, which is no failure here.
    "$comparer" compare "$out/reports/plain" "$out/reports/${name// /-}" --json "$out/${name// /-}.json" >/dev/null || [ $? -eq 1 ] ||
        fail "plain and $name do not compare"
done
python3 - "$out" "${wanted[@]:1}" >"$out/table.md" <<'PYTHON'
import json, sys
out, *names = sys.argv[1:]
comparisons = {name: json.load(open(f"{out}/{name.replace(' ', '-')}.json")) for name in names}
rows = [row["name"] for row in next(iter(comparisons.values()))["times"]]
print("| build | " + " | ".join(rows) + " |")
print("|---" * (len(rows) + 1) + "|")
plain = {row["name"]: row["old"] for row in next(iter(comparisons.values()))["times"]}
print("| plain, operations/s | " + " | ".join(f"{plain[row] / 1e6:.3g} M" for row in rows) + " |")
for name, comparison in comparisons.items():
    ratios = {row["name"]: row["ratio"] for row in comparison["times"]}
    cells = [f"{r['median']:.2f}x ({r['low']:.2f} to {r['high']:.2f})" for r in (ratios[row] for row in rows)]
    print(f"| {name} | " + " | ".join(cells) + " |")
first = next(iter(comparisons.values()))
print(f"\n{first['pairs']} rounds in turns; each interval holds the true ratio with {100 * first['times'][0]['ratio']['confidence']:.1f} %.")
PYTHON
cat "$out/table.md"
if [ "$record" != none ]; then
    record=${record:-$here/profiling/$(date -u +%F)-builds.md}
    cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)
    {
        printf '# What the way of building is worth\n\n'
        printf '`profiling/compare-builds.sh --rounds %s --run "%s"`, %s; revision %s; %s; %s.\n\n' "$rounds" "$run" "${cpu:-unknown CPU}" \
            "$(git -C "$here" describe --always --dirty 2>/dev/null || echo unknown)" "$(rustc --version)" "$(date -u +%F)"
        usage | sed -n '/^  plain/,/^  + pgo/p' | sed 's/^  /    /'
        printf '\nEach build over the plain one:\n\n'
        cat "$out/table.md"
    } >"$record"
    echo "record: $record" >&2
fi
