/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Numbers in files of either byte order, at any alignment. */
#ifndef KBTF_BYTES_H
#define KBTF_BYTES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline bool machine_is_big_endian(void)
{
	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
}

static inline uint32_t load32(const void *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static inline void store32(void *at, uint32_t value)
{
	memcpy(at, &value, sizeof(value));
}

static inline uint16_t read16(const uint8_t *at, bool foreign)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return foreign ? __builtin_bswap16(value) : value;
}

static inline uint32_t read32(const uint8_t *at, bool foreign)
{
	uint32_t value = load32(at);

	return foreign ? __builtin_bswap32(value) : value;
}

static inline uint64_t read64(const uint8_t *at, bool foreign)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return foreign ? __builtin_bswap64(value) : value;
}

/* A number of 4 or 8 bytes. */
static inline uint64_t read_word(const uint8_t *at, bool is_64, bool foreign)
{
	return is_64 ? read64(at, foreign) : read32(at, foreign);
}

#endif
