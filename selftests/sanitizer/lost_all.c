// SPDX-License-Identifier: MIT
/*
 * One of each that is lost, with the stack that asked for it. LeakSanitizer
 * does not know pages, nor anything that lies in slabs: there it is RN_LEAKS
 * which lists what is in use.
 *
 * memcheck: 21 bytes in 1 blocks are definitely lost
 * memcheck: lose_small \(lost_all\.c
 * memcheck: 22 bytes in 1 blocks are definitely lost
 * memcheck: lose_used \(lost_all\.c
 * memcheck: 48 bytes in 1 blocks are definitely lost
 * memcheck: lose_of_cache \(lost_all\.c
 * memcheck: 69 bytes in 3 blocks are definitely lost
 * memcheck: lose_bulk \(lost_all\.c
 * memcheck: 200,000 bytes in 1 blocks are definitely lost
 * memcheck: lose_large \(lost_all\.c
 * memcheck: 8,192 bytes in 1 blocks are definitely lost
 * memcheck: lose_pages \(lost_all\.c
 * memcheck: 24 bytes in 1 blocks are definitely lost
 * memcheck: lose_moved \(lost_all\.c
 * slab: ^leak: 21 bytes in 1 objects, allocated in$
 * slab: ^leak: 22 bytes in 1 objects, allocated in$
 * slab: ^leak: 48 bytes in 1 objects, allocated in$
 * slab: ^leak: 69 bytes in 3 objects, allocated in$
 * slab: ^leak: 24 bytes in 1 objects, allocated in$
 * slab: ^leak: 208192 bytes in 2 large .*, of which no stack is known
 * slab: ^leaks: 208376 bytes in 9 objects
 * asan: Direct leak of 21 byte\(s\) in 1 object\(s\)
 * asan: lose_small .*lost_all\.c
 * asan: Direct leak of 22 byte\(s\) in 1 object\(s\)
 * asan: lose_used .*lost_all\.c
 * asan: Direct leak of 48 byte\(s\) in 1 object\(s\)
 * asan: lose_of_cache .*lost_all\.c
 * asan: Direct leak of 69 byte\(s\) in 3 object\(s\)
 * asan: lose_bulk .*lost_all\.c
 * asan: Direct leak of 200000 byte\(s\) in 1 object\(s\)
 * asan: lose_large .*lost_all\.c
 * asan: Direct leak of 24 byte\(s\) in 1 object\(s\)
 * asan: lose_moved .*lost_all\.c
 * asan: SUMMARY: AddressSanitizer: 200184 byte\(s\) leaked in 8 alloc
 */
#include "fault.h"

#define NOINLINE	__attribute__((noinline, noclone))

NOINLINE void lose_small(void)
{
	store(must_alloc(21), 0);
}

/* Held back it was not for long (RN_QUARANTINE). */
NOINLINE void lose_used(void)
{
	for (int i = 0; i < 10; i++)
		rn_free(must_alloc(22));
	store(must_alloc(22), 0);
}

NOINLINE void lose_of_cache(void)
{
	struct rn_cache_args args = { .sz = sizeof(args), .size = 48 };
	struct rn_cache *c = rn_cache_create("lossy", &args);

	store(rn_cache_alloc(c, 0), 0);
}

NOINLINE void lose_bulk(void)
{
	void *p[3];

	if (rn_alloc_bulk(23, 0, 3, p) != 3)
		abort();
	memset(p, 0, sizeof(p));
	hide(p);
}

NOINLINE void lose_large(void)
{
	store(must_alloc(200000), 0);
}

NOINLINE void lose_pages(void)
{
	store(hide(rn_alloc_pages(1, 0, RN_NO_NODE)), 0);
}

NOINLINE void lose_moved(void)
{
	store(hide(rn_realloc(must_alloc(10), 24, 0)), 0);
}

/* What registers and the stack still have is none of it. */
static __attribute__((noinline)) void wipe(void)
{
	char *room = hide(__builtin_alloca(4096));

	memset(room, 0, 4096);
	hide(room);
}

int main(void)
{
	const char *mode = getenv("RN_SANITIZER");

	if (mode && !strcmp(mode, "slab")) {
		setenv("RN_LEAKS", "1", 1);
		setenv("RN_LEAKS_EXITCODE", "23", 1);
	}
	setenv("RN_QUARANTINE", "0", 1);
	lose_small();
	lose_used();
	lose_of_cache();
	lose_bulk();
	lose_large();
	lose_pages();
	lose_moved();
	wipe();
	return 0;
}
