# SPDX-License-Identifier: MIT
# ldm generate: what is written where.

works generate $TINY --steps 2 -o face.png
stdout_is face.png
stderr_has '2 steps: sampler ddim,'
files_are face.png
works metrics face.png
stdout_has '^face.png: 64 x 64$'

# The same seed gives the same file; another seed another picture; what is there is replaced.
works generate $TINY --steps 2 -o again.png
same face.png again.png
works generate $TINY --steps 2 --seed 43 -o again.png
differ face.png again.png
rm again.png

# A trailing slash, an existing folder or several pictures: a folder of numbered files.
works generate $TINY --steps 2 -o new/deep/
stdout_is new/deep/00000.png
works generate $TINY --steps 2 -o new
stdout_is new/00000.png
same_pixels new/00000.png face.png
works generate $TINY --steps 2 -n 3 -o three --grid --npz
stdout_is 'three/00000.png
three/00001.png
three/00002.png
three/grid.png
three/samples.npz'
same_pixels three/00000.png face.png
files_are face.png new/00000.png new/deep/00000.png three/00000.png three/00001.png \
    three/00002.png three/grid.png three/samples.npz
ldm metrics three/grid.png
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stderr_has 'three/grid.png is a contact sheet of 3 pictures and is skipped'
stderr_has 'only contact sheets and animations were given'
rm -r new

# Picture i has seed + i, whatever the batch and the threads.
works generate $TINY --steps 2 --seed 44 -o one.png
same_pixels three/00002.png one.png
works generate $TINY --steps 2 -n 3 -o single --batch 1 --threads 1
works generate $TINY --steps 2 -n 3 -o triple --batch 3 --threads 2
for i in 0 1 2; do
    same_pixels single/0000$i.png triple/0000$i.png
    same_pixels single/0000$i.png three/0000$i.png
done
rm -r single triple three one.png

# --cache: 1 is none, more gives other pictures that depend on the seed alone; the configuration may
# ask for it, and the line wins.
RUN="generate $TINY --steps 8 --quiet"
works $RUN -o whole.png
works $RUN --cache 1 -o off.png
same whole.png off.png
works generate $TINY --steps 8 --cache 4 -n 3 -o cached
stderr_has 'note: cache 4: 2 of 8 steps evaluate the whole network, 6 its outermost blocks alone'
works $RUN --cache 4 -n 3 -o single --batch 1 --threads 1
for i in 0 1 2; do
    same cached/0000$i.png single/0000$i.png
done
works $RUN --cache 4 -o four.png --seed 42
same_pixels four.png cached/00000.png
works $RUN --cache 4 -o four.png --save-latent four.npy
works $RUN -o whole.png --save-latent whole.npy
differ four.npy whole.npy
printf 'ldm:\n  sampling: {cache: 4}\n' >cache.yaml
works $RUN --config cache.yaml -o layer.png
same_pixels layer.png four.png
works $RUN --config cache.yaml --cache 1 -o layer.png
same_pixels layer.png whole.png
works $RUN --cache 4 -n 3 -o cached --dry-run --json
stdout_has '"per_shallow_eps": '
rm -r whole.png off.png cached single four.png four.npy whole.npy cache.yaml layer.png

# No -o: a folder for each run, so that none replaces another, nor --like its own source.
works generate $TINY --steps 1
stdout_is generated_outputs/0001/00000.png
works generate $TINY --steps 1 --seed 2 -n 2 --grid
stdout_is 'generated_outputs/0002/00000.png
generated_outputs/0002/00001.png
generated_outputs/0002/grid.png'
works generate --ckpt "$CKPT" --like generated_outputs/0002/00001.png --steps 2
stdout_is generated_outputs/0003/00000.png
rm generated_outputs/0003/00000.png
works generate $TINY --steps 1 --seed 3 -n 2 --resume
stdout_is 'generated_outputs/0003/00000.png
generated_outputs/0003/00001.png'
rm -r generated_outputs

# A picture under a run's name that no run made.
mkdir foreign
cp "$SRC/tests/data/pictures/rgb16.png" foreign/00000.png
for count in 1 2; do
    fails 1 "^ldm generate: -o: folder 'foreign/' holds 00000.png, which has no recipe: ldm did not make it" \
        generate $TINY --steps 1 -n $count -o foreign
    stderr_lacks resume
done
rm -r foreign

