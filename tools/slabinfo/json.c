// SPDX-License-Identifier: MIT
/*
 * One object a line and a cache, as slabbench writes one a line and a run.
 */
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include "slabinfo.h"

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

void print_json(const struct caches *all)
{
	for (size_t i = 0; i < all->nr; i++) {
		json_t *object = cache_object(&all->cache[i]);

		/* A name that is no UTF-8 has no place in JSON. */
		if (!object)
			die("%s: cannot be written as JSON",
			    all->cache[i].name);
		if (json_dumpf(object, stdout, JSON_COMPACT) ||
		    putchar('\n') == EOF)
			die("standard output: %s", strerror(errno));
		json_decref(object);
	}
}
