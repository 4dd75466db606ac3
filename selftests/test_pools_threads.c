// SPDX-License-Identifier: MIT
/*
 * Threads that compete for execution and storage memory, wait for it, evict
 * what others cached and use what is pinned: nothing changes in anybody's
 * hands, and each byte is charged where it is.
 */
#include "helpers.h"
#include "memcg.h"
#include "unified.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#define THREADS		8
#define TOTAL		(4 * MIB + 4097)
#define PLACES		128
#define IDS		512
#define PHASES		6
/* Enough for some of each kind, wherever it runs. */
#define OPS		(1500 / (LESS > 1 ? 4 : 1))

/* Objects that were left for any thread; the first word is the size. */
static size_t *exec_places[PLACES], *storage_places[PLACES];

/*
 * Of an entry: its contents are as they ought to be. Set by who acquired it,
 * and gone before the entry is.
 */
static unsigned char filled[IDS];

static pthread_barrier_t barrier;
static unsigned long evicted, vetoed, declined_in, pinned;

static void count(unsigned long *n)
{
	__atomic_fetch_add(n, 1, __ATOMIC_RELAXED);
}

/* --- entries --- */

static size_t bytes_of(uint64_t id)
{
	return (1 + id % 5) * 4 * KIB + id;
}

static void whole_or_abort(const void *p, size_t bytes, uint64_t seed)
{
	if (!pattern_ok(p, bytes, seed))
		ck_abort_msg("%p of %lu: the contents changed", p,
			     (unsigned long)seed);
}

static bool is_filled(uint64_t id)
{
	return __atomic_load_n(&filled[id], __ATOMIC_ACQUIRE);
}

static void set_filled(uint64_t id, bool yes)
{
	__atomic_store_n(&filled[id], yes, __ATOMIC_RELEASE);
}

static bool evict(uint64_t id, void *p, size_t bytes, void *arg)
{
	static unsigned long calls;

	if (id >= IDS || bytes != bytes_of(id) || !is_filled(id))
		ck_abort_msg("%lu is no entry that may be evicted",
			     (unsigned long)id);
	whole_or_abort(p, bytes, id);
	if (__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) % 8 == 0) {
		count(&vetoed);
		return false;
	}
	set_filled(id, false);
	count(&evicted);
	return true;
}

static void expect_shortage(const char *what)
{
	if (errno != ETIMEDOUT && errno != ENOMEM)
		ck_abort_msg("%s: %s", what, strerror(errno));
	count(&declined_in);
}

static void must_unpin(uint64_t id)
{
	int ret = rn_storage_unpin(id);

	if (ret)
		ck_abort_msg("unpin: %s", strerror(-ret));
}

static void make_entry(uint64_t id)
{
	void *p = rn_storage_acquire(id, bytes_of(id));

	if (!p) {
		if (errno != EEXIST)
			expect_shortage("an entry");
		return;
	}
	/* Whose it was before has nothing in it any more. */
	if (is_filled(id))
		ck_abort_msg("two have made entry %lu", (unsigned long)id);
	pattern_set(p, bytes_of(id), id);
	set_filled(id, true);
	must_unpin(id);
}

/* Who made it may not have come to fill it yet. */
static void use_entry(uint64_t id)
{
	size_t bytes = 0;
	void *p = rn_storage_pin(id, &bytes);

	if (!p) {
		if (errno != ENOENT)
			ck_abort_msg("pin: %s", strerror(errno));
		return;
	}
	count(&pinned);
	if (bytes != bytes_of(id))
		ck_abort_msg("entry %lu has %zu bytes", (unsigned long)id,
			     bytes);
	if (is_filled(id)) {
		whole_or_abort(p, bytes, id);
		sched_yield();
		whole_or_abort(p, bytes, id);
	}
	must_unpin(id);
}

/* Its only pin is this thread's, or it stays. */
static void end_entry(uint64_t id)
{
	int ret;

	if (!rn_storage_pin(id, NULL))
		return;
	/* Another may want the same. */
	if (!__atomic_exchange_n(&filled[id], 0, __ATOMIC_ACQ_REL)) {
		must_unpin(id);
		return;
	}
	ret = rn_storage_release(id);
	if (!ret)
		return;
	if (ret != -EBUSY)
		ck_abort_msg("release: %s", strerror(-ret));
	set_filled(id, true);
	must_unpin(id);
}

