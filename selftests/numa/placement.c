// SPDX-License-Identifier: MIT
/*
 * 100,000 objects, each asked for on a node in one of the ways there are: where
 * move_pages() finds it is where it was asked for; rn_addr_to_node() agrees. The
 * caller goes from node to node, so that most are not its own.
 */
#include "nodes.h"

#include <rn/pages.h>
#include <rn/slab.h>
#include <stdlib.h>
#include <string.h>

#define OBJECTS	100000

static const char *const ladders[] = { "small", "hugetlb", "thp" };

/* Ways to ask for an object of a node. */
enum way { LOCAL, NODE, THIS_NODE, CACHE_LOCAL, CACHE_NODE, NR_WAYS };

static const char *const way_names[NR_WAYS] = {
	"rn_alloc", "rn_alloc_node", "rn_alloc_node with RN_THISNODE",
	"rn_cache_alloc", "rn_cache_alloc_node",
};

static void *object[OBJECTS];
static int asked[OBJECTS], found[OBJECTS];
static enum way way_of[OBJECTS];
static struct rn_cache *cache;

/* Mostly small, some of a few pages, few beyond the largest class. */
static size_t random_size(uint64_t *random)
{
	uint64_t r = xorshift(random);

	return 1 + r / 1024 % (r % 1024 == 0 ? 100000 : r % 64 == 0 ? 8192 :
			       512);
}

static void *ask(enum way way, size_t size, int node)
{
	switch (way) {
	case LOCAL:
		return rn_alloc(size, 0);
	case NODE:
		return rn_alloc_node(size, 0, node);
	case THIS_NODE:
		return rn_alloc_node(size, RN_THISNODE, node);
	case CACHE_LOCAL:
		return rn_cache_alloc(cache, 0);
	default:
		return rn_cache_alloc_node(cache, 0, node);
	}
}

static bool is_local(enum way way)
{
	return way == LOCAL || way == CACHE_LOCAL;
}

static void get_one(int i, int here, uint64_t *random)
{
	enum way way = xorshift(random) % NR_WAYS;
	size_t size = random_size(random);

	asked[i] = is_local(way) ? here :
		full_node(xorshift(random) % full_nodes());
	way_of[i] = way;
	object[i] = ask(way, size, asked[i]);
	if (!object[i])
		ck_abort_msg("%s: no memory on node %d", way_names[way],
			     asked[i]);
	memset(object[i], 1, 1);
}

static void give_back(int i)
{
	if (way_of[i] == CACHE_LOCAL || way_of[i] == CACHE_NODE)
		rn_cache_free(cache, object[i]);
	else
		rn_free(object[i]);
}

static void get_all(uint64_t *random)
{
	enum { STAY = 5000 };
	int here = -1;

	for (int i = 0; i < OBJECTS; i++) {
		if (i % STAY == 0) {
			here = full_node(i / STAY % full_nodes());
			run_on(here);
		}
		get_one(i, here, random);
	}
}

static void expect_in_place(void)
{
	pages_where(object, found, OBJECTS);
	for (int i = 0; i < OBJECTS; i++) {
		int node = rn_addr_to_node(object[i]);

		/* An assertion of Check's is slow, and these are many. */
		if (found[i] != asked[i] || node != found[i])
			ck_abort_msg("object %d of %s is on node %d, not %d; "
				     "rn_addr_to_node() says %d", i,
				     way_names[way_of[i]], found[i], asked[i],
				     node);
	}
}

/* Half of them go and come again: what lay in sheaves is placed as well. */
static void again(uint64_t *random)
{
	for (int i = 0; i < OBJECTS; i += 2)
		give_back(i);
	for (int i = 0; i < OBJECTS; i += 2) {
		object[i] = ask(way_of[i], random_size(random), asked[i]);
		if (!object[i])
			ck_abort_msg("no memory on node %d", asked[i]);
		memset(object[i], 1, 1);
	}
}

static void only_nodes_asked_for(void)
{
	int keep = 0;

	/* What is local depends on where the caller is now. */
	for (int i = 0; i < OBJECTS; i++) {
		if (is_local(way_of[i]))
			continue;
		object[keep] = object[i];
		asked[keep] = asked[i];
		way_of[keep++] = way_of[i];
	}
	pages_where(object, found, keep);
	for (int i = 0; i < keep; i++)
		if (found[i] != asked[i])
			ck_abort_msg("%s: on node %d, not %d",
				     way_names[way_of[i]], found[i], asked[i]);
}

START_TEST(where_it_was_asked_for)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 208, .flags = RN_NOMERGE,
	};
	uint64_t random = 4711;

	setenv("RN_LADDER", ladders[_i], 1);
	cache = rn_cache_create("placed", &args);
	ck_assert_ptr_nonnull(cache);
	get_all(&random);
	expect_in_place();
	again(&random);
	only_nodes_asked_for();
	if (!strcmp(ladders[_i], "hugetlb")) {
		ck_assert_int_eq(vmstat_nodes("pageblocks_small"), 0);
		ck_assert_int_eq(vmstat_nodes("pageblocks_thp"), 0);
	}
}
END_TEST

/* Enough for all of them on each node. */
static void set_pools(void)
{
	long pages[MAX_TEST_NODES];

	for (int i = 0; i < full_nodes(); i++)
		pages[i] = 96 / full_nodes();
	pools_set(pages, full_nodes());
}

int main(void)
{
	Suite *s = suite_create("placement");
	TCase *tc = tcase_create("placement");

	need_full_nodes(2);
	tcase_set_timeout(tc, 20);
	tcase_add_unchecked_fixture(tc, set_pools, pools_put_back);
	tcase_add_loop_test(tc, where_it_was_asked_for, 0, ARRAY_LEN(ladders));
	suite_add_tcase(s, tc);
	return suite_main(s);
}
