# SPDX-License-Identifier: GPL-2.0-only
# One allocation of a preserving call after the other fails: -ENOMEM, and no leak.
# Needs a kernel with config.faults.

STAGES=2
# KASAN and others take much.
MEM=2G
APPEND=page_owner=on
TIMEOUT=${KHO_TIMEOUT:-300}

stage1()
{
	local before free least round pages dir=/sys/kernel/debug

	if [ ! -d $dir/failslab ] || [ ! -d $dir/fail_page_alloc ]; then
		say "not ok the kernel has been built with config.faults"
		next_stage 2
	fi

	# Let any allocation fail, without a splat.
	echo 0 > $dir/failslab/verbose
	echo N > $dir/failslab/ignore-gfp-wait
	echo 0 > $dir/fail_page_alloc/verbose
	echo N > $dir/fail_page_alloc/ignore-gfp-wait
	echo N > $dir/fail_page_alloc/ignore-gfp-highmem
	echo 0 > $dir/fail_page_alloc/min-order

	before=$(counter out/preserved_pages)
	check "one allocation after the other fails" stress faults
	check "allocations of each kind have failed" [ "$(stress_value faults_vmalloc)" -gt 20 \
		-a "$(stress_value faults_blob)" -gt 0 -a "$(stress_value faults_subtree)" -gt 0 ]
	check_eq "each led to -ENOMEM or to success" 0 "$(stress_value faults_errors)"
	check_eq "nothing is left preserved" "$before" "$(counter out/preserved_pages)"

	# Lost objects kmemleak finds, but it does not know of pages. Other parts of the
	# kernel keep some now and then; what KHO loses it loses each time.
	pages=$(kho_pages)
	check "KHO has pages of its own" [ "$pages" -gt 0 ]
	least=
	for round in 2 3 4 5; do
		settle_nodes
		free=$(free_or_kept_kib)
		check "round $round" stress faults
		check_eq "each led to -ENOMEM or to success" 0 "$(stress_value faults_errors)"
		check_eq "nothing is left preserved" "$before" "$(counter out/preserved_pages)"
		settle_nodes
		free=$((free - $(free_or_kept_kib)))
		say "note $free KiB of pages are neither free nor kept by debug options any more"
		[ "${least:-$free}" -lt "$free" ] || least=$free
		[ "$least" -ge 256 ] || break
	done
	grep ^faults_ /sys/kernel/debug/kho_stress/report | say_lines note
	check "no pages are lost" [ "$least" -lt 256 ]
	check_eq "not a single one of KHO's own" "$pages" "$(kho_pages)"
	no_leaks
	hand_over 2
}

stage2()
{
	take_over
	no_leaks
}

# kho_pages: how many allocations KHO has made that were not freed, but for nodes of
# the tree: there may be more when memory comes from elsewhere
kho_pages()
{
	# shellcheck disable=SC2002 # a short read gets an error from it
	cat /sys/kernel/debug/page_owner |
		awk 'BEGIN { RS = "" } /kho_alloc_preserve/ { n++ } END { print n + 0 }'
}

# settle_nodes: the same as settle, for nodes of the tree without keys as well
settle_nodes()
{
	sleep 3
	settle
}
