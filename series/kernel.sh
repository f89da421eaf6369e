#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# kernel.sh [NAME [FRAGMENT | CONFIG_OPTION=VALUE]...]
#
# Build the kernel of the selftests into build/NAME, x86_64 by default: their
# configuration over tinyconfig, then those of their fragments and the options
# that are named. FRAGMENT "debug" is their file config.debug. TREE= names another
# kernel tree than build/linux.

set -eu
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/config.sh"

name=${1:-x86_64}
shift || true
out=$build/$name
tree=${TREE:-$linux}
options=()
for option; do
	case $option in
	CONFIG_*=*) options+=("$option") ;;
	*)
		[ -f "$tests/config.$option" ] || die "there is no $tests/config.$option"
		mapfile -t -O ${#options[@]} options < <(grep ^CONFIG_ "$tests/config.$option")
		;;
	esac
done

# Options that were asked for and did not take are an error, not a surprise.
configure() {
	local missing

	make -s -C "$tree" O="$out" tinyconfig
	wanted "$@" >> "$out/.config"
	make -s -C "$tree" O="$out" olddefconfig 2> /dev/null
	missing=$(wanted "$@" | not_taken "$out")
	[ -z "$missing" ] || {
		echo "$missing was asked for but cannot be had"
		return 1
	}
	wanted "$@" > "$out/.wanted"
}

mkdir -p "$out"
if [ ! -f "$out/.config" ] || ! wanted "${options[@]}" | cmp -s - "$out/.wanted"; then
	run "config-$name" "Configuring build/$name" configure "${options[@]}"
fi
targets=(bzImage)
! grep -qx CONFIG_MODULES=y "$out/.config" || targets+=(modules)
# shellcheck disable=SC2046 # an option or none
run "kernel-$name" "Building build/$name" \
	make $(parallel) -C "$tree" O="$out" CC="$cc" LOCALVERSION="-${TREE:+not-}kho" \
	"${targets[@]}"
