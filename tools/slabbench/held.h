/* SPDX-License-Identifier: MIT */
/*
 * How long requests are held that do not fit below the max of a group.
 */
#ifndef SLABBENCH_HELD_H
#define SLABBENCH_HELD_H

#include <stddef.h>
#include "latency.h"

/**
 * struct held - requests that had to wait
 * @waiters: threads that waited at a time
 * @size: bytes that each of them asked for
 * @out_of_order: requests that were not served in their turn
 * @latency: from the free that made room until the request had returned, all
 *	as LATENCY_ALLOC
 */
struct held {
	unsigned int waiters;
	size_t size;
	uint64_t out_of_order;
	struct latency latency;
};

int held_measure(struct held *held, unsigned int waiters, uint64_t waits);
void held_merge(struct held *to, const struct held *from);

#endif /* SLABBENCH_HELD_H */
