// SPDX-License-Identifier: MIT
/*
 * When the program exits: how many calls there were that could have failed and,
 * with RN_FAULT_CHECK=1, whether what the library knows of its memory adds up.
 * After failures on purpose that finds what was lost where nobody looks.
 *
 * Locks: zone.lock while the blocks of a zone are counted.
 */
#define _GNU_SOURCE
#include "fault_inject.h"
#include "slab_hooks.h"
#include "zone.h"

#include <rn/debug.h>
#include <rn/fault_inject.h>
#include <rn/slab-inline.h>
#include <stdlib.h>
#include <string.h>

/* So often what does not hold is looked at again: within some two seconds. */
#define LOOKS	20

static void check_object(size_t size)
{
	void *p = rn_alloc(size, 0);

	if (!p)
		bug("RN_FAULT_CHECK: %zu bytes cannot be had any more", size);
	memset(p, 0x5a, size);
	rn_free(p);
}

/* Of each class one, and a large one. */
static void check_objects(void)
{
	for (unsigned int k = 1; k <= RN_NR_CLASSES; k++)
		check_object(class_bytes[k]);
	check_object(KMALLOC_MAX + 1);
}

static u32 count_bits(const struct pageblock *b)
{
	u32 nr = 0;

	for (size_t i = 0; i < ARRAY_SIZE(b->free); i++)
		nr += __builtin_popcountll(b->free[i]);
	return nr;
}

/* Is it of those that the zone counts? */
static bool is_up(const struct zone *z, u32 block)
{
	return sparse_next_open(block) == block && block_is_used(z, block) &&
		!block_is_blank(z, block) &&
		READ_ONCE(mem.blocks[block].backing) != BACKING_NONE;
}

/* Free pages: so many bits as each block says, so many as the zone says. */
static __no_tsan bool adds_up(struct zone *z)
{
	long rest = 0;
	bool ok = true;

	lock(&z->lock);
	for (int k = 0; k < NR_KINDS; k++)
		rest += z->pages[k].free + z->pages[k].isolated;
	for (u32 i = z->first; i < z->first + z->high; i++) {
		if (!is_up(z, i))
			continue;
		ok &= count_bits(&mem.blocks[i]) == mem.blocks[i].nr_free;
		rest -= mem.blocks[i].nr_free;
	}
	unlock(&z->lock);
	return ok && !rest;
}

static bool zones_add_up(void)
{
	unsigned int ticket = gate_enter();
	bool ok = true;

	for (int n = 0; n < nr_node_ids(); n++)
		ok &= adds_up(&zones[n]);
	gate_exit(ticket);
	return ok;
}

static bool pages_are_owned(void)
{
	return !pages_unowned();
}

/* Other threads may have pages in their hands, but not each time. */
static void check_often(bool (*holds)(void), const char *what)
{
	for (int i = 0; !holds(); i++) {
		if (i == LOOKS)
			bug("RN_FAULT_CHECK: %s", what);
		nofail_pause(i);
	}
}

static void check_at_exit(void)
{
	for (int kind = 0; kind < NR_FAULT_KINDS; kind++)
		rn_fault_set(fault_names[kind], NULL);
	check_objects();
	if (rn_validate(NULL))
		bug("RN_FAULT_CHECK: objects are not as they should be");
	check_often(pages_are_owned, "pages are in use and nobody's");
	check_often(zones_add_up, "free pages do not add up");
}

static void at_exit(void)
{
	fault_say_counts();
	if (options.fault_check)
		check_at_exit();
}

void fault_check_init(void)
{
	if ((options.fault_check || faults_armed) && atexit(at_exit))
		report("RN_FAULT_CHECK: no check at exit: out of memory");
}
