// SPDX-License-Identifier: GPL-2.0-only
/*
 * A benchmark of Kexec HandOver: what preserving and restoring memory costs.
 *
 * It uses only the public API, so that the same file can be built into any
 * kernel that has it. Time is that of get_cycles(): in QEMU with -icount shift=0
 * it counts instructions.
 *
 *	/sys/kernel/debug/kho_bench/control	write one command:
 *		allocate PATTERN N	memory for N items of a pattern, which is
 *					kept until the reboot
 *		preserve PATTERN	preserve them
 *		again PATTERN		the same when they are preserved already
 *		unpreserve PATTERN	take that back
 *		threads PATTERN N	preserve them with N threads, and take it back
 *		spin PATTERN N		do as much with N threads that share nothing
 *		restore			restore what the previous kernel left, and
 *					free it
 *	/sys/kernel/debug/kho_bench/report	what came of it: for each command
 *						the pattern, items, cycles, and bytes
 *						that are not free any more
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/timex.h>
#include <linux/uaccess.h>
#include <linux/vmstat.h>
#include <linux/workqueue.h>

#define SUBTREE		"kho-bench"
#define MAGIC		0x68636e65626f686bULL
#define MAX_CHUNKS	4096
#define MAX_THREADS	16

static DEFINE_MUTEX(lock);

/*
 * Items: single pages, or runs of them, at regular places in chunks of memory.
 */

enum pattern_id {
	SCATTERED,
	DENSE,
	RUN_512,
	RUN_1023,
	NR_PATTERNS,
};

static const struct pattern {
	const char *name;
	unsigned int first;
	unsigned int step;
	unsigned int nr_pages;
} patterns[] = {
	/* Every second page: no two of them can be told in one. */
	[SCATTERED] = { "scattered", 0, 2, 1 },
	[DENSE] = { "dense", 0, 1, 1 },
	/* Runs: one that is aligned, and one of as many blocks as can be. */
	[RUN_512] = { "run_512", 0, 512, 512 },
	[RUN_1023] = { "run_1023", 1, 1024, 1023 },
};

/* Crosses kernels: a pattern, and where in the list its chunks are. */
struct set {
	u64 nr_items;
	u32 first_chunk;
	u32 nr_chunks;
	u32 preserved;
};

/* Crosses kernels: the blob of the subtree. */
struct record {
	u64 magic;
	u32 nr_chunks;
	struct set sets[NR_PATTERNS];
	u64 chunks[MAX_CHUNKS];
};

static struct record *outgoing;
static struct record incoming;

enum op_id {
	LOOP,
	PRESERVE,
	AGAIN,
	UNPRESERVE,
	THREADS,
	SPIN,
	RESTORE,
	NR_OPS,
};

static const char * const op_name[] = {
	[LOOP] = "loop",
	[PRESERVE] = "preserve",
	[AGAIN] = "again",
	[UNPRESERVE] = "unpreserve",
	[THREADS] = "threads",
	[SPIN] = "spin",
	[RESTORE] = "restore",
};

static struct {
	u64 nr_items;
	u64 cycles;
	long bytes;
} results[NR_OPS][NR_PATTERNS];

static unsigned long items_per_chunk(const struct pattern *pattern)
{
	return (MAX_ORDER_NR_PAGES - pattern->first - pattern->nr_pages) /
	       pattern->step + 1;
}

typedef int (*item_fn)(struct page *page, unsigned long nr_pages);

/* Inlined, with @fn: the loop is measured with what it calls. */
static __always_inline int walk_items(const struct record *record,
				      enum pattern_id id, u32 chunk,
				      u32 end_chunk, item_fn fn)
{
	const struct pattern *pattern = &patterns[id];
	const struct set *set = &record->sets[id];
	unsigned long per_chunk = items_per_chunk(pattern), left;
	struct page *page;
	int err;

	for (; chunk < end_chunk; chunk++) {
		page = pfn_to_page(PHYS_PFN(record->chunks[set->first_chunk + chunk]));
		page += pattern->first;
		left = min(set->nr_items - chunk * per_chunk, per_chunk);
		for (; left; left--) {
			err = fn(page, pattern->nr_pages);
			if (err)
				return err;
			page += pattern->step;
		}
		cond_resched();
	}

	return 0;
}

