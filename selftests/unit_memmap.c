// SPDX-License-Identifier: MIT
/*
 * rn_memmap() on remote frees: what one thread frees into the slab of another's
 * CPU waits there, is counted, and is the owner's in the end.
 */
#define _GNU_SOURCE
#include "helpers.h"

#include "slab.h"

#include <pthread.h>
#include <rn/vmstat.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Most of a slab. */
enum { SIZE = 72, FEW = 440, FREED = 400 };

static struct rn_cache *c;
static struct cache_node *n;
static void *objects[FEW];

/* What the map says of the cache. */
static struct map {
	unsigned int slabs, queued;
	unsigned long pfn, barn;
	char state[16];
	unsigned int owners, owner, home;
} map;

static void read_line(const char *line)
{
	unsigned int node, index, sheaf[4], out, all, hollow, queued;
	char slab[16], home[16];
	unsigned long pfn;

	if (sscanf(line, "slab %lu %u unit %15s %u %u %u %u", &pfn, sheaf,
		   map.state, &out, &all, &hollow, &queued) == 7) {
		map.slabs++;
		map.pfn = pfn;
		map.queued = queued;
		ck_assert_uint_le(out + queued, all);
	} else if (sscanf(line, "slot unit %u %u %u %u %u %u %15s %15s", &node,
			  &index, sheaf, sheaf + 1, sheaf + 2, sheaf + 3, slab,
			  home) == 8) {
		ck_assert_uint_eq(strtoul(home, NULL, 10), cpu_to_node(index));
		if (!strcmp(slab, "-"))
			return;
		ck_assert_uint_eq(strtoul(slab, NULL, 10), map.pfn);
		map.owners++;
		map.owner = index;
	}
	sscanf(line, "barn unit %*u %*u %*u %lu", &map.barn);
}

static void read_map(void)
{
	char *text = dump_text(rn_memmap), *at = text, *line;

	memset(&map, 0, sizeof(map));
	while ((line = strsep(&at, "\n")))
		read_line(line);
	free(text);
}

/* On the last CPU that it may use, or the first one. */
static void stay(bool last)
{
	cpu_set_t may, one;
	int cpu = -1;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(may), &may), 0);
	CPU_ZERO(&one);
	for (int i = 0; i < CPU_SETSIZE && (last || cpu < 0); i++)
		if (CPU_ISSET(i, &may))
			cpu = i;
	CPU_SET(cpu, &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
}

static void *take(void *arg)
{
	stay(false);
	for (int i = 0; i < FEW; i++) {
		objects[i] = rn_cache_alloc(c, 0);
		ck_assert_ptr_nonnull(objects[i]);
	}
	return arg;
}

static void *give(void *arg)
{
	stay(true);
	for (int i = 0; i < FREED; i++)
		rn_cache_free(c, objects[i]);
	return arg;
}

static void in_a_thread(void *(*run)(void *))
{
	pthread_t t;

	ck_assert_int_eq(pthread_create(&t, NULL, run, NULL), 0);
	ck_assert_int_eq(pthread_join(t, NULL), 0);
}

static void begin(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = SIZE, .flags = RN_NOMERGE,
	};

	c = rn_cache_create("unit", &args);
	ck_assert_ptr_nonnull(c);
	in_a_thread(take);
	n = row_to_cache_node(ptr_to_row(objects[0]));
	read_map();
	ck_assert_uint_eq(map.slabs, 1);
	ck_assert_uint_eq(map.owners, 1);
	ck_assert_str_eq(map.state, "active");
	ck_assert_uint_eq(map.queued, 0);
}

/* As a free does that finds the barn too full, or a tick. */
static unsigned int barn_to_slab(void)
{
	unsigned int queued;

	read_map();
	queued = map.barn;
	ck_assert_uint_gt(queued, 0);
	ck_assert_uint_eq(map.queued, 0);
	barn_flush(c, n, 0);
	read_map();
	ck_assert_uint_eq(map.barn, 0);
	return queued;
}

START_TEST(queued_for_the_owner)
{
	unsigned int owner, queued, i = 0;

	begin();
	owner = map.owner;
	in_a_thread(give);
	queued = barn_to_slab();
	ck_assert_uint_eq(map.queued, queued);
	ck_assert_uint_eq(map.owner, owner);
	ck_assert_str_eq(map.state, "active");
	/* Until it has nothing else; then it takes all of it. */
	stay(false);
	for (; map.queued && i < FREED; i++) {
		ck_assert_uint_eq(map.queued, queued);
		objects[i] = rn_cache_alloc(c, 0);
		read_map();
	}
	ck_assert_uint_eq(map.queued, 0);
	ck_assert_uint_eq(map.slabs, 1);
	ck_assert_uint_eq(map.owner, owner);
}
END_TEST

START_TEST(free_where_nobody_owns)
{
	begin();
	ck_assert(cache_flush(c));
	in_a_thread(give);
	barn_to_slab();
	ck_assert_str_eq(map.state, "partial");
	ck_assert_uint_eq(map.queued, 0);
	ck_assert_uint_eq(map.owners, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("memmap");
	TCase *t = tcase_create("memmap");

	tcase_add_test(t, queued_for_the_owner);
	tcase_add_test(t, free_where_nobody_owns);
	suite_add_tcase(s, t);
	return suite_main(s);
}
