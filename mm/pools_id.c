// SPDX-License-Identifier: MIT
/*
 * Hash tables of what has a number. How many there can be is known from the
 * total of the pools, so that a table never grows and no operation is a long
 * one; its memory is touched as it is used.
 */
#include "pools.h"

#define LEAST_BUCKETS	64

int id_table_init(struct id_table *t, size_t nr)
{
	unsigned int order = order_base_2(max(nr, (size_t)LEAST_BUCKETS));

	t->buckets = rn_zalloc(sizeof(*t->buckets) << order, RN_KERNEL);
	t->shift = 64 - order;
	return t->buckets ? 0 : -ENOMEM;
}

/* Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4). */
static struct id_node **bucket_of(const struct id_table *t, u64 id)
{
	return &t->buckets[id * 0x9e3779b97f4a7c15 >> t->shift];
}

struct id_node *id_find(const struct id_table *t, u64 id)
{
	struct id_node *node = *bucket_of(t, id);

	while (node && node->id != id)
		node = node->next;
	return node;
}

void id_insert(struct id_table *t, struct id_node *node)
{
	struct id_node **bucket = bucket_of(t, node->id);

	node->next = *bucket;
	*bucket = node;
}

void id_remove(struct id_table *t, struct id_node *node)
{
	struct id_node **at = bucket_of(t, node->id);

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
}

void id_for_each(const struct id_table *t, void (*fn)(struct id_node *node))
{
	size_t nr = t->buckets ? 1UL << (64 - t->shift) : 0;

	for (size_t i = 0; i < nr; i++) {
		struct id_node *node = t->buckets[i], *next;

		for (; node; node = next) {
			next = node->next;
			fn(node);
		}
	}
}

static void free_node(struct id_node *node)
{
	rn_free(node);
}

void id_table_end(struct id_table *t)
{
	id_for_each(t, free_node);
	rn_free(t->buckets);
	t->buckets = NULL;
}
