/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_KEXEC_H
#define _KHO_TEST_KEXEC_H

#define kexec_in_progress	false

#endif /* _KHO_TEST_KEXEC_H */
