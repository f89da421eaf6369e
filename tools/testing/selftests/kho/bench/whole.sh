# SPDX-License-Identifier: GPL-2.0-only
# The whole blackout when nothing is preserved, with an initrd of khoinitrd= KiB: from the
# reboot to the init of the next kernel, in instructions. That is the same kernel, or the one
# that khonext= names, see vmtest.sh -K. Needs luo_next of ../liveupdate, which is that init.

STAGES=2
MEM=4G
APPEND="khoblackout"

# shellcheck source=guest/icount.sh
. "$KHO_LIB/icount.sh"

stage1()
{
	local next
	next=$(param khonext)
	check "there is an initrd" make_initrd
	# What begins after boot, such as freeing memory in the background, is over.
	sleep 5
	program luo_next load "/boot/${next:-bzImage}" /tmp/initrd "$(next_cmdline 2)"
	sleep 5
	say "reboot"
	program luo_next reboot
}

make_initrd()
{
	local kib
	kib=$(param khoinitrd)
	mkdir -p /next/dev /next/sys
	cp /usr/bin/luo_next /next/init
	kib=$((kib - $(wc -c < /next/init) / 1024))
	[ $kib -gt 0 ] && head -c ${kib}k /dev/urandom > /next/padding
	(cd /next && find . | cpio -o -H newc 2> /dev/null) > /tmp/initrd
}
