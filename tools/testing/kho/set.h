/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A set of numbers as a sorted array: what the tree is compared with. Slow, and
 * simple enough to be right.
 */
#ifndef _KHO_TEST_SET_H
#define _KHO_TEST_SET_H

#include <linux/types.h>

struct set {
	unsigned long *keys;	/* ascending, each once */
	unsigned int nr;
	unsigned int room;
};

/* Index of the first key that is not less than @key; set->nr if there is none. */
unsigned int set_find(const struct set *set, unsigned long key);
bool set_has(const struct set *set, unsigned long key);
/* True when @key was not in the set. */
bool set_add(struct set *set, unsigned long key);
/* True when @key was in the set. */
bool set_del(struct set *set, unsigned long key);
void set_clear(struct set *set);

#endif /* _KHO_TEST_SET_H */