/* --- objects --- */

static rn_gfp_t random_flags(uint64_t *random)
{
	static const rn_gfp_t flags[] = {
		0, 0, 0, RN_NOWAIT, RN_NORETRY, RN_RETRIES(1),
	};

	return flags[xorshift(random) % ARRAY_LEN(flags)];
}

static void end_object(size_t *p, void (*give)(void *))
{
	if (!p)
		return;
	whole_or_abort(p + 1, *p - sizeof(*p), *p);
	*p = 0;
	give(p);
}

static size_t *begin_object(size_t *p, size_t bytes)
{
	if (!p) {
		expect_shortage("an object");
		return NULL;
	}
	*p = bytes;
	pattern_set(p + 1, bytes - sizeof(*p), bytes);
	return p;
}

static void on_exec(uint64_t *random)
{
	size_t **place = &exec_places[xorshift(random) % PLACES];
	size_t bytes = 8 + xorshift(random) % (1UL << xorshift(random) % 17);
	size_t *p = NULL;

	if (xorshift(random) % 3)
		p = begin_object(rn_exec_alloc(bytes, random_flags(random)),
				 bytes);
	end_object(__atomic_exchange_n(place, p, __ATOMIC_ACQ_REL),
		   rn_exec_free);
}

static void on_storage(uint64_t *random)
{
	size_t **place = &storage_places[xorshift(random) % PLACES];
	size_t bytes = 4 * KIB + xorshift(random) % (60 * KIB);
	size_t *p = NULL;

	if (xorshift(random) % 2)
		p = begin_object(rn_storage_alloc(bytes, random_flags(random)),
				 bytes);
	end_object(__atomic_exchange_n(place, p, __ATOMIC_ACQ_REL),
		   rn_storage_free);
}

/* Objects of an id: some are given back, the rest is released. */
static void on_work(uint64_t *random, uint64_t id)
{
	size_t bytes = 8 + xorshift(random) % 20000;
	size_t *p = begin_object(rn_exec_acquire(id, bytes), bytes);
	int ret;

	if (xorshift(random) % 4 == 0)
		end_object(p, rn_exec_free);
	else if (p)
		whole_or_abort(p + 1, bytes - sizeof(*p), bytes);
	if (xorshift(random) % 16)
		return;
	ret = rn_exec_release(id);
	if (ret && ret != -ENOENT)
		ck_abort_msg("release of work: %s", strerror(-ret));
}

static void one_operation(uint64_t *random, uint64_t thread)
{
	uint64_t id = xorshift(random) % IDS;

	switch (xorshift(random) % 12) {
	case 0: case 1: case 2:
		make_entry(id);
		break;
	case 3: case 4: case 5: case 6:
		use_entry(id);
		break;
	case 7:
		end_entry(id);
		break;
	case 8:
		on_storage(random);
		break;
	case 9:
		on_work(random, thread);
		break;
	default:
		on_exec(random);
	}
}