static void drain_this_cpu(struct work_struct *unused)
{
	drain_local_pages(NULL);
}

/*
 * All that is free, in the lists of the CPUs and soon, too. Linux 7.3 keeps
 * drain_all_pages() inside of mm/.
 */
static unsigned long count_free_pages(void)
{
	unsigned long nr = 0;
	struct zone *zone;

	rcu_barrier();
	schedule_on_each_cpu(drain_this_cpu);
	for_each_populated_zone(zone)
		nr += zone_page_state_snapshot(zone, NR_FREE_PAGES);

	return nr;
}

static __always_inline int measure(const struct record *record,
				   enum pattern_id id, enum op_id op, item_fn fn)
{
	const struct set *set = &record->sets[id];
	unsigned long nr_free = count_free_pages();
	cycles_t start;
	int err;

	if (!set->nr_items)
		return -ENOENT;

	start = get_cycles();
	err = walk_items(record, id, 0, set->nr_chunks, fn);
	results[op][id].cycles = get_cycles() - start;
	results[op][id].bytes = (long)(nr_free - count_free_pages()) << PAGE_SHIFT;
	results[op][id].nr_items = err ? 0 : set->nr_items;
	if (err)
		pr_err("%s %s: %d\n", op_name[op], patterns[id].name, err);

	return err;
}

static __always_inline int loop_one(struct page *page, unsigned long nr_pages)
{
	struct folio *folio = page_folio(page);

	OPTIMIZER_HIDE_VAR(folio);
	return 0;
}

static __always_inline int preserve_one(struct page *page, unsigned long nr_pages)
{
	if (nr_pages == 1)
		return kho_preserve_folio(page_folio(page));

	return kho_preserve_pages(page, nr_pages);
}

static __always_inline int unpreserve_one(struct page *page,
					  unsigned long nr_pages)
{
	if (nr_pages == 1)
		kho_unpreserve_folio(page_folio(page));
	else
		kho_unpreserve_pages(page, nr_pages);

	return 0;
}

static __always_inline int restore_one(struct page *page, unsigned long nr_pages)
{
	if (nr_pages == 1)
		return kho_restore_folio(page_to_phys(page)) ? 0 : -EIO;

	return kho_restore_pages(page_to_phys(page), nr_pages) ? 0 : -EIO;
}

static int free_one(struct page *page, unsigned long nr_pages)
{
	while (nr_pages--)
		__free_page(page++);

	return 0;
}

static int need_record(void)
{
	struct record *record;
	int err;

	if (outgoing)
		return 0;

	record = kho_alloc_preserve(sizeof(*record));
	if (IS_ERR(record))
		return PTR_ERR(record);

	record->magic = MAGIC;
	err = kho_add_subtree(SUBTREE, record, sizeof(*record));
	if (err) {
		kho_unpreserve_free(record);
		return err;
	}

	outgoing = record;
	return 0;
}

static void free_chunks(u32 first)
{
	while (outgoing->nr_chunks > first) {
		struct page *page;

		outgoing->nr_chunks--;
		page = pfn_to_page(PHYS_PFN(outgoing->chunks[outgoing->nr_chunks]));
		free_one(page, MAX_ORDER_NR_PAGES);
	}
}

static int cmd_allocate(unsigned int id, unsigned long nr_items)
{
	unsigned long nr_chunks;
	struct page *page;
	struct set *set;
	u32 first;
	int err;

	err = need_record();
	if (err)
		return err;

	set = &outgoing->sets[id];
	if (set->nr_items)
		return -EEXIST;

	first = outgoing->nr_chunks;
	nr_chunks = DIV_ROUND_UP(nr_items, items_per_chunk(&patterns[id]));
	if (!nr_chunks || nr_chunks > MAX_CHUNKS - first)
		return -EINVAL;

	while (outgoing->nr_chunks - first < nr_chunks) {
		page = alloc_pages(GFP_KERNEL | __GFP_NORETRY, MAX_PAGE_ORDER);
		if (!page) {
			free_chunks(first);
			return -ENOMEM;
		}
		split_page(page, MAX_PAGE_ORDER);
		outgoing->chunks[outgoing->nr_chunks++] = page_to_phys(page);
		cond_resched();
	}

	set->nr_items = nr_items;
	set->first_chunk = first;
	set->nr_chunks = nr_chunks;
	return measure(outgoing, id, LOOP, loop_one);
}

