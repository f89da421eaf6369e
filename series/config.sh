# SPDX-License-Identifier: GPL-2.0-only
#
# Configure a kernel and compile it through ccache. Sourced, after lib.sh.

# That of another tree may be built before build/linux is composed.
# shellcheck disable=SC2154 # from lib.sh
tests=${TREE:+$top}
tests=${tests:-$linux}/tools/testing/selftests/kho
export CCACHE_DIR=$build/ccache CCACHE_MAXSIZE=2G
# Without this a file that is compiled for the first time is preprocessed for nothing,
# which takes a quarter longer.
export CCACHE_DEPEND=1
# Nor does it matter where build/ is: an object in build/lint or in the clone of bisect.sh is
# the one in build/x86_64 when source and options are the same.
export CCACHE_BASEDIR=$build CCACHE_NOHASHDIR=1
# Names of the machine and the user, and the date, would defeat ccache. With the number of
# the build no kernel would be the same again when an edit was taken back.
export KBUILD_BUILD_USER=kho KBUILD_BUILD_HOST=lts KBUILD_BUILD_VERSION=1
export KBUILD_BUILD_TIMESTAMP="Sun Nov 17 22:15:08 UTC 2024"

cc=gcc
! command -v ccache > /dev/null || cc="ccache gcc"

# last_of_each: of options that are set more than once, the last
last_of_each() {
	awk -F = '{ value[$1] = $0; if (!seen[$1]++) name[++n] = $1 }
		END { for (i = 1; i <= n; i++) print value[name[i]] }'
}

# wanted [OPTION=VALUE...]: the configuration of the selftests, which goes over
# tinyconfig, and these options
wanted() {
	echo "# CONFIG_LOCALVERSION_AUTO is not set"
	{
		grep -h ^CONFIG_ "$tests/config" "$tests/config.x86_64"
		[ $# = 0 ] || printf '%s\n' "$@"
	} | last_of_each
}

# ours [TYPE]: the options of the series that have a prompt
ours() {
	# shellcheck disable=SC2016 # for awk
	klinux diff -U0 base composed -- '*Kconfig*' | sed -n 's/^+//p' | awk -v type="${1:-}" '
		$1 == "config" { name = $2 }
		($1 == "bool" || $1 == "tristate") && /"/ && (!type || $1 == type) {
			print "CONFIG_" name
		}'
}

# not_taken DIRECTORY: options of the list on standard input that the
# configuration in DIRECTORY does not have
not_taken() {
	local option

	grep ^CONFIG_ | while read -r option; do
		case $option in
		*=n) ! grep -q "^${option%=n}=" "$1/.config" ;;
		*) grep -qx "$option" "$1/.config" ;;
		esac || echo "$option"
	done
}
