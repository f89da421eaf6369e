/* SPDX-License-Identifier: GPL-2.0-only */
struct seq_file;

#include "../../../../../include/linux/memblock.h"
