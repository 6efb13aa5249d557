#!/usr/bin/env bash
# kv.sh - the engine beside its peers: builds a release library out of tree and runs the kv benchmark.
#   KV_BENCH=/path/to/bench/kv tests/bench/kv.sh [--quick] [--sets b] [--engines "nexadb rocksdb"] ...
# Options go to the benchmark's run.sh; without --engines it measures nexadb, rocksdb, leveldb and lmdb. Installs the peers.
# Results: results.md in the folder named by KV_OUT (default: a new one under /tmp, which is printed).
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
bench=${KV_BENCH:-$root/../shared/bench/kv}
[ -f "$bench/run.sh" ] || { echo "kv.sh: no benchmark at '$bench'; set KV_BENCH" >&2; exit 2; }
bench=$(cd "$bench" && pwd)
"$root/tools/packages.sh" build bench
out=${KV_OUT:-$(mktemp -d /tmp/nexadb-kv-XXXXXX)}
mkdir -p "$out"
[ -d "$out/build" ] || meson setup "$out/build" "$root" --buildtype=release -Dtests=disabled >/dev/null
ninja -C "$out/build" libnexadb_core.a >/dev/null
cd "$out"
make -s -f "$bench/Makefile" OURS="$root/tests/bench/engine_nexadb.c" \
    OURS_CFLAGS="-I$root/core/include -std=gnu17" \
    OURS_LIBS="$out/build/libnexadb_core.a $(pkg-config --libs libbson-1.0 liblz4 libzstd libxxhash libpcre2-8) -lutf8proc"
engines=(--engines "nexadb rocksdb leveldb lmdb")
for arg in "$@"; do
    [ "$arg" = --engines ] && engines=()
done
sh "$bench/run.sh" "${engines[@]}" "$@"
cat "$out/out/results.md"
echo "in $out"
