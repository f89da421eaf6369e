# SPDX-License-Identifier: GPL-2.0-only
# Many handovers in a row, with new content of every kind each time; the environment
# says how many with KHO_SOAK, and repeats the content with KHO_SEED. Each kernel
# verifies what the previous one has left, and that nothing was lost by that. The first one
# that finds something wrong says so, and is the last one.
#
# shellcheck disable=SC2034 # for vmtest.sh

if [ -n "${here:-}" ]; then
	N=${KHO_SOAK:-3}
	SEED=${KHO_SEED:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}
	STAGES=$((N + 1))
	MEM=1G
	SMP=1
	TIMEOUT=$((${KHO_TIMEOUT:-120} + 60 * N))
	# What is said of each boot would be most of the log.
	APPEND="liveupdate=on reserve_mem=4M:4096:khotest kho_producer.guards=0 loglevel=5 nokaslr"
	# Their sizes follow from how much is not held back in early boot.
	APPEND="$APPEND dhash_entries=65536 ihash_entries=32768 mhash_entries=1024"
	APPEND="$APPEND mphash_entries=1024 khosoak=$N khoseed=$SEED"
else
	N=$(param khosoak)
	eval "stage$(param khostage)() { soak_stage; }"
fi

soak_stage()
{
	handovers=$(($(param khostage) - 1))
	seed=$(seed_after "$handovers")
	EXTRA=

	if [ "$handovers" = 0 ]; then
		luo_soak_does begin "$seed"
	else
		see_handover
		luo_soak_does again "$seed"
	fi
	nothing_lost

	[ "$handovers" != "$N" ] || soak_over
	luo_soak_does keep "$seed"
	echo "$seed" > /sys/module/kho_producer/parameters/seed
	expect "the producer preserves" producer preserve
	place_of_next
	next_stage $((handovers + 2))
}

# seed_after NR: what the content of the kernel after NR handovers is derived from
seed_after()
{
	echo $((($(param khoseed) + $1 * 7919) % 4294967291 + 1))
}

# expect WHAT COMMAND...: a check that is not worth a line when it succeeds
expect()
{
	local what=$1
	shift
	"$@" || wrong "$what"
}

expect_eq()
{
	[ "$2" = "$3" ] || wrong "$1: expected '$2', got '$3'"
}

wrong()
{
	say "not ok handover $handovers of $N, KHO_SEED=$(param khoseed): $*"
	finish
}

luo_soak_does()
{
	luo_soak "$@" > /tmp/said 2>&1 ||
		wrong "luo_soak $*: $(grep -v '^ok ' /tmp/said | head -n 1)"
}

# see_handover: all that the previous kernel has left is as it was
see_handover()
{
	expect "something was handed over" [ -d "$KHO/in" ]
	expect_eq "handovers in the chain" "$handovers" "$(metadata_count in)"
	expect_eq "sessions" 2 "$(cat "$LIST/unclaimed")"

	expect "the producer restores" producer restore
	expect_eq "damaged items" 0 "$(producer_total errors)"
	expect_eq "kernels that have preserved items" "$handovers" \
		"$(producer_total generation)"
	expect "all items are there" [ "$(producer_total items)" -ge 26 ]
	expect "the producer frees" producer free

	luo_soak_does after "$(seed_after $((handovers - 1)))"
}

# nothing_lost: this kernel has as much of everything as the second one. The first one
# has not taken over anything, so that the second one is only about as it is.
nothing_lost()
{
	local tries=0 then

	if [ "$handovers" != 0 ]; then
		expect_eq "unclaimed pages" 0 "$(counter in/unclaimed_pages)"
		expect_eq "sessions of the previous kernel" 0 "$(wc -l < "$LIST/incoming")"
	fi
	expect_eq "sessions for the next kernel" 1 "$(wc -l < "$LIST/outgoing")"

	# What has served its purpose is freed in the background.
	then=$(param "$([ "$handovers" -gt 1 ] && echo khobase || echo khocold)")
	while take_counters; [ "$handovers" != 0 ] && ! compare "$then" "$now"; do
		[ $tries -lt 10 ] || wrong "$differs"
		tries=$((tries + 1))
		sleep 1
	done
	say "soak handover $handovers $(echo "$now" | tr ':,' '  ')"

	case $handovers in
	0) EXTRA="$EXTRA khocold=$now" ;;
	1) EXTRA="$EXTRA khobase=$now" ;;
	esac
}

