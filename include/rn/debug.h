/* SPDX-License-Identifier: MIT */
/*
 * libslab: what is wrong, and what a pointer is.
 *
 * Most of it needs caches that are debugged: by the RN_* flags of
 * struct rn_cache_args, or by RN_SLAB_DEBUG in the environment.
 */
#ifndef RN_DEBUG_H
#define RN_DEBUG_H

#include <rn/slab.h>

#ifdef __cplusplus
extern "C" {
#endif

int rn_validate(struct rn_cache *cache);
int rn_dump_obj(const void *p);

#ifdef __cplusplus
}
#endif

#endif /* RN_DEBUG_H */
