# SPDX-License-Identifier: GPL-2.0-only
# Pages in scratch are poisoned: no image is loaded where they are, none is started that
# has become poisoned, and if there is no room beside them, loading fails and says why.
# Needs a kernel with CONFIG_HWPOISON_INJECT.
#
# shellcheck disable=SC2086 # lists of numbers

STAGES=2
APPEND="kho_scratch=96M,64M,0"

POISON=/sys/kernel/debug/hwpoison/corrupt-pfn
SEGMENTS=/sys/kernel/debug/kho_mistakes

stage1()
{
	local bad
	check "pages can be poisoned" [ -w $POISON ]

	# Where an image would go.
	check "an image is loaded" load_next 2
	bad=$(middle_pages)
	check "it is unloaded" kexec -s -u
	check "its memory becomes poisoned" poison $bad
	check "an image is loaded" load_next 2
	check "it is not there" avoids $bad

	# Where an image is.
	bad=$(middle_pages | head -n 1)
	poison $bad
	refused "input/output error"
	check "it says why" \
		log 'kho: memory at .*, for the loaded image, is poisoned; load it again'
	check "an image is loaded" load_next 2
	check "it is not there" avoids $bad

	check "an image for stage 2 is loaded" load_next 2
	boot_next
}

stage2()
{
	local pages
	check "handed over" [ -d $KHO/in ]
	# If nothing is preserved, an image that does not fit is loaded without a handover.
	check "producer preserves" producer preserve
	pages=$(each_mib)
	say "note $(echo "$pages" | wc -w) pages are poisoned"
	check "a page in each MiB of scratch is poisoned" poison $pages
	check "no image can be loaded" eval '! load_next 3 2> /tmp/why'
	check "it says why" log 'kho: no room in scratch for a segment of .* without poisoned pages'
}

# middle_pages: one in the middle of each segment of the loaded image
middle_pages()
{
	while read -r start end _; do
		echo $(((start + end) / 2 / 4096))
	done < $SEGMENTS
}

# each_mib: one page in each MiB of scratch
each_mib()
{
	local area start end
	while read -r area _; do
		start=$((${area%-*} / 4096 + 128))
		end=$((${area#*-} / 4096))
		while [ $start -lt $end ]; do
			echo $start
			start=$((start + 256))
		done
	done < $KHO/scratch
}

# poison PFN...: what cannot be handled, such as a page of the kernel, is marked as well
poison()
{
	local pfn
	for pfn; do
		echo $((pfn)) > $POISON 2> /dev/null
	done
	[ "$(meminfo HardwareCorrupted)" -gt 0 ]
}

# avoids PFN...: whether the loaded image is elsewhere
avoids()
{
	local pfn start end
	for pfn; do
		while read -r start end _; do
			[ $((pfn * 4096)) -lt $((start)) ] || [ $((pfn * 4096)) -ge $((end)) ] ||
				return 1
		done < $SEGMENTS
	done
}
