/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Joins what was written to a blob. */
#include "btf.h"

#include <stdlib.h>

int blob_finish(struct blob *blob, uint8_t *types, uint32_t type_len, const struct strtab *strings,
		bool foreign)
{
	uint32_t header[] = {BTF_MAGIC | 1u << 16, BTF_HEADER_LEN, 0, type_len, type_len,
			     strings->length};
	const uint16_t magic = BTF_MAGIC;
	const uint8_t version_and_flags[2] = {1, 0};
	uint32_t i;

	blob->length = (size_t)BTF_HEADER_LEN + type_len + strings->length;
	blob->bytes = malloc(blob->length);
	if (!blob->bytes)
		return -1;
	if (foreign) {
		for (i = 1; i < 6; i++)
			header[i] = __builtin_bswap32(header[i]);
		for (i = 0; i < type_len; i += 4)
			store32(types + i, __builtin_bswap32(load32(types + i)));
	}
	memcpy(blob->bytes, header, BTF_HEADER_LEN);
	i = foreign ? __builtin_bswap16(magic) : magic;
	memcpy(blob->bytes, &(uint16_t){(uint16_t)i}, 2);
	memcpy(blob->bytes + 2, version_and_flags, 2);
	memcpy(blob->bytes + BTF_HEADER_LEN, types, type_len);
	memcpy(blob->bytes + BTF_HEADER_LEN + type_len, strings->bytes, strings->length);
	return 0;
}
