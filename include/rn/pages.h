/* SPDX-License-Identifier: MIT */
/*
 * Whole pages, and the memory that the library holds from the system.
 */
#ifndef RN_PAGES_H
#define RN_PAGES_H

#include <stddef.h>
#include <rn/gfp.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The unit of the page allocator, whatever the system's page size is. */
#define RN_PAGE_SHIFT	12
#define RN_PAGE_SIZE	((size_t)1 << RN_PAGE_SHIFT)

/* Orders above 9 (2 MiB) are runs of pageblocks; 18 is 1 GiB. */
#define RN_MAX_ORDER	18

void *rn_alloc_pages(unsigned int order, rn_gfp_t flags, int node);
void rn_free_pages(void *addr, unsigned int order);

/* Flags of rn_reserve(): which rungs may be used; 0 is the whole ladder. */
#define RN_RESERVE_HUGETLB	0x01u	/* hugetlb pages or nothing */
#define RN_RESERVE_THISNODE	0x02u	/* that node or nothing */
/* The size of hugetlb page to use, as its log2: RN_RESERVE_SHIFT(30) is 1 GiB. */
#define RN_RESERVE_SHIFT(log2)	((unsigned int)(log2) << 16)

int rn_reserve(size_t bytes, int node, unsigned int flags);
size_t rn_shrink_all(void);

int rn_addr_to_node(const void *p);

#ifdef __cplusplus
}
#endif

#endif /* RN_PAGES_H */
