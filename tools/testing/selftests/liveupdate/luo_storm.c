// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that do all that can be done with sessions, at random, when a kexec comes.
 *
 *	luo_storm keep SEED	in the background: create sessions, preserve files, close
 *				sessions, until this kernel or this process ends
 *	luo_storm after [SEED]	after the kexec: see what has arrived, retrieve and finish
 *				all of it at random; and begin the next storm before that
 *	luo_storm visit SEED	after the kexec: the same in the background, but give the
 *				sessions back, and finish none before SIGUSR1
 *
 * What must arrive is in the books: a memfd in a session of its own. Each thread notes
 * there what it is about to do and, afterwards, what it has done. SEED decides what each
 * thread does next, but not in which order the threads run.
 *
 * Prints "ok WHAT" and "not ok WHAT", in the background to the log of the kernel.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>

#include "luo_memfd.h"

#define BOOKS		"storm-books"
#define NR_THREADS	6
#define NR_SLOTS	24
#define NR_TOKENS	36
#define MAX_PAGES	8
/* A slot without files that all have to be retrieved before it is finished. */
#define HASTY(slot)	((slot) % 8 == 7)

/*
 * A slot is a name and a generation, which make the name of a session. Its thread closes
 * the session and creates the next one. It is CHANGING from right before the close until
 * right after the create: a session that is closed when a reboot has begun is handed over
 * nevertheless, and only when another one could be created this is known not to be so.
 */
enum {
	CHANGING,	/* that generation or the next one is there, or none of them */
	OPEN,		/* that generation is there, and no other one */
};

/* A token of a session that is there. Each thread preserves files with its own tokens. */
enum {
	ABSENT,
	TRYING,		/* may be there */
	PRESENT,
};

/**
 * struct books - what must have arrived
 * @seed: what the storm began with
 * @nr: how often each operation has succeeded
 * @nr_refused: how many have failed because a reboot had begun
 * @slots: generation * 2 + OPEN or CHANGING
 * @tokens: generation * 4 + ABSENT, TRYING or PRESENT; other generations do not count
 */
struct books {
	__u64 seed;
	struct {
		__u64 create, preserve, close, probe;
	} nr;
	__u64 nr_refused;
	__u32 slots[NR_SLOTS];
	__u32 tokens[NR_SLOTS][NR_TOKENS];
};

/**
 * struct slot - a session as the threads share it
 * @lock: protects all that follows
 * @fd: its descriptor; -1 without a session
 * @refs: how many threads use a duplicate of @fd
 * @gen: its generation
 * @nr_files: after the kexec: how many files it has, as the kernel says
 * @retrieved: which of them were retrieved, by token
 * @finishing: finish was called
 * @over: there is no such session any more
 */
struct slot {
	pthread_mutex_t lock;
	int fd;
	int refs;
	unsigned int gen;
	int nr_files;
	bool retrieved[NR_TOKENS];
	bool finishing;
	bool over;
};

static struct slot slots[NR_SLOTS];
static struct books *books;
static bool ended;
static bool visiting;

#define get(word)		__atomic_load_n(&(word), __ATOMIC_ACQUIRE)
#define put(word, value)	__atomic_store_n(&(word), value, __ATOMIC_RELEASE)
#define count(word)		__atomic_fetch_add(&(word), 1, __ATOMIC_RELAXED)

/* What is wrong, where it can be seen even when this kernel is at its end. */
static void wrong(const char *format, ...)
{
	char line[200] = "khotest: not ok storm: ";
	int fd, len = strlen(line);
	va_list args;

	/* The first ones tell enough. */
	if (count(failed) > 10)
		return;
	fd = open("/dev/kmsg", O_WRONLY);
	va_start(args, format);
	len += vsnprintf(line + len, sizeof(line) - len - 32, format, args);
	va_end(args);
	len += sprintf(line + len, ", KHO_SEED=%llu\n", books->seed);
	if (write(fd, line, len) != len)
		abort();
	close(fd);
}

#define expect(what, rc, good)						\
do {									\
	long __rc = rc;							\
									\
	if (!(good))							\
		wrong("line %d: %s: %ld", __LINE__, what, __rc);	\
} while (0)

