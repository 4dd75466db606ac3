/* SPDX-License-Identifier: MIT */
/*
 * What the tests of traces share: numbers at random, and a trace that is written
 * event by event.
 */
#ifndef SELFTESTS_TRACE_FILE_H
#define SELFTESTS_TRACE_FILE_H

#include "helpers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "trace.h"

#define BLOCK_BYTES	4096
#define NR_RANDOM	20000
#define MS		1000000ULL

static uint64_t random_state __attribute__((unused)) = 88172645463325252ULL;

static inline uint64_t random_u64(void)
{
	return xorshift(&random_state);
}

/* Numbers of all lengths. */
static inline uint64_t random_number(void)
{
	return random_u64() >> random_u64() % 64;
}

/* --- files --- */

/**
 * struct writing - a trace in the making
 * @at: what the next event is to be later than
 */
struct writing {
	FILE *f;
	char name[64];
	struct rnt_writer w;
	unsigned char block[BLOCK_BYTES];
	uint32_t tid, sequence;
};

static inline void put_block(struct writing *x, struct rnt_header h)
{
	size_t bytes = rnt_end(&x->w, h);

	ck_assert_uint_eq(fwrite(x->block, 1, bytes, x->f), bytes);
	rnt_begin(&x->w, x->block, BLOCK_BYTES);
}

static inline void create(struct writing *x)
{
	struct rnt_header h = { .kind = RNT_PROCESS, .bytes = 4 };
	int fd;

	strcpy(x->name, "/tmp/unit_trace-XXXXXX");
	fd = mkstemp(x->name);
	ck_assert_int_ge(fd, 0);
	x->f = fdopen(fd, "w");
	rnt_begin(&x->w, x->block, BLOCK_BYTES);
	memcpy(x->block + sizeof(h), "a=b\n", 4);
	put_block(x, h);
	x->tid = x->sequence = 0;
}

static inline void end_block(struct writing *x)
{
	if (x->w.events)
		put_block(x, (struct rnt_header){
			.kind = RNT_EVENTS, .tid = x->tid,
			.sequence = x->sequence++,
		});
}

/* What follows is another thread's. */
static inline void next_thread(struct writing *x)
{
	end_block(x);
	x->tid++;
	x->sequence = 0;
}

static inline void finish(struct writing *x)
{
	end_block(x);
	ck_assert_int_eq(fclose(x->f), 0);
}

static inline void put(struct writing *x, enum rnt_kind kind, uint64_t time_ns,
		uint64_t address, uint64_t size)
{
	struct rnt_event e = {
		.kind = kind, .time_ns = time_ns, .address = address,
		.size = size,
	};

	if (!rnt_has_room(&x->w))
		end_block(x);
	rnt_put(&x->w, &e);
}

#endif /* SELFTESTS_TRACE_FILE_H */
