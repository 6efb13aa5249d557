#!/usr/bin/env bash
# call_sites.sh PROGRAM SOURCES... - was every call of the file layer in these sources made to fail?
# PROGRAM is the fault test: with NEXADB_SITES it writes the places that it failed. Needs a build
# with line numbers and without tail calls.
set -uo pipefail
program=$1
shift
hits=$(mktemp)
trap 'rm -f "$hits" "$hits.lines"' EXIT
NEXADB_SITES=$hits NEXADB_TEST_SCALE=${NEXADB_TEST_SCALE:-2} "$program" || exit 1
addr2line -i -e "$program" <"$hits" | sed -E 's/ \(.*//; s|.*/||' | sort -u >"$hits.lines"
sites=0
missed=0
while IFS=: read -r path line _; do
    sites=$((sites + 1))
    name=$(basename "$path")
    for ((at = line; at <= line + 3; at++)); do
        grep -qx "$name:$at" "$hits.lines" && continue 2
    done
    echo "$name:$line never failed"
    missed=$((missed + 1))
done < <(grep -nE 'ops->(open|rename|link|remove|mkdir|rmdir|list|sync_dir|space|lock|thread_start|pread|pwrite|size|truncate|allocate|datasync|map)\(' "$@")
echo "$sites call sites, $missed never failed"
exit $((missed > 0))
