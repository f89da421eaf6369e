# SPDX-License-Identifier: GPL-2.0-only
# A loaded image lies where it will run, in each kernel of a chain. It is not started if
# it has changed since, and loading it again and again loses nothing.

STAGES=3
MEM=1536M
APPEND="kho_scratch=192M,64M,0"

COPIED='segment of [0-9]* KiB will be copied into place'

stage1()
{
	local segment free
	check "an image is loaded" load_next 2
	check "all of it is in place" no_log "$COPIED"

	for segment in $(segments); do
		check "segment $segment changes" stress "image $segment"
		refused "input/output error"
		check "it is as it was" stress "image $segment"
	done
	check_eq "each time it is said" "$(segments | wc -l)" \
		"$(dmesg | grep -c 'kho: the loaded image has changed in memory at 0x')"

	settle
	free=$(free_kib)
	check "it is loaded and unloaded often" load_often 10
	check "an image is loaded again" load_next 2
	check "no memory is lost" eventually same_free "$free"
	check "all of it is in place" no_log "$COPIED"
	boot_next
}

stage2()
{
	check "handed over" [ -d $KHO/in ]
	check "movable pages fill scratch" fill_scratch 25 96
	check "an image is loaded" load_next 3
	check "all of it is in place" no_log "$COPIED"
	boot_next
}

stage3()
{
	check "handed over" [ -d $KHO/in ]
}

# All that the image has.
segments()
{
	local i=0
	while stress "image $i" 2> /dev/null; do
		stress "image $i"
		echo $i
		i=$((i + 1))
	done
}

# Some of it becomes free in the background.
same_free()
{
	local missing
	settle
	missing=$(($1 - $(free_kib)))
	say "note $missing KiB are missing"
	between $missing -1024 1024
}

load_often()
{
	local left=$1
	while [ "$left" -gt 0 ]; do
		load_next 2 && kexec -s -u || return 1
		left=$((left - 1))
	done
}
