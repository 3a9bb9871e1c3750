# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Loads the modules that /modules lists, then each of /objects with libbpf.
# /out/NAME gets: result (what ksyms prints), log.
set -u

dmesg -n 1
while read -r module; do
	insmod "/$module" || exit 3
done </modules
for object in /objects/*; do
	out=/out/${object##*/}
	mkdir -p "$out"
	/ksyms libbpf "$object" "$out/log" >"$out/result" 2>&1
done
