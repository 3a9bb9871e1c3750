/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * A hash of bytes, for tables of names and for checksums.
 *
 * The seed is secret and belongs to a table or file: without it, nobody can prepare bytes that collide.
 */
#ifndef KBTF_HASH_H
#define KBTF_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Both halves of the product of two 64-bit numbers, folded into one. */
static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
#ifdef __SIZEOF_INT128__
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
	uint64_t a_low = a & UINT32_MAX, a_high = a >> 32;
	uint64_t b_low = b & UINT32_MAX, b_high = b >> 32;
	uint64_t middle = a_high * b_low + (a_low * b_low >> 32);
	uint64_t high = a_high * b_high + (middle >> 32);

	middle = (middle & UINT32_MAX) + a_low * b_high;
	return (a * b) ^ (high + (middle >> 32));
#endif
}

static inline uint64_t hash_load64(const uint8_t *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

static inline uint64_t hash_load32(const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

/* Up to 16 bytes as two numbers; loads overlap, because a loop over single bytes is slow. */
static inline void hash_load_rest(const uint8_t *bytes, size_t length, uint64_t *low, uint64_t *high)
{
	*low = *high = 0;
	if (length >= 8) {
		*low = hash_load64(bytes);
		*high = hash_load64(bytes + length - 8);
	} else if (length >= 4) {
		*low = hash_load32(bytes);
		*high = hash_load32(bytes + length - 4);
	} else if (length) {
		*low = bytes[0] | (uint64_t)bytes[length / 2] << 8;
		*high = bytes[length - 1];
	}
}

static inline uint64_t hash_bytes(const void *data, size_t length, uint64_t seed)
{
	const uint8_t *bytes = data;
	uint64_t secret = hash_mix(seed ^ 0x9e3779b97f4a7c15u, 0xd6e8feb86659fd93u);
	uint64_t hash = seed ^ length;
	uint64_t low, high;

	for (; length > 16; bytes += 16, length -= 16)
		hash = hash_mix(hash_load64(bytes) ^ secret, hash_load64(bytes + 8) ^ hash);
	hash_load_rest(bytes, length, &low, &high);
	hash = hash_mix(low ^ secret, high ^ hash);
	return hash_mix(hash ^ secret, 0xa0761d6478bd642fu);
}

#define HASH_LANES 4u
#define HASH_STRIDE (16 * HASH_LANES) /* bytes */

/* Of megabytes: lanes that do not wait for one another take less than half the time. */
static inline uint64_t hash_long(const void *data, size_t length, uint64_t seed)
{
	const uint8_t *bytes = data;
	uint64_t secret = hash_mix(seed ^ 0x9e3779b97f4a7c15u, 0xd6e8feb86659fd93u);
	uint64_t lanes[HASH_LANES] = {seed, ~seed, secret, ~secret};
	uint64_t rest = hash_bytes(bytes + length / HASH_STRIDE * HASH_STRIDE,
				   length % HASH_STRIDE, seed ^ length);
	uint32_t i;

	for (; length >= HASH_STRIDE; length -= HASH_STRIDE)
		for (i = 0; i < HASH_LANES; i++, bytes += 16)
			lanes[i] = hash_mix(hash_load64(bytes) ^ secret,
					    hash_load64(bytes + 8) ^ lanes[i]);
	return hash_bytes(lanes, sizeof(lanes), rest);
}

#endif
