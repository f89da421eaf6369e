# SPDX-License-Identifier: GPL-2.0-only
#
# Tests that damage a handover, for both sides. A test sets GROUP, and gets all
# kinds of damage in that group, or those in KHO_KINDS: see damage/. Each takes two
# kernels: one that refuses what was damaged, and hands over, and one that takes
# that over, and hands over for the next kind.
#
# shellcheck disable=SC2034,SC2086 # for vmtest.sh; $KHO has no blanks

if [ -n "${here:-}" ]; then
	# The host. The guest learns the kinds from its command line.
	KINDS=${KHO_KINDS:-${KINDS:-$(python3 -B "$here/damage" list "$GROUP")}}
	STAGES=$((2 * $(echo "$KINDS" | wc -w) + 1))
	MEM=512M
	SMP=1
	APPEND="khokinds=$(echo "$KINDS" | tr ' ' ,)"
	TIMEOUT=$((${KHO_TIMEOUT:-60} + 20 * STAGES))
	RAM_FILE=1
else
	eval "stage$(param khostage)() { damage_stage $(param khostage); }"
fi

missing()
{
	command -v python3 > /dev/null || echo "python3 not found"
}

host_action()
{
	python3 -B "$here/damage" edit "$@"
}

host_check()
{
	python3 -B "$here/damage" check "$1"
}

# kind_of STAGE: the kind of damage that STAGE is the first to see
kind_of()
{
	echo "$(param khokinds)," | cut -d, -f$(($1 / 2))
}

damage_stage()
{
	local kind
	if [ $(($1 % 2)) = 0 ]; then
		see_damage "$1" "$(kind_of "$1")"
		hand_over $(($1 + 1))
	fi

	[ "$1" = 1 ] || take_over
	EXTRA=
	[ "$1" != 1 ] || EXTRA=khomem=$(meminfo MemTotal)
	kind=$(kind_of $(($1 + 1)))
	[ -n "$kind" ] || return
	check "producer preserves" producer preserve
	check "there will be a pause" eval "echo $kind > /sys/kernel/debug/kho_pause"
	next_stage $(($1 + 1))
}

see_damage()
{
	case $2 in
	fine-*)
		take_over
		return
		;;
	random)
		[ ! -d $KHO/in ] || return
		;;
	esac

	check "$2: is refused" [ ! -d $KHO/in ]
	check_eq "$2: and it is said once" 1 "$(dmesg | grep -c 'kho: handover refused: ')"
	check "$2: nothing can be restored" eval '! producer restore 2> /dev/null'
	check "$2: all memory is there" between $(($(param khomem) - $(meminfo MemTotal))) -512 512
	check_eq "$2: scratch is CMA" "$(awk '{ n += $2 } END { print n }' $KHO/scratch)" \
		"$(meminfo CmaTotal)"
}
