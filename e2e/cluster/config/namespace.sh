# Furnishes the cluster's new network and mount namespaces; run once inside them. $1 is the cluster's directory.
# The node gets its own /var/lib, /var/log, /run and /tmp, so that every program keeps its stock paths, two
# clusters never meet, and all sockets and mounts vanish with the namespace.
set -eu

# Received from the host, never sent back to it; shared below, as kubelet expects of a node.
mount --make-rslave /
mount --make-rshared /
mount --bind "$1/var/log" /var/log
mount --bind "$1/var/lib" /var/lib
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mkdir /run/lock

# What is written most lives in memory, image layers too where that is plentiful: some disks take a minute to
# remove their thousands of files again.
mount -t tmpfs tmpfs /var/lib/etcd
if [ "$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo)" -gt 8000000 ]; then
    mount -t tmpfs tmpfs /var/lib/containerd
fi

# The node's address sits on a bridge, because not every kernel has the dummy device. Nothing leads outside;
# the default route only makes kube-proxy and kubelet find "the" interface.
ip link set lo up
ip link add node0 type bridge
ip address add 198.18.0.1/32 dev node0
ip link set node0 up
ip route add default dev node0
echo 1 > /proc/sys/net/ipv4/ip_forward
