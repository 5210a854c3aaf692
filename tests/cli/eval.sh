# SPDX-License-Identifier: MIT
# ldm eval: parts of the network on arrays.

npy x.npy '(2, 3, 16, 16)' 6144
npy picture.npy '(1, 3, 64, 64)' 49152
works eval $TINY --part unet --in x.npy --t 500 --out eps.npy
stdout_has '^eps.npy: unet float32 \[2,3,16,16\] mean '
works eval $TINY --part decode --in x.npy --out y.npy
stdout_has '\[2,3,64,64\]'
works eval $TINY --part decode --in x.npy --no-quantize --out y.npy
works eval $TINY --part encode --in picture.npy --no-quantize --out z.npy --quiet
stderr_empty
works eval $TINY --part encode --in picture.npy --out z.npy
stdout_has '\[1,3,16,16\]'
works eval $TINY --part quantize --in z.npy --out q.npy
stdout_has '\[1,3,16,16\]'
works eval $TINY --part indices --in z.npy --out i.npy --json
stdout_has '"dtype": "int64"'
stdout_has '"out": "i.npy"'
head -c 128 i.npy | grep -q "<i8.*(1, 16, 16)" || die "i.npy is not int64 [1,16,16]"

# Raw and EMA weights differ; so do instructions and threads not.
works eval $TINY --part unet --in x.npy --t 500 --no-ema --out raw.npy
differ eps.npy raw.npy
works eval $TINY --part unet --in x.npy --t 500 --threads 1 --out one.npy
same eps.npy one.npy

# Every block's output, under the names of the reference data.
works eval $TINY --part unet --in x.npy --t 500 --dump act
for f in input_blocks_00 input_blocks_03 middle_block output_blocks_00 output_blocks_03 eps; do
    [ -f act/$f.npy ] || die "act/$f.npy is missing"
done

fails 1 "nothing.npy.*No such file" eval $TINY --part unet --in nothing.npy --t 5 --out o.npy
fails 1 "config.yaml is not a .npy file" eval $TINY --part unet --in "$CONFIG" --t 5 --out o.npy
npy bad.npy '(1, 4, 16, 16)' 4096
fails 2 "bad.npy: the input has 4 channels" eval $TINY --part unet --in bad.npy --t 5 --out o.npy
npy flat.npy '(768,)' 3072
fails 2 "flat.npy: the input has 1 dimensions" eval $TINY --part unet --in flat.npy --t 5 --out o.npy
fails 2 "bad.npy: the input has 4 channels, encode takes \[N,3,H,W\]" eval $TINY --part encode --in bad.npy --out o.npy
npy odd.npy '(1, 3, 15, 16)' 2880
fails 2 "latent of 15 x 16 pixels: .* multiples of 2" eval $TINY --part unet --in odd.npy --t 5 --out o.npy
fails 1 "cannot write no/o.npy: No such file" eval $TINY --part unet --in x.npy --t 5 --out no/o.npy
fails 2 "--t: '-1'" eval $TINY --part unet --in x.npy --t -1 --out o.npy

# A prompt's context is what generate makes of it.
works eval --model portrait --part text --prompt 'a man with a beard' -o c.npy
stdout_has '^c\.npy: text float32 \[1,77,128\] '
works eval --model portrait --part text --prompt '' -o u.npy --json
stdout_has '"shape"'
works generate --model portrait --prompt 'a man with a beard' --steps 2 -o words.png --quiet
works generate --model portrait --context c.npy --uncond-context u.npy --steps 2 -o arrays.png --quiet
same_pixels words.png arrays.png

# What guidance leads away from: zeros, by name or as an array, and never without a word where that has no effect.
npy z.npy '(1, 77, 128)' 39424
works generate --model portrait --prompt hat --uncond zeros --steps 2 -o named.png
works generate --model portrait --prompt hat --uncond-context z.npy --steps 2 -o given.png
same_pixels named.png given.png
works generate --model portrait --prompt hat --steps 2 -o none.png
works metrics --psnr none.png named.png
stdout_has 'PSNR [0-9]'
works generate --like named.png -o again.png
same_pixels named.png again.png
works generate --model portrait --prompt hat --uncond zeros --negative cap --steps 2 -o n.png
stderr_has 'negative has no effect: uncond zeros is in its place'
works generate --model portrait --prompt hat --uncond zeros --scale 1 --steps 2 -o n1.png
stderr_has 'uncond has no effect: scale is 1'
works generate --model portrait --uncond zeros --cond zeros --steps 2 -o n2.png
stderr_has 'uncond has no effect: '
works generate --model portrait --prompt hat --uncond zeros --uncond-context z.npy --steps 2 -o n3.png
stderr_has 'uncond has no effect: the unconditional context is given'
fails 2 "[-]-uncond: 'ones' is not one of none\|zeros" generate --model portrait --prompt hat --uncond ones -o no.png
works eval --model portrait --part text --prompt "$(printf 'hat %.0s' $(seq 100))" -o c.npy
stderr_has 'the text is cut: it has 100 tokens, and there is room for 75'
works eval --model portrait --part cond --prompt hat --vocab "$SRC/models/portrait/vocab.txt" -o hat.npy
fails 2 "this model reads no text" eval --model demo --part text --prompt hat -o no.npy
fails 2 "[-]-prompt belongs to --part text; unet reads none" eval --part unet --prompt hat -o no.npy
{ cat "$SRC/models/portrait/vocab.txt"; echo extra; } >longer.txt
fails 2 "longer.txt has 362 words and the text encoder.s table 361: it is another model's vocabulary" \
    eval --model portrait --part text --prompt hat --vocab longer.txt -o no.npy
fails 2 "[-]-ids and --prompt both give the input" eval --part text --prompt hat --ids x.npy -o no.npy
fails 2 "[-]-vocab is of --prompt" eval --part text --in x.npy --vocab v.txt -o no.npy
fails 1 "v.txt" eval --model portrait --part text --prompt hat --vocab v.txt -o no.npy