static __u64 next_random(__u64 *state)
{
	__u64 x = *state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static __u64 hash_of(int slot, unsigned int gen, int token)
{
	__u64 state = books->seed + ((__u64)gen << 20) + (slot << 10) + token;

	return next_random(&state);
}

static const char *name_of(char *name, int slot, unsigned int gen)
{
	sprintf(name, "storm-%d-%u", slot, gen);
	return name;
}

/* A file for a token, and whether one is that: every fourth one is of another kind. */
static long nr_pages(__u64 hash)
{
	return hash % 4 ? 1 + (hash >> 8) % MAX_PAGES : 0;
}

static int make_file(int slot, unsigned int gen, int token)
{
	__u64 hash = hash_of(slot, gen, token);
	char name[64];
	int fd;

	if (!nr_pages(hash))
		return luo_test_file(name_of(name, slot, gen), token);

	fd = new_memfd("storm", nr_pages(hash) * PAGE, 0);
	write_pages(fd, hash, 0, nr_pages(hash));
	return fd;
}

static bool good_file(int fd, int slot, unsigned int gen, int token)
{
	__u64 hash = hash_of(slot, gen, token);
	char name[64];

	if (!nr_pages(hash))
		return luo_is_test_file(fd, name_of(name, slot, gen), token);

	return size_of(fd) == nr_pages(hash) * PAGE &&
	       nr_good_pages(fd, hash, 0, nr_pages(hash)) == nr_pages(hash);
}

/*
 * Use a session while its thread may close it: the last one to have it closes it. The
 * duplicate of its descriptor, or -1.
 */
static int use(struct slot *slot)
{
	int fd = -1;

	pthread_mutex_lock(&slot->lock);
	if (slot->fd >= 0) {
		fd = fcntl(slot->fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			die("dup");
		slot->refs++;
	}
	pthread_mutex_unlock(&slot->lock);
	return fd;
}

static void unuse(struct slot *slot, int fd)
{
	close(fd);
	pthread_mutex_lock(&slot->lock);
	slot->refs--;
	pthread_mutex_unlock(&slot->lock);
}

static void publish(struct slot *slot, int fd)
{
	pthread_mutex_lock(&slot->lock);
	slot->fd = fd;
	pthread_mutex_unlock(&slot->lock);
}

/* Returns when nobody has the session any more. */
static void close_session(struct slot *slot)
{
	int fd, refs;

	pthread_mutex_lock(&slot->lock);
	fd = slot->fd;
	slot->fd = -1;
	pthread_mutex_unlock(&slot->lock);
	close(fd);

	do {
		sched_yield();
		pthread_mutex_lock(&slot->lock);
		refs = slot->refs;
		pthread_mutex_unlock(&slot->lock);
	} while (refs);
}

/*
 * Note whether a reboot has begun; before it was noted, @was_ended. True when @rc is what
 * it can be then, or what it is to be else.
 */
static bool as_expected(int rc, bool was_ended, int expected)
{
	if (rc == -EBUSY && expected != -EBUSY) {
		put(ended, true);
		count(books->nr_refused);
		return true;
	}

	return !was_ended && (expected ? rc == expected : rc >= 0);
}

static void open_or_close(int nr)
{
	struct slot *slot = &slots[nr];
	bool was_ended = get(ended);
	char name[64];
	int rc;

	if (slot->fd >= 0) {
		/* When the reboot has begun then this has no effect. */
		if (!was_ended)
			put(books->slots[nr], slot->gen * 2 + CHANGING);
		close_session(slot);
		count(books->nr.close);
		return;
	}

	rc = luo_create(device, name_of(name, nr, slot->gen + 1));
	expect("create", rc, as_expected(rc, was_ended, 0));
	if (rc < 0)
		return;

	slot->gen++;
	put(books->slots[nr], slot->gen * 2 + OPEN);
	publish(slot, rc);
	count(books->nr.create);
}

/* What is refused, whatever others do. */
static void probe(int nr)
{
	struct slot *slot = &slots[nr];
	bool was_ended = get(ended);
	char name[64];
	int rc;

	if (slot->fd < 0)
		return;

	rc = luo_create(device, name_of(name, nr, slot->gen));
	expect("create twice", rc, as_expected(rc, was_ended, -EEXIST));
	rc = luo_finish(slot->fd);
	expect("finish what is outgoing", rc, rc == -EINVAL);
	rc = luo_retrieve_fd(slot->fd, 0);
	expect("retrieve from what is outgoing", rc, rc == -EINVAL);
	rc = luo_retrieve(device, "storm-nothing");
	expect("retrieve what is not there", rc, rc == -ENOENT);
	count(books->nr.probe);
}

static void preserve_file(int nr, int token)
{
	struct slot *slot = &slots[nr];
	bool was_ended = get(ended);
	int session = use(slot), fd, rc;
	__u32 *entry = &books->tokens[nr][token];
	unsigned int gen = slot->gen;

	if (session < 0)
		return;

	if (*entry == gen * 4 + PRESENT) {
		rc = luo_preserve_fd(session, 0, token);
		expect("a token twice", rc, as_expected(rc, was_ended, -EEXIST));
		unuse(slot, session);
		return;
	}

	fd = make_file(nr, gen, token);
	if (fd < 0)
		die("file");
	put(*entry, gen * 4 + TRYING);
	rc = luo_preserve_fd(session, fd, token);
	put(*entry, gen * 4 + (rc ? ABSENT : PRESENT));
	expect("preserve", rc, as_expected(rc, was_ended, 0));
	if (!rc) {
		count(books->nr.preserve);
		rc = luo_preserve_fd(session, fd, token + NR_TOKENS);
		expect("a file twice", rc, rc == -EBUSY);
	}
	close(fd);
	unuse(slot, session);
}

/* Of the slots and tokens of a thread. */
#define OWN(random, nr, thread)	((random) % ((nr) / NR_THREADS) * NR_THREADS + (thread))

/* Each round takes one random number, whatever others have done. */
static void *make_noise(void *arg)
{
	long me = (long)arg;
	__u64 state = books->seed * NR_THREADS + me, random;
	unsigned int op, nr, token;

	while (1) {
		random = next_random(&state);
		op = random % 256;
		nr = random >> 16 & 0xffff;
		token = random >> 32 & 0xffff;
		if (op < 16)
			open_or_close(OWN(nr, NR_SLOTS, me));
		else if (op < 24)
			probe(OWN(nr, NR_SLOTS, me));
		else
			preserve_file(nr % NR_SLOTS, OWN(token, NR_TOKENS, me));
	}
	return NULL;
}

static void run_threads(void *(*run)(void *))
{
	pthread_t threads[NR_THREADS];
	long i;

	for (i = 0; i < NR_THREADS; i++) {
		if (pthread_create(&threads[i], NULL, run, (void *)i))
			die("pthread_create");
	}
	for (i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* Fork. In the child, this returns true. */
static bool in_background(const char *what)
{
	printf("ok %s\n", what);
	fflush(stdout);
	if (fork())
		return false;

	setsid();
	close(1);
	close(2);
	return true;
}

/* Only one process can open the device, so that this is for both sides. */
static void begin_storm(__u64 seed)
{
	int session = open_session(luo_create(device, BOOKS), BOOKS);
	int fd = new_memfd(BOOKS, sizeof(*books), 0);

	books = map(fd, 0, sizeof(*books));
	books->seed = seed;
	preserve(session, fd, 0);
	if (in_background("sessions come and go"))
		run_threads(make_noise);
}

/*
 * After the kexec
 */

static bool must_be_there(int nr, unsigned int gen)
{
	return get(books->slots[nr]) == gen * 2 + OPEN;
}

static bool may_be_there(int nr, unsigned int gen)
{
	unsigned int state = books->slots[nr];

	return state / 2 == gen || (state % 2 == CHANGING && state / 2 + 1 == gen);
}

static int nr_tokens(int nr, unsigned int gen, unsigned int state)
{
	int token, nr_found = 0;

	for (token = 0; token < NR_TOKENS; token++)
		nr_found += books->tokens[nr][token] == gen * 4 + state;
	return nr_found;
}

static void read_books(void)
{
	int session = open_session(luo_retrieve(device, BOOKS), BOOKS);
	int fd = open_session(luo_retrieve_fd(session, 0), BOOKS);

	books = map(fd, 0, sizeof(*books));
	check(size_of(fd) == sizeof(*books) && books->seed, BOOKS, "are there");
	check(luo_finish(session) == 0, BOOKS, "are finished");
	close(session);
	close(fd);
	printf("KHO_SEED=%llu: created %llu, preserved %llu, closed %llu, refused %llu\n",
	       books->seed, books->nr.create, books->nr.preserve, books->nr.close,
	       books->nr_refused);
}

/* Which sessions there are, and how many files they have. */
static void see_sessions(void)
{
	FILE *list = fopen("/sys/kernel/debug/liveupdate/incoming", "r");
	int nr, files, sessions = 0, total = 0, sure = 0, there = 0;
	unsigned int gen;
	char name[64];

	if (!list)
		die("incoming");
	for (nr = 0; nr < NR_SLOTS; nr++)
		slots[nr].over = true;

	while (fscanf(list, "files %d retrieved %*d %*s name %63s ", &files, name) == 2) {
		if (sscanf(name, "storm-%d-%u", &nr, &gen) != 2 || nr >= NR_SLOTS) {
			wrong("session %s", name);
			continue;
		}
		expect("a session that was closed", gen, may_be_there(nr, gen));
		expect("two sessions of a slot", nr, slots[nr].over);
		expect("files of a session", files,
		       files >= nr_tokens(nr, gen, PRESENT) &&
		       files <= nr_tokens(nr, gen, PRESENT) + nr_tokens(nr, gen, TRYING));
		sure += nr_tokens(nr, gen, PRESENT);
		there += must_be_there(nr, gen);
		slots[nr].over = false;
		slots[nr].gen = gen;
		slots[nr].nr_files = files;
		sessions++;
		total += files;
	}
	fclose(list);

	for (nr = 0; nr < NR_SLOTS; nr++)
		expect("a session is missing", nr,
		       !slots[nr].over || books->slots[nr] % 2 == CHANGING);
	printf("%d sessions of which %d had to be there, %d files of which %d had to\n",
	       sessions, there, total, sure);
	check(sessions > 0 && total > 0, BOOKS, "something was preserved");
}

static void retrieve_file(int nr, int token)
{
	struct slot *slot = &slots[nr];
	unsigned int state = books->tokens[nr][token];
	int session = use(slot), fd;
	char name[64];

	if (session < 0)
		return;

	/* It is ours as long as we have it. */
	fd = luo_retrieve(device, name_of(name, nr, slot->gen));
	expect("retrieve a session twice", fd,
	       fd == -EINVAL || (fd == -ENOENT && get(slot->finishing)));

	fd = luo_retrieve_fd(session, token);
	if (fd >= 0) {
		expect("a file that was not preserved", state,
		       state / 4 == slot->gen && state % 4 != ABSENT);
		expect("content", token, good_file(fd, nr, slot->gen, token));
		close(fd);
		put(slot->retrieved[token], true);
	} else if (fd == -EINVAL) {
		expect("retrieve a file", fd, get(slot->finishing));
	} else {
		expect("a file that is missing", fd,
		       fd == -ENOENT && state != slot->gen * 4 + PRESENT);
		expect("a file that was there", token, !get(slot->retrieved[token]));
	}
	unuse(slot, session);
}

static int nr_back(struct slot *slot)
{
	int token, nr = 0;

	for (token = 0; token < NR_TOKENS; token++)
		nr += get(slot->retrieved[token]);
	return nr;
}

static void retrieve_session(int nr)
{
	struct slot *slot = &slots[nr];
	char name[64];
	int fd = luo_retrieve(device, name_of(name, nr, slot->gen));

	if (fd >= 0) {
		expect("a session that was finished", fd, !slot->finishing);
		publish(slot, fd);
		return;
	}

	/* Finished when it was closed. */
	expect("retrieve", fd, fd == -ENOENT && nr_back(slot) == slot->nr_files);
	put(slot->over, true);
}

static void finish_session(int nr)
{
	struct slot *slot = &slots[nr];
	int token, rc;

	for (token = 0; token < NR_TOKENS && !HASTY(nr); token++)
		retrieve_file(nr, token);
	if (!HASTY(nr))
		expect("files that were retrieved", nr_back(slot),
		       nr_back(slot) == slot->nr_files);

	put(slot->finishing, true);
	rc = luo_finish(slot->fd);
	expect("finish", rc, rc == 0);
	rc = luo_finish(slot->fd);
	expect("finish twice", rc, rc == -EINVAL);
	close_session(slot);
	put(slot->over, true);
}

static bool all_over(void)
{
	int nr;

	for (nr = 0; nr < NR_SLOTS; nr++) {
		if (!get(slots[nr].over))
			return false;
	}
	return true;
}

static void *take_all(void *arg)
{
	long me = (long)arg;
	__u64 state = books->seed * NR_THREADS + me, random;
	unsigned int op, nr, token, own;

	while (get(visiting) || !all_over()) {
		random = next_random(&state);
		op = random % 256;
		nr = random >> 16 & 0xffff;
		token = random >> 32 & 0xffff;
		own = OWN(nr, NR_SLOTS, me);
		/* Who visits leaves some files, so that sessions are not over. */
		if (op >= 32)
			retrieve_file(nr % NR_SLOTS,
				      token % (get(visiting) ? NR_TOKENS / 2 : NR_TOKENS));
		else if (slots[own].over)
			continue;
		else if (slots[own].fd < 0)
			retrieve_session(own);
		else if (op < 24 || get(visiting))
			close_session(&slots[own]);
		else
			finish_session(own);
	}
	return NULL;
}

static void end_visit(int signal)
{
	put(visiting, false);
}

static void after(void)
{
	read_books();
	see_sessions();
	if (visiting && !in_background("sessions are visited"))
		return;

	run_threads(take_all);
	check(!failed, BOOKS, "all is as they say");
}

int main(int argc, char **argv)
{
	bool keep = argc == 3 && !strcmp(argv[1], "keep");
	int nr;

	visiting = argc == 3 && !strcmp(argv[1], "visit");
	if (!keep && !visiting && (argc < 2 || argc > 3 || strcmp(argv[1], "after")))
		return usage();

	signal(SIGUSR1, end_visit);
	open_device(1000);
	for (nr = 0; nr < NR_SLOTS; nr++) {
		pthread_mutex_init(&slots[nr].lock, NULL);
		slots[nr].fd = -1;
	}

	if (argc == 3)
		begin_storm(strtoull(argv[2], NULL, 10));
	if (!keep)
		after();
	/* It counts here. */
	return failed != 0;
}
