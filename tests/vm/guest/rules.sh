# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Loads the modules under /variants, all called blank, one after the other.
# /out/FILE gets: result (what load prints), btf (as in sysfs, if it is there), dmesg.
set -u

sha256sum </sys/kernel/btf/vmlinux >/out/vmlinux.sha256
dmesg -n 1
dmesg -c >/out/dmesg
for module in /variants/*; do
	out=/out/${module##*/}
	mkdir -p "$out"
	echo 1 >/sys/kernel/debug/clear_warn_once || exit 3
	/load "$module" -- /bin/true >"$out/result"
	if [ -e /sys/module/blank ]; then
		[ ! -e /sys/kernel/btf/blank ] || cat /sys/kernel/btf/blank >"$out/btf"
		rmmod blank || exit 5
	fi
	dmesg -c >"$out/dmesg"
done
