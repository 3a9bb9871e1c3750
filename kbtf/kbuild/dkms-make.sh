#!/bin/sh
# dkms finds this before the real make, which it runs; then it gives the modules that make linked
# resilient BTF, before dkms strips, signs and compresses them.  The exit status is make's.
# Written by 'kbtf dkms enable'; 'kbtf dkms disable' removes it.

kbtf=@KBTF@

# The real make is found behind this one, here and by all that make starts.
here=${0%/*} others=
set -f
IFS=:
for folder in $PATH; do
    [ "$folder" = "$here" ] || others=$others${others:+:}$folder
done
unset IFS
set +f
PATH=$others

# dkms has written to make.log, in its build folder, when it builds; other uses of make are not ours.
top=$PWD
while [ -n "$top" ] && [ ! -e "$top/make.log" ]; do
    top=${top%/*}
done
[ -n "$top" ] || exec make "$@"

if ! "$kbtf" --version </dev/null >/dev/null 2>&1; then
    echo "kbtf: error: $kbtf does not run; modules are built without it" >&2
    exec make "$@"
fi
# A second earlier, for times of files are no finer than the system's clock ticks.
touch -d "@$(($(date +%s) - 1))" "$top/.kbtf-started" || exec make "$@"

# Kbuild makes no BTF of its own: see make.py.
make "$@" cmd_btf_ko= quiet_cmd_btf_ko= || exit

find -H "$top" -name '*.ko' -type f -newer "$top/.kbtf-started" -exec "$kbtf" run -v {} + ||
    echo "kbtf: a module stays without resilient BTF; what is wrong stands above, make did well" >&2
