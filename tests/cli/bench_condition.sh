# SPDX-License-Identifier: MIT
# ldm bench of models that are conditioned: its whole pictures take what ldm generate takes, say what they
# show, and refuse what does not apply before anything is timed.
DATA=$SRC/tests/data/models WORDS=$SRC/tests/data/tokenize PICTURES=$SRC/tests/data/pictures
model() { echo "--ckpt $DATA/$1.ckpt --config $DATA/$1.yaml"; }
shows() { # KIND, and what it is told
    kind=$1
    shift
    works bench $(model "$kind") --rounds 1 --steps 3 "$@"
}

# ---- what is missing is named by an option that bench takes --------------------------------------------
fails 2 '^ldm bench: prompt: this model makes pictures of a text; give it one \(--prompt TEXT\)$' bench $(model clip) --steps 3
fails 2 'makes pictures of a class; give it a number \(--class N\)' bench $(model class) --cache 2
fails 2 'makes pictures of a layout; give it .*\(--layout FILE.json\)' bench $(model layout) --steps 3
fails 2 'a picture and a mask.*\(--image FILE --mask FILE\)' bench $(model inpaint) --steps 3
works bench $(model clip) --rounds 1 # an evaluation is timed with noise in the place of a context
stdout_lacks '^condition '

# ---- each family ---------------------------------------------------------------------------------------
for kind in clip openclip bert; do
    shows $kind --vocab "$WORDS" --prompt 'the cat'
    stdout_has '^condition +prompt the cat, scale [0-9.]+$'
    stdout_has '^Whole pictures: 3 steps, eta 0, 1 seed from 42; medians$'
done
shows clip --vocab "$WORDS" --prompt 'the cat' --negative hello --scale 4
stdout_has '^condition +prompt the cat, negative hello, scale 4$'
shows clip --vocab "$WORDS" --prompt '' --scale 1
stdout_has '^condition +prompt $'
shows clip --vocab "$WORDS" --prompt 'the cat' --cfg-scale 4
stderr_has "note: other programs' spellings: --cfg-scale is --scale"
stdout_has ', scale 4$'
shows class --class 2
stdout_has '^condition +class 2, scale 3$'
printf 'tench, Tinca tinca\ngold_fish\ncrane\nhen\ncrane\nnone\n' >names.txt
shows class --class-names names.txt --class 'gold fish,hen' --seeds 2
stdout_has '^condition +class 1,3, scale 3$'
stdout_has '4 seeds from 42' # two of each
shows labels --class 3 --cache 3
stdout_has '^condition +class 3$'
stdout_has '^The same with --cache 3: 1 steps evaluate the whole network$'
cp "$PICTURES/grey8.png" a.png
shows inpaint --image a.png --mask a.png
stdout_has '^condition +image and mask$'
stdout_has '^a 13 x 9 picture of 3 steps takes ' # the picture's size
shows sd_inpaint --image a.png --mask a.png --vocab "$WORDS" --prompt cat
stdout_has '^condition +prompt cat, image and mask, scale '
shows superres --image a.png --fit keep --tile 0
stdout_has '^condition +image$'
shows upscale --image a.png --noise-level 30 --vocab "$WORDS" --prompt cat
stdout_has '^condition +prompt cat, noise_level 30, image, scale 9$'
mkdir folder
cp a.png folder/1.png
cp a.png folder/2.png
shows superres --image folder
stdout_has '2 seeds from 42' # one of each
shows semantic --segmentation "$PICTURES/grey1.png"
stdout_has '^condition +segmentation$'
echo '[5, 23, 83, 22, 0, 120, 127, 127, 127, 127, 127, 127, 0, 120]' >tokens.json
shows layout --layout tokens.json
stdout_has '^condition +layout \[5, 23, '
npy context.npy '(1, 77, 64)' 19712
shows clip --context context.npy
stdout_has '^condition +context, scale '
stderr_has 'note: --scale has no effect: there is no unconditional context'

# In JSON the settings stand as a picture's recipe has them.
shows clip --vocab "$WORDS" --prompt 'the cat' --negative hello --scale 4 --seeds 2 --json
for line in '"prompt": "the cat"' '"negative": "hello"' '"scale": 4.0' '"seed": 42' '"sampler": "ddim"' '"pictures": 2' '"width": 16'; do
    stdout_has "$line"
