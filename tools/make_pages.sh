#!/bin/sh
# SPDX-License-Identifier: MIT
# Writes manual pages and completions of a program from its own tables:
#
#   tools/make_pages.sh PROGRAM FOLDER [TABLES-OPTION ...]
#
# runs `PROGRAM help tables` (or with the options given instead) and writes FOLDER/man/NAME.1, one page a
# command (NAME-COMMAND.1), and FOLDER/bash/NAME, FOLDER/zsh/_NAME and FOLDER/fish/NAME.fish.
# src/cli/overview.h describes the rows.
set -eu
if [ $# -lt 2 ]; then
    echo "usage: tools/make_pages.sh PROGRAM FOLDER [TABLES-OPTION ...]" >&2
    exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
program=$1 folder=$2
shift 2
[ $# -gt 0 ] || set -- help tables

mkdir -p "$folder/man" "$folder/bash" "$folder/zsh" "$folder/fish"
tables=$(mktemp)
trap 'rm -f "$tables"' EXIT
"$program" "$@" >"$tables"
name=$(awk -F '\t' '$1 == "program" { print $2 }' "$tables")
[ -n "$name" ] || { echo "make_pages: '$program $*' prints no tables" >&2; exit 1; }

pages() { awk -v folder="$folder/man" -f "$here/pages/columns.awk" -f "$here/pages/man.awk" "$tables"; }
shell() { awk -f "$here/pages/columns.awk" -f "$here/pages/$1.awk" "$tables"; }

rm -f "$folder/man/$name.1" "$folder/man/$name"-*.1
pages
shell bash >"$folder/bash/$name"
shell zsh >"$folder/zsh/_$name"
shell fish >"$folder/fish/$name.fish"
