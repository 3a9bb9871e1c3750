/* SPDX-License-Identifier: GPL-2.0-only */
#define BEACON_COLOURS 3

struct beacon {
	struct mutex lock;
	u32 colour;
};
