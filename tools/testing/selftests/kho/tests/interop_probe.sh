# SPDX-License-Identifier: GPL-2.0-only
# Which handover ABI mainline has: the host decides whether that is ours.

STAGES=1
KERNEL=mainline

missing()
{
	has_kernel mainline
}

stage1()
{
	check "KHO is on" [ -f $KHO/out/fdt ]
	say "note $(uname -r) has ABI $(strings $KHO/out/fdt | grep '^kho-v')"
}
