# SPDX-License-Identifier: GPL-2.0-only
#
# Packages from other suites of the mirror of Debian that apt is configured for; what is
# configured does not change. Sourced after lib.sh.

# Oldest first.
suites="stable-backports testing sid"
apt=${build:?}/apt
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"

# Exit with 4 and the reason.
unavailable() {
	echo "$*"
	exit 4
}

# apt in directories of our own, so that it needs no root.
private() {
	local command=$1
	shift
	"$command" -q -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=- \
		-o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" \
		-o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
		-o APT::Default-Release= -o APT::Sandbox::User="$(id -un)" "$@"
}

# Before the first update apt does not know whose mirrors they are.
mirrors() {
	# shellcheck disable=SC2016 # a format of apt's
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "$@" | grep -v security
}

# Not every mirror has every suite.
fetch_lists() {
	local suite
	: > "$apt/found"
	for suite in $suites; do
		echo "deb $mirror $suite main" > "$apt/sources.list"
		! private apt-get update --error-on=any || cat "$apt/sources.list" >> "$apt/found"
	done
	mv "$apt/found" "$apt/sources.list"
	# All of them at once: each update has thrown away the lists of the others.
	[ -s "$apt/sources.list" ] && private apt-get update --error-on=any
}

# Set mirror, and learn what it has.
learn_packages() {
	mirror=$({ mirrors 'Origin: Debian' 'Label: Debian'; mirrors; } | head -n 1)
	[ -n "$mirror" ] || unavailable "apt has no mirror of Debian configured"
	run apt-lists "Looking what Debian has" fetch_lists ||
		unavailable "the mirror cannot be reached, or has none of: $suites"
}
