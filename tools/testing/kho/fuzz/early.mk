# SPDX-License-Identifier: GPL-2.0-only
#
# What compiles the code that reads a handover in early boot, and what judges it, for
# this directory and ../damage/.

KERNEL := kho_check kho_check_out kho_checksum kho_fdt kho_hold kho_radix kho_ranges kho_scratch
LIBFDT := fdt fdt_ro fdt_wip fdt_sw fdt_rw fdt_empty_tree fdt_strerror
TOOLS_LIB := bitmap find_bit hweight vsprintf ctype
JUDGE := memory reference-fdt reference judge check-out shim memblock boot
EARLY := $(JUDGE) $(KERNEL) $(LIBFDT) $(TOOLS_LIB)

kernel := ../../../../kernel/liveupdate
libfdt := ../../../../scripts/dtc/libfdt
lib := ../../../lib

# As in ../Makefile.
KHO_CFLAGS := -std=gnu11 -g -O2 -MMD -MP \
	-fno-strict-aliasing -fno-omit-frame-pointer \
	-Wall -Wextra -Werror=implicit-function-declaration \
	-Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers \
	-Wno-c2x-extensions -Wno-unused-function \
	-I../fuzz -I.. -isystem ../../../include -I$(libfdt) \
	-D PAGE_SHIFT=12 -D __initconst= \
	-D CONFIG_KEXEC_HANDOVER -D CONFIG_MEMBLOCK_KHO_SCRATCH \
	-D CONFIG_PHYS_ADDR_T_64BIT
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all

vpath %.c . ../fuzz $(kernel) $(libfdt) $(lib)

# Most of the time goes into checksums.
$(OUTPUT)/shim.o: ONE_CFLAGS := -fno-sanitize=all

# To clang, what guard() declares is not used.
$(OUTPUT)/kho_fdt.o $(OUTPUT)/kho_check_out.o: ONE_CFLAGS := -Wno-unused-variable

# The kernel is compiled like that, and libfdt has offsets that wrap.
$(patsubst %,$(OUTPUT)/%.o,$(LIBFDT)): ONE_CFLAGS := -fno-strict-overflow
