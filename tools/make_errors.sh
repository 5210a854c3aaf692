#!/bin/sh
# SPDX-License-Identifier: MIT
# docs/ERRORS.md is made of two sources: the messages in the code, and what docs/errors.txt says about
# them.
#
#   tools/make_errors.sh --write   writes docs/ERRORS.md
#   tools/make_errors.sh --check   is it up to date? (a test)
#   tools/make_errors.sh --list    every message: room, status, text
#
# Messages are the first string literals in the calls of the functions below, with "…" in the place of
# what is filled in; those that only pass a text on ("%s") and notes are left out.
#
# docs/errors.txt is Markdown with three kinds of lines beside it:
#
#   > MESSAGE       a message, letter by letter as --list prints it. Messages on adjacent lines share
#                   the explanation below them
#   ~ MESSAGE       one that --list does not find, because the code puts it together in another way; the
#                   first 25 bytes after its last "…" must stand in the sources
#       WORDS       (four blanks) what it means, or what to do
#
# A message that the file does not name is listed at the end, without an explanation. A line "> ..." that
# no message matches is an error: the explanation belongs to a message that has changed.
set -eu
cd "$(dirname "$0")/.."

messages()
{
    find src -name '*.c' ! -name '*_test.c' ! -name 'testing.c' ! -name '*_testing.c' | sort |
        while read -r file; do
            room=${file#src/}
            awk -v room="${room%%/*}" '
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
    # The text of a call after its opening bracket to the closing one.
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
            status = "–"
            if (match(call, /LDM_ERR_[A-Z]+/))
                status = substr(call, RSTART + 8, RLENGTH - 8)
            else if (name == "ldm_cli_usage")
                status = "USAGE"
            else if (name == "ldm_value_error")
                status = "CONFIG"
            print room "\t" status "\t" message
        }
    }' "$file"
        done
}

page()
{
    awk -v list="$work/messages" '
    function shown(s) {
        gsub(/[|]/, "\\|", s)
        return s ~ /`/ ? "`` " s " ``" : "`" s "`"
    }
    function row(text, n, i) {
        if (!in_table && blank)
            print ""
        blank = 0
        if (!in_table)
            print "| message | status | room | what it means, what to do |\n|---|---|---|---|"
        in_table = 1
        for (i = 1; i <= n; i++) {
            printf "| %s | %s | %s | %s |\n", shown(entry[i]), statuses[entry[i]], rooms[entry[i]], text
        }
    }
    function flush(text) {
        if (n)
            row(text, n)
        n = 0
    }
    BEGIN {
        FS = "\t"
        while ((getline < list) > 0) {
            if (!($3 in statuses)) {
                order[++count] = $3
                statuses[$3] = $2
                rooms[$3] = $1
                continue
            }
            if (index(" " statuses[$3] ",", " " $2 ",") == 0)
                statuses[$3] = statuses[$3] ", " $2
            if (index(" " rooms[$3] ",", " " $1 ",") == 0)
                rooms[$3] = rooms[$3] ", " $1
        }
        if (count < 200) {
            print "only " count " messages found: does tools/make_errors.sh still fit the sources?" >"/dev/stderr"
            exit bad = 1
        }
    }
    /^[>~] / {
        text = substr($0, 3)
        if (/^>/ && !(text in statuses)) {
            print "docs/errors.txt:" NR ": no such message in the sources: " text >"/dev/stderr"
            bad = 1
        }
        if (/^~/) {
            statuses[text] = "–"
            rooms[text] = "–"
        }
        entry[++n] = text
        named[text] = 1
        next
    }
    /^    / && n {
        flush(substr($0, 5))
        next
    }
    /^$/ {
        flush("")
        blank = 1
        next
    }
    {
        flush("")
        if (blank || in_table)
            print ""
        blank = 0
        in_table = 0
        print
    }
    END {
        if (bad)
            exit 1
        flush("")
        in_table = 0
        for (k = 1; k <= count; k++) {
            if (order[k] in named)
                continue
            if (!in_table)
                print "\n## Others\n\nMessages that docs/errors.txt does not explain.\n"
            entry[1] = order[k]
            row("", 1)
        }
    }' docs/errors.txt
}

case ${1:-} in
--list) messages; exit ;;
--write | --check) ;;
*) echo "usage: tools/make_errors.sh --write | --check | --list" >&2; exit 2 ;;
esac
work=$(mktemp -d "${TMPDIR:-/tmp}/ldm-errors.XXXXXX")
trap 'rm -rf "$work"' EXIT
messages >"$work/messages"
sed -n 's/^~ //p' docs/errors.txt | sed 's/……*$//; s/.*…//; s/^" *//' | cut -b 1-25 |
    while read -r words; do
        grep -rqF --include='*.c' -e "$words" src || echo "docs/errors.txt: nothing in the sources says: $words"
    done >"$work/gone"
[ ! -s "$work/gone" ] || { cat "$work/gone"; exit 1; }
page >"$work/page"
if [ "$1" = --write ]; then
    cat "$work/page" >docs/ERRORS.md
elif ! diff -u docs/ERRORS.md "$work/page"; then
    echo "docs/ERRORS.md is old; run: tools/make_errors.sh --write"
    exit 1
fi
echo "$(wc -l <"$work/messages") messages"
