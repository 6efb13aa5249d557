#!/usr/bin/env bash
# kv_reads.sh - processor time of a read beside the engine's peers (kv_reads.c), for a machine that is not idle.
#   KV_BENCH=/path/to/bench/kv tests/bench/kv_reads.sh [ROUNDS [CACHE_MIB [ENGINE...]]]
# The engines take turns; a table of medians comes last. KV_OUT keeps build and databases; KV_LOCK names a
# file that is locked for the time of each engine's turn.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
bench=${KV_BENCH:-$root/../shared/bench/kv}
[ -f "$bench/driver.c" ] || { echo "kv_reads.sh: no benchmark at '$bench'; set KV_BENCH" >&2; exit 2; }
rounds=${1:-3} cache=${2:-64}
engines=("${@:3}")
[ ${#engines[@]} -gt 0 ] || engines=(nexadb leveldb rocksdb lmdb)
out=${KV_OUT:-$(mktemp -d /tmp/nexadb-kv-reads-XXXXXX)}
mkdir -p "$out"
[ -d "$out/build" ] || meson setup "$out/build" "$root" --buildtype=release -Dtests=disabled >/dev/null
ninja -C "$out/build" libnexadb_core.a >/dev/null
read -ra libs <<< "$(pkg-config --libs libbson-1.0 jansson liblz4 libzstd libxxhash libpcre2-8)"
gcc -O2 -std=gnu17 -pthread -w -I"$bench" -I"$root/core/include" -o "$out/kv_reads" "$root"/tests/bench/{kv_reads,engine_nexadb}.c \
    "$bench"/engine_{leveldb,rocksdb,lmdb}.c "$out/build/libnexadb_core.a" -lleveldb -lrocksdb -llmdb "${libs[@]}" -lutf8proc -lm
: > "$out/reads-$cache.tsv"
for ((round = 1; round <= rounds; round++)); do
    for engine in "${engines[@]}"; do
        flock "${KV_LOCK:-$out/lock}" "$out/kv_reads" "$engine" "$out/db-$engine" "$cache" >> "$out/reads-$cache.tsv" 2>> "$out/reads.log"
    done
done
python3 - "$out/reads-$cache.tsv" "${engines[@]}" <<'PY'
import statistics, sys
path, *engines = sys.argv[1:]
cells, phases = {}, []
for line in open(path):
    engine, _, phase, cpu, p50 = line.rstrip("\n").split("\t")
    cells.setdefault((phase, engine), []).append((float(cpu), float(p50)))
    if phase not in phases:
        phases.append(phase)
print("| us of processor time (p50 by the clock) |", " | ".join(engines), "|")
print("|---" * (len(engines) + 1) + "|")
for phase in phases:
    row = []
    for engine in engines:
        cpu, p50 = (statistics.median(column) for column in zip(*cells[phase, engine]))
        row.append(f"{cpu:.2f}" + (f" ({p50:.2f})" if p50 else ""))
    print(f"| {phase} |", " | ".join(row), "|")
PY
uptime
echo "in $out"
