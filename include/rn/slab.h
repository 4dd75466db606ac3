/* SPDX-License-Identifier: MIT */
/*
 * libslab: a slab allocator in the manner of the Linux kernel's, in userspace.
 *
 * Every function is MT-safe. None may be called from a signal handler that
 * interrupted another one of them. Memory stays valid across fork() in both
 * processes.
 */
#ifndef RN_SLAB_H
#define RN_SLAB_H

#include <stddef.h>
#include <rn/gfp.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a request for no bytes returns; it may be freed, not dereferenced. */
#define RN_ZERO_SIZE_PTR	((void *)16)

/* The largest request in bytes: what a pointer difference can express. */
#define RN_MAX_SIZE		((size_t)-1 >> 1)

#define RN_MALLOC	__attribute__((malloc, warn_unused_result))
#define RN_SIZED(...)	__attribute__((alloc_size(__VA_ARGS__)))

void *rn_alloc(size_t size, rn_gfp_t flags) RN_MALLOC RN_SIZED(1);
void *rn_zalloc(size_t size, rn_gfp_t flags) RN_MALLOC RN_SIZED(1);
void *rn_calloc(size_t n, size_t size, rn_gfp_t flags) RN_MALLOC RN_SIZED(1, 2);
void *rn_alloc_array(size_t n, size_t size, rn_gfp_t flags)
	RN_MALLOC RN_SIZED(1, 2);
void *rn_alloc_node(size_t size, rn_gfp_t flags, int node)
	RN_MALLOC RN_SIZED(1);
void *rn_zalloc_node(size_t size, rn_gfp_t flags, int node)
	RN_MALLOC RN_SIZED(1);

void *rn_realloc(void *p, size_t size, rn_gfp_t flags)
	__attribute__((warn_unused_result)) RN_SIZED(2);
void *rn_realloc_array(void *p, size_t n, size_t size, rn_gfp_t flags)
	__attribute__((warn_unused_result)) RN_SIZED(2, 3);

void *rn_memdup(const void *src, size_t len, rn_gfp_t flags)
	RN_MALLOC RN_SIZED(2);
char *rn_strdup(const char *s, rn_gfp_t flags) RN_MALLOC;
char *rn_strndup(const char *s, size_t max, rn_gfp_t flags) RN_MALLOC;

void rn_free(const void *p);
void rn_free_sized(const void *p, size_t size);
void rn_free_sensitive(const void *p);

size_t rn_size(const void *p);
size_t rn_size_roundup(size_t size);
int rn_check_object(const void *p, size_t len);

size_t rn_alloc_bulk(size_t size, rn_gfp_t flags, size_t n, void **p);
void rn_free_bulk(size_t n, void *const *p);

/* --- caches of objects of one type --- */

struct rn_cache;

/* Cache flags. */
#define RN_NOMERGE	0x01u	/* never shared with a cache of the same shape */
#define RN_HWCACHE_ALIGN 0x02u	/* objects start on a cache line of their own */
#define RN_CACHE_HUGETLB 0x04u	/* slabs only on hugetlb pages */
#define RN_PANIC	0x08u	/* a failing rn_cache_create() is a fatal report */

/* What is checked of a cache (Documentation/admin-guide/slab-debug.rst). */
#define RN_CONSISTENCY_CHECKS	0x100u	/* F: its lists of free objects */
#define RN_RED_ZONE		0x200u	/* Z: zones around each object */
#define RN_POISON		0x400u	/* P: free objects and padding */
#define RN_STORE_USER		0x800u	/* U: who allocated, who freed */
#define RN_TRACE		0x1000u	/* T: a line on stderr for each */
#define RN_FAILSLAB		0x2000u	/* A: failslab with cache-filter=1 */

/**
 * struct rn_cache_args - the shape of a cache
 * @sz: sizeof(struct rn_cache_args), so that the struct can grow
 * @size: bytes of an object, 1 to 64 KiB
 * @align: alignment in bytes, a power of two of at most 4,096; 0 means
 *	sizeof(void *)
 * @flags: RN_NOMERGE and the like
 * @ctor: called once for each object when it is first taken from a fresh
 *	slab, never again when it is reused; NULL for none. It may allocate
 *	from other caches.
 * @useroffset: first byte of the object that rn_check_object() lets pass
 * @usersize: number of such bytes; with both 0 the whole object passes
 */
struct rn_cache_args {
	size_t sz;
	size_t size;
	size_t align;
	unsigned int flags;
	void (*ctor)(void *object);
	size_t useroffset;
	size_t usersize;
};

struct rn_cache *rn_cache_create(const char *name,
				 const struct rn_cache_args *args);
int rn_cache_destroy(struct rn_cache *cache);
int rn_cache_shrink(struct rn_cache *cache);

void *rn_cache_alloc(struct rn_cache *cache, rn_gfp_t flags) RN_MALLOC;
void *rn_cache_zalloc(struct rn_cache *cache, rn_gfp_t flags) RN_MALLOC;
void *rn_cache_alloc_node(struct rn_cache *cache, rn_gfp_t flags, int node)
	RN_MALLOC;
void rn_cache_free(struct rn_cache *cache, void *object);
size_t rn_cache_alloc_bulk(struct rn_cache *cache, rn_gfp_t flags, size_t n,
			   void **p);
void rn_cache_free_bulk(struct rn_cache *cache, size_t n, void *const *p);

size_t rn_cache_size(const struct rn_cache *cache);
const char *rn_cache_name(const struct rn_cache *cache);

struct rn_cache *rn_cache_of_type(struct rn_cache **where, const char *name,
				  size_t size, size_t align);

/**
 * RN_CACHE() - the cache of exact size for a type
 * @type: a complete type, for instance struct node
 *
 * Made at the first use in each place that names it; all places that name a
 * type of the same shape share one cache. A lookup afterwards is one load.
 *
 * Return: the cache, or NULL with errno: ENOMEM, or EINVAL for a type of more
 * than 64 KiB.
 */
#define RN_CACHE(type) __extension__({					\
	static struct rn_cache *rn_cache_here;				\
	struct rn_cache *rn_c_ = __atomic_load_n(&rn_cache_here,	\
						 __ATOMIC_ACQUIRE);	\
	rn_c_ ? rn_c_ : rn_cache_of_type(&rn_cache_here, #type,		\
					 sizeof(type),			\
					 __alignof__(type));		\
})

#ifdef __cplusplus
}
#endif

#endif /* RN_SLAB_H */
