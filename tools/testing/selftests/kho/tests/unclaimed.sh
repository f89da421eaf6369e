# SPDX-License-Identifier: GPL-2.0-only
# What nobody claims stays where it is, is counted and listed, and can be
# claimed later. The next kexec does not hand it on, and says so. Root can discard it.
#
# shellcheck disable=SC2016 # for eval

STAGES=5
UNCLAIMED=/sys/kernel/kho/incoming

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
	EXTRA="reserve_mem=8M:2M:gone reserve_mem=2M:2M:kept"
	next_stage 4
}

stage4()
{
	check "handed over" [ -d $KHO/in ]
	check_eq "nothing was handed on" $OWN_PAGES "$(counter in/preserved_pages)"
	check "all memory is there but what is asked for" \
		between $(($(param khomem) - $(meminfo MemTotal))) $((10240 - 512)) $((10240 + 512))
	REMOVE=reserve_mem=8M:2M:gone
	hand_over 5
}

stage5()
{
	local pages total left
	pages=$(counter in/unclaimed_pages) total=$(meminfo MemTotal)
	check "one region is taken over" log "kho: reserve_mem kept: .* taken over"
	check_eq "the other one can be discarded" gone "$(ls $UNCLAIMED/reserve_mem)"
	check_eq "its size" $((8 << 20)) "$(cat $UNCLAIMED/reserve_mem/gone/unclaimed_bytes)"
	check_eq "the size of all" $((pages * 4096)) "$(cat $UNCLAIMED/unclaimed_bytes)"

	check "only 1 is accepted" eval '! echo 0 > $UNCLAIMED/discard_unclaimed'
	check_eq "nothing has changed" "$pages" "$(counter in/unclaimed_pages)"

	check "the region is discarded" \
		eval 'echo 1 > $UNCLAIMED/reserve_mem/gone/discard_unclaimed'
	check "which is logged" log "kho: reserve_mem gone: 2048 unclaimed pages .* discarded"
	check_eq "it is gone" 0 "$(cat $UNCLAIMED/reserve_mem/gone/unclaimed_bytes)"
	check_eq "and nothing else" $((pages - 2048)) "$(counter in/unclaimed_pages)"
	check_eq "it is memory of this kernel" $((total + 8192)) "$(meminfo MemTotal)"
	check "it cannot be discarded again" \
		eval '! echo 1 > $UNCLAIMED/reserve_mem/gone/discard_unclaimed'

	check "all is discarded" eval 'echo 1 > $UNCLAIMED/discard_unclaimed'
	check "which is logged" \
		log "kho: $((pages - 2048)) unclaimed pages .* of the previous kernel were"
	nothing_unclaimed
	# The tree is freed in the background, and counts then.
	check "all of it is memory of this kernel" \
		between $(($(meminfo MemTotal) - total - pages * 4)) 0 512
	check "it can be discarded again" eval 'echo 1 > $UNCLAIMED/discard_unclaimed'
	check "a driver that comes later finds nothing" eval '! producer restore 2> /dev/null'
	left=$(($(meminfo MemFree) / 1024 / 2))
	mkdir -p /tmp/all
	mount -t tmpfs -o size=100% all /tmp/all
	check "it can be used" dd if=/dev/zero of=/tmp/all/file bs=1M count=$left
	rm /tmp/all/file
	check "and handed over again" producer preserve
}

host_check()
{
	local what='of the last handover are unclaimed and will be lost'
	grep -q "kho: [0-9]* pages ([0-9]* MiB) $what" "$1"
}
