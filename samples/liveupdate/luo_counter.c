// SPDX-License-Identifier: GPL-2.0-only
/*
 * luo_counter: a program whose memory survives a kexec. It counts in a memfd, and goes on
 * after the kexec with the number that it has reached.
 *
 *	cc -o luo_counter luo_counter.c $(pkg-config --cflags --libs libkholuo)
 *	./luo_counter my-counter &
 *	luoctl kexec /boot/vmlinuz --initrd /boot/initrd.img --reuse-cmdline
 *
 * Start it with the same name in the next kernel. It is its own keeper: its memory is handed
 * over as long as it runs. A program that ends before the kexec, as all do when systemd shuts
 * down, leaves its files to luoctl keeper instead.
 *
 * See Documentation/userspace-api/liveupdate.rst.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <libluo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the program calls its files in a session. */
#define COUNTER_TOKEN	1
#define GUARD_TOKEN	2

/* Another program should not have the device open for longer. */
#define OPEN_TRIES	50
#define OPEN_PAUSE_US	100000

/* What is in the memory. An older version of the program may have written it. */
#define VERSION		1

struct counter {
	unsigned long long version;
	unsigned long long number;
};

static _Noreturn void die(int err, const char *what)
{
	fprintf(stderr, "luo_counter: %s: %s\n", what, strerror(-err));
	exit(1);
}

/* One process at a time can have the device open. */
static int open_device(void)
{
	unsigned int tries;
	int device = luo_open();

	for (tries = 0; device == -EBUSY && tries < OPEN_TRIES; tries++) {
		usleep(OPEN_PAUSE_US);
		device = luo_open();
	}
	if (device < 0)
		die(device, LUO_DEVICE);

	return device;
}

static int create_counter(void)
{
	struct counter counter = { .version = VERSION };
	int fd = memfd_create("luo_counter", MFD_CLOEXEC);

	if (fd < 0 || write(fd, &counter, sizeof(counter)) != sizeof(counter))
		die(errno ? -errno : -ENOSPC, "memory");

	return fd;
}

/*
 * Get the memory of the previous kernel, or new one if the previous kernel has left none. Any
 * other error is no reason to begin anew: it may be gone the next time.
 */
static int take_over(int device, const char *name, int *session)
{
	int fd;

	*session = luo_session_retrieve(device, name);
	if (*session == -ENOENT)
		return create_counter();
	if (*session < 0)
		die(*session, "session of the previous kernel");

	fd = luo_session_retrieve_fd(*session, COUNTER_TOKEN);
	if (fd < 0)
		die(fd, "memory in the session of the previous kernel");

	return fd;
}

/*
 * Have the next kernel get the memory as well. The session has to stay open. That of the
 * previous kernel is not finished yet, so that nothing is lost if this fails.
 */
static void hand_on(int device, const char *name, int fd)
{
	int session = luo_session_create(device, name), guard, err;

	if (session < 0)
		die(session, "session for the next kernel");

	/*
	 * A file that nobody retrieves. Without it, the next kernel takes the session for
	 * finished when it is closed, also if the program has died, and not handed on anything.
	 */
	guard = memfd_create("guard", MFD_CLOEXEC);
	if (guard < 0)
		die(-errno, "guard");
	err = luo_session_preserve_fd(session, guard, GUARD_TOKEN);
	if (!err)
		err = luo_session_preserve_fd(session, fd, COUNTER_TOKEN);
	if (err)
		die(err, "memory cannot be handed to the next kernel");
	close(guard);
}

/* What arrives is checked before it is used. */
static struct counter *map_counter(int fd)
{
	struct counter *counter;
	struct stat st;

	if (fstat(fd, &st))
		die(-errno, "memory");
	if (st.st_size != sizeof(*counter))
		die(-EBADMSG, "memory of another size");

	counter = mmap(NULL, sizeof(*counter), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (counter == MAP_FAILED)
		die(-errno, "memory");
	if (counter->version != VERSION)
		die(-EBADMSG, "memory of another version");

	return counter;
}

int main(int argc, char **argv)
{
	unsigned long pause_ms = argc == 3 ? strtoul(argv[2], NULL, 10) : 1000;
	int device, old, fd, err;
	struct counter *counter;

	if (argc < 2 || argc > 3 || !*argv[1] || strlen(argv[1]) >= LUO_NAME_SIZE) {
		fputs("Usage: luo_counter NAME [MILLISECONDS]\n", stderr);
		return 2;
	}

	device = open_device();
	fd = take_over(device, argv[1], &old);
	counter = map_counter(fd);
	hand_on(device, argv[1], fd);
	if (old >= 0) {
		err = luo_session_finish(old);
		if (err)
			die(err, "session of the previous kernel, which is to be finished");
		close(old);
	}
	/* Others need it. Sessions do not. */
	close(device);

	/* A line is lost if nobody reads it, the number is not. */
	while (1) {
		counter->number++;
		printf("%llu\n", counter->number);
		fflush(stdout);
		usleep(pause_ms * 1000);
	}
}
