# SPDX-License-Identifier: GPL-2.0-only
# A virtual machine goes on over two "systemctl kexec" of its host. KHO_DISK names a disk with
# ext4, not partitioned, and on it
#
#	/sbin/init, systemctl		systemd, from 255 on
#	/etc/fstab			/dev/vda / ext4 rw 0 0
#	/usr				QEMU; what tools/liveupdate installs, luo-keeper.service,
#					luo-kexec.service and luo-vm@count.service enabled
#	/etc/luo-vm/count		QEMU with 32 MiB in --memfd ram, /var/lib/vm/disk and the
#					first serial port in /var/lib/vm/console
#	/var/lib/vm/disk		2 MiB that begin with ../systemd/luo_counter.S
#	/etc/systemd/system		../systemd/luo-vm-test.service, enabled, and
#					luo-vm-test.conf in luo-vm@count.service.d
#	/usr/bin			../systemd/luo-vm-test.sh
#	/boot/bzImage			the kernel under test, also built with config.systemd
#
# The service says what it finds.

STAGES=3
SMP=1
# QEMU within QEMU is slow. Nobody logs in, so that no device needs to be waited for.
APPEND="liveupdate=on systemd.default_timeout_start_sec=600 systemd.getty_auto=no
	rcupdate.rcu_cpu_stall_timeout=120"
TIMEOUT=${KHO_TIMEOUT:-900}
QEMU_OPTS="-drive file=${KHO_DISK:-none},format=raw,if=virtio"

missing()
{
	[ -f "${KHO_DISK:-}" ] || echo "no disk with systemd and QEMU, name one with KHO_DISK"
}

stage1()
{
	mkdir /disk
	mount -t ext4 /dev/vda /disk
	exec switch_root /disk /sbin/init
}

stage2()
{
	stage1
}

stage3()
{
	stage1
}

# How long the machine stood still: from the line before each kexec to the one after it.
host_check()
{
	awk '/khotest: note stopped at/ { stopped = $1 }
		/khotest: note systemctl kexec/ { asked = $1 }
		/khotest: init / { booted = $1 }
		/khotest: note starts after/ && asked > 0 && booted > asked && stopped > asked {
			printf "note the machine stood still for %.1f s:", $1 - stopped
			printf " the old kernel went on for %.1f s,", booted - stopped
			printf " the new one took %.1f s to get to it\n", $1 - booted
			nr++
			asked = 0
		}
		END {
			verdict = nr == 2 ? "ok" : "not ok"
			print verdict " the machine has come through " nr " kexecs"
		}' "$1"
}
