#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the study (ldm compare --ablate) and puts what the program printed into docs/STUDY.md: the tables
# of its report after "<!-- report -->", the output of each "<!-- $ COMMAND -->" after that line. Both end
# at "<!-- end -->".
#   LDM      the program (build/ldm)      COUNT  pictures of each (64)
#   OUT      folder of pictures and report (generated_outputs/study)
set -eu
cd "$(dirname "$0")/.."

LDM=${LDM:-build/ldm}
COUNT=${COUNT:-64}
OUT=${OUT:-generated_outputs/study}
PATH=$(cd "$(dirname "$LDM")" && pwd):$PATH
export PATH

ldm compare -n "$COUNT" --ablate --overwrite --out "$OUT" >/dev/null
mkdir -p docs/study
for side in approach1 approach2; do
    cp "$OUT/${side}_samples/grid.png" "docs/study/$side.png"
done

tmp=$(mktemp)
trap 'rm -f "$tmp"' EXIT
awk -v report="$OUT/report.md" '
/^<!-- end -->$/ { skip = 0 }
skip { next }
{ print }
/^<!-- report -->$/ {
    skip = 1
    print ""
    while ((getline line < report) > 0) {
        if (line ~ /^# / || line ~ /^## Pictures/) continue
        if (line ~ /^!\[/) {
            sub(/\(/, "(study/", line)
            sub(/_samples\/grid\.png/, ".png", line)
        }
        sub(/^## /, "### ", line)
        if (line != "" || last != "") print line
        last = line
    }
    if (last != "") print ""
}
/^<!-- \$ .* -->$/ {
    skip = 1
    command = $0
    sub(/^<!-- \$ /, "", command)
    sub(/ -->$/, "", command)
    print "\n    $ " command
    while ((command | getline line) > 0) print "    " line
    close(command)
    print ""
}' docs/STUDY.md >"$tmp"
cat "$tmp" >docs/STUDY.md
echo "docs/STUDY.md is up to date; the report is $OUT/report.html"
