// SPDX-License-Identifier: GPL-2.0-only
/*
 * A service with a memfd in the file descriptor store of systemd (sd_notify(3)), across
 * "systemctl kexec". It knows nothing of live update: that is systemd's.
 *
 *	luo_fdstore		make a memfd, store it, and have the machine kexec
 *	luo_fdstore store	only make a memfd, and store it
 *	luo_fdstore again	with the memfd in the store: look at it, and have the machine
 *				kexec again. It stays in the store
 *	luo_fdstore last	look at it, and switch the machine off
 *
 * Says "ok WHAT" and "not ok WHAT" on the console.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define NAME		"state"
#define FIRST_FD	3
#define PAGES		1000L
#define PAGE		4096L

static void say(const char *format, ...)
{
	FILE *log = fopen("/dev/kmsg", "w");
	va_list args;

	if (!log)
		return;
	va_start(args, format);
	fputs("khotest: ", log);
	vfprintf(log, format, args);
	fputc('\n', log);
	va_end(args);
	fclose(log);
}

static void end(void)
{
	sync();
	reboot(RB_POWER_OFF);
	pause();
}

static void die(const char *what)
{
	say("not ok %s: %m", what);
	end();
}

/* Tell systemd something, and give it a file. */
static void tell_systemd(const char *text, int fd)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec data = { (char *)text, strlen(text) };
	struct msghdr msg = {
		.msg_name = &address,
		.msg_iov = &data,
		.msg_iovlen = 1,
	};
	int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	size_t len = path ? strlen(path) : 0;

	if (!len || len >= sizeof(address.sun_path) || sock < 0)
		die("there is no systemd to tell");
	memcpy(address.sun_path, path, len);
	msg.msg_namelen = offsetof(struct sockaddr_un, sun_path) + len;
	if (*path == '@')
		address.sun_path[0] = '\0';
	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
	}
	if (sendmsg(sock, &msg, 0) < 0)
		die("systemd is told");
	close(sock);
}

/* What page @index holds. */
static void fill(char *page, long index)
{
	long i;

	for (i = 0; i < PAGE; i++)
		page[i] = (char)(index * 31 + i * 7);
}

static int make_state(void)
{
	int fd = memfd_create(NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char page[PAGE];
	long i;

	if (fd < 0)
		die("memfd_create");
	for (i = 0; i < PAGES; i++) {
		fill(page, i);
		if (write(fd, page, PAGE) != PAGE)
			die("write");
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW))
		die("seals");

	return fd;
}

static bool is_state(int fd)
{
	char page[PAGE], found[PAGE];
	struct stat st;
	long i;

	if (fstat(fd, &st) || st.st_size != PAGES * PAGE)
		return false;
	for (i = 0; i < PAGES; i++) {
		fill(page, i);
		if (pread(fd, found, PAGE, i * PAGE) != PAGE || memcmp(page, found, PAGE))
			return false;
	}

	return fcntl(fd, F_GET_SEALS) == (F_SEAL_SHRINK | F_SEAL_GROW);
}

static void see_state(void)
{
	const char *nr = getenv("LISTEN_FDS"), *names = getenv("LISTEN_FDNAMES");

	if (!nr || atoi(nr) < 1) {
		say("not ok the file is there again");
		end();
	}

	say("%s the service is given one file, by its name",
	    atoi(nr) == 1 && names && !strcmp(names, NAME) ? "ok" : "not ok");
	say("%s it is the memfd with its content and seals",
	    is_state(FIRST_FD) ? "ok" : "not ok");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	bool again = !strcmp(what, "again"), last = !strcmp(what, "last");

	if (again || last)
		see_state();
	if (last) {
		say("done");
		end();
	}

	if (again) {
		tell_systemd("READY=1", -1);
	} else {
		tell_systemd("READY=1\nFDSTORE=1\nFDNAME=" NAME, make_state());
		say("ok a memfd is stored");
	}

	/* It tells the manager, and has nothing to wait for. */
	if (strcmp(what, "store")) {
		say("reboot");
		if (system("systemctl --no-block kexec > /dev/kmsg 2>&1"))
			say("not ok systemd is told to kexec");
	}
	pause();
	return 0;
}
