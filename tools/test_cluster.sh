#!/bin/sh
# SPDX-License-Identifier: MIT
# Many machines on one: three network namespaces with host names of their own, sshd in each, Open MPI
# over them, and Slurm with three nodes as processes. Each launcher makes the same pictures in a shared
# folder, and the SHA-256 of all files must be that of one process; then machines, processes and the
# network fail. Debian 12, root (it makes namespaces); `make test-cluster` calls it.
#
# Nothing here depends on how fast the machine is: what is waited for is an event, and gives up only where
# the process that should bring it about has ended, or after half an hour.
#
#   tools/test_cluster.sh PROGRAM MAKE_INCEPTION [PICTURES [STEPS]]      (300 pictures of the shipped model demo, 5 steps)
set -eu

LDM=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
MAKE_INCEPTION=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
PICTURES=${3:-300}
STEPS=${4:-5}
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || { echo "test_cluster: root is needed, to make network namespaces"; exit 1; }
tools/install_deps.sh --also openmpi-bin openssh-server iproute2 slurm-wlm munge faketime

ROOM=$(mktemp -d /tmp/ldm-cluster.XXXXXX)
chmod 755 "$ROOM"
cp "$LDM" "$ROOM/ldm" # which may be built again meanwhile
LDM=$ROOM/ldm
cd "$ROOM"
TAG=ldm$$ NET=10.213.7
NODES="$TAG-n1 $TAG-n2 $TAG-n3"
export SLURM_CONF=$ROOM/slurm.conf
failures=0

