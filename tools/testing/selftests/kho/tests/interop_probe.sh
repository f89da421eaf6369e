# SPDX-License-Identifier: GPL-2.0-only
# Which handover ABI mainline has: the host decides whether that is ours.

STAGES=1
KERNEL=mainline
APPEND="liveupdate=on"

missing()
{
	has_kernel mainline
}

stage1()
{
	check "KHO is on" [ -f $KHO/out/fdt ]
	check "live update is on" [ -c /dev/liveupdate ]
	say "note $(uname -r) has ABI $(abi_of fdt '^kho-v') $(abi_of sub_fdts/LUO '^luo-v')"
}

# abi_of FILE PATTERN: the string in what is to be handed over
abi_of()
{
	strings "$KHO/out/$1" | grep "$2"
}
