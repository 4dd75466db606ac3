/* SPDX-License-Identifier: MIT */
/*
 * What fuzz_api knows of the library beside it: each live object, whose it is,
 * and what it wrote into it. The rest is requests, and what may become of them.
 */
#ifndef SELFTESTS_SHADOW_H
#define SELFTESTS_SHADOW_H

#include "fuzz.h"

#include <rn/gfp.h>
#include <rn/slab.h>
#include <stdbool.h>

#define NR_OBJECTS	96
#define NR_CACHES	8
#define NR_GROUPS	6
/* No more is live, so that what fails has not failed for want of memory. */
#define MOST_LIVE	(32UL << 20)
/* All that can be: what is larger than this is refused. */
#define RESERVATION	"4G"
#define RESERVATION_BYTES (4UL << 30)

enum origin { BY_SIZE, BY_CACHE, BY_GROUP, BY_ORDER };

/**
 * struct object - one that is live, or a place for one
 * @p: NULL: there is none
 * @asked: bytes
 * @usable: of these, what rn_size() says
 * @origin: how it came
 * @owner: number of the cache or the group, or the order of its pages
 * @from: first byte that is ours; before it is the constructor's
 * @zeroed: every request was for zeroes, so only what was asked for is written
 */
struct object {
	unsigned char *p;
	size_t asked, usable;
	enum origin origin;
	unsigned int owner;
	size_t from;
	bool zeroed;
	uint8_t mark;
};

/**
 * struct request - what is asked for
 * @in: to read it from
 * @limited: something bounds memory
 */
struct request {
	size_t size;
	rn_gfp_t flags;
	int node;
};

extern struct object objects[NR_OBJECTS];
/* rn_set_limit() was called; 0 for none. */
extern size_t hard_limit;

/* --- shadow.c --- */

struct object *any_object(struct input *in);
/* One that is free; NULL: there is none, or enough is live. */
struct object *free_place(size_t bytes);
/* It is new: lies where it may, holds what it must, and is written to. */
void object_is_new(struct object *o, const struct request *r, size_t align);
void object_write(struct object *o);
/* The first @n bytes are as written; those before @from the constructor's. */
void object_is_whole(const struct object *o, size_t n);
bool is_disjoint(const struct object *o);
size_t live_in(enum origin origin, unsigned int owner);
void object_free(struct object *o, unsigned int how);

size_t take_size(struct input *in);
struct request take_request(struct input *in);
bool is_invalid(const struct request *r);
/* NULL is an answer to it, and errno is the one that belongs to it. */
void refused(const struct request *r, bool bounded);
size_t align_of_size(size_t size);

/* --- api_caches.c --- */

#define CTOR_BYTES	8

void cache_step(struct input *in);
void cache_object_free(struct object *o, unsigned int how);
void caches_end(void);
bool ctor_bytes_ok(const void *p);

/* --- api_groups.c --- */

void group_step(struct input *in);
void groups_end(void);
/* Something in or above it bounds what it may have. */
bool group_is_bounded(unsigned int g);

#endif /* SELFTESTS_SHADOW_H */
