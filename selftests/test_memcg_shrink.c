// SPDX-License-Identifier: MIT
/*
 * Room under a max that shrinkers make: whose memory is taken, whose is not.
 */
#include "helpers.h"
#include "memcg.h"

#include <errno.h>
#include <rn/shrinker.h>

enum { CACHED = 64, CACHED_SIZE = 1024 };

/* A cache of a program's: objects that it can do without. */
struct keeper {
	struct rn_shrinker shrinker;
	void *kept[CACHED];
	unsigned long nr;
};

static unsigned long keeper_count(struct rn_shrinker *shrinker,
				  struct rn_shrink_control *sc)
{
	struct keeper *k = shrinker->private_data;

	return k->nr;
}

static unsigned long keeper_scan(struct rn_shrinker *shrinker,
				 struct rn_shrink_control *sc)
{
	struct keeper *k = shrinker->private_data;
	unsigned long freed = 0;

	while (k->nr && freed < sc->nr_to_scan) {
		rn_free(k->kept[--k->nr]);
		freed++;
	}
	return freed;
}

static void keeper_start(struct keeper *k, struct rn_memcg *m)
{
	*k = (struct keeper){
		.shrinker = {
			.sz = sizeof(k->shrinker), .name = "keeper",
			.count = keeper_count, .scan = keeper_scan,
			.seeks = RN_DEFAULT_SEEKS, .memcg = m,
			.private_data = k,
		},
	};
	for (; k->nr < CACHED; k->nr++)
		k->kept[k->nr] = granted(m, CACHED_SIZE, 0);
	ck_assert_int_eq(rn_shrinker_register(&k->shrinker), 0);
}

static void keeper_end(struct keeper *k)
{
	ck_assert_int_eq(rn_shrinker_unregister(&k->shrinker), 0);
	while (k->nr)
		rn_free(k->kept[--k->nr]);
}

/* What a group can do without makes room in it, and is counted. */
START_TEST(evicted)
{
	static struct keeper k;
	struct rn_memcg *m = group_of(NULL, "shrinks", CACHED * CACHED_SIZE);
	void *p;

	keeper_start(&k, m);
	declined(m, 100, RN_NOWAIT, ENOMEM);
	declined(m, 100, RN_NORETRY, ENOMEM);
	ck_assert_uint_eq(k.nr, CACHED);
	p = granted(m, 10 * CACHED_SIZE, 0);
	ck_assert_uint_le(k.nr, CACHED - 10);
	ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_EVICTED),
			  (CACHED - k.nr) * CACHED_SIZE);
	ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_HELD), 0);
	ck_assert_uint_le(rn_memcg_peak(m), CACHED * CACHED_SIZE);
	keeper_end(&k);
	rn_free(p);
	group_end(m);
}
END_TEST

/* Below its min nobody takes anything from a group, below its low the last. */
START_TEST(protected)
{
	size_t most = 3 * CACHED * CACHED_SIZE;
	struct rn_memcg *top = group_of(NULL, "top", most);
	struct rn_memcg *m[3] = {
		group(top, "plain"), group(top, "low"), group(top, "min"),
	};
	struct rn_memcg *asks = group(top, "asks");
	static struct keeper k[3];
	static void *p[3 * CACHED];
	size_t nr = 0;

	set_limit(m[1], RN_MEMCG_LOW, most);
	set_limit(m[2], RN_MEMCG_MIN, most);
	for (int i = 0; i < 3; i++)
		keeper_start(&k[i], m[i]);
	while ((p[nr] = rn_memcg_alloc(asks, CACHED_SIZE, RN_RETRIES(1)))) {
		nr++;
		ck_assert(!k[0].nr || k[1].nr == CACHED);
		ck_assert_uint_eq(rn_memcg_event(m[1], RN_MEMCG_EVENT_LOW) > 0,
				  k[1].nr < CACHED);
	}
	ck_assert_uint_eq(nr, 2 * CACHED);
	ck_assert_uint_eq(k[2].nr, CACHED);
	ck_assert_uint_eq(rn_memcg_event(m[2], RN_MEMCG_EVENT_LOW), 0);
	while (nr--)
		rn_free(p[nr]);
	for (int i = 0; i < 3; i++) {
		keeper_end(&k[i]);
		group_end(m[i]);
	}
	group_end(asks);
	group_end(top);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("memcg_shrink");
	TCase *tc = tcase_create("shrink");

	tcase_add_test(tc, evicted);
	tcase_add_test(tc, protected);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
