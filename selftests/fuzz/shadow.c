// SPDX-License-Identifier: MIT
/*
 * Live objects, by a table that is short enough to be looked through.
 */
#include "shadow.h"
#include "../helpers.h"

#include <errno.h>
#include <rn/pages.h>

#define STRIDE		509	/* between marks in large objects; a prime */
#define DENSE		64	/* bytes from each end are all marked */
#define PAGEBLOCK	(2UL << 20)

struct object objects[NR_OBJECTS];
size_t hard_limit;

struct object *any_object(struct input *in)
{
	return &objects[take_below(in, NR_OBJECTS)];
}

static size_t live(void)
{
	size_t sum = 0;

	for (int i = 0; i < NR_OBJECTS; i++)
		sum += objects[i].p ? objects[i].usable : 0;
	return sum;
}

struct object *free_place(size_t bytes)
{
	if (bytes <= RESERVATION_BYTES && live() + bytes > MOST_LIVE)
		return NULL;
	for (int i = 0; i < NR_OBJECTS; i++)
		if (!objects[i].p)
			return &objects[i];
	return NULL;
}

size_t live_in(enum origin origin, unsigned int owner)
{
	size_t sum = 0;

	for (int i = 0; i < NR_OBJECTS; i++)
		if (objects[i].p && objects[i].origin == origin &&
		    objects[i].owner == owner)
			sum += objects[i].usable;
	return sum;
}

bool is_disjoint(const struct object *o)
{
	for (int i = 0; i < NR_OBJECTS; i++) {
		const struct object *other = &objects[i];

		if (other != o && other->p &&
		    o->p < other->p + other->usable &&
		    other->p < o->p + o->usable)
			return false;
	}
	return true;
}

/* --- contents --- */

/* Every byte near the begin, then one now and then. */
static size_t next_mark(size_t i)
{
	return i < DENSE ? i + 1 : i + STRIDE;
}

static uint8_t byte_at(const struct object *o, size_t i)
{
	return (uint8_t)(o->mark + i * 31 + (i >> 8));
}

static size_t writable(const struct object *o)
{
	return o->zeroed ? o->asked : o->usable;
}

void object_write(struct object *o)
{
	size_t n = writable(o);

	for (size_t i = o->from; i < n; i = next_mark(i))
		o->p[i] = byte_at(o, i);
	for (size_t i = n > DENSE ? n - DENSE : o->from; i < n; i++)
		if (i >= o->from)
			o->p[i] = byte_at(o, i);
}

void object_is_whole(const struct object *o, size_t n)
{
	size_t end = writable(o);

	sure(o->from == 0 || ctor_bytes_ok(o->p));
	for (size_t i = o->from; i < n && i < end; i = next_mark(i))
		sure(o->p[i] == byte_at(o, i));
	for (size_t i = end > DENSE ? end - DENSE : o->from; i < end; i++)
		sure(i < o->from || i >= n || o->p[i] == byte_at(o, i));
}

void object_is_new(struct object *o, const struct request *r, size_t align)
{
	static uint8_t marks;

	sure((uintptr_t)o->p % align == 0);
	sure(o->usable >= o->asked);
	sure(is_disjoint(o));
	sure(!o->from || ctor_bytes_ok(o->p));
	o->zeroed = r->flags & RN_ZERO;
	if (o->zeroed)
		sure(all_zero(o->p, o->usable));
	o->mark = ++marks;
	object_write(o);
}

/* --- requests --- */

/* Of all magnitudes; few are large, since these take long. */
size_t take_size(struct input *in)
{
	static const size_t odd[] = {
		0, SIZE_MAX, RN_MAX_SIZE, RN_MAX_SIZE + 1, RN_MAX_SIZE - 4095,
		RESERVATION_BYTES + 1, 1UL << 47, SIZE_MAX - PAGEBLOCK,
	};
	uint8_t kind = take(in);

	if (kind < 128)
		return kind * 8 + take_below(in, 9);
	if (kind < 192)
		return take_bytes(in, 2) & 0x1fff;
	if (kind < 236)
		return take_bytes(in, 2) + (kind & 3) * 4096;
	if (kind < 252)
		return take_bytes(in, 3) & 0x7fffff;
	return odd[take_below(in, ARRAY_LEN(odd))];
}

struct request take_request(struct input *in)
{
	static const rn_gfp_t flags[] = {
		0, 0, 0, RN_ZERO, RN_NOWAIT, RN_ZERO | RN_NOWAIT, RN_NORETRY,
		RN_THISNODE, RN_ZERO | RN_NORETRY, RN_RETRIES(2), RN_HUGETLB,
		RN_HUGETLB | RN_ZERO, RN_NOFAIL, 0x40, 0x10000, RN_ZERO,
	};
	static const int nodes[] = { RN_NO_NODE, 0, 0, -2, 64, 1 << 30 };
	struct request r = { .node = RN_NO_NODE };

	r.size = take_size(in);
	r.flags = flags[take_below(in, ARRAY_LEN(flags))];
	/* That ends the program, or waits for ever. */
	if (r.flags & RN_NOFAIL && (r.size > MOST_LIVE || hard_limit))
		r.flags = 0;
	if (r.flags & RN_THISNODE)
		r.node = nodes[take_below(in, ARRAY_LEN(nodes))];
	return r;
}

bool is_invalid(const struct request *r)
{
	return r->flags & ~RN_GFP_MASK || r->node < RN_NO_NODE || r->node >= 64;
}

void refused(const struct request *r, bool bounded)
{
	int error = errno;

	if (is_invalid(r)) {
		sure(error == EINVAL || r->size > RN_MAX_SIZE);
		return;
	}
	sure(error == ENOMEM);
	sure(bounded || hard_limit || r->size > MOST_LIVE ||
	     r->flags & (RN_NOWAIT | RN_THISNODE | RN_HUGETLB));
}

/* Of a power of two, itself, up to 2 MiB. */
size_t align_of_size(size_t size)
{
	if (size & (size - 1))
		return 8;
	return size > PAGEBLOCK ? PAGEBLOCK : size;
}

/* --- the end of one --- */

static void free_by_size(struct object *o, unsigned int how)
{
	switch (how % 4) {
	case 0:
		rn_free_sized(o->p, o->asked);
		break;
	case 1:
		rn_free_sensitive(o->p);
		break;
	case 2:
		rn_free_bulk(1, (void *[]){ o->p });
		break;
	default:
		rn_free(o->p);
	}
}

void object_free(struct object *o, unsigned int how)
{
	int saved = errno;

	object_is_whole(o, o->usable);
	errno = 4321;
	if (o->origin == BY_ORDER)
		rn_free_pages(o->p, o->owner);
	else if (o->origin == BY_CACHE)
		cache_object_free(o, how);
	else
		free_by_size(o, how);
	sure(errno == 4321);
	errno = saved;
	o->p = NULL;
}
