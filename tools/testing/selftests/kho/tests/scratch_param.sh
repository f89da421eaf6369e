# SPDX-License-Identifier: GPL-2.0-only
# kho_scratch= in both forms, and what is not one of them; and kho_bootmem=, which is the
# same in newer kernels.

STAGES=6
APPEND="kho_scratch=128M,64M,32M"

sizes()
{
	awk '{ printf "%s ", $2 / 1024 }' $KHO/scratch
}

# A kexec hands the areas on, so look at the sizes of fresh ones: without KHO.
next_fresh()
{
	EXTRA="kho=on $2"
	kexec -c -l /boot/bzImage --initrd=/sys/firmware/initrd \
		--command-line="$(next_cmdline "$1")"
	boot_next
}

stage1()
{
	check_eq "sizes are as asked for" "128 64 32 " "$(sizes)"
	next_fresh 2 kho_scratch=100%
}

stage2()
{
	check "a percentage is taken" no_log 'kho_scratch=.* ignored'
	check "low scratch holds the kernel, and is not as asked before" \
		[ "$(sizes | cut -d' ' -f1)" -ge 16 -a "$(sizes)" != "128 64 32 " ]
	next_fresh 3 kho_scratch=12M,banana,3M
}

stage3()
{
	check "a wrong size is named" log 'kho: kho_scratch=12M,banana,3M ignored: expected'
	check "KHO is on all the same" [ -d $KHO ]
	next_fresh 4 kho_bootmem=0%
}

stage4()
{
	check "a wrong percentage is named" log 'kho: kho_bootmem=0% ignored: expected'
	check "KHO is on all the same" [ -d $KHO ]
	check "what is not valid does not count" no_log 'both given'
	next_fresh 5 "kho_scratch=0,0,0 kho_bootmem=64M,32M,0"
}

stage5()
{
	check "no scratch at all is refused" log 'kho: kho_scratch=0,0,0 ignored: expected'
	check "kho_bootmem= is another name for the same" log \
		'kho: kho_scratch= and kho_bootmem= are both given: kho_bootmem=64M,32M,0 counts'
	check_eq "the last valid one counts" "64 32 " "$(sizes)"
	check_eq "so do files in debugfs have both names" \
		"$(cat $KHO/out/scratch_phys $KHO/out/scratch_len)" \
		"$(cat $KHO/out/bootmem_phys $KHO/out/bootmem_len)"
	check_eq "they list the same areas" \
		"$(sed 's/-.*//' $KHO/scratch; awk '{ printf "%#x\n", $2 * 1024 }' $KHO/scratch)" \
		"$(cat $KHO/out/scratch_phys $KHO/out/scratch_len)"
	# Of several the last valid one counts.
	# shellcheck disable=SC2086 # a list
	next_fresh 6 "kho_scratch=131072K,0x4000000,0 $(printf 'kho_scratch=%s ' $WRONG)"
}

# One of each kind.
WRONG="512M 1M,2M 1M,2M,3M,4M 1M,,3M 2T,0,0 10001% -1% 50%x % 1M,2M,3M% ,,"

stage6()
{
	local wrong
	check_eq "suffixes and hexadecimal numbers are understood" "128 64 " "$(sizes)"
	check "it counts, although kho_bootmem= was there before" log \
		'are both given: kho_scratch=131072K,0x4000000,0 counts'
	for wrong in $WRONG; do
		check "$wrong is refused" log "kho: kho_scratch=$wrong ignored: expected"
	done
}
