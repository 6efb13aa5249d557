#!/usr/bin/env bash
# mutations.sh TEST... - run each storage test program with each safety step left out in turn
# (core/storage/mutation.h); fails when some mutation passes them all, or when a program fails
# without any. Needs a build with NX_DEBUG. Two mutations at a time: NEXADB_MUTATION_JOBS.
set -uo pipefail
limit=${NEXADB_MUTATION_SECONDS:-60}
jobs=${NEXADB_MUTATION_JOBS:-2}
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
export limit results

# try NUMBER TEST...: which test notices. A mutated engine may also crash or wait for ever: that is
# noticed too.
try() {
    local number=$1 test caught=
    shift
    for test in "$@"; do
        NEXADB_MUTATION=$number timeout "$limit" "$test" >/dev/null 2>&1 || { caught=$(basename "$test"); break; }
    done
    echo "mutation $number: ${caught:-NOT NOTICED}"
    [ -n "$caught" ] || touch "$results/$number"
}
export -f try

for test in "$@"; do
    timeout "$((limit * 5))" "$test" >/dev/null 2>&1 || { echo "$(basename "$test") fails without a mutation"; exit 1; }
done
count=$(NEXADB_MUTATION=count "$1")
seq "$count" | xargs -P "$jobs" -I{} bash -c 'try "$@"' _ {} "$@"
missed=$(find "$results" -type f | wc -l)
echo "$count mutations, $missed not noticed"
exit $((missed > 0))
