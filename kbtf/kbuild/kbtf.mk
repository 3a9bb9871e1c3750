# For the Makefile of an external kernel module:
#
#   obj-m := mymodule.o
#   include $(shell kbtf makefile)
#
# defines the targets modules, modules_install and clean by way of 'kbtf build'.  A target that the
# Makefile has a recipe for stays its own; such recipes use $(KBTF_BUILD) where
# '$(MAKE) -C $(KDIR) M=$(CURDIR)' stood, with a '+' before it for make's jobserver:
#
#   all:
#   	+$(KBTF_BUILD) modules
#
# KBTF is the program.  KDIR, KERNELDIR, KERNEL_DIR or KERNEL_SRC is the kernel build directory,
# by default that of the running kernel.  KBTF_FLAGS are further options of kbtf build.

# Kbuild reads the same Makefile.  It exports both of these; KERNELRELEASE would not tell, for DKMS
# gives it to the author's make too.
ifeq ($(KBUILD_EXTMOD)$(abs_srctree),)

KBTF ?= kbtf
KBTF_KDIR ?= $(firstword $(KDIR) $(KERNELDIR) $(KERNEL_DIR) $(KERNEL_SRC))
KBTF_BUILD = $(strip $(KBTF) build $(addprefix -C ,$(KBTF_KDIR)) $(KBTF_FLAGS))

# What the Makefile has recipes for, and the word KBTF_BUILD if it is written there.
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

# Who writes recipes has a default goal of their own, which may be still to come.
ifneq ($(filter KBTF_BUILD,$(kbtf-own)),)
.DEFAULT_GOAL := $(kbtf-goal)
endif

endif
