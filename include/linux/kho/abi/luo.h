/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kexec HandOver of sessions of the Live Update Orchestrator (LUO): the subtree
 * "LUO".
 *
 * Everything in this file crosses kernels.
 */
#ifndef _LINUX_KHO_ABI_LUO_H
#define _LINUX_KHO_ABI_LUO_H

#include <linux/build_bug.h>
#include <linux/types.h>

/**
 * DOC: LUO handover ABI
 *
 * The blob of the subtree "LUO" is a struct luo_ser. It refers to a chain of
 * blocks (see "DOC: Chains of blocks") with one struct luo_session_ser per
 * session, and each of those to a chain with one struct luo_file_ser per file. A
 * file handler is known by its compatible string, and what it has handed over by
 * one u64, which usually is a physical address.
 *
 * File-lifecycle-bound objects (FLB), which files of a handler share, are in
 * pages of their own: a struct luo_flbs_ser and behind it one struct luo_flb_ser
 * per object.
 */
#define LUO_KHO_SUBTREE		"LUO"
#define LUO_KHO_COMPATIBLE	"luo-v5"

#define LUO_SESSION_NAME_LENGTH	64
#define LUO_COMPATIBLE_LENGTH	48

/**
 * struct luo_ser - what the subtree holds
 * @compatible: %LUO_KHO_COMPATIBLE
 * @liveupdate_num: number of live updates in this chain; 1 after the first one
 * @sessions_pa: first block of the chain of sessions; 0 if there are no sessions
 * @flbs_pa: the FLBs; may be 0 if there are none
 */
struct luo_ser {
	char compatible[8];
	u64 liveupdate_num;
	u64 sessions_pa;
	u64 flbs_pa;
} __packed;

/**
 * struct luo_session_ser - a session
 * @name: its name, with a NUL at its end
 * @files_pa: first block of the chain of its files; 0 if there are no files
 * @count: number of its files
 */
struct luo_session_ser {
	char name[LUO_SESSION_NAME_LENGTH];
	u64 files_pa;
	u64 count;
} __packed;

/**
 * struct luo_file_ser - a file
 * @compatible: of its handler, with a NUL at its end
 * @data: what the handler wants to know
 * @token: what user space knows it by
 */
struct luo_file_ser {
	char compatible[LUO_COMPATIBLE_LENGTH];
	u64 data;
	u64 token;
} __packed;

/**
 * struct luo_flb_ser - an object that files share
 * @name: of the object, with a NUL at its end
 * @data: what its owner wants to know
 * @count: number of files that share it
 */
struct luo_flb_ser {
	char name[LUO_COMPATIBLE_LENGTH];
	u64 data;
	u64 count;
} __packed;

/**
 * struct luo_flbs_ser - all objects that files share
 * @pgcnt: number of contiguous pages that this takes; 1
 * @count: number of objects
 * @flbs: the objects
 */
struct luo_flbs_ser {
	u64 pgcnt;
	u64 count;
	struct luo_flb_ser flbs[];
} __packed;

static_assert(sizeof(struct luo_ser) == 32);
static_assert(sizeof(struct luo_session_ser) == 80);
static_assert(sizeof(struct luo_file_ser) == 64);
static_assert(sizeof(struct luo_flb_ser) == 64);
static_assert(sizeof(struct luo_flbs_ser) == 16);

#endif /* _LINUX_KHO_ABI_LUO_H */
