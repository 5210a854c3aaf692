# SPDX-License-Identifier: MIT
# ldm metrics: FID, KID, Inception score, precision and recall, sFID, with weights by a formula.
# Their numbers are held against torch-fidelity's by tests/api/measures_test.c.

"$MAKE_INCEPTION" made.safetensors
works generate $TINY --steps 2 -n 6 -o a --npz --quiet
works generate $TINY --steps 2 -n 5 --seed 100 -o b --npz --quiet
NET="--inception made.safetensors"
FEW="--kid-subsets 3 --kid-subset-size 4 --is-splits 2 --bootstrap 3"

# All measures; a folder and an array are the same set.
works metrics --fid --kid --is --pr --sfid $NET $FEW a b
stdout_has '^protocol +tf1; KID of 3 subsets of 4; 2 splits; 3 neighbours; errors of 3 resamplings$'
stdout_has '^weights +not the published file, SHA-256 [0-9a-f]{64}$'
stdout_has '^samples +6 pictures of 64 x 64 to 299 x 299 by TensorFlow'
stdout_has '^reference +5 pictures of 64 x 64'
stdout_has '^ +SHA-256 of mean and covariance [0-9a-f]{64}$'
stdout_has '^FID +[0-9.e+-]+  standard error [0-9.e+-]+$'
stdout_has '^KID +[0-9.e+-]+  standard error [0-9.e+-]+  deviation over subsets'
stdout_has '^Inception score +[0-9.]+  standard error'
stdout_has '^precision +[01]'
stdout_has '^recall +[01]'
stdout_has '^sFID +[0-9.e+-]+'
stderr_has 'warning: made.safetensors is not the published file'
stderr_has 'warning: 6 samples for 2048 features: their covariance is singular'
cp "$OUT" folders
works metrics --fid --kid --is --pr --sfid $NET $FEW a/samples.npz b/samples.npz
cmp -s folders "$OUT" || die "an array gives other figures than its folder"

# JSON, and the modes: each resizes otherwise.
for mode in tf1 pytorch clean; do
    works metrics --fid $NET --bootstrap 0 --fid-mode $mode a b --json
    stdout_has "\"mode\": \"$mode\""
    stdout_has '"official": false'
    stdout_has '"pictures": 6'
    stdout_has '"error": null'
    grep -A 2 '"fid"' "$OUT" | grep '"value"' >"fid.$mode"
done
! cmp -s fid.tf1 fid.pytorch || die "tf1 and pytorch agree"
! cmp -s fid.tf1 fid.clean || die "tf1 and clean agree"

# Statistics stand for pictures, need no network, are merged, and know network and mode.
works metrics $NET --write-stats b.npz b
stderr_has '^ldm metrics: the statistics are written to b.npz$'
works metrics --fid $NET --bootstrap 0 a b.npz --json
stdout_has '"how": "statistics of 5 pictures, resized by: tf1"'
grep -A 2 '"fid"' "$OUT" | grep '"value"' >fid.stats
cmp -s fid.tf1 fid.stats || die "statistics give another FID than their pictures"
works metrics $NET --write-stats a.npz a
works metrics --fid a.npz b.npz
stdout_has '^FID +[0-9.e+-]+$'
works metrics --write-stats both.npz a.npz b.npz
works metrics --fid both.npz b.npz
stdout_has '^samples +statistics of 11 pictures'
works metrics --fid a.npz a.npz
stdout_has '^FID +0$'
fails 2 'made with the mode tf1, others here with clean' metrics --fid $NET --fid-mode clean a b.npz

# Features for other programs.
works metrics $NET a --write-features features.npz
[ "$(wc -c <features.npz)" -gt 160000 ] || die "features.npz is too small"

# What cannot be computed is said, and the rest is.
ldm metrics --fid --kid --is $NET --bootstrap 0 a b
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has '^FID +[0-9]'
stdout_has '^KID +not computed: subsets of 1000 pictures cannot be drawn from 5;'
stdout_has '^Inception score  ?not computed: 6 pictures cannot be divided into 10 splits;'
mkdir single none
cp a/00000.png single
ldm metrics --fid $NET single b
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stdout_has '^FID +not computed: the samples have 1 picture, and statistics need 2 at least'
fails 1 "'none' is a folder without pictures" metrics --fid $NET none b
fails 1 'b.npz holds no array of pictures' metrics --kid $NET --kid-subset-size 2 a b.npz

# Weights: another network's, cut, none; wrong options.
"$MAKE_INCEPTION" other.safetensors 1000
fails 3 "other.safetensors: these are torchvision's inception_v3 weights" metrics --fid --inception other.safetensors a b
"$MAKE_INCEPTION" odd.safetensors 10
fails 3 'fc.weight has the shape \[10, 2048\], the Inception network of 2015 has \[1008, 2048\]' metrics --fid --inception odd.safetensors a b
head -c 1000000 made.safetensors >cut.safetensors
fails 1 'cut.safetensors' metrics --fid --inception cut.safetensors a b
fails 3 'lacks the tensor Conv2d_1a_3x3.conv.weight' metrics --fid --inception "$CKPT" a b
fails 1 'nothing.pth' metrics --fid --inception nothing.pth a b
fails 2 'pictures need the Inception network' metrics --fid a b
fails 2 '1 set of pictures given, expected two' metrics --fid $NET a
fails 2 'no measure was named' metrics $NET a b
fails 2 "fid-mode" metrics --fid $NET --fid-mode tf2 a b
fails 2 "kid-subsets is '0', expected a whole number from 1" metrics --kid $NET --kid-subsets 0 a b
fails 2 'bootstrap 1 gives no error' metrics --fid $NET --bootstrap 1 a b

# An interrupt says what there is. interrupted FILE OPTIONS: SIGTERM as soon as the file is there, or after
# two seconds where there is to be none.
interrupted()
{
    waited=$1
    shift
    COMMAND="metrics $*, ended"
    CODE=0
    "$LDM" metrics "$@" >"$OUT" 2>"$ERR" </dev/null &
    i=0
    while [ $i -lt 600 ] && [ ! -e "$waited" ]; do
        [ "$waited" ] || [ $i -lt 20 ] || break
        sleep 0.1
        i=$((i + 1))
    done
    kill -TERM $!
    wait $! || CODE=$?
    [ "$CODE" -eq 143 ] || die "expected exit code 143"
    [ "$(grep -c interrupted "$ERR")" -eq 1 ] || die "expected one line that says so"
    stdout_is ''
}
# Resampling follows the writing.
interrupted begun.npz --fid --bootstrap 100000 --write-stats begun.npz $NET a b
stderr_has '^ldm metrics: interrupted: no measure is computed; written: begun.npz$'
works metrics --fid begun.npz begun.npz
folders=
while [ ${#folders} -lt 1000 ]; do folders="$folders a"; done
interrupted '' --is $NET $folders --write-features unwritten.npz
stderr_has '^ldm metrics: interrupted: nothing is measured, and nothing is written$'
[ ! -e unwritten.npz ] || die "features of half a set"
