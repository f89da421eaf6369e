# SPDX-License-Identifier: GPL-2.0-only
#
# merge-maintainers.awk OURS KERNELS: print the kernel's MAINTAINERS with our
# entries in their alphabetical places. Entries are separated by one blank line.

BEGIN { RS = ""; FS = "\n" }

# An entry: a title, and fields below it.
function is_entry() {
	return $2 ~ /^[A-Z]:\t/
}

FILENAME == ARGV[1] {
	if (is_entry())
		ours[++nr_ours] = $0
	next
}

function emit(text) {
	printf "%s%s\n", nr_printed++ ? "\n" : "", text
}

{
	while (is_entry() && next_ours < nr_ours && ours[next_ours + 1] < $0)
		emit(ours[++next_ours])
	emit($0)
}
