#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the study on both shipped models (ldm compare --ablate) and sweeps of portrait, and puts what the program
# printed into docs/STUDY.md: after "<!-- report MODEL -->" the tables of the report, after "<!-- sweep SETTING -->" the
# table of the sweep, after "<!-- $ COMMAND -->" the command's output. All end at "<!-- end -->".
#   LDM      the program (build/ldm)      COUNT  pictures of each (64)
#   OUT      folder of pictures and reports (generated_outputs/study)
#   MODELS   whose part is measured again ("demo portrait"; empty: the text is written from what OUT holds)
set -eu
cd "$(dirname "$0")/.."

LDM=${LDM:-build/ldm}
COUNT=${COUNT:-64}
OUT=${OUT:-generated_outputs/study}
PATH=$(cd "$(dirname "$LDM")" && pwd):$PATH
export PATH

mkdir -p "$OUT" docs/study
MODELS=${MODELS-demo portrait}
for model in $MODELS; do
    ldm compare --model "$model" -n "$COUNT" --ablate --overwrite --out "$OUT/$model" --quiet >/dev/null
    for side in approach1 approach2; do
        cp "$OUT/$model/${side}_samples/grid.png" "docs/study/$model-$side.png"
    done
done
for sweep in scale=1,1.5,2,3,5,7.5,10,15 uncond=none,zeros scale_to=0.1,0.2,0.3,0.5,0.7,1 steps=5,10,20,50,100,200 eta=0,0.25,0.5,0.75,1; do
    name=${sweep%%=*}
    case " $MODELS " in *" portrait "*) ;; *) continue ;; esac
    whole= # guidance over all steps, as the study has it
    case $name in scale | uncond) whole="--set ldm.sampling.scale_to=1.0" ;; esac
    ldm compare --model portrait --sweep "$sweep" $whole -n "$COUNT" --overwrite --out "$OUT/$name" --quiet >/dev/null
    sed -i "s| --out $OUT/$name||; s| --overwrite||; s| --quiet||" "$OUT/$name/sweep.md"
    [ "$name" = uncond ] || cp "$OUT/$name/sweep.svg" "docs/study/$name.svg"
done

tmp=$(mktemp)
trap 'rm -f "$tmp"' EXIT
awk -v out="$OUT" '
function put(line) {
    if (line != "" || last != "") print line
    last = line
}
function put_report(model,    line, left_out) {
    while ((getline line < (out "/" model "/report.md")) > 0) {
        if (line ~ /^## /) left_out = line ~ /^## Seed by seed/
        if (left_out || line ~ /^# / || line ~ /^## Pictures/) continue
        if (line ~ /^!\[/) {
            sub(/\(/, "(study/" model "-", line)
            sub(/_samples\/grid\.png/, ".png", line)
        }
        sub(/^## /, "#### ", line)
        sub(/^### /, "#### ", line)
        put(line)
    }
}
function put_sweep(name,    line) {
    while ((getline line < (out "/" name "/sweep.md")) > 0)
        put(line)
}
/^<!-- end -->$/ { skip = 0 }
skip { next }
{ print }
/^<!-- (report|sweep) [a-z_]+ -->$/ {
    kept = out "/" $3 ($2 == "report" ? "/report.md" : "/sweep.md")
    if ((getline line < kept) < 0) next # not measured this time
    close(kept)
    skip = 1
    last = "-"
    put("")
    if ($2 == "report")
        put_report($3)
    else
        put_sweep($3)
    put("")
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
echo "docs/STUDY.md is up to date; the reports are $OUT/demo/report.html and $OUT/portrait/report.html"
