# SPDX-License-Identifier: GPL-2.0-only
# One allocation after the other fails in the reboot, which undoes all and can be tried
# again, until none fails. The kernel needs config.faults.

STAGES=2
APPEND="liveupdate=on"
TIMEOUT=${KHO_TIMEOUT:-300}

stage1()
{
	local before
	program luo_memfd_mm keep writers
	before=$(counter out/preserved_pages)
	load_next 2
	program luo_memfd_mm reboot-with-faults
	check "nothing was lost by that" [ "$(counter out/preserved_pages)" -ge "$before" ]
	boot_next
}

stage2()
{
	program luo_memfd_mm after added writers last
	nothing_unclaimed
}
