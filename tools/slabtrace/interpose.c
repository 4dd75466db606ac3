// SPDX-License-Identifier: MIT
/*
 * The functions that are recorded. An allocation is timed when it has returned
 * and a free before it is made: so whoever is given the address of an object,
 * or gets its memory next, does so at a later time.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "recorder.h"

/* Fibonacci hashing: addresses that are near one another are told apart. */
static uint32_t hash_site(const void *caller)
{
	return (uint32_t)((uintptr_t)caller * 0x9e3779b97f4a7c15ULL >> 32);
}

#define SITE	hash_site(__builtin_return_address(0))

static void record_new(enum rnt_kind kind, uint32_t site, const void *p,
		       size_t size, size_t align)
{
	struct rnt_event e = {
		.kind = kind, .site = site, .time_ns = tape_clock(),
		.size = size, .align = align, .address = (uintptr_t)p,
	};

	tape_record(&e);
}

static void record_free(uint32_t site, const void *p)
{
	struct rnt_event e = {
		.kind = RNT_FREE, .site = site, .time_ns = tape_clock(),
		.address = (uintptr_t)p,
	};

	tape_record(&e);
}

RECORDER_API void *malloc(size_t size)
{
	void *p;

	if (!tape_enter())
		return next.malloc ? next.malloc(size) : early_alloc(size);
	p = next.malloc(size);
	record_new(RNT_MALLOC, SITE, p, size, 0);
	tape_leave();
	return p;
}

/* What the loader is given early on is zeroed, being given once. */
RECORDER_API void *calloc(size_t n, size_t size)
{
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(n, size, &bytes))
		bytes = SIZE_MAX;
	if (!tape_enter())
		return next.calloc ? next.calloc(n, size) : early_alloc(bytes);
	p = next.calloc(n, size);
	record_new(RNT_CALLOC, SITE, p, bytes, 0);
	tape_leave();
	return p;
}

RECORDER_API void free(void *p)
{
	if (!p || is_early(p))
		return;
	if (!tape_enter()) {
		next.free(p);
		return;
	}
	record_free(SITE, p);
	next.free(p);
	tape_leave();
}

static void *move_early(void *p, size_t size)
{
	size_t room = early_room(p);
	void *q = next.malloc ? next.malloc(size) : early_alloc(size);

	if (q)
		memcpy(q, p, size < room ? size : room);
	return q;
}

static void *resize(uint32_t site, void *p, size_t size)
{
	struct rnt_event e = {
		.kind = RNT_REALLOC, .site = site, .size = size,
		.old = (uintptr_t)p,
	};
	void *q;

	if (is_early(p))
		return move_early(p, size);
	if (!tape_enter())
		return next.realloc ? next.realloc(p, size) : early_alloc(size);
	e.time_ns = tape_clock();
	q = next.realloc(p, size);
	e.took_ns = tape_clock() - e.time_ns;
	e.address = (uintptr_t)q;
	tape_record(&e);
	tape_leave();
	return q;
}

RECORDER_API void *realloc(void *p, size_t size)
{
	return resize(SITE, p, size);
}

RECORDER_API void *reallocarray(void *p, size_t n, size_t size)
{
	size_t bytes;

	if (!__builtin_mul_overflow(n, size, &bytes))
		return resize(SITE, p, bytes);
	errno = ENOMEM;
	return NULL;
}

RECORDER_API int posix_memalign(void **p, size_t align, size_t size)
{
	int err;

	if (!tape_enter())
		return next.posix_memalign(p, align, size);
	err = next.posix_memalign(p, align, size);
	record_new(RNT_ALIGNED, SITE, err ? NULL : *p, size, align);
	tape_leave();
	return err;
}

RECORDER_API void *aligned_alloc(size_t align, size_t size)
{
	void *p;

	if (!tape_enter())
		return next.aligned_alloc(align, size);
	p = next.aligned_alloc(align, size);
	record_new(RNT_ALIGNED, SITE, p, size, align);
	tape_leave();
	return p;
}

static void *align(uint32_t site, size_t align, size_t size)
{
	void *p;

	if (!tape_enter())
		return next.memalign(align, size);
	p = next.memalign(align, size);
	record_new(RNT_ALIGNED, site, p, size, align);
	tape_leave();
	return p;
}

RECORDER_API void *memalign(size_t to, size_t size)
{
	return align(SITE, to, size);
}

RECORDER_API void *valloc(size_t size)
{
	return align(SITE, (size_t)sysconf(_SC_PAGESIZE), size);
}

/* Of whole pages, one at least. */
RECORDER_API void *pvalloc(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t bytes = (size + page - 1) & -page;

	if (bytes >= size)
		return align(SITE, page, bytes ? bytes : page);
	errno = ENOMEM;
	return NULL;
}
