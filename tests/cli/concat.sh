# SPDX-License-Identifier: MIT
# Pictures, maps of labels and layouts as conditioning, as they are typed. The checkpoints are made
# here, with random weights (MAKE_CKPT).
KINDS=$SRC/tests/data/conditioned
PICTURES=$SRC/tests/data/pictures
: "${MAKE_CKPT:?names the program that makes checkpoints}"
for kind in inpaint inpaint_hybrid superres upscale semantic layout; do
    "$MAKE_CKPT" "$KINDS/$kind.yaml" 1 $kind.safetensors || die "no checkpoint of $kind"
    cp "$KINDS/$kind.yaml" .
done
with() { echo "--ckpt $1.safetensors --config $1.yaml --steps 3 --quiet"; }
INPAINT="generate $(with inpaint)" HYBRID="generate $(with inpaint_hybrid) --class 1"
SUPER="generate $(with superres)" UPSCALE="generate $(with upscale) --class 2"
SEMANTIC="generate $(with semantic)" LAYOUT="generate $(with layout)"
cp "$PICTURES/grey8.png" a.png
size_of() { # the bytes of width and height in a PNG's header
    head -c 24 "$1" | tail -c 8 | od -An -tu1 | tr -s ' ' | sed 's/^ //'
}
is_size() { [ "$(size_of "$1")" = "0 0 0 $2 0 0 0 $3" ] || die "$1 has size $(size_of "$1"), expected $2 x $3"; }

# Inpainting: the picture's size, whatever it is; alpha and pads in the place of a mask.
works $INPAINT --image a.png --mask a.png -o painted.png
is_size painted.png 13 9
works inpaint a.png a.png $(with inpaint) -o short.png
same_pixels painted.png short.png
works generate --ckpt inpaint.safetensors --config inpaint.yaml --steps 3 --image a.png --mask a.png -o noted.png
stderr_has 'image: 13 x 9 is extended to 16 x 12 and cut again'
works $INPAINT --image "$PICTURES/rgba16.png" -o alpha.png
works $INPAINT --image a.png --pad 2 -o padded.png
is_size padded.png 17 13
works $INPAINT --image a.png --mask a.png --size 24x32 -o sized.png
is_size sized.png 24 32
works $HYBRID --image a.png --mask a.png -o hybrid.png
works $HYBRID --image "$PICTURES/turned_6.jpg" --mask "$PICTURES/turned_6.jpg" -o turned.png
is_size turned.png 9 13

# Each picture by itself, whatever the batch; posteriors and noise are drawn for each.
for run in "$HYBRID --image a.png --mask a.png" "$UPSCALE --image a.png" "$INPAINT --image a.png --mask a.png"; do
    rm -rf many ones
    works $run -n 3 --batch 3 -o many
    works $run -n 3 --batch 1 --threads 2 -o ones
    same_pixels many/00002.png ones/00002.png
    works $run --seed 44 -o one.png
    same_pixels many/00002.png one.png
    works generate --ckpt "$(echo "$run" | sed 's/.*--ckpt \([^ ]*\).*/\1/')" --like many/00001.png -o again.png --quiet
    same_pixels many/00001.png again.png
    rm many/00001.png
    works $run -n 3 -o many --resume
    same_pixels many/00001.png ones/00001.png
    cp "$PICTURES/grey_alpha8.png" b.png
    fails 1 'of another run \(image' $(echo "$run" | sed 's/a\.png/b.png/g') -n 3 -o many --resume
done
file_has many/00000.png '"image": *\{'
mv a.png moved.png
fails 1 'was made from a.png .*which is not found; name it with --image' generate --ckpt inpaint.safetensors --like painted.png -o no.png
works generate --ckpt inpaint.safetensors --like painted.png --image moved.png --mask moved.png -o again2.png --quiet
same_pixels painted.png again2.png
cp "$PICTURES/source.png" a.png
fails 3 'SHA-256.* shows another one' generate --ckpt inpaint.safetensors --like painted.png -o no.png
mv moved.png a.png

