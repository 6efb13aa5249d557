#!/usr/bin/env bash
# packages.sh GROUP... - install the Debian packages that a group of tasks needs; quick when they are there.
set -euo pipefail

build="gcc libc6-dev meson ninja-build pkg-config libfuse3-dev fuse3 libbson-dev libmicrohttpd-dev libgnutls28-dev
       libpcre2-dev liblz4-dev libzstd-dev libxxhash-dev libutf8proc-dev"
demo="jq curl iso-codes tzdata rsync"
tests="clang libclang-rt-14-dev clang-format clang-tidy cppcheck libcmocka-dev libjansson-dev python3 python3-pytest nodejs jq curl git
       rsync vim nano emacs-nox perl sed dash sqlite3 restic borgbackup inotify-tools procps tmux openssl"
bench="make librocksdb-dev libleveldb-dev liblmdb-dev libwiredtiger-dev libsqlite3-dev"

wanted=""
for group in "$@"; do
    case $group in
    build) wanted+=" $build" ;;
    demo) wanted+=" $demo" ;;
    tests) wanted+=" $tests" ;;
    bench) wanted+=" $bench" ;;
    *) echo "packages.sh: unknown group '$group' (build, demo, tests, bench)" >&2; exit 2 ;;
    esac
done

missing=""
for package in $wanted; do
    # a tool may also be there from elsewhere (a newer node, say): its command counts
    case $package in nodejs) command -v node >/dev/null && continue ;; esac
    dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=" $package"
done
[ -n "$missing" ] || exit 0

sudo=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "packages.sh: run as root, or install:$missing" >&2; exit 1; }
    sudo=sudo
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { $sudo apt-get update && $sudo apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    exit 1
fi
