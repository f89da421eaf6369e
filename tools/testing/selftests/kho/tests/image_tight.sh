# SPDX-License-Identifier: GPL-2.0-only
# One area has room for the kernel but not for its initrd as well, and the other one only for
# the initrd: both lie where they will run. Once that is so, another image has to be copied
# into place. The kernel is at a random place in either case.

STAGES=3

COPIED='segment of [0-9]* KiB will be copied into place'
SAYS_UNPACKED='the next kernel is unpacked'
INITRD=/tmp/initrd

MIB=1048576

# A kexec hands the areas on, so the sizes are for a kernel without a handover.
stage1()
{
	local kernel initrd range
	make_initrd
	range=$(kernel_range)
	kernel=$(((0x${range#*-} - 0x${range%-*}) / MIB))
	kernel=$((kernel + kernel % 2))
	initrd=$(($(wc -c < $INITRD) / MIB))
	# The running kernel has .brk, too, which may take the next 2 MiB.
	check "the kernel is larger than the initrd" [ $kernel -ge $((initrd + 4)) ]
	EXTRA="kho=on kho_scratch=$((initrd + 2))M,$((kernel + 6))M,0"
	kexec -c -l /boot/bzImage --initrd=/sys/firmware/initrd --command-line="$(next_cmdline 2)"
	boot_next
}

stage2()
{
	make_initrd
	check "there are two areas" [ "$(wc -l < $KHO/scratch)" = 2 ]
	load 10 in_place
	check "producer preserves" producer preserve

	# While an image is loaded, there is no room for another one.
	load 10 copied
	check "it is said" log "$COPIED"
	boot_next
}

stage3()
{
	take_over
	check "the kernel is in scratch" in_scratch "$(kernel_range)"
}

# With zeros behind it, which make no difference.
make_initrd()
{
	local size
	size=$(wc -c < /sys/firmware/initrd)
	cp /sys/firmware/initrd $INITRD
	size=$((size < 8 * MIB ? 8 * MIB : size))
	truncate -s $(((size / 4096 + 3) * 4096)) $INITRD
}

load_again()
{
	dmesg -c > /dev/null
	kexec -s -l /boot/bzImage --initrd=$INITRD --command-line="$(next_cmdline 3)"
}

# load TIMES HOW: load an image so often; the kernel is unpacked, and at different places
load()
{
	local left=$1 place places=
	while [ "$left" -gt 0 ]; do
		kexec -s -u
		[ "$2" = in_place ] || load_again || say "not ok another image is loaded before"
		load_again || say "not ok an image is loaded"
		check "the kernel is unpacked" log "$SAYS_UNPACKED"
		check "it keeps the handover" no_log 'without a handover'
		[ "$2" = copied ] || check "both are in place" no_log "$COPIED"
		place=$(kernel_place "$2")
		[ -n "$place" ] || say "not ok the kernel is $2"
		places="$places $place"
		left=$((left - 1))
	done
	places=$(echo "$places" | tr ' ' '\n' | grep . | sort -u | wc -l)
	check "the kernel was at $places places" [ "$places" -ge 2 ]
}

# kernel_place HOW: where the loaded kernel is; all else is not aligned to 2 MiB
kernel_place()
{
	sed -n "s/^image [0-9]* \(0x[0-9a-f]*\)\([02468ace]00000\) [0-9]* $1\$/\1\2/p" \
		/sys/kernel/debug/kho_stress/report | tail -n 1
}
