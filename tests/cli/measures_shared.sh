# SPDX-License-Identifier: MIT
# ldm metrics --write-stats FILE.npz by several processes, and of features from files: the bytes of one
# process, however many there were. Other runs and wrong options are refused.

"$MAKE_INCEPTION" made.safetensors
RUN="generate $TINY --steps 2 -n 11 --quiet"
works $RUN --grid -o a
NET="--inception made.safetensors --threads 1"
works metrics $NET --write-stats one.npz a

# ---- processes that share a folder: 2 and 5 of them at once, in blocks that do not divide the set
for n in 2 5; do
    jobs=
    for r in $(seq 0 $((n - 1))); do
        "$LDM" metrics $NET --write-stats ranks$n.npz --rank $r --of $n --block 2 a \
            >"$ROOM/said/out$r" 2>"$ROOM/said/err$r" </dev/null &
        jobs="$jobs $!"
    done
    for job in $jobs; do
        wait $job || die "a process of $n failed: $(cat "$ROOM"/said/err*)"
    done
    same one.npz ranks$n.npz
    [ ! -e ranks$n.npz.run/features ] || die "features of blocks were left behind"
done
grep -q '^\[0/5 .*\] ldm metrics: note: process 0 of 5 (--rank and --of), 1 thread; the run is shared in ranks5.npz.run$' \
    "$ROOM/said/err0" || die "process 0 does not say who it is: $(cat "$ROOM/said/err0")"
! grep -v 'warning: made.safetensors is not the published file' "$ROOM/said/err4" || die "process 4 speaks"
works status ranks2.npz.run
stdout_has '^ranks2.npz.run: 12 of 12 pictures are done'

# A launcher's word is as good.
OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 "$LDM" metrics $NET --write-stats mpi.npz a >"$OUT" 2>"$ERR" ||
    die "expected success"
same one.npz mpi.npz

# One dies with a block begun; the other takes that over.
"$LDM" metrics $NET --write-stats dead.npz --rank 0 --of 2 --block 2 a >/dev/null 2>&1 &
victim=$!
while [ ! -e dead.npz.run/.ldm-run/done/000000 ] && kill -0 $victim 2>/dev/null; do
    sleep 0.02
done
kill -9 $victim 2>/dev/null || :
wait $victim 2>/dev/null || :
works metrics $NET --write-stats dead.npz --rank 1 --of 2 a
same one.npz dead.npz

# ---- shares of a run, merged: the same pictures, the same statistics
for r in 0 1; do
    works $RUN -o share$r --rank $r --of 2 --own-share --block 2
done
works merge share0 share1 -o merged
works metrics $NET --write-stats merged.npz merged
same one.npz merged.npz

# ---- features from files count as their pictures, in the order of the arguments
works metrics $NET --write-features f0.npz a/0000[0-4].png
works metrics $NET --write-features f1.npz --rank 0 --of 2 --block 4 a/0000[5-9].png a/00010.png
works metrics --write-stats joined.npz f0.npz f1.npz
same one.npz joined.npz
works metrics $NET --write-stats joined2.npz f0.npz a/0000[5-9].png a/00010.png
same one.npz joined2.npz
works metrics --fid --sfid --bootstrap 0 f0.npz f1.npz
stdout_has '^samples +features of 5 pictures from files, resized by: tf1$'
grep '^FID\|^sFID' "$OUT" >fids
mkdir b
cp a/0000[0-4].png b
works metrics --fid --sfid --bootstrap 0 $NET b f1.npz
grep '^FID\|^sFID' "$OUT" | cmp -s fids - || die "features give another FID than their pictures"
works metrics --is --is-splits 2 --bootstrap 0 $NET f0.npz
fails 2 'features from files need the network as well' metrics --kid f0.npz f1.npz
fails 2 'made with the mode tf1, others here with clean' metrics $NET --fid-mode clean --write-stats x.npz a/00000.png f0.npz

# ---- what is refused
fails 2 'ranks2.npz.run/.ldm-run/manifest.json is of another run \(fid-mode: "tf1" there, "clean" here\)' \
    metrics $NET --fid-mode clean --write-stats ranks2.npz --rank 0 --of 2 a
cp -p a/00003.png kept.png
touch -d '2001-01-01' a/00003.png
fails 2 'of another run \(names, sizes and times of the pictures: ' metrics $NET --write-stats ranks2.npz --rank 0 --of 2 a
touch -r kept.png a/00003.png
rm ranks2.npz
ldm metrics $NET --write-stats ranks2.npz --rank 1 --of 2 a
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stderr_has 'the run in ranks2.npz.run is finished, but ranks2.npz is not there: remove the folder'
fails 2 "--rank: several processes share the features" metrics --fid $NET --rank 0 --of 2 a b
fails 2 "--rank: several processes share the features" metrics --write-stats x.npz --rank 0 --of 2 f0.npz f1.npz
fails 2 '--lease is about features that several processes compute' metrics $NET --write-stats x.npz --lease 5 a
fails 2 "--rank: several processes share the Inception network's features alone" metrics --rank 0 --of 2 a
fails 2 '--rank R and --of N belong together' metrics $NET --write-stats x.npz --rank 0 a
fails 2 "x.npz is a name of the Inception network's statistics" $RUN -o y --write-stats x.npz
