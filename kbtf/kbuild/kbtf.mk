# For the Makefile of an external kernel module:
#
#   obj-m := mymodule.o
#   include $(shell kbtf makefile)
#
# defines the targets modules, modules_install and clean with 'kbtf build'.  Targets that the
# Makefile has a recipe for are left alone; in such recipes, replace '$(MAKE) -C $(KDIR)
# M=$(CURDIR)' by $(KBTF_BUILD), with a '+' before it for make's jobserver:
#
#   all:
#   	+$(KBTF_BUILD) modules
#
# KBTF is the program.  The kernel build directory is KDIR, KERNELDIR, KERNEL_DIR, KERNEL_SRC, KSRC,
# KERNELPATH or KERNEL_PATH, else that of the release KVER, else that of the running kernel.
# KBTF_FLAGS are further options of kbtf build.

# Kbuild reads the same Makefile.  It exports both of these; KERNELRELEASE is not enough, because
# DKMS also passes it to the author's make.
ifeq ($(KBUILD_EXTMOD)$(abs_srctree),)

KBTF ?= kbtf
# The command line has precedence, then the Makefile, then the environment.
kbtf-names := KDIR KERNELDIR KERNEL_DIR KERNEL_SRC KSRC KERNELPATH KERNEL_PATH
kbtf-from = $(foreach name,$(kbtf-names),$(if $(findstring $(1),$(origin $(name))),$($(name))))
KBTF_KDIR ?= $(firstword $(call kbtf-from,command) $(call kbtf-from,file) \
	$(call kbtf-from,environment) $(addprefix /lib/modules/,$(addsuffix /build,$(KVER))))
KBTF_BUILD = $(strip $(KBTF) build $(addprefix -C ,$(KBTF_KDIR)) $(KBTF_FLAGS))

# The targets that the Makefile has recipes for, and the word KBTF_BUILD if it occurs there.
kbtf-own := $(shell awk '\
	/KBTF_BUILD/ { print "KBTF_BUILD" } \
	/^\t/ { if (held != "") print held; next } \
	/^[^\043=:]+::?([^=:]|$$)/ { held = $$0; sub(/:.*/, "", held); if ($$0 ~ /;/) print held; next } \
	!/^[ \t]*(\043|$$)/ { held = "" }' \
	$(filter-out $(lastword $(MAKEFILE_LIST)),$(MAKEFILE_LIST)))
kbtf-targets := $(filter-out $(kbtf-own),modules modules_install clean)
kbtf-goal := $(.DEFAULT_GOAL)

$(kbtf-targets):
	+$(KBTF_BUILD) $@

.PHONY: $(kbtf-targets)

# A Makefile with recipes has its own default goal, which may still follow.
ifneq ($(filter KBTF_BUILD,$(kbtf-own)),)
.DEFAULT_GOAL := $(kbtf-goal)
endif

endif
