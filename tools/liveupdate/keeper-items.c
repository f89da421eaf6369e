// SPDX-License-Identifier: GPL-2.0-only
/*
 * The files that the keeper keeps, each in a session for the next kernel, and how they
 * come from the session of the previous one.
 *
 * A session has the file with token FILE_TOKEN, and an empty memfd with GUARD_TOKEN that is
 * never retrieved: the kernel takes a session for finished if all of its files were
 * retrieved and it is closed, and a keeper that dies between retrieving the file and putting
 * it into a new session would lose it. With the guard it can be retrieved again.
 *
 * A session without the file, with the guard alone, stands for a file that is lost: the kernel
 * says that its session was damaged on the way. Nothing takes such a file for one that has not
 * been there until somebody gives it up. Note that the kernel does not forget a damaged session
 * before the next kexec, so a file at dropped_path has those that were given up.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "keeper.h"

#define FILE_TOKEN	1
#define GUARD_TOKEN	2

/* Another program should not have the device open for longer. */
#define OPEN_TRIES	20
#define OPEN_PAUSE_US	50000

struct item **items;
unsigned int nr_items;

static const char *dropped_path;

/* All sessions of the previous kernel that are the keeper's have an item. */
static bool is_list_complete;

/* Split UID/NAME/FD. False if it is something else. */
static bool parse_key(const char *key, uid_t *uid, char buffer[KEY_SIZE], const char **name,
		      const char **fdname)
{
	char *first, *second;

	if (strlen(key) >= KEY_SIZE)
		return false;

	memcpy(buffer, key, strlen(key) + 1);
	first = strchr(buffer, '/');
	second = first ? strchr(first + 1, '/') : NULL;
	if (!second)
		return false;

	*first = '\0';
	*second = '\0';
	*name = first + 1;
	*fdname = second + 1;
	return parse_uid(buffer, uid) && is_valid_name(*name) && is_valid_name(*fdname);
}

static struct item *find_key(const char *key)
{
	unsigned int i;

	for (i = 0; i < nr_items; i++) {
		if (!strcmp(items[i]->key, key))
			return items[i];
	}

	return NULL;
}

/* Find the item or add it. NULL if @key is no key, or with ENOMEM if there is no memory. */
static struct item *get_item(const char *key)
{
	struct item *item = find_key(key);
	struct item **grown;

	if (item)
		return item;

	if (strlen(key) >= KEY_SIZE)
		return NULL;

	item = calloc(1, sizeof(*item));
	grown = item ? reallocarray(items, nr_items + 1, sizeof(*items)) : NULL;
	if (grown)
		items = grown;
	if (!grown || !parse_key(key, &item->uid, item->buffer, &item->name, &item->fdname)) {
		free(item);
		return NULL;
	}

	memcpy(item->key, key, strlen(key) + 1);
	item->fd = -1;
	item->session = -1;
	items[nr_items++] = item;
	return item;
}

static void remove_item(struct item *item)
{
	unsigned int i;

	for (i = 0; items[i] != item; i++)
		;
	/* Those of a NAME stay in order. */
	memmove(&items[i], &items[i + 1], (--nr_items - i) * sizeof(*items));
	free(item);
}

struct item *next_item(uid_t uid, const char *name, unsigned int *at)
{
	struct item *item;

	while (*at < nr_items) {
		item = items[(*at)++];
		if (item->uid == uid && !strcmp(item->name, name))
			return item;
	}

	return NULL;
}

struct item *find_item(uid_t uid, const char *name, const char *fdname)
{
	unsigned int at = 0;
	struct item *item;

	while ((item = next_item(uid, name, &at))) {
		if (!strcmp(item->fdname, fdname))
			return item;
	}

	return NULL;
}

unsigned int count_items(uid_t uid, bool all_but_root)
{
	unsigned int i, nr = 0;

	for (i = 0; i < nr_items; i++)
		nr += all_but_root ? items[i]->uid != 0 : items[i]->uid == uid;

	return nr;
}

