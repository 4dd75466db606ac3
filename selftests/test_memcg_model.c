// SPDX-License-Identifier: MIT
/*
 * Groups beside a model of them, a sum of sizes and a comparison: every
 * request that does not wait is granted or declined as the model says, and the
 * same is in use after any number of operations.
 */
#include "helpers.h"
#include "memcg.h"

#include <errno.h>
#include <rn/pages.h>
#include <stdlib.h>

#define GROUPS		6
#define OBJECTS		1500
#define NOBODY		(-1)

/* The tree: who is in whom. A group is made and destroyed many times. */
static const int parent_of[GROUPS] = { NOBODY, 0, 0, 1, 1, 2 };

struct model_group {
	struct rn_memcg *m;	/* NULL while there is none */
	size_t usage, max;
};

struct model_object {
	unsigned char *p;
	size_t bytes;
	int group;		/* that it is charged to */
	unsigned char mark;
};

static struct model_group groups[GROUPS];
static struct model_object objects[OBJECTS];
static uint64_t state;

static size_t below(size_t n)
{
	return xorshift(&state) % n;
}

static bool once_in(size_t n)
{
	return !below(n);
}

/* --- the model --- */

static void charge(int g, size_t bytes)
{
	for (; g != NOBODY; g = parent_of[g])
		groups[g].usage += bytes;
}

static bool fits(int g, size_t bytes)
{
	for (; g != NOBODY; g = parent_of[g])
		if (groups[g].usage > groups[g].max ||
		    bytes > groups[g].max - groups[g].usage)
			return false;
	return true;
}

static bool has_children(int g)
{
	for (int i = 0; i < GROUPS; i++)
		if (parent_of[i] == g && groups[i].m)
			return true;
	return false;
}

static bool is_parent_gone(int g)
{
	return parent_of[g] != NOBODY && !groups[parent_of[g]].m;
}

static void expect_same(void)
{
	for (int i = 0; i < GROUPS; i++) {
		if (!groups[i].m)
			continue;
		ck_assert_uint_eq(rn_memcg_usage(groups[i].m),
				  groups[i].usage);
		ck_assert_uint_ge(rn_memcg_peak(groups[i].m),
				  groups[i].usage);
	}
}

/* --- objects --- */

static size_t random_size(void)
{
	unsigned int bits = below(17);
	size_t size = 1 + below(1UL << bits);

	return once_in(50) ? 65537 + below(200000) : size;
}

/* Its ends are enough to tell that it is whole. */
static void mark(struct model_object *o)
{
	o->mark = (unsigned char)below(256);
	o->p[0] = o->mark;
	o->p[o->bytes - 1] = o->mark;
}

static void expect_whole(const struct model_object *o)
{
	ck_assert_uint_eq(o->p[0], o->mark);
	ck_assert_uint_eq(rn_size(o->p), o->bytes);
}

static void take(struct model_object *o)
{
	int g = below(GROUPS);
	size_t size = random_size(), bytes = rn_size_roundup(size);
	rn_gfp_t flags = RN_NOWAIT | (once_in(8) ? RN_ZERO : 0);

	if (!groups[g].m)
		return;
	if (!fits(g, bytes)) {
		errno = 0;
		ck_assert_ptr_null(rn_memcg_alloc(groups[g].m, size, flags));
		ck_assert_int_eq(errno, ENOMEM);
		return;
	}
	o->p = granted(groups[g].m, size, flags);
	if (flags & RN_ZERO)
		ck_assert(all_zero(o->p, rn_size(o->p)));
	o->bytes = bytes;
	o->group = g;
	charge(g, bytes);
	mark(o);
}

static void give(struct model_object *o)
{
	expect_whole(o);
	ck_assert_uint_eq(o->p[o->bytes - 1], o->mark);
	charge(o->group, -o->bytes);
	rn_free(o->p);
	o->p = NULL;
}

