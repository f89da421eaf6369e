# SPDX-License-Identifier: GPL-2.0-only
# Each kernel of a chain says how long the blackout was, and does not calibrate clocks that the
# previous kernel has calibrated. If what the previous kernel says of them is wrong, clocks are
# calibrated, and the handover is taken over all the same. Time counts instructions, so that
# nothing disturbs a calibration. KHO_KINDS are tried instead of all; the guest learns them
# from its command line.
#
# shellcheck disable=SC2086,SC2116 # kinds are words

if [ -n "${here:-}" ]; then
	KINDS="fine flip tsc-zero tsc-ones tsc-half tsc-double apic-zero apic-ones apic-half
		apic-double loops-half loops-double reboot-zero jump-ones cpu-other version-other
		fine"
	KINDS=$(echo ${KHO_KINDS:-$KINDS})
	STAGES=$(($(echo "$KINDS" | wc -w) + 1))
else
	KINDS=$(param khokinds | tr , ' ')
	eval "stage$(param khostage)() { link $(param khostage); }"
fi
APPEND="khokinds=$(echo $KINDS | tr ' ' ,)"
SMP=2
MEM=512M
ACCEL=tcg
QEMU_OPTS="-icount shift=0,sleep=off"
RAM_FILE=1
TIMEOUT=$((${KHO_TIMEOUT:-60} + 600))

missing()
{
	command -v python3 > /dev/null || echo "python3 not found"
}

host_action()
{
	python3 -B "$here/damage" boot "$@"
}

BLACKOUT_US=/sys/kernel/kho/incoming/blackout_us
TSC="TSC calibration of the previous kernel"
APIC="APIC timer rate of the previous kernel"
IGNORED="kho: kholts-boot ignored, clocks are calibrated: "

# link STAGE: a kernel of the chain
link()
{
	local seen='' next
	next=$(echo "$KINDS " | cut -d ' ' -f "$1")
	if [ "$1" = 1 ]; then
		check "nothing is known of a blackout" no_log "kho: .*blackout"
		EXTRA="khokhz=$(tsc_khz)"
	else
		seen=$(echo "$KINDS" | cut -d ' ' -f $(($1 - 1)))
		check "$seen: handed over" [ -d $KHO/in ]
		expect "$seen"
	fi
	clocks_are_right "$seen"

	[ -n "$next" ] || return
	check "an image is loaded" load_next $(($1 + 1))
	check "there will be a pause" eval "echo $next > /sys/kernel/debug/kho_pause"
	boot_next
}

# expect KIND: what this kernel has made of it
expect()
{
	local tsc=confirmed apic=confirmed cpus=known ignored='' blackout=known
	case $1 in
	flip) ignored="its checksum is wrong" ;;
	tsc-zero) ignored="it has no rate of the TSC" ;;
	tsc-ones) ignored="the rate of the TSC is not plausible" ;;
	tsc-half | tsc-double) tsc=ignored cpus=calibrated ;;
	apic-zero) apic=calibrated ;;
	apic-ones) ignored="the rate of the APIC timer is not plausible" ;;
	apic-half | apic-double) apic=ignored ;;
	loops-*) ignored="the rate of delay loops is not plausible" ;;
	reboot-zero | jump-ones) blackout="times of the previous kernel are not in order" ;;
	cpu-other) ignored="it is of another CPU" ;;
	version-other) ignored="its version is not known" ;;
	esac

	if [ -n "$ignored" ]; then
		check "$1: it is ignored, and why is said" log "$IGNORED$ignored\$"
		tsc=calibrated apic=calibrated cpus=calibrated blackout=
	else
		check "$1: it is not ignored" no_log "$IGNORED"
	fi
	check_eq "$1: rate of the TSC" $tsc "$(verdict "$TSC")"
	check_eq "$1: rate of the APIC timer" $apic "$(verdict "$APIC")"
	check_eq "$1: delays of the other CPU" $cpus "$(other_cpu)"

	case $blackout in
	known)
		blackout_is_known "$1"
		;;
	'')
		check "$1: nothing is said of a blackout" no_log "kho: .*blackout"
		check "$1: nor in sysfs" [ ! -e $BLACKOUT_US ]
		;;
	*)
		check "$1: the blackout is not known, and why is said" \
			log "kho: how long the blackout was is not known: $blackout\$"
		check "$1: nor does sysfs tell" eval "! cat $BLACKOUT_US 2> /dev/null"
		;;
	esac
	if [ "$1" = version-other ]; then
		check_eq "$1: its memory stays unclaimed" 1 "$(counter in/unclaimed_pages)"
	else
		check_eq "$1: its memory is free" 0 "$(counter in/unclaimed_pages)"
	fi
}

