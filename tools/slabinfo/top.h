/* SPDX-License-Identifier: MIT */
/*
 * slabinfo top: what its files offer one another.
 */
#ifndef SLABINFO_TOP_H
#define SLABINFO_TOP_H

#include "slabinfo.h"

/* Lines above the caches; the last one is the title of their columns. */
#define TOP_HEAD	7

/* Is it the key of an order? */
bool top_is_order(int key);
/* The head, then each cache, in this order. */
void top_print(FILE *out, struct caches *all, int order);
/* On the terminal until q is pressed; false: the process has ended. */
bool top_screen(const struct process *p, const struct timespec *interval,
		int order);

#endif /* SLABINFO_TOP_H */
