#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Have a kernel loaded that files can be handed to, if the machine is about to kexec, or
# cancel that. /etc/default/luo-kexec sets the variables.

set -u

luoctl=@sbindir@/kho-luoctl
KERNEL=${KERNEL:-/vmlinuz}
INITRD=${INITRD:-/initrd.img}

# If systemd does not tell, it may be a kexec. To load a kernel in vain does no harm.
jobs=$(systemctl list-jobs --no-legend --no-pager) || jobs=" kexec.target "
case $jobs in
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
systemctl cancel || echo "<2>the kexec cannot be cancelled" >&2
# It is being stopped, and somebody may try the kexec again: it has to be there then.
systemctl --no-block start luo-kexec.service ||
	echo "<2>luo-kexec.service is not started again: start it before a kexec" >&2
exit 1
