# SPDX-License-Identifier: GPL-2.0-only
# One handover of memory of every kind.

STAGES=2
UNPACKED=1
APPEND="reserve_mem=64M:4096:khotest"

stage1()
{
	check "KHO is on" [ -d $KHO ]
	check "the first kernel of a chain has no handover" [ ! -d $KHO/in ]
	check "scratch is CMA" scratch_is_cma
	cma_agrees
	check "producer preserves" producer preserve
	check "preserved pages are counted" \
		[ "$(counter out/preserved_pages)" -gt "$(producer_total pages)" ]
	check "preserved blocks are listed" \
		[ "$(awk '{ n += $NF } END { print n }' $KHO/out/preserved)" = \
		  "$(counter out/preserved_pages)" ]
	check "the producer's blob can be read" \
		[ "$(wc -c < $KHO/out/sub_fdts/kho-producer)" -gt 1000 ]
	dump_fdts out
	dump 1
	EXTRA="khoscratch=$(md5sum < $KHO/scratch | cut -c1-32)"
	next_stage 2
}

stage2()
{
	check "handed over" [ -d $KHO/in ]
	check "scratch is CMA" scratch_is_cma
	cma_agrees
	check_eq "first handover of the chain" 1 \
		"$(metadata_count in)"
	check "this kernel counts on" \
		[ "$(metadata_count out)" = 2 ]
	check_eq "scratch areas are the same" "$(param khoscratch)" \
		"$(md5sum < $KHO/scratch | cut -c1-32)"
	dump_fdts in
	dump 2
	check "KASLR put the kernel in scratch" in_scratch "$(kernel_range)"
	check "the initrd was loaded into scratch" in_scratch "$(initrd_range)"
	verify_restored
	say_lines data 2 item < $PRODUCER/report
	check_eq "all pages are accounted for" "$(counter in/preserved_pages)" \
		$(($(counter in/restored_pages) + $(counter in/unclaimed_pages)))
	check "producer frees" producer free
	nothing_unclaimed
	check_eq "nothing is listed" 0 "$(grep -c . $KHO/in/preserved)"
	lockdown
}

# Under lockdown=confidentiality not even root sees memory of the kernel, or addresses.
lockdown()
{
	local lockdown=/sys/kernel/security/lockdown file
	if ! grep -qw securityfs /proc/filesystems; then
		say "note this kernel has no lockdown"
		return
	fi
	mount -t securityfs none ${lockdown%/*}
	check "lockdown=integrity" eval "echo integrity > $lockdown"
	for file in scratch out/fdt out/preserved out/ranges; do
		check "$file can be read" eval "cat $KHO/$file > /dev/null"
	done
	check "lockdown=confidentiality" eval "echo confidentiality > $lockdown"
	for file in scratch out/fdt out/sub_fdts/kexec-metadata out/preserved out/ranges \
		in/fdt in/sub_fdts/kexec-metadata in/preserved; do
		check "$file exists" [ -e $KHO/$file ]
		check "$file is refused" eval "! cat $KHO/$file > /dev/null 2>&1"
	done
	check "numbers can be read" eval "cat $KHO/out/preserved_pages > /dev/null"
}

# Free pages count as CMA by the type of their pageblock. A third of scratch is more
# than a kernel, its initrd and some movable pages take.
scratch_is_cma()
{
	local kib
	kib=$(awk '{ n += $2 } END { print n }' $KHO/scratch)
	[ "$(meminfo CmaTotal)" -eq "$kib" ] &&
		[ "$(meminfo CmaFree)" -ge $((kib / 3)) ] &&
		[ "$(meminfo CmaFree)" -le "$kib" ]
}

# cma_agrees: all that says how much CMA memory there is says the same. Free pages come
# and go meanwhile.
cma_agrees()
{
	local total zones boot free zones_free physical reserved
	total=$(meminfo CmaTotal)
	zones=$(awk '$1 == "cma" { n += $2 } END { print n * 4 }' /proc/zoneinfo)
	boot=$(dmesg | sed -n 's/.* Memory: .* \([0-9]*\)K cma-reserved.*/\1/p')
	check_eq "CmaTotal and /proc/zoneinfo agree" "$total" "$zones"
	check_eq "the line about memory of the boot does, too" "$total" "$boot"

	free=$(meminfo CmaFree)
	zones_free=$(awk '$1 == "nr_free_cma" { n += $2 } END { print n * 4 }' /proc/zoneinfo)
	check "so do CmaFree and /proc/zoneinfo" between $((free - zones_free)) -2048 2048

	# "A/B available (... C reserved": init memory is freed later, and nothing else.
	physical=$(dmesg | sed -n 's/.* Memory: [0-9]*K\/\([0-9]*\)K .*/\1/p')
	reserved=$(dmesg | sed -n 's/.* Memory: .* \([0-9]*\)K reserved.*/\1/p')
	check "what was not reserved is the memory" \
		between $(($(meminfo MemTotal) - (physical - reserved))) 0 16384
}

# For whoever draws a picture from the log: this kernel, the one of STAGE, and
# the memory that is preserved in it.
dump()
{
	say "data $1 kernel $(uname -rv)"
	grep -E 'System RAM|Kernel (code|bss)' /proc/iomem | say_lines data "$1" iomem
	say_lines data "$1" scratch < $KHO/scratch
	cat $KHO/*/preserved | sed 's/ order.*//' | say_lines data "$1" preserved
}

# For host_check: the guest has no dtc.
dump_fdts()
{
	base64 "$KHO/$1/fdt" | say_lines fdt "$1"
	base64 "$KHO/$1/sub_fdts/memblock" | say_lines fdt "$1-memblock"
}

# dtc can read all FDTs, and they say what they should.
host_check()
{
	local name
	for name in out in; do
		has "$1" $name 'compatible = "kho-v4";' preserved-memory-map \
			'kho-producer {' 'kexec-metadata {' 'memblock {' \
			preserved-data blob-size &&
		has "$1" $name-memblock 'compatible = "memblock-v1";' \
			'khotest {' 'compatible = "reserve-mem-v1";' \
			'start = ' 'size = ' || return 1
	done
}

has()
{
	local log=$1 name=$2 want
	shift 2
	for want; do
		dts "$log" "$name" | grep -qF "$want" || return 1
	done
}

dts()
{
	sed -n "s/^[0-9.]* khotest: fdt $2 //p" "$1" | base64 -d | dtc -q -I dtb -O dts
}
