/* SPDX-License-Identifier: MIT */
/*
 * mm/drain.c, as it is on a machine with restartable sequences, and what has to
 * be true when all have ended.
 */

#if defined(NO_FENCE)
#define IS_FENCED(at)	false
#elif !defined(IS_FENCED)
#define IS_FENCED(at)	true
#endif

/* membarrier(PRIVATE_EXPEDITED_RSEQ): a CPU after the other */
inline membarrier()
{
	atomic { fence(DRAINS_ON); at = 0 };
	do
	:: at < 2 ->
		atomic {
			if
			:: IS_FENCED(at) ->
#ifndef FENCE_WITHOUT_ORDER
				fence(at);
#endif
#ifndef FENCE_WITHOUT_ABORT
				in_sequence[at] = 0
#endif
			:: else
			fi;
			at++
		}
	:: else -> break
	od
}

/* close_slot(), one of the *closed* */
inline close_slot()
{
#ifdef OPENED_AS_SEEN
	main_seen[at] = LOAD(DRAINS_ON, MAIN(at));
#endif
	atomic {
		if
		:: LOAD(DRAINS_ON, MAIN(at)) != MARK && IS_WANTED(at) ->
			store(DRAINS_ON, MAIN(at), MARK);
			closed = closed | BIT(at)
		:: else
#ifdef PICKED
		:: true
#endif
		fi
	}
}

/* open_slot(), where the fence was refused */
inline open_slot()
{
	atomic {
		fence(DRAINS_ON);
#ifdef OPENED_AS_SEEN
		mem[MAIN(at)] = main_seen[at]
#elif !defined(LEFT_CLOSED)
		mem[MAIN(at)] = 0
#endif
	}
}

/* flush_sheaf(): its objects to the slab, the sheaf to the pool */
inline flush_sheaf(s)
{
	if
	:: s ->
		harvest(DRAINS_ON, s);
		if
		:: word ->
			slab = slab | BIT(LOAD(DRAINS_ON, OBJECT(s)));
			store(DRAINS_ON, WORD(s), 0)
		:: else
		fi;
		unused = unused | BIT(s);
		unlock(DRAINS_ON);
		s = 0; word = 0
	:: else
	fi
}

inline look_into_slot()
{
	atomic {
		first = LOAD(DRAINS_ON, SHEAF(at, 0));
		second = LOAD(DRAINS_ON, SHEAF(at, 1))
	}
}

/* take_slot() */
inline take_slot()
{
#ifdef OPENED_EARLY
	atomic { fence(DRAINS_ON); store(DRAINS_ON, MAIN(at), 0) };
#endif
#ifdef READ_EARLY
	first = seen[2 * at];
	second = seen[2 * at + 1];
#else
	look_into_slot();
#endif
	atomic { store(DRAINS_ON, SHEAF(at, 0), 0) };
	atomic { store(DRAINS_ON, SHEAF(at, 1), 0) };
	atomic {
#ifndef OPEN_RELAXED
		fence(DRAINS_ON);
#endif
#ifndef OPENED_EARLY
		store(DRAINS_ON, MAIN(at), 0)
#endif
	};
	atomic { flush_sheaf(first); flush_sheaf(second) }
}

/* Steps 1 to 3; is the fence *refused*? close_slots() */
inline close_slots()
{
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
		if
#ifdef MAY_BE_REFUSED
		:: refused = true; break
#endif
		:: membarrier()
		fi
#if defined(NO_SECOND_LOOK) || defined(PICKED)
		; break
#endif
	od
}

/* drain_closed() */
inline drain_closed()
{
	close_slots();
	at = 0;
	do
	:: at < 2 ->
		if
#ifdef NO_SECOND_LOOK
		:: closed & BIT(at) -> take_slot()
#else
		:: LOAD(DRAINS_ON, MAIN(at)) == MARK ->
			if
			:: refused -> open_slot()
			:: else -> take_slot()
			fi
#endif
		:: else
		fi;
		at++
	:: else -> break
	od
}

/* Objects and sheaves that the set @seen has, @i among them already? */
inline see(seen, i)
{
	twice = twice || (seen & BIT(i));
	seen = seen | BIT(i)
}

inline see_sheaf(i)
{
	if
	:: i ->
		see(sheaves, i);
		harvest(DRAINS_ON, i);
		fence(DRAINS_ON);
		if
		:: word -> see(objects, mem[OBJECT(i)])
		:: else
		fi
	:: else
	fi
}

/* When all have ended. */
inline check_all()
{
	fence(0); fence(1); fence(DRAINS_ON);
	objects = out;
	twice = twice || (objects & slab);
	objects = objects | slab;
	sheaves = unused;
	at = 0;
	do
	:: at < 2 ->
		look_into_slot();
		/* main is one of the two, or none. */
		word = mem[MAIN(at)];
		shut = word == CLOSED;
		assert(!shut);
		twice = twice || (word && word != first && word != second);
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
