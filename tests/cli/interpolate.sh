# SPDX-License-Identifier: MIT
# ldm interpolate and --vary, as they are typed.
PICTURES=$(dirname "$CKPT")/../pictures
cp "$PICTURES/rgb.jpg" a.jpg

# Seeds: the ends are the seeds' own pictures, what lies between is a variation.
works interpolate 42 7 $TINY --steps 4 --frames 5 -o walk --quiet
stdout_has '^walk/animation.png$'
works generate $TINY --steps 4 --seed 42 -o one.png --quiet
same_pixels one.png walk/00000.png
works generate $TINY --steps 4 --seed 7 -o one.png --quiet
same_pixels one.png walk/00004.png
works generate $TINY --steps 4 --seed 42 --vary 7 --vary-strength 0.25 -o one.png --quiet
same_pixels one.png walk/00001.png
works interpolate 42 7 $TINY --steps 4 --frames 5 -o walk.png --quiet --threads 1 --batch 1
same walk.png walk/animation.png
same_pixels walk.png walk/00000.png # the first frame is what others show
works interpolate 42 7 $TINY --steps 4 --frames 5 -o - --quiet
head -c 10 "$OUT" >head
echo "YUV4MPEG2 " | head -c 10 >want
same head want
[ "$(wc -c <"$OUT")" -eq $((36 + 5 * (6 + 3 * 64 * 64))) ] || die "y4m of $(wc -c <"$OUT") bytes"

# Where the configuration's own pictures are made with noise in the steps, a walk with ddim has none.
printf 'ldm:\n  sampling: {eta: 1.0}\n' >noisy.yaml
works interpolate 42 7 $TINY --config noisy.yaml --steps 4 --frames 5 -o still
stderr_lacks 'flicker'
same_pixels still/00002.png walk/00002.png
works interpolate 42 7 $TINY --config noisy.yaml --sampler ddim --steps 4 --frames 2 -o stiller
stderr_lacks 'flicker'
works interpolate 42 7 $TINY --sampler euler_a --steps 4 --frames 2 -o flickers
stderr_has 'the animation will flicker'

# Pictures and noise.
works invert a.jpg $TINY --steps 4 --refine 2 -o n.npy --quiet --one-way
works interpolate a.jpg n.npy $TINY --steps 4 --frames 2 -o both --quiet --json
stdout_has '"frames": 2'
same_pixels both/00000.png both/00001.png

# Variations: each its own, repeated by the recipe.
works generate $TINY --steps 4 --vary 100 --vary-strength 0.1 -n 3 -o vary --batch 3 --quiet
works generate $TINY --steps 4 --vary 102 --vary-strength 0.1 -o one.png --batch 1 --quiet
same_pixels one.png vary/00002.png
works generate --ckpt "$CKPT" --like vary/00001.png -o again.png --quiet
same_pixels again.png vary/00001.png
works generate $TINY --steps 4 --vary 100 --vary-strength 0.1 -n 3 -o vary --resume --quiet
works generate $TINY --steps 4 --vary 5 -o one.png
stderr_has "note: --vary has no effect: vary_strength is 0"

