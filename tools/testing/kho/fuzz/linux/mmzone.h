/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_FUZZ_MMZONE_H
#define _KHO_FUZZ_MMZONE_H

#include <linux/atomic.h>
#include <linux/cache.h>
#include <linux/numa.h>

/* There are no zones yet. */
#define MAX_NR_ZONES	0

struct zone {
	atomic_long_t managed_pages;
};

struct pglist_data {
	struct zone *node_zones;
};

#define pg_data_t			struct pglist_data
#define for_each_online_pgdat(pgdat)	for ((pgdat) = NULL; false; )

static inline bool movable_node_is_enabled(void)
{
	return false;
}

/* And no nodes. */
#define N_MEMORY			0
#define for_each_node_state(nid, state)	for ((nid) = (state); false; )

static inline int num_node_state(int state)
{
	return 0;
}

#endif /* _KHO_FUZZ_MMZONE_H */
