# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Loads seven.ko and seven_again.ko of each directory under /variants and calls the kfuncs of seven.
# /out/NAME gets: result (what load and programs print), programs/ (what was said of each), btf and
# btf_again (as in sysfs), ids (of the tracepoint, if the kernel shows them), dmesg.
set -u

dmesg -n 1
mount -t tracefs tracefs /sys/kernel/tracing
for variant in /variants/*; do
	out=/out/${variant##*/}
	mkdir -p "$out/programs"
	dmesg -c >/dev/null
	/load "$variant/seven.ko" "$variant/seven_again.ko" -- /bin/sh -c \
		'for object; do /programs "$object" "$0"; done' \
		"$out/programs" /seven.bpf.o /seven_whole.bpf.o >"$out/result"
	cat /sys/kernel/btf/seven >"$out/btf"
	cat /sys/kernel/btf/seven_again >"$out/btf_again"
	cat /sys/kernel/tracing/events/seven/seven_called/btf_ids >"$out/ids"
	rmmod seven_again || exit 4
	for _ in $(seq 100); do
		rmmod seven && break
		sleep 0.1
	done
	[ ! -e /sys/module/seven ] || exit 5
	dmesg -c >"$out/dmesg"
done
