# SPDX-License-Identifier: MIT
# ldm generate --resume: keeps the pictures of this run, makes the others, touches no other run's.

RUN="generate $TINY --steps 3 --quiet"
works $RUN -n 6 -o whole --grid --npz

# Nothing there yet, not even the folder: an ordinary run.
works $RUN -n 6 -o part --resume
[ "$(wc -l <"$OUT")" -eq 6 ] || die "expected six names"
same whole/00002.png part/00002.png

# Pictures missing in the middle and at the end; temporary files of a broken run and of others.
rm part/00001.png part/00003.png part/00004.png part/00005.png
: >part/00004.png.part-aB3xYz
: >part/grid.png.part-aB3xYz
: >part/samples.npz.part-aB3xYz
: >part/00004.png.part-long-name
: >part/notes.png.part-aB3xYz
: >part/00004.txt.part-aB3xYz
stat -c %i part/00000.png >inode
works $RUN -n 6 -o part --resume --grid --npz --batch 2 --json
stdout_has '"kept": 2'
stdout_has '"asked": 6'
[ "$(grep -c '"kept": true' "$OUT")" -eq 2 ] || die "expected two kept pictures"
[ "$(grep -c '"part/0000.\.png",$' "$OUT")" -ge 6 ] || die "expected six names"
[ "$(stat -c %i part/00000.png)" = "$(cat inode)" ] || die "a kept picture was written again"
for f in 00000.png 00001.png 00002.png 00003.png 00004.png 00005.png grid.png samples.npz; do
    same whole/$f part/$f
done
[ "$(find part -name '*part-*' | wc -l)" -eq 3 ] || die "wrong temporary files are gone: $(ls part)"
rm part/*.part-* # they were nobody's

# stdout names what was made: nothing now, but the sheets come again.
rm part/grid.png
works $RUN -n 6 -o part --resume --grid
stdout_is part/grid.png
same whole/grid.png part/grid.png
# More pictures of the same run (its PNGs say how many were asked for).
works $RUN -n 8 -o part --resume
stdout_is "part/00006.png
part/00007.png"
works $RUN -n 8 -o eight
same_pixels eight/00000.png part/00000.png
same eight/00007.png part/00007.png
works generate $TINY --steps 3 -n 8 -o part --resume
stderr_has 'note: 8 of 8 pictures are there already and kept'
# --like says the same options; the checkpoint's name is no difference.
cp "$CKPT" copy.ckpt
works generate --ckpt copy.ckpt --config "$CONFIG" --steps 3 -n 8 -o part --resume --quiet
stdout_is ''

# Other runs: the first difference is named, nothing is overwritten or removed.
other()
{
    want=$1
    shift
    fails 1 "^ldm generate: part/00000.png is of another run \($want\); give" \
        generate $TINY --quiet -n 9 -o part --resume "$@"
}
other 'steps: 3 there, 4 here' --steps 4
other 'seed: 42 there, 41 here' --steps 3 --seed 41
other 'eta: 0.0 there, 0.1 here' --steps 3 --eta 0.1
other 'cache: 1 there, 2 here' --steps 3 --cache 2
other 'vary: 0 there, 9 here' --steps 3 --vary 9 --vary-strength 0.5
other 'cache: 1 there, 2 here' --steps 3 --cache 2
other 'timesteps: "compvis" there, "leading" here' --steps 3 --timesteps leading
other 'quantize: true there, false here' --steps 3 --no-quantize
other 'quantize_x0: false there, true here' --steps 3 --quantize-x0
other 'weights: "EMA" there, "raw" here' --steps 3 --no-ema
other 'precision: "f32" there, "exact" here' --steps 3 --precision exact
other 'shape: \[3,16,16\] there, \[3,8,8\] here' --steps 3 --shape 3,8,8
other 'config, line [0-9]+: .* there, .*scale_factor: 0.9" here' --steps 3 \
    --set model.params.scale_factor=0.9
LC_ALL=C sed 's/ZZZZZZZZ/YZZZZZZZ/' "$CKPT" >copy.ckpt # padding only: it stays readable
other "checkpoint's SHA-256: \"[0-9a-f]{64}\" there, \"[0-9a-f]{64}\" here" --steps 3 --ckpt copy.ckpt
mkdir moved
cp part/00001.png moved/00000.png
fails 1 'moved/00000.png is of another run \(seed: 43 there, 42 here\)' $RUN -n 2 -o moved --resume

# Files that are no such pictures.
mkdir odd
cp part/grid.png odd/00000.png
fails 1 'odd/00000.png is of another run .sheet' $RUN -n 2 -o odd --resume
head -c 9000 part/00000.png >odd/00000.png
fails 1 'odd/00000.png' $RUN -n 2 -o odd --resume
mkdir sub sub/00000.png
fails 1 'sub/00000.png' $RUN -n 2 -o sub --resume

# What it cannot do is said before any work.
npy x.npy '(2, 3, 16, 16)' 6144
fails 2 '--resume with --x-t: .* does not hold the array' $RUN --x-t x.npy -o part --resume
npy mask.npy '(1, 1, 16, 16)' 1024
fails 2 '--resume with --mask:' $RUN -n 2 --mask mask.npy --x0 x.npy -o part --resume
fails 2 '--resume with --save-latent: kept pictures are PNGs' $RUN -n 2 -o part --save-latent z.npy \
    --resume
fails 2 '--resume with --save-image:' $RUN -n 2 -o part --save-image i.npy --resume
fails 2 "--resume goes on with a folder of pictures, 'face.png' is one picture" $RUN -o face.png \
    --resume

# Fewer pictures than the folder holds: what is made of all of them is made of these alone, with a note.
works generate $TINY --steps 3 -n 4 -o wide --grid --npz --quiet
works generate $TINY --steps 3 -n 5 -o wide --grid --npz --resume
stderr_lacks 'will be replaced'
works generate $TINY --steps 3 -n 2 -o wide --grid --npz --resume
stderr_has 'note: wide/grid.png will be replaced, by one of the 2 pictures that this command asks for; the folder holds more'
stderr_has 'note: wide/samples.npz will be replaced'
works generate $TINY --steps 3 -n 2 -o wide --resume
stderr_lacks 'will be replaced'

# Not while another run is at work in the folder.
if command -v flock >/dev/null; then
    flock part "$LDM" $RUN -n 8 -o part --resume >"$OUT" 2>"$ERR" && die "expected a refusal"
    stderr_has 'part/: another ldm is at work in this folder'
else
    skipped "two runs in one folder (no flock)"
fi
