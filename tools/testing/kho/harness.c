// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run the tests that are linked into a program, and report as TAP.
 */

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

#define MAX_TESTS	256
/* The larger the nodes, the longer takes each operation. */
#define DEFAULT_NR_OPS	(10000UL * 4096 / PAGE_SIZE)
#define DEFAULT_TIMEOUT	60

static struct {
	const char *name;
	void (*fn)(void);
} tests[MAX_TESTS];
static unsigned int nr_tests;

u64 test_seed;
unsigned long test_nr_ops = DEFAULT_NR_OPS;
void (*test_on_failure)(void);

static __thread u64 rand_state;

void test_register(const char *name, void (*fn)(void))
{
	if (nr_tests == MAX_TESTS)
		abort();

	tests[nr_tests].name = name;
	tests[nr_tests].fn = fn;
	nr_tests++;
}

void test_fail(const char *file, int line, const char *fmt, ...)
{
	va_list args;

	if (test_on_failure)
		test_on_failure();

	printf("# %s:%d: ", file, line);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	_exit(1);
}

void test_srand(u64 seed)
{
	rand_state = seed;
}

/* SplitMix64: any seed will do, also one that counts. */
u64 test_rand(void)
{
	u64 z = rand_state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static void run_here(void (*fn)(void))
{
	shim_reset();
	test_srand(test_seed);
	fn();

	test_on_failure = NULL;
	EXPECT_EQ(shim_live(), 0);
	EXPECT_EQ(shim_take_warnings(), 0);
	EXPECT_EQ(shim_take_messages(), 0);
}

/* In a process of its own, so that it cannot spoil those that follow. */
static bool run_test(void (*fn)(void), unsigned int timeout)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		alarm(timeout);
		run_here(fn);
		exit(0);
	}

	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		perror("cannot run the test");
		exit(2);
	}

	if (WIFSIGNALED(status))
		printf("# killed by signal %d%s\n", WTERMSIG(status),
		       WTERMSIG(status) == SIGALRM ? ": it took too long" : "");

	return WIFEXITED(status) && !WEXITSTATUS(status);
}

static int print_usage(const char *name)
{
	fprintf(stderr,
		"usage: %s [-l] [-v] [-s SEED] [-n OPERATIONS] [-t SECONDS] [TEST...]\n"
		"  -l  list the tests\n"
		"  -v  show what the kernel code logs\n"
		"  -s  seed of what is random; by default another one each time\n"
		"  -n  number of random operations, %lu by default\n"
		"  -t  how long a test may take, %d by default; 0 is for ever\n",
		name, DEFAULT_NR_OPS, DEFAULT_TIMEOUT);
	return 2;
}

static bool parse_number(const char *s, u64 *value)
{
	char *end;

	errno = 0;
	*value = strtoull(s, &end, 0);
	return *s && !*end && !errno;
}

static bool known(const char *name)
{
	unsigned int i;

	for (i = 0; i < nr_tests; i++) {
		if (!strcmp(tests[i].name, name))
			return true;
	}

	return false;
}

static bool wanted(const char *name, char **names)
{
	char **n;

	for (n = names; *n; n++) {
		if (!strcmp(*n, name))
			return true;
	}

	return n == names;
}

int main(int argc, char **argv)
{
	unsigned int i, nr = 0, nr_wanted = 0, nr_failed = 0;
	unsigned int timeout = DEFAULT_TIMEOUT;
	bool list = false;
	u64 value;
	int opt;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (getrandom(&test_seed, sizeof(test_seed), 0) != sizeof(test_seed))
		return 2;
	test_seed >>= 32;

	while ((opt = getopt(argc, argv, "lvs:n:t:")) != -1) {
		value = 0;
		if (opt == '?' || (optarg && !parse_number(optarg, &value)))
			return print_usage(argv[0]);

		switch (opt) {
		case 'l':
			list = true;
			break;
		case 'v':
			shim_verbose = true;
			break;
		case 's':
			test_seed = value;
			break;
		case 'n':
			test_nr_ops = value;
			break;
		case 't':
			timeout = value;
			break;
		}
	}

	argv += optind;
	for (i = 0; argv[i]; i++) {
		if (!known(argv[i])) {
			fprintf(stderr, "there is no test %s\n", argv[i]);
			return 2;
		}
	}

	for (i = 0; i < nr_tests; i++) {
		nr_wanted += wanted(tests[i].name, argv);
		if (list)
			printf("%s\n", tests[i].name);
	}
	if (list)
		return 0;

	printf("TAP version 13\n1..%u\n# seed %#llx\n", nr_wanted,
	       (unsigned long long)test_seed);
	for (i = 0; i < nr_tests; i++) {
		bool ok;

		if (!wanted(tests[i].name, argv))
			continue;

		ok = run_test(tests[i].fn, timeout);
		nr_failed += !ok;
		printf("%sok %u %s\n", ok ? "" : "not ", ++nr, tests[i].name);
	}

	printf("# %u passed, %u failed\n", nr - nr_failed, nr_failed);
	return nr_failed || !nr;
}
