# SPDX-License-Identifier: GPL-2.0-only
# What is unpreserved before the kexec is not handed over.

STAGES=2

stage1()
{
	local before
	before=$(counter out/preserved_pages)
	check "producer preserves" producer preserve
	check "pages are preserved" [ "$(counter out/preserved_pages)" -gt 1000 ]
	check "producer unpreserves" producer unpreserve
	check_eq "no page is left" "$before" "$(counter out/preserved_pages)"
	check "the subtree is gone" [ ! -e $KHO/out/sub_fdts/kho-producer ]
	check "producer preserves again" producer preserve
	check "producer unpreserves again" producer unpreserve
	check_eq "no page is left again" "$before" "$(counter out/preserved_pages)"
	next_stage 2
}

stage2()
{
	check "handed over" [ -d $KHO/in ]
	check "producer finds nothing" eval '! producer restore 2>/dev/null'
	check_eq "nothing is unclaimed" 0 "$(counter in/unclaimed_pages)"
	check_eq "nothing of the test was handed over" $OWN_PAGES \
		"$(counter in/preserved_pages)"
}
