#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A scenario fails if a kernel has reported a fault, whatever the guest says. vmtest.sh is
# given consoles instead of guests: each has one report, as a kernel prints it.

set -eu
. "$(dirname "$0")/lib.sh"

copy=$(mktemp -d "$build/check-vmtest.XXXXXX")
trap 'rm -rf "$copy"' EXIT
cp -r "$linux/tools/testing/selftests/kho/." "$copy"
rm -r "$copy/tests"
mkdir "$copy/tests" "$copy/bin" "$copy/out"
touch "$copy/kernel"

# In place of QEMU: print the console of the test.
cat > "$copy/bin/qemu-system-x86_64" << END
#!/bin/bash
[[ "\$*" =~ khotest=([^ ]*) ]] && cat "$copy/tests/\${BASH_REMATCH[1]}.console"
END
chmod +x "$copy/bin/qemu-system-x86_64"

good=() bad=()

# console NAME: the console of a test from standard input, each line as a kernel prints it
console() {
	local line n=0
	while IFS= read -r line; do
		n=$((n + 1))
		printf '[%5d.%06d] %s\r\n' $n $n "$line"
	done > "$copy/tests/$1.console"
	[ -f "$copy/tests/$1.sh" ] || touch "$copy/tests/$1.sh"
}

# guest [LINE...]: a whole run with these lines in its middle
guest() {
	printf '%s\n' 'Linux version 6.12' 'khotest: init 6.12' 'khotest: ok it works' "$@" \
		'khotest: ok it works again' 'khotest: done'
}

# fine NAME [LINE...]: a run that passes
fine() {
	guest "${@:2}" | console "$1"
	good+=("$1")
}

# report NAME LINE...: a run that fails
report() {
	guest "${@:2}" | console "$1"
	bad+=("$1")
}

# splat LINE: a warning as a whole
splat() {
	printf '%s\n' '------------[ cut here ]------------' "$1" 'Modules linked in:' 'RIP: 0010:f+0x1/0x2' \
		'Call Trace:' ' <TASK>' '---[ end trace 0000000000000000 ]---'
}

fine clean
fine words 'kho: 3 areas' 'kmemleak: Kernel memory leak detector initialized (mem pool available: 15845)' \
	'kasan: KernelAddressSanitizer initialized' 'Lock dependency validator: Copyright' 'debug: off'

report kasan 'BUG: KASAN: slab-use-after-free in kho_f+0x10/0x20'
report kasan_wild 'KASAN: null-ptr-deref in range [0x0000000000000000-0x0000000000000007]'
report ubsan 'UBSAN: array-index-out-of-bounds in kernel/liveupdate/luo_core.c:1:2'
report kcsan 'BUG: KCSAN: data-race in kho_f / luo_g'
report circular 'WARNING: possible circular locking dependency detected'
report recursive 'WARNING: possible recursive locking detected'
report inconsistent 'WARNING: inconsistent lock state'
report unbalanced 'WARNING: bad unlock balance detected!'
report held 'WARNING: lock held when returning to user space!'
report context '[ BUG: Invalid wait context ]'
report rcu 'WARNING: suspicious RCU usage'
report no_key 'INFO: trying to register non-static key.'
report lockdep_off 'turning off the locking correctness validator.'
report lockdep_full 'BUG: MAX_LOCKDEP_CHAINS too low!'
report leak 'kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)'
report no_kmemleak 'kmemleak: Kernel memory leak detector disabled'
report poison 'pagealloc: memory corruption'
report poison_bit 'pagealloc: single bit error'
report slab 'BUG kmalloc-64 (Not tainted): Poison overwritten'
report sleeping 'BUG: sleeping function called from invalid context at mm/page_alloc.c:1'
report page 'BUG: Bad page state in process init  pfn:12345'
report oops 'Oops: 0000 [#1] PREEMPT SMP'
report protection 'general protection fault, probably for non-canonical address 0x1: 0000 [#1]'
report bug 'kernel BUG at mm/page_alloc.c:1!'
report hung 'INFO: task kexec:99 blocked for more than 122 seconds.'
report lockup 'watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [kexec:99]'
report allocation 'kexec: page allocation failure: order:1, mode:0xcc0(GFP_KERNEL)'
mapfile -t warning < <(splat 'WARNING: CPU: 0 PID: 1 at mm/page_alloc.c:1 f+0x1/0x2')
report warning "${warning[@]}"
report trace 'Call Trace:'
report panic 'Kernel panic - not syncing: Out of memory'

# A test may expect a warning, and that one alone.
expect=('WARNING: CPU: 0 PID: 1 at kernel/liveupdate/kho_radix.c:1 expected_f+0x1/0x2')
mapfile -t expected < <(splat "${expect[0]}")
for name in expected expected_other expected_inside expected_around expected_cut; do
	echo 'SPLAT=expected_f' > "$copy/tests/$name.sh"
done
fine expected "${expected[@]}"
report expected_other "${expected[@]}" "${warning[@]}"
# The first warning has no end.
report expected_inside "${warning[@]:0:3}" "${expected[@]}"
report expected_around "${expected[@]:0:3}" 'BUG: KASAN: use-after-free in kho_f+0x10/0x20' \
	"${expected[@]:3}"
report expected_cut "${warning[@]:0:3}"

# Or a panic, but nothing before it, and nothing in the crash kernel.
panic=('khotest: panic' 'Kernel panic - not syncing: Attempted to kill init!' 'Call Trace:'
	'Linux version 6.12' 'khotest: init 6.12')
for name in panicked panicked_before panicked_after; do
	printf '%s\n' STAGES=2 PANIC=1 > "$copy/tests/$name.sh"
done
fine panicked "${panic[@]}"
report panicked_before "${warning[@]}" "${panic[@]}"
report panicked_after "${panic[@]}" "${warning[@]}"

# What the guest itself fails in.
report not_ok 'khotest: not ok it does not work'
report too_many_kernels 'khotest: reboot' 'Linux version 6.12' 'khotest: init 6.12'
guest | grep -v 'khotest: done' | console not_done
guest | grep -v 'ok it works' | console silent
bad+=(not_done silent)

# A kexec that had to be refused.
for name in rebooted not_refused; do
	echo STAGES=3 > "$copy/tests/$name.sh"
done
boot=('Linux version 6.12' 'khotest: init 6.12')
fine rebooted 'khotest: reboot' "${boot[@]}" 'khotest: ok it is up' 'khotest: reboot' "${boot[@]}"
report not_refused 'khotest: reboot' "${boot[@]}" 'khotest: ok it is up' "${boot[@]}"

rc=0
KHO_ACCEL=tcg PATH=$copy/bin:$PATH "$copy/vmtest.sh" -k "$copy/kernel" -o "$copy/out" "${good[@]}" "${bad[@]}" \
	> "$copy/report" || true

# verdict NAME WANTED WHAT
verdict() {
	if grep -qx "$2 [0-9]* $1" "$copy/report"; then
		echo "ok $1 $3"
	else
		echo "not ok $1 $3"
		rc=1
	fi
}

for name in "${good[@]}"; do
	verdict "$name" ok passes
done
for name in "${bad[@]}"; do
	verdict "$name" "not ok" fails
done
[ $rc = 0 ] || sed 's/^/# /' "$copy/report"
exit $rc
