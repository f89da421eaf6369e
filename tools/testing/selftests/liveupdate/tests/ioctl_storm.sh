# SPDX-License-Identifier: GPL-2.0-only
# A kexec at a random moment while threads do all that can be done with sessions. The
# next kernel checks that whatever was acknowledged before has arrived, and gives it back
# in the same way, while the next storm goes on.
#
# In the environment, KHO_STORM is how many seconds the storms take together, and
# KHO_SEED repeats what each thread does, but not the order in which the threads run.
#
# shellcheck disable=SC2034 # for vmtest.sh

STAGES=4
MEM=${MEMFD_MEM:-1G}

if [ -n "${here:-}" ]; then
	APPEND="khostorm=${KHO_STORM:-5}"
	APPEND="$APPEND khoseed=${KHO_SEED:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}"
	APPEND="$APPEND liveupdate=on ${MEMFD_MEM:+kho_scratch=100%}"
	TIMEOUT=$((${KHO_TIMEOUT:-300} + ${KHO_STORM:-5}))
fi

stage1()
{
	EXTRA="khobefore=$(counter out/preserved_pages)"
	say "note KHO_SEED=$(param khoseed)"
	load_next 2
	program luo_storm keep "$(seed_of 1)"
	kexec_in_the_middle 1
}

stage2()
{
	EXTRA=
	load_next 3
	program luo_storm after "$(seed_of 2)"
	nothing_unclaimed
	kexec_in_the_middle 2
}

stage3()
{
	EXTRA=
	load_next 4
	program luo_storm visit "$(seed_of 3)"
	wait_for_the_middle 3
	refused "busy"
	check "and says why" log "luo: kexec refused: session .* of the previous kernel is not"
	check "the sessions are finished" killall -USR1 luo_storm
	check "all of them" eventually none_incoming
	boot_next
}

stage4()
{
	program luo_storm after
	nothing_unclaimed
	check_eq "no operation came when it should not" 0 "$(cat "$TEST/errors")"

	program luo_storm keep "$(seed_of 4)"
	sleep 1
	check "the storm is killed" killall -9 luo_storm
	check "nothing is preserved any more" \
		eventually counts_as "$(param khobefore)" out/preserved_pages
	check "all files are closed" eventually grep -qx "open 0" "$TEST/calls"
	[ ! -e /sys/kernel/debug/kmemleak ] || no_leaks
}

# seed_of STAGE: what its storm is made from
seed_of()
{
	echo $(($(param khoseed) * 8 + $1))
}

# Had all sessions been finished by chance, nothing would have been refused, and nobody
# would have noticed.
host_check()
{
	[ "$(grep -c 'khotest: ok with an errno that says busy' "$1")" = 1 ] ||
		echo "not ok a kexec was refused while sessions were not finished"
}

none_incoming()
{
	! grep -q . "$LIST/incoming"
}

kexec_in_the_middle()
{
	wait_for_the_middle "$1"
	boot_next
}

# wait_for_the_middle STAGE: for a third of the time, half of that more or less
wait_for_the_middle()
{
	local ms third
	third=$(($(param khostorm) * 1000 / 3))
	ms=$((third / 2 + ($(seed_of "$1") * 2654435761 >> 8) % third))
	check_eq "no operation came when it should not" 0 "$(cat "$TEST/errors")"
	sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
}
