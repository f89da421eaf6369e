# SPDX-License-Identifier: GPL-2.0-only
# Sessions are damaged between two kernels, again and again and each time in another way:
# the list of them, of the files of one, or of what files share. Or that of reserve_mem regions.
# KHO_KINDS names the ways if not all of them are wanted.

if [ -n "${here:-}" ]; then
	# The host. The guest learns the kinds from its command line.
	KINDS="${KHO_KINDS:-none regions-version luo-version
		flbs-nowhere flbs-odd flbs-free flbs-pages flbs-count flb-name flb-data
		sessions-nowhere sessions-count sessions-loop
		session-name session-twin session-files session-count
		files-count files-loop file-token file-handler file-data}"
	STAGES=$((1 + $(echo "$KINDS" | wc -w)))
else
	KINDS=$(param khokinds | tr , ' ')
fi
MEM=1536M
# shellcheck disable=SC2086 # words
APPEND="liveupdate=on reserve_mem=1M:4096:region khokinds=$(echo $KINDS | tr ' ' ,)"
RAM_FILE=1
TIMEOUT=$((${KHO_TIMEOUT:-60} + 20 * ${STAGES:-1}))

missing()
{
	command -v python3 > /dev/null || echo "python3 not found"
}

host_action()
{
	python3 -B "${here:?}/../liveupdate/damage.py" "$@"
}

# kind_of STAGE: what was done to what STAGE takes over
kind_of()
{
	# shellcheck disable=SC2086 # words
	printf '%s\n' '' $KINDS | sed -n "${1}p"
}

damage_stage()
{
	local seen next
	seen=$(kind_of "$1")
	next=$(kind_of $(($1 + 1)))

	[ -z "$seen" ] || see_damage "$seen"
	[ -n "$next" ] || return
	program luo_damage keep
	check "there will be a pause" eval "echo $next > /sys/kernel/debug/kho_pause"
	next_stage $(($1 + 1))
}

see_damage()
{
	check "handed over" [ -d "$KHO/in" ]
	program luo_damage after "$1"
	check_eq "$1: what is left is damaged" "$(wc -l < $LIST/incoming)" \
		"$(grep -c ' damaged name victim$' $LIST/incoming)"
	check_eq "$1: sysfs lists that, too" "$(wc -l < $LIST/incoming)" \
		"$(grep -c '^session files 0 retrieved 0 state damaged name victim$' \
			/sys/kernel/liveupdate/incoming/sessions)"
	check_eq "$1: how often it is said" "$(nr_said "$1")" \
		"$(dmesg | grep -cE 'luo: .*(damaged|cannot be retrieved|ignored|understood)')"
	case $1 in
	none)
		nothing_unclaimed
		;;
	regions-version)
		check "$1: it is said" log "kho: memblock: list of 4096 bytes at .* not understood"
		;;
	esac
}

# What is in order but not known is not worth a message.
nr_said()
{
	case $1 in
	none | regions-version | flb-name | file-handler | file-data) echo 0 ;;
	*) echo 1 ;;
	esac
}

[ -n "${here:-}" ] || eval "stage$(param khostage)() { damage_stage $(param khostage); }"
