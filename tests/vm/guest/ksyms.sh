# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Loads BPF objects with sets of modules, as /cases lists them: NAME LOADER OBJECT MODULE...
# /out/NAME gets: result (what load and ksyms print), log. Then a transfer under the congestion
# control of examples/tcp_congestion, and the light skeleton of examples/kfunc_module.
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

unload_all() {
	for module in kfunc_module twin_a twin_b many steady; do
		[ ! -e "/sys/module/$module" ] || unload "$module" || exit 5
	done
}

dmesg -n 1
dmesg -c >/out/dmesg
while read -r name loader object modules; do
	mkdir -p "/out/$name"
	# shellcheck disable=SC2086 # one word for each module
	/load $modules -- /ksyms "$loader" "/$object" "/out/$name/log" >"/out/$name/result" 2>&1
	unload_all
done </cases

mkdir -p /out/tcp /out/customers
ip link set lo up
/load /steady.ko -- /transfer steady 300000 >/out/tcp/module 2>&1
/transfer /eager.bpf.o 300000 >/out/tcp/bpf 2>&1
unload_all
/load /kfunc_module.ko -- /customers 3 >/out/customers/result 2>&1
/customers 4 >>/out/customers/result 2>&1
unload_all
dmesg >/out/dmesg.end
