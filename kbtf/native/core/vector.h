/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Growing arrays: VECTOR(uint32_t) ids = {0}; */
#ifndef KBTF_VECTOR_H
#define KBTF_VECTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define VECTOR(type)                                                                               \
	struct {                                                                                   \
		type *at;                                                                          \
		uint32_t nr;                                                                       \
		uint32_t room;                                                                     \
	}

/* Make room for `more` items after the existing `nr`; returns the array, or NULL. */
static inline void *vector_grown(void *at, uint32_t nr, uint32_t *room, size_t item, uint32_t more)
{
	uint64_t needed = (uint64_t)nr + more;
	uint64_t wanted = *room + *room / 2 + 16u;
	void *grown;

	if (wanted < needed)
		wanted = needed;
	if (wanted > UINT32_MAX || wanted * item > SIZE_MAX / 2)
		return NULL;
	grown = realloc(at, (size_t)wanted * item);
	if (grown)
		*room = (uint32_t)wanted;
	return grown;
}

/* False if there is no memory; existing items stay valid. */
#define vector_reserve(vector, more)                                                               \
	((vector)->room - (vector)->nr >= (more) ||                                                \
	 vector_reserve_slow((void **)&(vector)->at, (vector)->nr, &(vector)->room,               \
			     sizeof(*(vector)->at), (more)))

static inline bool vector_reserve_slow(void **at, uint32_t nr, uint32_t *room, size_t item,
				       uint32_t more)
{
	void *grown = vector_grown(*at, nr, room, item, more);

	if (!grown)
		return false;
	*at = grown;
	return true;
}

/* False if there is no memory. */
#define vector_push(vector, value)                                                                 \
	(vector_reserve(vector, 1) && ((vector)->at[(vector)->nr++] = (value), true))

/* A new last item, not initialised; NULL if there is no memory. */
#define vector_new(vector)                                                                         \
	(vector_reserve(vector, 1) ? &(vector)->at[(vector)->nr++] : NULL)

#define vector_release(vector)                                                                     \
	do {                                                                                       \
		free((vector)->at);                                                                \
		(vector)->at = NULL;                                                               \
		(vector)->nr = (vector)->room = 0;                                                 \
	} while (0)

#endif