/* In place while more than half of it is used; else old and new are there. */
static void resize(struct model_object *o)
{
	size_t size = random_size(), bytes = rn_size_roundup(size);
	void *p;

	if (size <= o->bytes && (size > o->bytes / 2 || o->bytes == 8))
		bytes = o->bytes;
	expect_whole(o);
	if (bytes != o->bytes && !fits(o->group, bytes)) {
		errno = 0;
		ck_assert_ptr_null(rn_realloc(o->p, size, RN_NOWAIT));
		ck_assert_int_eq(errno, ENOMEM);
		expect_whole(o);
		return;
	}
	p = rn_realloc(o->p, size, RN_NOWAIT);
	ck_assert_ptr_nonnull(p);
	charge(o->group, bytes - o->bytes);
	o->p = p;
	o->bytes = bytes;
	expect_whole(o);
	mark(o);
}

/* --- groups --- */

static void set_max(int g)
{
	size_t max = once_in(10) ? RN_MEMCG_NO_LIMIT :
		     below(g ? 1500000 : 4000000);

	set_limit(groups[g].m, RN_MEMCG_MAX, max);
	groups[g].max = max;
}

static void make(int g)
{
	if (is_parent_gone(g))
		return;
	groups[g].m = group(parent_of[g] == NOBODY ? NULL :
			    groups[parent_of[g]].m, "modelled");
	groups[g].usage = 0;
	set_max(g);
}

static int expected_end(int g, enum rn_memcg_end how)
{
	if (has_children(g) || (how == RN_MEMCG_REFUSE && groups[g].usage))
		return -EBUSY;
	return how == RN_MEMCG_REPARENT && parent_of[g] == NOBODY ? -EINVAL : 0;
}

static void objects_end(int g, enum rn_memcg_end how)
{
	for (int i = 0; i < OBJECTS; i++) {
		struct model_object *o = &objects[i];

		if (!o->p || o->group != g)
			continue;
		if (how == RN_MEMCG_REPARENT) {
			o->group = parent_of[g];
			continue;
		}
		charge(g, -o->bytes);
		o->p = NULL;
	}
}

static void end(int g)
{
	enum rn_memcg_end how = below(RN_MEMCG_FREE + 1);
	int expected = expected_end(g, how);

	ck_assert_int_eq(rn_memcg_destroy(groups[g].m, how), expected);
	if (expected)
		return;
	objects_end(g, how);
	groups[g].m = NULL;
}

/* --- two times half a million operations --- */

static void on_object(struct model_object *o)
{
	if (!o->p)
		take(o);
	else if (once_in(6))
		resize(o);
	else
		give(o);
}

static void on_group(int g)
{
	if (!groups[g].m)
		make(g);
	else if (once_in(3))
		end(g);
	else
		set_max(g);
}

static bool any_declined(void)
{
	return groups[0].m && rn_memcg_event(groups[0].m, RN_MEMCG_EVENT_MAX);
}

static void everything_ends(void)
{
	for (int i = 0; i < OBJECTS; i++)
		if (objects[i].p)
			give(&objects[i]);
	for (int g = GROUPS - 1; g >= 0; g--)
		if (groups[g].m)
			group_end(groups[g].m);
}

START_TEST(as_modelled)
{
	size_t ops = 500000 / LESS, declined_in = 0;

	/* What is declined is then never for want of memory. */
	stderr_catch();
	ck_assert_int_eq(rn_reserve(128UL << 20, RN_NO_NODE, 0), 0);
	free(stderr_caught());
	state = 0x5eed + _i;
	for (int g = 0; g < GROUPS; g++)
		make(g);
	for (size_t i = 1; i <= ops; i++) {
		if (once_in(300))
			on_group(below(GROUPS));
		else
			on_object(&objects[below(OBJECTS)]);
		if (i % 1000)
			continue;
		expect_same();
		declined_in += any_declined();
	}
	ck_assert_uint_gt(declined_in, 0);
	everything_ends();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("memcg_model");
	TCase *tc = tcase_create("model");

	tcase_add_loop_test(tc, as_modelled, 0, 2);
	tcase_set_timeout(tc, 120);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
