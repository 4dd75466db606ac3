/* SPDX-License-Identifier: MIT */
/*
 * Two shrinkers: of objects that a program could do without, and one that has
 * nothing and notes how it is asked.
 */
#ifndef SELFTESTS_PROBE_H
#define SELFTESTS_PROBE_H

#include "helpers.h"
#include "must.h"

#include <rn/shrinker.h>

extern struct items {
	struct item *first;
	unsigned long nr;
	bool hidden;		/* it says that there are none */
} items;
extern struct rn_shrinker items_shrinker;

bool add_item(rn_gfp_t flags);
void drop_items(void);

extern struct probe {
	unsigned long has;	/* what it says */
	unsigned long gives;	/* for each call */
	unsigned long counts, scans;
	unsigned long last_resorts;	/* counts at priority 0 */
	unsigned int order[64], nr_order;	/* of priorities */
	void (*in_scan)(void);
} probe;
extern struct rn_shrinker probe_shrinker;

void probe_register(unsigned long has, unsigned long gives);
void probe_unregister(void);

#endif /* SELFTESTS_PROBE_H */
