/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Why an operation failed. */
#ifndef KBTF_ERROR_H
#define KBTF_ERROR_H

#include <stdbool.h>
#include <stdint.h>

/* An error message; type_id is 0 if it is not about a type. */
struct btf_error {
	char text[200];
	uint32_t type_id;
	bool no_memory;
	bool misfit; /* a reference has no target: the BTF may belong to another base */
};

/* Set the error; -1. */
int btf_fail(struct btf_error *err, uint32_t type_id, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int btf_misfit(struct btf_error *err, uint32_t type_id, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int btf_no_memory(struct btf_error *err);

#endif
