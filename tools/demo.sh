#!/bin/sh
# SPDX-License-Identifier: MIT
# The end of `make demo`: a picture from the shipped default model, where it is, and its figures.
set -eu
cd "$(dirname "$0")/.."

out=generated_outputs/demo.png
mkdir -p generated_outputs
build/ldm generate -o "$out" >/dev/null
echo
echo "The picture is $PWD/$out"
build/ldm metrics "$out"
