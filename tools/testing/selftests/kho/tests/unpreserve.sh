# SPDX-License-Identifier: GPL-2.0-only
# What is unpreserved before the kexec is not handed over.

STAGES=2

stage1()
{
	local before nodes
	before=$(counter out/preserved_pages)
	nodes=$(counter out/tree_nodes)
	check "producer preserves" producer preserve
	check "pages are preserved" [ "$(counter out/preserved_pages)" -gt 1000 ]
	check "that takes nodes" [ "$(counter out/tree_nodes)" -gt "$nodes" ]
	check "producer unpreserves" producer unpreserve
	check_eq "no page is left" "$before" "$(counter out/preserved_pages)"
	check "the subtree is gone" [ ! -e $KHO/out/sub_fdts/kho-producer ]
	check "producer preserves again" producer preserve
	check "producer unpreserves again" producer unpreserve
	check_eq "no page is left again" "$before" "$(counter out/preserved_pages)"
	# Two seconds later.
	check "no node is left either" eventually counts_as "$nodes" out/tree_nodes
	next_stage 2
}

stage2()
{
	check "handed over" [ -d $KHO/in ]
	check "producer finds nothing" eval '! producer restore 2>/dev/null'
	nothing_unclaimed
	check_eq "nothing of the test was handed over" $OWN_PAGES \
		"$(counter in/preserved_pages)"
}
