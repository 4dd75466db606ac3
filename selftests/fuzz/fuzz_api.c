// SPDX-License-Identifier: MIT
/*
 * Any sequence of calls of the API, each of which a few bytes of the input
 * stand for, beside a model of what is live (shadow.h). At the end all is
 * freed, and nothing may be left.
 */
#include "shadow.h"
#include "../helpers.h"
#include "../zone_census.h"
#include "../../mm/pressure.h"

#include <errno.h>
#include <rn/memcg.h>
#include <rn/pages.h>
#include <rn/reclaim.h>
#include <rn/vmstat.h>

/* --- objects by size --- */

static void *request_by(unsigned int how, const struct request *r)
{
	switch (how % 5) {
	case 0:
		return r->node == RN_NO_NODE ? rn_alloc(r->size, r->flags) :
			rn_alloc_node(r->size, r->flags, r->node);
	case 1:
		return rn_alloc_node(r->size, r->flags, r->node);
	case 2:
		return r->node != RN_NO_NODE ? rn_alloc_node(r->size, r->flags,
							     r->node) :
			rn_alloc_array(r->size, 1, r->flags);
	case 3:
		return rn_zalloc_node(r->size, r->flags, r->node);
	default:
		return rn_realloc(r->node == RN_NO_NODE ? NULL :
				  RN_ZERO_SIZE_PTR, r->size, r->flags);
	}
}

static bool took(struct object *o, void *p, const struct request *r)
{
	if (!p)
		return false;
	sure((p == RN_ZERO_SIZE_PTR) == !r->size);
	if (!r->size) {
		rn_free(p);
		return true;
	}
	sure(!is_invalid(r) && r->size <= RN_MAX_SIZE);
	*o = (struct object){
		.p = p, .asked = r->size, .usable = rn_size(p),
		.origin = BY_SIZE,
	};
	sure(o->usable == rn_size_roundup(r->size));
	object_is_new(o, r, align_of_size(r->size));
	return true;
}

static void step_alloc(struct input *in)
{
	struct request r = take_request(in);
	struct object *o = free_place(r.size);
	unsigned int how = take(in) % 5;

	if (!o)
		return;
	if (how == 3)
		r.flags |= RN_ZERO;
	if (how == 4)
		r.node = RN_NO_NODE;
	errno = 0;
	if (!took(o, request_by(how, &r), &r))
		refused(&r, false);
}

static void step_array(struct input *in)
{
	static const size_t counts[] = {
		0, 1, 3, 100, 1UL << 32, 1UL << 33, SIZE_MAX, SIZE_MAX / 3,
	};
	struct request r = take_request(in);
	size_t n = counts[take_below(in, ARRAY_LEN(counts))], each = r.size;
	struct object *o;

	if (__builtin_mul_overflow(n, each, &r.size))
		r.size = SIZE_MAX;
	if (r.flags & RN_NOFAIL && r.size > MOST_LIVE)
		return;
	o = free_place(r.size);
	if (!o)
		return;
	r.flags |= RN_ZERO;
	r.node = RN_NO_NODE;
	errno = 0;
	if (!took(o, rn_calloc(n, each, r.flags), &r))
		refused(&r, false);
}

static void step_bulk(struct input *in)
{
	struct request r = take_request(in);
	size_t n = take_below(in, 24), got;
	void *p[24];

	r.node = RN_NO_NODE;
	if (r.size > 65536)
		return;
	errno = 0;
	got = rn_alloc_bulk(r.size, r.flags, n, p);
	sure(got <= n);
	if (got < n)
		refused(&r, false);
	while (got) {
		struct object *o = free_place(r.size);

		if (!o)
			break;
		took(o, p[--got], &r);
	}
	rn_free_bulk(got, p);
}

static bool is_bounded(const struct object *o)
{
	return o->origin == BY_GROUP && group_is_bounded(o->owner);
}

/* What was moved is a plain object; of a group it stays the group's. */
static void resized(struct object *o, void *p, const struct request *r)
{
	struct object old = *o;

	o->p = p;
	if (o->origin == BY_CACHE && p != old.p)
		o->origin = BY_SIZE;
	o->asked = r->size;
	o->usable = rn_size(p);
	sure(o->usable >= o->asked);
	sure(is_disjoint(o));
	o->from = p == old.p ? old.from : 0;
	/* What was written is still there, as far as it is asked for. */
	old.p = p;
	old.from = o->from;
	object_is_whole(&old, old.asked < r->size ? old.asked : r->size);
	o->zeroed = old.zeroed && r->flags & RN_ZERO;
	if (o->zeroed && old.asked < r->size)
		sure(all_zero(o->p + old.asked, o->usable - old.asked));
	object_write(o);
}

