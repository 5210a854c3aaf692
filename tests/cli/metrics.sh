# SPDX-License-Identifier: MIT
# ldm metrics: the study's figures.

works generate $TINY --steps 2 -n 2 -o two --quiet
works metrics two/00000.png two/00001.png
stdout_has '^two/00000.png: 64 x 64$'
stdout_has '^two/00001.png: 64 x 64$'
stdout_has 'brightness +0\.[0-9]{3}'
stdout_has 'contrast +[0-9]\.[0-9]{3}'
stdout_has 'R 0\.[0-9]{3}  G 0\.[0-9]{3}  B 0\.[0-9]{3}'
stdout_has 'colour coherence'
stderr_has '^ldm metrics: note: `ldm metrics --psnr two/00000.png two/00001.png` says how far apart the two are$'
works metrics two/00000.png
stderr_empty
works metrics --json two/00000.png
[ "$(head -n 1 "$OUT")" = '[' ] || die "not a JSON array"
stdout_has '"brightness": 0\.[0-9]+'
stdout_has '"skin_like": (true|false)'
stdout_has '"colour_grade": "(excellent|fair|poor)"'

# One that cannot be read does not stop the others, but shows in the exit code.
ldm metrics nothing.png two/00000.png
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has '^two/00000.png: 64 x 64$'
stderr_has 'nothing.png.*No such file'
ldm metrics nothing.png --json
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has '"error": ".*nothing.png'

fails 1 "is a folder" metrics .
fails 1 "config.yaml" metrics "$CONFIG"
: >empty.png
fails 1 "empty.png" metrics empty.png
head -c 500 two/00000.png >cut.png
fails 1 "cut.png" metrics cut.png

# Faces: rectangles or the reason why there are none, never a guess.
works metrics two/00000.png
stdout_has '^  faces +([0-9]+ found|not judged: no face detector: .*opencv-data)'
works metrics two/00000.png --json
stdout_has '"faces": (\[|null)'
works metrics "$SRC/tests/data/haar/faces.png" --cascade "$SRC/tests/data/haar/synthetic.xml"
stdout_has '^  faces +[0-9]+ found'
fails 1 'nowhere.xml.*No such file' metrics two/00000.png --cascade nowhere.xml

# Sets: an array of pictures, a summary, statistics and the distance to them.
works generate $TINY --steps 2 -n 3 -o set --npz --quiet
works metrics set/samples.npz --summary
stdout_has '^3 pictures, means$'
works metrics set/samples.npz
stdout_has '^set/samples.npz\[2\]: 64 x 64$'
works metrics set/samples.npz $TINY --write-stats set.stats
[ "$(head -c 11 set.stats)" = 'ldm-stats 1' ] || die "not a file of statistics"
stderr_has '^ldm metrics: the statistics are written to set.stats$'
works metrics set/0000*.png $TINY --frechet set.stats
stderr_has 'note: Frechet distance: It shrinks with .* Of 3 pictures it is largely chance: other seeds may show another order, 100 or more tell'
stdout_has '^  Frechet distance +[0-9.e-]+ to 3 pictures$'
works metrics two/0000*.png $TINY --frechet set.stats --json
stdout_has '"frechet": [0-9.e-]+'
fails 2 'found 1' metrics two/00000.png $TINY --frechet set.stats
fails 1 'nothing.stats.*No such file' metrics two/00000.png --frechet nothing.stats
fails 1 'holds no statistics' metrics two/00000.png --frechet two/00000.png

