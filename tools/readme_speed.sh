#!/bin/sh
# SPDX-License-Identifier: MIT
# The README's table of speed, from bench/results/*.csv, between its two marks. Without an option it is
# written anew; with --check it is compared, and the exit code is 1 if the README says something else.
set -eu
cd "$(dirname "$0")/.."
README=README.md
BEGIN='<!-- speed: written by tools/readme_speed.sh -->'
END='<!-- /speed -->'

# One line a file: what a face of 50 steps takes, 50 evaluations and a decode of the medians, here and in
# PyTorch; and the rows whose program is "bars".
table()
{
    echo '| processor | a 256 × 256 face of 50 steps | in PyTorch | fastest peer, evaluation | fastest peer, decode | peak memory (PyTorch) |'
    echo '|---|---|---|---|---|---|'
    for file in bench/results/*.csv; do
        case $file in *-rounds.csv) continue ;; esac
        awk -F, -v page="${file%.csv}.md" '
            # "# cpu: name, with commas"
            /^# cpu: / { cpu = substr($0, 8) }
            /^# threads: / { threads = substr($0, 12) }
            $2 == "bars" { n++; value[$3] = $4; isa[$3] = $1; peer[$3] = $8 }
            $2 == "ldm" || $2 == "PyTorch eager" { seconds[$1, $2, $3] = $4 }
            function against(name) {
                return name in value ? sprintf("%.2f× (%s)", value[name], peer[name]) : "–"
            }
            function face(isa, program) {
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
                if (!n)
                    exit
                best = "eps_fastest" in isa ? isa["eps_fastest"] : "capped"
                printf "| [%s](%s), %s threads, %s | **%s** | %s | %s | %s | %s (%s) |\n", cpu, page, threads,
                    best, face(best, "ldm"), face(best, "PyTorch eager"), against("eps_fastest"),
                    against("decode_fastest"), memory(best, "ldm"), memory(best, "PyTorch eager")
            }' "$file"
    done
}

new=$(mktemp "${TMPDIR:-/tmp}/ldm-readme.XXXXXX")
trap 'rm -f "$new" "$new.table"' EXIT
table >"$new.table"
tools/splice.sh "$README" "$BEGIN" "$END" "$new.table" >"$new"
if [ "${1:-}" = --check ]; then
    diff -u "$README" "$new" || {
        echo "$README: the table of speed is not that of bench/results; run tools/readme_speed.sh"
        exit 1
    }
    echo "$(($(wc -l <"$new.table") - 2)) machines"
else
    cat "$new" >"$README"
fi
