/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What stands in for the rest of the kernel, as far as tests control it.
 */
#ifndef _KHO_TEST_SHIM_H
#define _KHO_TEST_SHIM_H

#include <linux/mm_types.h>

/*
 * The page allocator. Allocations are counted, and fail when a test wants it.
 */
struct shim_alloc {
	long nr_live;		/* folios that are not freed */
	long nr_allocs;		/* that succeeded */
	long nr_accounted;	/* those of them that are charged to a memory cgroup */
	long nr_failed;
	long fail_nth;		/* this one of those to come fails; 0: none */
	long fail_every;	/* each so many of them fails; 0: none */
	void (*hook)(void);	/* called in the middle of each allocation */
};

extern struct shim_alloc shim_alloc;

long shim_live(void);
long shim_failed(void);

/*
 * Memory: node i begins where node i - 1 ends, and has the number nid[i]. What
 * is beyond the last end belongs to the last of them.
 */
#define SHIM_MAX_NODES	8

struct shim_memory {
	unsigned int nr_nodes;
	unsigned long end_pfn[SHIM_MAX_NODES];
	int nid[SHIM_MAX_NODES];
	unsigned long boot_memory;	/* bytes that a boot takes */
	unsigned long hotplug_pfn;	/* not of boot time; whole sections */
	unsigned long hotplug_end_pfn;
	unsigned long scratch_pfn;
	unsigned long scratch_end_pfn;
};

extern struct shim_memory shim_memory;

/* Called by what sleeps. */
extern void (*shim_sleep_hook)(void);

/* KHO is on; this kernel took over a handover. */
extern bool shim_enabled;

/* Number of warnings, and of lines logged, that no test has asked for. */
unsigned int shim_take_warnings(void);
unsigned int shim_take_messages(void);
extern bool shim_verbose;

/* Everything as it was when the program started, but for live folios. */
void shim_reset(void);

/* Do the work that has been put off, if there is some. */
void shim_run_work(void);

/* kho_preserve.c's: makes kho_out ready. */
int initcall_kho_out_init(void);

#endif /* _KHO_TEST_SHIM_H */
