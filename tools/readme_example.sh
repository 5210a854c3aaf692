#!/bin/sh
# SPDX-License-Identifier: MIT
# Puts examples/generate.c into README.md, between its marks (--write), or says whether it stands there
# (--check, a test).
set -eu
cd "$(dirname "$0")/.."

block() {
    echo '```c'
    cat examples/generate.c
    echo '```'
}

written() {
    sed -n '/<!-- example -->/,/<!-- \/example -->/p' README.md | sed '1d;$d'
}

case ${1:-} in
--write)
    new=$(mktemp)
    trap 'rm -f "$new"' EXIT
    block >"$new"
    page=$(tools/splice.sh README.md '<!-- example -->' '<!-- /example -->' "$new")
    printf '%s\n' "$page" >README.md
    ;;
--check)
    [ "$(block)" = "$(written)" ] ||
        { echo "README.md does not show examples/generate.c; run tools/readme_example.sh --write"; exit 1; }
    ;;
*)
    echo "usage: tools/readme_example.sh --write | --check" >&2
    exit 2
    ;;
esac
