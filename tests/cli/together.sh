# SPDX-License-Identifier: MIT
# Commands that are started at the same moment: none takes the folder or the file of another.

# both COMMAND -- COMMAND: runs the two together; their exit codes are in $FIRST and $SECOND, what they
# said in 1.out, 1.err, 2.out and 2.err beside the folder.
SAID=$ROOM/said
both()
{
    COMMAND="$*, together" CODE= line=
    while [ "$1" != -- ]; do
        line="$line $1"
        shift
    done
    shift
    # the words hold no blanks
    "$LDM" $line >"$SAID/1.out" 2>"$SAID/1.err" </dev/null &
    one=$!
    "$LDM" "$@" >"$SAID/2.out" 2>"$SAID/2.err" </dev/null &
    two=$!
    FIRST=0 SECOND=0
    wait $one || FIRST=$?
    wait $two || SECOND=$?
    cat "$SAID/1.out" "$SAID/2.out" >"$OUT"
    cat "$SAID/1.err" "$SAID/2.err" >"$ERR"
}

# One of the two worked, the other was refused.
one_worked()
{
    [ "$((FIRST + SECOND))" -eq 1 ] || die "expected the exit codes 0 and 1: $FIRST, $SECOND"
    stderr_has "$1"
    [ "$(wc -l <"$ERR")" -eq 1 ] || die "expected one line on stderr"
}
busy='another ldm is at work in this folder|holds .* files? of an(other| earlier) run'

RUN="generate $TINY --steps 3 --quiet"

# Without -o each run has a folder of its own, and stdout names it.
for i in 1 2 3; do
    both $RUN --seed 11 -- $RUN --seed 22
    [ "$FIRST$SECOND" = 00 ] || die "expected success: $FIRST, $SECOND"
    "$LDM" inspect "$(cat "$SAID/1.out")" | grep -q 'seed.* 11' || die "1.out names another's picture"
    "$LDM" inspect "$(cat "$SAID/2.out")" | grep -q 'seed.* 22' || die "2.out names another's picture"
done
[ "$(find generated_outputs -name 00000.png | wc -l)" -eq 6 ] || die "a picture is lost"
[ "$(find generated_outputs -mindepth 1 -type d | wc -l)" -eq 6 ] || die "an empty folder stayed"
# The sheets are in the same folder as the pictures.
both $RUN --seed 1 --grid --npz -- $RUN --seed 2 --grid --npz
for i in 0007 0008; do
    ls "generated_outputs/$i" | tr '\n' ' ' | grep -q '^00000.png grid.png samples.npz $' ||
        die "files are missing in $i"
done

# Two runs in one new folder, and in one that is there: the second is refused, and the first whole.
whole()
{
    [ "$FIRST" -eq 0 ] && seed=1 || seed=1000
    works $RUN -n 6 --seed $seed -o "$1-alone"
    same_folder "$1-alone" "$1"
    rm -r "$1-alone"
}
both $RUN -n 6 --seed 1 -o p/c -- $RUN -n 6 --seed 1000 -o p/c
one_worked "$busy"
whole p/c
mkdir there
both $RUN -n 6 --seed 1 -o there -- $RUN -n 6 --seed 1000 -o there/
one_worked "$busy"
whole there
both $RUN -n 6 --seed 1 -o p/c --overwrite -- $RUN -n 6 --seed 1000 -o p/c --overwrite
[ "$FIRST$SECOND" = 00 ] || one_worked "$busy" # one after the other is fine
# Processes of one run go on sharing a folder, and one that is not among them is refused.
both $RUN -n 6 --seed 1 -o ranks --rank 0 --of 2 -- $RUN -n 6 --seed 1 -o ranks --rank 1 --of 2
[ "$FIRST$SECOND" = 00 ] || die "expected success: $FIRST, $SECOND"
works $RUN -n 6 --seed 1 -o alone
same_folder ranks alone '^Only in ranks: .ldm-run'

# While another is at work: before the model is read, and the folder stays as it was.
if command -v flock >/dev/null; then
    for command in "$RUN -n 2 -o alone --overwrite" "interpolate 1 2 $TINY --steps 2 --frames 3 -o alone" \
        "compare $TINY --sweep steps=2,3 -n 2 -o alone" "merge ranks -o alone"; do
        before=$(folder_state)
        flock alone "$LDM" $command >"$OUT" 2>"$ERR" </dev/null && die "expected a refusal: $command"
        stderr_has 'another ldm is at work in this folder; wait for its end'
        [ "$before" = "$(folder_state)" ] || die "a file appeared, went or changed: $command"
    done
else
    skipped "commands in a folder that another has locked (no flock)"
fi
# What fails leaves no folder behind.
ldm $RUN -o new/folder --set model.params.scale_factor=1e-38
[ "$CODE" -eq 1 ] || die "expected exit code 1"
[ ! -e new ] || die "an empty folder stayed"
fails 1 'one, cannot|cannot' interpolate one.png two.png $TINY --frames 3 -o new/folder

# The same of frames, reports and reconstructions.
WALK="interpolate $TINY --steps 2 --frames 3 --quiet"
both $WALK 1 2 -o walk -- $WALK 3 4 -o walk
one_worked 'another ldm is at work in this folder|00000.png is there already'
SWEEP="compare $TINY -n 2 --quiet --sweep"
both $SWEEP steps=2,3 -o swept -- $SWEEP steps=3,4 -o swept
one_worked 'another ldm is at work in this folder|sweep.md is there already'
mkdir a b
cp p/c/00000.png a/x.png
cp p/c/00001.png b/x.png
both reconstruct $TINY a/x.png -o back/ --quiet -- reconstruct $TINY b/x.png -o back/ --quiet
[ "$FIRST$SECOND" = 00 ] && die "one picture is lost"
stderr_has 'x.png is there already'
# Other names in one folder are no collision.
cp b/x.png b/y.png
both reconstruct $TINY a/x.png -o more/ --quiet -- reconstruct $TINY b/y.png -o more/ --quiet
[ "$FIRST$SECOND" = 00 ] || die "expected success: $FIRST, $SECOND"
# The configuration that ldm doctor makes.
both doctor --ckpt "$CKPT" --write-config new.yaml -- doctor --ckpt "$CKPT" --write-config new.yaml
[ "$(grep -c 'is written to new.yaml' "$ERR")" -eq 1 ] || die "expected that one is written"
stderr_has 'new.yaml is there already'
