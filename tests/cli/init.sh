# SPDX-License-Identifier: MIT
# ldm generate --init (image-to-image) and ldm reconstruct, as they are typed.
PICTURES=$(dirname "$CKPT")/../pictures
RUN="generate $TINY --steps 8 --strength 0.5 --quiet"

# A folder makes as many pictures; each is its input and its seed, alone and in the batch.
mkdir in
cp "$PICTURES/rgb.jpg" in/a.jpg
cp "$PICTURES/grey8.png" in/b.png
cp "$PICTURES/turned_6.jpg" in/c.jpg
works $RUN --init in -o out --batch 2 --threads 2
[ "$(ls out | wc -l)" -eq 3 ] || die "expected three pictures: $(ls out)"
works $RUN --init in/c.jpg --seed 44 -o one.png --threads 1
same_pixels one.png out/00002.png
works $RUN --init in/c.jpg --seed 44 -n 2 -o two
same_pixels two/00000.png one.png
refuses_same=$(cmp -s two/00000.png two/00001.png && echo same || echo other)
[ "$refuses_same" = other ] || die "two seeds give one picture"

# The recipe gives it back, by the file's name; a picture that shows something else is refused.
works generate --ckpt "$CKPT" --like out/00001.png -o again.png --quiet
same_pixels again.png out/00001.png
cp in/b.png kept.png
cp in/a.jpg in/b.png
fails 3 "was made from a picture of SHA-256" generate --ckpt "$CKPT" --like out/00001.png -o again2.png --quiet
works generate --ckpt "$CKPT" --like out/00001.png --init kept.png -o again2.png --quiet
same_pixels again2.png out/00001.png
rm in/b.png
fails 1 "in/b.png .*which is not found; name it with --init" generate --ckpt "$CKPT" --like out/00001.png -o again3.png --quiet
cp kept.png in/b.png

# A broken run goes on; another input is another run.
rm out/00001.png
works $RUN --init in -o out --resume
same_pixels again.png out/00001.png
cp in/a.jpg in/c.jpg
ldm $RUN --init in -o out --resume
[ "$CODE" -eq 1 ] || die "another picture must be refused"
stderr_has "00002.png is of another run .init"
cp "$PICTURES/turned_6.jpg" in/c.jpg

# The sheet's recipe repeats all of them.
works $RUN --init in -o sheet --grid
works generate --ckpt "$CKPT" --like sheet/grid.png -o repeated --quiet
same_pixels sheet/00002.png repeated/00002.png

# Notes.
works generate $TINY --steps 8 --strength 0.5 --init in/a.jpg -o n.png
stderr_has "init: at strength 0.5 4 of 8 steps run, from the noise of timestep 501"
stderr_has "init: 1 of 1 picture of another size .* to 64 x 64"
works generate $TINY --steps 8 --strength 0.4 -o n.png
stderr_has "strength has no effect"
works generate $TINY --steps 8 --fit keep --strength 0.5 --init "$PICTURES/grey8.png" -o keep.png
stderr_has "picture 13 x 9"

# What does not go together.
npy z.npy '(1, 3, 16, 16)' 3072
fails 2 "init and --x-t exclude each other" $RUN --init in/a.jpg --x-t z.npy -o no.png
fails 2 "strength 0.05 of 8 steps is no step at all; take at least 0.125" $RUN --strength 0.05 --init in/a.jpg -o no.png
fails 1 "nothing.png" $RUN --init nothing.png -o no.png
fails 2 "fit: 'tight' is not one of" $RUN --init in/a.jpg --fit tight -o no.png
mkdir empty
fails 1 "without pictures" $RUN --init empty -o no.png
works $RUN --init z.npy -o z.png
works generate --ckpt "$CKPT" --like z.png -o z2.png --quiet
same_pixels z.png z2.png

# ---- ldm reconstruct -----------------------------------------------------------------------------

