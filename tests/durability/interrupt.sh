# SPDX-License-Identifier: MIT
# SIGINT and SIGTERM end a run after the operation that is computed and keep what is done; a second
# signal ends it at once. --resume makes the rest, as if nothing had happened.

RUN="generate $TINY --steps 20 --shape 3,8,8 -n 40 --batch 1 --threads 1"
works $RUN -o whole --quiet

# begin ARGUMENTS: starts a run and waits until it has said (stdout) that a picture is done. A shell
# lets its background jobs ignore SIGINT, and ldm leaves that so: env gives it back.
begin()
{
    COMMAND="$*"
    CODE=0
    : >"$OUT"
    env --default-signal=INT,TERM "$LDM" "$@" >"$OUT" 2>"$ERR" </dev/null &
    pid=$!
    i=0
    until [ -s "$OUT" ]; do
        i=$((i + 1))
        [ $i -lt 3000 ] || die "no picture in 30 s"
        kill -0 $pid 2>/dev/null || die "the run ended by itself"
        sleep 0.01
    done
}

# One signal: its exit code, what is done is said and kept, nothing unfinished stays behind.
first()
{
    begin $RUN -o "got-$1"
    kill -s "$1" $pid
    wait $pid || CODE=$?
    [ $CODE -eq "$2" ] || die "expected exit code $2"
    done=$(ls "got-$1" | wc -l)
    [ "$done" -eq "$(wc -l <"$OUT")" ] || die "$done pictures, but others were named"
    [ "$done" -lt 40 ] || die "the run was over before the signal came"
    stderr_has "interrupted: $done of 40 pictures are done and kept"
    same_folder whole "got-$1" '^Only in whole'
    works $RUN -o "got-$1" --resume
    stderr_has "note: $done of 40 pictures are there already"
    same_folder whole "got-$1"
}
first INT 130
first TERM 143

# Two signals that arrive together (the process stands still until both have): no step is ended, no
# farewell is said.
begin $RUN -o twice
kill -s STOP $pid
kill -s INT $pid
kill -s TERM $pid
kill -s CONT $pid
wait $pid || CODE=$?
[ $CODE -eq 130 ] || [ $CODE -eq 143 ] || die "expected exit code 130 or 143"
stderr_lacks 'interrupted'
works $RUN -o twice --resume --quiet
same_folder whole twice

# A step takes seconds here: the signal ends the run within it, and it takes its leave.
slow()
{
    COMMAND="signal $1 within a step"
    CODE=0
    : >"$OUT"
    env --default-signal=INT,TERM "$LDM" generate $TINY --shape 3,256,256 --steps 1000 --threads 1 \
        -o slow.png >"$OUT" 2>"$ERR" </dev/null &
    pid=$!
    i=0
    until grep -q '^pictures' "$ERR"; do # sampling begins
        i=$((i + 1))
        [ $i -lt 3000 ] || die "no sampling in 30 s"
        sleep 0.01
    done
    sleep 0.1
    kill -s "$1" $pid
    wait $pid || CODE=$?
    [ $CODE -eq "$2" ] || die "expected exit code $2"
    stderr_has 'interrupted: 0 of 1 pictures are done and kept'
    [ ! -e slow.png ] || die "a picture of no step"
}
slow INT 130
slow TERM 143

# Ignored on arrival: ignored. The run ends as it should.
: >"$OUT"
COMMAND='generate, SIGINT ignored'
(
    trap '' INT
    exec "$LDM" $RUN -o ignored --quiet >"$OUT" 2>"$ERR"
) &
pid=$!
until [ -s "$OUT" ]; do
    kill -0 $pid 2>/dev/null || die "the run ended by itself"
    sleep 0.01
done
kill -s INT $pid
wait $pid || die "expected success"
same_folder whole ignored

# Before the first picture and before the model is open.
COMMAND='generate, SIGTERM at once'
CODE=0
timeout --preserve-status -s TERM 0.02 "$LDM" generate $TINY --steps 1000 -n 100 -o none --quiet \
    >"$OUT" 2>"$ERR" || CODE=$?
[ $CODE -eq 143 ] || die "expected exit code 143"
[ ! -d none ] || no_part_files none
