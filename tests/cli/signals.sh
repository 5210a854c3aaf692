# SPDX-License-Identifier: MIT
# Interrupts end after the current step and keep what is done; a closed or full stdout is noticed; the
# bar is drawn on terminals only.

# timeout sends the signal once the run is well under way: with --foreground to the program alone. Without,
# its process group gets it too, and now and then the second comes apart from the first and ends the run.
COMMAND='generate, interrupted'
CODE=0
timeout --foreground -s INT 2 "$LDM" generate $TINY --steps 20 -n 5000 --batch 1 --threads 1 -o many \
    --save-latent z.npy --json >"$OUT" 2>"$ERR" || CODE=$?
# timeout itself says 124 when it had to send the signal; the program's code is in the JSON's absence.
[ "$CODE" -eq 124 ] || die "expected the run to be interrupted"
stderr_has 'interrupted: [1-9][0-9]* of 5000 pictures are done and kept'
stdout_has '"interrupted": true'
CODE=0
timeout --foreground --preserve-status -s INT 1 "$LDM" generate $TINY --steps 1000 -n 500 --threads 1 -o many2 \
    --quiet >"$OUT" 2>"$ERR" || CODE=$?
[ "$CODE" -eq 130 ] || die "expected exit code 130"
CODE=0
timeout --foreground --preserve-status -s TERM 1 "$LDM" generate $TINY --steps 1000 -n 500 --threads 1 -o many3 \
    --quiet >"$OUT" 2>"$ERR" || CODE=$?
[ "$CODE" -eq 143 ] || die "expected exit code 143"
# No half-written file: the pictures that are there can be read; the last ones of each run are looked
# at, for only those can have been at work.
count=0
for f in $(for folder in many*/; do ls "$folder"*.png 2>/dev/null | tail -n 8; done); do
    same_pixels "$f" "$f"
    count=$((count + 1))
done
[ $count -gt 0 ] || die "no run was interrupted after its first picture"

# Output that cannot be delivered is a failure.
COMMAND='check >/dev/full'
CODE=0
"$LDM" check $TINY >/dev/full 2>"$ERR" || CODE=$?
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stderr_has 'writing to stdout failed'
COMMAND='check | (reads nothing)'
{ CODE=0; sleep 0.5; "$LDM" check $TINY 2>"$ERR" || CODE=$?; echo $CODE >"$ROOM/said/code"; } | :
[ "$(cat "$ROOM/said/code")" -eq 141 ] || die "expected exit code 141, as a program that SIGPIPE ends"
stderr_empty

# A terminal on stderr gets a bar; a file does not.
works generate $TINY --steps 5 -o face.png
stderr_lacks 'step/s'
if command -v script >/dev/null; then
    COMMAND='generate, in a terminal'
    script -qec "stty cols 120; '$LDM' generate $TINY --steps 50 -n 4 --batch 1 -o four" /dev/null >"$OUT" 2>&1 \
        </dev/null || die "expected success"
    stdout_has 'sampling \[#*\.*\] [0-9]+/50  ETA 0:.* [0-9.]+ step/s'
    stdout_has 'picture 1 of 4'
    # As wide as the window, and no step count stands for decoding.
    for columns in 40 60 80; do
        COMMAND="generate, in $columns columns"
        script -qec "stty cols $columns; '$LDM' generate $TINY --steps 100 -n 2 -o w$columns >/dev/null" /dev/null \
            >"$OUT" 2>&1 </dev/null || die "expected success"
        tr '\r' '\n' <"$OUT" | grep '\[K' | sed 's/^.*\[K//' >lines
        grep -q '^sampling \[' lines || die "no bar"
        awk -v most=$columns 'length($0) >= most { exit 1 }' lines || die "a bar wider than $columns columns"
        ! grep -q 'decoding.*100' lines || die "steps beside decoding"
    done
    COMMAND='generate, in a dumb terminal'
    TERM=dumb script -qec "'$LDM' generate $TINY --steps 50 -o dumb/" /dev/null >"$OUT" 2>&1 </dev/null || die "expected success"
    stdout_lacks 'sampling \['
    COMMAND='check, in a terminal'
    script -qec "stty cols 60; '$LDM' check $TINY --all" /dev/null >"$OUT" 2>&1 </dev/null || die "expected success"
    stdout_has "$(printf '\033')\["
    for how in NO_COLOR=1 TERM=dumb; do
        env $how script -qec "stty cols 60; '$LDM' check $TINY --all" /dev/null >"$OUT" 2>&1 </dev/null || die "expected success"
        stdout_lacks "$(printf '\033')\["
        # Whole words alone are longer than the window.
        tr -d '\r' <"$OUT" | grep -v '^  Next: ' | awk 'length($0) > 60 && $0 ~ /[^ ] +[^ ]/ { print; exit 1 }' >long || die "a line too wide: $(cat long)"
    done
else
    skipped "the bar in a terminal (no script)"
fi

