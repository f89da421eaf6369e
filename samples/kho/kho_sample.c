// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sample user of Kexec HandOver: a log that survives kexec.
 *
 * Reading /sys/kernel/debug/kho_sample shows how many kernels have had the log,
 * and its last messages, each with the number of the kernel that wrote it.
 * Writing to the file adds a message.
 *
 * Two kinds of memory are preserved: a small state that KHO allocates, which
 * the next kernel finds by name, and a run of pages that the driver allocated
 * itself, which it finds because the state says where they are.
 *
 * Documentation/core-api/kho/driver-guide.rst explains this step by step.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

/* Crosses kernels, from here to struct record: new layout, new string. */
#define SUBTREE		"kho-sample"
#define COMPATIBLE	"kho-sample-v1"
#define RING_PAGES	4UL

/**
 * struct state - the blob of the subtree
 * @compatible: %COMPATIBLE
 * @nr_kernels: number of kernels that have had the log, this one included
 * @nr_messages: number of messages ever written
 * @ring: physical address of %RING_PAGES pages of struct record
 */
struct state {
	char compatible[16];
	u64 nr_kernels;
	u64 nr_messages;
	u64 ring;
};

/**
 * struct record - one message
 * @kernel: state.nr_kernels when it was written
 * @text: the message, terminated by a 0
 */
struct record {
	u64 kernel;
	char text[120];
};

#define RING_SIZE	(RING_PAGES * PAGE_SIZE)
#define NR_RECORDS	(RING_SIZE / sizeof(struct record))

static struct state *state;
static struct record *ring;
static struct dentry *log_file;

/* Protects what is in the state and in the ring. */
static DEFINE_MUTEX(lock);

static bool state_valid(const struct state *s, size_t size)
{
	return size == sizeof(*s) &&
	       !strncmp(s->compatible, COMPATIBLE, sizeof(s->compatible));
}

/*
 * Take over what the previous kernel left. On success the memory is ours, as
 * if we had allocated it; on failure there is nothing, and we begin anew.
 */
static bool __init restore(void)
{
	struct folio *folio;
	struct page *pages;
	phys_addr_t phys;
	size_t size;

	if (kho_retrieve_subtree(SUBTREE, &phys, &size))
		return false;

	/* Fails when this is no preserved folio, or we have had it before. */
	folio = kho_restore_folio(phys);
	if (!folio)
		return false;

	state = folio_address(folio);
	if (!state_valid(state, size)) {
		pr_warn("state of %zu bytes not understood\n", size);
		goto err;
	}

	pages = kho_restore_pages(state->ring, RING_PAGES);
	if (!pages) {
		pr_warn("the log is lost\n");
		goto err;
	}

	ring = page_address(pages);
	return true;

err:
	folio_put(folio);
	return false;
}

static int __init begin(void)
{
	state = kho_alloc_preserve(sizeof(*state));
	if (IS_ERR(state))
		return PTR_ERR(state);

	ring = alloc_pages_exact(RING_SIZE, GFP_KERNEL | __GFP_ZERO);
	if (!ring) {
		kho_unpreserve_free(state);
		return -ENOMEM;
	}

	strscpy(state->compatible, COMPATIBLE);
	state->ring = virt_to_phys(ring);
	return 0;
}

/*
 * Preserve it all for the next kernel. What was restored is not preserved any
 * more; for a state that kho_alloc_preserve() has just preserved it changes
 * nothing. The name comes last: whoever finds it finds everything.
 */
static int __init preserve(void)
{
	int err;

	err = kho_preserve_folio(virt_to_folio(state));
	if (err)
		return err;

	err = kho_preserve_pages(virt_to_page(ring), RING_PAGES);
	if (err)
		return err;

	err = kho_add_subtree(SUBTREE, state, sizeof(*state));
	if (err)
		kho_unpreserve_pages(virt_to_page(ring), RING_PAGES);

	return err;
}

static int kho_sample_show(struct seq_file *m, void *unused)
{
	u64 nr;

	guard(mutex)(&lock);

	seq_printf(m, "kernels: %llu\n", state->nr_kernels);

	/* All but the record that comes next, which may be written in part. */
	nr = state->nr_messages < NR_RECORDS ?
	     0 : state->nr_messages - NR_RECORDS + 1;
	for (; nr < state->nr_messages; nr++) {
		const struct record *record = &ring[nr % NR_RECORDS];

		/* Another kernel may have written it: do not trust its end. */
		seq_printf(m, "%llu: %.*s\n", record->kernel,
			   (int)sizeof(record->text), record->text);
	}

	return 0;
}

static ssize_t kho_sample_write(struct file *unused, const char __user *buf,
				size_t len, loff_t *pos)
{
	char text[sizeof_field(struct record, text)] = {};
	struct record *record;

	if (copy_from_user(text, buf, min(len, sizeof(text) - 1)))
		return -EFAULT;

	guard(mutex)(&lock);

	record = &ring[state->nr_messages % NR_RECORDS];
	record->kernel = state->nr_kernels;
	strscpy_pad(record->text, strim(text));

	/* The reboot can stop this CPU anywhere: count what is complete. */
	smp_store_release(&state->nr_messages, state->nr_messages + 1);
	return len;
}
DEFINE_SHOW_STORE_ATTRIBUTE(kho_sample);

static int __init kho_sample_init(void)
{
	int err;

	if (!kho_is_enabled())
		return -EOPNOTSUPP;

	if (!restore()) {
		err = begin();
		if (err)
			return err;
	}

	state->nr_kernels++;
	pr_info("kernel %llu of this log, %llu messages so far\n",
		state->nr_kernels, state->nr_messages);

	err = preserve();
	if (err) {
		free_pages_exact(ring, RING_SIZE);
		kho_unpreserve_free(state);
		return err;
	}

	log_file = debugfs_create_file("kho_sample", 0600, NULL, NULL,
				       &kho_sample_fops);
	return 0;
}
module_init(kho_sample_init);

/* In the order opposite to preserve(), so that nobody finds half of it. */
static void __exit kho_sample_exit(void)
{
	debugfs_remove(log_file);
	kho_remove_subtree(state);
	kho_unpreserve_pages(virt_to_page(ring), RING_PAGES);
	free_pages_exact(ring, RING_SIZE);
	kho_unpreserve_free(state);
}
module_exit(kho_sample_exit);

MODULE_DESCRIPTION("Sample user of Kexec HandOver");
MODULE_LICENSE("GPL");
