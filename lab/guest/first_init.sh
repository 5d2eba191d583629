#!/bin/sh
# The first program of the machine, in the archive that comes with the kernel: load the modules, go on in the system.
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
while read -r module; do
    insmod "/modules/$module.ko" || echo "lab: module $module does not load" >/dev/kmsg
done </modules/order

find_disk() { # find_disk SERIAL: the name of the disk with this serial number
    local serial
    for serial in /sys/block/vd*/serial; do
        [ -e "$serial" ] && [ "$(cat "$serial")" = "$1" ] && basename "$(dirname "$serial")" && return
    done
    return 1
}

mount_disk() { # mount_disk SERIAL DIRECTORY OPTIONS
    local name try=0
    until name=$(find_disk "$1"); do
        try=$((try + 1))
        [ "$try" -lt 100 ] || { echo "lab: no disk $1" >/dev/kmsg; reboot -f; }
        sleep 0.1
    done
    mount -t ext4 -o "$3" "/dev/$name" "$2" || { echo "lab: disk $1 cannot be mounted" >/dev/kmsg; reboot -f; }
}

mount_disk system /new rw,noatime
mount_disk libraries /new/lab/libraries ro
mount_disk project /new/lab/project ro
for directory in dev proc sys; do
    mount --move "/$directory" "/new/$directory"
done
exec switch_root /new /bin/sh /lab/project/lab/guest/init.sh
