# SPDX-License-Identifier: GPL-2.0-only
# The host damages the tree or the root FDT of the running kernel, before it seals them.
# The kexec is refused and the kernel goes on: sessions can be closed, memory can be
# unpreserved, and the machine can be rebooted without a handover. Each kind of damage is
# seen by another kernel; KHO_KINDS are tried instead of all.
#
# shellcheck disable=SC2034,SC2086,SC2116 # for vmtest.sh; $KHO has no blanks, kinds are words

if [ -n "${here:-}" ]; then
	# The host. The guest learns the kinds from its command line.
	all_kinds()
	{
		local group
		for group in header properties nodes keys; do
			python3 -B "$here/damage" list "$group"
		done | tr ' ' '\n' | grep -v '^fine-'
	}

	KINDS=$(echo ${KHO_KINDS:-$(all_kinds)})
	STAGES=$(($(echo "$KINDS" | wc -w) + 1))
	MEM=512M
	SMP=2
	APPEND="liveupdate=on khokinds=$(echo "$KINDS" | tr ' ' ,)"
	TIMEOUT=$((${KHO_TIMEOUT:-60} + 30 * STAGES))
	RAM_FILE=1
else
	eval "stage$(param khostage)() { damaged_stage $(param khostage); }"
fi

HANDOVER=/sys/module/kho/parameters/handover

missing()
{
	command -v python3 > /dev/null || echo "python3 not found"
}

host_action()
{
	python3 -B "$here/damage" edit "$@"
}

damaged_stage()
{
	local kind keeper
	kind=$(param khokinds | cut -d, -f"$1")
	check "there is no handover" [ ! -d $KHO/in ]
	[ -n "$kind" ] || return

	echo text > file
	check "producer preserves" producer preserve
	exits 0 "$kind: save" luoctl save files file
	keeper=$(said ".*by process \([0-9]*\)")
	check "$kind: an image is loaded" load_next $(($1 + 1))
	check "$kind: there is damage" eval "echo now $kind > /sys/kernel/debug/kho_pause"

	is_refused "$kind"
	is_refused "$kind again"
	check "$kind: no image is loaded" eval "! load_next $(($1 + 1)) 2> /tmp/why"
	# Some files fail, and none does harm.
	cat $KHO/out/[!s]* > /dev/null 2>&1

	check "$kind: images carry no handover" eval "echo N > $HANDOVER"
	check "$kind: one is loaded" load_next $(($1 + 1))
	refused "busy"
	check "$kind: the session is closed" kill "$keeper"
	check "$kind: it is gone" eventually no_sessions
	check "$kind: producer unpreserves" producer unpreserve
	if log 'kho: handover given up: '; then
		check_eq "$kind: it is given up once" 1 \
			"$(dmesg | grep -c 'kho: handover given up: ')"
		check "$kind: nothing can be preserved" eval '! producer preserve 2> /tmp/why'
		check "$kind: the errno is EUCLEAN" grep -qi "structure needs cleaning" /tmp/why
		exits 1 "$kind: no file can be saved" luoctl save more file
	fi
	# Until empty nodes are looked for.
	sleep 3
	boot_next
}

# is_refused WHAT: with one of the errnos that there are for this
is_refused()
{
	check "$1: the kexec fails" eval '! kexec -e -x 2> /tmp/why'
	if grep -qi "structure needs cleaning" /tmp/why; then
		check "$1: it is given up" log 'kho: handover given up: '
		check "$1: it is said" \
			log 'kho: kexec refused: the record of preserved memory is damaged'
	else
		check "$1: the errno is EPROTO" grep -qi "protocol error" /tmp/why
		check "$1: it is said" \
			log 'kho: kexec refused: '
	fi
}

no_sessions()
{
	[ "$(wc -l < $LIST/outgoing)" = 0 ]
}
