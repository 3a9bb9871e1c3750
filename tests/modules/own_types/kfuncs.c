// SPDX-License-Identifier: GPL-2.0-only
/* kfuncs that use no type of the kernel: the distilled base of this module has nothing to hold. */
#include <linux/btf.h>
#include <linux/delay.h>

enum own_types_light {
	OWN_TYPES_RED = 4,
	OWN_TYPES_GREEN,
	OWN_TYPES_YELLOW,
};

__bpf_kfunc_start_defs();

__bpf_kfunc enum own_types_light own_types_next(enum own_types_light light)
{
	return light == OWN_TYPES_YELLOW ? OWN_TYPES_RED : light + 1;
}

__bpf_kfunc void own_types_rest(void)
{
	msleep(1);
}

__bpf_kfunc_end_defs();
