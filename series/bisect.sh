#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build every commit of the series, without a warning, in four configurations:
#
#	off	without KHO, with its callers: the whole kernel, linked
#	on	with KHO and all of its options
#	debug	the same with the kernel's own checks, which compile other code
#	bare	with KHO and none of its options, and few of its callers
#
# The last three build the objects that the series has changed or added up to the
# commit. The last commit, all of which is in build/x86_64, has to hand memory over in
# QEMU.
#
# This steps from commit to commit in a clone of build/linux, where make compiles
# what depends on files that differ. With CHECK_RESUME=1 commits are left out that have
# been built before.

set -eu
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/config.sh"

work=$build/bisect
clone=$work/linux
export MAKEFILES=$top/series/boot-objects.mk

there() {
	git -C "$clone" -c core.hooksPath=/dev/null -c advice.detachedHead=false "$@"
}

# options CONFIGURATION: what goes over tinyconfig. Not IBT and the ORC unwinder:
# they have objtool go over all of vmlinux again for each commit.
options() {
	printf 'CONFIG_%s=y\n' WERROR 64BIT SMP MODULES PRINTK BUG PROC_FS SYSFS \
		BLK_DEV_INITRD KEXEC KEXEC_FILE CRASH_DUMP CMA COMPACTION HUGETLBFS \
		MEMORY_HOTPLUG SPARSEMEM_VMEMMAP TRANSPARENT_HUGEPAGE \
		DEFERRED_STRUCT_PAGE_INIT DEBUG_KERNEL DEBUG_FS RELOCATABLE \
		RANDOMIZE_BASE UNWINDER_FRAME_POINTER
	echo CONFIG_X86_KERNEL_IBT=n
	case $1 in
	off)
		echo CONFIG_SECTION_MISMATCH_WARN_ONLY=n
		ours | sed 's/$/=n/'
		;;
	on | debug)
		printf 'CONFIG_%s=y\n' PCI ACPI NUMA EFI KUNIT SAMPLES SHMEM TMPFS MEMFD_CREATE \
			CGROUPS MEMCG X86_MCE MEMORY_FAILURE
		ours | sed 's/$/=y/'
		;;&
	debug)
		# What can be a module is one here.
		ours tristate | sed 's/$/=m/'
		printf 'CONFIG_%s=y\n' DEBUG_VM DEBUG_VM_PGFLAGS KASAN PAGE_OWNER \
			PROVE_LOCKING SLUB_DEBUG
		printf 'CONFIG_%s=n\n' DEFERRED_STRUCT_PAGE_INIT SLUB_TINY
		;;
	bare)
		ours | sed 's/$/=n/'
		printf 'CONFIG_%s=n\n' CRASH_DUMP DEBUG_FS HUGETLBFS MEMORY_HOTPLUG
		echo CONFIG_KEXEC_HANDOVER=y
		;;
	esac
}

# The clone, and what was built from it, stay for the next time.
prepare_clone() {
	if [ "$(there rev-parse -q --verify base 2> /dev/null || true)" != \
		"$(klinux rev-parse base)" ]; then
		rm -rf "$work"
		mkdir -p "$work"
		git clone -q --shared --no-checkout "$linux" "$clone"
		there config gc.auto 0
	fi
}

# kbuild CONFIGURATION ARGUMENT...
kbuild() {
	local out=$work/$1
	shift
	# shellcheck disable=SC2046 # an option or none
	make -C "$clone" O="$out" CC="$cc" HOSTCC="$cc" KBUILD_KCONFIG="$kconfig" \
		$(parallel) "$@"
}

# The Kconfig of this commit. No architecture supports KHO before the end of the
# series, but files have to compile from the commit on that adds them.
choose_kconfig() {
	kconfig=Kconfig
	there grep -q 'config ARCH_SUPPORTS_KEXEC_HANDOVER' HEAD -- arch || {
		kconfig=$work/Kconfig
		{
			cat "$clone/Kconfig"
			printf '\nconfig %s\n\tdef_bool y\n' ARCH_SUPPORTS_KEXEC_HANDOVER BISECT
			printf '\tselect MEMBLOCK_KHO_SCRATCH\n'
		} > "$kconfig.new"
		# A newer file would have make configure everything again.
		cmp -s "$kconfig.new" "$kconfig" || mv "$kconfig.new" "$kconfig"
	}
}

# What is wanted must be had, unless this commit does not know the option yet.
configure() {
	local out=$work/$1 option

	kbuild "$1" -s tinyconfig
	options "$1" | last_of_each >> "$out/.config"
	kbuild "$1" -s olddefconfig
	for option in $(options "$1" | last_of_each | not_taken "$out"); do
		option=${option%=*}
		if there grep -qE "^(menu)?config ${option#CONFIG_}$" HEAD -- '*Kconfig*'; then
			echo "$option was asked for but cannot be had"
			return 1
		fi
	done
}

