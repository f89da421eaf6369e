#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# kernel.sh [NAME [CONFIG_OPTION=VALUE...]]
#
# Build the kernel of the selftests into build/NAME, x86_64 by default: their
# configuration over tinyconfig, and the options that are named.

set -eu
. "$(dirname "$0")/lib.sh"

name=${1:-x86_64}
shift || true
out=$build/$name
tests=$linux/tools/testing/selftests/kho
export CCACHE_DIR=$build/ccache CCACHE_MAXSIZE=2G
# Names of the machine and the user, and the date, would defeat ccache.
export KBUILD_BUILD_USER=kho KBUILD_BUILD_HOST=lts
export KBUILD_BUILD_TIMESTAMP="Sun Nov 17 22:15:08 UTC 2024"

cc=gcc
! command -v ccache > /dev/null || cc="ccache gcc"

wanted() {
	echo "# CONFIG_LOCALVERSION_AUTO is not set"
	grep -h ^CONFIG_ "$tests/config" "$tests/config.x86_64" |
		grep -vE "^($(printf '%s|' "${@%%=*}")-)="
	[ $# = 0 ] || printf '%s\n' "$@"
}

# Options that were asked for and did not take are an error, not a surprise.
configure() {
	local option

	make -s -C "$linux" O="$out" tinyconfig
	wanted "$@" >> "$out/.config"
	make -s -C "$linux" O="$out" olddefconfig 2> /dev/null
	for option in $(wanted "$@" | grep ^CONFIG_); do
		case $option in
		*=n) ! grep -q "^${option%=n}=" "$out/.config" ;;
		*) grep -qx "$option" "$out/.config" ;;
		esac || {
			echo "$option was asked for but cannot be had"
			return 1
		}
	done
	wanted "$@" > "$out/.wanted"
}

mkdir -p "$out"
if [ ! -f "$out/.config" ] || ! wanted "$@" | cmp -s - "$out/.wanted"; then
	run "config-$name" "Configuring build/$name" configure "$@"
fi
run "kernel-$name" "Building build/$name" \
	make -C "$linux" O="$out" CC="$cc" LOCALVERSION=-kho \
	-j"$(nproc)" bzImage
