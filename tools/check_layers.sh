#!/bin/sh
# Holds the source against docs/ARCHITECTURE.md: a room includes only rooms to its left (tests beside
# the code may reach further), the command line only include/ldm; no file is longer than 800 lines;
# every header compiles alone, the public ones as C++ too where there is a C++ compiler.
set -eu
cd "$(dirname "$0")/.."

sources=$(find src include tests fuzz -type f \( -name '*.c' -o -name '*.h' -o -name '*.inc' \) | sort)

bad=0
# shellcheck disable=SC2086 # file names in this repository have no blanks
awk '
function fail(text) { printf "%s:%d: %s\n", FILENAME, FNR, text; bad = 1 }
BEGIN {
    rank["base"] = 0
    rank["config"] = rank["checkpoint"] = rank["image"] = rank["sample"] = rank["tokenize"] = 1
    rank["spec"] = 2
    rank["audit"] = rank["exec"] = 3
    rank["cpu"] = 4
    rank["engine"] = 5
    rank["cli"] = 6
}
FNR == 1 {
    split(FILENAME, part, "/")
    room = part[1] == "src" ? part[2] : ""
    if (room != "" && !(room in rank)) fail("src/" room " is no room that this script knows")
    is_test = FILENAME ~ /_test\.c$/
}
FNR == 801 { fail("longer than 800 lines: find the seam") }
room == "" { next }
/^[ \t]*#[ \t]*include[ \t]*[<"]/ {
    name = $0
    sub(/^[^<"]*[<"]/, "", name)
    sub(/[>"].*$/, "", name)
    quoted = $0 ~ /include[ \t]*"/
    if (name == "ldm/ldm.h" && room != "engine" && room != "cli")
        fail("only engine and cli include ldm/ldm.h")
    if (!quoted || is_test || index(name, "/") == 0) next
    to = name
    sub(/\/.*/, "", to)
    if (to == room) next
    if (!(to in rank)) fail("\"" name "\" is in no room")
    else if (room == "cli") fail("cli includes only ldm/*.h, not \"" name "\"")
    else if (rank[to] >= rank[room]) fail(room " must not include \"" name "\"")
}
END { exit bad }
' $sources || bad=1

cc=${CC:-cc}
said=$(mktemp)
trap 'rm -f "$said"' EXIT
for h in $(find include src -name '*.h' | sort); do
    "$cc" -std=c11 -D_DEFAULT_SOURCE -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Wno-unused-function \
        -Werror -Iinclude -Isrc -fsyntax-only -x c "$h" 2>"$said" ||
        { echo "$h does not compile alone:"; cat "$said"; bad=1; }
done
if command -v "${CXX:-c++}" >/dev/null; then
    for h in include/ldm/*.h; do
        "${CXX:-c++}" -std=c++11 -Wall -Wextra -Werror -Iinclude -fsyntax-only -x c++ "$h" ||
            { echo "$h does not compile alone as C++"; bad=1; }
    done
fi
[ $bad -eq 0 ] && echo "layers: $(echo "$sources" | wc -l) files in order"
exit $bad
