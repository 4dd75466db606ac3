/* SPDX-License-Identifier: MIT */
/*
 * A CPU that goes, at any moment, and may come back, while a thread that ran
 * there allocates, frees and moves, and slots are emptied: all of them
 * (percpu_drain()) or some (percpu_drain_picked()), whether there is a CPU for
 * them or not.
 *
 * scripts/check-model reads what follows; the table in
 * Documentation/dev-tools/testing.rst says what the mutations drop.
 *
 * scenario: -DSTEPS=1
 * scenario: -DSTEPS=1 -DPICKED -DMAY_BE_REFUSED
 * scenario: -DSTEPS=1 -DPICKED -DBY_CID
 *
 * mutation: NO_FENCE lost
 * mutation: FENCE_SEEN_UP lost
 * mutation: FENCE_BY_INDEX twice
 * mutation: UP_ONLY stranded
 * mutation: NO_SECOND_LOOK lost
 * mutation: OPENED_EARLY twice
 * mutation: OPENED_AS_SEEN twice
 * mutation: LEFT_CLOSED shut
 * mutation: MAIN_UNCOMPARED twice
 */
#define NR_SHEAVES	3
#define MARK		CLOSED

bool is_up = true;			/* CPU 1; the other stays */
bool is_absent;				/* since the drain began */

#define IS_UP(cpu)	((cpu) == 0 || is_up)
#ifdef UP_ONLY
#define IS_WANTED(at)	IS_UP(at)
#else
#define IS_WANTED(at)	true
#endif

#ifdef FENCE_SEEN_UP
bool was_up;				/* when the drain began */
#define IS_FENCED(at)	((at) == 0 || was_up)
#endif
#ifdef FENCE_BY_INDEX
#define IS_FENCED(at)	(closed & BIT(at))
#endif

#include "slot.h"
#include "drain.h"

bool stranded;

/* The kernel moves its thread, and whatever sequence that is in is aborted. */
inline cpu_goes()
{
	fence(1);
	in_sequence[1] = 0;
	in_sequence[0] = 0;
	runs_on[1] = 0;
	is_up = false
}

proctype plug()
{
	atomic { cpu_goes() };
	if
	:: true
	:: atomic { is_up = true; is_absent = false }
	fi
}

proctype drain()
{
	byte at, first, second, closed, word;
	bool refused;
#ifdef OPENED_AS_SEEN
	byte main_seen[2];
#endif

	atomic {
		is_absent = !is_up;
#ifdef FENCE_SEEN_UP
		was_up = is_up
#endif
	};
	drain_closed();
	atomic {
		/* What an absent CPU had is not out of reach. */
#ifndef PICKED
		at = 1; look_into_slot();
		stranded = is_absent && (first || second);
		assert(!stranded);
#endif
		first = 0; second = 0
	}
}

init {
	byte at, first, second, word, objects, sheaves;

	atomic {
		/* CPU 1 has a sheaf with an object, and an empty one. */
		mem[MAIN(1)] = 1;
		mem[SHEAF(1, 0)] = 1;
		mem[SHEAF(1, 1)] = 2;
		mem[WORD(1)] = 1;
		mem[OBJECT(1)] = 1;
		held[1] = 1;
		unused = BIT(3);
		runs_on[1] = 1;
#ifdef BY_CID
		cid = 1;
#endif
				if
		:: slab = BIT(2); run thread(1, STEPS, 0)
		:: out = BIT(2); run thread(1, STEPS, 2)
		fi;
		run plug();
		run drain()
	};
	_nr_pr == 2;
	atomic { check_all() }
}
