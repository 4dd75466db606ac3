// SPDX-License-Identifier: MIT
/*
 * All that is handed out was written, whoever asks.
 *
 * memcheck: clean
 * slab: clean
 * asan: clean
 */
#include "fault.h"

static void check(char *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (load(p, i))
			abort();
	memset(p, 1, size);
}

static void round_trip(void)
{
	char *p = must_alloc(33), *q = must_alloc(100001), *r;

	r = hide(rn_alloc_pages(1, 0, RN_NO_NODE));
	check(p, 33);
	check(q, 100001);
	check(r, 2 * RN_PAGE_SIZE);
	rn_free(p);
	rn_free(q);
	rn_free_pages(r, 1);
}

int main(void)
{
	setenv("RN_HARDENED", "1", 1);
	setenv("RN_INIT_ON_ALLOC", "1", 1);
	setenv("RN_INIT_ON_FREE", "1", 1);
	setenv("RN_QUARANTINE", "64K", 1);
	for (int i = 0; i < 10; i++)
		round_trip();
	return 0;
}
