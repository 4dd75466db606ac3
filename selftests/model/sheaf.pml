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
 * mutation: OPEN_RELAXED lost
 * mutation: MARK_IS_NULL lost
 * mutation: MAIN_UNCOMPARED lost
 * mutation: NO_ABORT miscounted
 * mutation: INDEX_EARLY lost
 * mutation: OBJECT_LATE lost
 * mutation: UNLOCK_RELAXED lost
 */
#define NR_SHEAVES	3

#ifdef MARK_IS_NULL
#define MARK	0
#else
#define MARK	CLOSED
#endif
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
#ifdef READ_EARLY
	byte seen[4];
#endif

	do
	:: true ->
		closed = 0;
		at = 0;
		do
		:: at < 2 ->
#ifdef READ_EARLY
			atomic {
				if
				:: LOAD(DRAINS_ON, MAIN(at)) != MARK ->
					look_into_slot();
					seen[2 * at] = first;
					seen[2 * at + 1] = second
				:: else
				fi;
				first = 0; second = 0
			};
#endif
			close_slot();
			at++
		:: else -> break
		od;
		if
		:: !closed -> break
		:: else
		fi;
		membarrier()
#ifdef NO_SECOND_LOOK
		; break
#endif
	od;
	at = 0;
	do
	:: at < 2 ->
		take_slot();
		at++
	:: else -> break
	od
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
		run thread(1, STEPS);
#ifdef OTHER
		run thread(2, OTHER);
#endif
#ifndef NO_DRAIN
		run drain()
#endif
	};
	_nr_pr == 2;
	atomic {
		fence(0); fence(1); fence(2);
		objects = out;
		twice = twice || (objects & slab);
		objects = objects | slab;
		sheaves = unused;
		at = 0;
		do
		:: at < 2 ->
			look_into_slot();
			see_sheaf(first);
			see_sheaf(second);
			at++
		:: else -> break
		od;
		first = (filled & 2 -> 1 : 0); see_sheaf(first);
		first = (filled & 4 -> 2 : 0); see_sheaf(first);
		first = (filled & 8 -> 3 : 0); see_sheaf(first);
		assert(!twice);
		lost = objects != 6 || sheaves != 14;
		assert(!lost);
		miscounted = uncounted_pops || uncounted_pushes;
		assert(!miscounted)
	}
}