/* Between the two barriers of a phase only the test itself does anything. */
static void *work(void *arg)
{
	uint64_t random = 0x9e3779b9 * ((uintptr_t)arg + 1);

	for (int phase = 0; phase < PHASES; phase++) {
		for (int i = 0; i < OPS; i++)
			one_operation(&random, (uintptr_t)arg);
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

/* --- while nobody runs --- */

static size_t size_of_places(size_t *const *places)
{
	size_t sum = 0;

	for (int i = 0; i < PLACES; i++)
		sum += places[i] ? rn_size(places[i]) : 0;
	return sum;
}

static void expect_exact(unsigned int flags)
{
	size_t exec = size_of_places(exec_places);
	size_t storage = size_of_places(storage_places);

	ck_assert_uint_le(storage, half_of(TOTAL));
	for (uint64_t i = 0; i < THREADS; i++)
		exec += rn_exec_held(i);
	for (uint64_t id = 0; id < IDS; id++) {
		void *p = rn_storage_lookup(id, NULL);

		ck_assert_int_eq(!p, !is_filled(id));
		storage += p ? rn_size(p) : 0;
	}
	ck_assert_uint_eq(exec_usage(), exec);
	ck_assert_uint_eq(storage_usage(), storage);
	ck_assert_uint_eq(total_usage(), exec + storage);
	ck_assert_uint_le(total_peak(), TOTAL);
	if (flags & RN_POOLS_STORAGE_HALF)
		ck_assert_uint_le(rn_memcg_peak(rn_pools_memcg(
			RN_POOLS_STORAGE)), half_of(TOTAL));
}

static void all_end(void)
{
	for (int i = 0; i < PLACES; i++) {
		end_object(exec_places[i], rn_exec_free);
		end_object(storage_places[i], rn_storage_free);
	}
	for (uint64_t i = 0; i < THREADS; i++)
		rn_exec_release(i);
	for (uint64_t id = 0; id < IDS; id++)
		if (is_cached(id))
			entry_release(id);
	pools_end();
	/* The limits were in the way. */
	ck_assert_uint_gt(evicted, 0);
	ck_assert_uint_gt(vetoed, 0);
	ck_assert_uint_gt(pinned, 0);
	ck_assert_uint_gt(declined_in, 0);
}

static const struct {
	enum rn_pools_victim victim;
	unsigned int flags;
} kinds[] = {
	{ RN_POOLS_RANDOM, 0 },
	{ RN_POOLS_LRU, 0 },
	{ RN_POOLS_RANDOM, RN_POOLS_EXEC_WAITS },
	{ RN_POOLS_LRU, RN_POOLS_STORAGE_HALF },
};

START_TEST(mixed)
{
	pthread_t threads[THREADS];

	pools_start(TOTAL, OPTIONS(.victim = kinds[_i].victim, .evict = evict,
				   .flags = kinds[_i].flags, .timeout = 2));
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work,
						(void *)i), 0);
	for (int phase = 0; phase < PHASES; phase++) {
		pthread_barrier_wait(&barrier);
		expect_exact(kinds[_i].flags);
		pthread_barrier_wait(&barrier);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	all_end();
}
END_TEST

/* --- all at once --- */

#define ROUNDS		(20 / (LESS > 1 ? 4 : 1))
#define LARGE		(16 * MIB)
#define CACHED		(16 * KIB)

static void *wants_its_part(void *arg)
{
	const rn_gfp_t *gfp = arg;
	void *p;

	pthread_barrier_wait(&barrier);
	p = rn_exec_alloc(LARGE / 2 / THREADS, *gfp);
	/* It is entitled to it, if it may wait. */
	if (!p && !*gfp)
		ck_abort_msg("not served: %s", strerror(errno));
	return NULL;
}

/* However many have entries evicted, storage keeps its half. */
START_TEST(many_at_once)
{
	rn_gfp_t gfp = _i ? 0 : RN_RETRIES(1);
	pthread_t threads[THREADS];

	pthread_barrier_init(&barrier, NULL, THREADS);
	for (int round = 0; round < ROUNDS; round++) {
		pools_start(LARGE, NULL);
		for (uint64_t id = 0; id < LARGE / CACHED; id++)
			entry_cached(id, CACHED);
		ck_assert_uint_gt(storage_usage(), half_of(LARGE));
		for (int i = 0; i < THREADS; i++)
			pthread_create(&threads[i], NULL, wants_its_part, &gfp);
		for (int i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		ck_assert_uint_gt(storage_usage() + CACHED, half_of(LARGE));
		ck_assert_uint_ge(exec_usage(), LARGE / 2 / THREADS);
		ck_assert_uint_le(total_peak(), LARGE);
		ck_assert_int_eq(rn_pools_destroy(), 0);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pools_threads");
	TCase *tc = tcase_create("threads");

	tcase_add_loop_test(tc, mixed, 0, ARRAY_LEN(kinds));
	tcase_add_loop_test(tc, many_at_once, 0, 2);
	tcase_set_timeout(tc, 120);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
