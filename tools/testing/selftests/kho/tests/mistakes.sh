# SPDX-License-Identifier: GPL-2.0-only
# A driver makes a mistake that the next kernel would refuse all of the handover for. So
# the kexec is refused, with a line that names it, until the mistake is undone. In addition
# the memory map of the next kernel does not fit into its boot_params.

STAGES=2

E820=/sys/kernel/debug/x86/kexec_e820_entries
REFUSED='kho: kexec refused: '

stage1()
{
	check "producer preserves" producer preserve
	check "an image is loaded" load_next 2

	mistake blob 'root FDT: subtree kho-mistake is not preserved'
	mistake overlap 'block of order 0 at 0x[0-9a-f]* overlaps another, of order 4 at 0x'
	check "it names the page" named_page
	mistake scratch "block of order 0 at $(scratch_start) is in scratch"
	mistake ram 'block of order 0 at 0x[0-9a-f]* is not in RAM of the next kernel'
	mistake node 'block of order 0 at 0x[0-9a-f]* contains a tree node'
	check_eq "each refusal is one line" 10 "$(dmesg | grep -c "$REFUSED")"

	# Nothing is refused that only happens meanwhile.
	check "threads preserve and unpreserve" stress "threads 4"
	check "images are loaded meanwhile" load_often 10
	check "the threads stop" stress stop
	check_eq "they have seen no errors" 0 "$(stress_value threads_errors)"

	EXTRA="khomem=$(ram_kib) khoentries=$(entries BIOS-e820)"
	if [ -f $E820 ]; then
		check "few entries fit into boot_params" eval "echo 3 > $E820"
		EXTRA="$EXTRA khoext=1"
	fi
	next_stage 2
}

stage2()
{
	if [ "$(param khoext)" = 1 ]; then
		check_eq "few entries are in boot_params" 3 "$(entries BIOS-e820)"
		check_eq "all entries arrive" "$(param khoentries)" "$(entries extended)"
	fi
	check_eq "all RAM is there" "$(param khomem)" "$(ram_kib)"
	take_over
}

# mistake NAME LINE
mistake()
{
	check "$1: the mistake is made" eval "echo $1 > /sys/kernel/debug/kho_mistakes"
	refused "protocol error"
	check "$1: it is named" log "$REFUSED$2"
	check "$1: no image can be loaded" eval '! load_next 2 2> /tmp/why'
	check "$1: with the same errno" grep -qi "protocol error" /tmp/why
	check "$1: it is undone" eval 'echo undo > /sys/kernel/debug/kho_mistakes'
	check "$1: an image can be loaded" load_next 2
}

named_page()
{
	local page
	page=$(dmesg | sed -n 's/.*kho_mistakes: page \(0x\)\([0-9a-f]*\) of a folio.*/\2/p')
	log "${REFUSED}block of order 0 at 0x0*$page overlaps"
}

scratch_start()
{
	sed -n '1s/^0x\([0-9a-f]*\)-.*/0x0*\1/p' $KHO/scratch
}

load_often()
{
	local left=$1
	while [ "$left" -gt 0 ]; do
		load_next 2 || return 1
		left=$((left - 1))
	done
}

# ram_kib: all RAM that this kernel has found
ram_kib()
{
	dmesg | sed -n 's/.*Memory: [0-9]*K\/\([0-9]*\)K available.*/\1/p'
}

# entries TABLE: of a memory map that this kernel has printed
entries()
{
	dmesg | grep -c " $1: \[mem "
}
