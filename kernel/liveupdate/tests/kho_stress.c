// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stress for Kexec HandOver, through its public API.
 *
 *	/sys/kernel/debug/kho_stress/control	write one command:
 *		threads N	start N threads that preserve and unpreserve
 *		stop		stop them, and take back what they preserved
 *		fill		register subtrees until the root FDT is full
 *		empty		take them back
 *		verify		look for the subtrees of fill in the next kernel
 *		overlap		preserve a page inside of a preserved folio
 *		faults		preserve memory of every kind while each
 *				allocation that this takes fails in turn
 *		image N		flip a bit in segment N of the loaded image, which
 *				has to lie where it will run
 *		own		let what is preserved so far count as KHO's own, as if
 *				nobody had asked for it
 *	/sys/kernel/debug/kho_stress/report	what came of it, "name value"
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/kexec_handover.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include <asm/sections.h>

#include "../../kexec_internal.h"
#include "../kho_internal.h"

static DEFINE_MUTEX(lock);

/*
 * Threads: preserve and unpreserve at random, each in its own memory.
 */

#define MAX_THREADS	16
#define NR_SLOTS	24

enum slot_kind {
	SLOT_EMPTY,
	SLOT_FOLIO,
	SLOT_PAGES,
	SLOT_VMALLOC,
	SLOT_BLOB,
	SLOT_SUBTREE,
	NR_SLOT_KINDS,
};

struct slot {
	enum slot_kind kind;
	void *addr;
	unsigned long nr_pages;
	struct kho_vmalloc vmalloc;
};

struct worker {
	struct task_struct *task;
	unsigned int id;
	unsigned long nr_ops;
	unsigned long nr_errors;
	struct slot slots[NR_SLOTS];
};

static struct worker *workers;
static unsigned int nr_workers;
static unsigned long nr_ops, nr_errors;

static void *slot_alloc(enum slot_kind kind, unsigned long nr_pages)
{
	struct folio *folio;

	switch (kind) {
	case SLOT_FOLIO:
		folio = folio_alloc(GFP_KERNEL | __GFP_NOWARN, ilog2(nr_pages));
		return folio ? folio_address(folio) : NULL;
	case SLOT_PAGES:
		return alloc_pages_exact(nr_pages << PAGE_SHIFT,
					 GFP_KERNEL | __GFP_NOWARN);
	case SLOT_VMALLOC:
		return vmalloc(nr_pages << PAGE_SHIFT);
	default:
		return NULL;
	}
}

static void slot_free(const struct slot *slot)
{
	switch (slot->kind) {
	case SLOT_FOLIO:
		folio_put(virt_to_folio(slot->addr));
		break;
	case SLOT_PAGES:
		free_pages_exact(slot->addr, slot->nr_pages << PAGE_SHIFT);
		break;
	case SLOT_VMALLOC:
		vfree(slot->addr);
		break;
	default:
		break;
	}
}

/* Preserve what is in @slot; those that KHO allocates get their address. */
static int slot_preserve(struct slot *slot, const char *name)
{
	int err;

	switch (slot->kind) {
	case SLOT_FOLIO:
		return kho_preserve_folio(virt_to_folio(slot->addr));
	case SLOT_PAGES:
		return kho_preserve_pages(virt_to_page(slot->addr),
					  slot->nr_pages);
	case SLOT_VMALLOC:
		return kho_preserve_vmalloc(slot->addr, &slot->vmalloc);
	case SLOT_BLOB:
	case SLOT_SUBTREE:
		slot->addr = kho_alloc_preserve(slot->nr_pages << PAGE_SHIFT);
		if (IS_ERR(slot->addr))
			return PTR_ERR(slot->addr);
		if (slot->kind == SLOT_BLOB)
			return 0;
		err = kho_add_subtree(name, slot->addr, PAGE_SIZE);
		if (err)
			kho_unpreserve_free(slot->addr);
		return err;
	default:
		return -EINVAL;
	}
}

static void slot_unpreserve(const struct slot *slot)
{
	switch (slot->kind) {
	case SLOT_FOLIO:
		kho_unpreserve_folio(virt_to_folio(slot->addr));
		break;
	case SLOT_PAGES:
		kho_unpreserve_pages(virt_to_page(slot->addr), slot->nr_pages);
		break;
	case SLOT_VMALLOC: {
		struct kho_vmalloc vmalloc = slot->vmalloc;

		kho_unpreserve_vmalloc(&vmalloc);
		break;
	}
	case SLOT_SUBTREE:
		kho_remove_subtree(slot->addr);
		kho_unpreserve_free(slot->addr);
		break;
	case SLOT_BLOB:
		kho_unpreserve_free(slot->addr);
		break;
	default:
		break;
	}
}

