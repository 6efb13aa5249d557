#!/usr/bin/env bash
# quickstart.sh [FOLDER] - from a bare Debian 12 to a mounted database with real data in it.
#
# Installs packages, builds, mounts FOLDER/data at FOLDER/mnt (default: nexadb-demo in your home folder),
# imports the languages, countries and subdivisions of Debian's iso-codes and the cities of tzdata, and shows
# ten commands with their output. Leaves the database mounted. A second run is quick.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-$HOME/nexadb-demo}
data=$folder/data
mnt=$folder/mnt
iso=/usr/share/iso-codes/json
bold='' plain=''
[ ! -t 1 ] || { bold=$(tput bold 2>/dev/null || true); plain=$(tput sgr0 2>/dev/null || true); }

# --- build ----------------------------------------------------------------------------------------
"$top/tools/packages.sh" build demo
[ -f "$top/build-release/build.ninja" ] || meson setup "$top/build-release" "$top" --buildtype=release -Dtests=disabled >/dev/null
ninja -C "$top/build-release" daemon/nexadb >/dev/null
PATH=$top/build-release/daemon:$PATH

# --- mount ----------------------------------------------------------------------------------------
mkdir -p "$mnt"
mnt=$(cd "$mnt" && pwd -P)
answers() { curl -fs "http://$(cat "$data/http.addr" 2>/dev/null)/status" >/dev/null 2>&1; }
if ! grep -q " $mnt fuse" /proc/mounts || ! answers; then
    # port 6969 unless something else has it
    port=6969
    (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null && port=0
    nexadb mount --http "127.0.0.1:$port" "$data" "$mnt"
fi
url=http://$(cat "$data/http.addr")
key=$(cat "$data/api.key")

# --- import: one write to a magic file per collection -----------------------------------------------
cd "$mnt"
if [ ! -d languages ]; then
    mkdir languages countries subdivisions cities
    jq -c '.["639-3"][] | {_id: .alpha_3} + .' "$iso/iso_639-3.json" >languages/.import
    jq -c '.["3166-1"][] | {_id: .alpha_2} + .' "$iso/iso_3166-1.json" >countries/.import
    jq -c '.["3166-2"][] | {_id: .code, country: .code[0:2]} + .' "$iso/iso_3166-2.json" >subdivisions/.import
    awk -f "$top/examples/zone-cities.awk" /usr/share/zoneinfo/zone.tab >cities/.import
fi

# --- ten commands ---------------------------------------------------------------------------------
number=0
show() { # show "what it is" 'command'
    number=$((number + 1))
    printf '\n%s%d. %s%s\n' "$bold" "$number" "$1" "$plain"
    printf '%s$ %s%s\n' "$bold" "${2//"$key"/\$KEY}" "$plain"
    (set +eo pipefail; eval "$2") # as a shell at a prompt would run it
}

show 'Collections are directories' \
    'ls; wc -l < languages/.export.ndjson; cat subdivisions/.count'
show 'Documents are JSON files' \
    'ls languages | head -n 4; cat languages/deu.json'
show 'A query is written to a file and its answer read back' \
    $'echo \'{"type": "A", "scope": "I"}\' > languages/.query; head -n 4 languages/.query'
show 'Options follow the filter; one descriptor is a private conversation' \
    $'exec 3<>subdivisions/.query; echo \'{"country": "FR", "name": {"$regex": "^C"}} {"projection": {"name": 1, "type": 1}, "sort": {"name": 1}, "limit": 5}\' >&3; cat <&3; exec 3>&-'
show 'An aggregation: the countries with the most subdivisions' \
    $'echo \'[{"$group": {"_id": "$country", "n": {"$sum": 1}}}, {"$sort": {"n": -1, "_id": 1}}, {"$limit": 5}]\' > subdivisions/.aggregate; cat subdivisions/.aggregate'
show 'Vector search: the cities nearest to Paris' \
    $'echo \'{"like": "paris", "k": 5}\' > cities/.vsearch; jq -r \'[.document.name, .document.country, .similarity] | @tsv\' cities/.vsearch'
show 'Any tool edits a document, and a mistake is refused and explained' \
    $'sed -i \'s/"Germany"/"Deutschland"/\' countries/DE.json; jq -c "{name, official_name}" countries/DE.json; echo "{oops" > countries/DE.json || tail -n 1 countries/.errors | jq -r .message; sed -i \'s/"Deutschland"/"Germany"/\' countries/DE.json'
show 'The same documents over REST' \
    "curl -s -H 'X-API-Key: $key' $url/collections/countries/JP"
echo
show 'A write through REST is a file at once' \
    "curl -s -H 'X-API-Key: $key' -X PUT $url/collections/countries/JP -d '{\"note\": \"seen\"}' && echo && grep note countries/JP.json && curl -s -H 'X-API-Key: $key' $url/collections/countries/update -d '{\"filter\": {\"_id\": \"JP\"}, \"update\": {\"\$unset\": {\"note\": \"\"}}}'"
echo
show 'Backup is rsync' \
    "rm -rf ../backup; mkdir ../backup; rsync -a languages countries ../backup/; diff -r languages ../backup/languages && ls ../backup/languages | wc -l"

cat <<END

${bold}Mounted at $mnt${plain}   (REST: $url, key in $data/api.key)
  cd $mnt                    look around; cat .help
  nexadb umount $mnt         stop: everything is durable
  PATH=$top/build-release/daemon:\$PATH    puts nexadb on your path
END
