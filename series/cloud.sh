#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Fetch the newest of Debian's stock 6.12 kernels for clouds, which knows nothing of KHO,
# into build/cloud/vmlinuz, from the suites that apt is configured for. Exits with 4 and
# the reason if there is none.

set -eu
. "$(dirname "$0")/lib.sh"

out=$build/cloud

newest() {
	apt-cache search --names-only '^linux-image-6\.12\.[0-9.]+\+deb[0-9]+-cloud-amd64$' |
		awk '{ print $1 }' | sort -V | tail -n 1
}

fetch() {
	local new=$out/new

	rm -rf "$new"
	mkdir -p "$new"
	cd "$new"
	apt-get -q download -o APT::Sandbox::User="$(id -un)" "$1"
	dpkg-deb --fsys-tarfile ./*.deb | tar -x --wildcards '*/vmlinuz*'
	find . -name 'vmlinuz*' -type f -exec mv {} "$out/vmlinuz" \;
	cd "$out"
	rm -rf "$new"
	[ -s vmlinuz ]
}

mkdir -p "$out"
package=$(newest)
if [ -z "$package" ]; then
	echo "apt knows no linux-image-6.12.*-cloud-amd64; run apt-get update"
	exit 4
fi

if [ "$(cat "$out/package" 2> /dev/null)" != "$package" ]; then
	rm -f "$out/vmlinuz"
	if ! run cloud "Fetching $package" fetch "$package"; then
		echo "$package cannot be downloaded, see build/logs/cloud.log"
		exit 4
	fi
	echo "$package" > "$out/package"
fi
echo "$package"
