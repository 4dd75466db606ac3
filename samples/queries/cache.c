// SPDX-License-Identifier: MIT
/*
 * The page cache: an entry of storage for each page that is in it. The pools
 * know which pages are there, who uses them, and which one goes when memory is
 * short. What they cannot know is whether a page has been read from its file
 * yet: who acquires it reads it, and who finds it meanwhile waits.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <rn/pools.h>

#include "queries.h"

static pthread_mutex_t ready_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ready_changed = PTHREAD_COND_INITIALIZER;

static uint64_t page_id(const struct table *t, size_t page)
{
	return (uint64_t)t->nr << 32 | page;
}

/* From the time that it has been read until it is evicted. */
static bool *ready(uint64_t id)
{
	return &tables[id >> 32].ready[id & UINT32_MAX];
}

/*
 * Nobody has it pinned, and nobody gets it anew before this has returned. As
 * pages are only read, there is nothing in it that needs to be kept.
 */
bool page_evict(uint64_t id, void *p, size_t bytes, void *arg)
{
	__atomic_store_n(ready(id), false, __ATOMIC_RELAXED);
	count(&counts.evicted, bytes);
	return true;
}

static void fill(const struct table *t, size_t page, void *p)
{
	table_read(t, page, p);
	pthread_mutex_lock(&ready_lock);
	__atomic_store_n(ready(page_id(t, page)), true, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&ready_changed);
	pthread_mutex_unlock(&ready_lock);
}

static void await(const bool *ready)
{
	if (__atomic_load_n(ready, __ATOMIC_ACQUIRE))
		return;
	pthread_mutex_lock(&ready_lock);
	while (!__atomic_load_n(ready, __ATOMIC_ACQUIRE))
		pthread_cond_wait(&ready_changed, &ready_lock);
	pthread_mutex_unlock(&ready_lock);
}

/* Pinned, until page_put(). */
const struct row *page_get(const struct table *t, size_t page)
{
	uint64_t id = page_id(t, page);
	void *p;

	do {
		p = rn_storage_pin(id, NULL);
		if (p) {
			await(ready(id));
			count(&counts.hits, 1);
			return p;
		}
		p = rn_storage_acquire(id, PAGE_BYTES);
		/* Another thread may have been faster. */
	} while (!p && errno == EEXIST);
	if (p) {
		fill(t, page, p);
		count(&counts.misses, 1);
	}
	return p;
}

void page_put(const struct table *t, size_t page)
{
	rn_storage_unpin(page_id(t, page));
}
