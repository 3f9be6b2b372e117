#!/usr/bin/env bash
# Runs a program on two workers that reach each other by a network alone: each in a network namespace of its
# own, joined by a pair of virtual cards. For Open MPI; needs root.
#
#   crates/lowland-mpi/tests/namespaces.sh target/release/lowland train --mpi --out run ...
set -euo pipefail
[ $# -gt 0 ] || { echo "usage: $0 PROGRAM ARGUMENT..." >&2; exit 2; }

a=lowland-a-$$ b=lowland-b-$$
agent=$(mktemp)
tidy() {
    rm -f "$agent"
    ip netns delete "$a" 2> /dev/null || true
    ip netns delete "$b" 2> /dev/null || true
}
trap tidy EXIT

if ! ip netns add "$a" 2> /dev/null; then
    echo "SKIPPED: no network namespace can be made here (that takes root, and ip)"
    exit 0
fi
ip netns add "$b"
ip link add lowland0 netns "$a" type veth peer name lowland0 netns "$b"
for side in "$a 1" "$b 2"; do
    read -r name number <<< "$side"
    ip -n "$name" address add "10.77.0.$number/24" dev lowland0
    ip -n "$name" link set lowland0 up
    ip -n "$name" link set lo up
done

# What Open MPI takes for ssh: the other machine is the other namespace, under a name of its own.
cat > "$agent" <<AGENT
#!/bin/sh
shift
exec ip netns exec $b unshare --uts sh -c "hostname $b; \$*"
AGENT
chmod +x "$agent"

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
ip netns exec "$a" mpirun --host 10.77.0.1,10.77.0.2 -n 2 \
    --mca plm_rsh_agent "$agent" --mca btl tcp,self --mca btl_tcp_if_include lowland0 \
    --mca oob_tcp_if_include lowland0 "$@"
echo "bytes from one to the other: $(ip netns exec "$a" cat /sys/class/net/lowland0/statistics/tx_bytes)"
