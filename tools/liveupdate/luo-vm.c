// SPDX-License-Identifier: GPL-2.0-only
/*
 * luo-vm: run QEMU so that the virtual machine outlives the kernel. See luo-vm(8).
 *
 * The memory of the machine is kept by luoctl keeper from its first start on. To stop means
 * to pause it and to have the keeper keep the state of its devices as well; to start, to go on
 * from there. The state is kept until QEMU has taken it, so that a start that fails can be
 * tried again. With memory that the machine has changed since, it would be a state of another
 * time. So it is made void right before the machine goes on, by a write to its memfd: the
 * keeper may die or restart at any time, and what it is asked for may be done or not.
 *
 * The memory has a lock, see flock(2), for as long as luo-vm or QEMU lives: if luo-vm is killed,
 * nobody else can have the memory before QEMU has ended, and QEMU needs no connection to the
 * keeper for that, which would let it ask for anything.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "keeper.h"
#include "luo-vm.h"

/* What the keeper calls the state of the devices. */
#define STATE	"state"

/* For the functions that luoctl uses, too. */
bool json;

struct machine {
	const char *name;
	int keeper;
	struct memory memory[MAX_FDS];
	unsigned int nr_memory;
	struct kept kept;
	int locks[MAX_FDS];	/* the memory, opened once more and locked */
	unsigned int nr_locks;
	int signals;
	pid_t qemu;
	struct qmp qmp;
};

void fail(int status, int err, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	keeper_log(LOG_ERR, "%s%s%s", text, err ? ": " : "", err ? strerror(err) : "");
	exit(status);
}

static _Noreturn void fail_usage_of_vm(void)
{
	fputs("Usage: luo-vm NAME --memfd ID=SIZE[,huge=SIZE]... -- QEMU [OPTION]...\n\n"
	      "Run QEMU so that the virtual machine outlives the kernel. Its options use the memory\n"
	      "by its ID, as with -machine pc-q35-7.2,memory-backend=ram for ram=4G. See luo-vm(8).\n",
	      stderr);
	exit(EXIT_USAGE);
}

/* How long to wait for a keeper that is being started again, or does not know yet. */
#define RECONNECT_MS	10000
#define RECONNECT_US	100000
#define UNKNOWN_TRIES	60
#define UNKNOWN_US	1000000

/* How long the keeper may take to answer. */
#define ANSWER_S	60

