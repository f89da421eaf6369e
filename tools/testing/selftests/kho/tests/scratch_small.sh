# SPDX-License-Identifier: GPL-2.0-only
# Scratch that is too small for the image: refused if something is preserved, else the image
# is loaded without a handover. By default there is room for it, and not much more.

STAGES=3
MEM=800M
APPEND="kho_scratch=8M,4M,0"

stage1()
{
	check "producer preserves" producer preserve
	check "an image that does not fit is not loaded" eval '! load_next 2 2> /tmp/why'
	check "and it is said" \
		log 'kho: no room in scratch for a segment of [0-9]* KiB; see kho_scratch='
	check "with a warning before" \
		log 'kho: scratch has 12 MiB, and .* used [0-9]* MiB of it: 6.* may not start; see'

	# The sample preserves something, too.
	check "it is no longer preserved" producer unpreserve
	check "nothing is" stress own
	REMOVE=kho_scratch=8M,4M,0
	check "the image is loaded" load_next 2
	check "without a handover, which is said" \
		log 'kho: no room .*: the image is loaded without a handover, as nothing is'
	check "producer preserves again" producer preserve
	refused busy
	check "and says why" log 'kho: kexec refused: the image did not fit into scratch and .*'
	check "it is no longer preserved" producer unpreserve
	boot_next
}

stage2()
{
	local kernel initrd image total limit
	check "there was no handover" [ ! -d $KHO/in ]
	kernel=$(od -An -tu4 -j608 -N4 /boot/bzImage)
	initrd=$(wc -c < /sys/firmware/initrd)
	image=$(((kernel + initrd) >> 10))
	total=$(awk '{ n += $2 } END { print n }' $KHO/scratch)
	# Two images that are a quarter larger, 6 MiB, and two pageblocks.
	limit=$((image * 5 / 2 + (10 << 10)))
	say "note scratch has $total KiB, for an image of $image KiB"
	check "scratch is as large as two images, and not much more" \
		between "$total" $((image * 2)) $limit
	check "there are two areas" [ "$(wc -l < $KHO/scratch)" = 2 ]
	hand_over 3
}

stage3()
{
	take_over
}

# The second kernel, with the default, has no reason to warn.
host_check()
{
	[ "$(grep -c 'kho: scratch has .* may not start' "$1")" = 2 ] ||
		echo "not ok two images are warned of, and no third one"
}
