# SPDX-License-Identifier: GPL-2.0-only
# The kernel of a handover image is unpacked when it is loaded, whatever it is packed with. One
# that cannot be unpacked then unpacks itself.

STAGES=6
APPEND="reserve_mem=16M:4096:khotest"

missing()
{
	local kind
	for kind in xz zstd lz4 none; do
		has_kernel $kind
	done | head -n 1
}

# next STAGE KERNEL MESSAGE
next()
{
	check "producer preserves" producer preserve
	check "$2 is loaded" load_next "$1" "$2"
	check "it is said how" log "kho: $3"
	boot_next
}

# The next kernel is the same in all of them.
stage1() { next 2 bzImage 'the next kernel is unpacked: .* of gzip data'; }
stage2() { link; next 3 xz 'the next kernel is unpacked: .* of xz data'; }
stage3() { link; next 4 zstd 'the next kernel is unpacked: .* of zstd data'; }
stage4() { link; next 5 lz4 'the next kernel is unpacked: .* of lz4 data'; }

stage5()
{
	link
	EXTRA=movable_node
	check "what the decompressor has to do is left to it" load_next 9
	check "it is said why" log 'kho: the next kernel has to unpack itself: its command line'
	EXTRA=
	next 6 none 'the next kernel has to unpack itself: there is no decompressor for it'
}

stage6() { link; }

link()
{
	verify_restored
	check "the kernel is in scratch" in_scratch "$(kernel_range)"
	check "producer frees" producer free
}
