# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Boots as a machine does: loads the modules under /early, those of its initramfs, then those under
# /installed.  /out/boot gets a line for each attempt: EARLY|INSTALLED NAME OUTCOME BTF.
set -u

dmesg -n 1
for place in early installed; do
	for module in /$place/*.ko; do
		name=$(basename "$module" .ko)
		if [ -e "/sys/module/$name" ]; then
			how=already
		elif insmod "$module" 2>>/out/insmod; then
			how=loaded
		else
			how=failed
		fi
		btf=none
		[ ! -e "/sys/kernel/btf/$name" ] || btf=btf
		echo "$place $name $how $btf" >>/out/boot
	done
done
dmesg >/out/dmesg
