#!/usr/bin/env bash
# Builds two revisions, runs them in turns, and says whether the second is slower than the first.
set -euo pipefail

usage() {
    cat <<'HELP'
usage: profiling/compare.sh [options] REV_A REV_B

Checks both revisions out beside each other, builds both with this toolchain, runs the optimized stack of both in turns (A B, B A,
A B, ...), counts instructions of both under Callgrind where valgrind is installed, and hands all reports to `joulebook
compare`. Use "." for a revision that is not committed: this checkout as it is.

  --pairs N              pairs of runs; 9 is the least that tells anything with all scenarios (default 12, some 8 s each)
  --run "OPTIONS"        options of `joulebook run` (default "--stack optimized --no-attribution --rounds 5")
  --fail-above P         as `joulebook compare` (default 5%)
  --fail-instructions-above P   as `joulebook compare` (default 1%)
  --strict               as `joulebook compare`
  --no-callgrind         do not count instructions
  --keep DIR             keep the reports in DIR/old and DIR/new, which must not exist yet
  --record FILE          where the dated record goes (default profiling/DATE-compare-A-B.md); "none" writes none
  --markdown FILE        the comparison as Markdown, appended to FILE: a pull request's summary

Needs git and cargo; valgrind and python3 to count. Takes two builds (some minutes the first time) and the runs. Exit status: 0 nothing
is known to be slower, 1 something is, 2 bad usage, a missing tool, a build or a run that failed. Measure on a machine that does
nothing else: a slow phase that hits one run of a pair makes the interval wider, and the verdict "cannot tell".
HELP
}
fail() { echo "compare.sh: $1" >&2; exit 2; }

here=$(cd "$(dirname "$0")/.." && pwd)
pairs=12 run='--stack optimized --no-attribution --rounds 5' fail_above=5% fail_instructions_above=1%
strict='' callgrind=yes keep='' record='' markdown='' revisions=()
while [ $# -gt 0 ]; do
    case $1 in
        -h|--help) usage; exit 0 ;;
        --strict) strict=--strict ;;
        --no-callgrind) callgrind='' ;;
        --pairs|--run|--fail-above|--fail-instructions-above|--keep|--record|--markdown)
            [ $# -ge 2 ] || fail "$1 needs a value"
            name=${1#--} && declare "${name//-/_}=$2" && shift ;;
        -*) fail "unknown option $1 (--help lists them)" ;;
        *) revisions+=("$1") ;;
    esac
    shift
done
[ ${#revisions[@]} -eq 2 ] || fail "two revisions are wanted, and ${#revisions[@]} given (--help explains)"
[[ $pairs =~ ^[1-9][0-9]*$ ]] || fail "--pairs $pairs is not a number of at least 1"
for tool in git cargo; do command -v "$tool" >/dev/null || fail "$tool is not installed"; done
if [ -n "$callgrind" ] && ! { command -v valgrind && command -v python3; } >/dev/null; then
    echo "compare.sh: valgrind or python3 is not installed: instructions are not counted" >&2
    callgrind=''
fi
[ -z "$keep" ] || [ ! -e "$keep" ] || fail "$keep exists already"

work=$(mktemp -d)
worktrees=()
clean() {
    for tree in ${worktrees[@]+"${worktrees[@]}"}; do git -C "$here" worktree remove --force "$tree" 2>/dev/null || true; done
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM

# Where a revision's source is, and what it is called.
trees=() names=()
for at in 0 1; do
    revision=${revisions[at]}
    if [ "$revision" = . ]; then
        trees[at]=$here names[at]=$(git -C "$here" describe --always --dirty)
    else
        commit=$(git -C "$here" rev-parse --verify --quiet "$revision^{commit}") || fail "there is no revision $revision"
        trees[at]=$work/tree-$at names[at]=$(git -C "$here" rev-parse --short "$commit")
        git -C "$here" worktree add --quiet --detach "${trees[at]}" "$commit" || fail "$revision cannot be checked out"
        worktrees+=("${trees[at]}")
    fi
done
# Both get paths of one length, so that the environment does not move one's stack.
for at in 0 1; do
    echo "building ${names[at]} ..." >&2
    (cd "${trees[at]}" && CARGO_TARGET_DIR=$work/target-$at cargo build --release --quiet --bin joulebook) ||
        fail "${names[at]} does not build"
    mkdir -p "$work/bin-$at" "$work/reports/side-$at"
    cp "$work/target-$at/release/joulebook" "$work/bin-$at/joulebook"
done
# Whoever can compare does.
comparer=$work/bin-1/joulebook
if ! "$comparer" compare --help >/dev/null 2>&1; then
    echo "building the comparison ..." >&2
    (cd "$here" && CARGO_TARGET_DIR=$work/target-0 cargo build --release --quiet --bin joulebook) ||
        fail "this checkout does not build"
    comparer=$work/target-0/release/joulebook
fi

for ((pair = 1; pair <= pairs; pair++)); do
    # The one that goes first changes: what a run leaves behind, heat or caches, is not always the same one's.
    if ((pair % 2)); then order='0 1'; else order='1 0'; fi
    for at in $order; do
        printf '\rpair %d of %d: %s   ' "$pair" "$pairs" "${names[at]}" >&2
        report=$work/reports/side-$at/run-$(printf %04d "$pair").json
        # shellcheck disable=SC2086 # options are words
        "$work/bin-$at/joulebook" run $run --json "$report" >"$work/log" 2>&1 ||
            { cat "$work/log" >&2; fail "a run of ${names[at]} failed"; }
    done
done
echo >&2
if [ -n "$callgrind" ]; then
    for at in 0 1; do
        if [ -x "${trees[at]}/profiling/callgrind.sh" ]; then
            CARGO_TARGET_DIR=$work/target-$at "${trees[at]}/profiling/callgrind.sh" \
                --json "$work/reports/side-$at/instructions.json" >/dev/null || fail "counting ${names[at]} failed"
        else
            echo "compare.sh: ${names[at]} has no profiling/callgrind.sh" >&2
        fi
    done
fi
if [ -n "$keep" ]; then
    mkdir -p "$keep"
    cp -r "$work/reports/side-0" "$keep/old"
    cp -r "$work/reports/side-1" "$keep/new"
fi

set +e
"$comparer" compare "$work/reports/side-0" "$work/reports/side-1" --fail-above "$fail_above" \
    --fail-instructions-above "$fail_instructions_above" $strict --markdown "$work/summary.md"
code=$?
set -e
[ "$code" -le 1 ] || exit 2

title="${names[0]} (old) and ${names[1]} (new)"
if [ -n "$markdown" ]; then
    { printf '## %s\n\n' "$title"; cat "$work/summary.md"; } >>"$markdown"
fi
if [ "$record" != none ]; then
    record=${record:-$here/profiling/$(date -u +%F)-compare-${names[0]}-${names[1]}.md}
    {
        printf '# Comparison of %s\n\n' "$title"
        printf '`profiling/compare.sh --pairs %s --run "%s" %s %s`, %s, %s.\n\n' \
            "$pairs" "$run" "${names[0]}" "${names[1]}" "$(date -u +%F)" "$(rustc --version)"
        cat "$work/summary.md"
    } >"$record"
    echo "record: $record" >&2
fi
exit "$code"