# Enlarging.
works $SUPER --image a.png -o large.png
is_size large.png 26 18
works upscale a.png --ckpt superres.safetensors --config superres.yaml -o default.png # the notebook's
stderr_has '100 steps'
stderr_has 'eta 1'
works upscale a.png $(with superres) -o large2.png
same_pixels large.png large2.png
works $SUPER --image a.png --tile 8 -o tiles.png
is_size tiles.png 26 18
works $SUPER --image a.png --tile 16 -o whole.png
same_pixels large.png whole.png
works $UPSCALE --image a.png -o up.png
is_size up.png 26 18
works $UPSCALE --image a.png --noise-level 20 -o up20.png
same_pixels up.png up20.png
works $UPSCALE --image a.png --noise-level 0 -o up0.png
differ up.png up0.png
works $UPSCALE --image a.png --tile 4 --scale 2 -n 2 -o guided
is_size guided/00001.png 26 18
works generate --ckpt superres.safetensors --config superres.yaml --image a.png --tile 8 --steps 2 -o noted2.png
stderr_has 'tiles of 8 x 8 latent pixels'
works $SUPER --image a.png --tile 8 --dry-run
stdout_has 'memory'
mkdir folder
cp a.png folder/1.png
cp a.png folder/2.png
works $SUPER --image folder -o folder/out
files=$(ls folder/out | tr '\n' ' ')
[ "$files" = "00000.png 00001.png " ] || die "files: $files"
same_pixels folder/out/00000.png large.png

# Maps of labels: numbers as grey values; larger ones than the model knows.
works $SEMANTIC --segmentation "$PICTURES/grey1.png" -o map.png
fails 2 'label [0-9]+ at pixel .*this model knows 0 to 6' $SEMANTIC --segmentation a.png -o no.png
fails 1 'no palette is given.*holds colours' $SEMANTIC --segmentation "$PICTURES/source.png" -o no.png
printf 'GIMP Palette\nName: two\n# comment\n0 0 0 nothing\n255 255 255\tsome\n' >two.gpl
works $SEMANTIC --segmentation "$PICTURES/grey1.png" --palette two.gpl -o map2.png
same_pixels map.png map2.png
works generate --ckpt semantic.safetensors --like map2.png -o map3.png --quiet
same_pixels map.png map3.png
fails 2 'has the colour .*which the palette does not have' $SEMANTIC --segmentation a.png --palette two.gpl -o no.png
{ printf '\357\273\277'; cat two.gpl; } >marked.gpl # as editors of Windows save it
works $SEMANTIC --segmentation "$PICTURES/grey1.png" --palette marked.gpl -o map4.png
same_pixels map.png map4.png
printf '0 0\n' >bad.gpl
fails 1 "bad.gpl:1: '0 0' is no colour" $SEMANTIC --segmentation a.png --palette bad.gpl -o no.png
: >empty.gpl
fails 1 "holds no colours" $SEMANTIC --segmentation a.png --palette empty.gpl -o no.png
fails 1 'is no PNG' $SEMANTIC --segmentation "$PICTURES/grey.jpg" -o no.png
fails 2 'palette is of the colours of --segmentation' $INPAINT --image a.png --mask a.png --palette two.gpl -o no.png

