# SPDX-License-Identifier: MIT
# Results under the names that were asked for.

# A JPEG by its ending, with its recipe; metrics reads it.
cp "$CKPT" model.ckpt
works generate $TINY --steps 2 -o x.png
works generate $TINY --steps 2 -o x.jpg
stdout_is x.jpg
[ "$(head -c 3 x.jpg | od -An -tx1 | tr -d ' ')" = ffd8ff ] || die "x.jpg is no JPEG"
works generate $TINY --steps 2 --quality 30 -o small.JPEG
[ "$(wc -c <small.JPEG)" -lt "$(wc -c <x.jpg)" ] || die "--quality 30 makes no smaller file"
works metrics x.jpg
stdout_has '^x.jpg: 64 x 64$'
works generate --like x.jpg -o again.png
same_pixels again.png x.png
for q in 0 101 -1 high ''; do fails 2 "--quality: " generate $TINY --quality "$q" -o q.jpg; done

# One name for several pictures, and other endings, are refused; no ending is a folder.
fails 2 "'pics.png' is the name of one picture, and 2 are made; name a folder, e.g. pics/" \
    generate $TINY -n 2 -o pics.png
for e in gif webp txt; do
    fails 2 "'x.$e' ends in .$e, and pictures are written as .png, .jpg or .jpeg" generate $TINY -o x.$e
done
fails 2 "ends in .bmp" generate $TINY -n 2 -o x.bmp
works generate $TINY --steps 1 -o picture
stdout_is picture/00000.png
works generate $TINY --steps 1 -n 2 -o run.v2
stdout_has '^run.v2/00001.png$'

# Missing folders are made, for every kind of result.
works generate $TINY --steps 1 -o no/such/x.png --save-latent no/other/z.npy
stdout_is 'no/such/x.png
no/other/z.npy'
[ -s no/such/x.png ] && [ -s no/other/z.npy ] || die "not written"
fails 1 "'x.png' is a file, and a folder is needed there" generate $TINY -o x.png/y.png
fails 1 "'/dev/null' is a device, pipe or socket, and a folder is needed there" generate $TINY -o /dev/null

# No result replaces a file of another kind, and nothing without a word.
sed 's/$//' "$CONFIG" >config.yaml
cp config.yaml kept.yaml
cp model.ckpt kept.ckpt
MINE='--ckpt model.ckpt --config config.yaml'
works convert $MINE -o config.safetensors # config.yaml is the source's and stays
stdout_has '^config.safetensors.yaml$'
same config.yaml kept.yaml
rm config.safetensors config.safetensors.yaml
cp config.yaml taken.yaml
fails 1 'taken.yaml is there already; --overwrite replaces it' convert $MINE -o taken.safetensors
rm taken.yaml
fails 2 "'model.ckpt' ends in .ckpt, and a safetensors file is written; name it model.safetensors" convert $MINE -o model.ckpt
cp model.ckpt read.safetensors
fails 2 'read.safetensors is read by this conversion' convert --ckpt read.safetensors --config config.yaml -o read.safetensors --overwrite
works convert $MINE -o other.safetensors
fails 1 'other.safetensors is there already' convert $MINE -o other.safetensors
works convert $MINE -o other.safetensors --overwrite
npy z.npy '(1, 3, 16, 16)' 3072
fails 2 "'config.yaml': the result is an array, expected a name ending in .npy" eval $MINE --part decode --in z.npy -o config.yaml
fails 2 "[-]-save-latent: 'config.yaml': the result is an array" generate $MINE --steps 1 -o a.png --save-latent config.yaml
fails 2 "[-]-save-image: 'model.ckpt': the result is an array" generate $MINE --steps 1 -o a.png --save-image model.ckpt
fails 1 'config.yaml is there already, and holds no statistics; --overwrite replaces it' metrics x.png $MINE --write-stats config.yaml
fails 1 'config.yaml is there already; --overwrite replaces it' doctor $MINE --quick --write-config config.yaml
works reconstruct x.png $MINE -o x.d/back.png
stdout_has 'x.d/back.png$'
fails 2 "'both.png' is the name of one picture, and 2 are made" reconstruct x.png x.jpg $MINE -o both.png
fails 1 "x.png is there already; --overwrite" reconstruct x.png $MINE -o .
same config.yaml kept.yaml
same model.ckpt kept.ckpt

# Frames of two walks are not mixed; their sheet and animation are no pictures to measure.
works interpolate 1 2 $MINE --steps 1 --frames 3 -o walk --quiet
fails 1 'walk/00000.png is there already; --overwrite replaces it' interpolate 3 4 $MINE --steps 1 -o walk --quiet
works interpolate 1 2 $MINE --steps 1 --frames 3 -o walk --quiet --overwrite
works interpolate 1 2 $MINE --steps 1 --frames 2 -o walk.png
works interpolate 1 2 $MINE --steps 1 --frames 2 -o walk.png
stderr_has 'note: walk.png is there already and will be replaced'
fails 2 "'walk.gif' ends in .gif, and an animation is written as .png or .apng" interpolate 1 2 $MINE -o walk.gif
works metrics walk --summary
stdout_has '^3 pictures, means'
stderr_has 'walk/sheet.png is a contact sheet of 3 pictures and is skipped'
stderr_has 'walk/animation.png is an animation of 3 pictures and is skipped'
fails 1 'walk/sheet.png is of a walk, which is made again by: ldm interpolate 1 2' generate --like walk/sheet.png -o b.png
fails 1 'walk/animation.png is of a walk, which is made again by' generate --like walk/animation.png -o b.png
fails 2 "'face' is no seed, and no picture or .npy has that name" interpolate 1 face $MINE -o b.png --quiet