static int cmd_preserve(unsigned int id, unsigned long unused)
{
	int err = measure(outgoing, id, PRESERVE, preserve_one);

	outgoing->sets[id].preserved = !err;
	return err;
}

static int cmd_again(unsigned int id, unsigned long unused)
{
	return measure(outgoing, id, AGAIN, preserve_one);
}

static int cmd_unpreserve(unsigned int id, unsigned long unused)
{
	outgoing->sets[id].preserved = false;
	return measure(outgoing, id, UNPRESERVE, unpreserve_one);
}

/*
 * Threads: each preserves a part of its own.
 */

static struct {
	enum op_id op;
	enum pattern_id id;
	unsigned int nr;
	atomic_t nr_ready;
	atomic_t nr_running;
	atomic_t err;
	cycles_t start;
	cycles_t end;
	struct completion done;
} threads;

static int spin_one(struct page *page, unsigned long nr_pages)
{
	unsigned int i;

	for (i = 0; i < 50; i++)
		barrier();

	return 0;
}

static int thread_fn(void *data)
{
	u32 nr_chunks = outgoing->sets[threads.id].nr_chunks;
	unsigned long nr = (unsigned long)data;
	u32 chunk = nr * nr_chunks / threads.nr;
	u32 end_chunk = (nr + 1) * nr_chunks / threads.nr;
	int err;

	/* The clock starts when the last one has a CPU. */
	if (atomic_inc_return(&threads.nr_ready) == threads.nr)
		threads.start = get_cycles();
	while (atomic_read(&threads.nr_ready) < threads.nr) {
		cpu_relax();
		cond_resched();
	}

	if (threads.op == SPIN)
		err = walk_items(outgoing, threads.id, chunk, end_chunk, spin_one);
	else
		err = walk_items(outgoing, threads.id, chunk, end_chunk, preserve_one);
	if (err)
		atomic_set(&threads.err, err);

	if (atomic_dec_and_test(&threads.nr_running)) {
		threads.end = get_cycles();
		complete(&threads.done);
	}

	return 0;
}

static int run_threads_once(void)
{
	struct task_struct *tasks[MAX_THREADS];
	unsigned long i;
	int err;

	init_completion(&threads.done);
	atomic_set(&threads.nr_ready, 0);
	atomic_set(&threads.nr_running, threads.nr);
	atomic_set(&threads.err, 0);

	for (i = 0; i < threads.nr; i++) {
		tasks[i] = kthread_create(thread_fn, (void *)i, "kho_bench/%lu", i);
		if (IS_ERR(tasks[i])) {
			err = PTR_ERR(tasks[i]);
			/* Those that have not begun end without running. */
			while (i--)
				kthread_stop(tasks[i]);
			return err;
		}
		kthread_bind(tasks[i], cpumask_nth(i % num_online_cpus(),
						   cpu_online_mask));
	}

	for (i = 0; i < threads.nr; i++)
		wake_up_process(tasks[i]);
	wait_for_completion(&threads.done);

	return atomic_read(&threads.err);
}

/* The fastest of many short rounds: others may need the CPUs of the host, too. */
#define NR_ROUNDS	200

static int run_threads(enum op_id op, unsigned int id, unsigned long nr)
{
	struct set *set = &outgoing->sets[id];
	cycles_t fastest = ~0ULL;
	unsigned int round;
	int err = 0;

	if (!nr || nr > MAX_THREADS || !set->nr_items || set->preserved)
		return -EINVAL;

	threads.op = op;
	threads.id = id;
	threads.nr = nr;

	for (round = 0; !err && round < NR_ROUNDS; round++) {
		err = run_threads_once();
		if (op == THREADS)
			walk_items(outgoing, id, 0, set->nr_chunks, unpreserve_one);
		fastest = min(fastest, threads.end - threads.start);
	}

	results[op][id].cycles = fastest;
	results[op][id].nr_items = err ? 0 : set->nr_items;
	return err;
}

