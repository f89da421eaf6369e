// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of how sessions are taken over: what must be refused, and that
 * everything else is not affected. What the previous kernel has left is made here,
 * as in kho_kunit.h. And one of memfds that are poisoned at the wrong moment.
 */

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/jiffies.h>
#include <linux/kho_block.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>

#include "../../../mm/memfd_luo.h"
#include "../luo_internal.h"
#include "kho_kunit.h"

#define NR_FILES	70

/* A list of files with tokens from 0 on, and in two blocks. */
static struct luo_file_ser *
make_files(struct kunit *test, struct luo_session_ser *ser)
{
	struct luo_file_ser *entry, *first = NULL;
	struct kho_block_set set;
	struct kho_block_it it;
	int i;

	kho_block_set_init(&set, sizeof(*entry));
	KUNIT_ASSERT_EQ(test, kho_block_set_grow(&set, NR_FILES), 0);
	kho_block_it_init(&it, &set);
	for (i = 0; i < NR_FILES; i++) {
		entry = kho_block_it_reserve_entry(&it);
		first = first ?: entry;
		strscpy(entry->compatible, "luo-kunit-no-such-handler");
		entry->token = i;
		entry->data = ~0ULL - i;
	}

	*ser = (struct luo_session_ser){
		.files_pa = kho_block_set_head_pa(&set),
		.count = NR_FILES,
	};
	return first;
}

static int take_over_files(struct luo_files *files, const struct luo_session_ser *ser)
{
	return luo_files_take_over(files, ser) ?: luo_files_read(files);
}

static void expect_files(struct kunit *test, const struct luo_session_ser *ser,
			 int result)
{
	struct luo_files files;

	luo_files_init(&files);
	KUNIT_ASSERT_EQ(test, take_over_files(&files, ser), result);
	KUNIT_EXPECT_EQ(test, files.nr, result ? 0 : ser->count);
	KUNIT_EXPECT_EQ(test, list_count_nodes(&files.list), files.nr);
	KUNIT_EXPECT_EQ(test, files.blocks.nr_blocks, result ? 0 : 2);
	KUNIT_EXPECT_EQ(test, PTR_ERR(luo_files_retrieve(&files, NR_FILES)),
			-ENOENT);
	KUNIT_EXPECT_EQ(test, PTR_ERR(luo_files_retrieve(&files, NR_FILES - 1)),
			result ? -ENOENT : -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, luo_files_finish(&files), 0);
	KUNIT_EXPECT_EQ(test, files.nr, 0);
	KUNIT_EXPECT_EQ(test, files.blocks.nr_blocks, 0);
}

static void good_files(struct kunit *test)
{
	struct luo_session_ser ser;

	make_files(test, &ser);
	expect_files(test, &ser, 0);

	/* They are there once. */
	expect_files(test, &ser, -EBADMSG);
}

/* A block without entries, as earlier kernels of this ABI hand it over. */
static u64 empty_block(struct kunit *test)
{
	struct kho_block *block = kho_block_alloc();

	KUNIT_ASSERT_FALSE(test, IS_ERR(block));
	return virt_to_phys(block);
}

/* No list is like one without entries. */
static void no_files(struct kunit *test)
{
	struct luo_session_ser ser = {};
	struct luo_files files;

	luo_files_init(&files);
	KUNIT_EXPECT_EQ(test, take_over_files(&files, &ser), 0);
	KUNIT_EXPECT_EQ(test, files.nr, 0);
	ser.count = 1;
	KUNIT_EXPECT_EQ(test, take_over_files(&files, &ser), -EBADMSG);

	ser = (struct luo_session_ser){ .files_pa = empty_block(test) };
	KUNIT_EXPECT_EQ(test, take_over_files(&files, &ser), 0);
	KUNIT_EXPECT_EQ(test, files.nr, 0);
	KUNIT_EXPECT_EQ(test, luo_files_finish(&files), 0);
	KUNIT_EXPECT_EQ(test, files.blocks.nr_blocks, 0);
}

/* A session without files refers to no list of them. */
static void writing_no_files(struct kunit *test)
{
	struct luo_session_ser ser = { .files_pa = 1, .count = 1 };
	struct luo_files files;

	luo_files_init(&files);
	luo_files_write(&files, &ser);
	KUNIT_EXPECT_EQ(test, ser.files_pa, 0);
	KUNIT_EXPECT_EQ(test, ser.count, 0);
}

