// SPDX-License-Identifier: GPL-2.0-only
/*
 * luoctl check: find what would stop or spoil a handover, and change nothing; and loading
 * a kernel, which it tries.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/kexec.h>

#include "luoctl.h"

static char *running_cmdline(void)
{
	static char line[1 << 14];
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);

	if (len < 0)
		fail(EXIT_FAILED, errno, "/proc/cmdline");
	close(fd);
	line[len] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return line;
}

void image_option(struct image *image, int option)
{
	switch (option) {
	case 'i':
		image->initrd = optarg;
		break;
	case 'r':
		image->cmdline = running_cmdline();
		image->reused = true;
		break;
	case 'c':
		image->cmdline = optarg;
		image->reused = false;
		break;
	}
}

/* Parse a boolean parameter as the kernel does. @on is its value if it is not there. */
static bool is_on(const char *cmdline, const char *name, bool on)
{
	size_t len = strlen(name);
	const char *at, *value;

	for (at = cmdline; *at; at += strcspn(at, " "), at += strspn(at, " ")) {
		if (strncmp(at, name, len) || at[len] != '=')
			continue;

		value = at + len + 1;
		if (strspn(value, "1yYtT") || !strncasecmp(value, "on", 2))
			on = true;
		else if (strspn(value, "0nNfF") || !strncasecmp(value, "of", 2))
			on = false;
	}

	return on;
}

/*
 * With the command line of this kernel, what is on in it by default will be on again.
 * Sessions that arrive switch live update on, in a kernel like this one.
 */
const char *check_cmdline(const struct image *image)
{
	static const char no_kho[] =
		"the next kernel would hand nothing on: its command line has no kho=on";
	static const char no_live_update[] =
		"the next kernel would not know of sessions: its command line has no liveupdate=on";

	if (!is_on(image->cmdline, "kho", image->reused))
		return no_kho;

	return is_on(image->cmdline, "liveupdate", image->reused) ? NULL : no_live_update;
}

static int open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fail(EXIT_FAILED, errno, "%s", printable(path));
	return fd;
}

/* Longer than it takes to load a kernel. */
#define MAX_TRIES	600
#define PAUSE_US	100000

int exclude_check(void)
{
	int device = luo_open(), tries;

	for (tries = 0; device == -EBUSY && tries < MAX_TRIES; tries++) {
		/* Also if it is called kho-luoctl. */
		if (!strstr(holders(NULL, false), "luoctl)"))
			break;
		usleep(PAUSE_US);
		device = luo_open();
	}

	return device;
}

int load_image(const struct image *image)
{
	unsigned long flags = image->initrd ? 0 : KEXEC_FILE_NO_INITRAMFS;
	int kernel_fd = open_file(image->kernel);
	int initrd_fd = image->initrd ? open_file(image->initrd) : -1;
	int err = 0;

	if (syscall(SYS_kexec_file_load, kernel_fd, initrd_fd, strlen(image->cmdline) + 1,
		    image->cmdline, flags))
		err = errno;

	close(kernel_fd);
	if (initrd_fd >= 0)
		close(initrd_fd);
	return err;
}

/* Findings. A problem stops a handover or loses something; a warning may. */
enum finding { PROBLEM, WARNING, FINE, NR_FINDINGS };

struct findings {
	char **texts;
	size_t nr;
};

static struct findings findings[NR_FINDINGS];

static void __printf(2, 3) add(enum finding kind, const char *format, ...)
{
	struct findings *of = &findings[kind];
	va_list args;
	char *text;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	of->texts = reallocarray(of->texts, of->nr + 1, sizeof(*of->texts));
	if (len < 0 || !of->texts)
		fail(EXIT_FAILED, ENOMEM, "findings");
	of->texts[of->nr++] = text;
}

static void check_incoming(void)
{
	struct session_list list;
	const struct listed *session;
	const char *by;
	size_t i, nr = 0;

	if (!read_sessions(true, &list)) {
		add(WARNING, "which sessions of the previous kernel are not finished is not known: "
		    LUO_DIR "incoming/sessions: %s", strerror(errno));
		return;
	}

	for (i = 0; i < list.nr; i++) {
		session = &list.sessions[i];
		if (!is_unfinished(session))
			continue;
		nr++;
		if (!is_in_use(session)) {
			add(PROBLEM,
			    "session %s of the previous kernel is not finished: finish it, or see luoctl drop",
			    printable(session->name));
			continue;
		}
		/* First: it needs all the buffers that printable() has. */
		by = holders(session->name, true);
		add(PROBLEM, "session %s of the previous kernel is not finished by %s",
		    printable(session->name), by);
	}
	if (!nr)
		add(FINE, "no session of the previous kernel would be lost");
}

