#!/bin/sh
# SPDX-License-Identifier: MIT
# splice.sh FILE BEGIN END TABLE: prints FILE with the text of TABLE between the lines BEGIN and END, in place of
# what stands there. Fails if FILE lacks one of the two.
set -eu
grep -qxF -- "$2" "$1" && grep -qxF -- "$3" "$1" || {
    echo "$1: the marks '$2' and '$3' are not there, each on a line of its own" >&2
    exit 1
}
awk -v begin="$2" -v end="$3" -v from="$4" '
    $0 == end { inside = 0 }
    !inside { print }
    $0 == begin {
        inside = 1
        while ((getline line < from) > 0)
            print line
    }' "$1"
