# SPDX-License-Identifier: MIT
# Several processes in one folder, and what happens to them: kill -9 at random moments, stopped beyond
# the lease and woken, no room left, SIGTERM, a late one. In the end the folder holds the files of one
# process: nothing lost, nothing half. Takes a number of kills.
KILLS=${1:-50}

RUN="generate $TINY --shape 3,8,8 --grid --npz --batch 2 --quiet"
works $RUN --steps 4 -n 40 -o whole

# start RANK OF FOLDER OPTIONS: in the background; its number is in $pid.
start()
{
    rank=$1 size=$2 folder=$3
    shift 3
    COMMAND="$RUN -o $folder --rank $rank --of $size $*"
    "$LDM" $RUN --steps 4 -n 40 -o "$folder" --block 2 --rank "$rank" --of "$size" "$@" \
        >>"$ROOM/said/out-$folder" 2>>"$ROOM/said/err-$folder" </dev/null &
    pid=$!
}

# ends PID CODE FOLDER: the process ends with this exit code.
ends()
{
    CODE=0
    wait "$1" || CODE=$?
    cp "$ROOM/said/err-$3" "$ERR"
    [ "$CODE" -eq "$2" ] || die "process $1 in $3: expected exit code $2"
}

# Whether the process, which stands still, has claimed a block that is not done.
has_block()
{
    for claim in $(grep -ls -- "-$1-" "$2"/.ldm-run/claims/*); do
        block=${claim##*/}
        [ -e "$2/.ldm-run/done/${block%.*}" ] || return 0
    done
    return 1
}

# stop_in_block FOLDER OPTIONS: starts process 0 of 2 and stops it in the middle of a block.
stop_in_block()
{
    folder=$1
    shift
    for try in 1 2 3 4 5 6 7 8 9 10; do
        rm -rf "$folder"
        start 0 2 "$folder" "$@"
        while kill -STOP $pid 2>/dev/null; do
            ! has_block $pid "$folder" || return 0
            kill -CONT $pid
            sleep 0.02
            [ ! -e "$folder/.ldm-run/done/final" ] || break
        done
        kill -CONT $pid 2>/dev/null || :
        wait $pid || :
    done
    die "no process could be stopped in a block"
}

# The pictures and sheets of one process, and nothing but .ldm-run beside them.
same_run()
{
    same_folder whole "$1" "^Only in $1: .ldm-run\$"
}

# Stopped beyond the lease: another takes the block over, and both end well.
stop_in_block stopped --lease 1
first=$pid
start 1 2 stopped --lease 1
ends $pid 0 stopped
same_run stopped
ls stopped/.ldm-run/claims | grep -q '\.1$' || die "nobody took a block over: $(ls stopped/.ldm-run/claims)"
kill -CONT $first
ends $first 0 stopped
same_run stopped
stderr_has 's passed between two signs of life of this process, longer than the lease'

# SIGTERM gives the block back: the other does not wait for a lease of 300 s.
stop_in_block given
first=$pid
kill -TERM $first
kill -CONT $first
ends $first 143 given
stderr_has 'what was begun is given back'
! has_block $first given || die "it kept its block"
start 1 2 given
ends $pid 0 given
same_run given

# A process without room ends and gives back; the others make all. Room again: the same command.
for folder in full1 full2; do
    (
        ulimit -f 8
        exec "$LDM" $RUN --steps 4 -n 40 -o $folder --rank 0 --of 2
    ) >"$OUT" 2>"$ERR" </dev/null && die "expected a failure: there is no room"
    stderr_has 'cannot write .*: File too large'
    ! ls $folder | grep 'part-' || die "a temporary file was left"
    [ ! -e $folder/samples.npz ] || die "half a samples.npz"
    [ $folder = full2 ] || start 1 2 $folder
    [ $folder = full1 ] || start 0 2 $folder
    ends $pid 0 $folder
    same_run $folder
done

# A late one finds nothing to do.
start 2 3 given
ends $pid 0 given

# kill -9: one of three at a random moment, and another in its place.
below()
{
    echo $(($(od -An -N4 -tu4 /dev/urandom) % $1))
}
kills=0 runs=0 with_pictures=0
while [ $kills -lt "$KILLS" ]; do
    runs=$((runs + 1))
    [ $runs -le $((4 * KILLS)) ] || die "only $kills kills in $runs runs"
    rm -rf killed
    start 0 3 killed; pid0=$pid
    start 1 3 killed; pid1=$pid
    start 2 3 killed; pid2=$pid
    while [ ! -e killed/.ldm-run/done/final ]; do
        sleep "$(printf '0.%03d' "$(below 150)")"
        [ $kills -lt "$KILLS" ] || break
        victim=$(below 3)
        eval "dead=\$pid$victim"
        kill -9 "$dead" 2>/dev/null || :
        CODE=0
        wait "$dead" 2>/dev/null || CODE=$?
        [ $CODE -ne 137 ] || kills=$((kills + 1))
        ! ls killed 2>/dev/null | grep -q '^00' || with_pictures=$((with_pictures + 1))
        [ ! -d killed ] || same_folder whole killed '^Only in'
        start "$victim" 3 killed
        eval "pid$victim=$pid"
    done
    for pid in $pid0 $pid1 $pid2; do
        ends "$pid" 0 killed
    done
    same_run killed
    [ ! -s "$ROOM/said/err-killed" ] || die "expected nothing on stderr: $(cat "$ROOM/said/err-killed")"
done
[ $with_pictures -gt 0 ] || die "nobody was killed after the first picture: the test saw nothing"
echo "$kills kills in $runs runs"