/* Mark a session that a process keeps to the end. */
static void mark_survivor(void *data, const char *name)
{
	struct session_list *list = data;
	size_t i;

	for (i = 0; i < list->nr; i++) {
		if (!strcmp(list->sessions[i].name, name))
			list->sessions[i].survives = true;
	}
}

static void check_survivors(struct session_list *list)
{
	size_t i;

	/* Only a service manager ends processes before the reboot. */
	if (access("/run/systemd/system", F_OK))
		return;

	visit_survivors(list, mark_survivor);
	for (i = 0; i < list->nr; i++) {
		if (!list->sessions[i].survives)
			add(WARNING,
			    "session %s is kept by %s: systemctl kexec would end that, and lose the session",
			    printable(list->sessions[i].name),
			    holders(list->sessions[i].name, false));
	}
}

static void check_outgoing(void)
{
	struct session_list list;
	unsigned long long bytes = 0;
	unsigned long nr_files = 0;
	size_t i;

	if (!read_sessions(false, &list)) {
		add(WARNING, "which sessions would be handed over is not known: "
		    LUO_DIR "outgoing/sessions: %s", strerror(errno));
		return;
	}

	if (!list.nr) {
		add(WARNING, "there is no session: nothing of programs would be handed over");
		return;
	}

	for (i = 0; i < list.nr; i++) {
		nr_files += list.sessions[i].nr_files;
		bytes = add_bytes(bytes, list.sessions[i].bytes);
		if (!list.sessions[i].nr_files)
			add(WARNING, "session %s has no files, and would be handed over empty",
			    printable(list.sessions[i].name));
	}
	add(FINE, "%zu %s with %lu %s, %s, would be handed over", list.nr,
	    plural(list.nr, "session", "sessions"), nr_files,
	    plural(nr_files, "file", "files"), human(bytes));
	check_survivors(&list);
}

static void check_unclaimed(void)
{
	long long bytes = sysfs_number(KHO_DIR "incoming/unclaimed_bytes");

	if (bytes > 0)
		add(WARNING, "%s of the last handover are unclaimed: they are not handed on",
		    human(bytes));
}

/*
 * Name the configuration that distributions have beside the kernel: config-VERSION for
 * vmlinuz-VERSION. False if the name of the kernel is of another form.
 */
static bool config_path(const char *kernel, char *path, size_t size)
{
	const char *slash = strrchr(kernel, '/');
	const char *base = slash ? slash + 1 : kernel;

	if (strncmp(base, "vmlinuz-", strlen("vmlinuz-")) || strlen(kernel) >= size)
		return false;

	snprintf(path, size, "%.*sconfig-%s", (int)(base - kernel), kernel,
		 base + strlen("vmlinuz-"));
	return true;
}

/* Offsets in a bzImage; see Documentation/arch/x86/boot.rst. */
#define BZIMAGE_MAGIC		0x202
#define BZIMAGE_KERNEL_VERSION	0x20e
#define BZIMAGE_VERSION_BASE	0x200

static void check_kernel(const struct image *image)
{
	unsigned char header[0x210];
	char version[128] = "", config[PATH_MAX], line[256];
	bool kho = false, luo = false;
	unsigned int at;
	FILE *file;
	int fd = open(image->kernel, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		add(PROBLEM, "%s: %s", printable(image->kernel), strerror(errno));
		return;
	}
#ifdef __x86_64__
	if (pread(fd, header, sizeof(header), 0) != sizeof(header) ||
	    memcmp(header + BZIMAGE_MAGIC, "HdrS", 4)) {
		add(PROBLEM, "%s is not a bzImage", printable(image->kernel));
		close(fd);
		return;
	}
	at = header[BZIMAGE_KERNEL_VERSION] | header[BZIMAGE_KERNEL_VERSION + 1] << 8;
	if (at && pread(fd, version, sizeof(version) - 1, at + BZIMAGE_VERSION_BASE) > 0) {
		version[strcspn(version, " ")] = '\0';
		add(FINE, "%s is Linux %s", printable(image->kernel), printable(version));
	}
#else
	(void)header;
	(void)version;
	(void)at;
#endif
	close(fd);

	if (!config_path(image->kernel, config, sizeof(config)))
		goto unknown;
	file = fopen(config, "re");
	if (!file)
		goto unknown;
	while (fgets(line, sizeof(line), file)) {
		kho = kho || !strcmp(line, "CONFIG_KEXEC_HANDOVER=y\n");
		luo = luo || !strcmp(line, "CONFIG_LIVEUPDATE=y\n");
	}
	fclose(file);
	if (!kho || !luo)
		add(PROBLEM, "the next kernel is built without CONFIG_%s, says %s",
		    kho ? "LIVEUPDATE" : "KEXEC_HANDOVER", printable(config));
	else
		add(FINE, "the next kernel is built with live update, says %s",
		    printable(config));
	return;

unknown:
	add(WARNING,
	    "whether the next kernel is built with live update is not known: there is no config file beside it");
}

