/* SPDX-License-Identifier: MIT */
/*
 * Who wants to see objects come and go. Documentation/mm/slab-hooks.rst.
 *
 * While anybody does, the fast paths are shut, and each call comes to the slow
 * ones, which are slab_alloc() and slab_free(). The hooks are in percpu.h.
 */
#ifndef MM_SLAB_HOOKS_H
#define MM_SLAB_HOOKS_H

#include "slab.h"

#pragma GCC visibility push(hidden)

/* A hook begins, or ends; not in a handler. */
void slab_hook_set(enum slab_hook hook, bool on);
/* Likewise, under slab_mutex. */
void slab_hook_set_locked(enum slab_hook hook, bool on);
/* At the end of initialisation: what is wanted by then. */
void slab_hooks_init(void);

/*
 * An object of @c, for which @size bytes were asked by @caller; or NULL with an
 * errno, as slab_alloc_slow().
 */
void *slab_alloc(struct rn_cache *c, size_t size, rn_gfp_t flags, int node,
		 const void *caller);
/* @object lies in a slab of @row. */
void slab_free(unsigned int row, const void *object, const void *caller);

#pragma GCC visibility pop

#endif /* MM_SLAB_HOOKS_H */
