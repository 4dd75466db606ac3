// SPDX-License-Identifier: MIT
/*
 * What cannot be a chunk of malloc()'s lies in a slab, where it is watched as
 * well: what a node is asked for, and what RN_SLAB_DEBUG names.
 *
 * memcheck: Invalid write of size 1
 * memcheck: is 0 bytes after a block of size 24 alloc'd
 * asan: use-after-poison
 * asan: is 0 bytes after an object of 24 bytes, in use
 * slab: use-after-poison
 * slab: is 0 bytes after an object of 24 bytes, in use
 */
#include "fault.h"

static struct rn_cache *make(const char *name)
{
	struct rn_cache_args args = { .sz = sizeof(args), .size = 24 };

	return rn_cache_create(name, &args);
}

int main(void)
{
	struct rn_cache *named, *other;
	char *p, *q, *r;

	setenv("RN_SLAB_DEBUG", "F,named", 1);
	named = make("named");
	other = make("other");
	p = hide(rn_cache_alloc(named, 0));
	q = hide(rn_cache_alloc(other, 0));
	r = hide(rn_alloc_node(24, 0, 0));
	if (rn_check_object(p + 5, 19) || rn_check_object(q + 5, 19) ||
	    !rn_check_object(q + 5, 20) || rn_addr_to_node(q + 3) < 0)
		abort();
	rn_cache_free(named, p);
	rn_cache_free(other, q);
	store(r, 24);
	return 0;
}
