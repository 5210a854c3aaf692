#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the fuzz targets one after the other: fuzz/fuzz_all.sh BUILD SECONDS [TARGET ...]. New inputs go
# to BUILD/grown/TARGET, logs to BUILD/log/TARGET, what crashes, hangs (25 s) or takes more than 512 MB
# to BUILD/found/TARGET-*. Exit code 1 if anything was found.
set -eu

build=$1 seconds=$2
shift 2
here=$(dirname "$0")
[ $# -gt 0 ] || set -- network pickle zip legacy safetensors yaml overrides npy png jpeg haar bpe wordpiece layout bodies
mkdir -p "$build/found" "$build/log"
code=0
for what in "$@"; do
    max_len=16384
    case $what in
    overrides | npy) max_len=2048 ;;
    network | png | jpeg | bodies) max_len=6000 ;;
    esac
    dict=
    [ ! -f "$here/dict/$what.dict" ] || dict=-dict=$here/dict/$what.dict
    mkdir -p "$build/grown/$what"
    echo "$what: $seconds s"
    "$build/fuzz/fuzz_$what" "$build/grown/$what" "$here/corpus/$what" $dict -max_len=$max_len \
        -max_total_time="$seconds" -timeout=25 -report_slow_units=2 -rss_limit_mb=512 \
        -print_final_stats=1 -artifact_prefix="$build/found/$what-" >>"$build/log/$what" 2>&1 || {
        code=1
        echo "$what: FOUND, see $build/log/$what"
    }
    grep -h 'stat::number_of_executed_units\|stat::slowest' "$build/log/$what" | tail -n 2
done
exit $code
