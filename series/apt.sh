# SPDX-License-Identifier: GPL-2.0-only
#
# Packages from other suites of the mirror of Debian that apt is configured for; what is
# configured does not change. Sourced after lib.sh.

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

# codename RELEASE: what the mirror calls stable or testing now
codename() {
	rm -f "$apt/Release"
	! private /usr/lib/apt/apt-helper download-file "${mirror%/}/dists/$1/Release" \
		"$apt/Release" >&2 || sed -n 's/^Codename: //p' "$apt/Release"
}

# The suites to look in. On some mirrors stable-backports is weeks behind the suite that
# has the name of the release, which it should be an alias of.
all_suites() {
	local release name
	for release in stable testing; do
		name=$(codename $release)
		[ -z "$name" ] || echo "$name-backports"
	done
	printf '%s\n' stable-backports testing sid experimental
}

learnt_lately() {
	grep -qxF "$mirror" "$apt/learnt" 2> /dev/null && [ -n "$(find "$apt/learnt" -mmin -60)" ]
}

# Not every mirror has every suite.
fetch_lists() {
	local suite found=

	# Several scripts may want to do this at the same time.
	exec 9> "$apt/lock"
	flock 9
	! learnt_lately || return 0
	rm -f "$apt/learnt"
	all_suites > "$apt/suites"
	while read -r suite; do
		echo "deb $mirror $suite main" > "$apt/sources.list"
		! private apt-get update --error-on=any || found+="deb $mirror $suite main"$'\n'
	done < "$apt/suites"
	# All of them at once: each update has thrown away the lists of the others.
	echo -n "$found" > "$apt/sources.list"
	[ -n "$found" ] && private apt-get update --error-on=any && echo "$mirror" > "$apt/learnt"
}

# Set mirror, and learn what it has; not again within an hour.
learn_packages() {
	mirror=$({ mirrors 'Origin: Debian' 'Label: Debian'; mirrors; } | head -n 1)
	[ -n "$mirror" ] || unavailable "apt has no mirror of Debian configured"
	learnt_lately || run apt-lists "Looking what Debian has" fetch_lists ||
		unavailable "the mirror cannot be reached, or has none of:" \
			"$(paste -sd ' ' "$apt/suites")"
	suites=$(awk '{ print $3 }' "$apt/sources.list" | paste -sd ' ')
}
