#!/bin/sh
# SPDX-License-Identifier: MIT
# Measures what --cache saves and costs with the shipped model demo (ldm bench --cache) and puts the table into
# README.md, between "<!-- cache -->" and "<!-- /cache -->".
#   LDM  the program (build/ldm)      SEEDS  pictures of each row (8)
set -eu
cd "$(dirname "$0")/.."

LDM=${LDM:-build/ldm}
SEEDS=${SEEDS:-8}
tmp=$(mktemp)
trap 'rm -f "$tmp" "$tmp.readme"' EXIT

row()
{
    "$LDM" bench --model demo --rounds 1 --steps "$1" --cache "$2" --seeds "$SEEDS" | awk -v steps="$1" -v every="$2" '
        $1 == "step" && $2 == "faster" { faster = $4 + 0 }
        $1 == "latent," { latent = $4 }
        $1 == "picture," { psnr = $3 }
        match($0, /[0-9]+ steps evaluate the whole network/) { whole = substr($0, RSTART) + 0 }
        END {
            if (!whole || !faster || latent == "" || !psnr)
                exit 1
            printf "| %s | %s | %d | %.1f× | %.2g | %.0f dB |\n", steps, every, whole, faster, latent, psnr
        }'
}

{
    echo '| steps | `--cache` | whole evaluations | step faster by | latent | picture |'
    echo '|---|---|---|---|---|---|'
    row 50 2
    row 50 3
    row 50 5
    row 150 3
} >"$tmp"
tools/splice.sh README.md '<!-- cache -->' '<!-- /cache -->' "$tmp" >"$tmp.readme"
cat "$tmp.readme" >README.md
cat "$tmp"
