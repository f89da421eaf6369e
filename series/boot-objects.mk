# SPDX-License-Identifier: GPL-2.0-only
#
# To be named in the variable MAKEFILES when making the kernel: adds the target
# boot-objects, which builds BOOT_OBJECTS. The kernel itself builds objects below
# arch/x86/boot only on the way to a bzImage.

# Its Makefile calls itself up to two times before it does anything.
ifneq ($(and $(sub_make_done),$(filter --no-print-directory,$(MAKEFLAGS)),$(filter boot-objects,$(MAKECMDGOALS))),)
.PHONY: boot-objects
boot-objects: prepare
	$(Q)$(MAKE) $(build)=init include/generated/utsversion.h
	$(Q)$(foreach o,$(BOOT_OBJECTS),$(MAKE) $(build)=$(patsubst %/,%,$(dir $o)) $o &&) :
endif
