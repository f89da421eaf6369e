// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read a root FDT, by the Devicetree Specification and the formats before it, and
 * not with libfdt.
 */

#include <string.h>

#include "fuzz.h"

#define MAGIC		0xd00dfeed
#define BEGIN_NODE	1
#define END_NODE	2
#define PROP		3
#define NOP		4
#define END		9

struct parser {
	const u8 *fdt;
	unsigned int totalsize;
	unsigned int version;
	unsigned int pos, end;			/* of the structure */
	unsigned int strings, strings_end;
	struct ref_fdt *out;

	unsigned int depth;
	bool root;				/* there is one */
	bool props;				/* of the current node may follow */
	unsigned int has;			/* of HAS_* of the current node */
	bool compatible;
	struct ref_subtree subtree;
};

/* The first property of a name counts. */
#define HAS_COMPATIBLE	BIT(0)
#define HAS_MAP		BIT(1)
#define HAS_CHECKSUM	BIT(2)
#define HAS_DATA	BIT(3)
#define HAS_SIZE	BIT(4)

static u32 be32(const u8 *p)
{
	return (u32)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static u64 native64(const u8 *p)
{
	u64 value;

	memcpy(&value, p, sizeof(value));
	return value;
}

static bool in_bounds(const struct parser *p, u64 start, u64 size, u32 header_size)
{
	return start >= header_size && start + size <= p->totalsize;
}

/* Length of the string at @start, or -1 when it does not end before @end. */
static int string_length(const struct parser *p, u64 start, unsigned int end)
{
	const u8 *nul;

	if (start >= end)
		return -1;

	nul = memchr(p->fdt + start, 0, end - start);
	return nul ? nul - (p->fdt + start) : -1;
}

static const char *parse_header(struct parser *p, unsigned int len)
{
	const u8 *fdt = p->fdt;
	unsigned int header_size;
	u32 size_strings;

	if (be32(fdt) != MAGIC)
		return "magic";

	p->totalsize = be32(fdt + 4);
	p->pos = be32(fdt + 8);
	p->strings = be32(fdt + 12);
	p->version = be32(fdt + 20);
	size_strings = be32(fdt + 32);

	if (p->version < 2 || be32(fdt + 24) > 17 || be32(fdt + 24) > p->version)
		return "version";

	header_size = p->version >= 17 ? 40 : p->version >= 3 ? 36 : 32;
	if (p->totalsize > len || p->totalsize < header_size)
		return "size";

	if (!in_bounds(p, be32(fdt + 16), 0, header_size) || be32(fdt + 16) % 8)
		return "reservations";

	if (!in_bounds(p, p->strings, size_strings, header_size))
		return "strings";

	p->strings_end = p->totalsize;
	p->end = p->totalsize;
	if (p->version >= 17) {
		if (!in_bounds(p, p->pos, be32(fdt + 36), header_size))
			return "structure";
		p->strings_end = p->strings + size_strings;
		p->end = p->pos + be32(fdt + 36);
	} else if (!in_bounds(p, p->pos, 0, header_size)) {
		return "structure";
	}

	return p->pos % 4 ? "alignment" : NULL;
}

static bool lists_kho(const u8 *list, unsigned int len)
{
	unsigned int start, pos;

	if (!len || list[len - 1])
		return false;

	for (start = 0, pos = 0; pos < len; pos++) {
		if (list[pos])
			continue;
		if (!strcmp((const char *)list + start, "kho-v4"))
			return true;
		start = pos + 1;
	}

	return false;
}

static bool is_first(struct parser *p, const char *name, const char *wanted,
		     unsigned int has)
{
	if (!p->props || strcmp(name, wanted) || p->has & has)
		return false;

	p->has |= has;
	return true;
}

static const char *use_property(struct parser *p, const char *name,
				unsigned int value, unsigned int len)
{
	const u8 *data = p->fdt + value;

	if (p->depth == 1) {
		if (is_first(p, name, "compatible", HAS_COMPATIBLE)) {
			p->compatible = lists_kho(data, len);
		} else if (is_first(p, name, "preserved-memory-map", HAS_MAP)) {
			if (len != 8)
				return "size of the map's address";
			p->out->root = native64(data);
		} else if (is_first(p, name, "crc32c", HAS_CHECKSUM)) {
			if (len != 8)
				return "size of the checksum";
			p->out->checksum = native64(data);
			p->out->checksum_pos = value;
		}
	} else if (p->depth == 2) {
		if (is_first(p, name, "preserved-data", HAS_DATA)) {
			if (len != 8)
				return "size of a blob's address";
			p->subtree.phys = native64(data);
		} else if (is_first(p, name, "blob-size", HAS_SIZE)) {
			if (len != 8)
				return "size of a blob's size";
			p->subtree.size = native64(data);
		}
	}

	return NULL;
}

static const char *parse_property(struct parser *p)
{
	u64 value = p->pos + 8;
	u32 len, name;

	if (!p->depth || value > p->end)
		return "property";

	len = be32(p->fdt + p->pos);
	name = be32(p->fdt + p->pos + 4);
	/* Once, long values were aligned. */
	if (p->version < 16 && len >= 8 && value % 8)
		value += 4;
	if (value + len > p->end || name > p->totalsize ||
	    string_length(p, (u64)p->strings + name, p->strings_end) < 0)
		return "property";

	p->pos = (value + len + 3) & ~3;
	return use_property(p, (const char *)p->fdt + p->strings + name, value, len);
}

/* The root has been read as far as its properties go. */
static const char *check_root(const struct parser *p)
{
	if (!p->compatible)
		return "compatible";

	return p->has & HAS_MAP ? NULL : "map";
}

static const char *begin_node(struct parser *p)
{
	const char *name = (const char *)p->fdt + p->pos;
	int len = string_length(p, p->pos, p->end);
	const char *problem = NULL;

	if (len < 0)
		return "name";

	/* Once, names were paths. */
	if (p->version < 16) {
		name = strrchr(name, '/');
		if (!name)
			return "name";
		name++;
	}

	if (p->depth == 1) {
		if (p->props)
			problem = check_root(p);
		memset(&p->subtree, 0, sizeof(p->subtree));
		p->subtree.name = name;
		p->has = 0;
	}

	p->pos = (p->pos + len + 1 + 3) & ~3;
	p->props = ++p->depth <= 2;
	p->root = true;
	return problem;
}

static const char *end_node(struct parser *p)
{
	const char *problem = NULL;
	struct ref_fdt *out = p->out;

	if (p->depth == 1 && p->props)
		problem = check_root(p);

	if (p->depth == 2) {
		if (p->has != (HAS_DATA | HAS_SIZE))
			return "a subtree lacks a property";
		EXPECT(out->nr_subtrees < MAX_SUBTREES);
		out->subtrees[out->nr_subtrees++] = p->subtree;
	}

	p->props = false;
	return p->depth-- ? problem : "structure";
}

/**
 * ref_parse - read the root FDT
 * @fdt: one page
 * @len: the length that was handed over with it, at most a page
 * @out: what is in it, as far as it is in order
 *
 * Return: NULL, or what is wrong.
 */
const char *ref_parse(const void *fdt, unsigned int len, struct ref_fdt *out)
{
	struct parser p = { .fdt = fdt, .out = out };
	unsigned int start;
	const char *problem;
	u32 token;

	memset(out, 0, sizeof(*out));
	problem = parse_header(&p, len);
	if (problem)
		return problem;

	out->totalsize = p.totalsize;
	for (start = p.pos; !problem; ) {
		if (p.pos + 4 > p.end)
			return "structure";

		token = be32(p.fdt + p.pos);
		p.pos += 4;
		switch (token) {
		case BEGIN_NODE:
			if (!p.depth && p.pos != start + 4)
				return "a second root";
			problem = begin_node(&p);
			break;
		case END_NODE:
			problem = end_node(&p);
			break;
		case PROP:
			problem = parse_property(&p);
			break;
		case NOP:
			break;
		case END:
			return p.depth || !p.root ? "structure" : NULL;
		default:
			return "token";
		}
	}

	return problem;
}
