/* SPDX-License-Identifier: MIT */
/*
 * Memory pools with a reserve, after the kernel's mempool_t: who takes one
 * object at a time and gives it back always gets on, however short memory is.
 *
 * See Documentation/core-api/mempool.rst.
 */
#ifndef RN_MEMPOOL_H
#define RN_MEMPOOL_H

#include <stddef.h>

#include <rn/gfp.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rn_cache;
struct rn_mempool;

typedef void *(*rn_mempool_alloc_t)(rn_gfp_t flags, void *pool_data);
typedef void (*rn_mempool_free_t)(void *element, void *pool_data);

struct rn_mempool *rn_mempool_create(unsigned int min_nr,
				     rn_mempool_alloc_t alloc,
				     rn_mempool_free_t free, void *pool_data);
struct rn_mempool *rn_mempool_create_cache(unsigned int min_nr,
					   struct rn_cache *cache);
struct rn_mempool *rn_mempool_create_size(unsigned int min_nr, size_t size);
struct rn_mempool *rn_mempool_create_pages(unsigned int min_nr,
					   unsigned int order);
int rn_mempool_resize(struct rn_mempool *pool, unsigned int new_min_nr);
int rn_mempool_destroy(struct rn_mempool *pool);

void *rn_mempool_alloc(struct rn_mempool *pool, rn_gfp_t flags);
void *rn_mempool_alloc_timeout(struct rn_mempool *pool, rn_gfp_t flags,
			       unsigned int ms);
void *rn_mempool_alloc_preallocated(struct rn_mempool *pool);
void rn_mempool_free(void *element, struct rn_mempool *pool);

unsigned int rn_mempool_min(const struct rn_mempool *pool);
unsigned int rn_mempool_available(const struct rn_mempool *pool);

#ifdef __cplusplus
}
#endif

#endif /* RN_MEMPOOL_H */