# Prompts: the ends are the prompts' own pictures, and one seed does. Classes by the same way.
MODELS=$(dirname "$CKPT")/../models
CLIP="--ckpt $MODELS/clip.ckpt --config $MODELS/clip.yaml --vocab $SRC/tests/data/tokenize"
works interpolate 5 $CLIP --prompt 'the cat' --prompt-to hello --steps 2 --frames 3 -o prompts --quiet
works generate $CLIP --prompt 'the cat' --steps 2 --seed 5 -o one.png --quiet
same_pixels one.png prompts/00000.png
works generate $CLIP --prompt hello --steps 2 --seed 5 -o one.png --quiet
same_pixels one.png prompts/00002.png
cmp -s prompts/00001.png prompts/00000.png && die "no way between prompts"
CLASS="--ckpt $MODELS/class.ckpt --config $MODELS/class.yaml"
works interpolate 5 $CLASS --class 1,3,0 --steps 2 --frames 5 -o classes --quiet
for i in 0:1 2:3 4:0; do
    works generate $CLASS --class ${i#*:} --steps 2 --seed 5 -o one.png --quiet
    same_pixels one.png classes/0000${i%:*}.png
done
works interpolate 5 $CLASS --class 1,3,0 --steps 2 --frames 5 -o again --quiet --batch 1 --threads 1
same_pixels again/00001.png classes/00001.png
cmp -s classes/00001.png classes/00000.png && die "no way between classes"
fails 2 "B is missing" interpolate 1 $CLASS --class 1 -o x.png --quiet
fails 2 "needs a prompt to come from" interpolate 1 $TINY --prompt-to b -o x.png --quiet
fails 2 "prompt: this model takes nothing" interpolate 1 $TINY --prompt a --prompt-to b -o x.png --quiet
fails 2 "nothing lies between the classes of this model's label_emb" interpolate 1 --class 1,2 \
    --ckpt "$MODELS/labels.ckpt" --config "$MODELS/labels.yaml" -o x.png --quiet

fails 2 "is missing: NAME.png" interpolate 1 2 $TINY
fails 2 "frames: '1' is not a whole number from 2" interpolate 1 2 $TINY --frames 1 -o x.png
ldm interpolate 1 2 $TINY -o - --json
[ "$CODE" -eq 2 ] || die "expected exit code 2"
stderr_has "both write to stdout"
fails 1 "nothing.jpg" interpolate 1 nothing.jpg $TINY -o x.png --quiet
fails 2 "vary_strength are given" generate $TINY --x-t n.npy --vary-strength 0.5 -o x.png --quiet
npy other.npy '(1, 3, 8, 8)' 768
fails 2 "A is 16 x 16 and B 8 x 8" interpolate 1 other.npy $TINY -o x.png --quiet

# A model with captions of its own: a walk goes from the caption of one seed to that of the other,
# not past a caption for every frame. Pictures have the prompts that they were made of.
OWN="--model portrait --steps 2 --sampler ddim"
works interpolate 42 43 $OWN --frames 3 -o own
[ "$(grep -c 'note: .*prompt\|note: B' "$ERR")" -eq 2 ] || die "not one note an end"
works generate $OWN --eta 0 --seed 42 -o one.png --quiet
same_pixels one.png own/00000.png
works generate $OWN --eta 0 --seed 43 -o two.png --quiet
same_pixels two.png own/00002.png
works interpolate 42 43 $OWN --prompt woman --frames 2 -o own2
stderr_lacks 'no prompt was given'
works generate $OWN --eta 0 --seed 1 --prompt 'a bald man' -o one.png --quiet
works interpolate one.png two.png $OWN --refine 0 --frames 2 -o own3
stderr_has "A's is: a bald man$"
works interpolate a.jpg 43 $OWN --refine 0 --frames 2 -o own4
stderr_lacks "B's is"

works interpolate 1 2 $TINY --steps 1 --frames 2 -o no_like.png --quiet
works inspect no_like.png
stdout_lacks 'The same again'

# A frame says of which walk it is, and the command that it says makes the same bytes again.
works interpolate 42 43 $OWN --prompt 'a man' --prompt-to 'a "bald" man' --frames 3 -o walked --quiet
for f in 00001 sheet animation; do
    works inspect "walked/$f.png"
    stdout_has '^  walk[.]a +42$'
    stdout_has '^The walk again: ldm interpolate 42 43 --frames 3 --model portrait .*--steps 2 .*-o walk$'
    stdout_lacks 'The same again'
done
works inspect walked/00001.png
stdout_has '^  walk[.]frame +1$'
command=$(sed -n 's/^The walk again: ldm //p' "$OUT")
rm -rf walk
eval "works $command --quiet"
same walk/00001.png walked/00001.png
same walk/animation.png walked/animation.png
ldm generate --like walked/00001.png -o no.png
[ "$CODE" -eq 1 ] || die "a frame is no picture by itself"
stderr_has '^ldm generate: --like: walked/00001.png is frame 1 of the 3 of a walk, .*: ldm interpolate 42 43 '
[ ! -e no.png ] || die "nothing is made of it"