# Processes of this test are stopped by their numbers, which they leave here.
pids()
{
    cat "$ROOM"/*.pid 2>/dev/null || :
}

tidy_up()
{
    trap - EXIT INT TERM
    for pid in $(pids); do
        kill "$pid" 2>/dev/null || :
    done
    sleep 1
    for pid in $(pids); do
        kill -9 "$pid" 2>/dev/null || :
    done
    for node in $NODES; do
        ip netns del "$node" 2>/dev/null || :
    done
    ip link del "br$$" 2>/dev/null || :
    umount "$ROOM/small" 2>/dev/null || :
    [ -n "${KEEP:-}" ] || rm -rf "$ROOM"
}
trap tidy_up EXIT
trap 'exit 130' INT TERM

say()
{
    printf '%-58s %s\n' "$1" "$2"
}

die()
{
    echo "test_cluster: $*"
    [ ! -s log ] || tail -20 log
    exit 1
}

# ---- three machines ------------------------------------------------------------------------------

# node N COMMAND: in the N-th machine's network, with its host name and our list of hosts.
node()
{
    n=$1
    shift
    ip netns exec "$TAG-n$n" unshare --uts --mount sh -c '
        hostname "$0" && mount --bind "$1" /etc/hosts && shift && exec "$@"' \
        "$TAG-n$n" "$ROOM/hosts" "$@"
}

# until_true TRIES SECONDS COMMAND: runs it until it succeeds; fails after so many tries.
until_true()
{
    tries=$1 pause=$2
    shift 2
    while ! "$@"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep "$pause"
    done
}

make_machines()
{
    # A disk with little room; the machines' own views of what is mounted are made later and have it.
    mkdir small
    mount -t tmpfs -o size=1m tmpfs small
    ip link add "br$$" type bridge
    ip link set "br$$" up
    echo '127.0.0.1 localhost' >hosts
    n=0
    for name in $NODES; do
        n=$((n + 1))
        echo "$NET.$n $name" >>hosts
        ip netns add "$name"
        ip link add "v$n-$$" type veth peer name eth0 netns "$name"
        ip link set "v$n-$$" master "br$$" up
        ip -n "$name" addr add "$NET.$n/24" dev eth0
        ip -n "$name" link set eth0 up
        ip -n "$name" link set lo up
    done
}

start_sshd()
{
    mkdir -p /run/sshd
    ssh-keygen -q -t ed25519 -N '' -f host_key
    ssh-keygen -q -t ed25519 -N '' -f key
    cp key.pub authorized_keys
    for n in 1 2 3; do
        printf '%s\n' "ListenAddress $NET.$n" "HostKey $ROOM/host_key" "PidFile $ROOM/sshd$n.pid" \
            "AuthorizedKeysFile $ROOM/authorized_keys" 'StrictModes no' 'UsePAM no' \
            'PermitRootLogin yes' 'PasswordAuthentication no' 'MaxStartups 100' >"sshd$n.conf"
        node $n /usr/sbin/sshd -f "$ROOM/sshd$n.conf" -E "$ROOM/sshd$n.log"
    done
    printf '%s\n' '#!/bin/sh' \
        "exec ssh -q -i $ROOM/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \"\$@\"" >remote
    chmod 755 remote
}

# on N COMMAND: by ssh from the first machine.
on()
{
    n=$1
    shift
    node 1 ./remote "$TAG-n$n" "$@"
}

mpi()
{
    node 1 mpirun --allow-run-as-root --bind-to none --host "$TAG-n1,$TAG-n2,$TAG-n3" -np 3 \
        --mca plm_rsh_agent "$ROOM/remote" --mca oob_tcp_if_include "$NET.0/24" "$@"
}

start_slurm()
{
    mkdir munge slurmctld slurmd1 slurmd2 slurmd3
    head -c 1024 /dev/urandom >munge/key
    chown -R munge munge
    chmod 700 munge
    chmod 400 munge/key
    chmod 711 munge
    setpriv --reuid munge --regid munge --clear-groups /usr/sbin/munged --force \
        --key-file "$ROOM/munge/key" --socket "$ROOM/munge/socket" --pid-file "$ROOM/munge/pid" \
        --log-file "$ROOM/munge/log" --seed-file "$ROOM/munge/seed" 2>>log || die "munged did not start"
    cp munge/pid munged.pid
    cat >slurm.conf <<EOF
ClusterName=ldm
SlurmctldHost=$TAG-n1($NET.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$ROOM/munge/socket
StateSaveLocation=$ROOM/slurmctld
SlurmdSpoolDir=$ROOM/spool-%n
SlurmctldPidFile=$ROOM/slurmctld.pid
SlurmdPidFile=$ROOM/slurmd-%n.pid
SlurmctldLogFile=$ROOM/slurmctld.log
SlurmdLogFile=$ROOM/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=600
SchedulerParameters=sched_interval=2
NodeName=$TAG-n1 NodeHostname=$TAG-n1 NodeAddr=$NET.1 CPUs=2 State=UNKNOWN
NodeName=$TAG-n2 NodeHostname=$TAG-n2 NodeAddr=$NET.2 CPUs=2 State=UNKNOWN
NodeName=$TAG-n3 NodeHostname=$TAG-n3 NodeAddr=$NET.3 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
EOF
    echo 'CgroupPlugin=cgroup/v1' >cgroup.conf
    node 1 /usr/sbin/slurmctld -f "$ROOM/slurm.conf" >>log 2>&1 || die "slurmctld did not start"
    for n in 1 2 3; do
        node $n /usr/sbin/slurmd -f "$ROOM/slurm.conf" >>log 2>&1 || die "slurmd $n did not start"
    done
    until_true 1800 1 slurm_is_up && return 0
    node 1 sinfo >>log 2>&1 || :
    die "the nodes of Slurm did not come up"
}

slurm_is_up()
{
    [ "$(node 1 sinfo -h -t idle -o %D 2>>log)" = 3 ]
}

# ---- what is compared ----------------------------------------------------------------------------

hashes()
{
    (cd "$1" && find . -path ./.ldm-run -prune -o -type f -print | LC_ALL=C sort | xargs sha256sum)
}

# same FOLDER WHAT: the files of one process, and nothing half beside them.
same()
{
    if hashes "$1" >got.sha && cmp -s want.sha got.sha; then
        say "$2" "same files ($(wc -l <got.sha))"
    else
        say "$2" "DIFFERENT"
        diff want.sha got.sha | head -5 || :
        failures=$((failures + 1))
    fi
}

# several FOLDER: more than one host made pictures.
several()
{
    hosts=$(grep -ho "\"worker\": \"$TAG-n[123]" "$1"/.ldm-run/done/0* | sort -u | wc -l)
    [ "$hosts" -gt 1 ] || { say "$1: hosts that made pictures" "ONLY $hosts"; failures=$((failures + 1)); }
}

# into FOLDER: where a run goes, with statistics beside its pictures.
into()
{
    echo "-o $1 --write-stats $1/encoder.stats"
}

make_machines
start_sshd
for n in 1 2 3; do
    [ "$(on $n hostname)" = "$TAG-n$n" ] || die "ssh to $TAG-n$n"
done
RUN="$LDM generate --model demo -n $PICTURES --steps $STEPS --grid --npz --threads 1 --quiet"
$RUN $(into whole) >/dev/null
hashes whole >want.sha
say "one process" "$(wc -l <want.sha) files"

# ---- launchers -----------------------------------------------------------------------------------

mpi $RUN $(into mpi) >/dev/null 2>>log
same mpi "mpirun over three machines"
several mpi

for n in 1 2 3; do
    on $n "cd $ROOM && $RUN $(into ssh) --rank $((n - 1)) --of 3" >/dev/null 2>>log &
    eval "job$n=$!"
done
wait $job1 $job2 $job3
same ssh "plain ssh, --rank and --of"
several ssh

for n in 1 2 3; do
    on $n "cd $ROOM && $RUN -o own$n --rank $((n - 1)) --of 3 --own-share" >/dev/null 2>>log &
    eval "job$n=$!"
done
wait $job1 $job2 $job3
"$LDM" merge own1 own2 own3 -o merged >/dev/null 2>>log
"$LDM" metrics --model demo --write-stats merged/encoder.stats merged >/dev/null 2>>log
same merged "own folders, ldm merge"

start_slurm
node 1 srun -N3 -n3 $RUN $(into srun) >/dev/null 2>>log
same srun "srun -N3 -n3"
several srun

node 1 sbatch -W -o array.log --array=0-2 -N1 -n1 --wrap "$RUN $(into array)" >/dev/null 2>>log ||
    { cat array.log; die "the array failed"; }
same array "sbatch --array=0-2"

node 1 sbatch -W -o steps.log --array=0-1 -N3 -n3 --wrap "srun $RUN $(into steps)" >/dev/null 2>>log ||
    { cat steps.log; die "the array of steps failed"; }
same steps "sbatch --array=0-1 with srun in each task"

# Slurm's variables without a step: one process, which shares nothing.
node 1 sbatch -W -o lone.log -N3 -n3 --wrap "$RUN $(into lone)" >/dev/null 2>>log || die "the batch script failed"
[ ! -e lone/.ldm-run ] || { say "a batch script without srun" "TAKEN FOR A RANK"; failures=$((failures + 1)); }
same lone "a batch script without srun is one process"

# ---- statistics of the Inception network ----------------------------------------------------------

"$MAKE_INCEPTION" made.safetensors
mkdir some
cp whole/000[0-3]?.png some
METRICS="$LDM metrics --inception made.safetensors --threads 1 --block 3"
"$LDM" metrics --inception made.safetensors --write-stats one.npz some 2>>log

# same_stats FILE WHAT
same_stats()
{
    if cmp -s one.npz "$1"; then
        say "$2" "same statistics"
    else
        say "$2" "DIFFERENT"
        failures=$((failures + 1))
    fi
}
mpi $METRICS --write-stats mpi.npz some >/dev/null 2>>log
same_stats mpi.npz "ldm metrics under mpirun"
node 1 srun -N3 -n3 $METRICS --write-stats srun.npz some >/dev/null 2>>log
same_stats srun.npz "ldm metrics under srun"

# ---- faults --------------------------------------------------------------------------------------

has_done()
{
    [ "$(ls "$1/.ldm-run/done" 2>/dev/null | wc -l)" -ge "$2" ]
}

# wait_for JOB FOLDER BLOCKS: until so many blocks are done; an error where the process ends before.
wait_for()
{
    while ! has_done "$2" "$3"; do
        kill -0 "$1" 2>/dev/null || has_done "$2" "$3" || die "$2: its processes ended with less than $3 blocks"
        sleep 0.05
    done
}

# process_of FOLDER NODE: the number of the process that the N-th machine has in this run; waits for it.
has_process()
{
    ls "$1"/.ldm-run/workers/$TAG-n$2-* >/dev/null 2>&1
}
process_of()
{
    until_true 36000 0.05 has_process "$1" "$2" || die "machine $2 does not join $1"
    sed -n 's/.*"pid": \([0-9]*\).*/\1/p' "$1"/.ldm-run/workers/$TAG-n$2-* | head -1
}

