/* SPDX-License-Identifier: MIT */
/*
 * The loop of the pair workload, apart from it because the floor is measured
 * with the same loop.
 */
#ifndef SLABBENCH_PAIR_H
#define SLABBENCH_PAIR_H

#include "alloc.h"

__bench_inline void pair(struct worker *w, struct ops a)
{
	size_t size = w->row->size;

	for (uint64_t i = w->iterations; i; i--) {
		void *p = must(a.get(size), size);

		keep(p);
		a.put(p);
	}
	fold(&w->checksum, size);
	fold(&w->checksum, w->iterations);
	w->ops = w->iterations;
}

#endif /* SLABBENCH_PAIR_H */