unsigned long long count_bytes(uid_t uid, bool all_but_root)
{
	unsigned long long bytes = 0;
	unsigned int i;

	for (i = 0; i < nr_items; i++) {
		if (all_but_root ? items[i]->uid != 0 : items[i]->uid == uid)
			bytes = add_bytes(bytes, items[i]->bytes);
	}

	return bytes;
}

unsigned long long bytes_of_file(int fd)
{
	unsigned long long size, allocated;
	struct stat st;

	if (fstat(fd, &st) || st.st_size < 0)
		return 0;

	/* There may be memory behind the end. */
	size = st.st_size;
	allocated = st.st_blocks * 512ULL;
	return size > allocated ? size : allocated;
}

static int open_device(void)
{
	unsigned int tries;
	int device = luo_open();

	for (tries = 0; device == -EBUSY && tries < OPEN_TRIES; tries++) {
		usleep(OPEN_PAUSE_US);
		device = luo_open();
	}

	return device;
}

static void session_name_of(const struct item *item, char name[LUO_NAME_SIZE])
{
	snprintf(name, LUO_NAME_SIZE, SESSION_PREFIX "%s", item->key);
}

/* Make a session for the next kernel with this file, -1 for none. Returns it, or -errno. */
static int preserve(int device, const struct item *item, int fd)
{
	char name[LUO_NAME_SIZE];
	int session, guard, err;

	session_name_of(item, name);
	session = luo_session_create(device, name);
	if (session < 0)
		return session;

	guard = memfd_create("luo-keeper-guard", MFD_CLOEXEC);
	err = guard < 0 ? -errno : luo_session_preserve_fd(session, guard, GUARD_TOKEN);
	if (!err && fd >= 0)
		err = luo_session_preserve_fd(session, fd, FILE_TOKEN);
	if (guard >= 0)
		close(guard);
	if (err) {
		close(session);
		return err;
	}

	return session;
}

static void store(const struct item *item)
{
	const int fds[] = { item->session, item->fd };

	store_fds(item->key, fds, item->fd < 0 ? 1 : 2);
}

bool is_same_file(int a, int b)
{
	struct stat st_a, st_b;

	return !fstat(a, &st_a) && !fstat(b, &st_b) && st_a.st_dev == st_b.st_dev &&
	       st_a.st_ino == st_b.st_ino;
}

/* Note why an item is incomplete. It is tried again and again: say it once. */
static void set_error(struct item *item, int err, const char *what)
{
	if (item->err != err)
		keeper_log(LOG_ERR, "%s: %s: %s", item->key, what, strerror(-err));
	item->err = err;
}

/* See dropped_path: a file with a line for each, which are those of one boot. */
#define BOOT_ID_PATH	"/proc/sys/kernel/random/boot_id"

static bool read_boot_id(char id[64])
{
	FILE *file = fopen(BOOT_ID_PATH, "re");
	bool ok = file && fscanf(file, "%63s", id) == 1;

	if (file)
		fclose(file);
	return ok;
}

void remember_dropped_at(const char *path)
{
	dropped_path = path;
}

static bool was_dropped(const char *key)
{
	FILE *file = dropped_path ? fopen(dropped_path, "re") : NULL;
	char boot_id[64], id[64], name[LUO_NAME_SIZE];
	bool found = false;

	if (file && read_boot_id(boot_id)) {
		while (!found && fscanf(file, "%63s %63s", id, name) == 2)
			found = !strcmp(id, boot_id) && !strcmp(name, key);
	}
	if (file)
		fclose(file);
	return found;
}

