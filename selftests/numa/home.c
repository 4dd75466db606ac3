// SPDX-License-Identifier: MIT
/*
 * Objects that one node's thread allocates and another node's frees: they go
 * home, so that each node's memory stays as much as it was, and nothing of
 * another node is left in a slot or a barn.
 */
#include "nodes.h"

#include "slab.h"
#include "zone.h"

#include <pthread.h>
#include <rn/pages.h>
#include <rn/slab.h>
#include <rn/vmstat.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OBJECTS	1000000
#define RING	4096		/* a power of two */
#define SIZE	192

static struct rn_cache *cache;
static void *ring[RING];
static size_t produced, consumed;

/* Waits until the other one has done at least @n. */
static void wait_for(const size_t *done, size_t n)
{
	while (__atomic_load_n(done, __ATOMIC_ACQUIRE) < n)
		sched_yield();
}

static void *produce(void *arg)
{
	int node = *(int *)arg;

	run_on(node);
	for (size_t i = 0; i < OBJECTS; i++) {
		uint64_t *p = rn_cache_alloc(cache, 0);

		if (!p)
			ck_abort_msg("no memory for object %zu", i);
		*p = i;
		if (i >= RING)
			wait_for(&consumed, i - RING + 1);
		ring[i % RING] = p;
		__atomic_store_n(&produced, i + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void *consume(void *arg)
{
	int node = *(int *)arg;

	run_on(node);
	for (size_t i = 0; i < OBJECTS; i++) {
		uint64_t *p;

		wait_for(&produced, i + 1);
		p = ring[i % RING];
		if (*p != i)
			ck_abort_msg("object %zu holds %lu", i,
				     (unsigned long)*p);
		rn_cache_free(cache, p);
		__atomic_store_n(&consumed, i + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

/* --- what is where --- */

struct look {
	int node;
	unsigned long objects;
};

/* A sheaf of a node's row or barn. */
static void look_at_sheaf(struct look *look, const struct sheaf *s)
{
	unsigned int n = s && s != &closed_sheaf ? sheaf_count(s) : 0;

	for (unsigned int i = 0; i < n; i++)
		if (pfn_to_node(ptr_to_pfn(s->objects[i])) != look->node ||
		    page_where(s->objects[i]) != look->node)
			ck_abort_msg("%p is not of node %d", s->objects[i],
				     look->node);
	look->objects += n;
}

static void look_at_slot(void *arg, const struct slot *slot)
{
	for (size_t i = 0; i < ARRAY_LEN(slot->sheaf); i++)
		look_at_sheaf(arg, slot->sheaf[i]);
}

/* Empties the barn, one after another: nobody else is there any more. */
static void look_at_barn(struct look *look, struct barn *b)
{
	struct sheaf *s;

	while ((s = barn_take(b)))
		look_at_sheaf(look, s);
}

static unsigned long look_at_node(int node)
{
	struct look look = { .node = node };
	struct cache_node *n = cache->node[node];

	percpu_for_each(row_on(cache, node), look_at_slot, &look);
	if (n)
		look_at_barn(&look, &n->barn);
	return look.objects;
}

/* Slots of CPUs of node @home, in the map, that have objects of another one. */
static unsigned int away_in_map(int node, int home)
{
	char *text = dump_text(rn_memmap), *at = text, *line;
	unsigned int have[2], slots = 0;
	int of, whose;

	while ((line = strsep(&at, "\n")))
		slots += sscanf(line, "slot home %d %*u %u %*u %u %*u %*s %d",
				&of, &have[0], &have[1], &whose) == 4 &&
			 of == node && whose == home && have[0] + have[1];
	free(text);
	return slots;
}

static void blocks_up(unsigned int *up)
{
	for (int n = 0; n < nodes_possible(); n++)
		up[n] = zone_nr_up(&zones[n]);
}

static void pass_all(int from, int to)
{
	pthread_t producer, consumer;

	produced = 0;
	consumed = 0;
	ck_assert_int_eq(pthread_create(&producer, NULL, produce, &from), 0);
	ck_assert_int_eq(pthread_create(&consumer, NULL, consume, &to), 0);
	pthread_join(producer, NULL);
	pthread_join(consumer, NULL);
}

/*
 * No more than a ring of objects is on its way. The memory for that, and for
 * what sheaves hold, is up after the first million; the second must do with it.
 */
START_TEST(objects_go_home)
{
	unsigned int first[MAX_TEST_NODES], second[MAX_TEST_NODES];
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = SIZE, .flags = RN_NOMERGE,
	};
	int near = full_node(0), far = full_node(full_nodes() - 1);
	unsigned long at_home;
	struct slabinfo info;

	cache = rn_cache_create("home", &args);
	ck_assert_ptr_nonnull(cache);
	pass_all(near, far);
	blocks_up(first);
	pass_all(near, far);
	blocks_up(second);
	for (int n = 0; n < nodes_possible(); n++)
		ck_assert_uint_eq(second[n], first[n]);
	ck_assert(slabinfo_of("home", &info));
	ck_assert_uint_eq(info.active, 0);
	/* All slabs are the producer's: the consumer has allocated nothing. */
	ck_assert_uint_eq(cache->node[near]->nr_slabs, info.slabs);
	/* A slot that is found by mm_cid is any CPU's. */
	if (!vmstat("percpu_index_mm_cid"))
		ck_assert_uint_gt(away_in_map(near, far), 0);
	ck_assert_uint_eq(away_in_map(far, near), 0);
	at_home = look_at_node(near);
	ck_assert_uint_gt(at_home, 0);
	for (int n = 0; n < nodes_possible(); n++)
		if (n != near)
			ck_assert_uint_eq(look_at_node(n), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("home");
	TCase *tc = tcase_create("home");

	need_full_nodes(2);
	tcase_set_timeout(tc, 20);
	tcase_add_test(tc, objects_go_home);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
