# SPDX-License-Identifier: GPL-2.0-only
# Four threads preserve and unpreserve while images are loaded and unloaded, and
# go on until the CPUs stop.

STAGES=3
MEM=3G
SMP=4
TIMEOUT=${KHO_TIMEOUT:-240}

stage1()
{
	local before i
	check_eq "CPUs" 4 "$(nproc)"
	before=$(counter out/preserved_pages)
	check "threads start" stress "threads 4"
	for i in 1 2 3; do
		check "an image is loaded" load_next 2
		check "the list of blocks can be read" eval "cat $KHO/out/preserved > /dev/null"
		check "and that of ranges" eval "cat $KHO/out/ranges > /dev/null"
		check "and the FDT" eval "cat $KHO/out/fdt > /dev/null"
		check "it is unloaded" kexec -u
	done
	check "threads stop" stress stop
	say "note $(stress_value threads_ops) operations"
	check "they did something" [ "$(stress_value threads_ops)" -gt 1000 ]
	check_eq "they met no error" 0 "$(stress_value threads_errors)"
	check_eq "nothing is left" "$before" "$(counter out/preserved_pages)"

	check "producer preserves" producer preserve
	check "ranges are listed" grep -q '^0x.* pages' $KHO/out/ranges
	check_eq "they are all blocks and nothing else" "$(blocks_as_ranges)" \
		"$(cat $KHO/out/ranges)"
	check "threads start again" stress "threads 4"
	next_stage 2
}

stage2()
{
	check "handed over" [ -d $KHO/in ]
	verify_restored
	check "what the threads had preserved is unclaimed" \
		[ "$(counter in/unclaimed_pages)" -gt 0 ]
	check "producer frees" producer free
	check "threads start" stress "threads 4"
	hand_over 3
}

stage3()
{
	check "handed over" [ -d $KHO/in ]
	verify_restored
}

# blocks_as_ranges: out/preserved, in the form of out/ranges
blocks_as_ranges()
{
	local block start= end=
	while read -r block _; do
		if [ $((${block%-*})) != "$end" ]; then
			[ -z "$start" ] || range
			start=$((${block%-*}))
		fi
		end=$((${block#*-} + 1))
	done < $KHO/out/preserved
	range
}

range()
{
	printf '%#x-%#x pages %d\n' "$start" $((end - 1)) $(((end - start) / 4096))
}
