# SPDX-License-Identifier: GPL-2.0-only
# What nobody claims stays where it is, is counted and listed, and can be
# claimed later. The next kexec does not hand it on, and says so.

STAGES=4

stage1()
{
	check "producer preserves" producer preserve
	# Its own pages the kernel claims.
	EXTRA="khopages=$(($(counter out/preserved_pages) - OWN_PAGES)) khomem=$(meminfo MemTotal)"
	next_stage 2
}

stage2()
{
	local kib
	check_eq "it is counted" "$(param khopages)" "$(counter in/unclaimed_pages)"
	check_eq "it is listed" "$(param khopages)" \
		"$(awk '{ n += $NF } END { print n }' $KHO/in/preserved)"
	kib=$(($(param khomem) - $(meminfo MemTotal)))
	check "it is no memory of this kernel" \
		between $kib $((4 * $(param khopages) - 512)) $((4 * $(param khopages) + 512))
	take_over
	check "now it is" between $(($(param khomem) - $(meminfo MemTotal))) -512 512
	hand_over 3
}

stage3()
{
	check "something is unclaimed" [ "$(counter in/unclaimed_pages)" -gt 1000 ]
	next_stage 4
}

stage4()
{
	check "handed over" [ -d $KHO/in ]
	check_eq "nothing was handed on" $OWN_PAGES "$(counter in/preserved_pages)"
	check "all memory is there" between $(($(param khomem) - $(meminfo MemTotal))) -512 512
}

host_check()
{
	local what='of the last handover are unclaimed and will be lost'
	grep -q "kho: [0-9]* pages ([0-9]* MiB) $what" "$1"
}