# A contact sheet is no sample: it is skipped and said, in a list and in a folder.
works generate $TINY --steps 2 -n 4 -o four/ --grid --npz --quiet
works metrics four/*.png $TINY --write-stats four.stats
stderr_has 'note: four/grid.png is a contact sheet of 4 pictures and is skipped'
stdout_has '^4 pictures, means$'
works metrics four/ $TINY --frechet four.stats
stdout_has '^4 pictures, means$'
stdout_has '^  Frechet distance +0 to 4 pictures$'
works metrics four
stdout_has '^four/00003.png: 64 x 64$'
stdout_lacks 'grid'

# A set has one size.
works generate $TINY --steps 1 --shape 3,8,8 -o small.png --quiet
ldm metrics four/00000.png small.png --summary
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stderr_has 'small.png is 32 x 32, and four/00000.png is 64 x 64: a set has pictures of one size'
[ ! -s "$OUT" ] || die "a summary of two sizes"
works metrics four/00000.png small.png
mkdir none
fails 1 "'none' is a folder without pictures" metrics none

# A picture without a face is not said to be likely one, whatever its colours.
SYNTHETIC="--cascade $SRC/tests/data/haar/synthetic.xml"
works metrics "$SRC/tests/data/haar/faces.png" $SYNTHETIC
stdout_has '^  verdict +[A-Z].*FACE IMAGE'
npy flat.npy '(1, 64, 64, 3)' 49152
works metrics flat.npy $SYNTHETIC
stdout_has '^  faces +0 found$'
stdout_has '^  verdict +unlikely to be a face image: no face was found$'
stdout_lacks 'LIKELY|POSSIBLY'
works metrics flat.npy $SYNTHETIC --json
stdout_has '"verdict": "unlikely to be a face image: no face was found"'

# Two pictures, and how far apart they are.
works metrics --psnr two/00000.png two/00001.png
stdout_has '^two/00000.png and two/00001.png: PSNR [0-9.]+ dB, MSE [0-9.]+, mean difference [0-9.]+, largest [0-9]+$'
[ "$(wc -l <"$OUT")" -eq 1 ] || die "one line"
stderr_empty
psnr=$(sed -n 's/.*PSNR \([0-9]*\).*/\1/p' "$OUT")
works metrics two/00000.png two/00001.png --mse --json
stderr_has 'note: other programs. spellings: --mse is --psnr'
stdout_has "\"psnr\": $psnr\.[0-9]+"
stdout_has '"equal": false'
works metrics --psnr two/00000.png two/00000.png
stdout_is 'two/00000.png and two/00000.png: equal, every byte of 64 x 64 pixels'
works metrics --psnr two/00000.png two/00000.png --json
stdout_has '"psnr": null'
stdout_has '"equal": true'
fails 1 'small.png is 32 x 32, and two/00000.png is 64 x 64: .*pictures of one size' metrics --psnr small.png two/00000.png
fails 1 'cannot open nothing.png' metrics --psnr two/00000.png nothing.png
fails 2 '1 is given, expected two: two pictures, or two folders' metrics --psnr two/00000.png
fails 2 'two is a folder, and small.png is none' metrics --psnr small.png two
fails 2 'the other measures are of sets' metrics --psnr --fid two four
# The same figures as those of reconstruct, also beside a grey picture and one with transparency.
works reconstruct two/00000.png $TINY -o back.png --quiet
figures=$(sed -n 's/^two.00000.png: \(.*\) -> .*/\1/p' "$OUT")
works metrics --psnr two/00000.png back.png
stdout_is "two/00000.png and back.png: $figures"
PICTURES=$SRC/tests/data/pictures
works metrics --psnr "$PICTURES/grey8.png" "$PICTURES/grey8.png"
works metrics --psnr "$PICTURES/grey8.png" "$PICTURES/rgb16.png"
stderr_empty
works metrics --psnr "$PICTURES/rgba16.png" "$PICTURES/rgb16.png"
stderr_has 'note: the transparency of .*/rgba16.png is left out'
# Folders, by name: what has no partner is said, and a contact sheet is no picture.
mkdir other
cp four/00000.png four/grid.png other/
cp two/00001.png other/00001.jpg
works metrics --psnr two other/
stdout_has '^two/00001.png and other/00001.jpg: equal'
stdout_has '^2 of 2 pairs are equal$'
stderr_empty
works metrics --psnr other/ four/ --summary --json
stderr_has 'note: 2 pictures of four/, first 00002.png, have no partner in other/'
stdout_has '"only_b": \['
stdout_lacks '"pairs"'
mkdir apart
cp two/00000.png apart/x.png
fails 1 'no picture of two has the name of one in apart' metrics --psnr two apart
# Arrays, in their order.
works metrics --psnr set/samples.npz set/samples.npz
stdout_has '^set/samples.npz\[2\] and set/samples.npz\[2\]: equal'
fails 1 'set/samples.npz holds 3 pictures, and four/samples.npz 4' metrics --psnr set/samples.npz four/samples.npz
