# SPDX-License-Identifier: MIT
# kill -9 at random moments: nothing half-written ever stands under a final name, and --resume ends
# with the bytes of an unbroken run. Takes a number of kills:
#   tests/cli/run.sh build/ldm tests/durability/kill.sh 200
ROUNDS=${1:-50}

RUN="generate $TINY --steps 2 --shape 3,8,8 -n 24 --grid --npz --batch 3 --quiet"

now()
{
    echo $(($(date +%s%N) / 1000000))
}

# A random number of milliseconds below $1.
below()
{
    echo $(($(od -An -N4 -tu4 /dev/urandom) % $1))
}

# Every file under a final name has its final bytes; "Only in" are those not made yet, and temporary
# ones.
check_folder()
{
    same_folder whole "$1" '^Only in'
    ! ls "$1" | grep -v '\.part-......$' | grep -vx '[0-9]*\.png\|grid\.png\|samples\.npz' ||
        die "round $round: an unknown file in the folder"
}

works $RUN -o whole
start=$(now)
works $RUN -o timed
duration=$(($(now) - start + 10))

kills=0 finished=0 round=0 with_pictures=0 leftovers=0
while [ $kills -lt "$ROUNDS" ]; do
    round=$((round + 1))
    [ $round -le $((20 * ROUNDS)) ] || die "only $kills of $round runs could be killed"
    COMMAND="$RUN -o got --resume (round $round)"
    CODE=0
    "$LDM" $RUN -o got --resume >"$OUT" 2>"$ERR" </dev/null &
    pid=$!
    sleep "$(printf '0.%03d' "$(below $((duration < 999 ? duration : 999)))")"
    kill -9 $pid 2>/dev/null || :
    wait $pid 2>/dev/null || CODE=$?
    if [ $CODE -eq 137 ]; then
        kills=$((kills + 1))
        [ ! -d got ] || {
            check_folder got
            ! ls got | grep -q '^00' || with_pictures=$((with_pictures + 1))
            ! ls got | grep -q 'part-' || leftovers=$((leftovers + 1))
        }
    else
        [ $CODE -eq 0 ] || die "round $round: expected success or death"
        [ ! -s "$ERR" ] || die "round $round: expected nothing on stderr"
        same_folder whole got
        finished=$((finished + 1))
        rm -r got
    fi
done
works $RUN -o got --resume
same_folder whole got
[ $with_pictures -gt 0 ] || die "no run was killed after its first picture: the test saw nothing"
echo "$kills kills ($with_pictures with pictures, $leftovers with a temporary file left)," \
    "$((finished + 1)) runs finished"
