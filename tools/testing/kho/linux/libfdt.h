/* SPDX-License-Identifier: GPL-2.0-only */
#include "../../../../scripts/dtc/libfdt/libfdt.h"