# unfinished FOLDER: claims of blocks that are not done.
unfinished()
{
    for claim in $(ls "$1/.ldm-run/claims"); do
        [ -e "$1/.ldm-run/done/${claim%.*}" ] || echo "$claim"
    done
}

# A rank dies: mpirun ends the others. The same command goes on.
mpi $RUN $(into dead) --lease 2 >/dev/null 2>>log &
job=$!
wait_for $job dead 2
kill -9 "$(process_of dead 2)"
wait $job && { say "mpirun with a rank that died" "SUCCEEDED"; failures=$((failures + 1)); }
mpi $RUN $(into dead) --lease 2 >/dev/null 2>>log
same dead "kill -9 of a rank under mpirun, the same command again"

# A machine is cut off: mpirun gives up, the same command goes on.
mpi --mca oob_tcp_keepalive_time 1 --mca oob_tcp_keepalive_intvl 1 --mca oob_tcp_keepalive_probes 2 \
    $RUN $(into cut) --lease 2 >/dev/null 2>>log &
job=$!
wait_for $job cut 2
ip -n "$TAG-n3" link set eth0 down
wait $job || :
ip -n "$TAG-n3" link set eth0 up
mpi $RUN $(into cut) --lease 2 >/dev/null 2>>log
same cut "a machine's link went down, the same command again"

