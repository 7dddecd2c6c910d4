#!/usr/bin/env bash
# A one-node Slurm with two fake GPUs, for the tests and for trying out a profile; run it as root.
# Everything it needs is in DIR (configuration, key, sockets, logs, state); the link /run/slurm/conf points there.
#
#   cluster.sh install       install the packages, on Debian or Ubuntu
#   cluster.sh start DIR
#   cluster.sh slurmd DIR    restart only the node's daemon
#   cluster.sh stop DIR
#
# Set GPUS, CPUS and MEMORY (MB) to change the node: Slurm doesn't check them.
set -euo pipefail
link=/run/slurm/conf # where Slurm looks when there's no /etc/slurm/slurm.conf; SLURM_CONF doesn't reach job steps
PATH=$PATH:/usr/sbin
GPUS=${GPUS:-2} CPUS=${CPUS:-8} MEMORY=${MEMORY:-16000}
here=$(cd "$(dirname "$0")" && pwd)

install() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge
}

configure() {
    mkdir -p "$dir"/{state,spool,log}
    chmod 700 "$dir"
    [ -s "$dir/munge.key" ] || head -c 1024 /dev/urandom >"$dir/munge.key"
    chmod 600 "$dir/munge.key"
    local port=${PORT:-$((20000 + $$ % 10000 * 2))}
    sed -e "s|@DIR@|$dir|g" -e "s|@HOST@|$(hostname -s)|g" -e "s|@USER@|$(id -un)|g" -e "s|@PORT@|$port|g" \
        -e "s|@NODE_PORT@|$((port + 1))|g" -e "s|@GPUS@|$GPUS|g" -e "s|@CPUS@|$CPUS|g" -e "s|@MEMORY@|$MEMORY|g" \
        "$here/slurm.conf" >"$dir/slurm.conf"
    : >"$dir/gres.conf"
    for index in $(seq 0 $((GPUS - 1))); do
        ln -sfn /dev/null "$dir/gpu$index" # a stand-in for the device: Slurm reads its number and never opens it
        echo "Name=gpu File=$dir/gpu$index" >>"$dir/gres.conf"
    done
}

start() {
    if [ -e /etc/slurm/slurm.conf ] || [ -e $link ]; then
        echo "this machine already has a Slurm (/etc/slurm/slurm.conf or $link)" >&2
        return 1
    fi
    configure
    mkdir -p /run/slurm && ln -sfn "$dir" $link
    munged --force --key-file="$dir/munge.key" --socket="$dir/munge.socket" --pid-file="$dir/munged.pid" \
        --log-file="$dir/log/munged.log" --seed-file="$dir/munge.seed"
    slurmctld -f "$dir/slurm.conf"
    node
    for _ in $(seq 100); do
        sinfo -h -o %t 2>/dev/null | grep -qx idle && return
        sleep 0.2
    done
    tail -n 5 "$dir"/log/*.log >&2
    echo "the node didn't come up; its logs are in $dir/log" >&2
    return 1
}

node() {
    slurmd -f "$dir/slurm.conf"
}

stop() {
    for name in slurmd slurmctld munged; do
        [ -s "$dir/$name.pid" ] && kill "$(cat "$dir/$name.pid")" 2>/dev/null || true
    done
    [ "$(readlink $link)" != "$dir" ] || rm $link
}

case "${1:-}" in
install) install ;;
start | slurmd | stop)
    mkdir -p "${2:?DIR}"
    dir=$(cd "$2" && pwd)
    case $1 in start) start ;; slurmd) node ;; stop) stop ;; esac
    ;;
*)
    sed -n '2,10s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
