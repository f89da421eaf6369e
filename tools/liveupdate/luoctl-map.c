// SPDX-License-Identifier: GPL-2.0-only
/*
 * luoctl map: physical memory as a picture, or as ranges.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "luoctl.h"

/* Kinds of memory; a character of the picture shows the last one of these that it has. */
enum layer { RAM, SCRATCH, KERNEL, UNCLAIMED, PRESERVED, NR_LAYERS };

static const struct {
	char mark;
	const char *key;
	const char *title;
} layers[NR_LAYERS] = {
	[RAM] = { '.', "ram", "RAM" },
	[SCRATCH] = { 's', "scratch", "scratch" },
	[KERNEL] = { 'K', "kernel", "kernel" },
	[UNCLAIMED] = { 'u', "unclaimed", "unclaimed, from the previous kernel" },
	[PRESERVED] = { '#', "preserved", "preserved for the next kernel" },
};

struct range {
	uint64_t start;
	uint64_t end;	/* after the last byte */
};

struct ranges {
	struct range *range;
	size_t nr;
	uint64_t bytes;
};

static struct ranges map[NR_LAYERS];

/* Ranges that follow each other become one. */
static void add_range(enum layer layer, uint64_t start, uint64_t last)
{
	struct ranges *ranges = &map[layer];

	ranges->bytes += last + 1 - start;
	if (ranges->nr && ranges->range[ranges->nr - 1].end == start) {
		ranges->range[ranges->nr - 1].end = last + 1;
		return;
	}

	if (!(ranges->nr & (ranges->nr - 1))) {
		ranges->range = reallocarray(ranges->range, ranges->nr ? ranges->nr * 2 : 1,
					     sizeof(*ranges->range));
		if (!ranges->range)
			fail(EXIT_FAILED, ENOMEM, "map");
	}
	ranges->range[ranges->nr++] = (struct range){ start, last + 1 };
}

static void read_ranges(enum layer layer, const char *path)
{
	uint64_t start, last;
	FILE *file = fopen(path, "re");
	char line[128];

	/* Without a handover there is no directory for it. */
	if (!file && errno == ENOENT && layer == UNCLAIMED)
		return;
	if (!file)
		fail(EXIT_FAILED, errno, "%s", path);

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &last) != 2)
			fail(EXIT_FAILED, 0, "%s is not understood", path);
		add_range(layer, start, last);
	}
	if (ferror(file))
		fail(EXIT_FAILED, errno, "%s", path);
	fclose(file);
}

static void read_iomem(void)
{
	uint64_t start, last;
	FILE *file = fopen("/proc/iomem", "re");
	char line[256], name[128];

	if (!file)
		fail(EXIT_FAILED, errno, "/proc/iomem");

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " : %127[^\n]", &start, &last, name) != 3)
			continue;
		/* "System RAM (kmem)" is memory of a device, as of CXL, that the kernel uses. */
		if (!strcmp(name, "System RAM") ||
		    !strncmp(name, "System RAM (", strlen("System RAM (")))
			add_range(RAM, start, last);
		else if (!strncmp(name, "Kernel ", strlen("Kernel ")))
			add_range(KERNEL, start, last);
	}
	fclose(file);

	/* Others see zeros. */
	if (!map[RAM].nr || map[RAM].range[0].end <= 1)
		fail(EXIT_FAILED, 0, "only root can see addresses in /proc/iomem");
}

static unsigned int terminal_width(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_col < 40)
		return 80;

	return size.ws_col;
}

/* Memory of one character: so much that there are 16 rows or less, but for the gaps. */
#define MAX_ROWS	16

static uint64_t cell_size(unsigned int width)
{
	uint64_t cell = 1 << 20;

	while (map[RAM].bytes / cell > (uint64_t)width * MAX_ROWS)
		cell *= 2;

	return cell;
}

static void draw_row(uint64_t begin, uint64_t cell, unsigned int width, size_t at[NR_LAYERS])
{
	uint64_t end = begin + cell * width, from, to;
	char row[512];
	const struct range *range;
	unsigned int layer;
	bool empty = true;

	memset(row, ' ', width);
	row[width] = '\0';
	for (layer = 0; layer < NR_LAYERS; layer++) {
		/* Those before this row are not needed any more. */
		while (at[layer] < map[layer].nr && map[layer].range[at[layer]].end <= begin)
			at[layer]++;
		for (range = map[layer].range + at[layer];
		     range < map[layer].range + map[layer].nr && range->start < end; range++) {
			from = range->start > begin ? range->start - begin : 0;
			to = (range->end < end ? range->end : end) - begin;
			for (from /= cell; from * cell < to; from++)
				row[from] = layers[layer].mark;
			empty = false;
		}
	}

	if (!empty)
		printf("%9" PRIu64 " MiB |%s|\n", begin >> 20, row);
}

static int by_start(const void *a, const void *b)
{
	const struct range *left = a, *right = b;

	return left->start < right->start ? -1 : left->start > right->start;
}

static void draw(void)
{
	size_t at[NR_LAYERS] = {};
	unsigned int columns = terminal_width(), width, layer;
	uint64_t begin, end = 0, cell;

	width = columns - 17 < 64 ? columns - 17 : 64;
	cell = cell_size(width);
	for (layer = 0; layer < NR_LAYERS; layer++) {
		qsort(map[layer].range, map[layer].nr, sizeof(struct range), by_start);
		if (map[layer].nr && map[layer].range[map[layer].nr - 1].end > end)
			end = map[layer].range[map[layer].nr - 1].end;
	}

	printf("Physical memory, %s a character:\n\n", human(cell));
	for (begin = 0; begin < end; begin += cell * width)
		draw_row(begin, cell, width, at);
	putchar('\n');
	for (layer = NR_LAYERS; layer--; )
		printf("  %c  %s, %s\n", layers[layer].mark, layers[layer].title,
		       human(map[layer].bytes));
}

static void print_json(void)
{
	unsigned int layer;
	char address[24];
	size_t i;

	json_open(NULL, '{');
	for (layer = 0; layer < NR_LAYERS; layer++) {
		json_open(layers[layer].key, '[');
		for (i = 0; i < map[layer].nr; i++) {
			json_open(NULL, '{');
			sprintf(address, "0x%" PRIx64, map[layer].range[i].start);
			json_string("start", address);
			json_number("bytes", map[layer].range[i].end - map[layer].range[i].start);
			json_close();
		}
		json_close();
	}
	json_close();
	json_print();
}

static int cmd_map(int argc, char **argv)
{
	only_arguments(argc, argv, 0, 0);
	need_live_update();
	read_iomem();
	read_ranges(SCRATCH, KHO_DIR "scratch");
	read_ranges(UNCLAIMED, KHO_DIR "incoming/ranges");
	read_ranges(PRESERVED, KHO_DIR "outgoing/ranges");
	if (json)
		print_json();
	else
		draw();

	return EXIT_OK;
}

const struct verb map_verb = {
	.name = "map",
	.usage = "",
	.help = "Draw where in physical memory scratch and what is handed over are.\n",
	.run = cmd_map,
};
