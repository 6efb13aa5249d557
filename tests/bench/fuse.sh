#!/usr/bin/env bash
# fuse.sh - the mount beside FUSE with nothing behind it (memfs) and a native directory, in one run.
#   FUSE_BENCH=/path/to/bench/fuse tests/bench/fuse.sh [--full] [--rounds N] [--phases RE] [--files N] [--docs N]
# Every round measures each of them in turn, on tmpfs; the table has the medians and the ratios to memfs. --full adds
# the big directory and the external tools; --docs 0 leaves out .import and .export.ndjson.
# Results and the build: the folder named by FUSE_OUT (default: a new one under /tmp, which is printed).
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
bench=${FUSE_BENCH:-$root/../shared/bench/fuse}
[ -f "$bench/fusebench.c" ] || { echo "fuse.sh: no benchmark at '$bench'; set FUSE_BENCH" >&2; exit 2; }
bench=$(cd "$bench" && pwd)
rounds=3 phases=. files=3000 big=0 docs=200000 limit=4
while [ $# -gt 0 ]; do
    case $1 in
    --full) files=20000 big=100000 limit=20; shift; continue ;;
    --rounds) rounds=$2 ;;
    --phases) phases=$2 ;;
    --files) files=$2 ;;
    --docs) docs=$2 ;;
    *) sed -n '2,7p' "$0" >&2; exit 2 ;;
    esac
    shift 2
done
out=${FUSE_OUT:-$(mktemp -d /tmp/nexadb-fuse-XXXXXX)}
mkdir -p "$out/mnt"
ram=$(mktemp -d /dev/shm/nexadb-fuse-XXXXXX)
server=

unmount() {
    if mountpoint -q "$out/mnt"; then fusermount3 -u "$out/mnt"; fi
    if [ -n "$server" ]; then wait "$server" || true; fi
    server=
}
trap 'unmount; rm -rf "$ram"' EXIT

[ -d "$out/build" ] || meson setup "$out/build" "$root" --buildtype=release -Dtests=disabled >/dev/null
ninja -C "$out/build" >/dev/null
nexadb=$out/build/daemon/nexadb
# shellcheck disable=SC2046
gcc -O2 -w -o "$out/memfs" "$bench/memfs.c" $(pkg-config fuse3 --cflags --libs) -pthread
gcc -O2 -w -o "$out/fusebench" "$bench/fusebench.c"

# start NAME: mounts it; `dir` is where to measure.
start() {
    dir=$out/mnt
    case $1 in
    nexadb) "$nexadb" mount -f --http off "$ram/db" "$out/mnt" >"$out/nexadb.log" 2>&1 & server=$! ;;
    memfs) "$out/memfs" -f "$out/mnt" >/dev/null 2>&1 & server=$! ;;
    tmpfs) dir=$ram/native; mkdir -p "$dir"; return ;;
    esac
    for _ in $(seq 100); do
        mountpoint -q "$out/mnt" && return
        sleep 0.05
    done
    echo "fuse.sh: $1 did not mount; see $out" >&2
    exit 1
}

measure() {
    local options=(-n "$files" -w "1,4" -t "$limit" -x "$ram" -p "$phases")
    if [ "$big" = 0 ]; then options+=(-X -N 0); else options+=(-N "$big"); fi
    start "$1"
    "$out/fusebench" "${options[@]}" -l "$1" -j "$out/$1-$2.json" "$dir" >"$out/$1-$2.txt" 2>&1 ||
        { cat "$out/$1-$2.txt" >&2; exit 1; }
    unmount
    rm -rf "$ram/db" "$ram/native"
}

for round in $(seq "$rounds"); do
    for who in nexadb memfs tmpfs; do measure "$who" "$round"; done
done
/usr/bin/python3 - "$out" "$rounds" <<'PY'
import json, statistics, sys
out, rounds = sys.argv[1], int(sys.argv[2])
names, rates, errors = ["nexadb", "memfs", "tmpfs"], {}, {}
for name in names:
    for n in range(1, rounds + 1):
        for row in json.load(open(f"{out}/{name}-{n}.json"))["results"]:
            key = row["phase"], row["workers"]
            rates.setdefault(key, {}).setdefault(name, []).append(row["rate"])
            errors[key] = errors.get(key, 0) + (row["errors"] if name == "nexadb" else 0)
print("| phase | clients | nexadb | memfs | tmpfs | nexadb/memfs |\n|---|---|---|---|---|---|")
for key, row in rates.items():
    medians = [statistics.median(row.get(name, [0])) for name in names]
    ratios = [a / b for a, b in zip(row.get("nexadb", []), row.get("memfs", [])) if b]
    note = f" ({errors[key]} errors)" if errors[key] else ""
    print(f"| {key[0]} | {key[1]} |", " | ".join(f"{m:,.0f}" for m in medians),
          f"| {statistics.median(ratios) if ratios else 0:.2f}{note} |")
PY

if [ "$docs" -gt 0 ]; then
    /usr/bin/python3 - "$docs" "$ram/docs.ndjson" <<'PY'
import json, sys
with open(sys.argv[2], "w") as out:
    for i in range(int(sys.argv[1])):
        doc = {"_id": f"d{i:07d}", "n": i, "tags": ["a", "b", "c"], "price": i * 0.25, "name": f"name {i % 977}"}
        doc["pad"] = "x" * (398 - len(json.dumps(doc, separators=(",", ":"))) - 8)
        out.write(json.dumps(doc, separators=(",", ":")) + "\n")
PY
    start nexadb
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