static int connect_keeper(void)
{
	const struct timeval wait = { .tv_sec = ANSWER_S };
	int keeper = keeper_connect(keeper_socket());

	if (keeper >= 0) {
		setsockopt(keeper, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
		setsockopt(keeper, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	}
	return keeper;
}

/* Whether the keeper has died, or hangs, and may have done what it was asked for, or not. */
static bool is_uncertain(int err)
{
	return err == -EPIPE || err == -ECONNRESET || err == -ETIMEDOUT;
}

static void add_memory_to(struct message *msg, const struct machine *machine)
{
	unsigned int i;

	for (i = 0; i < machine->nr_memory; i++) {
		message_add(msg, machine->memory[i].name);
		message_add_fd(msg, kept_fd(&machine->kept, machine->memory[i].name));
	}
}

/*
 * Connect to a new keeper, and claim the machine there. If it has memory already, see that the
 * keeper has the same. Returns whether that was done.
 */
static bool reconnect(struct machine *machine)
{
	int keeper = connect_keeper(), err;
	struct message msg;
	unsigned int i;
	char *text;

	if (keeper < 0)
		return false;

	/* That they are locked by luo-vm shows whose they are. */
	keeper_request(&msg, "claim", getuid(), machine->name);
	for (i = 0; i < machine->nr_locks; i++)
		message_add_fd(&msg, machine->locks[i]);
	err = keeper_call(keeper, &msg, &text);
	for (i = 0; !err && i < msg.nr_fds; i++)
		close(msg.fds[i]);
	if (err) {
		keeper_log(LOG_ERR, "%s", text);
		free(text);
		close(keeper);
		return false;
	}
	if (machine->nr_locks) {
		keeper_request(&msg, "put", getuid(), machine->name);
		add_memory_to(&msg, machine);
		err = keeper_call(keeper, &msg, &text);
		if (err) {
			keeper_log(LOG_ERR, "memory of %s is not kept: %s", machine->name, text);
			free(text);
		}
		if (is_uncertain(err)) {
			close(keeper);
			return false;
		}
	}

	close(machine->keeper);
	machine->keeper = keeper;
	return true;
}

/*
 * Ask the keeper, and ask again if it dies or does not know yet: what it is asked for has to be
 * such that it can be done twice. Returns 0; or -errno, and says why.
 */
static int ask_keeper(struct machine *machine, struct message *msg)
{
	const struct message request = *msg;
	long long until;
	unsigned int tries;
	char *text;
	int err;

	err = keeper_call(machine->keeper, msg, &text);
	/* One that hangs, too, ends this: each attempt takes up to twice ANSWER_S. */
	until = now_ms() + RECONNECT_MS;
	while (is_uncertain(err) && now_ms() < until) {
		usleep(RECONNECT_US);
		if (!reconnect(machine))
			continue;
		free(text);
		*msg = request;
		err = keeper_call(machine->keeper, msg, &text);
	}
	for (tries = 0; err == -EAGAIN && tries < UNKNOWN_TRIES; tries++) {
		if (!tries)
			keeper_log(LOG_WARNING, "%s", text);
		free(text);
		usleep(UNKNOWN_US);
		*msg = request;
		err = keeper_call(machine->keeper, msg, &text);
	}
	if (err) {
		keeper_log(err == -ENOENT || err == -EEXIST ? LOG_INFO : LOG_ERR, "%s", text);
		free(text);
	}

	return err;
}

/* Give up the state, or all of the machine. Returns 0 when it is not there, or -errno. */
static int drop(struct machine *machine, const char *fdname)
{
	struct message msg;
	int err;

	keeper_request(&msg, "drop", getuid(), machine->name);
	if (fdname)
		message_add(&msg, fdname);
	err = ask_keeper(machine, &msg);
	return err == -ENOENT ? 0 : err;
}

/* Have the state kept, and see that the memory is. Returns 0 or -errno. */
static int put_state(struct machine *machine, int state)
{
	struct message msg, again;
	int err;

	keeper_request(&msg, "put", getuid(), machine->name);
	add_memory_to(&msg, machine);
	message_add(&msg, STATE);
	message_add_fd(&msg, state);
	again = msg;
	err = ask_keeper(machine, &msg);
	/* One that is void, and could not be given up when it was made so. */
	if (err == -EEXIST && !drop(machine, STATE))
		err = ask_keeper(machine, &again);
	return err;
}

/* What a state that is void begins with. */
static const char void_mark[] = "luo-vm: the machine has gone on since this was its state\n";

/* The beginning of the state before it is made void. */
static char void_before[sizeof(void_mark)];

static bool is_void(int state)
{
	char mark[sizeof(void_mark)];

	return pread(state, mark, sizeof(mark), 0) == sizeof(mark) &&
	       !memcmp(mark, void_mark, sizeof(mark));
}

/* Make sure that nothing ever goes on from this state. Returns 0 or -errno. */
static int make_void(struct machine *machine, int state)
{
	if (pread(state, void_before, sizeof(void_before), 0) == sizeof(void_before) &&
	    pwrite(state, void_mark, sizeof(void_mark), 0) == sizeof(void_mark))
		return 0;

	/* Somebody has sealed it. */
	return drop(machine, STATE);
}

/* Undo make_void(), as the machine has not gone on. Returns 0 or -errno. */
static int make_valid(struct machine *machine, int state)
{
	if (!is_void(state))
		return put_state(machine, state);

	return pwrite(state, void_before, sizeof(void_before), 0) == sizeof(void_before) ? 0 : -EIO;
}

/* Open memory once more, and lock it. Exits if another process has done so. */
static void lock_memory(struct machine *machine, int fd)
{
	char path[32];
	int lock;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	lock = open(path, O_RDWR | O_CLOEXEC);
	if (lock < 0)
		fail(EXIT_FAILED, errno, "memory of %s", machine->name);
	if (flock(lock, LOCK_EX | LOCK_NB))
		fail(EXIT_FAILED, errno == EWOULDBLOCK ? 0 : errno,
		     "memory of %s is in use by a process that has locked it, as by QEMU of a luo-vm that was killed",
		     machine->name);
	machine->locks[machine->nr_locks++] = lock;
}

static void unlock_memory(struct machine *machine)
{
	while (machine->nr_locks)
		close(machine->locks[--machine->nr_locks]);
}

/*
 * Get what is kept. Returns the state to go on from, or -1 if the machine begins anew. Exits
 * if it can do neither.
 */
static int claim(struct machine *machine)
{
	struct kept *kept = &machine->kept;
	struct message msg;
	unsigned int i;
	int state;

	close(need_keeper());
	machine->keeper = connect_keeper();
	keeper_request(&msg, "claim", getuid(), machine->name);
	if (ask_keeper(machine, &msg))
		exit(EXIT_FAILED);
	keeper_take_files(&msg, kept);

	/* Before it is given up: it may still be that of a machine that runs. */
	for (i = 0; i < kept->nr; i++) {
		if (strcmp(kept->names[i], STATE))
			lock_memory(machine, kept->fds[i]);
	}
	unlock_memory(machine);

	state = kept_fd(kept, STATE);
	if (state >= 0 && is_void(state)) {
		keeper_log(LOG_WARNING, "%s has gone on since its state was kept", machine->name);
		state = -1;
	}
	if (state < 0 && kept->nr) {
		/* QEMU or the kernel has died: nothing can go on with this memory alone. */
		keeper_log(LOG_WARNING, "there is memory of %s, but no state: it starts anew",
			   machine->name);
		for (i = 0; i < kept->nr; i++)
			close(kept->fds[i]);
		if (drop(machine, NULL))
			exit(EXIT_FAILED);
	}
	for (i = 0; state >= 0 && i < machine->nr_memory; i++) {
		if (kept_fd(kept, machine->memory[i].name) < 0)
			fail(EXIT_FAILED, 0,
			     "there is a state of %s, but no memory %s: it does not start, and nothing was changed",
			     machine->name, machine->memory[i].name);
	}
	if (state >= 0 && kept->nr != machine->nr_memory + 1)
		fail(EXIT_FAILED, 0,
		     "%s has had more memory when it was stopped: it does not start, and nothing was changed",
		     machine->name);

	/* Sees that sizes are the same, too. */
	claim_memory(machine->keeper, getuid(), machine->name, machine->memory,
		     machine->nr_memory, kept);
	for (i = 0; i < machine->nr_memory; i++)
		lock_memory(machine, kept_fd(kept, machine->memory[i].name));
	return kept_fd(kept, STATE);
}

static void add_arg(char ***args, unsigned int *nr, char *arg)
{
	*args = reallocarray(*args, *nr + 2, sizeof(char *));
	if (!*args || (*nr && !arg))
		fail(EXIT_FAILED, ENOMEM, "QEMU");
	(*args)[(*nr)++] = arg;
	(*args)[*nr] = NULL;
}

static __printf(1, 2) char *text_of(const char *format, ...)
{
	va_list args;
	char *text;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	return len < 0 ? NULL : text;
}

static void inherit(int fd)
{
	fcntl(fd, F_SETFD, 0);
}

static void start_qemu(struct machine *machine, char **command, bool resume)
{
	char **args = NULL;
	unsigned int nr = 0, i;
	int socks[2], fd;
	char *object;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks))
		fail(EXIT_FAILED, errno, "QEMU");

	for (; *command; command++)
		add_arg(&args, &nr, *command);
	for (i = 0; i < machine->nr_memory; i++) {
		fd = machine->locks[i];
		add_arg(&args, &nr, "-object");
		object = text_of("memory-backend-file,share=on,id=%s,size=%llu,mem-path=%s/%d",
				 machine->memory[i].name, machine->memory[i].size,
				 "/proc/self/fd", fd);
		add_arg(&args, &nr, object);
	}
	add_arg(&args, &nr, "-chardev");
	add_arg(&args, &nr, text_of("socket,id=luo-vm,fd=%d", socks[1]));
	add_arg(&args, &nr, "-mon");
	add_arg(&args, &nr, "chardev=luo-vm,mode=control");
	if (resume) {
		add_arg(&args, &nr, "-incoming");
		add_arg(&args, &nr, "defer");
	}

	machine->qemu = fork();
	if (machine->qemu < 0)
		fail(EXIT_FAILED, errno, "QEMU");
	if (!machine->qemu) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		/* What a terminal sends to all is for luo-vm. */
		setpgid(0, 0);
		inherit(socks[1]);
		for (i = 0; i < machine->nr_locks; i++)
			inherit(machine->locks[i]);
		unsetenv("NOTIFY_SOCKET");
		execvp(args[0], args);
		fail(EXIT_FAILED, errno, "%s", args[0]);
	}

	close(socks[1]);
	if (qmp_begin(&machine->qmp, socks[0])) {
		kill(machine->qemu, SIGKILL);
		fail(EXIT_FAILED, 0, "QEMU has not started; it says why");
	}
}

