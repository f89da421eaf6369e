# SPDX-License-Identifier: GPL-2.0-only
#
# Tests that measure scratch. A test sets MEM, and LIMIT: MiB that there may be with a kernel
# and an initrd of 13 MiB together. The RAM is not taken from the host before it is used.
#
# shellcheck disable=SC2034 # for vmtest.sh

QEMU_OPTS="-object memory-backend-ram,id=all,size=$MEM,reserve=off -machine memory-backend=all"

stage1()
{
	local kernel initrd image total most
	kernel=$(od -An -tu4 -j608 -N4 /boot/bzImage)
	initrd=$(wc -c < /sys/firmware/initrd)
	image=$(((kernel + initrd) >> 10))
	total=$(($(cat /sys/kernel/kho/scratch_bytes) >> 10))
	# Room for two that are a quarter larger.
	most=$(((LIMIT << 10) + (image > 13312 ? (image - 13312) * 5 / 2 : 0)))
	say "note scratch has $total KiB of $(meminfo MemTotal), for an image of $image KiB"
	check "there is room for the image" [ "$total" -gt "$image" ]
	check "there is no more than $most KiB" [ "$total" -le $most ]
}
