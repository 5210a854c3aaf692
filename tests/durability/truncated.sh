# SPDX-License-Identifier: MIT
# A checkpoint that is cut off, overwritten or replaced while ldm has it mapped and in use, or is to
# load the decoder from it, at the first picture.

RUN="generate --ckpt m.ckpt --config $CONFIG --steps 500 --shape 3,8,8 --threads 1 -o face.png"

# after_open DOES...: starts a run, waits until it samples, and runs the command. The exit code goes to
# CODE. A run that was faster than that is tried again.
after_open()
{
    tries=0
    while :; do
        tries=$((tries + 1))
        rm -f face.png
        cp "$CKPT" m.ckpt
        COMMAND="$RUN (while: $*)"
        CODE=0
        : >"$ERR"
        "$LDM" $RUN >"$OUT" 2>"$ERR" </dev/null &
        pid=$!
        until grep -q '^pictures' "$ERR"; do
            kill -0 $pid 2>/dev/null || die "the run ended by itself"
            sleep 0.005
        done
        "$@"
        wait $pid || CODE=$?
        [ $CODE -eq 0 ] && [ $tries -lt 5 ] || break
    done
    no_part_files .
}

one_line()
{
    [ $CODE -eq 1 ] || die "expected exit code 1"
    grep -Ev '^(ldm generate: note:|model |sampling |guidance |latent |pictures )' "$ERR" \
        >"$ROOM/said/line" || :
    [ "$(wc -l <"$ROOM/said/line")" -eq 1 ] || die "expected one line: $(cat "$ROOM/said/line")"
    grep -Eq "$1" "$ROOM/said/line" || die "expected: $1"
    [ ! -e face.png ] || die "a picture was made of it"
    [ ! -s "$OUT" ] || die "expected nothing on stdout"
}

gone='^ldm: m.ckpt: part of the file went away while it was read: it was cut off or replaced'
changed='^ldm generate: m.ckpt was changed while it was in use; load it again'

after_open truncate -s 0 m.ckpt
one_line "$gone"
after_open truncate -s 4096 m.ckpt
one_line "$gone"
# Cut off and filled again: whatever the decoder sees, it is not used.
overwrite()
{
    head -c 700000 "$CKPT" >m.ckpt
}
after_open overwrite
one_line "$gone|$changed"
zeros()
{
    head -c "$(stat -c %s "$CKPT")" /dev/zero | dd of=m.ckpt conv=notrunc status=none
}
after_open zeros
one_line "$changed"
longer()
{
    echo more >>m.ckpt
}
after_open longer
one_line "$changed"

# Another file under the name, or none: what was opened is still there.
replace()
{
    printf 'no checkpoint\n' >other
    mv other m.ckpt
}
after_open replace
[ $CODE -eq 0 ] || die "expected success"
mv face.png replaced.png
after_open rm m.ckpt
[ $CODE -eq 0 ] || die "expected success"
same_pixels face.png replaced.png
