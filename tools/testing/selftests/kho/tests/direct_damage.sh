# SPDX-License-Identifier: GPL-2.0-only
# A bzImage that is damaged is refused when it is loaded, or its kernel unpacks itself. What
# was loaded before is not affected.

STAGES=2
APPEND="kho_scratch=64M,64M,0"

FILE=/tmp/damaged

# Offsets in the header, see Documentation/arch/x86/boot.rst
SETUP_SECTS=497
SYSSIZE=500
JUMP=513
ALIGNMENT=560
PAYLOAD_OFFSET=584
PAYLOAD_LENGTH=588
PREF_ADDRESS=600
INIT_SIZE=608

NO_DATA="what is packed cannot be decompressed"
NO_SIZE="the size of what is packed cannot be right"

missing()
{
	local kind
	for kind in xz zstd lz4 novmlinux badreloc morelists; do
		has_kernel $kind
	done | head -n 1
}

stage1()
{
	local kind
	check "a good image is loaded" load_next 2

	find_payload bzImage
	truncated bzImage
	header bzImage
	changed_data bzImage
	for kind in xz zstd; do
		find_payload $kind
		changed_data $kind
	done
	find_payload lz4
	truncated lz4
	changed_lz4

	unlike novmlinux damaged "what is packed is no vmlinux for x86-64"
	unlike badreloc damaged "a relocation is outside of the kernel"
	unlike morelists packed "it has too many lists of relocations"

	check "a good image is loaded over the last one" load_next 2
	boot_next
}

stage2()
{
	check "handed over" [ -d $KHO/in ]
}

# find_payload KERNEL: set START and LENGTH
find_payload()
{
	SETUP=$((($(number "/boot/$1" $SETUP_SECTS 1) + 1) * 512))
	START=$((SETUP + $(number "/boot/$1" $PAYLOAD_OFFSET 4)))
	LENGTH=$(number "/boot/$1" $PAYLOAD_LENGTH 4)
	check "$1: the payload is found" \
		[ "$LENGTH" -gt 0 -a $((START + LENGTH)) -le "$(wc -c < "/boot/$1")" ]
}

# It would hang while nothing else is left. What is behind the payload is needed, too.
truncated()
{
	local size whole
	whole=$((SETUP + $(number "/boot/$1" $SYSSIZE 4) * 16))
	for size in $((START + 100)) $((START + LENGTH / 2)) $((START + LENGTH - 1)) \
		$((whole - 16)) $((whole - 1)); do
		head -c $size "/boot/$1" > $FILE
		check "$1: the file has only $size bytes" damaged "the file is truncated"
	done
}

# header KERNEL: what the header says is wrong
header()
{
	field "$1" $SYSSIZE 4 268435456
	check "it is longer" damaged "the file is truncated"
	field "$1" $PAYLOAD_LENGTH 4 $((LENGTH + (1 << 24)))
	check "the payload is longer" damaged "the file is truncated"
	field "$1" $PAYLOAD_LENGTH 4 4294967295
	check "the payload is much longer" damaged "the file is truncated"
	field "$1" $PAYLOAD_LENGTH 4 $((LENGTH - 1))
	check "the payload is shorter" damaged "\($NO_SIZE\|$NO_DATA\)"
	field "$1" $PAYLOAD_OFFSET 4 4294967295
	check "the payload is elsewhere" damaged "the file is truncated"
	field "$1" $INIT_SIZE 4 4096
	check "the kernel needs little memory" damaged "$NO_SIZE"
	field "$1" $PREF_ADDRESS 8 $((1 << 31))
	check "it is linked for elsewhere" damaged "the memory of a segment is out of range"
	field "$1" $JUMP 1 200
	check "the header is longer than there is room" refused_load

	# The decompressor does not use these.
	field "$1" $PAYLOAD_OFFSET 4 $((START - SETUP + 4))
	check "the payload is not quite there" packed "there is no decompressor for it"
	field "$1" $PAYLOAD_LENGTH 4 0
	check "there is no payload" packed "it has no payload"
	field "$1" $ALIGNMENT 4 4096
	check "another alignment will do" packed "it is not aligned to 2 MiB"
}

# field KERNEL OFFSET BYTES VALUE: change a field of its header
field()
{
	local i=0 value=$4
	cp "/boot/$1" $FILE
	while [ $i -lt "$3" ]; do
		# shellcheck disable=SC2059 # an octal number
		printf "\\$(printf %o $((value & 255)))"
		value=$((value >> 8))
		i=$((i + 1))
	done | dd of=$FILE bs=1 seek="$2" conv=notrunc 2> /dev/null
}

# changed_data KERNEL: its payload has a checksum
changed_data()
{
	local i at
	for i in 1 2 3 4 5 6; do
		cp "/boot/$1" $FILE
		at=$((START + 1000 + (LENGTH - 2000) * i / 7 + i))
		flip $at
		check "$1: a byte at $at is damaged" damaged "$NO_DATA"
	done
	changed_size "$1"
}

# The last four bytes say how large it is.
changed_size()
{
	cp "/boot/$1" $FILE
	flip $((START + LENGTH - 4))
	check "$1: it says another length" damaged "\($NO_SIZE\|$NO_DATA\)"
	cp "/boot/$1" $FILE
	flip $((START + LENGTH - 1))
	check "$1: it says that it is huge" damaged "$NO_SIZE"
}

# There is no checksum: only what lz4 itself cannot do is found.
changed_lz4()
{
	local at
	for at in $((START + 4)) $((START + 7)); do
		cp /boot/lz4 $FILE
		flip $at
		check "lz4: a byte at $at, of a length, is damaged" damaged "$NO_DATA"
	done
	changed_size lz4
}

# unlike KERNEL WHAT PROBLEM: one that decompresses to something else
unlike()
{
	cp "/boot/$1" $FILE
	check "$1 is $2" "$2" "$3"
}

# number FILE OFFSET BYTES
number()
{
	dd if="$1" bs=1 skip="$2" count="$3" 2> /dev/null | od -An -t u"$3" | tr -d ' '
}

flip()
{
	local byte
	byte=$(number $FILE "$1" 1)
	# shellcheck disable=SC2059 # an octal number
	printf "\\$(printf %o $((byte ^ 0x55)))" |
		dd of=$FILE bs=1 seek="$1" conv=notrunc 2> /dev/null
}

load_file()
{
	dmesg -c > /dev/null
	kexec -s -l $FILE --initrd=/sys/firmware/initrd --command-line="$(next_cmdline 9)" \
		2> /dev/null
}

# kexec does not say which errno it was. What was loaded before is still there, and nothing
# says that anything was unpacked.
refused_load()
{
	! load_file && [ "$(cat /sys/kernel/kexec_loaded)" = 1 ] &&
		no_log 'kho: the next kernel'
}

damaged()
{
	refused_load && log "kho: kexec refused: the bzImage is damaged: $1\$"
}

packed()
{
	load_file && log "kho: the next kernel has to unpack itself: $1\$"
}
