# SPDX-License-Identifier: GPL-2.0-only
# Movable pages fill scratch, before and after the image is loaded into it.

STAGES=3
MEM=1536M
APPEND="kho_scratch=192M,64M,0 reserve_mem=16M:4096:khotest"

stage1()
{
	check "producer preserves" producer preserve
	check "an image is loaded" load_next 2
	check "movable pages fill scratch" fill_scratch 75 24
	boot_next
}

stage2()
{
	take_over
	check "producer preserves" producer preserve
	check "movable pages fill scratch" fill_scratch 25 96
	check "an image is loaded" load_next 3
	boot_next
}

stage3()
{
	take_over
}
