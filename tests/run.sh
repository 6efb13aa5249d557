#!/usr/bin/env bash
# run.sh [--full] [SUITE...] - install what the tests need, build, run the suites, end "N passed, M failed".
#
# Suites: lint unit integration clients conformance sanitize. Without a name: all of them.
# --full  the long forms: 10 times the crash and model runs.
# NEXADB_CONFORMANCE names the folder of the conformance corpus (default ../shared/conformance).
set -uo pipefail
cd "$(dirname "$0")/.."

full=0
suites=()
for arg in "$@"; do
    case $arg in
    --full) full=1 ;;
    -h | --help) sed -n '2,6s/^# \?//p' "$0"; exit 0 ;;
    lint | unit | integration | clients | conformance | sanitize) suites+=("$arg") ;;
    *) echo "run.sh: unknown suite '$arg'; see --help" >&2; exit 2 ;;
    esac
done
[ ${#suites[@]} -gt 0 ] || suites=(lint unit integration clients conformance sanitize)

root=$PWD
python=/usr/bin/python3 # Debian's own: python3-pytest belongs to it
scratch=$(mktemp -d)
passed=0
failed=0
failures=()
started=$SECONDS
[ $full -eq 0 ] || export NEXADB_TEST_SCALE=${NEXADB_TEST_SCALE:-10}
trap 'rm -rf "$scratch"' EXIT

say() { printf '\n== %s (%d s)\n' "$1" $((SECONDS - started)); }

# count NAME PASSED FAILED
count() {
    passed=$((passed + $2))
    failed=$((failed + $3))
    [ "$3" -eq 0 ] || failures+=("$1: $3 failed")
    printf '%s: %d passed, %d failed\n' "$1" "$2" "$3"
}

# check NAME COMMAND...: one test, by its exit status
check() {
    local name=$1
    shift
    if "$@" >"$scratch/out" 2>&1; then
        count "$name" 1 0
    else
        tail -n 40 "$scratch/out"
        count "$name" 0 1
    fi
}

# build DIR OPTION...: configure once, then build
build() {
    local dir=$1
    shift
    if [ ! -f "$dir/build.ninja" ]; then
        meson setup "$dir" "$@" >"$scratch/out" 2>&1 || { tail -n 20 "$scratch/out"; return 1; }
    fi
    ninja -C "$dir" >"$scratch/out" 2>&1 || { grep -aE 'error|FAILED|warning' "$scratch/out" | head -n 40; return 1; }
}

# cmocka DIR NAME: run the unit tests of a build; each cmocka test counts
cmocka() {
    local dir=$1 name=$2 rc=0 ok bad
    rm -f "$dir/meson-logs/testlog.json"
    # the corpus is the conformance suite's, which knows how many cases pass
    env -u NEXADB_CONFORMANCE meson test -C "$dir" --suite unit --no-rebuild --num-processes 2 --timeout-multiplier "$((full ? 20 : 3))" \
        >"$scratch/unit" 2>&1 || rc=1
    read -r ok bad < <("$python" tests/support/count_unit.py "$dir/meson-logs/testlog.json")
    ok=${ok:-0} bad=${bad:-0}
    if [ $rc -ne 0 ]; then
        grep -aE '^ *[0-9]+/[0-9]+ .*(FAIL|TIMEOUT|ERROR)' "$scratch/unit" | head -n 20
        grep -aE '^\[ *(ERROR|FAILED) *\]|ERROR: |runtime error' "$dir/meson-logs/testlog.txt" | head -n 40
        [ "$bad" -gt 0 ] || bad=1
    fi
    count "$name" "$ok" "$bad"
}

# pytest_run NAME ARG...: each test counts
pytest_run() {
    local name=$1 ok bad
    shift
    timeout -k 10 1200 "$python" -m pytest -q --maxfail=20 -p no:cacheprovider --tb=short "$@" >"$scratch/pytest" 2>&1
    local rc=$?
    grep -aE ' in [0-9.]+s' "$scratch/pytest" | tail -n 1 >"$scratch/summary"
    ok=$(grep -oE '[0-9]+ passed' "$scratch/summary" | cut -d' ' -f1)
    bad=$(grep -oE '[0-9]+ (failed|error)' "$scratch/summary" | awk '{n += $1} END {print n + 0}')
    if [ $rc -ne 0 ]; then
        tail -n 60 "$scratch/pytest"
        [ "$bad" -gt 0 ] || bad=1
    fi
    count "$name" "${ok:-0}" "$bad"
}

# --- the suites ----------------------------------------------------------------------------------

lint() {
    say lint
    check "lint: layers" "$python" tools/check_layers.py
    check "lint: format" sh -c 'git ls-files "*.c" "*.h" | xargs clang-format --dry-run --Werror'
    check "lint: no machine paths" sh -c '! git grep -nE "/(work|farm|root)/|/home/[a-z]" -- . ":!tests/run.sh"'
    check "lint: clang with thread safety, no warnings" lint_clang
    # incorrectLogicOperator: cppcheck 2.10 reads a hexadecimal float such as 0x1p63 as 0
    check "lint: cppcheck" cppcheck -q --std=c11 --inline-suppr --error-exitcode=1 --enable=warning,portability \
        --suppress=missingIncludeSystem --suppress=unknownMacro --suppress=incorrectLogicOperator \
        -Icore/include -Icore -I. -j2 core fs daemon
}

lint_clang() {
    CC=clang build build-clang -Dtests=disabled --werror
}

unit() {
    say unit
    cmocka build "unit"
    check "unit: every safety mutation is noticed" meson test -C build --no-rebuild mutations
    [ $full -eq 0 ] || check "unit: every call site of the file layer fails once" meson test -C build --no-rebuild callsites
}

integration() {
    say integration
    [ -e /dev/fuse ] || echo "no /dev/fuse: the tests that mount will fail"
    NEXADB_BIN=$root/build/daemon/nexadb pytest_run "integration" tests/integration
}

clients() {
    say clients
    NEXADB_BIN=$root/build/daemon/nexadb pytest_run "clients: python" clients/python/tests
    NEXADB_BIN=$root/build/daemon/nexadb node --test clients/js/test/ >"$scratch/node" 2>&1
    local rc=$? ok bad
    ok=$(grep -aE '^(# |ℹ )pass ' "$scratch/node" | awk '{print $3}')
    bad=$(grep -aE '^(# |ℹ )fail ' "$scratch/node" | awk '{print $3}')
    [ $rc -eq 0 ] || { tail -n 60 "$scratch/node"; [ "${bad:-0}" -gt 0 ] || bad=1; }
    count "clients: javascript" "${ok:-0}" "${bad:-0}"
}

# The corpus lives beside the project, not in it. Its pass count may only rise: tests/conformance.floor.
conformance() {
    say conformance
    local corpus=${NEXADB_CONFORMANCE:-$root/../shared/conformance} floor ok
    if [ ! -f "$corpus/run.mjs" ]; then
        echo "conformance: no corpus: set NEXADB_CONFORMANCE (looked in $corpus)"
        return
    fi
    floor=$(cat tests/conformance.floor)
    "$python" tests/support/serve.py build/daemon/nexadb -- \
        node "$corpus/run.mjs" --base-url '{url}' --api-key '{key}' --dir "$corpus" >"$scratch/conformance" 2>&1
    ok=$(grep -aoE '^[0-9]+ passed' "$scratch/conformance" | tail -n 1 | cut -d' ' -f1)
    ok=${ok:-0}
    grep -aE '^[0-9]+ passed' "$scratch/conformance" | tail -n 1
    if [ "$ok" -ge "$floor" ]; then
        count "conformance: at least $floor cases" "$ok" 0
    else
        tail -n 60 "$scratch/conformance"
        count "conformance: at least $floor cases" "$ok" $((floor - ok))
    fi
}

sanitize() {
    local options="halt_on_error=1:abort_on_error=1"
    say "sanitize: address, undefined"
    if CC=clang build build-asan -Db_sanitize=address,undefined -Db_lundef=false; then
        ASAN_OPTIONS=$options:handle_segv=2 UBSAN_OPTIONS=$options:print_stacktrace=1 cmocka build-asan "unit under ASan and UBSan"
        ASAN_OPTIONS=$options:handle_segv=2 UBSAN_OPTIONS=$options:print_stacktrace=1 \
            NEXADB_BIN=$root/build-asan/daemon/nexadb pytest_run "integration under ASan and UBSan" tests/integration
    else
        count "sanitize: build with address, undefined" 0 1
    fi
    say "sanitize: thread"
    if CC=clang build build-tsan -Db_sanitize=thread -Db_lundef=false; then
        TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 cmocka build-tsan "unit under TSan"
        TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 NEXADB_BIN=$root/build-tsan/daemon/nexadb \
            pytest_run "integration under TSan" tests/integration
    else
        count "sanitize: build with thread" 0 1
    fi
}

# --- main ----------------------------------------------------------------------------------------

tools/packages.sh build tests demo || exit 1
werror=()
[ -z "${CI:-}" ] || werror=(--werror)
say build
if build build "${werror[@]}"; then
    count "build" 1 0
else
    count "build" 0 1
    printf '\n%d passed, %d failed\n' "$passed" "$failed"
    exit 1
fi
for suite in "${suites[@]}"; do
    "$suite"
done
[ ${#failures[@]} -eq 0 ] || printf '\n%s' "${failures[@]}"
printf '\n\n%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
