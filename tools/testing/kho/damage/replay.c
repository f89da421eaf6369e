// SPDX-License-Identifier: GPL-2.0-only
/*
 * Boot with a handover that lies in a file, as far as the kernel checks handovers.
 *
 *	replay RAM
 *
 * The offsets in the file RAM are physical addresses. Lines of standard input tell the
 * rest, with numbers in hexadecimal:
 *
 *	ram START END		there is RAM
 *	used START END		this kernel or firmware uses this memory
 *	sender FDT SIZE ARRAY SIZE
 *				this kernel hands over what is in RAM now, which is in
 *				order: its own checks are made before the others
 *	boot FDT SIZE ARRAY SIZE
 *				boot with this root FDT and this array of scratch areas
 *
 * Each boot is a process of its own, which sees RAM as it is at that time and changes
 * nothing in the file. The boot writes the messages of the kernel and what is wrong
 * to standard output and error. At the end of the boot the program writes the line
 * "end STATUS", with 0 if the kernel has done what it should: see ../fuzz/judge.c.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/memblock.h>
#include <linux/sizes.h>

#include "fuzz.h"

/* A boot takes some milliseconds. */
#define MAX_SECONDS	10

/* Memory that x86 uses only after kho_populate(): the first MiB without its ends. */
#define LOW_START	SZ_64K
#define LOW_END		0xa0000UL

static struct verdict verdict;
static int ram_fd;
static size_t ram_size;

static void protect(unsigned long page, unsigned long end, int prot)
{
	if (mprotect(mem_virt(page), PFN_PHYS(end - page), prot))
		FAIL("mprotect()");
}

/* Before all has been checked the kernel writes to nothing but scratch. */
static void protect_all_but_scratch(void)
{
	unsigned long page, end;

	protect(0, mem_end, PROT_READ);
	for (page = 0; page < mem_end; page = end) {
		end = page + 1;
		if (!(verdict.keep[page] & PAGE_SCRATCH))
			continue;
		while (end < mem_end && verdict.keep[end] & PAGE_SCRATCH)
			end++;
		protect(page, end, PROT_READ | PROT_WRITE);
	}
}

/* As arch/x86/kernel/setup.c does it. */
void take_over(void)
{
	protect_all_but_scratch();
	memblock_phys_free(LOW_START, LOW_END - LOW_START);

	memblock_mark_kho_scratch(0, SZ_1M);
	kho_populate(handover.fdt, handover.fdt_len, handover.scratch,
		     handover.scratch_len);
	memblock_reserve(LOW_START, LOW_END - LOW_START);
	memblock_clear_kho_scratch(0, SZ_1M);
	kho_reserve_preserved();

	protect(0, mem_end, PROT_READ | PROT_WRITE);
}

static void map_ram(void)
{
	if (mmap(mem_virt(0), ram_size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_FIXED, ram_fd, 0) == MAP_FAILED)
		FAIL("cannot map the file");
}

static void see_handover(const u64 *args)
{
	handover.fdt = args[0];
	handover.fdt_len = args[1];
	handover.scratch = args[2];
	handover.scratch_len = args[3];
	/* Wherever it is: nobody may change that. */
	handover.fdt_page = phys_page(handover.fdt) % MEM_PAGES;

	map_ram();
}

static void boot(const u64 *args)
{
	see_handover(args);
	ref_check(&handover, &verdict);
	check_out_compare(&handover, &verdict);
	printf("reference: %s\n", verdict.problem ?: "in order");
	judge(&verdict);
}

static int boot_apart(const u64 *args)
{
	static const struct rlimit limit = { MAX_SECONDS, MAX_SECONDS };
	int status;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		FAIL("cannot fork");

	if (!pid) {
		setrlimit(RLIMIT_CPU, &limit);
		boot(args);
		fflush(stdout);
		_exit(0);
	}

	if (waitpid(pid, &status, 0) != pid)
		FAIL("cannot wait");

	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void command(const char *line)
{
	unsigned long long n[4] = {};
	u64 args[4];
	char word[8];
	int nr, i;

	nr = sscanf(line, "%7s %llx %llx %llx %llx", word, &n[0], &n[1], &n[2], &n[3]);
	for (i = 0; i < 4; i++)
		args[i] = n[i];

	if (nr == 3 && !strcmp(word, "ram")) {
		mem_add_ram(PHYS_PFN(args[0]), PHYS_PFN(args[1]));
	} else if (nr == 3 && !strcmp(word, "used")) {
		mem_reserve(PHYS_PFN(args[0]), PHYS_PFN(args[1] - args[0]));
	} else if (nr == 5 && !strcmp(word, "sender")) {
		see_handover(args);
		check_out_note(&handover);
	} else if (nr == 5 && !strcmp(word, "boot")) {
		printf("end %d\n", boot_apart(args));
	} else {
		FAIL("what is '%s'?", line);
	}
}

int main(int argc, char **argv)
{
	struct stat st;
	char line[128];

	if (argc != 2) {
		fprintf(stderr, "usage: replay RAM\n");
		return 1;
	}

	ram_fd = open(argv[1], O_RDONLY);
	if (ram_fd < 0 || fstat(ram_fd, &st)) {
		perror(argv[1]);
		return 1;
	}

	ram_size = st.st_size;
	setvbuf(stdout, NULL, _IOLBF, 0);
	shim_verbose = true;
	mem_init();
	EXPECT(PHYS_PFN(ram_size) <= MEM_PAGES);
	mem_reset(0, PHYS_PFN(ram_size));

	while (fgets(line, sizeof(line), stdin))
		command(line);

	return 0;
}
