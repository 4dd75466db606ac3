// SPDX-License-Identifier: MIT
/*
 * The null allocator: hands out pointers from a ring that was prepared before
 * the clock started, over as much memory as the workload has live, and ignores
 * what is freed. A workload over it costs what the harness costs: loops, slots,
 * random numbers, calls, and touching the objects.
 */
#include "alloc.h"

struct null_ring {
	void **object;
	size_t len, next;
};

static __thread struct null_ring null_ring;

__attribute__((noinline)) void *null_get(size_t size)
{
	struct null_ring *r = &null_ring;
	size_t i = r->next;

	asm volatile("" : : "r"(size) : "memory");
	r->next = i + 1 == r->len ? 0 : i + 1;
	return r->object[i];
}

__attribute__((noinline)) void null_put(void *p)
{
	asm volatile("" : : "r"(p) : "memory");
}

static size_t rounded(size_t size)
{
	return (size + 7) & ~(size_t)7;
}

static size_t most_bytes(const struct row *row)
{
	size_t most = row->size;

	if (row->dist == DIST_UNIFORM)
		return row->most;
	for (unsigned int i = 0; i < row->nr_sizes; i++)
		if (row->sizes[i] > most)
			most = row->sizes[i];
	return most;
}

/* Objects side by side, of the sizes that the thread will ask for, in order. */
void null_prepare(const struct worker *w)
{
	const struct workload *wl = workload_get(w->row->workload);
	struct null_ring *r = &null_ring;
	uint64_t rng = w->rng;
	/* The second time round, a larger one may come to lie at the end. */
	size_t bytes = rounded(most_bytes(w->row));
	char *p;

	r->next = 0;
	r->len = wl->live(w->row);
	r->object = map_populated(r->len * sizeof(*r->object));
	for (size_t i = 0; i < r->len; i++)
		bytes += rounded(wl->next_size(w->row, &rng));
	p = map_populated(bytes);
	rng = w->rng;
	for (size_t i = 0; i < r->len; i++) {
		r->object[i] = p;
		p += rounded(wl->next_size(w->row, &rng));
	}
}

void *null_resize(void *p, size_t old, size_t size)
{
	(void)p;
	(void)old;
	return null_get(size);
}

size_t null_usable(void *p)
{
	(void)p;
	return 0;
}
