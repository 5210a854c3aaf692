#!/bin/sh
# SPDX-License-Identifier: MIT
# make_samplers.sh [PICTURES]: measures samplers and steps on the shipped model and writes the table into
# docs/SAMPLERS.md. LDM: the program (default build/ldm). With 512 pictures, which the Frechet distance needs to
# settle, it takes about half an hour; the number of pictures stands above the table.
set -eu
cd "$(dirname "$0")/.."
n=${1:-512}
ldm=${LDM:-build/ldm}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$ldm" compare --sweep sampler=ddim,pndm_prk,dpmpp_2m,unipc --sweep steps=5,10,20,50,200 -n "$n" -o "$dir/grid" \
    --quiet >/dev/null
# The command as it is typed from here on, without this folder.
sed "s|-o $dir/grid|-o grid|; s|    .*ldm compare|    ldm compare|" "$dir/grid/sweep.md" >"$dir/table"
{ echo; cat "$dir/table"; echo; } >"$dir/spaced"
tools/splice.sh docs/SAMPLERS.md '<!-- sweep -->' '<!-- /sweep -->' "$dir/spaced" >"$dir/doc"
cat "$dir/doc" >docs/SAMPLERS.md
cp "$dir/grid/sweep.svg" docs/img/samplers.svg
