# SPDX-License-Identifier: MIT
# ldm generate by several processes in one folder: the launchers as the program sees them, the files
# of one process, other runs refused, own shares, instructions. tests/durability/cluster.sh breaks it.

RUN="generate $TINY --steps 2 --shape 3,8,8 -n 7 --grid --npz"
unset $(env | sed -n 's/^\(SLURM_[A-Z_]*\|OMPI_[A-Z_]*\|PMI_[A-Z_]*\|RANK\|WORLD_SIZE\)=.*/\1/p') || :
works $RUN -o whole --quiet

# same_run A: the pictures and sheets of one process, and .ldm-run beside them.
same_run()
{
    same_folder whole "$1" "^Only in $1: .ldm-run\$"
    no_part_files "$1"
}

# ---- one process after the other; the launcher is named once
works $RUN -o two --rank 1 --of 2 --no-wait
stderr_empty
[ "$(wc -l <"$OUT")" -eq 9 ] || die "expected seven pictures and two sheets: it took all"
same_run two
works $RUN -o two --rank 0 --of 2
stderr_has '^\[0/2 .*\] ldm generate: note: process 0 of 2 \(--rank and --of\), [0-9]+ threads?; the run is shared'
stderr_has '7 of 7 pictures are done, 0 of them by this process'
stdout_is ''

launched()
{
    want=$1
    shift
    rm -rf launched
    COMMAND="$* ($want)"
    env "$@" "$LDM" $RUN -o launched >"$OUT" 2>"$ERR" </dev/null || die "expected success"
    stderr_has "note: process 0 of $want"
    same_run launched
}
launched '3 \(Open MPI\)' OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=3
launched '2 \(PMI\)' PMI_RANK=0 PMI_SIZE=2
launched '4 \(Slurm step\)' SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=4 SLURM_NTASKS=4
launched '2 \(torchrun\)' RANK=0 WORLD_SIZE=2 TORCHELASTIC_RUN_ID=none
launched '5 \(Slurm array\)' SLURM_ARRAY_TASK_COUNT=5 SLURM_ARRAY_TASK_ID=0 SLURM_ARRAY_TASK_MIN=0

# A batch script without a step, and an array whose tasks name no common folder, are one process each.
SLURM_PROCID=0 SLURM_NTASKS=4 "$LDM" $RUN -o alone --quiet >/dev/null || die "expected success"
same_folder whole alone
SLURM_ARRAY_TASK_COUNT=5 SLURM_ARRAY_TASK_ID=3 "$LDM" generate $TINY --steps 2 --shape 3,8,8 \
    --seed 3 -o task3.png --quiet >/dev/null || die "expected success"
[ -f task3.png ] || die "expected task3.png"
export PMI_RANK=7 PMI_SIZE=2
fails 2 'PMI_RANK is 7 and PMI_SIZE is 2' $RUN -o odd
unset PMI_RANK PMI_SIZE

# ---- what is there already: earlier pictures are kept, those of another run refused
mkdir part
cp whole/00002.png part
stat -c %i part/00002.png >inode
works $RUN -o part --rank 0 --of 1
[ "$(stat -c %i part/00002.png)" = "$(cat inode)" ] || die "a kept picture was written again"
same_run part
works $RUN -o part --resume --quiet # joins the run, and needs no launcher
other()
{
    fails 2 "ldm generate: part/.ldm-run/manifest.json is of another run \($1\)" $RUN --quiet -o part --rank 0 --of 2 $2
}
other 'steps: 2 there, 3 here' '--steps 3 --timesteps leading'
other 'seed: 42 there, 7 here' '--seed 7'
other 'pictures: 7 there, 8 here' '-n 8'
fails 2 'another run \(npz: true there, false here\)' generate $TINY --steps 2 --shape 3,8,8 -n 7 \
    --quiet --grid -o part --rank 0 --of 2
mkdir foreign
cp whole/00001.png foreign/00000.png
ldm $RUN --quiet -o foreign --rank 0 --of 2
[ "$CODE" -eq 1 ] || die "expected exit code 1"
stderr_has 'foreign/00000.png is of another run \(seed: 43 there, 42 here\)'
same whole/00001.png foreign/00000.png

# ---- statistics: those of `ldm metrics` over the folder, however many processes there were
STATS="generate $TINY --steps 2 --shape 3,8,8 -n 7 --quiet"
works $STATS -o stats1 --write-stats one.stats
stdout_has '^one.stats$'
works $STATS -o stats2 --write-stats two.stats --rank 1 --of 2 --own-share --block 2
[ ! -e two.stats ] || die "a share has no statistics"
works $STATS -o stats2 --write-stats two.stats --rank 0 --of 2
works metrics $TINY --write-stats metrics.stats stats1
same one.stats two.stats
same one.stats metrics.stats

