// SPDX-License-Identifier: MIT
#include "probe.h"

#include <pthread.h>
#include <rn/slab.h>

/* --- a program's cache: objects that it could do without --- */

struct item {
	struct item *next;
	char bytes[2000];
};

struct items items;
static pthread_mutex_t items_lock = PTHREAD_MUTEX_INITIALIZER;

static unsigned long items_count(struct rn_shrinker *shrinker,
				 struct rn_shrink_control *sc)
{
	return items.hidden ? RN_SHRINK_EMPTY :
		__atomic_load_n(&items.nr, __ATOMIC_RELAXED);
}

static unsigned long items_scan(struct rn_shrinker *shrinker,
				struct rn_shrink_control *sc)
{
	unsigned long n = 0;

	if (pthread_mutex_trylock(&items_lock))
		return RN_SHRINK_STOP;
	for (; n < sc->nr_to_scan && items.first; n++) {
		struct item *i = items.first;

		items.first = i->next;
		rn_free(i);
	}
	__atomic_fetch_sub(&items.nr, n, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&items_lock);
	return n;
}

struct rn_shrinker items_shrinker = {
	.sz = sizeof(items_shrinker), .name = "items", .count = items_count,
	.scan = items_scan, .seeks = RN_DEFAULT_SEEKS,
};

bool add_item(rn_gfp_t flags)
{
	struct item *i = rn_alloc(sizeof(*i), flags);

	if (!i)
		return false;
	pthread_mutex_lock(&items_lock);
	i->next = items.first;
	items.first = i;
	__atomic_fetch_add(&items.nr, 1, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&items_lock);
	return true;
}

void drop_items(void)
{
	struct rn_shrink_control sc = { .nr_to_scan = items.nr };

	items_scan(&items_shrinker, &sc);
}

/* --- one that only counts --- */

struct probe probe;

static unsigned long probe_count(struct rn_shrinker *shrinker,
				 struct rn_shrink_control *sc)
{
	must(shrinker->private_data == &probe);
	__atomic_fetch_add(&probe.counts, 1, __ATOMIC_RELAXED);
	if (!sc->priority)
		__atomic_fetch_add(&probe.last_resorts, 1, __ATOMIC_RELAXED);
	if (probe.nr_order < ARRAY_LEN(probe.order))
		probe.order[probe.nr_order++] = sc->priority;
	return probe.has;
}

static unsigned long probe_scan(struct rn_shrinker *shrinker,
				struct rn_shrink_control *sc)
{
	must(sc->nr_to_scan > 0);
	__atomic_fetch_add(&probe.scans, 1, __ATOMIC_RELAXED);
	if (probe.in_scan)
		probe.in_scan();
	return probe.gives;
}

struct rn_shrinker probe_shrinker = {
	.sz = sizeof(probe_shrinker), .name = "the probe",
	.count = probe_count, .scan = probe_scan, .seeks = 4,
	.private_data = &probe,
};

void probe_register(unsigned long has, unsigned long gives)
{
	probe.has = has;
	probe.gives = gives;
	ck_assert_int_eq(rn_shrinker_register(&probe_shrinker), 0);
}

void probe_unregister(void)
{
	ck_assert_int_eq(rn_shrinker_unregister(&probe_shrinker), 0);
}
