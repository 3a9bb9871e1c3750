/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/*
 * The units of a file, encoded by several threads.
 *
 * Each thread takes a part of the units at a time and encodes it like a separate file, with its own ids
 * and strings, and, of a linked file, without most types that it has already.  The parts are then joined
 * in file order, with the same result as from one thread.  The calling thread encodes the first part of a
 * module itself, so that less has to be joined.
 *
 * All parts have one limit on work: each may use what those that ended before it started left.
 */
#include "reduce.h"

#include <pthread.h>

/* Bytes of .debug_info of a linked file, whatever the number of threads: types are left out within a part. */
#define MIN_PART (64u << 10)
#define MAX_PART (4u << 20)
#define PARTS 32u /* of a small file */
#define MAX_THREADS 64u

struct part {
	uint32_t start;
	uint32_t end;
	struct encoder encoder;
	struct encode_result result;
	struct btf_error err;
	bool done;
	bool failed;
};

struct team {
	struct encoder *encoder;
	struct dwarf dwarf; /* the encoder's, before anything was joined */
	uint64_t work;	    /* the remaining work limit of the parts */
	VECTOR(struct part) parts;
	uint32_t next;	 /* part to encode */
	uint32_t joined; /* the number of encoded parts */
	uint32_t ahead;	 /* the most parts that are encoded but not joined */
	bool ended;
	pthread_mutex_t lock;
	pthread_cond_t changed;
};

/* Up to the unit that determines the index type of arrays, which the parts then need not find. */
static int encode_first(struct encoder *encoder, uint32_t *end)
{
	struct unit unit;

	for (*end = 0; !encoder->index_fixed && *end < encoder->dwarf.info.size; *end = unit.end)
		if (unit_read_header(&encoder->dwarf, *end, &unit, encoder->err) ||
		    encode_range(encoder, *end, unit.end))
			return -1;
	return 0;
}

static uint32_t part_size(const struct encoder *encoder, uint32_t nr_threads)
{
	uint32_t bytes = encoder->dwarf.info.size / PARTS;

	if (!encoder->elf->linked)
		return encoder->dwarf.info.size / nr_threads;
	if (bytes < MIN_PART)
		return MIN_PART;
	return bytes < MAX_PART ? bytes : MAX_PART;
}

/* Whole units. */
static int find_parts(struct team *team, uint32_t start, uint32_t nr_threads)
{
	struct encoder *encoder = team->encoder;
	uint32_t bytes = part_size(encoder, nr_threads), offset;
	struct unit unit;

	for (offset = start; offset < encoder->dwarf.info.size; offset = unit.end) {
		if (unit_read_header(&encoder->dwarf, offset, &unit, encoder->err))
			return -1;
		if (unit.end - start < bytes && unit.end < encoder->dwarf.info.size)
			continue;
		if (!vector_push(&team->parts, ((struct part){.start = start, .end = unit.end})))
			return no_memory(encoder);
		start = unit.end;
	}
	return 0;
}

static void encode_part(const struct team *team, struct part *part, uint64_t work)
{
	uint8_t *absent = calloc((size_t)team->dwarf.str.size / 8 + 1, 1);
	const struct encoder *whole = team->encoder;
	struct encoder *encoder = &part->encoder;

	encoder->elf = whole->elf;
	encoder->options = whole->options;
	encoder->base = whole->base;
	encoder->err = &part->err;
	encoder->result = &part->result;
	encoder->dwarf = team->dwarf;
	encoder->dwarf.work = work;
	encoder->symbols = whole->symbols;
	encoder->symbols.absent = absent;
	encoder->section_addresses = whole->section_addresses;
	encoder->index_fixed = true;
	encoder->reduces = whole->reduces;
	if (whole->reduces)
		encoder->reducer = reducer_new(whole->base->seed);
	if (!absent || (whole->reduces && !encoder->reducer))
		part->failed = no_memory(encoder);
	else
		part->failed = names_init(&encoder->names, &encoder->dwarf, encoder->base,
					  encoder->err) ||
			       names_init(&encoder->literals, &encoder->dwarf, encoder->base,
					  encoder->err) ||
			       encode_range(encoder, part->start, part->end);
	free(absent);
	names_release(&encoder->literals);
	reducer_free(encoder->reducer);
}

/* If several parts ended with more than was left, nothing is left: the encoder then fails too. */
static void subtract_work(struct team *team, uint64_t amount)
{
	team->work -= amount < team->work ? amount : team->work;
}