/* How long QEMU may take to end when it was told to, and no longer runs the machine. */
#define QUIT_MS	20000

/* Have QEMU end. */
static void end_qemu(struct machine *machine)
{
	unsigned int ms;

	qmp_command(&machine->qmp, "\"quit\"");
	for (ms = 0; ms < QUIT_MS; ms += 10) {
		if (waitpid(machine->qemu, NULL, WNOHANG))
			return;
		usleep(10000);
	}

	keeper_log(LOG_WARNING, "QEMU of %s does not end, and is killed", machine->name);
	kill(machine->qemu, SIGKILL);
	while (waitpid(machine->qemu, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Wait for the end of QEMU. Returns an exit status. */
static int wait_for_qemu(struct machine *machine)
{
	int status;

	while (waitpid(machine->qemu, &status, 0) < 0) {
		if (errno != EINTR)
			return EXIT_FAILED;
	}

	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILED;
}

static const char *words_of(const struct qmp *qmp, char *text, size_t size)
{
	if (!qmp_string(qmp, "error-desc", text, size) && !qmp_string(qmp, "desc", text, size))
		snprintf(text, size, "there is no QEMU any more, or it does not answer");
	return text;
}

/*
 * Have QEMU write its state to a file, or read it from one. Versions before 8.2 know no URI
 * of a file, but commands.
 */
static int move_state(struct machine *machine, const char *command, const char *cat, int state)
{
	struct qmp *qmp = &machine->qmp;
	char *text;
	int err;

	/* Not the memory, which QEMU shares with the keeper. */
	err = qmp_command(qmp,
			  "'migrate-set-capabilities', 'arguments': {'capabilities': [{'capability': 'x-ignore-shared', 'state': true}]}");
	if (err)
		return err;

	text = text_of("\"%s\", \"arguments\": {\"uri\": \"file:/proc/%d/fd/%d\"}", command,
		       getpid(), state);
	err = text ? qmp_command(qmp, text) : -ENOMEM;
	free(text);
	if (err == -EPROTO) {
		text = text_of("\"%s\", \"arguments\": {\"uri\": \"exec:%s /proc/%d/fd/%d\"}",
			       command, cat, getpid(), state);
		err = text ? qmp_command(qmp, text) : -ENOMEM;
		free(text);
	}

	return err ? err : qmp_wait_migrated(qmp);
}

/* Go on from the state. Returns false if that failed, and QEMU is to end. */
static bool resume(struct machine *machine, int state)
{
	char text[256];
	int err;

	err = move_state(machine, "migrate-incoming", "cat <", state);
	if (err) {
		keeper_log(LOG_ERR,
			   "%s does not go on: %s: its memory and state are kept, and it can be tried again",
			   machine->name, words_of(&machine->qmp, text, sizeof(text)));
		return false;
	}

	/* The memory will not be that of this state any more. */
	err = make_void(machine, state);
	if (err) {
		keeper_log(LOG_ERR,
			   "%s does not go on, as its state cannot be made void: both are kept",
			   machine->name);
		return false;
	}

	err = qmp_command(&machine->qmp, "\"cont\"");
	/* QEMU itself says that it has not. */
	if (err == -EPROTO) {
		keeper_log(LOG_ERR, "%s does not go on: %s", machine->name,
			   words_of(&machine->qmp, text, sizeof(text)));
		if (make_valid(machine, state)) {
			/* It is paused, and can be stopped. */
			keeper_log(LOG_ERR, "its state cannot be kept again: QEMU does not end");
			return true;
		}
		keeper_log(LOG_ERR, "its memory and state are kept, and it can be tried again");
		return false;
	}
	/* Nobody knows whether it has, for a moment. */
	if (err == -ETIMEDOUT)
		keeper_log(LOG_ERR,
			   "whether %s goes on is not known, as QEMU does not answer: QEMU is left alone. If the machine hangs, stop it: it starts anew then, as its old state may not fit its memory and disk any more",
			   machine->name);
	else if (err)
		keeper_log(LOG_ERR,
			   "whether %s has gone on is not known, as QEMU has ended: its old state is not used again, as it may not fit the memory and disk any more. The next start starts anew",
			   machine->name);
	drop(machine, STATE);
	return !err || err == -ETIMEDOUT;
}

/* Whether systemd has this job. */
static bool has_job(const char *jobs, const char *unit)
{
	return jobs && strstr(jobs, unit);
}

/* Whether the machine that this runs on goes down, and nothing that is kept survives. */
static bool is_host_going_down(void)
{
	FILE *file = access("/run/systemd/system", F_OK) ? NULL :
		     popen("systemctl list-jobs --no-legend --no-pager 2> /dev/null", "re");
	static char jobs[1 << 16];
	size_t len = file ? fread(jobs, 1, sizeof(jobs) - 1, file) : 0;

	if (file)
		pclose(file);
	jobs[len] = '\0';
	return !has_job(jobs, " kexec.target ") &&
	       (has_job(jobs, " reboot.target ") || has_job(jobs, " poweroff.target ") ||
		has_job(jobs, " halt.target "));
}

/* How often to ask QEMU to go on, which it does not do as long as it writes the state. */
#define CONT_TRIES	50
#define CONT_US		100000

/* Have the machine go on when it was paused in vain. */
static void go_on(struct machine *machine)
{
	char text[256];
	unsigned int tries = 0;
	int err;

	do {
		if (tries)
			usleep(CONT_US);
		err = qmp_command(&machine->qmp, "\"cont\"");
	} while (err == -EPROTO && ++tries < CONT_TRIES);
	if (err)
		keeper_log(LOG_ERR, "%s does not go on, and nothing of it is kept: %s",
			   machine->name, words_of(&machine->qmp, text, sizeof(text)));
}

/*
 * Pause, and have the state kept. Returns 0 when it is, and QEMU has ended. If it cannot be
 * kept the machine goes on.
 */
static int suspend(struct machine *machine)
{
	int state = memfd_create("luo-vm-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	char text[256];
	int err;

	if (state < 0)
		return -errno;

	err = qmp_command(&machine->qmp, "\"stop\"");
	if (!err) {
		err = move_state(machine, "migrate", "cat >", state);
		/* It must not go on while QEMU writes. */
		if (err)
			qmp_cancel_migration(&machine->qmp);
	}
	if (err) {
		keeper_log(LOG_ERR, "the state of %s cannot be saved: %s", machine->name,
			   err == -ETIMEDOUT ? "QEMU takes too long" :
			   words_of(&machine->qmp, text, sizeof(text)));
	} else {
		err = put_state(machine, state);
		if (err)
			keeper_log(LOG_ERR, "the state of %s cannot be kept", machine->name);
	}
	if (err) {
		/* A keeper that has died may have it after all. */
		if (make_void(machine, state))
			keeper_log(LOG_WARNING, "the keeper may have a state of %s", machine->name);
		close(state);
		go_on(machine);
		return err;
	}

	close(state);
	end_qemu(machine);
	keeper_log(LOG_INFO, "%s is paused, and kept", machine->name);
	return 0;
}

/* Run until the machine is stopped. Returns an exit status. */
static int run(struct machine *machine)
{
	bool alone = false;
	struct signalfd_siginfo signal;
	int status;

	while (1) {
		struct pollfd ready[] = {
			{ .fd = machine->qmp.sock, .events = POLLIN },
			{ .fd = alone ? -1 : machine->keeper, .events = POLLIN },
			{ .fd = machine->signals, .events = POLLIN },
		};
		int nr = poll(ready, 3, alone ? 1000 : -1);

		/* The keeper says nothing unasked: it has died, and will be started again. */
		if (alone || (nr > 0 && ready[1].revents))
			alone = !reconnect(machine);
		if (nr > 0 && ready[0].revents && qmp_drain(&machine->qmp)) {
			status = wait_for_qemu(machine);
			keeper_log(LOG_INFO, "QEMU has ended: the memory of %s is given up",
				   machine->name);
			drop(machine, NULL);
			return status;
		}
		if (nr <= 0 || !ready[2].revents ||
		    read(machine->signals, &signal, sizeof(signal)) != sizeof(signal))
			continue;

		notify("STOPPING=1");
		/* Also if that has failed before. */
		if (!is_host_going_down() && !suspend(machine))
			return EXIT_OK;
		/* The guest shall not lose its power: it is told to shut down, as with a button. */
		keeper_log(LOG_NOTICE, "%s is told to shut down", machine->name);
		qmp_command(&machine->qmp, "\"system_powerdown\"");
	}
}

/* Those that ask it to stop are read where it waits. */
static int take_signals(void)
{
	sigset_t taken;
	int fd;

	sigemptyset(&taken);
	sigaddset(&taken, SIGTERM);
	sigaddset(&taken, SIGINT);
	sigprocmask(SIG_BLOCK, &taken, NULL);
	fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		fail(EXIT_FAILED, errno, "signals");
	return fd;
}

/* Whether one of the options so far has the ID. */
static bool has_memory(const struct machine *machine, const char *name)
{
	unsigned int i;

	for (i = 0; i < machine->nr_memory; i++) {
		if (!strcmp(machine->memory[i].name, name))
			return true;
	}

	return false;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "memfd", required_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	struct machine machine = {};
	int option, state;

	log_as("luo-vm");
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option != 'm' || machine.nr_memory == MAX_FDS - 1 ||
		    !parse_memory(optarg, &machine.memory[machine.nr_memory]) ||
		    !strcmp(machine.memory[machine.nr_memory].name, STATE) ||
		    has_memory(&machine, machine.memory[machine.nr_memory].name))
			fail_usage_of_vm();
		machine.nr_memory++;
	}
	if (argc - optind < 2 || !machine.nr_memory || !is_valid_name(argv[optind]))
		fail_usage_of_vm();

	machine.name = argv[optind];
	notify_open();
	machine.signals = take_signals();
	state = claim(&machine);
	start_qemu(&machine, argv + optind + 1, state >= 0);
	if (state >= 0 && !resume(&machine, state)) {
		kill(machine.qemu, SIGKILL);
		wait_for_qemu(&machine);
		return EXIT_FAILED;
	}

	keeper_log(LOG_INFO, "%s %s", machine.name, state < 0 ? "starts anew" : "goes on");
	if (state >= 0)
		close(state);
	notify("READY=1");
	return run(&machine);
}
