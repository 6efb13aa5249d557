#!/usr/bin/env bash
# fuse.sh - the mount beside FUSE with nothing behind it (memfs), libfuse's passthrough_ll and a native directory, in one run.
#   FUSE_BENCH=/path/to/bench/fuse tests/bench/fuse.sh [--full] [--rounds N] [--phases RE] [--files N] [--docs N]
# Every round measures each of them in turn, on tmpfs, and the phases with fsync also on disk; the tables have the medians and
# the ratios. --full adds the big directory and the external tools; --docs 0 leaves out .import and .export.ndjson.
# Results and the build: the folder named by FUSE_OUT (default: a new one under /tmp, which is printed).
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
bench=${FUSE_BENCH:-$root/../shared/bench/fuse}
[ -f "$bench/fusebench.c" ] || { echo "fuse.sh: no benchmark at '$bench'; set FUSE_BENCH" >&2; exit 2; }
bench=$(cd "$bench" && pwd)
rounds=3 phases=. files=3000 big=0 docs=200000 limit=3
while [ $# -gt 0 ]; do
    case $1 in
    --full) files=20000 big=100000 limit=20; shift; continue ;;
    --rounds) rounds=$2 ;;
    --phases) phases=$2 ;;
    --files) files=$2 ;;
    --docs) docs=$2 ;;
    *) sed -n '2,6p' "$0" >&2; exit 2 ;;
    esac
    shift 2
done
"$root/tools/packages.sh" build
out=${FUSE_OUT:-$(mktemp -d /tmp/nexadb-fuse-XXXXXX)}
mkdir -p "$out/mnt"
ram=$(mktemp -d /dev/shm/nexadb-fuse-XXXXXX)
disk=$(mktemp -d "$out/disk-XXXXXX")
server=

unmount() {
    if mountpoint -q "$out/mnt"; then fusermount3 -u "$out/mnt"; fi
    if [ -n "$server" ]; then wait "$server" || true; fi
    server=
}
trap 'unmount; rm -rf "$ram" "$disk"' EXIT

[ -d "$out/build" ] || meson setup "$out/build" "$root" --buildtype=release -Dtests=disabled >/dev/null
ninja -C "$out/build" >/dev/null
nexadb=$out/build/daemon/nexadb
examples=/usr/share/doc/libfuse3-dev/examples
# shellcheck disable=SC2046
for source in "$bench/memfs.c" "$examples/passthrough_ll.c"; do
    gcc -O2 -w -D_GNU_SOURCE -o "$out/$(basename "$source" .c)" "$source" $(pkg-config fuse3 --cflags --libs) -pthread
done
gcc -O2 -w -o "$out/fusebench" "$bench/fusebench.c"

# start NAME FOLDER: mounts it over data in FOLDER; `dir` is where to measure.
start() {
    dir=$out/mnt
    case $1 in
    nexadb) "$nexadb" mount -f --http off "$2/db" "$out/mnt" >"$out/nexadb.log" 2>&1 & server=$! ;;
    memfs) "$out/memfs" -f "$out/mnt" >/dev/null 2>&1 & server=$! ;;
    passthrough_ll)
        mkdir -p "$2/native"
        "$out/passthrough_ll" -f -o "source=$2/native,cache=always,timeout=86400" "$out/mnt" >/dev/null 2>&1 & server=$! ;;
    native) dir=$2/native; mkdir -p "$dir"; return ;;
    esac
    for _ in $(seq 100); do
        mountpoint -q "$out/mnt" && return
        sleep 0.05
    done
    echo "fuse.sh: $1 did not mount; see $out" >&2
    exit 1
}

# measure NAME FOLDER LABEL ROUND PHASES
measure() {
    local options=(-n "$files" -w "1,4" -t "$limit" -x "$ram" -p "$5" -l "$3" -j "$out/$3-$4.json")
    if [ "$big" = 0 ] || [ "$2" = "$disk" ]; then options+=(-X -N 0); else options+=(-N "$big"); fi
    [ "$1" != passthrough_ll ] || options+=(-F)
    start "$1" "$2"
    "$out/fusebench" "${options[@]}" "$dir" >"$out/$3-$4.txt" 2>&1 || { cat "$out/$3-$4.txt" >&2; exit 1; }
    unmount
    rm -rf "$2/db" "$2/native"
}

# table NAME PEER...: medians of the rounds, and the median of each round's ratio of NAME to each PEER
table() {
    /usr/bin/python3 - "$out" "$rounds" "$@" <<'PY'
import json, os, statistics, sys
out, rounds, names = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
rates, errors = {}, {}
for name in names:
    for n in range(1, rounds + 1):
        for row in json.load(open(f"{out}/{name}-{n}.json"))["results"]:
            key = row["phase"], row["workers"]
            rates.setdefault(key, {}).setdefault(name, []).append(row["rate"])
            errors[key] = errors.get(key, 0) + (row["errors"] if name == names[0] else 0)
print("| phase | clients |", " | ".join(names), "|", " | ".join("to " + name for name in names[1:]), "|")
print("|---|---|" + "---|" * (2 * len(names) - 1))
for key, row in rates.items():
    ours = row.get(names[0], [])
    cells = [f"{statistics.median(row[name]):,.0f}" if row.get(name) else "-" for name in names]
    for name in names[1:]:
        ratios = [a / b for a, b in zip(ours, row.get(name, [])) if b]
        cells.append(f"{statistics.median(ratios):.2f}" if ratios else "-")
    note = f" ({errors[key]} errors)" if errors[key] else ""
    print(f"| {key[0]}{note} | {key[1]} |", " | ".join(cells), "|")
PY
}

echo "load $(cut -d' ' -f1-3 /proc/loadavg)"
for round in $(seq "$rounds"); do
    for who in nexadb memfs passthrough_ll native; do measure "$who" "$ram" "$who" "$round" "$phases"; done
    for who in nexadb native; do measure "$who" "$disk" "$who-disk" "$round" fsync; done
done
table nexadb memfs passthrough_ll native
echo
table nexadb-disk native-disk
echo "load $(cut -d' ' -f1-3 /proc/loadavg)"

if [ "$docs" -gt 0 ]; then
    /usr/bin/python3 - "$docs" "$ram/docs.ndjson" <<'PY'
import json, sys
with open(sys.argv[2], "w") as out:
    for i in range(int(sys.argv[1])):
        doc = {"_id": f"d{i:07d}", "n": i, "tags": ["a", "b", "c"], "price": i * 0.25, "name": f"name {i % 977}"}
        doc["pad"] = "x" * (398 - len(json.dumps(doc, separators=(",", ":"))) - 8)
        out.write(json.dumps(doc, separators=(",", ":")) + "\n")
PY
    start nexadb "$ram"
    mkdir "$dir/c"
    /usr/bin/python3 - "$docs" "$ram/docs.ndjson" "$dir/c" <<'PY'
import os, subprocess, sys, time
docs, source, c = int(sys.argv[1]), sys.argv[2], sys.argv[3]
def rate(what, command):
    begin = time.monotonic()
    subprocess.run(command, shell=True, check=True)
    print(f"{what}: {docs / (time.monotonic() - begin):,.0f} documents/s")
rate("cat docs.ndjson > .import", f"cat {source} > {c}/.import")
for _ in range(3):
    rate("cat .export.ndjson", f"cat {c}/.export.ndjson > {source}.out")
count = sum(1 for _ in open(source + ".out"))
if count != docs:
    sys.exit(f"fuse.sh: {docs} documents were imported, {count} came back")
PY
    unmount
fi
echo "in $out"
