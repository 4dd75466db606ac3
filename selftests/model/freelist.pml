/* SPDX-License-Identifier: MIT */
/*
 * A slab that goes from owner to owner while others free into it: mm/slab.c.
 * Two threads on two CPUs allocate from it, free what either of them got, and
 * take it out of the other CPU's slot, as a drain does.
 *
 * It is the only slab of its cache on the node. Objects are numbers from 1.
 *
 * scripts/check-model reads what follows; the table in
 * Documentation/dev-tools/testing.rst says what the mutations drop.
 *
 * scenario: -DSTEPS=4 -DOTHER=3
 *
 * mutation: UNLOCK_RELAXED lost
 * mutation: TAKE_UNLOCKED miscounted
 * mutation: FREELIST_KEPT lost
 * mutation: STILL_LISTED shared
 * mutation: NEXT_LATE lost
 * mutation: PRIVATE_LATE accused
 * mutation: FRESH_LATE accused
 * mutation: LEFT_ACTIVE lost
 * mutation: LEFT_LATER lost
 * mutation: JOIN_BY_HEAD lost
 * mutation: PRIVATE_KEPT miscounted
 * mutation: FRESH_UNCOUNTED miscounted
 * mutation: FREE_UNCOUNTED miscounted
 * mutation: SETTLED_ACTIVE shared
 * mutation: DRAIN_UNFENCED miscounted
 */
#define NR_OBJECTS	3
#define NO_OBJECT	(NR_OBJECTS + 1)
#define ALL		(BIT(1) | BIT(2) | BIT(3))
#define NO_LINK		0		/* what an object in use has */

/* struct page and, from LISTED on, struct cache_node: places in memory */
#define FREELIST	1
#define NR_FREE		2
#define PRIVATE		3
#define NR_PRIVATE	4
#define FRESH		5		/* so many were handed out by now */
#define STATE		6
#define LINK(o)		(6 + (o))
#define LISTED		(7 + NR_OBJECTS)
#define ALL_FREE	(8 + NR_OBJECTS)
#define NR_PLACES	(9 + NR_OBJECTS)
#define NR_CPUS		2

#include "cpu.h"

/* enum slab_state */
#define FULL		0
#define PARTIAL		1
#define EMPTY		2
#define ACTIVE		3

#define BIT(i)		(1 << (i))
#define cpu		(me - 1)
#define GET(place)	LOAD(cpu, place)
#define SET(place, value)	new = value; store(cpu, place, new)
#define UNUSED		(NR_OBJECTS - GET(FRESH))	/* fresh_objects() */

hidden byte new;			/* no state: within one atomic step */
bool list_lock;
bool slot[NR_CPUS];			/* is it the active one there? */
bool is_owned;				/* by a slot or a thread */
bool is_free;				/* it is no slab: its pages are free */
byte out;				/* objects that the program has */
byte given;				/* of them, for any thread to free */

/* What must never be. */
bool twice, shared, accused, lost, miscounted;

/* mm/internal.h lock(), unlock() */
inline lock()
{
	atomic { !list_lock -> list_lock = true }
}

inline unlock()
{
	atomic {
#ifndef UNLOCK_RELAXED
		fence(cpu);
#endif
		list_lock = false
	}
}

inline become_owner()
{
	shared = is_owned;
	assert(!shared);
	is_owned = true;
	mine = true
}

inline disown()
{
	is_owned = false;
	mine = false
}

/* --- lists, under list_lock; parts of atomic steps --- */

#define IS_LISTED(state)	((state) == PARTIAL || (state) == EMPTY)
#define STATE_OF(nr_free) \
	(!(nr_free) -> FULL : ((nr_free) < NR_OBJECTS -> PARTIAL : EMPTY))

/* settle(), with list_insert() and list_remove() */
inline settle()
{
	nr = GET(NR_FREE) + UNUSED;
	SET(STATE, STATE_OF(nr));
	SET(LISTED, nr > 0);
	nr = 0
}

/* take_empty(), if the node is to keep none; then slab_discard(), unlocked */
inline unlock_and_discard()
{
	if
	:: GET(STATE) == EMPTY ->
		atomic {
			become_owner();
			SET(LISTED, false);
			SET(STATE, ACTIVE);
			SET(ALL_FREE, GET(ALL_FREE) - NR_OBJECTS)
		};
		unlock();
		/* Pages go to the next owner under the zone's lock. */
		atomic {
			lost = out;
			assert(!lost);
			disown();
			fence(cpu);
			is_free = true
		}
	:: unlock()
	fi
}

/* --- the owner's side --- */

