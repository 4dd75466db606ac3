// SPDX-License-Identifier: MIT
#include "stress.h"
#include "helpers.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

/* Places through which objects go from thread to thread. */
#define PLACES 2048

/**
 * struct thing - the start of each object
 * @size: bytes of it
 * @seed: of the pattern behind it
 * @kind: index of its cache, or -1 when it is from rn_alloc()
 */
struct thing {
	uint32_t size;
	int kind;
	uint64_t seed;
};

struct rn_cache *stress_caches[STRESS_CACHES];

static const size_t cache_sizes[STRESS_CACHES] = { 56, 248, 1672 };
static struct thing *places[PLACES];
static pthread_t threads[STRESS_THREADS];
static int tids[STRESS_THREADS];
static unsigned int nr_threads;
static unsigned long nr_ops;
static bool stop;

/* Mostly small, some of several pages, few large. */
static size_t random_size(uint64_t *random)
{
	uint64_t r = xorshift(random);
	size_t most = r % 256 == 0 ? 300000 : r % 16 == 0 ? 32768 : 1024;

	return sizeof(struct thing) + xorshift(random) % most;
}

void *stress_new(uint64_t *random)
{
	int kind = (int)(xorshift(random) % (2 * STRESS_CACHES));
	struct thing *t;
	size_t size;

	if (kind < STRESS_CACHES) {
		size = cache_sizes[kind];
		t = rn_cache_alloc(stress_caches[kind], 0);
	} else {
		kind = -1;
		size = random_size(random);
		t = rn_alloc(size, 0);
	}
	if (!t)
		ck_abort_msg("no memory for %zu bytes", size);
	*t = (struct thing){ size, kind, xorshift(random) };
	pattern_set(t + 1, size - sizeof(*t), t->seed);
	return t;
}

void stress_end(void *object)
{
	struct thing *t = object;

	if (!t)
		return;
	if (!pattern_ok(t + 1, t->size - sizeof(*t), t->seed))
		ck_abort_msg("%p, %u bytes: the contents changed", object,
			     t->size);
	/* Who frees it next must not find it whole. */
	t->seed++;
	if (t->kind < 0)
		rn_free(t);
	else
		rn_cache_free(stress_caches[t->kind], t);
}

/* Puts an object in a place and ends the one that was there. */
static void one_operation(uint64_t *random)
{
	struct thing **place = &places[xorshift(random) % PLACES];
	struct thing *t = xorshift(random) % 8 ? stress_new(random) : NULL;

	stress_end(__atomic_exchange_n(place, t, __ATOMIC_ACQ_REL));
}

static void *work(void *arg)
{
	unsigned long me = (unsigned long)arg;
	uint64_t random = 0x1234567 * (me + 1) + (uint64_t)getpid();

	__atomic_store_n(&tids[me], gettid(), __ATOMIC_RELEASE);
	for (unsigned long i = 0; !nr_ops || i < nr_ops; i++) {
		one_operation(&random);
		if (__atomic_load_n(&stop, __ATOMIC_RELAXED))
			break;
	}
	return NULL;
}

void stress_start(unsigned int n, unsigned long ops)
{
	nr_threads = n;
	nr_ops = ops;
	__atomic_store_n(&stop, false, __ATOMIC_RELAXED);
	for (unsigned long i = 0; i < n; i++) {
		tids[i] = 0;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work,
						(void *)i), 0);
	}
}

int stress_tid(unsigned int i)
{
	int tid;

	while (!(tid = __atomic_load_n(&tids[i], __ATOMIC_ACQUIRE)))
		usleep(100);
	return tid;
}

void stress_join(void)
{
	if (!nr_ops)
		__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (unsigned int i = 0; i < nr_threads; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
}

unsigned long stress_held(unsigned int kind)
{
	unsigned long n = 0;

	for (unsigned int i = 0; i < PLACES; i++)
		n += places[i] && places[i]->kind == (int)kind;
	return n;
}

void stress_clear(void)
{
	for (unsigned int i = 0; i < PLACES; i++)
		stress_end(__atomic_exchange_n(&places[i], NULL,
					       __ATOMIC_ACQ_REL));
}

void stress_make_caches(void)
{
	for (unsigned int i = 0; i < STRESS_CACHES; i++) {
		struct rn_cache_args args = {
			.sz = sizeof(args), .size = cache_sizes[i],
			.flags = RN_NOMERGE,
		};
		char name[32];

		snprintf(name, sizeof(name), "stress-%zu", cache_sizes[i]);
		stress_caches[i] = rn_cache_create(name, &args);
		ck_assert_ptr_nonnull(stress_caches[i]);
	}
}

void stress_destroy_caches(void)
{
	for (unsigned int i = 0; i < STRESS_CACHES; i++)
		ck_assert_int_eq(rn_cache_destroy(stress_caches[i]), 0);
}
