# SPDX-License-Identifier: GPL-2.0-only
# Memory of every kind goes from this kernel to mainline and back.

STAGES=3
# Mainline allocates its struct pages in scratch.
APPEND="kho_scratch=200% reserve_mem=64M:4096:khotest"
# What must be refused is tried on this kernel only.
UNGUARDED=kho_producer.guards=0

missing()
{
	has_kernel mainline
}

stage1()
{
	EXTRA="khorelease=$(uname -r)"
	check "producer preserves" producer preserve
	EXTRA="$UNGUARDED $EXTRA"
	UNPACKED=1
	next_stage 2 mainline
}

stage2()
{
	check "this is another kernel" [ "$(uname -r)" != "$(param khorelease)" ]
	check "handed over" [ -d $KHO/in ]
	verify_restored
	check "with the reserve_mem region" item_back reserve_mem
	check "producer frees" producer free
	EXTRA="khomainline=$(uname -r)"
	check "producer preserves" producer preserve
	REMOVE=$UNGUARDED
	next_stage 3 bzImage
}

stage3()
{
	check_eq "this is the first kernel again" "$(param khorelease)" "$(uname -r)"
	check "handed over" [ -d $KHO/in ]
	verify_restored
	check "with the reserve_mem region" item_back reserve_mem
	all_claimed
	check_eq "handed over twice" 2 "$(metadata_count in)"
	check_eq "the previous release" "$(param khomainline)" "$(metadata_release in)"
}