# A named folder: pictures of another run are no prey.
works generate $TINY --steps 1 -n 3 -o faces/ --grid
cp -r faces before
fails 1 "^ldm generate: -o: folder 'faces/' holds 4 files of another run; --overwrite" \
    generate $TINY --steps 1 -n 2 --eta 1 -o faces/
# The same command once more: it is done.
fails 1 "^ldm generate: -o: folder 'faces/' holds the 3 pictures of this command already, complete: nothing is left" \
    generate $TINY --steps 1 -n 3 -o faces/ --grid
fails 1 "'faces/' holds the 1 picture of this command already" generate $TINY --steps 1 -o faces
fails 1 "'faces/' holds 4 files of an earlier run: name another folder; or --resume goes on with it, if it was this very run" generate $TINY --steps 1 -n 4 -o faces/
fails 1 "'faces/' holds 4 files of an earlier run: name another folder; or --resume goes on with it, if it was this very run" generate $TINY --steps 1 -n 3 -o faces/ --npz
fails 1 "'faces/' holds 4 files of another run" generate $TINY --steps 1 -n 3 --seed -1 -o faces/ --quiet
works generate $TINY --steps 1 -n 4 -o faces/ --grid --resume
rm faces/00003.png
cp before/grid.png faces/grid.png
for i in 00000 00001 00002 grid; do same faces/$i.png before/$i.png; done
fails 2 'give one of the two' generate $TINY -n 2 -o faces --resume --overwrite
works generate $TINY --steps 1 -n 2 --seed 9 -o faces/ --overwrite
stderr_has "note: 2 files of another run stay in folder 'faces/'"
differ faces/00000.png before/00000.png
same faces/00002.png before/00002.png
works generate $TINY --steps 1 -o faces/a.png
stderr_lacks 'replaced'
works generate $TINY --steps 1 -o faces/a.png
stderr_has 'note: faces/a.png is there already and will be replaced'
rm -r faces before

# Arrays.
works generate $TINY --steps 2 -n 2 -o two --save-latent z.npy --save-image x.npy
head -c 128 z.npy | grep -q "'shape': (2, 3, 16, 16)" || die "shape of z.npy"
head -c 128 x.npy | grep -q "'shape': (2, 3, 64, 64)" || die "shape of x.npy"
[ "$(wc -c <z.npy)" -eq $((128 + 2 * 3 * 16 * 16 * 4)) ] || die "size of z.npy"

