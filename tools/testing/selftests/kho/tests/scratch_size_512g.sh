# SPDX-License-Identifier: GPL-2.0-only
# The size of scratch with 512G of RAM.

MEM=512G
LIMIT=128
# shellcheck source=guest/scratch_size.sh
. "$KHO_LIB/scratch_size.sh"

# Its struct pages alone take 8 GiB.
missing()
{
	awk '$1 == "MemAvailable:" && $2 < 12 * 1024 * 1024 { print "12 GiB of free memory" }' \
		/proc/meminfo
}
