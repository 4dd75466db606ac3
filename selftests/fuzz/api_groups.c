// SPDX-License-Identifier: MIT
/*
 * A tree of groups: what is charged to each is what of it is live.
 */
#include "shadow.h"
#include "../helpers.h"

#include <errno.h>
#include <rn/memcg.h>

#define NOBODY	(-1)

static struct {
	struct rn_memcg *m;	/* NULL: there is none */
	int parent;
	size_t max;
} groups[NR_GROUPS];

static bool is_in(int g, int ancestor)
{
	while (g != NOBODY && g != ancestor)
		g = groups[g].parent;
	return g == ancestor;
}

static bool has_children(int g)
{
	for (int i = 0; i < NR_GROUPS; i++)
		if (groups[i].m && groups[i].parent == g)
			return true;
	return false;
}

bool group_is_bounded(unsigned int g)
{
	for (int i = (int)g; i != NOBODY; i = groups[i].parent)
		if (groups[i].max != RN_MEMCG_NO_LIMIT)
			return true;
	return false;
}

static size_t usage(int g)
{
	size_t sum = 0;

	for (int i = 0; i < NR_GROUPS; i++)
		if (groups[i].m && is_in(i, g))
			sum += live_in(BY_GROUP, i);
	return sum;
}

static void usage_is_right(void)
{
	for (int i = 0; i < NR_GROUPS; i++)
		if (groups[i].m)
			sure(rn_memcg_usage(groups[i].m) == usage(i));
}

/* --- groups --- */

static void make(struct input *in, int g)
{
	int parent = (int)take_below(in, NR_GROUPS);

	if (!groups[parent].m)
		parent = NOBODY;
	groups[g].parent = parent;
	groups[g].max = RN_MEMCG_NO_LIMIT;
	groups[g].m = rn_memcg_create(parent == NOBODY ? NULL :
				      groups[parent].m, "fuzzed");
	sure(groups[g].m || hard_limit);
}

static void set_max(struct input *in, int g)
{
	uint8_t kind = take(in);
	size_t max = kind > 200 ? RN_MEMCG_NO_LIMIT :
		     take_bytes(in, 1 + kind % 3);

	sure(!rn_memcg_set(groups[g].m, RN_MEMCG_MAX, max));
	sure(rn_memcg_get(groups[g].m, RN_MEMCG_MAX) == max);
	groups[g].max = max;
}

static void objects_end(int g, enum rn_memcg_end how)
{
	for (int i = 0; i < NR_OBJECTS; i++) {
		struct object *o = &objects[i];

		if (!o->p || o->origin != BY_GROUP || o->owner != g)
			continue;
		if (how == RN_MEMCG_REPARENT)
			o->owner = (unsigned int)groups[g].parent;
		else
			o->p = NULL;
	}
}

static int expected_end(int g, enum rn_memcg_end how)
{
	if (has_children(g) || (how == RN_MEMCG_REFUSE && usage(g)))
		return -EBUSY;
	return how == RN_MEMCG_REPARENT && groups[g].parent == NOBODY ?
		-EINVAL : 0;
}

static void end(int g, enum rn_memcg_end how)
{
	int expected = expected_end(g, how);

	sure(rn_memcg_destroy(groups[g].m, how) == expected);
	if (expected)
		return;
	objects_end(g, how);
	groups[g].m = NULL;
}

/* --- objects --- */

/* Not held: nobody else would free anything meanwhile. */
static void alloc(struct input *in, int g)
{
	struct request r = take_request(in);
	struct object *o = free_place(r.size);
	void *p;

	if (!o)
		return;
	r.flags = (r.flags & (RN_ZERO | RN_NOWAIT)) | RN_RETRIES(1);
	r.node = RN_NO_NODE;
	errno = 0;
	p = rn_memcg_alloc(groups[g].m, r.size, r.flags);
	if (!p) {
		refused(&r, group_is_bounded(g));
		return;
	}
	sure((p == RN_ZERO_SIZE_PTR) == !r.size);
	if (!r.size)
		return;
	*o = (struct object){
		.p = p, .asked = r.size, .usable = rn_size(p),
		.origin = BY_GROUP, .owner = g,
	};
	object_is_new(o, &r, align_of_size(r.size));
	for (; g != NOBODY; g = groups[g].parent)
		sure(usage(g) <= groups[g].max);
}

void group_step(struct input *in)
{
	int g = (int)take_below(in, NR_GROUPS);

	if (!groups[g].m) {
		make(in, g);
		return;
	}
	switch (take_below(in, 8)) {
	case 0:
		end(g, take_below(in, RN_MEMCG_FREE + 1));
		break;
	case 1:
		set_max(in, g);
		break;
	default:
		alloc(in, g);
	}
	usage_is_right();
}

/* A child may have a lower number than its parent. */
void groups_end(void)
{
	for (int round = 0; round < NR_GROUPS; round++)
		for (int g = 0; g < NR_GROUPS; g++)
			if (groups[g].m && !has_children(g))
				end(g, RN_MEMCG_REFUSE);
	for (int g = 0; g < NR_GROUPS; g++)
		sure(!groups[g].m);
}
