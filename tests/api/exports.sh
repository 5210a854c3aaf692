#!/bin/sh
# SPDX-License-Identifier: MIT
# exports.sh LIBRARY LIST: the library exports the symbols of the list, and no other. With LIST absent
# from the call, prints what is exported. The public headers declare each of them. Not counted: what
# sanitizers add, and the linker's own marks, which it exports where a linked library (oneDNN) names them.
set -eu
library=$1
exported=$(nm -D --defined-only "$library" | awk '$2 != "A" { print $3 }' | grep -v -e '^__\(asan\|odr_asan\|ubsan\|tsan\)' -e '^\(__bss_start\|_edata\|_end\)$' | LC_ALL=C sort)
[ $# -gt 1 ] || { printf '%s\n' "$exported"; exit; }
printf '%s\n' "$exported" | diff "$2" - || {
    echo "'<': in $2 and not exported; '>': exported and not in the list"
    exit 1
}
headers=$(cat "$(dirname "$0")"/../../include/ldm/*.h)
for name in $exported; do
    case $headers in
    *[!a-z_]"$name("*) ;;
    *) echo "$name is exported and no public header declares it"; exit 1 ;;
    esac
done
