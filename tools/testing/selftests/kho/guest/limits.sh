# SPDX-License-Identifier: GPL-2.0-only
#
# Tests that compare the limits of a kernel that took over three quarters of the memory with
# those of a cold boot: what cannot grow later before the memory is restored, and all of it
# afterwards.
#
# shellcheck disable=SC2034 # for vmtest.sh

STAGES=2

# What is computed once, as "name value", in lines.
boot_limits()
{
	dmesg | awk '/ hash table entries: / {
		name = $0
		sub(/^\[[^]]*\] /, "", name)
		sub(/ hash table entries: .*/, "", name)
		gsub(/[ :()]/, "_", name)
		sub(/.* hash table entries: /, "")
		print "hash_" name, $1
	}'
	echo "file_max $(cat /proc/sys/fs/file-max)"
	echo "threads_max $(cat /proc/sys/kernel/threads-max)"
	echo "tmpfs $(tmpfs_kib)"
	echo "tmpfs_percent $(tmpfs_kib size=40%)"
	# From the amount of memory, in an initcall.
	dmesg | sed -n 's/.*workingset: .* max_order=\([0-9]*\) .*/workingset \1/p'
	[ ! -f /proc/sys/net/ipv4/tcp_mem ] ||
		awk '{ print "tcp_min", $1; print "tcp_pressure", $2; print "tcp_max", $3 }' \
			/proc/sys/net/ipv4/tcp_mem
}

# What is computed anew when zones get memory.
zone_limits()
{
	echo "min_free_kbytes $(cat /proc/sys/vm/min_free_kbytes)"
	awk '$1 == "Node" { zone = $2 $4; sub(",", "_", zone) }
		$1 == "min" || $1 == "low" || ($1 == "high" && $2) { print zone "_" $1, $2 }
		$1 == "protection:" {
			for (i = 2; i <= NF; i++) {
				gsub(/[(),]/, "", $i)
				print zone "_reserve" i, $i
			}
		}
		# Of the lists of the CPUs. How long they may be changes with the load.
		$1 == "batch:" { print zone "_pcp_batch", $2 }' \
		/proc/zoneinfo | sort | awk '
		$1 != name { if (name) print name, sum; name = $1; sum = 0 }
		{ sum += $2 }
		END { print name, sum }'
}

tmpfs_kib()
{
	mkdir -p /tmp/limits
	mount -t tmpfs -o "${1:-rw}" limits /tmp/limits
	df -k /tmp/limits | awk 'END { print $2 }'
	umount /tmp/limits
}

# encode: lines as a word for the command line
encode()
{
	gzip -9 | base64 | tr -d '\n'
}

decode()
{
	base64 -d | gunzip
}

# differences THEN NOW: files; what is not there in both, or differs by more than 5 %
differences()
{
	awk 'NR == FNR { then[$1] = $2; next }
		!($1 in then) { print $1 " is new"; next }
		{
			d = $2 - then[$1]
			if (d < 0) d = -d
			# Of some pages nobody says that they are more than 5 %.
			if (d > then[$1] / 20 && d > 32) print $1 " is " $2 ", and was " then[$1]
			delete then[$1]
		}
		END { for (i in then) print i " is missing" }' "$1" "$2"
}

# same WHAT NAME: they are what they were in the first kernel
same()
{
	param "kho$2" | decode > /tmp/then
	"$2_limits" > /tmp/now
	differences /tmp/then /tmp/now > /tmp/differences
	say "note $1: $(wc -l < /tmp/now) limits," \
		"$(awk '/^hash_/ { n += $2 } END { print n + 0 }' /tmp/now) hash table entries"
	say_lines note < /tmp/differences
	[ ! -s /tmp/differences ]
}

stage1()
{
	check "there are limits to compare" [ "$(boot_limits | wc -l)" -gt 5 -a \
		"$(zone_limits | wc -l)" -gt 5 ]
	EXTRA="khoboot=$(boot_limits | encode) khozone=$(zone_limits | encode)"
	bulk_preserves "most of the memory is preserved" \
		"runs $(($(meminfo MemTotal) / 4096)) -1 16384"
	check "that is more than two thirds" [ "$(bulk_share)" -gt 66 ]
	next_stage 2
}

stage2()
{
	check "what is computed once is as after a cold boot" same before boot
	check "watermarks are not yet" eval '! same before zone'
	bulk_restored
	check "limits of zones are as after a cold boot" eventually same after zone
	after_limits
}

after_limits() { bulk_freed; }
