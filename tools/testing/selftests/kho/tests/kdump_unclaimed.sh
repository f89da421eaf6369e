# SPDX-License-Identifier: GPL-2.0-only
# A kernel panics that has taken memory over which nobody has claimed. A dump without user
# data leaves this memory out, and one with user data has it. Needs makedumpfile.
#
# shellcheck disable=SC2016 # for eval

STAGES=3
APPEND="crashkernel=192M reserve_mem=8M:2M:kept"
PANIC=1
TIMEOUT=${KHO_TIMEOUT:-300}

# At this level makedumpfile leaves out all that it can, and at the other one all but user
# data.
LEAST=31
WITH_USER_DATA=23

stage1()
{
	bulk_preserves "memory is preserved" "runs 1200 -1 1"
	next_stage 2
}

stage2()
{
	check "unclaimed memory counts as user data" is_anon "0x$(sed -n \
		'1s/^0x\([0-9a-f]*\)-.*/\1/p' /sys/kernel/kho/incoming/ranges)"
	check "memory that was claimed does not" eval '! is_anon "$(dmesg |
		sed -n "s/.*reserve_mem kept: .* at \(0x[0-9a-f]*\) taken over/\1/p")"'
	EXTRA="khopages=$(counter in/unclaimed_pages)"
	check "a crash kernel is loaded" kexec -s -p /boot/bzImage \
		--initrd=/sys/firmware/initrd --command-line="$(next_cmdline 3)"
	say "panic"
	# The end of init is a panic.
	exit 1
}

stage3()
{
	local user with without
	check "this is the crash kernel" grep -q elfcorehdr= /proc/cmdline
	check "something was unclaimed" [ "$(param khopages)" -gt 50000 ]

	dump $LEAST
	user=$(pages_said "User process data pages") without=$(pages_said "Remaining pages")
	check "it is left out with user data" [ "$user" -ge "$(param khopages)" ]
	dump $WITH_USER_DATA
	with=$(pages_said "Remaining pages")
	check "it is in a dump with user data" \
		[ $((with - without)) -ge $(($(param khopages) * 99 / 100)) ]
	say "note $without pages without user data, $with with it"
}

# is_anon ADDRESS: whether its page is an anonymous one, by bit 12 of /proc/kpageflags
is_anon()
{
	local flags
	flags=$(dd if=/proc/kpageflags bs=8 skip=$(($1 / 4096)) count=1 2> /dev/null |
		od -An -tu4 | awk '{ print $1 }')
	[ -n "$flags" ] || say "not ok the flags of $1 can be read"
	[ $((flags & 1 << 12)) != 0 ]
}

# dump LEVEL: find out what would be in a dump
dump()
{
	# Errors and statistics.
	exits 0 "makedumpfile -d $1" makedumpfile --dry-run --message-level 20 -d "$1" \
		/proc/vmcore /tmp/dump
}

# pages_said WHAT: the number that makedumpfile has said for it
pages_said()
{
	echo $(($(sed -n "s/^ *$1 *: *\(0x[0-9a-f]*\)\$/\1/p" /tmp/out | head -n 1) + 0))
}
