# SPDX-License-Identifier: GPL-2.0-only
#
# The phases of "check" and "check-all", and what each of them needs. check.sh has make
# carry this out with one job for each CPU, and sums up; phase.sh runs one phase. Kernels
# are built by makes that share those jobs, so that no CPU is idle and none has two tasks.
#
# TIER is "check" or "all". What is only in the latter is marked so. Make begins with
# what is named first: what takes long, or is waited for.

s := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
selftests := $(s)/../tools/testing/selftests
build := $(s)/../build
image = $(build)/$(1)/arch/x86/boot/bzImage
TIER ?= check
in_all = $(if $(filter all,$(TIER)),$(1))
in_check = $(if $(filter all,$(TIER)),,$(1))

#
# Scenarios: tests of vmtest.sh, on one kernel each
#

# tests_of SUITE: all files in its directory
tests_of = $(sort $(patsubst $(selftests)/$(1)/tests/%.sh,%,$(wildcard $(selftests)/$(1)/tests/*.sh)))

# With mainline or a kernel of their own, such as one that has hwpoison; see below.
elsewhere_kho := faults interop% poison
elsewhere_liveupdate := hugetlb_faults memfd_faults hotplug pinned interop% module keeper systemd soak vm

# Those of "damage" are one for each group of damage_*, which "all" tries in all kinds.
# limits_* and scratch_size_* are more sizes of RAM.
main_kho := $(filter-out $(elsewhere_kho) $(call in_check,damage_% limits_% scratch_size_512g),$(call tests_of,kho))
main_liveupdate := $(filter-out $(elsewhere_liveupdate),$(call tests_of,liveupdate))

# What sanitizers, lockdep and failing allocations find may be anywhere. The guests of efi,
# fragmentation, reserve_mem_large, scratch_high and scratch_pieces have too little memory or
# time for such a kernel, and limits% compare memory that such a kernel takes as it goes. All
# kinds of damage meet sanitizers in user space.
sanitize_kho := $(filter-out interop% large_late four_cpus efi fragmentation reserve_mem_large \
	scratch_high scratch_pieces limits% sizes scratch_size% damage_%,$(call tests_of,kho))
sanitize_liveupdate := $(filter-out hotplug pinned interop% module keeper systemd soak vm,$(call tests_of,liveupdate))

# Kernels that check what others do not.
hotplug_kho := handover mostly_preserved
hotplug_liveupdate := hotplug pinned handover
memory_kho := handover early numa mostly_preserved
memory_liveupdate := memfd_dense handover
rt_kho := handover early threads storm
rt_liveupdate := memfd_dense handover freeze
kcsan_kho := handover threads
kcsan_liveupdate := handover

nodeferred_kho := handover early numa numa_memoryless reserve_mem_large storm overlap
nodeferred_liveupdate := module keeper ioctls

scenarios :=
# scenarios KERNEL,SUITE,TESTS,WHAT THEY NEED BESIDE THE KERNEL
define add_scenarios
scenarios += $(3:%=scenario/$(1)/$(2)/%)
$(3:%=scenario/$(1)/$(2)/%): $(4) accel | kernel/$(1)
endef

# "all" leaves out a scenario that has passed with the same inputs, see phase.sh: the files of
# all scenarios, programs, its own file, and the kernels that it boots. They are those in
# build/linux, as one that is edited here meanwhile is not what has passed.
composed := $(build)/linux/tools/testing/selftests
guest = $(filter-out %/tests %/bench %/Makefile %.c %.h $(composed)/kho/config%, \
	$(wildcard $(composed)/kho/* $(composed)/liveupdate/*)) \
	$(build)/liveupdate $(s)/lib.sh $(s)/scenario.sh
modules = $(patsubst %,$(build)/x86_64-nodeferred/kernel/liveupdate/tests/%.ko,luo_test luo_flb_test)
word_of_name = $(word $(1),$(subst /, ,$@))
inputs = $(guest) $(composed)/$(call word_of_name,3)/tests/$(@F).sh \
	$(call image,$(call word_of_name,2)) \
	$(if $(findstring nodeferred/liveupdate,$@),$(modules)) \
	$(if $(filter successor_without,$(@F)),$(wildcard $(build)/cloud/vmlinuz))

# First those that take long.
slow := blackout chain sender_damage luoctl memfd_chain memfd large_late memfd_dense faults memfd_faults efi \
	reserve_mem_large fragmentation storm ioctl_storm
slow_first = $(filter $(slow),$(1)) $(filter-out $(slow),$(1))

# With assertions, as they cost little. "all" has the kernel without them as well.
$(eval $(call add_scenarios,x86_64-debug,kho,$(call slow_first,$(main_kho)),))
$(eval $(call add_scenarios,x86_64-debug,liveupdate,$(call slow_first,$(main_liveupdate)),programs))
ifeq ($(TIER),all)
$(eval $(call add_scenarios,x86_64,kho,$(call slow_first,$(filter-out damage_%,$(main_kho))),))
$(eval $(call add_scenarios,x86_64,liveupdate,$(call slow_first,$(main_liveupdate)),programs))
$(eval $(call add_scenarios,x86_64-sanitize,kho,$(call slow_first,$(sanitize_kho)),))
$(eval $(call add_scenarios,x86_64-sanitize,liveupdate,$(call slow_first,$(sanitize_liveupdate)),programs))
$(eval $(call add_scenarios,x86_64-nodeferred,kho,$(nodeferred_kho),))
$(eval $(call add_scenarios,x86_64-nodeferred,liveupdate,$(nodeferred_liveupdate),programs))
$(foreach k,hotplug memory rt kcsan,\
	$(eval $(call add_scenarios,x86_64-$(k),kho,$($(k)_kho),)) \
	$(eval $(call add_scenarios,x86_64-$(k),liveupdate,$($(k)_liveupdate),programs)))
endif

# "all" tries all kinds of damage on the kernel with assertions. Elsewhere it is one kind for
# each list, and one that is no damage. Both sides of KHO's own are tried in user space, in all
# kinds.
some_kinds = $(filter-out $(call in_all,scenario/x86_64-debug/%),$(filter %/$(1),$(scenarios)))
$(call some_kinds,damage_lists): export KHO_KINDS := \
	none regions-version luo-version flbs-count sessions-loop session-twin files-count
$(call some_kinds,sender_damage): export KHO_KINDS := \
	no-end size-too-large cycles-only key-max
$(call some_kinds,blackout): export KHO_KINDS := fine flip tsc-half apic-zero jump-ones cpu-other fine
ifeq ($(TIER),all)
$(filter %/ioctl_storm,$(scenarios)): export KHO_STORM := 60
endif

# They kexec into Debian's own kernel.
$(filter %/successor_without,$(scenarios)): cloud

#
# All of them
#

kernels := kernel/x86_64-debug \
	$(call in_all,kernel/x86_64 kernel/x86_64-sanitize kernel/x86_64-nodeferred \
	kernel/x86_64-hotplug kernel/x86_64-memory kernel/x86_64-rt kernel/x86_64-kcsan)
tests := $(call in_all,bisect soak systemd vm) interop user refresh lint docs memblock sources vmtest
phases := tree mainline $(kernels) cloud programs accel $(scenarios) $(tests)

all: $(phases)

# For check.sh.
list:
	@printf '%s\n' $(phases)

# The + shares the jobs with the makes in it.
phase := +@$(s)/phase.sh

tree:
	$(phase) -b $@ "Composing the series" $(s)/tree.sh
mainline:
	$(phase) -b -s $@ "Building mainline" $(s)/mainline.sh $(call in_all,--all)
cloud:
	$(phase) -b -s $@ "Fetching Debian's own kernel" $(s)/cloud.sh
programs: tree | kernel/x86_64-debug
	$(phase) -b $@ "Building the programs of live update" $(s)/programs.sh

# Once, as it takes ten seconds where KVM does not work.
accel: kernel/x86_64-debug
	$(phase) -b $@ "Finding out whether KVM works" $(s)/accel.sh

kernel/x86_64: tree
	$(phase) -b $@ "Building the kernel" $(s)/kernel.sh x86_64
kernel/x86_64-debug: tree
	$(phase) -b $@ "Building the kernel, with assertions" $(s)/kernel.sh x86_64-debug debug
kernel/x86_64-sanitize: tree
	$(phase) -b $@ "Building a kernel with sanitizers" \
		$(s)/kernel.sh x86_64-sanitize faults debug sanitize
kernel/x86_64-nodeferred: tree
	$(phase) -b $@ "Building a kernel without DEFERRED_STRUCT_PAGE_INIT" \
		$(s)/kernel.sh x86_64-nodeferred nodeferred systemd
kernel/x86_64-hotplug: tree
	$(phase) -b $@ "Building a kernel with memory hotplug" \
		$(s)/kernel.sh x86_64-hotplug debug hotplug
kernel/x86_64-memory: tree
	$(phase) -b $@ "Building a kernel that checks free memory" \
		$(s)/kernel.sh x86_64-memory debug memory
kernel/x86_64-rt: tree
	$(phase) -b $@ "Building a kernel with PREEMPT_RT" $(s)/kernel.sh x86_64-rt debug rt
kernel/x86_64-kcsan: tree
	$(phase) -b $@ "Building a kernel with KCSAN" $(s)/kernel.sh x86_64-kcsan debug kcsan

$(scenarios):
	$(phase) -r "$(inputs)" $@ "$(patsubst scenario/%,%,$@)" $(s)/scenario.sh $(subst /, ,$(patsubst scenario/%,%,$@))

# These say "unchanged" in a tree where they have passed. Nothing waits for them, so they
# wait for the kernels.
user refresh lint docs sources memblock vmtest: tree | $(kernels)
user:
	$(phase) -u $@ "KHO in user space, with sanitizers" $(s)/check-user.sh
refresh:
	$(phase) -u $@ "Composing, editing, refreshing, composing again" $(s)/check-refresh.sh
lint:
	+@KHO_KERNEL=x86_64-debug $(s)/phase.sh -u $@ "checkpatch, sparse, shellcheck and others" $(s)/lint.sh
docs:
	$(phase) -u $@ "The manual builds, and misses nothing" $(s)/check-docs.sh
sources:
	$(phase) -u $@ "Wrong kernel sources are refused" $(s)/check-sources.sh
vmtest:
	$(phase) -u $@ "What a kernel reports fails a scenario" $(s)/check-vmtest.sh
memblock:
	$(phase) -u $@ "The kernel's own tests of memblock" $(s)/check-memblock.sh
bisect: kernel/x86_64 accel
	$(phase) $@ "Building and trying each commit" $(s)/bisect.sh

# Debian's mirror may not have what these take.
interop_inputs = $(build)/mainline.list $(wildcard $(build)/mainline-*/.kho-version) \
	$(foreach t,kho/tests/interop liveupdate/tests/interop,$(wildcard $(composed)/$(t)*)) \
	$(call image,x86_64-debug) $(wildcard $(call image,mainline-x86_64-*)) $(s)/interop.sh
interop: mainline kernel/x86_64-debug programs accel
	+@KHO_KERNEL=x86_64-debug $(s)/phase.sh -s -r "$(guest) $(interop_inputs)" $@ "Handing over to mainline and back" $(s)/interop.sh $(call in_all,--all)
systemd: kernel/x86_64-nodeferred programs accel
	$(phase) -s $@ "systemd keeps a memfd over its kexec" $(s)/systemd.sh
vm: kernel/x86_64-nodeferred programs accel
	$(phase) -s $@ "A virtual machine outlives the kernel of its host" $(s)/vm.sh
soak: kernel/x86_64 programs accel
	$(phase) -r "$(guest) $(composed)/liveupdate/tests/soak.sh $(call image,x86_64) $(s)/soak.sh" \
		$@ "50 handovers in a row" env N=50 $(s)/soak.sh

.PHONY: all list $(phases)
