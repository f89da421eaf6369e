# SPDX-License-Identifier: GPL-2.0-only
# Memfds are damaged between the two kernels, each in another way.

STAGES=2
MEM=1536M
APPEND="liveupdate=on"
RAM_FILE=1

missing()
{
	command -v python3 > /dev/null || echo "python3 not found"
}

host_action()
{
	python3 -B "${here:?}/../liveupdate/damage.py" "$@"
}

stage1()
{
	program luo_memfd_damage keep damaged
	check "there will be a pause" eval "echo memfds > /sys/kernel/debug/kho_pause"
	next_stage 2
}

stage2()
{
	program luo_memfd_damage after damaged
	say "note $(counter in/unclaimed_pages) pages stay reserved"
}
