# Pid 1 of the machine: runs the steps in $share, one after the other, and
# switches the machine off. / is this machine's, and read-only: whatever is
# written is in memory, but for $share, which is a directory of the test.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp TMPDIR=/tmp STEAD_THROWAWAY=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 -o nsdelegate cgroup2 /sys/fs/cgroup
[ -e /dev/null ] || mount -t devtmpfs dev /dev # the kernel may have done it
mkdir -p /dev/pts /dev/shm /dev/share
mount -t devpts -o ptmxmode=666 devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
mount -t hostfs -o "$share" none /dev/share
ip link set lo up
mkswap /dev/ubdb >/dev/null && swapon /dev/ubdb
cd /tmp
for step in /dev/share/steps/*.sh; do
	sh -e "$step" >"${step%.sh}.out" 2>&1 </dev/null
	echo $? >"${step%.sh}.code"
done
sync
poweroff -f -d
