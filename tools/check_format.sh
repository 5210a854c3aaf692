#!/bin/sh
# SPDX-License-Identifier: MIT
# Compares the layout of the C sources with .clang-format; --write lays them out. Tables that a program
# wrote ("Written by tools/...") are left as they are. Other versions of clang-format break lines
# otherwise, so only Debian 12's is asked; without it the check is skipped (exit code 77), and says so.
set -eu
cd "$(dirname "$0")/.."
VERSION=14

tool=
for name in "clang-format-$VERSION" clang-format; do
    if command -v "$name" >/dev/null && "$name" --version | grep -q "version $VERSION\."; then
        tool=$name
        break
    fi
done
if [ -z "$tool" ]; then
    echo "skipped: the layout of the sources (no clang-format $VERSION; apt-get install clang-format)"
    exit 77
fi
list=$(mktemp)
trap 'rm -f "$list"' EXIT
find src include tests fuzz examples -type f \( -name '*.c' -o -name '*.h' -o -name '*.inc' \) 2>/dev/null |
    sort | xargs grep -L 'Written by tools/' >"$list"
if [ "${1:-}" = --write ]; then
    xargs "$tool" -i <"$list"
    exit
fi
xargs "$tool" --dry-run -Werror <"$list" || {
    echo "some files are laid out otherwise; run: make format"
    exit 1
}
echo "$(wc -l <"$list") files, as $tool lays them out"