static void slot_empty(struct slot *slot)
{
	slot_unpreserve(slot);
	slot_free(slot);
	slot->kind = SLOT_EMPTY;
}

/* 1 when @slot was filled, 0 when there was no memory for it, or an errno. */
static int slot_fill(struct slot *slot, enum slot_kind kind,
		     unsigned long nr_pages, const char *name)
{
	int err;

	slot->kind = kind;
	slot->nr_pages = nr_pages;
	if (kind == SLOT_FOLIO)
		slot->nr_pages = roundup_pow_of_two(nr_pages);
	else if (kind == SLOT_BLOB)
		slot->nr_pages = nr_pages % 16 + 1;
	else if (kind == SLOT_SUBTREE)
		slot->nr_pages = 1;

	if (kind != SLOT_BLOB && kind != SLOT_SUBTREE) {
		slot->addr = slot_alloc(kind, slot->nr_pages);
		if (!slot->addr) {
			slot->kind = SLOT_EMPTY;
			return 0;
		}
	}

	err = slot_preserve(slot, name);
	if (err) {
		slot_free(slot);
		slot->kind = SLOT_EMPTY;
		return err;
	}

	return 1;
}

static void work(struct worker *worker, struct rnd_state *rnd)
{
	u32 random = prandom_u32_state(rnd);
	unsigned int nr = random % NR_SLOTS;
	struct slot *slot = &worker->slots[nr];
	enum slot_kind kind;
	char name[32];
	int ret;

	worker->nr_ops++;
	if (slot->kind != SLOT_EMPTY) {
		slot_empty(slot);
		return;
	}

	snprintf(name, sizeof(name), "stress-%u-%u", worker->id, nr);
	kind = 1 + (random >> 8) % (NR_SLOT_KINDS - 1);
	ret = slot_fill(slot, kind, 1 + (random >> 16) % 600, name);
	/* A full FDT and full memory are answers, too. */
	if (ret < 0 && ret != -ENOSPC && ret != -ENOMEM) {
		pr_err("preserving %lu pages of kind %u: %d\n",
		       slot->nr_pages, kind, ret);
		worker->nr_errors++;
	}
}

static int worker_fn(void *data)
{
	struct worker *worker = data;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, get_random_u64());
	while (!kthread_should_stop()) {
		work(worker, &rnd);
		cond_resched();
	}

	return 0;
}

static int cmd_stop(unsigned int unused)
{
	unsigned int i, nr;

	if (!workers)
		return -ENOENT;

	nr_ops = 0;
	nr_errors = 0;
	for (i = 0; i < nr_workers; i++) {
		kthread_stop(workers[i].task);
		for (nr = 0; nr < NR_SLOTS; nr++)
			slot_empty(&workers[i].slots[nr]);
		nr_ops += workers[i].nr_ops;
		nr_errors += workers[i].nr_errors;
	}

	kvfree(workers);
	workers = NULL;
	return 0;
}

static int cmd_threads(unsigned int nr)
{
	struct task_struct *task;

	if (workers)
		return -EBUSY;
	if (!nr || nr > MAX_THREADS)
		return -EINVAL;

	workers = kvcalloc(nr, sizeof(*workers), GFP_KERNEL);
	if (!workers)
		return -ENOMEM;

	for (nr_workers = 0; nr_workers < nr; nr_workers++) {
		workers[nr_workers].id = nr_workers;
		task = kthread_run(worker_fn, &workers[nr_workers],
				   "kho_stress/%u", nr_workers);
		if (IS_ERR(task)) {
			cmd_stop(0);
			return PTR_ERR(task);
		}
		workers[nr_workers].task = task;
	}

	return 0;
}

/*
 * Fill: as many subtrees as there is room for.
 */

#define MAX_SUBTREES	200
#define FILL_MAGIC	0x6c6c696673736572ULL

static u64 *subtrees[MAX_SUBTREES];
static unsigned int nr_subtrees, nr_found;
static int fill_errno;

