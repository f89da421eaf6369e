// SPDX-License-Identifier: GPL-2.0-only
/*
 * luoctl kexec: see that a handover can happen, load a kernel for it, and reboot.
 */
#include <errno.h>
#include <linux/reboot.h>
#include <stdlib.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "luoctl.h"

static void reboot_now(void)
{
	fflush(stdout);
	sync();
	reboot(LINUX_REBOOT_CMD_KEXEC);
	switch (errno) {
	case EBUSY:
		fail(EXIT_FAILED, 0,
		     "the kernel does not reboot, as something would be lost; its log says what");
	case ETIMEDOUT:
		fail(EXIT_FAILED, 0,
		     "the kernel does not reboot, as a process hangs; its log says which");
	default:
		fail(EXIT_FAILED, errno, "the kernel does not reboot; its log says why");
	}
}

static int cmd_kexec(int argc, char **argv)
{
	static const struct option options[] = {
		{ "initrd", required_argument, NULL, 'i' },
		{ "reuse-cmdline", no_argument, NULL, 'r' },
		{ "command-line", required_argument, NULL, 'c' },
		{ "load-only", no_argument, NULL, 'l' },
		{ "if-needed", no_argument, NULL, 'n' },
		{ "discard", no_argument, NULL, 'd' },
		{}
	};
	struct image image = {};
	bool load_only = false, discard = false, if_needed = false, is_needed;
	const char *problem;
	int option, device, err;

	while ((option = next_option(argc, argv, options)) != -1) {
		if (option == 'l')
			load_only = true;
		else if (option == 'd')
			discard = true;
		else if (option == 'n')
			if_needed = true;
		else
			image_option(&image, option);
	}

	if (optind != argc - 1 || !image.cmdline || (load_only && discard) ||
	    (if_needed && !load_only))
		fail_usage();
	image.kernel = argv[optind];

	need_live_update();
	problem = check_cmdline(&image);
	if (problem)
		fail(EXIT_FAILED, 0, "%s", problem);
	if (!discard)
		check_unfinished();
	/*
	 * If another program has the device, luoctl check loads nothing. Before it is excluded,
	 * what is loaded may be what it tries, and unloads.
	 */
	device = exclude_check();
	is_needed = !if_needed || !is_image("handover");
	err = is_needed ? load_image(&image) : 0;
	if (device >= 0)
		close(device);
	if (err)
		fail(EXIT_FAILED, err, "%s cannot be loaded", printable(image.kernel));
	if (discard)
		discard_sessions();
	/* The one JSON object is that of an error, if the reboot fails. */
	if (load_only || !json)
		print_status();
	if (!load_only)
		reboot_now();

	return EXIT_OK;
}

const struct verb kexec_verb = {
	.name = "kexec",
	.usage =
	"KERNEL [--initrd FILE] (--reuse-cmdline | --command-line STRING) [--load-only [--if-needed] | --discard]",
	.help =
	"Check that a handover to KERNEL can happen, load it, print the status, and reboot at\n"
	"once: services are not stopped.\n"
	"\n"
	"  --initrd FILE               its initrd\n"
	"  --reuse-cmdline             with the command line of this kernel\n"
	"  --command-line STRING       with another one\n"
	"  --load-only                 leave the reboot to kexec -e or systemctl kexec\n"
	"  --if-needed                 with --load-only: not if the one that is loaded carries a\n"
	"                              handover\n"
	"  --discard                   give up all sessions of the previous kernel that are\n"
	"                              not finished\n",
	.run = cmd_kexec,
};
