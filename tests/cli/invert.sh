# SPDX-License-Identifier: MIT
# ldm invert, as it is typed.
PICTURES=$(dirname "$CKPT")/../pictures
cp "$PICTURES/rgb.jpg" a.jpg

works invert a.jpg $TINY --steps 10 -o noise.npy
stdout_has '^noise.npy: float32 \[1,3,16,16\]$'
stdout_has '^a.jpg: the way back ends [0-9.]+ % away'
stdout_has "^Next: ldm generate --x-t noise.npy --ckpt $CKPT --config [^ ]*config.yaml --eta 0 --steps 10$"
works invert a.jpg $TINY --steps 10 -o again.npy --threads 1 --quiet --one-way
stdout_is 'again.npy: float32 [1,3,16,16]'
same noise.npy again.npy
works generate $TINY --x-t noise.npy --steps 10 -o back.png --quiet --save-latent z.npy
works invert z.npy $TINY --steps 10 --refine 2 -o from_z.npy --json --quiet
stdout_has '"round_trip": \['

# A folder: all of them, in any batch.
mkdir in
cp a.jpg in/b.jpg
cp "$PICTURES/grey8.png" in/a.png
works invert in $TINY --steps 5 --batch 2 -o both.npy --quiet
stdout_has '^both.npy: float32 \[2,3,16,16\]$'
works invert in $TINY --steps 5 --batch 1 -o both1.npy --quiet
same both.npy both1.npy

fails 2 "FILE.npy is missing" invert a.jpg $TINY
fails 2 "expected a name ending in .npy" invert a.jpg $TINY -o noise.png
fails 1 "nothing.jpg" invert nothing.jpg $TINY -o n.npy
fails 2 "--refine: '-1' is not" invert a.jpg $TINY --refine -1 -o n.npy
fails 2 "unknown option|--eta" invert a.jpg $TINY --eta 1 -o n.npy

# A text model: the picture's own prompt, by its recipe, else the empty one, and the command back.
works generate --model portrait --prompt "a man's beard" --steps 4 --eta 0 -o own.png --quiet
works invert own.png --model portrait --steps 4 -o own.npy
stderr_has "note: the prompt is taken from the recipe of own.png: a man's beard"
stdout_has "^Next: ldm generate --x-t own.npy --model portrait --eta 0 --steps 4 --prompt 'a man'.''s beard'"
works invert own.png --model portrait --steps 4 --prompt "a man's beard" -o said.npy --quiet
same own.npy said.npy
works invert a.jpg --model portrait --steps 4 -o none.npy
stdout_has "^Next: .* --prompt ''$"

# Of a folder, where all recipes agree.
mkdir same other
cp own.png same/a.png
works generate --model portrait --prompt "a man's beard" --steps 4 --seed 3 -o same/b.png --quiet
works invert same --model portrait --steps 2 --one-way -o same.npy
stderr_has "note: the prompt is taken from the recipe of same/a.png, which the others share: a man's beard"
stdout_has "--prompt 'a man'.''s beard'$"
cp same/a.png other/a.png
cp a.jpg other/b.jpg
works invert other --model portrait --steps 2 --one-way -o other.npy
stderr_has 'note: the recipes of the 2 pictures do not agree in their prompt: the empty prompt is used; --prompt TEXT'
stdout_has "--prompt ''$"
works generate --model portrait --init other --steps 2 -o begun
stderr_has 'do not agree in their prompt: none of them is taken'
works invert other --model portrait --steps 2 --one-way --prompt '' -o other.npy
stderr_lacks 'do not agree'

# Guidance spoils an inversion; so say the note before it, and the one about a far end.
works invert own.png --model portrait --steps 4 -o far.npy
stderr_has "note: --scale $(shipped_scale): guidance spoils an inversion, which neither .*; --scale 1 is the cure\$"
stderr_has 'note: more than 10 % away, which is another picture; --scale 1 ends nearer$'
works invert own.png --model portrait --steps 4 --scale 1 --refine 3 -o near.npy
stderr_lacks 'guidance|another picture'
works invert a.jpg $TINY --steps 10 -o far.npy
stderr_lacks 'guidance'
stderr_has 'which is another picture; more --steps or --refine 3 end nearer$'
works invert a.jpg $TINY --steps 10 --inversion compvis -o far.npy
stderr_has 'which is another picture; --inversion ddim ends nearer$'
works invert own.png --model portrait --steps 4 -o far.npy --quiet
stderr_empty
works invert --help
stdout_has "ldm invert photo.jpg --steps 50 --scale 1 --prompt '' -o noise.npy"
stdout_has "ldm generate --x-t noise.npy --steps 50 --eta 0 --scale 1 --prompt '' -o again.png"

# A picture of another size is told as for generate --init; so it is of interpolate's ends.
PHOTO=$SRC/tests/data/pictures/rgb.jpg
RESIZED='note: init: 1 of 1 picture of another size \(13 x 9\) is cut and resized to 64 x 64'
works generate $TINY --steps 2 --init "$PHOTO" -o photo.png
stderr_has "$RESIZED"
works invert "$PHOTO" $TINY --steps 2 --one-way -o photo.npy
stderr_has "$RESIZED"
works invert "$PHOTO" $TINY --steps 2 --one-way -o photo.npy --quiet
stderr_empty
works invert "$PHOTO" $TINY --steps 2 --one-way --fit stretch -o photo.npy
stderr_has 'is stretched to 64 x 64'
works interpolate "$PHOTO" 4 $TINY --steps 2 --frames 2 -o photo-walk.png
stderr_has "$RESIZED"
[ "$(grep -c 'another size' "$ERR")" -eq 1 ] || die "said more than once"
