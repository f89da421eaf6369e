#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# luo-vm-test.sh run|starts|stopped: the part of the scenario "vm" that runs under systemd.
# The virtual machine writes a number to the console every second, see luo_counter.S.
#
# shellcheck disable=SC2317 # check calls functions

dir=/var/lib/vm
console=$dir/console

say()
{
	echo "khotest: $*" > /dev/kmsg
}

# check WHAT COMMAND...
check()
{
	local what=$1
	shift
	if "$@" > /dev/kmsg 2>&1; then
		say "ok $what"
	else
		say "not ok $what"
	fi
}

lines()
{
	wc -l 2> /dev/null < "$console" || echo 0
}

# counts_on: whether there are three lines more within two minutes
counts_on()
{
	local until=$(($(lines) + 3)) left=240
	while [ "$(lines)" -lt "$until" ]; do
		[ "$left" -gt 0 ] || return 1
		left=$((left - 1))
		sleep 0.5
	done
}

# no_step_missing: whether each line is the one before it and one
no_step_missing()
{
	awk '$1 != sprintf("%08x", NR) { print "line", NR, "is", $1; bad = 1 }
		END { exit bad }' "$console"
}

# on_disk: whether the last 60 numbers are in their sectors
on_disk()
{
	od -An -v -tx4 -w512 -N$((65 * 512)) "$dir/disk" | awk -v last="$(lines)" '
		NR > 1 { there[$1] = 1 }
		END {
			first = last > 60 ? last - 60 : 1
			for (i = first; i < last; i++) {
				if (!(sprintf("%08x", i) in there)) {
					print "not on disk:", i
					bad = 1
				}
			}
			exit bad
		}'
}

# memory: a checksum of what is kept, all of which has to be there
memory()
{
	# shellcheck disable=SC2016 # for the command
	luoctl run count -- sh -c '
		[ "$LISTEN_FDNAMES" = ram:state ] && md5sum < /proc/self/fd/3 &&
			md5sum < /proc/self/fd/4'
}

clean()
{
	! dmesg | grep -i 'ext4-fs.*recover'
}

next_cmdline()
{
	sed "s/khostage=$stage/khostage=$((stage + 1))/" /proc/cmdline
}

# load_next: the kernel that the next systemctl kexec is to start
load_next()
{
	luoctl kexec /boot/bzImage --load-only --initrd /sys/firmware/initrd \
		--command-line "$(next_cmdline)"
}

# load_plain: one that nothing can be handed to
load_plain()
{
	kexec -c -l /boot/bzImage --initrd=/sys/firmware/initrd --command-line="$(next_cmdline)" &&
		grep -x plain /sys/kernel/kho/outgoing/image
}

# configure KERNEL: what luo-kexec.service loads instead
configure()
{
	cat > /etc/default/luo-kexec <<- END
		KERNEL=$1
		INITRD=/sys/firmware/initrd
		CMDLINE="$(next_cmdline)"
	END
}

# cancels: whether luo-kexec.service cancels a kexec, and is there for the next one
cancels()
{
	local left=60 first
	first=$(systemctl show -P InvocationID luo-kexec)
	systemctl --no-block kexec || return 1
	until [ "$(systemctl show -P InvocationID luo-kexec)" != "$first" ] &&
		systemctl is-active luo-kexec; do
		[ "$left" -gt 0 ] || return 1
		left=$((left - 1))
		sleep 1
	done
	! systemctl list-jobs --no-legend | grep kexec.target
}

# kill_keeper: systemd starts it again
kill_keeper()
{
	local pid
	pid=$(systemctl show -P MainPID luo-keeper)
	kill -KILL "$pid" || return 1
	sleep 2
	[ "$(systemctl show -P MainPID luo-keeper)" != "$pid" ] && systemctl is-active luo-keeper
}

run()
{
	check "stage $stage: the keeper runs" systemctl is-active luo-keeper
	check "stage $stage: the machine runs" systemctl is-active luo-vm@count
	check "stage $stage: the host's file system is clean" clean
	check "stage $stage: the machine counts" counts_on
	say "note stage $stage: the machine is at $(tail -n 1 "$console")"
	case $stage in
	1)
		check "the machine is stopped" systemctl stop luo-vm@count
		check "it goes on in the same kernel" systemctl start luo-vm@count
		check "it counts" counts_on
		check "a kernel without a handover is loaded" load_plain
		check "there is no other" configure /none
		check "a kexec is cancelled" cancels
		check "so is the next one" cancels
		check "the machine runs" systemctl is-active luo-vm@count
		check "it counts" counts_on
		check "the next kernel is loaded" load_next
		;;
	2)
		check "the keeper is killed" kill_keeper
		check "the machine counts" counts_on
		check "the keeper has its memory" \
			sh -c "luoctl list --kept count | grep -q '^count: ram, user 0, 32 MiB\$'"
		check "a kernel without a handover is loaded" load_plain
		check "luo-kexec.service is to replace it" configure /boot/bzImage
		;;
	3)
		check "the machine is stopped" systemctl stop luo-vm@count
		check "it has missed no step" no_step_missing
		check "its disk has what it has written" on_disk
		check "it has come through three stages" [ "$(lines)" -ge 12 ]
		check "the keeper gives it up" luoctl drop --kept count
		check "nothing of the first kernel is left" \
			[ "$(cat /sys/kernel/kho/incoming/unclaimed_bytes)" = 0 ]
		systemctl list-units --failed > /dev/kmsg
		say "done"
		sync
		reboot -f
		;;
	esac
	say "note systemctl kexec"
	say "reboot"
	systemctl --no-block kexec
}

stage=$(tr ' ' '\n' < /proc/cmdline | sed -n 's/^khostage=//p')
case $1 in
run) run ;;
stopped)
	# Unless QEMU has ended for another reason.
	memory > "$dir/memory" 2> /dev/null
	say "note stopped at $(tail -n 1 "$console")"
	;;
starts)
	if [ -s "$dir/memory" ]; then
		memory > "$dir/memory.now"
		check "stage $stage: memory and state of the machine are what they were" \
			cmp "$dir/memory" "$dir/memory.now"
		say "note starts after $(tail -n 1 "$console")"
	fi
	;;
esac
exit 0
