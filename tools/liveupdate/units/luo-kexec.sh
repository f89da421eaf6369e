#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Have a kernel loaded that files can be handed to, if the machine is about to kexec, or
# cancel that. /etc/default/luo-kexec sets the variables.

set -u

luoctl=@sbindir@/kho-luoctl
KERNEL=${KERNEL:-/vmlinuz}
INITRD=${INITRD:-/initrd.img}

case $(systemctl list-jobs --no-legend --no-pager) in
*" kexec.target "*) ;;
*) exit 0 ;;
esac

# The kernel itself would refuse the kexec when all else has ended, and systemd reboot then.
if [ -n "${CMDLINE:-}" ]; then
	set -- --command-line "$CMDLINE"
else
	set -- --reuse-cmdline
fi
"$luoctl" kexec "$KERNEL" --initrd "$INITRD" "$@" --load-only --if-needed && exit 0

[ "$(cat /sys/kernel/liveupdate/outgoing/nr_files)" != 0 ] || exit 0
echo "<3>the kexec is cancelled, as files in sessions would be lost" >&2
systemctl cancel
exit 1
