// SPDX-License-Identifier: MIT
/*
 * What the library promises of objects holds wherever they lie: alignment,
 * sizes, zeroes, constructors, and NULL for what cannot be had. Figures say how
 * many AddressSanitizer has.
 *
 * memcheck: clean
 * asan: clean
 * slab: clean
 */
#define _GNU_SOURCE
#include "fault.h"

#include <errno.h>
#include <rn/vmstat.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

#define MUST(x)	do { if (!(x)) abort(); } while (0)

void __asan_describe_address(void *p) __attribute__((weak));

static void fill(void *p)
{
	memset(p, 7, 40);
}

static void aligned(void)
{
	for (size_t size = 8; size <= 4 << 20; size *= 2) {
		void *p = must_alloc(size);

		MUST((uintptr_t)p % (size < 2 << 20 ? size : 2 << 20) == 0);
		rn_free_sized(p, size);
	}
}

static void constructed(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 40, .align = 256, .ctor = fill,
	};
	struct rn_cache *c = rn_cache_create("promised", &args);
	char *p = rn_cache_alloc(c, 0);

	MUST((uintptr_t)p % 256 == 0 && p[0] == 7 && p[39] == 7);
	MUST(rn_size(p) == 40);
	MUST(!rn_check_object(p + 1, 39) && rn_check_object(p + 1, 40));
	MUST(rn_addr_to_node(p + 39) >= 0);
	rn_free(p);
	MUST(!rn_cache_destroy(c));
}

static void zeroed(void)
{
	static const size_t sizes[] = { 5000, 200000, 300000, 10 };
	char *p = rn_zalloc(100, 0);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		p = rn_realloc(p, sizes[i], RN_ZERO);
		MUST(p && rn_size(p) == sizes[i]);
		for (size_t at = 0; at < sizes[i]; at++)
			MUST(!p[at]);
	}
	rn_free_sensitive(p);
}

static void many(void)
{
	void *p[50];

	MUST(rn_alloc_bulk(33, 0, 50, p) == 50);
	rn_free_bulk(50, p);
}

static void too_large(void)
{
	errno = 0;
	MUST(!rn_alloc((size_t)1 << 45, 0) && errno == ENOMEM);
}

/* Of a line of rn_vmstat(); -1: it has none. */
static long figure(const char *name)
{
	int fd = memfd_create("vmstat", 0);
	long value, found = -1;
	char line[200], word[100];
	FILE *f;

	MUST(fd >= 0 && !rn_vmstat(fd));
	f = fdopen(fd, "r");
	MUST(f);
	rewind(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%99s %ld", word, &value) == 2 &&
		    !strcmp(word, name))
			found = value;
	fclose(f);
	return found;
}

static void counted(void)
{
	const char *mode = getenv("RN_SANITIZER");
	void *p = must_alloc(24);

	if (__asan_describe_address && (!mode || strcmp(mode, "slab"))) {
		MUST(figure("asan_heap_current") == 1);
		MUST(figure("asan_heap_allocs") > 50);
	} else {
		MUST(figure("asan_heap_current") == -1);
	}
	rn_free(p);
}

int main(void)
{
	aligned();
	constructed();
	zeroed();
	many();
	too_large();
	counted();
	return 0;
}