# Layouts: boxes are the tokens that they stand for (14 ids of 128: 11 sections a side, 4 objects).
echo '{"objects": [{"category": 5, "box": [0.1, 0.2, 0.5, 0.5]}, {"category": 2, "box": [0, 0, 1, 1], "group": true}], "classes": 20}' >boxes.json
echo '[5, 23, 83, 22, 0, 120, 127, 127, 127, 127, 127, 127, 0, 120]' >tokens.json
works $LAYOUT --layout boxes.json -o boxes.png
works $LAYOUT --layout tokens.json -o tokens.png
same_pixels boxes.png tokens.png
works generate --ckpt layout.safetensors --like boxes.png -o boxes2.png --quiet
same_pixels boxes.png boxes2.png
# Boxes that leave the picture are cut as the original cuts them, with a word.
echo '{"objects": [{"category": 5, "box": [0.5, 0.5, 0.9, 0.9]}, {"category": 2, "box": [-0.5, 0, 0.2, 0.2]}, {"category": 2, "box": [0, 1, 0.2, 0.2]}]}' >out.json
works generate --ckpt layout.safetensors --config layout.yaml --steps 2 --layout out.json -o out.png
stderr_has 'warning: layout: the box of object 0, \[0.5, 0.5, 0.9, 0.9\], reaches out of the picture and is cut at the border; if that is meant as two corners, its width and height are 0.4 and 0.4$'
stderr_has 'warning: layout: the box of object 1, \[-0.5, 0, 0.2, 0.2\], lies outside of the picture, and the object is left out; 1 more box is like it$'
# Names in the place of numbers, where the layout says all of them; they say how many there are, too.
names='"a","b","dog","d","e","a cat","g","h","i","j","k","l","m","n","o","p","q","r","s","twice"'
echo '{"objects": [{"category": "a cat", "box": [0.1, 0.2, 0.5, 0.5]}, {"category": "dog", "box": [0, 0, 1, 1], "group": true}], "names": ['"$names"']}' >named.json
works $LAYOUT --layout named.json -o named.png
same_pixels boxes.png named.png
{ printf '\357\273\277'; cat named.json; } >marked.json
works $LAYOUT --layout marked.json -o marked.png
same_pixels boxes.png marked.png
wrong_layout() { # PATTERN JSON
    printf '%s' "$2" >wrong.json
    fails 2 "$1" $LAYOUT --layout wrong.json -o no.png
}
wrong_layout 'is empty' ''
wrong_layout 'is no JSON: line 1' '{"objects": ['
wrong_layout 'is no JSON: line 1, column 2' '17'
wrong_layout 'holds 2 token ids, this model reads 14' '[1, 2]'
wrong_layout 'a list of objects, .* write \{"objects": \[\.\.\.\]\}, each \{"category": N, "box": \[x, y, width, height\]\}' '[{"box": [0, 0, 1, 1], "label": "x"}]'
wrong_layout 'write \{"objects"' '{"tokens": [{"category": 1, "box": [0, 0, 1, 1]}]}'
wrong_layout 'token id 1 is not a whole number from 0 to 127' '[1, 200, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]'
wrong_layout 'has "object"' '{"object": []}'
wrong_layout '"objects" is not a list' '{"objects": 3}'
wrong_layout 'object 0: box is not' '{"objects": [{"category": 1, "box": [0, 0, 1]}]}'
wrong_layout 'object 0: box has width -1' '{"objects": [{"category": 1, "box": [0, 0, -1, 1]}]}'
wrong_layout 'object 0: category is not a whole number from 0 to 126' '{"objects": [{"category": 1.5, "box": [0, 0, 1, 1]}]}'
wrong_layout 'object 0: category is "cat", and which number that is no model says' '{"objects": [{"category": "cat", "box": [0, 0, 1, 1]}]}'
wrong_layout 'category "cat" is not in "names"' '{"objects": [{"category": "cat", "box": [0, 0, 1, 1]}], "names": ["dog"]}'
wrong_layout 'category "dog" is there more than once in "names"' '{"objects": [{"category": "dog", "box": [0, 0, 1, 1]}], "names": ["dog", "dog"]}'
wrong_layout '"names" is not a list of 1 to 127 texts' '{"objects": [], "names": ["dog", 3]}'
wrong_layout '"names" is not a list of 1 to 127 texts' '{"objects": [], "names": []}'
wrong_layout '"classes" is 3, and "names" holds 1' '{"objects": [], "names": ["dog"], "classes": 3}'
wrong_layout 'say "classes"' '{"objects": [{"category": 1, "box": [0, 0, 1, 1], "inside": true}]}'
wrong_layout 'is token 141, and this model has tokens up to 126' '{"objects": [{"category": 1, "box": [0, 0, 1, 1], "group": true, "occluded": true, "depiction": true}], "classes": 20}'
wrong_layout '5 objects: this model has room for 4' '{"objects": [1, 2, 3, 4, 5]}'
wrong_layout 'object 0: box is \[10, 20, 100, 40\], which looks like pixels: it is \[x, y, width, height\] in parts .*; divide x and width by' '{"objects": [{"category": 1, "box": [10, 20, 100, 40]}]}'
wrong_layout 'crop is \[0, 0, 64, 64\], which looks like pixels' '{"objects": [], "crop": [0, 0, 64, 64]}'
wrong_layout 'crop reaches out' '{"objects": [], "crop": [0.5, 0, 1, 1]}'
wrong_layout 'duplicate' '{"objects": [], "objects": []}'
fails 1 'No such file' $LAYOUT --layout none.json -o no.png
head -c 2000000 /dev/zero >huge.json
fails 1 'huge.json' $LAYOUT --layout huge.json -o no.png

