// SPDX-License-Identifier: MIT
/*
 * An allocator that fragments: a freed block is used again only for a request
 * of the very same size, and is never split, joined or given back. So when the
 * sizes change, all that was freed before stays as holes. As other allocators
 * can do little better where neighbours of a freed block live on, there is a
 * hole behind each block as well, as large, which nothing ever uses. slabbench
 * must tell the holes from memory in use.
 */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGN		16
#define CHUNK		((size_t)4 << 20)
#define LARGEST		((size_t)64 << 10)	/* with holes of its own */

/* In front of each block; @next while it is free. */
struct header {
	size_t size;
	struct header *next;
} __attribute__((aligned(ALIGN)));

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct header *holes[LARGEST / ALIGN + 1];
static char *chunk, *chunk_end;

static void *map(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static struct header *carve(size_t bytes)
{
	struct header *h;

	if ((size_t)(chunk_end - chunk) < bytes) {
		chunk = map(CHUNK);
		chunk_end = chunk ? chunk + CHUNK : NULL;
	}
	h = (struct header *)chunk;
	if (h)
		chunk += bytes;
	return h;
}

static struct header *small(size_t size)
{
	struct header **hole = &holes[size / ALIGN], *h;

	pthread_mutex_lock(&lock);
	h = *hole;
	if (h)
		*hole = h->next;
	else
		h = carve(sizeof(*h) + 2 * size);
	pthread_mutex_unlock(&lock);
	return h;
}

void *malloc(size_t size)
{
	struct header *h;

	if (size > PTRDIFF_MAX - CHUNK) {
		errno = ENOMEM;
		return NULL;
	}
	size = (size + ALIGN - 1) & -(size_t)ALIGN;
	h = size <= LARGEST ? small(size) : map(sizeof(*h) + size);
	if (!h) {
		errno = ENOMEM;
		return NULL;
	}
	h->size = size;
	return h + 1;
}

void free(void *p)
{
	struct header *h = p ? (struct header *)p - 1 : NULL;

	if (!h)
		return;
	if (h->size > LARGEST) {
		munmap(h, sizeof(*h) + h->size);
		return;
	}
	pthread_mutex_lock(&lock);
	h->next = holes[h->size / ALIGN];
	holes[h->size / ALIGN] = h;
	pthread_mutex_unlock(&lock);
}

void *calloc(size_t n, size_t size)
{
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	p = malloc(bytes);
	return p ? memset(p, 0, bytes) : NULL;
}

void *realloc(void *p, size_t size)
{
	size_t old = p ? ((struct header *)p - 1)->size : 0;
	void *q = malloc(size);

	if (!q || !p)
		return q;
	memcpy(q, p, old < size ? old : size);
	free(p);
	return q;
}

size_t malloc_usable_size(void *p)
{
	return p ? ((struct header *)p - 1)->size : 0;
}
