#!/usr/bin/env bash
# Instructions, branches and cache misses of joulebook's parts, counted by Callgrind: repeatable where clocks are not.
set -euo pipefail

usage() {
    cat <<'HELP'
usage: profiling/callgrind.sh [options] [PART ...]

Builds benches/instructions.rs and runs each part under valgrind's Callgrind, which executes the program on a model of a CPU:
its counts do not depend on what else the machine does, so two runs of one build agree to 0.1 % or better. Only the
part's own work is counted, not what prepares and checks it. Prints a table per operation.

Parts: matching one-at-a-time tokens leaves merkle state-root search (default: all).

What it cannot show: time, and instructions that this valgrind does not know. Most have no AVX-512 and no SHA-NI, and then
the hashing kernel is AVX2; the table names it. Caches and branch predictor are valgrind's model, not this CPU's.

  --json FILE     every figure (joulebook.instructions.v1), for `joulebook run --callgrind FILE`
  --repeat N      count N times, and fail if a part's instructions differ by more than 0.1 % (default 1)

Needs valgrind (apt-get install valgrind), python3 and cargo. Exit status: 0 done, 1 the repetitions differ, 2 bad usage or a
missing tool.
HELP
}
fail() { echo "callgrind.sh: $1" >&2; exit 2; }

here=$(cd "$(dirname "$0")/.." && pwd)
all=(matching one-at-a-time tokens leaves merkle state-root search)
json='' repeat=1 parts=()
while [ $# -gt 0 ]; do
    case $1 in
        -h|--help) usage; exit 0 ;;
        --json|--repeat) [ $# -ge 2 ] || fail "$1 needs a value"; declare "${1#--}=$2"; shift ;;
        -*) fail "unknown option $1 (--help lists them)" ;;
        *) [[ " ${all[*]} " == *" $1 "* ]] || fail "no part is called $1; there are ${all[*]}"; parts+=("$1") ;;
    esac
    shift
done
[ ${#parts[@]} -gt 0 ] || parts=("${all[@]}")
[[ $repeat =~ ^[1-9][0-9]*$ ]] || fail "--repeat $repeat is not a number of at least 1"
for tool in valgrind python3 cargo; do
    command -v "$tool" >/dev/null || fail "$tool is not installed (valgrind and python3: apt-get install valgrind python3)"
done
[ -z "$json" ] || { : >>"$json"; } 2>/dev/null || fail "cannot write $json"

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
echo "building benches/instructions.rs ..." >&2
# Cargo says where the program is: the target folder can be anywhere.
program=$(cd "$here" && cargo build --release --bench instructions --message-format json 2>"$out/build" |
    python3 -c 'import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message.get("executable") and message["target"]["name"] == "instructions": print(message["executable"])') ||
    { cat "$out/build" >&2; fail "the build failed"; }
[ -x "$program" ] || { cat "$out/build" >&2; fail "the build gave no program"; }

for part in "${parts[@]}"; do
    for ((round = 1; round <= repeat; round++)); do
        echo "counting $part ($round of $repeat) ..." >&2
        # An empty environment and fixed addresses: both move the stack, and with it a few instructions of memcpy and the like.
        env -i setarch -R valgrind --tool=callgrind --collect-atstart=no --toggle-collect='instructions::counted' \
            --cache-sim=yes --branch-sim=yes --callgrind-out-file="$out/$part.$round" "$program" "$part" \
            >"$out/$part.$round.json" 2>"$out/log" || { cat "$out/log" >&2; fail "$part did not run under valgrind"; }
    done
done

revision=$(git -C "$here" describe --always --dirty 2>/dev/null || echo unknown)
python3 - "$out" "$repeat" "$revision" "$(valgrind --version)" "$json" "${parts[@]}" <<'PYTHON'
import json, platform, sys
out, repeat, revision, valgrind, target, *names = sys.argv[1:]


def counted(path):
    """The events of a Callgrind file by name, and their totals."""
    events, totals = None, None
    for line in open(path):
        if line.startswith("events:"):
            events = line.split()[1:]
        if line.startswith(("totals:", "summary:")):
            totals = [int(figure) for figure in line.split()[1:]]
    if not events or not totals or totals[0] == 0:
        sys.exit(f"callgrind.sh: {path} counted nothing: the stretch that is to be counted was not found")
    return dict(zip(events, totals + [0] * (len(events) - len(totals))))


def cpu():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


parts, hashing, users, orders, spread = [], None, None, None, {}
for name in names:
    rounds = [counted(f"{out}/{name}.{round}") for round in range(1, int(repeat) + 1)]
    part = json.load(open(f"{out}/{name}.1.json"))
    hashing, users, orders = part.pop("hashing"), part.pop("users"), part.pop("orders")
    instructions = [events["Ir"] for events in rounds]
    spread[name] = (max(instructions) - min(instructions)) / min(instructions)
    first = rounds[0]
    part |= {
        "instructions": first["Ir"],
        "branches": first["Bc"] + first["Bi"],
        "branch_misses": first["Bcm"] + first["Bim"],
        "data_reads": first["Dr"],
        "l1d_read_misses": first["D1mr"],
        "data_accesses": first["Dr"] + first["Dw"],
        "l1d_misses": first["D1mr"] + first["D1mw"],
        "llc_misses": first["DLmr"] + first["DLmw"] + first["ILmr"],
    }
    parts.append(part)

columns = ["instructions", "branches", "branch_misses", "data_accesses", "l1d_misses", "llc_misses"]
print(f"{valgrind}, revision {revision}, {cpu()}; hashing kernel under valgrind: {hashing}. Per operation:\n")
print("| part | " + " | ".join(column.replace("_", " ") for column in columns) + " | operations | an operation |")
print("|---" * (len(columns) + 3) + "|")
for part in parts:
    figures = " | ".join(f"{part[column] / part['operations']:.4g}" for column in columns)
    print(f"| {part['name']} | {figures} | {part['operations']:,} | {part['operation']} |")
if target:
    machine = f"{cpu()}, {platform.system()} {platform.machine()}"
    report = {"schema": "joulebook.instructions.v1", "revision": revision, "machine": machine, "valgrind": valgrind}
    with open(target, "w") as file:
        json.dump(report | {"hashing": hashing, "users": users, "orders": orders, "parts": parts}, file, indent=2)
if int(repeat) > 1:
    print()
    for name, part in spread.items():
        print(f"{name}: {repeat} counts within {part:.4%}")
    if any(part > 0.001 for part in spread.values()):
        sys.exit("callgrind.sh: counts differ by more than 0.1 %")
PYTHON