static void step_realloc(struct input *in)
{
	struct object *o = any_object(in);
	struct request r = take_request(in);
	void *p;

	/* An object of a constructor's is no more what that made of it. */
	if (!o->p || o->origin == BY_ORDER || o->from)
		return;
	if (o->origin == BY_GROUP)
		r.flags = (r.flags & RN_ZERO) | RN_RETRIES(1);
	if (!free_place(r.size))
		return;
	r.node = RN_NO_NODE;
	errno = 0;
	p = rn_realloc(o->p, r.size, r.flags);
	if (!p) {
		refused(&r, is_bounded(o));
		object_is_whole(o, o->usable);
		return;
	}
	sure((p == RN_ZERO_SIZE_PTR) == !r.size);
	if (r.size)
		resized(o, p, &r);
	else
		o->p = NULL;
}

static void step_free(struct input *in)
{
	struct object *o = any_object(in);

	if (o->p)
		object_free(o, take(in));
}

/* --- pages --- */

static void step_pages(struct input *in)
{
	unsigned int order = take_below(in, 20);
	struct request r = take_request(in);
	struct object *o;
	void *p;

	r.size = order > RN_MAX_ORDER ? 1 : RN_PAGE_SIZE << order;
	if (order <= RN_MAX_ORDER && r.size > MOST_LIVE / 4)
		return;
	o = free_place(r.size);
	if (!o || (r.flags & RN_NOFAIL && order > RN_MAX_ORDER))
		return;
	errno = 0;
	p = rn_alloc_pages(order, r.flags, r.node);
	if (!p) {
		if (order > RN_MAX_ORDER)
			sure(errno == EINVAL);
		else
			refused(&r, false);
		return;
	}
	sure(order <= RN_MAX_ORDER && !is_invalid(&r));
	*o = (struct object){
		.p = p, .asked = r.size, .usable = r.size, .origin = BY_ORDER,
		.owner = order,
	};
	object_is_new(o, &r, align_of_size(r.size));
}

/* --- questions --- */

static void step_check(struct input *in)
{
	const struct object *o = any_object(in);
	size_t at = take_bytes(in, 2), len = take_size(in);
	bool within;

	if (!o->p || o->origin == BY_ORDER || o->origin == BY_CACHE)
		return;
	at %= o->usable;
	within = len <= o->usable - at;
	sure(rn_check_object(o->p + at, len) == (within ? 0 : -EFAULT));
	sure(rn_size(o->p) == o->usable);
	sure(rn_addr_to_node(o->p) >= 0);
	sure(!rn_memcg_of(o->p + at) == (o->origin != BY_GROUP));
}

/* --- giving back --- */

static void set_hard(size_t hard)
{
	sure(!rn_set_limit(0, hard));
	hard_limit = hard;
}

static void step_reclaim(struct input *in)
{
	switch (take_below(in, 8)) {
	case 0:
		rn_shrink_all();
		break;
	case 1:
	case 2:
		rn_trim(take_bytes(in, 3));
		break;
	case 3:
		set_hard((1 + take_below(in, 16)) * PAGEBLOCK_BYTES);
		break;
	case 4:
		sure(rn_set_limit(2, 1) == -EINVAL);
		break;
	default:
		set_hard(0);
	}
}

/* --- a run --- */

static void (*const steps[])(struct input *in) = {
	step_alloc, step_alloc, step_alloc, step_free, step_free, step_realloc,
	step_array, step_bulk, step_pages, step_check, step_reclaim,
	cache_step, cache_step, cache_step, group_step, group_step,
};

/* What is above the limit stays, but nothing more comes up. */
static void step(struct input *in)
{
	size_t before = limit_held();

	steps[take_below(in, ARRAY_LEN(steps))](in);
	sure(!hard_limit || limit_held() <= hard_limit ||
	     limit_held() <= before);
}

static void everything_ends(void)
{
	for (int i = 0; i < NR_OBJECTS; i++)
		if (objects[i].p)
			object_free(&objects[i], i);
	set_hard(0);
	groups_end();
	caches_end();
	sure(slabinfo_active() == 0);
	for (int n = 0; n < nr_node_ids(); n++)
		check_zone(&zones[n]);
	rn_shrink_all();
	sure(limit_held() == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	return setenv("RN_RESERVATION", RESERVATION, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, data + size };

	mm_init();
	sure(!mm_init_error());
	while (in.at < in.end)
		step(&in);
	everything_ends();
	return 0;
}