# The file that is read is not written over.
works generate $TINY --steps 2 -o in.png --quiet
cp in.png kept.png
fails 2 'in.png is what is read here' generate $TINY --steps 2 --init in.png -o ./in.png
fails 2 'in.png is what is read here' interpolate in.png 4 $TINY --steps 2 --frames 2 -o in.png
works invert in.png $TINY --steps 2 -o n.npy --quiet
fails 2 'n.npy is what is read here' invert n.npy $TINY --steps 2 -o n.npy
cmp -s in.png kept.png || die "the input was written over"

# A picture that ldm made is replaced with a note; a photo is not, without --overwrite.
works generate $TINY --steps 1 -o made.jpg --quiet
works generate $TINY --steps 2 -o made.jpg
stderr_has 'note: made.jpg is there already and will be replaced'
cp "$SRC/tests/data/pictures/rgb.jpg" photo.jpg
fails 1 'photo.jpg is there already, and no picture that ldm made; --overwrite replaces it' \
    generate $TINY --steps 1 -o photo.jpg
cmp -s photo.jpg "$SRC/tests/data/pictures/rgb.jpg" || die "the photo was written over"
works generate $TINY --steps 1 -o photo.jpg --overwrite --quiet
: >empty.png
works generate $TINY --steps 1 -o empty.png --quiet

# Every other kind of result: a file of its kind is replaced with a note, any other one only with --overwrite.
# mine TEXT COMMAND: TEXT is said of a file that is no result, before anything is computed.
printf 'what I wrote myself\n' >mine
mine()
{
    file=$1 said=$2
    shift 2
    cp mine "$file"
    fails 1 "$file is there already$said.*; --overwrite replaces it, or give another name" "$@"
    same mine "$file"
    rm "$file"
}
npy z.npy '(1, 3, 16, 16)' 3072
TWO='1 2 --steps 1 --frames 2'
mine k.svg ', and no roofline that ldm drew' bench $TINY --rounds 1 --plot k.svg
mine k.npy ', and no array \(.npy\)' invert in.png $TINY --steps 2 -o k.npy
mine k.npy ', and no array' eval $TINY --part decode --in z.npy -o k.npy
mine k.npy ', and no array' generate $TINY --steps 1 -o new.png --save-latent k.npy
mine k.npy ', and no array' generate $TINY --steps 1 -o new.png --save-image k.npy
mkdir inter
mine inter/pred_x0.npy ', and no array' generate $TINY --steps 1 -o new.png --save-intermediates inter
mine inter/middle.npy ', and no array' eval $TINY --part decode --in z.npy --dump inter
mine new.npz ', and holds no arrays \(.npz\)' generate $TINY --steps 1 -o new.png --npz
mine k.stats ', and holds no statistics' generate $TINY --steps 1 -o new.png --write-stats k.stats
mine k.stats ', and holds no statistics' metrics in.png $TINY --write-stats k.stats
mine k.npz ', and holds no arrays' metrics in.png --inception none.pth --write-stats k.npz
mine k.npz ', and holds no arrays' metrics in.png --is --inception none.pth --write-features k.npz
mine new.png ', and no picture that ldm made' generate $TINY --steps 1 -o new.png
mine new.png ', and no picture that ldm made' interpolate $TWO $TINY -o new.png
mine inter/00001.png '' interpolate $TWO $TINY -o inter
mine inter/sheet.png '' interpolate $TWO $TINY -o inter
mine inter/in.png '' reconstruct in.png $TINY -o inter
mine inter/cured.yaml '' doctor $TINY --quick --report inter
cp mine inter/sweep.json
fails 1 'inter/sweep.json is there already' compare $TINY -n 1 --sweep steps=1,2 -o inter
rm -r inter

works invert in.png $TINY --steps 2 --one-way -o k.npy
stderr_lacks 'replaced'
works invert in.png $TINY --steps 2 --one-way -o k.npy
stderr_has 'note: k.npy is there already and will be replaced'
works invert in.png $TINY --steps 2 --one-way -o k.npy --overwrite
stderr_lacks 'replaced'
works eval $TINY --part decode --in z.npy -o k.npy
stderr_has 'note: k.npy is there already and will be replaced'
cp mine k.npy
works generate $TINY --steps 1 -o new.png --save-latent k.npy --overwrite --quiet
differ mine k.npy
works bench $TINY --rounds 1 --layers --plot k.svg
works bench $TINY --rounds 1 --layers --plot k.svg
stderr_has 'note: k.svg is there already and will be replaced'
cp mine k.svg.tmp
works bench $TINY --rounds 1 --layers --plot k.svg --overwrite
stderr_lacks 'replaced'
same mine k.svg.tmp
works generate $TINY --steps 1 -o new.png --npz --quiet --overwrite
works generate $TINY --steps 1 -o new.png --npz
stderr_has 'note: new.npz is there already and will be replaced'

# What will be replaced is said only when the run is sure to begin; `fails` allows one line.
fails 2 'x-t' generate $TINY --steps 1 -o new.png --x-t z.npy --init in.png
fails 2 'steps' generate $TINY --steps 100000 -o new.png
fails 2 'eta' generate $TINY --sampler plms --eta 1 -o new.png
fails 2 'strength' generate $TINY --init in.png --strength 0.001 --steps 5 -o new.png --save-latent k.npy
fails 2 'is no seed' interpolate 1 face $TINY --frames 2 -o walk.png --quiet
fails 1 'none' invert none.png $TINY --steps 2 -o k.npy
fails 1 'is not a .npy file' eval $TINY --part decode --in "$CONFIG" -o k.npy
