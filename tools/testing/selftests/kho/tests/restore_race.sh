# SPDX-License-Identifier: GPL-2.0-only
# Memory is restored from each CPU as soon as that is up, from an early initcall on,
# and goes on being restored while its struct pages are initialized, and after that.

STAGES=2
MEM=1536M
SMP=4
APPEND="kho_scratch=96M,64M,0"
RACE=/sys/kernel/debug/kho_race

stage1()
{
	check "items are preserved" eval "echo 4000 > $RACE/control"
	EXTRA="kho_race.restore=1"
	next_stage 2
}

stage2()
{
	say_lines note race: < $RACE/report
	say "note struct pages: $(counter in/late_init_ns) ns"
	check_eq "items" 4000 "$(race_value items)"
	check_eq "threads that restored them" 4 "$(race_value threads)"
	check "some were restored before initialization" [ "$(race_value before)" -gt 0 ]
	check "some while it was going on" [ "$(race_value across)" -gt 0 ]
	check "some afterwards" [ "$(race_value after)" -gt 0 ]
	check "some more than one thread wanted" [ "$(race_value tried_again)" -gt 0 ]
	check_eq "who came second got nothing" "$(race_value tried_again)" \
		"$(race_value refused)"
	check_eq "items that were not restored exactly once" 0 "$(race_value not_once)"
	check_eq "items that are damaged" 0 "$(race_value damaged)"
	nothing_unclaimed
}

race_value()
{
	sed -n "s/^$1 //p" $RACE/report
}