static void damaged_files(struct kunit *test)
{
	struct luo_session_ser ser, wrong;
	struct luo_file_ser *first;

	/* Somewhere else: nothing is touched. */
	make_files(test, &ser);
	wrong = ser;
	wrong.files_pa += sizeof(*first);
	expect_files(test, &wrong, -EBADMSG);
	expect_files(test, &ser, 0);

	/* One more or less than there are. */
	make_files(test, &ser);
	ser.count++;
	expect_files(test, &ser, -EBADMSG);
	make_files(test, &ser);
	ser.count--;
	expect_files(test, &ser, -EBADMSG);
	make_files(test, &ser);
	ser.count = U64_MAX;
	expect_files(test, &ser, -EBADMSG);

	/* Two that cannot be told apart. */
	first = make_files(test, &ser);
	first->token = NR_FILES - 1;
	expect_files(test, &ser, -EBADMSG);

	/* A name without an end is one that nobody has. */
	first = make_files(test, &ser);
	memset(first->compatible, 'x', sizeof(first->compatible));
	expect_files(test, &ser, 0);
}

/* So many allocations succeed before one fails. */
static int nr_until_failure;

static bool next_fails(void)
{
	return !nr_until_failure--;
}

/* What happens while the files of a session are read. */
static bool watch_reads;
static unsigned long nr_reads_locked;
static unsigned long nr_retrieved_twice;

static void look_around(void)
{
	static const u8 name[LUO_SESSION_NAME_LENGTH] = "kunit three";

	if (mutex_is_locked(&luo_sessions_of(true)->lock))
		nr_reads_locked++;
	else
		nr_retrieved_twice += PTR_ERR(luo_session_retrieve(name)) != -EINVAL;
}

static struct luo_file *file_alloc_stub(void)
{
	struct luo_file *luo_file = NULL;

	if (watch_reads)
		look_around();
	/* The redirection is for whom the test calls. */
	kunit_deactivate_static_stub(kunit_get_current_test(), luo_file_alloc);
	if (!next_fails())
		luo_file = luo_file_alloc();
	kunit_activate_static_stub(kunit_get_current_test(), luo_file_alloc,
				   file_alloc_stub);
	return luo_file;
}

static struct luo_session *session_alloc_stub(const u8 *name)
{
	struct luo_session *session = NULL;

	kunit_deactivate_static_stub(kunit_get_current_test(), luo_session_alloc);
	if (!next_fails())
		session = luo_session_alloc(name);
	kunit_activate_static_stub(kunit_get_current_test(), luo_session_alloc,
				   session_alloc_stub);
	return session;
}

/* Without memory for one of its files, the list can be read another time. */
static void no_memory_for_files(struct kunit *test)
{
	struct luo_session_ser ser;
	struct luo_files files;
	int nr;

	make_files(test, &ser);
	luo_files_init(&files);
	KUNIT_ASSERT_EQ(test, luo_files_take_over(&files, &ser), 0);

	kunit_activate_static_stub(test, luo_file_alloc, file_alloc_stub);
	for (nr = 0; nr < NR_FILES; nr++) {
		nr_until_failure = nr;
		KUNIT_ASSERT_EQ(test, luo_files_read(&files), -ENOMEM);
		KUNIT_ASSERT_EQ(test, files.nr, 0);
		KUNIT_ASSERT_TRUE(test, list_empty(&files.list));
		KUNIT_ASSERT_EQ(test, PTR_ERR(luo_files_retrieve(&files, 0)), -ENOENT);
	}

	nr_until_failure = NR_FILES;
	KUNIT_EXPECT_EQ(test, luo_files_read(&files), 0);
	KUNIT_EXPECT_EQ(test, files.nr, NR_FILES);
	KUNIT_EXPECT_EQ(test, PTR_ERR(luo_files_retrieve(&files, NR_FILES - 1)),
			-EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, luo_files_finish(&files), 0);
}

/* A session for luo_sessions_take_over(). */
static void add_session(struct kunit *test, struct kho_block_it *it,
			const char *name, size_t len)
{
	struct luo_session_ser *ser = kho_block_it_reserve_entry(it);

	KUNIT_ASSERT_NOT_NULL(test, ser);
	memcpy(ser->name, name, len);
}

static int retrieve(const char *name)
{
	u8 buf[LUO_SESSION_NAME_LENGTH] = {};
	struct file *file;

	strscpy(buf, name);
	file = luo_session_retrieve(buf);
	if (IS_ERR(file))
		return PTR_ERR(file);

	/* It has no files, and so is finished by this. */
	__fput_sync(file);
	return 0;
}