# take_counters: those that must not drift; the first two in KiB, the next three in pages
take_counters()
{
	echo 3 > /proc/sys/vm/drop_caches
	now="MemTotal:$(meminfo MemTotal),free:$(free_kib)"
	now="$now,reserved:$(zone_pages present managed)"
	now="$now,preserved:$(counter out/preserved_pages),nodes:$(counter out/tree_nodes)"
	now="$now,iomem:$(wc -l < /proc/iomem),messages:$(dmesg | wc -l)"
	now="$now,cmdline:$(wc -c < /proc/cmdline)"
}

# zone_pages NAME OTHER: the difference of two numbers of all zones
zone_pages()
{
	awk -v a="$1" -v b="$2" '$1 == a { n += $2 } $1 == b { n -= $2 } END { print n }' \
		/proc/zoneinfo
}

# compare THEN NOW: counters. By how much they may differ is the same however many
# handovers there were. Kernels that are not at a random place reserve the same memory to
# the page, but for two pages more that come with a handover.
compare()
{
	local pages=256
	! fixed_place "$handovers" || pages=0
	[ "$handovers" != 1 ] || pages=2

	same "$1" "$2" MemTotal $((pages * 4)) && same "$1" "$2" reserved $pages &&
		same "$1" "$2" free 2048 &&
		same "$1" "$2" preserved 0 && same "$1" "$2" nodes 8 &&
		same "$1" "$2" iomem 8 && same "$1" "$2" messages 150 &&
		same "$1" "$2" cmdline 200
}

# same THEN NOW NAME BY: a counter has not changed by more than that
same()
{
	local old new
	old=$(counter_of "$1" "$3")
	new=$(counter_of "$2" "$3")
	differs="$3 is $new, and was $old"
	between $((new - old)) -"$4" "$4"
}

counter_of()
{
	echo "$1" | tr , '\n' | sed -n "s/^$2://p"
}

# fixed_place HANDOVERS: whether the kernel after so many is not at a random place
fixed_place()
{
	[ "$1" = 0 ] || [ $(($1 % 2)) = 1 ]
}

place_of_next()
{
	REMOVE=nokaslr
	! fixed_place $((handovers + 1)) || EXTRA="$EXTRA nokaslr"
}

soak_over()
{
	say "ok $N handovers: all content is as it was left"
	say "ok nothing is unclaimed or preserved that was not, and sessions are two"
	say "ok memory and counters have not drifted"
	finish
}

#
# On the host
#

host_check()
{
	local nr
	nr=$(grep -c 'khotest: soak handover ' "$1")
	[ "$nr" = $((N + 1)) ] || echo "not ok $nr kernels have told their counters, of $((N + 1))"

	echo "note KHO_SEED=$SEED"
	between_lines 'soak handover ' 'soak handover ' "$1" |
		summary "seconds per handover, with all that is done between"
	between_lines 'reboot$' 'init ' "$1" | summary "of them from reboot to init"
	grep 'khotest: soak handover ' "$1" | sed -n 's/.* soak handover \(.*\)/\1/p' |
		awk '{ for (i = 2; i < NF; i += 2) {
				if (NR == 1 || $(i + 1) < min[i]) min[i] = $(i + 1)
				if (NR == 1 || $(i + 1) > max[i]) max[i] = $(i + 1)
				name[i] = $i; last = i
			} }
		END { for (i = 2; i <= last; i += 2)
			printf "note %s: %d to %d\n", name[i], min[i], max[i] }'
}

# between_lines FROM TO LOG: how long it took from one line of the guest to the other
between_lines()
{
	awk -v from="khotest: $1" -v to="khotest: $2" \
		'$0 ~ to && start { printf "%.2f\n", $1 - start }
		$0 ~ from { start = $1 }' "$3"
}

# summary WHAT: of numbers in standard input
summary()
{
	local numbers nr
	numbers=$(cat)
	[ -n "$numbers" ] || return 0
	nr=$(echo "$numbers" | wc -l)
	echo "note $1: first $(echo "$numbers" | head -n 1)," \
		"median $(echo "$numbers" | sort -n | sed -n $(((nr + 1) / 2))p)," \
		"last $(echo "$numbers" | tail -n 1)"
}
