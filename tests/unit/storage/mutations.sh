#!/usr/bin/env bash
# mutations.sh TEST... - run each storage test program with each safety step left out in turn
# (core/storage/mutation.h); fails when some mutation passes them all, or when a program fails
# without any. Needs a build with NX_DEBUG.
set -uo pipefail
limit=${NEXADB_MUTATION_SECONDS:-60}
for test in "$@"; do
    timeout "$((limit * 5))" "$test" >/dev/null 2>&1 || { echo "$(basename "$test") fails without a mutation"; exit 1; }
done
count=$(NEXADB_MUTATION=count "$1")
missed=0
for ((n = 1; n <= count; n++)); do
    caught=
    for test in "$@"; do
        # A mutated engine may also crash or wait for ever: that is noticed too.
        NEXADB_MUTATION=$n timeout "$limit" "$test" >/dev/null 2>&1 || { caught=$(basename "$test"); break; }
    done
    echo "mutation $n: ${caught:-NOT NOTICED}"
    [ -n "$caught" ] || missed=$((missed + 1))
done
exit $((missed > 0))
