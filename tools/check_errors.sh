#!/bin/sh
# Every message that an error can end with stands in docs/ERRORS.md, letter by letter, with "…" in the
# place of what is filled in. `tools/check_errors.sh --list` prints them all: FILE, a tab, the message.
#
# Messages are the first string literals in the calls of the functions below; those that only pass a
# text on ("%s") and notes are left out.
set -eu
cd "$(dirname "$0")/.."

messages()
{
    find src -name '*.c' ! -name '*_test.c' ! -name 'testing.c' ! -name '*_testing.c' | sort |
        while read -r file; do
            awk -v file="$file" '
    BEGIN {
        n = split("ldm_error_set ldm_error_at ldm_error_at_line ldm_error_wrap ldm_value_error " \
                  "ldm_source_error ldm_cli_say ldm_cli_usage FAIL fail failed", names, " ")
        for (i = 1; i <= n; i++)
            speaks[names[i]] = 1
    }
    { text = text $0 "\n" }
    # The literals that stand together at the first quote of s, as one text.
    function literal(s,    out, c) {
        out = ""
        s = substr(s, index(s, "\"") + 1)
        for (;;) {
            c = substr(s, 1, 1)
            if (c == "\\") {
                out = out (substr(s, 2, 1) == "n" ? "\n" : substr(s, 2, 1))
                s = substr(s, 3)
            } else if (c != "\"") {
                out = out c
                s = substr(s, 2)
            } else if (match(s, /^"[ \n]*(PRI[a-zA-Z0-9]+[ \n]*)?"/)) {
                if (substr(s, 1, RLENGTH) ~ /PRI/)
                    out = out "u"
                s = substr(s, RLENGTH + 1)
            } else if (match(s, /^"[ \n]*PRI[a-zA-Z0-9]+/)) {
                return out "u"
            } else {
                return out
            }
        }
    }
    # The text of a call from behind its opening bracket to the closing one.
    function arguments(s,    depth, i, c, quoted) {
        depth = 1
        quoted = 0
        for (i = 1; i <= length(s); i++) {
            c = substr(s, i, 1)
            if (quoted) {
                if (c == "\\")
                    i++
                else if (c == "\"")
                    quoted = 0
            } else if (c == "\"") {
                quoted = 1
            } else if (c == "(") {
                depth++
            } else if (c == ")" && --depth == 0) {
                return substr(s, 1, i)
            }
        }
        return ""
    }
    END {
        while (match(text, /[A-Za-z_][A-Za-z_0-9]*\(/)) {
            name = substr(text, RSTART, RLENGTH - 1)
            text = substr(text, RSTART + RLENGTH)
            if (!(name in speaks))
                continue
            call = arguments(substr(text, 1, 3000))
            if (!index(call, "\""))
                continue
            message = literal(call)
            gsub(/%[-+ #0-9.*]*(hh|h|ll|l|z|j)?[diuxXcsfgeGp]/, "…", message)
            gsub(/\n/, "\\n", message)
            plain = message
            gsub(/…/, "", plain)
            if (plain !~ /[a-z][a-z]/ || message !~ / / || message ~ /^note: /)
                continue
            sub(/ +$/, "", message) # what follows is appended
            print file "\t" message
        }
    }' "$file"
        done
}

if [ "${1:-}" = --list ]; then
    messages
    exit
fi
messages >"${TMPDIR:-/tmp}/ldm-messages.$$"
trap 'rm -f "${TMPDIR:-/tmp}/ldm-messages.$$"' EXIT
count=0 missing=0
while IFS='	' read -r file message; do
    count=$((count + 1))
    if ! grep -qF -e "$message" docs/ERRORS.md; then
        echo "$file: not in docs/ERRORS.md: $message"
        missing=$((missing + 1))
    fi
done <"${TMPDIR:-/tmp}/ldm-messages.$$"
[ "$count" -gt 200 ] || { echo "only $count messages found: does this script still fit the sources?"; exit 1; }
echo "$count messages, $missing not in docs/ERRORS.md"
[ "$missing" -eq 0 ]
