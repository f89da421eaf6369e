# SPDX-License-Identifier: GPL-2.0-only
# The KUnit tests, which run when the kernel boots.

STAGES=1
APPEND="kunit.enable=1"

stage1()
{
	check "the suite passes" log '^\(\[[ 0-9.]*\] \)\?ok [0-9]* kho_radix$'
	dmesg | sed -n 's/^\[[ 0-9.]*\]  *\(\(not \)\?ok [0-9]* .*\)/\1/p' |
		while read -r line; do
			case $line in
			ok*) say "ok kunit: ${line#ok * }" ;;
			*) say "not ok kunit: ${line#not ok * }" ;;
			esac
		done
}
