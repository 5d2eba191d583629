#!/bin/sh
# The machine's process 1 in its system: make it usable, run what was asked, end the machine. Whatever happens here,
# the machine ends: QEMU runs with -no-reboot.

export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 TERM=linux PYTHONDONTWRITEBYTECODE=1
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t tmpfs -o mode=755 run /run
mkdir -p /dev/pts /dev/shm /dev/hugepages
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t hugetlbfs hugetlbfs /dev/hugepages
ln -sf /proc/self/fd /dev/fd
hostname daos-lab
ip link set lo up

port() { # port NAME: the device of the virtio port with this name
    local name
    for name in /sys/class/virtio-ports/*/name; do
        [ "$(cat "$name")" = "$1" ] && echo "/dev/$(basename "$(dirname "$name")")" && return
    done
    echo /dev/console
}

cd /lab/project || reboot -f
. ./request # LAB_SHELL, and LAB_PYTEST: the arguments of pytest
if [ "$LAB_SHELL" = 1 ]; then
    echo "The lab's shell; the project is in /lab/project. 'exit' ends the machine."
    setsid cttyhack sh
    status=$?
else
    echo "booted after $(cut -d' ' -f1 /proc/uptime) s" >"$(port lab.output)"
    eval "set -- $LAB_PYTEST"
    python3 -m pytest "$@" >"$(port lab.output)" 2>&1 </dev/null
    status=$?
fi
echo "exit $status" >"$(port lab.result)"
sync
reboot -f
