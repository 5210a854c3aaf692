#!/bin/sh
# SPDX-License-Identifier: MIT
# Holds the source against src/rooms.txt: a room includes only rooms of a lower level (tests beside
# the code may reach further), a front end only include/ldm and base; no file is longer than 800 lines;
# no two files of the code have the same name; the first line
# names the licence;
# every header compiles alone, the public ones as C++ too where there is a C++ compiler.
set -eu
cd "$(dirname "$0")/.."

sources=$(find src include tests fuzz -type f \( -name '*.c' -o -name '*.h' -o -name '*.inc' \) | sort)

bad=0
# shellcheck disable=SC2086 # file names in this repository have no blanks
awk '
function fail(text) { printf "%s:%d: %s\n", FILENAME, FNR, text; bad = 1 }
BEGIN {
    while ((getline line < "src/rooms.txt") > 0) {
        if (line !~ /^[a-z]/) continue
        split(line, column, / *[|] */)
        rank[column[1]] = column[2]
        kind[column[1]] = column[3]
    }
}
FNR == 1 {
    split(FILENAME, part, "/")
    room = part[1] == "src" ? part[2] : ""
    if (room != "" && !(room in rank)) fail("src/" room " is no room that this script knows")
    is_test = FILENAME ~ /_test\.c$/
}
FNR == 1 && !/SPDX-License-Identifier: MIT/ { fail("the first line must name the licence (SPDX-License-Identifier: MIT)") }
FNR == 801 { fail("longer than 800 lines: find the seam") }
room == "" { next }
/^[ \t]*#[ \t]*include[ \t]*[<"]/ {
    name = $0
    sub(/^[^<"]*[<"]/, "", name)
    sub(/[>"].*$/, "", name)
    quoted = $0 ~ /include[ \t]*"/
    if (name ~ /^ldm\// && name != "ldm/error.h" && kind[room] == "room")
        fail(room " is below the public interface and must not include " name)
    if (!quoted || is_test || index(name, "/") == 0) next
    to = name
    sub(/\/.*/, "", to)
    if (to == room) next
    if (!(to in rank)) fail("\"" name "\" is in no room")
    else if (kind[room] == "front" && to != "base") fail(room " includes only ldm/*.h and base, not \"" name "\"")
    else if (rank[to] >= rank[room]) fail(room " must not include \"" name "\"")
}
END { exit bad }
' $sources || bad=1

twice=$(echo "$sources" | grep -v '^include/' | sed 's|.*/||' | sort | uniq -d)
[ -z "$twice" ] || { echo "more than one file is called:" $twice; bad=1; }

cc=${CC:-cc}
said=$(mktemp)
trap 'rm -f "$said"' EXIT
for h in $(find include src -name '*.h' | sort); do
    "$cc" -std=c11 -D_DEFAULT_SOURCE -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Wno-unused-function -Wno-unused-const-variable \
        -Werror -Iinclude -Isrc -fsyntax-only -x c "$h" 2>"$said" ||
        { echo "$h does not compile alone:"; cat "$said"; bad=1; }
done
if command -v "${CXX:-c++}" >/dev/null; then
    for h in include/ldm/*.h; do
        "${CXX:-c++}" -std=c++11 -Wall -Wextra -Werror -Iinclude -fsyntax-only -x c++ "$h" ||
            { echo "$h does not compile alone as C++"; bad=1; }
    done
else
    echo "skipped: public headers as C++ (no C++ compiler)"
fi
[ $bad -eq 0 ] && echo "layers: $(echo "$sources" | wc -l) files in order"
exit $bad
