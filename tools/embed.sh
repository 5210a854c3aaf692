#!/bin/sh
# SPDX-License-Identifier: MIT
# tools/embed.sh OUT.c HEADER NAME FILE [NAME FILE ...]: writes C source with each file as an array of bytes
# NAME[], which ends with a NUL.
set -eu
out=$1 header=$2
shift 2
{
    printf '/* Made by tools/embed.sh. */\n#include "%s"\n' "$header"
    while [ $# -gt 1 ]; do
        printf '\nconst unsigned char %s[] = {\n' "$1"
        od -An -v -tu1 "$2" | sed 's/\([0-9]\{1,3\}\)/\1,/g'
        printf '0};\n'
        shift 2
    done
} >"$out.part"
mv "$out.part" "$out"
