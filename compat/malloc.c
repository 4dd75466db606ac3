// SPDX-License-Identifier: MIT
/*
 * malloc(), free() and those that differ by a few lines: the fast paths of
 * mm/kmalloc.c once more, for the rules of C. A size of 0 gives an object, 16
 * bytes are the least alignment of what can hold a max_align_t, and memory that
 * the C library handed out before it was replaced goes back to it.
 */
#include "compat.h"

#include <rn/slab-inline.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#undef rn_alloc

/* Slots of the classes up to SMALL_MAX, by (size - 1) / 8. */
#define FIT(s)	  ((s) > 64 || (s) <= 8 ? (s) : ((s) + 15) / 16 * 16)
#define AT(i)	  ((u16)(RN_CLASS(FIT((i) * 8 + 8)) << SLOT_SHIFT))
#define AT_4(i)	  AT(i), AT((i) + 1), AT((i) + 2), AT((i) + 3)
#define AT_16(i)  AT_4(i), AT_4((i) + 4), AT_4((i) + 8), AT_4((i) + 12)

static const u16 at_of_size[] = {
	AT_16(0), AT_16(16), AT_16(32), AT_16(48),
	AT_16(64), AT_16(80), AT_16(96), AT_16(112),
};
static_assert(sizeof(at_of_size) == SMALL_MAX / 8 * sizeof(u16),
	      "an entry for each 8 bytes");

static noinline void *malloc_slow(size_t size)
{
	/* Who debugs is known then, for the first object too. */
	mm_init();
	if (unlikely(wants_size(malloc_fit(size)))) {
		size = max(size, (size_t)1);
		return kmalloc_fit(malloc_fit(canary_room(size)), size);
	}
	return rn_alloc(malloc_fit(size), 0);
}

static __always_inline void *malloc_inline(size_t size)
{
	void *object;

	/* 0 until the library is initialised, and on several nodes. */
	if (likely(below_acquire(size - 1, &hot.local_max))) {
		object = fast_pop(at_of_size[(size - 1) / 8]);
		if (likely(object))
			return object;
	}
	return malloc_slow(size);
}

/**
 * malloc() - allocate memory
 * @size: bytes; 0 gives an object that holds nothing
 *
 * Context: MT-safe. What a signal handler that interrupted another call of
 * this family gets is memory, or a report and the end where it would hang.
 * Return: the memory, or NULL with ENOMEM, above PTRDIFF_MAX bytes always.
 */
RN_API __fastpath void *malloc(size_t size)
{
	return malloc_inline(size);
}

static noinline void free_slow(void *p)
{
	if (!p)
		return;
	if (is_ours(p))
		rn_free(p);
	else
		foreign_free(p);
}

static __always_inline void free_inline(void *p)
{
	if (!fast_free(p))
		free_slow(p);
}

/**
 * free() - free memory
 * @p: from any function of this family, of the C library's own malloc, or NULL
 *
 * What is neither is reported in one line, and the program aborted.
 *
 * Context: as malloc(). errno is kept.
 */
RN_API __fastpath void free(void *p)
{
	free_inline(p);
}

/* Gone from the C library, but not from old programs. */
RN_API void cfree(void *p);
void cfree(void *p)
{
	free_inline(p);
}

/* C23. The size is needed where a wrong one is reported. */
RN_API void free_sized(void *p, size_t size);
void free_sized(void *p, size_t size)
{
	if (!p || likely(!keeps_sizes()) || !mem_has(p))
		free_inline(p);
	else
		rn_free_sized(p, max(size, (size_t)1));
}

RN_API void free_aligned_sized(void *p, size_t align, size_t size);
void free_aligned_sized(void *p, size_t align, size_t size)
{
	(void)align;
	free_sized(p, size);
}

/**
 * calloc() - allocate a zeroed array
 * @n: number of elements
 * @size: bytes of each
 *
 * Pages that come fresh from the system are not touched for it.
 *
 * Context: as malloc().
 * Return: as malloc(); ENOMEM also where the product overflows.
 */
RN_API void *calloc(size_t n, size_t size)
{
	size_t bytes;
	void *p;

	if (unlikely(__builtin_mul_overflow(n, size, &bytes))) {
		errno = ENOMEM;
		return NULL;
	}
	if (bytes > KMALLOC_MAX)
		return rn_zalloc(bytes, 0);
	p = malloc_inline(bytes);
	return likely(p) ? memset(p, 0, bytes) : NULL;
}

/**
 * realloc() - change the size of an object
 * @p: as for free(); NULL: malloc()
 * @size: bytes; 0 frees and returns NULL, as the GNU C library does
 *
 * Context: as malloc().
 * Return: as malloc(); where it fails, @p is as it was.
 */
RN_API void *realloc(void *p, size_t size)
{
	if (!p)
		return malloc_inline(size);
	if (!size) {
		free_inline(p);
		return NULL;
	}
	if (unlikely(!is_ours(p)))
		return foreign_realloc(p, size);
	if (unlikely(keeps_sizes() && size <= RN_MAX_SIZE))
		return realloc_fit(p, malloc_fit(canary_room(size)), size, 0,
				   __builtin_return_address(0));
	return rn_realloc(p, malloc_fit(size), 0);
}

/**
 * reallocarray() - change the size of an array
 * @p: as for realloc()
 * @n: number of elements
 * @size: bytes of each
 *
 * Context: as malloc().
 * Return: as realloc(); ENOMEM also where the product overflows.
 */
RN_API void *reallocarray(void *p, size_t n, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(p, bytes);
}

/**
 * malloc_usable_size() - the bytes of an object that may be used
 * @p: as for free()
 *
 * Context: as malloc().
 * Return: bytes, at least what was asked for; 0 for NULL.
 */
RN_API size_t malloc_usable_size(void *p)
{
	if (!p)
		return 0;
	return is_ours(p) ? rn_size(p) : foreign_usable_size(p);
}
