# SPDX-License-Identifier: GPL-2.0-only
# The KUnit tests, which run when the kernel boots: without a handover, and with one
# of which nobody has claimed anything yet.

STAGES=2
APPEND="kunit.enable=1"

stage1()
{
	suites
	hand_over 2
}

stage2()
{
	check "handed over" [ -d $KHO/in ]
	suites
}

suites()
{
	local suite
	for suite in kho_radix kho_api kho_block kho_scratch kho_timing luo; do
		check "suite $suite passes" \
			log "^\(\[[ 0-9.]*\] \)\?ok [0-9]* $suite\$"
	done
	dmesg | sed -n 's/^\[[ 0-9.]*\]  *\(\(not \)\?ok [0-9]* .*\)/\1/p' |
		while read -r line; do
			case $line in
			*"# SKIP"*) say "not ok kunit: $line" ;;
			ok*) say "ok kunit: ${line#ok * }" ;;
			*) say "not ok kunit: ${line#not ok * }" ;;
			esac
		done
}