# wanted_by MAKEFILE OBJECT: the options that decide whether it is built
wanted_by() {
	sed -e :a -e '/\\$/N; s/\\\n//; ta' "$1" | awk -v object="$2" '
		/^if/ { around[++depth] = ($1 == "ifdef") ? $2 : ""; next }
		/^else/ { around[depth] = ""; next }
		/^endif/ { depth--; next }
		{
			for (i = 2; i <= NF; i++) {
				sub(/.*\//, "", $i)
				if ($i != object)
					continue
				if (match($1, /\(CONFIG_[A-Z0-9_]*\)/))
					print substr($1, RSTART + 1, RLENGTH - 2)
				for (i = 1; i <= depth; i++)
					print around[i]
				exit
			}
		}'
}

# The objects of the series so far, but for those that a Makefile leaves out of
# this configuration.
objects() {
	local object option

	there diff --name-only --diff-filter=AM base HEAD -- '*.c' ':!tools' \
		':!samples/liveupdate' | of_x86 |
		sed 's/\.c$/.o/' | while read -r object; do
		for option in $(wanted_by "$clone/$(dirname "$object")/Makefile" "${object##*/}"); do
			grep -q "^$option=" "$work/$1/.config" || continue 2
		done
		echo "$object"
	done
}

# build_objects CONFIGURATION: the objects of the series so far
build_objects() {
	local -a list boot

	mapfile -t list < <(objects "$1" | grep -v ^arch/x86/boot/)
	mapfile -t boot < <(objects "$1" | grep ^arch/x86/boot/)
	[ ${#list[@]} = 0 ] || kbuild "$1" "${list[@]}"
	[ ${#boot[@]} = 0 ] || kbuild "$1" BOOT_OBJECTS="${boot[*]}" boot-objects
}

# build_commit CONFIGURATION...
build_commit() {
	local changed configs=$*

	changed=$(there diff --name-only HEAD^ HEAD -- ':!tools' ':!Documentation' \
		':!MAINTAINERS')
	[ -n "$changed" ] || return 0
	choose_kconfig

	# A kernel without KHO does not have the C files that are added.
	there diff --name-status HEAD^ HEAD | grep -qv '^A.*\.c$' || configs=${configs#off}

	! grep -q Kconfig <<< "$changed" || configured=()
	for config in $configs; do
		[ -n "${configured[$config]:-}" ] || configure "$config"
		configured[$config]=1
	done
	build_configs "$configs"
}

# build_configs CONFIGURATION...
build_configs() {
	local configs=$*
	local -A pids=()

	# At the same time: most of it is make that looks for what there is to do.
	for config in $configs; do
		if [ "$config" = off ]; then
			kbuild off vmlinux > "$work/off.log" 2>&1 &
		else
			build_objects "$config" > "$work/$config.log" 2>&1 &
		fi
		pids[$config]=$!
	done
	for config in $configs; do
		echo "  $config"
		if ! wait "${pids[$config]}"; then
			cat "$work/$config.log"
			exit 1
		fi
	done
}

# key COMMIT: identifies all that decides whether it builds
key() {
	{
		there ls-tree "$1" | grep -vE '	(tools|Documentation|MAINTAINERS)$'
		sha256sum "$top"/series/{bisect,config,lib}.sh "$MAKEFILES"
		gcc --version
	} | sha256sum
}

was_built() {
	[ "${CHECK_RESUME:-0}" = 1 ] && grep -qxF "$1" "$work/built" 2> /dev/null
}

# Not in a condition: set -e has to hold.
build_all() {
	local commit key
	local -A configured=()
	# Below what make says, where it is seen.
	trap '[ $? = 0 ] || echo "This was $(there log -1 --format="%h (\"%s\")"), configuration $config."' EXIT
	for commit in $(klinux rev-list --reverse base..composed); do
		there log -1 --format='commit %h ("%s")' "$commit"
		key=$(key "$commit")
		if was_built "$key"; then
			echo "  unchanged since it was built"
			configured=()
			continue
		fi
		there checkout -q --force --detach "$commit"
		build_commit off on debug bare
		echo "$key" >> "$work/built"
	done
}

prepare_clone
run bisect "Building each commit" build_all
run bisect-boot "Handing over with the last commit" \
	"$linux/tools/testing/selftests/kho/vmtest.sh" \
	-k "$build/x86_64/arch/x86/boot/bzImage" -o "$logs/bisect-boot" handover || exit 1
