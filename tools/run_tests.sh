#!/bin/sh
# SPDX-License-Identifier: MIT
# make test: builds with sanitizers and optimised, runs ctest in both (tests labelled `optimised`, which
# look at the sources alone or compute for long, in the second), and the tests labelled `threads` under
# ThreadSanitizer. With --clang also the optimised build by clang. Runs all of it even
# where a part fails; the last lines say what happened, what a machine could not test, and how many
# tests passed. The exit status is 0 only if everything passed.
set -u
cd "$(dirname "$0")/.."

jobs=$(nproc)
at_once=$((jobs + 1)) # tests: those that wait rather than compute run beside one for each processor
status=0
summary=
skipped=build/skipped.txt # one line for each check that could not run
with_clang=
case ${1:-} in
'') ;;
--clang) with_clang=yes ;;
*) echo "usage: tools/run_tests.sh [--clang]" >&2; exit 2 ;;
esac
mkdir -p build
: >"$skipped"

# part NAME PRESET TARGETS [ctest options]
part() {
    name=$1 preset=$2 targets=$3
    shift 3
    echo "== $name"
    log=build/$preset/test.log
    start=$(date +%s)
    if ! { [ -f build/$preset/build.ninja ] || cmake --preset "$preset"; } ||
        ! cmake --build --preset "$preset" --parallel "$jobs" --target $targets; then
        summary="$summary$name: the build failed
"
        status=1
        return
    fi
    rc=0
    { ctest --test-dir build/$preset --output-on-failure --no-tests=error -j "$at_once" "$@" 2>&1
      echo $? >build/$preset/test.rc; } | tee "$log"
    rc=$(cat build/$preset/test.rc)
    [ "$rc" -eq 0 ] || status=1
    last=build/$preset/Testing/Temporary/LastTest.log # what every test printed, also where it passed
    left_out=$(grep -c '^skipped: ' "$last" 2>/dev/null || :)
    grep '^skipped: ' "$last" 2>/dev/null | sed "s/^skipped/$preset/" >>"$skipped"
    summary="$summary$name: $(grep -E 'tests passed|No tests' "$log" | tail -n 1), ${left_out:-0} checks skipped, \
$(($(date +%s) - start)) s
"
    if [ "$rc" -ne 0 ]; then
        summary="$summary$(sed -n '/The following tests FAILED/,/^Errors/p' "$log" | grep -E '^[[:space:]]+[0-9]+ - ')
"
    fi
}

# The tests of the tokenizers compare with the originals' ids where their vocabularies are at hand.
tools/get_vocab.sh ||
    summary="vocabularies: not all could be got (make vocab); tests that need them are skipped
"

export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
part 'AddressSanitizer and UBSan' asan all -LE optimised
part 'optimised build' release all
[ -z "$with_clang" ] || part 'optimised build by clang' clang all
part 'ThreadSanitizer (label threads)' tsan 'ldm pixels base_test api_threads_test' -L threads

echo
if [ -s "$skipped" ]; then
    echo "== skipped: checks that this machine cannot run, as many times as each was left out ($skipped)"
    sort "$skipped" | uniq -c
    echo
fi
echo "== summary"
printf '%s' "$summary"
if [ $status -eq 0 ]; then
    echo "all tests passed"
else
    echo "SOME TESTS FAILED"
fi
exit $status
