// SPDX-License-Identifier: MIT
/*
 * The freelist allocator, a peer built in: one mutex over a free list for each
 * power of two. What anybody would write first, and the baseline that a design
 * must beat by far. Memory is mapped by the megabyte and never given back.
 */
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include "alloc.h"

#define MIN_SHIFT	4
#define MAX_SHIFT	47
#define CHUNK		((size_t)1 << 20)

/* In front of each object, so that a free knows where it belongs. */
struct header {
	union {
		struct header *next;	/* while it is free */
		size_t shift;		/* log2 of the bytes behind it */
	};
} __attribute__((aligned(16)));

static struct {
	pthread_mutex_t lock;
	struct header *free[MAX_SHIFT + 1];
	char *chunk;
	size_t left;			/* in @chunk */
} freelist = { .lock = PTHREAD_MUTEX_INITIALIZER };

static unsigned int shift_of(size_t size)
{
	return size <= 1UL << MIN_SHIFT ? MIN_SHIFT :
		64 - (unsigned int)__builtin_clzl(size - 1);
}

static char *map(size_t bytes)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* Under the lock: new memory for one object. */
static struct header *carve(size_t bytes)
{
	struct header *h;

	if (bytes > CHUNK / 4)
		return (struct header *)map(bytes);
	if (bytes > freelist.left) {
		freelist.chunk = map(CHUNK);
		freelist.left = freelist.chunk ? CHUNK : 0;
		if (!freelist.chunk)
			return NULL;
	}
	h = (struct header *)freelist.chunk;
	freelist.chunk += bytes;
	freelist.left -= bytes;
	return h;
}

__attribute__((noinline)) void *freelist_get(size_t size)
{
	unsigned int shift = shift_of(size);
	struct header *h;

	if (size > 1UL << MAX_SHIFT)
		return NULL;
	pthread_mutex_lock(&freelist.lock);
	h = freelist.free[shift];
	if (h)
		freelist.free[shift] = h->next;
	else
		h = carve(sizeof(*h) + ((size_t)1 << shift));
	pthread_mutex_unlock(&freelist.lock);
	if (!h)
		return NULL;
	h->shift = shift;
	return h + 1;
}

__attribute__((noinline)) void freelist_put(void *p)
{
	struct header *h = (struct header *)p - 1;
	size_t shift = h->shift;

	pthread_mutex_lock(&freelist.lock);
	h->next = freelist.free[shift];
	freelist.free[shift] = h;
	pthread_mutex_unlock(&freelist.lock);
}

size_t freelist_usable(void *p)
{
	return (size_t)1 << ((struct header *)p - 1)->shift;
}

void *freelist_resize(void *p, size_t old, size_t size)
{
	void *q;

	if (p && size <= freelist_usable(p))
		return p;
	q = freelist_get(size);
	if (p && q) {
		memcpy(q, p, old < size ? old : size);
		freelist_put(p);
	}
	return q;
}
