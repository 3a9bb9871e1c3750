/* SPDX-License-Identifier: GPL-2.0-only */
#define GREETER_WHOM "the world"
