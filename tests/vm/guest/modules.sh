# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Loads the modules that /modules lists, one after the other, and calls their kfuncs.
# A line: the file under /variants, the name of the module in it, the object of BPF programs.
# /out/FILE gets: result (what load and programs print), programs/ (what was said of each), btf
# (as in sysfs, if it is there), dmesg.
set -u

unload() {
	# A BPF program keeps its module for some tenths of a second after it was closed.
	for _ in $(seq 100); do
		rmmod "$1" 2>/tmp/rmmod && return
		sleep 0.1
	done
	cat /tmp/rmmod
	return 1
}

sha256sum </sys/kernel/btf/vmlinux >/out/vmlinux.sha256
dmesg -n 1
dmesg -c >/out/dmesg
while read -r file name object; do
	out=/out/$file
	mkdir -p "$out/programs"
	echo 1 >/sys/kernel/debug/clear_warn_once || exit 3
	# What follows would otherwise judge a module that was left from before.
	[ ! -e "/sys/module/$name" ] || exit 4
	/load "/variants/$file" -- /programs "/$object" "$out/programs" >"$out/result"
	if [ -e "/sys/module/$name" ]; then
		[ ! -e "/sys/kernel/btf/$name" ] || cat "/sys/kernel/btf/$name" >"$out/btf"
		unload "$name" || exit 5
	fi
	dmesg -c >"$out/dmesg"
done </modules
