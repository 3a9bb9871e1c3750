/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Leaves out types of a unit that an earlier unit has; see reduce.c. */
#ifndef KBTF_DWARF_REDUCE_H
#define KBTF_DWARF_REDUCE_H

#include "encoder.h"

struct reducer;

/* reduce_table.c: NULL if there is no memory */
struct reducer *reducer_new(uint64_t seed);
void reducer_free(struct reducer *reducer);

/*
 * reduce.c: after the references of a unit's types were resolved: find those that an earlier unit has, and finish the
 * names of the others.
 */
int find_equal_types(struct encoder *encoder);
/* At the end of the unit. */
int leave_out_types(struct encoder *encoder);

#endif
