# boot.sh DIR: becomes systemd, in namespaces of its own, on a copy of this
# machine's root that is gone with the namespaces. DIR is where it is put
# together; what is in DIR/share is seen at /run/share.
set -eu
dir=$1 root=$1/root
# The upper layer is on a file system of its own: the lower one is the whole
# root, and may not contain it.
mount -t tmpfs tmpfs "$dir/layers"
mkdir "$dir/layers/upper" "$dir/layers/work"
mount -t overlay -o "lowerdir=/,upperdir=$dir/layers/upper,workdir=$dir/layers/work" overlay "$root"

mount -t proc proc "$root/proc"
mount --bind -o ro "$root/proc/sys" "$root/proc/sys" # systemd-sysctl would write the host's
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 -o nsdelegate cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
for device in null zero full random urandom tty; do
	touch "$root/dev/$device"
	mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mkdir "$root/run/share"
mount --bind "$dir/share" "$root/run/share"

# Without an identity systemd takes this for a first boot, and enables
# whatever the host has installed; nothing of that is to run.
tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
rm -rf "$root"/etc/systemd/system/*.wants "$root"/etc/systemd/system/*.requires \
	"$root"/etc/systemd/user/*.wants "$root"/etc/rc[2345S].d/S* "$root"/var/log/journal
ln -sf /dev/null "$root/etc/systemd/system/systemd-modules-load.service"

cd "$root"
mkdir .old
pivot_root . .old
exec env -i container=stead-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
	chroot . /bin/sh -c 'umount -l /.old; exec /lib/systemd/systemd'