# A conversion that is ended leaves nothing, under no name.
for t in 0.01 0.02 0.04 0.08; do
    COMMAND="convert, ended after $t s"
    CODE=0
    timeout --foreground -s INT "$t" "$LDM" convert -o ended.safetensors --overwrite >"$OUT" 2>"$ERR" </dev/null || CODE=$?
    no_part_files .
    [ "$CODE" -eq 0 ] || [ ! -e ended.safetensors ] || [ -e ended.yaml ] || die "a file without its YAML"
done

# Commands that make no pictures for their own sake say it, too, and how to go on.
mkdir layers
printf 'ldm: {sampling: {eta: 1}}\n' >layers/a.yaml
printf 'ldm: {sampling: {eta: 0}}\n' >layers/b.yaml
for command in 'layers/a.yaml layers/b.yaml' '--sweep eta=0,1'; do
    COMMAND="compare, interrupted: $command"
    CODE=0
    timeout --foreground --preserve-status -s INT 1 "$LDM" compare $command $TINY --set ldm.sampling.steps=500 -n 500 -o compared \
        --overwrite >"$OUT" 2>"$ERR" </dev/null || CODE=$?
    [ "$CODE" -eq 130 ] || die "expected exit code 130"
    stderr_has 'interrupted: the pictures that are done are kept, and there is no report; the same command with --overwrite begins again'
done
COMMAND='doctor, interrupted'
for json in '' --json; do
    CODE=0
    timeout --foreground --preserve-status -s INT 0.5 "$LDM" doctor --ckpt "$SRC/models/portrait/model.ckpt" --config none \
        --write-config half.yaml $json >"$OUT" 2>"$ERR" </dev/null || CODE=$?
    [ "$CODE" -eq 130 ] || die "expected exit code 130"
    stderr_has '^ldm doctor: interrupted: nothing is concluded, and nothing is written$'
    [ -z "$json" ] || stdout_has '"error": "interrupted: '
    [ ! -e half.yaml ] || die "a configuration of half an examination"
done

# Commands that measure say what there is of it. ended CODE SIGNAL SECONDS COMMAND ...
ended()
{
    want=$1 signal=$2 seconds=$3
    shift 3
    COMMAND="$*, ended by $signal"
    CODE=0
    timeout --foreground --preserve-status -s "$signal" "$seconds" "$LDM" "$@" >"$OUT" 2>"$ERR" </dev/null || CODE=$?
    [ "$CODE" -eq "$want" ] || die "expected exit code $want"
    [ "$(grep -c interrupted "$ERR")" -eq 1 ] || die "expected one line that says so"
}
for json in '' --json; do
    ended 130 INT 1 bench $TINY --rounds 100000 --plot roof.svg $json
    stderr_has '^ldm bench: interrupted: nothing is reported, and nothing is written$'
    [ -z "$json" ] || stdout_has '"error": "interrupted: nothing is reported'
    [ ! -e roof.svg ] || die "a plot of nothing"
done
ended 143 TERM 1 bench $TINY --rounds 100000
npy many.npy '(20000, 3, 8, 8)' 15360000
for json in '' --json; do
    ended 130 INT 0.7 eval $TINY --part unet --t 10 --in many.npy -o eps.npy $json
    stderr_has '^ldm eval: interrupted: nothing is written$'
    [ -z "$json" ] || stdout_has '"error": "interrupted: nothing is written"'
    [ ! -e eps.npy ] || die "eps of half an evaluation"
done
# The first sample is dumped, and the others are still computed.
ended 130 INT 0.7 eval $TINY --part unet --t 10 --in many.npy -o eps.npy --dump blocks
stderr_has 'interrupted: eps.npy is not written, and not all arrays of the dump .* blocks; .* --overwrite begins again$'
no_part_files blocks

# 400 times the same picture.
works generate $TINY --steps 1 --size 256 -o large.png --quiet
mkdir set
i=0
while [ $i -lt 400 ]; do cat large.png; i=$((i + 1)); done | split -a 3 -b "$(wc -c <large.png)" --additional-suffix=.png - set/
ended 130 INT 2 metrics set
stderr_has '^ldm metrics: interrupted: [1-9][0-9]* pictures are measured; the others are not$'
stdout_has 'brightness'
ended 130 INT 2 metrics set --json
tail -n 1 "$OUT" | grep -q '^\]$' || die "no whole array"
ended 130 INT 2 metrics set --summary $TINY --write-stats set.stats
stderr_has '^ldm metrics: interrupted: [1-9][0-9]* pictures are measured, and there is no summary; no statistics are written$'
stdout_is ''
[ ! -e set.stats ] || die "statistics of half a set"
ended 130 INT 0.5 metrics --psnr set set
stderr_has '^ldm metrics: interrupted: [0-9]+ pairs? (is|are) compared; the others are not, and there are no means$'
stdout_lacks 'pairs equal'
ended 130 INT 0.5 metrics --psnr set set --json
stdout_has '"error": "interrupted: '
