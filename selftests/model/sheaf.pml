/* SPDX-License-Identifier: MIT */
/*
 * Two threads on two CPUs, which allocate, free and move, and one that empties
 * all slots meanwhile (percpu_drain()).
 *
 * scripts/check-model reads what follows; the table in
 * Documentation/dev-tools/testing.rst says what the mutations drop.
 *
 * scenario: -DOTHER=1 -DNO_DRAIN -DSTEPS=1
 * scenario: -DSTEPS=2
 * scenario: -DONE_CPU -DOTHER=1 -DSTEPS=1
 *
 * mutation: NO_FENCE twice
 * mutation: FENCE_WITHOUT_ORDER twice
 * mutation: FENCE_WITHOUT_ABORT twice
 * mutation: NO_SECOND_LOOK lost
 * mutation: READ_EARLY lost
 * mutation: OPEN_RELAXED twice
 * mutation: MARK_IS_NULL lost
 * mutation: MAIN_UNCOMPARED twice
 * mutation: NO_ABORT miscounted
 * mutation: INDEX_EARLY twice
 * mutation: OBJECT_LATE lost
 * mutation: UNLOCK_RELAXED lost
 */
#define NR_SHEAVES	3

#ifdef MARK_IS_NULL
#define MARK	0
#else
#define MARK	CLOSED
#endif
#define IS_WANTED(at)	true
#ifndef ONE_CPU
#define IS_UP(cpu)	true
#else
#define IS_UP(cpu)	((cpu)==0)
#endif

#include "slot.h"
#include "drain.h"

/* percpu_drain() */
proctype drain()
{
	byte at, first, second, closed, word;
	bool refused;
#ifdef READ_EARLY
	byte seen[4];
#endif

	drain_closed()
}

init {
	byte at, first, second, word, objects, sheaves;

	atomic {
		/* CPU 0 has a sheaf with an object, and an empty one. */
		mem[MAIN(0)] = 1;
		mem[SHEAF(0, 0)] = 1;
		mem[SHEAF(0, 1)] = 2;
		mem[WORD(1)] = 1;
		mem[OBJECT(1)] = 1;
		held[1] = 1;
		unused = BIT(3);
		slab = BIT(2);
		run thread(1, STEPS, 0);
#ifdef OTHER
		run thread(2, OTHER, 0);
#endif
#ifndef NO_DRAIN
		run drain()
#endif
	};
	_nr_pr == 2;
	atomic { check_all() }
}
