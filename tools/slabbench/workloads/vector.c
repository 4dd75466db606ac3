// SPDX-License-Identifier: MIT
/*
 * vector: --count vectors of numbers grow side by side, each to a random length
 * of its own. A full one doubles by realloc. At its length it is verified by
 * its sum, and freed; one in four is first cut to a half and gives back the
 * rest, again by realloc.
 */
#include "alloc.h"
#include "workloads.h"

#define FIRST_CAP	8		/* numbers of a new vector */
#define LEAST_SHIFT	4		/* lengths from 2^4 ... */
#define MOST_SHIFT	15		/* ... to 2^15 numbers: 256 KiB */

struct vector {
	uint64_t *at;
	size_t len, cap, goal;
	uint64_t sum;
};

__bench_inline void vector_start(struct vector *v, struct ops a, uint64_t *x)
{
	size_t bytes = FIRST_CAP * sizeof(*v->at);
	uint64_t r = next_random(x) >> 32;
	unsigned int shift = LEAST_SHIFT + r % (MOST_SHIFT - LEAST_SHIFT);

	*v = (struct vector) {
		.at = must(a.get(bytes), bytes),
		.cap = FIRST_CAP,
		.goal = ((size_t)1 << shift) + (r >> 4) % ((size_t)1 << shift),
	};
}

__bench_inline void vector_resize(struct vector *v, struct ops a, size_t cap)
{
	size_t bytes = cap * sizeof(*v->at);

	v->at = must(a.resize(v->at, v->cap * sizeof(*v->at), bytes), bytes);
	v->cap = cap;
}

/* Until it is full or long enough. */
static void vector_fill(struct vector *v, uint64_t *x)
{
	while (v->len < v->cap && v->len < v->goal) {
		v->at[v->len] = next_random(x);
		v->sum += v->at[v->len++];
	}
}

static void vector_verify(const struct worker *w, const struct vector *v)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < v->len; i++)
		sum += v->at[i];
	if (sum != v->sum)
		wrong_result(w, "a vector has another sum");
}

__bench_inline void vector_halve(struct vector *v, struct ops a)
{
	size_t len = v->len / 2;

	while (v->len > len)
		v->sum -= v->at[--v->len];
	vector_resize(v, a, len);
}

/* Returns how often it called the allocator. */
__bench_inline uint64_t vector_end(struct worker *w, struct vector *v,
				   struct ops a)
{
	bool halve = v->goal % 4 == 0;

	vector_verify(w, v);
	if (halve) {
		vector_halve(v, a);
		vector_verify(w, v);
	}
	a.put(v->at);
	return 1 + halve;
}

/* One realloc, or the end of it and another in its place. */
__bench_inline uint64_t vector_step(struct worker *w, struct vector *v,
				    struct ops a, uint64_t *x)
{
	uint64_t calls = 1;

	if (v->len < v->goal) {
		vector_resize(v, a, 2 * v->cap);
	} else {
		fold(&w->checksum, v->sum);
		calls += vector_end(w, v, a);
		vector_start(v, a, x);
	}
	vector_fill(v, x);
	return calls;
}

__bench_inline void vector(struct worker *w, struct ops a)
{
	struct vector *v = (struct vector *)w->table;
	size_t n = w->row->count;
	uint64_t x = w->rng, ops = 0;

	for (size_t i = 0; i < n; i++) {
		vector_start(&v[i], a, &x);
		vector_fill(&v[i], &x);
		ops++;
	}
	for (uint64_t i = 0; i < w->iterations; i++) {
		size_t k = (next_random(&x) >> 32) * n >> 32;

		ops += vector_step(w, &v[k], a, &x);
	}
	for (size_t i = 0; i < n; i++)
		ops += vector_end(w, &v[i], a);
	fold(&w->checksum, ops);
	w->ops = ops;
}

BENCH_INSTANCES_REAL(vector)

static size_t vector_table(const struct row *row)
{
	return row->count * sizeof(struct vector) / sizeof(void *);
}

const struct workload workload_vector = {
	.name = "vector",
	.help = "--count vectors growing by realloc, some shrinking; an "
		"operation is a call of the allocator, and what it makes "
		"room for",
	.count = 64,
	.total = 300000,
	.threads = one_thread,
	.table_len = vector_table,
	.run = BENCH_RUN_REAL(vector),
};
