// SPDX-License-Identifier: MIT
/*
 * Memory for metadata: outside of the reservation, so that no pointer into it
 * is ever mistaken for a user's, and never given back, so that a slow path may
 * read it without a lock.
 *
 * Locks: meta_lock, a leaf, covers the chunk that is being handed out.
 */
#define _GNU_SOURCE
#include "internal.h"
#include "vm_calls.h"
#include "zone.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define META_ALIGN	64UL
#define META_CHUNK	(1UL << 20)	/* address space; touched as it is used */

static struct lock meta_lock;
static char *chunk;		/* what is left of the current chunk */
static size_t chunk_left;
static u64 handed_out;
static u64 mapped;

/*
 * A mapping on a unit; nobody may touch what lies on either side of it. So what
 * runs over the end of another one, or of this, goes no further.
 */
static char *map_guarded(size_t bytes, int prot, int flags)
{
	size_t whole = bytes + 2 * META_UNIT;
	char *p = vm_map(NULL, whole, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS | flags, -1);
	char *inner = (char *)ALIGN((uintptr_t)p + 1, META_UNIT);

	if (p == MAP_FAILED)
		return NULL;
	if (prot != PROT_NONE && vm_protect(inner, bytes, prot)) {
		munmap(p, whole);
		return NULL;
	}
	return inner;
}

static void *map_rw(size_t bytes)
{
	void *p = map_guarded(bytes, PROT_READ | PROT_WRITE, 0);

	if (!p)
		return NULL;
	vma_name(p, bytes, "libslab-meta");
	stat_add(&mapped, bytes);
	return p;
}

/* Under meta_lock. What is left of the old chunk is lost: under 1/16 of it. */
static bool chunk_refill(size_t bytes)
{
	size_t size = META_CHUNK;
	char *p = map_rw(size);

	if (!p) {
		size = ALIGN(bytes, META_UNIT);
		p = map_rw(size);
	}
	if (!p)
		return false;
	chunk = p;
	chunk_left = size;
	return true;
}

/*
 * What is small comes from the front and tables come from the end, so that the
 * little that every program needs lies together, in few pages.
 */
static void *chunk_take(size_t bytes)
{
	void *p = NULL;

	lock(&meta_lock);
	if (bytes <= chunk_left ||
	    (bytes < META_CHUNK / 16 && chunk_refill(bytes))) {
		chunk_left -= bytes;
		p = chunk;
		if (bytes < PAGE_BYTES)
			chunk += bytes;
		else
			p = chunk + chunk_left;
	}
	unlock(&meta_lock);
	return p;
}

void *meta_alloc(size_t bytes)
{
	void *p = NULL;

	if (bytes > SIZE_MAX / 2) {
		errno = ENOMEM;
		return NULL;
	}
	if (fault_inject(FAULT_META, bytes))
		return NULL;
	bytes = ALIGN(bytes, META_ALIGN);
	p = chunk_take(bytes);
	/* What would waste much of a chunk gets a mapping of its own. */
	if (!p && bytes >= META_CHUNK / 16) {
		bytes = ALIGN(bytes, META_UNIT);
		p = map_rw(bytes);
	}
	if (p)
		stat_add(&handed_out, bytes);
	else
		errno = ENOMEM;
	return p;
}

/*
 * Units that were opened lately, by address: what is open stays open, so that
 * a hit needs no system call, and a lost update costs one.
 */
#define OPEN_CACHE	256

static uintptr_t open_cache[OPEN_CACHE];

static uintptr_t *open_cache_slot(uintptr_t unit)
{
	return &open_cache[unit / META_UNIT % OPEN_CACHE];
}

static bool open_cached(uintptr_t unit)
{
	/* Pairs with meta_open(): a hit comes after the mprotect(). */
	return __atomic_load_n(open_cache_slot(unit), __ATOMIC_ACQUIRE) == unit;
}

/*
 * Whole units of 64 KiB, which is a multiple of every base page size: tables
 * from meta_reserve() start on one and are a multiple of it long.
 */
int meta_open(void *p, size_t bytes)
{
	uintptr_t start = ALIGN_DOWN((uintptr_t)p, META_UNIT);
	uintptr_t end = ALIGN((uintptr_t)p + bytes, META_UNIT);

	while (start < end && open_cached(start))
		start += META_UNIT;
	if (start == end)
		return 0;
	if (vm_protect((void *)start, end - start, PROT_READ | PROT_WRITE))
		return -ENOMEM;
	vma_opened((void *)start, end - start);
	for (; start < end; start += META_UNIT)
		__atomic_store_n(open_cache_slot(start), start,
				 __ATOMIC_RELEASE);
	return 0;
}

void meta_populate(void *p, size_t bytes)
{
	uintptr_t start = ALIGN_DOWN((uintptr_t)p, PAGE_BYTES);
	uintptr_t end = ALIGN((uintptr_t)p + bytes, PAGE_BYTES);
	int saved = errno;

	if (!fault_inject(FAULT_POPULATE, end - start))
		madvise((void *)start, end - start, MADV_POPULATE_WRITE);
	errno = saved;
}

void *meta_reserve(size_t bytes, int prot)
{
	char *p;

	bytes = ALIGN(bytes, META_UNIT);
	p = map_guarded(bytes, prot, MAP_NORESERVE);
	if (p)
		vma_reserved(p, bytes, "libslab-tables");
	return p;
}

u64 meta_bytes(void)
{
	return READ_ONCE(handed_out);
}

u64 meta_mapped(void)
{
	return READ_ONCE(mapped);
}
