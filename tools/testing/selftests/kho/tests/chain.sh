# SPDX-License-Identifier: GPL-2.0-only
# Ten handovers with new data each time. Each kernel is at a random place in
# scratch, and at the end nothing has leaked.

STAGES=11
UNPACKED=1
TIMEOUT=${KHO_TIMEOUT:-300}
KASAN='KernelAddressSanitizer initialized'
APPEND="reserve_mem=16M:4096:khotest"

cold()
{
	stage=1
	settle
	check "KASLR is on" no_log 'KASLR disabled'
	if log "$KASAN"; then
		# It keeps something for each place in the code that allocates or frees.
		check "producer preserves" producer preserve
		check "and takes it back" producer unpreserve
		settle
	fi
	EXTRA="khototal=$(meminfo MemTotal) khofree=$(unused_kib)"
	producer preserve || say "not ok producer preserves"
	next_stage 2
}

link()
{
	stage=$1
	verify_restored
	check "the kernel is in scratch" in_scratch "$(kernel_range)"
	EXTRA="khoplace=$(kernel_range) khovirt=$(stress_value text)"
	check "producer frees" producer free
	check_eq "nothing is unclaimed in stage $stage" 0 \
		"$(counter in/unclaimed_pages)"
	check_eq "handovers in the chain" $((stage - 1)) \
		"$(metadata_count in)"
}

middle()
{
	link "$1"
	if [ "$1" = 2 ]; then
		settle
		EXTRA="$EXTRA khofree2=$(unused_kib)"
	fi
	check "producer preserves" producer preserve
	next_stage $(($1 + 1))
}

stage1() { cold; }
stage2() { middle 2; }
stage3() { middle 3; }
stage4() { middle 4; }
stage5() { middle 5; }
stage6() { middle 6; }
stage7() { middle 7; }
stage8() { middle 8; }
stage9() { middle 9; }
stage10() { middle 10; }

stage11()
{
	link 11
	settle

	local total free free2 places
	# Each stage has appended its own.
	places=$(tr ' ' '\n' < /proc/cmdline | grep '^khoplace=' | sort -u | wc -l)
	say "note $places different places in 9 kexecs"
	check "the places differ" [ "$places" -ge 3 ]
	places=$(tr ' ' '\n' < /proc/cmdline | grep '^khovirt=[0-9a-f]' | sort -u | wc -l)
	say "note $places different virtual addresses"
	check "the virtual addresses differ" [ "$places" -ge 3 ]

	total=$(($(meminfo MemTotal) - $(param khototal)))
	free=$(unused_kib)
	free2=$((free - $(param khofree2)))
	free=$((free - $(param khofree)))
	say "note MemTotal differs from a cold boot by $total KiB, free memory by $free KiB"
	say "note and from that of the second kernel by $free2 KiB"
	check "MemTotal is that of a cold boot" between $total -256 256
	check "free memory is that of a cold boot" between $free -1024 1024
	check "and that of the second kernel" between $free2 -1024 1024

	# The reserve_mem region has an FDT of one page.
	check_eq "nothing but the region is left preserved" $((OWN_PAGES + 1 + 4096)) \
		"$(counter out/preserved_pages)"
}

# With KASAN, what it keeps counts as unused.
unused_kib()
{
	if log "$KASAN"; then
		free_or_kept_kib
	else
		free_kib
	fi
}