static void subtree_name(char *name, size_t size, unsigned int nr)
{
	snprintf(name, size, "fill-%u", nr);
}

static int cmd_fill(unsigned int unused)
{
	char name[32];
	u64 *blob;

	for (; nr_subtrees < MAX_SUBTREES; nr_subtrees++) {
		blob = kho_alloc_preserve(PAGE_SIZE);
		if (IS_ERR(blob))
			return PTR_ERR(blob);

		blob[0] = FILL_MAGIC;
		blob[1] = nr_subtrees;
		subtree_name(name, sizeof(name), nr_subtrees);
		fill_errno = kho_add_subtree(name, blob, PAGE_SIZE - nr_subtrees);
		if (fill_errno) {
			kho_unpreserve_free(blob);
			return 0;
		}
		subtrees[nr_subtrees] = blob;
	}

	return -ERANGE;
}

static int cmd_empty(unsigned int unused)
{
	while (nr_subtrees) {
		nr_subtrees--;
		kho_remove_subtree(subtrees[nr_subtrees]);
		kho_unpreserve_free(subtrees[nr_subtrees]);
	}

	return 0;
}

/* Counts those that are what cmd_fill() made of them, in order. */
static int cmd_verify(unsigned int unused)
{
	phys_addr_t phys;
	char name[32];
	size_t size;
	u64 *blob;
	int err;

	for (nr_found = 0; nr_found < MAX_SUBTREES; nr_found++) {
		subtree_name(name, sizeof(name), nr_found);
		err = kho_retrieve_subtree(name, &phys, &size);
		if (err == -ENOENT)
			return 0;
		if (err)
			return err;

		blob = phys_to_virt(phys);
		if (size != PAGE_SIZE - nr_found || blob[0] != FILL_MAGIC ||
		    blob[1] != nr_found)
			return -EILSEQ;
		kho_restore_free(blob);
	}

	return -ERANGE;
}

/*
 * Overlap: a bug of the caller, which is found here or by the next kernel. The
 * memory is not given back.
 */
static int cmd_overlap(unsigned int unused)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP, 4);
	int err;

	if (!page)
		return -ENOMEM;

	err = kho_preserve_folio(page_folio(page));
	return err ?: kho_preserve_pages(page + 3, 1);
}

/*
 * Faults: one allocation after the other fails. Which ones can is set with the
 * attributes of failslab and fail_page_alloc.
 */

static unsigned long nr_faults[NR_SLOT_KINDS], nr_fault_errors;

#ifdef CONFIG_FAULT_INJECTION
/* Preserve @slot with its @nth allocation failing; whether it came to that. */
static bool fault_one(struct slot *slot, unsigned int nth)
{
	struct slot copy = *slot;
	bool injected;
	int err;

	current->fail_nth = nth;
	err = slot_preserve(&copy, "faults");
	injected = !current->fail_nth;
	current->fail_nth = 0;

	nr_faults[slot->kind] += injected;
	if (err && (err != -ENOMEM || !injected)) {
		pr_err("preserving kind %u with allocation %u failing: %d\n",
		       slot->kind, nth, err);
		nr_fault_errors++;
	}
	if (!err)
		slot_unpreserve(&copy);

	return injected;
}

static int cmd_faults(unsigned int unused)
{
	/* The vmalloc area needs two pages to list its own. */
	static const unsigned long nr_pages[NR_SLOT_KINDS] = {
		[SLOT_FOLIO] = 1, [SLOT_PAGES] = 31, [SLOT_VMALLOC] = 520,
		[SLOT_BLOB] = 4, [SLOT_SUBTREE] = 1,
	};
	enum slot_kind kind;
	unsigned int nth;

	memset(nr_faults, 0, sizeof(nr_faults));
	nr_fault_errors = 0;
	for (kind = SLOT_EMPTY + 1; kind < NR_SLOT_KINDS; kind++) {
		struct slot slot = { .kind = kind, .nr_pages = nr_pages[kind] };

		if (kind != SLOT_BLOB && kind != SLOT_SUBTREE) {
			slot.addr = slot_alloc(kind, slot.nr_pages);
			if (!slot.addr)
				return -ENOMEM;
		}

		/* In a long run of pages one allocation is like the next. */
		for (nth = 1; fault_one(&slot, nth); nth += 1 + nth / 32)
			cond_resched();

		slot_free(&slot);
	}

	/* Else KASAN keeps its shadow, and the test takes it for lost. */
	vm_unmap_aliases();
	return 0;
}
#else
static int cmd_faults(unsigned int unused)
{
	return -EOPNOTSUPP;
}
#endif

