/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>

static int set_error(struct btf_error *err, uint32_t type_id, bool misfit, const char *format,
		     va_list args)
{
	vsnprintf(err->text, sizeof(err->text), format, args);
	err->type_id = type_id;
	err->no_memory = false;
	err->misfit = misfit;
	return -1;
}

int btf_fail(struct btf_error *err, uint32_t type_id, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set_error(err, type_id, false, format, args);
	va_end(args);
	return -1;
}

int btf_misfit(struct btf_error *err, uint32_t type_id, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set_error(err, type_id, true, format, args);
	va_end(args);
	return -1;
}

int btf_no_memory(struct btf_error *err)
{
	btf_fail(err, 0, "out of memory");
	err->no_memory = true;
	return -1;
}
