/* SPDX-License-Identifier: MIT */
/*
 * What sizes are to be where RN_SLAB_DEBUG or RN_HARDENED may be set, or a
 * sanitizer is told.
 */
#ifndef SELFTESTS_DEBUGGED_H
#define SELFTESTS_DEBUGGED_H

#include "helpers.h"

#include <rn/slab-inline.h>

/* What rn_size() of rn_alloc(@size) is to be. */
static inline size_t usable_size(size_t size)
{
	if (all_sanitized() || (all_debugged() && size <= RN_CLASS_MAX))
		return size;
	/* Each has a canary behind it, and what none can be behind is a run. */
	if (all_hardened() && size <= RN_CLASS_MAX - 8)
		return size;
	return rn_size_roundup(size);
}

#endif /* SELFTESTS_DEBUGGED_H */
