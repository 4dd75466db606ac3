// SPDX-License-Identifier: MIT
/*
 * Does what the library knows of its memory add up? After failures on purpose
 * that finds what was lost where nobody looks. With RN_FAULT_CHECK it is asked
 * when the program exits; then it is also said how many calls there were that
 * could have failed.
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

static bool object_works(size_t size)
{
	void *p = rn_alloc(size, 0);

	if (!p)
		return false;
	memset(p, 0x5a, size);
	rn_free(p);
	return true;
}

/* Of each class one, and a large one. */
static bool objects_work(void)
{
	bool ok = object_works(KMALLOC_MAX + 1);

	for (unsigned int k = 1; k <= RN_NR_CLASSES; k++)
		ok &= object_works(class_bytes[k]);
	return ok;
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
static bool holds_at_times(bool (*holds)(void))
{
	for (int i = 0; i < LOOKS; i++) {
		if (holds())
			return true;
		nofail_pause(i);
	}
	return false;
}

static int expect(bool holds, const char *what)
{
	if (!holds)
		report("RN_FAULT_CHECK: %s", what);
	return !holds;
}

/**
 * rn_fault_check() - does what the library knows of its memory add up?
 *
 * Calls fail no more from here on. Then all caches are validated, an object of
 * each class and a large one are allocated and freed, and pages are counted.
 * What does not hold is said on stderr. Where the library could not start, or
 * with RN_FAULT_CHECK=unowned, less is looked at.
 *
 * Context: MT-safe, not async-signal-safe; not from a callback.
 * Return: how many of these do not hold, 0 if all is well.
 */
RN_API int rn_fault_check(void)
{
	int bad;

	/* Which reads what is to fail. */
	mm_init();
	for (int kind = 0; kind < NR_FAULT_KINDS; kind++)
		rn_fault_set(fault_names[kind], NULL);
	if (mm_init_error())
		return 0;
	bad = expect(objects_work(), "there is a size that cannot be had");
	bad += expect(!rn_validate(NULL), "objects are not as they should be");
	bad += expect(holds_at_times(zones_add_up), "free pages do not add up");
	if (options.fault_check != FAULT_CHECK_UNOWNED)
		bad += expect(holds_at_times(pages_are_owned),
			      "pages are in use and nobody's");
	return bad;
}

static void at_exit(void)
{
	fault_say_counts();
	if (options.fault_check && rn_fault_check())
		abort();
}

void fault_check_init(void)
{
	if ((options.fault_check || faults_armed) && atexit(at_exit))
		report("RN_FAULT_CHECK: no check at exit: out of memory");
}