# ---- shares in folders of their own
for r in 0 1 2; do
    works $RUN -o share$r --rank $r --of 3 --own-share --block 1 --quiet
    [ ! -e share$r/grid.png ] || die "a share has no sheets"
done
[ "$(ls share0 share1 share2 | grep -c '^0000.\.png$')" -eq 7 ] || die "shares overlap, or leave gaps"
works merge share0 share1 share2/ -o merged
stdout_is '7 pictures of 3 folders in merged'
same_folder whole merged
# Few pictures are shared evenly; a process that has none says so.
for r in 0 1; do
    works generate $TINY --steps 1 --shape 3,8,8 -n 8 -o even$r --rank $r --of 2 --own-share
    [ "$(ls even$r | grep -c '^0000.\.png$')" -eq 4 ] || die "expected 4 pictures of 8"
done
works merge even0 even1 -o even
stdout_is '8 pictures of 2 folders in even'
works generate $TINY --steps 1 --shape 3,8,8 -n 2 -o even3 --rank 2 --of 3 --own-share
stderr_has '^\[2/3 .*: note: process 2 of 3 has no share: the 2 pictures are the others., in blocks of 1$'
works generate $TINY --steps 1 --shape 3,8,8 -n 2 -o even3 --rank 2 --of 3 --own-share --quiet
stderr_empty
works $RUN -o two --rank 1 --of 2
stderr_has 'note: process 1 of 2 found nothing to do'
works $RUN -o single --quiet --rank 0 --of 1
works merge single -o merged3
stdout_is '7 pictures of 1 folder in merged3'
works generate $TINY --steps 1 --shape 3,8,8 -n 1 -o single1 --quiet --rank 0 --of 1
works merge single1 -o merged4
stdout_is '1 picture of 1 folder in merged4'
cp share0/00000.png share1
works merge share2 share1 share0 -o merged2 --json
stdout_has '"doubles": 1'
same_folder whole merged2
rm share1/00000.png
fails 1 "2 of 7 pictures are in none of the folders: 2, 5; name" merge share0 share1 -o gap
fails 1 "folder 'merged' holds 9 files of a run already" merge share0 -o merged
cp share1/00001.png share1/00000.png
fails 1 'share0/00000.png and share1/00000.png are two versions of one picture' merge share0 share1 share2 -o x
fails 1 'nothing holds no run of several processes' merge nothing -o x
fails 2 "model.ckpt' is a file: this command joins folders of pictures .* and mixes no checkpoints" \
    merge "$CKPT" "$CKPT" -o x.safetensors
works $RUN --seed 3 -o foreign2 --rank 1 --of 2 --own-share --block 1 --quiet
fails 1 'share0 and foreign2 are parts of different runs \(seed: 42 and 3\)' merge share0 foreign2 -o x
fails 2 '-o FOLDER is missing' merge share0

# ---- who does what
works status share0
stdout_has '^share0: 3 of 7 pictures are done \(43 %\), blocks of 1, lease 300 s'
stdout_has 'nobody is at work: the same command goes on'
stdout_has '0/3 .* left$'
works status two --json
stdout_has '"finished": true'
fails 1 'whole holds no run of several processes' status whole

# ---- instructions: one set on all machines, and a warning where they were mixed
works $RUN --isa c -o mixed --rank 1 --of 2 --own-share --block 1 --quiet
ldm $RUN -o mixed --rank 0 --of 2
if [ "$CODE" -eq 0 ] && ! grep -q 'computes with c' "$ERR"; then
    stderr_has 'warning: this machine computes with .*, the first process of this run with c: .* --isa c'
    stderr_has 'warning: machines with different instructions made these pictures'
fi
works $RUN --isa c -o pinned --quiet
works $RUN --isa c -o pinned2 --rank 0 --of 2
same_folder pinned pinned2 '^Only in pinned2: .ldm-run$'
stderr_lacks 'warning'

# ---- wrong options
fails 2 '--rank R and --of N belong together' $RUN -o x --rank 1
fails 2 "--rank is 3 and --of is 3" $RUN -o x --rank 3 --of 3
fails 2 "--of: '0' is not a whole number from 1" $RUN -o x --rank 0 --of 0
fails 2 '--lease is about a run of several processes, and this one is alone' $RUN -o x --lease 5
fails 2 '3 processes .* share the folder that -o names' $RUN --rank 0 --of 3
fails 2 "'f.png' is the name of one picture" generate $TINY -o f.png --rank 0 --of 3
fails 2 '--overwrite: of several' $RUN -o x --rank 0 --of 3 --overwrite
fails 2 '--save-latent: several processes' $RUN -o x --rank 0 --of 3 --save-latent z.npy
works generate $TINY --steps 2 --shape 3,8,8 -n 50 -o plan --rank 0 --of 10 --dry-run
stdout_has 'for 10 processes that are as fast as this one'
[ ! -e plan ] || die "a dry run made a folder"
