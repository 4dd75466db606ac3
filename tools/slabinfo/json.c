// SPDX-License-Identifier: MIT
/*
 * One object a line and a cache or a node, as slabbench writes one a line and a
 * run.
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include "slabinfo.h"

static void add_time(json_t *object, const struct timespec *moment)
{
	json_int_t ms = (json_int_t)moment->tv_sec * 1000 +
			moment->tv_nsec / 1000000;

	if (json_object_set_new(object, "time_ms", json_integer(ms)))
		die("out of memory");
}

/* Only of a process it is known. */
static void add_activity(json_t *object, const struct cache *c)
{
	json_t *more = json_pack("{s:I, s:I, s:I, s:I}",
				 "allocs", (json_int_t)c->allocs,
				 "frees", (json_int_t)c->frees,
				 "slow_allocs", (json_int_t)c->slow_allocs,
				 "slow_frees", (json_int_t)c->slow_frees);

	if (!more || json_object_update(object, more))
		die("out of memory");
	json_decref(more);
}

static json_t *cache_object(const struct cache *c)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "name", c->name,
			 "active_objs", (json_int_t)c->active,
			 "num_objs", (json_int_t)c->objects,
			 "objsize", (json_int_t)c->size,
			 "objperslab", (json_int_t)c->per_slab,
			 "pagesperslab", (json_int_t)c->pages_per_slab,
			 "num_slabs", (json_int_t)c->slabs,
			 "space_bytes", (json_int_t)c->space,
			 "used_bytes", (json_int_t)c->used);
}

static void print_object(json_t *object)
{
	if (json_dumpf(object, stdout, JSON_COMPACT) || putchar('\n') == EOF)
		die("standard output: %s", strerror(errno));
	json_decref(object);
}

void print_json(const struct caches *all, const struct timespec *moment)
{
	for (size_t i = 0; i < all->nr; i++) {
		json_t *object = cache_object(&all->cache[i]);

		/* A name that is no UTF-8 has no place in JSON. */
		if (!object)
			die("%s: cannot be written as JSON",
			    all->cache[i].name);
		if (moment) {
			add_time(object, moment);
			add_activity(object, &all->cache[i]);
		}
		print_object(object);
	}
}

static json_t *node_object(unsigned int node, const uint64_t *figure)
{
	json_t *object = json_pack("{s:I}", "node", (json_int_t)node);

	for (int i = 0; object && i < NR_FIGURES; i++)
		if (json_object_set_new(object, figure_name(i),
					json_integer((json_int_t)figure[i])))
			die("out of memory");
	return object;
}

void print_nodes_json(const struct nodes *all, const struct timespec *moment,
		      const struct choice *choice)
{
	for (unsigned int node = 0; node < all->nr; node++) {
		json_t *object;

		if (!node_is_chosen(all, node, choice))
			continue;
		object = node_object(node, all->figure[node]);
		if (!object)
			die("out of memory");
		if (moment)
			add_time(object, moment);
		print_object(object);
	}
}