static int cmd_image(unsigned int i)
{
	const struct kexec_segment *segment;
	int err = -ENOENT;

	if (!kexec_trylock())
		return -EBUSY;

	if (kexec_image && i < kexec_image->nr_segments) {
		segment = &kexec_image->segment[i];
		if (kho_image_in_place(kexec_image, segment)) {
			*(u8 *)phys_to_virt(segment->mem + segment->bufsz - 1) ^= 0x10;
			err = 0;
		} else {
			err = -EINVAL;
		}
	}

	kexec_unlock();
	return err;
}

/* The loaded image: "image N ADDRESS SIZE in_place" or "copied" */
static void show_image(struct seq_file *m)
{
	const struct kexec_segment *segment;
	unsigned long i;

	if (!kexec_trylock())
		return;

	for (i = 0; kexec_image && i < kexec_image->nr_segments; i++) {
		segment = &kexec_image->segment[i];
		seq_printf(m, "image %lu %#lx %zu %s\n", i, segment->mem, segment->memsz,
			   kho_image_in_place(kexec_image, segment) ? "in_place" : "copied");
	}

	kexec_unlock();
}

static int cmd_own(unsigned int unused)
{
	guard(rcu)();

	kho_out.nr_own_pages = kho_nr_pages(&kho_out.tree);
	return 0;
}

static const struct {
	const char *name;
	int (*fn)(unsigned int arg);
} commands[] = {
	{ "threads", cmd_threads },
	{ "stop", cmd_stop },
	{ "fill", cmd_fill },
	{ "empty", cmd_empty },
	{ "verify", cmd_verify },
	{ "overlap", cmd_overlap },
	{ "faults", cmd_faults },
	{ "image", cmd_image },
	{ "own", cmd_own },
};

static ssize_t control_write(struct file *file, const char __user *buf,
			     size_t count, loff_t *ppos)
{
	char line[32] = {}, name[16];
	unsigned int arg = 0, i;
	int err;

	if (count >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, buf, count))
		return -EFAULT;
	if (sscanf(line, "%15s %u", name, &arg) < 1)
		return -EINVAL;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(name, commands[i].name))
			continue;

		mutex_lock(&lock);
		err = commands[i].fn(arg);
		mutex_unlock(&lock);
		return err ?: count;
	}

	return -EINVAL;
}

static const struct file_operations control_fops = {
	.open = simple_open,
	.write = control_write,
};

static int report_show(struct seq_file *m, void *unused)
{
	mutex_lock(&lock);
	seq_printf(m, "threads_ops %lu\n", nr_ops);
	seq_printf(m, "threads_errors %lu\n", nr_errors);
	seq_printf(m, "overlap_found_at_call %d\n",
		   IS_ENABLED(CONFIG_KEXEC_HANDOVER_DEBUG));
	seq_printf(m, "fill_subtrees %u\n", nr_subtrees);
	seq_printf(m, "fill_errno %d\n", fill_errno);
	seq_printf(m, "verify_subtrees %u\n", nr_found);
	seq_printf(m, "faults_folio %lu\n", nr_faults[SLOT_FOLIO]);
	seq_printf(m, "faults_pages %lu\n", nr_faults[SLOT_PAGES]);
	seq_printf(m, "faults_vmalloc %lu\n", nr_faults[SLOT_VMALLOC]);
	seq_printf(m, "faults_blob %lu\n", nr_faults[SLOT_BLOB]);
	seq_printf(m, "faults_subtree %lu\n", nr_faults[SLOT_SUBTREE]);
	seq_printf(m, "faults_errors %lu\n", nr_fault_errors);
	/* Where KASLR has put this kernel */
	seq_printf(m, "text %lx\n", (unsigned long)_text);
	show_image(m);
	mutex_unlock(&lock);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(report);

static int __init stress_init(void)
{
	struct dentry *dir = debugfs_create_dir("kho_stress", NULL);

	debugfs_create_file("control", 0200, dir, NULL, &control_fops);
	debugfs_create_file("report", 0400, dir, NULL, &report_fops);
	return 0;
}
device_initcall(stress_init);
