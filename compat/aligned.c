// SPDX-License-Identifier: MIT
/*
 * Memory on a boundary. A class whose size is a multiple of the alignment has
 * all of its objects aligned, since slabs are aligned to their own size; runs of
 * pages are aligned to theirs, up to a pageblock. Beyond that a longer run is
 * taken, and cut.
 */
#include "compat.h"

#include <malloc.h>
#include <stdlib.h>
#include <sys/auxv.h>

/* A run is aligned to a pageblock anyway. */
static void *alloc_cut(size_t align, size_t size)
{
	void *p = rn_alloc(size + align - PAGEBLOCK_BYTES, 0);

	return p ? large_cut(p, size, align) : NULL;
}

static void *alloc_class(size_t fit, size_t size, size_t align)
{
	if (fit > KMALLOC_MAX)
		return rn_alloc(max(size, align), 0);
	fit = class_on(fit, align);
	if (unlikely(wants_size(fit)))
		return kmalloc_fit(fit, size);
	return rn_alloc(fit, 0);
}

static void *alloc_on(size_t align, size_t size)
{
	mm_init();
	if (size > RN_MAX_SIZE || align > RN_MAX_SIZE) {
		errno = ENOMEM;
		return NULL;
	}
	size = max(size, (size_t)1);
	if (align > PAGEBLOCK_BYTES)
		return alloc_cut(align, size);
	return alloc_class(malloc_fit(max(canary_room(size), align)), size,
			   align);
}

/**
 * aligned_alloc() - allocate memory on a boundary
 * @align: in bytes, a power of two
 * @size: bytes, a multiple of @align or not
 *
 * Context: as malloc().
 * Return: as malloc(); EINVAL where @align is no power of two.
 */
RN_API void *aligned_alloc(size_t align, size_t size)
{
	if (!is_power_of_2(align)) {
		errno = EINVAL;
		return NULL;
	}
	return alloc_on(align, size);
}

/**
 * posix_memalign() - allocate memory on a boundary
 * @where: where the memory goes; kept as it was when there is none
 * @align: in bytes, a power of two and a multiple of a pointer's size
 * @size: bytes
 *
 * Context: as malloc(). errno is kept.
 * Return: 0, EINVAL or ENOMEM.
 */
RN_API int posix_memalign(void **where, size_t align, size_t size)
{
	int saved = errno;
	void *p;

	if (!is_power_of_2(align) || align % sizeof(void *))
		return EINVAL;
	p = alloc_on(align, size);
	errno = saved;
	if (!p)
		return ENOMEM;
	*where = p;
	return 0;
}

/**
 * memalign() - allocate memory on a boundary
 * @align: in bytes; rounded up to a power of two
 * @size: bytes
 *
 * Context: as malloc().
 * Return: as malloc(); EINVAL where there is no such power.
 */
RN_API void *memalign(size_t align, size_t size)
{
	if (align > RN_MAX_SIZE / 2 + 1) {
		errno = EINVAL;
		return NULL;
	}
	return alloc_on(1UL << order_base_2(align), size);
}

static size_t base_page(void)
{
	return (size_t)getauxval(AT_PAGESZ);
}

/**
 * valloc() - allocate memory on a page boundary
 * @size: bytes
 *
 * Context: as malloc().
 * Return: as malloc().
 */
RN_API void *valloc(size_t size)
{
	return alloc_on(base_page(), size);
}

/**
 * pvalloc() - allocate whole pages
 * @size: bytes, rounded up to a multiple of the page size
 *
 * Context: as malloc().
 * Return: as malloc().
 */
RN_API void *pvalloc(size_t size)
{
	size_t page = base_page();

	if (size > RN_MAX_SIZE - page) {
		errno = ENOMEM;
		return NULL;
	}
	return alloc_on(page, max(ALIGN(size, page), page));
}
