// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/debug/liveupdate: the sessions that there are.
 *
 *	outgoing	sessions for the next kernel, one a line:
 *			files NUMBER name NAME
 *	incoming	sessions of the previous kernel that are not finished:
 *			files NUMBER retrieved NUMBER STATE name NAME
 *			where STATE is claimed, unclaimed or damaged
 *	unclaimed	how many of them nobody has retrieved
 */

#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/liveupdate.h>
#include <linux/seq_file.h>

#include "luo_internal.h"

static int outgoing_show(struct seq_file *m, void *unused)
{
	luo_sessions_show_outgoing(m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(outgoing);

static int incoming_show(struct seq_file *m, void *unused)
{
	luo_sessions_show_incoming(m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(incoming);

static int unclaimed_get(void *data, u64 *value)
{
	*value = luo_sessions_nr_unclaimed();
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(unclaimed_fops, unclaimed_get, NULL, "%llu\n");

static int __init luo_debugfs_init(void)
{
	struct dentry *dir;

	if (!liveupdate_enabled())
		return 0;

	dir = debugfs_create_dir("liveupdate", NULL);
	debugfs_create_file("outgoing", 0400, dir, NULL, &outgoing_fops);
	debugfs_create_file("incoming", 0400, dir, NULL, &incoming_fops);
	debugfs_create_file_unsafe("unclaimed", 0400, dir, NULL,
				   &unclaimed_fops);
	return 0;
}
late_initcall(luo_debugfs_init);
