# SPDX-License-Identifier: MIT
# Options that do nothing beside the others say so, each in one way, and leave no trace: the recipe is that
# of a run without them, and --resume goes on with it.

PORTRAIT="generate --model portrait --steps 4 --threads 1"

# idle NAME OPTIONS: of $TINY, an unconditional model; the note says "--NAME has no effect", and the picture is
# byte for byte that without the options, its recipe, too.
works generate $TINY --steps 2 -o plain.png --quiet
idle()
{
    name=$1
    shift
    works generate $TINY --steps 2 "$@" -o idle.png
    stderr_has "^ldm generate: note: --$name has no effect: "
    same idle.png plain.png
    rm idle.png
}
idle mask-blur --mask-blur 3
idle fit --fit pad
idle strength --strength 0.3
idle vary --vary 7
idle vary-strength --vary-strength 0.5
idle scale --scale 5
idle scale-from --scale-from 0.2
idle scale-to --scale-to 0.7
idle guidance-rescale --guidance-rescale 0.7
idle cond --cond zeros
idle temperature --temperature 2
idle vocab --vocab vocab
idle tile --tile 64
idle preview-decode --preview-decode
idle preview-as --preview-as blocks
idle quality --quality 80
idle log-every-t --log-every-t 3
works generate $TINY --steps 2 --mask-blur 4 --strength 0.75 --fit auto --scale 1 -o idle.png
stderr_lacks 'no effect' # the defaults, as every recipe gives them
same idle.png plain.png

# --resume with and without.
works generate $TINY --steps 2 -n 2 --mask-blur 3 -o mb/ --quiet
rm mb/00001.png
works generate $TINY --steps 2 -n 2 -o mb/ --resume
stderr_has '1 of 2 pictures are there already'
works generate $TINY --steps 2 -n 2 --strength 0.2 --scale 3 -o mb/ --resume --quiet
# where it has an effect it blocks, as it must
fails 1 'another run .vary: 0 there, 3 here' generate $TINY --steps 2 -n 2 --vary 3 --vary-strength 0.5 -o mb/ --resume --quiet

# Guidance: without a scale, and without a step that it is for.
works $PORTRAIT --prompt 'a man' --scale 1 -o one.png --quiet
works $PORTRAIT --prompt 'a man' --scale 1 --negative hat -o negative.png
stderr_has 'note: --negative has no effect: scale is 1, which is no guidance'
same one.png negative.png
works $PORTRAIT --prompt 'a man' --scale 5 --negative hat --scale-from 0.9 --scale-to 0.1 -o empty.png
stderr_has 'note: scale_from 0.9 and scale_to 0.1 leave no step to guide: the run is without guidance, as with scale 1'
stderr_has 'note: --negative has no effect: no step is guided'
same one.png empty.png
works generate --like empty.png -o like.png --quiet
same_pixels like.png one.png

# The line about sampling names what is not as usual.
works generate $TINY --steps 2 --vary 7 --vary-strength 0.5 --no-quantize -o v.png
stderr_has '^sampling +2 steps: vary 7, vary_strength 0.5, sampler ddim, .*quantize false'
works generate $TINY --steps 4 --init plain.png --strength 0.5 --fit pad -o i.png
stderr_has '^sampling .*strength 0.5, fit pad'
