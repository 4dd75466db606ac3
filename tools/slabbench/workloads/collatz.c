// SPDX-License-Identifier: MIT
/*
 * collatz: from each start number the walk of the Collatz problem (halve what
 * is even, else triple it and add one) down to 1, with every number of the walk
 * kept twice: in a cons cell of a list, as a program in a functional language
 * would, and in a vector that grows as it fills. Both must end up with as many
 * numbers as a loop without memory counts.
 */
#include "alloc.h"
#include "workloads.h"

#define FIRST_CAP	8		/* numbers of a new vector */

struct cons {
	uint64_t number;
	struct cons *next;
};

struct walk {
	struct cons *list;		/* the last number first */
	uint64_t *vector;
	size_t len, cap;
};

static uint64_t collatz_next(uint64_t n)
{
	return n % 2 ? 3 * n + 1 : n / 2;
}

static size_t collatz_count(uint64_t n)
{
	size_t len = 1;

	for (; n != 1; n = collatz_next(n))
		len++;
	return len;
}

__bench_inline void walk_push(struct walk *k, struct ops a, uint64_t number)
{
	struct cons *c = must(a.get(sizeof(*c)), sizeof(*c));

	c->number = number;
	c->next = k->list;
	k->list = c;
	if (k->len == k->cap) {
		size_t old = k->cap * sizeof(number), bytes = 2 * old;

		k->vector = must(a.resize(k->vector, old, bytes), bytes);
		k->cap *= 2;
	}
	k->vector[k->len++] = number;
}

__bench_inline struct walk walk_make(struct ops a, uint64_t start)
{
	size_t bytes = FIRST_CAP * sizeof(uint64_t);
	struct walk k = {
		.vector = must(a.get(bytes), bytes),
		.cap = FIRST_CAP,
	};

	walk_push(&k, a, start);
	while (start != 1)
		walk_push(&k, a, start = collatz_next(start));
	return k;
}

/* The list from its head is the vector from its end. */
static void walk_verify(const struct worker *w, const struct walk *k,
			size_t len)
{
	const struct cons *c = k->list;
	size_t i = k->len;

	while (i && c && c->number == k->vector[i - 1]) {
		c = c->next;
		i--;
	}
	if (i || c)
		wrong_result(w, "list and vector differ");
	if (k->len != len)
		wrong_result(w, "the walk has another length");
}

__bench_inline void walk_free(struct walk *k, struct ops a)
{
	while (k->list) {
		struct cons *c = k->list;

		k->list = c->next;
		a.put(c);
	}
	a.put(k->vector);
}

__bench_inline void collatz(struct worker *w, struct ops a)
{
	uint64_t ops = 0;

	for (uint64_t i = 0; i < w->iterations; i++) {
		uint64_t start = 1 + i % w->row->count;
		struct walk k = walk_make(a, start);

		walk_verify(w, &k, collatz_count(start));
		walk_free(&k, a);
		ops += k.len;
	}
	fold(&w->checksum, ops);
	w->ops = ops;
}

BENCH_INSTANCES_REAL(collatz)

const struct workload workload_collatz = {
	.name = "collatz",
	.help = "Collatz walks from 1 up to --count, each number in a cons "
		"cell and a growing vector; an operation is a number",
	.count = 100000,
	.total = 300000,
	.threads = one_thread,
	.run = BENCH_RUN_REAL(collatz),
};
