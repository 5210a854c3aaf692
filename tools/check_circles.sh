#!/bin/sh
# SPDX-License-Identifier: MIT
# check_circles.sh BUILD: no circle between the files of a room, judged by the objects in a build folder: who
# defines a function, and who calls it. The command line's folders count as one room. A circle that
# docs/ARCHITECTURE.md defends is cut at the edge named below.
set -eu
cd "$(dirname "$0")/.."
[ $# -eq 1 ] && [ -d "$1/src" ] || { echo "usage: tools/check_circles.sh BUILD" >&2; exit 2; }

# A composite part opens its parts by their targets, and the registry lists it among them.
defended='latent_diffusion registry'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0 files=0
for room in $(awk '/^[a-z]/ { print $1 }' src/rooms.txt); do
    [ -d "$1/src/$room" ] || continue
    : >"$work/pairs"
    : >"$work/objects"
    for object in $(find "$1/src/$room" -name '*.c.o' ! -path '*_test.dir/*' | sort); do
        source=src/$room/${object#*.dir/}
        [ -f "${source%.o}" ] || continue # of a file that is gone
        echo "$object" >>"$work/objects"
        files=$((files + 1))
    done
    # nm -A says "OBJECT: SYMBOL TYPE ..."
    xargs nm -A -P -g <"$work/objects" |
        awk '{ file = $1; sub(/.*\//, "", file); sub(/\.c\.o:$/, "", file); print file, $2, $3 }' >"$work/symbols"
    awk '
        $3 ~ /^[TDRB]$/ { owner[$2] = $1 }
        $3 == "U" { user[++n] = $1; used[n] = $2 }
        END {
            for (i = 1; i <= n; i++)
                if (used[i] in owner && owner[used[i]] != user[i])
                    print user[i], owner[used[i]]
        }' "$work/symbols" | sort -u | grep -vxF "$defended" >"$work/pairs" || :
    if ! tsort "$work/pairs" >/dev/null 2>"$work/said"; then
        echo "src/$room: a circle between $(sed -n 's/^tsort: //p' "$work/said" | grep -v loop | sort -u | tr '\n' ' ')"
        bad=1
    fi
done
[ $files -gt 100 ] || { echo "only $files objects were found in $1/src"; bad=1; }
[ $bad -eq 0 ] && echo "circles: none between $files files"
exit $bad