/* The program gets the object, and may pass it on. */
inline hand_out()
{
	atomic {
		twice = out & BIT(object);
		assert(!twice);
		out = out | BIT(object);
		if
		:: true -> fence(cpu); given = given | BIT(object)
		:: true -> held = held | BIT(object)
		fi
	}
}

/* take_freelist() */
inline take_freelist()
{
	atomic {
		SET(ALL_FREE, GET(ALL_FREE) - GET(NR_FREE));
		SET(PRIVATE, GET(FREELIST))
	};
	atomic {
		SET(NR_PRIVATE, GET(NR_FREE));
#ifndef FREELIST_KEPT
		SET(FREELIST, NO_OBJECT);
#endif
		SET(NR_FREE, 0)
	}
}

/* fill_private(), of one object */
inline fill_private()
{
	atomic { object = GET(PRIVATE); next = GET(LINK(object)) };
	atomic { SET(LINK(object), NO_LINK) };
#ifdef NEXT_LATE
	hand_out();
	atomic { next = GET(LINK(object)) };
#endif
#ifdef PRIVATE_LATE
	hand_out();
#endif
	atomic { SET(PRIVATE, next) };
	atomic { SET(NR_PRIVATE, GET(NR_PRIVATE) - 1); next = 0 };
#if !defined(NEXT_LATE) && !defined(PRIVATE_LATE)
	hand_out()
#endif
}

/* fill_fresh(), likewise */
inline fill_fresh()
{
#ifdef FRESH_LATE
	atomic { object = GET(FRESH) + 1 };
	hand_out();
	atomic { SET(FRESH, object) }
#else
	atomic { object = GET(FRESH) + 1; SET(FRESH, object) };
	hand_out()
#endif
}

/* slab_fill(): *object*, or 0 */
inline slab_fill()
{
	if
	:: GET(NR_PRIVATE) -> fill_private()
	:: !GET(NR_PRIVATE) && UNUSED -> fill_fresh()
	:: else
	fi
}

/* slab_get() of one that is listed: take_listed(), own(). Is it *mine*? */
inline take_listed()
{
	lock();
	if
	:: GET(LISTED) ->
		atomic {
			become_owner();
#ifndef STILL_LISTED
			SET(LISTED, false);
#endif
			SET(STATE, ACTIVE);
			SET(ALL_FREE, GET(ALL_FREE) - UNUSED)
		};
		take_freelist()
	:: else
	fi;
	unlock()
}

/* slab_new(), if there are pages */
inline slab_new()
{
	atomic {
		if
		:: is_free ->
			is_free = false;
			become_owner();
			SET(STATE, ACTIVE);
			SET(FREELIST, NO_OBJECT);
			SET(NR_FREE, 0);
			SET(PRIVATE, NO_OBJECT);
			SET(NR_PRIVATE, 0);
			SET(FRESH, 0)
		:: else
		fi
	}
}

/* leave() */
inline leave()
{
	atomic {
#ifndef LEFT_ACTIVE
		SET(STATE, FULL);
#endif
		disown()
	}
}

/* slab_reload() */
inline slab_reload()
{
#ifndef TAKE_UNLOCKED
	lock();
#endif
	take_freelist();
#ifdef TAKE_UNLOCKED
	lock();
#endif
	if
	:: !GET(NR_PRIVATE) ->
#ifdef LEFT_LATER
		unlock();
		lock();
#endif
		leave()
	:: else
	fi;
	unlock()
}

/* join_freelists() */
inline join_freelists()
{
	if
#ifndef JOIN_BY_HEAD
	:: GET(FREELIST) != NO_OBJECT ->
		do
		:: GET(PRIVATE) != NO_OBJECT ->
			object = GET(PRIVATE);
			next = GET(LINK(object));
			SET(LINK(object), GET(FREELIST));
			SET(FREELIST, object);
			SET(NR_FREE, GET(NR_FREE) + 1);
			SET(PRIVATE, next)
		:: else -> break
		od;
		object = 0; next = 0
#endif
	:: else ->
		SET(FREELIST, GET(PRIVATE));
		SET(NR_FREE, GET(NR_PRIVATE))
	fi
}

/* slab_put() */
inline slab_put()
{
	lock();
	atomic {
		SET(ALL_FREE, GET(ALL_FREE) + GET(NR_PRIVATE));
#ifndef FRESH_UNCOUNTED
		SET(ALL_FREE, GET(ALL_FREE) + UNUSED);
#endif
		join_freelists();
#ifndef PRIVATE_KEPT
		SET(PRIVATE, NO_OBJECT);
		SET(NR_PRIVATE, 0);
#endif
		disown();
		settle()
	};
	unlock_and_discard()
}

/* --- everyone's side --- */

