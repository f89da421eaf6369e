# SPDX-License-Identifier: GPL-2.0-only
# luoctl keeper keeps files of programs over two kernels. tools/liveupdate/tests tries more
# of it, without a kernel. The kernel needs unix sockets, as with config.systemd.

STAGES=3
APPEND="liveupdate=on"

stage1()
{
	exits 1 "run without a keeper" luoctl run vm --memfd ram=8M -- true
	start_keeper
	exits 0 "run" luoctl run vm --memfd ram=8M --memfd more=64K -- \
		sh -c 'head -c 8388608 /dev/urandom >&3; echo more >&4'
	exits 0 "sums" luoctl run vm -- md5sum /proc/self/fd/3 /proc/self/fd/4
	cp /tmp/out sums
	EXTRA="khosum=$(cut -c 1-32 sums | tr -d '\n')"
	exits 0 "for another user" luoctl run vm --uid 1000 --memfd ram=4K -- \
		sh -c 'echo user >&3'
	exits 1 "a file that cannot be kept" luoctl put vm file=5 5< sums
	says "luoctl: file of vm cannot be kept: the kernel cannot preserve files of this kind"
	exits 0 "a memfd of huge pages" luoctl run vm --memfd huge=2M,huge=2M -- true
	exits 0 "it is dropped" luoctl drop --kept vm huge
	check_eq "each file has a session" 3 "$(cat /sys/kernel/liveupdate/outgoing/nr_sessions)"
	check "a session says what it is" \
		grep -q "^session files 2 name keeper/1000/vm/ram$" \
			/sys/kernel/liveupdate/outgoing/sessions

	check "a signal is sent to the keeper" kill "$KEEPER"
	exits 0 "it goes on" luoctl run vm -- true
	memory_only
	replace_keeper
	exits 0 "all is there" luoctl run vm -- md5sum /proc/self/fd/3 /proc/self/fd/4
	check "and is the same" cmp sums /tmp/out

	# As if systemd ran: it spares the keeper.
	mkdir -p /run/systemd/system
	exits 0 "check" luoctl check /boot/bzImage --reuse-cmdline
	check "nothing would be lost" eval "! grep -q 'systemctl kexec would' /tmp/out"
	rmdir /run/systemd/system
	next_stage 2
}

stage2()
{
	exits 1 "run before there is a keeper" luoctl run vm --memfd ram=8M -- true
	start_keeper
	kept
	# That it has handed out nothing does not matter.
	EXTRA="khosum=$(param khosum)"
	next_stage 3
}

stage3()
{
	start_keeper
	kept
	exits 0 "drop one" luoctl drop --kept vm more
	exits 0 "drop" luoctl drop --kept vm
	exits 0 "drop those of the user" luoctl drop --kept --uid 1000 vm
	check_eq "no session is left" 0 "$(cat /sys/kernel/liveupdate/outgoing/nr_sessions)"
	check "a signal is sent to the keeper" kill "$KEEPER"
	check "it ends, as it keeps nothing" eventually eval "! kill -0 $KEEPER 2> /dev/null"
	nothing_unclaimed
}

# start_keeper: and wait until it is ready
start_keeper()
{
	mkdir -p /run
	luoctl keeper > /tmp/keeper 2>&1 &
	KEEPER=$!
	check "the keeper answers" eventually answers
}

answers()
{
	luoctl list --kept > /dev/null 2>&1
}

# replace_keeper: a second one takes over from the first
replace_keeper()
{
	local first=$KEEPER
	luoctl keeper > /tmp/keeper 2>&1 &
	KEEPER=$!
	check "the first keeper ends" eventually eval "! kill -0 $first 2> /dev/null"
	check "the second one answers" eventually answers
}

# memory_only: it has nothing of a file system open
memory_only()
{
	check "the keeper runs from memory" \
		eval "readlink /proc/$KEEPER/exe | grep -q '^/memfd:'"
	check_eq "it has no library" "" "$(grep -o '/lib/.*' "/proc/$KEEPER/maps")"
	check_eq "systemd would spare it" "@luoctl" \
		"$(tr '\0' '\n' < "/proc/$KEEPER/cmdline" | head -n 1)"
	check_eq "nor a file" 0 "$(files_open | wc -l)"
}

# kept: what the first kernel has put is there, and no session of the previous one is left
kept()
{
	exits 0 "sums" luoctl run vm --memfd ram=8M --memfd more=64K -- \
		md5sum /proc/self/fd/3 /proc/self/fd/4
	check_eq "they are those of the first kernel" "$(param khosum)" \
		"$(cut -c 1-32 /tmp/out | tr -d '\n')"
	exits 0 "the file of the user" luoctl run vm --uid 1000 -- head -n 1 /proc/self/fd/3
	says user
	check_eq "it is the user's" 1000 \
		"$(luoctl run vm --uid 1000 -- stat -Lc %u /proc/self/fd/3)"
	check_eq "no old session is left" 0 "$(cat /sys/kernel/liveupdate/incoming/nr_sessions)"
	check_eq "there are new ones" 3 "$(cat /sys/kernel/liveupdate/outgoing/nr_sessions)"
	say_lines note < /tmp/keeper
}

# files_open: what the keeper has open that has a path, but for its own files
files_open()
{
	local fd
	for fd in "/proc/$KEEPER/fd"/*; do
		readlink "$fd"
	done | grep ^/ | grep -v '^/dev/null$\|^/memfd:\|^/run/\|^/tmp/keeper$'
}
