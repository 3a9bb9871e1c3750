# Read by every make of a build, through the environment variable MAKEFILES: Kbuild's BTF step for
# an external module (cmd_btf_ko of scripts/Makefile.modfinal, since 5.11) runs $KBTF_STEP on the
# module just linked.  If that fails, the kernel's own step runs.

MAKEFILE_LIST := $(filter-out $(lastword $(MAKEFILE_LIST)),$(MAKEFILE_LIST))

# Kbuild exports KBUILD_EXTMOD to the makes that it starts; builds of user space do not have it.
ifneq ($(and $(KBUILD_EXTMOD),$(value KBTF_STEP)),)

# configure scripts link modules only as a test; confdefs.h exists while they run.
kbtf-probe = $(or $(filter conftest.ko,$(notdir $@)),$(wildcard \
	$(addsuffix confdefs.h,$(addprefix $(dir $(abspath $@)),./ ../ ../../))))

# A package may have its own pahole.
kbtf-pahole = $(if $(filter-out pahole %kbtf-pahole,$(PAHOLE)),--encoder pahole --pahole '$(PAHOLE)')
kbtf-step = ($(value KBTF_STEP) $(kbtf-pahole) -C '$(abspath $(objtree))' '$(abspath $@)')

# The kernel's cmd_btf_ko, its lines joined.
kbtf-kernels-text = $(shell sed -n -e ':a' -e '/\\$$/{N;s/\\\n//;ba' -e '}' \
	-e 's/^ *cmd_btf_ko *:*=//p' $(srctree)/scripts/Makefile.modfinal)
kbtf-kernels-step = $(eval kbtf-kernels-own = $(kbtf-kernels-text))$(kbtf-kernels-own)

override cmd_btf_ko = $(if $(kbtf-probe),:,$(kbtf-step) || { \
	echo "kbtf: $(notdir $@): Kbuild's own BTF step takes over" >&2; $(kbtf-kernels-step) })

endif