done
stdout_lacks '"prompts"'
shows inpaint --image a.png --mask a.png --json
stdout_has '"image": \{'
stdout_has '"mask": "[0-9a-f]{64}"'
stdout_has 'is extended to .* and cut again'
stderr_has '^ldm bench: note: image: 13 x 9 is extended to '
shows class --class 2,4 --json
stdout_has '"class": "2,4"'

# Where a grammar lies beside the checkpoint a text model draws captions, as generate does.
mkdir spoken
cp "$DATA/bert.ckpt" "$DATA/bert.yaml" spoken
printf 'fact who\n  1 cat\n  1 hat\nrule caption\n  1 [who=cat] the cat\n  1 [who=hat] a hat\n' >spoken/grammar.txt
works bench spoken/bert.ckpt --vocab "$WORDS" --rounds 1 --steps 2 --seeds 3
stderr_has 'note: no prompt was given; that of seed 44 is: (the cat|a hat)$'
stdout_has '^condition +prompt (the cat|a hat) and 2 more, scale '
drawn=$(sed -n 's/.*that of seed 43 is: //p' "$ERR")
works bench spoken/bert.ckpt --vocab "$WORDS" --rounds 1 --steps 2 --seeds 3 --json
stdout_has '"prompts": \['
[ "$(grep -A 2 '"prompts"' "$OUT" | tail -n 1 | tr -d ' ,"')" = "$(echo "$drawn" | tr -d ' ')" ] || die "the prompt of seed 43"

# ---- what does not apply, or is wrong ------------------------------------------------------------------
fails 2 'prompt: this model takes a class' bench $(model class) --steps 3 --prompt cat
fails 2 'class: this model takes a prompt' bench $(model clip) --steps 3 --class 1 --vocab "$WORDS"
fails 2 'prompt: this model takes nothing: it is unconditional' bench $TINY --steps 3 --prompt cat
fails 2 'noise_level: this model takes ' bench $(model superres) --steps 3 --image a.png --noise-level 20
fails 2 'image: this model takes no picture as conditioning' bench $(model class) --steps 3 --class 1 --image a.png
fails 2 "class is '6', expected numbers from 0 to 5" bench $(model class) --class 6 --steps 3
fails 1 'cannot open none' bench $(model clip) --prompt x --vocab none --steps 3
fails 1 'gone.png' bench $(model inpaint) --image gone.png --mask a.png --steps 3
fails 2 '--mask a.png needs --image' bench $(model inpaint) --mask a.png --steps 3
fails 2 '--class-names needs --class NAME' bench $(model class) --class-names names.txt --steps 3
fails 2 '--prompt is about whole pictures: give --steps N' bench $(model clip) --prompt cat
fails 2 '--noise-level is about whole pictures' bench $(model upscale) --noise-level 20
fails 2 '--image is about whole pictures' bench $(model inpaint) --image a.png
printf '3 32 3 1 0 16 16 1\n' >s.txt
fails 2 '--shapes times kernels without a model: leave out --prompt' bench --shapes s.txt --prompt cat
fails 2 "--strength is an option of 'ldm generate'" bench $(model clip) --prompt cat --strength 0.5
fails 2 'a text of several words stands in quotes: --prompt "a red cat' bench $(model clip) --steps 3 --prompt 'a red' cat
works bench $TINY --rounds 1 --steps 2 --scale 3
stderr_has '^ldm bench: note: --scale has no effect: '
stdout_lacks '^condition '
(
    export LDM_MAX_ISA=avx2 # no bf16: auto is f32, and makes no pictures by itself
    works bench $(model class) --rounds 1 --precision auto --class 1
    stderr_has 'note: --class has no effect: no whole pictures are made \(--steps N\)'
)

# bf16 is held against f32 by pictures, which need a condition as well.
ldm bench $(model class) --rounds 1 --precision bf16 --class 1 --seeds 2
if [ "$CODE" -ne 0 ]; then
    skipped "bf16: $(cat "$ERR")"
    return 0
fi
stdout_has '^condition +class 1, scale 3$'
stdout_has '^bf16 against f32, in turn: 1 evaluations, 2 pictures of 50 steps; medians$'
fails 2 'give it a number \(--class N\)' bench $(model class) --rounds 1 --precision bf16
