#!/bin/busybox sh
# PID 1 of the initramfs: makes the host's files the root, under a writable overlay in RAM, mounts
# what a system has mounted, and hands over to run.sh. A failed step ends the shell, and with it
# the guest: the kernel panics when PID 1 ends, and the console says where.
set -eu
export PATH=/bin
/bin/busybox mkdir -p /proc /sys /dev /host /ram /root
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
exec </dev/console >/dev/console 2>&1
# The console is slow, and a panic does not wait for it.
trap 'echo "hostler-guest: the boot failed"; sleep 1' EXIT

# `settings` sets: version, modules (that version's directory on the host).
. /guest/settings

while read -r module; do
    insmod "/modules/$module"
done </modules/order

# The host's files don't change under us, so the guest may cache them (`cache=loose`); the large
# message size is what a virtqueue of 128 descriptors carries.
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose hostroot /host
mount -t tmpfs -o size=50%,mode=755 overlay /ram
mkdir /ram/upper /ram/work
mount -t overlay -o lowerdir=/host,upperdir=/ram/upper,workdir=/ram/work overlay /root

# /tmp stays the overlay's: it is writable and in RAM, and test programs may live in the host's.
# bpffs, tracefs and debugfs are left out: programs under test must cope with that.
mount --move /proc /root/proc
mount --move /sys /root/sys
mount --move /dev /root/dev
mount -t tmpfs -o mode=755,nosuid,nodev run /root/run
mkdir -p /root/dev/pts /root/dev/shm /root/run/lock
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /root/dev/pts
mount -t tmpfs -o mode=1777,nosuid,nodev shm /root/dev/shm
ln -sf /proc/self/fd /root/dev/fd
ln -sf /proc/self/fd/0 /root/dev/stdin
ln -sf /proc/self/fd/1 /root/dev/stdout
ln -sf /proc/self/fd/2 /root/dev/stderr

mount -t cgroup2 -o nsdelegate cgroup2 /root/sys/fs/cgroup
for controller in $(cat /root/sys/fs/cgroup/cgroup.controllers); do
    echo "+$controller" >/root/sys/fs/cgroup/cgroup.subtree_control
done

mkdir -p "/root/lib/modules/$version"
mount --bind "/root$modules" "/root/lib/modules/$version"

ip link set lo up
hostname hostler-guest

cp -a /guest /root/run/hostler-guest
cp /bin/busybox /root/run/hostler-guest/busybox
mkdir /root/run/hostler-guest/bin
/root/run/hostler-guest/busybox --install /root/run/hostler-guest/bin
# Where the host has no modprobe, the kernel and the tests still want one. (A link may lead to a
# path that only exists after the switch.)
[ -e /root/sbin/modprobe ] || [ -L /root/sbin/modprobe ] || ln -s /run/hostler-guest/busybox /root/sbin/modprobe

exec switch_root /root /run/hostler-guest/busybox sh /run/hostler-guest/run.sh
