// SPDX-License-Identifier: MIT
/*
 * memcheck: clean
 * slab: clean
 * asan: clean
 */
#include "fault.h"

static void fill(void *p)
{
	memset(p, 7, 40);
}

static void use(char *p, size_t size)
{
	if (!p || rn_size(p) != size)
		abort();
	memset(p, 1, size);
}

static void sizes(void)
{
	for (size_t size = 1; size < 1000000; size += size / 3 + 1) {
		char *p = must_alloc(size);

		use(p, size);
		p = rn_realloc(p, size * 2, 0);
		use(p, size * 2);
		p = rn_realloc(p, size, 0);
		use(p, size);
		rn_free(p);
	}
}

/* All that is read of these was written by somebody. */
static void written(void)
{
	char *p = rn_zalloc(300000, 0), *q = rn_zalloc(33, 0), *r;

	r = rn_alloc_pages(2, RN_ZERO, RN_NO_NODE);
	if (load(p, 299999) || load(q, 32) || load(r, 16383))
		abort();
	rn_free(p);
	rn_free(q);
	rn_free_pages(r, 2);
}

static void constructed(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 40, .ctor = fill,
	};
	struct rn_cache *c = rn_cache_create("constructed", &args);

	for (int i = 0; i < 1000; i++) {
		char *p = rn_cache_alloc(c, 0);

		if (load(p, 39) != 7)
			abort();
		rn_cache_free(c, p);
	}
	if (rn_cache_destroy(c))
		abort();
}

/* More than is held back, so that the same memory comes again. */
static void again(void)
{
	for (int round = 0; round < 4; round++)
		for (int i = 0; i < 100; i++) {
			char *p = must_alloc(100000 + i);

			store(p, 0);
			store(p, 100000 + i - 1);
			rn_free(p);
		}
	rn_shrink_all();
	written();
}

int main(void)
{
	sizes();
	written();
	constructed();
	again();
	return 0;
}
