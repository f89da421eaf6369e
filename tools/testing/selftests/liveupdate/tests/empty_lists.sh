# SPDX-License-Identifier: GPL-2.0-only
# Lists without entries are not handed over: no session, sessions without files, and
# sessions that were closed again. The host looks at what is handed over.

STAGES=5
MEM=1G
APPEND="liveupdate=on"
RAM_FILE=1
TIMEOUT=${KHO_TIMEOUT:-300}

missing()
{
	command -v python3 > /dev/null || echo "python3 not found"
}

host_action()
{
	python3 -B "${here:?}/../liveupdate/damage.py" "$@"
}

# hand_on STAGE SESSIONS FILES: go to the next stage; so many must be handed over
hand_on()
{
	echo "lists $2 $3" > /sys/kernel/debug/kho_pause
	next_stage "$1"
}

# taken_over NR: this many sessions came, and nothing is wrong with them
taken_over()
{
	check "handed over" [ -d "$KHO/in" ]
	check_eq "sessions" "$1" "$(cat $LIST/unclaimed)"
	check_eq "nothing is said of damage" 0 "$(dmesg | grep -c 'luo: .*\(damaged\|ignored\)')"
}

# sessions_pa: first block of the list of sessions, as it would be handed over now
sessions_pa()
{
	od -An -tx8 -j16 -N8 $KHO/out/sub_fdts/LUO | tr -d ' '
}

stage1()
{
	check_eq "there is no list of sessions" 0000000000000000 "$(sessions_pa)"
	hand_on 2 0 0
}

stage2()
{
	local before
	taken_over 0
	nothing_unclaimed
	before=$(counter out/preserved_pages)
	program luo_memfd_interop close nothing crowd each
	check "all of their memory is given back" \
		eventually counts_as "$before" out/preserved_pages
	hand_on 3 0 0
}

stage3()
{
	taken_over 0
	nothing_unclaimed
	program luo_memfd_interop absent nothing crowd each
	program luo_memfd_interop keep nothing
	hand_on 4 1 0
}

stage4()
{
	taken_over 1
	program luo_memfd_interop after nothing
	nothing_unclaimed
	# Of a crowd 80 sessions stay, each second one with a file.
	program luo_memfd_interop keep nothing crowd
	hand_on 5 82 40
}

stage5()
{
	taken_over 82
	program luo_memfd_interop after nothing crowd
	nothing_unclaimed
}