static void check_cmdline_and_initrd(const struct image *image)
{
	const char *problem = check_cmdline(image);

	if (problem)
		add(PROBLEM, "%s", problem);
	else
		add(FINE, "the command line of the next kernel has live update on");

	if (!image->initrd)
		add(WARNING, "there is no --initrd");
	else if (access(image->initrd, R_OK))
		add(PROBLEM, "%s: %s", printable(image->initrd), strerror(errno));
}

/* The kernel has checks of its own: signature, lockdown, and room in scratch. */
static void check_loading(const struct image *image)
{
	int device, err;

	if (sysfs_number("/proc/sys/kernel/kexec_load_disabled") == 1) {
		add(PROBLEM, "kernel.kexec_load_disabled forbids to load a kernel");
		return;
	}

	/* A kernel that luoctl kexec has loaded must not be unloaded. */
	device = exclude_check();
	if (device < 0) {
		add(WARNING,
		    "whether the kernel can be loaded was not tried, as %s cannot be opened",
		    LUO_DEVICE);
		return;
	}

	/* Nor may this kernel stay loaded. */
	hold_signals();
	if (sysfs_number("/sys/kernel/kexec_loaded") != 0) {
		add(WARNING, "whether the kernel can be loaded was not tried, as one is loaded");
		goto out;
	}

	err = load_image(image);
	if (err) {
		add(PROBLEM, "%s cannot be loaded: %s; the log of the kernel may say why",
		    printable(image->kernel), strerror(err));
		goto out;
	}
	if (syscall(SYS_kexec_file_load, -1, -1, 0, "", KEXEC_FILE_UNLOAD))
		fail(EXIT_FAILED, errno, "%s was loaded to try that, and cannot be unloaded",
		     printable(image->kernel));
	add(FINE, "%s can be loaded, and there is room for it in scratch",
	    printable(image->kernel));
out:
	release_signals();
	close(device);
}

static void check_device(void)
{
	int device = luo_open();

	if (device >= 0)
		close(device);
	else if (device == -EBUSY)
		add(WARNING, "%s is in use by %s", LUO_DEVICE, holders(NULL, false));
	else
		add(WARNING, "%s: %s", LUO_DEVICE, strerror(-device));
}

static void print_findings(enum finding kind, const char *key, const char *mark)
{
	size_t i;

	if (json)
		json_open(key, '[');
	for (i = 0; i < findings[kind].nr; i++) {
		if (json)
			json_string(NULL, findings[kind].texts[i]);
		else
			printf("%s: %s\n", mark, findings[kind].texts[i]);
	}
	if (json)
		json_close();
}

static int cmd_check(int argc, char **argv)
{
	static const struct option options[] = {
		{ "initrd", required_argument, NULL, 'i' },
		{ "reuse-cmdline", no_argument, NULL, 'r' },
		{ "command-line", required_argument, NULL, 'c' },
		{}
	};
	struct image image = {};
	bool ready;
	int option;

	while ((option = next_option(argc, argv, options)) != -1)
		image_option(&image, option);
	if (optind != argc - 1 || !image.cmdline)
		fail_usage();
	image.kernel = argv[optind];

	need_live_update();
	check_device();
	check_incoming();
	check_outgoing();
	check_unclaimed();
	check_kernel(&image);
	check_cmdline_and_initrd(&image);
	if (is_image("plain"))
		add(WARNING,
		    "the kernel that is loaded carries no handover: a kexec would be refused until luoctl kexec replaces it");
	if (!findings[PROBLEM].nr)
		check_loading(&image);

	ready = !findings[PROBLEM].nr;
	if (json) {
		json_open(NULL, '{');
		json_bool("ready", ready);
	}
	print_findings(FINE, "fine", "ok");
	print_findings(WARNING, "warnings", "warning");
	print_findings(PROBLEM, "problems", "problem");
	if (json) {
		json_close();
		json_print();
	}

	return ready ? EXIT_OK : EXIT_FAILED;
}

const struct verb check_verb = {
	.name = "check",
	.usage = "KERNEL [--initrd FILE] (--reuse-cmdline | --command-line STRING)",
	.help =
	"Find all that would stop or spoil a handover to KERNEL, and change nothing. If no\n"
	"kernel is loaded, KERNEL is loaded and unloaded again to see that it can be.\n"
	"Exits with 1 if there is a problem.\n"
	"\n"
	"  --initrd FILE               its initrd\n"
	"  --reuse-cmdline             with the command line of this kernel\n"
	"  --command-line STRING       with another one\n",
	.run = cmd_check,
};
