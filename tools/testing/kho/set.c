// SPDX-License-Identifier: GPL-2.0-only
/*
 * A set of numbers as a sorted array.
 */

#include <stdlib.h>
#include <string.h>

#include "set.h"

unsigned int set_find(const struct set *set, unsigned long key)
{
	unsigned int low = 0, high = set->nr;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (set->keys[mid] < key)
			low = mid + 1;
		else
			high = mid;
	}

	return low;
}

bool set_has(const struct set *set, unsigned long key)
{
	unsigned int i = set_find(set, key);

	return i < set->nr && set->keys[i] == key;
}

bool set_add(struct set *set, unsigned long key)
{
	unsigned int i = set_find(set, key);

	if (set_has(set, key))
		return false;

	if (set->nr == set->room) {
		set->room = set->room * 2 + 64;
		set->keys = realloc(set->keys, set->room * sizeof(*set->keys));
		if (!set->keys)
			abort();
	}

	memmove(set->keys + i + 1, set->keys + i,
		(set->nr - i) * sizeof(*set->keys));
	set->keys[i] = key;
	set->nr++;
	return true;
}

bool set_del(struct set *set, unsigned long key)
{
	unsigned int i = set_find(set, key);

	if (!set_has(set, key))
		return false;

	set->nr--;
	memmove(set->keys + i, set->keys + i + 1,
		(set->nr - i) * sizeof(*set->keys));
	return true;
}

void set_clear(struct set *set)
{
	free(set->keys);
	*set = (struct set){};
}
