# SPDX-License-Identifier: GPL-2.0-only
#
# Tests that damage a handover, for both sides. A test sets GROUP, and gets all
# kinds of damage in that group, or KINDS, of any groups. KHO_KINDS are tried instead:
# see damage/. Each is seen by a kernel that refuses it and hands over in its turn: to
# the next kernel in good order after each KHO_ROW kinds, else damaged in the next way.
#
# shellcheck disable=SC2034,SC2086 # for vmtest.sh; $KHO has no blanks

if [ -n "${here:-}" ]; then
	# The host. The guest learns the kinds from its command line.
	KINDS=${KHO_KINDS:-${KINDS:-$(python3 -B "$here/damage" list "$GROUP")}}
	ROW=${KHO_ROW:-4}
	STAGES=$(echo "$KINDS" | wc -w)
	STAGES=$((STAGES + (STAGES + ROW - 1) / ROW + 1))
	MEM=512M
	SMP=1
	APPEND="khokinds=$(echo "$KINDS" | tr ' ' ,) khorow=$ROW"
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
	local nr
	python3 -B "$here/damage" check "$1" || return
	nr=$(grep -c 'khotest: damage .* expects ' "$1")
	[ "$nr" = "$(echo "$KINDS" | wc -w)" ] ||
		echo "not ok $nr handovers were damaged, of $(echo "$KINDS" | wc -w)"
}

# kind_of STAGE: the kind of damage that STAGE sees, if it sees one
kind_of()
{
	local row rows pos
	row=$(param khorow)
	rows=$((($1 - 1) / (row + 1)))
	pos=$((($1 - 1) % (row + 1)))
	[ $pos = 0 ] || echo "$(param khokinds)," | cut -d, -f$((rows * row + pos))
}

damage_stage()
{
	local seen next
	seen=$(kind_of "$1")
	next=$(kind_of $(($1 + 1)))

	EXTRA=
	if [ "$1" = 1 ]; then
		EXTRA=khomem=$(meminfo MemTotal)
	elif [ -n "$seen" ]; then
		see_damage "$1" "$seen"
	else
		take_over
	fi

	if [ -n "$next" ]; then
		check "producer preserves" producer preserve
		check "there will be a pause" eval "echo $next > /sys/kernel/debug/kho_pause"
		next_stage $(($1 + 1))
	elif [ -n "$seen" ]; then
		hand_over $(($1 + 1))
	fi
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
