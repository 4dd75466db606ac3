// SPDX-License-Identifier: MIT
/*
 * list: a linked list is built of nodes with payloads of a few bytes, walked,
 * sorted by merging, walked in its new order, and freed. The first walk meets
 * the nodes as they were allocated, the second one at random: how close to one
 * another an allocator lays objects shows here, besides its speed.
 */
#include <string.h>
#include "alloc.h"
#include "workloads.h"

struct node {
	struct node *next;
	uint32_t key;
	uint32_t len;
	unsigned char payload[];	/* @len bytes, all the key's lowest */
};

/* What must survive sorting. */
struct tally {
	size_t nodes;
	uint64_t keys;
};

__bench_inline struct node *list_build(struct worker *w, struct ops a,
				       uint64_t *x)
{
	struct node *head = NULL;

	for (size_t i = 0; i < w->row->count; i++) {
		uint32_t len = draw_size(w->row, x);
		size_t bytes = sizeof(struct node) + len;
		struct node *n = must(a.get(bytes), bytes);

		n->key = next_random(x) >> 32;
		n->len = len;
		memset(n->payload, n->key & 0xff, len);
		n->next = head;
		head = n;
	}
	return head;
}

static struct tally list_walk(const struct worker *w, const struct node *n)
{
	struct tally t = { .nodes = 0 };

	for (; n; n = n->next) {
		for (uint32_t i = 0; i < n->len; i++)
			if (n->payload[i] != (n->key & 0xff))
				wrong_result(w, "a payload has changed");
		t.nodes++;
		t.keys += n->key;
	}
	return t;
}

static struct node *list_merge(struct node *a, struct node *b)
{
	struct node *head, **end = &head;

	while (a && b) {
		struct node **least = b->key < a->key ? &b : &a;

		*end = *least;
		end = &(*least)->next;
		*least = *end;
	}
	*end = a ? a : b;
	return head;
}

/* Sorted runs of 1, 2, 4, ... nodes wait in @run until there are two alike. */
static struct node *list_sort(struct node *list)
{
	struct node *run[64] = { NULL }, *sorted = NULL;

	while (list) {
		struct node *n = list;
		unsigned int i;

		list = n->next;
		n->next = NULL;
		for (i = 0; run[i]; i++) {
			n = list_merge(run[i], n);
			run[i] = NULL;
		}
		run[i] = n;
	}
	for (size_t i = 0; i < ARRAY_SIZE(run); i++)
		sorted = list_merge(run[i], sorted);
	return sorted;
}

static void list_verify(const struct worker *w, const struct node *list,
			struct tally before)
{
	struct tally after = list_walk(w, list);

	if (after.nodes != w->row->count || after.nodes != before.nodes ||
	    after.keys != before.keys)
		wrong_result(w, "sorting lost a node");
	for (; list && list->next; list = list->next)
		if (list->next->key < list->key)
			wrong_result(w, "the list is not sorted");
}

__bench_inline void list_free(struct node *n, struct ops a)
{
	while (n) {
		struct node *next = n->next;

		a.put(n);
		n = next;
	}
}

__bench_inline void linkedlist(struct worker *w, struct ops a)
{
	uint64_t x = w->rng;

	for (uint64_t i = 0; i < w->iterations; i++) {
		struct node *list = list_build(w, a, &x);
		struct tally built = list_walk(w, list);

		list = list_sort(list);
		list_verify(w, list, built);
		fold(&w->checksum, built.keys);
		list_free(list, a);
	}
	w->ops = w->iterations * w->row->count;
}

BENCH_INSTANCES_REAL(linkedlist)

static size_t linkedlist_live(const struct row *row)
{
	return row->count;
}

const struct workload workload_list = {
	.name = "list",
	.help = "a linked list of --count nodes: build, walk, merge sort, "
		"verify, free; an operation is a node",
	.least = 8,
	.most = 48,
	.count = 100000,
	.total = 10,
	.threads = one_thread,
	.live = linkedlist_live,
	.run = BENCH_RUN_REAL(linkedlist),
};