/* on_freelist(), where each object looks as if it held a link */
inline search(first)
{
	atomic { at = GET(first); steps_left = NR_OBJECTS };
	do
	:: steps_left && at != NO_OBJECT && at != NO_LINK ->
		atomic {
			accused = at == object;
			assert(!accused);
			at = GET(LINK(at));
			steps_left--
		}
	:: else -> break
	od;
	atomic { at = 0; steps_left = 0 }
}

/* slab_free_objects(), of *object* */
inline slab_free()
{
	lock();
	/* check_free() */
	atomic { accused = object > GET(FRESH); assert(!accused) };
	search(FREELIST);
	search(PRIVATE);
	/* slab_push() */
	atomic {
		out = out & ~BIT(object);
		SET(LINK(object), GET(FREELIST))
	};
	atomic {
		SET(FREELIST, object);
#ifndef FREE_UNCOUNTED
		SET(NR_FREE, GET(NR_FREE) + 1);
#endif
		SET(ALL_FREE, GET(ALL_FREE) + 1);
		object = 0;
		if
#ifdef SETTLED_ACTIVE
		:: true -> settle()
#else
		:: GET(STATE) != ACTIVE -> settle()
		:: else
#endif
		fi
	};
	unlock_and_discard()
}

/* --- mm/slub.c --- */

/* refill() and attach_active(), up to slab_put() */
inline allocate()
{
	atomic { mine = slot[cpu]; slot[cpu] = false };
	do
	:: mine ->
		slab_fill();
		if
		:: object -> break
		:: else -> slab_reload()
		fi
	:: !mine ->
		take_listed();
		if
		:: !mine ->
			slab_new();
			if
			:: !mine -> break
			:: else
			fi
		:: else
		fi
	od;
	object = 0;
	if
	:: mine -> atomic { slot[cpu] = true; mine = false }
	:: true
	fi
}

/* percpu_drain(), which closes and fences, up to slab_put() */
inline take_active()
{
	slot[1 - cpu] = false;
	mine = true;
#ifndef DRAIN_UNFENCED
	fence(1 - cpu)
#endif
}

/* The program gives up one of those that it has, and that this thread may. */
inline give_up(set, i)
{
	object = i;
	set = set & ~BIT(i)
}

proctype thread(byte me; byte steps)
{
	byte held, object, next, at, steps_left, nr;
	bool mine;

	do
	:: steps ->
		steps--;
		if
		:: allocate()
		:: atomic { slot[1 - cpu] -> take_active() }
		:: atomic {
			if
			:: held & BIT(1) -> give_up(held, 1)
			:: held & BIT(2) -> give_up(held, 2)
			:: held & BIT(3) -> give_up(held, 3)
			:: given & BIT(1) -> give_up(given, 1)
			:: given & BIT(2) -> give_up(given, 2)
			:: given & BIT(3) -> give_up(given, 3)
			fi
		}; slab_free()
		:: true
		fi;
		if
		:: mine -> slab_put()
		:: else
		fi
	:: else -> break
	od
}

/* What the list from *first* has, of so many. */
inline see(first, number)
{
	at = GET(first);
	nr = 0;
	do
	:: at != NO_OBJECT && !twice ->
		lost = at == NO_LINK;
		assert(!lost);
		twice = seen & BIT(at);
		assert(!twice);
		seen = seen | BIT(at);
		at = GET(LINK(at));
		nr++
	:: else -> break
	od;
	miscounted = nr != GET(number);
	assert(!miscounted)
}

init {
	byte me = 1, seen, at, nr;

	atomic {
		/* One was handed out, and another CPU will free it. */
		mem[FREELIST] = NO_OBJECT;
		mem[PRIVATE] = NO_OBJECT;
		mem[FRESH] = 1;
		mem[STATE] = ACTIVE;
		out = BIT(1);
		given = BIT(1);
		slot[0] = true;
		is_owned = true;
		run thread(1, STEPS);
		run thread(2, OTHER)
	};
	_nr_pr == 2;
	atomic {
		fence(0); fence(1);
		if
		:: !is_free ->
			seen = out;
			see(FREELIST, NR_FREE);
			see(PRIVATE, NR_PRIVATE);
			at = GET(FRESH);
			do
			:: at < NR_OBJECTS -> at++; seen = seen | BIT(at)
			:: else -> break
			od;
			nr = GET(NR_FREE) + (is_owned -> 0 : UNUSED);
			/* A slab that nobody owns is where it is found. */
			at = (is_owned -> ACTIVE : STATE_OF(nr));
			shared = is_owned && GET(LISTED);
			assert(!shared);
			lost = seen != ALL || GET(STATE) != at ||
				GET(LISTED) != IS_LISTED(at)
		:: is_free -> nr = 0
		fi;
		assert(!lost);
		miscounted = GET(ALL_FREE) != nr;
		assert(!miscounted)
	}
}
