# SPDX-License-Identifier: GPL-2.0-only
# Limits of kernels that took over memory in ways that must not be counted twice: a reserve_mem
# region that stays reserved, and memory that is restored in an initcall.

MEM=1G
# shellcheck source=guest/limits.sh
. "$KHO_LIB/limits.sh"
STAGES=3
APPEND="reserve_mem=256M:4096:large kho_bulk.early=1"

stage1()
{
	EXTRA="khoboot=$(boot_limits | encode)"
	next_stage 2
}

stage2()
{
	check "the region was taken over" log 'kho: reserve_mem large: .* taken over'
	check "limits are as after a cold boot" same region boot
	bulk_preserves "memory is preserved" "runs 200 -1 16384"
	check "that is much of it" [ "$(bulk_share)" -gt 40 ]
	next_stage 3
}

stage3()
{
	check "it has been restored" [ "$(bulk_value not_restored)" = 0 ]
	check "much has been" [ "$(counter in/unclaimed_pages)" -lt 1000 ]
	check "limits are as after a cold boot" same initcall boot
	bulk_freed
}