# verdict WHAT: what the kernel has said of a rate
verdict()
{
	if log "$1 is confirmed by the"; then
		echo confirmed
	elif log "$1 ignored: it was [0-9]* k\?Hz\$"; then
		echo ignored
	else
		echo calibrated
	fi
}

# other_cpu: whether the delay of the other CPU was calibrated, which takes more than 50 ms
other_cpu()
{
	local us
	us=$(dmesg | awk -F '[][ ]+' '
		/smp: Bringing up secondary CPUs/ { from = $2 }
		/smp: Brought up/ && from { printf "%d", ($2 - from) * 1000000 }')
	say "note the other CPU was up after $us us"
	if [ -z "$us" ]; then
		echo unknown
	elif [ "$us" -lt 30000 ]; then
		echo known
	else
		echo calibrated
	fi
}

# blackout_is_known KIND
blackout_is_known()
{
	local line us phases
	line=$(dmesg | sed -n 's/.*kho: \(blackout of .*\)/\1/p')
	say "note $line"
	check_eq "$1: the blackout is said once" 1 "$(echo "$line" | grep -c .)"
	# shellcheck disable=SC2046 # numbers
	set -- "$1" $(echo "$line" | us_of_phases)
	check_eq "$1: with all its phases" 5 $#
	us=$(cat $BLACKOUT_US)
	phases=$(($3 + $4 + $5))
	check_eq "$1: sysfs has the same" "$2" "$us"
	check_eq "$1: it is the sum of its phases" "$2" "$phases"
	check "$1: the previous kernel takes some time" between "$3" 500 1000000
	# Also the pause, in which the host takes its time.
	check "$1: then there is a pause" between "$4" 500 60000000
	# The time of the log begins soon after the kernel. While clocks are calibrated, it is not
	# that of the TSC.
	[ "$1" != fine ] || check "$1: this kernel takes as long as its log says" \
		between "$(($5 - $(init_us)))" 0 20000
}

# us_of_phases: microseconds of all and of each phase, from the line of the log
us_of_phases()
{
	local ms='\([0-9.]*\) ms'
	sed -n "s/^blackout of $ms: $ms in the previous kernel, $ms until this one began, \
$ms until init\$/\1 \2 \3 \4/p" |
		awk '{ for (i = 1; i <= NF; i++) printf "%.0f ", $i * 1000 }'
}

# init_us: time in the log when init was executed
init_us()
{
	dmesg | sed -n 's/^\[ *\([0-9]*\)\.\([0-9]*\)\] Run .* as init process$/\1\2/p' |
		sed 's/^0*//'
}

tsc_khz()
{
	dmesg | sed -n 's/.*tsc: Detected \([0-9]*\)\.\([0-9]*\) MHz processor$/\1\2/p'
}

# clocks_are_right KIND
clocks_are_right()
{
	local khz before after
	khz=$(param khokhz)
	khz=${khz:-$(tsc_khz)}
	check "$1: the TSC is as fast as ever" \
		between $(($(tsc_khz) * 1000 / khz)) 990 1010

	# The sleep ends by the timer of an APIC, and uptime is that of the TSC.
	before=$(uptime_ms)
	sleep 1
	after=$(uptime_ms)
	check "$1: a second is a second" between $((after - before)) 980 1100

	sed -n 's/^bogomips.*: \([0-9]*\)\..*/\1/p' /proc/cpuinfo | while read -r mips; do
		check "$1: delays are as long as ever" between $((mips * 500000 / khz)) 980 1020
	done
}

uptime_ms()
{
	awk '{ printf "%d", $1 * 1000 }' /proc/uptime
}