/* Give its files up, too. */
static int finish_session(const char *name)
{
	u8 buf[LUO_SESSION_NAME_LENGTH] = {};
	struct luo_session *session;
	struct file *file;
	int err;

	strscpy(buf, name);
	file = luo_session_retrieve(buf);
	if (IS_ERR(file))
		return PTR_ERR(file);

	session = file->private_data;
	err = luo_files_finish(&session->files);
	/* It has no files any more, and so is finished by this. */
	__fput_sync(file);
	return err;
}

static void no_sessions(struct kunit *test)
{
	unsigned long before = luo_sessions_nr_unclaimed();

	luo_sessions_take_over(0);
	luo_sessions_take_over(empty_block(test));
	KUNIT_EXPECT_EQ(test, luo_sessions_nr_unclaimed(), before);
}

static void sessions(struct kunit *test)
{
	unsigned long before = luo_sessions_nr_unclaimed();
	char endless[LUO_SESSION_NAME_LENGTH];
	struct kho_block_set set;
	struct kho_block_it it;
	u64 head_pa;

	memset(endless, 'x', sizeof(endless));
	kho_block_set_init(&set, sizeof(struct luo_session_ser));
	KUNIT_ASSERT_EQ(test, kho_block_set_grow(&set, 6), 0);
	kho_block_it_init(&it, &set);
	add_session(test, &it, "kunit first", 12);
	add_session(test, &it, "", 1);
	add_session(test, &it, endless, sizeof(endless));
	add_session(test, &it, "kunit twice", 12);
	add_session(test, &it, "kunit twice", 12);
	add_session(test, &it, "kunit last", 11);
	head_pa = kho_block_set_head_pa(&set);

	/* A list that is not there as a whole is not taken in part. */
	luo_sessions_take_over(head_pa + 8);
	KUNIT_EXPECT_EQ(test, luo_sessions_nr_unclaimed(), before);

	luo_sessions_take_over(head_pa);
	KUNIT_EXPECT_EQ(test, luo_sessions_nr_unclaimed(), before + 3);
	KUNIT_EXPECT_EQ(test, retrieve("kunit none"), -ENOENT);
	KUNIT_EXPECT_EQ(test, retrieve("kunit first"), 0);
	KUNIT_EXPECT_EQ(test, retrieve("kunit first"), -ENOENT);
	KUNIT_EXPECT_EQ(test, retrieve("kunit twice"), 0);
	KUNIT_EXPECT_EQ(test, retrieve("kunit twice"), -ENOENT);
	KUNIT_EXPECT_EQ(test, retrieve("kunit last"), 0);
	KUNIT_EXPECT_EQ(test, luo_sessions_nr_unclaimed(), before);
}

#if defined(CONFIG_LIVEUPDATE_MEMFD) && defined(CONFIG_MEMORY_FAILURE)
static DECLARE_COMPLETION(poisoned);

static int poison(void *arg)
{
	struct page *page = arg;

	memory_failure(page_to_pfn(page), MF_SW_SIMULATED);
	complete(&poisoned);
	return 0;
}

/*
 * A page counts as poisoned from the moment on that it has the flag, and not when
 * memory_failure() has dealt with it: that waits for the lock of the folio here.
 */
