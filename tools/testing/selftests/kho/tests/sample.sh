# SPDX-License-Identifier: GPL-2.0-only
# samples/kho keeps a counter and messages over two kexecs.

STAGES=3
SAMPLE=/sys/kernel/debug/kho_sample

# has_kernels NUMBER: the counter, and the kernel's own word for it
has_kernels()
{
	check_eq "this is kernel $1 of the log" "kernels: $1" \
		"$(head -n 1 $SAMPLE)"
	check "the kernel says the same" log "kho_sample: kernel $1 of this log"
}

# has_messages EXPECTED: all messages, each with a ; behind it
has_messages()
{
	check_eq "the log has what was written" "$1" \
		"$(tail -n +2 $SAMPLE | tr '\n' ';')"
}

stage1()
{
	has_kernels 1
	has_messages ""
	echo "first message" > $SAMPLE
	echo "  second message " > $SAMPLE
	has_messages "1: first message;1: second message;"
	check "the state has a name" [ -e $KHO/out/sub_fdts/kho-sample ]
	next_stage 2
}

stage2()
{
	has_kernels 2
	has_messages "1: first message;1: second message;"
	nothing_unclaimed
	echo "third message" > $SAMPLE
	next_stage 3
}

# There is room for 127 messages: 4 pages of 128 bytes each, less one.
stage3()
{
	local i=4
	has_kernels 3
	has_messages "1: first message;1: second message;2: third message;"
	nothing_unclaimed

	while [ $i -le 129 ]; do
		echo "message $i" > $SAMPLE
		i=$((i + 1))
	done
	check_eq "the oldest messages made room" "127 2: third message" \
		"$(tail -n +2 $SAMPLE | wc -l) $(sed -n 2p $SAMPLE)"
	check_eq "the last message is there" "3: message 129" \
		"$(tail -n 1 $SAMPLE)"
}