# A process stands still beyond the lease and wakes up: another has made its block, with the same bytes.
mpi $RUN $(into stopped) --lease 2 >/dev/null 2>>log &
job=$!
wait_for $job stopped 1
sleeper=$(process_of stopped 2)
begun=
while [ -z "$begun" ] && kill -STOP "$sleeper" 2>/dev/null; do
    begun=$(cd stopped/.ldm-run/claims && grep -ls -- "-$sleeper-" $(cd "$ROOM" && unfinished stopped) /dev/null | head -1)
    [ -n "$begun" ] || kill -CONT "$sleeper"
    [ -n "$begun" ] || sleep 0.05
done
[ -n "$begun" ] || die "the process ended before it could be stopped in a block"
until_true 36000 0.05 test -e "stopped/.ldm-run/claims/${begun%.*}.$((${begun##*.} + 1))" ||
    die "nobody took the block of a process that stands still"
kill -CONT "$sleeper"
wait $job || { say "mpirun with a process that stood still" "FAILED"; failures=$((failures + 1)); }
same stopped "SIGSTOP past the lease, SIGCONT"

# The disk is full: every process says so and ends, half a file is nowhere. Room again: the same command.
mpi $RUN $(into small/full) >/dev/null 2>full.err &&
    { say "mpirun on a full disk" "SUCCEEDED"; failures=$((failures + 1)); }
grep -q 'No space left on device' full.err || die "a full disk is not named: $(cat full.err)"
half=$(hashes small/full | grep -v 'part-' | grep -vxFf want.sha || :)
[ -z "$half" ] || { say "a full disk" "HALF A FILE: $half"; failures=$((failures + 1)); }
mount -o remount,size=200m small
mpi $RUN $(into small/full) >/dev/null 2>>log
same small/full "disk full, room again, the same command"

# Another recipe in the folder of a run, from another machine: refused, and the run is as it was.
on 2 "cd $ROOM && $RUN --seed 7 $(into mpi) --rank 1 --of 2" >/dev/null 2>other.err &&
    { say "another recipe" "ACCEPTED"; failures=$((failures + 1)); }
grep -q 'is of another run (seed' other.err || die "another recipe is not named: $(cat other.err)"
same mpi "another recipe in the same folder is refused"

# A machine that comes late, with a number that the others did not reckon with.
on 1 "cd $ROOM && $RUN $(into late) --rank 0 --of 2" >/dev/null 2>>log &
job=$!
wait_for $job late 2
on 3 "cd $ROOM && $RUN $(into late) --rank 6 --of 7" >/dev/null 2>>log || failures=$((failures + 1))
wait $job || failures=$((failures + 1))
same late "a process that comes late"

# A job is cancelled (preemption): SIGTERM, and the claims are given back.
node 1 sbatch -W -o term.log -N3 -n3 --wrap "srun $RUN $(into term)" >/dev/null 2>>log &
job=$!
wait_for $job term 2
node 1 scancel "$(node 1 squeue -h -o %A 2>>log)" 2>>log
wait $job || :
slurm_is_idle()
{
    [ -z "$(node 1 squeue -h 2>>log)" ]
}
until_true 1800 1 slurm_is_idle || die "the cancelled job does not end"
[ -z "$(unfinished term)" ] || { say "claims after scancel" "KEPT: $(unfinished term | tr '\n' ' ')"; failures=$((failures + 1)); }
node 1 srun -N3 -n3 $RUN $(into term) >/dev/null 2>>log
same term "scancel, the same command again"

# A clock is wrong by an hour, twelve leases. FAKE_UTIME=1: libfaketime leaves alone what sets the times of
# files, where the file server takes its own clock.
on 2 "cd $ROOM && NO_FAKE_STAT=1 FAKE_UTIME=1 FAKETIME_DONT_FAKE_MONOTONIC=1 faketime -f +1h $RUN $(into skew) --rank 0 --of 2 --lease 300" \
    >/dev/null 2>>log &
job1=$!
wait_for $job1 skew 1
on 3 "cd $ROOM && $RUN $(into skew) --rank 1 --of 2 --lease 300" >/dev/null 2>>log || failures=$((failures + 1))
wait $job1 || failures=$((failures + 1))
same skew "a clock is wrong by an hour"
[ "$(ls skew/.ldm-run/claims | grep -c '\.1$')" -eq 0 ] ||
    { say "claims of the machine with the wrong clock" "TAKEN OVER"; failures=$((failures + 1)); }

[ $failures -eq 0 ] || die "$failures failures"
echo "test_cluster: all launchers and faults give the files of one process"