works reconstruct $TINY in -o back
stdout_has '^in/a.jpg: PSNR [0-9.]+ dB, MSE [0-9.]+, mean difference [0-9.]+, largest [0-9]+ -> back/a.png$'
stdout_has '^mean of 3 pictures: PSNR '
stderr_has 'in/b.png: 13 x 9 is extended to 16 x 12 and cut again'
works reconstruct $TINY in/a.jpg in/b.png --json --quiet
stdout_has '"psnr": [0-9.]+'
stderr_empty
fails 1 "back/a.png is there already" reconstruct $TINY in -o back
fails 2 "would both be written as other/a.png" reconstruct $TINY in/a.jpg "$PICTURES/../../$PWD/in/a.jpg" in/a.jpg -o other
works reconstruct $TINY in -o back --overwrite --quiet
fails 2 "no picture is named" reconstruct $TINY
fails 1 "nothing.png" reconstruct $TINY nothing.png
fails 1 "^ldm reconstruct: $SRC/README.md is no picture" reconstruct $TINY "$SRC/README.md" # named once

# A picture that cannot be read is left out, and the others are not.
mkdir holed
cp in/a.jpg holed/c.jpg
cp in/b.png holed/d.png
head -c 100 in/b.png >holed/a.png
printf 'GIF89a' >holed/b.png
ldm reconstruct $TINY holed -o whole
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stderr_has '^ldm reconstruct: holed/a.png: the PNG is cut off'
stderr_has '^ldm reconstruct: holed/b.png is a picture in the format GIF, expected PNG or JPEG: please convert it'
stderr_has '2 of 4 pictures are left out'
stdout_has '^mean of 2 pictures: PSNR '
[ "$(ls whole)" = "$(printf 'c.png\nd.png')" ] || die "two pictures"
ldm reconstruct $TINY holed --json
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has '"error": "holed/a.png: the PNG is cut off'
[ "$(grep -c '"psnr"' "$OUT")" -eq 2 ] || die "figures of two pictures"
ldm reconstruct $TINY holed/a.png --json
stdout_is '{
  "error": "holed/a.png: the PNG is cut off: its end is missing (end of stream)"
}'
works reconstruct $TINY sheet -o sheets --quiet # the sheet is left out
[ ! -e sheets/grid.png ] || die "a contact sheet was taken for a picture"

# A folder's pictures of kinds that ldm does not read are named in one note, wherever folders are read.
mkdir mixed
cp "$SRC/tests/data/pictures/rgb.jpg" mixed/a.jpg
for name in photo.webp scan.TIFF .hidden.webp notes.txt; do echo x >mixed/$name; done
NOTE="note: 'mixed' holds 2 pictures of a kind that ldm does not read \(photo.webp, ...\), left out; save as PNG or JPEG"
works generate $TINY --steps 2 --init mixed -o mixed.png
stderr_has "$NOTE"
works generate $TINY --steps 2 --init mixed -o mixed.png --quiet
stderr_empty
works generate $TINY --steps 2 --init "$SRC/tests/data/pictures/rgb.jpg" --mask mixed -o mask.png
stderr_has "$NOTE"
for command in "reconstruct $TINY mixed" "metrics mixed" "metrics --psnr mixed mixed" \
    "invert $TINY --steps 2 mixed -o n.npy" "doctor $TINY --quick --images mixed"; do
    ldm $command
    stderr_has "$NOTE"
done
mkdir webp
echo x >webp/photo.webp
fails 1 "'webp' is a folder without pictures that ldm reads \(\*.png, \*.jpg\); photo.webp: save" \
    generate $TINY --steps 2 --init webp -o mixed.png

# Far from the model's own size a first stage shifts colours; said once, in the words of generate.
FAR="note: the pictures have 13 x 9 pixels, and this model's own are 64 x 64: so far from its size, .* shift colours"
works reconstruct $TINY "$SRC/tests/data/pictures/rgb.jpg" "$SRC/tests/data/pictures/grey.jpg"
stderr_has "$FAR"
[ "$(grep -c 'so far from its size' "$ERR")" -eq 1 ] || die "said more than once"
works reconstruct $TINY "$SRC/tests/data/pictures/rgb.jpg" --quiet
stderr_lacks 'so far from'
works reconstruct $TINY mixed.png
stderr_lacks 'so far from'
