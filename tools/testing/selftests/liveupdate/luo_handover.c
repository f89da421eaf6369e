// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sessions across a kexec.
 *
 *	luo_handover keep [NAME NR]...	make sessions with NR test files, and keep
 *					them in the background
 *	luo_handover keep-sharing [NAME NR]...	the same, with files that share an object
 *	luo_handover keep-many NR	the same, NR sessions with a file each
 *	luo_handover again NAME NR	retrieve this session and make one of the
 *					same name and files for the next kernel
 *	luo_handover churn NAME NR	make and close such sessions in the background
 *	luo_handover holes NAME NR	keep such a session, with memory between the pages
 *					of its files that is not preserved
 *	luo_handover close-late		keep a session, and close it while a reboot prepares
 *					files
 *	luo_handover end		wait in the background for a reboot that does not
 *					fail, see that nothing can be changed any more,
 *					and have all that keep sessions killed
 *	luo_handover after TEST		after the kexec: one of the tests below, of
 *					the session with the same name
 *
 * Prints "ok WHAT" and "not ok WHAT".
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "luo_keep.h"

#define check(what) do {						\
	if (what) {							\
		printf("ok %s: %s\n", test, #what);			\
	} else {							\
		printf("not ok %s, line %d: %s\n", test, __LINE__, #what);\
		failed = 1;						\
	}								\
} while (0)

static __u64 token_of(int i)
{
	return i * 0x9e3779b97f4a7c15ULL;
}

static int make_session(const char *name, int nr)
{
	int session = open_session(luo_create(device, name), name);
	int file, i;

	for (i = 0; i < nr; i++) {
		file = luo_test_file(name, token_of(i));
		if (file < 0)
			die(TEST_DEVICE);
		preserve(session, file, token_of(i));
		close(file);
	}

	return session;
}

/* Pages of files come one after the other. Every second file is only open. */
static void keep_holes(const char *name, int nr)
{
	int session = open_session(luo_create(device, name), name);
	int i, file;

	for (i = 0; i < nr; i++) {
		file = luo_test_file(name, i);
		if (file < 0 || luo_test_file(name, i) < 0)
			die(TEST_DEVICE);
		preserve(session, file, i);
	}
}

/* Change what is preserved, all the time. */
static void churn(const char *name, int nr)
{
	printf("ok sessions come and go\n");
	fflush(stdout);
	if (fork())
		_exit(0);

	setsid();
	prctl(PR_SET_NAME, "luo_churn");
	close(1);
	close(2);
	while (1)
		close(make_session(name, nr));
}

/* The console is where this can still be seen. */
static void say_at_the_end(const char *what, bool good)
{
	int fd = open("/dev/kmsg", O_WRONLY);
	char line[128];

	/* It has no position, so that dprintf() does not work. */
	snprintf(line, sizeof(line), "khotest: %s the end: %s\n", good ? "ok" : "not ok", what);
	write(fd, line, strlen(line));
	close(fd);
}

static void at_the_end(void)
{
	int session = make_session("end", 1), later;

	printf("ok it waits for the end\n");
	fflush(stdout);
	if (fork())
		_exit(0);

	setsid();
	close(1);
	close(2);
	do {
		later = luo_create(device, "later");
		close(later);
	} while (later >= 0);
	say_at_the_end("no session is made", later == -EBUSY);
	say_at_the_end("no file is preserved",
		       luo_preserve_fd(session, luo_test_file("end", 1), 1) == -EBUSY);
	close(session);
	/* The others that keep some have the same program. */
	say_at_the_end("sessions are closed",
		       system("for pid in $(pidof luo_handover); do\n"
			      "[ $pid = $PPID ] || kill -9 $pid || exit\n"
			      "done; sleep 1; [ \"$(pidof luo_handover)\" = $PPID ]") == 0);
	while (1)
		pause();
}

/* A structure that user space can read but not write. */
static void *read_only(const void *arg, size_t size)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		die("mmap");
	memcpy(page, arg, size);
	mprotect(page, 4096, PROT_READ);
	return page;
}

