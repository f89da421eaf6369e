# SPDX-License-Identifier: GPL-2.0-only
# A root FDT without room for one more subtree is handed over as it is.

STAGES=3

stage1()
{
	local full before
	before=$(counter out/preserved_pages)
	check "subtrees are registered" stress fill
	full=$(stress_value fill_subtrees)
	check "there is room for many" [ "$full" -gt 20 ]
	check_eq "then -ENOSPC" -28 "$(stress_value fill_errno)"
	check "what fails to be registered leaves nothing behind" \
		[ "$(counter out/preserved_pages)" -le $((before + full)) ]
	check "the producer fails, too" eval '! producer preserve 2>/dev/null'
	check_eq "and has taken all back" $((before + full)) \
		"$(counter out/preserved_pages)"

	check "they are removed" stress empty
	check_eq "nothing is left" "$before" "$(counter out/preserved_pages)"
	check "they are registered again" stress fill
	check_eq "as many as before" "$full" "$(stress_value fill_subtrees)"
	EXTRA="khofull=$full"
	next_stage 2
}

stage2()
{
	check "handed over" [ -d $KHO/in ]
	check "subtrees are as they were" stress verify
	check_eq "and all of them" "$(param khofull)" "$(stress_value verify_subtrees)"
	nothing_unclaimed
	hand_over 3
}

stage3()
{
	take_over
}
