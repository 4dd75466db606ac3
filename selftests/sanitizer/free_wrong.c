// SPDX-License-Identifier: MIT
/*
 * What only the library finds is an error of memcheck's as well: the exit code
 * says so.
 *
 * memcheck: Wrong slab cache, freed to pears
 * memcheck: inside data symbol "libslab_fault_above
 * memcheck: main \(free_wrong\.c
 * memcheck: Freed with a size of 40, allocated with 60
 * memcheck: ERROR SUMMARY: 2 errors
 * slab: Wrong slab cache, freed to pears
 * asan: is located 0 bytes inside of 48-byte region
 * asan: BUG apples \(Not tainted\): Wrong slab cache, freed to pears
 */
#include "fault.h"

static struct rn_cache *make(const char *name)
{
	struct rn_cache_args args = { .sz = sizeof(args), .size = 48 };

	return rn_cache_create(name, &args);
}

int main(void)
{
	struct rn_cache *apples = make("apples"), *pears = make("pears");

	rn_cache_free(pears, hide(rn_cache_alloc(apples, 0)));
	rn_free_sized(must_alloc(60), 40);
	return 0;
}