# The sheet of one picture is the picture; --npz lies beside it.
works generate $TINY --steps 2 -o face.png --grid --npz
stderr_has 'note: --grid of one picture'
[ -f face.npz ] || die "face.npz is missing"
rm -r two ./*.npy face.npz

# Start noise from a file sets number and size, whatever the config says.
npy x.npy '(2, 3, 8, 24)' $((2 * 3 * 8 * 24 * 4))
works generate $TINY --steps 2 --x-t x.npy -o wide
stdout_is 'wide/00000.png
wide/00001.png'
works metrics wide/00001.png
stdout_has ' 96 x 32$'
works generate $TINY --steps 2 --shape 3,8,24 -o wide.png
works metrics wide.png
stdout_has ' 96 x 32$'
rm -r wide wide.png x.npy

# Weights are packed for the model's own size; other sizes run on the same algorithms.
works generate $TINY --steps 1 --shape 3,2,2 -o small.png
works generate $TINY --steps 1 --shape 3,4,4 -n 3 --batch 2 -o small/
rm -r small small.png

# JSON: one object, and nothing else on stdout.
works generate $TINY --steps 2 -n 2 -o two/ --json
[ "$(head -n 1 "$OUT")" = '{' ] && [ "$(tail -n 1 "$OUT")" = '}' ] || die "not one object"
stdout_has '"two/00000.png"'
stdout_has '"two/00001.png"'
stdout_has '"steps_run": 2'
stdout_has '"seconds": [0-9.]+'
stdout_has '"interrupted": false'
rm -r two

# --quiet: stderr stays empty.
works generate $TINY --steps 2 -o face.png --quiet
stderr_empty

# Settings change the picture, or say that they do not.
cp face.png base.png
works generate $TINY --steps 2 --no-ema -o raw.png
differ raw.png base.png
works generate $TINY --steps 2 --eta 1 -o eta.png
differ eta.png base.png
works generate $TINY --steps 2 --set model.params.scale_factor=0.18215 -o scaled.png
works generate $TINY --steps 2 --scale 7.5 --cond zeros -o guided.png
stderr_has 'note: --scale has no effect'
same_pixels guided.png base.png
works generate $TINY --steps 150 -o many.png
stderr_has 'note: .*150.*167'
works generate $TINY --steps 37 -o many.png
stderr_has '^sampling +[0-9]+ steps: sampler ddim,'
for s in quad leading trailing linspace; do
    works generate $TINY --steps 3 --timesteps $s -o many.png
done

# Latents on the way, as CompVis' samplers keep them: the start, every N-th step from the end, the first one.
works generate $TINY --steps 5 -n 3 --batch 2 -o way --save-latent end.npy --save-intermediates inter --log-every-t 2 --quiet
stdout_has '^inter/x_inter\.npy$'
stdout_has '^inter/pred_x0\.npy$'
latents=$(($(wc -c <end.npy) - 128)) # of three pictures
[ "$(wc -c <inter/x_inter.npy)" -eq $((128 + 4 * latents)) ] || die "start, step 1, 3 and 5"
grep -q "'shape': (4, 3, " inter/x_inter.npy || die "[K,N,C,H,W]"
tail -c $latents end.npy >end
tail -c $latents inter/x_inter.npy | cmp -s - end || die "the last latents are not the final ones"
for array in x_inter pred_x0; do
    tail -c +129 inter/$array.npy | head -c $latents >$array.start
done
cmp -s x_inter.start pred_x0.start || die "both begin with the start"
works generate $TINY --steps 5 -n 3 -o way2 --save-intermediates all --log-every-t 1 --json --quiet
stdout_has '"intermediates": "all"'
[ "$(wc -c <all/pred_x0.npy)" -eq $((128 + 6 * latents)) ] || die "the start and five steps"
works generate $TINY --steps 3 -o way3.png --save-intermediates few --quiet
[ "$(wc -c <few/x_inter.npy)" -eq $((128 + latents)) ] || die "start, first and last step"
fails 2 "[-]-log-every-t: '0' is not a whole number from 1" generate $TINY --save-intermediates d --log-every-t 0 -o x.png
fails 2 '[-]-resume with --save-intermediates' generate $TINY -n 2 -o way --save-intermediates d --resume --quiet
fails 2 '[-]-save-intermediates: several processes' generate $TINY -n 2 -o x --rank 0 --of 3 --save-intermediates d

# An array of which a picture failed says so; where all failed, nothing is written and nothing replaced.
floats=768
npy good.npy "(1, 3, 16, 16)" $((4 * floats))
i=0
while [ $i -lt $floats ]; do
    printf '\231\166\226\176' # 1e38
    i=$((i + 1))
done >huge
{ head -c 128 good.npy && cat huge; } >bad.npy
npy both.npy "(2, 3, 16, 16)" $((4 * floats))
{ cat both.npy && cat huge; } >mixed.npy
ldm generate $TINY --steps 2 --x-t mixed.npy -o mixed --save-latent l.npy --save-image i.npy --save-intermediates l --grid --npz
[ "$CODE" -eq 1 ] || die "a picture failed"
stderr_has '^ldm generate: 1 of 2 pictures failed; the arrays hold NaN in their places$'
stdout_has '^l\.npy$'
works generate $TINY --steps 2 --x-t good.npy -o sound.png --save-latent keep.npy --quiet
tail -c +129 keep.npy >row
tail -c +129 l.npy | head -c $((4 * floats)) | cmp -s - row || die "the good picture's row is not its latent"
tail -c 3072 l.npy | od -An -v -tx4 | grep -Ev '^( [7f]fc00000)+$' && die "the failed picture's row is not NaN"
tail -c 3072 l/x_inter.npy | od -An -v -tx4 | grep -Ev '^( [7f]fc00000)+$' && die "nor the last entry on the way"
cp keep.npy keep
for more in --quiet --overwrite --json; do
    ldm generate $TINY --steps 2 --x-t bad.npy -o no.png $more --save-latent keep.npy --save-image none.npy --npz --save-intermediates none
    [ "$CODE" -eq 1 ] || die "the picture failed"
    [ $more = --json ] || stdout_is ''
    [ $more != --json ] || stdout_has '"latent": null'
    stderr_has '1 of 1 pictures failed; no file is written, and none that was there is replaced'
    same keep.npy keep
    [ ! -e none.npy ] && [ ! -e none ] && [ ! -e no.npz ] && [ ! -e no.png ] || die "a file of nothing"
done