/* Files of a session that are there and have their content, from @first on. */
static int nr_back(int session, const char *name, int first, int nr)
{
	int i, file, good = 0;

	for (i = first; i < nr; i++) {
		file = luo_retrieve_fd(session, token_of(i));
		good += file >= 0 && luo_is_test_file(file, name, token_of(i));
		close(file);
	}

	return good;
}

/* Whatever is asked for, without a descriptor to return nothing happens. */
static void set_descriptors(rlim_t nr)
{
	struct rlimit limit = { nr, 20000 };

	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("setrlimit");
}

static int retrieve_without_descriptors(int session, const char *name)
{
	int rc;

	set_descriptors(0);
	rc = session < 0 ? luo_retrieve(device, name) : luo_retrieve_fd(session, token_of(0));
	set_descriptors(20000);
	return rc;
}

/* Structures that are shorter or longer than this kernel knows, and what it must say. */
static void sizes(const char *test, int session, unsigned long cmd, const void *arg,
		  __u32 size, int rc)
{
	union {
		__u32 size;
		char bytes[128];
	} buf = {};

	memcpy(&buf, arg, size);
	buf.size = size - 1;
	check(luo_ioctl(session, cmd, &buf) == -EINVAL);
	buf.size = size + 8;
	check(luo_ioctl(session, cmd, &buf) == rc);
	buf.bytes[size + 7] = 1;
	check(luo_ioctl(session, cmd, &buf) == -E2BIG);
}

static void all(const char *test)
{
	char name[64];
	int file, same, session;

	check(retrieve_without_descriptors(-1, test) == -EMFILE);
	session = luo_retrieve(device, test);
	check(session >= 0);
	check(retrieve_without_descriptors(session, test) == -EMFILE);
	check(luo_retrieve(device, test) == -EINVAL);
	check(!luo_get_name(session, name) && !strcmp(name, test));
	check(luo_preserve_fd(session, luo_test_file("x", 1), 4711) == -EINVAL);
	check(luo_retrieve_fd(session, 4711) == -ENOENT);

	/* The last one first; and again, which is the same open file. */
	file = luo_retrieve_fd(session, token_of(199));
	check(luo_is_test_file(file, test, token_of(199)));
	check(fcntl(file, F_GETFD) == FD_CLOEXEC);
	same = luo_retrieve_fd(session, token_of(199));
	check(same >= 0 && same != file);
	check(lseek(file, 77, SEEK_SET) == 77 && lseek(same, 0, SEEK_CUR) == 77);
	check(nr_back(session, test, 0, 199) == 199);

	check(luo_finish(session) == 0);
	check(luo_is_test_file(file, test, token_of(199)));
	check(luo_finish(session) == -EINVAL);
	check(luo_retrieve_fd(session, token_of(1)) == -EINVAL);
	check(!luo_get_name(session, name) && !strcmp(name, test));
	check(luo_retrieve(device, test) == -ENOENT);
	close(session);
	check(luo_retrieve(device, test) == -ENOENT);

	/* What was retrieved can be preserved anew. */
	session = luo_create(device, test);
	check(session >= 0);
	check(luo_preserve_fd(session, file, 1) == 0);
	check(luo_preserve_fd(session, same, 2) == -EBUSY);
	close(session);
}

#define NR_THREADS	8
#define THREAD_FILES	400

static int thread_session, thread_good;
static pthread_barrier_t thread_start;

/* All want the same files at the same time. */
static void *retrieve_all(void *unused)
{
	int good;

	pthread_barrier_wait(&thread_start);
	good = nr_back(thread_session, "threads", 0, THREAD_FILES);
	__sync_fetch_and_add(&thread_good, good);
	return NULL;
}

