# SPDX-License-Identifier: GPL-2.0-only
# Ten handovers with new data each time; at the end nothing has leaked.

STAGES=11
TIMEOUT=300
APPEND="reserve_mem=16M:4096:khotest"

cold()
{
	stage=1
	settle
	EXTRA="khototal=$(meminfo MemTotal) khofree=$(free_kib)"
	producer preserve || say "not ok producer preserves"
	next_stage 2
}

link()
{
	stage=$1
	verify_restored
	check "producer frees" producer free
	check_eq "nothing is unclaimed in stage $stage" 0 \
		"$(counter in/unclaimed_pages)"
	check_eq "handovers in the chain" $((stage - 1)) \
		"$(od -An -tu4 -j69 -N4 $KHO/in/sub_fdts/kexec-metadata | tr -d ' ')"
}

middle()
{
	link "$1"
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

	local total free
	total=$(($(meminfo MemTotal) - $(param khototal)))
	free=$(($(free_kib) - $(param khofree)))
	say "note MemTotal differs from a cold boot by $total KiB, free memory by $free KiB"
	check "MemTotal is that of a cold boot" between $total -256 256
	check "free memory is that of a cold boot" between $free -1024 1024

	# The root FDT, kexec-metadata, and the reserve_mem region with its FDT.
	check_eq "nothing but the region is left preserved" $((2 + 1 + 4096)) \
		"$(counter out/preserved_pages)"
}