static void poisoned_while_frozen(struct kunit *test)
{
	struct liveupdate_file_op_args args = {};
	unsigned long end = jiffies + 30 * HZ;
	struct task_struct *task;
	struct folio *folio;
	struct page *page;

	args.file = shmem_file_setup("memfd:kunit", PAGE_SIZE, VM_NORESERVE);
	KUNIT_ASSERT_FALSE(test, IS_ERR(args.file));
	folio = shmem_read_folio(args.file->f_mapping, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	folio_put(folio);
	KUNIT_ASSERT_EQ(test, memfd_luo_preserve(&args), 0);
	/* It may have been moved. */
	folio = shmem_read_folio(args.file->f_mapping, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	page = folio_page(folio, 0);
	KUNIT_EXPECT_EQ(test, memfd_luo_freeze(&args), 0);
	memfd_luo_unfreeze(&args);

	folio_lock(folio);
	task = kthread_run(poison, page, "luo_kunit");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	while (!PageHWPoison(page) && time_before(jiffies, end))
		fsleep(1000);
	KUNIT_EXPECT_TRUE(test, PageHWPoison(page));
	KUNIT_EXPECT_FALSE(test, try_wait_for_completion(&poisoned));
	KUNIT_EXPECT_EQ(test, memfd_luo_freeze(&args), -EHWPOISON);
	folio_unlock(folio);
	wait_for_completion(&poisoned);
	KUNIT_EXPECT_EQ(test, memfd_luo_freeze(&args), -EHWPOISON);

	memfd_luo_unpreserve(&args);
	folio_put(folio);
	__fput_sync(args.file);
	unpoison_memory(page_to_pfn(page));
}
#endif

/* Sessions that there is no memory for are still there when there is some. */
static void no_memory_for_sessions(struct kunit *test)
{
	unsigned long before = luo_sessions_nr_unclaimed();
	struct luo_session_ser ser, *entry;
	struct kho_block_set set;
	struct kho_block_it it;

	kho_block_set_init(&set, sizeof(ser));
	KUNIT_ASSERT_EQ(test, kho_block_set_grow(&set, 3), 0);
	kho_block_it_init(&it, &set);
	add_session(test, &it, "kunit one", 10);
	add_session(test, &it, "kunit two", 10);
	make_files(test, &ser);
	entry = kho_block_it_reserve_entry(&it);
	entry->files_pa = ser.files_pa;
	entry->count = ser.count;
	strscpy(entry->name, "kunit three");

	/* There is memory for the first session. */
	kunit_activate_static_stub(test, luo_session_alloc, session_alloc_stub);
	nr_until_failure = 1;
	KUNIT_EXPECT_EQ(test, luo_sessions_take_over(kho_block_set_head_pa(&set)),
			before + 3);
	KUNIT_EXPECT_EQ(test, luo_sessions_nr_unclaimed(), before + 3);
	nr_until_failure = 0;
	KUNIT_EXPECT_EQ(test, retrieve("kunit two"), -ENOMEM);
	KUNIT_EXPECT_EQ(test, retrieve("kunit one"), 0);
	KUNIT_EXPECT_EQ(test, luo_sessions_nr_unclaimed(), before + 2);

	/* Then for the others, but not for the files of the last one. */
	kunit_activate_static_stub(test, luo_file_alloc, file_alloc_stub);
	nr_until_failure = 2 + NR_FILES / 2;
	KUNIT_EXPECT_EQ(test, retrieve("kunit two"), 0);
	KUNIT_EXPECT_EQ(test, retrieve("kunit two"), -ENOENT);
	KUNIT_EXPECT_EQ(test, luo_sessions_nr_unclaimed(), before + 1);
	nr_until_failure = NR_FILES / 2;
	nr_reads_locked = 0;
	nr_retrieved_twice = 0;
	watch_reads = true;
	KUNIT_EXPECT_EQ(test, retrieve("kunit three"), -ENOMEM);
	KUNIT_EXPECT_EQ(test, luo_sessions_nr_unclaimed(), before + 1);

	/* And then for all. It is not finished by being closed. */
	nr_until_failure = NR_FILES;
	KUNIT_EXPECT_EQ(test, retrieve("kunit three"), 0);
	KUNIT_EXPECT_EQ(test, luo_sessions_nr_unclaimed(), before + 1);
	/* Nobody has waited for that, or could retrieve it as well. */
	KUNIT_EXPECT_EQ(test, nr_reads_locked, 0);
	KUNIT_EXPECT_EQ(test, nr_retrieved_twice, 0);
	watch_reads = false;
	KUNIT_EXPECT_EQ(test, finish_session("kunit three"), 0);
	KUNIT_EXPECT_EQ(test, luo_sessions_nr_unclaimed(), before);
}

static struct kunit_case luo_cases[] = {
	KUNIT_CASE(good_files),
	KUNIT_CASE(no_files),
	KUNIT_CASE(writing_no_files),
	KUNIT_CASE(damaged_files),
	KUNIT_CASE(no_sessions),
	KUNIT_CASE(sessions),
#if defined(CONFIG_LIVEUPDATE_MEMFD) && defined(CONFIG_MEMORY_FAILURE)
	KUNIT_CASE(poisoned_while_frozen),
#endif
	KUNIT_CASE(no_memory_for_files),
	KUNIT_CASE(no_memory_for_sessions),
	{}
};

static struct kunit_suite luo_suite = {
	.name = "luo",
	.init = blocks_test_init,
	.exit = preserving_test_exit,
	.test_cases = luo_cases,
};

kunit_test_suite(luo_suite);