static int cmd_threads(unsigned int id, unsigned long nr)
{
	return run_threads(THREADS, id, nr);
}

static int cmd_spin(unsigned int id, unsigned long nr)
{
	return run_threads(SPIN, id, nr);
}

static int cmd_restore(unsigned int unused, unsigned long unused2)
{
	struct record *record;
	phys_addr_t phys;
	unsigned int id;
	size_t size;
	int err;

	if (incoming.magic)
		return -EEXIST;

	err = kho_retrieve_subtree(SUBTREE, &phys, &size);
	if (err)
		return err;

	record = phys_to_virt(phys);
	if (size != sizeof(*record) || record->magic != MAGIC)
		return -EINVAL;

	incoming = *record;
	kho_restore_free(record);

	for (id = 0; id < NR_PATTERNS; id++) {
		if (!incoming.sets[id].preserved)
			continue;

		err = measure(&incoming, id, RESTORE, restore_one);
		if (err)
			return err;
		walk_items(&incoming, id, 0, incoming.sets[id].nr_chunks,
			   free_one);
	}

	return 0;
}

static const struct {
	const char *name;
	int (*fn)(unsigned int id, unsigned long nr);
	bool needs_record;
	bool takes_pattern;
} commands[] = {
	{ "allocate", cmd_allocate, true, true },
	{ "preserve", cmd_preserve, true, true },
	{ "again", cmd_again, true, true },
	{ "unpreserve", cmd_unpreserve, true, true },
	{ "threads", cmd_threads, true, true },
	{ "spin", cmd_spin, true, true },
	{ "restore", cmd_restore },
};

static int find_pattern(const char *name)
{
	int id;

	for (id = 0; id < NR_PATTERNS; id++) {
		if (!strcmp(name, patterns[id].name))
			return id;
	}

	return -EINVAL;
}

static int run_command(const char *line)
{
	char name[16], arg[16] = "";
	unsigned long nr = 0;
	int id = 0, err;
	unsigned int i;

	if (sscanf(line, "%15s %15s %lu", name, arg, &nr) < 1)
		return -EINVAL;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(name, commands[i].name))
			continue;

		if (commands[i].takes_pattern)
			id = find_pattern(arg);
		err = commands[i].needs_record ? need_record() : 0;
		if (id < 0 || err)
			return err ?: id;

		return commands[i].fn(id, nr);
	}

	return -EINVAL;
}

static ssize_t control_write(struct file *file, const char __user *buf,
			     size_t count, loff_t *ppos)
{
	char line[48] = {};
	int err;

	if (count >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, buf, count))
		return -EFAULT;

	mutex_lock(&lock);
	err = run_command(line);
	mutex_unlock(&lock);

	return err ?: count;
}

static const struct file_operations control_fops = {
	.open = simple_open,
	.write = control_write,
};

static int report_show(struct seq_file *m, void *unused)
{
	unsigned int op, id;

	mutex_lock(&lock);

	for (op = 0; op < NR_OPS; op++) {
		for (id = 0; id < NR_PATTERNS; id++) {
			if (!results[op][id].nr_items)
				continue;
			seq_printf(m, "%s %s %llu %llu %ld\n", op_name[op],
				   patterns[id].name, results[op][id].nr_items,
				   results[op][id].cycles, results[op][id].bytes);
		}
	}

	mutex_unlock(&lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(report);

static int __init bench_init(void)
{
	struct dentry *dir = debugfs_create_dir("kho_bench", NULL);

	debugfs_create_file("control", 0200, dir, NULL, &control_fops);
	debugfs_create_file("report", 0400, dir, NULL, &report_fops);
	return 0;
}
device_initcall(bench_init);
