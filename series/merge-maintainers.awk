# SPDX-License-Identifier: GPL-2.0-only
#
# merge-maintainers.awk OURS KERNELS: print the kernel's MAINTAINERS with our
# entries in their alphabetical places. Entries are separated by one blank line.
# The kernel's are not all in order: ours go before the next greater one of all.

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

{
	text[++nr] = $0
	if (!is_entry())
		next
	for (i = 1; i <= nr_ours; i++)
		if ($0 > ours[i] && (!place[i] || $0 < text[place[i]]))
			place[i] = nr
}

END {
	for (i = 1; i <= nr_ours; i++)
		if (!place[i])
			exit 1
	for (j = 1; j <= nr; j++) {
		for (i = 1; i <= nr_ours; i++)
			if (place[i] == j)
				printf "%s\n\n", ours[i]
		printf "%s%s", text[j], j < nr ? "\n\n" : "\n"
	}
}