/* Returns 0 or -errno. */
static int remember_dropped(const char *key)
{
	char boot_id[64], line[64 + LUO_NAME_SIZE];
	int fd, len, err = 0;

	if (!dropped_path || was_dropped(key))
		return 0;
	if (!read_boot_id(boot_id))
		return errno ? -errno : -EIO;

	fd = open(dropped_path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	len = snprintf(line, sizeof(line), "%s %s\n", boot_id, key);
	errno = 0;
	if (write(fd, line, len) != len)
		err = errno ? -errno : -ENOSPC;
	close(fd);
	return err;
}

/* The file of @item is lost. What says so to the next kernel is made by protect(). */
static void set_lost(struct item *item)
{
	item->lost = true;
	item->unfinished = false;
	set_error(item, -EBADMSG, "what the previous kernel has left is damaged");
}

/* Take the file of @item out of the session @from of the previous kernel. */
static int take_file(int device, struct item *item, int from)
{
	int fd = luo_session_retrieve_fd(from, FILE_TOKEN), session;

	/* To the previous kernel it was lost already. */
	if (fd == -ENOENT && item->fd < 0) {
		item->lost = true;
		if (item->session >= 0)
			return 0;
		session = preserve(device, item, -1);
		if (session < 0) {
			set_error(item, session, "a lost file cannot be noted for the next kernel");
			return session;
		}
		item->session = session;
		store(item);
		return 0;
	}
	if (fd < 0) {
		set_error(item, fd, "the file cannot be retrieved");
		return fd;
	}

	/* A keeper before this one has died between this and finishing the old session. */
	if (item->fd >= 0) {
		bool same = is_same_file(fd, item->fd);

		close(fd);
		if (same)
			return 0;
		set_error(item, -EEXIST,
			  "the previous kernel has left another file with the name of one that is kept");
		return -EEXIST;
	}

	session = preserve(device, item, fd);
	if (session < 0) {
		close(fd);
		set_error(item, session, "the file cannot be kept for the next kernel");
		return session;
	}

	/* To the kernel all that comes from another one is root's. */
	if (fchown(fd, item->uid, -1))
		keeper_log(LOG_WARNING, "%s: owner: %s", item->key, strerror(errno));
	item->fd = fd;
	item->bytes = bytes_of_file(fd);
	item->session = session;
	store(item);
	return 0;
}

static void take_over_item(int device, struct item *item)
{
	char name[LUO_NAME_SIZE];
	int from, err;

	session_name_of(item, name);
	from = luo_session_retrieve(device, name);
	if (from == -ENOENT) {
		/* luoctl drop has given it up, or so has a keeper that has died then. */
		item->unfinished = false;
		item->err = 0;
		return;
	}
	if (from < 0) {
		set_error(item, from, "the session of the previous kernel cannot be retrieved");
		return;
	}

	err = take_file(device, item, from);
	if (!err) {
		err = luo_session_finish(from);
		if (err) {
			set_error(item, err,
				  "the session of the previous kernel cannot be finished");
		} else {
			item->unfinished = false;
			item->err = 0;
			if (item->lost)
				set_lost(item);
			else
				keeper_log(LOG_INFO, "%s: taken over from the previous kernel",
					   item->key);
		}
	}
	close(from);
}

static void protect(int device, struct item *item)
{
	int session = preserve(device, item, item->fd);

	if (session < 0) {
		set_error(item, session, "the file cannot be kept for the next kernel");
		return;
	}

	item->session = session;
	item->err = item->lost ? -EBADMSG : 0;
	store(item);
}

/* Whether there is something to do before a kexec loses nothing of @item. */
static bool is_incomplete(const struct item *item)
{
	return item->unfinished || ((item->fd >= 0 || item->lost) && item->session < 0);
}

/* Say why not all sessions of the previous kernel are known. It is tried again: say it once. */
static void say_unknown(int err)
{
	static int said;

	if (said != err)
		keeper_log(LOG_ERR, "what the previous kernel has left is not known: %s: %s",
			   LUO_DIR "incoming/sessions", strerror(err));
	said = err;
}

/* Whether the kernel has more sessions of the previous one than it lists, or may have. */
static bool has_unlisted(size_t nr_listed)
{
	static const char path[] = LUO_DIR "incoming/nr_sessions";
	long long nr = sysfs_number(path);

	/* A kernel without this file lists all. */
	return nr < 0 ? !access(path, F_OK) || errno != ENOENT : nr > (long long)nr_listed;
}

/*
 * Add an item for each session that the previous kernel has left. Returns whether there is
 * one for all.
 */
static bool list_incoming(void)
{
	struct session_list list;
	struct item *item;
	bool ok = true, damaged;
	size_t i;

	if (!read_sessions(true, &list)) {
		say_unknown(errno);
		/* Not all kernels have this file, and those never will. */
		return errno == ENOENT;
	}

	/* Those that the kernel could not read yet are not in the list. */
	if (has_unlisted(list.nr)) {
		say_unknown(EAGAIN);
		ok = false;
	}

	for (i = 0; i < list.nr; i++) {
		const char *name = list.sessions[i].name;

		if (strncmp(name, SESSION_PREFIX, strlen(SESSION_PREFIX)))
			continue;
		damaged = !strcmp(list.sessions[i].state, "damaged");
		if (damaged && was_dropped(name + strlen(SESSION_PREFIX)))
			continue;

		errno = 0;
		item = get_item(name + strlen(SESSION_PREFIX));
		if (!item && errno == ENOMEM) {
			say_unknown(ENOMEM);
			ok = false;
		} else if (!item) {
			keeper_log(LOG_WARNING,
				   "session %s of the previous kernel is not one of a keeper: left alone",
				   name);
		} else if (!damaged) {
			item->unfinished = true;
		} else if (item->fd < 0) {
			set_lost(item);
		}
	}
	forget_sessions(&list);
	return ok;
}

/* Have the kernel read on: it does so if it does not know a session that it is asked for. */
static void read_unlisted(int device)
{
	/* No session of a keeper is called so. */
	int session = luo_session_retrieve(device, SESSION_PREFIX);

	if (session >= 0)
		close(session);
}

bool is_list_known(void)
{
	return is_list_complete;
}

bool is_take_over_left(void)
{
	unsigned int i;

	for (i = 0; i < nr_items; i++) {
		if (is_incomplete(items[i]))
			return true;
	}

	return !is_list_complete;
}

void take_over(bool patient)
{
	unsigned int i;
	int device;

	if (!is_list_complete)
		is_list_complete = list_incoming();
	if (!is_take_over_left())
		return;

	device = patient ? open_device() : luo_open();
	if (device < 0) {
		for (i = 0; i < nr_items; i++) {
			if (is_incomplete(items[i]))
				set_error(items[i], device, LUO_DEVICE);
		}
		return;
	}

	if (!is_list_complete) {
		read_unlisted(device);
		is_list_complete = list_incoming();
	}

	/* In the order in which they were put: the next kernel lists them in that of now. */
	for (i = 0; i < nr_items;) {
		struct item *item = items[i];

		if ((item->fd >= 0 || item->lost) && item->session < 0)
			protect(device, item);
		if (item->unfinished && (item->fd < 0 || item->session >= 0))
			take_over_item(device, item);
		if (item->fd < 0 && item->session < 0 && !item->unfinished && !item->lost) {
			keeper_log(LOG_WARNING, "%s: was given up", item->key);
			remove_item(item);
		} else {
			i++;
		}
	}
	close(device);
}

void add_kept_fd(int fd, const char *key)
{
	struct item *item = get_item(key);

	if (!item) {
		keeper_log(LOG_WARNING, "a file is called %s, as none of a keeper is: closed", key);
		close_foreign(fd, 0);
		return;
	}
	if (item->fd >= 0) {
		/* The service manager and another keeper may both have it. */
		if (!is_same_file(fd, item->fd))
			keeper_log(LOG_ERR, "%s: there is a second file with this name: closed",
				   key);
		close_foreign(fd, item->uid);
		return;
	}

	item->fd = fd;
	item->bytes = bytes_of_file(fd);
}

void add_kept_session(int session)
{
	char name[LUO_NAME_SIZE];
	struct item *item = NULL;

	if (!luo_session_name(session, name) &&
	    !strncmp(name, SESSION_PREFIX, strlen(SESSION_PREFIX)))
		item = get_item(name + strlen(SESSION_PREFIX));
	if (!item || item->session >= 0) {
		close(session);
		return;
	}

	item->session = session;
}

void settle_kept(void)
{
	unsigned int i;

	for (i = 0; i < nr_items; i++) {
		/* A lost file. If it is not one, the next kernel will have it. */
		if (items[i]->fd < 0) {
			items[i]->lost = true;
			set_error(items[i], -EBADMSG, "there is a session without its file");
		}
		if (items[i]->session >= 0)
			store(items[i]);
	}
}

int put_item(uid_t uid, const char *name, const char *fdname, int fd)
{
	char key[LUO_NAME_SIZE];
	struct item *item;
	int device, session;

	if (!is_valid_name(name) || !is_valid_name(fdname))
		return -EINVAL;
	if (snprintf(key, KEY_SIZE, "%u/%s/%s", uid, name, fdname) >= (int)KEY_SIZE)
		return -ENAMETOOLONG;
	item = find_key(key);
	if (item) {
		if (item->fd < 0 || !is_same_file(fd, item->fd))
			return -EEXIST;
		if (item->session < 0)
			take_over(false);
		if (item->session < 0)
			return item->err ? item->err : -EAGAIN;
		return 1;
	}

	device = open_device();
	if (device < 0)
		return device;

	item = get_item(key);
	if (!item) {
		close(device);
		return -ENOMEM;
	}

	session = preserve(device, item, fd);
	close(device);
	if (session < 0) {
		remove_item(item);
		return session;
	}

	item->fd = fd;
	item->bytes = bytes_of_file(fd);
	item->session = session;
	store(item);
	return 0;
}

/* How long another process may take to close what it had, in all, and how often to look. */
#define CLOSE_MS	1000
#define CLOSE_PAUSE_MS	5

static bool is_listed(const struct session_list *list, const char *name)
{
	size_t i;

	for (i = 0; i < list->nr; i++) {
		if (!strcmp(list->sessions[i].name, name))
			return true;
	}

	return false;
}

/* Wait until the kernel has no session of these items any more. */
static void wait_for_sessions(struct item **dropped, unsigned int nr)
{
	long long until = now_ms() + CLOSE_MS;
	struct session_list list;
	char name[LUO_NAME_SIZE];
	unsigned int i;
	bool left;

	do {
		/* Not all kernels have the list. */
		if (!read_sessions(false, &list))
			return;
		for (left = false, i = 0; i < nr && !left; i++) {
			session_name_of(dropped[i], name);
			left = is_listed(&list, name);
		}
		forget_sessions(&list);
		if (left)
			usleep(CLOSE_PAUSE_MS * 1000);
	} while (left && now_ms() < until);
	if (left)
		keeper_log(LOG_WARNING, "%s: something else has the session: memory is not free",
			   name);
}

int drop_items(struct item **dropped, unsigned int nr)
{
	struct stored stored = {};
	long long until;
	unsigned int i;
	int err = 0;

	if (!nr)
		return 0;

	for (i = 0; i < nr && !err; i++) {
		if (dropped[i]->lost)
			err = remember_dropped(dropped[i]->key);
	}
	if (err) {
		keeper_log(LOG_ERR, "%s: %s", dropped_path, strerror(-err));
		return err;
	}

	/*
	 * The service manager closes what it gives up some time later. If the reply came
	 * before that, there might be no room for the memory that shall replace this one.
	 */
	for (i = 0; i < nr; i++)
		stored_add(&stored, dropped[i]->fd);
	stored_begin(&stored);
	for (i = 0; i < nr; i++)
		unstore_fds(dropped[i]->key);
	store_barrier();
	until = now_ms() + CLOSE_MS;
	while (stored_left(&stored) && now_ms() < until)
		usleep(CLOSE_PAUSE_MS * 1000);

	for (i = 0; i < nr; i++) {
		if (dropped[i]->session >= 0)
			close(dropped[i]->session);
		if (dropped[i]->fd >= 0)
			close_foreign(dropped[i]->fd, dropped[i]->uid);
	}
	wait_for_sessions(dropped, nr);
	for (i = 0; i < nr; i++)
		remove_item(dropped[i]);

	return 0;
}
