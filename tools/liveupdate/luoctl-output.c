// SPDX-License-Identifier: GPL-2.0-only
/*
 * Print JSON, names from anywhere, sizes, and progress.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "luoctl.h"

const char *plural(unsigned long long nr, const char *one, const char *many)
{
	return nr == 1 ? one : many;
}

/* Strings that are valid until the eighth call from now on. */
static char *next_buffer(size_t size)
{
	static char *buffers[8];
	static unsigned int at;
	char *buffer = malloc(size);

	if (!buffer)
		fail(EXIT_FAILED, ENOMEM, "output");

	at = (at + 1) % 8;
	free(buffers[at]);
	buffers[at] = buffer;
	return buffer;
}

const char *human(unsigned long long bytes)
{
	static const char * const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = bytes / 1024.0;
	unsigned int unit = 0;
	char *buffer = next_buffer(32);
	size_t len;

	if (bytes < 1024) {
		sprintf(buffer, "%llu %s", bytes, plural(bytes, "byte", "bytes"));
		return buffer;
	}

	while (value >= 1024 && unit < 5) {
		value /= 1024;
		unit++;
	}
	sprintf(buffer, "%.1f", value);
	/* "4 KiB" rather than "4.0 KiB". */
	len = strlen(buffer);
	if (!strcmp(buffer + len - 2, ".0"))
		len -= 2;
	sprintf(buffer + len, " %s", units[unit]);
	return buffer;
}

/*
 * Length of the UTF-8 character at @s, 0 if there is none: no overlong form, no surrogate,
 * nothing above U+10FFFF. Sets @code to its number.
 */
static unsigned int utf8_length(const unsigned char *s, unsigned long *code)
{
	static const unsigned long least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	unsigned int length, i;

	if (*s < 0x80) {
		*code = *s;
		return 1;
	}

	if ((*s & 0xe0) == 0xc0)
		length = 2;
	else if ((*s & 0xf0) == 0xe0)
		length = 3;
	else if ((*s & 0xf8) == 0xf0)
		length = 4;
	else
		return 0;

	*code = *s & (0x7f >> length);
	for (i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (s[i] & 0x3f);
	}

	if (*code < least[length] || (*code >= 0xd800 && *code <= 0xdfff) || *code > 0x10ffff)
		return 0;

	return length;
}

const char *printable(const char *string)
{
	const unsigned char *s = (const unsigned char *)string;
	char *buffer = next_buffer(4 * strlen(string) + 1);
	unsigned int length;
	unsigned long code;
	char *to = buffer;

	while (*s) {
		length = utf8_length(s, &code);
		/* Control characters of both kinds, and the character that escapes. */
		if (!length || code < 0x20 || (code >= 0x7f && code < 0xa0) || code == '\\') {
			to += sprintf(to, "\\%03o", *s++);
		} else {
			memcpy(to, s, length);
			to += length;
			s += length;
		}
	}

	*to = '\0';
	return buffer;
}

void unescape(char *string)
{
	char *from = string, *to = string;

	while (*from) {
		if (from[0] == '\\' && strspn(from + 1, "01234567") >= 3) {
			*to++ = (from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0');
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

/* The JSON value so far, and what is open in it. */
static char *json_text;
static size_t json_size;
static FILE *json_file;
static char brackets[16];
static bool has_members[16];
static unsigned int depth;

static FILE *json_member(const char *key)
{
	if (!json_file)
		json_file = open_memstream(&json_text, &json_size);
	if (!json_file)
		fail(EXIT_FAILED, errno, "output");

	if (has_members[depth])
		fputs(", ", json_file);
	has_members[depth] = depth > 0;
	if (key)
		fprintf(json_file, "\"%s\": ", key);
	return json_file;
}

void json_open(const char *key, char bracket)
{
	fputc(bracket, json_member(key));
	brackets[++depth] = bracket;
	has_members[depth] = false;
}

void json_close(void)
{
	fputc(brackets[depth--] == '{' ? '}' : ']', json_file);
}

/* U+FFFD stands for what is not UTF-8. Returns whether there was such a thing. */
static bool quote(FILE *to, const char *string)
{
	const unsigned char *s = (const unsigned char *)string;
	unsigned int length;
	bool lossy = false;
	unsigned long code;

	fputc('"', to);
	while (*s) {
		length = utf8_length(s, &code);
		if (!length) {
			fputs("\357\277\275", to);
			lossy = true;
			s++;
			continue;
		}
		if (code == '"' || code == '\\')
			fprintf(to, "\\%c", (int)code);
		else if (code < 0x20 || code == 0x7f)
			fprintf(to, "\\u%04lx", code);
		else
			fwrite(s, 1, length, to);
		s += length;
	}
	fputc('"', to);
	return lossy;
}

void json_string(const char *key, const char *value)
{
	quote(json_member(key), value);
}

void json_name(const char *key, const char *name)
{
	const unsigned char *s;

	if (!quote(json_member(key), name))
		return;

	fprintf(json_file, ", \"%s_hex\": \"", key);
	for (s = (const unsigned char *)name; *s; s++)
		fprintf(json_file, "%02x", *s);
	fputc('"', json_file);
}

void json_number(const char *key, long long value)
{
	fprintf(json_member(key), "%lld", value);
}

void json_bool(const char *key, bool value)
{
	fputs(value ? "true" : "false", json_member(key));
}

void json_discard(void)
{
	if (json_file)
		fclose(json_file);
	free(json_text);
	json_file = NULL;
	json_text = NULL;
	depth = 0;
	has_members[0] = false;
}

void json_print(void)
{
	if (!json_file)
		return;

	if (fclose(json_file)) {
		json_file = NULL;
		fail(EXIT_FAILED, errno, "output");
	}
	json_file = NULL;
	if (puts(json_text) == EOF || fflush(stdout))
		fail(EXIT_FAILED, errno, "output");
	json_discard();
}

/* A task that takes long, when it began, and when its progress was shown last. */
static struct {
	const char *what;
	unsigned long long total;
	double begin;
	double shown;
} task;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

void progress_begin(const char *what, unsigned long long total)
{
	task.what = isatty(STDERR_FILENO) ? what : NULL;
	task.total = total;
	task.begin = now();
	task.shown = 0;
}

void progress(unsigned long long done)
{
	double time;

	if (!task.what)
		return;

	time = now();
	if (time - task.begin < 1 || time - task.shown < 0.2)
		return;

	task.shown = time;
	fprintf(stderr, "\r\033[K%s: %s", task.what, human(done));
	if (task.total)
		fprintf(stderr, " of %s, %llu%%", human(task.total),
			done >= task.total ? 100 : (unsigned long long)(100.0 * done / task.total));
	fprintf(stderr, ", %s/s", human(done / (time - task.begin)));
	fflush(stderr);
}

void progress_end(void)
{
	if (task.what && task.shown)
		fputs("\r\033[K", stderr);
	task.what = NULL;
}
