#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes the table of rooms in docs/ARCHITECTURE.md from src/rooms.txt (--write), or says whether it is
# up to date and every room has a README (--check, a test).
set -eu
cd "$(dirname "$0")/.."

table() {
    echo '| room | what it does | knows nothing of |'
    echo '|---|---|---|'
    awk -F' *[|] *' '/^[a-z]/ { printf "| `%s` | %s | %s |\n", $1, $4, $5 }' src/rooms.txt
}

written() {
    sed -n '/<!-- rooms -->/,/<!-- \/rooms -->/p' docs/ARCHITECTURE.md | sed '1d;$d'
}

case ${1:-} in
--write)
    new=$(mktemp)
    trap 'rm -f "$new"' EXIT
    table >"$new"
    page=$(tools/splice.sh docs/ARCHITECTURE.md '<!-- rooms -->' '<!-- /rooms -->' "$new")
    printf '%s\n' "$page" >docs/ARCHITECTURE.md
    ;;
--check)
    bad=0
    [ "$(table)" = "$(written)" ] ||
        { echo "docs/ARCHITECTURE.md: the table of rooms is old; run tools/rooms.sh --write"; bad=1; }
    for room in $(awk '/^[a-z]/ { print $1 }' src/rooms.txt); do
        [ -f "src/$room/README.md" ] || { echo "src/$room has no README.md"; bad=1; }
    done
    for folder in src/*/; do
        room=$(basename "$folder")
        grep -q "^$room *|" src/rooms.txt || { echo "src/$room is not in src/rooms.txt"; bad=1; }
    done
    exit $bad
    ;;
*)
    echo "usage: tools/rooms.sh --write | --check" >&2
    exit 2
    ;;
esac
