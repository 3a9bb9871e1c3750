#!/bin/sh
# dkms finds this before the real make, which it runs with kbtf in place of Kbuild's BTF step: right
# after a module is linked, before anything strips, signs or compresses it.
# Written by 'kbtf dkms enable'; 'kbtf dkms disable' removes it.

# The real make is the next one in PATH, here and for everything that make starts.
here=${0%/*} others=
set -f
IFS=:
for folder in $PATH; do
    [ "$folder" = "$here" ] || others=$others${others:+:}$folder
done
unset IFS
set +f
PATH=$others

# A 'kbtf build' that runs this make has its own step.
if [ -z "${KBTF_STEP-}" ]; then
    export KBTF=@KBTF@
    export KBTF_STEP='exec "$KBTF" run -v'
    export MAKEFILES="$here/hook.mk${MAKEFILES:+ $MAKEFILES}"
fi
exec make "$@"
