#!/usr/bin/env bash
# http.sh [SECONDS] - requests a second over REST: inserts durable and buffered, gets, finds; at 1 and 16 connections.
# NEXADB names the program (a release build); the data is in a folder of TMPDIR, removed at the end.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
nexadb=${NEXADB:-$here/../../build/daemon/nexadb}
seconds=${1:-3}
folder=$(mktemp -d)
daemon=
trap 'if [ -n "$daemon" ]; then kill "$daemon"; wait "$daemon" || true; fi; rm -rf "$folder"' EXIT

"$nexadb" serve --http 127.0.0.1:0 "$folder/data" > "$folder/out" 2> "$folder/log" &
daemon=$!
for _ in $(seq 100); do [ -e "$folder/data/http.addr" ] && break; sleep 0.1; done
address=$(cat "$folder/data/http.addr") key=$(cat "$folder/data/api.key")

python3 -c 'import json
for i in range(10000):
    print(json.dumps({"_id": i, "name": "Alice Example", "age": i % 60, "email": "alice@example.org", "bio": "x" * 200}))
' > "$folder/fixed.ndjson"
curl -sSf -H "X-API-Key: $key" --data-binary @"$folder/fixed.ndjson" "http://$address/collections/fixed/import" > "$folder/out"

for workload in insert insert-buffered get find; do
    for connections in 1 16; do
        python3 "$here/http_load.py" "$address" "$key" "$workload" "$connections" "$seconds"
    done
done
