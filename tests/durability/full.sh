# SPDX-License-Identifier: MIT
# Output that cannot be written: one line, exit code 1, nothing unfinished under any name.

RUN="generate $TINY --steps 1 --quiet"

# ends_in PATTERN FOLDER: how the last command must have ended.
ends_in()
{
    [ "$CODE" -eq 1 ] || die "expected exit code 1"
    [ "$(wc -l <"$ERR")" -eq 1 ] || die "expected one line on stderr"
    stderr_has "$1"
    no_part_files "$2"
}

# limited BYTES ARGUMENTS: no file may become larger (SIGXFSZ would kill the process).
limited()
{
    COMMAND="$*"
    bytes=$1
    shift
    CODE=0
    (
        ulimit -f $((bytes / 512))
        exec "$LDM" "$@" >/dev/null 2>"$ROOM/said/pipe"
    ) || CODE=$?
    cp "$ROOM/said/pipe" "$ERR"
    : >"$OUT"
}

works $RUN -n 6 -o whole --grid --npz
limited 4096 $RUN -n 6 -o none
ends_in '^ldm generate: cannot write none/00000.png: File too large' .
[ ! -e none ] || die "files: $(ls -A none)" # a folder that was made and stayed empty goes again
limited 4096 $RUN -o one.png
ends_in '^ldm generate: cannot write one.png: File too large' .
[ ! -e one.png ] || die "one.png is there"
# Pictures fit, collections do not: the pictures stay.
limited 16384 $RUN -n 6 -o npz --npz
ends_in '^ldm generate: cannot write npz/samples.npz: File too large' npz
[ "$(ls npz | wc -l)" -eq 6 ] || die "expected the six pictures: $(ls npz)"
limited 16384 $RUN -n 6 -o grid --grid
ends_in '^ldm generate: cannot write grid/grid.png: File too large' grid
limited 16384 $RUN -n 6 -o z --save-latent z.npy
ends_in '^ldm generate: cannot write z.npy: File too large' .
limited 16384 $RUN -n 6 -o i --save-image i.npy
ends_in '^ldm generate: cannot write i.npy: File too large' .
[ ! -e z.npy ] && [ ! -e i.npy ] || die "an array is there"
limited 16384 convert $TINY --quiet -o c.safetensors
ends_in '^ldm convert: cannot write c.safetensors: File too large' .
limited 16384 convert $TINY --quiet --to diffusers -o c
ends_in '^ldm convert: cannot write .*: File too large' .
[ ! -e c.safetensors ] && [ ! -e c ] || die "a model is there"
limited 4096 interpolate whole/00000.png whole/00001.png --ckpt "$CKPT" --config "$CONFIG" --frames 3 --quiet -o walk.png
ends_in '^ldm interpolate: cannot write walk.png: File too large' .
# An older file under the name survives.
echo old >z.npy
limited 16384 $RUN -n 6 -o z --save-latent z.npy
[ "$(cat z.npy)" = old ] || die "z.npy was touched"
# Once there is room again, the run goes on.
works $RUN -n 6 -o npz --npz --grid --resume
stdout_is 'npz/grid.png
npz/samples.npz'
same_folder whole npz

# A full disk, and one that is read-only, where this machine lets us make them.
mkdir disk
if [ "$(id -u)" -eq 0 ] && mount -t tmpfs -o size=64k ldm-test disk 2>/dev/null; then
    trap 'umount disk 2>/dev/null || :; cd /; rm -rf "$ROOM"' EXIT
    ldm $RUN -n 6 -o disk/six --grid
    ends_in '^ldm generate: cannot write disk/six/0000[0-9].png: No space left on device' disk/six
    [ "$(ls disk/six | wc -l)" -ge 1 ] || die "no picture was made"
    for f in disk/six/*; do
        same "$f" "whole/${f##*/}"
    done
    mount -o remount,size=1m disk
    works $RUN -n 6 -o disk/six --grid --npz --resume
    same_folder whole disk/six
    mount -o remount,ro disk
    fails 1 "^ldm generate: -o: cannot write to folder 'disk/six': Read-only file system" $RUN -n 7 \
        -o disk/six --resume
    fails 1 "Read-only file system" $RUN -o disk/face.png
    fails 1 "Read-only file system" $RUN -o f.png --save-latent disk/z.npy
    umount disk
else
    skipped "a full and a read-only disk (needs root and mount)"
fi
mkdir fixed
if chattr +i fixed 2>/dev/null; then
    fails 1 "^ldm generate: -o: cannot write to folder 'fixed': Operation not permitted" $RUN -n 2 \
        -o fixed
    fails 1 "Operation not permitted" $RUN -o fixed/face.png
    chattr -i fixed
else
    skipped "a folder that nobody may change (needs root and chattr +i)"
fi

# stdout that is full, closed, or a pipe that nobody reads: the pictures are made all the same.
for kind in full closed; do
    COMMAND="generate, stdout $kind"
    CODE=0
    rm -rf said
    case $kind in
    full) "$LDM" $RUN -n 2 -o said >/dev/full 2>"$ERR" || CODE=$? ;;
    closed) "$LDM" $RUN -n 2 -o said >&- 2>"$ERR" || CODE=$? ;;
    esac
    ends_in '^ldm: writing to stdout failed' said
    [ "$(ls said)" = "00000.png
00001.png" ] || die "files: $(ls said)"
    same_pixels said/00001.png whole/00001.png
done
COMMAND='generate | (reads nothing)'
rm -r said
{ CODE=0; sleep 0.3; "$LDM" $RUN -n 2 -o said 2>"$ERR" || CODE=$?; echo $CODE >"$ROOM/said/code"; } | :
CODE=$(cat "$ROOM/said/code")
# The reader went: silent, with the code of a program that SIGPIPE ends; the pictures are made.
[ "$CODE" -eq 141 ] || die "expected exit code 141"
stderr_empty
same_pixels said/00001.png whole/00001.png
# stderr closed as well: no file gets its number, so no message ends up in a picture.
CODE=0
"$LDM" generate $TINY --steps 1 -n 2 -o quiet >&- 2>&- <&- || CODE=$?
[ "$CODE" -eq 1 ] || die "expected exit code 1"
same_pixels quiet/00000.png whole/00000.png
same_pixels quiet/00001.png whole/00001.png # no message went into it