static void several_threads(const char *test)
{
	long before = nr_calls("retrieve");
	pthread_t threads[NR_THREADS];
	int i;

	thread_session = luo_retrieve(device, test);
	check(thread_session >= 0);
	pthread_barrier_init(&thread_start, NULL, NR_THREADS);
	for (i = 0; i < NR_THREADS; i++)
		pthread_create(&threads[i], NULL, retrieve_all, NULL);
	for (i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	check(thread_good == NR_THREADS * THREAD_FILES);
	/* Each was made only once. */
	check(nr_calls("retrieve") - before == THREAD_FILES);
	check(luo_finish(thread_session) == 0);
}

static void half(const char *test)
{
	int session = luo_retrieve(device, test);
	long before = nr_calls("finish");

	check(session >= 0);
	check(nr_back(session, test, 0, 50) == 50);
	check(luo_finish(session) == 0);
	check(nr_calls("finish") - before == 100);
	check(luo_retrieve_fd(session, token_of(60)) == -EINVAL);
}

static void given_back(const char *test)
{
	int session = luo_retrieve(device, test), status;
	long before = nr_calls("finish");
	pid_t pid;

	check(session >= 0);
	check(nr_back(session, test, 0, 3) == 3);
	close(session);
	check(nr_calls("finish") == before);

	/* Also when that was because somebody died. */
	pid = fork();
	if (!pid) {
		luo_retrieve(device, test);
		raise(SIGKILL);
	}
	waitpid(pid, &status, 0);

	session = luo_retrieve(device, test);
	check(session >= 0);
	check(nr_back(session, test, 0, 10) == 10);

	/* It has served, even if nobody has said so. */
	close(session);
	check(nr_calls("finish") - before == 10);
	check(luo_retrieve(device, test) == -ENOENT);
}

static void cannot_finish(const char *test)
{
	const struct liveupdate_session_retrieve_fd unknown = { .token = 4711 };
	struct liveupdate_session_finish finish = { .size = sizeof(finish), .reserved = 1 };
	int session = luo_retrieve(device, test);

	check(session >= 0);
	check(luo_ioctl(session, LIVEUPDATE_SESSION_FINISH, &finish) == -EINVAL);
	write_number(TEST_DIR "cannot_finish", 1);
	check(luo_finish(session) == -EBUSY);
	finish.reserved = 0;
	sizes(test, session, LIVEUPDATE_SESSION_FINISH, &finish, sizeof(finish), -EBUSY);
	sizes(test, session, LIVEUPDATE_SESSION_RETRIEVE_FD, &unknown, sizeof(unknown),
	      -ENOENT);

	/* Nobody needs the handler for that. */
	check(write_number(TEST_DIR "registered", 0) == 0);
	check(write_number(TEST_DIR "registered", 1) == 0);
	check(nr_back(session, test, 0, 10) == 10);

	/* Nor by closing it. */
	close(session);
	session = luo_retrieve(device, test);
	check(session >= 0);
	check(luo_finish(session) == -EBUSY);
	check(nr_back(session, test, 0, 10) == 10);
	write_number(TEST_DIR "cannot_finish", 0);
	check(luo_finish(session) == 0);
}

static void fails(const char *test)
{
	int session = luo_retrieve(device, test);

	check(session >= 0);
	write_number(TEST_DIR "fail_retrieve", 1);
	check(luo_retrieve_fd(session, token_of(4)) == -EIO);
	/* That was its only chance. */
	check(luo_retrieve_fd(session, token_of(4)) == -EIO);
	check(nr_back(session, test, 0, 5) == 4);

	/* Another one is called as long as it fails, and stays. */
	check(write_text(TEST_DIR "retriable", "1") == 0);
	write_number(TEST_DIR "fail_retrieve", 2);
	check(luo_retrieve_fd(session, token_of(5)) == -EIO);
	check(luo_retrieve_fd(session, token_of(5)) == -EIO);
	check(read_number(TEST_DIR "fail_retrieve") == 0);
	check(nr_back(session, test, 5, 7) == 2);
	write_number(TEST_DIR "fail_retrieve", 1);
	check(luo_retrieve_fd(session, token_of(7)) == -EIO);
	check(write_text(TEST_DIR "retriable", "0") == 0);

	/* One of which the last call has failed can be given up. */
	write_number(TEST_DIR "cannot_finish", 1);
	check(luo_finish(session) == -EBUSY);
	write_number(TEST_DIR "cannot_finish", 0);
	check(nr_back(session, test, 8, 10) == 2);
	check(luo_finish(session) == 0);
	check(write_number(TEST_DIR "registered", 0) == 0);
	check(write_number(TEST_DIR "registered", 1) == 0);
}

static void no_handler(const char *test)
{
	int session = luo_retrieve(device, test);

	check(session >= 0);
	check(write_number(TEST_DIR "registered", 0) == 0);
	check(luo_retrieve_fd(session, token_of(4)) == -EOPNOTSUPP);
	check(luo_retrieve_fd(session, 4711) == -ENOENT);
	check(write_number(TEST_DIR "registered", 1) == 0);
	check(nr_back(session, test, 0, 10) == 10);
	check(write_number(TEST_DIR "registered", 0) == -EBUSY);
	check(luo_finish(session) == 0);
	check(write_number(TEST_DIR "registered", 0) == 0);
	check(write_number(TEST_DIR "registered", 1) == 0);
}

/* Its memory cannot be freed, but nothing else suffers. */
static void lost(const char *test)
{
	int session = luo_retrieve(device, test);

	check(session >= 0);
	check(write_number(TEST_DIR "registered", 0) == 0);
	check(luo_finish(session) == 0);
	check(write_number(TEST_DIR "registered", 1) == 0);
	check(luo_retrieve(device, test) == -ENOENT);
}

/* Who cannot be told the descriptor has retrieved nothing. */
static void read_only_argument(const char *test)
{
	struct liveupdate_ioctl_retrieve_session session_arg = {
		.size = sizeof(session_arg),
	};
	struct liveupdate_session_retrieve_fd file_arg = {
		.size = sizeof(file_arg),
		.token = token_of(0),
	};
	struct liveupdate_session_finish finish_arg = { .size = sizeof(finish_arg) };
	int session;

	luo_set_name(session_arg.name, test);
	check(luo_ioctl(device, LIVEUPDATE_IOCTL_RETRIEVE_SESSION,
			read_only(&session_arg, sizeof(session_arg))) == -EFAULT);
	session = luo_retrieve(device, test);
	check(session >= 0);

	check(luo_ioctl(session, LIVEUPDATE_SESSION_RETRIEVE_FD,
			read_only(&file_arg, sizeof(file_arg))) == -EFAULT);
	close(session);
	session = luo_retrieve(device, test);
	check(session >= 0);
	check(nr_back(session, test, 0, 1) == 1);
	check(luo_ioctl(session, LIVEUPDATE_SESSION_FINISH,
			read_only(&finish_arg, sizeof(finish_arg))) == 0);
	check(luo_finish(session) == -EINVAL);
}

static void empty(const char *test)
{
	struct liveupdate_ioctl_retrieve_session arg = { .size = sizeof(arg) };
	int session;

	/* It would be finished when it is closed. */
	luo_set_name(arg.name, test);
	check(luo_ioctl(device, LIVEUPDATE_IOCTL_RETRIEVE_SESSION,
			read_only(&arg, sizeof(arg))) == -EFAULT);

	session = luo_retrieve(device, test);
	check(session >= 0);
	check(luo_retrieve_fd(session, 0) == -ENOENT);
	check(luo_finish(session) == 0);
}

static void thousand(const char *test)
{
	char name[64];
	int i, session, good = 0;

	for (i = 0; i < 1000; i++) {
		sprintf(name, "many %d", i);
		session = luo_retrieve(device, name);
		good += session >= 0 && nr_back(session, name, 0, 1) == 1 &&
			!luo_finish(session);
		close(session);
	}
	check(good == 1000);
}

static void large(const char *test)
{
	int session = luo_retrieve(device, test);

	check(session >= 0);
	check(nr_back(session, test, 0, 10000) == 10000);
	check(luo_finish(session) == 0);
}

#define UNCLAIMED_FILE	" size 4096 state unclaimed kind luo-test-v1\n"

static void *retrieve_last(void *session)
{
	return (void *)(long)luo_retrieve_fd(*(int *)session, token_of(9));
}

static void *finish_slowly(void *session)
{
	return (void *)(long)luo_finish(*(int *)session);
}

/* What sysfs tells of an incoming session, in each of its states. */
static void see_states(const char *test)
{
	void *file, *finished;
	pthread_t thread, other;
	int session, status;
	pid_t pid;

	check(nr_lines_with(SESSIONS_IN,
			    "files 10 retrieved 0 state unclaimed name listed\n") == 1);
	session = luo_retrieve(device, test);
	check(session >= 0);
	check(nr_lines_with(SESSIONS_IN,
			    "files 10 retrieved 0 state claimed name listed\n") == 1);

	/* Two readers that need long do not take each other for a retrieve. */
	write_number(TEST_DIR "size_ms", 10);
	pid = fork();
	if (!pid)
		_exit(nr_lines_with(SESSIONS_IN, "state retrieving"));
	check(nr_lines_with(SESSIONS_IN, "state retrieving") == 0);
	check(waitpid(pid, &status, 0) == pid && status == 0);

	/* Nor is the handler in use by that. */
	pid = fork();
	if (!pid)
		_exit(nr_lines_with(SESSIONS_IN, UNCLAIMED_FILE) == 0);
	usleep(50000);
	check(write_number(TEST_DIR "registered", 0) == 0);
	check(nr_lines_with(SESSIONS_IN, UNCLAIMED_FILE) == 0);
	check(write_number(TEST_DIR "registered", 1) == 0);
	check(waitpid(pid, &status, 0) == pid && status == 0);
	write_number(TEST_DIR "size_ms", 0);

	write_number(TEST_DIR "fail_retrieve", 1);
	check(luo_retrieve_fd(session, token_of(4)) == -EIO);
	check(nr_lines_with(SESSIONS_IN, " size - state failed kind luo-test-v1\n") == 1);

	/* Neither is waited for: a file that is retrieved, and a session that is finished. */
	write_number(TEST_DIR "retrieve_ms", 3000);
	pthread_create(&thread, NULL, retrieve_last, &session);
	check(appears(SESSIONS_IN, " size - state retrieving kind luo-test-v1\n"));
	pthread_create(&other, NULL, finish_slowly, &session);
	check(appears(SESSIONS_IN, "retrieved 0 state busy name listed\n"));
	pthread_join(thread, &file);
	pthread_join(other, &finished);
	write_number(TEST_DIR "retrieve_ms", 0);
	check((long)file >= 0);
	check((long)finished == 0);
	check(nr_lines_with(SESSIONS_IN, "name listed\n") == 0);
}

#define SHARING_DIR	"/sys/kernel/debug/luo_flb_test/"

static long nr_shared(const char *op)
{
	return number_of(SHARING_DIR "calls", op);
}

static void make_sharing(const char *name, int nr)
{
	int session = open_session(luo_create(device, name), name);
	int file, i;

	for (i = 0; i < nr; i++) {
		file = open(i % 2 ? SHARING_TOO : SHARING_DEVICE, O_RDWR);
		preserve(session, file, i);
		close(file);
	}
}

/* Before the kexec. Closes its sessions, and those that are kept have the object. */
static void share(const char *test)
{
	long before = nr_shared("preserve");
	int session = luo_create(device, "sharing now"), other = luo_create(device, "later");
	int file = open(SHARING_DEVICE, O_RDWR), second = open(SHARING_TOO, O_RDWR);

	/* A file without what it shares is not preserved. */
	write_number(SHARING_DIR "fail", 1);
	check(luo_preserve_fd(session, file, 1) == -EIO);
	check(nr_shared("preserve") == before);

	/* Nor is it kept for a file that is not preserved. */
	write_number(SHARING_DIR "fail_file", 1);
	check(luo_preserve_fd(session, file, 1) == -EIO);
	check(nr_shared("preserve") == before + 1);
	check(nr_shared("unpreserve") == before + 1);

	check(luo_preserve_fd(session, file, 1) == 0);
	check(luo_preserve_fd(other, second, 1) == 0);
	check(nr_shared("preserve") == before + 2);
	check(read_number(SHARING_DIR "unregister") == EBUSY);
	/* The other handler still has a file. */
	close(session);
	check(nr_shared("unpreserve") == before + 1);
	/* And then somebody else uses it. */
	check(write_number(SHARING_DIR "hold_outgoing", 1) == 0);
	close(other);
	check(nr_shared("unpreserve") == before + 1);
	check(write_number(SHARING_DIR "hold_outgoing", 0) == 0);
	check(nr_shared("unpreserve") == before + 2);
	check(write_number(SHARING_DIR "hold_outgoing", 1) == -ENOENT);
	check(read_number(SHARING_DIR "errors") == 0);
}

struct retrieve {
	pthread_t thread;
	int session;
	int result;
};

static void *retrieve_shared(void *arg)
{
	struct retrieve *retrieve = arg;

	__atomic_store_n(&retrieve->result, luo_retrieve_fd(retrieve->session, 1),
			 __ATOMIC_RELAXED);
	return NULL;
}

/* To retrieve the object takes long. Who gives up a file that shares it does not wait. */
static void finish_meanwhile(const char *test, int session)
{
	struct retrieve retrieve = { .session = session, .result = -EBUSY };
	int other = luo_retrieve(device, "sharing briefly");

	check(other >= 0);
	write_number(SHARING_DIR "retrieve_ms", 3000);
	pthread_create(&retrieve.thread, NULL, retrieve_shared, &retrieve);
	check(appears(SESSIONS_IN, " state retrieving kind luo-test-sharing-too-v1\n"));
	check(luo_finish(other) == 0);
	close(other);
	check(__atomic_load_n(&retrieve.result, __ATOMIC_RELAXED) == -EBUSY);
	pthread_join(retrieve.thread, NULL);
	check(retrieve.result >= 0);
	write_number(SHARING_DIR "retrieve_ms", 0);
}

static void see_sharing(const char *test)
{
	int session = luo_retrieve(device, test), other;

	check(session >= 0);
	check(nr_shared("retrieve") == 0);
	finish_meanwhile(test, session);
	check(nr_shared("retrieve") == 1);
	check(luo_retrieve_fd(session, 1) >= 0);
	check(luo_retrieve_fd(session, 0) >= 0);
	check(nr_shared("retrieve") == 1);
	check(nr_shared("incoming_files") == 6);
	check(luo_finish(session) == 0);
	check(nr_shared("finish") == 0);

	/* The last of its files is in another session, and of the other handler. */
	other = luo_retrieve(device, "sharing too");
	check(other >= 0);
	check(write_number(SHARING_DIR "hold_incoming", 1) == 0);
	check(luo_finish(other) == 0);
	check(nr_shared("retrieve") == 1);
	check(nr_shared("finish") == 0);
	/* Somebody has used it a little longer. */
	check(write_number(SHARING_DIR "hold_incoming", 0) == 0);
	check(nr_shared("finish") == 1);
	check(write_number(SHARING_DIR "hold_incoming", 1) == -ENOENT);
	check(read_number(SHARING_DIR "errors") == 0);
}

/* What nobody has asked for is freed, too. */
static void unasked(const char *test)
{
	int session = luo_retrieve(device, test);

	check(session >= 0);
	check(luo_finish(session) == 0);
	check(nr_shared("retrieve") == 1);
	check(nr_shared("incoming_files") == 4);
	check(nr_shared("finish") == 1);
	check(read_number(SHARING_DIR "errors") == 0);
}

/* It has one chance. */
static void failing(const char *test)
{
	int session = luo_retrieve(device, test);

	check(session >= 0);
	/* Unless it says that it can be called again. */
	check(write_text(SHARING_DIR "retriable", "1") == 0);
	write_number(SHARING_DIR "fail", 3);
	check(write_number(SHARING_DIR "hold_incoming", 1) == -EIO);
	check(write_number(SHARING_DIR "hold_incoming", 1) == -EIO);
	check(read_number(SHARING_DIR "fail") == 1);
	check(write_text(SHARING_DIR "retriable", "0") == 0);

	check(luo_retrieve_fd(session, 0) == -EIO);
	check(read_number(SHARING_DIR "fail") == 0);
	check(luo_retrieve_fd(session, 1) == -EIO);
	check(write_number(SHARING_DIR "hold_incoming", 1) == -EIO);
	check(luo_finish(session) == 0);
	check(nr_shared("retrieve") == 0);
	check(nr_shared("finish") == 0);
	check(read_number(SHARING_DIR "errors") == 0);
}

#define REFERENCES	"/sys/module/luo_test/refcnt"

/* The handler of a file is a module: one for the file, and one for its handler. */
static void module(const char *test)
{
	int session = luo_retrieve(device, test), file;

	check(luo_retrieve_fd(session, token_of(0)) == -EOPNOTSUPP);
	check(system("insmod /usr/bin/luo_test.ko") == 0);
	check(read_number(REFERENCES) == 0);
	file = luo_retrieve_fd(session, token_of(0));
	check(luo_is_test_file(file, test, token_of(0)));
	check(read_number(REFERENCES) == 2);
	check(system("rmmod luo_test 2> /dev/null") != 0);
	check(luo_finish(session) == 0);
	check(read_number(REFERENCES) == 1);
	close(file);
	close(session);
	check(read_number(REFERENCES) == 0);
	check(system("rmmod luo_test") == 0);
}

struct call {
	pthread_t thread;
	int session;
	long result;
	atomic_int tid;
};

static void *call_reboot(void *arg)
{
	struct call *call = arg;

	call->tid = syscall(SYS_gettid);
	call->result = reboot(RB_KEXEC) ? -errno : 0;
	return NULL;
}

static void *call_preserve(void *arg)
{
	struct call *call = arg;
	int file = luo_test_file("slow", 1);

	call->tid = syscall(SYS_gettid);
	call->result = luo_preserve_fd(call->session, file, 1);
	return NULL;
}

/* Whether a thread comes to sleep in the kernel, and cannot be interrupted. */
static bool comes_to_sleep(const struct call *call)
{
	char path[64], state = 0;
	FILE *file;
	int tries;

	for (tries = 0; tries < 200 && state != 'D'; tries++) {
		usleep(10000);
		if (!call->tid)
			continue;
		sprintf(path, "/proc/%d/stat", call->tid);
		file = fopen(path, "r");
		if (!file)
			return false;
		if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
			state = 0;
		fclose(file);
	}

	return state == 'D';
}

static bool becomes(const char *op, long nr)
{
	int tries;

	for (tries = 0; tries < 500 && nr_calls(op) != nr; tries++)
		usleep(10000);
	return nr_calls(op) == nr;
}

#define NR_CLOSED	5

/*
 * Before the kexec, when an image without a handover is loaded: a session is closed while
 * the reboot waits for another one. Its files do not count in what the reboot refuses.
 */
static void closed_while_waiting(const char *test)
{
	int session = make_session(test, NR_CLOSED);
	struct call preserve = { .session = luo_create(device, "slow") }, try = {};
	long before = nr_calls("unpreserve");

	write_number(TEST_DIR "preserve_ms", 4000);
	pthread_create(&preserve.thread, NULL, call_preserve, &preserve);
	check(comes_to_sleep(&preserve));
	pthread_create(&try.thread, NULL, call_reboot, &try);
	check(comes_to_sleep(&try));
	usleep(500000);
	close(session);
	check(nr_calls("unpreserve") == before);
	check(!preserve.result && !try.result);
	pthread_join(try.thread, NULL);
	check(try.result == -EBUSY);
	check(nr_calls("unpreserve") == before + NR_CLOSED);
	pthread_join(preserve.thread, NULL);
	check(preserve.result == 0);
	write_number(TEST_DIR "preserve_ms", 0);
}

/* One is closed when files are frozen, and released although nobody asks for anything. */
static void closed_while_frozen(const char *test)
{
	int session = make_session(test, NR_CLOSED), tries;
	long before = nr_calls("unpreserve");
	struct call try = {};

	write_number(TEST_DIR "fail_after_ms", 2000);
	write_number(TEST_DIR "fail_freeze", 1);
	pthread_create(&try.thread, NULL, call_reboot, &try);
	for (tries = 0; tries < 500 && read_number(TEST_DIR "fail_freeze"); tries++)
		usleep(10000);
	close(session);
	check(nr_calls("unpreserve") == before);
	check(!try.result);
	pthread_join(try.thread, NULL);
	check(try.result == -EAGAIN);
	check(becomes("unpreserve", before + NR_CLOSED));
	write_number(TEST_DIR "fail_after_ms", 0);
}

/* It is not handed over. */
static void close_late(void)
{
	int session = make_session("late", 1);
	long before = nr_calls("prepare");

	printf("ok a session is kept for now\n");
	fflush(stdout);
	if (fork())
		_exit(0);

	setsid();
	close(device);
	close(1);
	close(2);
	while (nr_calls("prepare") == before)
		usleep(10000);
	close(session);
	say_at_the_end("a session is closed", nr_calls("prepare") == before + 1);
	while (1)
		pause();
}

static const struct {
	const char *name;
	void (*run)(const char *test);
} tests[] = {
	{ "closed while waiting", closed_while_waiting },
	{ "closed while frozen", closed_while_frozen },
	{ "share", share },
	{ "sharing", see_sharing },
	{ "unasked", unasked },
	{ "failing", failing },
	{ "all", all },
	{ "threads", several_threads },
	{ "half", half },
	{ "given back", given_back },
	{ "cannot finish", cannot_finish },
	{ "fails", fails },
	{ "no handler", no_handler },
	{ "lost", lost },
	{ "read-only", read_only_argument },
	{ "empty", empty },
	{ "many", thousand },
	{ "large", large },
	{ "listed", see_states },
	{ "module", module },
	{}
};

static void run(const char *name)
{
	unsigned int i;

	for (i = 0; tests[i].name; i++) {
		if (!strcmp(tests[i].name, name)) {
			tests[i].run(name);
			return;
		}
	}

	die(name);
}

static void again(const char *name, int nr)
{
	int session = luo_retrieve(device, name);
	int next = luo_create(device, name);
	int i, file, good = 0;

	for (i = 0; i < nr; i++) {
		file = luo_retrieve_fd(session, token_of(i));
		good += luo_is_test_file(file, name, token_of(i)) &&
			!luo_preserve_fd(next, file, token_of(i));
		close(file);
	}
	failed |= good != nr || luo_finish(session);
	printf("%s all files of %s are handed on\n", failed ? "not ok" : "ok", name);
}

/* Without retrieving any of its files. */
static void finish_unread(const char *name)
{
	int session = luo_retrieve(device, name);

	if (session < 0 || luo_finish(session))
		failed = 1;
	printf("%s %s is finished\n", failed ? "not ok" : "ok", name);
	close(session);
}

int main(int argc, char **argv)
{
	char name[64];
	int i;

	open_device(20000);
	if (argc == 3 && !strcmp(argv[1], "after")) {
		run(argv[2]);
	} else if (argc == 4 && !strcmp(argv[1], "again")) {
		again(argv[2], atoi(argv[3]));
		keep_running();
	} else if (argc >= 2 && !strcmp(argv[1], "finish")) {
		for (i = 2; i < argc; i++)
			finish_unread(argv[i]);
	} else if (argc == 3 && !strcmp(argv[1], "hold")) {
		if (luo_retrieve(device, argv[2]) < 0)
			die(argv[2]);
		printf("ok session %s is held\n", argv[2]);
		keep_running();
	} else if (argc >= 2 && !strcmp(argv[1], "keep")) {
		for (i = 2; i + 1 < argc; i += 2)
			make_session(argv[i], atoi(argv[i + 1]));
		printf("ok sessions are kept\n");
		keep_running();
	} else if (argc >= 2 && !strcmp(argv[1], "keep-sharing")) {
		for (i = 2; i + 1 < argc; i += 2)
			make_sharing(argv[i], atoi(argv[i + 1]));
		printf("ok sessions are kept\n");
		keep_running();
	} else if (argc == 4 && !strcmp(argv[1], "holes")) {
		keep_holes(argv[2], atoi(argv[3]));
		printf("ok a session is kept\n");
		keep_running();
	} else if (argc == 2 && !strcmp(argv[1], "close-late")) {
		close_late();
	} else if (argc == 2 && !strcmp(argv[1], "end")) {
		at_the_end();
	} else if (argc == 4 && !strcmp(argv[1], "churn")) {
		churn(argv[2], atoi(argv[3]));
	} else if (argc == 3 && !strcmp(argv[1], "keep-many")) {
		for (i = 0; i < atoi(argv[2]); i++) {
			sprintf(name, "many %d", i);
			make_session(name, 1);
		}
		printf("ok sessions are kept\n");
		keep_running();
	} else {
		die("usage");
	}

	return failed;
}
