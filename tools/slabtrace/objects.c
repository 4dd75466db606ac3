// SPDX-License-Identifier: MIT
/*
 * Live objects by their address: open addressing, each object as near to its
 * place as those before it allow. An address of 0 is a free entry.
 */
#include <stdlib.h>
#include "trace.h"

#define LEAST_LEN	1024

static size_t place(const struct objects *o, uint64_t address)
{
	return (address * 0x9e3779b97f4a7c15ULL >> 20) & (o->len - 1);
}

struct object *objects_find(const struct objects *o, uint64_t address)
{
	if (!o->len || !address)
		return NULL;
	for (size_t i = place(o, address); o->table[i].address;
	     i = (i + 1) & (o->len - 1))
		if (o->table[i].address == address)
			return &o->table[i];
	return NULL;
}

static struct object *insert(struct objects *o, uint64_t address)
{
	size_t i = place(o, address);

	while (o->table[i].address)
		i = (i + 1) & (o->len - 1);
	o->table[i].address = address;
	return &o->table[i];
}

/* Never more than half full: false without memory. */
static bool make_room(struct objects *o)
{
	struct objects more = { .len = o->len ? 2 * o->len : LEAST_LEN };

	if (2 * (o->n + 1) <= o->len)
		return true;
	more.table = calloc(more.len, sizeof(*more.table));
	if (!more.table)
		return false;
	for (size_t i = 0; i < o->len; i++)
		if (o->table[i].address)
			*insert(&more, o->table[i].address) = o->table[i];
	free(o->table);
	o->table = more.table;
	o->len = more.len;
	return true;
}

/* One that is not there yet, all else 0; NULL without memory. */
struct object *objects_add(struct objects *o, uint64_t address)
{
	if (!make_room(o))
		return NULL;
	o->n++;
	return insert(o, address);
}

/* Those behind it move up, as far as their own places allow. */
void objects_remove(struct objects *o, struct object *obj)
{
	size_t mask = o->len - 1, hole = obj - o->table, i = hole;

	while (o->table[i = (i + 1) & mask].address) {
		size_t want = place(o, o->table[i].address);

		if (((i - want) & mask) < ((i - hole) & mask))
			continue;
		o->table[hole] = o->table[i];
		hole = i;
	}
	o->table[hole] = (struct object){ .address = 0 };
	o->n--;
}

void objects_free(struct objects *o)
{
	free(o->table);
	*o = (struct objects){ .n = 0 };
}
