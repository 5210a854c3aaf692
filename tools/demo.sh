#!/bin/sh
# SPDX-License-Identifier: MIT
# The end of `make demo`: a sheet of the shipped default model, four pictures of each of four prompts, and where
# it is.
set -eu
cd "$(dirname "$0")/.."

out=generated_outputs/demo
mkdir -p generated_outputs
build/ldm generate --prompts models/portrait/prompts.txt -n 4 --grid -o "$out/" --overwrite >/dev/null
echo
echo "The sheet is $PWD/$out/grid.png; its rows show, from the top:"
sed 's/^/    /' models/portrait/prompts.txt
echo "Another one: build/ldm generate --prompt 'a woman with blond hair and a red hat' -n 4 -o mine/"
