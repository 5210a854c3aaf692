#!/bin/sh
# SPDX-License-Identifier: MIT
# Measures what --precision bf16 costs and gains (ldm bench) and puts what the program printed into
# bench/results/CPU-bf16.txt and, after "<!-- bf16 -->", into docs/PRECISION.md.
#   bench/precision.sh [CKPT CONFIG [OPTION ...]]   with the shipped model demo, and one more, e.g. the full-size
#                                      one that bench/peers/make_ckpt.py makes; options of ldm bench for that one,
#                                      such as --prompt
#   LDM      the program (build/ldm)   ROUNDS  evaluations (10)   STEPS  of the pictures (50)
set -eu
cd "$(dirname "$0")/.."

LDM=${LDM:-build/ldm}
ROUNDS=${ROUNDS:-10}
STEPS=${STEPS:-50}
tmp=$(mktemp)
trap 'rm -f "$tmp" "$tmp.doc"' EXIT

measure() {
    echo "$1"
    shift
    "$LDM" bench --precision bf16 --rounds "$ROUNDS" --steps "$STEPS" "$@" |
        sed -e '/^$/d' -e '/^Whole pictures/,/^  step /d'
}

measure 'The shipped model demo' --model demo >"$tmp"
if [ $# -ge 2 ]; then
    ckpt=$1 config=$2
    shift 2
    echo >>"$tmp"
    measure "$(basename "$config" .yaml), $(stat -Lc %s "$ckpt" | awk '{ printf "%.2f GB", $1 / 1e9 }') checkpoint" \
        --ckpt "$ckpt" --config "$config" "$@" >>"$tmp"
fi

# The name of the machine as in the other results.
name=$(awk -F': *' '/^model name/ { n = $2 } /^cpu family/ { f = $2 } /^model[^ n]*\t/ { m = $2 }
    END { print tolower(n) "-family-" f "-model-" m }' /proc/cpuinfo | tr -cs 'a-z0-9\n' '-')
isa=$(sed -n '2s/.* \([0-9]*\) threads*, \([a-z0-9]*\), bf16/\2-\1t/p' "$tmp")
mkdir -p bench/results
result=bench/results/$name-$isa-bf16.txt
cp "$tmp" "$result"
echo "$result"

awk -v result="$tmp" -v name="$(basename "$result")" '
/^<!-- end -->$/ { skip = 0 }
skip { next }
{ print }
/^<!-- bf16 -->$/ {
    skip = 1
    print "\n[" name "](../bench/results/" name "), as `bench/precision.sh` wrote it:\n"
    while ((getline line < result) > 0)
        print line == "" ? "" : "    " line
    print ""
}' docs/PRECISION.md >"$tmp.doc"
cat "$tmp.doc" >docs/PRECISION.md
