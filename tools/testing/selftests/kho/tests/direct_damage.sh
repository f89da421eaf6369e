# SPDX-License-Identifier: GPL-2.0-only
# A bzImage that is damaged is refused when it is loaded, or its kernel unpacks itself. What
# was loaded before is not affected.

STAGES=2
APPEND="kho_scratch=64M,64M,0"

FILE=/tmp/damaged

missing()
{
	has_kernel zstd
}

stage1()
{
	find_payload bzImage
	not_unpacked bzImage
	check "a good image is loaded" load_next 2
	refused_damage bzImage gzip
	find_payload zstd
	refused_damage zstd zstd
	boot_next
}

stage2()
{
	check "handed over" [ -d $KHO/in ]
}

# find_payload KERNEL: set START and LENGTH
find_payload()
{
	local setup
	setup=$((($(number "/boot/$1" 497 1) + 1) * 512))
	START=$((setup + $(number "/boot/$1" 584 4)))
	LENGTH=$(number "/boot/$1" 588 4)
	check "$1: the payload is found" \
		[ "$LENGTH" -gt 0 -a $((START + LENGTH)) -le "$(wc -c < "/boot/$1")" ]
}

# Whether they would boot does not matter.
not_unpacked()
{
	head -c $((START + LENGTH / 2)) "/boot/$1" > $FILE
	check "$1: the file is truncated" packed "its payload is not in the file"

	# The last four bytes say how large it is.
	cp "/boot/$1" $FILE
	flip $((START + LENGTH - 1))
	check "$1: it says that it is huge" packed "its payload does not say how large it is"
}

# refused_damage KERNEL FORMAT
refused_damage()
{
	local i at
	for i in 1 2 3 4 5 6; do
		cp "/boot/$1" $FILE
		at=$((START + 1000 + (LENGTH - 2000) * i / 7 + i))
		flip $at
		check "$1: a byte at $at is damaged" damaged "$2"
	done

	cp "/boot/$1" $FILE
	flip $((START + LENGTH - 4))
	check "$1: its length is damaged" damaged "$2"
	rm $FILE
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

damaged()
{
	! load_file && log "kho: kexec refused: the $1 data in the bzImage is damaged"
}

packed()
{
	load_file
	log "kho: the next kernel has to unpack itself: $1"
}