# What a model does not take, or lacks, says what it takes.
fails 2 'the mask is .*, and the picture that it belongs to is [0-9]+ x [0-9]+: make them one size$' $INPAINT --image "$PICTURES/turned_6.jpg" \
    --mask a.png -o no.png
fails 2 'this model makes pictures of a picture and a mask' $INPAINT -o no.png
fails 2 'nothing says which' $INPAINT --image a.png -o no.png
fails 2 'make them one size' $INPAINT --image a.png --mask "$PICTURES/source.png" -o no.png
fails 2 'needs --init with the picture' $INPAINT --mask a.png -o no.png
fails 2 'exclude each other' $INPAINT --image a.png --init a.png -o no.png
fails 2 'layout: this model takes a picture and a mask' $INPAINT --image a.png --mask a.png --layout tokens.json -o no.png
fails 2 'mask: this model takes a picture to enlarge' $SUPER --image a.png --mask a.png -o no.png
fails 2 'segmentation: this model takes a picture to enlarge' $SUPER --segmentation a.png -o no.png
fails 2 'noise_level: this model takes a picture to enlarge' $SUPER --image a.png --noise-level 3 -o no.png
fails 2 'noise_level is 350, expected 0 to 349' $UPSCALE --image a.png --noise-level 350 -o no.png
fails 2 'pad: this model does not paint' $SUPER --image a.png --pad 4 -o no.png
fails 2 'image: this model takes a map of labels' $SEMANTIC --image a.png -o no.png
fails 2 'makes pictures of a layout' $LAYOUT -o no.png
fails 2 'image: this model takes no picture' $LAYOUT --layout tokens.json --image a.png -o no.png
fails 2 'prompt: this model takes a layout' $LAYOUT --prompt 'a cat' -o no.png
: >empty.png
fails 1 'empty.png is empty' $SUPER --image empty.png -o no.png
fails 1 'empty.png is empty' $INPAINT --image a.png --mask empty.png -o no.png
fails 1 'empty.png is no PNG' $SEMANTIC --segmentation empty.png -o no.png
fails 1 'is a latent of [0-9]+ x [0-9]+, at most 4096' $INPAINT --image a.png --pad 16000 -o no.png
fails 1 'needs .* and --max-memory is' $SUPER --image "$PICTURES/source.png" --max-memory 1M -o no.png
fails 2 'image: this model takes no picture.*--init' generate $TINY --image a.png -o no.png
fails 2 'MASK is missing, and no part of a.png is transparent' inpaint a.png
# No mask is needed where the picture says itself what is painted, or where it grows.
cp "$(dirname "$CKPT")/../pictures/rgba16.png" hole.png
works inpaint hole.png $(with inpaint) -o filled.png --quiet
works generate $(with inpaint) --image hole.png -o filled2.png --quiet
same_pixels filled.png filled2.png
works inpaint a.png --pad 4 $(with inpaint) -o wider.png --quiet
fails 2 'IMAGE is missing' upscale
fails 2 'is one too many' upscale a.png --image a.png $(with superres)
npy k.npy '(1, 4, 6, 8)' 768
fails 2 'both are what is concatenated' $INPAINT --image a.png --mask a.png --concat k.npy -o no.png
fails 2 'tile is 5, expected 0 .none. or a multiple of 2' $SUPER --image a.png --tile 5 -o no.png
fails 2 'tile 8 and cache 2' $SUPER --image a.png --tile 8 --cache 2 -o no.png
fails 2 "size is '12x', expected width x height" generate $TINY --size 12x -o no.png
fails 2 'both sides must be multiples of 8' generate $TINY --size 65x64 -o no.png
fails 2 'size 64x64 and shape 3,16,16 are given' generate $TINY --size 64x64 --shape 3,16,16 -o no.png
works generate $TINY --steps 2 --size 48x32 -o wide.png --quiet
works generate $TINY --steps 2 --shape 3,8,12 -o wide2.png --quiet
same_pixels wide.png wide2.png
works generate --ckpt "$CKPT" --like wide.png --size 32x48 -o high.png --quiet
is_size high.png 32 48
