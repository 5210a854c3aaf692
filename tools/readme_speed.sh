#!/bin/sh
# The README's table of speed, from bench/results/*.csv, between its two marks. Without an option it is
# written anew; with --check it is compared, and the exit code is 1 if the README says something else.
set -eu
cd "$(dirname "$0")/.."
README=README.md
BEGIN='<!-- speed: written by tools/readme_speed.sh -->'
END='<!-- /speed -->'

# One line a file: the rows whose program is "bars".
table()
{
    echo '| machine | evaluation | decode | evaluation, AVX2 | ready | than PyTorch | peak memory | of PyTorch | batch of 8 | study, once | study, twice |'
    echo '|---|---|---|---|---|---|---|---|---|---|---|'
    for file in bench/results/*.csv; do
        case $file in *-rounds.csv) continue ;; esac
        awk -F, -v page="${file%.csv}.md" '
            # "# cpu: name, with commas"
            /^# cpu: / { cpu = substr($0, 8) }
            /^# threads: / { threads = substr($0, 12) }
            $2 == "bars" { n++; value[$3] = $4; isa[$3] = $1; peer[$3] = $8 }
            function shown(name, digits, unit) {
                return name in value ? sprintf("%.*f%s", digits, value[name], unit) : "–"
            }
            function against(name) {
                return name in value ? sprintf("%.2f× (%s)", value[name], peer[name]) : "–"
            }
            END {
                if (!n)
                    exit
                best = "eps_fastest" in isa ? isa["eps_fastest"] : "capped"
                printf "| [%s](%s), %s threads, %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n",
                    cpu, page, threads, best, against("eps_fastest"), against("decode_fastest"),
                    against("eps_fastest_avx2"), shown("ready", 2, " s"), shown("load_pytorch", 1, "×"),
                    shown("memory", 2, " GB"), shown("memory_of_pytorch", 2, "×"), shown("batch8", 2, "×"),
                    shown("study_once", 1, "×"), shown("study_twice", 1, "×")
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
