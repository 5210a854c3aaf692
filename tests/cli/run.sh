#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs one command-line test: tests/cli/run.sh PROGRAM SCRIPT [ARGUMENTS OF THE SCRIPT]. The script is
# read with the functions below at hand, in an empty folder of its own that is removed afterwards. It
# ends at the first expectation that is not met, and says which. tests/cli/helpers.sh tests the
# functions themselves.
#
# LDM_PIXELS names the program that compares pictures (tests/cli/png_pixels.c); without it, it is looked for
# where the builds put it: beside the program, or in the release tree below it.
set -eu

LDM=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
SCRIPT=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
SRC=$(cd "$(dirname "$0")/../.." && pwd)
CKPT=$SRC/tests/data/tiny/model.ckpt
CONFIG=$SRC/tests/data/tiny/config.yaml
TINY="--ckpt $CKPT --config $CONFIG"

PIXELS=${LDM_PIXELS:-}
for place in "${LDM%/*}/tests/pixels" "${LDM%/*}/release/tests/pixels"; do
    [ -n "$PIXELS" ] || [ ! -x "$place" ] || PIXELS=$place
done
[ -n "$PIXELS" ] || { echo "tests/cli/run.sh: no pixels program; build the tests, or set LDM_PIXELS"; exit 1; }

ROOM=$(mktemp -d "${TMPDIR:-/tmp}/ldm-cli.XXXXXX")
trap 'rm -rf "$ROOM"' EXIT
mkdir "$ROOM/work" "$ROOM/said"
OUT=$ROOM/said/stdout
ERR=$ROOM/said/stderr
cd "$ROOM/work"
unset LDM_MAX_ISA
# Tests with a terminal say themselves where it is a dumb one, and what else the caller's might say.
export TERM=xterm
unset NO_COLOR COLUMNS

die()
{
    echo "FAILED: $*"
    echo "command: ldm ${COMMAND:-}"
    echo "exit code: ${CODE:-}"
    echo "--- stdout"; head -c 2000 "$OUT" 2>/dev/null || :
    echo "--- stderr"; head -c 2000 "$ERR" 2>/dev/null || :
    exit 1
}

# ldm ARGUMENTS: runs the program; its output is in $OUT and $ERR, its exit code in $CODE.
ldm()
{
    COMMAND=$*
    CODE=0
    "$LDM" "$@" >"$OUT" 2>"$ERR" </dev/null || CODE=$?
}

# skipped WHAT: a part of this test cannot run here. tools/run_tests.sh counts and lists these lines.
skipped()
{
    echo "skipped: $*"
}

# Names and contents of all that is in the folder.
folder_state()
{
    find . | sort
    find . -type f -exec cksum {} + | sort -k 3
}

# LeakSanitizer remarks on a thread that ended while it looked, and goes on: no word of the program's.
without_leak_checker()
{
    grep -v '^==[0-9]*==Unable to get registers from thread [0-9]*\.$' "$ERR" >"$ROOM/said/own" || :
    cp "$ROOM/said/own" "$ERR"
}

# fails CODE PATTERN ARGUMENTS: a wrong input. Nothing on stdout, one line on stderr that matches the
# extended regular expression, no file made or changed.
fails()
{
    want=$1 pattern=$2
    shift 2
    before=$(folder_state)
    ldm "$@"
    [ "$CODE" -eq "$want" ] || die "expected exit code $want"
    [ ! -s "$OUT" ] || die "expected nothing on stdout"
    [ "$(wc -l <"$ERR")" -eq 1 ] || without_leak_checker
    [ "$(wc -l <"$ERR")" -eq 1 ] || die "expected one line on stderr"
    grep -Eq -e "$pattern" "$ERR" || die "expected on stderr: $pattern"
    [ "$before" = "$(folder_state)" ] || die "a file appeared, went or changed: $(folder_state)"
}

# works ARGUMENTS: must end with exit code 0.
works()
{
    ldm "$@"
    [ "$CODE" -eq 0 ] || die "expected success"
}

# file_has FILE PATTERN, file_lacks FILE PATTERN: extended regular expressions. A file that cannot be
# read, and a pattern that is none, meet neither expectation.
file_has()
{
    grep -Eq -e "$2" "$1" || die "expected in $1: $2"
}

file_lacks()
{
    rc=0
    grep -Eq -e "$2" "$1" || rc=$?
    [ "$rc" -eq 1 ] || die "not expected in $1 (grep: $rc): $2"
}

stdout_is()
{
    [ "$(cat "$OUT")" = "$1" ] || die "expected exactly this on stdout: $1"
    [ -n "$1" ] || [ ! -s "$OUT" ] || die "expected nothing on stdout"
}

stdout_has()
{
    file_has "$OUT" "$1"
}

stdout_lacks()
{
    file_lacks "$OUT" "$1"
}

stderr_has()
{
    file_has "$ERR" "$1"
}

stderr_lacks()
{
    file_lacks "$ERR" "$1"
}

stderr_empty()
{
    [ ! -s "$ERR" ] || without_leak_checker
    [ ! -s "$ERR" ] || die "expected nothing on stderr"
}

# These files and no others are in the folder.
files_are()
{
    found=$(find . -type f | sed 's|^\./||' | sort | tr '\n' ' ')
    [ "$found" = "$(printf '%s\n' "$@" | sort | tr '\n' ' ')" ] || die "files: $found, expected: $*"
}

same()
{
    cmp -s "$1" "$2" || die "$1 and $2 differ, or one is missing"
}

# Both are there, and their bytes differ.
differ()
{
    rc=0
    cmp -s "$1" "$2" || rc=$?
    [ "$rc" -eq 1 ] || die "$1 and $2 are the same, or one is missing (cmp: $rc)"
}

# same_folder A B [PATTERN]: the same files with the same bytes. Lines of diff -rq that match the
# pattern are no difference ('^Only in A' where B may lack files).
same_folder()
{
    rc=0
    diff -rq "$1" "$2" >"$ROOM/said/diff" 2>&1 || rc=$?
    [ "$rc" -le 1 ] || die "diff of $1 and $2: $(cat "$ROOM/said/diff")"
    ! grep -Ev -e "${3:-^$}" "$ROOM/said/diff" >"$ROOM/said/differences" ||
        die "$1 and $2 differ: $(cat "$ROOM/said/differences")"
}

# No temporary file of an unfinished result is in the folder, which must exist.
no_part_files()
{
    [ -d "$1" ] || die "there is no folder $1"
    [ -z "$(find "$1" -name '*part-*')" ] || die "a temporary file was left: $(find "$1" -name '*part-*')"
}

# npy FILE SHAPE [BYTES]: a float32 array of zeros, e.g. npy x.npy '(1, 3, 16, 16)' 3072
npy()
{
    {
        printf '\223NUMPY\001\000v\000'
        printf '%-117s\n' "{'descr': '<f4', 'fortran_order': False, 'shape': $2, }"
        head -c "$3" /dev/zero
    } >"$1"
}

# shipped_scale: the guidance that the shipped model portrait recommends
shipped_scale()
{
    sed -n 's/^    scale: //p' "$SRC/models/portrait/config.yaml"
}

# The two PNGs show the same picture, byte by byte once decoded; their text chunks may differ.
same_pixels()
{
    rc=0
    "$PIXELS" "$1" "$2" >"$ROOM/said/pixels" 2>&1 || rc=$?
    [ "$rc" -eq 0 ] || die "$1 and $2 are not the same picture: $(cat "$ROOM/said/pixels")"
}

shift 2
. "$SCRIPT"
