# SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause
# Loads BPF objects with sets of modules, as /cases lists them: NAME LOADER OBJECT MODULE...
# /out/NAME gets: result (what load and ksyms print), log. Then /tcp.sh and /customers.sh, which
# are what the pages of examples/tcp_congestion and examples/kfunc_module show.
set -u

unload() {
	# A BPF program keeps its module for some tenths of a second after it was closed.
	for _ in $(seq 100); do
		busybox rmmod "$1" 2>/tmp/rmmod && return
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

# Runs what a page shows, to /out/NAME; also with a kernel that the module was not built for.
follow() {
	(
		insmod() { /load "$1" -- /bin/true; }
		rmmod() { unload "$1"; }
		set -e
		# shellcheck source=/dev/null
		. "/$1.sh"
	) >"/out/$1" 2>&1
	echo "exit $?" >>"/out/$1"
}

dmesg -n 1
dmesg -c >/out/dmesg
while read -r name loader object modules; do
	mkdir -p "/out/$name"
	# shellcheck disable=SC2086 # one word for each module
	/load $modules -- /ksyms "$loader" "/$object" "/out/$name/log" >"/out/$name/result" 2>&1
	unload_all
done </cases

ip link set lo up
follow tcp
unload_all
follow customers
unload_all
dmesg >/out/dmesg.end
