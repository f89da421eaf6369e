#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Install what the other scripts need and is missing. As root or through sudo;
# otherwise say what would have to be done.

set -eu
. "$(dirname "$0")/lib.sh"

packages="bc bison build-essential busybox-static ccache clang codespell cpio
	debootstrap device-tree-compiler e2fsprogs flex git groff-base kexec-tools libclang-rt-dev
	libelf-dev libssl-dev liburcu-dev lz4 makedumpfile mawk ovmf pkgconf python3 python3-git
	python3-ply python3-sphinx python3-yaml qemu-system-x86 rsync shellcheck sparse xz-utils zstd"
[ -n "${KSRC:-}" ] || packages="$packages linux-source-6.12"

missing=
for package in $packages; do
	dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null |
		grep -qx installed || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
	if ! sudo -n true 2>/dev/null && ! { [ -t 0 ] && command -v sudo > /dev/null; }; then
		die "packages are missing; run as root: apt-get update && apt-get install --no-install-recommends$missing"
	fi
	sudo=sudo
fi

install_missing() {
	$sudo apt-get -q update
	# shellcheck disable=SC2086 # a list
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get -q install -y \
		--no-install-recommends $missing
}

run deps "Installing$missing" install_missing