static void *work(void *argument)
{
	struct team *team = argument;
	struct part *part;
	uint64_t limit;

	pthread_mutex_lock(&team->lock);
	for (;;) {
		while (!team->ended && team->next < team->parts.nr &&
		       team->next - team->joined >= team->ahead)
			pthread_cond_wait(&team->changed, &team->lock);
		if (team->ended || team->next >= team->parts.nr)
			break;
		part = &team->parts.at[team->next++];
		limit = team->work;
		pthread_mutex_unlock(&team->lock);
		encode_part(team, part, limit);
		pthread_mutex_lock(&team->lock);
		subtract_work(team, limit - part->encoder.dwarf.work);
		part->done = true;
		pthread_cond_broadcast(&team->changed);
	}
	pthread_mutex_unlock(&team->lock);
	return NULL;
}

static int join(struct encoder *encoder, struct part *part)
{
	if (part->failed) {
		encoder->uncertain = part->encoder.uncertain;
		*encoder->err = part->err;
		return -1;
	}
	return encode_join(encoder, &part->encoder, &part->result);
}

static void release_part(struct part *part)
{
	release_reading(&part->encoder);
	names_release(&part->encoder.names);
	vector_release(&part->encoder.words);
	vector_release(&part->encoder.offsets);
	encode_release(&part->result);
	part->encoder = (struct encoder){0};
	part->result = (struct encode_result){0};
}

/* Joins the parts as they finish; -1 as soon as one of them failed. */
static int join_all(struct team *team)
{
	struct part *part;
	int failed = 0;

	while (!failed && team->joined < team->parts.nr) {
		part = &team->parts.at[team->joined];
		pthread_mutex_lock(&team->lock);
		while (!part->done)
			pthread_cond_wait(&team->changed, &team->lock);
		pthread_mutex_unlock(&team->lock);
		failed = join(team->encoder, part);
		release_part(part);
		pthread_mutex_lock(&team->lock);
		team->joined++;
		team->ended = failed;
		pthread_cond_broadcast(&team->changed);
		pthread_mutex_unlock(&team->lock);
	}
	return failed;
}

static int run_alone(struct team *team)
{
	struct part *part;
	uint64_t limit;
	int failed = 0;

	while (!failed && team->joined < team->parts.nr) {
		part = &team->parts.at[team->joined++];
		limit = team->work;
		encode_part(team, part, limit);
		subtract_work(team, limit - part->encoder.dwarf.work);
		failed = join(team->encoder, part);
		release_part(part);
	}
	return failed;
}

/* Encode the first part of a module here, without joining it. */
static int encode_own(struct team *team)
{
	struct encoder *encoder = team->encoder;
	const struct part *own = &team->parts.at[0];
	uint64_t before = encoder->dwarf.work;
	int failed = encode_range(encoder, own->start, own->end);

	pthread_mutex_lock(&team->lock);
	subtract_work(team, before - encoder->dwarf.work);
	team->ended = failed;
	pthread_cond_broadcast(&team->changed);
	pthread_mutex_unlock(&team->lock);
	return failed;
}

static int run_team(struct team *team, uint32_t nr_threads)
{
	pthread_t *threads = calloc(nr_threads, sizeof(*threads));
	bool has_own = !team->encoder->elf->linked && team->parts.nr;
	uint32_t nr = 0;
	int failed;

	team->next = team->joined = has_own;
	while (threads && nr < nr_threads - has_own && !pthread_create(&threads[nr], NULL, work, team))
		nr++;
	failed = has_own && encode_own(team);
	/* The system may allow no more threads. */
	if (!failed)
		failed = nr ? join_all(team) : run_alone(team);
	while (nr)
		pthread_join(threads[--nr], NULL);
	free(threads);
	return failed;
}

int encode_in_parallel(struct encoder *encoder, uint32_t nr_threads)
{
	struct team team = {.encoder = encoder};
	uint32_t start, i;
	int failed;

	if (nr_threads > MAX_THREADS)
		nr_threads = MAX_THREADS;
	team.ahead = 2 * nr_threads;
	if (encode_first(encoder, &start))
		return -1;
	team.dwarf = encoder->dwarf;
	team.work = encoder->dwarf.work;
	pthread_mutex_init(&team.lock, NULL);
	pthread_cond_init(&team.changed, NULL);
	failed = find_parts(&team, start, nr_threads) ||
		 (nr_threads > 1 ? run_team(&team, nr_threads) : run_alone(&team));
	for (i = team.joined; i < team.parts.nr; i++)
		release_part(&team.parts.at[i]);
	vector_release(&team.parts);
	encoder->dwarf.work = team.work;
	pthread_cond_destroy(&team.changed);
	pthread_mutex_destroy(&team.lock);
	return failed;
}
