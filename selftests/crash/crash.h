/* SPDX-License-Identifier: MIT */
/*
 * A program that must end in a report: it says on stdout which address the
 * report will name, and then does the one wrong thing. test_crash.c knows the
 * words. Whoever comes out alive at the end exits with 0, which is a failure.
 */
#ifndef SELFTESTS_CRASH_H
#define SELFTESTS_CRASH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <rn/debug.h>
#include <rn/pages.h>
#include <rn/slab-inline.h>
#include <rn/vmstat.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Also keeps the compiler from seeing through a wrong use. */
static inline void *blame(void *p)
{
	void *volatile v = p;

	printf("%p\n", v);
	fflush(stdout);
	return v;
}

/* So many objects have been between guard pages. */
static inline long nr_guarded(void)
{
	char text[16384] = "", *line;
	int fd = memfd_create("vmstat", 0);

	rn_vmstat(fd);
	line = pread(fd, text, sizeof(text) - 1, 0) > 0 ?
		strstr(text, "kfence_allocs ") : NULL;
	close(fd);
	return line ? atol(line + strlen("kfence_allocs ")) : 0;
}

/*
 * What the wrong thing is done to: there is another object before it; or it lies
 * between guard pages, where there are any (RN_KFENCE).
 */
static inline void *victim(size_t size)
{
	/* The first object of a slab is on such a boundary. */
	const size_t first = size <= 8192 ? 16 << 10 : 2 << 20;
	void *p = rn_alloc(size, 0);

	if (!getenv("RN_KFENCE")) {
		while (p && (uintptr_t)p % first == 0)
			p = rn_alloc(size, 0);
		return p;
	}
	for (long before = nr_guarded(); nr_guarded() == before;) {
		rn_free(p);
		p = rn_alloc(size, 0);
	}
	return p;
}

/*
 * Nobody noticed, or reports do not end the program: then at least the library
 * is whole. For main() to return.
 */
static inline int came_through(void)
{
	void *p[RN_CLASS(RN_CLASS_MAX)];
	unsigned int n = 0;

	for (size_t size = 8; size <= RN_CLASS_MAX; size += 8)
		if (RN_CLASS(size) == n + 1)
			p[n++] = memset(rn_alloc(size, RN_NOFAIL), 1, size);
	while (n-- > 0)
		rn_free(p[n]);
	rn_shrink_all();
	return rn_validate(NULL) ? 3 : 0;
}

#endif /* SELFTESTS_CRASH_H */
