#!/bin/sh
# Runs one command-line test: tests/cli/run.sh PROGRAM SCRIPT [ARGUMENTS OF THE SCRIPT]. The script is
# read with the functions below at hand, in an empty folder of its own that is removed afterwards. It
# ends at the first expectation that is not met, and says which.
set -eu

LDM=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
SCRIPT=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
SRC=$(cd "$(dirname "$0")/../.." && pwd)
CKPT=$SRC/tests/data/tiny/model.ckpt
CONFIG=$SRC/tests/data/tiny/config.yaml
TINY="--ckpt $CKPT --config $CONFIG"

ROOM=$(mktemp -d "${TMPDIR:-/tmp}/ldm-cli.XXXXXX")
trap 'rm -rf "$ROOM"' EXIT
mkdir "$ROOM/work" "$ROOM/said"
OUT=$ROOM/said/stdout
ERR=$ROOM/said/stderr
cd "$ROOM/work"
unset LDM_MAX_ISA

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

# fails CODE PATTERN ARGUMENTS: a wrong input. Nothing on stdout, one line on stderr that matches the
# extended regular expression, no file made or changed.
fails()
{
    want=$1 pattern=$2
    shift 2
    before=$(find . | sort)
    ldm "$@"
    [ "$CODE" -eq "$want" ] || die "expected exit code $want"
    [ ! -s "$OUT" ] || die "expected nothing on stdout"
    [ "$(wc -l <"$ERR")" -eq 1 ] || die "expected one line on stderr"
    grep -Eq -e "$pattern" "$ERR" || die "expected on stderr: $pattern"
    [ "$before" = "$(find . | sort)" ] || die "a file appeared or went: $(find . | sort)"
}

# works ARGUMENTS: must end with exit code 0.
works()
{
    ldm "$@"
    [ "$CODE" -eq 0 ] || die "expected success"
}

stdout_is()
{
    [ "$(cat "$OUT")" = "$1" ] || die "expected exactly this on stdout: $1"
}

stdout_has()
{
    grep -Eq -e "$1" "$OUT" || die "expected on stdout: $1"
}

stdout_lacks()
{
    ! grep -Eq -e "$1" "$OUT" || die "not expected on stdout: $1"
}

stderr_has()
{
    grep -Eq -e "$1" "$ERR" || die "expected on stderr: $1"
}

stderr_lacks()
{
    ! grep -Eq -e "$1" "$ERR" || die "not expected on stderr: $1"
}

stderr_empty()
{
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
    cmp -s "$1" "$2" || die "$1 and $2 differ"
}

differ()
{
    ! cmp -s "$1" "$2" || die "$1 and $2 are the same"
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

# pixels A B: the two PNGs hold the same pictures (their text chunks may differ).
same_pixels()
{
    "$LDM" metrics "$1" | tail -n +2 >"$ROOM/said/a"
    "$LDM" metrics "$2" | tail -n +2 >"$ROOM/said/b"
    cmp -s "$ROOM/said/a" "$ROOM/said/b" || die "$1 and $2 show different pictures"
}

shift 2
. "$SCRIPT"
