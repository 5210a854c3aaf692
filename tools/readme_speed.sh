#!/bin/sh
# SPDX-License-Identifier: MIT
# The README's tables of speed, from bench/results/*.csv, between their marks: faces, and pictures of Stable
# Diffusion 1. Without an option they are written anew; with --check they are compared, and the exit code is 1
# if the README says something else.
set -eu
cd "$(dirname "$0")/.."
README=README.md

# table KIND: one line a file of that kind, face or guided: what a picture of 50 steps takes, 50 evaluations and
# a decode of the medians, here and in PyTorch; and the rows whose program is "bars".
table()
{
    for file in bench/results/*.csv; do
        case $file in *-rounds.csv) continue ;; esac
        awk -F, -v page="${file%.csv}.md" -v kind="$1" '
            # "# cpu: name, with commas"
            /^# cpu: / { cpu = substr($0, 8) }
            /^# threads: / { threads = substr($0, 12) }
            $2 == "bars" {
                n++; value[$3] = $4; isa[$3] = $1
                of = $8 # quoted where it has a comma
                for (i = 9; i <= NF; i++)
                    of = of "," $i
                gsub(/"/, "", of)
                peer[$3] = of
            }
            $2 == "ldm" || $2 == "PyTorch eager" { seconds[$1, $2, $3] = $4 }
            function against(name) {
                return name in value ? sprintf("%.2f× (%s)", value[name], peer[name]) : "–"
            }
            function whole(isa, program) {
                if (!((isa, program, "eps") in seconds) || !((isa, program, "decode") in seconds))
                    return "–"
                return sprintf("%.0f s", 50 * seconds[isa, program, "eps"] + seconds[isa, program, "decode"])
            }
            function memory(isa, program) {
                if (!((isa, program, "memory") in seconds))
                    return "–"
                return sprintf("%.1f GB", seconds[isa, program, "memory"] / 1e9)
            }
            END {
                guided = "guided_fastest" in isa
                if (!n || guided != (kind == "guided"))
                    exit
                fastest = guided ? "guided_fastest" : "eps_fastest"
                best = fastest in isa ? isa[fastest] : "capped"
                last = memory(best, "ldm") " (" memory(best, "PyTorch eager") ")"
                if (guided)
                    last = against("guided_sdcpp")
                printf "| [%s](%s), %s threads, %s | **%s** | %s | %s | %s | %s |\n", cpu, page, threads, best,
                    whole(best, "ldm"), whole(best, "PyTorch eager"), against(fastest),
                    against("decode_fastest"), last
            }' "$file"
    done
}

faces()
{
    echo '| processor | a 256 × 256 face of 50 steps | in PyTorch | fastest peer, evaluation | fastest peer, decode | peak memory (PyTorch) |'
    echo '|---|---|---|---|---|---|'
    table face
}

stable_diffusion()
{
    echo '| processor | a 512 × 512 picture of 50 guided steps | in PyTorch | fastest peer, guided evaluation | fastest peer, decode | stable-diffusion.cpp, evaluation |'
    echo '|---|---|---|---|---|---|'
    table guided
}

new=$(mktemp "${TMPDIR:-/tmp}/ldm-readme.XXXXXX")
trap 'rm -f "$new" "$new.table" "$new.faces"' EXIT
faces >"$new.table"
tools/splice.sh "$README" '<!-- speed: written by tools/readme_speed.sh -->' '<!-- /speed -->' "$new.table" >"$new.faces"
machines=$(($(wc -l <"$new.table") - 2))
stable_diffusion >"$new.table"
tools/splice.sh "$new.faces" '<!-- speed of Stable Diffusion 1: written by tools/readme_speed.sh -->' \
    '<!-- /speed of Stable Diffusion 1 -->' "$new.table" >"$new"
if [ "${1:-}" = --check ]; then
    diff -u "$README" "$new" || {
        echo "$README: the tables of speed are not those of bench/results; run tools/readme_speed.sh"
        exit 1
    }
    echo "$machines machines, $(($(wc -l <"$new.table") - 2)) with Stable Diffusion 1"
else
    cat "$new" >"$README"
fi
